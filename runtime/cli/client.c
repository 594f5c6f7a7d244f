#include "cli/cli.h"

#include "api/server.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/log.h"
#include "net/http_client.h"
#include "store/store.h"

#include <stdarg.h>

enum { CALL_TIMEOUT_MS = 180000, LINE_FILE_MAX = 4096 };

struct client {
    struct egress *egress;
    struct http_client *http;
    struct server *own;
    char *base; /* of the admin listener */
    char *token;
};

/* A file of one line, without its end; NULL: there is none. */
static char *read_line(const char *path)
{
    char *text = NULL;
    if (file_read(path, path, LINE_FILE_MAX, &text, NULL, NULL))
        return NULL;
    text[strcspn(text, "\r\n")] = '\0';
    return text;
}

struct json *client_running(const char *data)
{
    char *path = xasprintf("%s/runtime.json", data), *text = read_line(path);
    struct json *value = NULL;
    if (text && json_parse(str_from(text), &value, NULL) == 0) {
        int64_t holder = store_holder(data); /* the file stays behind when a runtime is killed */
        if (!holder || holder != json_get_i64(value, "pid", 0) || !json_get_c(value, "admin")) {
            json_free(value);
            value = NULL;
        }
    }
    free(text);
    free(path);
    return value;
}

/* The address of a runtime that is up. */
static bool find_running(struct client *client, const char *data)
{
    struct json *running = client_running(data);
    if (!running)
        return false;
    char *path = xasprintf("%s/admin-token", data);
    client->base = xstrdup(json_get_c(running, "admin"));
    client->token = read_line(path);
    free(path);
    json_free(running);
    return client->token != NULL;
}

static bool start_own(struct client *client, const char *project)
{
    struct problems problems = PROBLEMS_INIT;
    struct err err = ERR_INIT;
    struct server_options options = {
        .engine = {.dir = project, .data_dir = cli_data(project), .is_passive = true},
        .admin = "127.0.0.1:0",
        .has_no_ingest = true};
    log_set_level(LOG_ERROR);
    int rc = server_start(&options, &client->own, &problems, &err);
    problems_release(&problems);
    if (rc) {
        (void)out_error(&err);
        return false;
    }
    client->base = xstrdup(server_admin_url(client->own));
    client->token = xstrdup(server_token(client->own));
    return true;
}

struct client *client_open(const char *project, bool can_be_own)
{
    struct client *client = xcalloc(1, sizeof(*client));
    struct err err = ERR_INIT;
    bool is_open = find_running(client, cli_data(project));
    if (!is_open && can_be_own) {
        is_open = start_own(client, project);
    } else if (!is_open) {
        (void)err_set(&err, RN_EUNAVAILABLE,
                      "no runtime is up for the project in %s: start it with `runnel up`",
                      strcmp(project, ".") == 0 ? "this folder" : project);
        (void)out_error(&err);
    } else if (http_client_global_init(&err)) {
        (void)out_error(&err);
        is_open = false;
    }
    if (!is_open) {
        client_close(client);
        return NULL;
    }
    client->egress = egress_new();
    static const char *const own_networks[] = {"127.0.0.0/8", "::1/128", "10.0.0.0/8",
                                               "172.16.0.0/12", "192.168.0.0/16"};
    for (size_t i = 0; i < COUNT_OF(own_networks); i++)
        (void)!egress_allow(client->egress, str_from(own_networks[i]), NULL);
    client->http = http_client_new(client->egress, "runnel-cli");
    return client;
}

bool client_is_own(const struct client *client)
{
    return client->own != NULL;
}

/* The answer as it is. */
static int call(struct client *client, const char *method, const char *path,
                const struct json *body, struct json **ret, struct err *err)
{
    char *url = xasprintf("%s/api/v1/%s", client->base, path),
         *authorization = xasprintf("Bearer %s", client->token);
    struct fetch_header headers[] = {{"authorization", authorization},
                                     {"content-type", "application/json"}};
    size_t size = 0;
    char *text = body ? json_text(body, &size) : strcmp(method, "POST") == 0 ? xstrdup("") : NULL;
    struct fetch_request request = {
        .method = method,
        .url = url,
        .headers = headers,
        .header_count = COUNT_OF(headers),
        .body = str_n(text, size),
        .timeout_ms = CALL_TIMEOUT_MS,
        .is_safe = true,
    };
    struct fetch_response response = {0};
    struct json *answer = NULL;
    int rc = http_client_fetch(client->http, &request, &response, err);
    if (rc == 0)
        rc = json_parse_own(buf_str(&response.body), &answer, err);
    if (rc == 0 && response.status >= 400) {
        const char *detail = json_get_c(answer, "detail");
        rc = err_set(err, response.status == 404 ? RN_ENOTFOUND : RN_EFAILED, "%s",
                     detail ? detail : "the runtime refused it");
    }
    if (rc == 0 && ret) {
        *ret = answer;
        answer = NULL;
    }
    json_free(answer);
    fetch_response_release(&response);
    free(text);
    free(url);
    free(authorization);
    return rc;
}

int client_take(struct client *client, const char *path, int (*take)(void *ctx, struct str piece),
                void *ctx, struct err *err)
{
    char *url = xasprintf("%s/api/v1/%s", client->base, path),
         *authorization = xasprintf("Bearer %s", client->token);
    struct fetch_header headers[] = {{"authorization", authorization}};
    struct fetch_request request = {.method = "GET",
                                    .url = url,
                                    .headers = headers,
                                    .header_count = COUNT_OF(headers),
                                    .timeout_ms = INT32_MAX,
                                    .is_safe = true,
                                    .take = take,
                                    .take_ctx = ctx};
    struct fetch_response response = {0};
    int rc = http_client_fetch(client->http, &request, &response, err);
    if (rc == 0)
        rc = response.status / 100 == 2
                 ? err_set(err, RN_EUNAVAILABLE, "the runtime ended the stream")
                 : err_set(err, RN_EFAILED, "the runtime refused it (status %d)", response.status);
    fetch_response_release(&response);
    free(url);
    free(authorization);
    return rc;
}

char *client_path(const char *path, ...)
{
    struct buf out = BUF_INIT(KIB(64));
    va_list list;
    buf_add_c(&out, path);
    char joint = '?';
    va_start(list, path);
    for (const char *name; (name = va_arg(list, const char *));) {
        const char *value = va_arg(list, const char *);
        if (!value)
            continue;
        buf_addf(&out, "%c%s=", joint, name);
        encode_percent(&out, str_from(value));
        joint = '&';
    }
    va_end(list);
    return buf_take(&out, NULL);
}

void client_close(struct client *client)
{
    if (!client)
        return;
    http_client_free(client->http);
    egress_free(client->egress);
    server_stop(client->own);
    free(client->base);
    free(client->token);
    free(client);
}

int client_call(struct client *client, const char *method, const char *path,
                const struct json *body, struct json **ret, struct err *err)
{
    struct json *answer = NULL;
    int rc = call(client, method, path, body, &answer, err);
    if (rc == 0 && json_is(json_get(answer, "data"), JSON_ARRAY)) { /* a list: its first page */
        struct json *data = json_take(answer, "data");
        json_free(answer);
        answer = data;
    }
    if (rc == 0 && ret)
        *ret = answer;
    else
        json_free(answer);
    return rc;
}

int client_get_all(struct client *client, const char *path, size_t max, struct json **ret,
                   struct err *err)
{
    struct json *list = json_new_array();
    char *cursor = NULL;
    size_t count = 0;
    int rc = 0;
    do {
        struct json *page = NULL;
        char *with_cursor = xasprintf("%s%s%s%s", path, cursor ? strchr(path, '?') ? "&" : "?" : "",
                                      cursor ? "cursor=" : "", cursor ? cursor : "");
        rc = call(client, "GET", with_cursor, NULL, &page, err);
        free(with_cursor);
        free(cursor);
        struct json *data = json_get_mut(page, "data");
        for (struct json *item; data && count < max && (item = json_take_first(data)); count++)
            (void)json_append(list, item);
        const char *next = json_get_c(page, "next");
        cursor = rc == 0 && next && count < max ? xstrdup(next) : NULL;
        json_free(page);
    } while (cursor);
    if (rc)
        json_free(list);
    else
        *ret = list;
    return rc;
}
