/* data_stores-get-record-keys: where in the records a text stands. Cases are those of ASCII
 * letters.
 */
#include "data_stores.h"

#include <stdio.h>
#include <string.h>

struct search {
    const char *query;
    size_t size;
    bool is_contains, ignores_case;
    struct rn_json *paths, *values;
};

static char folded(const struct search *search, char c)
{
    return search->ignores_case && c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool stands_at(const struct search *search, const char *text)
{
    for (size_t i = 0; i < search->size; i++)
        if (folded(search, text[i]) != folded(search, search->query[i]))
            return false;
    return true;
}

static bool matches(const struct search *search, const char *text, size_t size)
{
    if (search->size > size || (!search->is_contains && search->size != size))
        return false;
    for (size_t at = 0; at + search->size <= size; at++)
        if (stands_at(search, text + at))
            return true;
    return false;
}

/* A value that is a list or an object is looked into. */
static int32_t look_into(struct rn_run *run, void *ctx, const char *path,
                         const struct rn_json *value)
{
    struct search *search = ctx;
    int32_t kind = rn_json_kind(run, value);
    if (kind == RN_JSON_ARRAY || kind == RN_JSON_OBJECT) {
        size_t index = 0;
        for (const struct rn_json *v = rn_json_first(run, value); v;
             v = rn_json_next(run, v), index++) {
            char number[32];
            (void)snprintf(number, sizeof(number), "%zu", index);
            const char *name = kind == RN_JSON_OBJECT ? rn_json_key(run, v) : number;
            (void)look_into(run, search, RN_TEXT(run, path, ".", name), v);
        }
        return 0;
    }
    size_t size = 0;
    const char *text = rn_json_text(run, value, &size);
    if (!text)
        text = rn_json_print(run, value, &size);
    if (matches(search, text, size)) {
        rn_json_append(run, search->paths, rn_json_string(run, path));
        rn_json_append(run, search->values, rn_json_copy(run, value));
    }
    return 0;
}

static int32_t get_record_keys(struct rn_run *run)
{
    struct search search = {.query = rn_prop_string(run, "query"),
                            .is_contains = rn_prop_boolean(run, "contains"),
                            .ignores_case = rn_prop_boolean(run, "caseInsensitive"),
                            .paths = rn_json_array(run),
                            .values = rn_json_array(run)};
    search.query = search.query ? search.query : "";
    search.size = strlen(search.query);
    int32_t err = ds_each(run, DATA_STORE, look_into, &search);
    if (err)
        return err;
    size_t count = rn_json_size(run, search.paths);
    char number[32];
    (void)snprintf(number, sizeof(number), "%zu", count);
    rn_summary(run, RN_TEXT(run, "Successfully found ", number, count == 1 ? " key" : " keys"));
    struct rn_json *result = rn_json_object(run);
    rn_json_set(run, result, "hasRegisteredKeys", rn_json_boolean(run, count > 0));
    rn_json_set(run, result, "keys", search.paths);
    rn_json_set(run, result, "values", search.values);
    return rn_return(run, result);
}

static const struct rn_prop props[] = {
    DS_APP,
    DS_OWN("dataStore"),
    {.name = "query",
     .type = RN_STRING,
     .label = "Query",
     .description = "What is looked for in the values."},
    {.name = "contains",
     .type = RN_BOOLEAN,
     .flags = RN_OPTIONAL,
     .label = "Contains",
     .description = "Whether a value that contains the query is found, too; else only one that "
                    "equals it."},
    {.name = "caseInsensitive",
     .type = RN_BOOLEAN,
     .flags = RN_OPTIONAL,
     .label = "Case Insensitive",
     .description = "Whether small and capital letters count as the same."},
};

const struct rn_component data_stores_get_record_keys = {
    .key = "data_stores-get-record-keys",
    .name = "Get Record Keys",
    .version = "0.0.5",
    .description = "Looks for a text in the values of all records, also inside lists and objects. "
                   "`keys` are the places (`order.lines.0.film`), `values` what stands there.",
    .type = RN_ACTION,
    .annotations = RN_READ_ONLY,
    .props = props,
    .prop_count = RN_COUNT(props),
    .run = get_record_keys,
};
