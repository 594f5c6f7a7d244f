/* What a code step is called with: its code, its props with their accounts, all that its strand
 * sees. The code host (code/host.c) knows the rest. Thread: the loop's. */
#include "engine/run.h"

/* The props as the code gets them: an account's is {"$auth": {…}}. */
static struct json *inputs_of(const struct strand *strand)
{
    struct json *inputs = strand->props ? json_copy(strand->props) : json_new_object();
    for (const struct json *auth = json_first(strand->auth); auth; auth = json_next(auth)) {
        struct json *app = json_new_object();
        (void)json_set(app, "$auth", json_copy(auth));
        (void)json_set(inputs, json_name(auth), app);
    }
    return inputs;
}

/* Which props are data stores: {prop: name}. */
static struct json *stores_of(const struct strand *strand)
{
    struct json *stores = json_new_object();
    for (const struct json *p = json_first(strand_step(strand)->use.props); p; p = json_next(p))
        if (data_store_name(p))
            (void)json_set(stores, json_name(p),
                           json_copy(data_store_name(json_get(strand->props, json_name(p)))));
    return stores;
}

static struct json *request_of(const struct strand *strand, const struct json *files)
{
    const struct run *run = strand->run;
    const struct step *step = strand_step(strand);
    const struct code *code = step->code;
    char key[33];
    strand_idempotency_key(strand, key);
    struct json *request = json_new_object();
    json_set_string(request, "op", "code_run");
    json_set_string(request, "language", code_language_name(code->language));
    json_set_string(request, "workflow", run->workflow->id);
    if (run->workflow->memory)
        json_set_integer(request, "memory", (int64_t)run->workflow->memory);
    json_set_integer(request, "timeout_ms", step->timeout_ms);
    json_set_integer(request, "deadline", clock_now_ms() + step->timeout_ms);
    json_set_string(request, "dir", run->project->dir);
    (void)json_set(request, "files", json_copy(files));
    json_set_string(request, "name", code->name);
    char *base = code->file
                     ? xasprintf("%s/%s", run->project->dir, code->file)
                     : xasprintf("%s/workflows/%s.yaml", run->project->dir, run->workflow->id);
    json_set_string(request, "base", base);
    free(base);
    json_set_string(request, "idempotency_key", key);
    json_set_integer(request, "attempt", strand->attempt);
    json_set_integer(request, "runs", strand->runs);
    (void)json_set(request, "stores", stores_of(strand));
    if (strand->rerun)
        (void)json_set(request, "rerun", json_copy(strand->rerun));
    char *url = strand_url(strand);
    json_set_string(request, "resume_url", url);
    free(url);
    return request;
}

void code_step_call(struct strand *strand, const struct json *files)
{
    const struct code *code = strand_step(strand)->code;
    struct json *request = request_of(strand, files), *inputs = inputs_of(strand);
    const struct json *env = run_env(strand->run);
    const struct json *values[] = {request, inputs, strand->steps, env};
    char *texts[COUNT_OF(values)];
    struct str sections[4] = {str_from(code->text)};
    size_t size = 0;
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        texts[i] = values[i] ? json_text(values[i], &size) : xstrdup("{}");
        if (i > 0)
            sections[i] = values[i] ? str_n(texts[i], size) : str_from(texts[i]);
    }
    step_call_host(strand, hosts_code(strand->run->engine->hosts),
                   (struct frame){.json = str_from(texts[0]),
                                  .sections = sections,
                                  .section_count = COUNT_OF(sections)});
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        free(texts[i]);
    json_free(request);
    json_free(inputs);
}
