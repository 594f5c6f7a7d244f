#include "engine/internal.h"

struct str frame_section(const struct frame *frame, int64_t index)
{
    if (!frame || index < 0 || index >= (int64_t)frame->section_count)
        return str_n("", 0);
    return frame->sections[index];
}

void plugin_error_of(const struct call_result *result, const struct json *answer,
                     struct plugin_error *ret)
{
    *ret = (struct plugin_error){.retry_after_ms = -1};
    if (result->code) {
        ret->code = result->code;
        (void)snprintf(ret->text, sizeof(ret->text), "%s",
                       result->err.text[0] ? result->err.text : err_sentence(result->code));
        return;
    }
    const struct json *error = json_get(answer, "error");
    if (!error) {
        if (answer && json_get_bool(answer, "ok", false))
            return;
        ret->code = RN_EPROTOCOL;
        (void)snprintf(ret->text, sizeof(ret->text), "the plugin host's answer could not be read");
        return;
    }
    const char *name = json_get_c(error, "code");
    const char *text = json_get_c(error, "text");
    ret->code = name ? err_from_name(name) : RN_EFAILED;
    ret->retry_after_ms = json_get_i64(error, "retry_after_ms", -1);
    (void)snprintf(ret->text, sizeof(ret->text), "%s",
                   text && *text ? text : err_sentence(ret->code));
}
