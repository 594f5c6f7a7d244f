/* What the files of the Sheets stand-in share: the spreadsheet's grid, and ranges in it.
 *
 * A sheet is {sheetId, title, rows, dropped}: rows are lists of cells, a cell is null, a string, a
 * number, a boolean or {"formula": "=…"}. The first row and the last SHEET_ROWS_MAX are kept; the
 * rows between them were dropped and look empty, and row numbers go on. */
#ifndef RUNNEL_SANDBOX_SHEETS_H
#define RUNNEL_SANDBOX_SHEETS_H

#include "sandbox/private.h"

#define SHEET_ROWS_MAX 5000
#define SHEET_COLUMNS_MAX 1000
#define SPREADSHEET_ID "sandbox-sheet"

/* Rows and columns counted from 0, ends exclusive; INT64_MAX: open. */
struct sheet_range {
    struct json *sheet;
    int64_t row, end_row, column, end_column;
};

struct json *sheets_list(struct sandbox *sandbox);
struct json *sheet_by_id(struct sandbox *sandbox, int64_t id);
/* 'My Sheet'!A1:C5, Events!A:A, Events!1:1, A1, Events. False: it cannot be read, or no such sheet. */
bool sheet_range_read(struct sandbox *sandbox, const char *text, struct sheet_range *ret);
/* 'My Sheet'!A4:C5; the caller frees. */
char *sheet_range_text(const struct json *sheet, int64_t row, int64_t column, int64_t rows,
                       int64_t columns);
/* Rows that there are, dropped ones too. */
int64_t sheet_row_count(const struct json *sheet);
/* NULL: an empty row. */
const struct json *sheet_row(const struct json *sheet, int64_t row);
/* Puts a cell in its place, adding rows as needed; takes `value`. */
void sheet_set(struct json *sheet, int64_t row, int64_t column, struct json *value);
/* Adds a row at the end, starting at `column`; takes `cells`. */
void sheet_append(struct json *sheet, int64_t column, struct json *cells);
/* Notes an added row as received. */
void sheet_note(struct sandbox *sandbox, const struct json *sheet, const struct json *row);

void sheets_error(struct visit *visit, int code, const char *status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void sheets_batch_update(struct visit *visit);
void sheets_metadata_get(struct visit *visit, const char *id);

#endif
