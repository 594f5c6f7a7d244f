/* A plugin whose tables are right and whose functions are not: each action harms its process in one
 * way. */
#include <stdlib.h>

#include <runnel/component.h>

static int32_t good(struct rn_run *run)
{
    return rn_return(run, rn_json_string(run, "good"));
}

static int32_t crash(struct rn_run *run)
{
    (void)run;
    *(volatile int *)8 = 1;
    return 0;
}

/* Never looks at rn_is_cancelled(). */
static int32_t spin(struct rn_run *run)
{
    (void)run;
    volatile unsigned turns = 0;
    for (;;)
        turns++;
    return 0;
}

/* Waits as it should: the cancellation ends it. */
static int32_t wait_long(struct rn_run *run)
{
    while (!rn_is_cancelled(run))
        if (rn_sleep_ms(run, 10))
            break;
    return rn_fail(run, RN_ECANCELED, "asked to stop");
}

static int32_t eat(struct rn_run *run)
{
    (void)run;
    for (;;) {
        char *bytes = malloc((size_t)1 << 20);
        if (!bytes)
            abort();
        for (size_t i = 0; i < (size_t)1 << 20; i += 4096)
            ((volatile char *)bytes)[i] = 1;
    }
    return 0;
}

static int32_t odd_code(struct rn_run *run)
{
    (void)run;
    return 42;
}

/* Values that already have a parent, NULLs, wrong kinds: refused, and nothing is freed twice. */
static int32_t misuse_json(struct rn_run *run)
{
    struct rn_json *list = rn_json_array(run), *object = rn_json_object(run);
    struct rn_json *shared = rn_json_string(run, "shared");
    if (rn_json_append(run, list, shared) || !rn_json_append(run, list, shared))
        return rn_fail(run, RN_EFAILED, "a value got two parents");
    if (!rn_json_set(run, object, "x", shared) || !rn_json_set(run, object, "self", object))
        return rn_fail(run, RN_EFAILED, "a value got two parents, or itself");
    if (!rn_json_append(run, object, rn_json_null(run)) ||
        !rn_json_set(run, list, "a", rn_json_null(run)))
        return rn_fail(run, RN_EFAILED, "the kinds were mixed up");
    if (!rn_emit(run, list, NULL) || !rn_db_set(run, "a", list) || !rn_export(run, "$mine", list))
        return rn_fail(run, RN_EFAILED, "an action did what only sources do");
    return rn_return(run, list);
}

#define ACTION(name_, run_)                                                                        \
    static const struct rn_component name_##_component = {                                         \
        .key = "bad_run-" #name_,                                                                  \
        .name = #name_,                                                                            \
        .version = "0.0.1",                                                                        \
        .type = RN_ACTION,                                                                         \
        .run = run_,                                                                               \
    }

ACTION(good, good);
ACTION(crash, crash);
ACTION(spin, spin);
ACTION(wait, wait_long);
ACTION(eat, eat);
ACTION(odd, odd_code);
ACTION(json, misuse_json);

static const struct rn_component *const components[] = {
    &good_component, &crash_component, &spin_component, &wait_component,
    &eat_component,  &odd_component,   &json_component,
};

RN_EXPORT const struct rn_plugin runnel_plugin = {
    RN_PLUGIN_HEAD,
    .name = "bad_run",
    .version = "0.0.1",
    .components = components,
    .component_count = RN_COUNT(components),
};
