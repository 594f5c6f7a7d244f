#include "engine/sse.h"

#include "crypto/hmac.h"
#include "engine/internal.h"

#include <unistd.h>

/* workflow \x01 number, 20 digits → channel \n payload */
#define SPACE_SSE "sse"
#define SPACE_SSE_LAST "sse-last" /* workflow → the newest number, decimal */

static char *key_of(const char *workflow, uint64_t number)
{
    return xasprintf("%s\x01%020llu", workflow, (unsigned long long)number);
}

int sse_put(struct store_tx *tx, const char *workflow, struct str channel,
            const struct json *payload, struct err *err)
{
    struct str text;
    uint64_t number = 0;
    if (kv_get(STORE_TX(tx), SPACE_SSE_LAST, str_from(workflow), &text) == 0)
        (void)!num_parse_u64(text, &number);
    number++;
    char *key = key_of(workflow, number), digits[24];
    int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number);
    struct buf value = BUF_INIT(LIMIT_SEND_BYTES + KIB(1));
    buf_add_str(&value, channel);
    buf_add_char(&value, '\n');
    json_write(&value, payload);
    int rc = kv_put(tx, SPACE_SSE, str_from(key), buf_str(&value), err);
    rc = rc ? rc : kv_put(tx, SPACE_SSE_LAST, str_from(workflow), str_n(digits, (size_t)n), err);
    free(key);
    buf_release(&value);
    if (rc || number <= LIMIT_SSE_KEPT)
        return rc;
    key = key_of(workflow, number - LIMIT_SSE_KEPT);
    rc = kv_delete(tx, SPACE_SSE, str_from(key), err);
    free(key);
    return rc;
}

struct reading {
    const char *workflow;
    bool (*each)(void *ctx, uint64_t number, struct str channel, struct str data);
    void *ctx;
};

static int each_message(void *ctx, struct str key, struct str value)
{
    const struct reading *reading = ctx;
    struct str workflow = STR_NONE, channel = STR_NONE;
    uint64_t number = 0;
    if (!str_cut(&key, '\x01', &workflow) || !str_eq_c(workflow, reading->workflow))
        return 1; /* the next workflow's */
    if (num_parse_u64(key, &number) || !str_cut(&value, '\n', &channel))
        return 0;
    return reading->each(reading->ctx, number, channel, value) ? 0 : 1;
}

int engine_sse(struct engine *engine, const char *workflow, uint64_t after,
               bool (*each)(void *ctx, uint64_t number, struct str channel, struct str data),
               void *ctx, struct err *err)
{
    struct reading reading = {workflow, each, ctx};
    struct store_view *view = NULL;
    int rc = store_view_begin(engine->store, &view, err);
    if (rc)
        return rc;
    char *from = key_of(workflow, after + 1);
    (void)kv_each_from(STORE_VIEW(view), SPACE_SSE, str_from(from), each_message, &reading);
    free(from);
    store_view_end(view);
    return 0;
}

/* ---- workflows that are gone */

struct gone {
    const struct project *project;
    char **workflows;
    uint64_t *last;
    size_t count;
};

/* A file that is there but broken is no workflow that is gone. */
static bool is_gone(const struct gone *gone, struct str workflow)
{
    if (project_workflow(gone->project, workflow))
        return false;
    char *path = xasprintf("%s/workflows/" STR_FMT ".yaml", gone->project->dir, STR_ARG(workflow));
    bool is_there = access(path, F_OK) == 0;
    free(path);
    return !is_there;
}

static int each_last(void *ctx, struct str key, struct str value)
{
    struct gone *gone = ctx;
    uint64_t last = 0;
    if (!is_gone(gone, key) || num_parse_u64(value, &last))
        return 0;
    gone->workflows = xrealloc(gone->workflows, (gone->count + 1) * sizeof(*gone->workflows));
    gone->last = xrealloc(gone->last, (gone->count + 1) * sizeof(*gone->last));
    gone->workflows[gone->count] = str_dup(key);
    gone->last[gone->count++] = last;
    return 0;
}

static int apply_forget(struct store_tx *tx, void *ctx, struct err *err)
{
    const struct gone *gone = ctx;
    int rc = 0;
    for (size_t i = 0; i < gone->count && rc == 0; i++) {
        uint64_t first = gone->last[i] > LIMIT_SSE_KEPT ? gone->last[i] - LIMIT_SSE_KEPT + 1 : 1;
        for (uint64_t n = first; n <= gone->last[i] && rc == 0; n++) {
            char *key = key_of(gone->workflows[i], n);
            rc = kv_delete(tx, SPACE_SSE, str_from(key), err);
            free(key);
        }
        rc = rc ? rc : kv_delete(tx, SPACE_SSE_LAST, str_from(gone->workflows[i]), err);
    }
    return rc;
}

void sse_forget_gone(struct engine *engine, const struct project *project)
{
    struct gone gone = {.project = project};
    struct store_view *view = NULL;
    struct err err = ERR_INIT;
    int rc = store_view_begin(engine->store, &view, &err);
    if (rc == 0)
        (void)kv_each(STORE_VIEW(view), SPACE_SSE_LAST, each_last, &gone);
    store_view_end(view);
    if (rc == 0 && gone.count)
        rc = store_run(engine->store, apply_forget, &gone, false, &err);
    if (rc)
        log_warn("messages of workflows that are gone are not removed: %s", err.text);
    for (size_t i = 0; i < gone.count; i++)
        free(gone.workflows[i]);
    free(gone.workflows);
    free(gone.last);
}

/* ---- open to the world */

enum { KEY_SIZE = 32 };

/* It cannot be guessed and stays the same as long as the store does. */
static void public_key(const struct engine *engine, const char *workflow, char out[KEY_SIZE + 1])
{
    char hex[CRYPTO_HEX_MAX];
    char *text = xasprintf("sse/%s", workflow);
    crypto_hmac_hex(CRYPTO_SHA256, str_n(engine->resume_key, sizeof(engine->resume_key)),
                    str_from(text), hex);
    free(text);
    memcpy(out, hex, KEY_SIZE);
    out[KEY_SIZE] = '\0';
}

static bool is_welcome(const struct workflow *workflow, struct str origin)
{
    const struct json *origins = workflow->sse_origins;
    if (!origins || !origin.len)
        return true;
    for (const struct json *o = json_first(origins); o; o = json_next(o))
        if (str_eq_nocase(json_str(o), origin))
            return true;
    return false;
}

int engine_sse_public(struct engine *engine, struct str key, struct str origin, char **ret,
                      bool *ret_is_any, struct err *err)
{
    struct project *project = engine_project(engine);
    int rc = err_set(err, RN_ENOTFOUND, "there is no such stream");
    for (size_t i = 0; i < project->workflow_count; i++) {
        const struct workflow *workflow = project->workflows[i];
        char own[KEY_SIZE + 1];
        public_key(engine, workflow->id, own);
        if (!workflow->is_sse_public || !crypto_equal(key, str_from(own)))
            continue;
        *ret_is_any = !workflow->sse_origins;
        if (is_welcome(workflow, origin)) {
            *ret = xstrdup(workflow->id);
            rc = 0;
        } else {
            rc = err_set(err, RN_EPERM, "pages of " STR_FMT " may not read this stream",
                         STR_ARG(origin));
        }
        break;
    }
    project_unref(project);
    return rc;
}

char *sse_url(struct engine *engine, const char *workflow)
{
    char key[KEY_SIZE + 1];
    struct project *project = engine_project(engine);
    public_key(engine, workflow, key);
    char *url = xasprintf("%s/sse/%s", engine_public_url(engine, project), key);
    project_unref(project);
    return url;
}
