/* discord_webhook-send-message: one message to one channel.
 *
 * wait=true makes Discord answer with the message; without it a message that was not saved is
 * answered like one that was. Mentions are off unless asked for: the text often comes from events,
 * and "@everyone" in it would call everybody.
 */
#include "discord_webhook.h"

static int32_t send_message(struct rn_run *run)
{
    struct rn_json *body = NULL;
    const char *url = discord_url(run);
    if (!url)
        return RN_ECONFIG;
    int32_t err = discord_message(run, true, &body);
    if (err)
        return err;
    struct rn_http_request request = RN_HTTP_REQUEST_INIT(url);
    request.json = body;
    return discord_post(run, &request);
}

static const struct rn_prop props[] = {
    DISCORD_APP,
    {.name = "message", .definition_of = DISCORD_PROP, .definition = "message"},
    {.name = "threadID", .definition_of = DISCORD_PROP, .definition = "threadID"},
    {.name = "username", .definition_of = DISCORD_PROP, .definition = "username"},
    {.name = "avatarURL", .definition_of = DISCORD_PROP, .definition = "avatarURL"},
    {.name = "embeds", .definition_of = DISCORD_PROP, .definition = "embeds"},
    DISCORD_VIA_PIPEDREAM,
    DISCORD_ALLOWED_MENTIONS,
};

const struct rn_component discord_webhook_send_message = {
    .key = "discord_webhook-send-message",
    .name = "Send Message",
    .version = "0.0.1",
    .description =
        "Sends a message to a Discord channel. [See the "
        "documentation](https://discord.com/developers/docs/resources/webhook#execute-webhook)",
    .type = RN_ACTION,
    .annotations = RN_OPEN_WORLD,
    .props = props,
    .prop_count = RN_COUNT(props),
    .run = send_message,
};
