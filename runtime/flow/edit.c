/* Setting one value in a YAML text and leaving everything else as it is. What is written is checked
 * by reading it back. */
#include "flow/yaml_node.h"

#include "base/limits.h"

/* The value at `path` ("steps[1].props"), or NULL. */
static const struct json *value_at(const struct json *root, struct str path)
{
    const struct json *value = root;
    size_t at = 0;
    while (value && at < path.len) {
        if (path.ptr[at] == '[') {
            ptrdiff_t end = str_find(path, "]", at);
            uint64_t index = 0;
            if (end < 0 || num_parse_u64(str_n(path.ptr + at + 1, (size_t)end - at - 1), &index))
                return NULL;
            value = json_is(value, JSON_ARRAY) ? json_at(value, (size_t)index) : NULL;
            at = (size_t)end + 1;
        } else {
            at += path.ptr[at] == '.';
            size_t end = at;
            while (end < path.len && path.ptr[end] != '.' && path.ptr[end] != '[')
                end++;
            value = json_get_str(value, str_n(path.ptr + at, end - at));
            at = end;
        }
    }
    return value;
}

static size_t column_of(const char *text, size_t offset)
{
    size_t start = offset;
    while (start > 0 && text[start - 1] != '\n')
        start--;
    return offset - start;
}

/* Behind the line in which `end` stands. */
static size_t line_end(const struct yaml_doc *doc, size_t end)
{
    while (end > 0 && (doc->text[end - 1] == '\n' || doc->text[end - 1] == ' '))
        end--;
    while (end < doc->size && doc->text[end] != '\n')
        end++;
    return end < doc->size ? end + 1 : end;
}

static void splice(struct buf *out, const struct yaml_doc *doc, size_t from, size_t to,
                   struct str text)
{
    buf_add(out, doc->text, from);
    buf_add_str(out, text);
    buf_add(out, doc->text + to, doc->size - to);
}

static size_t end_of(const struct yaml_doc *doc, const struct json *value)
{
    const struct yaml_node *node = yaml_node_of(doc, value);
    size_t end = node ? node->end : 0;
    for (const struct json *c = json_first(value); c; c = json_next(c)) {
        size_t inner = end_of(doc, c);
        end = inner > end ? inner : end;
    }
    return end;
}

static size_t last_of_members(const struct yaml_doc *doc, const struct json *mapping)
{
    size_t end = 0;
    for (const struct json *m = json_first(mapping); m; m = json_next(m))
        end = end_of(doc, m) > end ? end_of(doc, m) : end;
    return end;
}

/* A new member of a block mapping, on a line of its own behind the last one; of a flow mapping,
 * behind its opening brace. */
static int insert(struct buf *out, const struct yaml_doc *doc, const struct json *mapping,
                  const char *head, struct str text, struct err *err)
{
    const struct yaml_node *node = yaml_node_of(doc, mapping);
    const struct yaml_node *first =
        json_first(mapping) ? yaml_node_of(doc, json_first(mapping)) : NULL;
    struct buf line = BUF_INIT(LIMIT_YAML_BYTES);
    if (node && node->style == YAML_FLOW) {
        buf_addf(&line, "%s: " STR_FMT "%s", head, STR_ARG(text), first ? ", " : "");
        splice(out, doc, node->start + 1, node->start + 1, buf_str(&line));
    } else if (first && first->name_end > first->name_start) {
        size_t at = line_end(doc, last_of_members(doc, mapping));
        if (at > 0 && doc->text[at - 1] != '\n')
            buf_add_char(&line, '\n');
        for (size_t i = column_of(doc->text, first->name_start); i > 0; i--)
            buf_add_char(&line, ' ');
        buf_addf(&line, "%s: " STR_FMT "\n", head, STR_ARG(text));
        splice(out, doc, at, at, buf_str(&line));
    } else {
        buf_release(&line);
        return err_set(err, RN_EINVAL, "there is no place for \"%s\"", head);
    }
    buf_release(&line);
    return 0;
}

/* A new member of the whole document, behind its first one. */
static int insert_first(struct buf *out, const struct yaml_doc *doc, struct str name,
                        struct str text)
{
    const struct json *first = json_first(doc->root);
    size_t at = line_end(doc, end_of(doc, first));
    struct buf line = BUF_INIT(LIMIT_YAML_BYTES);
    if (at > 0 && doc->text[at - 1] != '\n')
        buf_add_char(&line, '\n');
    buf_addf(&line, STR_FMT ": " STR_FMT "\n", STR_ARG(name), STR_ARG(text));
    splice(out, doc, at, at, buf_str(&line));
    buf_release(&line);
    return 0;
}

/* A member whose value is a block of lines gets it on the name's line. False: something stands
 * between the two. */
static bool replace_block(struct buf *out, const struct yaml_doc *doc, const struct json *old,
                          struct str text)
{
    const struct yaml_node *node = yaml_node_of(doc, old);
    size_t from = node->start;
    while (from > 0 && strchr(" \n", doc->text[from - 1]))
        from--;
    if (node->name_end == node->name_start || from == 0 || doc->text[from - 1] != ':')
        return false;
    struct buf value = BUF_INIT(LIMIT_YAML_BYTES);
    buf_addf(&value, " " STR_FMT, STR_ARG(text));
    splice(out, doc, from, end_of(doc, old), buf_str(&value));
    buf_release(&value);
    return true;
}

static int change(struct buf *out, const struct yaml_doc *doc, struct str path, struct str text,
                  struct err *err)
{
    const struct json *old = value_at(doc->root, path);
    const struct yaml_node *node = old ? yaml_node_of(doc, old) : NULL;
    if (node && node->style != YAML_BLOCK && node->end > node->start) {
        splice(out, doc, node->start, node->end, text);
        return 0;
    }
    if (node && node->style == YAML_BLOCK && replace_block(out, doc, old, text))
        return 0;
    size_t dot = path.len;
    while (dot > 0 && path.ptr[dot - 1] != '.')
        dot--;
    bool is_root = dot == 0 && !memchr(path.ptr, '[', path.len);
    if (is_root && !old && json_first(doc->root))
        return insert_first(out, doc, path, text);
    if (dot == 0 || old)
        return err_set(err, RN_EINVAL, "\"" STR_FMT "\" cannot be set", STR_ARG(path));
    struct str parent = str_n(path.ptr, dot - 1);
    char *name = str_dup(str_n(path.ptr + dot, path.len - dot));
    const struct json *mapping = value_at(doc->root, parent);
    int rc = 0;
    if (json_is(mapping, JSON_OBJECT)) {
        rc = insert(out, doc, mapping, name, text, err);
    } else { /* the mapping itself is missing: it is made in flow style */
        struct buf inner = BUF_INIT(LIMIT_YAML_BYTES);
        buf_addf(&inner, "{ %s: " STR_FMT " }", name, STR_ARG(text));
        rc = change(out, doc, parent, buf_str(&inner), err);
        buf_release(&inner);
    }
    free(name);
    return rc;
}

int yaml_set(struct str text, const char *path, const struct json *value, char **ret,
             struct err *err)
{
    struct problems problems = PROBLEMS_INIT;
    struct yaml_doc *doc = yaml_parse("", text, &problems), *again = NULL;
    struct buf out = BUF_INIT(LIMIT_YAML_BYTES);
    size_t size = 0;
    char *json = json_text(value, &size); /* JSON is YAML */
    int rc = doc ? change(&out, doc, str_from(path), str_n(json, size), err)
                 : err_set(err, RN_EINVAL, "it is no YAML");
    if (rc == 0 && (!(again = yaml_parse("", buf_str(&out), &problems)) ||
                    !json_equal(value_at(again->root, str_from(path)), value)))
        rc = err_set(err, RN_EINVAL, "\"%s\" cannot be set without changing more than it", path);
    if (rc == 0)
        *ret = buf_take(&out, NULL);
    yaml_free(again);
    yaml_free(doc);
    problems_release(&problems);
    buf_release(&out);
    free(json);
    return rc;
}
