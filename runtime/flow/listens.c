/* Triggers that listen to what another workflow emits. */
#include "flow/load.h"

/* "orders", "orders.yaml" and "workflows/orders.yaml" are the same workflow. */
static struct str id_of(struct str text)
{
    static const char folder[] = "workflows/", end[] = ".yaml";
    if (str_starts(text, folder))
        text = str_n(text.ptr + sizeof(folder) - 1, text.len - (sizeof(folder) - 1));
    if (str_ends(text, end))
        text.len -= sizeof(end) - 1;
    return text;
}

static void check_channel(struct file *file, const struct json *item,
                          const struct workflow *workflow, const struct trigger *trigger,
                          struct str emitter)
{
    const struct json *value = json_get(item, "channel");
    bool is_own = str_eq_c(emitter, workflow->id);
    if (trigger->channel[0] == '$' && strcmp(trigger->channel, "$errors") != 0)
        at_value(file, value,
                 "there is no channel \"%s\": of those that begin with $ there is \"$errors\" only",
                 trigger->channel);
    else if (trigger->channel[0] && is_own)
        at_value(file, value,
                 "a workflow cannot be told of its own errors: let another one listen");
    else if (strlen(trigger->channel) > LIMIT_SEND_CHANNEL)
        at_value(file, value, "a channel's name has at most %d bytes", LIMIT_SEND_CHANNEL);
}

void listen_read(struct file *file, const struct json *item, struct workflow *workflow,
                 struct trigger *trigger)
{
    const struct json *value = json_get(item, "workflow");
    const char *name = field_text(file, item, "workflow");
    if (!name)
        return;
    struct str id = id_of(str_from(name));
    trigger->source = xasprintf("workflows/" STR_FMT, STR_ARG(id));
    workflow_check_named(file, value, id);
    check_channel(file, item, workflow, trigger, id);
    for (size_t i = 0; i < workflow->trigger_count; i++)
        if (workflow->triggers[i].source &&
            strcmp(workflow->triggers[i].source, trigger->source) == 0 &&
            strcmp(workflow->triggers[i].channel, trigger->channel) == 0)
            at_value(file, value,
                     "another trigger of this workflow listens to \"%s\" already: each event would "
                     "run it twice",
                     name);
    struct yaml_place place = yaml_place_of(file->doc, value, false);
    trigger->line = place.line;
    trigger->column = place.column;
}

bool listening_next(struct listening *l)
{
    for (; l->next_workflow < l->project->workflow_count; l->next_workflow++, l->next_trigger = 0) {
        l->workflow = l->project->workflows[l->next_workflow];
        while (!l->workflow->inactive && l->next_trigger < l->workflow->trigger_count) {
            l->trigger = &l->workflow->triggers[l->next_trigger++];
            if (l->trigger->kind == TRIGGER_WORKFLOW &&
                strcmp(l->trigger->source, l->emitter) == 0 &&
                strcmp(l->trigger->channel, l->channel) == 0)
                return true;
        }
    }
    return false;
}

/* ---- circles */

struct search {
    const struct project *project;
    const char *goal; /* "workflows/<id>" */
    bool *is_seen;    /* by the workflow's index */
};

static size_t index_of(const struct project *project, const char *source)
{
    for (size_t i = 0; i < project->workflow_count; i++)
        if (strcmp(project->workflows[i]->id, source + strlen("workflows/")) == 0)
            return i;
    return SIZE_MAX;
}

static bool is_listening(const struct trigger *trigger)
{
    return trigger->kind == TRIGGER_WORKFLOW && trigger->source &&
           strcmp(trigger->channel, "$errors") != 0;
}

/* Whether what the workflow is started by goes back to the goal. */
static bool leads_to_goal(struct search *search, size_t index)
{
    const struct workflow *workflow = search->project->workflows[index];
    search->is_seen[index] = true;
    for (size_t t = 0; t < workflow->trigger_count; t++) {
        const struct trigger *trigger = &workflow->triggers[t];
        if (!is_listening(trigger))
            continue;
        size_t from = index_of(search->project, trigger->source);
        if (strcmp(trigger->source, search->goal) == 0 ||
            (from != SIZE_MAX && !search->is_seen[from] && leads_to_goal(search, from)))
            return true;
    }
    return false;
}

static void warn_circle(struct load *load, const struct workflow *workflow,
                        const struct trigger *trigger)
{
    const char *other = trigger->source + strlen("workflows/");
    if (strcmp(other, workflow->id) == 0)
        problem_warn(load->problems, workflow->file, trigger->line, trigger->column,
                     "the workflow listens to itself: each of its emits on this channel runs it "
                     "again, %d times in a row at most",
                     LIMIT_SEND_HOPS);
    else
        problem_warn(load->problems, workflow->file, trigger->line, trigger->column,
                     "\"%s\" is started by what \"%s\" emits, and the other way round: where the "
                     "channels let them, they start each other %d times in a row at most",
                     workflow->id, other, LIMIT_SEND_HOPS);
}

void listens_check(struct load *load)
{
    const struct project *project = load->project;
    struct search search = {.project = project,
                            .is_seen = xcalloc(project->workflow_count + 1, sizeof(bool))};
    for (size_t w = 0; w < project->workflow_count; w++) {
        const struct workflow *workflow = project->workflows[w];
        char *goal = xasprintf("workflows/%s", workflow->id);
        search.goal = goal;
        for (size_t t = 0; t < workflow->trigger_count; t++) {
            const struct trigger *trigger = &workflow->triggers[t];
            size_t from = is_listening(trigger) ? index_of(project, trigger->source) : SIZE_MAX;
            memset(search.is_seen, 0, project->workflow_count * sizeof(bool));
            if (from != SIZE_MAX && (from == w || leads_to_goal(&search, from)))
                warn_circle(load, workflow, trigger);
        }
        free(goal);
    }
    free(search.is_seen);
}
