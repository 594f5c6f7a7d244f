/* Google: the token endpoint, and of Sheets what appending rows needs. Shapes: Google's OAuth 2.0
 * and Sheets API v4 references. */
#include "sandbox/private.h"

void google_visit(struct visit *visit)
{
    if (visit_is(visit, "POST", "token")) {
        struct str grant = json_get_text(visit->body, "grant_type");
        bool is_refresh = str_eq_c(grant, "refresh_token") &&
                          str_eq_c(json_get_text(visit->body, "refresh_token"), "sandbox-refresh");
        bool is_jwt = str_eq_c(grant, "urn:ietf:params:oauth:grant-type:jwt-bearer") &&
                      json_get_text(visit->body, "assertion").len;
        if (is_refresh || is_jwt)
            reply_text(visit, 200,
                       "{\"access_token\":\"sandbox-token\",\"expires_in\":3599,\"token_type\":"
                       "\"Bearer\"}");
        else
            reply_text(visit, 400,
                       "{\"error\":\"invalid_grant\",\"error_description\":\"Bad Request\"}");
    } else if (visit_is(visit, "GET", "oauth2/v3/tokeninfo")) {
        if (str_eq_c(json_get_text(visit->query, "access_token"), "sandbox-token") ||
            str_eq_c(visit_bearer(visit), "sandbox-token"))
            reply_text(visit, 200,
                       "{\"scope\":\"https://www.googleapis.com/auth/"
                       "spreadsheets\",\"expires_in\":\"3599\"}");
        else
            reply_text(visit, 400,
                       "{\"error\":\"invalid_token\",\"error_description\":\"Invalid Value\"}");
    } else if (visit_is(visit, "GET", "drive/v3/files")) {
        reply_text(visit, 200,
                   "{\"files\":[{\"id\":\"sandbox-sheet\",\"name\":\"Sandbox sheet\"}]}");
    } else {
        reply_text(visit, 404, "{\"error\":\"not_found\"}");
    }
}

static void sheet_error(struct visit *visit, int code, const char *status, const char *message)
{
    struct json *answer = json_new_object(), *error = json_set(answer, "error", json_new_object());
    json_set_integer(error, "code", code);
    json_set_string(error, "message", message);
    json_set_string(error, "status", status);
    reply(visit, code, answer);
}

/* The title of an A1 range: 'My Sheet'!A:A or Events!A:A. */
static char *title_of(const char *range)
{
    struct buf title = BUF_INIT(KIB(4));
    if (range[0] == '\'') {
        for (const char *c = range + 1; *c && !(c[0] == '\'' && c[1] != '\''); c++) {
            buf_add_char(&title, *c);
            c += c[0] == '\'';
        }
    } else {
        buf_add(&title, range, strcspn(range, "!:"));
    }
    return buf_take(&title, NULL);
}

static struct json *rows_of(struct visit *visit, const char *title)
{
    struct json *sheets = state_member(visit->sandbox, "sheets", false);
    struct json *rows = json_get_mut(sheets, title);
    if (!rows && strcmp(title, "Events") == 0) {
        rows = json_set(sheets, title, json_new_array());
        struct json *head = json_append(rows, json_new_array());
        static const char *const names[] = {"messageId", "type", "userId"};
        for (size_t i = 0; i < COUNT_OF(names); i++)
            (void)json_append(head, json_new_string_c(names[i]));
    } else if (!rows && strcmp(title, "Other") == 0) {
        rows = json_set(sheets, title, json_new_array());
    }
    return rows;
}

static void append(struct visit *visit, const char *title, struct json *rows)
{
    const struct json *values = json_get(visit->body, "values");
    size_t first = json_count(rows) + 1, cells = 0, columns = 0;
    const char *option = json_get_c(visit->query, "valueInputOption");
    if (!option || (strcmp(option, "RAW") != 0 && strcmp(option, "USER_ENTERED") != 0)) {
        sheet_error(visit, 400, "INVALID_ARGUMENT",
                    "'valueInputOption' is required but not specified");
        return;
    }
    for (const struct json *r = json_first(values); r; r = json_next(r)) {
        for (const struct json *c = json_first(r); c; c = json_next(c)) {
            if (json_is(c, JSON_OBJECT) || json_is(c, JSON_ARRAY)) {
                sheet_error(visit, 400, "INVALID_ARGUMENT",
                            "Invalid values: a cell holds a string, a number or a boolean");
                return;
            }
        }
        cells += json_count(r);
        columns = json_count(r) > columns ? json_count(r) : columns;
    }
    for (const struct json *r = json_first(values); r; r = json_next(r)) {
        struct json *row = json_new_object();
        (void)json_append(rows, json_copy(r));
        json_set_string(row, "sheet", title);
        (void)json_set(row, "row", json_copy(r));
        note_received(visit->sandbox, "sheets", row);
    }
    struct json *answer = json_new_object(), *updates = json_new_object();
    json_set_string(answer, "spreadsheetId", visit->segments[2]);
    char *range =
        xasprintf("%s!A%zu:%c%zu", title, first, (int)('A' + (columns ? columns - 1 : 0) % 26),
                  first + json_count(values) - 1);
    json_set_string(updates, "spreadsheetId", visit->segments[2]);
    json_set_string(updates, "updatedRange", range);
    json_set_integer(updates, "updatedRows", (int64_t)json_count(values));
    json_set_integer(updates, "updatedColumns", (int64_t)columns);
    json_set_integer(updates, "updatedCells", (int64_t)cells);
    (void)json_set(answer, "updates", updates);
    free(range);
    reply(visit, 200, answer);
}

static void values(struct visit *visit)
{
    char *range = xstrdup(visit->segments[4]);
    bool is_append = str_ends(str_from(range), ":append");
    if (is_append)
        range[strlen(range) - strlen(":append")] = '\0';
    char *title = title_of(range);
    pthread_mutex_lock(&visit->sandbox->lock);
    struct json *rows = rows_of(visit, title);
    if (!rows) {
        sheet_error(visit, 400, "INVALID_ARGUMENT", "Unable to parse range");
    } else if (is_append && strcmp(visit->request->method, "POST") == 0) {
        append(visit, title, rows);
    } else {
        struct json *answer = json_new_object();
        json_set_string(answer, "range", range);
        json_set_string(answer, "majorDimension", "ROWS");
        (void)json_set(answer, "values", json_copy(rows));
        reply(visit, 200, answer);
    }
    pthread_mutex_unlock(&visit->sandbox->lock);
    free(title);
    free(range);
}

void sheets_visit(struct visit *visit)
{
    if (!str_eq_c(visit_bearer(visit), "sandbox-token"))
        sheet_error(visit, 401, "UNAUTHENTICATED",
                    "Request had invalid authentication credentials.");
    else if (visit->count < 3 || strcmp(visit->segments[2], "sandbox-sheet") != 0)
        sheet_error(visit, 404, "NOT_FOUND", "Requested entity was not found.");
    else if (visit->count == 3)
        reply_text(visit, 200,
                   "{\"spreadsheetId\":\"sandbox-sheet\",\"properties\":{\"title\":\"Sandbox "
                   "sheet\"},\"sheets\":[{\"properties\":{\"sheetId\":0,"
                   "\"title\":\"Events\",\"index\":0}},{\"properties\":{\"sheetId\":7,\"title\":"
                   "\"Other\",\"index\":1}}]}");
    else if (visit->count == 5 && strcmp(visit->segments[3], "values") == 0)
        values(visit);
    else
        sheet_error(visit, 404, "NOT_FOUND", "Requested entity was not found.");
}
