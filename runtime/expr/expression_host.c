/* The expression host: one sandbox, one call at a time.
 *
 * The frame server calls on threads of its own with small stacks; the sandbox lives on one thread
 * with a large one (an endless recursion must meet the engine's limit before C's), to which each
 * call is handed. After each call the sandbox goes back to its snapshot, so that no expression sees
 * another one's traces, and a trapped one costs no more than any other.
 *
 *   {"op":"resolve","mark":"…","marked":bool,"expressions":[{"text":"…","mixed":bool}]}, sections:
 * steps, env
 *   {"op":"check","expressions":[{"text":"…"}]}
 *   answer: {} and, for resolve, a section: a JSON array of what the prelude's finish() says of
 * each value; or {"failed":index,"code":n,"text":"…","offset":bytes} */
#include "expr/engine.h"
#include "expr/prelude.h"
#include "expr/quickjs.h"

#include "base/encode.h"
#include "base/ids.h"
#include "ipc/host_process.h"

#include <pthread.h>
#include <unistd.h>

#define THREAD_STACK_BYTES MIB(32) /* touched only as far as it is used */
#define LOAD_MS 5000 /* reading steps is not the expression's time, but it must end too */

struct job {
    const struct frame *frame;
    const struct json *request;
    struct buf answer; /* JSON */
    struct buf values; /* the section */

    /* while it runs */
    bool is_check;
    int64_t index; /* of the expression at work; -1: loading */
    const struct json *expression;
    int code; /* of that expression */
    char text[ERR_TEXT_MAX];
    size_t offset;
    char *owned; /* a text that must survive a jump */
};

struct expression_host {
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    struct job *job;
    bool is_started;
    bool is_stopping;
    struct err start_error;
};

/* ---- on the sandbox's thread */

static void note(struct job *job, int code, const char *text)
{
    job->code = code;
    (void)snprintf(job->text, sizeof(job->text), "%s", text);
}

/* The byte of the expression that the engine's line and column (of "(" + expression, from 1) mean.
 */
static size_t offset_of(struct str text, int64_t line, int64_t column)
{
    size_t at = 0;
    for (; line > 1 && at < text.len; at++)
        line -= text.ptr[at] == '\n';
    column -= at == 0 ? 2 : 1;
    for (; column > 0 && at < text.len; column--)
        (void)utf8_decode(text, &at);
    return line == 1 && at < text.len ? at : 0;
}

static void note_memory(struct job *job)
{
    char text[80];
    (void)snprintf(text, sizeof(text), "it needs more memory than the limit of %zu MiB",
                   LIMIT_EXPRESSION_MEMORY >> 20);
    note(job, RN_ENOMEM, text);
}

/* What was thrown, in words; thrown 0: not even an error could be made. */
static void note_thrown(struct quickjs *q, struct job *job, quickjs_value thrown)
{
    if (quickjs_is_expired(q)) {
        char text[80];
        (void)snprintf(text, sizeof(text), "it took longer than %d ms", LIMIT_EXPRESSION_MS);
        note(job, RN_ETIMEDOUT, text);
        return;
    }
    note_memory(job);
    if (thrown == 0)
        return;
    quickjs_use_reserve(q);
    quickjs_value again = 0;
    quickjs_value words = quickjs_call(q, PRELUDE_DESCRIBE, &thrown, 1, &again);
    struct str text = words != 0 ? quickjs_text(q, words) : STR_NONE;
    struct json *json = NULL;
    if (text.ptr == NULL || json_parse(text, &json, NULL) != 0)
        return;
    if (!json_get_bool(json, "memory", false)) {
        note(job, RN_EFAILED, json_get_text(json, "text").ptr);
        if (job->expression != NULL)
            job->offset = offset_of(json_get_text(job->expression, "text"),
                                    json_get_i64(json, "line", 0), json_get_i64(json, "column", 0));
    }
    json_free(json);
}

static bool load(struct quickjs *q, struct job *job)
{
    unsigned char seed[16];
    char digits[2 * sizeof(seed) + 1];
    random_bytes(seed, sizeof(seed));
    encode_hex(seed, sizeof(seed), digits);
    quickjs_value args[5] = {
        quickjs_string(q, job->frame->sections[0]),
        quickjs_string(q, job->frame->sections[1]),
        quickjs_string(q, json_get_text(job->request, "mark")),
        quickjs_boolean(q, json_get_bool(job->request, "marked", false)),
        quickjs_string(q, str_from(digits)),
    };
    quickjs_value thrown = 0;
    for (size_t i = 0; i < COUNT_OF(args); i++)
        if (args[i] == 0) {
            note_memory(job);
            return false;
        }
    if (quickjs_call(q, PRELUDE_LOAD, args, COUNT_OF(args), &thrown) != 0)
        return true;
    note_thrown(q, job, thrown);
    return false;
}

static bool evaluate(struct quickjs *q, struct job *job)
{
    struct buf script = BUF_INIT(LIMIT_EXPRESSION_TEXT + 16);
    buf_add_char(&script, '(');
    buf_add_str(&script, json_get_text(job->expression, "text"));
    buf_add_c(&script, "\n)");
    size_t size = script.len;
    free(job->owned);
    job->owned = buf_take(&script, NULL);
    quickjs_value thrown = 0;
    quickjs_value value = quickjs_eval(q, str_n(job->owned, size), job->is_check, &thrown);
    if (value == 0) {
        note_thrown(q, job, thrown);
        if (job->is_check && job->code == RN_EFAILED)
            job->code = RN_EINVAL;
        return false;
    }
    if (job->is_check)
        return true;
    quickjs_value args[2] = {value,
                             quickjs_boolean(q, json_get_bool(job->expression, "mixed", false))};
    quickjs_value words = quickjs_call(q, PRELUDE_FINISH, args, COUNT_OF(args), &thrown);
    if (words == 0) {
        note_thrown(q, job, thrown);
        return false;
    }
    struct str text = quickjs_text(q, words);
    if (text.ptr == NULL) {
        note_memory(job);
        return false;
    }
    buf_add_c(&job->values, job->values.len > 0 ? "," : "[");
    buf_add_str(&job->values, text);
    return true;
}

static void run_load(struct quickjs *q, void *ctx)
{
    (void)load(q, ctx);
}

static void run_expressions(struct quickjs *q, void *ctx)
{
    struct job *job = ctx;
    job->index = 0;
    job->expression = json_first(json_get(job->request, "expressions"));
    while (job->expression != NULL && evaluate(q, job)) {
        job->expression = json_next(job->expression);
        job->index++;
    }
}

static void answer_failure(struct job *job)
{
    struct json *answer = json_new_object();
    json_set_integer(answer, "failed", job->index);
    json_set_integer(answer, "code", job->code);
    json_set_string(answer, "text", job->text);
    json_set_integer(answer, "offset", (int64_t)job->offset);
    json_write(&job->answer, answer);
    json_free(answer);
}

static void run_job(struct quickjs *q, struct job *job)
{
    struct err err = ERR_INIT;
    job->is_check = str_eq_c(json_get_text(job->request, "op"), "check");
    job->index = -1;
    int code = 0;
    if (!job->is_check)
        code = quickjs_run(q, LOAD_MS, run_load, job, &err);
    if (code == 0 && job->code == 0)
        code = quickjs_run(q, LIMIT_EXPRESSION_MS, run_expressions, job, &err);
    quickjs_reset(q);
    if (code != 0)
        note(job, code, err.text);
    buf_add_c(&job->values, job->values.len > 0 ? "]" : "[]");
    if (job->code == 0 && buf_is_overflowed(&job->values))
        note(job, RN_ETOOBIG, "the result is too big");
    if (job->code != 0)
        answer_failure(job);
    else
        buf_add_c(&job->answer, "{}");
    free(job->owned);
    job->owned = NULL;
}

static void *sandbox_main(void *ctx)
{
    struct expression_host *host = ctx;
    struct quickjs *q = NULL;
    struct buf prelude = BUF_INIT(MIB(1));
    prelude_text(&prelude);
    struct err err = ERR_INIT;
    int code = quickjs_new(buf_str(&prelude), prelude_names, LIMIT_EXPRESSION_MEMORY, &q, &err);
    buf_release(&prelude);
    pthread_mutex_lock(&host->lock);
    if (code != 0)
        host->start_error = err;
    host->is_started = true;
    pthread_cond_broadcast(&host->changed);
    while (code == 0 && !host->is_stopping) {
        struct job *job = host->job;
        if (job == NULL) {
            pthread_cond_wait(&host->changed, &host->lock);
            continue;
        }
        pthread_mutex_unlock(&host->lock);
        run_job(q, job);
        pthread_mutex_lock(&host->lock);
        host->job = NULL;
        pthread_cond_broadcast(&host->changed);
    }
    pthread_mutex_unlock(&host->lock);
    quickjs_free(q);
    return NULL;
}

/* ---- on the frame server's threads */

static bool is_good_request(const struct frame *frame, const struct json *request)
{
    struct str op = json_get_text(request, "op");
    return json_is(json_get(request, "expressions"), JSON_ARRAY) &&
           (str_eq_c(op, "check") || (str_eq_c(op, "resolve") && frame->section_count == 2));
}

static void handle(void *ctx, struct served_call *call)
{
    struct expression_host *host = ctx;
    struct json *request = NULL;
    struct job job = {
        .frame = &call->frame, .answer = BUF_INIT(KIB(64)), .values = BUF_INIT(LIMIT_JSON_BYTES)};
    if (json_parse(call->frame.json, &request, NULL) != 0 ||
        !is_good_request(&call->frame, request)) {
        job.index = -1;
        note(&job, RN_EPROTOCOL, "the expression host did not understand the call");
        answer_failure(&job);
    } else {
        job.request = request;
        pthread_mutex_lock(&host->lock);
        while (host->job != NULL)
            pthread_cond_wait(&host->changed, &host->lock);
        host->job = &job;
        pthread_cond_broadcast(&host->changed);
        while (host->job == &job)
            pthread_cond_wait(&host->changed, &host->lock);
        pthread_mutex_unlock(&host->lock);
    }
    struct str section = buf_str(&job.values);
    frame_server_result(call, buf_str(&job.answer), &section, job.code == 0 ? 1 : 0);
    buf_release(&job.answer);
    buf_release(&job.values);
    json_free(request);
}

static int serve(struct expression_host *host, struct err *err)
{
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
    int error = pthread_create(&thread, &attributes, sandbox_main, host);
    pthread_attr_destroy(&attributes);
    if (error != 0)
        return err_set(err, RN_ENOMEM, "no thread for the engine: %s", strerror(error));
    pthread_mutex_lock(&host->lock);
    while (!host->is_started)
        pthread_cond_wait(&host->changed, &host->lock);
    pthread_mutex_unlock(&host->lock);
    int code = frame_server_hello(HOST_PROCESS_FD,
                                  host->start_error.code != 0 ? &host->start_error : NULL);
    if (code == 0 && host->start_error.code == 0)
        code = frame_server_run(HOST_PROCESS_FD, 1, handle, host, err);
    pthread_mutex_lock(&host->lock);
    host->is_stopping = true;
    pthread_cond_broadcast(&host->changed);
    pthread_mutex_unlock(&host->lock);
    pthread_join(thread, NULL);
    return code;
}

int expression_host_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    host_process_init();
    struct expression_host host = {.lock = PTHREAD_MUTEX_INITIALIZER,
                                   .changed = PTHREAD_COND_INITIALIZER};
    struct err err = ERR_INIT;
    if (serve(&host, &err) == 0)
        return 0;
    (void)fprintf(stderr, "expression host: %s\n", err.text);
    return 1;
}
