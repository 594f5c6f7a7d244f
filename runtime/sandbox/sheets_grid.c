/* The spreadsheet's cells, and A1 notation. */
#include "sandbox/sheets.h"

static struct json *new_sheet(int64_t id, const char *title)
{
    struct json *sheet = json_new_object();
    json_set_integer(sheet, "sheetId", id);
    json_set_string(sheet, "title", title);
    json_set_integer(sheet, "dropped", 0);
    (void)json_set(sheet, "rows", json_new_array());
    return sheet;
}

struct json *sheets_list(struct sandbox *sandbox)
{
    static const char *const names[] = {"messageId", "type", "userId"};
    struct json *state = state_member(sandbox, "sheets"), *list = json_get_mut(state, "sheets");
    if (list)
        return list;
    list = json_set(state, "sheets", json_new_array());
    struct json *events = json_append(list, new_sheet(0, "Events")), *head = json_new_array();
    for (size_t i = 0; i < COUNT_OF(names); i++)
        (void)json_append(head, json_new_string_c(names[i]));
    sheet_append(events, 0, head);
    (void)json_append(list, new_sheet(7, "Other"));
    (void)json_append(list, new_sheet(11, "It's a \"test\" sheet"));
    return list;
}

struct json *sheet_by_id(struct sandbox *sandbox, int64_t id)
{
    for (struct json *s = json_first_mut(sheets_list(sandbox)); s; s = json_next_mut(s))
        if (json_get_i64(s, "sheetId", -1) == id)
            return s;
    return NULL;
}

static struct json *by_title(struct sandbox *sandbox, const char *title)
{
    for (struct json *s = json_first_mut(sheets_list(sandbox)); s; s = json_next_mut(s))
        if (str_eq_nocase(json_get_text(s, "title"), str_from(title)))
            return s;
    return NULL;
}

/* ---- rows */

int64_t sheet_row_count(const struct json *sheet)
{
    return (int64_t)json_count(json_get(sheet, "rows")) + json_get_i64(sheet, "dropped", 0);
}

static struct json *kept_row(struct json *sheet, int64_t row)
{
    int64_t dropped = json_get_i64(sheet, "dropped", 0), at = row ? row - dropped : 0;
    if (row && row <= dropped)
        return NULL;
    for (struct json *r = json_first_mut(json_get_mut(sheet, "rows")); r; r = json_next_mut(r))
        if (at-- == 0)
            return r;
    return NULL;
}

const struct json *sheet_row(const struct json *sheet, int64_t row)
{
    int64_t dropped = json_get_i64(sheet, "dropped", 0);
    if (row && row <= dropped)
        return NULL;
    return json_at(json_get(sheet, "rows"), (size_t)(row ? row - dropped : 0));
}

/* Takes the second row out when there are too many: the first holds the headers. */
static void drop_rows(struct json *sheet)
{
    struct json *rows = json_get_mut(sheet, "rows");
    if (json_count(rows) <= SHEET_ROWS_MAX)
        return;
    struct json *kept = json_new_array();
    (void)json_append(kept, json_take_first(rows));
    int64_t dropped = 0;
    for (; dropped < SHEET_ROWS_MAX / 2; dropped++)
        json_free(json_take_first(rows));
    for (struct json *r; (r = json_take_first(rows));)
        (void)json_append(kept, r);
    (void)json_set(sheet, "rows", kept);
    json_set_integer(sheet, "dropped", json_get_i64(sheet, "dropped", 0) + dropped);
}

void sheet_append(struct json *sheet, int64_t column, struct json *cells)
{
    struct json *row = json_new_array();
    for (int64_t i = 0; i < column; i++)
        (void)json_append(row, json_new_null());
    for (struct json *c; (c = json_take_first(cells));)
        (void)json_append(row, c);
    json_free(cells);
    (void)json_append(json_get_mut(sheet, "rows"), row);
    drop_rows(sheet);
}

void sheet_set(struct json *sheet, int64_t row, int64_t column, struct json *value)
{
    while (sheet_row_count(sheet) <= row)
        sheet_append(sheet, 0, json_new_array());
    struct json *cells = kept_row(sheet, row), *changed = json_new_array();
    int64_t at = 0;
    if (!cells) {
        json_free(changed);
        json_free(value);
        return;
    }
    for (struct json *c; (c = json_take_first(cells)); at++) {
        if (at == column) {
            json_free(c);
            (void)json_append(changed, value);
            value = NULL;
        } else {
            (void)json_append(changed, c);
        }
    }
    for (; value && at < column; at++)
        (void)json_append(changed, json_new_null());
    (void)json_append(changed, value);
    for (struct json *c; (c = json_take_first(changed));)
        (void)json_append(cells, c);
    json_free(changed);
}

void sheet_note(struct sandbox *sandbox, const struct json *sheet, const struct json *row)
{
    struct json *noted = json_new_object();
    json_set_str(noted, "sheet", json_get_text(sheet, "title"));
    (void)json_set(noted, "row", json_copy(row));
    note_received(sandbox, "sheets", noted);
}

/* ---- A1 */

/* "C5", "C", "5": columns and rows from 0, -1 where they are missing. */
static bool read_cell(struct str text, int64_t *ret_row, int64_t *ret_column)
{
    int64_t row = 0, column = 0;
    size_t i = 0;
    for (; i < text.len && i < 4 && ((text.ptr[i] | 32) >= 'a' && (text.ptr[i] | 32) <= 'z'); i++)
        column = column * 26 + ((text.ptr[i] | 32) - 'a' + 1);
    for (size_t n = 0; i < text.len && n < 8 && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++, n++)
        row = row * 10 + (text.ptr[i] - '0');
    *ret_row = row - 1;
    *ret_column = column - 1;
    return i == text.len && i > 0 && column <= SHEET_COLUMNS_MAX;
}

static bool read_cells(struct str text, struct sheet_range *ret)
{
    struct str from = STR_NONE, to = text;
    int64_t row, column, end_row, end_column;
    bool is_pair = memchr(text.ptr ? text.ptr : "", ':', text.len) != NULL;
    (void)str_cut(&to, ':', &from);
    if (!read_cell(from, &row, &column))
        return false;
    if (!is_pair) {
        end_row = row;
        end_column = column;
        if (row < 0 || column < 0)
            return false; /* a lone column is a title */
    } else if (!read_cell(to, &end_row, &end_column)) {
        return false;
    }
    ret->row = row < 0 ? 0 : row;
    ret->column = column < 0 ? 0 : column;
    ret->end_row = end_row < 0 ? INT64_MAX : end_row + 1;
    ret->end_column = end_column < 0 ? INT64_MAX : end_column + 1;
    return ret->end_row > ret->row && ret->end_column > ret->column;
}

bool sheet_range_read(struct sandbox *sandbox, const char *text, struct sheet_range *ret)
{
    struct buf title = BUF_INIT(KIB(4));
    const char *cells = NULL;
    *ret = (struct sheet_range){.end_row = INT64_MAX, .end_column = INT64_MAX};
    if (text[0] == '\'') {
        const char *c = text + 1;
        for (; *c && !(c[0] == '\'' && c[1] != '\''); c++) {
            buf_add_char(&title, *c);
            c += c[0] == '\'';
        }
        cells = *c == '\'' && c[1] == '!' ? c + 2 : NULL;
    } else {
        const char *mark = strchr(text, '!');
        buf_add(&title, text, mark ? (size_t)(mark - text) : strlen(text));
        cells = mark ? mark + 1 : NULL;
    }
    ret->sheet = by_title(sandbox, buf_c(&title));
    buf_release(&title);
    if (!ret->sheet && !cells) { /* cells of the first sheet */
        ret->sheet = json_first_mut(sheets_list(sandbox));
        return read_cells(str_from(text), ret);
    }
    return ret->sheet && (!cells || read_cells(str_from(cells), ret));
}

static void add_column(struct buf *out, int64_t column)
{
    char reversed[8];
    size_t n = 0;
    for (int64_t c = column + 1; c > 0 && n < sizeof(reversed); c = (c - 1) / 26)
        reversed[n++] = (char)('A' + (c - 1) % 26);
    while (n)
        buf_add_char(out, reversed[--n]);
}

char *sheet_range_text(const struct json *sheet, int64_t row, int64_t column, int64_t rows,
                       int64_t columns)
{
    struct buf out = BUF_INIT(KIB(8));
    struct str title = json_get_text(sheet, "title");
    bool is_plain = true;
    for (size_t i = 0; i < title.len; i++)
        is_plain &= ((title.ptr[i] | 32) >= 'a' && (title.ptr[i] | 32) <= 'z') ||
                    (title.ptr[i] >= '0' && title.ptr[i] <= '9') || title.ptr[i] == '_';
    if (!is_plain)
        buf_add_char(&out, '\'');
    for (size_t i = 0; i < title.len; i++) {
        buf_add_char(&out, title.ptr[i]);
        if (title.ptr[i] == '\'')
            buf_add_char(&out, '\'');
    }
    buf_add_c(&out, is_plain ? "!" : "'!");
    add_column(&out, column);
    buf_addf(&out, "%lld", (long long)row + 1);
    if (rows > 1 || columns > 1) {
        buf_add_char(&out, ':');
        add_column(&out, column + (columns > 0 ? columns : 1) - 1);
        buf_addf(&out, "%lld", (long long)(row + (rows > 0 ? rows : 1)));
    }
    return buf_take(&out, NULL);
}
