/* Workflows as files: what they say, which versions there were, and changes, which are written into
 * the file. The file stays the truth: an edit is a new text, checked like any other, and deployed
 * by reading the project again. Thread: any but the loop's. */
#include "engine/browse.h"
#include "engine/internal.h"

#include "base/file.h"
#include "crypto/hmac.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct str workflow_of_file(struct str file)
{
    static const char dir[] = "workflows/", end[] = ".yaml";
    size_t around = sizeof(dir) - 1 + sizeof(end) - 1;
    if (!str_starts(file, dir) || !str_ends(file, end) || file.len <= around)
        return STR_NONE;
    return str_n(file.ptr + sizeof(dir) - 1, file.len - around);
}

/* Beside the old one, then over it: a reader sees one or the other. */
static int write_file(const char *path, struct str text, struct err *err)
{
    char *draft = xasprintf("%s.draft", path);
    int fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), rc = 0;
    if (fd < 0 || write(fd, text.ptr, text.len) != (ssize_t)text.len || fsync(fd) ||
        rename(draft, path))
        rc = err_set(err, RN_EIO, "%s cannot be written: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    free(draft);
    return rc;
}

static bool is_id(const char *id)
{
    if (!id[0] || id[0] == '.' || strlen(id) > 200)
        return false;
    for (const char *c = id; *c; c++)
        if (*c == '/' || *c == '\\' || (unsigned char)*c < ' ')
            return false;
    return true;
}

static int path_of(struct engine *engine, const char *id, char **ret, struct err *err)
{
    if (!is_id(id))
        return err_set(err, RN_ENOTFOUND, "there is no workflow \"%s\"", id);
    char *path = xasprintf("%s/workflows/%s.yaml", engine->dir, id);
    if (access(path, F_OK)) {
        free(path);
        return err_set(err, RN_ENOTFOUND, "there is no workflow \"%s\"", id);
    }
    *ret = path;
    return 0;
}

static struct json *definition_of(struct str text)
{
    struct problems problems = PROBLEMS_INIT;
    struct yaml_doc *doc = yaml_parse("", text, &problems);
    struct json *definition = doc ? json_copy(yaml_root(doc)) : json_new_null();
    yaml_free(doc);
    problems_release(&problems);
    return definition;
}

/* The problems that the file of the workflow would have with this text, in the whole project. */
static int check(struct engine *engine, const char *id, struct str text, struct problems *ret,
                 struct err *err)
{
    struct catalog *catalog = engine_catalog(engine);
    struct project *project = NULL;
    struct problems all = PROBLEMS_INIT;
    char *file = xasprintf("workflows/%s.yaml", id);
    struct project_options options = {
        .dir = engine->dir,
        .data_dir = engine->data_dir,
        .catalog = catalog,
        .accounts = accounts_lookup,
        .accounts_ctx = engine->accounts,
        .expressions = engine->expressions,
        .checks_code = true,
        .draft_of = file,
        .draft = text,
    };
    int rc = project_load(&options, &project, &all, err);
    for (size_t i = 0; i < all.count; i++) {
        const struct problem *p = &all.list[i];
        if (strcmp(p->file, file) != 0)
            continue;
        if (p->is_warning)
            problem_warn(ret, p->file, p->line, p->column, "%s", p->text);
        else
            problem_add(ret, p->file, p->line, p->column, "%s", p->text);
    }
    problems_sort(ret);
    problems_release(&all);
    project_unref(project);
    catalog_unref(catalog);
    free(file);
    return rc;
}

int engine_workflow(struct engine *engine, const char *id, struct json **ret, struct err *err)
{
    char *path = NULL, *text = NULL, version[CRYPTO_HEX_MAX];
    struct problems problems = PROBLEMS_INIT;
    int rc = path_of(engine, id, &path, err);
    rc = rc ? rc : file_read(path, path, LIMIT_YAML_BYTES, &text, NULL, err);
    free(path);
    if (rc)
        return rc;
    struct json *workflow = json_new_object();
    struct project *project = engine_project(engine);
    const struct workflow *deployed = project_workflow(project, str_from(id));
    char *file = xasprintf("workflows/%s.yaml", id);
    crypto_hash_hex(CRYPTO_SHA256, str_from(text), version);
    json_set_string(workflow, "id", id);
    json_set_string(workflow, "name", deployed ? deployed->name : id);
    json_set_string(workflow, "file", file);
    json_set_boolean(workflow, "active", deployed && !deployed->inactive);
    json_set_string(workflow, "version", version);
    json_set_string(workflow, "text", text);
    (void)json_set(workflow, "definition", definition_of(str_from(text)));
    struct err ignored = ERR_INIT; /* of runnel.yaml: not this file's */
    (void)!check(engine, id, str_from(text), &problems, &ignored);
    (void)json_set(workflow, "problems", problems_to_json(&problems));
    problems_release(&problems);
    project_unref(project);
    free(file);
    free(text);
    *ret = workflow;
    return 0;
}

/* ---- versions */

struct version_list {
    struct json *list;
    const char *current;
    struct str id;
};

static int each_version(void *ctx, struct str key, struct str value)
{
    struct version_list *versions = ctx;
    struct str id = STR_NONE;
    int64_t ms = 0;
    (void)str_cut(&key, '\x01', &id);
    if (!str_eq(id, versions->id) || num_parse_i64(key, &ms))
        return 0;
    struct json *item = json_append(versions->list, json_new_object());
    char text[CLOCK_TEXT_MAX];
    clock_format(ms, text);
    json_set_str(item, "version", value);
    json_set_string(item, "ts", text);
    json_set_boolean(item, "current", versions->current && str_eq_c(value, versions->current));
    return 0;
}

int engine_workflow_versions(struct engine *engine, const char *id, struct json **ret,
                             struct err *err)
{
    struct project *project = engine_project(engine);
    const struct workflow *deployed = project_workflow(project, str_from(id));
    struct store_view *view = NULL;
    struct version_list versions = {json_new_array(), deployed ? deployed->sha256 : NULL,
                                    str_from(id)};
    int rc = store_view_begin(engine->store, &view, err);
    if (rc == 0)
        (void)kv_each(STORE_VIEW(view), SPACE_VERSION_LOG, each_version, &versions);
    store_view_end(view);
    if (rc == 0 && !deployed && json_count(versions.list) == 0)
        rc = err_set(err, RN_ENOTFOUND, "there is no workflow \"%s\"", id);
    project_unref(project);
    struct json *newest_first = json_new_array();
    size_t count = json_count(versions.list);
    for (size_t i = count; i > 0 && rc == 0; i--)
        (void)json_append(newest_first, json_copy(json_at(versions.list, i - 1)));
    json_free(versions.list);
    if (rc)
        json_free(newest_first);
    else
        *ret = newest_first;
    return rc;
}

int engine_version(struct engine *engine, const char *version, struct json **ret, struct err *err)
{
    struct store_view *view = NULL;
    struct str text;
    int rc = store_view_begin(engine->store, &view, err);
    if (rc)
        return rc;
    if (strlen(version) != 64 ||
        kv_get(STORE_VIEW(view), SPACE_VERSIONS, str_from(version), &text)) {
        rc = err_set(err, RN_ENOTFOUND, "there is no version \"%.80s\"", version);
    } else {
        struct json *result = json_new_object();
        json_set_string(result, "version", version);
        json_set_str(result, "text", text);
        (void)json_set(result, "definition", definition_of(text));
        *ret = result;
    }
    store_view_end(view);
    return rc;
}

/* ---- edits */

static int apply_changes(const struct json *changes, char **text, struct err *err)
{
    int rc = 0;
    for (const struct json *c = json_first(changes); c && rc == 0; c = json_next(c)) {
        const char *path = json_get_c(c, "path");
        char *changed = NULL;
        if (!path || !json_get(c, "value"))
            return err_set(err, RN_EINVAL, "a change has a \"path\" and a \"value\"");
        rc = yaml_set(str_from(*text), path, json_get(c, "value"), &changed, err);
        if (rc == 0) {
            free(*text);
            *text = changed;
        }
    }
    return rc;
}

static int edit_text(const struct engine_edit *edit, char **text, struct err *err)
{
    char version[CRYPTO_HEX_MAX];
    crypto_hash_hex(CRYPTO_SHA256, str_from(*text), version);
    if (edit->base && strcmp(edit->base, version) != 0)
        return err_set(err, RN_ECONFLICT,
                       "the file has changed meanwhile: load it again and repeat the edit");
    if (edit->text && strlen(edit->text) > LIMIT_YAML_BYTES)
        return err_set(err, RN_ETOOBIG, "a workflow file has at most %zu bytes",
                       (size_t)LIMIT_YAML_BYTES);
    if (edit->text) {
        free(*text);
        *text = str_dup(str_n(edit->text, workflow_own_size(str_from(edit->text))));
        return 0;
    }
    return apply_changes(edit->changes, text, err);
}

int engine_workflow_edit(struct engine *engine, const char *id, const struct engine_edit *edit,
                         struct json **ret, struct err *err)
{
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
    char *path = NULL, *text = NULL, version[CRYPTO_HEX_MAX];
    struct problems problems = PROBLEMS_INIT, ignored = PROBLEMS_INIT;
    pthread_mutex_lock(&one_at_a_time);
    int rc = path_of(engine, id, &path, err);
    rc = rc ? rc : file_read(path, path, LIMIT_YAML_BYTES, &text, NULL, err);
    rc = rc ? rc : edit_text(edit, &text, err);
    rc = rc ? rc : check(engine, id, str_from(text), &problems, err);
    bool writes = rc == 0 && !edit->is_dry && problems_errors(&problems) == 0;
    if (writes)
        rc = write_file(path, str_from(text), err);
    if (rc == 0 && writes)
        rc = engine_reload(engine, &ignored, err);
    pthread_mutex_unlock(&one_at_a_time);
    if (rc == 0) {
        crypto_hash_hex(CRYPTO_SHA256, str_from(text), version);
        *ret = json_new_object();
        json_set_string(*ret, "text", text);
        json_set_string(*ret, "version", version);
        json_set_boolean(*ret, "written", writes);
        (void)json_set(*ret, "problems", problems_to_json(&problems));
    }
    problems_release(&problems);
    problems_release(&ignored);
    free(path);
    free(text);
    return rc;
}
