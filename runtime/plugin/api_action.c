/* What an action gives: exports, the end of the flow, its idempotency key. */
#include "plugin/run.h"

#include "base/limits.h"
#include "crypto/hmac.h"

static bool is_reserved(const char *name)
{
    return name[0] == '$' && strcmp(name, "$summary") != 0 && strcmp(name, "$return_value") != 0;
}

int32_t api_export(struct rn_run *rn, const char *name, const struct rn_json *value)
{
    struct run *run = run_of(rn);
    if (run->op != RUN_ACTION)
        return run_fail(run, RN_EINVAL, "rn_export: only actions export");
    if (!name || !name[0] || strlen(name) > LIMIT_EMIT_ID || !utf8_is_valid(str_from(name)))
        return run_fail(run, RN_EINVAL, "rn_export: a name has 1 to %d bytes of UTF-8",
                        LIMIT_EMIT_ID);
    if (is_reserved(name))
        return run_fail(run, RN_EINVAL, "rn_export: the name \"%s\" is reserved", name);
    struct str text = value ? run_print(run, json_of(value)) : STR("null");
    struct run_export *entry = run->exports;
    while (entry && strcmp(entry->name, name) != 0)
        entry = entry->next;
    size_t before = entry ? entry->text.len : 0;
    if (run->export_bytes - before + text.len > LIMIT_EXPORT_BYTES)
        return run_fail(run, RN_ETOOBIG,
                        "rn_export: with \"%s\" the exports have %zu bytes; %zu are allowed", name,
                        run->export_bytes - before + text.len, (size_t)LIMIT_EXPORT_BYTES);
    if (!entry) {
        entry = arena_alloc(&run->arena, sizeof(*entry));
        entry->name = arena_dup(&run->arena, str_from(name));
        *run->exports_end = entry;
        run->exports_end = &entry->next;
    }
    run->export_bytes = run->export_bytes - before + text.len;
    entry->text = text;
    return 0;
}

int32_t api_flow_exit(struct rn_run *rn, const char *reason)
{
    struct run *run = run_of(rn);
    if (run->op != RUN_ACTION)
        return run_fail(run, RN_EINVAL, "rn_flow_exit: only actions end a workflow");
    run->exit_reason = arena_dup(&run->arena, str_from(reason ? reason : ""));
    return 0;
}

/* Vendors see a digest, so that nothing of our ids leaves the machine, and each index its own. */
const char *api_idempotency_key(struct rn_run *rn, uint32_t index)
{
    struct run *run = run_of(rn);
    const char *text = arena_printf(&run->arena, "%s:%u", run->idempotency_key, index);
    char *digits = arena_alloc(&run->arena, CRYPTO_HEX_MAX);
    crypto_hash_hex(CRYPTO_SHA256, str_from(text), digits);
    digits[32] = '\0';
    return digits;
}

uint32_t api_attempt(struct rn_run *rn)
{
    return run_of(rn)->attempt;
}
