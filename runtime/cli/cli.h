/* The command line: one file per command. Exit codes: 0 good, 1 the work failed, 2 the call was
 * wrong. A command talks to the runtime of its project over the admin listener. Where none is up it
 * starts a passive one inside this process for as long as it takes, so that each command has one
 * way of working. */
#ifndef RUNNEL_CLI_CLI_H
#define RUNNEL_CLI_CLI_H

#include "base/err.h"
#include "json/json.h"

struct option_spec {
    const char *name;  /* "--json", or with its letter "-f, --follow" */
    const char *value; /* "FILE" for --name FILE; NULL: a switch */
    const char *help;
};

#define CLI_ARGS_MAX 16
#define CLI_OPTIONS_MAX 32

/* What was given: positional arguments (without the verb) and options, by their place in the
 * command's table. */
struct args {
    const struct command *command;
    const char *positional[CLI_ARGS_MAX];
    size_t count;
    const char *options[CLI_OPTIONS_MAX]; /* value, "" for a switch that was given, NULL */
    bool is_json;                         /* --json */
    const char *project;                  /* the project's folder; never NULL */
    const char *data;                     /* its data folder; never NULL */
};

/* `runnel accounts add NAME`: add is a verb. */
struct verb {
    const char *name;
    const char *usage; /* what follows the verb: "NAME [--app SLUG]" */
    const char *summary;
    size_t min_args, max_args;
    int (*run)(const struct args *args);
};

enum { CLI_NO_PROJECT = 1u << 0, CLI_NO_JSON = 1u << 1 };

struct command {
    const char *name;
    const char *usage;    /* "run WORKFLOW [--event FILE]"; the name may be left out */
    const char *summary;  /* one line */
    const char *help;     /* a paragraph: what it does */
    const char *examples; /* lines, without indent: "runnel runs   # what for" */
    const struct option_spec *options;
    size_t option_count;
    const struct verb *verbs; /* NULL: none; the first is what is done without one */
    size_t verb_count;
    size_t min_args, max_args;
    int (*run)(const struct args *args);
    unsigned flags; /* CLI_NO_PROJECT … */
};

extern const struct command command_up, command_down, command_check, command_run, command_events,
    command_runs, command_inspect, command_replay, command_logs, command_components,
    command_accounts, command_options, command_configure, command_endpoints, command_init,
    command_doctor, command_workflows, command_sources, command_sandbox, command_new,
    command_completion, command_test, command_record, command_data, command_schedule, command_fire,
    command_console, command_cancel, command_resume, command_import;

/* ---- commands.c */
size_t cli_command_count(void);
const struct command *cli_command_at(size_t index, const char **ret_group);

/* ---- args.c */
/* Reads what follows the command's name and runs it; returns the exit code. `project`, `data`: what
 * stood before the name, or NULL. */
int cli_run_command(const struct command *command, int argc, char **argv, const char *project,
                    const char *data);
/* "run WORKFLOW …": what the help and complaints show. */
const char *cli_usage(const struct command *command);
/* What is wrong with the call, and where to read more; returns 2. */
int cli_wrong(const struct args *args, const char *format, ...) PRINTF_LIKE(2, 3);
/* The name nearest to a wrong one among those tried; .best NULL: none is near. */
struct nearest {
    const char *word, *best;
    size_t distance;
};
void nearest_try(struct nearest *nearest, const char *candidate);
/* A count in an option; `otherwise` where it was not given. False: it is none, and that was said.
 */
bool cli_number(const struct args *args, size_t option, int64_t otherwise, int64_t min, int64_t max,
                int64_t *ret);

/* ---- help.c */
void cli_overview(FILE *out);
void cli_help(const struct command *command);

/* The project's folder: the one given, else the nearest upwards that has a runnel.yaml. */
const char *cli_project(const char *given);
/* The project's data folder: --data, $RUNNEL_DATA, else .runnel in it. Of the last call. */
const char *cli_data(const char *project);

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
/* An answer that does not end, piece by piece, until `take` returns not 0. Never returns 0. */
int client_take(struct client *client, const char *path, int (*take)(void *ctx, struct str piece),
                void *ctx, struct err *err) MUST_USE;
void client_close(struct client *client);
/* What runtime.json says, where a runtime is up; NULL. The caller frees. */
struct json *client_running(const char *data);
/* "path?a=b&c=d" from pairs, NULL-terminated; pairs whose value is NULL are left out. The caller
 * frees. */
char *client_path(const char *path, ...);

/* ---- output.c */
bool out_is_terminal(void); /* stdout is one that shows colours */
const char *out_bold(void), *out_dim(void), *out_red(void), *out_green(void), *out_yellow(void),
    *out_reset(void); /* "" in a pipe */
/* The same for stderr: "bold", "dim", "red", "reset". */
const char *note_style(const char *name);
const char *out_status_color(const char *status);
/* Text of others: a terminal would obey its control characters, so they are shown as dots; line
 * feeds stay. The caller frees. */
char *out_clean(const char *text);
/* The text's lines, each behind `indent`. */
void out_lines(const char *indent, const char *text);
size_t out_width(const char *text); /* columns on a terminal */
size_t out_columns(void);           /* of the terminal; SIZE_MAX where nobody knows */
char *out_duration(int64_t ms);     /* "52 ms", "2.3 s", "1 min 5 s"; the caller frees */
char *out_moment(int64_t ms);       /* local on a terminal, else in UTC; the caller frees */
void out_json(
    const struct json *value);        /* indented on a terminal, else compact; with a line feed */
int out_error(const struct err *err); /* "runnel: text" on stderr; returns 1 */

/* ---- table.c */
struct column {
    const char *title;
    /* of each object; values that are no strings are printed as JSON. Its name says how it is
     * shown: ids and URLs are never cut, "status" and "state" have colours, times are local ones on
     * a terminal, "…_ms" are durations. */
    const char *member;
};
/* A table on a terminal, tab-separated lines without a head in a pipe. */
void out_table(const struct json *list, const struct column *columns, size_t count);
/* The lines only, in the pipe's form on a terminal too: for lists that grow (-f). */
void out_rows(const struct json *list, const struct column *columns, size_t count);

/* Fetches a list and prints it, as JSON or as a table. */
int cli_list(const struct args *args, const char *path, const struct column *columns, size_t count,
             const char *none);

/* ---- follow.c */
struct follower {
    const char *path; /* "stream?topics=events&source=…" */
    /* The stream has begun, and will tell all that comes from here on: what is there is to be shown
     * now. Once. */
    int (*begin)(void *ctx, struct client *client, struct err *err);
    void (*each)(void *ctx, const char *topic, const struct json *value);
    void (*flush)(void *ctx); /* after some of them */
    void *ctx;
};
/* Gives what comes, each once, over restarts of the runtime as well, until the process is ended.
 * Prints what is wrong and returns an exit code where it cannot begin. */
int stream_follow(const struct args *args, const struct follower *follower);

/* ---- show.c: runs */
/* There is no such status: says so and is false. */
bool show_is_status(const struct args *args, const char *given);
bool show_has_ended(const struct json *run);
void show_run_head(const struct json *run);
void show_step(const struct json *step); /* but for what it sends */
void show_sends(const struct json *step, bool with_path);
void show_run(const struct json *run);

/* ---- input.c */
/* What an option names: a file or a pipe, or `-` for standard input; the caller frees. */
int cli_read(const char *given, char **ret, size_t *ret_size, struct err *err) MUST_USE;
/* Its JSON, or JSON itself ({…, […); {} for NULL. */
int cli_read_json(const char *given, struct json **ret, struct err *err) MUST_USE;

#endif
