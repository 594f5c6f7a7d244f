/* The Airtable plugin: its account, the options of bases and tables, and the request that all
 * share. */
#include "airtable_oauth.h"

#include <string.h>

#define AIRTABLE_BASE "https://api.airtable.com/v0"
#define PENALTY_MS 30000

/* How long Airtable refuses everything after too many requests: what it says, as a rule nothing. */
static int64_t penalty_ms(struct rn_run *run, const struct rn_http_response *response)
{
    for (size_t i = 0; response && i < response->header_count; i++) {
        int64_t seconds;
        const char *value = response->headers[i].value;
        if (strcmp(response->headers[i].name, "retry-after") == 0 &&
            rn_json_to_integer(run, rn_json_parse(run, value, strlen(value)), &seconds) &&
            seconds >= 0 && seconds <= 3600)
            return seconds * 1000;
    }
    return PENALTY_MS;
}

int32_t airtable_request(struct rn_run *run, const char *path, struct rn_http_request *request,
                         const struct rn_http_response **ret)
{
    const char *token = rn_auth(run, AIRTABLE_PROP, "oauth_access_token");
    if (!token || !token[0])
        return rn_fail(run, RN_ECONFIG,
                       "the Airtable account has no oauth_access_token (a personal access token "
                       "does: Airtable, Builder Hub)");
    const struct rn_http_response *response = NULL;
    request->url = RN_TEXT(run, AIRTABLE_BASE, path);
    request->bearer = token;
    int32_t err = rn_http(run, request, &response);
    if (err == RN_ERATE) {
        int64_t wait = penalty_ms(run, response);
        if (rn_now_ms(run) + wait >= rn_deadline_ms(run))
            return err;
        err = rn_sleep_ms(run, wait);
        if (!err)
            err = rn_http(run, request, &response);
    }
    if (err)
        return err;
    if (!response->json)
        return rn_fail(run, RN_EPROTOCOL, "Airtable answered without JSON");
    *ret = response;
    return 0;
}

/* ---------------------------------------------------------------- options */

static const char *get_text(struct rn_run *run, const struct rn_json *object, const char *key)
{
    return rn_json_text(run, rn_json_get(run, object, key), NULL);
}

static void offer(struct rn_run *run, const struct rn_json *list)
{
    for (const struct rn_json *i = rn_json_first(run, list); i; i = rn_json_next(run, i)) {
        const char *id = get_text(run, i, "id");
        const char *name = get_text(run, i, "name");
        if (id)
            rn_option(run, name && name[0] ? name : id, rn_json_string(run, id));
    }
}

static int32_t base_options(struct rn_run *run, const struct rn_options_query *query)
{
    const char *offset = get_text(run, query->prev_context, "offset");
    const struct rn_pair pairs[] = {{"offset", offset}};
    struct rn_http_request request = RN_HTTP_REQUEST_INIT(NULL);
    request.query = pairs;
    request.query_count = offset ? 1 : 0;
    request.flags = RN_HTTP_SAFE;
    const struct rn_http_response *response;
    int32_t err = airtable_request(run, "/meta/bases", &request, &response);
    if (err)
        return err;
    offer(run, rn_json_get(run, response->json, "bases"));
    const char *next = get_text(run, response->json, "offset");
    if (next && next[0]) {
        struct rn_json *context = rn_json_object(run);
        rn_json_set(run, context, "offset", rn_json_string(run, next));
        rn_options_context(run, context);
    }
    return 0;
}

/* All tables of the base in one answer: this list has no pages. */
static int32_t table_options(struct rn_run *run, const struct rn_options_query *query)
{
    const char *base = get_text(run, query->params, "baseId");
    if (!base || !base[0])
        return rn_fail(run, RN_ECONFIG, "choose a base first: its tables are listed here");
    struct rn_http_request request = RN_HTTP_REQUEST_INIT(NULL);
    request.flags = RN_HTTP_SAFE;
    const struct rn_http_response *response;
    int32_t err =
        airtable_request(run, RN_TEXT(run, "/meta/bases/", rn_url_encode(run, base), "/tables"),
                         &request, &response);
    if (err)
        return err;
    offer(run, rn_json_get(run, response->json, "tables"));
    return 0;
}

/* -------------------------------------------------------------- the account */

static int32_t test_account(struct rn_run *run)
{
    struct rn_http_request request = RN_HTTP_REQUEST_INIT(NULL);
    request.flags = RN_HTTP_SAFE;
    const struct rn_http_response *response;
    return airtable_request(run, "/meta/whoami", &request, &response);
}

static const struct rn_auth_field fields[] = {
    {.name = "oauth_access_token",
     .label = "Access token",
     .description = "A personal access token (`pat…`) or an OAuth token with the scopes "
                    "`data.records:write` and, for the options, `schema.bases:read`.",
     .flags = RN_SECRET},
};

static const struct rn_auth auths[] = {
    {.kind = RN_AUTH_KEYS,
     .label = "Access token",
     .fields = fields,
     .field_count = RN_COUNT(fields)},
};

static const struct rn_prop definitions[] = {
    {.name = "baseId",
     .type = RN_STRING,
     .flags = RN_WITH_LABEL,
     .label = "Base",
     .description = "The base, by its id: `app…`.",
     .options = base_options},
    {.name = "tableId",
     .type = RN_STRING,
     .flags = RN_WITH_LABEL,
     .label = "Table",
     .description = "The table, by its id (`tbl…`) or its name.",
     .options = table_options},
    {.name = "records",
     .type = RN_ANY,
     .label = "Records",
     .description =
         "A list of records, each an object of column names and values (or its JSON text): "
         "`[{\"Name\": \"Ada\", \"Visits\": 3}]`."},
    {.name = "typecast",
     .type = RN_BOOLEAN,
     .flags = RN_OPTIONAL,
     .label = "Typecast",
     .description = "Lets Airtable turn texts into the column's type, and add choices to selects."},
    {.name = "returnFieldsByFieldId",
     .type = RN_BOOLEAN,
     .flags = RN_OPTIONAL,
     .label = "Return Fields By ID",
     .description = "Name the columns in the answer by their ids instead of their names."},
};

const struct rn_app airtable_oauth_app = {
    .slug = "airtable_oauth",
    .name = "Airtable",
    .description = "Tables that are shared like spreadsheets.",
    .auths = auths,
    .auth_count = RN_COUNT(auths),
    .prop_definitions = definitions,
    .prop_definition_count = RN_COUNT(definitions),
    .account_prop = AIRTABLE_PROP,
    .test = test_account,
};

static const struct rn_app *const apps[] = {&airtable_oauth_app};
static const struct rn_component *const components[] = {&airtable_create_multiple_records};

const struct rn_plugin runnel_plugin = {
    RN_PLUGIN_HEAD,
    .name = "airtable_oauth",
    .version = "0.0.1",
    .apps = apps,
    .app_count = RN_COUNT(apps),
    .component_count = RN_COUNT(components),
    .components = components,
};
