/* The data_stores plugin: the project's data stores, from workflows without code. */
#include "data_stores.h"

#include <string.h>

#define OPTION(value_, label_) "{\"value\":\"" value_ "\",\"label\":\"" label_ "\"}"

/* The store's keys that hold the search text; the context is the key to go on behind. */
static int32_t key_options(struct rn_run *run, const struct rn_options_query *query)
{
    const char *after = rn_json_text(run, rn_json_get(run, query->prev_context, "after"), NULL);
    const struct rn_json *keys = NULL;
    bool has_more = true, has_offered = false;
    while (has_more && !has_offered) {
        int32_t err = rn_store_keys(run, DATA_STORE, after, &keys, &has_more);
        if (err)
            return err;
        for (const struct rn_json *k = rn_json_first(run, keys); k; k = rn_json_next(run, k)) {
            after = rn_json_text(run, k, NULL);
            if (query->query && query->query[0] && !strstr(after, query->query))
                continue;
            has_offered = true;
            rn_option(run, after, rn_json_string(run, after));
        }
    }
    if (has_more) {
        struct rn_json *context = rn_json_object(run);
        rn_json_set(run, context, "after", rn_json_string(run, after));
        rn_options_context(run, context);
    }
    return 0;
}

static const struct rn_prop definitions[] = {
    {.name = "dataStore",
     .type = RN_DATA_STORE,
     .label = "Data Store",
     .description = "The data store: `{ store: NAME }`. One that is not there yet is made by the "
                    "first record."},
    {.name = "key",
     .type = RN_STRING,
     .flags = RN_USE_QUERY,
     .label = "Key",
     .description = "The record's key, 1 to 256 bytes.",
     .options = key_options},
    {.name = "value",
     .type = RN_ANY,
     .label = "Value",
     .description = "Any JSON value. A text that is JSON (`[1,2]`, `42`, `true`) is taken for what "
                    "it says."},
    {.name = "ttl",
     .type = RN_INTEGER,
     .flags = RN_OPTIONAL | RN_HAS_MIN | RN_HAS_MAX,
     .min = 0,
     .max = 315360000,
     .label = "Time to Live (TTL)",
     .description = "After how many seconds the record is gone. 0 or nothing: it stays."},
    {.name = "addRecordIfNotFound",
     .type = RN_STRING,
     .flags = RN_OPTIONAL,
     .label = "Create a new record if the key is not found?",
     .description = "`Yes`: a record with the prop `value` is made if there is none.",
     .options_json = "[\"Yes\",\"No\"]"},
    {.name = "returnType",
     .type = RN_STRING,
     .label = "Return Type",
     .description = "How the records are returned.",
     .default_json = "\"object\"",
     .options_json = "[" OPTION("object", "One object with a member for each key") "," OPTION(
         "array", "A list of objects with `key` and `value`") "]"},
};

const struct rn_app data_stores_app = {
    .slug = "data_stores",
    .name = "Data Stores",
    .description = "Records by key that all workflows of the project share.",
    .prop_definitions = definitions,
    .prop_definition_count = RN_COUNT(definitions),
};

static const struct rn_app *const apps[] = {&data_stores_app};
static const struct rn_component *const components[] = {
    &data_stores_add_update_record,    &data_stores_add_update_multiple_records,
    &data_stores_append_to_record,     &data_stores_increment_record,
    &data_stores_get_record_or_create, &data_stores_has_key_or_create,
    &data_stores_update_ttl,           &data_stores_delete_single_record,
    &data_stores_delete_all_records,   &data_stores_list_keys,
    &data_stores_list_records,         &data_stores_get_difference,
    &data_stores_get_record_keys,
};

const struct rn_plugin runnel_plugin = {
    RN_PLUGIN_HEAD,
    .name = "data_stores",
    .version = "0.0.1",
    .apps = apps,
    .app_count = RN_COUNT(apps),
    .component_count = RN_COUNT(components),
    .components = components,
};
