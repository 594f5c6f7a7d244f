/* The catalog: descriptions of plugin files, read once, as tables. See catalog.h. */
#include "plugin/catalog.h"

#include "crypto/hmac.h"
#include "plugin/install.h"

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef RUNNEL_LIBDIR
#define RUNNEL_LIBDIR "lib"
#endif

struct entry {
    struct plugin_file file;
    struct json *json;
};

struct catalog {
    atomic_int refs;
    struct entry **entries;
    size_t entry_count;
    struct component_def *components;
    size_t component_count;
    struct app_def *apps;
    size_t app_count;
    char **problems;
    size_t problem_count;
};

/* ---- props */

static const struct {
    const char *name;
    int type;
} types[] = {
    {"string", RN_STRING},
    {"integer", RN_INTEGER},
    {"boolean", RN_BOOLEAN},
    {"object", RN_OBJECT},
    {"any", RN_ANY},
    {"app", RN_APP},
    {"$.interface.http", RN_HTTP_INTERFACE},
    {"$.interface.timer", RN_TIMER_INTERFACE},
    {"$.service.db", RN_DB_SERVICE},
    {"data_store", RN_DATA_STORE},
    {"http_request", RN_HTTP_REQUEST},
    {"alert", RN_ALERT},
    {"sql", RN_SQL},
    {"dir", RN_DIR},
};

static void read_flags(struct prop_def *def, const struct json *json)
{
    static const struct {
        const char *name;
        unsigned flag;
    } flags[] = {
        {"optional", RN_OPTIONAL},        {"secret", RN_SECRET},
        {"disabled", RN_DISABLED},        {"hidden", RN_HIDDEN},
        {"reloadProps", RN_RELOAD_PROPS}, {"useQuery", RN_USE_QUERY},
        {"withLabel", RN_WITH_LABEL},     {"customResponse", RN_CUSTOM_RESPONSE},
    };
    for (size_t i = 0; i < COUNT_OF(flags); i++)
        if (json_get_bool(json, flags[i].name, false))
            def->flags |= flags[i].flag;
    if (json_to_i64(json_get(json, "min"), &def->min))
        def->flags |= RN_HAS_MIN;
    if (json_to_i64(json_get(json, "max"), &def->max))
        def->flags |= RN_HAS_MAX;
}

static const char *text_or_empty(const struct json *json, const char *name)
{
    const char *text = json_get_c(json, name);
    return text ? text : "";
}

static void read_prop(struct prop_def *def, const struct json *json)
{
    struct str type = json_get_text(json, "type");
    def->is_list = str_ends(type, "[]");
    if (def->is_list)
        type.len -= 2;
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (str_eq_c(type, types[i].name))
            def->type = types[i].type;
    read_flags(def, json);
    def->name = text_or_empty(json, "name");
    def->label = json_get_c(json, "label") ? json_get_c(json, "label") : def->name;
    def->description = text_or_empty(json, "description");
    def->app = json_get_c(json, "app");
    def->default_value = json_get(json, "default");
    def->options = json_get(json, "options");
    def->has_remote_options = json_get_bool(json, "remoteOptions", false);
    def->json = json;
}

static struct prop_def *read_props(const struct json *list, size_t *ret_count)
{
    struct prop_def *defs = xcalloc(json_count(list), sizeof(*defs));
    size_t count = 0;
    for (const struct json *p = json_first(list); p; p = json_next(p))
        read_prop(&defs[count++], p);
    *ret_count = count;
    return defs;
}

struct prop_def *prop_defs_from_json(const struct json *list, size_t *ret_count,
                                     struct json **ret_backing)
{
    *ret_backing = json_copy(list);
    return read_props(*ret_backing, ret_count);
}

void prop_defs_free(struct prop_def *defs, struct json *backing)
{
    free(defs);
    json_free(backing);
}

/* ---- reading plugins */

static void add_problem(struct catalog *catalog, const char *file, const char *text)
{
    catalog->problems = xrealloc(catalog->problems, (catalog->problem_count + 1) * sizeof(char *));
    catalog->problems[catalog->problem_count++] = xasprintf("%s: %s", file, text);
}

static bool has_hook(const struct json *json, const char *name)
{
    for (const struct json *h = json_first(json_get(json, "hooks")); h; h = json_next(h))
        if (str_eq_c(json_str(h), name))
            return true;
    return false;
}

static void read_component(struct catalog *catalog, const struct entry *entry,
                           const struct json *json)
{
    static const char *const dedupe[] = {"", "unique", "greatest", "last"};
    catalog->components = xrealloc(catalog->components,
                                   (catalog->component_count + 1) * sizeof(*catalog->components));
    struct component_def *def = &catalog->components[catalog->component_count++];
    const struct json *hints = json_get(json, "annotations");
    *def = (struct component_def){
        .key = text_or_empty(json, "key"),
        .version = text_or_empty(json, "version"),
        .name = text_or_empty(json, "name"),
        .description = text_or_empty(json, "description"),
        .is_source = str_eq_c(json_get_text(json, "type"), "source"),
        .annotations = (json_get_bool(hints, "readOnlyHint", false) ? RN_READ_ONLY : 0) |
                       (json_get_bool(hints, "destructiveHint", false) ? RN_DESTRUCTIVE : 0) |
                       (json_get_bool(hints, "openWorldHint", false) ? RN_OPEN_WORLD : 0),
        .has_deploy = has_hook(json, "deploy"),
        .has_activate = has_hook(json, "activate"),
        .has_deactivate = has_hook(json, "deactivate"),
        .has_additional_props = json_get_bool(json, "additionalProps", false),
        .plugin = &entry->file,
        .json = json,
    };
    for (int i = 1; i < (int)COUNT_OF(dedupe); i++)
        if (str_eq_c(json_get_text(json, "dedupe"), dedupe[i]))
            def->dedupe = i;
    def->props = read_props(json_get(json, "props"), &def->prop_count);
}

static void read_entry(struct catalog *catalog, const struct entry *entry)
{
    for (const struct json *a = json_first(json_get(entry->json, "apps")); a; a = json_next(a)) {
        catalog->apps = xrealloc(catalog->apps, (catalog->app_count + 1) * sizeof(*catalog->apps));
        catalog->apps[catalog->app_count++] = (struct app_def){
            .slug = text_or_empty(a, "slug"),
            .name = text_or_empty(a, "name"),
            .has_test = json_get_bool(a, "hasTest", false),
            .auths = json_get(a, "auths"),
            .plugin = &entry->file,
            .json = a,
        };
    }
    for (const struct json *c = json_first(json_get(entry->json, "components")); c;
         c = json_next(c))
        read_component(catalog, entry, c);
}

static bool has_plugin(const struct catalog *catalog, const char *name)
{
    for (size_t i = 0; i < catalog->entry_count; i++)
        if (strcmp(catalog->entries[i]->file.name, name) == 0)
            return true;
    return false;
}

/* An installed plugin stands before the shipped one of the same name, which is then left out. */
static void add_file(struct catalog *catalog, const char *path, const char *data_dir,
                     bool is_installed)
{
    struct entry *entry = xcalloc(1, sizeof(*entry));
    struct err err = ERR_INIT;
    int rc = crypto_hash_file(path, entry->file.sha256, &err);
    rc = rc ? rc : describe_cached(path, entry->file.sha256, data_dir, &entry->json, &err);
    const char *name = json_get_c(entry->json, "name"),
               *version = json_get_c(entry->json, "version");
    if (rc || !name || has_plugin(catalog, name)) {
        if (rc)
            add_problem(catalog, path, err.text);
        json_free(entry->json);
        free(entry);
        return;
    }
    entry->file.path = xstrdup(path);
    entry->file.name = xstrdup(name);
    entry->file.version = xstrdup(version ? version : "");
    entry->file.is_installed = is_installed;
    catalog->entries =
        xrealloc(catalog->entries, (catalog->entry_count + 1) * sizeof(struct entry *));
    catalog->entries[catalog->entry_count++] = entry;
}

static int is_library(const struct dirent *entry)
{
    return str_ends(str_from(entry->d_name), ".so");
}

static void add_dir(struct catalog *catalog, const char *dir, const char *data_dir)
{
    struct dirent **list = NULL;
    int count = scandir(dir, &list, is_library, alphasort);
    for (int i = 0; i < count; i++) {
        char *path = xasprintf("%s/%s", dir, list[i]->d_name);
        add_file(catalog, path, data_dir, false);
        free(path);
        free(list[i]);
    }
    free(list);
}

static void add_installed(struct catalog *catalog, const char *data_dir)
{
    struct json *index = install_index(data_dir);
    for (const struct json *i = json_first(index); i; i = json_next(i)) {
        char *path = xasprintf("%s/components/%s.so", data_dir, json_c(i) ? json_c(i) : "");
        add_file(catalog, path, data_dir, true);
        free(path);
    }
    json_free(index);
}

/* <exe>/components in a build tree, <prefix>/<libdir>/runnel/components in an installation. */
static char *find_shipped(void)
{
    char exe[4096];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    if (n <= 0)
        return NULL;
    exe[n] = '\0';
    *strrchr(exe, '/') = '\0';
    char *dir = xasprintf("%s/components", exe);
    if (access(dir, F_OK)) {
        free(dir);
        dir = xasprintf("%s/../%s/runnel/components", exe, RUNNEL_LIBDIR);
    }
    return dir;
}

/* Newest first: numbers of a version compare as numbers. */
static int compare_versions(const char *a, const char *b)
{
    struct str left = str_from(a), right = str_from(b), x, y;
    for (int i = 0; i < 3; i++) {
        uint64_t m = 0, n = 0;
        x = y = STR_NONE;
        (void)str_cut(&left, '.', &x);
        (void)str_cut(&right, '.', &y);
        (void)!num_parse_u64(x, &m);
        (void)!num_parse_u64(y, &n);
        if (m != n)
            return m > n ? -1 : 1;
    }
    return strcmp(b, a);
}

static int by_key(const void *a, const void *b)
{
    const struct component_def *x = a, *y = b;
    int order = strcmp(x->key, y->key);
    return order ? order : compare_versions(x->version, y->version);
}

static int by_slug(const void *a, const void *b)
{
    return strcmp(((const struct app_def *)a)->slug, ((const struct app_def *)b)->slug);
}

int catalog_open(const char *shipped_dir, const char *data_dir, struct catalog **ret,
                 struct err *err)
{
    struct catalog *catalog = xcalloc(1, sizeof(*catalog));
    char *found = shipped_dir ? xstrdup(shipped_dir) : find_shipped();
    (void)err;
    atomic_init(&catalog->refs, 1);
    if (data_dir)
        add_installed(catalog, data_dir);
    if (found)
        add_dir(catalog, found, data_dir);
    for (size_t i = 0; i < catalog->entry_count; i++)
        read_entry(catalog, catalog->entries[i]);
    if (catalog->component_count)
        qsort(catalog->components, catalog->component_count, sizeof(*catalog->components), by_key);
    if (catalog->app_count)
        qsort(catalog->apps, catalog->app_count, sizeof(*catalog->apps), by_slug);
    free(found);
    *ret = catalog;
    return 0;
}

struct catalog *catalog_ref(struct catalog *catalog)
{
    atomic_fetch_add(&catalog->refs, 1);
    return catalog;
}

void catalog_unref(struct catalog *catalog)
{
    if (!catalog || atomic_fetch_sub(&catalog->refs, 1) != 1)
        return;
    for (size_t i = 0; i < catalog->component_count; i++)
        free(catalog->components[i].props);
    for (size_t i = 0; i < catalog->entry_count; i++) {
        struct entry *entry = catalog->entries[i];
        free(entry->file.path);
        free(entry->file.name);
        free(entry->file.version);
        json_free(entry->json);
        free(entry);
    }
    for (size_t i = 0; i < catalog->problem_count; i++)
        free(catalog->problems[i]);
    free(catalog->problems);
    free(catalog->entries);
    free(catalog->components);
    free(catalog->apps);
    free(catalog);
}

/* ---- looking up */

const struct component_def *catalog_component(const struct catalog *catalog, struct str key,
                                              const char *version)
{
    for (size_t i = 0; i < catalog->component_count; i++) {
        const struct component_def *def = &catalog->components[i];
        if (str_eq_c(key, def->key) && (!version || strcmp(version, def->version) == 0))
            return def;
    }
    return NULL;
}

const struct app_def *catalog_app(const struct catalog *catalog, struct str slug)
{
    for (size_t i = 0; i < catalog->app_count; i++)
        if (str_eq_c(slug, catalog->apps[i].slug))
            return &catalog->apps[i];
    return NULL;
}

size_t catalog_component_count(const struct catalog *catalog)
{
    return catalog->component_count;
}

const struct component_def *catalog_component_at(const struct catalog *catalog, size_t index)
{
    return &catalog->components[index];
}

size_t catalog_app_count(const struct catalog *catalog)
{
    return catalog->app_count;
}

const struct app_def *catalog_app_at(const struct catalog *catalog, size_t index)
{
    return &catalog->apps[index];
}

const char *catalog_problem(const struct catalog *catalog, size_t index)
{
    return index < catalog->problem_count ? catalog->problems[index] : NULL;
}

const char *catalog_nearest(const struct catalog *catalog, struct str key)
{
    const char *nearest = NULL;
    size_t least = key.len / 3 + 1;
    for (size_t i = 0; i < catalog->component_count; i++) {
        size_t distance = str_distance(key, str_from(catalog->components[i].key), least);
        if (distance <= least) {
            least = distance ? distance - 1 : 0;
            nearest = catalog->components[i].key;
        }
    }
    return nearest;
}

const struct prop_def *component_prop(const struct component_def *component, struct str name)
{
    for (size_t i = 0; i < component->prop_count; i++)
        if (str_eq_c(name, component->props[i].name))
            return &component->props[i];
    return NULL;
}
