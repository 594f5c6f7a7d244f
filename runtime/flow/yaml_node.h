/* Private to the room: where each value of a document stands in its text, in bytes. What yaml.c
 * finds, places.c turns into lines and columns, and edit.c changes. */
#ifndef RUNNEL_FLOW_YAML_NODE_H
#define RUNNEL_FLOW_YAML_NODE_H

#include "flow/yaml.h"

enum yaml_style {
    YAML_NONE,
    YAML_PLAIN,
    YAML_SINGLE,
    YAML_DOUBLE,
    YAML_LITERAL,
    YAML_FOLDED,
    YAML_BLOCK,
    YAML_FLOW
};

struct yaml_node {
    const struct json *value;
    /* with quotes and brackets; equal where an empty value stands for null */
    size_t start, end;
    size_t name_start, name_end; /* of the member's name, with quotes; equal where there is none */
    uint8_t style;
    /* *name stands here; the values below it have their anchor's places */
    bool is_alias;
    bool is_in_flow; /* inside [ ] or { } */
    bool is_pair;    /* a mapping without braces inside [ ]: [a: 1] */
};

struct yaml_doc {
    char *file;
    char *text; /* as given, with a NUL behind it */
    size_t size;
    struct json *root;
    /* values of duplicate and wrong keys: kept so that no address is used twice */
    struct json *dropped;
    struct yaml_node *nodes;
    size_t node_count, node_capacity;
    uint32_t *table;   /* value → index in nodes + 1; made when all nodes are there */
    size_t table_size; /* a power of two */
    size_t *lines;     /* where each line starts */
    size_t line_count;
};

/* NULL if the value is not of this document. */
const struct yaml_node *yaml_node_of(const struct yaml_doc *doc, const struct json *value);
struct yaml_place yaml_place_at(const struct yaml_doc *doc, size_t offset);
/* Fills doc->lines from the text. */
void yaml_index_lines(struct yaml_doc *doc);
/* The kind that an unquoted scalar has; *ret_value may be NULL. */
enum json_kind yaml_plain_kind(struct str text);

#endif
