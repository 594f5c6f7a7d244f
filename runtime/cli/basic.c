/* The short commands: sources, endpoints, down. */
#include "cli/cli.h"

#include <time.h>

enum { LOOK_MS = 50, DOWN_MS = 90000 };

static int run_endpoints(const struct args *args)
{
    static const struct column columns[] = {{"WORKFLOW", "workflow"},
                                            {"TRIGGER", "namespace"},
                                            {"STATE", "state"},
                                            {"AUTH", "auth"},
                                            {"URL", "url"}};
    return cli_list(args, "endpoints", columns, COUNT_OF(columns),
                    "no trigger has an endpoint: `runnel up` deploys them");
}

const struct command command_endpoints = {
    .name = "endpoints",
    .usage = "",
    .summary = "the URLs that senders are to call",
    .help =
        "Vendors are given these URLs when a source is activated. They begin with public_url of "
        "runnel.yaml, or\nelse with the address of the ingest listener.",
    .examples = "runnel endpoints\n"
                "curl -d '{\"a\":1}' \"$(runnel endpoints --json | jq -r '.[0].url')\"",
    .run = run_endpoints,
};

static int run_sources(const struct args *args)
{
    static const struct column columns[] = {{"ID", "id"},
                                            {"COMPONENT", "component"},
                                            {"STATE", "state"},
                                            {"ENDPOINT", "endpoint"},
                                            {"ERROR", "error"}};
    return cli_list(args, "sources", columns, COUNT_OF(columns),
                    "nothing is deployed: `runnel up` deploys the sources");
}

const struct command command_sources = {
    .name = "sources",
    .usage = "",
    .summary = "the deployed sources and their state",
    .help = "A source belongs to a trigger (workflows/WORKFLOW/NAMESPACE) or is shared "
            "(sources/NAME). One that could\nnot be activated is shown with the reason and tried "
            "again after a while.",
    .examples = "runnel sources",
    .run = run_sources,
};

static const struct option_spec down_options[] = {
    {"--deactivate", NULL, "first take every source off its vendor (deactivate hooks)"},
};

/* Until the process is gone; false: it is still there. */
static bool wait_gone(const char *data)
{
    for (int waited = 0; waited < DOWN_MS; waited += LOOK_MS) {
        struct json *running = client_running(data);
        if (!running)
            return true;
        json_free(running);
        (void)nanosleep(&(struct timespec){0, LOOK_MS * 1000000l}, NULL);
    }
    return false;
}

static int run_down(const struct args *args)
{
    struct client *client = client_open(args->project, false);
    struct err err = ERR_INIT;
    if (!client)
        return 1;
    struct json *body = json_new_object();
    json_set_boolean(body, "deactivate", args->options[0] != NULL);
    int rc = client_call(client, "POST", "shutdown", body, NULL, &err);
    json_free(body);
    client_close(client);
    if (rc == 0 && !wait_gone(args->data))
        rc = err_set(&err, RN_ETIMEDOUT,
                     "it is asked to stop, and still answers what is in flight; see its log");
    if (rc)
        return out_error(&err);
    if (args->is_json) {
        struct json *answer = json_new_object();
        json_set_boolean(answer, "stopped", true);
        json_set_boolean(answer, "deactivated", args->options[0] != NULL);
        out_json(answer);
        json_free(answer);
    } else {
        printf("stopped; %s\n", args->options[0] ? "the sources are deactivated"
                                                 : "the sources stay registered at their vendors");
    }
    return 0;
}

const struct command command_down = {
    .name = "down",
    .usage = "[--deactivate]",
    .summary = "stop the project's runtime, and wait until it has",
    .help = "What is in flight is answered, runs are parked for the next `runnel up`. Sources stay "
            "registered at their\nvendors, who try again what they cannot deliver meanwhile; "
            "--deactivate takes them off.",
    .examples = "runnel down\n"
                "runnel down --deactivate     # before the project is given up or moved",
    .options = down_options,
    .option_count = COUNT_OF(down_options),
    .run = run_down,
};
