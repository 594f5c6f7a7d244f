/* The Segment plugin: its account fields, the props that its components share, and the table of
 * components. */
#include "segment.h"

#include <string.h>

/* ---------------------------------------------------------------- helpers */

bool segment_is_config_id(const char *id)
{
    return id && strncmp(id, "workspaces/", strlen("workspaces/")) == 0;
}

bool segment_is_eu(struct rn_run *run)
{
    const char *region = rn_auth(run, SEGMENT_PROP, "region");
    return region && (region[0] == 'e' || region[0] == 'E');
}

const char *segment_access_token(struct rn_run *run)
{
    const char *token = rn_auth(run, SEGMENT_PROP, "access_token");
    if (token && token[0])
        return token;
    (void)rn_fail(run, RN_ECONFIG,
                  "the Segment account has no access_token; webhook destinations and their "
                  "options need one (Segment: Settings, Access Management, Tokens)");
    return NULL;
}

void segment_set(struct rn_run *run, struct rn_json *object, const char *key, const char *text)
{
    if (text)
        rn_json_set(run, object, key, rn_json_string(run, text));
}

const char *segment_get(struct rn_run *run, const struct rn_json *object, const char *key)
{
    return rn_json_text(run, rn_json_get(run, object, key), NULL);
}

/* ---------------------------------------------------------------- options */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Whether `text` holds `part`, the case of ASCII letters aside. */
static bool holds(const char *text, const char *part)
{
    for (; *text; text++) {
        size_t i = 0;
        while (part[i] && lower(text[i]) == lower(part[i]))
            i++;
        if (!part[i])
            return true;
    }
    return !part[0];
}

void segment_offer(struct rn_run *run, const struct rn_options_query *query, const char *label,
                   const char *suffix, const char *value)
{
    if (!value)
        return;
    if (!label || !label[0])
        label = value;
    if (query->query && !holds(label, query->query) && !holds(value, query->query))
        return;
    rn_option(run, RN_TEXT(run, label, suffix), rn_json_string(run, value));
}

/* Without a choice of API both are asked: the id that the user picks then says which one is meant.
 * One of them refusing the token is normal, as a token is good for one API only. */
static int32_t workspace_options(struct rn_run *run, const struct rn_options_query *query)
{
    const char *api = segment_get(run, query->params, "api");

    if (api && strcmp(api, "config") == 0)
        return segment_config_workspaces(run, query, NULL);
    if (api && strcmp(api, "public") == 0)
        return segment_public_workspaces(run, query, NULL);
    int32_t public_err = 0;
    if (query->page == 0)
        public_err = segment_public_workspaces(run, query, NULL);
    int32_t config_err = segment_config_workspaces(run, query, " (Config API)");
    if (public_err && config_err)
        return config_err;
    return 0;
}

static int32_t source_options(struct rn_run *run, const struct rn_options_query *query)
{
    const char *api = segment_get(run, query->params, "api");
    const char *workspace = segment_get(run, query->params, "workspace");

    bool config = api && api[0] ? strcmp(api, "config") == 0 : segment_is_config_id(workspace);
    if (!config)
        return segment_public_sources(run, query);
    if (!workspace || !workspace[0])
        return rn_fail(run, RN_ECONFIG, "choose a workspace first: its sources are listed here");
    return segment_config_sources(run, query, workspace);
}

/* -------------------------------------------------------------- the account */

/* The Public API knows its workspace by the token; a token of the old Config API gets 401 or 403
 * there and is tried on that one. The Tracking API answers 200 to any write key, so a write key
 * alone cannot be tested. */
static int32_t test_account(struct rn_run *run)
{
    const char *token = rn_auth(run, SEGMENT_PROP, "access_token");
    if (!token || !token[0]) {
        rn_log(run, RN_LOG_WARN,
               "Segment accepts every write key without a check, so this account cannot be tested");
        return 0;
    }
    struct rn_options_query all = {.struct_size = (uint32_t)sizeof(all), .query = ""};
    int32_t err = segment_public_workspaces(run, &all, NULL);
    if (err == RN_EAUTH || err == RN_EHTTP)
        err = segment_config_workspaces(run, &all, NULL);
    return err;
}

static const struct rn_auth_field token_fields[] = {
    {.name = "access_token",
     .label = "Access token",
     .description = "A token of the Public API, or one of the older Config API. Creating webhook "
                    "destinations takes the role Workspace Owner.",
     .flags = RN_SECRET},
    {.name = "write_key",
     .label = "Write key",
     .description = "The write key of the source that the actions (identify, track, …) send to.",
     .flags = RN_SECRET | RN_OPTIONAL},
    {.name = "region",
     .label = "Region",
     .description = "`us` or `eu`, where the workspace is kept. A wrong region is answered like a "
                    "right one, and the events are lost.",
     .flags = RN_OPTIONAL,
     .default_value = "us"},
};

static const struct rn_auth_field write_key_fields[] = {
    {.name = "write_key",
     .label = "Write key",
     .description = "The write key of the source that the actions (identify, track, …) send to.",
     .flags = RN_SECRET},
    {.name = "region",
     .label = "Region",
     .description = "`us` or `eu`, where the workspace is kept.",
     .flags = RN_OPTIONAL,
     .default_value = "us"},
};

static const struct rn_auth auths[] = {
    {.kind = RN_AUTH_KEYS,
     .label = "Access token",
     .fields = token_fields,
     .field_count = RN_COUNT(token_fields)},
    {.kind = RN_AUTH_KEYS,
     .label = "Write key only",
     .fields = write_key_fields,
     .field_count = RN_COUNT(write_key_fields)},
};

/* ------------------------------------------------------------- definitions */

static const struct rn_prop definitions[] = {
    {.name = "workspace",
     .type = RN_STRING,
     .flags = RN_USE_QUERY | RN_WITH_LABEL,
     .label = "Workspace",
     .description = "The Segment workspace that holds the source.",
     .options = workspace_options},
    {.name = "source",
     .type = RN_STRING,
     .flags = RN_USE_QUERY | RN_WITH_LABEL,
     .label = "Source",
     .description = "The Segment source whose events are to arrive here.",
     .options = source_options},
    {.name = "userId",
     .type = RN_STRING,
     .flags = RN_OPTIONAL,
     .label = "User ID",
     .description =
         "The user's id in your own database. Either this or the anonymous id is needed."},
    {.name = "anonymousId",
     .type = RN_STRING,
     .flags = RN_OPTIONAL,
     .label = "Anonymous ID",
     .description =
         "A made-up id for a user whom you cannot name yet. Either this or the user id is needed."},
    {.name = "context",
     .type = RN_OBJECT,
     .flags = RN_OPTIONAL,
     .label = "Context",
     .description =
         "Circumstances of the event that the call itself does not describe: `ip`, `locale`, …"},
    {.name = "integrations",
     .type = RN_OBJECT,
     .flags = RN_OPTIONAL,
     .label = "Integrations",
     .description =
         "Which destinations get the event, e.g. `{\"All\": false, \"Mixpanel\": true}`."},
    {.name = "timestamp",
     .type = RN_STRING,
     .flags = RN_OPTIONAL,
     .label = "Timestamp",
     .description = "When it happened, in ISO 8601: `2026-11-23T10:00:00.123Z`. Segment takes the "
                    "time of arrival if it is left out."},
};

const struct rn_app segment_app = {
    .slug = "segment",
    .name = "Segment",
    .description = "Customer data: receive the events of a source, and send events of your own.",
    .auths = auths,
    .auth_count = RN_COUNT(auths),
    .prop_definitions = definitions,
    .prop_definition_count = RN_COUNT(definitions),
    .account_prop = SEGMENT_PROP,
    .test = test_account,
};

/* -------------------------------------------------------------- the plugin */

static const struct rn_app *const apps[] = {&segment_app};

static const struct rn_component *const components[] = {
    &segment_webhook_destination,
    &segment_identify,
    &segment_group,
    &segment_alias,
    &segment_page,
    &segment_screen,
    &segment_track,
};

const struct rn_plugin runnel_plugin = {
    RN_PLUGIN_HEAD,
    .name = "segment",
    .version = "0.0.1",
    .apps = apps,
    .app_count = RN_COUNT(apps),
    .component_count = RN_COUNT(components),
    .components = components,
};
