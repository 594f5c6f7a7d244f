/* Private to the room: what a `struct json` is behind the curtain, a cJSON node with rules of our
 * own.
 *
 * Rules: a node, its name and its text are one block of memory, so that a value costs one
 * allocation; cJSON is told by cJSON_IsReference (the text is not its to free) and
 * cJSON_StringIsConst (nor is the name). Containers are no references, so that cJSON_Delete frees
 * their children. A name that was given later (json_set) is a block of its own. string valuestring
 * holds the bytes and a NUL, valueint their count: U+0000 is a character like any other number
 * valuestring holds the literal, valueint its length; valuedouble says nothing. So cJSON_Parse,
 * cJSON_Print, cJSON_Duplicate and cJSON_Compare, which do not know these rules, are never called
 * here. */
#ifndef RUNNEL_JSON_NODE_H
#define RUNNEL_JSON_NODE_H

#include "json/json.h"

#include <cjson/cJSON.h>

#define NODE_NONE SIZE_MAX
#define NUMBER_TEXT_MAX 64

static inline const cJSON *node_of(const struct json *value)
{
    return (const cJSON *)(const void *)value;
}

static inline cJSON *node_of_mut(struct json *value)
{
    return (cJSON *)(void *)value;
}

static inline struct json *json_of(cJSON *node)
{
    return (struct json *)(void *)node;
}

static inline int node_type(const cJSON *node)
{
    return node->type & 0xFF;
}

/* A node with room for a name and a text of these lengths (NODE_NONE: none), both with their NUL
 * set. */
cJSON *node_new(int type, size_t name_length, size_t text_length);

/* The length of the plain run at the start: printable ASCII but for the quote and the backslash. */
size_t plain_run(const char *text, size_t size);

/* Whether the text is one number of RFC 8259. */
bool number_is_valid(struct str literal);
bool number_is_equal(struct str a, struct str b);
/* The shortest text that reads back the same, as JavaScript writes it. `value` is finite. */
void number_format(double value, char out[NUMBER_TEXT_MAX]);

#endif
