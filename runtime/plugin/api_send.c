/* What an action wants to be sent when its run has ended. It is only noted here: the runtime looks
 * at it, and does it. */
#include "plugin/run.h"

#include "base/limits.h"

static const char *const kinds[] = {[RN_SEND_HTTP] = "http",
                                    [RN_SEND_EMAIL] = "email",
                                    [RN_SEND_EMIT] = "emit",
                                    [RN_SEND_SSE] = "sse"};

/* {"kind":"emit","event":…,"channel":…}, or the object itself with its kind in front. */
static void write_send(struct buf *out, int32_t kind, struct str what, const char *channel)
{
    buf_addf(out, "{\"kind\":\"%s\"", kinds[kind]);
    if (kind == RN_SEND_EMIT || kind == RN_SEND_SSE) {
        buf_add_c(out, kind == RN_SEND_EMIT ? ",\"event\":" : ",\"payload\":");
        buf_add_str(out, what);
        if (channel) {
            buf_add_c(out, ",\"channel\":");
            json_write_string(out, str_from(channel));
        }
        buf_add_char(out, '}');
    } else if (what.len > 2) { /* {…}: its members behind the kind */
        buf_add_char(out, ',');
        buf_add(out, what.ptr + 1, what.len - 1);
    } else {
        buf_add_char(out, '}');
    }
}

int32_t api_send(struct rn_run *rn, int32_t kind, const struct rn_json *what, const char *channel)
{
    struct run *run = run_of(rn);
    if (kind < RN_SEND_HTTP || kind > RN_SEND_SSE)
        return run_fail(run, RN_EINVAL, "a send of the kind %d is not known here", kind);
    if (run->op != RUN_ACTION)
        return run_fail(run, RN_EINVAL, "rn_send_%s: only actions send", kinds[kind]);
    if (!what || (kind <= RN_SEND_EMAIL && !json_is(json_of(what), JSON_OBJECT)))
        return run_fail(run, RN_EINVAL, "rn_send_%s: %s", kinds[kind],
                        what ? "an object is wanted" : "there is nothing to send");
    if (channel && !utf8_is_valid(str_from(channel)))
        return run_fail(run, RN_EINVAL, "rn_send_%s: the channel is no UTF-8", kinds[kind]);
    struct str text = run_print(run, json_of(what));
    if (run->send_count >= LIMIT_SENDS || run->send_bytes + text.len > LIMIT_SEND_BYTES)
        return run_fail(run, RN_ETOOBIG, "rn_send_%s: a run sends %d things and %zu MiB at most",
                        kinds[kind], LIMIT_SENDS, (size_t)LIMIT_SEND_BYTES >> 20);
    struct buf out = BUF_INIT(2 * LIMIT_SEND_BYTES);
    write_send(&out, kind, text, channel);
    struct run_send *send = arena_alloc(&run->arena, sizeof(*send));
    *send = (struct run_send){.text = {arena_dup(&run->arena, buf_str(&out)), out.len}};
    buf_release(&out);
    *run->sends_end = send;
    run->sends_end = &send->next;
    run->send_count++;
    run->send_bytes += text.len;
    return 0;
}

void run_write_sends(const struct run *run, struct buf *out)
{
    buf_add_char(out, '[');
    for (const struct run_send *s = run->sends; s; s = s->next) {
        buf_add_str(out, s->text);
        if (s->next)
            buf_add_char(out, ',');
    }
    buf_add_char(out, ']');
}
