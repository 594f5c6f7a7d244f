/* The sandbox's listener: which path is which vendor's, and what a request looks like to it. */
#include "sandbox/private.h"

#include "base/clock.h"
#include "base/encode.h"

#include <stdarg.h>
#include <time.h>

enum { THREADS = 64, DELAY_LOOK_MS = 50 };

static const struct vendor vendors[] = {
    {"segment-config",
     {"https://platform.segmentapis.com"},
     segment_config_visit,
     segment_config_refuse},
    {"segment-public",
     {"https://api.segmentapis.com", "https://eu1.api.segmentapis.com"},
     segment_public_visit,
     segment_public_refuse},
    {"segment-tracking",
     {"https://api.segment.io", "https://events.eu1.segmentapis.com"},
     segment_tracking_visit,
     segment_tracking_refuse},
    {"discord", {"https://discord.com", "https://discordapp.com"}, discord_visit, discord_refuse},
    {"sheets", {"https://sheets.googleapis.com"}, sheets_visit, sheets_refuse},
    {"google",
     {"https://oauth2.googleapis.com", "https://www.googleapis.com"},
     google_visit,
     google_refuse},
    {"airtable", {"https://api.airtable.com"}, airtable_visit, airtable_refuse},
    {"swapi", {"https://swapi.dev", "http://swapi.dev"}, swapi_visit, swapi_refuse},
    {"http", {NULL}, echo_visit, echo_refuse},
};

const struct vendor *vendor_find(struct str prefix)
{
    for (size_t i = 0; i < COUNT_OF(vendors); i++)
        if (str_eq_c(prefix, vendors[i].prefix))
            return &vendors[i];
    return NULL;
}

/* ---- what a visit asks and answers */

bool is_method(const struct visit *visit, const char *method)
{
    return strcmp(visit->request->method, method) == 0;
}

bool visit_has(const struct visit *visit, size_t index, const char *segment)
{
    return index < visit->count && strcmp(visit->segments[index], segment) == 0;
}

bool visit_is(const struct visit *visit, const char *method, const char *pattern)
{
    struct str rest = str_from(pattern), part = STR_NONE;
    size_t i = 0;
    if (!is_method(visit, method))
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

void reply_header(struct visit *visit, const char *name, const char *format, ...)
{
    char value[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(value, sizeof(value), format, args);
    va_end(args);
    if (n > 0 && (size_t)n < sizeof(value))
        (void)!http_response_header(visit->response, name, str_n(value, (size_t)n));
}

struct str visit_bearer(const struct visit *visit)
{
    struct str value = http_request_header(visit->request, "authorization");
    return str_starts(value, "Bearer ") ? str_n(value.ptr + 7, value.len - 7) : STR_NONE;
}

int64_t query_number(const struct visit *visit, const char *name, int64_t otherwise)
{
    int64_t value;
    return num_parse_i64(json_get_text(visit->query, name), &value) ? otherwise : value;
}

/* ---- a request */

static void add_query(void *ctx, struct str name, struct str value)
{
    char *key = str_dup(name);
    json_set_str(ctx, key, value);
    free(key);
}

static void cut_path(struct visit *visit, struct str path)
{
    struct str part = STR_NONE;
    while (visit->count < COUNT_OF(visit->segments) && str_cut(&path, '/', &part)) {
        struct buf text = BUF_INIT(KIB(16));
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

/* Waits for a fault's delay; not under the lock. */
static void delay(struct sandbox *sandbox, int64_t ms)
{
    int64_t until = clock_mono_ms() + ms;
    while (clock_mono_ms() < until) {
        struct timespec slice = {.tv_nsec = DELAY_LOOK_MS * 1000000};
        pthread_mutex_lock(&sandbox->lock);
        bool is_stopping = sandbox->is_stopping;
        pthread_mutex_unlock(&sandbox->lock);
        if (is_stopping)
            return;
        (void)nanosleep(&slice, NULL);
    }
}

static void serve(struct visit *visit, const struct vendor *vendor)
{
    struct sandbox *sandbox = visit->sandbox;
    struct fault fault = {.status = 0};
    pthread_mutex_lock(&sandbox->lock);
    bool fails = fault_take(visit, vendor, &fault);
    if (fails && fault.status) {
        vendor->refuse(visit, fault.status, "the sandbox was told to fail");
        if (fault.retry_after_s >= 0)
            reply_header(visit, "Retry-After", "%lld", (long long)fault.retry_after_s);
    } else {
        vendor->visit(visit);
    }
    pthread_mutex_unlock(&sandbox->lock);
    if (fails && fault.delay_ms)
        delay(sandbox, fault.delay_ms);
    visit->response->hangs_up = fails && fault.loses_reply;
}

static void handle(void *ctx, const struct http_request *request, struct http_response *response)
{
    struct visit visit = {
        .sandbox = ctx, .request = request, .response = response, .query = json_new_object()};
    struct str path = str_n(request->path.ptr + 1, request->path.len - 1), prefix = STR_NONE;
    (void)str_cut(&path, '/', &prefix);
    const struct vendor *vendor = vendor_find(prefix);
    (void)!http_form_parse(request->query, add_query, visit.query);
    cut_path(&visit, path);
    parse_body(&visit);
    if (vendor)
        serve(&visit, vendor);
    else if (str_eq_c(prefix, "_sandbox"))
        control_visit(&visit);
    else
        http_response_set(response, 404, "text/plain",
                          STR("the sandbox has no such vendor; its paths: /segment-config, "
                              "/segment-public, /segment-tracking, /discord, /sheets, /google, "
                              "/airtable, /swapi, /http, /_sandbox\n"));
    for (size_t i = 0; i < visit.count; i++)
        free(visit.segments[i]);
    json_free(visit.query);
    json_free(visit.body);
}

/* ---- start and stop */

int sandbox_read_limits(const char *text, int *ret, struct err *err)
{
    uint64_t factor = 0;
    if (strcmp(text, "real") == 0)
        *ret = 0;
    else if (strcmp(text, "off") == 0)
        *ret = SANDBOX_LIMITS_OFF;
    else if (num_parse_u64(str_from(text), &factor) == 0 && factor >= 1 &&
             factor <= SANDBOX_LIMITS_MAX)
        *ret = (int)factor;
    else
        return err_set(err, RN_EINVAL,
                       "the limits \"%s\" are neither real (the vendors' own), off, nor a number "
                       "from 1 to %d (that many times as much)",
                       text, SANDBOX_LIMITS_MAX);
    return 0;
}

static void init_lock(struct sandbox *sandbox)
{
    pthread_condattr_t attributes;
    pthread_mutex_init(&sandbox->lock, NULL);
    pthread_mutex_init(&sandbox->file_lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&sandbox->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* The listener answers already: a request may ask for them. */
static void add_rewrites(struct sandbox *sandbox)
{
    pthread_mutex_lock(&sandbox->lock);
    for (size_t i = 0; i < COUNT_OF(vendors); i++) {
        for (size_t j = 0; j < COUNT_OF(vendors[i].hosts) && vendors[i].hosts[j]; j++) {
            sandbox->rewrites[sandbox->rewrite_count++] = (struct sandbox_rewrite){
                vendors[i].hosts[j],
                xasprintf("%s/%s", http_server_url(sandbox->server), vendors[i].prefix)};
        }
    }
    pthread_mutex_unlock(&sandbox->lock);
}

int sandbox_start(const struct sandbox_options *options, struct sandbox **ret, struct err *err)
{
    struct sandbox *sandbox = xcalloc(1, sizeof(*sandbox));
    struct http_server_options server = {
        .listen = options->listen, .threads = THREADS, .handler = handle, .ctx = sandbox};
    init_lock(sandbox);
    sandbox->limits = options->limits;
    sandbox->state_file = options->state_file ? xstrdup(options->state_file) : NULL;
    state_load(sandbox);
    sandbox->egress = egress_new();
    int rc = egress_allow(sandbox->egress, STR("127.0.0.0/8"), err);
    rc = rc ? rc : http_client_global_init(err);
    sandbox->classic = http_client_new(sandbox->egress, "Segment.io/1.0");
    sandbox->actions = http_client_new(sandbox->egress, "Segment (Actions)");
    rc = rc ? rc : http_server_start(&server, &sandbox->server, err);
    int mail_port = options->listen && !str_ends(str_from(options->listen), ":0") && rc == 0
                        ? http_server_port(sandbox->server) + 1
                        : 0;
    rc = rc ? rc : mail_server_start(sandbox, mail_port, &sandbox->mail, err);
    if (rc) {
        sandbox_stop(sandbox);
        return rc == RN_EEXISTS ? err_prefix(err, "sandbox") : rc;
    }
    add_rewrites(sandbox);
    state_start_saver(sandbox);
    *ret = sandbox;
    return 0;
}

const char *sandbox_url(const struct sandbox *sandbox)
{
    return http_server_url(sandbox->server);
}

const char *sandbox_smtp_url(const struct sandbox *sandbox)
{
    return mail_server_url(sandbox->mail);
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
    mail_server_stop(sandbox->mail);
    state_stop(sandbox);
    http_client_free(sandbox->classic);
    http_client_free(sandbox->actions);
    egress_free(sandbox->egress);
    for (size_t i = 0; i < sandbox->rewrite_count; i++)
        free((void *)(uintptr_t)sandbox->rewrites[i].to);
    pthread_cond_destroy(&sandbox->changed);
    pthread_mutex_destroy(&sandbox->lock);
    pthread_mutex_destroy(&sandbox->file_lock);
    free(sandbox);
}
