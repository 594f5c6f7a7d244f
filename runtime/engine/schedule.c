/* The scheduler: fires schedule triggers and the timers of sources.
 *
 * A schedule trigger's firing is an event like any other: one transaction has the event, its place
 * in the queue and the schedule's new state, so that a crash neither loses a firing nor makes two
 * of it. A source's firing is a run of the source, whose transaction has the state too. What came
 * due while nothing ran is worked out from the state on disk (schedule_state.c).
 *
 * One struct timer per instance, on the loop thread. While a firing of it is on its way it is busy,
 * and decides nothing; what came due meanwhile is looked at afterwards. */
#include "base/fault.h"
#include "engine/schedule_state.h"

enum {
    AGAIN_MS = 1000,         /* the store took nothing */
    OWED_POLL_MS = 250,      /* has the run before ended? */
    CLOCK_STEP_MS = 3600000, /* the wall clock may be set: look again at least this often */
};

struct timer {
    struct timer *next;
    struct scheduler *scheduler;
    struct instance *instance; /* a reference */
    struct schedule_state state;
    int64_t next_ms; /* INT64_MAX: never */
    uint64_t alarm;  /* in the loop; 0: none */
    bool is_active;
    bool is_busy;
    bool is_stuck; /* the last try to fire was refused: said once */
    bool is_gone;  /* freed when it is not busy any more */
};

/* A firing on its way: of a trigger, of a source, or only a change of state. */
struct firing {
    struct timer *timer;
    struct instance *instance; /* a reference */
    struct schedule_state state;
    struct acceptance acceptance;
    struct emit *emits;
    char **texts; /* of the events, then of the summaries */
    size_t count;
    int64_t at_ms; /* of a source's */
    int code;
    struct err err;
    struct firing *next; /* waits for a thread */
};

struct scheduler {
    struct engine *engine;
    struct timer *timers;                  /* loop thread */
    struct firing *waiting, **waiting_end; /* source runs that wait for a thread */
    size_t threads;                        /* loop thread */
    atomic_size_t running;
    bool is_stopping;
};

static void look(void *ctx);
static void consider(struct timer *timer);

struct scheduler *scheduler_new(struct engine *engine)
{
    struct scheduler *scheduler = xcalloc(1, sizeof(*scheduler));
    scheduler->engine = engine;
    scheduler->waiting_end = &scheduler->waiting;
    return scheduler;
}

static void timer_free(struct timer *timer)
{
    source_instance_unref(timer->instance);
    free(timer);
}

static void firing_free(struct firing *firing)
{
    for (size_t i = 0; i < firing->count * 2; i++)
        free(firing->texts[i]);
    free(firing->texts);
    free(firing->emits);
    source_instance_unref(firing->instance);
    free(firing);
}

/* The loop is gone: nothing is on its way. */
void scheduler_free(struct scheduler *scheduler)
{
    if (!scheduler)
        return;
    while (scheduler->waiting) {
        struct firing *firing = scheduler->waiting;
        scheduler->waiting = firing->next;
        firing_free(firing);
    }
    while (scheduler->timers) {
        struct timer *timer = scheduler->timers;
        scheduler->timers = timer->next;
        timer_free(timer);
    }
    free(scheduler);
}

size_t scheduler_running(struct scheduler *scheduler)
{
    return atomic_load(&scheduler->running);
}

/* ---- when */

static void disarm(struct timer *timer)
{
    if (timer->alarm)
        (void)loop_cancel(timer->scheduler->engine->loop, timer->alarm);
    timer->alarm = 0;
}

static void arm_at(struct timer *timer, int64_t at_ms)
{
    disarm(timer);
    timer->alarm = loop_timer(timer->scheduler->engine->loop, at_ms, look, timer);
}

static void arm(struct timer *timer)
{
    const struct schedule *schedule = timer->instance->schedule;
    int64_t now = clock_now_ms(), at = now + CLOCK_STEP_MS;
    disarm(timer);
    if (!timer->is_active || timer->is_busy || timer->scheduler->is_stopping)
        return;
    timer->next_ms = schedule_next(schedule, timer->state.anchor_ms, timer->state.last_ms);
    if (timer->next_ms < at)
        at = timer->next_ms +
             schedule_jitter(schedule, str_from(timer->instance->id), timer->next_ms);
    if (timer->state.owed_count && now + OWED_POLL_MS < at)
        at = now + OWED_POLL_MS;
    arm_at(timer, at);
}

/* ---- firing */

static struct firing *firing_new(struct timer *timer, const struct schedule_state *state)
{
    struct firing *firing = xcalloc(1, sizeof(*firing));
    firing->timer = timer;
    firing->instance = source_instance_ref(timer->instance);
    firing->state = *state;
    timer->is_busy = true;
    disarm(timer);
    return firing;
}

/* On the loop, when a firing is on disk or has failed. */
static void settled(void *ctx)
{
    struct firing *firing = ctx;
    struct timer *timer = firing->timer;
    timer->is_busy = false;
    if (timer->is_gone) {
        timer_free(timer);
    } else if (firing->code == 0) {
        timer->state = firing->state;
        timer->is_stuck = false;
        consider(timer); /* its instance may be another one by now */
    } else {
        if (!timer->is_stuck)
            log_warn("schedule %s: not fired, tried again every second: %s", timer->instance->id,
                     firing->err.text);
        timer->is_stuck = true;
        if (timer->is_active && !timer->scheduler->is_stopping)
            arm_at(timer, clock_now_ms() + AGAIN_MS);
    }
    firing_free(firing);
}

static int put_state(struct store_tx *tx, struct acceptance *acceptance, struct err *err)
{
    struct firing *firing = acceptance->effect_ctx;
    if (acceptance->run_id)
        firing->state.run_id = acceptance->run_id;
    return schedule_state_put(tx, firing->instance->id, &firing->state, err);
}

static void committed(struct acceptance *acceptance, int code, const struct err *err)
{
    struct firing *firing = acceptance->ctx;
    firing->code = code;
    if (code)
        firing->err = *err;
    loop_post(acceptance->engine->loop, settled, firing);
}

static void add_event(struct firing *firing, const struct schedule *schedule, int64_t at_ms)
{
    char moment[WALL_TEXT_MAX];
    struct json *event = schedule_event(schedule, false, at_ms);
    size_t size = 0, i = firing->count++;
    schedule_format(schedule, at_ms, moment);
    firing->texts[2 * i] = json_text(event, &size);
    firing->texts[2 * i + 1] = xasprintf("scheduled for %s", moment);
    firing->emits[i] = (struct emit){.summary = str_from(firing->texts[2 * i + 1]),
                                     .event = str_n(firing->texts[2 * i], size),
                                     .ts = at_ms};
    json_free(event);
}

/* Commits the state, and the events of these firings with it. */
static void submit(struct timer *timer, const struct schedule_state *state, const int64_t *at,
                   size_t count)
{
    struct firing *firing = firing_new(timer, state);
    struct engine *engine = timer->scheduler->engine;
    firing->emits = xcalloc(count + 1, sizeof(*firing->emits));
    firing->texts = xcalloc(2 * count + 1, sizeof(*firing->texts));
    for (size_t i = 0; i < count; i++)
        add_event(firing, timer->instance->schedule, at[i]);
    firing->state.fired += (int64_t)count;
    firing->acceptance = (struct acceptance){.engine = engine,
                                             .instance = firing->instance,
                                             .emits = firing->emits,
                                             .emit_count = count,
                                             .ignores_quota = count == 0,
                                             .done = committed,
                                             .ctx = firing,
                                             .effect = put_state,
                                             .effect_ctx = firing};
    fault_point("schedule.before_commit");
    int rc = acceptance_submit(&firing->acceptance); /* from here on it is the writer's */
    if (rc) {
        firing->code = err_set(&firing->err, rc, "%s", err_sentence(rc));
        loop_post(engine->loop, settled, firing);
    }
}

/* ---- sources */

struct state_write {
    const char *id;
    const struct schedule_state *state;
};

static int apply_state(struct store_tx *tx, void *ctx, struct err *err)
{
    const struct state_write *write = ctx;
    return schedule_state_put(tx, write->id, write->state, err);
}

static void start_waiting(struct scheduler *scheduler);

static void source_settled(void *ctx)
{
    struct firing *firing = ctx;
    struct scheduler *scheduler = firing->timer->scheduler;
    scheduler->threads--;
    settled(firing);
    start_waiting(scheduler);
}

/* A run that fails counts as this firing: the next is the next try. */
static void *source_thread(void *ctx)
{
    struct firing *firing = ctx;
    struct scheduler *scheduler = firing->timer->scheduler;
    struct engine *engine = scheduler->engine;
    struct instance *instance = firing->instance;
    struct err err = ERR_INIT;
    size_t size = 0;
    struct json *event = schedule_event(instance->schedule, true, firing->at_ms);
    char *text = json_text(event, &size);
    firing->state.error[0] = '\0';
    fault_point("schedule.before_source");
    int rc = source_run_timer(engine, instance, str_n(text, size), put_state, firing, &err);
    if (rc) {
        char *line = xasprintf("timer: run failed: %s", err.text);
        source_log(engine, instance->id, "error", line);
        log_warn("source %s: %s", instance->id, line);
        free(line);
        (void)snprintf(firing->state.error, sizeof(firing->state.error), "%s", err.text);
        struct state_write write = {instance->id, &firing->state};
        firing->code = store_run(engine->store, apply_state, &write, false, &firing->err);
    }
    free(text);
    json_free(event);
    loop_post(engine->loop, source_settled, firing);
    atomic_fetch_sub(&scheduler->running, 1);
    return NULL;
}

static void start_waiting(struct scheduler *scheduler)
{
    while (scheduler->waiting && scheduler->threads < LIMIT_TIMER_RUNS && !scheduler->is_stopping) {
        struct firing *firing = scheduler->waiting;
        pthread_t thread;
        scheduler->waiting = firing->next;
        if (!scheduler->waiting)
            scheduler->waiting_end = &scheduler->waiting;
        scheduler->threads++;
        atomic_fetch_add(&scheduler->running, 1);
        if (pthread_create(&thread, NULL, source_thread, firing) == 0) {
            pthread_detach(thread);
            continue;
        }
        atomic_fetch_sub(&scheduler->running, 1);
        firing->code = err_set(&firing->err, RN_ENOMEM, "no thread could be started");
        loop_post(scheduler->engine->loop, source_settled, firing);
    }
}

static void run_source(struct timer *timer, const struct schedule_state *state, int64_t at_ms)
{
    struct scheduler *scheduler = timer->scheduler;
    struct firing *firing = firing_new(timer, state);
    firing->at_ms = at_ms;
    firing->state.fired++;
    *scheduler->waiting_end = firing;
    scheduler->waiting_end = &firing->next;
    start_waiting(scheduler);
}

/* ---- deciding */

static bool is_run_live(struct engine *engine, struct instance *instance, uint64_t run_id)
{
    struct store_view *view = NULL;
    struct run_record run;
    struct queue_entry entry;
    bool is_live = false;
    if (!run_id || store_view_begin(engine->store, &view, NULL))
        return false;
    pthread_mutex_lock(&instance->lock);
    if (run_get(STORE_VIEW(view), run_id, &run) == 0)
        is_live = run.phase == RUN_LIVE;
    else if (instance->subscriber_count)
        is_live = queue_get(STORE_VIEW(view), str_from(instance->subscribers[0].workflow), run_id,
                            &entry) == 0;
    pthread_mutex_unlock(&instance->lock);
    store_view_end(view);
    return is_live;
}

static void owe(struct timer *timer, struct schedule_state *state, int64_t at_ms)
{
    if (state->owed_count < LIMIT_SCHEDULE_OWED) {
        state->owed[state->owed_count++] = at_ms;
        return;
    }
    state->skipped++;
    log_warn("schedule %s: %d firings wait for the run before them; this one is left out",
             timer->instance->id, LIMIT_SCHEDULE_OWED);
}

/* `due`, oldest first, has room for one more. */
static void fire_trigger(struct timer *timer, struct schedule_state *state, int64_t *due,
                         size_t count)
{
    enum overlap overlap = timer->instance->schedule->overlap;
    if (overlap == OVERLAP_ALLOW) {
        submit(timer, state, due, count);
        return;
    }
    bool is_live = is_run_live(timer->scheduler->engine, timer->instance, state->run_id);
    if (overlap == OVERLAP_SKIP) {
        size_t fires = !is_live && count ? 1 : 0;
        state->skipped += (int64_t)(count - fires);
        submit(timer, state, due, fires);
        return;
    }
    for (size_t i = 0; i < count; i++)
        owe(timer, state, due[i]);
    if (is_live || state->owed_count == 0) {
        if (count)
            submit(timer, state, NULL, 0);
        else
            arm(timer);
        return;
    }
    due[0] = state->owed[0];
    state->owed_count--;
    memmove(state->owed, state->owed + 1, state->owed_count * sizeof(*state->owed));
    submit(timer, state, due, 1);
}

/* What is due now? [loop thread] */
static void look(void *ctx)
{
    struct timer *timer = ctx;
    const struct schedule *schedule = timer->instance->schedule;
    int64_t now = clock_now_ms();
    timer->alarm = 0;
    if (timer->is_busy || !timer->is_active || timer->scheduler->is_stopping)
        return;
    int64_t *due = xcalloc(LIMIT_SCHEDULE_MISSED + 1, sizeof(*due));
    bool has_dropped = false;
    struct schedule_state state = timer->state;
    size_t count = schedule_due(schedule, timer->instance->id, &state, now, due,
                                LIMIT_SCHEDULE_MISSED, &has_dropped);
    int64_t newest = count ? due[count - 1] : state.last_ms;
    size_t chosen = schedule_choose(schedule, now, due, count);
    if (count > chosen || has_dropped)
        log_info("schedule %s: %s%zu firings were missed and are left out", timer->instance->id,
                 has_dropped ? "more than " : "", count - chosen);
    state.skipped += (int64_t)(count - chosen);
    state.last_ms = newest;
    if (count == 0 && state.owed_count == 0) {
        arm(timer);
    } else if (timer->instance->is_native) {
        fire_trigger(timer, &state, due, chosen);
    } else if (chosen == 0) {
        submit(timer, &state, NULL, 0);
    } else {
        state.last_ms = chosen > 1 ? due[0] : newest; /* one run at a time */
        run_source(timer, &state, due[0]);
    }
    free(due);
}

/* ---- which schedules there are */

struct wanted_list {
    struct scheduler *scheduler;
    struct instance **list; /* references */
    size_t count;
};

static struct timer *find(struct scheduler *scheduler, const char *id)
{
    struct timer *timer = scheduler->timers;
    while (timer && strcmp(timer->instance->id, id) != 0)
        timer = timer->next;
    return timer;
}

static enum instance_state state_of(struct instance *instance)
{
    pthread_mutex_lock(&instance->lock);
    enum instance_state state = instance->state;
    pthread_mutex_unlock(&instance->lock);
    return state;
}

/* Goes on where it was, or begins anew if its schedule is another one or it was paused. */
static void consider(struct timer *timer)
{
    const struct schedule *schedule = timer->instance->schedule;
    enum instance_state state = state_of(timer->instance);
    char config[SCHEDULE_CONFIG_MAX];
    timer->is_active = state == INSTANCE_ACTIVE;
    if (timer->is_busy) /* settled() comes back here */
        return;
    schedule_config_text(schedule, config);
    struct schedule_state next = timer->state;
    bool is_other = strcmp(config, next.config) != 0;
    if (is_other || (next.is_paused && timer->is_active)) {
        schedule_state_begin(&next, schedule, clock_now_ms());
        next.fired = timer->state.fired;
        next.skipped = timer->state.skipped;
        next.run_id = timer->state.run_id;
    }
    if (schedule->overlap != OVERLAP_QUEUE)
        next.owed_count = 0;
    next.is_paused = state == INSTANCE_INACTIVE;
    bool is_to_be_kept = is_other || next.is_paused != timer->state.is_paused;
    timer->state = next;
    if (is_to_be_kept && !timer->scheduler->is_stopping)
        submit(timer, &next, NULL, 0);
    else
        arm(timer);
}

static void take_up(struct scheduler *scheduler, struct instance *instance)
{
    struct timer *timer = find(scheduler, instance->id);
    if (!timer) {
        timer = xcalloc(1, sizeof(*timer));
        timer->scheduler = scheduler;
        timer->next_ms = INT64_MAX;
        timer->next = scheduler->timers;
        scheduler->timers = timer;
        if (!schedule_state_load(scheduler->engine, instance->id, &timer->state))
            timer->state.config[0] = '\0';
    }
    struct instance *old = timer->instance;
    timer->instance = source_instance_ref(instance);
    source_instance_unref(old);
    consider(timer);
}

static void drop_others(struct scheduler *scheduler, const struct wanted_list *wanted)
{
    for (struct timer **at = &scheduler->timers; *at;) {
        struct timer *timer = *at;
        bool is_wanted = false;
        for (size_t i = 0; i < wanted->count && !is_wanted; i++)
            is_wanted = strcmp(wanted->list[i]->id, timer->instance->id) == 0;
        if (is_wanted) {
            at = &timer->next;
            continue;
        }
        *at = timer->next;
        disarm(timer);
        timer->is_active = false;
        timer->is_gone = true;
        if (!timer->is_busy)
            timer_free(timer);
    }
}

static void reconcile(void *ctx)
{
    struct wanted_list *wanted = ctx;
    drop_others(wanted->scheduler, wanted);
    for (size_t i = 0; i < wanted->count; i++) {
        take_up(wanted->scheduler, wanted->list[i]);
        source_instance_unref(wanted->list[i]);
    }
    free(wanted->list);
    free(wanted);
}

void scheduler_set(struct engine *engine)
{
    struct wanted_list *wanted = xcalloc(1, sizeof(*wanted));
    wanted->scheduler = engine->scheduler;
    pthread_rwlock_rdlock(&engine->instances_lock);
    wanted->list = xcalloc(engine->instances.count + 1, sizeof(struct instance *));
    size_t at = 0;
    for (const struct map_entry *e; (e = map_next(&engine->instances, &at));)
        if (((struct instance *)e->value)->schedule)
            wanted->list[wanted->count++] = source_instance_ref(e->value);
    pthread_rwlock_unlock(&engine->instances_lock);
    loop_post(engine->loop, reconcile, wanted);
}

void scheduler_stop(struct scheduler *scheduler)
{
    scheduler->is_stopping = true;
    for (struct timer *timer = scheduler->timers; timer; timer = timer->next)
        disarm(timer);
}

/* ---- looking, and firing by hand */

struct report {
    struct scheduler *scheduler;
    struct json *list;
    size_t upcoming;
};

static void add_moments(const struct timer *timer, size_t upcoming, struct json *item)
{
    const struct schedule *schedule = timer->instance->schedule;
    struct json *next = json_set(item, "next", json_new_array());
    int64_t at = timer->state.last_ms;
    char text[WALL_TEXT_MAX];
    for (size_t i = 0; i < upcoming && timer->is_active; i++) {
        at = schedule_next(schedule, timer->state.anchor_ms, at);
        if (at == INT64_MAX)
            return;
        schedule_format(schedule, at, text);
        (void)json_append(next, json_new_string_c(text));
    }
}

static void fill_report(void *ctx)
{
    struct report *report = ctx;
    for (const struct timer *t = report->scheduler->timers; t; t = t->next) {
        struct json *item = json_append(report->list, json_new_object());
        char text[WALL_TEXT_MAX], run[ID_TEXT_MAX];
        json_set_string(item, "id", t->instance->id);
        json_set_string(item, "kind", t->instance->is_native ? "schedule" : "timer");
        json_set_string(item, "schedule", t->state.config);
        json_set_boolean(item, "active", t->is_active);
        json_set_integer(item, "fired", t->state.fired);
        json_set_integer(item, "skipped", t->state.skipped);
        json_set_integer(item, "waiting", (int64_t)t->state.owed_count);
        if (t->state.fired) {
            schedule_format(t->instance->schedule, t->state.last_ms, text);
            json_set_string(item, "last", text);
        }
        if (t->state.run_id) {
            id_format("run", t->state.run_id, run);
            json_set_string(item, "run", run);
        }
        if (t->state.error[0])
            json_set_string(item, "error", t->state.error);
        add_moments(t, report->upcoming, item);
    }
}

struct json *engine_schedules(struct engine *engine, size_t upcoming)
{
    struct report report = {engine->scheduler, json_new_array(), upcoming};
    loop_call(engine->loop, fill_report, &report);
    return report.list;
}

struct by_hand {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool is_done;
    int code;
    struct err err;
};

static void by_hand_done(struct acceptance *acceptance, int code, const struct err *err)
{
    struct by_hand *hand = acceptance->ctx;
    pthread_mutex_lock(&hand->lock);
    hand->code = code;
    if (code)
        hand->err = *err;
    hand->is_done = true;
    pthread_cond_signal(&hand->cond);
    pthread_mutex_unlock(&hand->lock);
}

static int fire_by_hand(struct engine *engine, struct instance *instance, struct json *ret,
                        struct err *err)
{
    struct by_hand hand = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    size_t size = 0;
    struct json *event = schedule_event(instance->schedule, false, clock_now_ms());
    char *text = json_text(event, &size);
    struct emit emit = {.summary = STR("fired by hand"), .event = str_n(text, size)};
    struct acceptance acceptance = {.engine = engine,
                                    .instance = instance,
                                    .emits = &emit,
                                    .emit_count = 1,
                                    .done = by_hand_done,
                                    .ctx = &hand};
    int rc = acceptance_submit(&acceptance);
    pthread_mutex_lock(&hand.lock);
    while (rc == 0 && !hand.is_done)
        pthread_cond_wait(&hand.cond, &hand.lock);
    pthread_mutex_unlock(&hand.lock);
    if (rc == 0 && hand.code)
        rc = err_set(err, hand.code, "%s", hand.err.text);
    else if (rc)
        (void)err_set(err, rc, "%s", err_sentence(rc));
    char run[ID_TEXT_MAX];
    if (rc == 0 && acceptance.run_id) {
        id_format("run", acceptance.run_id, run);
        json_set_string(ret, "run", run);
    }
    free(text);
    json_free(event);
    return rc;
}

int engine_fire(struct engine *engine, const char *id, struct json **ret, struct err *err)
{
    struct instance *instance = instance_by_id(engine, id);
    if (!instance)
        return err_set(err, RN_ENOTFOUND,
                       "there is no \"%s\" (`runnel schedule` lists what can be fired)", id);
    struct json *result = json_new_object();
    int rc = 0;
    json_set_string(result, "id", id);
    if (!instance->schedule)
        rc = err_set(err, RN_EINVAL, "%s has no timer: it is called, not fired", id);
    else if (state_of(instance) != INSTANCE_ACTIVE)
        rc = err_set(err, RN_EPERM, "%s is not active", id);
    else if (instance->is_native)
        rc = fire_by_hand(engine, instance, result, err);
    else {
        char event[64];
        int n = snprintf(event, sizeof(event), "{\"timestamp\":%lld}",
                         (long long)(clock_now_ms() / 1000));
        rc = source_run_timer(engine, instance, str_n(event, (size_t)n), NULL, NULL, err);
    }
    source_instance_unref(instance);
    if (rc)
        json_free(result);
    else
        *ret = result;
    return rc;
}
