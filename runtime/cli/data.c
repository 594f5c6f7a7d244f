/* `runnel data`: looking into data stores, and changing them by hand. */
#include "cli/cli.h"

#include "base/str.h"

enum { TTL };

static const struct option_spec options[] = {
    [TTL] = {"--ttl", "TIME", "set: the record expires after this time (30m, 7d)"},
};

static int run_list(const struct args *args)
{
    static const struct column columns[] = {
        {"STORE", "name"}, {"KEYS", "keys"}, {"BYTES", "bytes"}};
    return cli_list(args, "data-stores", columns, COUNT_OF(columns),
                    "there is no data store: a step with a data_store prop makes one");
}

/* One request; `value` (taken) may be NULL. *ret: the answer. */
static int ask(const struct args *args, const char *op, const char *key, struct json *value,
               int64_t ttl_ms, struct json **ret)
{
    struct client *client = client_open(args->project, true);
    struct json *body = json_new_object();
    struct err err = ERR_INIT;
    json_set_string(body, "op", op);
    json_set_string(body, "store", args->positional[0]);
    json_set_string(body, "key", key);
    (void)json_set(body, "value", value);
    if (ttl_ms)
        json_set_integer(body, "ttl_ms", ttl_ms);
    int rc = client ? client_call(client, "POST", "data-stores", body, ret, &err) : 0;
    bool was_open = client != NULL;
    client_close(client);
    json_free(body);
    return !was_open ? 1 : rc ? out_error(&err) : 0;
}

static int run_get(const struct args *args)
{
    struct json *answer = NULL;
    struct err err = ERR_INIT;
    if (ask(args, "get", args->positional[1], NULL, 0, &answer))
        return 1;
    bool is_found = json_get_bool(answer, "found", false);
    if (is_found)
        out_json(json_get(answer, "value"));
    json_free(answer);
    if (is_found)
        return 0;
    (void)err_set(&err, RN_ENOTFOUND, "the store %s has no key \"%s\" (`runnel data keys %s`)",
                  args->positional[0], args->positional[1], args->positional[0]);
    return out_error(&err);
}

static int run_keys(const struct args *args)
{
    struct json *answer = NULL;
    if (ask(args, "keys", NULL, NULL, 0, &answer))
        return 1;
    const struct json *keys = json_get(answer, "keys");
    if (args->is_json)
        out_json(keys);
    for (const struct json *k = json_first(keys); k && !args->is_json; k = json_next(k)) {
        char *shown = out_clean(json_c(k) ? json_c(k) : "");
        printf("%s\n", shown);
        free(shown);
    }
    if (json_get_bool(answer, "more", false))
        fprintf(stderr, "there are more keys\n");
    json_free(answer);
    return 0;
}

/* JSON, or else the text as it is. */
static int run_set(const struct args *args)
{
    struct json *value = NULL, *answer = NULL;
    int64_t ttl_ms = 0;
    struct str text = str_from(args->positional[2]);
    if (args->options[TTL] &&
        (num_parse_duration(str_from(args->options[TTL]), &ttl_ms) || ttl_ms <= 0))
        return cli_wrong(args, "--ttl is a time with its unit (30m, 7d), not %s",
                         args->options[TTL]);
    if (json_parse(text, &value, NULL))
        value = json_new_string(text);
    int rc = ask(args, "set", args->positional[1], value, ttl_ms, &answer);
    if (rc == 0 && args->is_json)
        out_json(answer);
    json_free(answer);
    return rc;
}

static int run_delete(const struct args *args)
{
    struct json *answer = NULL;
    if (ask(args, "delete", args->positional[1], NULL, 0, &answer))
        return 1;
    if (args->is_json)
        out_json(answer);
    else
        printf("%s\n", json_get_bool(answer, "found", false) ? "deleted" : "it was not there");
    json_free(answer);
    return 0;
}

static int run_clear(const struct args *args)
{
    struct json *answer = NULL;
    if (ask(args, "clear", NULL, NULL, 0, &answer))
        return 1;
    int64_t count = json_get_i64(answer, "count", 0);
    if (args->is_json)
        out_json(answer);
    else
        printf("%lld record%s deleted\n", (long long)count, count == 1 ? "" : "s");
    json_free(answer);
    return 0;
}

static const struct verb verbs[] = {
    {"list", "", "the data stores, with their keys and bytes", 0, 0, run_list},
    {"keys", "STORE", "the keys of a store, 1,000 at most", 1, 1, run_keys},
    {"get", "STORE KEY", "the value of a key, as JSON", 2, 2, run_get},
    {"set", "STORE KEY VALUE", "set a key: JSON, or a text", 3, 3, run_set},
    {"delete", "STORE KEY", "delete a key", 2, 2, run_delete},
    {"clear", "STORE", "delete all records of a store", 1, 1, run_clear},
};

const struct command command_data = {
    .name = "data",
    .usage = "",
    .summary = "data stores: what steps keep from run to run",
    .help = "Data stores are shared by all workflows of a project.",
    .examples = "runnel data\nrunnel data get customers ann\nrunnel data set customers ann "
                "'{\"visits\":3}' --ttl 7d",
    .options = options,
    .option_count = COUNT_OF(options),
    .verbs = verbs,
    .verb_count = COUNT_OF(verbs),
};
