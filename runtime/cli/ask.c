#include "cli/ask.h"

#include "cli/prompt.h"

/* What is being chosen from. */
struct choice {
    struct client *client;
    const char *component;
    const struct prop_def *prop;
    const struct json *props;
    int64_t page;
    char *query;
    struct json *context; /* of the page before */
    struct json *answer;  /* the page: {options, context} */
};

static const struct json *list_of(const struct choice *choice)
{
    return json_get(choice->answer, "options");
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
    if (json_count(list) == 0)
        fprintf(stderr, "  there is no account of %s: `runnel accounts add NAME --app %s`\n",
                app ? app : "the app", app ? app : "APP");
    return answer;
}

static struct json *store_options(struct client *client)
{
    struct json *answer = json_new_object(), *stores = NULL;
    struct json *list = json_set(answer, "options", json_new_array());
    if (client_call(client, "GET", "data-stores", NULL, &stores, NULL) == 0)
        for (const struct json *s = json_first(stores); s; s = json_next(s)) {
            struct json *item = json_append(list, json_new_object());
            json_set_string(item, "label", json_get_c(s, "name"));
            json_set_string(item, "value", json_get_c(s, "name"));
        }
    json_free(stores);
    return answer;
}

/* What a prop's value is a name of: the member that holds the name; NULL: it is no name. */
static const char *named_by(const struct prop_def *prop)
{
    return prop->type == RN_APP ? "account" : prop->type == RN_DATA_STORE ? "store" : NULL;
}

/* Fetches the page that `choice` is at. */
static void load_page(struct choice *choice)
{
    struct json *body = json_new_object();
    struct err err = ERR_INIT;
    json_free(choice->answer);
    choice->answer = NULL;
    json_set_string(body, "component", choice->component);
    json_set_string(body, "prop", choice->prop->name);
    json_set_string(body, "query", choice->query);
    json_set_integer(body, "page", choice->page);
    if (choice->context)
        (void)json_set(body, "context", json_copy(choice->context));
    (void)json_set(body, "props", json_copy(choice->props));
    if (client_call(choice->client, "POST", "options", body, &choice->answer, &err)) {
        char *text = out_clean(err.text);
        fprintf(stderr, "  %s(no options: %s)%s\n", note_style("dim"), text, note_style("reset"));
        free(text);
    }
    json_free(body);
    json_free(choice->context);
    choice->context = json_copy(json_get(choice->answer, "context"));
}

static void show_options(const struct choice *choice)
{
    size_t n = 1;
    for (const struct json *o = json_first(list_of(choice)); o; o = json_next(o)) {
        const char *label = json_get_c(o, "label");
        char *value = json_is(json_get(o, "value"), JSON_STRING)
                          ? str_dup(json_get_text(o, "value"))
                          : json_text(json_get(o, "value"), NULL),
             *clean = out_clean(label ? label : value), *clean_value = out_clean(value);
        bool is_same = strcmp(clean, clean_value) == 0;
        fprintf(stderr, "  %3zu  %s%s%s%s%s\n", n++, clean, is_same ? "" : "  ", note_style("dim"),
                is_same ? "" : clean_value, note_style("reset"));
        free(value);
        free(clean);
        free(clean_value);
    }
    if (choice->page > 0 && n == 1)
        fprintf(stderr, "  (no more)\n");
}

/* Text as typed, in the prop's type; NULL with a complaint if it does not fit. */
static struct json *value_of(const struct prop_def *prop, const char *text)
{
    struct json *value = NULL;
    int64_t integer = 0;
    if (strncmp(text, "{{", 2) == 0)
        return json_new_string_c(text);
    if (named_by(prop) && *text != '{') {
        value = json_new_object();
        json_set_string(value, named_by(prop), text);
        return value;
    }
    if (prop->is_list && *text != '[') { /* "a, b" */
        struct str rest = str_from(text), part = STR_NONE;
        struct prop_def one = *prop;
        one.is_list = false;
        value = json_new_array();
        while (str_cut(&rest, ',', &part)) {
            char *item = str_dup(str_trim(part));
            struct json *typed = *item ? value_of(&one, item) : NULL;
            bool is_wrong = *item && !typed;
            (void)json_append(value, typed);
            free(item);
            if (is_wrong) {
                json_free(value);
                return NULL;
            }
        }
        return value;
    }
    if (prop->type == RN_INTEGER && !prop->is_list && num_parse_i64(str_from(text), &integer) == 0)
        return json_new_integer(integer);
    if (prop->type == RN_BOOLEAN && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0))
        return json_new_boolean(text[0] == 't');
    if (prop->type == RN_STRING && !prop->is_list)
        return json_new_string_c(text);
    if (json_parse(str_from(text), &value, NULL) == 0 &&
        (prop->type == RN_ANY || json_is(value, prop->is_list ? JSON_ARRAY : JSON_OBJECT)))
        return value;
    json_free(value);
    if (prop->type == RN_ANY)
        return json_new_string_c(text);
    fprintf(stderr, "  that is no %s\n", prop_type_name(prop->type, prop->is_list));
    return NULL;
}

/* The option with this number, or NULL. */
static const struct json *numbered(const struct choice *choice, struct str text)
{
    uint64_t number = 0;
    size_t count = json_count(list_of(choice));
    if (num_parse_u64(text, &number) || number < 1 || number > count)
        return NULL;
    return json_get(json_at(list_of(choice), number - 1), "value");
}

/* "2" or, for a list, "1, 3". NULL: these are no numbers of the list. */
static struct json *chosen(const struct choice *choice, const char *line)
{
    const struct prop_def *prop = choice->prop;
    if (named_by(prop)) {
        const struct json *value = numbered(choice, str_trim(str_from(line)));
        return value ? value_of(prop, json_c(value)) : NULL;
    }
    if (!prop->is_list)
        return json_copy(numbered(choice, str_trim(str_from(line))));
    struct json *list = json_new_array();
    struct str rest = str_from(line), part = STR_NONE;
    while (str_cut(&rest, ',', &part)) {
        const struct json *value = numbered(choice, str_trim(part));
        if (!value) {
            json_free(list);
            return NULL;
        }
        (void)json_append(list, json_copy(value));
    }
    return list;
}

/* "+": the next page; "/text": a search. True: the options have changed. */
static bool turn(struct choice *choice, const char *line)
{
    if (!choice->prop->has_remote_options)
        return false;
    if (strcmp(line, "+") == 0) {
        choice->page++;
    } else if (line[0] == '/') {
        free(choice->query);
        choice->query = xstrdup(line + 1);
        choice->page = 0;
        json_free(choice->context);
        choice->context = NULL;
    } else {
        return false;
    }
    load_page(choice);
    show_options(choice);
    return true;
}

static void introduce(const struct prop_def *prop)
{
    char *label = out_clean(prop->label), *description = out_clean(prop->description);
    fprintf(stderr, "%s%s%s (%s%s)%s%.300s\n", note_style("bold"), label, note_style("reset"),
            prop_type_name(prop->type, prop->is_list),
            prop->flags & RN_OPTIONAL ? ", optional" : "", *description ? ": " : "", description);
    free(label);
    free(description);
}

struct json *ask_prop(struct client *client, const char *component, const struct prop_def *prop,
                      const struct json *props)
{
    struct choice choice = {.client = client, .component = component, .prop = prop, .props = props};
    struct json *value = NULL;
    introduce(prop);
    if (prop->type == RN_APP)
        choice.answer = account_options(client, prop->app);
    else if (prop->type == RN_DATA_STORE)
        choice.answer = store_options(client);
    else if (prop->has_remote_options || prop->options)
        load_page(&choice);
    show_options(&choice);
    while (!value) {
        bool has_list = json_count(list_of(&choice)) > 0;
        char *question = xasprintf(
            "  %s%s%s: ",
            has_list && prop->is_list ? "numbers (1, 3) or values"
            : has_list                ? "number or value"
                                      : "value",
            prop->has_remote_options && has_list ? ", + for more" : "",
            prop->has_remote_options && prop->flags & RN_USE_QUERY ? ", /text to search" : "");
        char *line = prompt_line(question, prop->flags & RN_SECRET);
        free(question);
        if (!line || !*line) {
            free(line);
            break;
        }
        if (!turn(&choice, line))
            value = (value = chosen(&choice, line)) ? value : value_of(prop, line);
        free(line);
    }
    json_free(choice.answer);
    json_free(choice.context);
    free(choice.query);
    return value;
}
