/* The code host: calls of the runtime, each handed to an interpreter. */
#include "code/bash.h"
#include "code/exchange.h"
#include "code/pool.h"
#include "code/worker.h"

#include "base/clock.h"
#include "base/folder.h"
#include "ipc/host_process.h"
#include "ipc/spawn.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    THREADS = 64,
    SWEEP_S = 15,
    ENV_MAX = 1024,
    SECTION_CODE = 0,
    SECTION_INPUTS,
    SECTION_STEPS,
    SECTION_ENV,
    SECTIONS,
    SHELL_SIGNALS = 128 /* a status of a shell: a program was ended by the signal behind it */
};

/* ---- answers */

static void answer_error(struct served_call *call, int code, const char *text, struct str exports)
{
    struct buf json = BUF_INIT(KIB(64));
    buf_addf(&json, "{\"error\":{\"code\":\"%s\",\"text\":", err_name(code));
    json_write_string(&json, str_from(text));
    buf_add_c(&json, "},\"exports\":0}");
    frame_server_result(call, buf_str(&json), &exports, 1);
    buf_release(&json);
}

/* The answer of a step that has succeeded, if what it has left in the run's folder is not too much:
 * that is on disk before the answer is. */
static void answer_good(struct exchange *x, struct json *answer, struct str exports)
{
    struct folder_use use = {0};
    struct err err = ERR_INIT;
    int code = x->files ? folder_measure(x->files, x->files_limit, x->began_ms, &use, &err) : 0;
    if (code) {
        answer_error(x->call, code, err.text, exports);
        return;
    }
    if (use.files) {
        struct json *files = json_set(answer, "files", json_new_object());
        json_set_integer(files, "count", (int64_t)use.files);
        json_set_integer(files, "bytes", (int64_t)use.bytes);
    }
    size_t size = 0;
    char *text = json_text(answer, &size);
    frame_server_result(x->call, str_n(text, size), &exports, 1);
    free(text);
}

/* Bash says so itself, or for the program that it has started. */
static bool has_met_file_limit(int status)
{
    return WIFSIGNALED(status) ? WTERMSIG(status) == SIGXFSZ
                               : WEXITSTATUS(status) == SHELL_SIGNALS + SIGXFSZ;
}

/* How the process ended, as the step's error. */
static void answer_exit(struct exchange *x, struct str exports)
{
    char how[256];
    bool is_signal = WIFSIGNALED(x->status);
    if (has_met_file_limit(x->status)) {
        answer_error(x->call, RN_ETOOBIG,
                     "a file got longer than `limits: { files: … }` in runnel.yaml allows",
                     exports);
        return;
    }
    const char *name = code_language_name(x->child->language);
    (void)spawn_describe_exit(x->status, NULL, x->child->memory, x->has_run_out, how, sizeof(how));
    bool is_bash = x->child->language == CODE_BASH;
    bool has_line = x->last_line[0] && !is_signal;
    char *text = xasprintf("%s%s %s%s%s%s", is_bash ? "" : "the ", name, is_bash ? "" : "process ",
                           how, has_line ? ": " : "", has_line ? x->last_line : "");
    int code = x->has_run_out ? RN_ENOMEM : is_signal ? RN_EUNKNOWN : RN_EFAILED;
    answer_error(x->call, code, text, exports);
    free(text);
}

static void answer_late(struct exchange *x, enum exchange_end end, int64_t timeout_ms)
{
    char *text = end == EXCHANGE_CANCELLED
                     ? xstrdup("cancelled: its process was ended")
                     : xasprintf("it took longer than its time limit of %lld ms: its process was "
                                 "ended (`timeout` of the step or the workflow's settings)",
                                 (long long)timeout_ms);
    answer_error(x->call, end == EXCHANGE_CANCELLED ? RN_ECANCELED : RN_ETIMEDOUT, text, STR("{}"));
    free(text);
}

/* ---- the environment */

struct environment {
    const char *list[ENV_MAX];
    size_t count;
};

static void env_add(struct environment *env, const char *name, struct str value)
{
    if (env->count + 1 < ENV_MAX && value.ptr && !memchr(value.ptr, '\0', value.len))
        env->list[env->count++] = xasprintf("%s=%.*s", name, (int)value.len, value.ptr);
}

static bool env_has(const struct environment *env, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < env->count; i++)
        if (strncmp(env->list[i], name, length) == 0 && env->list[i][length] == '=')
            return true;
    return false;
}

/* What the workflow may see, and what any program needs. */
static void env_fill(struct environment *env, const struct json *variables)
{
    static const char *const own[] = {"PATH", "TZ"};
    for (const struct json *v = json_first(variables); v; v = json_next(v))
        env_add(env, json_name(v), json_str(v));
    for (size_t i = 0; i < COUNT_OF(own); i++)
        if (getenv(own[i]) && !env_has(env, own[i]))
            env_add(env, own[i], str_from(getenv(own[i])));
    if (!env_has(env, "LANG"))
        env_add(env, "LANG", STR("C.UTF-8"));
    if (!env_has(env, "HOME"))
        env_add(env, "HOME", STR("/tmp"));
}

static void env_release(struct environment *env)
{
    for (size_t i = 0; i < env->count; i++)
        free((char *)(uintptr_t)env->list[i]);
}

/* ---- node and python */

static bool is_call_cancelled(void *ctx)
{
    return atomic_load(&((struct served_call *)ctx)->cancelled);
}

/* Passes the worker's answer on. False: the process is not to be used again. */
static bool pass_answer(struct exchange *x)
{
    struct str json, exports;
    struct json *answer = NULL;
    exchange_answer(x, &json, &exports);
    bool is_good = json_parse_own(json, &answer, NULL) == 0 && json_is(answer, JSON_OBJECT);
    bool stays = !json_get_bool(answer, "leave", false);
    if (is_good && json_get(answer, "error"))
        frame_server_result(x->call, json, &exports, 1);
    else if (is_good)
        answer_good(x, answer, exports);
    else
        answer_error(x->call, RN_EPROTOCOL, "the process sent an answer that is no JSON",
                     STR("{}"));
    json_free(answer);
    return is_good && stays;
}

static void run_worker(struct exchange *x, const struct json *request,
                       struct child_options *options, const struct environment *env)
{
    char heap[64];
    const char *node[] = {options->program,
                          "--experimental-vm-modules",
                          "--experimental-import-meta-resolve",
                          "--no-warnings",
                          heap,
                          "--input-type=module",
                          "-e",
                          code_node_worker,
                          NULL};
    const char *python[] = {options->program, "-c", code_python_worker, NULL};
    (void)snprintf(heap, sizeof(heap), "--max-old-space-size=%zu", options->memory >> 20);
    options->argv = options->language == CODE_NODE ? node : python;
    struct buf key = BUF_INIT(MIB(64));
    buf_addf(&key, "%s %zu %llu %s", options->program, options->memory,
             (unsigned long long)options->file_bytes, json_get_c(request, "workflow"));
    for (size_t i = 0; i < env->count; i++)
        buf_addf(&key, "\n%s", env->list[i]);
    struct err err = ERR_INIT;
    int code = pool_take(buf_c(&key), options, x->deadline_mono_ms, is_call_cancelled, x->call,
                         &x->child, &err);
    buf_release(&key);
    if (code) {
        answer_error(x->call, code, err.text, STR("{}"));
        return;
    }
    const struct frame *frame = &x->call->frame;
    const struct str call[EXCHANGE_PARTS] = {frame->json, frame->sections[SECTION_CODE],
                                             frame->sections[SECTION_INPUTS],
                                             frame->sections[SECTION_STEPS]};
    exchange_say(x, 0, call);
    enum exchange_end end = exchange_run(x);
    bool stays = false;
    switch (end) {
    case EXCHANGE_ANSWERED:
        stays = pass_answer(x);
        break;
    case EXCHANGE_EXITED:
        answer_exit(x, STR("{}"));
        break;
    case EXCHANGE_BROKEN:
        answer_error(x->call, RN_EPROTOCOL,
                     "the process closed or garbled its descriptor 3, which is runnel's",
                     STR("{}"));
        break;
    default:
        answer_late(x, end, json_get_i64(request, "timeout_ms", 0));
        break;
    }
    if (stays)
        pool_give(x->child);
    else
        pool_drop(x->child);
}

/* ---- bash */

static void run_bash(struct exchange *x, const struct json *request, struct child_options *options,
                     struct environment *env)
{
    const struct frame *frame = &x->call->frame;
    struct bash_files files;
    struct buf exports = BUF_INIT(2 * LIMIT_EXPORT_BYTES);
    struct err err = ERR_INIT;
    int code = bash_files_make(&files, frame->sections[SECTION_STEPS],
                               frame->sections[SECTION_CODE], &err);
    if (code) {
        answer_error(x->call, code, err.text, STR("{}"));
        return;
    }
    struct json *inputs = NULL;
    if (json_parse_own(frame->sections[SECTION_INPUTS], &inputs, NULL))
        inputs = NULL;
    for (const struct json *v = json_first(inputs); v; v = json_next(v)) {
        char *text = json_is(v, JSON_STRING) ? str_dup(json_str(v)) : json_text(v, NULL);
        env_add(env, json_name(v), str_from(text));
        free(text);
    }
    json_free(inputs);
    if (x->files) {
        env_add(env, "RUNNEL_FILES", str_from(x->files));
        env_add(env, "STASH_DIR", str_from(x->files));
        if (!env_has(env, "TMPDIR"))
            env_add(env, "TMPDIR", str_from(x->files));
    }
    env_add(env, "PIPEDREAM_STEPS", str_from(files.steps));
    env_add(env, "PIPEDREAM_EXPORTS", str_from(files.exports));
    options->env = env->list;
    char *text = str_dup(frame->sections[SECTION_CODE]);
    const char *name = json_get_c(request, "name");
    const char *short_[] = {options->program, "--norc", "--noprofile", "-c", text, name, NULL};
    const char *long_[] = {options->program, "--norc", "--noprofile", files.script, NULL};
    options->argv = files.script ? long_ : short_;
    code = pool_take("", options, x->deadline_mono_ms, is_call_cancelled, x->call, &x->child, &err);
    free(text);
    if (code) {
        answer_error(x->call, code, err.text, STR("{}"));
    } else {
        enum exchange_end end = exchange_run(x);
        code = bash_files_exports(&files, &exports, &err);
        struct str all = code ? STR("{}") : buf_str(&exports);
        struct json *ok = json_new_object();
        json_set_boolean(ok, "ok", true);
        json_set_integer(ok, "exports", 0);
        if (end != EXCHANGE_EXITED)
            answer_late(x, end, json_get_i64(request, "timeout_ms", 0));
        else if (x->status)
            answer_exit(x, all);
        else if (code)
            answer_error(x->call, code, err.text, all);
        else
            answer_good(x, ok, all);
        json_free(ok);
        pool_drop(x->child);
    }
    buf_release(&exports);
    bash_files_remove(&files);
}

/* ---- calls */

static void run_code(struct served_call *call, const struct json *request)
{
    struct environment env = {.count = 0};
    struct json *variables = NULL;
    struct child_options options = {.dir = json_get_c(request, "dir"), .env = env.list};
    const char *language = json_get_c(request, "language");
    struct exchange x;
    struct err err = ERR_INIT;
    if (!language || !options.dir || call->frame.section_count != SECTIONS ||
        !code_language_parse(language, &options.language)) {
        answer_error(call, RN_EPROTOCOL, "the code host did not understand the call", STR("{}"));
        return;
    }
    if (exchange_init(&x, call, options.language != CODE_BASH, &err)) {
        answer_error(call, err.code, err.text, STR("{}"));
        return;
    }
    x.deadline_mono_ms =
        call->received_mono_ms + json_get_i64(request, "timeout_ms", LIMIT_STEP_MS);
    options.memory = (size_t)json_get_i64(request, "memory", (int64_t)LIMIT_CODE_MEMORY);
    const struct json *files = json_get(request, "files");
    x.files = json_get_c(files, "dir");
    x.files_limit = options.file_bytes =
        (uint64_t)json_get_i64(files, "limit", (int64_t)LIMIT_FILES);
    x.began_ms = clock_now_ms();
    char *program = code_interpreter(options.language, options.dir);
    options.program = program;
    if (!program) {
        char *text =
            xasprintf("%s is not installed: %s", language, code_install_hint(options.language));
        answer_error(call, RN_ECONFIG, text, STR("{}"));
        free(text);
        exchange_release(&x);
        return;
    }
    if (json_parse_own(call->frame.sections[SECTION_ENV], &variables, NULL))
        variables = NULL;
    env_fill(&env, variables);
    json_free(variables);
    if (options.language == CODE_BASH)
        run_bash(&x, request, &options, &env);
    else
        run_worker(&x, request, &options, &env);
    env_release(&env);
    exchange_release(&x);
    free(program);
}

static void handle(void *ctx, struct served_call *call)
{
    struct json *request = NULL;
    (void)ctx;
    frame_server_may_block(call);
    if (json_parse_own(call->frame.json, &request, NULL))
        request = NULL;
    run_code(call, request);
    json_free(request);
}

static void *sweeper_main(void *arg)
{
    (void)arg;
    for (;;) {
        (void)sleep(SWEEP_S);
        pool_sweep();
    }
    return NULL;
}

int code_host_main(int argc, char **argv)
{
    pthread_t sweeper;
    struct err err = ERR_INIT;
    (void)argc;
    (void)argv;
    host_process_bind();
    children_init();
    int error = pthread_create(&sweeper, NULL, sweeper_main, NULL);
    int code = error ? err_set(&err, RN_ENOMEM, "no thread: %s", strerrordesc_np(error)) : 0;
    code = code ? code : frame_server_hello(HOST_PROCESS_FD, NULL);
    code = code ? code : frame_server_run(HOST_PROCESS_FD, THREADS, handle, NULL, &err);
    pool_release();
    (void)kill(getpid(), SIGTERM); /* whatever is left */
    if (code == 0)
        return 0;
    (void)fprintf(stderr, "code host: %s\n", err.text);
    return 1;
}
