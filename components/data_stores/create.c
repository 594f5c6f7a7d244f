/* The actions that look for a record and may make one. */
#include "data_stores.h"

/* ---- data_stores-get-record-or-create */

static int32_t get_record_or_create(struct rn_run *run)
{
    const struct rn_json *record = NULL, *value = NULL;
    int64_t ttl_ms = 0;
    int32_t err = rn_store_get(run, DATA_STORE, rn_prop_string(run, "key"), &record);
    bool may_create = !record && ds_may_create(run);
    if (!err && may_create)
        err = ds_create(run, &record, &value, &ttl_ms);
    if (err)
        return err;
    rn_export(run, "key", rn_json_string(run, rn_prop_string(run, "key")));
    rn_summary(run, record       ? RN_TEXT(run, "Found the record ", ds_key_text(run))
                    : may_create ? RN_TEXT(run, "Successfully added the record ", ds_key_text(run),
                                           ds_expiry_text(run, ttl_ms))
                                 : RN_TEXT(run, "There is no record ", ds_key_text(run)));
    if (record || !value)
        return record ? rn_return(run, record) : 0;
    if (ttl_ms == 0)
        return rn_return(run, value);
    struct rn_json *result = rn_json_object(run);
    rn_json_set(run, result, "value", rn_json_copy(run, value));
    rn_json_set(run, result, "ttl", ds_ttl_json(run, ttl_ms));
    return rn_return(run, result);
}

static const struct rn_prop props[] = {
    DS_APP,
    DS_OWN("dataStore"),
    DS_OWN("key"),
    DS_OWN("addRecordIfNotFound"),
    {.name = "value", .definition_of = "app", .definition = "value", .flags = RN_OPTIONAL},
    DS_OWN("ttl")};

const struct rn_component data_stores_get_record_or_create = {
    .key = "data_stores-get-record-or-create",
    .name = "Get record (or create one if not found)",
    .version = "0.0.14",
    .description =
        "Returns one record; one that is not there is made if `addRecordIfNotFound` says "
        "so. With a `ttl`, a new one is returned as `{ value, ttl }`.",
    .type = RN_ACTION,
    .props = props,
    .prop_count = RN_COUNT(props),
    .run = get_record_or_create,
};

/* ---- data_stores-has-key-or-create */

static int32_t has_key_or_create(struct rn_run *run)
{
    const struct rn_json *record = NULL, *value = NULL;
    int64_t ttl_ms = 0;
    bool is_there = false;
    int32_t err = rn_store_has(run, DATA_STORE, rn_prop_string(run, "key"), &is_there);
    bool may_create = !is_there && ds_may_create(run);
    if (!err && may_create)
        err = ds_create(run, &record, &value, &ttl_ms);
    if (err)
        return err;
    is_there = is_there || record;
    bool was_created = may_create && !record;
    rn_summary(run, is_there      ? RN_TEXT(run, "The key ", ds_key_text(run), " exists")
                    : was_created ? RN_TEXT(run, "The key ", ds_key_text(run),
                                            " was not found. Successfully added the record",
                                            ds_expiry_text(run, ttl_ms))
                                  : RN_TEXT(run, "The key ", ds_key_text(run), " does not exist"));
    struct rn_json *result = rn_json_object(run);
    rn_json_set(run, result, "existingKeyFound", rn_json_boolean(run, is_there));
    rn_json_set(run, result, "newKeyCreated", rn_json_boolean(run, was_created));
    if (was_created) {
        rn_json_set(run, result, "value", rn_json_copy(run, value));
        rn_json_set(run, result, "ttl", ds_ttl_json(run, ttl_ms));
    }
    return rn_return(run, result);
}

const struct rn_component data_stores_has_key_or_create = {
    .key = "data_stores-has-key-or-create",
    .name = "Check for existence of key",
    .version = "0.1.4",
    .description = "Says whether there is a record with the key; one that is not there is made if "
                   "`addRecordIfNotFound` says so.",
    .type = RN_ACTION,
    .props = props,
    .prop_count = RN_COUNT(props),
    .run = has_key_or_create,
};
