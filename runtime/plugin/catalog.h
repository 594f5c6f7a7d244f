/* Which components there are: from the plugins shipped beside the binary and those installed in the
 * project.
 *
 * A plugin is described in a throw-away process (`runnel plugin-host --describe FILE`), which loads
 * it, checks its tables and prints JSON; the description is kept by the file's SHA-256 in
 * <data>/cache, so that a known plugin costs one hash at start. The runtime never loads a plugin
 * itself. Installed plugins stand as <data>/components/<sha256>.so; <data>/components/index.json
 * says which are in use. An old version stays until nothing uses it. Immutable snapshots: a catalog
 * is built, then read by many threads; a change builds a new one. */
#ifndef RUNNEL_PLUGIN_CATALOG_H
#define RUNNEL_PLUGIN_CATALOG_H

#include "base/err.h"
#include "base/map.h"
#include "json/json.h"

#include <runnel/component.h>

struct plugin_file {
    char *path; /* the .so */
    char sha256[65];
    char *name; /* the descriptor's: an app's slug */
    char *version;
    bool is_installed; /* in the project; else shipped */
};

struct prop_def {
    const char *name;
    int type; /* RN_STRING …, without RN_LIST */
    bool is_list;
    unsigned flags;                   /* RN_OPTIONAL … */
    const char *label;                /* never NULL */
    const char *description;          /* "" if none */
    const char *app;                  /* RN_APP: slug */
    const struct json *default_value; /* or NULL */
    const struct json *options;       /* static options as [{label, value}], or NULL */
    bool has_remote_options;          /* options() exists */
    int64_t min, max;                 /* with RN_HAS_MIN, RN_HAS_MAX */
    /* the whole description, as `components show --json` prints it */
    const struct json *json;
};

struct app_def {
    const char *slug;
    const char *name;
    bool has_test;
    /* [{kind:"keys"|"oauth2_refresh"|"google_service_account", label,
     *   fields:[{name, label, description, secret, optional, default}], token_url, scope}] */
    const struct json *auths;
    const struct plugin_file *plugin;
    const struct json *json;
};

struct component_def {
    const char *key;
    const char *version;
    const char *name;
    const char *description;
    bool is_source; /* else an action */
    unsigned annotations;
    int dedupe;
    bool has_deploy, has_activate, has_deactivate, has_additional_props;
    struct prop_def *props; /* prop definitions merged in */
    size_t prop_count;
    const struct plugin_file *plugin;
    const struct json *json;
};

struct catalog;

/* Reads the shipped plugins of `shipped_dir` (NULL: those of this program: <exe>/components or
 * <prefix>/lib…/runnel/components) and the installed ones of `data_dir` (NULL: none). A plugin that
 * cannot be described is left out; the reason is kept (catalog_problem). */
int catalog_open(const char *shipped_dir, const char *data_dir, struct catalog **ret,
                 struct err *err) MUST_USE;
struct catalog *catalog_ref(struct catalog *catalog);
void catalog_unref(struct catalog *catalog);

/* `version` NULL: the newest. NULL if there is none. */
const struct component_def *catalog_component(const struct catalog *catalog, struct str key,
                                              const char *version);
const struct app_def *catalog_app(const struct catalog *catalog, struct str slug);
size_t catalog_component_count(const struct catalog *catalog);
/* sorted by key, newest version first */
const struct component_def *catalog_component_at(const struct catalog *catalog, size_t index);
size_t catalog_app_count(const struct catalog *catalog);
const struct app_def *catalog_app_at(const struct catalog *catalog, size_t index);
/* Plugins that were left out: "file: reason"; NULL past the end. */
const char *catalog_problem(const struct catalog *catalog, size_t index);
/* The key nearest to a wrong one, or NULL. */
const char *catalog_nearest(const struct catalog *catalog, struct str key);
const struct prop_def *component_prop(const struct component_def *component, struct str name);
/* Builds prop_defs from descriptions (dynamic props). The array and the copy it points into are
 * freed with prop_defs_free. */
struct prop_def *prop_defs_from_json(const struct json *list, size_t *ret_count,
                                     struct json **ret_backing);
void prop_defs_free(struct prop_def *defs, struct json *backing);
const char *prop_type_name(int type, bool is_list); /* "string[]", "$.interface.http" … */

/* Checks a plugin in a throw-away process, copies it to <data_dir>/components/<sha256>.so and makes
 * it the one in use for its app. *ret_description: what it holds. RN_EABI, RN_EINVAL … with a text
 * that says what is wrong in which table and what to do. */
int catalog_install(const char *data_dir, const char *file, struct json **ret_description,
                    struct err *err) MUST_USE;
/* Takes an installed plugin out of use by its app's slug; the shipped one, if there is one, is in
 * use again. */
int catalog_uninstall(const char *data_dir, const char *name, struct err *err) MUST_USE;
/* The description of one file, from a throw-away process. */
int plugin_describe_file(const char *file, struct json **ret, struct err *err) MUST_USE;

/* What `runnel plugin-host` does: `--describe FILE`, or `--plugin FILE --sha256 HEX` serving calls
 * on descriptor 3. */
int plugin_host_main(int argc, char **argv);

#endif
