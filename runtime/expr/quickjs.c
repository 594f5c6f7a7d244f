/* How it fits together: wasm2c's code addresses `memory.data + 32-bit address + 32-bit offset`
 * unchecked, so 8 GiB of address space are reserved without access and only the first `size` bytes
 * are opened: whatever is past them faults, and the handler jumps back to quickjs_run(). The
 * snapshot is a memory file; a reset maps it again privately over the start of the linear memory,
 * which drops what was written there, and closes what had grown. */
#include "expr/quickjs.h"

#include "base/clock.h"

#include <quickjs_bindings.h>
#include <wasm-rt-impl.h>

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE_BYTES 65536u
#define FIRST_PAGES 256u /* what the module asks for: 16 MiB */
#define RESERVED_BYTES ((size_t)8 << 30)
#define ENGINE_STACK_BYTES (512u * 1024) /* the engine's own limit; C needs a multiple of it */
#define SIGNAL_STACK_BYTES (128u * 1024)
#define OVERHEAD_BYTES (24u << 20) /* static data, the engine's stack, holes in its heap */
#define TIMER_SIGNAL SIGALRM
#define FUNCTIONS_MAX 8
#define EVAL_COMPILE_ONLY (1u << 5)
#define EVAL_FILE "<expression>"

/* The importing side's instance, as the generated code names it. */
struct Z_a_instance_t {
    wasm_rt_memory_t memory;
    volatile sig_atomic_t is_inside; /* generated code runs; a jump out of it harms nobody */
    volatile sig_atomic_t is_expired;
    bool can_expire;
    int64_t deadline_mono_ms;
};

struct quickjs {
    struct Z_a_instance_t env;
    Z_quickjs_instance_t module;
    uint32_t runtime, context;
    uint32_t functions[FUNCTIONS_MAX];
    uint32_t undefined, yes, no;

    int snapshot; /* a memory file */
    size_t snapshot_bytes;
    uint32_t snapshot_pages;
    uint32_t snapshot_global;

    timer_t timer;
    bool has_timer;
    void *signal_stack;
};

/* For the signal handlers; one instance a process. */
static struct quickjs *the_instance;

/* ---- traps */

static void end_call(struct Z_a_instance_t *env)
{
    env->is_inside = 0;
    wasm_rt_trap(WASM_RT_TRAP_UNREACHABLE);
}

/* Around each call into the generated code, and the other way round in each import. */
static void enter(struct Z_a_instance_t *env)
{
    env->is_inside = 1;
    if (env->is_expired)
        end_call(env);
}

static void leave(struct Z_a_instance_t *env)
{
    env->is_inside = 0;
}

static void on_timer(int signal)
{
    (void)signal;
    struct quickjs *q = the_instance;
    if (q == NULL || !q->env.can_expire)
        return;
    q->env.is_expired = 1;
    if (q->env.is_inside)
        end_call(&q->env);
}

/* A fault outside of the generated code is a bug of ours: let it kill the process. */
static void on_fault(int signal, siginfo_t *info, void *context)
{
    (void)context;
    struct quickjs *q = the_instance;
    if (q == NULL || !q->env.is_inside) {
        struct sigaction plain = {.sa_handler = SIG_DFL};
        (void)sigaction(signal, &plain, NULL);
        return;
    }
    const uint8_t *at = info->si_addr;
    bool is_memory = at >= q->env.memory.data && at < q->env.memory.data + RESERVED_BYTES;
    q->env.is_inside = 0;
    wasm_rt_trap(is_memory ? WASM_RT_TRAP_OOB : WASM_RT_TRAP_EXHAUSTION);
}

/* ---- linear memory */

/* A pointer to `size` bytes at `address`; outside of the memory is a trap, as it would be inside.
 */
static void *guest(struct quickjs *q, uint32_t address, size_t size)
{
    if ((size_t)address + size > q->env.memory.size)
        wasm_rt_trap(WASM_RT_TRAP_OOB);
    return q->env.memory.data + address;
}

static void put_u32(struct Z_a_instance_t *env, uint32_t address, uint32_t value)
{
    if ((size_t)address + sizeof(value) <= env->memory.size)
        memcpy(env->memory.data + address, &value, sizeof(value));
}

static uint32_t get_u32(struct Z_a_instance_t *env, uint32_t address)
{
    uint32_t value = 0;
    if ((size_t)address + sizeof(value) <= env->memory.size)
        memcpy(&value, env->memory.data + address, sizeof(value));
    return value;
}

static int memory_new(wasm_rt_memory_t *memory, size_t limit, struct err *err)
{
    void *data =
        mmap(NULL, RESERVED_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED)
        return err_set(err, RN_ENOMEM, "no address space for the engine: %s", strerror(errno));
    memory->data = data;
    memory->pages = FIRST_PAGES;
    memory->size = FIRST_PAGES * PAGE_BYTES;
    memory->max_pages = (uint32_t)((limit + OVERHEAD_BYTES) / PAGE_BYTES);
    if (mprotect(data, memory->size, PROT_READ | PROT_WRITE) != 0)
        return err_set(err, RN_ENOMEM, "no memory for the engine: %s", strerror(errno));
    return 0;
}

static size_t used_bytes(const wasm_rt_memory_t *memory)
{
    static const uint8_t zeros[4096];
    size_t end = memory->size;
    while (end > 0 && memcmp(memory->data + end - sizeof(zeros), zeros, sizeof(zeros)) == 0)
        end -= sizeof(zeros);
    return end;
}

static int take_snapshot(struct quickjs *q, struct err *err)
{
    wasm_rt_memory_t *memory = &q->env.memory;
    size_t size = used_bytes(memory);
    q->snapshot = memfd_create("quickjs", MFD_CLOEXEC);
    if (q->snapshot < 0)
        return err_set(err, RN_EIO, "no memory file for the engine: %s", strerror(errno));
    for (size_t done = 0; done < size;) {
        ssize_t n = write(q->snapshot, memory->data + done, size - done);
        if (n < 0)
            return err_set(err, RN_EIO, "the engine's snapshot: %s", strerror(errno));
        done += (size_t)n;
    }
    q->snapshot_bytes = size;
    q->snapshot_pages = memory->pages;
    q->snapshot_global = q->module.w2c_g0;
    return 0;
}

void quickjs_reset(struct quickjs *q)
{
    wasm_rt_memory_t *memory = &q->env.memory;
    size_t open = (size_t)q->snapshot_pages * PAGE_BYTES;
    const int flags = MAP_PRIVATE | MAP_FIXED;
    void *low =
        mmap(memory->data, q->snapshot_bytes, PROT_READ | PROT_WRITE, flags, q->snapshot, 0);
    void *high = mmap(memory->data + q->snapshot_bytes, open - q->snapshot_bytes,
                      PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    void *grown = memory->data;
    if (memory->size > open)
        grown = mmap(memory->data + open, memory->size - open, PROT_NONE,
                     flags | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (low == MAP_FAILED || high == MAP_FAILED || grown == MAP_FAILED)
        abort(); /* a half reset sandbox must not be used; the supervisor starts a new process */
    memory->pages = q->snapshot_pages;
    memory->size = q->snapshot_pages * PAGE_BYTES;
    q->module.w2c_g0 = q->snapshot_global;
}

/* ---- what the module imports: a clock, a time zone, memory, and doors that stay shut */

wasm_rt_memory_t *js_import_memory(struct Z_a_instance_t *env)
{
    return &env->memory;
}

u32 js_import_resize_heap(struct Z_a_instance_t *env, u32 wanted)
{
    wasm_rt_memory_t *memory = &env->memory;
    size_t pages = ((size_t)wanted + PAGE_BYTES - 1) / PAGE_BYTES;
    leave(env);
    bool is_done = pages <= memory->max_pages;
    if (is_done && pages > memory->pages) {
        size_t more = (pages - memory->pages) * PAGE_BYTES;
        is_done = mprotect(memory->data + memory->size, more, PROT_READ | PROT_WRITE) == 0;
        if (is_done) {
            memory->pages = (uint32_t)pages;
            memory->size = (uint32_t)(pages * PAGE_BYTES);
        }
    }
    enter(env);
    return is_done;
}

u32 js_import_should_interrupt(struct Z_a_instance_t *env, u32 runtime)
{
    (void)runtime;
    if (!env->can_expire)
        return 0;
    env->is_inside = 0;
    bool is_over = env->is_expired || clock_mono_ms() >= env->deadline_mono_ms;
    env->is_inside = 1;
    return is_over;
}

f64 js_import_now(struct Z_a_instance_t *env)
{
    env->is_inside = 0;
    f64 now = (f64)clock_now_ms();
    enter(env);
    return now;
}

/* localtime_r into the module's struct tm of ints; tm_zone stays as it is. */
void js_import_local_time(struct Z_a_instance_t *env, u64 seconds, u32 out)
{
    time_t time = (time_t)seconds;
    struct tm tm = {0};
    leave(env);
    (void)localtime_r(&time, &tm);
    const int fields[] = {tm.tm_sec,  tm.tm_min,  tm.tm_hour, tm.tm_mday,      tm.tm_mon,
                          tm.tm_year, tm.tm_wday, tm.tm_yday, tm.tm_isdst > 0, (int)tm.tm_gmtoff};
    for (uint32_t i = 0; i < COUNT_OF(fields); i++)
        put_u32(env, out + 4 * i, (uint32_t)fields[i]);
    enter(env);
}

void js_import_zone(struct Z_a_instance_t *env, u32 minutes_west, u32 has_daylight, u32 name,
                    u32 daylight_name)
{
    put_u32(env, minutes_west, 0);
    put_u32(env, has_daylight, 0);
    put_u32(env, name, 0x00435455); /* "UTC" */
    put_u32(env, daylight_name, 0x00435455);
}

u32 js_import_fd_write(struct Z_a_instance_t *env, u32 fd, u32 vectors, u32 count, u32 ret_size)
{
    (void)fd;
    uint32_t size = 0;
    for (uint32_t i = 0; i < count; i++)
        size += get_u32(env, vectors + 8 * i + 4);
    put_u32(env, ret_size, size);
    return 0;
}

u32 js_import_fd_close(struct Z_a_instance_t *env, u32 fd)
{
    (void)env;
    (void)fd;
    return 52; /* ENOSYS */
}

u32 js_import_fd_seek(struct Z_a_instance_t *env, u32 fd, u64 offset, u32 whence, u32 ret)
{
    (void)env;
    (void)fd;
    (void)offset;
    (void)whence;
    (void)ret;
    return 70; /* ESPIPE */
}

u32 js_import_environ_get(struct Z_a_instance_t *env, u32 list, u32 bytes)
{
    (void)env;
    (void)list;
    (void)bytes;
    return 0;
}

u32 js_import_environ_sizes(struct Z_a_instance_t *env, u32 count, u32 size)
{
    put_u32(env, count, 0);
    put_u32(env, size, 0);
    return 0;
}

u32 js_import_set_timer(struct Z_a_instance_t *env, u32 which, f64 ms)
{
    (void)env;
    (void)which;
    (void)ms;
    return 0;
}

void js_import_keepalive_clear(struct Z_a_instance_t *env)
{
    (void)env;
}

void js_import_assert_failed(struct Z_a_instance_t *env, u32 text, u32 file, u32 line, u32 function)
{
    (void)text;
    (void)file;
    (void)line;
    (void)function;
    end_call(env);
}

void js_import_abort_called(struct Z_a_instance_t *env)
{
    end_call(env);
}

void js_import_exit_called(struct Z_a_instance_t *env, u32 status)
{
    (void)status;
    end_call(env);
}

/* Functions of the host, modules: never registered, so never called. */
u32 js_import_call_function(struct Z_a_instance_t *env, u32 context, u32 self, u32 argc, u32 argv,
                            u32 id)
{
    (void)context;
    (void)self;
    (void)argc;
    (void)argv;
    (void)id;
    end_call(env);
    return 0;
}

u32 js_import_load_module(struct Z_a_instance_t *env, u32 runtime, u32 context, u32 name)
{
    (void)runtime;
    (void)context;
    (void)name;
    end_call(env);
    return 0;
}

u32 js_import_normalize_module(struct Z_a_instance_t *env, u32 runtime, u32 context, u32 base,
                               u32 name)
{
    (void)runtime;
    (void)context;
    (void)base;
    (void)name;
    end_call(env);
    return 0;
}

void js_import_free_host_ref(struct Z_a_instance_t *env, u32 runtime, u32 id)
{
    (void)env;
    (void)runtime;
    (void)id;
}

/* ---- calls into the module */

#define GUEST(q_, expression_)                                                                     \
    do {                                                                                           \
        enter(&(q_)->env);                                                                         \
        expression_;                                                                               \
        leave(&(q_)->env);                                                                         \
    } while (0)

/* A copy of `text` with a NUL; 0: no memory left. Never freed: the reset drops it. */
static uint32_t copy_in(struct quickjs *q, struct str text)
{
    uint32_t address = 0;
    if (text.len >= UINT32_MAX - 1)
        return 0;
    GUEST(q, address = js_malloc(&q->module, (uint32_t)text.len + 1));
    if (address == 0)
        return 0;
    char *out = guest(q, address, text.len + 1);
    if (text.len > 0)
        memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return address;
}

/* Takes a result apart: itself, or 0 and what was thrown. */
static quickjs_value settle(struct quickjs *q, uint32_t result, quickjs_value *ret_thrown)
{
    uint32_t thrown = 0;
    GUEST(q, thrown = js_QTS_ResolveException(&q->module, q->context, result));
    if (thrown == 0)
        return result;
    *ret_thrown = thrown;
    return 0;
}

quickjs_value quickjs_eval(struct quickjs *q, struct str text, bool compile_only,
                           quickjs_value *ret_thrown)
{
    uint32_t code = copy_in(q, text);
    uint32_t file = copy_in(q, STR(EVAL_FILE));
    uint32_t result = 0;
    *ret_thrown = 0;
    if (code == 0 || file == 0)
        return 0;
    GUEST(q, result = js_QTS_Eval(&q->module, q->context, code, (uint32_t)text.len, file, 0,
                                  compile_only ? EVAL_COMPILE_ONLY : 0));
    return settle(q, result, ret_thrown);
}

quickjs_value quickjs_call(struct quickjs *q, size_t index, const quickjs_value *args, size_t count,
                           quickjs_value *ret_thrown)
{
    uint32_t list = 0;
    uint32_t result = 0;
    *ret_thrown = 0;
    assert(index < FUNCTIONS_MAX && count > 0);
    GUEST(q, list = js_malloc(&q->module, (uint32_t)(count * sizeof(*args))));
    if (list == 0)
        return 0;
    memcpy(guest(q, list, count * sizeof(*args)), args, count * sizeof(*args));
    GUEST(q, result = js_QTS_Call(&q->module, q->context, q->functions[index], q->undefined,
                                  (uint32_t)count, list));
    return settle(q, result, ret_thrown);
}

quickjs_value quickjs_string(struct quickjs *q, struct str text)
{
    uint32_t address = copy_in(q, text);
    uint32_t value = 0;
    uint32_t thrown = 0;
    if (address == 0)
        return 0;
    GUEST(q, value = js_QTS_NewString(&q->module, q->context, address));
    GUEST(q, js_free(&q->module, address));
    return settle(q, value, &thrown);
}

quickjs_value quickjs_boolean(struct quickjs *q, bool value)
{
    return value ? q->yes : q->no;
}

struct str quickjs_text(struct quickjs *q, quickjs_value value)
{
    uint32_t address = 0;
    GUEST(q, address = js_QTS_GetString(&q->module, q->context, value));
    if (address == 0 || address >= q->env.memory.size)
        return STR_NONE;
    const char *text = guest(q, address, 1);
    return str_n(text, strnlen(text, q->env.memory.size - address));
}

void quickjs_use_reserve(struct quickjs *q)
{
    GUEST(q, js_QTS_RuntimeSetMemoryLimit(&q->module, q->runtime, UINT32_MAX));
}

bool quickjs_is_expired(const struct quickjs *q)
{
    return q->env.is_expired || clock_mono_ms() >= q->env.deadline_mono_ms;
}

/* ---- running */

static void set_timer(struct quickjs *q, int64_t ms)
{
    struct itimerspec when = {.it_value = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000}};
    (void)timer_settime(q->timer, 0, &when, NULL);
}

int quickjs_run(struct quickjs *q, int64_t limit_ms, void (*body)(struct quickjs *q, void *ctx),
                void *ctx, struct err *err)
{
    q->env.is_expired = 0;
    q->env.deadline_mono_ms = clock_mono_ms() + limit_ms;
    q->env.can_expire = true;
    volatile wasm_rt_trap_t trap = wasm_rt_impl_try();
    if (trap == WASM_RT_TRAP_NONE) {
        set_timer(q, limit_ms + 20); /* the engine's own check comes first: it costs less */
        body(q, ctx);
    }
    q->env.is_inside = 0;
    q->env.can_expire = false;
    set_timer(q, 0);
    if (trap == WASM_RT_TRAP_NONE)
        return 0;
    if (q->env.is_expired)
        return err_set(err, RN_ETIMEDOUT, "it took longer than %lld ms", (long long)limit_ms);
    if (trap == WASM_RT_TRAP_EXHAUSTION)
        return err_set(err, RN_EFAILED, "RangeError: Maximum call stack size exceeded");
    return err_set(err, RN_EFAILED, "the JavaScript engine stopped: %s", wasm_rt_strerror(trap));
}

/* ---- life cycle */

static int install_signals(struct quickjs *q, struct err *err)
{
    q->signal_stack = xmalloc(SIGNAL_STACK_BYTES);
    stack_t stack = {.ss_sp = q->signal_stack, .ss_size = SIGNAL_STACK_BYTES};
    struct sigaction fault = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    struct sigaction timer = {.sa_handler = on_timer, .sa_flags = SA_ONSTACK | SA_RESTART};
    sigset_t unblocked;
    sigemptyset(&unblocked);
    sigaddset(&unblocked, TIMER_SIGNAL);
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = TIMER_SIGNAL};
    event._sigev_un._tid = gettid();
    if (sigaltstack(&stack, NULL) != 0 || sigaction(SIGSEGV, &fault, NULL) != 0 ||
        sigaction(SIGBUS, &fault, NULL) != 0 || sigaction(TIMER_SIGNAL, &timer, NULL) != 0 ||
        pthread_sigmask(SIG_UNBLOCK, &unblocked, NULL) != 0 ||
        timer_create(CLOCK_MONOTONIC, &event, &q->timer) != 0)
        return err_set(err, RN_EIO, "the engine's signals: %s", strerror(errno));
    q->has_timer = true;
    return 0;
}

struct start {
    struct str prelude;
    const char *const *names;
    size_t memory_limit;
    bool is_done;
};

static void start_engine(struct quickjs *q, void *ctx)
{
    struct start *start = ctx;
    enter(&q->env);
    Z_quickjs_instantiate(&q->module, &q->env);
    leave(&q->env);
    GUEST(q, js_start(&q->module));
    GUEST(q, q->runtime = js_QTS_NewRuntime(&q->module));
    GUEST(q, js_QTS_RuntimeSetMemoryLimit(&q->module, q->runtime, (uint32_t)start->memory_limit));
    GUEST(q, js_QTS_RuntimeSetMaxStackSize(&q->module, q->runtime, ENGINE_STACK_BYTES));
    GUEST(q, q->context = js_QTS_NewContext(&q->module, q->runtime, 0));
    GUEST(q, q->undefined = js_QTS_GetUndefined(&q->module));
    GUEST(q, q->yes = js_QTS_GetTrue(&q->module));
    GUEST(q, q->no = js_QTS_GetFalse(&q->module));
    quickjs_value thrown = 0;
    quickjs_value functions = quickjs_eval(q, start->prelude, false, &thrown);
    for (size_t i = 0; functions != 0 && start->names[i] != NULL; i++) {
        assert(i < FUNCTIONS_MAX);
        quickjs_value name = quickjs_string(q, str_from(start->names[i]));
        GUEST(q, q->functions[i] = js_QTS_GetProp(&q->module, q->context, functions, name));
    }
    GUEST(q, js_QTS_RuntimeEnableInterruptHandler(&q->module, q->runtime));
    start->is_done = functions != 0;
}

int quickjs_new(struct str prelude, const char *const *names, size_t memory_limit,
                struct quickjs **ret, struct err *err)
{
    assert(the_instance == NULL);
    struct quickjs *q = xcalloc(1, sizeof(*q));
    struct start start = {.prelude = prelude, .names = names, .memory_limit = memory_limit};
    q->snapshot = -1;
    int code = memory_new(&q->env.memory, memory_limit, err);
    if (code != 0)
        goto out;
    wasm_rt_init();
    Z_quickjs_init_module();
    code = install_signals(q, err);
    if (code != 0)
        goto out;
    the_instance = q;
    code = quickjs_run(q, 10000, start_engine, &start, err);
    if (code == 0 && !start.is_done)
        code = err_set(err, RN_EFAILED, "the engine's prelude threw");
    if (code == 0)
        code = take_snapshot(q, err);
    if (code != 0)
        goto out;
    quickjs_reset(q);
    *ret = q;
    return 0;
out:
    quickjs_free(q);
    return code;
}

void quickjs_free(struct quickjs *q)
{
    if (q == NULL)
        return;
    the_instance = NULL;
    if (q->has_timer)
        timer_delete(q->timer);
    stack_t none = {.ss_flags = SS_DISABLE};
    (void)sigaltstack(&none, NULL);
    free(q->signal_stack);
    if (q->module.w2c_T0.data != NULL)
        Z_quickjs_free(&q->module);
    if (q->env.memory.data != NULL)
        munmap(q->env.memory.data, RESERVED_BYTES);
    if (q->snapshot >= 0)
        close(q->snapshot);
    free(q);
}
