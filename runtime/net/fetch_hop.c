/* One hop of a fetch: its URL and the headers it sends, redirects, and the headers that come back.
 */
#include "net/fetch_private.h"

#include "base/clock.h"
#include "base/limits.h"
#include "net/http_server_private.h"

static char *url_part(CURLU *url, CURLUPart part, unsigned flags)
{
    char *text = NULL;
    if (curl_url_get(url, part, &text, flags) != CURLUE_OK)
        return NULL;
    char *copy = xstrdup(text);
    curl_free(text);
    return copy;
}

static void wipe(char **text)
{
    if (*text)
        mem_wipe(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

/* "https://host:443" */
static char *origin_of(const char *text)
{
    CURLU *url = curl_url();
    char *origin = NULL;
    if (url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK) {
        char *scheme = url_part(url, CURLUPART_SCHEME, 0), *host = url_part(url, CURLUPART_HOST, 0);
        char *port = url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
        if (scheme && host && port)
            origin = xasprintf("%s://%s:%s", scheme, host, port);
        for (char *at = origin; at && *at; at++)
            if (*at >= 'A' && *at <= 'Z')
                *at = (char)(*at | 32);
        free(scheme);
        free(host);
        free(port);
    }
    curl_url_cleanup(url);
    return origin;
}

int fetch_hop_aim(struct fetch_hop *hop, const char *text, bool takes_user, struct err *err)
{
    char *target = NULL, *clean = NULL;
    /* The policy's own reading comes first: it refuses other schemes in words. */
    int code = egress_apply(hop->egress, text, &target, err);
    if (code)
        return code;
    free(target);
    CURLU *url = curl_url();
    if (!url || curl_url_set(url, CURLUPART_URL, text, CURLU_PATH_AS_IS) != CURLUE_OK) {
        curl_url_cleanup(url);
        return err_set(err, RN_EINVAL, "the text given as a URL is none");
    }
    if (takes_user) {
        wipe(&hop->user);
        wipe(&hop->password);
        hop->user = url_part(url, CURLUPART_USER, CURLU_URLDECODE);
        hop->password = url_part(url, CURLUPART_PASSWORD, CURLU_URLDECODE);
    }
    (void)curl_url_set(url, CURLUPART_USER, NULL, 0);
    (void)curl_url_set(url, CURLUPART_PASSWORD, NULL, 0);
    (void)curl_url_set(url, CURLUPART_OPTIONS, NULL, 0);
    (void)curl_url_set(url, CURLUPART_FRAGMENT, NULL, 0);
    clean = url_part(url, CURLUPART_URL, 0);
    curl_url_cleanup(url);
    code = clean ? egress_apply(hop->egress, clean, &target, err)
                 : err_set(err, RN_EINVAL, "the text given as a URL is none");
    if (code) {
        free(clean);
        return code;
    }
    free(hop->url);
    free(hop->target);
    hop->url = clean;
    hop->target = target;
    return 0;
}

void fetch_hop_release(struct fetch_hop *hop)
{
    free(hop->url);
    free(hop->target);
    wipe(&hop->user);
    wipe(&hop->password);
    buf_release(&hop->head);
    buf_release(&hop->body_in);
}

void fetch_hop_name(const struct fetch_hop *hop, char out[256])
{
    const char *url = hop->url ? hop->url : "";
    (void)snprintf(out, 256, "%s %.*s", hop->method, (int)strcspn(url, "?#"), url);
}

/* The next line of a head without its end; false when there is none. */
static bool next_line(struct str *rest, struct str *ret_line)
{
    if (!rest->len || !str_cut(rest, '\n', ret_line))
        return false;
    if (str_ends(*ret_line, "\r"))
        ret_line->len--;
    return true;
}

static bool split_line(struct str line, struct str *ret_name, struct str *ret_value)
{
    const char *colon = line.len ? memchr(line.ptr, ':', line.len) : NULL;
    if (!colon || colon == line.ptr)
        return false;
    *ret_name = str_trim(str_n(line.ptr, (size_t)(colon - line.ptr)));
    *ret_value = str_trim(str_n(colon + 1, line.len - (size_t)(colon - line.ptr) - 1));
    return true;
}

char *fetch_hop_location(const struct fetch_hop *hop)
{
    struct str rest = buf_str(&hop->head), line, name, value;
    char *found = NULL;
    CURLU *url = curl_url();
    while (!found && next_line(&rest, &line))
        if (split_line(line, &name, &value) && str_eq_nocase(name, STR("location")))
            found = str_dup(value);
    char *location = NULL;
    if (found && *found && url && curl_url_set(url, CURLUPART_URL, hop->url, 0) == CURLUE_OK &&
        curl_url_set(url, CURLUPART_URL, found, CURLU_URLENCODE | CURLU_NON_SUPPORT_SCHEME) ==
            CURLUE_OK)
        location = url_part(url, CURLUPART_URL, 0);
    curl_url_cleanup(url);
    free(found);
    return location;
}

int fetch_hop_redirect(struct fetch_hop *hop, int status, const char *location, struct err *err)
{
    char *before = origin_of(hop->url);
    int code = fetch_hop_aim(hop, location, false, err);
    if (!code) {
        char *after = origin_of(hop->url);
        if (!before || !after || strcmp(before, after) != 0)
            hop->drops_credentials = true;
        free(after);
        bool is_post = strcmp(hop->method, "POST") == 0;
        if ((status == 303 && strcmp(hop->method, "HEAD") != 0) ||
            ((status == 301 || status == 302) && is_post)) {
            hop->method = "GET";
            hop->body = STR_NONE;
            hop->drops_body = true;
        }
    }
    free(before);
    return code;
}

/* Headers that speak for the sender, and that another origin must not see. */
static bool is_credential(struct str name)
{
    static const char *const words[] = {"auth",    "cookie", "token",     "secret",
                                        "api-key", "apikey", "signature", "password"};
    char lower[64];
    size_t n = name.len < sizeof(lower) - 1 ? name.len : sizeof(lower) - 1;
    for (size_t i = 0; i < n; i++)
        lower[i] =
            (char)(name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? name.ptr[i] | 32 : name.ptr[i]);
    lower[n] = '\0';
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strstr(lower, words[i]))
            return true;
    return strcmp(lower, "host") == 0;
}

static bool is_one_of(struct str name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq_nocase(name, str_from(names[i])))
            return true;
    return false;
}

static int add_line(struct curl_slist **lines, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*lines, line);
    if (!longer)
        return RN_ENOMEM;
    *lines = longer;
    return 0;
}

int fetch_hop_headers(const struct fetch_hop *hop, struct curl_slist **ret, struct err *err)
{
    /* Framing is libcurl's; Expect would make it wait for an answer that few servers give. */
    static const char *const own[] = {"content-length", "transfer-encoding",  "connection",
                                      "expect",         "keep-alive",         "te",
                                      "upgrade",        "proxy-authorization"};
    static const char *const of_body[] = {"content-type", "content-encoding", "content-language",
                                          "content-location"};
    const struct fetch_request *request = hop->request;
    struct curl_slist *lines = NULL;
    bool has_type = false;
    int code = add_line(&lines, "Expect:");
    for (size_t i = 0; i < request->header_count && !code; i++) {
        const struct fetch_header *header = &request->headers[i];
        struct str name = str_from(header->name), value = str_trim(str_from(header->value));
        if (!header->name || !http_is_token(header->name) || !http_is_field_value(value)) {
            code = err_set(err, RN_EINVAL,
                           "a header's name or value holds what HTTP does not allow: %s",
                           header->name && http_is_token(header->name) ? header->name : "bad name");
            break;
        }
        if (is_one_of(name, own, COUNT_OF(own)) ||
            (hop->drops_credentials && is_credential(name)) ||
            (hop->drops_body && is_one_of(name, of_body, COUNT_OF(of_body))))
            continue;
        has_type |= str_eq_nocase(name, STR("content-type"));
        char *line = value.len ? xasprintf("%s: " STR_FMT, header->name, STR_ARG(value))
                               : xasprintf("%s;", header->name);
        code = add_line(&lines, line);
        wipe(&line);
    }
    /* libcurl takes every body for a form otherwise. */
    if (!code && !has_type)
        code = add_line(&lines, "Content-Type:");
    if (code)
        curl_slist_free_all(lines);
    else
        *ret = lines;
    return code;
}

struct line {
    struct str name, value;
    bool is_joined;
};

/* The text of one header with all its repetitions, into a buffer that does not move. */
static void add_header(struct fetch_response *response, struct line *lines, size_t count, size_t at)
{
    struct buf *text = &response->header_text;
    struct fetch_header *header = &response->headers[response->header_count++];
    size_t name_at = text->len;
    buf_add_str(text, lines[at].name);
    for (size_t i = name_at; i < text->len; i++)
        if (text->ptr[i] >= 'A' && text->ptr[i] <= 'Z')
            text->ptr[i] = (char)(text->ptr[i] | 32);
    buf_add_char(text, '\0');
    size_t value_at = text->len;
    buf_add_str(text, lines[at].value);
    for (size_t i = at + 1; i < count; i++) {
        if (!str_eq_nocase(lines[i].name, lines[at].name))
            continue;
        lines[i].is_joined = true;
        buf_add_c(text, ", ");
        buf_add_str(text, lines[i].value);
    }
    buf_add_char(text, '\0');
    header->name = text->ptr + name_at;
    header->value = text->ptr + value_at;
}

int fetch_read_headers(const struct fetch_hop *hop, struct fetch_response *response,
                       struct err *err)
{
    struct str rest = buf_str(&hop->head), line;
    struct line *lines = xcalloc(LIMIT_FETCH_HEADER_COUNT, sizeof(*lines));
    size_t count = 0;
    bool is_over = false;
    while (next_line(&rest, &line)) {
        struct line parts = {.is_joined = false};
        if (!split_line(line, &parts.name, &parts.value))
            continue;
        is_over = count == LIMIT_FETCH_HEADER_COUNT;
        if (is_over)
            break;
        lines[count++] = parts;
    }
    if (!is_over) {
        buf_init(&response->header_text, 2 * LIMIT_FETCH_HEADERS);
        (void)buf_reserve(&response->header_text, hop->head.len + 4 * count);
        response->headers = xcalloc(count + 1, sizeof(*response->headers));
        response->header_count = 0;
        for (size_t i = 0; i < count; i++)
            if (!lines[i].is_joined)
                add_header(response, lines, count, i);
    }
    free(lines);
    return is_over ? err_set(err, RN_ETOOBIG, "the answer has more than %d headers",
                             LIMIT_FETCH_HEADER_COUNT)
                   : 0;
}

void fetch_response_release(struct fetch_response *response)
{
    buf_release(&response->body);
    buf_release(&response->header_text);
    free(response->headers);
    free(response->url);
    *response = (struct fetch_response){.status = 0};
}

const char *fetch_response_header(const struct fetch_response *response, const char *lower_name)
{
    for (size_t i = 0; i < response->header_count; i++)
        if (strcmp(response->headers[i].name, lower_name) == 0)
            return response->headers[i].value;
    return NULL;
}

int64_t fetch_retry_after_ms(const struct fetch_response *response)
{
    static const int64_t longest_s = 365 * 86400;
    const char *value = fetch_response_header(response, "retry-after");
    int64_t seconds;
    if (!value)
        return -1;
    int code = num_parse_i64(str_from(value), &seconds);
    if (code == RN_EINVAL) {
        double fraction = 0;
        char *end = NULL;
        time_t at = curl_getdate(value, NULL);
        if (at != -1) {
            seconds = (int64_t)at - clock_now_ms() / 1000;
            seconds = seconds < 0 ? 0 : seconds;
        } else {
            /* Discord and others send fractions of a second. */
            fraction = strtod(value, &end);
            if (end == value || *end || !(fraction >= 0) || fraction > (double)longest_s)
                return -1;
            return (int64_t)(fraction * 1000 + 0.999);
        }
    } else if (code || seconds > longest_s) {
        seconds = longest_s;
    }
    return seconds < 0 ? -1 : (seconds > longest_s ? longest_s : seconds) * 1000;
}
