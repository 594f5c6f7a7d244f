/* One small plugin, wrong in one way: which one is said by CASE_… on the compiler's command line
 * (CMakeLists.txt). */
#include <runnel/component.h>

static const struct rn_prop definitions[] = {
    {.name = "list", .type = RN_STRING},
    {.name = "loop", .definition = "loop"},
};

static const struct rn_app app = {
    .slug = "misuse",
    .name = "Misuse",
    .prop_definitions = definitions,
#ifdef CASE_DEFINITION_LOOP
    .prop_definition_count = 2,
#else
    .prop_definition_count = 1,
#endif
};

static const struct rn_app stranger = {.slug = "stranger", .name = "Stranger"};

static int32_t run(struct rn_run *r)
{
    return rn_return(r, rn_json_integer(r, 1));
}

#if defined(CASE_UNKNOWN_INPUT) || defined(CASE_ENDLESS_INPUTS)
static int32_t options(struct rn_run *r, const struct rn_options_query *query)
{
    (void)query;
    return rn_option(r, NULL, rn_json_string(r, "one"));
}
#endif

#ifdef CASE_UNKNOWN_INPUT
static const struct rn_input inputs[] = {{"board", "bord"}, {NULL, NULL}};
#endif

static const struct rn_prop props[] = {
    {.name = "misuse", .type = RN_APP, .app = &app},
#if defined(CASE_NO_PROP_NAME)
    {.type = RN_STRING},
#elif defined(CASE_BAD_PROP_NAME)
    {.name = "a-b", .type = RN_STRING},
#elif defined(CASE_DUPLICATE_PROP)
    {.name = "misuse", .type = RN_STRING},
#elif defined(CASE_NO_TYPE)
    {.name = "a"},
#elif defined(CASE_UNKNOWN_TYPE)
    {.name = "a", .type = 99},
#elif defined(CASE_SOURCE_ONLY_TYPE)
    {.name = "db", .type = RN_DB_SERVICE},
#elif defined(CASE_LIST_OF_OBJECTS)
    {.name = "a", .type = RN_OBJECT | RN_LIST},
#elif defined(CASE_DEFAULT_NO_JSON)
    {.name = "a", .type = RN_STRING, .default_json = "hello"},
#elif defined(CASE_DEFAULT_WRONG_TYPE)
    {.name = "a", .type = RN_INTEGER | RN_LIST, .default_json = "[1,\"2\"]"},
#elif defined(CASE_DEFAULT_OUT_OF_RANGE)
    {.name = "a", .type = RN_INTEGER, .flags = RN_HAS_MAX, .max = 5, .default_json = "6"},
#elif defined(CASE_OPTIONS_NO_LIST)
    {.name = "a", .type = RN_STRING, .options_json = "{}"},
#elif defined(CASE_OPTION_WRONG_TYPE)
    {.name = "a", .type = RN_STRING, .options_json = "[\"x\",{\"label\":\"y\",\"value\":1}]"},
#elif defined(CASE_NO_DEFINITION)
    {.name = "a", .definition_of = "misuse", .definition = "lists"},
#elif defined(CASE_DEFINITION_OF_NO_APP)
    {.name = "a", .type = RN_STRING},
    {.name = "b", .definition_of = "a", .definition = "list"},
#elif defined(CASE_DEFINITION_OF_NOTHING)
    {.name = "a", .definition_of = "other", .definition = "list"},
#elif defined(CASE_UNKNOWN_INPUT)
    {.name = "a", .type = RN_STRING, .options = options, .inputs = inputs},
#elif defined(CASE_STRANGE_APP)
    {.name = "a", .type = RN_APP, .app = &stranger},
#elif defined(CASE_APP_WITHOUT_APP)
    {.name = "a", .type = RN_APP},
#elif defined(CASE_SECRET_NUMBER)
    {.name = "a", .type = RN_INTEGER, .flags = RN_SECRET},
#elif defined(CASE_UNKNOWN_FLAG)
    {.name = "a", .type = RN_STRING, .flags = 1u << 30},
#elif defined(CASE_RELOAD_WITHOUT)
    {.name = "a", .type = RN_STRING, .flags = RN_RELOAD_PROPS},
#elif defined(CASE_ALERT_WITHOUT_CONTENT)
    {.name = "a", .type = RN_ALERT},
#else
    {.name = "a", .type = RN_STRING},
#endif
};

static const struct rn_component one = {
#ifdef CASE_FOREIGN_KEY
    .key = "other-one",
#else
    .key = "misuse-one",
#endif
    .name = "One",
#ifdef CASE_BAD_VERSION
    .version = "1.0",
#else
    .version = "0.0.1",
#endif
#ifdef CASE_UNKNOWN_COMPONENT_TYPE
    .type = 7,
#else
    .type = RN_ACTION,
#endif
    .props = props,
#ifdef CASE_PROP_COUNT
    .prop_count = 5000,
#else
    .prop_count = RN_COUNT(props),
#endif
#ifdef CASE_ACTION_WITH_HOOK
    .deploy = run,
#endif
#ifndef CASE_NULL_RUN
    .run = run,
#endif
};

static const struct rn_app *const apps[] = {&app};
static const struct rn_component *const components[] = {
    &one,
#if defined(CASE_DUPLICATE_KEY)
    &one,
#elif defined(CASE_NULL_COMPONENT)
    NULL,
#endif
};

#ifdef CASE_NO_SYMBOL
#define runnel_plugin another_name
RN_EXPORT extern const struct rn_plugin another_name;
#endif

RN_EXPORT const struct rn_plugin runnel_plugin = {
#if defined(CASE_OLD_MAJOR)
    0,
    9,
    sizeof(struct rn_plugin),
    sizeof(struct rn_component),
    sizeof(struct rn_app),
    sizeof(struct rn_prop),
#elif defined(CASE_NEWER_MINOR)
    RN_ABI_MAJOR,
    99,
    sizeof(struct rn_plugin),
    sizeof(struct rn_component),
    sizeof(struct rn_app),
    sizeof(struct rn_prop),
#elif defined(CASE_SHORT_STRUCT)
    RN_ABI_MAJOR,
    RN_ABI_MINOR,
    sizeof(struct rn_plugin),
    sizeof(struct rn_component),
    sizeof(struct rn_app),
    16,
#else
    RN_PLUGIN_HEAD,
#endif
    .name = "misuse",
    .version = "0.0.1",
    .apps = apps,
    .app_count = RN_COUNT(apps),
#ifndef CASE_NULL_TABLE
    .components = components,
#endif
    .component_count = RN_COUNT(components),
};

/* Not CASE_STRANGE_APP: still used, so that the compiler is content. */
RN_EXPORT extern const struct rn_app *const misuse_unused;
const struct rn_app *const misuse_unused = &stranger;

#if defined(CASE_CRASHING_CONSTRUCTOR)
__attribute__((constructor)) static void crash(void)
{
    *(volatile int *)8 = 1;
}
#elif defined(CASE_HANGING_CONSTRUCTOR)
extern int pause(void);
__attribute__((constructor)) static void hang(void)
{
    for (;;)
        (void)pause();
}
#elif defined(CASE_EXITING_CONSTRUCTOR)
extern void _exit(int);
__attribute__((constructor)) static void leave(void)
{
    _exit(3);
}
#endif
