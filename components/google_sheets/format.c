/* Takes the format of added rows away: an insert gives them that of the row above. */
#include "google_sheets.h"

#include <string.h>

/* A cell like "C5" as column and row counted from 0; a part that is missing is -1. Returns what is
 * behind it. */
static const char *read_cell(const char *text, int64_t *ret_column, int64_t *ret_row)
{
    int64_t column = 0, row = 0;
    for (; *text >= 'A' && *text <= 'Z' && column < 100000; text++)
        column = column * 26 + (*text - 'A' + 1);
    for (; *text >= '0' && *text <= '9' && row < 100000000; text++)
        row = row * 10 + (*text - '0');
    *ret_column = column - 1;
    *ret_row = row - 1;
    return text;
}

/* "'My Sheet'!A4:C5" as a GridRange, whose ends are exclusive. */
static struct rn_json *grid_range(struct rn_run *run, const struct rn_json *worksheet,
                                  const char *range)
{
    const char *mark = strrchr(range, '!');
    int64_t column, row, last_column, last_row;
    const char *rest = read_cell(mark ? mark + 1 : range, &column, &row);
    if (*rest == ':') {
        (void)read_cell(rest + 1, &last_column, &last_row);
    } else {
        last_column = column;
        last_row = row;
    }
    if (column < 0 || row < 0 || last_column < column || last_row < row)
        return NULL;
    struct rn_json *grid = rn_json_object(run);
    const struct rn_json *id = rn_json_get(run, worksheet, "sheetId");
    rn_json_set(run, grid, "sheetId", id ? rn_json_copy(run, id) : rn_json_integer(run, 0));
    rn_json_set(run, grid, "startRowIndex", rn_json_integer(run, row));
    rn_json_set(run, grid, "endRowIndex", rn_json_integer(run, last_row + 1));
    rn_json_set(run, grid, "startColumnIndex", rn_json_integer(run, column));
    rn_json_set(run, grid, "endColumnIndex", rn_json_integer(run, last_column + 1));
    return grid;
}

int32_t sheets_reset_format(struct rn_run *run, const char *spreadsheet,
                            const struct rn_json *worksheet, const char *updated_range)
{
    struct rn_json *grid = grid_range(run, worksheet, updated_range);
    if (!grid)
        return RN_EPROTOCOL;
    /* An empty cell under the mask of the format clears the format and leaves the values. */
    struct rn_json *repeat = rn_json_object(run);
    rn_json_set(run, repeat, "range", grid);
    rn_json_set(run, repeat, "cell", rn_json_object(run));
    rn_json_set(run, repeat, "fields", rn_json_string(run, "userEnteredFormat"));
    struct rn_json *update = rn_json_object(run);
    rn_json_set(run, update, "repeatCell", repeat);
    struct rn_json *requests = rn_json_array(run);
    rn_json_append(run, requests, update);
    struct rn_json *body = rn_json_object(run);
    rn_json_set(run, body, "requests", requests);
    struct rn_http_request request = RN_HTTP_REQUEST_INIT(NULL);
    request.method = "POST";
    request.json = body;
    request.flags = RN_HTTP_SAFE;
    const struct rn_http_response *response;
    return sheets_request(run, sheets_url(run, spreadsheet, ":batchUpdate"), &request, &response);
}
