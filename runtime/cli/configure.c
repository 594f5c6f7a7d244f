/* `runnel configure WORKFLOW`: asks for each prop that a trigger or step still lacks, with the
 * component's live options, and writes the file without touching anything else in it. */
#include "cli/cli.h"
#include "cli/prompt.h"

#include "base/limits.h"
#include "flow/yaml.h"
#include "plugin/catalog.h"

#include <unistd.h>

static const struct option_spec options[] = {
    {"--project", "DIR", "the project's folder (the current one)"},
    {"--all", NULL, "ask for optional props too"},
};

static char *read_text(const char *path, struct err *err)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        (void)err_set(err, RN_ENOTFOUND, "%s cannot be read", path);
        return NULL;
    }
    struct buf text = BUF_INIT(LIMIT_YAML_BYTES);
    char chunk[65536];
    size_t n;
    while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0)
        buf_add(&text, chunk, n);
    fclose(file);
    return buf_take(&text, NULL);
}

static int write_text(const char *path, const char *text, struct err *err)
{
    char *draft = xasprintf("%s.draft", path);
    FILE *file = fopen(draft, "we");
    int rc = 0;
    if (!file || fputs(text, file) == EOF || fclose(file) || rename(draft, path))
        rc = err_set(err, RN_EIO, "%s cannot be written", path);
    free(draft);
    return rc;
}

/* Text as typed, in the prop's type; NULL with a complaint if it does not fit. */
static struct json *value_of(const struct prop_def *prop, const char *text)
{
    struct json *value = NULL;
    int64_t integer = 0;
    if (strncmp(text, "{{", 2) == 0)
        return json_new_string_c(text);
    if (prop->type == RN_APP) {
        value = json_new_object();
        json_set_string(value, "account", text);
        return value;
    }
    if (prop->type == RN_INTEGER && !prop->is_list && num_parse_i64(str_from(text), &integer) == 0)
        return json_new_integer(integer);
    if (prop->type == RN_BOOLEAN && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0))
        return json_new_boolean(text[0] == 't');
    if (prop->type == RN_STRING && !prop->is_list)
        return json_new_string_c(text);
    if (json_parse(str_from(text), &value, NULL) == 0)
        return value;
    if (prop->type == RN_ANY || prop->type == RN_OBJECT)
        return json_new_string_c(text);
    fprintf(stderr, "  that is no %s\n", prop_type_name(prop->type, prop->is_list));
    return NULL;
}

static struct json *live_options(struct client *client, const char *component, const char *prop,
                                 const struct json *props)
{
    struct json *body = json_new_object(), *answer = NULL;
    struct err err = ERR_INIT;
    json_set_string(body, "component", component);
    json_set_string(body, "prop", prop);
    (void)json_set(body, "props", json_copy(props));
    if (client_call(client, "POST", "options", body, &answer, &err))
        fprintf(stderr, "  (no options: %s)\n", err.text);
    json_free(body);
    return answer;
}

static struct json *account_options(struct client *client, const char *app)
{
    struct json *answer = json_new_object(), *accounts = NULL;
    struct json *list = json_set(answer, "options", json_new_array());
    if (client_call(client, "GET", "accounts", NULL, &accounts, NULL) == 0) {
        for (const struct json *a = json_first(accounts); a; a = json_next(a)) {
            if (!app || !str_eq_c(json_get_text(a, "app"), app))
                continue;
            struct json *item = json_append(list, json_new_object());
            json_set_string(item, "label", json_get_c(a, "name"));
            json_set_string(item, "value", json_get_c(a, "name"));
        }
    }
    json_free(accounts);
    return answer;
}

static bool has_value_to_ask(const struct prop_def *prop)
{
    return prop->type != RN_ALERT && prop->type != RN_HTTP_INTERFACE &&
           prop->type != RN_TIMER_INTERFACE && prop->type != RN_DB_SERVICE &&
           !(prop->flags & (RN_HIDDEN | RN_DISABLED));
}

/* One prop: shows its options, reads an answer (a number of the list, or a value). NULL: left out.
 */
static struct json *ask(struct client *client, const struct component_def *component,
                        const struct prop_def *prop, const struct json *props)
{
    struct json *answer = prop->type == RN_APP ? account_options(client, prop->app)
                          : prop->has_remote_options || prop->options
                              ? live_options(client, component->key, prop->name, props)
                              : NULL;
    const struct json *list = json_get(answer, "options");
    size_t count = json_count(list), n = 1;
    fprintf(stderr, "%s%s%s (%s)%s%.200s\n", out_bold(), prop->label, out_reset(),
            prop_type_name(prop->type, prop->is_list), *prop->description ? ": " : "",
            prop->description);
    for (const struct json *o = json_first(list); o; o = json_next(o))
        fprintf(stderr, "  %zu  %s\n", n++, json_get_c(o, "label"));
    struct json *value = NULL;
    for (;;) {
        char *line =
            prompt_line(count ? "  number or value: " : "  value: ", prop->flags & RN_SECRET);
        uint64_t number = 0;
        if (!line || !*line) {
            free(line);
            break;
        }
        const struct json *chosen =
            num_parse_u64(str_from(line), &number) == 0 && number >= 1 && number <= count
                ? json_at(list, number - 1)
                : NULL;
        if (chosen && prop->type != RN_APP)
            value = json_copy(json_get(chosen, "value"));
        else
            value = value_of(prop, chosen ? json_get_c(chosen, "value") : line);
        free(line);
        if (value)
            break;
    }
    json_free(answer);
    return value;
}

static int configure_use(struct client *client, struct catalog *catalog, const struct json *item,
                         const char *where, bool asks_all, char **text, size_t *ret_count,
                         struct err *err)
{
    struct str uses = json_get_text(item, "uses"), key = STR_NONE;
    if (!uses.len)
        return 0;
    (void)str_cut(&uses, '@', &key);
    const struct component_def *component = catalog_component(catalog, key, NULL);
    if (!component)
        return 0; /* `runnel check` says so */
    struct json *props =
        json_get(item, "props") ? json_copy(json_get(item, "props")) : json_new_object();
    fprintf(stderr, "\n%s (%s)\n", where, component->key);
    int rc = 0;
    for (size_t i = 0; i < component->prop_count && rc == 0; i++) {
        const struct prop_def *prop = &component->props[i];
        if (json_get(props, prop->name) || !has_value_to_ask(prop) ||
            (!asks_all && (prop->flags & RN_OPTIONAL || prop->default_value)))
            continue;
        struct json *value = ask(client, component, prop, props);
        if (!value)
            continue;
        char *path = xasprintf("%s.props.%s", where, prop->name), *changed = NULL;
        rc = yaml_set(str_from(*text), path, value, &changed, err);
        if (rc == 0) {
            free(*text);
            *text = changed;
            (*ret_count)++;
        }
        (void)json_set(props, prop->name, value);
        free(path);
    }
    json_free(props);
    return rc;
}

static int run(const struct args *args)
{
    const char *dir = cli_project(args->options[0]);
    struct err err = ERR_INIT;
    char *path = xasprintf("%s/workflows/%s%s", dir, args->positional[0],
                           str_ends(str_from(args->positional[0]), ".yaml") ? "" : ".yaml");
    char *data = xasprintf("%s/.runnel", dir), *text = read_text(path, &err);
    struct problems problems = PROBLEMS_INIT;
    struct yaml_doc *doc = text ? yaml_parse(path, str_from(text), &problems) : NULL;
    struct catalog *catalog = NULL;
    struct client *client = NULL;
    size_t count = 0;
    int rc = text ? 0 : RN_ENOTFOUND;
    if (text && !doc)
        rc = err_set(&err, RN_EINVAL, "%s is no YAML: `runnel check` says why", path);
    rc = rc ? rc : catalog_open(NULL, access(data, F_OK) == 0 ? data : NULL, &catalog, &err);
    if (rc == 0 && !(client = client_open(dir, true)))
        rc = err_set(&err, RN_EUNAVAILABLE, "without a runtime there are no options");
    static const char *const lists[] = {"triggers", "steps"};
    for (size_t l = 0; l < COUNT_OF(lists) && rc == 0; l++) {
        size_t i = 0;
        for (const struct json *item = json_first(json_get(yaml_root(doc), lists[l]));
             item && rc == 0; item = json_next(item)) {
            char *where = xasprintf("%s[%zu]", lists[l], i++);
            rc = configure_use(client, catalog, item, where, args->options[1] != NULL, &text,
                               &count, &err);
            free(where);
        }
    }
    if (rc == 0 && count)
        rc = write_text(path, text, &err);
    if (rc == 0)
        printf("%s: %zu prop%s set\n", path, count, count == 1 ? "" : "s");
    client_close(client);
    catalog_unref(catalog);
    yaml_free(doc);
    problems_release(&problems);
    free(text);
    free(data);
    free(path);
    return rc ? out_error(&err) : 0;
}

const struct command command_configure = {
    .name = "configure",
    .usage = "configure WORKFLOW [--all]",
    .summary = "ask for the props that a workflow still lacks, with live options",
    .help = "Each required prop without a value is asked for; an empty answer leaves it out. The "
            "file keeps its comments and its order.",
    .options = options,
    .option_count = COUNT_OF(options),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
