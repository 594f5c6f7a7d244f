/* Lists: a table as wide as the terminal, or tab-separated lines. */
#include "cli/cli.h"

#include "base/clock.h"

#include <time.h>

enum column_kind { COLUMN_TEXT, COLUMN_WHOLE, COLUMN_STATUS, COLUMN_TIME, COLUMN_MS };
enum { COLUMNS_MAX = 16, NARROWEST = 12, GAP = 2 };

static enum column_kind kind_of(const struct column *column)
{
    static const struct {
        const char *member;
        enum column_kind kind;
    } known[] = {
        {"id", COLUMN_WHOLE},      {"run", COLUMN_WHOLE},     {"event", COLUMN_WHOLE},
        {"url", COLUMN_WHOLE},     {"hook", COLUMN_WHOLE},    {"key", COLUMN_WHOLE},
        {"value", COLUMN_WHOLE},   {"name", COLUMN_WHOLE},    {"replay_of", COLUMN_WHOLE},
        {"needed", COLUMN_WHOLE},  {"status", COLUMN_STATUS}, {"state", COLUMN_STATUS},
        {"active", COLUMN_STATUS}, {"level", COLUMN_STATUS},  {"created", COLUMN_TIME},
        {"received", COLUMN_TIME}, {"time", COLUMN_TIME},     {"duration_ms", COLUMN_MS},
    };
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (strcmp(known[i].member, column->member) == 0)
            return known[i].kind;
    return COLUMN_TEXT;
}

/* What a cell shows, on one line. */
static char *cell(const struct json *row, const struct column *column, bool is_table)
{
    const struct json *value = json_get(row, column->member);
    int64_t ms = 0;
    char *text = !value || json_is(value, JSON_NULL) ? xstrdup("")
                 : json_is(value, JSON_STRING)       ? str_dup(json_str(value))
                                                     : json_text(value, NULL);
    if (is_table && kind_of(column) == COLUMN_TIME && clock_parse(str_from(text), &ms) == 0) {
        free(text);
        return out_moment(ms);
    }
    if (is_table && kind_of(column) == COLUMN_MS && json_to_i64(value, &ms)) {
        free(text);
        return out_duration(ms);
    }
    if (is_table && json_is(value, JSON_ARRAY) && json_is(json_first(value), JSON_STRING)) {
        struct buf list = BUF_INIT(SIZE_MAX / 2);
        for (const struct json *v = json_first(value); v; v = json_next(v))
            buf_addf(&list, "%s%s", list.len ? ", " : "", json_c(v) ? json_c(v) : "…");
        free(text);
        text = buf_take(&list, NULL);
    }
    char *clean = out_clean(text);
    for (char *c = clean; *c; c++)
        if (*c == '\n')
            *c = ' ';
    free(text);
    return clean;
}

/* At most `width` columns, cut with an ellipsis. Takes `text`. */
static char *cut(char *text, size_t width)
{
    struct str all = str_from(text);
    size_t at = 0, used = 0;
    if (out_width(text) <= width)
        return text;
    while (at < all.len) {
        size_t next = at;
        char one[8] = "";
        (void)utf8_decode(all, &next);
        memcpy(one, text + at, next - at);
        if (used + out_width(one) + 1 > width)
            break;
        used += out_width(one);
        at = next;
    }
    char *shorter = xasprintf("%.*s…", (int)at, text);
    free(text);
    return shorter;
}

static void measure(const struct json *list, const struct column *columns, size_t count,
                    size_t widths[COLUMNS_MAX])
{
    for (size_t c = 0; c < count; c++) {
        widths[c] = out_width(columns[c].title);
        for (const struct json *row = json_first(list); row; row = json_next(row)) {
            char *text = cell(row, &columns[c], true);
            size_t width = out_width(text);
            widths[c] = width > widths[c] ? width : widths[c];
            free(text);
        }
    }
}

/* Makes the widest of the columns that may be cut narrower until the table fits. */
static void fit(const struct column *columns, size_t count, size_t widths[COLUMNS_MAX])
{
    size_t room = out_columns(), total = 0;
    for (size_t c = 0; c < count; c++)
        total += widths[c] + (c ? GAP : 0);
    while (total > room) {
        size_t widest = SIZE_MAX;
        for (size_t c = 0; c < count; c++)
            if (kind_of(&columns[c]) == COLUMN_TEXT && widths[c] > NARROWEST &&
                (widest == SIZE_MAX || widths[c] > widths[widest]))
                widest = c;
        if (widest == SIZE_MAX)
            return;
        widths[widest]--;
        total--;
    }
}

static void print_row(const struct json *row, const struct column *columns, size_t count,
                      const size_t *widths)
{
    for (size_t c = 0; c < count; c++) {
        char *text = cut(cell(row, &columns[c], true), widths[c]);
        bool is_status = kind_of(&columns[c]) == COLUMN_STATUS;
        printf("%s%s%s", is_status ? out_status_color(text) : "", text,
               is_status ? out_reset() : "");
        for (size_t pad = out_width(text); c + 1 < count && pad < widths[c] + GAP; pad++)
            putchar(' ');
        free(text);
    }
    putchar('\n');
}

void out_rows(const struct json *list, const struct column *columns, size_t count)
{
    for (const struct json *row = json_first(list); row; row = json_next(row)) {
        for (size_t c = 0; c < count; c++) {
            bool is_table = out_is_terminal();
            char *text = cell(row, &columns[c], is_table);
            const char *color =
                is_table && kind_of(&columns[c]) == COLUMN_STATUS ? out_status_color(text) : "";
            printf("%s%s%s%s",
                   c == 0     ? ""
                   : is_table ? "  "
                              : "\t",
                   color, text, *color ? out_reset() : "");
            free(text);
        }
        putchar('\n');
    }
    fflush(stdout);
}

void out_table(const struct json *list, const struct column *columns, size_t count)
{
    size_t widths[COLUMNS_MAX] = {0};
    if (!out_is_terminal()) {
        out_rows(list, columns, count);
        return;
    }
    measure(list, columns, count, widths);
    fit(columns, count, widths);
    printf("%s", out_dim());
    for (size_t c = 0; c < count; c++)
        printf("%-*s", c + 1 < count ? (int)widths[c] + GAP : 0, columns[c].title);
    printf("%s\n", out_reset());
    for (const struct json *row = json_first(list); row; row = json_next(row))
        print_row(row, columns, count, widths);
}

int cli_list(const struct args *args, const char *path, const struct column *columns, size_t count,
             const char *none)
{
    struct client *client = client_open(args->project, true);
    struct json *list = NULL;
    struct err err = ERR_INIT;
    if (!client)
        return 1;
    int rc = client_call(client, "GET", path, NULL, &list, &err);
    client_close(client);
    if (rc)
        return out_error(&err);
    if (args->is_json)
        out_json(list);
    else if (json_count(list) == 0)
        fprintf(stderr, "%s\n", none);
    else
        out_table(list, columns, count);
    json_free(list);
    return 0;
}
