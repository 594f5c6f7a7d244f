/* Making and freeing nodes. node.h has the rules that they keep.
 *
 * A tree that is read or copied in one go gets its nodes from blocks that hold many, because the
 * allocator was a fifth of the time that a body of 20 KB cost. Each node knows its block; a block
 * goes with the last of its nodes, whoever holds that: values taken out of a tree may live on, on
 * another thread. So at most BLOCK_MAX bytes outlive their use for each of those. A node that does
 * not come from a pool, or is large, is a block of its own.
 *
 * A pool counts what it has given out by itself, and the block stands at OPEN while it does: only
 * closing and freeing change the shared count. */
#include "json/node.h"

#include <assert.h>
#include <limits.h>
#include <stdatomic.h>

/* The address sanitizer sees what happens to each node only if each is an allocation. */
#if defined(__SANITIZE_ADDRESS__)
enum { POOLED_MAX = 0 };
#else
enum { POOLED_MAX = 512 };
#endif
enum { BLOCK_FIRST = 1024, BLOCK_MAX = 16384, OPEN = 1 << 24 };

struct node_block {
    atomic_int nodes; /* that are not freed; more by OPEN than those while its pool is at it */
};

/* Stands before each node. */
struct node_head {
    struct node_block *block; /* NULL: the node is an allocation of its own, which begins here */
};

static void block_drop(struct node_block *block, int nodes)
{
    if (atomic_fetch_sub_explicit(&block->nodes, nodes, memory_order_acq_rel) == nodes)
        free(block);
}

void node_pool_close(struct node_pool *pool)
{
    if (pool->block)
        block_drop(pool->block, OPEN - pool->given);
    pool->block = NULL;
    pool->given = 0;
    pool->room = 0;
}

static void next_block(struct node_pool *pool)
{
    node_pool_close(pool);
    pool->size = pool->size == 0          ? BLOCK_FIRST
                 : pool->size < BLOCK_MAX ? pool->size * 2
                                          : BLOCK_MAX;
    pool->block = xmalloc(pool->size);
    atomic_init(&pool->block->nodes, OPEN);
    pool->at = (char *)pool->block + sizeof(struct node_head);
    pool->room = pool->size - sizeof(struct node_head);
}

static struct node_head *take_room(struct node_pool *pool, size_t size)
{
    if (!pool || size > POOLED_MAX) {
        struct node_head *head = xmalloc(size);
        head->block = NULL;
        return head;
    }
    size = (size + sizeof(void *) - 1) & ~(sizeof(void *) - 1);
    if (pool->room < size)
        next_block(pool);
    struct node_head *head = (struct node_head *)(void *)pool->at;
    head->block = pool->block;
    pool->at += size;
    pool->room -= size;
    pool->given++;
    return head;
}

cJSON *node_new(struct node_pool *pool, int type, size_t name_length, size_t text_length)
{
    size_t name_room = name_length == NODE_NONE ? 0 : name_length + 1;
    size_t text_room = text_length == NODE_NONE ? 0 : text_length + 1;
    assert(text_room <= INT_MAX);
    struct node_head *head = take_room(pool, sizeof(*head) + sizeof(cJSON) + name_room + text_room);
    cJSON *node = (cJSON *)(void *)(head + 1);
    char *room = (char *)(node + 1);
    *node = (cJSON){.type = type};
    if (name_room) {
        node->type |= cJSON_StringIsConst;
        node->string = room;
        room[name_length] = '\0';
        room += name_room;
    }
    if (text_room) {
        node->type |= cJSON_IsReference;
        node->valuestring = room;
        room[text_length] = '\0';
    }
    return node;
}

/* Nodes of one block that have been freed and not yet subtracted. */
struct freed {
    struct node_block *block;
    int nodes;
};

static void free_nodes(cJSON *node, struct freed *freed)
{
    while (node) {
        cJSON *next = node->next;
        if (node->child && !(node->type & cJSON_IsReference))
            free_nodes(node->child, freed);
        if (!(node->type & cJSON_StringIsConst))
            free(node->string);
        struct node_head *head = (struct node_head *)(void *)node - 1;
        if (!head->block) {
            free(head);
        } else if (head->block == freed->block) {
            freed->nodes++;
        } else {
            if (freed->block)
                block_drop(freed->block, freed->nodes);
            *freed = (struct freed){.block = head->block, .nodes = 1};
        }
        node = next;
    }
}

void node_free(cJSON *node)
{
    struct freed freed = {0};
    if (!node)
        return;
    assert(!node->next);
    free_nodes(node, &freed);
    if (freed.block)
        block_drop(freed.block, freed.nodes);
}

void node_replace(cJSON *parent, cJSON *old, cJSON *node)
{
    node->next = old->next;
    node->prev = old->prev == old ? node : old->prev; /* the first one's is the last */
    if (old->next)
        old->next->prev = node;
    else if (parent->child != old)
        parent->child->prev = node;
    if (parent->child == old)
        parent->child = node;
    else
        old->prev->next = node;
    old->next = old->prev = NULL;
    node_free(old);
}
