/* What the store knows of the steps of a run, by path: a run that is loaded goes through its
 * workflow from the start and takes these for done. Thread: the loop's. */
#include "engine/run.h"

struct progress {
    struct map by_path; /* → struct past */
};

void past_free(struct past *past)
{
    if (!past)
        return;
    free(past->path);
    json_free(past->intent);
    json_free(past->result);
    free(past);
}

static void free_value(void *value)
{
    past_free(value);
}

void progress_free(struct progress *progress)
{
    if (!progress)
        return;
    map_release(&progress->by_path, free_value);
    free(progress);
}

struct past *progress_take(struct progress *progress, const char *path)
{
    return map_remove(&progress->by_path, str_from(path));
}

struct reading {
    struct progress *progress;
    uint32_t last_position;
};

/* Records come by position and attempt, so that the newest attempt of a step comes last. */
static int each_step(void *ctx, const struct step_record *record)
{
    struct reading *reading = ctx;
    struct past *past = xcalloc(1, sizeof(*past));
    if (record->intent.len && json_parse_own(record->intent, &past->intent, NULL))
        past->intent = NULL;
    if (record->result.len && json_parse_own(record->result, &past->result, NULL))
        past->result = NULL;
    const char *path = json_get_c(past->intent, "path");
    if (!path)
        path = json_get_c(past->result, "path");
    past->position = record->position;
    past->attempt = record->attempt;
    if (record->position > reading->last_position)
        reading->last_position = record->position;
    if (!path) {
        past_free(past);
        return 0;
    }
    past->path = xstrdup(path);
    past_free(map_put(&reading->progress->by_path, str_from(path), past));
    return 0;
}

struct progress *progress_read(struct store_view *view, uint64_t run_id,
                               uint32_t *ret_last_position)
{
    struct reading reading = {.progress = xcalloc(1, sizeof(*reading.progress))};
    (void)step_each(STORE_VIEW(view), run_id, each_step, &reading);
    *ret_last_position = reading.last_position;
    return reading.progress;
}

struct progress *progress_import(struct store_view *view, uint64_t run_id, const char *from,
                                 struct run *run)
{
    uint32_t last_position = 0;
    struct progress *all = progress_read(view, run_id, &last_position);
    struct progress *kept = xcalloc(1, sizeof(*kept));
    struct past *first = map_get(&all->by_path, str_from(from));
    uint32_t end = first ? first->position : UINT32_MAX;
    size_t at = 0;
    for (const struct map_entry *e; (e = map_next(&all->by_path, &at));) {
        struct past *past = e->value;
        bool is_before = past->position < end &&
                         str_eq_c(json_get_text(past->result, "status"), "succeeded") &&
                         !json_get(past->result, "wait") && !json_get(past->result, "exit");
        /* an enclosing block began before and is gone through again, with the same decision */
        size_t len = strlen(past->path);
        bool is_around = past->position < end && past->intent &&
                         strncmp(past->path, from, len) == 0 &&
                         (from[len] == '.' || from[len] == '[');
        if (!is_before && !is_around)
            continue;
        struct past *copy = xcalloc(1, sizeof(*copy));
        copy->path = xstrdup(past->path);
        copy->position = ++run->last_position;
        copy->attempt = 1;
        copy->intent = past->intent ? json_copy(past->intent) : NULL;
        copy->result = is_before && !is_around ? json_copy(past->result) : NULL;
        if (copy->intent) {
            json_set_boolean(copy->intent, "replayed", true);
            run_keep_intent(run, copy->position, 1, json_text(copy->intent, NULL));
        }
        if (copy->result)
            run_keep_result(run, copy->position, 1, json_copy(copy->result));
        past_free(map_put(&kept->by_path, str_from(copy->path), copy));
    }
    progress_free(all);
    return kept;
}
