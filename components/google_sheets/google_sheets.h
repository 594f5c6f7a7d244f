/* What the files of the Google Sheets plugin share. */
#ifndef GOOGLE_SHEETS_GOOGLE_SHEETS_H
#define GOOGLE_SHEETS_GOOGLE_SHEETS_H

#include <runnel/component.h>

/* The name of the app's prop in every component, and the account's name in test(). */
#define SHEETS_PROP "googleSheets"

extern const struct rn_app google_sheets_app;
extern const struct rn_component google_sheets_add_multiple_rows;

/* One request with the account's token; the answer is JSON. Repeats it where Google limits the rate
 * (429). *ret is the answer of a refusal, too, or NULL. */
int32_t sheets_request(struct rn_run *run, const char *url, struct rn_http_request *request,
                       const struct rn_http_response **ret);

/* The URL of a spreadsheet, and of what `path` names in it ("" for itself). */
const char *sheets_url(struct rn_run *run, const char *spreadsheet, const char *path);

/* The properties of the worksheet that `id` (an integer, its text, or a title) names: {sheetId,
 * title, …}. RN_ENOTFOUND with the titles that there are. */
int32_t sheets_find(struct rn_run *run, const char *spreadsheet, const struct rn_json *id,
                    const struct rn_json **ret);

/* A range in a worksheet: 'My Sheet'!A:A. A title is always quoted, with quotes in it doubled. */
const char *sheets_range(struct rn_run *run, const char *title, const char *cells);

/* Undoes the format of the cells that an append has filled. */
int32_t sheets_reset_format(struct rn_run *run, const char *spreadsheet,
                            const struct rn_json *worksheet, const char *updated_range);

enum sheets_written {
    SHEETS_WRITTEN,
    SHEETS_WRITTEN_BEFORE, /* an earlier attempt of this step has added the rows */
    SHEETS_REFUSED,        /* nothing was added, and this way is closed */
};

/* Adds rows behind the last one of the worksheet, unless an earlier attempt of this step did. */
int32_t sheets_write_once(struct rn_run *run, const char *spreadsheet,
                          const struct rn_json *worksheet, const struct rn_json *rows,
                          enum sheets_written *ret);

#endif
