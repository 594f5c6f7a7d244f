/* Vendors that fail on request, so that a workflow's answer to it can be seen. */
#include "sandbox/private.h"

#include "base/clock.h"

enum { TIMES_MAX = 1000000, RETRY_AFTER_MAX = 86400 };

static void release(struct fault *fault)
{
    free(fault->vendor);
    free(fault->method);
    free(fault->path);
}

void fault_clear(struct sandbox *sandbox)
{
    for (size_t i = 0; i < sandbox->fault_count; i++)
        release(&sandbox->faults[i]);
    sandbox->fault_count = 0;
}

/* "segment" means each of its APIs. */
static bool covers(const char *name, const char *prefix)
{
    size_t size = strlen(name);
    return strncmp(prefix, name, size) == 0 && (prefix[size] == '\0' || prefix[size] == '-');
}

static bool is_vendor(const char *name)
{
    return vendor_find(str_from(name)) || strcmp(name, "segment") == 0;
}

/* A member that is a whole number in a range; `otherwise` where it is missing. */
static bool read_number(const struct json *body, const char *name, int64_t low, int64_t high,
                        int64_t otherwise, int64_t *ret)
{
    const struct json *value = json_get(body, name);
    *ret = otherwise;
    return !value || (json_to_i64(value, ret) && *ret >= low && *ret <= high);
}

static char *read_text(const struct json *body, const char *name)
{
    const char *text = json_get_c(body, name);
    return text ? xstrdup(text) : NULL;
}

static struct json *to_json(const struct fault *fault)
{
    struct json *item = json_new_object();
    json_set_string(item, "vendor", fault->vendor);
    json_set_string(item, "method", fault->method);
    json_set_string(item, "path", fault->path);
    if (fault->status)
        json_set_integer(item, "status", fault->status);
    if (fault->retry_after_s >= 0)
        json_set_integer(item, "retry_after", fault->retry_after_s);
    if (fault->delay_ms)
        json_set_integer(item, "delay_ms", fault->delay_ms);
    if (fault->loses_reply)
        json_set_boolean(item, "lose_reply", true);
    json_set_integer(item, "left", fault->left);
    return item;
}

void fault_add(struct visit *visit)
{
    struct sandbox *sandbox = visit->sandbox;
    const struct json *body = visit->body;
    const char *vendor = json_get_c(body, "vendor");
    int64_t status, times, retry_after, delay;
    bool loses_reply = json_get_bool(body, "lose_reply", false);
    if (!vendor || !is_vendor(vendor)) {
        reply_text(visit, 422,
                   "{\"error\":\"vendor is one of segment, segment-config, segment-public, "
                   "segment-tracking, discord, sheets, google, airtable, swapi, http\"}");
        return;
    }
    if (!read_number(body, "status", 400, 599, 0, &status) ||
        !read_number(body, "times", 0, TIMES_MAX, 1, &times) ||
        !read_number(body, "retry_after", 0, RETRY_AFTER_MAX, -1, &retry_after) ||
        !read_number(body, "delay_ms", 0, FAULT_DELAY_MS_MAX, 0, &delay)) {
        reply_text(visit, 422,
                   "{\"error\":\"status is 400 to 599, times 0 (always) to 1000000, retry_after 0 "
                   "to 86400 seconds, delay_ms 0 to 120000\"}");
        return;
    }
    if (!status && !delay && !loses_reply)
        status = 503;
    if (status && loses_reply) {
        reply_text(visit, 422,
                   "{\"error\":\"status refuses a request, lose_reply does it and says nothing: "
                   "choose one\"}");
        return;
    }
    if (sandbox->fault_count == FAULTS_MAX) {
        reply_text(visit, 422, "{\"error\":\"64 faults wait already; heal or reset first\"}");
        return;
    }
    struct fault *fault = &sandbox->faults[sandbox->fault_count++];
    *fault = (struct fault){.vendor = xstrdup(vendor),
                            .method = read_text(body, "method"),
                            .path = read_text(body, "path"),
                            .status = (int)status,
                            .retry_after_s = retry_after,
                            .delay_ms = delay,
                            .loses_reply = loses_reply,
                            .left = times};
    reply(visit, 200, to_json(fault));
}

void fault_list(struct visit *visit)
{
    struct json *list = json_new_array();
    for (size_t i = 0; i < visit->sandbox->fault_count; i++)
        (void)json_append(list, to_json(&visit->sandbox->faults[i]));
    reply(visit, 200, list);
}

bool fault_take(struct visit *visit, const struct vendor *vendor, struct fault *ret)
{
    struct sandbox *sandbox = visit->sandbox;
    for (size_t i = 0; i < sandbox->fault_count; i++) {
        struct fault *fault = &sandbox->faults[i];
        if (!covers(fault->vendor, vendor->prefix) ||
            (fault->method && !is_method(visit, fault->method)) ||
            (fault->path && str_find(visit->request->path, fault->path, 0) < 0))
            continue;
        *ret = *fault;
        if (fault->left && --fault->left == 0) {
            release(fault);
            sandbox->fault_count--;
            memmove(fault, fault + 1, (sandbox->fault_count - i) * sizeof(*fault));
        }
        ret->vendor = ret->method = ret->path = NULL; /* may be gone */
        return true;
    }
    return false;
}
