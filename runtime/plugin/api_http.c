/* Requests of components: what they say becomes a fetch_request, the answer's status becomes a
 * code, a failure becomes a sentence.
 *
 * The sentences name method and URL without query and secrets, and quote the vendor's answer,
 * because that is what says what is wrong. A secret URL (Discord's webhooks) is cut behind its
 * second segment. */
#include "plugin/run.h"

#include "base/clock.h"
#include "base/encode.h"
#include "base/ids.h"
#include "base/limits.h"
#include "base/redact.h"

enum {
    ANSWER_SHOWN = 700,  /* bytes of the answer in an error; the whole text has ERR_TEXT_MAX */
    RATE_TRIES_MAX = 20, /* requests in all under RN_HTTP_RETRY_RATE_LIMIT */
    RATE_WAIT_MS = 1000, /* where the vendor gives no hint */
    RATE_JITTER_MS = 250,
    HEADERS_MAX = 256,
    TIMEOUT_SLACK_MS = 50, /* left to report a request that timed out before the call does */
};

struct asking {
    struct run *run;
    const struct rn_http_request *request;
    const char *method;
    const char *shown_url;
    struct fetch_request fetch;
    struct fetch_header *headers;
    size_t header_count;
};

/* ---------------------------------------------------------------- building */

static const char *build_url(struct run *run, const struct rn_http_request *request)
{
    struct str url = str_from(request->url), fragment = url;
    struct str base = STR_NONE;
    (void)str_cut(&fragment, '#', &base);
    if (!request->query_count)
        return arena_dup(&run->arena, base);
    struct buf out = BUF_INIT(MIB(1));
    buf_add_str(&out, base);
    bool has_query = memchr(base.ptr, '?', base.len) != NULL;
    char last = base.len ? base.ptr[base.len - 1] : '\0';
    for (size_t i = 0; i < request->query_count; i++) {
        const struct rn_pair *pair = &request->query[i];
        if (!pair->name || !pair->value)
            continue;
        if (!has_query)
            buf_add_char(&out, '?');
        else if (last != '?' && last != '&')
            buf_add_char(&out, '&');
        has_query = true;
        last = '\0';
        encode_percent(&out, str_from(pair->name));
        buf_add_char(&out, '=');
        encode_percent(&out, str_from(pair->value));
    }
    const char *text = arena_dup(&run->arena, buf_str(&out));
    buf_release(&out);
    return text;
}

static bool has_header(const struct asking *ask, const char *lower_name)
{
    for (size_t i = 0; i < ask->header_count; i++)
        if (str_eq_nocase(str_from(ask->headers[i].name), str_from(lower_name)))
            return true;
    return false;
}

static void add_header(struct asking *ask, const char *name, const char *value)
{
    ask->headers[ask->header_count++] = (struct fetch_header){name, value};
}

static struct str form_body(struct run *run, const struct rn_http_request *request)
{
    struct buf out = BUF_INIT(LIMIT_JSON_BYTES);
    for (size_t i = 0; i < request->form_count; i++) {
        if (!request->form[i].name || !request->form[i].value)
            continue;
        if (out.len)
            buf_add_char(&out, '&');
        encode_percent(&out, str_from(request->form[i].name));
        buf_add_char(&out, '=');
        encode_percent(&out, str_from(request->form[i].value));
    }
    struct str text = {arena_dup(&run->arena, buf_str(&out)), out.len};
    buf_release(&out);
    return text;
}

/* A name or file name inside the quotes of Content-Disposition, as HTML says. */
static void add_quoted(struct buf *out, const char *text)
{
    for (const char *c = text; *c; c++) {
        if (*c == '"')
            buf_add_c(out, "%22");
        else if (*c == '\r')
            buf_add_c(out, "%0D");
        else if (*c == '\n')
            buf_add_c(out, "%0A");
        else
            buf_add_char(out, *c);
    }
}

static int parts_body(struct asking *ask, struct str *ret_body)
{
    struct run *run = ask->run;
    const struct rn_http_request *request = ask->request;
    char boundary[33];
    random_key(boundary, 32);
    struct buf out = BUF_INIT(LIMIT_JSON_BYTES);
    for (size_t i = 0; i < request->part_count; i++) {
        const struct rn_part *part = &request->parts[i];
        if (!part->name || (part->content_type && !run_is_header_value(part->content_type))) {
            buf_release(&out);
            return run_fail(run, RN_EINVAL, "rn_http: part %zu has no name or a bad content type",
                            i);
        }
        buf_addf(&out, "--%s\r\nContent-Disposition: form-data; name=\"", boundary);
        add_quoted(&out, part->name);
        buf_add_c(&out, "\"");
        if (part->filename) {
            buf_add_c(&out, "; filename=\"");
            add_quoted(&out, part->filename);
            buf_add_c(&out, "\"");
        }
        if (part->content_type)
            buf_addf(&out, "\r\nContent-Type: %s", part->content_type);
        buf_add_c(&out, "\r\n\r\n");
        buf_add(&out, part->data, part->size);
        buf_add_c(&out, "\r\n");
    }
    buf_addf(&out, "--%s--\r\n", boundary);
    bool is_whole = !buf_is_overflowed(&out);
    *ret_body = (struct str){arena_dup(&run->arena, buf_str(&out)), out.len};
    buf_release(&out);
    if (!is_whole)
        return run_fail(run, RN_ETOOBIG, "rn_http: the parts have more than %zu bytes",
                        (size_t)LIMIT_JSON_BYTES);
    if (!has_header(ask, "content-type"))
        add_header(ask, "Content-Type",
                   arena_printf(&run->arena, "multipart/form-data; boundary=%s", boundary));
    return 0;
}

static int build_body(struct asking *ask)
{
    const struct rn_http_request *request = ask->request;
    const char *type = NULL;
    struct str body = STR_NONE;
    int kinds = (request->json != NULL) + (request->form != NULL) + (request->parts != NULL) +
                (request->body != NULL);
    if (kinds > 1)
        return run_fail(ask->run, RN_EINVAL,
                        "rn_http: more than one of json, form, parts and body is set");
    if (request->json) {
        body = run_print(ask->run, json_of(request->json));
        type = "application/json";
    } else if (request->form) {
        body = form_body(ask->run, request);
        type = "application/x-www-form-urlencoded";
    } else if (request->parts) {
        int code = parts_body(ask, &body);
        if (code)
            return code;
    } else if (request->body) {
        body = str_n(request->body, request->body_size);
        type = "application/octet-stream";
    }
    if (type && !has_header(ask, "content-type"))
        add_header(ask, "Content-Type", type);
    ask->fetch.body = body;
    return 0;
}

static int build_headers(struct asking *ask)
{
    struct run *run = ask->run;
    const struct rn_http_request *request = ask->request;
    if (request->header_count > HEADERS_MAX)
        return run_fail(run, RN_ETOOBIG, "rn_http: more than %d headers", HEADERS_MAX);
    ask->headers = arena_alloc(&run->arena, (request->header_count + 4) * sizeof(*ask->headers));
    for (size_t i = 0; i < request->header_count; i++) {
        const struct rn_pair *pair = &request->headers[i];
        if (!pair->value)
            continue;
        if (!run_is_header_name(pair->name) || !run_is_header_value(pair->value))
            return run_fail(run, RN_EINVAL, "rn_http: HTTP does not allow the header \"%s\"",
                            pair->name ? pair->name : "(NULL)");
        add_header(ask, pair->name, pair->value);
    }
    if (request->bearer) {
        if (!run_is_header_value(request->bearer))
            return run_fail(run, RN_EINVAL, "rn_http: the bearer token holds control characters");
        add_header(ask, "Authorization", arena_printf(&run->arena, "Bearer %s", request->bearer));
    }
    return 0;
}

/* ---------------------------------------------------------------- sentences */

/* Scheme, host, path; no user, query, fragment. A URL that holds a secret ends behind its second
 * segment. */
static const char *shown_url(struct run *run, const char *url)
{
    struct str text = str_from(url);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '?' || text.ptr[i] == '#')
            text.len = i;
    }
    struct buf out = BUF_INIT(KIB(4));
    ptrdiff_t scheme = str_find(text, "://", 0);
    size_t host = scheme < 0 ? 0 : (size_t)scheme + 3;
    size_t path = host;
    while (path < text.len && text.ptr[path] != '/')
        path++;
    size_t at = host;
    for (size_t i = host; i < path; i++)
        if (text.ptr[i] == '@')
            at = i + 1;
    buf_add(&out, text.ptr, host);
    buf_add(&out, text.ptr + at, path - at);
    struct str rest = str_n(text.ptr + path, text.len - path);
    struct str whole = run_redact(run, text);
    if (whole.ptr != text.ptr) {
        size_t end = 0;
        for (int slashes = 0; end < rest.len; end++)
            if (rest.ptr[end] == '/' && ++slashes == 3)
                break;
        /* The start of the path may show only where it is not itself a secret. */
        struct str start = str_n(rest.ptr, end);
        start = run_redact(run, start);
        buf_add_str(&out, start);
        buf_add_c(&out, "/…");
    } else {
        buf_add_str(&out, rest);
    }
    const char *shown = arena_dup(&run->arena, buf_str(&out));
    buf_release(&out);
    return shown;
}

static int32_t fail_status(struct asking *ask, const struct fetch_response *response)
{
    struct run *run = ask->run;
    int status = response->status;
    int32_t code = status == 401   ? RN_EAUTH
                   : status == 429 ? RN_ERATE
                   : status >= 500 ? RN_EUNAVAILABLE
                                   : RN_EHTTP;
    struct str body = str_trim(buf_str(&response->body));
    if (!utf8_is_valid(body))
        body = STR("(bytes that are no text)");
    body = run_redact(run, body);
    const char *more = "";
    if (body.len > ANSWER_SHOWN) {
        body.len = ANSWER_SHOWN;
        while (body.len && ((unsigned char)body.ptr[body.len] & 0xC0) == 0x80)
            body.len--;
        more = "…";
    }
    run->http_status = status;
    return run_fail(run, code, "%s %s answered %d%s" STR_FMT "%s", ask->method, ask->shown_url,
                    status, body.len ? ": " : "", STR_ARG(body), more);
}

/* The client's text names the URL as it was asked; here it is known what of it is secret. */
static int32_t fail_fetch(struct asking *ask, const struct err *why)
{
    struct run *run = ask->run;
    struct str url = str_from(ask->fetch.url), text = str_from(why->text);
    for (size_t i = 0; i < url.len; i++)
        if (url.ptr[i] == '?')
            url.len = i;
    char *bare = str_dup(url);
    ptrdiff_t at = url.len ? str_find(text, bare, 0) : -1;
    free(bare);
    if (at >= 0)
        return run_fail(run, why->code, STR_FMT "%s" STR_FMT, STR_ARG(str_n(text.ptr, (size_t)at)),
                        ask->shown_url,
                        STR_ARG(str_n(text.ptr + at + url.len, text.len - (size_t)at - url.len)));
    if (str_find(text, ask->shown_url, 0) >= 0)
        return run_fail(run, why->code, "%s", why->text);
    return run_fail(run, why->code, "%s %s: %s", ask->method, ask->shown_url, why->text);
}

/* ----------------------------------------------------------------- answers */

static bool is_json_type(const char *type)
{
    struct str left = str_from(type), first = STR_NONE;
    (void)str_cut(&left, ';', &first);
    first = str_trim(first);
    return str_eq_nocase(first, STR("application/json")) ||
           (first.len > 5 && str_eq_nocase(str_n(first.ptr + first.len - 5, 5), STR("+json")));
}

static const char *answer_header(const struct fetch_response *response, const char *name)
{
    for (size_t i = 0; i < response->header_count; i++)
        if (strcmp(response->headers[i].name, name) == 0)
            return response->headers[i].value;
    return NULL;
}

static struct rn_http_response *make_answer(struct run *run, const struct fetch_response *from)
{
    struct rn_http_response *answer = arena_alloc(&run->arena, sizeof(*answer));
    struct rn_pair *headers = arena_alloc(&run->arena, (from->header_count + 1) * sizeof(*headers));
    for (size_t i = 0; i < from->header_count; i++)
        headers[i] = (struct rn_pair){from->headers[i].name, from->headers[i].value};
    const char *type = answer_header(from, "content-type");
    *answer = (struct rn_http_response){
        .struct_size = (uint32_t)sizeof(*answer),
        .status = from->status,
        .content_type = type ? type : "",
        .body = buf_c(&from->body),
        .size = from->body.len,
        .headers = headers,
        .header_count = from->header_count,
    };
    struct json *value = NULL;
    if (type && is_json_type(type) && from->body.len &&
        !json_parse(buf_str(&from->body), &value, NULL))
        answer->json = (const struct rn_json *)run_track(run, value);
    return answer;
}

/* How long the vendor wants us to wait; -1: it does not say. */
static int64_t wait_hint(struct asking *ask, const struct fetch_response *response,
                         const struct rn_http_response *answer)
{
    double seconds = 0;
    const char *key = ask->request->retry_after_path;
    if (key && json_to_double(json_get(json_of(answer->json), key), &seconds) && seconds >= 0 &&
        seconds < 86400)
        return (int64_t)(seconds * 1000.0 + 0.999);
    return ask->run->services->retry_after_ms(response);
}

static int64_t with_jitter(int64_t wait)
{
    uint32_t random = 0;
    random_bytes(&random, sizeof(random));
    return wait + (int64_t)(random % (RATE_JITTER_MS + 1));
}

static int32_t fetch_once(struct asking *ask, struct rn_http_response **ret_answer,
                          struct fetch_response **ret_response)
{
    struct run *run = ask->run;
    if (run_is_cancelled(run))
        return run_fail(run, RN_ECANCELED, "%s %s: the call was cancelled", ask->method,
                        ask->shown_url);
    int64_t left = run_left_ms(run) - TIMEOUT_SLACK_MS;
    if (left <= 0)
        return run_fail(run, RN_ETIMEDOUT, "%s %s: the call's deadline has passed", ask->method,
                        ask->shown_url);
    int64_t timeout =
        ask->request->timeout_ms > 0 ? ask->request->timeout_ms : LIMIT_FETCH_TIMEOUT_MS;
    ask->fetch.timeout_ms = timeout < left ? timeout : left;
    struct run_fetched *fetched = arena_alloc(&run->arena, sizeof(*fetched));
    fetched->next = run->fetched;
    run->fetched = fetched;
    run->services->may_block(run->services_ctx);
    struct err why = ERR_INIT;
    int code = run->services->fetch(run->services_ctx, &ask->fetch, &fetched->response, &why);
    if (code)
        return fail_fetch(ask, &why);
    *ret_response = &fetched->response;
    *ret_answer = make_answer(run, &fetched->response);
    return 0;
}

static int32_t perform(struct asking *ask, const struct rn_http_response **ret)
{
    struct run *run = ask->run;
    uint32_t flags = ask->request->flags;
    for (int tries = 1;; tries++) {
        struct rn_http_response *answer = NULL;
        struct fetch_response *response = NULL;
        int32_t code = fetch_once(ask, &answer, &response);
        if (code)
            return code;
        if (ret)
            *ret = answer;
        if (answer->status < 400)
            return 0;
        bool is_limited = answer->status == 429;
        int64_t hint = is_limited || answer->status == 503 ? wait_hint(ask, response, answer) : -1;
        int64_t wait = with_jitter(hint >= 0 ? hint : RATE_WAIT_MS);
        if (is_limited && (flags & RN_HTTP_RETRY_RATE_LIMIT) && tries < RATE_TRIES_MAX &&
            wait + TIMEOUT_SLACK_MS < run_left_ms(run)) {
            code = run_sleep(run, wait);
            if (code)
                return code;
            continue;
        }
        if (flags & RN_HTTP_ANY_STATUS)
            return 0;
        run->retry_after_ms = hint;
        return fail_status(ask, response);
    }
}

int32_t api_http(struct rn_run *rn, const struct rn_http_request *request,
                 const struct rn_http_response **ret)
{
    struct run *run = run_of(rn);
    if (!request || !request->url || !request->url[0])
        return run_fail(run, RN_EINVAL, "rn_http: there is no url");
    bool has_body = request->json || request->form || request->parts || request->body;
    struct asking ask = {
        .run = run,
        .request = request,
        .method = request->method ? request->method
                  : has_body      ? "POST"
                                  : "GET",
    };
    if (!run_is_header_name(ask.method))
        return run_fail(run, RN_EINVAL, "rn_http: \"%s\" is no HTTP method", ask.method);
    ask.shown_url = shown_url(run, request->url);
    int code = build_headers(&ask);
    if (!code)
        code = build_body(&ask);
    if (code)
        return code;
    ask.fetch.method = ask.method;
    ask.fetch.url = build_url(run, request);
    ask.fetch.headers = ask.headers;
    ask.fetch.header_count = ask.header_count;
    ask.fetch.basic_user = request->basic_user;
    ask.fetch.basic_password = request->basic_password;
    ask.fetch.max_redirects = (request->flags & RN_HTTP_NO_REDIRECTS) ? -1 : 0;
    ask.fetch.is_safe = (request->flags & RN_HTTP_SAFE) != 0;
    ask.fetch.cancelled = run->cancelled;
    return perform(&ask, ret);
}
