/* A right plugin that shows what the host gives it: one source, one action, for test_host.c. */
#include <runnel/component.h>

static int32_t account_test(struct rn_run *run)
{
    rn_log(run, RN_LOG_WARN,
           RN_TEXT(run, "key ", rn_auth(run, "probe", "key"), " note ",
                   rn_auth(run, "probe", "note")));
    return rn_fail(run, RN_EAUTH,
                   RN_TEXT(run, "the key ", rn_auth(run, "probe", "key"), " was refused"));
}

static const struct rn_auth_field fields[] = {
    {.name = "key", .flags = RN_SECRET},
    {.name = "note", .flags = RN_OPTIONAL},
};
static const struct rn_auth auths[] = {
    {.kind = RN_AUTH_KEYS, .fields = fields, .field_count = RN_COUNT(fields)}};

/* Pages of two; the text that is searched for comes first. */
static int32_t list_options(struct rn_run *run, const struct rn_options_query *query)
{
    int64_t page = 0;
    rn_json_to_integer(run, rn_json_get(run, query->prev_context, "next"), &page);
    rn_option(run, "searched", rn_json_string(run, query->query));
    rn_option(run, NULL, rn_json_copy(run, rn_json_get(run, query->params, "board")));
    struct rn_json *context = rn_json_object(run);
    rn_json_set(run, context, "next", rn_json_integer(run, page + (int64_t)query->page + 1));
    return rn_options_context(run, context);
}

static const struct rn_prop definitions[] = {
    {.name = "list",
     .type = RN_STRING,
     .label = "List",
     .flags = RN_USE_QUERY,
     .options = list_options},
};

static const struct rn_app app = {
    .slug = "probe",
    .name = "Probe",
    .auths = auths,
    .auth_count = 1,
    .prop_definitions = definitions,
    .prop_definition_count = 1,
    .test = account_test,
};

/* Emits the body twice, the newer first; counts in the db; answers with what it was. */
static int32_t source_run(struct rn_run *run)
{
    size_t size = 0;
    const void *raw = rn_request_body_raw(run, &size);
    const struct rn_json *body = rn_request_body(run);
    if (!body)
        return rn_respond(run, 400, NULL, 0, raw, size);
    int64_t count = 0;
    rn_json_to_integer(run, rn_db_get(run, "count"), &count);
    rn_db_set(run, "count", rn_json_integer(run, count + 1));
    rn_db_delete(run, "old");
    struct rn_emit_meta newer = {.struct_size = sizeof(newer), .id = "b", .ts = 2000};
    struct rn_emit_meta older = {
        .struct_size = sizeof(older), .id = "a", .summary = "older", .ts = 1000};
    if (rn_emit(run, body, &newer) || rn_emit(run, rn_json_get(run, body, "id"), &older))
        return RN_EFAILED;
    struct rn_pair headers[] = {{"X-Signature", rn_request_header(run, "X-SIGNATURE")},
                                {"X-Query", rn_request_query(run, "q")}};
    return rn_respond(run, 202, headers, 2, rn_endpoint(run, "http"),
                      strlen(rn_endpoint(run, "http")));
}

static int32_t activate(struct rn_run *run)
{
    rn_db_set(run, "hook", rn_json_string(run, rn_prop_string(run, "word")));
    return rn_prop_boolean(run, "fails") ? rn_fail(run, RN_ECONFIG, "as told") : 0;
}

static const struct rn_prop source_props[] = {
    {.name = "probe", .type = RN_APP, .app = &app},
    {.name = "http", .type = RN_HTTP_INTERFACE, .flags = RN_CUSTOM_RESPONSE},
    {.name = "db", .type = RN_DB_SERVICE},
    {.name = "word", .type = RN_STRING, .default_json = "\"default\""},
    {.name = "fails", .type = RN_BOOLEAN, .flags = RN_OPTIONAL},
};

static const struct rn_component source = {
    .key = "probe-source",
    .name = "Source",
    .version = "0.0.1",
    .type = RN_SOURCE,
    .dedupe = RN_DEDUPE_UNIQUE,
    .props = source_props,
    .prop_count = RN_COUNT(source_props),
    .activate = activate,
    .run = source_run,
};

static int32_t fetch(struct rn_run *run)
{
    rn_export(run, "before", rn_json_integer(run, rn_attempt(run)));
    struct rn_http_request request = RN_HTTP_REQUEST_INIT(rn_prop_string(run, "url"));
    return rn_http(run, &request, NULL);
}

static int32_t more_props(struct rn_run *run, const struct rn_json *previous)
{
    (void)previous;
    const struct rn_prop prop = {.name = "extra",
                                 .type = RN_INTEGER,
                                 .flags = RN_HAS_MIN,
                                 .min = 1,
                                 .label = rn_prop_string(run, "url")};
    return rn_add_prop(run, &prop);
}

static const struct rn_input inputs[] = {{"board", "url"}, {NULL, NULL}};

static const struct rn_prop action_props[] = {
    {.name = "probe", .type = RN_APP, .app = &app},
    {.name = "url", .type = RN_STRING, .flags = RN_RELOAD_PROPS},
    {.name = "list",
     .definition_of = "probe",
     .definition = "list",
     .flags = RN_OPTIONAL,
     .description = "own",
     .inputs = inputs},
};

static const struct rn_component action = {
    .key = "probe-fetch",
    .name = "Fetch",
    .version = "0.0.1",
    .type = RN_ACTION,
    .props = action_props,
    .prop_count = RN_COUNT(action_props),
    .additional_props = more_props,
    .run = fetch,
};

static const struct rn_app *const apps[] = {&app};
static const struct rn_component *const components[] = {&source, &action};

RN_EXPORT const struct rn_plugin runnel_plugin = {
    RN_PLUGIN_HEAD, .name = "probe",          .version = "0.0.1",   .apps = apps,
    .app_count = 1, .components = components, .component_count = 2,
};
