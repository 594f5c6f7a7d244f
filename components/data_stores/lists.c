/* The actions that return many records or keys. What they return is written as JSON text and read
 * once: an object that is filled member by member is searched for each. */
#include "data_stores.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading a store */

int32_t ds_each(struct rn_run *run, const char *prop,
                int32_t (*each)(struct rn_run *run, void *ctx, const char *key,
                                const struct rn_json *value),
                void *ctx)
{
    const char *key = NULL;
    bool has_more = true;
    int32_t err = 0;
    while (has_more && !err) {
        const struct rn_json *items = NULL;
        err = rn_store_items(run, prop, key, &items, &has_more);
        for (const struct rn_json *i = rn_json_first(run, items); i && !err;
             i = rn_json_next(run, i)) {
            const struct rn_json *name = rn_json_first(run, i);
            key = rn_json_text(run, name, NULL);
            err = each(run, ctx, key, rn_json_next(run, name));
        }
    }
    return err;
}

/* ---- what is returned */

struct records {
    bool is_array; /* of {key, value}; else one object */
    size_t count;
    const char **parts; /* of the JSON text */
    size_t part_count, capacity;
};

static int32_t records_init(struct rn_run *run, struct records *records)
{
    const char *type = rn_prop_string(run, "returnType");
    *records = (struct records){.is_array = type && strcmp(type, "array") == 0};
    return type && !records->is_array && strcmp(type, "object") != 0
               ? rn_fail(run, RN_ECONFIG,
                         RN_TEXT(run, "`returnType` is object or array, not ", type))
               : 0;
}

static int32_t put(struct rn_run *run, struct records *records, const char *part)
{
    if (records->part_count == records->capacity) {
        size_t capacity = records->capacity ? 2 * records->capacity : 256;
        const char **parts = realloc(records->parts, capacity * sizeof(*parts));
        if (!parts)
            return rn_fail(run, RN_ENOMEM, "there is no memory for so many records");
        records->parts = parts;
        records->capacity = capacity;
    }
    records->parts[records->part_count++] = part;
    return 0;
}

static int32_t add_record(struct rn_run *run, void *ctx, const char *key,
                          const struct rn_json *value)
{
    struct records *records = ctx;
    const char *parts[] = {records->count++ ? "," : "",
                           records->is_array ? "{\"key\":" : NULL,
                           rn_json_print(run, rn_json_string(run, key), NULL),
                           records->is_array ? ",\"value\":" : ":",
                           rn_json_print(run, value, NULL),
                           records->is_array ? "}" : NULL};
    return put(run, records, rn_text(run, parts, sizeof(parts) / sizeof(parts[0])));
}

/* Returns them, says how many; frees. */
static int32_t records_return(struct rn_run *run, struct records *records, int32_t err)
{
    const char *text = err ? NULL : rn_text(run, records->parts, records->part_count);
    free(records->parts);
    if (err)
        return err;
    text = RN_TEXT(run, records->is_array ? "[" : "{", text, records->is_array ? "]" : "}");
    char number[32];
    (void)snprintf(number, sizeof(number), "%zu", records->count);
    rn_summary(run, records->count ? RN_TEXT(run, "Found ", number,
                                             records->count == 1 ? " record" : " records")
                                   : "Found no records");
    return rn_return(run, rn_json_parse(run, text, strlen(text)));
}

/* ---- data_stores-list-keys */

static int32_t list_keys(struct rn_run *run)
{
    struct rn_json *all = rn_json_array(run);
    const char *after = NULL;
    bool has_more = true;
    while (has_more) {
        const struct rn_json *keys = NULL;
        int32_t err = rn_store_keys(run, DATA_STORE, after, &keys, &has_more);
        if (err)
            return err;
        for (const struct rn_json *k = rn_json_first(run, keys); k; k = rn_json_next(run, k)) {
            after = rn_json_text(run, k, NULL);
            rn_json_append(run, all, rn_json_string(run, after));
        }
    }
    char number[32];
    (void)snprintf(number, sizeof(number), "%zu", rn_json_size(run, all));
    rn_summary(run,
               after ? RN_TEXT(run, "Found ", number, strcmp(number, "1") == 0 ? " key" : " keys")
                     : "Found no keys");
    return rn_return(run, all);
}

static const struct rn_prop keys_props[] = {DS_APP, DS_OWN("dataStore")};

const struct rn_component data_stores_list_keys = {
    .key = "data_stores-list-keys",
    .name = "List keys",
    .version = "0.0.4",
    .description = "Returns the keys of a data store, in the order of their bytes.",
    .type = RN_ACTION,
    .annotations = RN_READ_ONLY,
    .props = keys_props,
    .prop_count = RN_COUNT(keys_props),
    .run = list_keys,
};

/* ---- data_stores-list-records */

static int32_t list_records(struct rn_run *run)
{
    struct records records;
    const struct rn_json *keys = rn_prop(run, "keys");
    int32_t err = records_init(run, &records);
    if (!err && rn_json_size(run, keys) == 0)
        return records_return(run, &records, ds_each(run, DATA_STORE, add_record, &records));
    for (const struct rn_json *k = rn_json_first(run, keys); k && !err; k = rn_json_next(run, k)) {
        const struct rn_json *value = NULL;
        const char *key = rn_json_text(run, k, NULL);
        err = rn_store_get(run, DATA_STORE, key ? key : rn_json_print(run, k, NULL), &value);
        if (!err && value)
            err = add_record(run, &records, key ? key : rn_json_print(run, k, NULL), value);
    }
    return records_return(run, &records, err);
}

static const struct rn_prop records_props[] = {
    DS_APP,
    DS_OWN("dataStore"),
    {.name = "keys",
     .definition_of = "app",
     .definition = "key",
     .type = RN_STRING | RN_LIST,
     .flags = RN_OPTIONAL,
     .label = "Keys",
     .description = "Which records; nothing: all of them."},
    DS_OWN("returnType")};

const struct rn_component data_stores_list_records = {
    .key = "data_stores-list-records",
    .name = "List Records",
    .version = "0.0.5",
    .description = "Returns records of a data store; those of `keys` that are not there are left "
                   "out. All that a step returns is 16 MiB at most.",
    .type = RN_ACTION,
    .annotations = RN_READ_ONLY,
    .props = records_props,
    .prop_count = RN_COUNT(records_props),
    .run = list_records,
};

/* ---- data_stores-get-difference */

/* The keys of the other store, which come in the same order. */
struct other {
    struct records records;
    const struct rn_json *keys; /* a page */
    const struct rn_json *at;   /* in it */
    const char *key;            /* the one at `at`, or the last that there was */
    bool has_more;
};

static int32_t step(struct rn_run *run, struct other *other)
{
    int32_t err = 0;
    other->at = other->at ? rn_json_next(run, other->at) : NULL;
    if (!other->at && other->has_more) {
        err = rn_store_keys(run, "dataStoreB", other->key, &other->keys, &other->has_more);
        other->at = rn_json_first(run, other->keys);
    }
    if (other->at)
        other->key = rn_json_text(run, other->at, NULL);
    return err;
}

static int32_t add_if_missing(struct rn_run *run, void *ctx, const char *key,
                              const struct rn_json *value)
{
    struct other *other = ctx;
    int32_t err = 0;
    while (!err && other->at && strcmp(other->key, key) < 0)
        err = step(run, other);
    if (err || (other->at && strcmp(other->key, key) == 0))
        return err;
    return add_record(run, &other->records, key, value);
}

static int32_t get_difference(struct rn_run *run)
{
    struct other other = {.has_more = true};
    int32_t err = records_init(run, &other.records);
    if (!err)
        err = step(run, &other);
    if (!err)
        err = ds_each(run, "dataStoreA", add_if_missing, &other);
    return records_return(run, &other.records, err);
}

static const struct rn_prop difference_props[] = {DS_APP,
                                                  {.name = "dataStoreA",
                                                   .definition_of = "app",
                                                   .definition = "dataStore",
                                                   .label = "Data Store A"},
                                                  {.name = "dataStoreB",
                                                   .definition_of = "app",
                                                   .definition = "dataStore",
                                                   .label = "Data Store B"},
                                                  DS_OWN("returnType")};

const struct rn_component data_stores_get_difference = {
    .key = "data_stores-get-difference",
    .name = "Get Difference",
    .version = "0.0.4",
    .description = "Returns the records of data store A whose keys data store B has not got.",
    .type = RN_ACTION,
    .annotations = RN_READ_ONLY,
    .props = difference_props,
    .prop_count = RN_COUNT(difference_props),
    .run = get_difference,
};
