/* `runnel workflows`: what there is, and the versions that were deployed. */
#include "cli/cli.h"

#include "base/str.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SHORT = 12 }; /* digits of a version that are shown; more or fewer may be given */

static int run_list(const struct args *args)
{
    static const struct column columns[] = {
        {"ID", "id"},         {"NAME", "name"},       {"ACTIVE", "active"}, {"STEPS", "steps"},
        {"QUEUED", "queued"}, {"RUNNING", "running"}, {"ERRORS", "errors"}};
    return cli_list(args, "workflows", columns, COUNT_OF(columns),
                    "no workflow can run: `runnel check` says why");
}

/* ---- versions */

static int get_versions(struct client *client, const char *name, struct json **ret, struct err *err)
{
    char *path = xasprintf("workflows/%s/versions", name);
    int rc = client_call(client, "GET", path, NULL, ret, err);
    free(path);
    return rc;
}

static int run_history(const struct args *args)
{
    struct client *client = client_open(args->project, true);
    struct json *versions = NULL;
    struct err err = ERR_INIT;
    if (!client)
        return 1;
    int rc = get_versions(client, args->positional[0], &versions, &err);
    client_close(client);
    if (rc)
        return out_error(&err);
    if (args->is_json) {
        out_json(versions);
    } else {
        static const struct column columns[] = {
            {"VERSION", "short"}, {"DEPLOYED", "ts"}, {"CURRENT", "current"}};
        struct json *shown = json_copy(versions);
        for (struct json *v = json_first_mut(shown); v; v = json_next_mut(v)) {
            struct str version = json_get_text(v, "version");
            json_set_str(v, "short", str_n(version.ptr, version.len < SHORT ? version.len : SHORT));
        }
        out_table(shown, columns, COUNT_OF(columns));
        json_free(shown);
    }
    json_free(versions);
    return 0;
}

/* The text of the version that begins with `start`; NULL: the one before the current one. The
 * caller frees both. */
static int version_text(struct client *client, const char *name, const char *start, char **ret_text,
                        char **ret_version, struct err *err)
{
    struct json *versions = NULL, *version = NULL;
    const char *found = NULL;
    size_t count = 0;
    int rc = get_versions(client, name, &versions, err);
    if (rc)
        return rc;
    for (const struct json *v = json_first(versions); v; v = json_next(v)) {
        bool is_it = start ? str_starts(json_get_text(v, "version"), start)
                           : !json_get_bool(v, "current", false) && !found;
        if (is_it) {
            found = json_get_c(v, "version");
            count++;
        }
    }
    if (count == 0)
        rc = err_set(err, RN_ENOTFOUND,
                     start ? "%s has no version %s (see `runnel workflows history %s`)"
                           : "%s has no version before this one",
                     name, start ? start : name, name);
    else if (count > 1)
        rc =
            err_set(err, RN_EINVAL, "more than one version begins with %s: give more of it", start);
    if (rc == 0) {
        char *path = xasprintf("versions/%s", found);
        rc = client_call(client, "GET", path, NULL, &version, err);
        free(path);
    }
    if (rc == 0) {
        *ret_text = str_dup(json_get_text(version, "text"));
        *ret_version = xstrdup(found);
    }
    json_free(version);
    json_free(versions);
    return rc;
}

static int current_text(struct client *client, const char *name, char **ret_text, struct err *err)
{
    struct json *workflow = NULL;
    char *path = xasprintf("workflows/%s", name);
    int rc = client_call(client, "GET", path, NULL, &workflow, err);
    free(path);
    if (rc == 0)
        *ret_text = str_dup(json_get_text(workflow, "text"));
    json_free(workflow);
    return rc;
}

/* ---- diff */

static int write_temporary(char *path, const char *text, struct err *err)
{
    int fd = mkstemp(path);
    size_t size = strlen(text);
    bool is_written = fd >= 0 && write(fd, text, size) == (ssize_t)size;
    if (fd >= 0)
        close(fd);
    return is_written ? 0 : err_set(err, RN_EIO, "%s cannot be written", path);
}

/* diff -u, which every Debian has; its output is ours. */
static int run_diff(const char *a, const char *a_name, const char *b, const char *b_name,
                    struct err *err)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        execlp("diff", "diff", "-u", "--label", a_name, "--label", b_name, a, b, (char *)NULL);
        _exit(127);
    }
    int status = 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    if (pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status) > 1)
        return err_set(err, RN_EFAILED, "diff could not be run: install the package diffutils");
    return 0;
}

static int run_difference(const struct args *args)
{
    const char *name = args->positional[0];
    char a[] = "/tmp/runnel-a-XXXXXX", b[] = "/tmp/runnel-b-XXXXXX";
    char *old_text = NULL, *new_text = NULL, *old_version = NULL, *new_version = NULL;
    struct err err = ERR_INIT;
    struct client *client = client_open(args->project, true);
    if (!client)
        return 1;
    int rc = version_text(client, name, args->count > 1 ? args->positional[1] : NULL, &old_text,
                          &old_version, &err);
    if (rc == 0 && args->count > 2)
        rc = version_text(client, name, args->positional[2], &new_text, &new_version, &err);
    else if (rc == 0)
        rc = current_text(client, name, &new_text, &err);
    client_close(client);
    rc = rc ? rc : write_temporary(a, old_text, &err);
    rc = rc ? rc : write_temporary(b, new_text, &err);
    if (rc == 0 && args->is_json) {
        struct json *both = json_new_object();
        json_set_string(both, "from", old_text);
        json_set_string(both, "to", new_text);
        out_json(both);
        json_free(both);
    } else if (rc == 0) {
        char *label = xasprintf("%s@%.*s", name, SHORT, old_version);
        char *other = new_version ? xasprintf("%s@%.*s", name, SHORT, new_version)
                                  : xasprintf("workflows/%s.yaml", name);
        rc = run_diff(a, label, b, other, &err);
        free(label);
        free(other);
    }
    (void)unlink(a);
    (void)unlink(b);
    free(old_text);
    free(new_text);
    free(old_version);
    free(new_version);
    return rc ? out_error(&err) : 0;
}

static int run_rollback(const struct args *args)
{
    char *text = NULL, *version = NULL;
    struct json *body = json_new_object(), *answer = NULL;
    struct err err = ERR_INIT;
    struct client *client = client_open(args->project, true);
    if (!client) {
        json_free(body);
        return 1;
    }
    const char *name = args->positional[0];
    int rc = version_text(client, name, args->count > 1 ? args->positional[1] : NULL, &text,
                          &version, &err);
    if (rc == 0) {
        char *path = xasprintf("workflows/%s", name);
        json_set_string(body, "text", text);
        rc = client_call(client, "PUT", path, body, &answer, &err);
        free(path);
    }
    if (rc == 0 && !json_get_bool(answer, "written", false))
        rc = err_set(&err, RN_EFAILED,
                     "the version has mistakes by now (a component or an account is gone?): "
                     "the file stays as it was");
    client_close(client);
    if (rc == 0 && args->is_json)
        out_json(answer);
    else if (rc == 0)
        printf("workflows/%s.yaml is version %.*s again; runs in progress end on theirs\n", name,
               SHORT, version);
    free(text);
    free(version);
    json_free(body);
    json_free(answer);
    return rc ? out_error(&err) : 0;
}

/* ---- on and off */

static int set_active(const struct args *args, const char *verb)
{
    struct client *client = client_open(args->project, true);
    const char *name = args->positional[0];
    struct json *answer = NULL;
    struct err err = ERR_INIT;
    if (!client)
        return 1;
    char *path = xasprintf("workflows/%s/%s", name, verb);
    int rc = client_call(client, "POST", path, NULL, &answer, &err);
    free(path);
    client_close(client);
    if (rc == 0 && args->is_json)
        out_json(answer);
    else if (rc == 0)
        printf("workflows/%s.yaml says inactive: %s now\n", name,
               strcmp(verb, "disable") == 0 ? "true" : "false");
    json_free(answer);
    return rc ? out_error(&err) : 0;
}

static int run_enable(const struct args *args)
{
    return set_active(args, "enable");
}

static int run_disable(const struct args *args)
{
    return set_active(args, "disable");
}

static const struct verb verbs[] = {
    {"list", "", "the workflows, what waits and what runs", 0, 0, run_list},
    {"history", "NAME", "the versions that were deployed, newest first", 1, 1, run_history},
    {"diff", "NAME [VERSION [VERSION]]",
     "what has changed: since the version before, or between two", 1, 3, run_difference},
    {"rollback", "NAME [VERSION]", "write a former version into the file again", 1, 2,
     run_rollback},
    {"enable", "NAME", "let it take events (inactive: false in its file)", 1, 1, run_enable},
    {"disable", "NAME", "let it take none; runs in progress end", 1, 1, run_disable},
};

const struct command command_workflows = {
    .name = "workflows",
    .usage = "",
    .summary = "the workflows, what waits and what runs; their versions",
    .help = "A workflow's ID is the name of its file without .yaml. ERRORS: what is wrong with "
            "the file, as `runnel check`\nlists it; until it is mended the version before goes "
            "on, if there was one. Every text that was ever deployed is kept; a "
            "version is named by the beginning of its hash.",
    .examples = "runnel workflows\nrunnel workflows history orders\nrunnel workflows diff orders\n"
                "runnel workflows rollback orders 3fa9c1",
    .verbs = verbs,
    .verb_count = COUNT_OF(verbs),
};
