/* The filter plugin: going on or ending the workflow by a condition. */
#include "filter.h"

#define OPTION(value_, label_) "{\"value\":\"" value_ "\",\"label\":\"" label_ "\"}"

/* clang-format off */
static const char conditions[] = "["
    OPTION("CONTAINS", "[Text] Contains") ","
    OPTION("NOT_CONTAINS", "[Text] Does not contain") ","
    OPTION("TEXT_EQUALS", "[Text] Matches exactly") ","
    OPTION("TEXT_NOT_EQUALS", "[Text] Does not match exactly") ","
    OPTION("STARTS_WITH", "[Text] Starts with") ","
    OPTION("NOT_STARTS_WITH", "[Text] Does not start with") ","
    OPTION("ENDS_WITH", "[Text] Ends with") ","
    OPTION("NOT_ENDS_WITH", "[Text] Does not end with") ","
    OPTION("GREATER_THAN", "[Number] Greater than") ","
    OPTION("GREATER_THAN_EQUALS", "[Number] Greater than or equal to") ","
    OPTION("LESS_THAN", "[Number] Less than") ","
    OPTION("LESS_THAN_EQUALS", "[Number] Less than or equal to") ","
    OPTION("EQUALS", "[Number] Equals") ","
    OPTION("IN_ARRAY", "[List] Is in the list") ","
    OPTION("NOT_IN_ARRAY", "[List] Is not in the list") ","
    OPTION("KEY_EXISTS", "[Object] Is a key of the object") ","
    OPTION("KEY_NOT_EXISTS", "[Object] Is no key of the object") ","
    OPTION("TRUE", "[Boolean] Is true") ","
    OPTION("FALSE", "[Boolean] Is false") ","
    OPTION("IS_NULL", "[Null] Is null or undefined") ","
    OPTION("NOT_NULL", "[Null] Is neither null nor undefined") "]";
/* clang-format on */

/* ---- what all three do */

static int32_t go_on(struct rn_run *run, const char *why)
{
    const char *reason = rn_prop_string(run, "messageOnContinue");
    return rn_summary(run, RN_TEXT(run, "Workflow continued. ", reason ? reason : why));
}

static int32_t end(struct rn_run *run, const char *why)
{
    const char *reason = rn_prop_string(run, "messageOnEnd");
    if (!reason)
        reason = why;
    int32_t err = rn_summary(run, RN_TEXT(run, "Workflow ended. ", reason));
    return err ? err : rn_flow_exit(run, reason);
}

static int32_t decide(struct rn_run *run, bool ends_when)
{
    bool holds = false;
    int32_t err = filter_check(run, &holds);
    if (err)
        return err;
    const char *why = RN_TEXT(run, "The condition ", rn_prop_string(run, "condition"),
                              holds ? " is met" : " is not met");
    err = rn_return(run, rn_json_boolean(run, holds));
    if (err)
        return err;
    return holds == ends_when ? end(run, why) : go_on(run, why);
}

static int32_t run_continue(struct rn_run *run)
{
    return decide(run, false);
}

static int32_t run_exit(struct rn_run *run)
{
    return decide(run, true);
}

static int32_t run_custom(struct rn_run *run)
{
    bool holds = rn_prop_boolean(run, "condition");
    int32_t err = rn_return(run, rn_json_boolean(run, holds));
    if (err)
        return err;
    return holds ? end(run, "The condition is true") : go_on(run, "The condition is false");
}

/* ---- tables */

#define MESSAGES                                                                                   \
    {.name = "messageOnContinue",                                                                  \
     .type = RN_STRING,                                                                            \
     .flags = RN_OPTIONAL,                                                                         \
     .label = "Reason for continuing",                                                             \
     .description = "Shown on the step when the workflow goes on"},                                \
    {                                                                                              \
        .name = "messageOnEnd", .type = RN_STRING, .flags = RN_OPTIONAL,                           \
        .label = "Reason for ending",                                                              \
        .description = "Shown on the step and on the run when the workflow ends here"              \
    }

static const struct rn_prop condition_props[] = {
    {.name = "initialValue",
     .type = RN_ANY,
     .flags = RN_OPTIONAL,
     .label = "Initial value",
     .description =
         "The value that is looked at; for KEY_EXISTS the key. Undefined counts as null"},
    {.name = "condition",
     .type = RN_STRING,
     .label = "Condition",
     .description = "What is to hold",
     .options_json = conditions},
    {.name = "secondValue",
     .type = RN_ANY,
     .flags = RN_OPTIONAL,
     .label = "Second value",
     .description = "What the first is compared with: a text, a number, a list, an object. Not for "
                    "TRUE, FALSE, IS_NULL, NOT_NULL"},
    {.name = "caseSensitive",
     .type = RN_BOOLEAN,
     .flags = RN_OPTIONAL,
     .label = "Case sensitive",
     .description = "Whether texts that differ in case (of ASCII letters) differ",
     .default_json = "false"},
    MESSAGES,
};

static const struct rn_prop custom_props[] = {
    {.name = "condition",
     .type = RN_BOOLEAN,
     .label = "Condition",
     .description = "An expression, as `{{2 * 2 === 4}}`: if it is true, the workflow ends"},
    MESSAGES,
};

const struct rn_component filter_continue_based_on_condition = {
    .key = "filter-continue-based-on-condition",
    .name = "Continue Workflow on Condition",
    .version = "0.0.2",
    .description = "Goes on with the workflow if a condition is met, and ends it if not",
    .type = RN_ACTION,
    .annotations = RN_READ_ONLY,
    .props = condition_props,
    .prop_count = RN_COUNT(condition_props),
    .run = run_continue,
};

const struct rn_component filter_exit_based_on_condition = {
    .key = "filter-exit-based-on-condition",
    .name = "Exit Workflow on Condition",
    .version = "0.0.2",
    .description = "Ends the workflow if a condition is met, and goes on if not",
    .type = RN_ACTION,
    .annotations = RN_READ_ONLY,
    .props = condition_props,
    .prop_count = RN_COUNT(condition_props),
    .run = run_exit,
};

const struct rn_component filter_exit_based_on_custom_condition = {
    .key = "filter-exit-based-on-custom-condition",
    .name = "Exit Workflow on Custom Condition",
    .version = "0.0.2",
    .description = "Ends the workflow if an expression of your own is true, and goes on if not",
    .type = RN_ACTION,
    .annotations = RN_READ_ONLY,
    .props = custom_props,
    .prop_count = RN_COUNT(custom_props),
    .run = run_custom,
};

static const struct rn_app filter_app = {
    .slug = "filter",
    .name = "Filter",
    .description = "Ends a workflow, or goes on with it, by a condition.",
};

static const struct rn_app *const apps[] = {&filter_app};
static const struct rn_component *const components[] = {
    &filter_continue_based_on_condition,
    &filter_exit_based_on_condition,
    &filter_exit_based_on_custom_condition,
};

const struct rn_plugin runnel_plugin = {
    RN_PLUGIN_HEAD,
    .name = "filter",
    .version = "0.0.2",
    .apps = apps,
    .app_count = RN_COUNT(apps),
    .component_count = RN_COUNT(components),
    .components = components,
};
