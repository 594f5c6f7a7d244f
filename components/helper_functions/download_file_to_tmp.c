/* helper_functions-download-file-to-tmp: a file into the run's folder, from a URL or out of the
 * event: an HTTP trigger's multipart body has its files in it, {filename, mimetype, size, $base64}.
 * Pipedream uploads those and gives their URL, so that both stand in the same prop. */
#include "helper_functions.h"

#include <string.h>

struct content {
    const void *data;
    size_t size;
    const char *name; /* what the source calls it; NULL: nothing */
};

/* The last part of a path, which a sender's machine may have written with backslashes. */
static const char *last_part(struct rn_run *run, const char *text, size_t size)
{
    size_t start = size;
    while (start > 0 && text[start - 1] != '/' && text[start - 1] != '\\')
        start--;
    const struct rn_json *part = rn_json_string_n(run, text + start, size - start);
    return size > start ? rn_json_text(run, part, NULL) : NULL;
}

/* The file's name in a URL: of its path, without query and fragment. */
static const char *url_name(struct rn_run *run, const char *url)
{
    const char *host = strstr(url, "://"), *path = host ? strchr(host + 3, '/') : NULL;
    return path ? last_part(run, path, strcspn(path, "?#")) : NULL;
}

static int32_t take_upload(struct rn_run *run, const struct rn_json *file, struct content *ret)
{
    const char *text = rn_json_text(run, rn_json_get(run, file, "$base64"), NULL);
    size_t name_size = 0;
    const char *name = rn_json_text(run, rn_json_get(run, file, "filename"), &name_size);
    ret->data = text ? rn_base64_decode(run, text, &ret->size) : NULL;
    if (!ret->data)
        return rn_fail(run, RN_EINVAL,
                       "url is neither a URL nor a file of an event, which has a $base64");
    ret->name = name ? last_part(run, name, name_size) : NULL;
    return 0;
}

static int32_t download(struct rn_run *run, const char *url, struct content *ret)
{
    const struct rn_json *given = rn_prop(run, "headers");
    size_t count = rn_json_size(run, given), at = 0;
    if (count > 64)
        return rn_fail(run, RN_ETOOBIG, "there are more than 64 headers");
    struct rn_pair headers[64];
    for (const struct rn_json *h = rn_json_first(run, given); h; h = rn_json_next(run, h), at++) {
        const char *text = rn_json_text(run, h, NULL);
        headers[at] =
            (struct rn_pair){rn_json_key(run, h), text ? text : rn_json_print(run, h, NULL)};
    }
    struct rn_http_request request = RN_HTTP_REQUEST_INIT(url);
    request.flags = RN_HTTP_SAFE | RN_HTTP_RETRY_RATE_LIMIT;
    request.headers = headers;
    request.header_count = count;
    const struct rn_http_response *response = NULL;
    int32_t err = rn_http(run, &request, &response);
    if (err)
        return err;
    *ret = (struct content){response->body, response->size, url_name(run, url)};
    return 0;
}

static int32_t download_file_to_tmp(struct rn_run *run)
{
    const char *url = rn_prop_string(run, "url"), *name = rn_prop_string(run, "filename");
    struct content content = {0};
    if (!url || !url[0])
        return rn_fail(run, RN_EINVAL, "the prop `url` is empty");
    const struct rn_json *file = url[0] == '{' ? rn_json_parse(run, url, strlen(url)) : NULL;
    int32_t err = file ? take_upload(run, file, &content) : download(run, url, &content);
    if (err)
        return err;
    if (!name || !name[0])
        name = content.name;
    if (!name)
        return rn_fail(run, RN_EINVAL, "the file has no name of its own: set `filename`");
    err = rn_dir_write(run, DIR_PROP, name, content.data, content.size);
    if (err)
        return err;
    struct rn_json *pair = rn_json_array(run), *size = rn_json_integer(run, (int64_t)content.size);
    rn_json_append(run, pair, rn_json_string(run, name));
    rn_json_append(run, pair, rn_json_string(run, rn_dir_path(run, DIR_PROP, name)));
    rn_summary(run, RN_TEXT(run, "Saved ", name, " (", rn_json_print(run, size, NULL), " bytes)"));
    return rn_return(run, pair);
}

static const struct rn_prop props[] = {
    {.name = "helper_functions",
     .type = RN_APP,
     .app = &helper_functions_app,
     .flags = RN_OPTIONAL},
    {.name = "url",
     .type = RN_STRING,
     .label = "Download File URL",
     .description = "The file's URL, or a file that was sent to an HTTP trigger, as "
                    "`{{steps.trigger.event.body.photo}}`."},
    {.name = "filename",
     .type = RN_STRING,
     .flags = RN_OPTIONAL,
     .label = "Target Filename",
     .description = "The name in the run's folder. Without it the file keeps the name that it "
                    "has."},
    {.name = "headers",
     .type = RN_OBJECT,
     .flags = RN_OPTIONAL,
     .label = "HTTP Headers",
     .description = "To send with the request, for servers that ask who is there."},
    {.name = DIR_PROP,
     .type = RN_DIR,
     .format = "write",
     .flags = RN_OPTIONAL,
     .description = "The folder of the run; takes no value."},
};

const struct rn_component helper_download_file_to_tmp = {
    .key = "helper_functions-download-file-to-tmp",
    .name = "Download File To /tmp",
    .version = "0.0.1",
    .description =
        "Saves a file in the run's folder (docs/files.md): one at a URL, or one that was "
        "sent to an HTTP trigger. Returns its name and its path",
    .type = RN_ACTION,
    .annotations = RN_OPEN_WORLD,
    .props = props,
    .prop_count = RN_COUNT(props),
    .run = download_file_to_tmp,
};
