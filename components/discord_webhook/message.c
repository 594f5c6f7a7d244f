/* What the actions that post a message share: its body from the props, and the request. */
#include "discord_webhook.h"

#include <stdio.h>

#define CONTENT_MAX 2000
#define USERNAME_MAX 80
#define EMBEDS_MAX 10

/* Characters of UTF-8 text: all bytes but the continuing ones. */
static size_t count_characters(const char *text, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        if (((unsigned char)text[i] & 0xC0) != 0x80)
            count++;
    return count;
}

/* The message as a JSON string, or NULL where there is none: *ret_err says if that is an error. */
static struct rn_json *get_content(struct rn_run *run, int32_t *ret_err)
{
    const struct rn_json *message = rn_prop(run, "message");
    int32_t kind = rn_json_kind(run, message);
    size_t size = 0;
    *ret_err = 0;
    if (!message || kind == RN_JSON_NULL)
        return NULL;
    const char *text = kind == RN_JSON_STRING ? rn_json_text(run, message, &size)
                                              : rn_json_print(run, message, &size);
    size_t count = count_characters(text, size);
    if (count > CONTENT_MAX) {
        char over[64];
        (void)snprintf(over, sizeof(over), "%zu", count);
        *ret_err = rn_fail(run, RN_EINVAL,
                           RN_TEXT(run, "the message has ", over,
                                   " characters and Discord takes 2000; shorten it, or put the "
                                   "long text into an embed"));
        return NULL;
    }
    return size ? rn_json_string_n(run, text, size) : NULL;
}

/* The embeds as a list, or NULL where there are none. A single embed and JSON text are taken, too.
 */
static struct rn_json *get_embeds(struct rn_run *run, int32_t *ret_err)
{
    const struct rn_json *value = rn_prop(run, "embeds");
    size_t size = 0;
    *ret_err = 0;
    const char *text = rn_json_text(run, value, &size);
    if (text && size == 0)
        return NULL;
    if (text) {
        value = rn_json_parse(run, text, size);
        if (!value) {
            *ret_err = rn_fail(run, RN_EINVAL, "embeds is a text that is no JSON");
            return NULL;
        }
    }
    int32_t kind = rn_json_kind(run, value);
    if (!value || kind == RN_JSON_NULL)
        return NULL;
    struct rn_json *list;
    if (kind == RN_JSON_OBJECT) {
        list = rn_json_array(run);
        rn_json_append(run, list, rn_json_copy(run, value));
    } else {
        list = rn_json_copy(run, value);
    }
    if (kind != RN_JSON_ARRAY && kind != RN_JSON_OBJECT)
        *ret_err = rn_fail(run, RN_EINVAL, "embeds is to be a list of embed objects");
    else if (rn_json_size(run, list) > EMBEDS_MAX)
        *ret_err = rn_fail(run, RN_EINVAL, "there are more than the 10 embeds that Discord takes");
    for (const struct rn_json *e = rn_json_first(run, list); e && !*ret_err;
         e = rn_json_next(run, e))
        if (rn_json_kind(run, e) != RN_JSON_OBJECT)
            *ret_err = rn_fail(run, RN_EINVAL, "each of the embeds is to be an object");
    return *ret_err || rn_json_size(run, list) == 0 ? NULL : list;
}

static struct rn_json *get_mentions(struct rn_run *run)
{
    const struct rn_json *allowed = rn_prop(run, "allowedMentions");
    struct rn_json *mentions = rn_json_object(run);
    rn_json_set(run, mentions, "parse",
                rn_json_kind(run, allowed) == RN_JSON_ARRAY ? rn_json_copy(run, allowed)
                                                            : rn_json_array(run));
    return mentions;
}

static const char *get_text(struct rn_run *run, const char *prop)
{
    const char *text = rn_prop_string(run, prop);
    return text && text[0] ? text : NULL;
}

int32_t discord_message(struct rn_run *run, bool needs_text, struct rn_json **ret)
{
    int32_t err;
    struct rn_json *content = get_content(run, &err);
    if (err)
        return err;
    struct rn_json *embeds = get_embeds(run, &err);
    if (err)
        return err;
    if (!content && !embeds && needs_text)
        return rn_fail(run, RN_EINVAL, "there is nothing to send: give a message or embeds");
    const char *username = get_text(run, "username");
    if (username && count_characters(username, strlen(username)) > USERNAME_MAX)
        return rn_fail(run, RN_EINVAL,
                       "the username has more than the 80 characters that Discord takes");
    struct rn_json *body = rn_json_object(run);
    rn_json_set(run, body, "content", content);
    rn_json_set(run, body, "embeds", embeds);
    if (username)
        rn_json_set(run, body, "username", rn_json_string(run, username));
    if (get_text(run, "avatarURL"))
        rn_json_set(run, body, "avatar_url", rn_json_string(run, get_text(run, "avatarURL")));
    rn_json_set(run, body, "allowed_mentions", get_mentions(run));
    *ret = body;
    return 0;
}

int32_t discord_post(struct rn_run *run, struct rn_http_request *request)
{
    const char *thread = get_text(run, "threadID");
    const struct rn_pair query[] = {{"wait", "true"}, {"thread_id", thread}};
    request->method = "POST";
    request->query = query;
    request->query_count = thread ? 2 : 1;
    const struct rn_http_response *response;
    int32_t err = discord_request(run, request, &response);
    if (err)
        return err;
    rn_summary(run, "Message sent successfully");
    return response->json ? rn_return(run, response->json) : 0;
}
