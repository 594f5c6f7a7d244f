/* What the files of the Discord webhook plugin share. */
#ifndef DISCORD_WEBHOOK_DISCORD_WEBHOOK_H
#define DISCORD_WEBHOOK_DISCORD_WEBHOOK_H

#include <runnel/component.h>

/* The name of the app's prop in every component, and the account's name in test(). */
#define DISCORD_PROP "discordWebhook"

extern const struct rn_app discord_webhook_app;
extern const struct rn_component discord_webhook_send_message,
    discord_webhook_send_message_with_file;

/* The webhook's URL of the account, or NULL after rn_fail(). */
const char *discord_url(struct rn_run *run);

/* Performs a request to the webhook. Repeats it as Discord says where it is limited (429); a
 * webhook that is gone (404) or whose token is wrong (401) is RN_ECONFIG: it must not be called
 * again, Discord bans addresses that do. */
int32_t discord_request(struct rn_run *run, struct rn_http_request *request,
                        const struct rn_http_response **ret);

/* message.c: the message's JSON, from the props. `needs_text`: a message or embeds have to be
 * there. */
int32_t discord_message(struct rn_run *run, bool needs_text, struct rn_json **ret);
/* Posts it (the request has URL and body) and returns the message that Discord has made of it. */
int32_t discord_post(struct rn_run *run, struct rn_http_request *request);

/* Props that both actions have. */
#define DISCORD_APP                                                                                \
    {                                                                                              \
        .name = DISCORD_PROP, .type = RN_APP, .app = &discord_webhook_app,                         \
        .label = "Discord webhook", .description = "The account that holds the webhook's URL."     \
    }
#define DISCORD_VIA_PIPEDREAM                                                                      \
    {                                                                                              \
        .name = "includeSentViaPipedream", .type = RN_BOOLEAN, .flags = RN_OPTIONAL | RN_HIDDEN,   \
        .label = "Include link to workflow",                                                       \
        .description =                                                                             \
            "Taken so that files from Pipedream can be used as they are; there it adds "           \
            "a link to pipedream.com to the text. Nothing is added here.",                         \
        .default_json = "false"                                                                    \
    }
#define DISCORD_ALLOWED_MENTIONS                                                                   \
    {                                                                                              \
        .name = "allowedMentions", .type = RN_STRING | RN_LIST, .flags = RN_OPTIONAL,              \
        .label = "Allowed mentions",                                                               \
        .description = "What the text may mention so that people are notified. Nothing unless "    \
                       "chosen.",                                                                  \
        .options_json =                                                                            \
            "[{\"label\":\"Users\",\"value\":\"users\"},{\"label\":\"Roles\",\"value\":"           \
            "\"roles\"},{\"label\":\"@everyone and @here\",\"value\":\"everyone\"}]"               \
    }

#endif
