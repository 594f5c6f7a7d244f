/* Reading a command's arguments: its options, those that every command has, its verbs. */
#include "cli/cli.h"

#include "base/limits.h"

#include <stdarg.h>
#include <unistd.h>

static char found_project[4096], found_data[4200]; /* one call, one process */

/* "--follow" of "-f, --follow". */
static const char *long_name(const struct option_spec *option)
{
    return option->name[1] == '-' ? option->name : option->name + strlen("-f, ");
}

void nearest_try(struct nearest *nearest, const char *candidate)
{
    size_t limit = 1 + strlen(nearest->word) / 3;
    size_t distance = str_distance(str_from(nearest->word), str_from(candidate), limit);
    bool is_first = !nearest->best || distance < nearest->distance;
    bool is_as_long = nearest->best && distance == nearest->distance &&
                      strlen(candidate) == strlen(nearest->word);
    if (distance <= limit && (is_first || is_as_long)) {
        nearest->best = candidate;
        nearest->distance = distance;
    }
}

const char *cli_usage(const struct command *command)
{
    static char text[512];
    const char *usage = command->usage ? command->usage : "";
    size_t len = strlen(command->name);
    if (strncmp(usage, command->name, len) == 0 && (usage[len] == ' ' || !usage[len]))
        (void)snprintf(text, sizeof(text), "%s", usage);
    else
        (void)snprintf(text, sizeof(text), "%s%s%s", command->name, *usage ? " " : "", usage);
    return text;
}

int cli_wrong(const struct args *args, const char *format, ...)
{
    va_list list;
    fflush(stdout);
    fprintf(stderr, "runnel %s: ", args->command->name);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fprintf(stderr, "\n  usage: runnel %s\n  more:  runnel %s --help\n", cli_usage(args->command),
            args->command->name);
    return 2;
}

bool cli_number(const struct args *args, size_t option, int64_t otherwise, int64_t min, int64_t max,
                int64_t *ret)
{
    const char *text = args->options[option];
    *ret = otherwise;
    if (!text || (num_parse_i64(str_from(text), ret) == 0 && *ret >= min && *ret <= max))
        return true;
    (void)cli_wrong(args, "%s takes a number from %lld to %lld, not \"%s\"",
                    long_name(&args->command->options[option]), (long long)min, (long long)max,
                    text);
    return false;
}

/* The nearest folder upwards that holds a runnel.yaml, as git looks for .git; else this one. */
static const char *find_project(void)
{
    char here[4096];
    if (!getcwd(here, sizeof(here)))
        return ".";
    for (size_t up = 0; up < 64; up++) {
        size_t len = 0;
        char marker[4200];
        for (size_t i = 0; i < up; i++)
            len += (size_t)snprintf(found_project + len, sizeof(found_project) - len, "%s..",
                                    i ? "/" : "");
        if (up == 0)
            (void)snprintf(found_project, sizeof(found_project), ".");
        (void)snprintf(marker, sizeof(marker), "%s/runnel.yaml", found_project);
        if (access(marker, F_OK) == 0)
            return found_project;
        char *slash = strrchr(here, '/');
        if (!slash || !here[1])
            break;
        *slash = '\0';
        if (!*here)
            here[0] = '/', here[1] = '\0';
    }
    return ".";
}

const char *cli_project(const char *given)
{
    return given && *given ? given : find_project();
}

const char *cli_data(const char *project)
{
    const char *given = getenv("RUNNEL_DATA");
    if (given && *given)
        return given;
    (void)snprintf(found_data, sizeof(found_data), "%s/.runnel", project);
    return found_data;
}

static void find_folders(struct args *args)
{
    if (!args->project)
        args->project = args->command->flags & CLI_NO_PROJECT ? "." : find_project();
    if (args->data)
        (void)setenv("RUNNEL_DATA", args->data, 1);
    args->data = cli_data(args->project);
}

static int unknown_option(const struct args *args, struct str name)
{
    char *text = str_dup(name);
    struct nearest nearest = {text, NULL, 0};
    for (size_t o = 0; o < args->command->option_count; o++)
        nearest_try(&nearest, long_name(&args->command->options[o]));
    if (!(args->command->flags & CLI_NO_JSON))
        nearest_try(&nearest, "--json");
    if (!(args->command->flags & CLI_NO_PROJECT)) {
        nearest_try(&nearest, "--project");
        nearest_try(&nearest, "--data");
    }
    nearest_try(&nearest, "--help");
    int code = nearest.best
                   ? cli_wrong(args, "there is no option %s; did you mean %s?", text, nearest.best)
                   : cli_wrong(args, "there is no option %s", text);
    free(text);
    return code;
}

/* --name VALUE, --name=VALUE, -n VALUE. */
static int take_value(const struct args *args, struct str name, struct str rest, bool has_value,
                      int argc, char **argv, int *i, const char **ret)
{
    if (has_value)
        *ret = rest.ptr;
    else if (*i + 1 >= argc)
        return cli_wrong(args, "a value is missing behind " STR_FMT, STR_ARG(name));
    else
        *ret = argv[++*i];
    return 0;
}

static int read_option(int argc, char **argv, int *i, struct args *args)
{
    const struct command *command = args->command;
    struct str rest = str_from(argv[*i]), name = STR_NONE;
    (void)str_cut(&rest, '=', &name);
    bool has_value = strchr(argv[*i], '=') != NULL;
    for (size_t o = 0; o < command->option_count; o++) {
        const struct option_spec *spec = &command->options[o];
        bool is_letter = spec->name[1] != '-' && name.len == 2 && name.ptr[1] == spec->name[1];
        if (!is_letter && !str_eq_c(name, long_name(spec)))
            continue;
        args->is_json |= strcmp(spec->name, "--json") == 0;
        if (spec->value) {
            int rc = take_value(args, name, rest, has_value, argc, argv, i, &args->options[o]);
            if (rc == 0 && strcmp(spec->name, "--project") == 0)
                args->project = args->options[o];
            return rc;
        }
        if (has_value)
            return cli_wrong(args, STR_FMT " is a switch and takes no value", STR_ARG(name));
        args->options[o] = "";
        return 0;
    }
    if (!(command->flags & CLI_NO_JSON) && str_eq_c(name, "--json") && !has_value) {
        args->is_json = true;
        return 0;
    }
    if (!(command->flags & CLI_NO_PROJECT) && str_eq_c(name, "--project"))
        return take_value(args, name, rest, has_value, argc, argv, i, &args->project);
    if (!(command->flags & CLI_NO_PROJECT) && str_eq_c(name, "--data"))
        return take_value(args, name, rest, has_value, argc, argv, i, &args->data);
    return unknown_option(args, name);
}

static int wrong_verb(const struct args *args, const char *given)
{
    struct nearest nearest = {given, NULL, 0};
    struct buf names = BUF_INIT(KIB(4));
    for (size_t v = 0; v < args->command->verb_count; v++) {
        nearest_try(&nearest, args->command->verbs[v].name);
        buf_addf(&names, "%s%s", v == 0 ? "" : ", ", args->command->verbs[v].name);
    }
    int code = nearest.best
                   ? cli_wrong(args, "there is no \"%s\" here; did you mean `runnel %s %s`?", given,
                               args->command->name, nearest.best)
                   : cli_wrong(args, "there is no \"%s\" here, only: %s", given, buf_c(&names));
    buf_release(&names);
    return code;
}

/* The verb that the first argument names; it is taken off the arguments. */
static int run_verb(struct args *args)
{
    const struct verb *verb = &args->command->verbs[0];
    if (args->count) {
        verb = NULL;
        for (size_t v = 0; v < args->command->verb_count && !verb; v++)
            if (strcmp(args->positional[0], args->command->verbs[v].name) == 0)
                verb = &args->command->verbs[v];
        if (!verb)
            return wrong_verb(args, args->positional[0]);
        args->count--;
        memmove(args->positional, args->positional + 1, args->count * sizeof(args->positional[0]));
    }
    if (args->count < verb->min_args)
        return cli_wrong(args, "%s needs %s", verb->name, verb->usage);
    if (args->count > verb->max_args)
        return cli_wrong(args, "\"%s\" is one argument too many for %s",
                         args->positional[verb->max_args], verb->name);
    return verb->run(args);
}

int cli_run_command(const struct command *command, int argc, char **argv, const char *project,
                    const char *data)
{
    struct args args = {.command = command, .project = project, .data = data};
    size_t max = command->verbs ? CLI_ARGS_MAX : command->max_args;
    bool has_ended = false; /* by "--" */
    for (int i = 1; i < argc; i++) {
        if (!has_ended && (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)) {
            cli_help(command);
            return 0;
        }
        if (!has_ended && strcmp(argv[i], "--") == 0) {
            has_ended = true;
        } else if (!has_ended && argv[i][0] == '-' && argv[i][1]) {
            int rc = read_option(argc, argv, &i, &args);
            if (rc)
                return rc;
        } else if (args.count >= max) {
            return cli_wrong(&args, "\"%s\" is one argument too many", argv[i]);
        } else {
            args.positional[args.count++] = argv[i];
        }
    }
    find_folders(&args);
    if (command->verbs)
        return run_verb(&args);
    if (args.count < command->min_args)
        return cli_wrong(&args, "an argument is missing");
    return command->run(&args);
}
