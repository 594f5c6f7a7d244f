/* The builder: libfyaml's events, which it finds without recursion, become a JSON tree. The open
 * containers stand on a stack of LIMIT_YAML_DEPTH frames, so that the depth is refused before
 * anything recurses; libfyaml's own tree is never built. Every value counts against
 * LIMIT_YAML_NODES, the copies that aliases make included, before it is made. */
#include "flow/yaml_node.h"

#include "base/limits.h"
#include "base/map.h"

#include <libfyaml.h>
#include <stdarg.h>

struct anchor {
    const struct json *value; /* NULL while it is still open */
    size_t first;             /* its index in doc->nodes */
    size_t nodes, depth;
    /* all that there were: a name may be given again inside its own value */
    struct anchor *next;
};

struct frame {
    struct json *container;
    size_t index;     /* in doc->nodes */
    struct map names; /* of a mapping: to the line number, for duplicates */
    bool is_mapping, is_flow;
    bool has_name;   /* the next event is a value */
    bool is_dropped; /* … which goes nowhere: its name was wrong */
    char *name;
    size_t name_start, name_end;
    size_t last; /* where the latest child ended */
    struct anchor *anchor;
};

struct builder {
    struct yaml_doc *doc;
    struct problems *problems;
    struct frame stack[LIMIT_YAML_DEPTH];
    size_t depth;
    size_t skip;        /* open containers inside a key that is no scalar */
    struct map anchors; /* by name, the latest */
    struct anchor *all_anchors;
    bool is_stopped; /* nothing sensible can follow */
    bool has_root;
    size_t documents;
};

static void report(struct builder *builder, size_t offset, const char *format, ...)
    PRINTF_LIKE(3, 4);

static void report(struct builder *builder, size_t offset, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char text[1000];
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    struct yaml_place place = yaml_place_at(builder->doc, offset);
    problem_add(builder->problems, builder->doc->file, place.line, place.column, "%s", text);
}

enum json_kind yaml_plain_kind(struct str text)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    static const char *const booleans[] = {"true", "True", "TRUE", "false", "False", "FALSE"};
    for (size_t i = 0; i < COUNT_OF(nulls); i++)
        if (str_eq_c(text, nulls[i]))
            return JSON_NULL;
    for (size_t i = 0; i < COUNT_OF(booleans); i++)
        if (str_eq_c(text, booleans[i]))
            return JSON_BOOLEAN;
    struct json *number = json_new_number(text);
    json_free(number);
    return number ? JSON_NUMBER : JSON_STRING;
}

static struct json *plain_value(struct str text)
{
    switch (yaml_plain_kind(text)) {
    case JSON_NULL:
        return json_new_null();
    case JSON_BOOLEAN:
        return json_new_boolean(text.ptr[0] == 't' || text.ptr[0] == 'T');
    case JSON_NUMBER:
        return json_new_number(text);
    default:
        return json_new_string(text);
    }
}

/* ------------------------------------------------------------- attaching */

static size_t node_add(struct builder *builder, struct yaml_node node)
{
    struct yaml_doc *doc = builder->doc;
    if (doc->node_count == doc->node_capacity) {
        doc->node_capacity = doc->node_capacity ? doc->node_capacity * 2 : 64;
        doc->nodes = xrealloc(doc->nodes, doc->node_capacity * sizeof(*doc->nodes));
    }
    doc->nodes[doc->node_count] = node;
    return doc->node_count++;
}

static bool has_room(struct builder *builder, size_t nodes, size_t offset)
{
    if (builder->doc->node_count + nodes <= LIMIT_YAML_NODES)
        return true;
    report(builder, offset, "more than %d values, with those that aliases repeat",
           LIMIT_YAML_NODES);
    builder->is_stopped = true;
    return false;
}

/* Puts a value where it belongs and notes its place. */
static size_t attach(struct builder *builder, struct json *value, struct yaml_node node)
{
    node.value = value;
    if (builder->depth == 0) {
        if (builder->has_root) {
            json_append(builder->doc->dropped, value);
        } else {
            builder->doc->root = value;
            builder->has_root = true;
        }
        return node_add(builder, node);
    }
    struct frame *frame = &builder->stack[builder->depth - 1];
    node.is_in_flow = frame->is_flow;
    if (!frame->is_mapping) {
        json_append(frame->container, value);
    } else {
        node.name_start = frame->name_start;
        node.name_end = frame->name_end;
        if (frame->is_dropped)
            json_append(builder->doc->dropped, value);
        else
            json_add(frame->container, frame->name, value);
        frame->has_name = false;
    }
    if (node.style == YAML_NONE && node.start == 0)
        node.start = node.end = frame->is_mapping ? frame->name_end : frame->last;
    return node_add(builder, node);
}

static void note_end(struct builder *builder, size_t end)
{
    if (builder->depth > 0 && builder->stack[builder->depth - 1].last < end)
        builder->stack[builder->depth - 1].last = end;
}

static struct str token_text(struct fy_token *token)
{
    size_t size = 0;
    const char *text = token ? fy_token_get_text(token, &size) : NULL;
    return str_n(text ? text : "", text ? size : 0);
}

static struct anchor *anchor_new(struct builder *builder, struct fy_event *event)
{
    struct fy_token *token = fy_event_get_anchor_token(event);
    if (!token)
        return NULL;
    struct anchor *anchor = xcalloc(1, sizeof(*anchor));
    anchor->first = builder->doc->node_count;
    anchor->next = builder->all_anchors;
    builder->all_anchors = anchor;
    map_put(&builder->anchors, token_text(token), anchor);
    return anchor;
}

/* ------------------------------------------------------------------ keys */

static bool expects_name(const struct builder *builder)
{
    return builder->depth > 0 && builder->stack[builder->depth - 1].is_mapping &&
           !builder->stack[builder->depth - 1].has_name;
}

static void take_name(struct builder *builder, struct str name, size_t start, size_t end,
                      bool is_plain)
{
    struct frame *frame = &builder->stack[builder->depth - 1];
    frame->has_name = true;
    frame->is_dropped = true;
    frame->name_start = start;
    frame->name_end = end;
    note_end(builder, end);
    free(frame->name);
    frame->name = NULL;
    if (memchr(name.ptr, '\0', name.len)) {
        report(builder, start, "a key with the character U+0000 in it");
        return;
    }
    if (is_plain && str_eq_c(name, "<<")) {
        report(builder, start,
               "merge keys (<<) are not read: repeat the keys, or give the whole value an anchor");
        return;
    }
    uintptr_t line = (uintptr_t)map_get(&frame->names, name);
    if (line) {
        report(builder, start,
               "the key \"" STR_FMT "\" is here twice; it stands on line %d already", STR_ARG(name),
               (int)line);
        return;
    }
    map_put(&frame->names, name,
            (void *)(uintptr_t)yaml_place_at(builder->doc, start).line); // NOLINT
    frame->name = str_dup(name);
    frame->is_dropped = false;
}

/* A key that is a list or a mapping: nearly always a {{ … }} without quotes. */
static void refuse_key(struct builder *builder, size_t start)
{
    struct frame *frame = &builder->stack[builder->depth - 1];
    const char *text = builder->doc->text;
    if (start > 0 && text[start] == '{' && text[start - 1] == '{')
        report(builder, start - 1, "an expression stands in quotes: \"{{ … }}\"");
    else
        report(builder, start, "a key must be a text");
    frame->has_name = true;
    frame->is_dropped = true;
    frame->name_start = frame->name_end = start;
}

/* ---------------------------------------------------------------- events */

static struct json *tagged_value(struct builder *builder, struct str tag, struct str text,
                                 bool is_plain, size_t start)
{
    static const struct {
        const char *tag;
        int kind;
    } known[] = {{"tag:yaml.org,2002:null", JSON_NULL},
                 {"tag:yaml.org,2002:bool", JSON_BOOLEAN},
                 {"tag:yaml.org,2002:int", JSON_NUMBER},
                 {"tag:yaml.org,2002:float", JSON_NUMBER}};
    if (str_eq_c(tag, "tag:yaml.org,2002:str") || str_eq_c(tag, "!"))
        return json_new_string(text);
    struct json *value = is_plain ? plain_value(text) : json_new_string(text);
    for (size_t i = 0; i < COUNT_OF(known); i++) {
        if (!str_eq_c(tag, known[i].tag))
            continue;
        if ((int)json_kind(value) != known[i].kind)
            report(builder, start, "\"" STR_FMT "\" is not a %s, which its tag says", STR_ARG(text),
                   json_kind_name((enum json_kind)known[i].kind));
        return value;
    }
    report(builder, start, "the tag \"" STR_FMT "\" means nothing here", STR_ARG(tag));
    return value;
}

static void on_scalar(struct builder *builder, struct fy_event *event)
{
    struct fy_token *token = fy_event_get_token(event);
    const struct fy_mark *from = token ? fy_event_start_mark(event) : NULL;
    const struct fy_mark *to = token ? fy_event_end_mark(event) : NULL;
    struct str text = token_text(token);
    struct yaml_node node = {.style = YAML_NONE};
    if (from && to) {
        static const uint8_t styles[] = {[FYSS_PLAIN] = YAML_PLAIN,
                                         [FYSS_SINGLE_QUOTED] = YAML_SINGLE,
                                         [FYSS_DOUBLE_QUOTED] = YAML_DOUBLE,
                                         [FYSS_LITERAL] = YAML_LITERAL,
                                         [FYSS_FOLDED] = YAML_FOLDED};
        int style = (int)fy_token_scalar_style(token);
        node.style = style >= 0 && style < (int)COUNT_OF(styles) ? styles[style] : YAML_PLAIN;
        node.start = from->input_pos;
        node.end = to->input_pos;
        if (node.style == YAML_SINGLE || node.style == YAML_DOUBLE) {
            node.start--; /* libfyaml's marks stand inside the quotes */
            node.end++;
        }
    }
    if (builder->skip)
        return;
    if (expects_name(builder)) {
        size_t last = builder->stack[builder->depth - 1].last;
        take_name(builder, text, token ? node.start : last, token ? node.end : last,
                  node.style == YAML_PLAIN);
        return;
    }
    if (!has_room(builder, 1, node.start))
        return;
    bool is_plain = node.style == YAML_PLAIN || node.style == YAML_NONE;
    struct fy_token *tag = fy_event_get_tag_token(event);
    struct json *value = tag ? tagged_value(builder, token_text(tag), text, is_plain, node.start)
                         : is_plain ? plain_value(text)
                                    : json_new_string(text);
    struct anchor *anchor = anchor_new(builder, event);
    if (anchor) {
        anchor->value = value;
        anchor->nodes = 1;
    }
    attach(builder, value, node);
    note_end(builder, node.end);
}

static void on_open(struct builder *builder, struct fy_event *event, bool is_mapping)
{
    const struct fy_mark *from = fy_event_start_mark(event);
    size_t start = from ? from->input_pos : 0;
    char first = start < builder->doc->size ? builder->doc->text[start] : '\0';
    bool is_open_bracket =
        fy_event_get_node_style(event) == FYNS_FLOW && first == (is_mapping ? '{' : '[');
    if (builder->skip) {
        builder->skip++;
        return;
    }
    if (expects_name(builder)) {
        refuse_key(builder, start);
        builder->skip = 1;
        return;
    }
    if (builder->depth == LIMIT_YAML_DEPTH) {
        report(builder, start, "nested deeper than %d levels", LIMIT_YAML_DEPTH);
        builder->is_stopped = true;
        return;
    }
    if (!has_room(builder, 1, start))
        return;
    struct fy_token *tag = fy_event_get_tag_token(event);
    if (tag &&
        !str_eq_c(token_text(tag), is_mapping ? "tag:yaml.org,2002:map" : "tag:yaml.org,2002:seq"))
        report(builder, start, "the tag \"" STR_FMT "\" means nothing here",
               STR_ARG(token_text(tag)));
    bool is_in_flow = builder->depth > 0 && builder->stack[builder->depth - 1].is_flow;
    struct frame frame = {.container = is_mapping ? json_new_object() : json_new_array(),
                          .names = MAP_INIT,
                          .is_mapping = is_mapping,
                          .is_flow = is_open_bracket || is_in_flow,
                          .last = start,
                          .anchor = anchor_new(builder, event)};
    struct yaml_node node = {.start = start,
                             .end = start,
                             .style = frame.is_flow ? YAML_FLOW : YAML_BLOCK,
                             .is_pair = is_in_flow && !is_open_bracket};
    frame.index = attach(builder, frame.container, node);
    builder->stack[builder->depth++] = frame;
}

static size_t depth_of(const struct json *value)
{
    size_t deepest = 0;
    for (const struct json *item = json_first(value); item; item = json_next(item)) {
        size_t depth = depth_of(item);
        deepest = depth > deepest ? depth : deepest;
    }
    return json_is(value, JSON_ARRAY) || json_is(value, JSON_OBJECT) ? deepest + 1 : 0;
}

static void frame_release(struct frame *frame)
{
    map_release(&frame->names, NULL);
    free(frame->name);
}

static void on_close(struct builder *builder, struct fy_event *event)
{
    if (builder->skip) {
        builder->skip--;
        return;
    }
    if (builder->depth == 0)
        return;
    struct frame *frame = &builder->stack[builder->depth - 1];
    struct yaml_node *node = &builder->doc->nodes[frame->index];
    const struct fy_mark *to = fy_event_end_mark(event);
    /* The end mark of a block stands where the next thing begins, behind blank lines and comments.
     * */
    node->end = node->style == YAML_FLOW && !node->is_pair && to ? to->input_pos : frame->last;
    size_t end = node->end;
    if (frame->anchor) {
        frame->anchor->value = frame->container;
        frame->anchor->nodes = builder->doc->node_count - frame->anchor->first;
        frame->anchor->depth = depth_of(frame->container);
    }
    frame_release(frame);
    builder->depth--;
    note_end(builder, end);
}

/* Gives the values below a copy the places of their originals. */
static void copy_places(struct builder *builder, const struct json *from, const struct json *to,
                        size_t *at)
{
    /* The nodes of a finished value stand one behind the other in the order of the text, which is
     * the tree's. */
    for (const struct json *a = json_first(from), *b = json_first(to); a && b;
         a = json_next(a), b = json_next(b)) {
        while (*at < builder->doc->node_count && builder->doc->nodes[*at].value != a)
            (*at)++;
        if (*at >= builder->doc->node_count)
            return;
        struct yaml_node node = builder->doc->nodes[*at];
        node.value = b;
        node_add(builder, node);
        copy_places(builder, a, b, at);
    }
}

static void on_alias(struct builder *builder, struct fy_event *event)
{
    const struct fy_mark *from = fy_event_start_mark(event), *to = fy_event_end_mark(event);
    size_t start = from && from->input_pos > 0 ? from->input_pos - 1 : 0;
    if (builder->skip)
        return;
    struct str name = token_text(event->alias.anchor);
    if (expects_name(builder)) {
        refuse_key(builder, start);
        return;
    }
    const struct anchor *anchor = map_get(&builder->anchors, name);
    struct yaml_node node = {
        .start = start, .end = to ? to->input_pos : start, .style = YAML_PLAIN, .is_alias = true};
    if (!anchor || !anchor->value) {
        report(builder, start,
               anchor ? "\"*" STR_FMT "\" stands inside its own anchor"
                      : "there is no anchor \"&" STR_FMT "\" before this",
               STR_ARG(name));
        attach(builder, json_new_null(), node);
        note_end(builder, node.end);
        return;
    }
    if (builder->depth + anchor->depth > LIMIT_YAML_DEPTH) {
        report(builder, start, "nested deeper than %d levels", LIMIT_YAML_DEPTH);
        builder->is_stopped = true;
        return;
    }
    if (!has_room(builder, anchor->nodes, start))
        return;
    struct json *copy = json_copy(anchor->value);
    attach(builder, copy, node);
    size_t at = anchor->first;
    copy_places(builder, anchor->value, copy, &at);
    note_end(builder, node.end);
}

static void on_event(struct builder *builder, struct fy_event *event)
{
    switch (event->type) {
    case FYET_DOCUMENT_START:
        if (++builder->documents > 1) {
            const struct fy_mark *mark = fy_event_start_mark(event);
            report(builder, mark ? mark->input_pos : 0,
                   "a second document begins here: one file holds one");
            builder->is_stopped = true;
        }
        break;
    case FYET_SCALAR:
        on_scalar(builder, event);
        break;
    case FYET_ALIAS:
        on_alias(builder, event);
        break;
    case FYET_SEQUENCE_START:
    case FYET_MAPPING_START:
        on_open(builder, event, event->type == FYET_MAPPING_START);
        break;
    case FYET_SEQUENCE_END:
    case FYET_MAPPING_END:
        on_close(builder, event);
        break;
    default:
        break;
    }
}

/* ----------------------------------------------------------------- whole */

static void report_syntax(struct builder *builder, struct fy_diag *diag)
{
    void *at = NULL;
    struct fy_diag_error *error = fy_diag_errors_iterate(diag, &at);
    int line = error && error->line > 0 ? error->line : 1;
    int column = error && error->column > 0 ? error->column : 1;
    problem_add(builder->problems, builder->doc->file, line, column, "this is not YAML: %s",
                error && error->msg ? error->msg : "it cannot be read");
}

/* False if libfyaml could not read on. */
static bool read_events(struct builder *builder)
{
    bool ok = false;
    struct fy_diag_cfg diag_config;
    fy_diag_cfg_default(&diag_config);
    diag_config.fp = NULL;
    struct fy_diag *diag = fy_diag_create(&diag_config);
    struct fy_parser *parser = NULL;
    if (!diag)
        goto out;
    fy_diag_set_collect_errors(diag, true);
    struct fy_parse_cfg config = {.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_JSON_NONE |
                                           FYPCF_DEFAULT_VERSION_1_2 | FYPCF_DISABLE_MMAP_OPT,
                                  .diag = diag};
    parser = fy_parser_create(&config);
    if (!parser || fy_parser_set_string(parser, builder->doc->text, builder->doc->size) != 0)
        goto out;
    struct fy_event *event;
    while (!builder->is_stopped && (event = fy_parser_parse(parser))) {
        on_event(builder, event);
        fy_parser_event_free(parser, event);
    }
    if (!builder->is_stopped && fy_parser_get_stream_error(parser))
        report_syntax(builder, diag);
    else
        ok = !builder->is_stopped;
out:
    if (parser)
        fy_parser_destroy(parser);
    if (diag)
        fy_diag_destroy(diag);
    return ok;
}

static void index_nodes(struct yaml_doc *doc)
{
    doc->table_size = 16;
    while (doc->table_size < doc->node_count * 2)
        doc->table_size *= 2;
    doc->table = xcalloc(doc->table_size, sizeof(*doc->table));
    size_t mask = doc->table_size - 1;
    for (size_t n = 0; n < doc->node_count; n++) {
        uint64_t hash = (uint64_t)(uintptr_t)doc->nodes[n].value * 0x9E3779B97F4A7C15u;
        size_t i = (size_t)(hash >> 20) & mask;
        while (doc->table[i])
            i = (i + 1) & mask;
        doc->table[i] = (uint32_t)n + 1;
    }
}

/* What libfyaml lets pass or alters without a word. */
static bool is_readable(const char *file, struct str text, struct yaml_doc *doc,
                        struct problems *problems)
{
    for (size_t at = 0; at < text.len; at += utf8_length(text, at)) {
        unsigned char c = (unsigned char)text.ptr[at];
        bool is_bad = c >= 0x80 && utf8_length(text, at) == 1;
        if (!is_bad && (c >= 0x20 || c == '\t' || c == '\n' || c == '\r'))
            continue;
        struct yaml_place place = yaml_place_at(doc, at);
        problem_add(problems, file, place.line, place.column,
                    is_bad ? "this byte (0x%02X) is not UTF-8"
                           : "the control character 0x%02X; in double quotes write it as an escape",
                    c);
        return false;
    }
    return true;
}

struct yaml_doc *yaml_parse(const char *file, struct str text, struct problems *problems)
{
    if (text.len > LIMIT_YAML_BYTES) {
        problem_add(problems, file, 0, 0, "the file has more than %zu bytes",
                    (size_t)LIMIT_YAML_BYTES);
        return NULL;
    }
    struct yaml_doc *doc = xcalloc(1, sizeof(*doc));
    doc->file = xstrdup(file);
    doc->text = xmemdup(text.len ? text.ptr : "", text.len);
    doc->size = text.len;
    doc->dropped = json_new_array();
    yaml_index_lines(doc);
    struct builder *builder = xcalloc(1, sizeof(*builder));
    builder->doc = doc;
    builder->problems = problems;
    bool ok = is_readable(file, text, doc, problems) && read_events(builder);
    while (builder->depth > 0)
        frame_release(&builder->stack[--builder->depth]);
    map_release(&builder->anchors, NULL);
    for (struct anchor *anchor = builder->all_anchors, *next; anchor; anchor = next) {
        next = anchor->next;
        free(anchor);
    }
    free(builder);
    if (!ok) {
        yaml_free(doc);
        return NULL;
    }
    if (!doc->root)
        doc->root = json_new_null();
    index_nodes(doc);
    return doc;
}

void yaml_free(struct yaml_doc *doc)
{
    if (!doc)
        return;
    json_free(doc->root);
    json_free(doc->dropped);
    free(doc->nodes);
    free(doc->table);
    free(doc->lines);
    free(doc->text);
    free(doc->file);
    free(doc);
}

const struct json *yaml_root(const struct yaml_doc *doc)
{
    return doc->root;
}
