/* What an action says about the flow beside ending it: waits, reruns, and the URLs that end them. */
#include "plugin/run.h"

#include "base/limits.h"

static const char *const kinds[] = {
    [RN_FLOW_DELAY] = "delay", [RN_FLOW_SUSPEND] = "suspend", [RN_FLOW_RERUN] = "rerun"};

int32_t api_flow_wait(struct rn_run *rn, int32_t kind, int64_t ms, const struct rn_json *context,
                      uint32_t max)
{
    struct run *run = run_of(rn);
    if (kind < RN_FLOW_DELAY || kind > RN_FLOW_RERUN)
        return run_fail(run, RN_EINVAL, "a wait of the kind %d is not known here", kind);
    if (run->op != RUN_ACTION)
        return run_fail(run, RN_EINVAL, "rn_flow_%s: only actions hold a workflow up", kinds[kind]);
    bool is_default = kind == RN_FLOW_SUSPEND && ms == 0;
    if (!is_default && (ms < 1 || ms > LIMIT_DELAY_MS))
        return run_fail(run, RN_EINVAL, "rn_flow_%s: %lld ms is not from 1 to %lld (366 days)",
                        kinds[kind], (long long)ms, (long long)LIMIT_DELAY_MS);
    if (max > LIMIT_RERUNS)
        return run_fail(run, RN_EINVAL, "rn_flow_rerun: %u reruns; %d are allowed", max,
                        LIMIT_RERUNS);
    struct str text = context ? run_print(run, json_of(context)) : STR_NONE;
    if (text.len > LIMIT_RERUN_CONTEXT)
        return run_fail(run, RN_ETOOBIG, "rn_flow_rerun: a context of %zu bytes; %zu are allowed",
                        text.len, (size_t)LIMIT_RERUN_CONTEXT);
    run->flow = (struct run_flow){.kind = kind, .ms = ms, .max = max, .context = text};
    return 0;
}

void run_write_flow(const struct run *run, struct buf *out)
{
    buf_addf(out, "{\"kind\":\"%s\",\"ms\":%lld", kinds[run->flow.kind], (long long)run->flow.ms);
    if (run->flow.max)
        buf_addf(out, ",\"max\":%u", run->flow.max);
    if (run->flow.context.len) {
        buf_add_c(out, ",\"context\":");
        buf_add_str(out, run->flow.context);
    }
    buf_add_char(out, '}');
}

const char *api_flow_url(struct rn_run *rn, bool is_cancel)
{
    struct run *run = run_of(rn);
    if (!run->resume_url[0])
        return "";
    return arena_printf(&run->arena, "%s/%s", run->resume_url, is_cancel ? "cancel" : "resume");
}

uint32_t api_runs(struct rn_run *rn)
{
    return run_of(rn)->runs;
}

const struct rn_json *api_rerun_value(struct rn_run *rn, bool is_callback)
{
    return rn_of(json_get(run_of(rn)->rerun, is_callback ? "callback" : "context"));
}
