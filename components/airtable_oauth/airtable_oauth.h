/* What the files of the Airtable plugin share. */
#ifndef AIRTABLE_OAUTH_AIRTABLE_OAUTH_H
#define AIRTABLE_OAUTH_AIRTABLE_OAUTH_H

#include <runnel/component.h>

/* The name of the app's prop in every component, and the account's name in test(). */
#define AIRTABLE_PROP "airtable"

extern const struct rn_app airtable_oauth_app;
extern const struct rn_component airtable_create_multiple_records;

/* One request to https://api.airtable.com/v0<path>. Over the limit of five requests a second
 * Airtable refuses everything for 30 seconds and does not say so in a header: that is waited for
 * once, while the deadline allows, then RN_ERATE. */
int32_t airtable_request(struct rn_run *run, const char *path, struct rn_http_request *request,
                         const struct rn_http_response **ret);

#endif
