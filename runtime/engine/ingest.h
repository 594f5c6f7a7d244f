/* What ingest.c and http_ingest.c share. Private to the engine. */
#ifndef RUNNEL_ENGINE_INGEST_H
#define RUNNEL_ENGINE_INGEST_H

#include "engine/internal.h"

void ingest_answer_error(struct http_response *response, int status, const char *word,
                         const char *text);
/* Which status says what went wrong: 4xx only where sending the same request again cannot help. */
int ingest_status_of(int code);
void ingest_answer_accepted(struct http_response *response);

/* ---- http_ingest.c: a request to a native HTTP trigger */
void ingest_native(struct engine *engine, struct instance *instance, struct str path,
                   const struct http_request *request, struct http_response *response);

/* ---- http_event.c: what it becomes in steps.trigger.event */
/* Appends the event's JSON. *ret_raw: the body as it came, where the event holds it so a view into
 * `out`, good until that changes. RN_EINVAL, RN_ETOOBIG. `hides_token`: the Authorization header's
 * value is the workflow's secret. */
int http_event_write(struct buf *out, struct str path, const struct http_request *request,
                     bool hides_token, struct str *ret_raw, struct err *err) MUST_USE;
/* Appends `,"url":…,"headers":{…}`. */
void http_event_add_place(struct buf *out, const struct http_request *request, bool hides_token);
/* Adds name=value to an object: a second value makes a list. For http_form_parse(). */
void http_event_add_pair(void *object, struct str name, struct str value);

#endif
