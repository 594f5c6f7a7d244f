/* The Discord webhook plugin. An account is the URL of one channel's webhook, which holds its own
 * token: no bot, no OAuth. */
#include "discord_webhook.h"

#include <stdatomic.h>
#include <string.h>

#define UNKNOWN_CHANNEL 10003
#define UNKNOWN_WEBHOOK 10015
#define INVALID_WEBHOOK_TOKEN 50027

const char *discord_url(struct rn_run *run)
{
    const char *url = rn_auth(run, DISCORD_PROP, "oauth_uid");
    if (!url || !url[0])
        url = rn_auth(run, DISCORD_PROP, "webhook_url");
    if (url && (strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0))
        return url;
    (void)rn_fail(run, RN_ECONFIG,
                  "the Discord account's oauth_uid is to be the webhook's URL, like "
                  "https://discord.com/api/webhooks/<id>/<token> (Discord: Channel Settings, "
                  "Integrations, Webhooks)");
    return NULL;
}

/* Webhooks that Discord said are gone, by a hash of their URL: neither an id nor a token ever comes
 * back, and who goes on calling is banned. Kept as long as this process lives; when the table is
 * full the oldest entry goes. */
#define GONE_MAX 256
static _Atomic uint64_t gone[GONE_MAX];
static _Atomic uint32_t gone_next;

static uint64_t url_mark(struct rn_run *run, const char *url)
{
    const char *hash = rn_hash_hex(run, RN_SHA256, url, strlen(url));
    uint64_t mark = 0;
    for (int i = 0; i < 16; i++)
        mark = mark << 4 | (uint64_t)(hash[i] <= '9' ? hash[i] - '0' : hash[i] - 'a' + 10);
    return mark ? mark : 1;
}

static bool is_gone(uint64_t mark)
{
    for (size_t i = 0; i < GONE_MAX; i++)
        if (atomic_load(&gone[i]) == mark)
            return true;
    return false;
}

/* Discord's own code in an error's answer; 0 where there is none (an answer of its proxy). */
static int64_t error_code(struct rn_run *run, const struct rn_http_response *response)
{
    int64_t code = 0;
    if (!rn_json_to_integer(run, rn_json_get(run, response->json, "code"), &code))
        code = 0;
    return code;
}

int32_t discord_request(struct rn_run *run, struct rn_http_request *request,
                        const struct rn_http_response **ret)
{
    const struct rn_http_response *response = NULL;
    uint64_t mark = url_mark(run, request->url);
    if (is_gone(mark))
        return rn_fail(run, RN_ECONFIG,
                       "Discord said before that this webhook does not exist, and bans who goes on "
                       "calling one; nothing was sent. Make a new webhook and put its URL into the "
                       "account");
    request->flags |= RN_HTTP_RETRY_RATE_LIMIT;
    request->retry_after_path = "retry_after";
    int32_t err = rn_http(run, request, &response);
    int64_t code = err && response ? error_code(run, response) : 0;
    if (code == UNKNOWN_WEBHOOK || code == INVALID_WEBHOOK_TOKEN)
        atomic_store(&gone[atomic_fetch_add(&gone_next, 1) % GONE_MAX], mark);
    if (code == UNKNOWN_CHANNEL)
        return rn_fail(run, RN_ECONFIG,
                       "Discord knows no such thread in the webhook's channel (10003): check "
                       "threadID");
    if ((err == RN_EHTTP || err == RN_EAUTH) && response &&
        (response->status == 404 || response->status == 401))
        return rn_fail(run, RN_ECONFIG,
                       response->status == 404
                           ? "Discord says that this webhook does not exist (404): it was deleted. "
                             "Make a new one and put its URL into the account"
                           : "Discord refused the token in the webhook's URL (401): copy the URL "
                             "from Discord again");
    if (err)
        return err;
    *ret = response;
    return 0;
}

/* Reading a webhook by its own URL needs no other credentials and posts nothing. */
static int32_t test_account(struct rn_run *run)
{
    const char *url = discord_url(run);
    if (!url)
        return RN_ECONFIG;
    struct rn_http_request request = RN_HTTP_REQUEST_INIT(url);
    request.flags = RN_HTTP_SAFE;
    const struct rn_http_response *response;
    return discord_request(run, &request, &response);
}

static const struct rn_auth_field uid_fields[] = {
    {.name = "oauth_uid",
     .label = "Webhook URL",
     .description = "The URL of the channel's webhook: "
                    "`https://discord.com/api/webhooks/<id>/<token>`.",
     .flags = RN_SECRET},
};

static const struct rn_auth_field url_fields[] = {
    {.name = "webhook_url",
     .label = "Webhook URL",
     .description = "The same under a plainer name.",
     .flags = RN_SECRET},
};

static const struct rn_auth auths[] = {
    {.kind = RN_AUTH_KEYS,
     .label = "Webhook URL",
     .fields = uid_fields,
     .field_count = RN_COUNT(uid_fields)},
    {.kind = RN_AUTH_KEYS,
     .label = "Webhook URL (webhook_url)",
     .fields = url_fields,
     .field_count = RN_COUNT(url_fields)},
};

static const struct rn_prop definitions[] = {
    {.name = "message",
     .type = RN_STRING,
     .flags = RN_OPTIONAL,
     .label = "Message",
     .description =
         "The text, at most 2,000 characters. It may be left out where there are embeds."},
    {.name = "threadID",
     .type = RN_STRING,
     .flags = RN_OPTIONAL,
     .label = "Thread ID",
     .description = "The thread of the channel to post to. A forum channel needs one."},
    {.name = "username",
     .type = RN_STRING,
     .flags = RN_OPTIONAL,
     .label = "Username",
     .description = "The name to post under, instead of the webhook's own."},
    {.name = "avatarURL",
     .type = RN_STRING,
     .flags = RN_OPTIONAL,
     .label = "Avatar URL",
     .description = "The picture to post with, instead of the webhook's own."},
    {.name = "embeds",
     .type = RN_ANY,
     .flags = RN_OPTIONAL,
     .label = "Embeds",
     .description = "A list of at most ten [embed "
                    "objects](https://discord.com/developers/docs/resources/message#embed-object), "
                    "or its JSON text."},
};

const struct rn_app discord_webhook_app = {
    .slug = "discord_webhook",
    .name = "Discord Webhook",
    .description = "Posts to a Discord channel through its webhook.",
    .auths = auths,
    .auth_count = RN_COUNT(auths),
    .prop_definitions = definitions,
    .prop_definition_count = RN_COUNT(definitions),
    .account_prop = DISCORD_PROP,
    .test = test_account,
};

static const struct rn_app *const apps[] = {&discord_webhook_app};
static const struct rn_component *const components[] = {&discord_webhook_send_message,
                                                        &discord_webhook_send_message_with_file};

const struct rn_plugin runnel_plugin = {
    RN_PLUGIN_HEAD,
    .name = "discord_webhook",
    .version = "0.0.2",
    .apps = apps,
    .app_count = RN_COUNT(apps),
    .component_count = RN_COUNT(components),
    .components = components,
};
