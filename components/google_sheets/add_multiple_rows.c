/* google_sheets-add-multiple-rows: appends rows behind the table of a worksheet.
 *
 * values:append looks for a table in the range and inserts rows after its last one. Values are
 * stored as they are (RAW) unless the user asks Google to read them as if typed: then a text from
 * an event that begins with "=" would be a formula.
 *
 * With `writeOnce` the rows go another way, which a repeated attempt cannot add twice
 * (write_once.c); that way knows no typed values.
 */
#include "google_sheets.h"

#include <stdio.h>
#include <string.h>

#define EXACT_DIGITS 15 /* a spreadsheet keeps no more of a number */
#define HEADERS_MAX 100

/* ------------------------------------------------------------------- rows */

/* Whether a whole number would be rounded by the spreadsheet. */
static bool is_too_long(const char *number)
{
    const char *digits = number[0] == '-' ? number + 1 : number;
    return digits[strspn(digits, "0123456789")] == '\0' && strlen(digits) > EXACT_DIGITS;
}

static struct rn_json *new_cell(struct rn_run *run, const struct rn_json *value)
{
    size_t size;
    int32_t kind = rn_json_kind(run, value);
    if (kind == RN_JSON_OBJECT || kind == RN_JSON_ARRAY) {
        const char *text = rn_json_print(run, value, &size);
        return rn_json_string_n(run, text, size);
    }
    const char *number = rn_json_number_text(run, value);
    if (number && is_too_long(number))
        return rn_json_string(run, number);
    return rn_json_copy(run, value);
}

static int32_t read_rows(struct rn_run *run, struct rn_json **ret)
{
    const struct rn_json *value = rn_prop(run, "rows");
    size_t size;
    const char *text = rn_json_text(run, value, &size);
    if (text)
        value = rn_json_parse(run, text, size);
    struct rn_json *rows = rn_json_array(run);
    bool good = rn_json_kind(run, value) == RN_JSON_ARRAY;
    for (const struct rn_json *r = good ? rn_json_first(run, value) : NULL; r && good;
         r = rn_json_next(run, r)) {
        good = rn_json_kind(run, r) == RN_JSON_ARRAY;
        struct rn_json *row = rn_json_array(run);
        for (const struct rn_json *c = good ? rn_json_first(run, r) : NULL; c;
             c = rn_json_next(run, c))
            rn_json_append(run, row, new_cell(run, c));
        rn_json_append(run, rows, row);
    }
    if (!good)
        return rn_fail(run, RN_EINVAL,
                       "rows is to be a list of lists, one for each row: [[\"Ada\", 36]] for a "
                       "single row of two cells");
    *ret = rows;
    return 0;
}

/* -------------------------------------------------------------------- run */

static int32_t give_summary(struct rn_run *run, const struct rn_json *worksheet, int64_t count,
                            const char *more)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%lld", (long long)count);
    return rn_summary(
        run, RN_TEXT(run, "Successfully added ", text, count == 1 ? " row to " : " rows to ",
                     rn_json_text(run, rn_json_get(run, worksheet, "title"), NULL), more));
}

/* What values:append would say of the rows, but for where they are, which batchUpdate keeps to
 * itself. */
static int32_t give_once(struct rn_run *run, const char *spreadsheet,
                         const struct rn_json *worksheet, const struct rn_json *rows,
                         bool was_before)
{
    int64_t columns = 0, cells = 0, count = (int64_t)rn_json_size(run, rows);
    for (const struct rn_json *r = rn_json_first(run, rows); r; r = rn_json_next(run, r)) {
        int64_t width = (int64_t)rn_json_size(run, r);
        columns = width > columns ? width : columns;
        for (const struct rn_json *c = rn_json_first(run, r); c; c = rn_json_next(run, c))
            cells += rn_json_kind(run, c) != RN_JSON_NULL;
    }
    struct rn_json *updates = rn_json_object(run);
    rn_json_set(run, updates, "spreadsheetId", rn_json_string(run, spreadsheet));
    rn_json_set(run, updates, "updatedRows", rn_json_integer(run, count));
    rn_json_set(run, updates, "updatedColumns", rn_json_integer(run, columns));
    rn_json_set(run, updates, "updatedCells", rn_json_integer(run, cells));
    int32_t err = give_summary(run, worksheet, count,
                               was_before ? " (by an earlier attempt of this step)" : NULL);
    return err ? err : rn_return(run, updates);
}

static int32_t append(struct rn_run *run, const char *spreadsheet, const struct rn_json *worksheet,
                      struct rn_json *rows, bool is_typed)
{
    const char *title = rn_json_text(run, rn_json_get(run, worksheet, "title"), NULL);
    const char *range = sheets_range(run, title, "A:A");

    struct rn_json *body = rn_json_object(run);
    rn_json_set(run, body, "range", rn_json_string(run, range));
    rn_json_set(run, body, "majorDimension", rn_json_string(run, "ROWS"));
    rn_json_set(run, body, "values", rows);
    const struct rn_pair query[] = {{"valueInputOption", is_typed ? "USER_ENTERED" : "RAW"},
                                    {"insertDataOption", "INSERT_ROWS"}};
    struct rn_http_request request = RN_HTTP_REQUEST_INIT(NULL);
    request.method = "POST";
    request.query = query;
    request.query_count = RN_COUNT(query);
    request.json = body;
    const char *path = RN_TEXT(run, "/values/", rn_url_encode(run, range), ":append");
    const struct rn_http_response *response;
    int32_t err = sheets_request(run, sheets_url(run, spreadsheet, path), &request, &response);
    if (err)
        return err;

    const struct rn_json *updates = rn_json_get(run, response->json, "updates");
    const char *updated = rn_json_text(run, rn_json_get(run, updates, "updatedRange"), NULL);
    /* The rows are there: a failure from here on must not fail the step, or it would add them
     * again. */
    if (rn_prop_boolean(run, "resetRowFormat") && updated &&
        sheets_reset_format(run, spreadsheet, worksheet, updated) != 0)
        rn_log(run, RN_LOG_WARN, "the rows were added, but their format could not be reset");
    int64_t count = 0;
    if (!rn_json_to_integer(run, rn_json_get(run, updates, "updatedRows"), &count))
        count = (int64_t)rn_json_size(run, rows);
    err = give_summary(run, worksheet, count, NULL);
    if (err)
        return err;
    return updates ? rn_return(run, updates) : 0;
}

static int32_t add_rows(struct rn_run *run)
{
    const char *spreadsheet = rn_prop_string(run, "sheetId");
    if (!spreadsheet || !spreadsheet[0])
        return rn_fail(run, RN_ECONFIG, "the prop `sheetId` is empty: choose a spreadsheet");
    struct rn_json *rows = NULL;
    const struct rn_json *worksheet;
    int32_t err = read_rows(run, &rows);
    if (err)
        return err;
    if (rn_json_size(run, rows) == 0) {
        rn_summary(run, "No rows to add");
        return 0;
    }
    err = sheets_find(run, spreadsheet, rn_prop(run, "worksheetId"), &worksheet);
    if (err)
        return err;
    const char *option = rn_prop_string(run, "valueInputOption");
    bool is_typed = option && strcmp(option, "USER_ENTERED") == 0;
    if (rn_prop_boolean(run, "writeOnce") && !is_typed) {
        enum sheets_written written = SHEETS_REFUSED;
        err = sheets_write_once(run, spreadsheet, worksheet, rows, &written);
        if (err)
            return err;
        if (written != SHEETS_REFUSED)
            return give_once(run, spreadsheet, worksheet, rows, written == SHEETS_WRITTEN_BEFORE);
        rn_log(run, RN_LOG_WARN,
               "Google refused to add the rows together with a mark (is its metadata full?); they "
               "are appended without, so that a repeated attempt would add them again");
    }
    return append(run, spreadsheet, worksheet, rows, is_typed);
}

/* ---------------------------------------------------------------- headers */

/* A, B, … Z, AA, … of a column counted from 0. */
static void column_name(size_t column, char out[8])
{
    char reversed[8];
    size_t n = 0;
    for (size_t c = column + 1; c > 0 && n < 7; c = (c - 1) / 26)
        reversed[n++] = (char)('A' + (c - 1) % 26);
    for (size_t i = 0; i < n; i++)
        out[i] = reversed[n - 1 - i];
    out[n] = '\0';
}

/* Shows what is in the worksheet's first row, so that the user knows the order of the columns. */
static int32_t additional_props(struct rn_run *run, const struct rn_json *previous)
{
    (void)previous;
    const char *spreadsheet = rn_prop_string(run, "sheetId");
    const struct rn_json *id = rn_prop(run, "worksheetId");
    if (!spreadsheet || !spreadsheet[0] || !id)
        return 0;
    const struct rn_json *worksheet;
    int32_t err = sheets_find(run, spreadsheet, id, &worksheet);
    if (err)
        return err;
    const char *title = rn_json_text(run, rn_json_get(run, worksheet, "title"), NULL);
    const char *range = rn_url_encode(run, sheets_range(run, title, "1:1"));
    struct rn_http_request request = RN_HTTP_REQUEST_INIT(NULL);
    request.flags = RN_HTTP_SAFE;
    const struct rn_http_response *response;
    err = sheets_request(run, sheets_url(run, spreadsheet, RN_TEXT(run, "/values/", range)),
                         &request, &response);
    if (err)
        return err;
    const struct rn_json *row = rn_json_first(run, rn_json_get(run, response->json, "values"));
    const char *list = NULL;
    size_t column = 0;
    for (const struct rn_json *c = rn_json_first(run, row); c && column < HEADERS_MAX;
         c = rn_json_next(run, c), column++) {
        char name[8];
        column_name(column, name);
        const char *text = rn_json_text(run, c, NULL);
        list = RN_TEXT(run, list, list ? ", " : NULL, name, " `",
                       text ? text : rn_json_print(run, c, NULL), "`");
    }
    const struct rn_prop alert = {
        .name = "headersDisplay",
        .type = RN_ALERT,
        .alert_type = RN_ALERT_INFO,
        .label = "Columns",
        .content =
            list ? RN_TEXT(run, "The first row of the worksheet, in the order of the cells: ", list)
                 : "The first row of the worksheet is empty.",
    };
    return rn_add_prop(run, &alert);
}

/* ------------------------------------------------------------------ table */

static const struct rn_input sheet_inputs[] = {{"drive", "drive"}, {NULL, NULL}};
static const struct rn_input worksheet_inputs[] = {{"sheetId", "sheetId"}, {NULL, NULL}};

static const struct rn_prop props[] = {
    {.name = SHEETS_PROP,
     .type = RN_APP,
     .app = &google_sheets_app,
     .label = "Google account",
     .description = "The account that may edit the spreadsheet."},
    {.name = "info",
     .type = RN_ALERT,
     .alert_type = RN_ALERT_INFO,
     .content =
         "Google looks for the last row of the table by itself; hidden or formatted rows and "
         "columns can lead it astray."},
    {.name = "drive", .definition_of = SHEETS_PROP, .definition = "watchedDrive"},
    {.name = "sheetId",
     .definition_of = SHEETS_PROP,
     .definition = "sheetID",
     .inputs = sheet_inputs},
    {.name = "worksheetId",
     .definition_of = SHEETS_PROP,
     .definition = "worksheetIDs",
     .inputs = worksheet_inputs,
     .flags = RN_WITH_LABEL | RN_RELOAD_PROPS},
    {.name = "rows", .definition_of = SHEETS_PROP, .definition = "rows"},
    {.name = "valueInputOption",
     .type = RN_STRING,
     .flags = RN_OPTIONAL,
     .label = "Value Input Option",
     .description =
         "How Google takes the values: as they are, or as if somebody had typed them (`=1+1` "
         "becomes a formula, `1-2` a date). Use the second for values you trust only.",
     .default_json = "\"RAW\"",
     .options_json = "[{\"label\":\"As they are\",\"value\":\"RAW\"},"
                     "{\"label\":\"As if typed\",\"value\":\"USER_ENTERED\"}]"},
    {.name = "writeOnce",
     .type = RN_BOOLEAN,
     .flags = RN_OPTIONAL,
     .label = "Write Once",
     .description = "Add the rows so that a repeated attempt of this step adds nothing. They go "
                    "behind the last row of the worksheet, from column A; a mark is kept for ten "
                    "to twenty minutes in the spreadsheet's developer metadata. Without it, and "
                    "with values as if typed, Google looks for the table and appends to it.",
     .default_json = "true"},
    {.name = "resetRowFormat",
     .type = RN_BOOLEAN,
     .flags = RN_OPTIONAL,
     .label = "Reset Row Format",
     .description = "Give the new rows the default format, instead of that of the row above them."},
};

const struct rn_component google_sheets_add_multiple_rows = {
    .key = "google_sheets-add-multiple-rows",
    .name = "Add Multiple Rows",
    .version = "0.0.1",
    .description = "Adds rows to a worksheet. [See the "
                   "documentation](https://developers.google.com/sheets/api/reference/rest/v4/"
                   "spreadsheets.values/append)",
    .type = RN_ACTION,
    .annotations = RN_OPEN_WORLD,
    .props = props,
    .prop_count = RN_COUNT(props),
    .additional_props = additional_props,
    .run = add_rows,
};
