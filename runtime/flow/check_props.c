/* Props against their declarations. Constants are checked exactly; a value that is one whole {{ …
 * }} may have any type and is checked when it is there; mixed text is a string. What comes out is
 * what the run gets: labels of picked options taken off, quoted integers made integers (Pipedream's
 * files quote them), numbers of string props made text, defaults filled in. */
#include "flow/load.h"
#include "flow/schedule.h"

enum { LISTED_MAX = 10 };

struct prop_check {
    const struct file *file;
    const struct use *use;
    const struct prop_def *prop;
    const struct json *value; /* as in the file, for places */
};

/* {"__lv": {"label": …, "value": …}} is Pipedream's form of a picked option: the value inside it.
 * */
static const struct json *unwrap(const struct json *value)
{
    const struct json *pair = json_count(value) == 1 ? json_get(value, "__lv") : NULL;
    const struct json *inner = json_get(pair, "value");
    return inner ? inner : value;
}

static struct json *reduce(const struct json *value)
{
    value = unwrap(value);
    if (json_is(value, JSON_ARRAY)) {
        struct json *list = json_new_array();
        for (const struct json *item = json_first(value); item; item = json_next(item))
            json_append(list, reduce(item));
        return list;
    }
    if (json_is(value, JSON_OBJECT)) {
        struct json *object = json_new_object();
        for (const struct json *item = json_first(value); item; item = json_next(item))
            json_add(object, json_name(item), reduce(item));
        return object;
    }
    return json_copy(value);
}

static const struct prop_def *find_prop(const struct use *use, const char *name)
{
    for (size_t i = 0; i < use->dynamic_count; i++)
        if (strcmp(use->dynamic[i].name, name) == 0)
            return &use->dynamic[i];
    for (size_t i = 0; i < use->component->prop_count; i++)
        if (strcmp(use->component->props[i].name, name) == 0)
            return &use->component->props[i];
    return NULL;
}

static const char *type_of(const struct prop_def *prop)
{
    return prop_type_name(prop->type, prop->is_list);
}

/* Props that nobody configures. */
static bool takes_no_value(const struct prop_def *prop)
{
    return prop->type == RN_HTTP_INTERFACE || prop->type == RN_DB_SERVICE ||
           prop->type == RN_ALERT || prop->type == RN_DIR;
}

/* -------------------------------------------------------------- accounts */

const char *account_app_of(const struct load *load, struct str name)
{
    for (size_t i = 0; i < load->project->account_count; i++)
        if (str_eq_c(name, load->project->accounts[i].name))
            return load->project->accounts[i].app;
    return load->accounts ? load->accounts(load->accounts_ctx, name) : NULL;
}

static const char *own_account(const struct load *load, const char *app)
{
    for (size_t i = 0; i < load->project->account_count; i++)
        if (strcmp(load->project->accounts[i].app, app) == 0)
            return load->project->accounts[i].name;
    return NULL;
}

static struct json *check_account(const struct prop_check *check, const struct json *value)
{
    const struct load *load = check->file->load;
    const char *app = check->prop->app ? check->prop->app : "";
    const char *own = own_account(load, app);
    if (json_get(value, "authProvisionId")) {
        at_value(check->file, value,
                 "prop \"%s\": authProvisionId is an account at Pipedream; write { account: %s }, "
                 "an account of %s in runnel.yaml",
                 check->prop->name, own ? own : "NAME", app);
        return NULL;
    }
    const struct json *name = json_get(value, "account");
    if (!json_is(name, JSON_STRING) || json_count(value) != 1) {
        char text[SHOWN_MAX];
        struct str given = json_is(value, JSON_STRING) ? json_str(value) : STR_NONE;
        const char *given_app = given.len ? account_app_of(load, given) : NULL;
        at_value(check->file, value,
                 "prop \"%s\" takes an account of %s: { account: " STR_FMT " }, not %s",
                 check->prop->name, app, STR_ARG(given_app ? given : str_from(own ? own : "NAME")),
                 shown(value, text));
        return NULL;
    }
    if (load->is_kept)
        return json_copy(value);
    const char *found = account_app_of(load, json_str(name));
    if (!found) {
        struct nearest nearest;
        nearest_init(&nearest, json_str(name));
        for (size_t i = 0; i < load->project->account_count; i++)
            nearest_offer(&nearest, load->project->accounts[i].name);
        char hint[NEAREST_TEXT_MAX];
        at_value(check->file, name, "there is no account \"" STR_FMT "\"%s",
                 STR_ARG(json_str(name)),
                 nearest.best ? nearest_text(&nearest, hint)
                              : ": declare it in runnel.yaml, or run `runnel accounts add`");
        return NULL;
    }
    if (strcmp(found, app) != 0 && !load->lookup.app(load->lookup.ctx, str_from(found)))
        return NULL; /* there is no such app: runnel.yaml is told */
    if (strcmp(found, app) != 0) {
        at_value(check->file, name,
                 "the account \"" STR_FMT "\" is one of %s; prop \"%s\" needs one of %s%s%s",
                 STR_ARG(json_str(name)), found, check->prop->name, app, own ? ", such as " : "",
                 own ? own : "");
        return NULL;
    }
    return json_copy(value);
}

/* --------------------------------------------------------------- scalars */

static void wrong_type(const struct prop_check *check, const struct json *value, const char *hint)
{
    char text[SHOWN_MAX];
    at_value(check->file, value, "prop \"%s\" of %s must be %s, not %s%s", check->prop->name,
             check->use->key,
             check->prop->is_list && value != check->value
                 ? prop_type_name(check->prop->type, false)
                 : type_of(check->prop),
             shown(value, text), hint);
}

static struct json *check_integer(const struct prop_check *check, const struct json *value)
{
    int64_t number;
    bool ok = json_is(value, JSON_NUMBER) ? json_to_i64(value, &number)
                                          : num_parse_i64(json_str(value), &number) == 0;
    if (!ok) {
        wrong_type(check, value, "");
        return NULL;
    }
    const struct prop_def *prop = check->prop;
    bool is_low = (prop->flags & RN_HAS_MIN) && number < prop->min,
         is_high = (prop->flags & RN_HAS_MAX) && number > prop->max;
    if (is_low || is_high) {
        at_value(check->file, value, "prop \"%s\" of %s must be at %s %lld, not %lld", prop->name,
                 check->use->key, is_low ? "least" : "most",
                 (long long)(is_low ? prop->min : prop->max), (long long)number);
        return NULL;
    }
    return json_new_integer(number);
}

static struct json *check_string(const struct prop_check *check, const struct json *value)
{
    if (json_is(value, JSON_NUMBER))
        return json_new_string(json_literal(value));
    if (!json_is(value, JSON_STRING)) {
        wrong_type(check, value, json_is(value, JSON_BOOLEAN) ? ": put it in quotes" : "");
        return NULL;
    }
    if ((check->prop->flags & RN_SECRET) && json_str(value).len > 0 && !check->file->load->is_kept)
        warn_value(
            check->file, value,
            "prop \"%s\" is a secret: keep it in .env and write \"{{process.env.NAME}}\" here",
            check->prop->name);
    return json_copy(value);
}

static bool is_option(const struct json *options, const struct json *value)
{
    for (const struct json *item = json_first(options); item; item = json_next(item)) {
        const struct json *offered = json_get(item, "value") ? json_get(item, "value") : item;
        if (json_equal(offered, value))
            return true;
        if (json_is(offered, JSON_NUMBER) && json_is(value, JSON_STRING) &&
            str_eq(json_literal(offered), json_str(value)))
            return true;
    }
    return false;
}

static bool check_option(const struct prop_check *check, const struct json *value,
                         const struct json *result)
{
    const struct json *options = check->prop->options;
    if (json_count(options) == 0 || check->prop->has_remote_options || is_option(options, result))
        return true;
    struct nearest nearest;
    nearest_init(&nearest, json_str(result));
    struct buf list = BUF_INIT(1000);
    size_t count = 0;
    for (const struct json *item = json_first(options); item; item = json_next(item)) {
        const struct json *offered = json_get(item, "value") ? json_get(item, "value") : item;
        char text[SHOWN_MAX];
        nearest_offer(&nearest, json_c(offered));
        if (count++ < LISTED_MAX)
            buf_addf(&list, "%s%s", count > 1 ? ", " : "", shown(offered, text));
    }
    char text[SHOWN_MAX], hint[NEAREST_TEXT_MAX];
    at_value(check->file, value, "prop \"%s\" of %s is one of %s%s, not %s%s", check->prop->name,
             check->use->key, buf_c(&list), count > LISTED_MAX ? ", …" : "", shown(value, text),
             nearest_text(&nearest, hint));
    buf_release(&list);
    return false;
}

static struct json *check_timer(const struct prop_check *check, const struct json *value)
{
    struct schedule *schedule = NULL;
    const struct json *where = NULL;
    struct err err = ERR_INIT;
    if (schedule_parse(value, true, &schedule, &where, &err)) {
        at_value(check->file, where, "prop \"%s\" of %s: %s", check->prop->name, check->use->key,
                 err.text);
        return NULL;
    }
    schedule_free(schedule);
    return json_copy(value);
}

static struct json *check_data_store(const struct prop_check *check, const struct json *value)
{
    const struct json *name = data_store_name(value), *wrong = NULL;
    char shown_text[SHOWN_MAX];
    if (has_expression(json_str(name)) || str_is_name(json_str(name), LIMIT_DATA_NAME))
        return reduce(value);
    for (const struct json *m = json_first(json_is(value, JSON_OBJECT) ? value : NULL); m;
         m = json_next(m))
        if (strcmp(json_name(m), "store") != 0 && strcmp(json_name(m), "storeId") != 0)
            wrong = m;
    if (name)
        at_value(
            check->file, name,
            "prop \"%s\" of %s: a data store's name has 1 to %d letters, digits, - _ ., not %s",
            check->prop->name, check->use->key, LIMIT_DATA_NAME, shown(name, shown_text));
    else if (wrong)
        at_name(check->file, wrong,
                "prop \"%s\" of %s takes a data store: { store: NAME }, without \"%s\"",
                check->prop->name, check->use->key, json_name(wrong));
    else
        at_value(check->file, value,
                 "prop \"%s\" of %s takes a data store: { store: NAME }, not %s", check->prop->name,
                 check->use->key, shown(value, shown_text));
    return NULL;
}

/* A constant of the prop's own type; of the element's for a list. NULL and a problem if it does not
 * fit. */
static struct json *check_constant(const struct prop_check *check, const struct json *value)
{
    switch (check->prop->type) {
    case RN_STRING:
        return check_string(check, value);
    case RN_INTEGER:
        return check_integer(check, value);
    case RN_BOOLEAN:
        if (json_is(value, JSON_BOOLEAN))
            return json_copy(value);
        wrong_type(check, value,
                   str_eq_c(json_str(value), "true") || str_eq_c(json_str(value), "false")
                       ? ": write it without quotes"
                       : "");
        return NULL;
    case RN_OBJECT:
    case RN_HTTP_REQUEST:
        if (json_is(value, JSON_OBJECT))
            return reduce(value);
        wrong_type(check, value, "");
        return NULL;
    case RN_TIMER_INTERFACE:
        return check_timer(check, value);
    case RN_DATA_STORE:
        return check_data_store(check, value);
    default:
        return reduce(value);
    }
}

/* One value, or one element of a list. */
static struct json *check_single(const struct prop_check *check, const struct json *value)
{
    value = unwrap(value);
    if (json_is(value, JSON_STRING) && has_expression(json_str(value))) {
        int type = check->prop->type;
        if (is_whole_expression(json_str(value)) || type == RN_STRING || type == RN_ANY ||
            type == RN_SQL || type == RN_DATA_STORE)
            return json_copy(value);
        at_value(check->file, value,
                 "prop \"%s\" of %s must be %s; text with {{ … }} in it is a string: make it one "
                 "whole {{ … }}",
                 check->prop->name, check->use->key, type_of(check->prop));
        return NULL;
    }
    struct json *result = check_constant(check, value);
    if (result && !check_option(check, value, result)) {
        json_free(result);
        return NULL;
    }
    return result;
}

static struct json *check_list(const struct prop_check *check, const struct json *value)
{
    if (json_is(value, JSON_STRING) && has_expression(json_str(value)) &&
        is_whole_expression(json_str(value)))
        return json_copy(value);
    if (!json_is(value, JSON_ARRAY)) {
        wrong_type(check, value, "");
        return NULL;
    }
    struct json *list = json_new_array();
    bool ok = true;
    for (const struct json *item = json_first(value); item; item = json_next(item)) {
        struct json *result = check_single(check, item);
        ok = ok && result;
        json_append(list, result);
    }
    if (ok)
        return list;
    json_free(list);
    return NULL;
}

static bool is_too_long(const struct prop_check *check)
{
    size_t size = 0;
    char *text = json_text(check->value, &size);
    free(text);
    if (size <= LIMIT_PROP_TEXT)
        return false;
    at_name(check->file, check->value,
            "the value of prop \"%s\" has %zu bytes; %zu are the most: let an expression make it, "
            "or keep it elsewhere",
            check->prop ? check->prop->name : json_name(check->value), size,
            (size_t)LIMIT_PROP_TEXT);
    return true;
}

static struct json *check_prop(const struct prop_check *check)
{
    if (is_too_long(check))
        return NULL;
    if (takes_no_value(check->prop)) {
        at_name(check->file, check->value, "prop \"%s\" of %s (%s) takes no value: leave it out",
                check->prop->name, check->use->key, type_of(check->prop));
        return NULL;
    }
    if (check->prop->type == RN_APP)
        return check_account(check, unwrap(check->value));
    return check->prop->is_list ? check_list(check, unwrap(check->value))
                                : check_single(check, check->value);
}

/* ----------------------------------------------------------------- whole */

static void report_unknown(const struct prop_check *check, const struct json *props,
                           bool is_certain)
{
    const struct use *use = check->use;
    struct nearest nearest;
    nearest_init(&nearest, str_from(json_name(check->value)));
    for (size_t i = 0; i < use->component->prop_count; i++)
        if (!json_get(props, use->component->props[i].name) &&
            !takes_no_value(&use->component->props[i]))
            nearest_offer(&nearest, use->component->props[i].name);
    for (size_t i = 0; i < use->dynamic_count; i++)
        nearest_offer(&nearest, use->dynamic[i].name);
    char hint[NEAREST_TEXT_MAX];
    if (is_certain)
        at_name(check->file, check->value, "%s has no prop \"%s\"%s", use->key,
                json_name(check->value), nearest_text(&nearest, hint));
    else if (nearest.best)
        warn_name(check->file, check->value,
                  "%s declares no prop \"%s\"; it is taken for a dynamic one%s", use->key,
                  json_name(check->value), nearest_text(&nearest, hint));
}

static bool app_needs_account(const struct load *load, const char *slug)
{
    const struct app_def *app = slug ? load->lookup.app(load->lookup.ctx, str_from(slug)) : NULL;
    return !app || json_count(app->auths) > 0;
}

/* Whether one of the unknown names is most likely meant for this prop. */
static bool is_misspelt(const struct use *use, const struct json *props, const char *name)
{
    if (use->component->has_additional_props)
        return false; /* it may be a dynamic one */
    for (const struct json *p = json_first(props); p; p = json_next(p)) {
        if (component_prop(use->component, str_from(json_name(p))))
            continue;
        struct nearest nearest;
        nearest_init(&nearest, str_from(json_name(p)));
        for (size_t i = 0; i < use->component->prop_count; i++)
            if (!json_get(props, use->component->props[i].name) &&
                !takes_no_value(&use->component->props[i]))
                nearest_offer(&nearest, use->component->props[i].name);
        if (nearest.best && strcmp(nearest.best, name) == 0)
            return true;
    }
    return false;
}

static void report_missing(const struct file *file, const struct json *owner, const struct use *use,
                           const struct prop_def *prop)
{
    const struct json *props = json_get(owner, "props");
    const struct json *at = props ? props : json_get(owner, "uses");
    if (is_misspelt(use, props, prop->name))
        return; /* said at the slip */
    if (prop->type == RN_APP) {
        const char *own = own_account(file->load, prop->app ? prop->app : "");
        at_name(file, at, "%s needs the prop \"%s\", an account of %s: { account: %s }", use->key,
                prop->name, prop->app ? prop->app : "its app", own ? own : "NAME");
        return;
    }
    at_name(file, at, "%s needs the prop \"%s\" (%s)", use->key, prop->name, type_of(prop));
}

static void fill_in(const struct file *file, const struct json *owner, const struct use *use,
                    const struct prop_def *prop, bool is_draft, const struct json *given,
                    struct json *props)
{
    const struct json *own = json_get(given, prop->name);
    if ((own && !json_is(own, JSON_NULL)) || json_get(props, prop->name))
        return; /* given, or given wrongly, which has been said */
    if (prop->default_value && !takes_no_value(prop)) {
        json_set(props, prop->name, json_copy(prop->default_value));
        return;
    }
    bool is_needed = !(prop->flags & RN_OPTIONAL) && !takes_no_value(prop) &&
                     prop->type != RN_TIMER_INTERFACE &&
                     !(prop->type == RN_APP && !app_needs_account(file->load, prop->app));
    if (is_needed && !is_draft && !file->load->is_kept)
        report_missing(file, owner, use, prop);
}

struct json *props_check(const struct file *file, const struct json *owner,
                         const struct json *props, const struct use *use, bool is_draft)
{
    struct json *result = json_new_object();
    for (const struct json *value = json_first(props); value; value = json_next(value)) {
        struct prop_check check = {.file = file, .use = use, .value = value};
        if (json_is(value, JSON_NULL))
            continue;
        if (use->component)
            check.prop = find_prop(use, json_name(value));
        if (!check.prop) {
            bool is_certain =
                use->component && (!use->component->has_additional_props || use->dynamic);
            if (use->component && !file->load->is_kept)
                report_unknown(&check, props, is_certain);
            if (!is_too_long(&check))
                json_add(result, json_name(value), reduce(value));
            continue;
        }
        struct json *checked = check_prop(&check);
        if (checked)
            json_add(result, json_name(value), checked);
    }
    for (size_t i = 0; use->component && i < use->component->prop_count; i++)
        fill_in(file, owner, use, &use->component->props[i], is_draft, props, result);
    for (size_t i = 0; use->component && i < use->dynamic_count; i++)
        fill_in(file, owner, use, &use->dynamic[i], is_draft, props, result);
    return result;
}
