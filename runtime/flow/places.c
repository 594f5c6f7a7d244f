/* Lines and columns. A scalar's text differs from its source by quoting, escapes, folding and
 * indentation; to find the place of a byte of the value, both are walked together. */
#include "flow/yaml_node.h"

void yaml_index_lines(struct yaml_doc *doc)
{
    size_t capacity = 0;
    for (size_t i = 0, start = 0; i <= doc->size; i++) {
        bool at_end = i == doc->size;
        if (!at_end && doc->text[i] != '\n' && !(doc->text[i] == '\r' && doc->text[i + 1] != '\n'))
            continue;
        if (doc->line_count == capacity) {
            capacity = capacity ? capacity * 2 : 64;
            doc->lines = xrealloc(doc->lines, capacity * sizeof(*doc->lines));
        }
        doc->lines[doc->line_count++] = start;
        start = i + 1;
    }
}

struct yaml_place yaml_place_at(const struct yaml_doc *doc, size_t offset)
{
    size_t low = 0, high = doc->line_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (doc->lines[middle] <= offset)
            low = middle;
        else
            high = middle;
    }
    struct str text = str_n(doc->text, doc->size);
    int column = 1;
    size_t at = doc->lines[low];
    if (at == 0 && str_starts(text, "\xEF\xBB\xBF"))
        at = 3;
    for (; at < offset && at < doc->size; at += utf8_length(text, at))
        column++;
    return (struct yaml_place){(int)low + 1, column};
}

const struct yaml_node *yaml_node_of(const struct yaml_doc *doc, const struct json *value)
{
    if (!value || doc->table_size == 0)
        return NULL;
    size_t mask = doc->table_size - 1;
    uint64_t hash = (uint64_t)(uintptr_t)value * 0x9E3779B97F4A7C15u;
    for (size_t i = (size_t)(hash >> 20) & mask; doc->table[i]; i = (i + 1) & mask)
        if (doc->nodes[doc->table[i] - 1].value == value)
            return &doc->nodes[doc->table[i] - 1];
    return NULL;
}

struct yaml_place yaml_place_of(const struct yaml_doc *doc, const struct json *value, bool at_name)
{
    const struct yaml_node *node = yaml_node_of(doc, value);
    if (!node)
        return (struct yaml_place){1, 1};
    return yaml_place_at(doc, at_name && node->name_end > node->name_start ? node->name_start
                                                                           : node->start);
}

/* The length in bytes that the escape at `at` (behind the backslash) has in the source and gives in
 * the value. */
static void read_escape(const char *text, size_t size, size_t at, size_t *ret_source,
                        size_t *ret_value)
{
    char c = at < size ? text[at] : '\0';
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    uint32_t code = 0;
    for (size_t i = 1; i <= digits && at + i < size; i++) {
        char digit = text[at + i];
        code = code * 16 + (uint32_t)(digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
    }
    char bytes[4];
    *ret_source = 1 + digits;
    *ret_value = digits ? utf8_encode(code, bytes) : 1;
    if (c == 'N' || c == '_')
        *ret_value = 2;
    else if (c == 'L' || c == 'P')
        *ret_value = 3;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

struct walk {
    const char *text; /* the source */
    size_t at, end;
    struct str value;
    size_t done; /* bytes of the value that stand before `at` */
};

/* One step of plain and quoted scalars. */
static void step_flow(struct walk *walk, enum yaml_style style)
{
    char c = walk->text[walk->at];
    char wanted = walk->value.ptr[walk->done];
    if (style == YAML_DOUBLE && c == '\\') {
        char next = walk->at + 1 < walk->end ? walk->text[walk->at + 1] : '\0';
        size_t source = 1, value = 0;
        if (next != '\n' && next != '\r')
            read_escape(walk->text, walk->end, walk->at + 1, &source, &value);
        walk->at += 1 + source;
        walk->done += value;
        return;
    }
    if (style == YAML_SINGLE && c == '\'' && walk->at + 1 < walk->end &&
        walk->text[walk->at + 1] == '\'') {
        walk->at += 2;
        walk->done++;
        return;
    }
    if (c == wanted || (c == '\n' && wanted == ' ') || !is_blank(c))
        walk->done++;
    walk->at++;
}

static size_t place_in_flow(struct walk *walk, enum yaml_style style, size_t offset)
{
    while (walk->at < walk->end && walk->done < offset)
        step_flow(walk, style);
    /* What folding drops before the character itself. */
    while (walk->at < walk->end && walk->done < walk->value.len && is_blank(walk->text[walk->at]) &&
           !is_blank(walk->value.ptr[walk->done]))
        walk->at++;
    return walk->at;
}

static size_t place_in_block(struct walk *walk, size_t offset)
{
    size_t indent = 0, first = walk->at;
    while (first < walk->end && is_blank(walk->text[first])) {
        indent = walk->text[first] == '\n' ? 0 : indent + 1;
        first++;
    }
    size_t own = 0; /* spaces that belong to the value's first line (explicit indentation) */
    while (own < walk->value.len && walk->value.ptr[own] == ' ')
        own++;
    indent = indent > own ? indent - own : 0;
    bool at_line_start = true;
    while (walk->at < walk->end) {
        if (at_line_start) {
            for (size_t i = 0; i < indent && walk->at < walk->end && walk->text[walk->at] == ' ';
                 i++)
                walk->at++;
            at_line_start = false;
            continue;
        }
        if (walk->done >= offset)
            break;
        char c = walk->text[walk->at], wanted = walk->value.ptr[walk->done];
        if (c == wanted || (c == '\n' && wanted == ' ') || !is_blank(c))
            walk->done++;
        at_line_start = c == '\n';
        walk->at++;
    }
    return walk->at;
}

struct yaml_place yaml_place_in(const struct yaml_doc *doc, const struct json *string,
                                size_t offset)
{
    const struct yaml_node *node = yaml_node_of(doc, string);
    struct str value = json_str(string);
    if (!node)
        return (struct yaml_place){1, 1};
    if (node->is_alias || node->style > YAML_FOLDED || node->style == YAML_NONE || value.len == 0)
        return yaml_place_at(doc, node->start);
    if (offset >= value.len)
        offset = value.len - 1;
    bool is_quoted = node->style == YAML_SINGLE || node->style == YAML_DOUBLE;
    struct walk walk = {.text = doc->text,
                        .at = node->start + (is_quoted ? 1 : 0),
                        .end = node->end - (is_quoted ? 1 : 0),
                        .value = value};
    if (node->style == YAML_LITERAL || node->style == YAML_FOLDED)
        return yaml_place_at(doc, place_in_block(&walk, offset));
    return yaml_place_at(doc, place_in_flow(&walk, (enum yaml_style)node->style, offset));
}
