/* Private to the room: what a `struct json` is behind the curtain, a cJSON node with rules of our
 * own.
 *
 * Rules: a node, its name and its text are one piece of memory; cJSON_IsReference says that the
 * text is not to be freed, cJSON_StringIsConst that the name is not. A container is a reference
 * only where its children are another's. A name that was given later (json_set) is an allocation of
 * its own.
 *   string  valuestring holds the bytes and a NUL, valueint their count: U+0000 is like any other
 *   number  valuestring holds the literal, valueint its length; valuedouble says nothing
 * So cJSON_Parse, cJSON_Print, cJSON_Duplicate, cJSON_Compare and cJSON_Delete, which do not know
 * these rules, are never called here. */
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

/* Gives out the nodes of one tree while it is made, on one thread. All zero: new. */
struct node_pool {
    struct node_block *block;
    char *at;
    size_t room, size; /* left in the block, and its whole */
    int given;         /* nodes of the block */
};
/* The nodes that it has given out live on. */
void node_pool_close(struct node_pool *pool);

/* A node with room for a name and a text of these lengths (NODE_NONE: none), both with their NUL
 * set. `pool` NULL: a piece of memory of its own. */
cJSON *node_new(struct node_pool *pool, int type, size_t name_length, size_t text_length);
/* With its children; it must not be in a container. NULL is fine. */
void node_free(cJSON *node);
/* Puts `node` where `old` stands, and frees that. */
void node_replace(cJSON *parent, cJSON *old, cJSON *node);

/* The length of the plain run at the start: printable ASCII but for the quote and the backslash. */
size_t plain_run(const char *text, size_t size);

/* Whether the text is one number of RFC 8259. */
bool number_is_valid(struct str literal);
bool number_is_equal(struct str a, struct str b);
/* The shortest text that reads back the same, as JavaScript writes it. `value` is finite. */
void number_format(double value, char out[NUMBER_TEXT_MAX]);

#endif
