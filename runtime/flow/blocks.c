/* The blocks of a workflow: if, switch, parallel, for_each. Each holds lists of steps; what stands
 * in them is not seen behind the block, only what the block exports. */
#include "flow/load.h"

enum { BRANCHES_MAX = 100, CONCURRENCY_MAX = 100, DEPTH_MAX = 16 };

/* A condition is one whole {{ … }}, or true or false. */
static struct expr_template *read_when(struct steps_reader *reader, const struct json *at)
{
    char text[SHOWN_MAX];
    if (!json_is(at, JSON_BOOLEAN) && !is_whole_expression(json_str(at))) {
        at_value(reader->file, at,
                 "a condition is one expression, such as \"{{steps.trigger.event.total > 100}}\", "
                 "or true or false, not %s",
                 shown(at, text));
        return NULL;
    }
    struct json *object = json_new_object();
    (void)json_set(object, "when", json_copy(at));
    return template_read(reader, at, object);
}

static struct branch *add_branch(struct step *step, char *name)
{
    step->branches = xrealloc(step->branches, (step->branch_count + 1) * sizeof(*step->branches));
    struct branch *branch = &step->branches[step->branch_count++];
    *branch = (struct branch){.name = name};
    return branch;
}

/* Reads the steps of a branch; the names in it are hidden from the next branches. */
static void read_branch_steps(struct steps_reader *reader, const struct json *list,
                              const struct step *step, struct step_list *ret)
{
    const char *block = step->namespace_ ? step->namespace_ : "";
    steps_read(reader, list, block, ret);
    for (size_t i = 0; i < ret->count; i++) {
        struct known_name *name = names_find(&reader->names, ret->list[i].namespace_);
        if (name && name->state == NAME_INSIDE)
            name->state = NAME_BESIDE;
    }
}

/* Behind the block, what was beside is inside. */
static void close_branches(struct steps_reader *reader, const struct step *step)
{
    for (size_t i = 0; i < reader->names.count; i++) {
        struct known_name *name = &reader->names.list[i];
        if (name->state == NAME_BESIDE && step->namespace_ && name->block &&
            strcmp(name->block, step->namespace_) == 0)
            name->state = NAME_INSIDE;
    }
}

static const struct json *steps_of(struct steps_reader *reader, const struct json *object,
                                   const char *name)
{
    const struct json *list = field(reader->file, object, name, JSON_ARRAY);
    if (!list && !json_get(object, name))
        at_value(reader->file, object, "\"%s\" is missing: the list of steps to run then", name);
    return list;
}

/* ---- if */

static void read_rule(struct steps_reader *reader, const struct json *rule, struct step *step,
                      const char *const *keys, const char *condition)
{
    if (!json_is(rule, JSON_OBJECT)) {
        at_value(reader->file, rule, "an entry is a mapping: %s, steps", condition);
        return;
    }
    size_t errors = problems_errors(reader->file->load->problems);
    check_keys(reader->file, rule, keys, "an entry");
    bool has_said = problems_errors(reader->file->load->problems) > errors; /* a slip in the name */
    struct branch *branch = add_branch(step, xasprintf("%zu", step->branch_count + 1));
    size_t index = step->branch_count - 1;
    const struct json *when = json_get(rule, condition);
    struct expr_template *template = NULL;
    if (!when || json_is(when, JSON_NULL)) {
        if (!has_said)
            at_value(reader->file, rule, "\"%s\" is missing in this entry", condition);
    } else if (strcmp(condition, "when") == 0) {
        template = read_when(reader, when);
    } else {
        struct json *object = json_new_object();
        struct json *list = json_is(when, JSON_ARRAY) ? json_copy(when) : json_new_array();
        if (!json_is(when, JSON_ARRAY))
            (void)json_append(list, json_copy(when));
        (void)json_set(object, "is", list);
        template = template_read(reader, when, object);
    }
    branch->when = template;
    const struct json *steps = steps_of(reader, rule, "steps");
    struct step_list list = {0};
    read_branch_steps(reader, steps, step, &list);
    step->branches[index].steps = list;
}

static void read_else(struct steps_reader *reader, const struct json *item, const char *name,
                      struct step *step)
{
    const struct json *list = field(reader->file, item, name, JSON_ARRAY);
    if (!list)
        return;
    size_t index = step->branch_count;
    (void)add_branch(step, xstrdup("else"));
    struct step_list steps = {0};
    read_branch_steps(reader, list, step, &steps);
    step->branches[index].steps = steps;
}

static void read_if(struct steps_reader *reader, const struct json *item, struct step *step)
{
    static const char *const keys[] = {"if", "steps", "else", NULL};
    static const char *const rule_keys[] = {"when", "steps", NULL};
    const struct json *rules = json_get(item, "if");
    step->kind = STEP_IF;
    step_check_keys(reader->file, item, keys, "an \"if\"");
    if (json_is(rules, JSON_ARRAY)) {
        if (json_get(item, "steps"))
            at_name(reader->file, json_get(item, "steps"),
                    "\"steps\" stand in each entry of \"if\", beside its \"when\"");
        if (json_count(rules) > BRANCHES_MAX)
            at_name(reader->file, rules, "more than %d branches", BRANCHES_MAX);
        else
            for (const struct json *rule = json_first(rules); rule; rule = json_next(rule))
                read_rule(reader, rule, step, rule_keys, "when");
    } else {
        struct expr_template *when = read_when(reader, rules);
        struct step_list steps = {0};
        read_branch_steps(reader, steps_of(reader, item, "steps"), step, &steps);
        struct branch *branch = add_branch(step, xstrdup("1"));
        branch->when = when;
        branch->steps = steps;
    }
    read_else(reader, item, "else", step);
}

/* ---- switch */

static void read_switch(struct steps_reader *reader, const struct json *item, struct step *step)
{
    static const char *const keys[] = {"switch", "cases", "default", NULL};
    static const char *const case_keys[] = {"is", "steps", NULL};
    const struct json *value = json_get(item, "switch");
    step->kind = STEP_SWITCH;
    step_check_keys(reader->file, item, keys, "a \"switch\"");
    struct json *object = json_new_object();
    (void)json_set(object, "value", json_copy(value));
    step->config = template_read(reader, value, object);
    const struct json *cases = field(reader->file, item, "cases", JSON_ARRAY);
    if (json_count(cases) == 0)
        at_value(reader->file, item, "\"cases\" is missing: a list of {is, steps}");
    else if (json_count(cases) > BRANCHES_MAX)
        at_name(reader->file, cases, "more than %d cases", BRANCHES_MAX);
    else
        for (const struct json *rule = json_first(cases); rule; rule = json_next(rule))
            read_rule(reader, rule, step, case_keys, "is");
    read_else(reader, item, "default", step);
}

/* ---- parallel */

static enum on_part_error read_part_error(struct steps_reader *reader, const struct json *item,
                                          const char *name)
{
    static const char *const words[] = {"wait", "cancel", "continue"};
    const char *text = field_text(reader->file, item, name);
    for (size_t i = 0; text && i < COUNT_OF(words); i++)
        if (strcmp(text, words[i]) == 0)
            return (enum on_part_error)i;
    if (text)
        at_value(reader->file, json_get(item, name),
                 "\"%s\" is \"wait\" (the others still run, then it fails), \"cancel\" (the others "
                 "are cancelled) or \"continue\" (it does not fail), not \"%s\"",
                 name, text);
    return ON_PART_WAIT;
}

static void read_parallel(struct steps_reader *reader, const struct json *item, struct step *step)
{
    static const char *const keys[] = {"parallel", "on_branch_error", NULL};
    static const char *const branch_keys[] = {"when", "steps", NULL};
    const struct json *branches = field(reader->file, item, "parallel", JSON_OBJECT);
    step->kind = STEP_PARALLEL;
    step_check_keys(reader->file, item, keys, "a \"parallel\"");
    step->on_part_error = read_part_error(reader, item, "on_branch_error");
    if (json_count(branches) == 0 || json_count(branches) > BRANCHES_MAX) {
        at_name(reader->file, json_get(item, "parallel"),
                "\"parallel\" is a mapping of 1 to %d branches: name: { steps: […] }",
                BRANCHES_MAX);
        return;
    }
    for (const struct json *b = json_first(branches); b; b = json_next(b)) {
        if (!is_identifier(str_from(json_name(b))))
            at_name(reader->file, b, "the name of a branch has letters, digits and '_'");
        if (!json_is(b, JSON_OBJECT)) {
            at_value(reader->file, b, "a branch is a mapping: when (optional), steps");
            continue;
        }
        check_keys(reader->file, b, branch_keys, "a branch");
        size_t index = step->branch_count;
        (void)add_branch(step, xstrdup(json_name(b)));
        const struct json *when = json_get(b, "when");
        if (when && !json_is(when, JSON_NULL))
            step->branches[index].when = read_when(reader, when);
        struct step_list steps = {0};
        read_branch_steps(reader, steps_of(reader, b, "steps"), step, &steps);
        step->branches[index].steps = steps;
    }
}

/* ---- for_each */

static void read_for_each(struct steps_reader *reader, const struct json *item, struct step *step)
{
    static const char *const keys[] = {"for_each", "steps", "concurrency", "on_item_error", NULL};
    const struct json *items = json_get(item, "for_each");
    char text[SHOWN_MAX];
    step->kind = STEP_FOR_EACH;
    step_check_keys(reader->file, item, keys, "a \"for_each\"");
    step->concurrency = (int)field_count(reader->file, item, "concurrency", 1, CONCURRENCY_MAX, 1);
    step->on_part_error = read_part_error(reader, item, "on_item_error");
    if (json_get(item, "on_item_error") == NULL)
        step->on_part_error = ON_PART_CANCEL;
    if (!json_is(items, JSON_ARRAY) && !is_whole_expression(json_str(items)))
        at_value(reader->file, items,
                 "\"for_each\" is a list, or one expression that gives one, such as "
                 "\"{{steps.trigger.event.items}}\", not %s",
                 shown(items, text));
    struct json *object = json_new_object();
    (void)json_set(object, "items", json_copy(items));
    step->config = template_read(reader, items, object);
    struct known_name *own = step->namespace_ ? names_find(&reader->names, step->namespace_) : NULL;
    if (own)
        own->state = NAME_LOOP;
    struct step_list steps = {0};
    read_branch_steps(reader, steps_of(reader, item, "steps"), step, &steps);
    struct branch *branch = add_branch(step, xstrdup("item"));
    branch->steps = steps;
}

bool block_read(struct steps_reader *reader, const struct json *item, struct step *step)
{
    static const struct {
        const char *name;
        void (*read)(struct steps_reader *reader, const struct json *item, struct step *step);
    } kinds[] = {{"if", read_if},
                 {"switch", read_switch},
                 {"parallel", read_parallel},
                 {"for_each", read_for_each}};
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (!json_get(item, kinds[i].name))
            continue;
        if (++reader->depth > DEPTH_MAX)
            at_value(reader->file, item, "blocks are nested deeper than %d", DEPTH_MAX);
        else
            kinds[i].read(reader, item, step);
        reader->depth--;
        close_branches(reader, step);
        return true;
    }
    return false;
}
