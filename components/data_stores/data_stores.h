/* What the files of the data_stores plugin share. Each action has a prop `dataStore`, most a `key`. */
#ifndef DATA_STORES_DATA_STORES_H
#define DATA_STORES_DATA_STORES_H

#include <runnel/component.h>

#define DATA_STORE "dataStore"

/* Props that the actions share. */
#define DS_APP                                                                                     \
    {                                                                                              \
        .name = "app", .type = RN_APP, .app = &data_stores_app, .flags = RN_OPTIONAL               \
    }
#define DS_OWN(name_)                                                                              \
    {                                                                                              \
        .name = name_, .definition_of = "app", .definition = name_                                 \
    }

extern const struct rn_app data_stores_app;
extern const struct rn_component data_stores_add_update_record,
    data_stores_add_update_multiple_records, data_stores_append_to_record,
    data_stores_increment_record, data_stores_get_record_or_create, data_stores_has_key_or_create,
    data_stores_update_ttl, data_stores_delete_single_record, data_stores_delete_all_records,
    data_stores_list_keys, data_stores_list_records, data_stores_get_difference,
    data_stores_get_record_keys;

/* ---- records.c */

/* A text that is JSON stands for what it says ("[1,2]", "42", "true"); any other value for itself.
 */
struct rn_json *ds_parse(struct rn_run *run, const struct rn_json *value);
/* The prop `ttl`, seconds, as milliseconds; 0: none. RN_ECONFIG. */
int32_t ds_ttl(struct rn_run *run, int64_t *ret_ms);
/* " (expires in 2 hours)", or "" for 0. */
const char *ds_expiry_text(struct rn_run *run, int64_t ttl_ms);
/* `ttl` of a returned object: seconds or null. */
struct rn_json *ds_ttl_json(struct rn_run *run, int64_t ttl_ms);
/* The prop `key` between backticks. */
const char *ds_key_text(struct rn_run *run);
/* Creates the record `key` from the prop `value`, unless there is one: then *ret_there is its
 * value, else *ret_value what was written and *ret_ttl_ms how long it lives. No other run gets
 * between. */
int32_t ds_create(struct rn_run *run, const struct rn_json **ret_there,
                  const struct rn_json **ret_value, int64_t *ret_ttl_ms);
/* Whether the prop `addRecordIfNotFound` says so. */
bool ds_may_create(struct rn_run *run);

/* ---- lists.c */

/* Each record of the store that the prop names, in the order of the keys; a return other than 0
 * ends it and is returned. */
int32_t ds_each(struct rn_run *run, const char *prop,
                int32_t (*each)(struct rn_run *run, void *ctx, const char *key,
                                const struct rn_json *value),
                void *ctx);

#endif
