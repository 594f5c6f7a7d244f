/* What may be asked of $.send: the texts here are read by who wrote the code. Thread: any. */
#include "base/encode.h"
#include "base/redact.h"
#include "engine/sends.h"

enum { RECIPIENTS_MAX = 50, ADDRESS_MAX = 320, SUBJECT_MAX = 1000 };

static bool has_controls(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return true;
    return false;
}

static int check_members(const char *what, const struct json *asked, const char *const *known,
                         struct err *err)
{
    for (const struct json *m = json_first(asked); m; m = json_next(m)) {
        const char *best = NULL;
        size_t least = 4, i = 0;
        for (; known[i] && strcmp(known[i], json_name(m)) != 0; i++) {
            size_t distance = str_distance(str_from(json_name(m)), str_from(known[i]), least);
            if (distance < least) {
                least = distance;
                best = known[i];
            }
        }
        if (!known[i])
            return err_set(err, RN_EINVAL, "$.send.%s takes no \"%s\"%s%s%s", what, json_name(m),
                           best ? "; did you mean \"" : "", best ? best : "", best ? "\"?" : "");
    }
    return 0;
}

/* A text that has to be there. */
static int need_text(const char *what, const struct json *asked, const char *name, struct err *err)
{
    const struct json *value = json_get(asked, name);
    if (json_is(value, JSON_STRING) && json_str(value).len)
        return 0;
    return err_set(err, RN_EINVAL, "$.send.%s needs \"%s\", a text, not %s", what, name,
                   !value                        ? "nothing"
                   : json_is(value, JSON_STRING) ? "an empty one"
                                                 : json_kind_name(json_kind(value)));
}

/* ---- http */

/* A text, a number or a boolean as text; the caller frees. NULL: none of these. */
static char *scalar_text(const struct json *value)
{
    if (json_is(value, JSON_STRING))
        return str_dup(json_str(value));
    if (json_is(value, JSON_NUMBER) || json_is(value, JSON_BOOLEAN))
        return json_text(value, NULL);
    return NULL;
}

static bool is_header_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] <= ' ' || (unsigned char)name.ptr[i] >= 0x7f ||
            strchr("()<>@,;:\\\"/[]?={}", name.ptr[i]))
            return false;
    return name.len > 0;
}

static int copy_headers(const struct json *asked, struct json *request, struct err *err)
{
    const struct json *headers = json_get(asked, "headers");
    if (!headers || json_is(headers, JSON_NULL))
        return 0;
    if (!json_is(headers, JSON_OBJECT))
        return err_set(err, RN_EINVAL, "$.send.http: \"headers\" is an object of texts, not %s",
                       json_kind_name(json_kind(headers)));
    struct json *copy = json_set(request, "headers", json_new_object());
    for (const struct json *h = json_first(headers); h; h = json_next(h)) {
        char *value = scalar_text(h);
        bool is_good =
            value && is_header_name(str_from(json_name(h))) && !has_controls(str_from(value));
        if (is_good)
            json_set_string(copy, json_name(h), value);
        free(value);
        if (!is_good)
            return err_set(err, RN_EINVAL,
                           "$.send.http: the header \"%s\" is none that HTTP allows: a name of "
                           "letters, digits and -, and a text of one line",
                           json_name(h));
    }
    return 0;
}

static void add_param(struct buf *url, bool *is_first, const char *name, const char *value)
{
    buf_add_char(url, *is_first ? '?' : '&');
    *is_first = false;
    encode_percent(url, str_from(name));
    buf_add_char(url, '=');
    encode_percent(url, str_from(value));
}

static int add_params(const struct json *params, struct buf *url, struct err *err)
{
    bool is_first = !memchr(url->ptr, '?', url->len);
    for (const struct json *p = json_first(params); p; p = json_next(p)) {
        bool is_list = json_is(p, JSON_ARRAY);
        for (const struct json *v = is_list ? json_first(p) : p; v;
             v = is_list ? json_next(v) : NULL) {
            char *text = scalar_text(v);
            if (text)
                add_param(url, &is_first, json_name(p), text);
            else if (!json_is(v, JSON_NULL))
                return err_set(err, RN_EINVAL,
                               "$.send.http: the param \"%s\" is a text, a number or a list of "
                               "these, not %s",
                               json_name(p), json_kind_name(json_kind(v)));
            free(text);
        }
    }
    return 0;
}

static int copy_url(const struct json *asked, struct json *request, struct err *err)
{
    int rc = need_text("http", asked, "url", err);
    struct str url = json_get_text(asked, "url");
    if (rc)
        return rc;
    if (has_controls(url) || (!str_starts(url, "http://") && !str_starts(url, "https://")))
        return err_set(err, RN_EINVAL, "$.send.http: \"url\" begins with http:// or https://");
    struct buf whole = BUF_INIT(LIMIT_SEND_BYTES);
    ptrdiff_t hash = str_find(url, "#", 0);
    buf_add_str(&whole, hash < 0 ? url : str_n(url.ptr, (size_t)hash));
    rc = add_params(json_get(asked, "params"), &whole, err);
    json_set_str(request, "url", buf_str(&whole));
    buf_release(&whole);
    return rc;
}

static int copy_auth(const struct json *asked, struct json *request, struct err *err)
{
    static const char *const known[] = {"username", "password", NULL};
    const struct json *auth = json_get(asked, "auth");
    if (!auth || json_is(auth, JSON_NULL))
        return 0;
    int rc = json_is(auth, JSON_OBJECT)
                 ? check_members("http({auth})", auth, known, err)
                 : err_set(err, RN_EINVAL, "$.send.http: \"auth\" is { username, password }");
    if (rc == 0)
        (void)json_set(request, "auth", json_copy(auth));
    return rc;
}

static int check_http(const struct json *asked, struct json *request, struct err *err)
{
    static const char *const known[] = {"kind",   "method", "url",  "headers",
                                        "params", "data",   "auth", NULL};
    const struct json *data = json_get(asked, "data"), *method = json_get(asked, "method");
    int rc = check_members("http", asked, known, err);
    if (rc == 0 && method && (!json_is(method, JSON_STRING) || !is_header_name(json_str(method))))
        rc = err_set(err, RN_EINVAL, "$.send.http: \"method\" is a word such as POST");
    if (rc)
        return rc;
    bool has_data = data && !json_is(data, JSON_NULL);
    char *word = method ? str_dup(json_str(method)) : xstrdup(has_data ? "POST" : "GET");
    for (char *c = word; *c; c++)
        *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
    json_set_string(request, "method", word);
    free(word);
    rc = copy_url(asked, request, err);
    rc = rc ? rc : copy_headers(asked, request, err);
    rc = rc ? rc : copy_auth(asked, request, err);
    if (rc == 0 && has_data)
        (void)json_set(request, "data", json_copy(data));
    return rc;
}

/* Headers that speak for the sender are not for the eyes of who looks at the run. */
static void hide_credentials(struct json *shown)
{
    static const char *const words[] = {"auth", "cookie", "token", "secret", "key", "signature"};
    for (struct json *h = json_first_mut(json_get_mut(shown, "headers")); h; h = json_next_mut(h)) {
        char *lower = xstrdup(json_name(h));
        bool is_one = false;
        for (char *c = lower; *c; c++)
            *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
        for (size_t i = 0; i < COUNT_OF(words); i++)
            is_one |= strstr(lower, words[i]) && strcmp(lower, "idempotency-key") != 0;
        char *name = xstrdup(json_name(h));
        free(lower);
        if (is_one)
            h = json_set(json_get_mut(shown, "headers"), name, json_new_string_c(REDACTED));
        free(name);
    }
    if (json_get(json_get(shown, "auth"), "password"))
        json_set_string(json_get_mut(shown, "auth"), "password", REDACTED);
}

/* ---- email */

static int add_recipient(struct json *list, const struct json *value, struct err *err)
{
    struct str text = str_trim(json_str(value));
    if (!json_is(value, JSON_STRING) || text.len > ADDRESS_MAX || has_controls(text) ||
        str_find(text, "@", 0) < 1)
        return err_set(err, RN_EINVAL,
                       "$.send.email: \"to\" is an address (name@example.com, or Name "
                       "<name@example.com>) or a list of them");
    (void)json_append(list, json_new_string(text));
    return 0;
}

static int check_email(const struct json *asked, struct json *request, struct err *err)
{
    static const char *const known[] = {"kind", "subject", "text", "html", "to", NULL};
    static const char *const bodies[] = {"text", "html"};
    const struct json *to = json_get(asked, "to");
    int rc = check_members("email", asked, known, err);
    rc = rc ? rc : need_text("email", asked, "subject", err);
    if (rc)
        return rc;
    if (has_controls(json_get_text(asked, "subject")) ||
        json_get_text(asked, "subject").len > SUBJECT_MAX)
        return err_set(err, RN_EINVAL, "$.send.email: the subject is one line of %d bytes at most",
                       SUBJECT_MAX);
    json_set_str(request, "subject", json_get_text(asked, "subject"));
    size_t found = 0;
    for (size_t i = 0; i < COUNT_OF(bodies); i++) {
        const struct json *body = json_get(asked, bodies[i]);
        if (!body || json_is(body, JSON_NULL))
            continue;
        if (!json_is(body, JSON_STRING))
            return err_set(err, RN_EINVAL, "$.send.email: \"%s\" is a text, not %s", bodies[i],
                           json_kind_name(json_kind(body)));
        json_set_str(request, bodies[i], json_str(body));
        found++;
    }
    if (!found)
        return err_set(err, RN_EINVAL, "$.send.email needs \"text\" or \"html\"");
    if (!to || json_is(to, JSON_NULL))
        return 0;
    struct json *list = json_set(request, "to", json_new_array());
    bool is_list = json_is(to, JSON_ARRAY);
    if (is_list && (json_count(to) == 0 || json_count(to) > RECIPIENTS_MAX))
        return err_set(err, RN_EINVAL, "$.send.email: \"to\" has 1 to %d addresses",
                       RECIPIENTS_MAX);
    for (const struct json *v = is_list ? json_first(to) : to; v && rc == 0;
         v = is_list ? json_next(v) : NULL)
        rc = add_recipient(list, v, err);
    return rc;
}

/* ---- emit, sse */

static int check_channel(const char *what, const struct json *asked, bool is_needed,
                         struct json *request, struct err *err)
{
    const struct json *channel = json_get(asked, "channel");
    struct str name = json_str(channel);
    bool is_there =
        channel && !json_is(channel, JSON_NULL) && !(json_is(channel, JSON_STRING) && !name.len);
    if (!is_there && is_needed)
        return err_set(err, RN_EINVAL, "$.send.%s needs \"channel\", a text", what);
    if (!is_there)
        return 0;
    if (!json_is(channel, JSON_STRING) || name.len > LIMIT_SEND_CHANNEL || has_controls(name))
        return err_set(err, RN_EINVAL, "$.send.%s: a channel's name is a text of %d bytes at most",
                       what, LIMIT_SEND_CHANNEL);
    if (name.ptr[0] == '$')
        return err_set(err, RN_EINVAL,
                       "$.send.%s: channels that begin with $ are runnel's own ($errors)", what);
    json_set_str(request, "channel", name);
    return 0;
}

static int check_message(const char *what, const char *body, const struct json *asked,
                         struct json *request, struct err *err)
{
    const char *const known[] = {"kind", body, "channel", NULL};
    int rc = check_members(what, asked, known, err);
    rc = rc ? rc : check_channel(what, asked, strcmp(what, "sse") == 0, request, err);
    if (rc == 0 && !json_get(asked, body))
        rc = err_set(err, RN_EINVAL, "$.send.%s needs %s %s: any value that is JSON", what,
                     strcmp(body, "event") == 0 ? "an" : "a", body);
    if (rc == 0)
        (void)json_set(request, body, json_copy(json_get(asked, body)));
    if (rc == 0 && strcmp(what, "sse") == 0) {
        size_t size = 0;
        free(json_text(json_get(asked, body), &size));
        if (size > LIMIT_SSE_MESSAGE)
            rc = err_set(err, RN_ETOOBIG, "$.send.sse: a payload has at most %zu KiB, not %zu",
                         (size_t)LIMIT_SSE_MESSAGE >> 10, size >> 10);
    }
    return rc;
}

int send_check(const struct json *asked, struct json **ret_request, struct json **ret_shown,
               struct err *err)
{
    struct str kind = json_get_text(asked, "kind");
    struct json *request = json_new_object();
    json_set_str(request, "kind", kind);
    int rc;
    if (str_eq_c(kind, "http"))
        rc = check_http(asked, request, err);
    else if (str_eq_c(kind, "email"))
        rc = check_email(asked, request, err);
    else if (str_eq_c(kind, "emit"))
        rc = check_message("emit", "event", asked, request, err);
    else if (str_eq_c(kind, "sse"))
        rc = check_message("sse", "payload", asked, request, err);
    else
        rc =
            err_set(err, RN_EINVAL, "there is $.send.http, email, emit and sse, no $.send." STR_FMT,
                    STR_ARG(kind));
    if (rc) {
        json_free(request);
        return rc;
    }
    *ret_request = request;
    *ret_shown = json_copy(request);
    hide_credentials(*ret_shown);
    return 0;
}
