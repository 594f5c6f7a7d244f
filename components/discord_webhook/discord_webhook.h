/* What the files of the Discord webhook plugin share. */
#ifndef DISCORD_WEBHOOK_DISCORD_WEBHOOK_H
#define DISCORD_WEBHOOK_DISCORD_WEBHOOK_H

#include <runnel/component.h>

/* The name of the app's prop in every component, and the account's name in test(). */
#define DISCORD_PROP "discordWebhook"

extern const struct rn_app discord_webhook_app;
extern const struct rn_component discord_webhook_send_message;

/* The webhook's URL of the account, or NULL after rn_fail(). */
const char *discord_url(struct rn_run *run);

/* Performs a request to the webhook. Repeats it as Discord says where it is limited (429); a
 * webhook that is gone (404) or whose token is wrong (401) is RN_ECONFIG: it must not be called
 * again, Discord bans addresses that do. */
int32_t discord_request(struct rn_run *run, struct rn_http_request *request,
                        const struct rn_http_response **ret);

#endif
