#include "code/pool.h"

#include "base/clock.h"

#include <pthread.h>
#include <time.h>

enum { LOOK_MS = 50 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct child *children;
static size_t count; /* of `children`, and of those being started */

static void unlink_child(struct child *child)
{
    struct child **at = &children;
    while (*at != child)
        at = &(*at)->next;
    *at = child->next;
}

/* The idle child with the key; without one the one that has been idle longest, in *ret_oldest. */
static struct child *find_idle(const char *key, struct child **ret_oldest)
{
    struct child *found = NULL;
    *ret_oldest = NULL;
    for (struct child *c = children; c; c = c->next) {
        if (c->is_busy)
            continue;
        if (strcmp(c->key, key) == 0 && (!found || c->idle_since_ms > found->idle_since_ms))
            found = c;
        if (!*ret_oldest || c->idle_since_ms < (*ret_oldest)->idle_since_ms)
            *ret_oldest = c;
    }
    return found;
}

static void wait_a_little(void)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += LOOK_MS * 1000000l;
    until.tv_sec += until.tv_nsec / 1000000000l;
    until.tv_nsec %= 1000000000l;
    (void)pthread_cond_timedwait(&changed, &lock, &until);
}

/* A busy child, or NULL with a place for a new one taken; an err code when there will be none. */
static int take_place(const char *key, int64_t deadline_mono_ms, bool (*is_cancelled)(void *ctx),
                      void *ctx, struct child **ret, struct err *err)
{
    for (;;) {
        struct child *oldest = NULL, *found = find_idle(key, &oldest);
        int status = 0;
        if (found && child_has_ended(found, &status)) {
            unlink_child(found);
            count--;
            child_free(found);
            continue;
        }
        if (found) {
            found->is_busy = true;
            *ret = found;
            return 0;
        }
        if (count < LIMIT_CODE_PROCESSES) {
            count++;
            *ret = NULL;
            return 0;
        }
        if (oldest) {
            unlink_child(oldest);
            count--;
            child_free(oldest);
            continue;
        }
        if (is_cancelled(ctx))
            return err_set(err, RN_ECANCELED, "cancelled while it waited for a free process");
        if (clock_mono_ms() >= deadline_mono_ms)
            return err_set(err, RN_ETIMEDOUT,
                           "its time limit passed while all %d processes for code steps were busy",
                           LIMIT_CODE_PROCESSES);
        wait_a_little();
    }
}

int pool_take(const char *key, const struct child_options *options, int64_t deadline_mono_ms,
              bool (*is_cancelled)(void *ctx), void *ctx, struct child **ret, struct err *err)
{
    struct child *child = NULL;
    pthread_mutex_lock(&lock);
    int code = take_place(key, deadline_mono_ms, is_cancelled, ctx, &child, err);
    pthread_mutex_unlock(&lock);
    if (code || child) {
        *ret = child;
        return code;
    }
    code = child_start(options, &child, err);
    pthread_mutex_lock(&lock);
    if (code) {
        count--;
        pthread_cond_signal(&changed);
    } else {
        child->key = xstrdup(key);
        child->is_busy = true;
        child->next = children;
        children = child;
        *ret = child;
    }
    pthread_mutex_unlock(&lock);
    return code;
}

void pool_give(struct child *child)
{
    pthread_mutex_lock(&lock);
    child->is_busy = false;
    child->idle_since_ms = clock_mono_ms();
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

void pool_drop(struct child *child)
{
    pthread_mutex_lock(&lock);
    unlink_child(child);
    pthread_mutex_unlock(&lock);
    child_free(child); /* its memory is in use until it has ended, so its place is too */
    pthread_mutex_lock(&lock);
    count--;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static void end_idle(int64_t before_ms)
{
    pthread_mutex_lock(&lock);
    struct child **at = &children;
    while (*at) {
        struct child *child = *at;
        if (child->is_busy || child->idle_since_ms > before_ms) {
            at = &child->next;
            continue;
        }
        *at = child->next;
        count--;
        child_free(child);
    }
    pthread_mutex_unlock(&lock);
}

void pool_sweep(void)
{
    end_idle(clock_mono_ms() - LIMIT_CODE_IDLE_MS);
}

void pool_release(void)
{
    end_idle(INT64_MAX);
}
