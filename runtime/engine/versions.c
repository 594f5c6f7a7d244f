/* The texts of workflows that were deployed: each is kept under its hash, and a log says which came
 * when. The newest one of a workflow stands in for its file while that has errors. Thread: the
 * caller's, under deploy_lock. */
#include "engine/internal.h"

struct keep_version {
    const struct workflow *workflow;
};

static int apply_version(struct store_tx *tx, void *ctx, struct err *err)
{
    const struct workflow *workflow = ((struct keep_version *)ctx)->workflow;
    int rc = kv_put(tx, SPACE_VERSIONS, str_from(workflow->sha256), str_from(workflow->text), err);
    char *key = xasprintf("%s\x01%013lld", workflow->id, (long long)clock_now_ms());
    rc = rc ? rc : kv_put(tx, SPACE_VERSION_LOG, str_from(key), str_from(workflow->sha256), err);
    free(key);
    return rc;
}

/* Workflow id → the version of it that was deployed last. */
static int each_deployed(void *ctx, struct str key, struct str value)
{
    struct str id = STR_NONE;
    (void)str_cut(&key, '\x01', &id);
    free(map_put(ctx, id, str_dup(value))); /* the keys' order is that of time */
    return 0;
}

static int last_deployed(struct engine *engine, struct map *ret, struct err *err)
{
    struct store_view *view = NULL;
    int rc = store_view_begin(engine->store, &view, err);
    if (rc == 0)
        (void)kv_each(STORE_VIEW(view), SPACE_VERSION_LOG, each_deployed, ret);
    store_view_end(view);
    return rc;
}

/* Every version of a workflow that ever ran stays readable, and which came when. */
int versions_keep(struct engine *engine, const struct project *project, struct err *err)
{
    struct map last = MAP_INIT;
    int rc = last_deployed(engine, &last, err);
    for (size_t i = 0; i < project->workflow_count && rc == 0; i++) {
        const char *before = map_get(&last, str_from(project->workflows[i]->id));
        struct keep_version keep = {project->workflows[i]};
        if (!before || strcmp(before, project->workflows[i]->sha256) != 0)
            rc = store_run(engine->store, apply_version, &keep, false, err);
    }
    map_release(&last, free);
    return rc;
}

void versions_stand_in(struct engine *engine, struct catalog *catalog, struct project *project,
                       const struct problems *problems)
{
    struct map last = MAP_INIT;
    struct store_view *view = NULL;
    struct str text;
    if (problems_errors(problems) == 0 || last_deployed(engine, &last, NULL) ||
        store_view_begin(engine->store, &view, NULL))
        goto out;
    for (size_t i = 0; i < problems->count; i++) {
        struct str id = workflow_of_file(str_from(problems->list[i].file));
        const char *version = id.len ? map_get(&last, id) : NULL;
        const struct workflow *there = version ? project_workflow(project, id) : NULL;
        bool is_there = there && str_eq_c(id, there->id); /* not one that only has it as its name */
        if (problems->list[i].is_warning || !version || is_there ||
            kv_get(STORE_VIEW(view), SPACE_VERSIONS, str_from(version), &text))
            continue;
        struct problems ignored = PROBLEMS_INIT;
        char *name = str_dup(id);
        struct workflow *workflow = workflow_parse(name, text, project, catalog, &ignored);
        if (workflow)
            project_keep(project, workflow);
        free(name);
        problems_release(&ignored);
    }
out:
    store_view_end(view);
    map_release(&last, free);
}
