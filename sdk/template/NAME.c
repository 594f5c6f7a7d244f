/* @TITLE@: the components of one app. The guide is docs/components.md; the contract is
 * <runnel/component.h>.
 *
 * Everything below is data that the runtime reads without running any of it, but for the functions.
 * Those are called on many threads at once: keep no mutable globals. */
#include <runnel/component.h>

/* -------------------------------------------------------------------- app */

/* What an account of the app holds: `runnel accounts add` asks for these fields. */
static const struct rn_auth_field auth_fields[] = {
    {.name = "api_key", .label = "API key", .flags = RN_SECRET},
};

static const struct rn_auth auths[] = {
    {.kind = RN_AUTH_KEYS,
     .label = "API key",
     .fields = auth_fields,
     .field_count = RN_COUNT(auth_fields)},
};

static const struct rn_app app = {
    .slug = "@NAME@",
    .name = "@TITLE@",
    .auths = auths,
    .auth_count = RN_COUNT(auths),
    .account_prop = "account",
};

/* ----------------------------------------------------- action: create note */

static const struct rn_prop create_note_props[] = {
    {.name = "account", .type = RN_APP, .app = &app},
    {.name = "text", .type = RN_STRING, .label = "Text", .description = "What the note says"},
    {.name = "pinned",
     .type = RN_BOOLEAN,
     .label = "Pinned",
     .flags = RN_OPTIONAL,
     .default_json = "false"},
};

static int32_t create_note(struct rn_run *run)
{
    struct rn_json *note = rn_json_object(run);
    rn_json_set(run, note, "text", rn_json_string(run, rn_prop_string(run, "text")));
    rn_json_set(run, note, "pinned", rn_json_boolean(run, rn_prop_boolean(run, "pinned")));

    /* A repeated attempt of this step carries the same key, so that the other side can leave out
     * what it has done. */
    struct rn_pair headers[] = {{"Idempotency-Key", rn_idempotency_key(run, 0)}};
    struct rn_http_request request = RN_HTTP_REQUEST_INIT("https://api.example.com/notes");
    request.json = note;
    request.bearer = rn_auth(run, "account", "api_key");
    request.headers = headers;
    request.header_count = RN_COUNT(headers);
    request.flags = RN_HTTP_RETRY_RATE_LIMIT;

    const struct rn_http_response *response = NULL;
    int32_t err = rn_http(run, &request, &response);
    if (err)
        return err; /* rn_http() has said why */
    rn_return(run, response->json);
    rn_summary(run, "Successfully created a note");
    return 0;
}

static const struct rn_component create_note_component = {
    .key = "@NAME@-create-note",
    .name = "Create Note",
    .version = "0.0.1",
    .description = "Creates a note.",
    .type = RN_ACTION,
    .annotations = RN_OPEN_WORLD,
    .props = create_note_props,
    .prop_count = RN_COUNT(create_note_props),
    .run = create_note,
};

/* ------------------------------------------------------- source: new note */

static const struct rn_prop new_note_props[] = {
    {.name = "http", .type = RN_HTTP_INTERFACE, .flags = RN_CUSTOM_RESPONSE},
    {.name = "db", .type = RN_DB_SERVICE},
};

/* Emits and db writes take effect together, when this returns 0; only then the answer goes out. */
static int32_t new_note(struct rn_run *run)
{
    const struct rn_json *note = rn_request_body(run);
    const char *id = rn_json_text(run, rn_json_get(run, note, "id"), NULL);
    if (!id)
        return rn_respond(run, 400, NULL, 0, "a note needs an id", 18);

    int64_t count = 0;
    rn_json_to_integer(run, rn_db_get(run, "count"), &count);
    rn_db_set(run, "count", rn_json_integer(run, count + 1));

    struct rn_emit_meta meta = {
        .struct_size = sizeof(meta),
        .id = id,
        .summary = RN_TEXT(run, "Note ", id),
    };
    int32_t err = rn_emit(run, note, &meta);
    return err ? err : rn_respond(run, 204, NULL, 0, NULL, 0);
}

static const struct rn_component new_note_component = {
    .key = "@NAME@-new-note",
    .name = "New Note (Instant)",
    .version = "0.0.1",
    .description = "Emit new event when a note is posted to this source's URL.",
    .type = RN_SOURCE,
    .dedupe = RN_DEDUPE_UNIQUE,
    .props = new_note_props,
    .prop_count = RN_COUNT(new_note_props),
    .run = new_note,
};

/* ----------------------------------------------------------------- plugin */

static const struct rn_app *const apps[] = {&app};
static const struct rn_component *const components[] = {&create_note_component,
                                                        &new_note_component};

RN_EXPORT const struct rn_plugin runnel_plugin = {
    RN_PLUGIN_HEAD,
    .name = "@NAME@",
    .version = "0.0.1",
    .apps = apps,
    .app_count = RN_COUNT(apps),
    .components = components,
    .component_count = RN_COUNT(components),
};
