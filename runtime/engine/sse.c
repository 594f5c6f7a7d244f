#include "engine/sse.h"

#include "engine/internal.h"

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
    void (*each)(void *ctx, uint64_t number, struct str channel, struct str data);
    void *ctx;
};

static int each_message(void *ctx, struct str key, struct str value)
{
    const struct reading *reading = ctx;
    struct str workflow = STR_NONE, channel = STR_NONE;
    uint64_t number = 0;
    if (!str_cut(&key, '\x01', &workflow) || !str_eq_c(workflow, reading->workflow))
        return 1; /* the next workflow's */
    if (num_parse_u64(key, &number) == 0 && str_cut(&value, '\n', &channel))
        reading->each(reading->ctx, number, channel, value);
    return 0;
}

int engine_sse(struct engine *engine, const char *workflow, uint64_t after,
               void (*each)(void *ctx, uint64_t number, struct str channel, struct str data),
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
