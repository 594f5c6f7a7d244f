/* Private to the engine: what deploy.c gives to the files that deploy other things than sources.
 * All under deploy_lock. */
#ifndef RUNNEL_ENGINE_DEPLOY_H
#define RUNNEL_ENGINE_DEPLOY_H

#include "engine/internal.h"

#define DEPLOY_KEY_LENGTH 20 /* 100 bits: nobody guesses an endpoint */

/* Writes the instance's record; its props are sealed. */
int deploy_keep_record(struct engine *engine, struct instance *instance, struct err *err) MUST_USE;
void deploy_set_state(struct instance *instance, enum instance_state state, const char *error);
/* Puts the instance into the maps, in the place of one with the same id. Takes a reference of its
 * own. */
void deploy_publish(struct engine *engine, struct instance *instance);
/* {{process.env}} and the like filled in. */
int deploy_resolve(struct engine *engine, const struct project *project, const struct json *env,
                   const struct expr_template *template, struct json **ret,
                   struct err *err) MUST_USE;

/* ---- native.c: triggers of a workflow that have no component */
/* Number of triggers that could not be deployed. */
int native_deploy_all(struct engine *engine, const struct project *project);
bool native_is_wanted(const struct project *project, const char *id);
/* Reads what instance->props say into the instance. */
int native_configure(struct instance *instance, struct err *err) MUST_USE;

#endif
