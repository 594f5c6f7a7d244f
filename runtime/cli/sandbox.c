/* `runnel sandbox`: serve the stand-ins, send events through their Segment, list what the vendors
 * received, make them fail. */
#include "cli/cli.h"

#include "base/limits.h"
#include "net/http_client.h"
#include "sandbox/sandbox.h"

#include <signal.h>

enum { SEND_MAX = 100000, BATCH_MAX = 4000 };

static const struct option_spec options[] = {
    {"--listen", "ADDR", "serve: where (127.0.0.1:9400)"},
    {"--state", "FILE", "serve: keep what is registered over restarts"},
    {"--limits", "N", "serve: rate limits, real (unless given), off, or N times as much"},
    {"--url", "URL",
     "of a running sandbox (that of `runnel up --sandbox` here, or $RUNNEL_SANDBOX_URL)"},
    {"--vendor", "NAME", "received: of segment, discord, sheets, airtable, http or mail only"},
    {"--last", "N", "received: the last N"},
    {"--source", "NAME", "send: workspaces/acme/sources/web unless given"},
    {"--event", "JSON", "send: the event; what is missing is filled in"},
    {"--file", "FILE", "send: the event, or a list of events, from a file; - is stdin"},
    {"--count", "N", "send: N times; each has a messageId of its own unless the event has one"},
    {"--batch", NULL, "send: all of them as one request, a JSON list"},
    {"--status", "N", "fail: the status that refuses (503)"},
    {"--times", "N", "fail: for the next N requests (1); 0: until `heal`"},
    {"--retry-after", "S", "fail: with a Retry-After of S seconds"},
    {"--delay", "TIME", "fail: answer that much later, e.g. 10s; at most 120s"},
    {"--lose-reply", NULL, "fail: do what is asked, and close the connection without an answer"},
    {"--method", "NAME", "fail: requests with this method only"},
    {"--path", "TEXT", "fail: requests whose path holds this text only"},
};
enum {
    LISTEN,
    STATE,
    LIMITS,
    URL,
    VENDOR,
    LAST,
    SOURCE,
    EVENT,
    EVENT_FILE,
    COUNT,
    BATCH,
    STATUS,
    TIMES,
    RETRY_AFTER,
    DELAY,
    LOSE_REPLY,
    METHOD,
    PATH
};

static int serve(const struct args *args)
{
    struct sandbox_options sandbox_options = {
        .listen = args->options[LISTEN] ? args->options[LISTEN] : "127.0.0.1:9400",
        .state_file = args->options[STATE]};
    struct sandbox *sandbox = NULL;
    struct err err = ERR_INIT;
    sigset_t set;
    int received = 0;
    if (args->options[LIMITS] &&
        sandbox_read_limits(args->options[LIMITS], &sandbox_options.limits, &err)) {
        (void)out_error(&err);
        return 2;
    }
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (sandbox_start(&sandbox_options, &sandbox, &err))
        return out_error(&err);
    printf("ready url=%s\n", sandbox_url(sandbox));
    fflush(stdout);
    (void)sigwait(&set, &received);
    sandbox_stop(sandbox);
    return 0;
}

/* ---- talking to a running one */

struct remote {
    char url[1024];
    struct egress *egress;
    struct http_client *client;
};

static int remote_open(const struct args *args, struct remote *remote, struct err *err)
{
    const char *given = args->options[URL] ? args->options[URL] : getenv("RUNNEL_SANDBOX_URL");
    struct json *running = given && *given ? NULL : client_running(args->data);
    const char *own = json_get_c(running, "sandbox"); /* of `runnel up --sandbox` */
    (void)snprintf(remote->url, sizeof(remote->url), "%s",
                   given && *given ? given
                   : own           ? own
                                   : "http://127.0.0.1:9400");
    json_free(running);
    remote->egress = egress_new();
    int rc = egress_allow(remote->egress, STR("127.0.0.0/8"), err);
    rc = rc ? rc : http_client_global_init(err);
    remote->client = http_client_new(remote->egress, "runnel-cli");
    return rc;
}

static void remote_close(struct remote *remote)
{
    http_client_free(remote->client);
    egress_free(remote->egress);
}

/* One request to the sandbox's control paths. */
static int remote_call(const struct remote *remote, const char *method, const char *path,
                       const struct json *body, struct json **ret, struct err *err)
{
    char *url = xasprintf("%s/_sandbox/%s", remote->url, path);
    size_t size = 0;
    char *text = body ? json_text(body, &size) : xstrdup("");
    struct fetch_header headers[] = {{"content-type", "application/json"}};
    struct fetch_request request = {.method = method,
                                    .url = url,
                                    .headers = headers,
                                    .header_count = 1,
                                    .timeout_ms = 60000,
                                    .response_limit = LIMIT_JSON_BYTES,
                                    .is_safe = true};
    if (body || strcmp(method, "POST") == 0)
        request.body = str_n(text, size);
    struct fetch_response response = {0};
    struct json *answer = NULL;
    int rc = http_client_fetch(remote->client, &request, &response, err);
    if (rc == RN_EUNAVAILABLE)
        rc = err_set(
            err, rc,
            "no sandbox answers at %s: start one with `runnel up --sandbox` or `runnel sandbox`",
            remote->url);
    rc = rc ? rc : json_parse(buf_str(&response.body), &answer, err);
    if (rc == 0 && response.status >= 400) {
        struct str why = json_get_text(answer, "error");
        rc = err_set(err, RN_EINVAL, "the sandbox says: " STR_FMT, STR_ARG(why));
        json_free(answer);
    } else if (rc == 0) {
        *ret = answer;
    }
    fetch_response_release(&response);
    free(text);
    free(url);
    return rc;
}

/* A call whose answer is printed as JSON, or not at all. */
static int simple(const struct args *args, const char *method, const char *path, bool is_shown)
{
    struct remote remote = {.url = ""};
    struct json *answer = NULL;
    struct err err = ERR_INIT;
    int rc = remote_open(args, &remote, &err);
    rc = rc ? rc : remote_call(&remote, method, path, NULL, &answer, &err);
    remote_close(&remote);
    if (rc == 0 && is_shown)
        out_json(answer);
    json_free(answer);
    return rc ? out_error(&err) : 0;
}

/* ---- send */

static int read_number(const struct args *args, int option, const char *name, uint64_t low,
                       uint64_t high, uint64_t *ret, struct err *err)
{
    const char *text = args->options[option];
    if (text && (num_parse_u64(str_from(text), ret) || *ret < low || *ret > high))
        return err_set(err, RN_EINVAL, "%s is a number from %llu to %llu", name,
                       (unsigned long long)low, (unsigned long long)high);
    return 0;
}

/* What is to be sent: a list of at least one event. */
static int read_events(const struct args *args, struct json **ret, struct err *err)
{
    char *text = NULL;
    size_t size = 0;
    struct json *given = NULL, *list = NULL;
    uint64_t count = 1;
    int rc = 0;
    if (args->options[EVENT] && args->options[EVENT_FILE])
        rc = err_set(err, RN_EINVAL, "--event and --file: give one of them");
    else if (args->options[EVENT])
        text = xmemdup(args->options[EVENT], size = strlen(args->options[EVENT]));
    else if (args->options[EVENT_FILE])
        rc = cli_read(args->options[EVENT_FILE], &text, &size, err);
    else
        text = xmemdup("{}", size = 2);
    rc = rc ? rc : read_number(args, COUNT, "--count", 1, SEND_MAX, &count, err);
    rc = rc ? rc : json_parse(str_n(text, size), &given, err);
    free(text);
    if (rc == 0 && !json_is(given, JSON_OBJECT) &&
        !(json_is(given, JSON_ARRAY) && json_count(given)))
        rc = err_set(err, RN_EINVAL, "an event is a JSON object, or give a list of them");
    list = json_new_array();
    for (uint64_t i = 0; rc == 0 && i < count; i++) {
        if (json_is(given, JSON_OBJECT))
            (void)json_append(list, json_copy(given));
        for (const struct json *e = json_is(given, JSON_ARRAY) ? json_first(given) : NULL; e;
             e = json_next(e))
            (void)json_append(list, json_copy(e));
    }
    if (rc == 0 && args->options[BATCH] && json_count(list) > BATCH_MAX)
        rc = err_set(err, RN_EINVAL, "a batch has %d events at most", BATCH_MAX);
    json_free(given);
    if (rc)
        json_free(list);
    else
        *ret = list;
    return rc;
}

/* Adds deliveries to the sum: one line for each hook and status. */
static void add_up(struct json *sum, const struct json *deliveries)
{
    for (const struct json *d = json_first(deliveries); d; d = json_next(d)) {
        struct json *line = json_first_mut(sum);
        while (line && !(json_equal(json_get(line, "hook"), json_get(d, "hook")) &&
                         json_equal(json_get(line, "status"), json_get(d, "status"))))
            line = json_next_mut(line);
        if (!line) {
            line = json_append(sum, json_copy(d));
            json_set_integer(line, "requests", 0);
            json_set_integer(line, "tries", 0);
        }
        json_set_integer(line, "requests", json_get_i64(line, "requests", 0) + 1);
        json_set_integer(line, "tries",
                         json_get_i64(line, "tries", 0) + json_get_i64(d, "tries", 0));
    }
}

static int send_one(const struct remote *remote, const char *source, const char *member,
                    struct json *value, struct json *sum, struct err *err)
{
    struct json *body = json_new_object(), *answer = NULL;
    json_set_string(body, "source", source);
    (void)json_set(body, member, value);
    int rc = remote_call(remote, "POST", "segment/send", body, &answer, err);
    if (rc == 0)
        add_up(sum, json_get(answer, "deliveries"));
    json_free(body);
    json_free(answer);
    return rc;
}

/* Whether each hook took everything. */
static bool is_delivered(const struct json *sum)
{
    bool is_good = json_count(sum) > 0;
    for (const struct json *line = json_first(sum); line; line = json_next(line))
        is_good &= json_get_i64(line, "status", 0) / 100 == 2;
    return is_good;
}

static int send_events(const struct args *args)
{
    static const struct column columns[] = {
        {"STATUS", "status"}, {"REQUESTS", "requests"}, {"TRIES", "tries"}, {"HOOK", "hook"}};
    const char *source =
        args->options[SOURCE] ? args->options[SOURCE] : "workspaces/acme/sources/web";
    struct json *events = NULL, *sum = json_new_array();
    struct remote remote = {.url = ""};
    struct err err = ERR_INIT;
    int rc = read_events(args, &events, &err);
    int wrong = rc ? 2 : 1;
    rc = rc ? rc : remote_open(args, &remote, &err);
    if (rc == 0 && args->options[BATCH]) {
        rc = send_one(&remote, source, "batch", events, sum, &err);
    } else {
        for (struct json *e; rc == 0 && (e = json_take_first(events));)
            rc = send_one(&remote, source, "event", e, sum, &err);
        json_free(events);
    }
    remote_close(&remote);
    bool is_good = is_delivered(sum);
    if (rc == 0 && args->is_json)
        out_json(sum);
    else if (rc == 0 && json_count(sum) == 0)
        fprintf(stderr, "no hook is registered for this source at the sandbox's Segment: is the "
                        "workflow active?\n");
    else if (rc == 0)
        out_table(sum, columns, COUNT_OF(columns));
    json_free(sum);
    if (rc)
        (void)out_error(&err);
    return rc ? wrong : is_good ? 0 : 1;
}

/* ---- received, fail */

static int received(const struct args *args)
{
    static const struct column columns[] = {{"VENDOR", "vendor"}, {"RECEIVED", "received"}};
    struct remote remote = {.url = ""};
    struct json *list = NULL;
    struct err err = ERR_INIT;
    uint64_t last = 0;
    int rc = read_number(args, LAST, "--last", 1, UINT32_MAX, &last, &err);
    if (rc) {
        (void)out_error(&err);
        return 2;
    }
    const char *vendor = args->options[VENDOR];
    char *path = xasprintf("received?last=%llu%s%s", (unsigned long long)last,
                           vendor ? "&vendor=" : "", vendor ? vendor : "");
    rc = remote_open(args, &remote, &err);
    rc = rc ? rc : remote_call(&remote, "GET", path, NULL, &list, &err);
    remote_close(&remote);
    free(path);
    if (rc)
        return out_error(&err);
    if (args->is_json)
        out_json(list);
    else
        out_table(list, columns, COUNT_OF(columns));
    json_free(list);
    return 0;
}

static int read_fault(const struct args *args, struct json *body, struct err *err)
{
    static const struct {
        int option;
        const char *name, *member;
        uint64_t low, high;
    } numbers[] = {{STATUS, "--status", "status", 400, 599},
                   {TIMES, "--times", "times", 0, 1000000},
                   {RETRY_AFTER, "--retry-after", "retry_after", 0, 86400}};
    int64_t delay_ms = 0;
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        uint64_t value = 0;
        int rc = read_number(args, numbers[i].option, numbers[i].name, numbers[i].low,
                             numbers[i].high, &value, err);
        if (rc)
            return rc;
        if (args->options[numbers[i].option])
            json_set_integer(body, numbers[i].member, (int64_t)value);
    }
    if (args->options[DELAY] &&
        (num_parse_duration(str_from(args->options[DELAY]), &delay_ms) || delay_ms > 120000))
        return err_set(err, RN_EINVAL, "--delay is a time like 500ms or 10s, 120s at most");
    if (delay_ms)
        json_set_integer(body, "delay_ms", delay_ms);
    if (args->options[LOSE_REPLY])
        json_set_boolean(body, "lose_reply", true);
    json_set_string(body, "method", args->options[METHOD]);
    json_set_string(body, "path", args->options[PATH]);
    return 0;
}

static int fail(const struct args *args)
{
    struct remote remote = {.url = ""};
    struct json *body = json_new_object(), *answer = NULL;
    struct err err = ERR_INIT;
    if (args->count < 1) { /* no vendor: what is set */
        json_free(body);
        return simple(args, "GET", "faults", true);
    }
    json_set_string(body, "vendor", args->positional[0]);
    int rc = read_fault(args, body, &err), wrong = rc ? 2 : 1;
    rc = rc ? rc : remote_open(args, &remote, &err);
    rc = rc ? rc : remote_call(&remote, "POST", "faults", body, &answer, &err);
    remote_close(&remote);
    json_free(body);
    if (rc == 0 && args->is_json)
        out_json(answer);
    json_free(answer);
    if (rc)
        (void)out_error(&err);
    return rc ? wrong : 0;
}

static int heal(const struct args *args)
{
    return simple(args, "DELETE", "faults", args->is_json);
}

static int reset(const struct args *args)
{
    return simple(args, "POST", "reset", args->is_json);
}

static int rewrites(const struct args *args)
{
    return simple(args, "GET", "rewrites", true);
}

static int service_account(const struct args *args)
{
    return simple(args, "GET", "google/service-account", true);
}

static const struct verb verbs[] = {
    {"serve", "[--listen ADDR] [--state FILE] [--limits N]",
     "answer as the vendors do, until Ctrl-C", 0, 0, serve},
    {"send", "[--event JSON | --file FILE] [--count N] [--batch] [--source NAME]",
     "deliver events as Segment does: signed, five seconds for an answer, tried again", 0, 0,
     send_events},
    {"received", "[--vendor NAME] [--last N]", "what the vendors took in", 0, 0, received},
    {"fail",
     "[VENDOR] [--status N] [--times N] [--retry-after S] [--delay TIME] [--lose-reply] "
     "[--method NAME] [--path TEXT]",
     "make a vendor fail: segment, discord, sheets, google, airtable, swapi, http; else what is "
     "set",
     0, 1, fail},
    {"heal", "", "end that", 0, 0, heal},
    {"reset", "", "forget everything", 0, 0, reset},
    {"rewrites", "", "egress.rewrite for runnel.yaml", 0, 0, rewrites},
    {"service-account", "", "a key file for the sandbox's Google", 0, 0, service_account},
};

const struct command command_sandbox = {
    .name = "sandbox",
    .usage = "[serve | send | received | fail | heal | reset | rewrites | service-account]",
    .summary = "stand-ins of the vendors' APIs on this machine, to try things out",
    .help =
        "serve answers as Segment, Discord, Google Sheets, Airtable and SWAPI do; `runnel up "
        "--sandbox` starts it\nbeside the runtime and sends every vendor's requests there. send "
        "exits with 1 unless every hook answered\n2xx.",
    .examples = "runnel sandbox send\n"
                "runnel sandbox send --event '{\"type\":\"identify\",\"userId\":\"ann\"}'\n"
                "runnel sandbox received --vendor discord --json\n"
                "runnel sandbox fail discord --status 503 --times 2\n"
                "runnel sandbox fail airtable --lose-reply",
    .options = options,
    .option_count = COUNT_OF(options),
    .verbs = verbs,
    .verb_count = COUNT_OF(verbs),
};
