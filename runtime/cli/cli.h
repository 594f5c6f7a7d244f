/* The command line: one file per command. Exit codes: 0 good, 1 the work failed, 2 the call was
 * wrong. A command talks to the runtime of its project over the admin listener. Where none is up it
 * starts a passive one inside this process for as long as it takes, so that each command has one
 * way of working. */
#ifndef RUNNEL_CLI_CLI_H
#define RUNNEL_CLI_CLI_H

#include "base/err.h"
#include "json/json.h"

struct option_spec {
    const char *name;  /* "--json" */
    const char *value; /* "FILE" for --name FILE; NULL: a switch */
    const char *help;
};

#define CLI_ARGS_MAX 16

/* What was given: positional arguments and options, by their place in the spec. */
struct args {
    const char *positional[CLI_ARGS_MAX];
    size_t count;
    const char *options[24]; /* value, "" for a switch that was given, NULL */
};

struct command {
    const char *name;
    const char *usage;   /* "run WORKFLOW [--event FILE]" */
    const char *summary; /* one line */
    const char *help;    /* more lines: what it does, examples */
    const struct option_spec *options;
    size_t option_count;
    size_t min_args, max_args;
    int (*run)(const struct args *args);
};

extern const struct command command_up, command_down, command_check, command_run, command_events,
    command_runs, command_inspect, command_replay, command_logs, command_components,
    command_accounts, command_options, command_configure, command_endpoints, command_init,
    command_doctor, command_workflows, command_sources, command_sandbox, command_new,
    command_schedule, command_fire, command_console;

/* The project's folder: --project, else the current one. */
const char *cli_project(const char *option);

/* ---- client.c */
struct client;
/* `can_be_own`: start a passive runtime in this process where none is up. Prints what is wrong and
 * returns NULL. */
struct client *client_open(const char *project, bool can_be_own);
bool client_is_own(const struct client *client);
/* *ret: the answer's JSON (owned by the caller). On an error of the API *err has its text. */
int client_call(struct client *client, const char *method, const char *path,
                const struct json *body, struct json **ret, struct err *err) MUST_USE;
/* A list page by page, up to `max` entries. */
int client_get_all(struct client *client, const char *path, size_t max, struct json **ret,
                   struct err *err) MUST_USE;
void client_close(struct client *client);

/* ---- output.c */
bool out_is_terminal(void);
const char *out_bold(void), *out_dim(void), *out_red(void), *out_green(void), *out_yellow(void),
    *out_reset(void); /* "" in a pipe */
const char *out_status_color(const char *status);
struct column {
    const char *title;
    const char *member; /* of each object; values that are no strings are printed as JSON */
};
/* A table on a terminal, tab-separated lines without a head in a pipe. */
void out_table(const struct json *list, const struct column *columns, size_t count);
void out_json(
    const struct json *value);        /* indented on a terminal, else compact; with a line feed */
int out_error(const struct err *err); /* "runnel: text" on stderr; returns 1 */

/* Fetches a list and prints it, as JSON or as a table. */
int cli_list(const char *project, const char *path, bool as_json, const struct column *columns,
             size_t count, const char *none);

#endif
