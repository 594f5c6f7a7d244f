/* Google Sheets: the spreadsheet, its values, batchUpdate, developer metadata. Shapes and quotas:
 * Google's Sheets API v4 reference and its "Usage limits". */
#include "sandbox/sheets.h"

#include <stdarg.h>

enum { A_MINUTE_AND_USER = 60, A_MINUTE_AND_PROJECT = 300 };

void sheets_error(struct visit *visit, int code, const char *status, const char *format, ...)
{
    struct json *answer = json_new_object(), *error = json_set(answer, "error", json_new_object());
    char message[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    json_set_integer(error, "code", code);
    json_set_string(error, "message", message);
    json_set_string(error, "status", status);
    reply(visit, code, answer);
}

void sheets_refuse(struct visit *visit, int status, const char *message)
{
    sheets_error(visit, status,
                 status == 401   ? "UNAUTHENTICATED"
                 : status == 403 ? "PERMISSION_DENIED"
                 : status == 404 ? "NOT_FOUND"
                 : status == 409 ? "ABORTED"
                 : status == 429 ? "RESOURCE_EXHAUSTED"
                 : status == 500 ? "INTERNAL"
                 : status == 504 ? "DEADLINE_EXCEEDED"
                 : status >= 500 ? "UNAVAILABLE"
                                 : "INVALID_ARGUMENT",
                 "%s", message);
}

/* ---- who may, and how often */

static bool is_allowed(struct visit *visit)
{
    struct str scope = STR_NONE;
    if (!google_token_is_good(visit->sandbox, visit_bearer(visit), &scope)) {
        sheets_error(visit, 401, "UNAUTHENTICATED",
                     "Request had invalid authentication credentials. Expected OAuth 2 access "
                     "token, login cookie or other valid authentication credential.");
        return false;
    }
    if (str_find(scope, "auth/spreadsheets", 0) < 0 && str_find(scope, "auth/drive", 0) < 0) {
        sheets_error(visit, 403, "PERMISSION_DENIED",
                     "Request had insufficient authentication scopes.");
        return false;
    }
    return true;
}

static bool is_limited(struct visit *visit)
{
    bool is_read = is_method(visit, "GET");
    const char *what = is_read ? "Read" : "Write";
    /* the service account is one user, whoever has the fixed token another */
    bool is_fixed = str_eq_c(visit_bearer(visit), SANDBOX_TOKEN);
    char user[32], project[32];
    (void)snprintf(user, sizeof(user), "sheets-%s-%s", what, is_fixed ? "fixed" : "account");
    (void)snprintf(project, sizeof(project), "sheets-%s", what);
    struct rate_result by_user = rate_take(visit->sandbox, user, A_MINUTE_AND_USER, 60000);
    bool is_over = by_user.is_limited ||
                   rate_take(visit->sandbox, project, A_MINUTE_AND_PROJECT, 60000).is_limited;
    if (!is_over)
        return false;
    const char *whose = by_user.is_limited ? " per user" : "";
    struct json *answer = json_new_object(), *error = json_set(answer, "error", json_new_object());
    char *message = xasprintf("Quota exceeded for quota metric '%s requests' and limit '%s "
                              "requests per minute%s' of service 'sheets.googleapis.com' for "
                              "consumer 'project_number:1000000000001'.",
                              what, what, whose);
    json_set_integer(error, "code", 429);
    json_set_string(error, "message", message);
    json_set_string(error, "status", "RESOURCE_EXHAUSTED");
    struct json *detail =
        json_append(json_set(error, "details", json_new_array()), json_new_object());
    json_set_string(detail, "@type", "type.googleapis.com/google.rpc.ErrorInfo");
    json_set_string(detail, "reason", "RATE_LIMIT_EXCEEDED");
    json_set_string(detail, "domain", "googleapis.com");
    free(message);
    reply(visit, 429, answer);
    return true;
}

/* ---- values */

/* A value as it is stored: as it is, or as if somebody had typed it. */
static struct json *new_cell(const struct json *value, bool is_typed)
{
    struct str text = json_str(value);
    struct json *number = NULL;
    if (!is_typed || !text.len)
        return json_copy(value);
    if (text.ptr[0] == '=') {
        struct json *formula = json_new_object();
        json_set_str(formula, "formula", text);
        return formula;
    }
    if (text.ptr[0] == '\'')
        return json_new_string(str_n(text.ptr + 1, text.len - 1));
    if (str_eq_nocase(text, STR("true")) || str_eq_nocase(text, STR("false")))
        return json_new_boolean(str_eq_nocase(text, STR("true")));
    size_t zeros = 0; /* 007 is 7 */
    while (zeros + 1 < text.len && text.ptr[zeros] == '0' && text.ptr[zeros + 1] >= '0' &&
           text.ptr[zeros + 1] <= '9')
        zeros++;
    if (json_parse(str_n(text.ptr + zeros, text.len - zeros), &number, NULL) == 0 &&
        json_is(number, JSON_NUMBER))
        return number;
    json_free(number);
    return json_copy(value);
}

static struct json *shown_cell(const struct json *cell, const char *render)
{
    bool is_formatted = !render || strcmp(render, "FORMATTED_VALUE") == 0;
    if (!cell || json_is(cell, JSON_NULL))
        return json_new_string_c("");
    if (json_is(cell, JSON_OBJECT)) /* nothing is computed here */
        return json_copy(json_get(cell, "formula"));
    if (is_formatted && json_is(cell, JSON_NUMBER))
        return json_new_string(json_literal(cell));
    if (is_formatted && json_is(cell, JSON_BOOLEAN))
        return json_new_string_c(json_is_true(cell) ? "TRUE" : "FALSE");
    return json_copy(cell);
}

static struct json *read_row(const struct json *row, const struct sheet_range *range,
                             const char *render)
{
    struct json *cells = json_new_array(), *waiting = json_new_array();
    int64_t column = 0;
    for (const struct json *c = json_first(row); c && column < range->end_column;
         c = json_next(c), column++) {
        if (column < range->column)
            continue;
        (void)json_append(waiting, shown_cell(c, render));
        if (json_is(c, JSON_NULL)) /* trailing empty cells are left out */
            continue;
        for (struct json *w; (w = json_take_first(waiting));)
            (void)json_append(cells, w);
    }
    json_free(waiting);
    return cells;
}

static void get_values(struct visit *visit, const struct sheet_range *range)
{
    struct json *answer = json_new_object(), *rows = json_new_array(), *waiting = json_new_array();
    const char *render = json_get_c(visit->query, "valueRenderOption");
    int64_t count = sheet_row_count(range->sheet), widest = 1;
    for (int64_t r = range->row; r < count && r < range->end_row; r++) {
        struct json *row = read_row(sheet_row(range->sheet, r), range, render);
        int64_t width = (int64_t)json_count(row);
        widest = width > widest ? width : widest;
        (void)json_append(waiting, row);
        for (struct json *w; width && (w = json_take_first(waiting));)
            (void)json_append(rows, w);
    }
    json_free(waiting);
    int64_t shown = (int64_t)json_count(rows);
    char *text = sheet_range_text(range->sheet, range->row, range->column, shown, widest);
    json_set_string(answer, "range", text);
    json_set_string(answer, "majorDimension", "ROWS");
    if (shown)
        (void)json_set(answer, "values", rows);
    else
        json_free(rows);
    free(text);
    reply(visit, 200, answer);
}

/* The body's values, if they and the option are good; the widest row in *ret_columns. */
static const struct json *good_values(struct visit *visit, bool *ret_typed, int64_t *ret_columns,
                                      int64_t *ret_cells)
{
    struct str option = json_get_text(visit->query, "valueInputOption");
    const struct json *values = json_get(visit->body, "values");
    *ret_typed = str_eq_c(option, "USER_ENTERED");
    if (!*ret_typed && !str_eq_c(option, "RAW")) {
        sheets_error(visit, 400, "INVALID_ARGUMENT",
                     "'valueInputOption' is required but not specified");
        return NULL;
    }
    if (!json_is(values, JSON_ARRAY)) {
        sheets_error(visit, 400, "INVALID_ARGUMENT",
                     "Invalid value at 'data.values': a list of "
                     "lists is expected");
        return NULL;
    }
    size_t row = 0;
    for (const struct json *r = json_first(values); r; r = json_next(r), row++) {
        size_t column = 0;
        for (const struct json *c = json_first(r); c; c = json_next(c), column++) {
            if (json_is(c, JSON_OBJECT) || json_is(c, JSON_ARRAY)) {
                sheets_error(visit, 400, "INVALID_ARGUMENT",
                             "Invalid values[%zu][%zu]: a cell holds a string, a number or a "
                             "boolean",
                             row, column);
                return NULL;
            }
            *ret_cells += !json_is(c, JSON_NULL);
        }
        *ret_columns = (int64_t)column > *ret_columns ? (int64_t)column : *ret_columns;
        if (!json_is(r, JSON_ARRAY) || column > SHEET_COLUMNS_MAX) {
            sheets_error(visit, 400, "INVALID_ARGUMENT",
                         "Invalid values[%zu]: list of at most "
                         "1000 cells",
                         row);
            return NULL;
        }
    }
    return values;
}

static struct json *new_updates(const struct json *sheet, int64_t row, int64_t column, int64_t rows,
                                int64_t columns, int64_t cells)
{
    struct json *updates = json_new_object();
    char *range = sheet_range_text(sheet, row, column, rows, columns);
    json_set_string(updates, "spreadsheetId", SPREADSHEET_ID);
    json_set_string(updates, "updatedRange", range);
    json_set_integer(updates, "updatedRows", rows);
    json_set_integer(updates, "updatedColumns", columns);
    json_set_integer(updates, "updatedCells", cells);
    free(range);
    return updates;
}

static int64_t table_width(const struct json *sheet)
{
    int64_t width = 1, first = (int64_t)json_count(sheet_row(sheet, 0));
    return first > width ? first : width;
}

/* After the last row of the table that the range finds: here, of the sheet. */
static void append_values(struct visit *visit, const struct sheet_range *range)
{
    bool is_typed = false;
    int64_t columns = 0, cells = 0, at = sheet_row_count(range->sheet);
    const struct json *values = good_values(visit, &is_typed, &columns, &cells);
    if (!values)
        return;
    struct json *answer = json_new_object();
    json_set_string(answer, "spreadsheetId", SPREADSHEET_ID);
    if (at) { /* absent where no table was found */
        char *table = sheet_range_text(range->sheet, 0, 0, at, table_width(range->sheet));
        json_set_string(answer, "tableRange", table);
        free(table);
    }
    int64_t column = at ? 0 : range->column; /* the table's own first column */
    for (const struct json *r = json_first(values); r; r = json_next(r)) {
        struct json *row = json_new_array();
        for (const struct json *c = json_first(r); c; c = json_next(c))
            (void)json_append(row, new_cell(c, is_typed));
        sheet_append(range->sheet, column, row);
        sheet_note(visit->sandbox, range->sheet, r);
    }
    (void)json_set(
        answer, "updates",
        new_updates(range->sheet, at, column, (int64_t)json_count(values), columns, cells));
    reply(visit, 200, answer);
}

static void update_values(struct visit *visit, const struct sheet_range *range)
{
    bool is_typed = false;
    int64_t columns = 0, cells = 0, row = range->row;
    const struct json *values = good_values(visit, &is_typed, &columns, &cells);
    if (!values)
        return;
    int64_t rows = (int64_t)json_count(values);
    if (range->row + rows > range->end_row || range->column + columns > range->end_column ||
        range->row + rows > sheet_row_count(range->sheet) + SHEET_ROWS_MAX / 2) {
        sheets_error(visit, 400, "INVALID_ARGUMENT",
                     "Requested writing within range [%s], but tried writing outside of it",
                     visit->segments[4]);
        return;
    }
    for (const struct json *r = json_first(values); r; r = json_next(r), row++) {
        int64_t column = range->column;
        for (const struct json *c = json_first(r); c; c = json_next(c), column++)
            if (!json_is(c, JSON_NULL)) /* null leaves a cell as it is */
                sheet_set(range->sheet, row, column, new_cell(c, is_typed));
        sheet_note(visit->sandbox, range->sheet, r);
    }
    reply(visit, 200, new_updates(range->sheet, range->row, range->column, rows, columns, cells));
}

static void values(struct visit *visit)
{
    char *text = xstrdup(visit->segments[4]);
    bool is_append = str_ends(str_from(text), ":append");
    struct sheet_range range;
    if (is_append)
        text[strlen(text) - strlen(":append")] = '\0';
    if (!sheet_range_read(visit->sandbox, text, &range))
        sheets_error(visit, 400, "INVALID_ARGUMENT", "Unable to parse range: %s", text);
    else if (is_append && is_method(visit, "POST"))
        append_values(visit, &range);
    else if (!is_append && is_method(visit, "GET"))
        get_values(visit, &range);
    else if (!is_append && is_method(visit, "PUT"))
        update_values(visit, &range);
    else
        sheets_refuse(visit, 404, "Requested entity was not found.");
    free(text);
}

static void get_spreadsheet(struct visit *visit)
{
    struct json *answer = json_new_object();
    json_set_string(answer, "spreadsheetId", SPREADSHEET_ID);
    json_set_string(json_set(answer, "properties", json_new_object()), "title", "Sandbox sheet");
    struct json *list = json_set(answer, "sheets", json_new_array());
    int64_t index = 0;
    for (const struct json *s = json_first(sheets_list(visit->sandbox)); s; s = json_next(s)) {
        struct json *properties =
            json_set(json_append(list, json_new_object()), "properties", json_new_object());
        json_set_integer(properties, "sheetId", json_get_i64(s, "sheetId", 0));
        json_set_str(properties, "title", json_get_text(s, "title"));
        json_set_integer(properties, "index", index++);
        json_set_string(properties, "sheetType", "GRID");
    }
    reply(visit, 200, answer);
}

void sheets_visit(struct visit *visit)
{
    if (!is_allowed(visit) || is_limited(visit))
        return;
    bool is_batch = visit->count == 3 && str_ends(str_from(visit->segments[2]), ":batchUpdate");
    if (is_batch)
        visit->segments[2][strlen(visit->segments[2]) - strlen(":batchUpdate")] = '\0';
    if (!visit_has(visit, 0, "v4") || !visit_has(visit, 1, "spreadsheets") ||
        !visit_has(visit, 2, SPREADSHEET_ID))
        sheets_refuse(visit, 404, "Requested entity was not found.");
    else if (is_batch && is_method(visit, "POST"))
        sheets_batch_update(visit);
    else if (visit->count == 3 && is_method(visit, "GET"))
        get_spreadsheet(visit);
    else if (visit->count == 5 && visit_has(visit, 3, "values"))
        values(visit);
    else if (visit->count == 5 && visit_has(visit, 3, "developerMetadata"))
        sheets_metadata_get(visit, visit->segments[4]);
    else
        sheets_refuse(visit, 404, "Requested entity was not found.");
}
