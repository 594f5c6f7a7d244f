/* Comma-separated values, a record at a time. Thread: [worker]. */
#include "helper_functions.h"

#include <stdlib.h>
#include <string.h>

int32_t csv_begin(struct csv *csv, const char *text, size_t size)
{
    *csv = (struct csv){.text = text, .size = size, .next_line = 1, .field = malloc(size + 1)};
    if (size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0)
        csv->at = 3;
    return csv->field ? 0 : RN_ENOMEM;
}

void csv_end(struct csv *csv)
{
    free(csv->field);
}

static bool is_line_end(const struct csv *csv)
{
    return csv->at == csv->size || csv->text[csv->at] == '\n' || csv->text[csv->at] == '\r';
}

/* JSON has no bytes that are not UTF-8: they would come out as others. */
static struct rn_json *string_of(struct rn_run *run, const char *text, size_t size,
                                 const char **ret_error)
{
    struct rn_json *string = rn_json_string_n(run, text, size);
    size_t kept_size = 0;
    const char *kept = rn_json_text(run, string, &kept_size);
    if (kept_size != size || memcmp(kept, text, size) != 0)
        *ret_error = "it is not UTF-8: convert the file first";
    return string;
}

/* \n, \r\n or \r. */
static void skip_line_end(struct csv *csv)
{
    if (csv->at < csv->size && csv->text[csv->at] == '\r')
        csv->at++;
    if (csv->at < csv->size && csv->text[csv->at] == '\n')
        csv->at++;
    csv->next_line++;
}

/* Behind the opening quote; "" is a quote. */
static struct rn_json *quoted(struct rn_run *run, struct csv *csv, const char **ret_error)
{
    size_t size = 0;
    for (; csv->at < csv->size; csv->at++) {
        char c = csv->text[csv->at];
        bool is_quote = c == '"';
        if (is_quote && csv->at + 1 < csv->size && csv->text[csv->at + 1] == '"')
            csv->at++;
        else if (is_quote)
            break;
        if (c == '\n')
            csv->next_line++;
        csv->field[size++] = c;
    }
    if (csv->at == csv->size)
        *ret_error = "a quote is not closed";
    else if (csv->at++, !is_line_end(csv) && csv->text[csv->at] != ',')
        *ret_error = "there is text behind a closing quote";
    return string_of(run, csv->field, size, ret_error);
}

static struct rn_json *plain(struct rn_run *run, struct csv *csv, const char **ret_error)
{
    size_t start = csv->at;
    while (!is_line_end(csv) && csv->text[csv->at] != ',') {
        if (csv->text[csv->at] == '"')
            *ret_error = "there is a quote inside of a field that does not begin with one";
        csv->at++;
    }
    return string_of(run, csv->text + start, csv->at - start, ret_error);
}

struct rn_json *csv_record(struct rn_run *run, struct csv *csv, const char **ret_error)
{
    struct rn_json *fields = rn_json_array(run);
    *ret_error = NULL;
    csv->line = csv->next_line;
    if (csv->at == csv->size)
        return NULL;
    for (;;) {
        bool is_quoted = csv->at < csv->size && csv->text[csv->at] == '"';
        if (is_quoted)
            csv->at++;
        struct rn_json *field =
            is_quoted ? quoted(run, csv, ret_error) : plain(run, csv, ret_error);
        if (*ret_error)
            break;
        rn_json_append(run, fields, field);
        if (is_line_end(csv))
            break;
        csv->at++; /* the comma */
    }
    while (!is_line_end(csv)) /* of a record that is wrong */
        csv->at++;
    skip_line_end(csv);
    return *ret_error ? NULL : fields;
}
