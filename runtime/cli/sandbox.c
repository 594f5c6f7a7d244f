/* `runnel sandbox`: serve the stand-ins, send an event through their Segment, list what the vendors
 * received. */
#include "cli/cli.h"

#include "net/http_client.h"
#include "sandbox/sandbox.h"

#include <signal.h>

static const struct option_spec options[] = {
    {"--json", NULL, "as JSON"},
    {"--listen", "ADDR", "serve: where (127.0.0.1:9400)"},
    {"--state", "FILE", "serve: keep what is registered over restarts"},
    {"--url", "URL", "of a running sandbox (http://127.0.0.1:9400, or $RUNNEL_SANDBOX_URL)"},
    {"--vendor", "NAME", "received: discord, sheets, airtable or segment only"},
    {"--source", "NAME", "send: workspaces/acme/sources/web unless given"},
    {"--event", "JSON", "send: the event; what is missing is filled in"},
    {"--batch", "N", "send: N events in one request"},
};
enum { JSON, LISTEN, STATE, URL, VENDOR, SOURCE, EVENT, BATCH };

static int serve(const struct args *args)
{
    struct sandbox_options sandbox_options = {
        .listen = args->options[LISTEN] ? args->options[LISTEN] : "127.0.0.1:9400",
        .state_file = args->options[STATE]};
    struct sandbox *sandbox = NULL;
    struct err err = ERR_INIT;
    sigset_t set;
    int received = 0;
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

/* One request to the control paths of a running sandbox. */
static int control(const struct args *args, const char *method, const char *path,
                   const struct json *body, struct json **ret, struct err *err)
{
    const char *given = args->options[URL] ? args->options[URL] : getenv("RUNNEL_SANDBOX_URL");
    char *url =
        xasprintf("%s/_sandbox/%s", given && *given ? given : "http://127.0.0.1:9400", path);
    size_t size = 0;
    char *text = body ? json_text(body, &size) : xstrdup("");
    struct egress *egress = egress_new();
    (void)!egress_allow(egress, STR("127.0.0.0/8"), NULL);
    struct fetch_header headers[] = {{"content-type", "application/json"}};
    struct fetch_request request = {.method = method,
                                    .url = url,
                                    .headers = headers,
                                    .header_count = 1,
                                    .timeout_ms = 60000,
                                    .is_safe = true};
    if (body || strcmp(method, "POST") == 0)
        request.body = str_n(text, size);
    struct fetch_response response = {0};
    int rc = http_client_global_init(err);
    struct http_client *client = http_client_new(egress, "runnel-cli");
    rc = rc ? rc : http_client_fetch(client, &request, &response, err);
    if (rc == RN_EUNAVAILABLE)
        rc = err_set(
            err, rc,
            "no sandbox answers at %s: start one with `runnel up --sandbox` or `runnel sandbox`",
            url);
    rc = rc ? rc : json_parse(buf_str(&response.body), ret, err);
    fetch_response_release(&response);
    http_client_free(client);
    egress_free(egress);
    free(text);
    free(url);
    return rc;
}

static int send_event(const struct args *args)
{
    struct json *body = json_new_object(), *event = NULL, *answer = NULL;
    struct err err = ERR_INIT;
    uint64_t count = 0;
    int rc = args->options[EVENT] ? json_parse(str_from(args->options[EVENT]), &event, &err) : 0;
    if (rc == 0 && args->options[BATCH] &&
        (num_parse_u64(str_from(args->options[BATCH]), &count) || count < 1 || count > 4000))
        rc = err_set(&err, RN_EINVAL, "--batch is a number from 1 to 4000");
    if (!event)
        event = json_new_object();
    json_set_string(body, "source",
                    args->options[SOURCE] ? args->options[SOURCE] : "workspaces/acme/sources/web");
    if (count) {
        struct json *list = json_set(body, "batch", json_new_array());
        for (uint64_t i = 0; i < count; i++)
            (void)json_append(list, json_copy(event));
        json_free(event);
    } else {
        (void)json_set(body, "event", event);
    }
    rc = rc ? rc : control(args, "POST", "segment/send", body, &answer, &err);
    json_free(body);
    if (rc)
        return out_error(&err);
    const struct json *deliveries = json_get(answer, "deliveries");
    bool is_delivered = json_count(deliveries) > 0;
    for (const struct json *d = json_first(deliveries); d; d = json_next(d))
        is_delivered &= json_get_i64(d, "status", 0) / 100 == 2;
    static const struct column columns[] = {
        {"STATUS", "status"}, {"TRIES", "tries"}, {"HOOK", "hook"}};
    if (args->options[JSON])
        out_json(answer);
    else if (json_count(deliveries) == 0)
        fprintf(stderr, "no hook is registered for this source at the sandbox's Segment: is the "
                        "workflow active?\n");
    else
        out_table(deliveries, columns, COUNT_OF(columns));
    json_free(answer);
    return is_delivered ? 0 : 1;
}

static int received(const struct args *args)
{
    struct json *list = NULL;
    struct err err = ERR_INIT;
    char *path = xasprintf("received%s%s", args->options[VENDOR] ? "?vendor=" : "",
                           args->options[VENDOR] ? args->options[VENDOR] : "");
    int rc = control(args, "GET", path, NULL, &list, &err);
    free(path);
    if (rc)
        return out_error(&err);
    static const struct column columns[] = {{"VENDOR", "vendor"}, {"RECEIVED", "received"}};
    if (args->options[JSON])
        out_json(list);
    else
        out_table(list, columns, COUNT_OF(columns));
    json_free(list);
    return 0;
}

static int run(const struct args *args)
{
    const char *verb = args->count ? args->positional[0] : "serve";
    struct json *answer = NULL;
    struct err err = ERR_INIT;
    if (strcmp(verb, "serve") == 0)
        return serve(args);
    if (strcmp(verb, "send") == 0)
        return send_event(args);
    if (strcmp(verb, "received") == 0)
        return received(args);
    if (strcmp(verb, "reset") == 0) {
        int rc = control(args, "POST", "reset", NULL, &answer, &err);
        json_free(answer);
        return rc ? out_error(&err) : 0;
    }
    fprintf(stderr, "runnel sandbox: serve, send, received or reset\n");
    return 2;
}

const struct command command_sandbox = {
    .name = "sandbox",
    .usage = "sandbox [serve | send | received | reset] [--json]",
    .summary = "stand-ins of the vendors' APIs on this machine",
    .help = "serve answers as Segment, Discord, Google Sheets, Airtable and SWAPI do; `runnel up "
            "--sandbox` starts it beside the runtime.\n"
            "send delivers an event as Segment does: signed with the secret that the source "
            "registered. received lists what the vendors took in.",
    .options = options,
    .option_count = COUNT_OF(options),
    .max_args = 1,
    .run = run,
};
