/* discord_webhook-send-message-with-file: one message with a file, of the run's folder or at a URL. */
#include "discord_webhook.h"

#include <string.h>

#define DIR_PROP "syncDir"
#define FILE_MAX (10u << 20) /* what Discord takes where the server has no boosts */

/* The last part of a path, or of a URL's. */
static const char *name_of(struct rn_run *run, const char *path)
{
    const char *scheme = strstr(path, "://");
    size_t start = scheme ? (size_t)(scheme - path) + 3 : 0, end = strcspn(path + start, "?#");
    size_t at = end;
    while (at > 0 && path[start + at - 1] != '/')
        at--;
    bool is_host = scheme && at == 0;
    if (end == at || is_host)
        return "file";
    return rn_json_text(run, rn_json_string_n(run, path + start + at, end - at), NULL);
}

static int32_t get_file(struct rn_run *run, struct rn_part *ret)
{
    const char *url = rn_prop_string(run, "fileUrl"), *path = rn_prop_string(run, "filePath");
    bool has_url = url && url[0], has_path = path && path[0];
    ret->content_type = "application/octet-stream";
    if (has_url == has_path)
        return rn_fail(run, RN_EINVAL,
                       has_url ? "there are a fileUrl and a filePath: give one of them"
                               : "there is no file to send: give fileUrl or filePath");
    ret->filename = name_of(run, has_url ? url : path);
    if (has_path)
        return rn_dir_read(run, DIR_PROP, path, &ret->data, &ret->size);
    struct rn_http_request request = RN_HTTP_REQUEST_INIT(url);
    request.flags = RN_HTTP_SAFE | RN_HTTP_RETRY_RATE_LIMIT;
    const struct rn_http_response *response = NULL;
    int32_t err = rn_http(run, &request, &response);
    if (err)
        return err;
    ret->data = response->body;
    ret->size = response->size;
    if (response->content_type[0])
        ret->content_type = response->content_type;
    return 0;
}

static int32_t send_message_with_file(struct rn_run *run)
{
    struct rn_json *body = NULL;
    const char *webhook = discord_url(run);
    if (!webhook)
        return RN_ECONFIG;
    int32_t err = discord_message(run, false, &body);
    if (err)
        return err;
    struct rn_part parts[2] = {{.name = "payload_json", .content_type = "application/json"},
                               {.name = "files[0]"}};
    err = get_file(run, &parts[1]);
    if (err)
        return err;
    if (parts[1].size > FILE_MAX)
        return rn_fail(
            run, RN_ETOOBIG,
            RN_TEXT(run, parts[1].filename, " has more than the 10 MiB that Discord takes"));
    parts[0].data = rn_json_print(run, body, &parts[0].size);
    struct rn_http_request request = RN_HTTP_REQUEST_INIT(webhook);
    request.parts = parts;
    request.part_count = RN_COUNT(parts);
    return discord_post(run, &request);
}

static const struct rn_prop props[] = {
    DISCORD_APP,
    {.name = "message", .definition_of = DISCORD_PROP, .definition = "message"},
    {.name = "fileUrl",
     .type = RN_STRING,
     .flags = RN_OPTIONAL,
     .label = "File URL",
     .description = "The URL of the file. Either this or **File Path**."},
    {.name = "filePath",
     .type = RN_STRING,
     .flags = RN_OPTIONAL,
     .label = "File Path",
     .description =
         "A file in the run's folder (docs/files.md): `report.csv`, `/tmp/report.csv`, or "
         "the path that a step has returned. Either this or **File URL**."},
    {.name = "threadID", .definition_of = DISCORD_PROP, .definition = "threadID"},
    {.name = "username", .definition_of = DISCORD_PROP, .definition = "username"},
    {.name = "avatarURL", .definition_of = DISCORD_PROP, .definition = "avatarURL"},
    {.name = "embeds", .definition_of = DISCORD_PROP, .definition = "embeds"},
    DISCORD_VIA_PIPEDREAM,
    DISCORD_ALLOWED_MENTIONS,
    {.name = DIR_PROP,
     .type = RN_DIR,
     .format = "read",
     .flags = RN_OPTIONAL,
     .description = "The folder of the run; takes no value."},
};

const struct rn_component discord_webhook_send_message_with_file = {
    .key = "discord_webhook-send-message-with-file",
    .name = "Send Message With File",
    .version = "0.0.1",
    .description = "Sends a message with a file to a Discord channel. [See the "
                   "documentation](https://discord.com/developers/docs/reference#uploading-files)",
    .type = RN_ACTION,
    .annotations = RN_OPEN_WORLD,
    .props = props,
    .prop_count = RN_COUNT(props),
    .run = send_message_with_file,
};
