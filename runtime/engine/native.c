/* Deploying the triggers of a workflow that have no component: an HTTP trigger has an endpoint, a
 * schedule is the scheduler's. Each is an instance like a source's, with the mapping of its file,
 * {{process.env}} filled in, as its props. An instance is made anew for each change of that.
 * Thread: the deploying one, under deploy_lock. */
#include "engine/deploy.h"

static void fail_at(const struct json *where, struct err *err)
{
    char text[ERR_TEXT_MAX];
    (void)snprintf(text, sizeof(text), "%s", err->text);
    if (where && json_name(where))
        (void)err_set(err, RN_ECONFIG, "%.40s: %.400s", json_name(where), text);
}

int native_configure(struct instance *instance, struct err *err)
{
    const struct json *where = NULL;
    struct json *empty = json_new_object();
    const struct json *config = instance->props ? instance->props : empty;
    int rc = 0;
    if (instance->is_schedule) {
        rc = schedule_parse(config, false, &instance->schedule, &where, err);
    } else {
        rc = http_trigger_parse(config, false, &instance->http, &where, err);
        if (rc == 0 && instance->http->dedupe_id) {
            instance->dedupe = RN_DEDUPE_UNIQUE;
            instance->remember = instance->http->remember;
        }
    }
    if (rc)
        fail_at(where, err);
    json_free(empty);
    return rc;
}

/* The mapping with its {{process.env}} filled in. `dedupe` is about events and stays as it is. */
static int resolve(struct engine *engine, const struct project *project,
                   const struct workflow *workflow, const struct trigger *trigger,
                   struct json **ret, struct err *err)
{
    struct expr_template *template = NULL;
    struct json *config = json_copy(trigger->config), *resolved = NULL;
    struct json *dedupe = json_take(config, "dedupe");
    int rc = expr_compile(config, &template, NULL, err);
    rc = rc ? rc : deploy_resolve(engine, project, workflow->env, template, &resolved, err);
    if (rc == 0 && dedupe)
        (void)json_set(resolved, "dedupe", json_copy(dedupe));
    if (rc == 0)
        *ret = resolved;
    expr_template_free(template);
    json_free(dedupe);
    json_free(config);
    return rc;
}

static char *text_of(const struct json *value)
{
    return value ? json_text(value, NULL) : xstrdup("");
}

/* The instance that the file wants: the one that is there, where nothing has changed. */
static struct instance *make(struct instance *old, const char *id, bool is_schedule,
                             struct json *props, bool *ret_is_new)
{
    char *now = text_of(props), *before = old ? text_of(old->props) : NULL;
    *ret_is_new = !old || !old->is_native || old->is_schedule != is_schedule ||
                  strcmp(now, before) != 0 || old->state == INSTANCE_FAILED;
    free(now);
    free(before);
    if (!*ret_is_new) {
        json_free(props);
        return source_instance_ref(old);
    }
    char key[DEPLOY_KEY_LENGTH + 1];
    random_key(key, DEPLOY_KEY_LENGTH);
    struct instance *instance = source_instance_new(id, old ? old->key : key, true);
    instance->is_schedule = is_schedule;
    instance->props = props;
    return instance;
}

static void subscribe(struct instance *instance, const struct workflow *workflow,
                      const struct trigger *trigger)
{
    struct subscriber *list = xcalloc(1, sizeof(*list));
    *list = (struct subscriber){xstrdup(workflow->id), xstrdup(trigger->namespace_), xstrdup(""),
                                workflow->queue_size};
    instance_set_subscribers(instance, list, 1);
}

static int deploy_one(struct engine *engine, const struct project *project,
                      const struct workflow *workflow, const struct trigger *trigger)
{
    char *id = xasprintf("workflows/%s/%s", workflow->id, trigger->namespace_);
    struct instance *old = instance_by_id(engine, id), *instance = NULL;
    struct json *props = NULL;
    struct err err = ERR_INIT;
    bool is_new = false;
    int rc = resolve(engine, project, workflow, trigger, &props, &err);
    if (rc == 0) {
        instance = make(old, id, trigger->kind == TRIGGER_SCHEDULE, props, &is_new);
        rc = is_new ? native_configure(instance, &err) : 0;
    }
    if (rc == 0) {
        enum instance_state state = workflow->inactive ? INSTANCE_INACTIVE : INSTANCE_ACTIVE;
        bool has_changed = is_new || instance->state != state;
        subscribe(instance, workflow, trigger);
        if (has_changed) {
            deploy_set_state(instance, state, NULL);
            rc = deploy_keep_record(engine, instance, &err);
        }
        if (is_new)
            deploy_publish(engine, instance);
    }
    if (rc) {
        log_error("trigger %s: %s", id, err.text);
        if (instance && is_new) { /* nobody is let in with a configuration that is none */
            deploy_set_state(instance, INSTANCE_FAILED, err.text);
            deploy_publish(engine, instance);
        }
    }
    source_instance_unref(instance);
    source_instance_unref(old);
    free(id);
    return rc;
}

static bool is_native(const struct trigger *trigger)
{
    return trigger->kind == TRIGGER_HTTP || trigger->kind == TRIGGER_SCHEDULE;
}

int native_deploy_all(struct engine *engine, const struct project *project)
{
    int failures = 0;
    for (size_t w = 0; w < project->workflow_count; w++)
        for (size_t t = 0; t < project->workflows[w]->trigger_count; t++)
            if (is_native(&project->workflows[w]->triggers[t]) &&
                deploy_one(engine, project, project->workflows[w],
                           &project->workflows[w]->triggers[t]))
                failures++;
    return failures;
}

bool native_is_wanted(const struct project *project, const char *id)
{
    bool found = false;
    for (size_t w = 0; w < project->workflow_count && !found; w++) {
        const struct workflow *workflow = project->workflows[w];
        for (size_t t = 0; t < workflow->trigger_count && !found; t++) {
            char *name =
                xasprintf("workflows/%s/%s", workflow->id, workflow->triggers[t].namespace_);
            found = is_native(&workflow->triggers[t]) && strcmp(name, id) == 0;
            free(name);
        }
    }
    return found;
}
