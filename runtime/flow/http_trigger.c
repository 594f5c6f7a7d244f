#include "flow/http_trigger.h"

#include "flow/load.h"
#include "flow/reading.h"

enum {
    PATHS_MAX = 100,
    BODY_MAX = 1 << 20,
    REMEMBER_MAX = 1000000,
};

static const char *const verbs[] = {"GET",    "HEAD",    "POST",  "PUT", "PATCH",
                                    "DELETE", "OPTIONS", "QUERY", NULL};

static int check_keys_of(struct reading *r, const struct json *object, const char *const *known,
                         const char *what)
{
    for (const struct json *m = json_first(object); m; m = json_next(m)) {
        struct nearest nearest;
        struct buf all = BUF_INIT(300);
        char hint[NEAREST_TEXT_MAX];
        bool is_known = false;
        nearest_init(&nearest, str_from(json_name(m)));
        for (size_t i = 0; known[i]; i++) {
            is_known |= strcmp(known[i], json_name(m)) == 0;
            nearest_offer(&nearest, known[i]);
            buf_addf(&all, "%s%s", i ? ", " : "", known[i]);
        }
        int rc = is_known
                     ? 0
                     : reading_wrong(r, m, "unknown key \"%s\" in %s%s%s", json_name(m), what,
                                     nearest.best ? "" : "; there are: ",
                                     nearest.best ? nearest_text(&nearest, hint) : buf_c(&all));
        buf_release(&all);
        if (rc)
            return rc;
    }
    return 0;
}

/* ---- lists of words, each a text or a list of texts */

static int add_word(struct reading *r, const struct json *item, const char *name,
                    int (*check)(struct reading *r, const struct json *item), struct json *out)
{
    if (!json_c(item) || !json_str(item).len)
        return reading_wrong(r, item, "\"%s\" is a text or a list of texts", name);
    if (json_count(out) >= PATHS_MAX)
        return reading_wrong(r, item, "\"%s\" has more than %d entries", name, PATHS_MAX);
    int rc = check ? check(r, item) : 0;
    if (rc == 0)
        (void)json_append(out, json_new_string(json_str(item)));
    return rc;
}

static int read_words(struct reading *r, const struct json *object, const char *name,
                      int (*check)(struct reading *r, const struct json *item), struct json **ret)
{
    const struct json *value = json_get(object, name);
    if (!value)
        return 0;
    struct json *out = json_new_array();
    int rc = 0;
    if (json_is(value, JSON_ARRAY)) {
        for (const struct json *i = json_first(value); i && rc == 0; i = json_next(i))
            rc = add_word(r, i, name, check, out);
        if (rc == 0 && json_count(out) == 0)
            rc = reading_wrong(r, value, "\"%s\" is empty: nothing would get in", name);
    } else {
        rc = add_word(r, value, name, check, out);
    }
    if (rc) {
        json_free(out);
        return rc;
    }
    json_free(*ret);
    *ret = out;
    return 0;
}

static int check_verb(struct reading *r, const struct json *item)
{
    struct nearest nearest;
    char hint[NEAREST_TEXT_MAX];
    nearest_init(&nearest, json_str(item));
    for (size_t i = 0; verbs[i]; i++) {
        if (str_eq_c(json_str(item), verbs[i]))
            return 0;
        nearest_offer(&nearest, verbs[i]);
    }
    return reading_wrong(r, item, "\"%.40s\" is no method%s", json_c(item),
                         nearest_text(&nearest, hint));
}

static int check_path(struct reading *r, const struct json *item)
{
    struct str path = json_str(item);
    const char *star = memchr(path.ptr, '*', path.len);
    if (path.ptr[0] != '/' || memchr(path.ptr, '?', path.len))
        return reading_wrong(r, item, "a path begins with \"/\" and has no query: \"/orders\"");
    if (star && (star != path.ptr + path.len - 1 || star[-1] != '/'))
        return reading_wrong(r, item,
                             "\"*\" stands at the end only, behind a slash: \"/orders/*\"");
    return 0;
}

static int check_origin(struct reading *r, const struct json *item)
{
    struct str origin = json_str(item);
    ptrdiff_t host = str_find(origin, "://", 0);
    if (str_eq_c(origin, "*") || str_eq_c(origin, "null") ||
        (host > 0 && str_find(origin, "/", (size_t)host + 3) < 0 && (size_t)host + 3 < origin.len))
        return 0;
    return reading_wrong(r, item,
                         "an origin is scheme and host without a path: https://app.example.com");
}

/* ---- respond */

static int read_headers(struct reading *r, const struct json *object, struct http_answer *answer)
{
    const struct json *headers = json_get(object, "headers");
    struct http_response probe = {.headers = BUF_INIT(KIB(64))};
    int rc = 0;
    if (headers && !json_is(headers, JSON_OBJECT))
        return reading_wrong(r, headers, "\"headers\" is a mapping of names and texts");
    for (const struct json *h = json_first(headers); h && rc == 0; h = json_next(h)) {
        rc =
            !json_is(h, JSON_STRING) || http_response_header(&probe, json_name(h), json_str(h))
                ? reading_wrong(r, h, "HTTP does not allow the header \"%.60s\" here", json_name(h))
                : 0;
        struct json *pair = json_append(answer->headers, json_new_array());
        (void)json_append(pair, json_new_string_c(json_name(h)));
        (void)json_append(pair, json_new_string(json_str(h)));
    }
    buf_release(&probe.headers);
    return rc;
}

static bool names_type(const struct http_answer *answer)
{
    for (const struct json *h = json_first(answer->headers); h; h = json_next(h))
        if (str_eq_nocase(json_str(json_first(h)), STR("content-type")))
            return true;
    return false;
}

static int read_answer(struct reading *r, const struct json *value, struct http_answer *answer)
{
    static const char *const keys[] = {"status", "headers", "body", NULL};
    const struct json *status = json_get(value, "status"), *body = json_get(value, "body");
    int64_t number = 200;
    answer->headers = json_new_array();
    int rc = check_keys_of(r, value, keys, "\"respond\"");
    if (rc == 0 && status && (!json_to_i64(status, &number) || number < 200 || number > 599))
        rc = reading_wrong(r, status, "\"status\" goes from 200 to 599");
    rc = rc ? rc : read_headers(r, value, answer);
    if (rc)
        return rc;
    answer->status = (int)number;
    bool is_text = json_is(body, JSON_STRING);
    answer->body = is_text ? xmemdup(json_str(body).ptr, json_str(body).len)
                   : body  ? json_text(body, &answer->body_size)
                           : NULL;
    answer->body_size = is_text ? json_str(body).len : answer->body_size;
    if (answer->body_size > BODY_MAX)
        return reading_wrong(r, body, "the body has more than %d bytes", BODY_MAX);
    if (body && !names_type(answer)) {
        struct json *pair = json_append(answer->headers, json_new_array());
        (void)json_append(pair, json_new_string_c("content-type"));
        (void)json_append(
            pair, json_new_string_c(is_text ? "text/plain; charset=utf-8" : "application/json"));
    }
    return 0;
}

static int read_respond(struct reading *r, const struct json *config, struct http_trigger *trigger)
{
    const struct json *value = json_get(config, "respond");
    if (!value || str_eq_c(json_str(value), "immediate"))
        return 0;
    if (str_eq_c(json_str(value), "workflow")) {
        trigger->respond = RESPOND_WORKFLOW;
        return 0;
    }
    if (json_is(value, JSON_OBJECT)) {
        trigger->respond = RESPOND_FIXED;
        return read_answer(r, value, &trigger->answer);
    }
    struct nearest nearest;
    char hint[NEAREST_TEXT_MAX];
    nearest_init(&nearest, json_str(value));
    nearest_offer(&nearest, "immediate");
    nearest_offer(&nearest, "workflow");
    return reading_wrong(
        r, value,
        "\"respond\" is immediate, workflow, or a mapping with status, headers and "
        "body%s",
        nearest_text(&nearest, hint));
}

/* ---- cors */

static char *joined(const struct json *list)
{
    struct buf out = BUF_INIT(KIB(16));
    for (const struct json *i = json_first(list); i; i = json_next(i))
        buf_addf(&out, "%s%s", out.len ? ", " : "", json_c(i));
    return buf_take(&out, NULL);
}

static int check_header_name(struct reading *r, const struct json *item)
{
    struct http_response probe = {.headers = BUF_INIT(KIB(1))};
    int rc = http_response_header(&probe, json_c(item), STR("x"));
    buf_release(&probe.headers);
    return rc ? reading_wrong(r, item, "\"%.60s\" is no header's name", json_c(item)) : 0;
}

static int read_list(struct reading *r, const struct json *object, const char *name,
                     int (*check)(struct reading *r, const struct json *item), char **ret)
{
    struct json *list = NULL;
    int rc = read_words(r, object, name, check, &list);
    if (rc == 0 && list)
        *ret = joined(list);
    json_free(list);
    return rc;
}

static int read_cors(struct reading *r, const struct json *config, struct http_cors *cors)
{
    static const char *const keys[] = {"origins",     "methods", "headers", "expose",
                                       "credentials", "max_age", NULL};
    const struct json *value = json_get(config, "cors"), *age = json_get(value, "max_age"),
                      *credentials = json_get(value, "credentials");
    int64_t age_ms = 0;
    cors->max_age_s = -1;
    if (!value || (json_is(value, JSON_BOOLEAN) && !json_is_true(value)))
        return 0;
    cors->is_on = true;
    cors->any_origin = !json_get(value, "origins");
    if (json_is(value, JSON_BOOLEAN))
        return 0;
    if (!json_is(value, JSON_OBJECT))
        return reading_wrong(r, value,
                             "\"cors\" is true or a mapping: cors: { origins: [https://…] }");
    int rc = check_keys_of(r, value, keys, "\"cors\"");
    rc = rc ? rc : read_words(r, value, "origins", check_origin, &cors->origins);
    rc = rc ? rc : read_list(r, value, "methods", check_verb, &cors->methods);
    rc = rc ? rc : read_list(r, value, "headers", check_header_name, &cors->headers);
    rc = rc ? rc : read_list(r, value, "expose", check_header_name, &cors->expose);
    if (rc)
        return rc;
    for (const struct json *o = json_first(cors->origins); o; o = json_next(o))
        cors->any_origin |= str_eq_c(json_str(o), "*");
    if (credentials && !json_is(credentials, JSON_BOOLEAN))
        return reading_wrong(r, credentials, "\"credentials\" is true or false");
    cors->credentials = json_is_true(credentials);
    if (cors->credentials && cors->any_origin)
        return reading_wrong(
            r, credentials,
            "with \"credentials\" the origins must be named: any page could act for the "
            "person who looks at it");
    if (age && (!json_is(age, JSON_STRING) || num_parse_duration(json_str(age), &age_ms) ||
                age_ms > 86400000))
        return reading_wrong(r, age, "\"max_age\" is a time of at most 1d, as 10m");
    cors->max_age_s = age ? age_ms / 1000 : -1;
    return 0;
}

/* ---- dedupe */

static int read_dedupe(struct reading *r, const struct json *config, struct http_trigger *trigger)
{
    static const char *const keys[] = {"id", "remember", NULL};
    const struct json *value = json_get(config, "dedupe"), *id = json_get(value, "id"),
                      *remember = json_get(value, "remember");
    int64_t count = LIMIT_DEDUPE_IDS;
    if (!value)
        return 0;
    if (!json_is(value, JSON_OBJECT) || !json_is(id, JSON_STRING) || !has_expression(json_str(id)))
        return reading_wrong(r, id ? id : value,
                             "\"dedupe\" is written { id: \"{{steps.trigger.event.body.id}}\" }");
    int rc = check_keys_of(r, value, keys, "\"dedupe\"");
    if (rc == 0 && remember &&
        (!json_to_i64(remember, &count) || count < 1 || count > REMEMBER_MAX))
        rc = reading_wrong(r, remember, "\"remember\" is a number of ids from 1 to %d",
                           REMEMBER_MAX);
    struct err why = ERR_INIT;
    if (rc == 0 && expr_compile(id, &trigger->dedupe_id, NULL, &why))
        rc = reading_wrong(r, id, "%.300s", why.text);
    if (rc == 0 && expr_needs_engine(trigger->dedupe_id))
        rc = reading_wrong(r, id,
                           "the id of \"dedupe\" is a plain path, as "
                           "{{steps.trigger.event.headers[\"x-delivery\"]}}");
    trigger->remember = (uint32_t)count;
    return rc;
}

/* ---- all of it */

int http_trigger_parse(const struct json *config, bool is_draft, struct http_trigger **ret,
                       const struct json **ret_where, struct err *err)
{
    static const char *const keys[] = {"respond", "methods", "path", "auth",
                                       "cors",    "dedupe",  NULL};
    struct reading r = {.is_draft = is_draft, .where = config, .err = err};
    struct http_trigger *trigger = xcalloc(1, sizeof(*trigger));
    int rc = check_keys_of(&r, config, keys, "\"http\"");
    rc = rc ? rc : read_respond(&r, config, trigger);
    rc = rc ? rc : read_words(&r, config, "methods", check_verb, &trigger->methods);
    rc = rc ? rc : read_words(&r, config, "path", check_path, &trigger->paths);
    rc = rc ? rc : read_cors(&r, config, &trigger->cors);
    rc = rc ? rc : read_dedupe(&r, config, trigger);
    rc = rc ? rc
            : http_auth_parse(json_get(config, "auth"), is_draft, &trigger->auth, &r.where, err);
    if (rc) {
        *ret_where = r.where;
        http_trigger_free(trigger);
        return rc;
    }
    *ret = trigger;
    return 0;
}

void http_trigger_free(struct http_trigger *trigger)
{
    if (!trigger)
        return;
    json_free(trigger->answer.headers);
    free(trigger->answer.body);
    json_free(trigger->methods);
    json_free(trigger->paths);
    http_auth_release(&trigger->auth);
    json_free(trigger->cors.origins);
    free(trigger->cors.methods);
    free(trigger->cors.headers);
    free(trigger->cors.expose);
    expr_template_free(trigger->dedupe_id);
    free(trigger);
}

bool http_trigger_takes_method(const struct http_trigger *trigger, const char *method)
{
    if (!trigger->methods)
        return true;
    for (const struct json *m = json_first(trigger->methods); m; m = json_next(m))
        if (str_eq_c(json_str(m), method))
            return true;
    return false;
}

bool http_trigger_takes_path(const struct http_trigger *trigger, struct str path)
{
    if (!trigger->paths)
        return true;
    for (const struct json *p = json_first(trigger->paths); p; p = json_next(p)) {
        struct str pattern = json_str(p);
        bool is_open = pattern.ptr[pattern.len - 1] == '*';
        struct str fixed = str_n(pattern.ptr, pattern.len - (is_open ? 1 : 0));
        if (is_open ? path.len >= fixed.len && str_eq(str_n(path.ptr, fixed.len), fixed)
                    : str_eq(path, fixed))
            return true;
    }
    return false;
}

struct str http_cors_origin(const struct http_cors *cors, struct str origin)
{
    if (!cors->is_on)
        return STR_NONE;
    if (cors->any_origin)
        return STR("*");
    for (const struct json *o = json_first(cors->origins); o; o = json_next(o))
        if (str_eq(json_str(o), origin))
            return json_str(o);
    return STR_NONE;
}

const char *http_trigger_auth_name(const struct http_trigger *trigger)
{
    static const char *const names[] = {"none", "bearer", "signature"};
    return names[trigger->auth.kind];
}
