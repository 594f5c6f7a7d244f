#include "engine/loop.h"

#include "base/clock.h"
#include "base/latch.h"

#include <pthread.h>

struct task {
    loop_fn fn;
    void *ctx;
};

struct timer {
    int64_t at_ms;
    uint64_t id;
    loop_fn fn;
    void *ctx;
};

struct loop {
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t wake;
    struct task *tasks; /* waiting, in order */
    size_t task_count, task_capacity;
    struct timer *heap; /* a binary heap by at_ms, then id */
    size_t heap_count, heap_capacity;
    uint64_t last_timer;
    bool is_stopping;
};

/* The loop that this thread wakes later (loop_hold), and whether it has to. */
static _Thread_local struct loop *held;
static _Thread_local bool has_posted_held;

static bool is_before(const struct timer *a, const struct timer *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->id < b->id;
}

static void heap_up(struct loop *loop, size_t i)
{
    struct timer timer = loop->heap[i];
    while (i > 0 && is_before(&timer, &loop->heap[(i - 1) / 2])) {
        loop->heap[i] = loop->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    loop->heap[i] = timer;
}

static void heap_down(struct loop *loop, size_t i)
{
    struct timer timer = loop->heap[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= loop->heap_count)
            break;
        if (child + 1 < loop->heap_count && is_before(&loop->heap[child + 1], &loop->heap[child]))
            child++;
        if (!is_before(&loop->heap[child], &timer))
            break;
        loop->heap[i] = loop->heap[child];
        i = child;
    }
    loop->heap[i] = timer;
}

static struct timer heap_remove(struct loop *loop, size_t i)
{
    struct timer timer = loop->heap[i];
    struct timer last = loop->heap[--loop->heap_count];
    if (i < loop->heap_count) {
        loop->heap[i] = last;
        heap_up(loop, i);
        heap_down(loop, i);
    }
    return timer;
}

/* Sleeps until something is posted or the first timer is due. The wait is at most a second, so that
 * a changed wall clock is noticed. */
static void wait_for_work(struct loop *loop)
{
    int64_t now = clock_now_ms();
    int64_t wait_ms = 1000;
    if (loop->heap_count && loop->heap[0].at_ms - now < wait_ms)
        wait_ms = loop->heap[0].at_ms - now;
    if (wait_ms <= 0)
        return;
    if (loop->heap_count == 0) {
        pthread_cond_wait(&loop->wake, &loop->lock);
        return;
    }
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += wait_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&loop->wake, &loop->lock, &until);
}

static void *loop_main(void *ctx)
{
    struct loop *loop = ctx;
    struct task *batch = NULL;
    size_t batch_capacity = 0;
    pthread_mutex_lock(&loop->lock);
    for (;;) {
        while (loop->heap_count && loop->heap[0].at_ms <= clock_now_ms() && !loop->is_stopping) {
            struct timer timer = heap_remove(loop, 0);
            pthread_mutex_unlock(&loop->lock);
            timer.fn(timer.ctx);
            pthread_mutex_lock(&loop->lock);
        }
        if (loop->task_count) {
            struct task *tasks = loop->tasks;
            size_t count = loop->task_count, capacity = loop->task_capacity;
            loop->tasks = batch;
            loop->task_capacity = batch_capacity;
            loop->task_count = 0;
            pthread_mutex_unlock(&loop->lock);
            for (size_t i = 0; i < count; i++)
                tasks[i].fn(tasks[i].ctx);
            batch = tasks;
            batch_capacity = capacity;
            pthread_mutex_lock(&loop->lock);
        } else if (loop->is_stopping) {
            break;
        } else {
            wait_for_work(loop);
        }
    }
    pthread_mutex_unlock(&loop->lock);
    free(batch);
    return NULL;
}

struct loop *loop_new(void)
{
    struct loop *loop = xcalloc(1, sizeof(*loop));
    pthread_mutex_init(&loop->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&loop->wake, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&loop->thread, NULL, loop_main, loop))
        abort();
    return loop;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    pthread_mutex_lock(&loop->lock);
    loop->is_stopping = true;
    pthread_cond_signal(&loop->wake);
    pthread_mutex_unlock(&loop->lock);
    pthread_join(loop->thread, NULL);
    pthread_cond_destroy(&loop->wake);
    pthread_mutex_destroy(&loop->lock);
    free(loop->tasks);
    free(loop->heap);
    free(loop);
}

void loop_post(struct loop *loop, loop_fn fn, void *ctx)
{
    pthread_mutex_lock(&loop->lock);
    if (loop->task_count == loop->task_capacity) {
        loop->task_capacity = loop->task_capacity ? loop->task_capacity * 2 : 64;
        loop->tasks = xrealloc(loop->tasks, loop->task_capacity * sizeof(*loop->tasks));
    }
    loop->tasks[loop->task_count++] = (struct task){fn, ctx};
    if (held == loop)
        has_posted_held = true;
    else if (loop->task_count == 1) /* else it is awake, or a thread that holds it wakes it soon */
        pthread_cond_signal(&loop->wake);
    pthread_mutex_unlock(&loop->lock);
}

void loop_hold(struct loop *loop)
{
    held = loop;
    has_posted_held = false;
}

void loop_release(struct loop *loop)
{
    held = NULL;
    if (!has_posted_held)
        return;
    pthread_mutex_lock(&loop->lock);
    pthread_cond_signal(&loop->wake);
    pthread_mutex_unlock(&loop->lock);
}

uint64_t loop_timer(struct loop *loop, int64_t at_ms, loop_fn fn, void *ctx)
{
    pthread_mutex_lock(&loop->lock);
    if (loop->heap_count == loop->heap_capacity) {
        loop->heap_capacity = loop->heap_capacity ? loop->heap_capacity * 2 : 16;
        loop->heap = xrealloc(loop->heap, loop->heap_capacity * sizeof(*loop->heap));
    }
    uint64_t id = ++loop->last_timer;
    loop->heap[loop->heap_count++] = (struct timer){at_ms, id, fn, ctx};
    heap_up(loop, loop->heap_count - 1);
    pthread_cond_signal(&loop->wake);
    pthread_mutex_unlock(&loop->lock);
    return id;
}

bool loop_cancel(struct loop *loop, uint64_t timer)
{
    bool found = false;
    pthread_mutex_lock(&loop->lock);
    for (size_t i = 0; i < loop->heap_count && !found; i++) {
        if (loop->heap[i].id == timer) {
            heap_remove(loop, i);
            found = true;
        }
    }
    pthread_mutex_unlock(&loop->lock);
    return found;
}

bool loop_is_current(const struct loop *loop)
{
    return pthread_equal(loop->thread, pthread_self());
}

struct waiter {
    loop_fn fn;
    void *ctx;
    struct latch done;
};

static void run_waiter(void *ctx)
{
    struct waiter *waiter = ctx;
    waiter->fn(waiter->ctx);
    latch_open(&waiter->done);
}

void loop_call(struct loop *loop, loop_fn fn, void *ctx)
{
    struct waiter waiter = {.fn = fn, .ctx = ctx, .done = LATCH_INIT};
    loop_post(loop, run_waiter, &waiter);
    latch_wait(&waiter.done);
}
