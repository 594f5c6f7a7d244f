/* The actions that write: add or update one or many, append, increment, time to live, delete. */
#include "data_stores.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES = 1000 }; /* of appending, each lost to another run that did */

#define KEY(text_)                                                                                 \
    {                                                                                              \
        .name = "key", .definition_of = "app", .definition = "key", .description = text_           \
    }

/* ---- data_stores-add-update-record */

static struct rn_json *written(struct rn_run *run, const struct rn_json *value, int64_t ttl_ms)
{
    struct rn_json *result = rn_json_object(run);
    rn_json_set(run, result, "key", rn_json_string(run, rn_prop_string(run, "key")));
    rn_json_set(run, result, "value", rn_json_copy(run, value));
    rn_json_set(run, result, "ttl", ds_ttl_json(run, ttl_ms));
    return result;
}

static int32_t add_update_record(struct rn_run *run)
{
    bool was_there = false;
    int64_t ttl_ms = 0;
    int32_t err = ds_ttl(run, &ttl_ms);
    if (!err)
        err = rn_store_has(run, DATA_STORE, rn_prop_string(run, "key"), &was_there);
    if (err)
        return err;
    struct rn_json *value = ds_parse(run, rn_prop(run, "value"));
    err = rn_store_set(run, DATA_STORE, rn_prop_string(run, "key"), value, ttl_ms);
    if (err)
        return err;
    rn_summary(run, RN_TEXT(run,
                            was_there ? "Successfully updated the record "
                                      : "Successfully added the record ",
                            ds_key_text(run), ds_expiry_text(run, ttl_ms)));
    return rn_return(run, written(run, value, ttl_ms));
}

static const struct rn_prop add_update_props[] = {
    DS_APP, DS_OWN("dataStore"), KEY("The key of a new record, or of the one to update."),
    DS_OWN("value"), DS_OWN("ttl")};

const struct rn_component data_stores_add_update_record = {
    .key = "data_stores-add-update-record",
    .name = "Add or update a single record",
    .version = "0.0.11",
    .description = "Sets one record of a data store, new or not.",
    .type = RN_ACTION,
    .annotations = RN_DESTRUCTIVE,
    .props = add_update_props,
    .prop_count = RN_COUNT(add_update_props),
    .run = add_update_record,
};

/* ---- data_stores-add-update-multiple-records */

static int32_t set_all(struct rn_run *run, const struct rn_json *data, int64_t ttl_ms,
                       struct rn_json *result)
{
    int32_t err = 0;
    if (rn_json_kind(run, data) == RN_JSON_ARRAY) {
        for (const struct rn_json *v = rn_json_first(run, data); v && !err;
             v = rn_json_next(run, v))
            err = set_all(run, v, ttl_ms, result);
        return err;
    }
    if (rn_json_kind(run, data) != RN_JSON_OBJECT)
        return rn_fail(run, RN_EINVAL,
                       "the prop `data` is an object of keys and values, or a list of such");
    for (const struct rn_json *v = rn_json_first(run, data); v && !err; v = rn_json_next(run, v)) {
        struct rn_json *value = ds_parse(run, v);
        err = rn_store_set(run, DATA_STORE, rn_json_key(run, v), value, ttl_ms);
        rn_json_set(run, result, rn_json_key(run, v), value);
    }
    return err;
}

static int32_t add_update_multiple_records(struct rn_run *run)
{
    struct rn_json *result = rn_json_object(run);
    int64_t ttl_ms = 0;
    int32_t err = ds_ttl(run, &ttl_ms);
    if (!err)
        err = set_all(run, ds_parse(run, rn_prop(run, "data")), ttl_ms, result);
    if (err)
        return err;
    size_t count = rn_json_size(run, result);
    char number[32];
    (void)snprintf(number, sizeof(number), "%zu", count);
    rn_summary(run, count
                        ? RN_TEXT(run, "Successfully added or updated ", number,
                                  count == 1 ? " record" : " records", ds_expiry_text(run, ttl_ms))
                        : "There was nothing to add or update");
    rn_json_set(run, result, "_ttl", ds_ttl_json(run, ttl_ms));
    return rn_return(run, result);
}

static const struct rn_prop multiple_props[] = {
    DS_APP,
    DS_OWN("dataStore"),
    {.name = "data",
     .type = RN_ANY,
     .label = "Data",
     .description = "An object whose members are the records, or a list of such; of a key that "
                    "comes twice the last counts. A text that is JSON is taken for what it says."},
    DS_OWN("ttl")};

const struct rn_component data_stores_add_update_multiple_records = {
    .key = "data_stores-add-update-multiple-records",
    .name = "Add or update multiple records",
    .version = "0.0.8",
    .description = "Sets a record for each member of an object. Each is on disk before the next: "
                   "what was set before a failure stays.",
    .type = RN_ACTION,
    .annotations = RN_DESTRUCTIVE,
    .props = multiple_props,
    .prop_count = RN_COUNT(multiple_props),
    .run = add_update_multiple_records,
};

/* ---- data_stores-append-to-record */

/* One try: *ret_swapped is false when another run has changed the record meanwhile. */
static int32_t append(struct rn_run *run, const struct rn_json *value, int64_t ttl_ms,
                      bool *ret_was_there, bool *ret_swapped)
{
    const char *key = rn_prop_string(run, "key");
    const struct rn_json *now = NULL;
    int32_t err = rn_store_get(run, DATA_STORE, key, &now);
    if (err)
        return err;
    if (now && rn_json_kind(run, now) != RN_JSON_ARRAY)
        return rn_fail(run, RN_ECONFIG,
                       RN_TEXT(run, "the record ", ds_key_text(run),
                               " is no list, and only a list can be appended to"));
    struct rn_json *list = now ? rn_json_copy(run, now) : rn_json_array(run);
    rn_json_append(run, list, rn_json_copy(run, value));
    struct rn_store_request request = {.struct_size = (uint32_t)sizeof(request),
                                       .op = RN_STORE_COMPARE_AND_SET,
                                       .key = key,
                                       .value = list,
                                       .expected = now,
                                       .number = ttl_ms};
    struct rn_store_answer answer = {.struct_size = (uint32_t)sizeof(answer)};
    err = rn_store(run, DATA_STORE, &request, &answer);
    *ret_was_there = now != NULL;
    *ret_swapped = (answer.flags & RN_STORE_SWAPPED) != 0;
    return err;
}

static int32_t append_to_record(struct rn_run *run)
{
    bool was_there = false, is_done = false;
    int64_t ttl_ms = 0;
    int32_t err = ds_ttl(run, &ttl_ms);
    struct rn_json *value = ds_parse(run, rn_prop(run, "value"));
    for (int i = 0; i < TRIES && !is_done && !err; i++)
        err = append(run, value, ttl_ms, &was_there, &is_done);
    if (err)
        return err;
    if (!is_done)
        return rn_fail(run, RN_EUNAVAILABLE, "other runs change the record all the time");
    rn_summary(run, RN_TEXT(run,
                            was_there ? "Successfully appended to the record "
                                      : "Successfully created the record ",
                            ds_key_text(run), ds_expiry_text(run, ttl_ms)));
    return rn_return(run, written(run, value, ttl_ms));
}

static const struct rn_prop append_props[] = {
    DS_APP, DS_OWN("dataStore"), KEY("The key of the list; one that is not there is made."),
    DS_OWN("value"), DS_OWN("ttl")};

const struct rn_component data_stores_append_to_record = {
    .key = "data_stores-append-to-record",
    .name = "Append to record",
    .version = "0.0.4",
    .description = "Appends a value to a record that is a list, or makes a list of it. Runs that "
                   "append at the same time do not lose each other's values.",
    .type = RN_ACTION,
    .props = append_props,
    .prop_count = RN_COUNT(append_props),
    .run = append_to_record,
};

/* ---- data_stores-increment-record, which Pipedream lacks */

static int32_t increment_record(struct rn_run *run)
{
    int64_t number = 0;
    int32_t err = rn_store_increment(run, DATA_STORE, rn_prop_string(run, "key"),
                                     rn_prop_integer(run, "by", 1), &number);
    if (err)
        return err;
    char text[32];
    (void)snprintf(text, sizeof(text), "%lld", (long long)number);
    rn_summary(run, RN_TEXT(run, "Successfully counted ", ds_key_text(run), " to ", text));
    return rn_return(run, rn_json_integer(run, number));
}

static const struct rn_prop increment_props[] = {
    DS_APP,
    DS_OWN("dataStore"),
    KEY("The key of the counter; one that is not there starts at 0."),
    {.name = "by",
     .type = RN_INTEGER,
     .label = "By",
     .description = "How much is added; a negative number is taken away.",
     .default_json = "1"}};

const struct rn_component data_stores_increment_record = {
    .key = "data_stores-increment-record",
    .name = "Increment record",
    .version = "0.0.1",
    .description = "Adds to a record that is an integer and returns what it is then. No other run "
                   "gets between the reading and the writing.",
    .type = RN_ACTION,
    .props = increment_props,
    .prop_count = RN_COUNT(increment_props),
    .run = increment_record,
};

/* ---- data_stores-update-ttl */

static int32_t update_ttl(struct rn_run *run)
{
    const char *option = rn_prop_string(run, "ttlOption");
    int64_t ttl_ms = 0;
    bool is_found = false;
    int32_t err = 0;
    if (option && strcmp(option, "custom") == 0)
        err = rn_prop(run, "ttl")
                  ? ds_ttl(run, &ttl_ms)
                  : rn_fail(run, RN_ECONFIG, "`ttlOption: custom` needs the prop `ttl`");
    else
        ttl_ms = option ? strtoll(option, NULL, 10) * 1000 : 0;
    if (!err)
        err = rn_store_set_ttl(run, DATA_STORE, rn_prop_string(run, "key"), ttl_ms, &is_found);
    if (err)
        return err;
    struct rn_json *result = rn_json_object(run);
    rn_json_set(run, result, "success", rn_json_boolean(run, is_found));
    rn_json_set(run, result, "key", rn_json_string(run, rn_prop_string(run, "key")));
    if (is_found)
        rn_json_set(run, result, "ttl", ds_ttl_json(run, ttl_ms));
    rn_summary(
        run, !is_found ? RN_TEXT(run, "There is no record ", ds_key_text(run))
             : ttl_ms  ? RN_TEXT(run, "Successfully updated the expiration of ", ds_key_text(run),
                                 ds_expiry_text(run, ttl_ms))
                       : RN_TEXT(run, "Successfully removed the expiration of ", ds_key_text(run)));
    return rn_return(run, result);
}

#define OPTION(value_, label_) "{\"value\":\"" value_ "\",\"label\":\"" label_ "\"}"

/* clang-format off */
static const char expirations[] = "["
    OPTION("custom", "Custom value") ","
    OPTION("0", "No expiration") ","
    OPTION("3600", "1 hour") ","
    OPTION("86400", "1 day") ","
    OPTION("604800", "1 week") ","
    OPTION("2592000", "30 days") ","
    OPTION("7776000", "90 days") ","
    OPTION("31536000", "1 year") "]";
/* clang-format on */

static const struct rn_prop ttl_props[] = {
    DS_APP,
    DS_OWN("dataStore"),
    KEY("The key of the record."),
    {.name = "ttlOption",
     .type = RN_STRING,
     .label = "Expiration Type",
     .description = "From now on; `custom` takes the prop `ttl`.",
     .options_json = expirations},
    DS_OWN("ttl")};

const struct rn_component data_stores_update_ttl = {
    .key = "data_stores-update-ttl",
    .name = "Update Record Expiration",
    .version = "0.0.2",
    .description = "Sets when a record expires, counted from now, or that it never does.",
    .type = RN_ACTION,
    .annotations = RN_DESTRUCTIVE,
    .props = ttl_props,
    .prop_count = RN_COUNT(ttl_props),
    .run = update_ttl,
};

/* ---- data_stores-delete-single-record, data_stores-delete-all-records */

static int32_t delete_single_record(struct rn_run *run)
{
    const char *key = rn_prop_string(run, "key");
    const struct rn_json *value = NULL;
    bool was_there = false;
    int32_t err = rn_store_get(run, DATA_STORE, key, &value);
    if (!err)
        err = rn_store_delete(run, DATA_STORE, key, &was_there);
    if (err)
        return err;
    rn_summary(run, was_there ? RN_TEXT(run, "Successfully deleted the record ", ds_key_text(run))
                              : RN_TEXT(run, "There is no record ", ds_key_text(run),
                                        ": nothing was deleted"));
    rn_export(run, "key", rn_json_string(run, key));
    return value ? rn_return(run, value) : 0;
}

static const struct rn_prop delete_props[] = {DS_APP, DS_OWN("dataStore"),
                                              KEY("The key of the record.")};

const struct rn_component data_stores_delete_single_record = {
    .key = "data_stores-delete-single-record",
    .name = "Delete a single record",
    .version = "0.0.11",
    .description = "Deletes one record and returns what it was.",
    .type = RN_ACTION,
    .annotations = RN_DESTRUCTIVE,
    .props = delete_props,
    .prop_count = RN_COUNT(delete_props),
    .run = delete_single_record,
};

static int32_t delete_all_records(struct rn_run *run)
{
    int32_t err = rn_store_clear(run, DATA_STORE);
    return err ? err : rn_summary(run, "Successfully deleted all records");
}

static const struct rn_prop delete_all_props[] = {DS_APP, DS_OWN("dataStore")};

const struct rn_component data_stores_delete_all_records = {
    .key = "data_stores-delete-all-records",
    .name = "Delete All Records",
    .version = "0.0.4",
    .description = "Deletes every record of a data store.",
    .type = RN_ACTION,
    .annotations = RN_DESTRUCTIVE,
    .props = delete_all_props,
    .prop_count = RN_COUNT(delete_all_props),
    .run = delete_all_records,
};
