/* What the sandbox's user asks of it, under /_sandbox/: send, list, fail, reset. */
#include "sandbox/private.h"

static void list_rewrites(struct visit *visit)
{
    struct json *answer = json_new_object();
    for (size_t i = 0; i < visit->sandbox->rewrite_count; i++)
        json_set_string(answer, visit->sandbox->rewrites[i].from, visit->sandbox->rewrites[i].to);
    reply(visit, 200, answer);
}

static void received(struct visit *visit)
{
    struct buf out = BUF_INIT(LIMIT_JSON_BYTES);
    int64_t last = query_number(visit, "last", 0);
    list_received(visit->sandbox, json_get_c(visit->query, "vendor"), last > 0 ? (size_t)last : 0,
                  &out);
    http_response_set(visit->response, 200, "application/json", buf_str(&out));
    buf_release(&out);
}

static void service_account(struct visit *visit)
{
    struct json *account = NULL;
    struct err err = ERR_INIT;
    if (google_service_account(visit->sandbox, &account, &err)) {
        struct json *answer = json_new_object();
        json_set_string(answer, "error", err.text);
        reply(visit, 500, answer);
    } else {
        reply(visit, 200, account);
    }
}

static void say_smtp(struct visit *visit)
{
    struct json *answer = json_new_object();
    json_set_string(answer, "url", sandbox_smtp_url(visit->sandbox));
    reply(visit, 200, answer);
}

static void locked(struct visit *visit)
{
    if (visit_is(visit, "GET", "received")) {
        received(visit);
    } else if (visit_is(visit, "GET", "rewrites")) {
        list_rewrites(visit);
    } else if (visit_is(visit, "GET", "smtp")) {
        say_smtp(visit);
    } else if (visit_is(visit, "GET", "google/service-account")) {
        service_account(visit);
    } else if (visit_is(visit, "POST", "faults")) {
        fault_add(visit);
    } else if (visit_is(visit, "GET", "faults")) {
        fault_list(visit);
    } else if (visit_is(visit, "DELETE", "faults")) {
        fault_clear(visit->sandbox);
        reply_text(visit, 200, "{}");
    } else if (visit_is(visit, "POST", "reset")) {
        state_reset(visit->sandbox);
        reply_text(visit, 200, "{}");
    } else {
        reply_text(visit, 404,
                   "{\"error\":\"no such control: GET received, GET rewrites, GET smtp, GET "
                   "google/service-account, GET, POST or DELETE faults, POST reset, POST "
                   "segment/send\"}");
    }
}

void control_visit(struct visit *visit)
{
    if (visit_is(visit, "POST", "segment/send")) {
        segment_send(visit);
        return;
    }
    pthread_mutex_lock(&visit->sandbox->lock);
    locked(visit);
    pthread_mutex_unlock(&visit->sandbox->lock);
}
