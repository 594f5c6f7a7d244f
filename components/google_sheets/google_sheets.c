/* The Google Sheets plugin: its accounts, the options of spreadsheets and worksheets, and what
 * every action asks first. */
#include "google_sheets.h"

#include <string.h>

#define SHEETS_BASE "https://sheets.googleapis.com/v4/spreadsheets/"
#define DRIVE_FILES "https://www.googleapis.com/drive/v3/files"
#define DRIVE_DRIVES "https://www.googleapis.com/drive/v3/drives"
#define TOKEN_INFO "https://www.googleapis.com/oauth2/v3/tokeninfo"
#define SCOPES                                                                                     \
    "https://www.googleapis.com/auth/spreadsheets "                                                \
    "https://www.googleapis.com/auth/drive.metadata.readonly"

static const char *get_text(struct rn_run *run, const struct rn_json *object, const char *key)
{
    return rn_json_text(run, rn_json_get(run, object, key), NULL);
}

int32_t sheets_request(struct rn_run *run, const char *url, struct rn_http_request *request,
                       const struct rn_http_response **ret)
{
    const char *token = rn_auth(run, SHEETS_PROP, "oauth_access_token");
    if (!token || !token[0])
        return rn_fail(run, RN_ECONFIG, "the Google account gives no access token");
    const struct rn_http_response *response = NULL;
    request->url = url;
    request->bearer = token;
    request->flags |= RN_HTTP_RETRY_RATE_LIMIT;
    int32_t err = rn_http(run, request, &response);
    *ret = response;
    if (err == RN_EHTTP && response && response->status == 404)
        return rn_fail(
            run, RN_ECONFIG,
            "Google does not know this spreadsheet (404), or the account may not see it: "
            "share it with the account's address");
    if (err)
        return err;
    if (!response->json)
        return rn_fail(run, RN_EPROTOCOL, "Google answered without JSON");
    return 0;
}

const char *sheets_url(struct rn_run *run, const char *spreadsheet, const char *path)
{
    return RN_TEXT(run, SHEETS_BASE, rn_url_encode(run, spreadsheet), path);
}

const char *sheets_range(struct rn_run *run, const char *title, const char *cells)
{
    const char *quoted = "'";
    for (;;) {
        const char *quote = strchr(title, '\'');
        if (!quote)
            return RN_TEXT(run, quoted, title, "'!", cells);
        const struct rn_json *part = rn_json_string_n(run, title, (size_t)(quote - title));
        quoted = RN_TEXT(run, quoted, rn_json_text(run, part, NULL), "''");
        title = quote + 1;
    }
}

/* ------------------------------------------------------------- worksheets */

static int32_t get_worksheets(struct rn_run *run, const char *spreadsheet,
                              const struct rn_json **ret)
{
    const struct rn_pair query[] = {{"fields", "sheets.properties"}};
    struct rn_http_request request = RN_HTTP_REQUEST_INIT(NULL);
    request.query = query;
    request.query_count = RN_COUNT(query);
    request.flags = RN_HTTP_SAFE;
    const struct rn_http_response *response;
    int32_t err = sheets_request(run, sheets_url(run, spreadsheet, ""), &request, &response);
    if (err)
        return err;
    *ret = rn_json_get(run, response->json, "sheets");
    return 0;
}

/* A worksheet of cells; the others (charts, data sources) take no rows. */
static bool is_grid(struct rn_run *run, const struct rn_json *properties)
{
    const char *type = get_text(run, properties, "sheetType");
    return !type || strcmp(type, "GRID") == 0;
}

int32_t sheets_find(struct rn_run *run, const char *spreadsheet, const struct rn_json *id,
                    const struct rn_json **ret)
{
    const struct rn_json *sheets;
    int32_t err = get_worksheets(run, spreadsheet, &sheets);
    if (err)
        return err;
    const char *wanted = rn_json_text(run, id, NULL);
    if (!wanted)
        wanted = rn_json_number_text(run, id);
    const struct rn_json *by_title = NULL;
    const char *titles = NULL;
    for (const struct rn_json *s = rn_json_first(run, sheets); s; s = rn_json_next(run, s)) {
        const struct rn_json *properties = rn_json_get(run, s, "properties");
        const char *number = rn_json_number_text(run, rn_json_get(run, properties, "sheetId"));
        const char *title = get_text(run, properties, "title");
        if (!title || !is_grid(run, properties))
            continue;
        /* The first worksheet has the id 0, which Google leaves out of some answers. */
        if (wanted && strcmp(number ? number : "0", wanted) == 0) {
            *ret = properties;
            return 0;
        }
        if (wanted && strcmp(title, wanted) == 0)
            by_title = properties;
        titles =
            RN_TEXT(run, titles, titles ? ", " : NULL, title, " (", number ? number : "0", ")");
    }
    if (by_title) {
        *ret = by_title;
        return 0;
    }
    return rn_fail(run, RN_ENOTFOUND,
                   RN_TEXT(run, "the spreadsheet has no worksheet ",
                           wanted ? wanted : "without an id",
                           "; it has: ", titles ? titles : "none"));
}

/* ---------------------------------------------------------------- options */

/* A page of Drive's lists: id and name of each, and where the next page begins. */
static void add_options_page(struct rn_run *run, const struct rn_json *page, const char *list)
{
    const struct rn_json *items = rn_json_get(run, page, list);
    for (const struct rn_json *i = rn_json_first(run, items); i; i = rn_json_next(run, i))
        if (get_text(run, i, "id"))
            rn_option(run, get_text(run, i, "name"), rn_json_string(run, get_text(run, i, "id")));
    const char *next = get_text(run, page, "nextPageToken");
    if (next && next[0]) {
        struct rn_json *context = rn_json_object(run);
        rn_json_set(run, context, "pageToken", rn_json_string(run, next));
        rn_options_context(run, context);
    }
}

/* A text in a search of Drive: quotes and backslashes are escaped. */
static const char *drive_quote(struct rn_run *run, const char *text)
{
    const char *result = "'";
    for (;;) {
        size_t size = strcspn(text, "'\\");
        const struct rn_json *part = rn_json_string_n(run, text, size);
        result = RN_TEXT(run, result, rn_json_text(run, part, NULL));
        if (!text[size])
            return RN_TEXT(run, result, "'");
        result = RN_TEXT(run, result, text[size] == '\'' ? "\\'" : "\\\\");
        text += size + 1;
    }
}

static int32_t spreadsheet_options(struct rn_run *run, const struct rn_options_query *query)
{
    const char *drive = get_text(run, query->params, "drive");
    const char *search = "mimeType='application/vnd.google-apps.spreadsheet' and trashed=false";
    if (query->query && query->query[0])
        search = RN_TEXT(run, search, " and name contains ", drive_quote(run, query->query));
    struct rn_pair pairs[8] = {{"q", search},
                               {"fields", "nextPageToken,files(id,name)"},
                               {"pageSize", "100"},
                               {"supportsAllDrives", "true"}};
    size_t count = 4;
    if (drive && drive[0] && strcmp(drive, "My Drive") != 0) {
        pairs[count++] = (struct rn_pair){"corpora", "drive"};
        pairs[count++] = (struct rn_pair){"driveId", drive};
        pairs[count++] = (struct rn_pair){"includeItemsFromAllDrives", "true"};
    }
    const char *token = get_text(run, query->prev_context, "pageToken");
    if (token)
        pairs[count++] = (struct rn_pair){"pageToken", token};
    struct rn_http_request request = RN_HTTP_REQUEST_INIT(NULL);
    request.query = pairs;
    request.query_count = count;
    request.flags = RN_HTTP_SAFE;
    const struct rn_http_response *response;
    int32_t err = sheets_request(run, DRIVE_FILES, &request, &response);
    if (err)
        return err;
    add_options_page(run, response->json, "files");
    return 0;
}

/* The user's own drive, and the shared ones. A token that may not list those has its own all the
 * same. */
static int32_t drive_options(struct rn_run *run, const struct rn_options_query *query)
{
    const char *token = get_text(run, query->prev_context, "pageToken");
    const struct rn_pair pairs[] = {{"pageSize", "100"}, {"pageToken", token}};
    struct rn_http_request request = RN_HTTP_REQUEST_INIT(NULL);
    request.query = pairs;
    request.query_count = token ? 2 : 1;
    request.flags = RN_HTTP_SAFE | RN_HTTP_ANY_STATUS;
    const struct rn_http_response *response = NULL;
    if (!token)
        rn_option(run, "My Drive", rn_json_string(run, "My Drive"));
    int32_t err = sheets_request(run, DRIVE_DRIVES, &request, &response);
    if (err)
        return err;
    if (response->status >= 400) {
        rn_log(run, RN_LOG_WARN, "the account may not list shared drives");
        return 0;
    }
    add_options_page(run, response->json, "drives");
    return 0;
}

static int32_t worksheet_options(struct rn_run *run, const struct rn_options_query *query)
{
    const char *spreadsheet = get_text(run, query->params, "sheetId");
    if (!spreadsheet || !spreadsheet[0])
        return rn_fail(run, RN_ECONFIG,
                       "choose a spreadsheet first: its worksheets are listed here");
    const struct rn_json *sheets;
    int32_t err = get_worksheets(run, spreadsheet, &sheets);
    if (err)
        return err;
    for (const struct rn_json *s = rn_json_first(run, sheets); s; s = rn_json_next(run, s)) {
        const struct rn_json *properties = rn_json_get(run, s, "properties");
        const struct rn_json *id = rn_json_get(run, properties, "sheetId");
        if (is_grid(run, properties))
            rn_option(run, get_text(run, properties, "title"),
                      id ? rn_json_copy(run, id) : rn_json_integer(run, 0));
    }
    return 0;
}

/* -------------------------------------------------------------- the account */

/* Google describes a token to whoever has it; 400 means that it is none. */
static int32_t test_account(struct rn_run *run)
{
    const char *token = rn_auth(run, SHEETS_PROP, "oauth_access_token");
    const struct rn_pair query[] = {{"access_token", token ? token : ""}};
    struct rn_http_request request = RN_HTTP_REQUEST_INIT(TOKEN_INFO);
    request.bearer = token;
    request.query = query;
    request.query_count = RN_COUNT(query);
    request.flags = RN_HTTP_SAFE;
    const struct rn_http_response *response = NULL;
    int32_t err = rn_http(run, &request, &response);
    if (err == RN_EHTTP && response && response->status == 400)
        return rn_fail(run, RN_EAUTH, "Google says that the access token is not valid");
    if (err)
        return err;
    const char *scope = get_text(run, response->json, "scope");
    if (scope && !strstr(scope, "auth/spreadsheets") && !strstr(scope, "auth/drive"))
        return rn_fail(
            run, RN_ECONFIG,
            RN_TEXT(run, "the token is valid but not for spreadsheets; its scopes: ", scope));
    return 0;
}

static const struct rn_auth_field service_fields[] = {
    {.name = "service_account",
     .label = "Service account",
     .description = "The JSON of a service account's key file. Share the spreadsheet with the "
                    "address in it.",
     .flags = RN_SECRET},
};

static const struct rn_auth_field refresh_fields[] = {
    {.name = "client_id", .label = "Client ID", .description = "Of your OAuth client at Google."},
    {.name = "client_secret",
     .label = "Client secret",
     .description = "Of your OAuth client at Google.",
     .flags = RN_SECRET},
    {.name = "refresh_token",
     .label = "Refresh token",
     .description = "With the scope `https://www.googleapis.com/auth/spreadsheets`.",
     .flags = RN_SECRET},
};

static const struct rn_auth_field token_fields[] = {
    {.name = "oauth_access_token",
     .label = "Access token",
     .description = "An access token as it is; it ends after an hour, so for trials only.",
     .flags = RN_SECRET},
};

static const struct rn_auth auths[] = {
    {.kind = RN_AUTH_GOOGLE_SERVICE_ACCOUNT,
     .label = "Service account",
     .fields = service_fields,
     .field_count = RN_COUNT(service_fields),
     .token_url = "https://oauth2.googleapis.com/token",
     .scope = SCOPES},
    {.kind = RN_AUTH_OAUTH2_REFRESH,
     .label = "OAuth client and refresh token",
     .fields = refresh_fields,
     .field_count = RN_COUNT(refresh_fields),
     .token_url = "https://oauth2.googleapis.com/token",
     .scope = SCOPES},
    {.kind = RN_AUTH_KEYS,
     .label = "Access token",
     .fields = token_fields,
     .field_count = RN_COUNT(token_fields)},
};

static const struct rn_prop definitions[] = {
    {.name = "watchedDrive",
     .type = RN_STRING,
     .flags = RN_OPTIONAL | RN_WITH_LABEL,
     .label = "Drive",
     .description = "The drive to choose the spreadsheet from: your own if left out, or a shared "
                    "one by its id.",
     .options = drive_options},
    {.name = "sheetID",
     .type = RN_STRING,
     .flags = RN_USE_QUERY | RN_WITH_LABEL,
     .label = "Spreadsheet",
     .description = "The spreadsheet, by the id in its URL: `…/spreadsheets/d/<id>/edit`.",
     .options = spreadsheet_options},
    {.name = "worksheetIDs",
     .type = RN_ANY,
     .flags = RN_WITH_LABEL,
     .label = "Worksheet",
     .description = "The worksheet, by the number after `gid=` in its URL (0 for the first), or by "
                    "its title.",
     .options = worksheet_options},
    {.name = "rows",
     .type = RN_ANY,
     .label = "Row Values",
     .description =
         "A list of rows, each a list of cells: `[[\"Ada\", 36], [\"Alan\", 41]]`, or its "
         "JSON text. Lists and objects in a cell become JSON text, and so do whole "
         "numbers of more than 15 digits, which a spreadsheet would round."},
};

const struct rn_app google_sheets_app = {
    .slug = "google_sheets",
    .name = "Google Sheets",
    .description = "Google's spreadsheets.",
    .auths = auths,
    .auth_count = RN_COUNT(auths),
    .prop_definitions = definitions,
    .prop_definition_count = RN_COUNT(definitions),
    .account_prop = SHEETS_PROP,
    .test = test_account,
};

static const struct rn_app *const apps[] = {&google_sheets_app};
static const struct rn_component *const components[] = {&google_sheets_add_multiple_rows};

const struct rn_plugin runnel_plugin = {
    RN_PLUGIN_HEAD,
    .name = "google_sheets",
    .version = "0.0.1",
    .apps = apps,
    .app_count = RN_COUNT(apps),
    .component_count = RN_COUNT(components),
    .components = components,
};
