/* What the runtime and a plugin host say to each other (ipc/frame.h carries it).
 *
 * CALL {"op":…, "timeout_ms":N, …}; its sections are in [ ]:
 *   source_run        component, instance, version, ["snapshot":i], and either
 *                     "request":{method, path, query, headers:{}, url, client_ip}
 *                     [0: the body, byte for byte], or "event":i [the event's JSON]
 *   hook              "hook":"deploy"|"activate"|"deactivate", component, instance, version,
 *                     ["snapshot":i]
 *   action_run        component, run, step, attempt, idempotency_key, auth, runs, "resume_url":
 *                     the base of <base>/resume and <base>/cancel, "rerun":{context?, callback?}?
 *                     "files":{"dir":the run's folder, "limit":bytes}, with a dir prop
 *                     [0: props, an object]
 *   options           component, prop, page, query, "context":…, auth [0: props so far]
 *   additional_props  component, "previous":[…], auth [0: props so far]
 *   test              app, auth
 *
 *   auth: {"<app prop>": {"<field>": "value", …}}. For `test`, the app prop is the app's
 *   account_prop or slug.
 *   snapshot (of a source instance, sent when the host has not got `version`): section i is
 *     {"props":{…}, "auth":{…}, "endpoints":{"<http prop>":"url"}, "db":{key:value}}
 *   A host that does not know instance@version answers RN_ECONFLICT; the runtime sends the call
 *   again with a snapshot. `query` in `request` is the raw query string; header names are in lower
 *   case.
 *
 * RESULT on success {"ok":true, …} with
 *   source_run, hook  "writes":[{"key":…,"section":i} | {"key":…,"delete":true}] [JSON values]
 *                     "emits":[{"id"?,"name"?,"summary"?,"ts"?,"section":i |
 *                     "body":[offset, bytes] of the request's}], in the order of delivery (sorted
 *                     by ts, stable)
 *                     "response":{"status":N,"headers":[[name,value],…],"section":i}, if
 *                     rn_respond() was called
 *   action_run        "exports":0 [0: an object], "exit":{"reason":…}?, "respond":{"status":N,
 *                     "headers":{}, "body":"text" or {"$base64":…}?, "immediate":bool}?
 *                     "flow":{"kind":"delay"|"suspend"|"rerun", "ms":N, "max":N?, "context":…?}?
 *                     "files":{"count","bytes"}?: what the run's folder holds, if anything
 *   options           "options":[{"label","value"}], "context":…?
 *   additional_props  "props":[described props]
 * on failure {"error":{"code":"RN_E…","text":…,"retry_after_ms":N?,"status":N?}}; exports made
 * before the failure are kept ("exports").
 *
 * ASK (ipc/frame.h) during an action_run or code_run: of the data stores that the step's props name
 * ({"store":NAME}; "storeId" is taken, too). Values are JSON text in sections.
 *   {"op":"store_get", store, key}                  "found", "expires_ms"? [0: the value, if found]
 *   {"op":"store_has", store, key}                  "found"
 *   {"op":"store_keys", store, "after"?, "prefix"?, "limit"?}  "more" [0: [key, …], in the keys' order]
 *   {"op":"store_items", store, "after"?, "prefix"?, "limit"?} "more" [0: [[key, value], …]]
 *   {"op":"store_set", store, key, "ttl_ms"?} [0: the value]; without ttl_ms it never expires
 *   {"op":"store_set_ttl", store, key, "ttl_ms"}    "found"; 0: it never expires
 *   {"op":"store_delete", store, key}               "found"
 *   {"op":"store_clear", store}                     "count"
 *   {"op":"store_increment", store, key, "by"?}     "value": the new one; an absent record is 0
 *   {"op":"store_compare_and_set", store, key, "ttl_ms"?, "expected":i?, "value":i?} [JSON values]:
 *     sets the record to section `value` (absent: deletes it) if it equals section `expected` (absent:
 *     if it is not there). "swapped", "found" [0: what is there now, if anything]
 *   ANSWER: {"ok":true, …} or {"error":{"code":"RN_E…","text"}}. What was written is on disk before the
 *   answer, and seen by every run after it. A page of keys or items ends at 1,000 or 4 MiB; "more":
 *   ask again with the last key as "after".
 *
 * Environment of the host: RUNNEL_EGRESS (egress_to_json), RUNNEL_MEMORY_LIMIT.
 */
#ifndef RUNNEL_PLUGIN_PROTOCOL_H
#define RUNNEL_PLUGIN_PROTOCOL_H

#define PLUGIN_ENV_EGRESS "RUNNEL_EGRESS"

#endif
