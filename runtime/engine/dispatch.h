/* The dispatcher's insides, shared by dispatch.c, lanes.c and throttle.c. Thread: the loop's. */
#ifndef RUNNEL_ENGINE_DISPATCH_H
#define RUNNEL_ENGINE_DISPATCH_H

#include "engine/run.h"

/* A lane: the entries of a queue that have one value of the concurrency key. */
struct lane_entry {
    struct lane_entry *next;
    uint64_t run_id;
};

struct lane {
    size_t active; /* runs that hold a place */
    struct lane_entry *first, **end;
};

/* A workflow's place here; it stays when its file goes, as long as runs of it are live. */
struct slot {
    struct dispatcher *d;
    char *id;
    const struct workflow *workflow; /* NULL: gone, broken or inactive: its queue waits */
    size_t active;
    uint64_t cursor;
    bool has_more;    /* its queue may have entries behind the cursor */
    struct map lanes; /* key → struct lane */
    size_t waiting;   /* entries in lanes */
    bool is_dispatching;
    bool is_resolving;    /* a key is being resolved in the expression host */
    uint64_t lanes_epoch; /* grows when lanes are forgotten: a key that comes back is too late */
    /* throttle */
    bool has_window;   /* the counters below were read from the store after the start */
    int64_t window_ms; /* when the window began */
    int64_t begun;     /* runs in it */
    int64_t next_ms;   /* spaced: when the next may begin */
    uint64_t timer;
};

struct dispatcher {
    struct engine *engine;
    struct project *project; /* a reference: what slots point into */
    struct map slots;        /* id → struct slot */
    struct run *runs;        /* in memory */
    struct map parked;       /* run id (8 bytes) → struct parked */
    /* Run ids that were cancelled before they began, until the commit that takes them out of their
     * queue: they are not to be taken from there meanwhile. */
    struct map taken_back;
    size_t active;
    size_t calls;
    bool is_stopping;
    bool is_over;              /* see dispatcher_end() */
    bool will_trim;            /* a timer looks whether nothing runs any more */
    bool is_bringing_back;     /* a parked run is loaded because somebody asked for it */
    bool was_stopped_by_limit; /* LIMIT_ACTIVE_RUNS was met: try the others when one ends */
    struct ended_waiter *waiters;
    pthread_mutex_t wake_lock; /* guards woken, is_posted */
    struct map woken;          /* workflow ids */
    bool is_posted;
};

void dispatch(struct slot *slot);
bool dispatcher_took_back(const struct dispatcher *d, uint64_t run_id);
struct run *run_of_entry(struct slot *slot, struct store_view *view,
                         const struct queue_entry *entry);
void begin_run(struct slot *slot, struct run *run);

/* ---- lanes.c */
struct lane *lane_of(struct slot *slot, const char *key);
void lane_left(struct slot *slot, const char *key); /* a run gave its place up */
void lanes_dispatch(struct slot *slot);
/* A run of the lane is not in memory any more: what may begin now? */
void lanes_run_left(struct slot *slot, const char *key);
void lanes_forget(struct slot *slot); /* what was read ahead */
void lanes_release(struct slot *slot);

/* ---- throttle.c */
/* How many of `wanted` runs may begin now; sets a timer for the rest. */
size_t throttle_allows(struct slot *slot, size_t wanted);
void throttle_count(struct slot *slot, size_t begun);

#endif
