#include "sandbox/private.h"

#include "base/encode.h"
#include "base/ids.h"

#include <errno.h>
#include <unistd.h>

enum { RECEIVED_MAX = 10000, THREADS = 64 };

static const struct vendor {
    const char *prefix;
    const char *host;
    void (*visit)(struct visit *visit);
} vendors[] = {
    {"segment-config", "https://platform.segmentapis.com", segment_config_visit},
    {"segment-tracking", "https://api.segment.io", segment_tracking_visit},
    {"discord", "https://discord.com", discord_visit},
    {"sheets", "https://sheets.googleapis.com", sheets_visit},
    {"google", "https://oauth2.googleapis.com", google_visit},
    {"google", "https://www.googleapis.com", google_visit},
    {"airtable", "https://api.airtable.com", airtable_visit},
    {"swapi", "https://swapi.dev", swapi_visit},
};

bool visit_is(const struct visit *visit, const char *method, const char *pattern)
{
    struct str rest = str_from(pattern), part = STR_NONE;
    size_t i = 0;
    if (strcmp(visit->request->method, method) != 0)
        return false;
    while (str_cut(&rest, '/', &part)) {
        if (i >= visit->count || (!str_eq_c(part, "*") && !str_eq_c(part, visit->segments[i])))
            return false;
        i++;
    }
    return i == visit->count;
}

void reply(struct visit *visit, int status, struct json *value)
{
    size_t size = 0;
    char *text = json_text(value, &size);
    http_response_set(visit->response, status, "application/json", str_n(text, size));
    free(text);
    json_free(value);
}

void reply_text(struct visit *visit, int status, const char *json)
{
    http_response_set(visit->response, status, "application/json", str_from(json));
}

struct str visit_bearer(const struct visit *visit)
{
    struct str value = http_request_header(visit->request, "authorization");
    return str_starts(value, "Bearer ") ? str_n(value.ptr + 7, value.len - 7) : STR_NONE;
}

struct json *state_member(struct sandbox *sandbox, const char *name, bool is_list)
{
    struct json *member = json_get_mut(sandbox->state, name);
    return member ? member
                  : json_set(sandbox->state, name, is_list ? json_new_array() : json_new_object());
}

void state_save(struct sandbox *sandbox)
{
    if (!sandbox->state_file)
        return;
    char *draft = xasprintf("%s.draft", sandbox->state_file),
         *text = json_text(sandbox->state, NULL);
    FILE *file = fopen(draft, "we");
    if (file) {
        bool failed = fputs(text, file) == EOF;
        failed |= fclose(file) != 0;
        if (!failed)
            (void)rename(draft, sandbox->state_file);
    }
    free(text);
    free(draft);
}

void note_received(struct sandbox *sandbox, const char *vendor, struct json *value)
{
    struct json *list = state_member(sandbox, "received", true);
    struct json *item = json_append(list, json_new_object());
    json_set_string(item, "vendor", vendor);
    (void)json_set(item, "received", value);
    if (json_count(list) > RECEIVED_MAX)
        json_free(json_take_first(list));
    state_save(sandbox);
}

char *new_id(struct sandbox *sandbox, const char *prefix)
{
    char key[15];
    random_key(key, 14);
    sandbox->next_id++;
    return xasprintf("%s%s", prefix, key);
}

static void add_query(void *ctx, struct str name, struct str value)
{
    char *key = str_dup(name);
    json_set_str(ctx, key, value);
    free(key);
}

static void control(struct visit *visit)
{
    struct sandbox *sandbox = visit->sandbox;
    if (visit_is(visit, "POST", "segment/send")) {
        segment_send(visit);
    } else if (visit_is(visit, "GET", "received")) {
        const char *vendor = json_get_c(visit->query, "vendor");
        struct json *list = json_new_array();
        pthread_mutex_lock(&sandbox->lock);
        for (const struct json *r = json_first(state_member(sandbox, "received", true)); r;
             r = json_next(r))
            if (!vendor || str_eq_c(json_get_text(r, "vendor"), vendor))
                (void)json_append(list, json_copy(r));
        pthread_mutex_unlock(&sandbox->lock);
        reply(visit, 200, list);
    } else if (visit_is(visit, "POST", "reset")) {
        pthread_mutex_lock(&sandbox->lock);
        json_free(sandbox->state);
        sandbox->state = json_new_object();
        state_save(sandbox);
        pthread_mutex_unlock(&sandbox->lock);
        reply_text(visit, 200, "{}");
    } else {
        reply_text(visit, 404, "{\"error\":\"no such control\"}");
    }
}

static void cut_path(struct visit *visit, struct str path)
{
    struct str part = STR_NONE;
    while (visit->count < COUNT_OF(visit->segments) && str_cut(&path, '/', &part)) {
        struct buf text = BUF_INIT(KIB(8));
        if (part.len && decode_percent(&text, part, false) == 0)
            visit->segments[visit->count++] = buf_take(&text, NULL);
        buf_release(&text);
    }
}

static void parse_body(struct visit *visit)
{
    const struct http_request *request = visit->request;
    if (str_starts(http_request_header(request, "content-type"),
                   "application/x-www-form-urlencoded")) {
        visit->body = json_new_object();
        (void)!http_form_parse(request->body, add_query, visit->body);
    } else if (request->body.len && json_parse(request->body, &visit->body, NULL)) {
        visit->body = NULL;
    }
}

static void handle(void *ctx, const struct http_request *request, struct http_response *response)
{
    struct visit visit = {
        .sandbox = ctx, .request = request, .response = response, .query = json_new_object()};
    struct str path = str_n(request->path.ptr + 1, request->path.len - 1), prefix = STR_NONE;
    void (*serve)(struct visit *) = NULL;
    (void)str_cut(&path, '/', &prefix);
    for (size_t i = 0; i < COUNT_OF(vendors) && !serve; i++)
        if (str_eq_c(prefix, vendors[i].prefix))
            serve = vendors[i].visit;
    if (str_eq_c(prefix, "_sandbox"))
        serve = control;
    (void)!http_form_parse(request->query, add_query, visit.query);
    cut_path(&visit, path);
    parse_body(&visit);
    if (serve)
        serve(&visit);
    else
        http_response_set(response, 404, "text/plain", STR("the sandbox has no such vendor\n"));
    for (size_t i = 0; i < visit.count; i++)
        free(visit.segments[i]);
    json_free(visit.query);
    json_free(visit.body);
}

static void load_state(struct sandbox *sandbox)
{
    FILE *file = sandbox->state_file ? fopen(sandbox->state_file, "re") : NULL;
    struct buf text = BUF_INIT(LIMIT_JSON_BYTES);
    if (file) {
        char chunk[65536];
        size_t n;
        while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
            buf_add(&text, chunk, n);
        fclose(file);
    }
    if (text.len == 0 || json_parse(buf_str(&text), &sandbox->state, NULL))
        sandbox->state = json_new_object();
    buf_release(&text);
}

int sandbox_start(const struct sandbox_options *options, struct sandbox **ret, struct err *err)
{
    struct sandbox *sandbox = xcalloc(1, sizeof(*sandbox));
    struct http_server_options server = {
        .listen = options->listen, .threads = THREADS, .handler = handle, .ctx = sandbox};
    pthread_mutex_init(&sandbox->lock, NULL);
    sandbox->state_file = options->state_file ? xstrdup(options->state_file) : NULL;
    load_state(sandbox);
    sandbox->egress = egress_new();
    int rc = egress_allow(sandbox->egress, STR("127.0.0.0/8"), err);
    rc = rc ? rc : http_client_global_init(err);
    sandbox->client = http_client_new(sandbox->egress, "Segment.io/1.0");
    rc = rc ? rc : http_server_start(&server, &sandbox->server, err);
    if (rc) {
        sandbox_stop(sandbox);
        return rc == RN_EEXISTS ? err_prefix(err, "sandbox") : rc;
    }
    for (size_t i = 0; i < COUNT_OF(vendors); i++)
        sandbox->rewrites[sandbox->rewrite_count++] = (struct sandbox_rewrite){
            vendors[i].host,
            xasprintf("%s/%s", http_server_url(sandbox->server), vendors[i].prefix)};
    *ret = sandbox;
    return 0;
}

const char *sandbox_url(const struct sandbox *sandbox)
{
    return http_server_url(sandbox->server);
}

const struct sandbox_rewrite *sandbox_rewrites(const struct sandbox *sandbox, size_t *ret_count)
{
    *ret_count = sandbox->rewrite_count;
    return sandbox->rewrites;
}

void sandbox_stop(struct sandbox *sandbox)
{
    if (!sandbox)
        return;
    http_server_stop(sandbox->server, 2000);
    http_client_free(sandbox->client);
    egress_free(sandbox->egress);
    for (size_t i = 0; i < sandbox->rewrite_count; i++)
        free((void *)(uintptr_t)sandbox->rewrites[i].to);
    json_free(sandbox->state);
    free(sandbox->state_file);
    pthread_mutex_destroy(&sandbox->lock);
    free(sandbox);
}
