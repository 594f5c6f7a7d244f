/* What the files of the helper_functions plugin share. */
#ifndef HELPER_FUNCTIONS_HELPER_FUNCTIONS_H
#define HELPER_FUNCTIONS_HELPER_FUNCTIONS_H

#include <runnel/component.h>

/* The name of the dir prop in both. */
#define DIR_PROP "syncDir"

extern const struct rn_app helper_functions_app;
extern const struct rn_component helper_download_file_to_tmp, helper_csv_file_to_objects;

/* ---- csv.c: comma-separated values (RFC 4180), with quotes, any line end, a byte order mark */

struct csv {
    const char *text;
    size_t size, at;
    size_t line; /* of the record that was read last, from 1 */
    size_t next_line;
    char *field; /* what quotes held is put together here */
};

/* The text is borrowed until csv_end(). RN_ENOMEM. */
int32_t csv_begin(struct csv *csv, const char *text, size_t size);
void csv_end(struct csv *csv);
/* The next record's fields as a list of strings; NULL: there is none any more, or *ret_error says
 * what is wrong with it, and reading goes on behind its line. */
struct rn_json *csv_record(struct rn_run *run, struct csv *csv, const char **ret_error);

#endif
