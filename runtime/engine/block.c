/* Blocks: if, switch, parallel, for_each. What a block decided (which branch, which items) is on
 * disk before anything in it begins, so that a restart takes the same way. Thread: the loop's. */
#include "engine/run.h"

#include <assert.h>

bool step_is_block(const struct step *step)
{
    return step->kind >= STEP_IF && step->kind <= STEP_FOR_EACH;
}

void block_free(struct block *block)
{
    if (!block)
        return;
    for (size_t i = 0; block->results && i < block->count; i++)
        json_free(block->results[i]);
    free(block->results);
    free(block->is_taken);
    json_free(block->items);
    json_free(block->error);
    free(block);
}

bool strand_failure_ends_run(const struct strand *strand)
{
    for (const struct strand *s = strand->parent; s; s = s->parent) {
        const struct step *step = strand_step(s);
        if (s->block && s->block->is_error_steps)
            continue; /* what handles an error is not handled itself */
        if (step->on_error != ON_ERROR_FAIL)
            return false;
        if ((step->kind == STEP_PARALLEL || step->kind == STEP_FOR_EACH) &&
            step->on_part_error == ON_PART_CONTINUE)
            return false;
    }
    return true;
}

/* ---- parts */

/* What the steps of a part see: what the block sees, shown and not copied; in a loop the item. */
static struct json *part_scope(struct strand *strand, const struct json *item)
{
    struct json *steps = json_new_object();
    for (const struct json *s = json_first(strand->steps); s; s = json_next(s))
        (void)json_add(steps, json_name(s), json_borrow(s));
    if (item) {
        struct json *loop = json_new_object();
        (void)json_add(loop, "item", json_borrow(item));
        (void)json_add(loop, "index", json_new_integer((int64_t)strand->block->next));
        (void)json_set(steps, strand_step(strand)->namespace_, loop);
    }
    return steps;
}

static void begin_part(struct strand *strand)
{
    struct block *block = strand->block;
    const struct step *step = strand_step(strand);
    size_t part = block->next;
    const struct step_list *list = NULL;
    char *prefix = NULL;
    const struct json *item = NULL;
    if (block->is_error_steps) {
        list = &step->error_steps;
        prefix = xasprintf("%s.on_error.", strand->path);
    } else if (step->kind == STEP_FOR_EACH) {
        list = &step->branches[0].steps;
        prefix = xasprintf("%s[%zu].", strand->path, part);
        item = block->item;
        block->item = json_next(item);
    } else if (step->kind == STEP_PARALLEL) {
        if (block->is_taken[part]) {
            list = &step->branches[part].steps;
            prefix = xasprintf("%s.%s.", strand->path, step->branches[part].name);
        }
    } else {
        list = &step->branches[block->chosen].steps;
        prefix = xasprintf("%s.", strand->path);
    }
    struct json *steps = list ? part_scope(strand, item) : NULL;
    block->next++;
    if (!list)
        return;
    struct strand *child = strand_new(strand->run, strand, list, prefix, steps);
    child->part = part;
    block->active++;
    strand_advance(child);
}

static size_t parts_at_once(const struct strand *strand)
{
    const struct step *step = strand_step(strand);
    return !strand->block->is_error_steps && step->kind == STEP_FOR_EACH ? (size_t)step->concurrency
                                                                         : SIZE_MAX;
}

/* ---- the end */

static struct json *collect(struct strand *strand)
{
    struct block *block = strand->block;
    const struct step *step = strand_step(strand);
    struct json *exports = json_new_object(), *value = NULL;
    if (step->kind == STEP_FOR_EACH) {
        value = json_new_array();
        for (size_t i = 0; i < block->count; i++) {
            (void)json_append(value, block->results[i] ? block->results[i] : json_new_null());
            block->results[i] = NULL;
        }
    } else if (step->kind == STEP_PARALLEL) {
        value = json_new_object();
        for (size_t i = 0; i < block->count; i++) {
            if (block->results[i])
                (void)json_set(value, step->branches[i].name, block->results[i]);
            block->results[i] = NULL;
        }
    } else if (block->count) {
        value = block->results[0];
        block->results[0] = NULL;
    }
    (void)json_set(exports, "$return_value", value);
    return exports;
}

static void block_end(struct strand *strand)
{
    struct block *block = strand->block;
    const struct step *step = strand_step(strand);
    strand->state = STRAND_READY;
    bool is_handled = !block->is_error_steps &&
                      (step->kind == STEP_PARALLEL || step->kind == STEP_FOR_EACH) &&
                      step->on_part_error == ON_PART_CONTINUE;
    if (block->is_error_steps && !block->error) {
        struct json *exports = json_take(strand->steps, step->namespace_);
        strand_next(strand, exports);
        return;
    }
    struct json *error = is_handled ? NULL : block->error;
    if (error)
        block->error = NULL;
    if (block->is_error_steps) { /* the error steps have failed themselves: that is the error now */
        struct strand *parent = strand->parent;
        if (parent) {
            block_part_done(parent, strand->part, NULL, error);
            strand_drop(strand);
        } else {
            run_finish(strand->run, "failed", error);
        }
        return;
    }
    struct json *exports = collect(strand);
    struct json *result = strand_result(strand, error ? "failed" : "succeeded");
    (void)json_set(result, "exports", json_copy(exports));
    if (error)
        (void)json_set(result, "error", json_copy(error));
    run_keep_result(strand->run, strand->position, strand->attempt, result);
    block_free(strand->block);
    strand->block = NULL;
    if (error)
        strand_fail(strand, error, exports);
    else
        strand_next(strand, exports);
}

/* Begins what may begin, and ends the block when nothing is left. */
static void block_continue(struct strand *strand)
{
    struct block *block = strand->block;
    size_t at_once = parts_at_once(strand);
    block->is_filling = true;
    while (!strand->is_abandoned && !block->is_failing && block->next < block->count &&
           block->active < at_once)
        begin_part(strand);
    block->is_filling = false;
    if (block->active)
        return;
    if (strand->is_abandoned)
        strand_drop(strand);
    else if (block->is_failing || block->next >= block->count)
        block_end(strand);
}

void block_part_gone(struct strand *strand)
{
    struct block *block = strand->block;
    block->active--;
    if (!block->is_filling)
        block_continue(strand);
}

static void abandon_others(struct strand *strand, size_t part)
{
    struct block *block = strand->block;
    bool was_filling = block->is_filling;
    block->is_filling = true;
    for (struct strand *s = strand->run->strands; s;) {
        if (s->parent == strand && s->part != part && !s->is_abandoned) {
            strand_abandon(s);
            s = strand->run->strands; /* the list has changed */
        } else {
            s = s->next;
        }
    }
    block->is_filling = was_filling;
}

void block_part_done(struct strand *strand, size_t part, struct json *exports, struct json *error)
{
    struct block *block = strand->block;
    const struct step *step = strand_step(strand);
    bool has_parts =
        !block->is_error_steps && (step->kind == STEP_PARALLEL || step->kind == STEP_FOR_EACH);
    size_t index = has_parts ? part : 0;
    if (error && has_parts && step->on_part_error == ON_PART_CONTINUE) {
        exports = json_new_object();
        (void)json_set(exports, "$error", json_copy(error));
    }
    if (index < block->count) {
        json_free(block->results[index]);
        block->results[index] = exports;
    } else {
        json_free(exports);
    }
    if (!error)
        return;
    if (block->error)
        json_free(error);
    else
        block->error = error;
    if (!has_parts || step->on_part_error == ON_PART_CANCEL) {
        block->is_failing = true;
        abandon_others(strand, part);
    }
}

/* ---- the beginning */

static struct block *block_new(struct strand *strand, size_t count)
{
    struct block *block = xcalloc(1, sizeof(*block));
    block->count = count;
    block->results = xcalloc(count + 1, sizeof(struct json *));
    block_free(strand->block);
    strand->block = block;
    strand->state = STRAND_BLOCK;
    return block;
}

void block_begin_error_steps(struct strand *strand)
{
    block_new(strand, 1)->is_error_steps = true;
    block_continue(strand);
}

/* The parts as the decision says: the block's record, now or from the disk. */
void block_go_on(struct strand *strand, const struct json *intent)
{
    const struct step *step = strand_step(strand);
    if (step->kind == STEP_FOR_EACH) {
        const struct json *items = json_get(json_get(intent, "inputs"), "items");
        struct block *block = block_new(strand, json_count(items));
        block->items = json_copy(items);
        block->item = json_first(block->items);
    } else if (step->kind == STEP_PARALLEL) {
        struct block *block = block_new(strand, step->branch_count);
        block->is_taken = xcalloc(step->branch_count, sizeof(*block->is_taken));
        for (const struct json *b = json_first(json_get(intent, "branches")); b; b = json_next(b))
            for (size_t i = 0; i < step->branch_count; i++)
                block->is_taken[i] |= str_eq_c(json_str(b), step->branches[i].name);
    } else {
        const char *name = json_get_c(intent, "branch");
        struct block *block = block_new(strand, name ? 1 : 0);
        for (size_t i = 0; name && i < step->branch_count; i++)
            if (strcmp(name, step->branches[i].name) == 0)
                block->chosen = i;
    }
    block_continue(strand);
}

/* The decision is on disk with whatever is committed next: before any step of a part begins. */
static void decide(struct strand *strand, struct json *intent)
{
    run_keep_intent(strand->run, strand_position(strand), strand->attempt, json_text(intent, NULL));
    block_go_on(strand, intent);
    json_free(intent);
}

/* JavaScript's truth of a value; NULL is undefined. */
static bool is_truthy(const struct json *value)
{
    double number = 0;
    if (!value || json_is(value, JSON_NULL))
        return false;
    if (json_is(value, JSON_BOOLEAN))
        return json_is_true(value);
    if (json_is(value, JSON_NUMBER))
        return !json_to_double(value, &number) || number != 0;
    return !json_is(value, JSON_STRING) || json_str(value).len > 0;
}

/* ---- if and parallel: the branches' conditions, one after the other */

static void try_branch(struct strand *strand);

static void take_condition(struct strand *strand, struct expr_result *result)
{
    struct block *block = strand->block;
    const struct step *step = strand_step(strand);
    block->is_taken[block->next] = is_truthy(json_get(result->value, "when"));
    expr_result_release(result);
    if (block->is_taken[block->next] && step->kind == STEP_IF)
        block->next = step->branch_count; /* the first one counts */
    else
        block->next++;
    try_branch(strand);
}

static void conditions_known(struct strand *strand)
{
    const struct step *step = strand_step(strand);
    struct json *intent = strand_intent(strand, step_kind_name(step));
    struct json *names =
        step->kind == STEP_PARALLEL ? json_set(intent, "branches", json_new_array()) : NULL;
    for (size_t i = 0; i < step->branch_count; i++) {
        if (!strand->block->is_taken[i])
            continue;
        if (names) {
            (void)json_append(names, json_new_string_c(step->branches[i].name));
        } else {
            json_set_string(intent, "branch", step->branches[i].name);
            break;
        }
    }
    decide(strand, intent);
}

static void try_branch(struct strand *strand)
{
    struct block *block = strand->block;
    const struct step *step = strand_step(strand);
    while (block->next < step->branch_count && !step->branches[block->next].when) {
        block->is_taken[block->next++] = true; /* else, or a branch without a condition */
        if (step->kind == STEP_IF)
            block->next = step->branch_count;
    }
    if (block->next < step->branch_count)
        step_resolve(strand, step->branches[block->next].when, take_condition);
    else
        conditions_known(strand);
}

/* ---- switch */

static void take_case(struct strand *strand, struct expr_result *result);

static void try_case(struct strand *strand)
{
    struct block *block = strand->block;
    const struct step *step = strand_step(strand);
    if (block->next < step->branch_count && step->branches[block->next].when) {
        step_resolve(strand, step->branches[block->next].when, take_case);
        return;
    }
    struct json *intent = strand_intent(strand, step_kind_name(step));
    if (block->next < step->branch_count)
        json_set_string(intent, "branch", step->branches[block->next].name);
    if (block->items)
        (void)json_set(json_set(intent, "inputs", json_new_object()), "value",
                       json_copy(block->items));
    decide(strand, intent);
}

static void take_case(struct strand *strand, struct expr_result *result)
{
    struct block *block = strand->block;
    const struct step *step = strand_step(strand);
    bool is_it = false;
    for (const struct json *v = json_first(json_get(result->value, "is")); v; v = json_next(v))
        is_it |= block->items && json_equal(v, block->items);
    expr_result_release(result);
    if (!is_it) {
        block->next++;
        try_case(strand);
        return;
    }
    struct json *intent = strand_intent(strand, step_kind_name(step));
    json_set_string(intent, "branch", step->branches[block->next].name);
    (void)json_set(json_set(intent, "inputs", json_new_object()), "value", json_copy(block->items));
    decide(strand, intent);
}

static void take_switch_value(struct strand *strand, struct expr_result *result)
{
    struct block *block = block_new(strand, 0);
    block->items = json_take(result->value, "value"); /* while it is looked for */
    expr_result_release(result);
    try_case(strand);
}

/* ---- for_each */

static void take_items(struct strand *strand, struct expr_result *result)
{
    struct json *items = json_take(result->value, "items");
    char text[200];
    if (!items || !json_is(items, JSON_ARRAY)) {
        const char *path = result->missing_count ? result->missing[0].path : NULL;
        (void)snprintf(text, sizeof(text), "for_each needs a list and got %s%s",
                       items ? json_kind_name(json_kind(items)) : "undefined",
                       path && *path ? ": there is no value at that path" : "");
        json_free(items);
        expr_result_release(result);
        step_fail_attempt(strand, RN_EINVAL, text);
        return;
    }
    expr_result_release(result);
    if (json_count(items) > LIMIT_ITEMS) {
        (void)snprintf(text, sizeof(text), "for_each takes %d items at most, and the list has %zu",
                       LIMIT_ITEMS, json_count(items));
        json_free(items);
        step_fail_attempt(strand, RN_ETOOBIG, text);
        return;
    }
    struct json *intent = strand_intent(strand, step_kind_name(strand_step(strand)));
    (void)json_set(json_set(intent, "inputs", json_new_object()), "items", items);
    decide(strand, intent);
}

void block_begin(struct strand *strand)
{
    const struct step *step = strand_step(strand);
    if (step->kind == STEP_FOR_EACH) {
        step_resolve(strand, step->config, take_items);
    } else if (step->kind == STEP_SWITCH) {
        step_resolve(strand, step->config, take_switch_value);
    } else {
        struct block *block = block_new(strand, 0);
        block->is_taken = xcalloc(step->branch_count + 1, sizeof(*block->is_taken));
        try_branch(strand);
    }
}
