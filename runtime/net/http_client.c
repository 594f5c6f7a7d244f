/* The HTTP client on libcurl: a pool of handles, and the loop over redirects.
 *
 * What an error means is decided by one question: may the other side have acted? libcurl calls
 * on_going_out() once the connection stands (TLS included) and before the first byte of the
 * request, so an error before that is an error of something that never left. libcurl also sends a
 * request again by itself when a kept connection turns out to be dead, whatever its method; the
 * second call of on_going_out() is where that is stopped, unless nothing had left or repeating does
 * no harm.
 *
 * Each handle has its own connections, so no lock is held while a request is under way; a fetch
 * prefers the handle that was last at the same host. */
#include "net/http_client.h"

#include "base/limits.h"
#include "net/curl_wait.h"
#include "net/fetch_private.h"
#include "net/http_server_private.h"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#define POOL_MAX 64 /* idle handles */

struct handle {
    struct handle *next;
    CURLM *multi;
    CURL *easy;
    uint64_t host; /* hash of what it was last connected to */
};

struct http_client {
    const struct egress *egress;
    char *user_agent;
    pthread_mutex_t mutex; /* guards: */
    struct handle *idle;
    size_t idle_count;
};

int http_client_global_init(struct err *err)
{
    struct sigaction old;
    CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (code)
        return err_set(err, RN_EIO, "libcurl cannot start: %s", curl_easy_strerror(code));
    /* A TLS peer that goes away must not end the process. */
    if (sigaction(SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
        (void)signal(SIGPIPE, SIG_IGN);
    return 0;
}

/* ---- the pool ---- */

static void handle_free(struct handle *handle)
{
    if (!handle)
        return;
    curl_easy_cleanup(handle->easy);
    (void)curl_multi_cleanup(handle->multi);
    free(handle);
}

struct http_client *http_client_new(const struct egress *egress, const char *user_agent)
{
    struct http_client *client = xcalloc(1, sizeof(*client));
    client->egress = egress;
    client->user_agent = xstrdup(user_agent ? user_agent : "runnel");
    (void)pthread_mutex_init(&client->mutex, NULL);
    return client;
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    while (client->idle) {
        struct handle *handle = client->idle;
        client->idle = handle->next;
        handle_free(handle);
    }
    (void)pthread_mutex_destroy(&client->mutex);
    free(client->user_agent);
    free(client);
}

/* FNV-1a of scheme, host and port. */
static uint64_t host_hash(const char *url)
{
    uint64_t hash = 14695981039346656037u;
    const char *host = strstr(url, "://");
    size_t len = host ? (size_t)(host + 3 - url) + strcspn(host + 3, "/?#") : 0;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (unsigned char)url[i]) * 1099511628211u;
    return hash;
}

static struct handle *handle_take(struct http_client *client, const char *url)
{
    uint64_t host = host_hash(url);
    pthread_mutex_lock(&client->mutex);
    struct handle **at = &client->idle;
    while (*at && (*at)->host != host)
        at = &(*at)->next;
    if (!*at)
        at = &client->idle;
    struct handle *handle = *at;
    if (handle) {
        *at = handle->next;
        client->idle_count--;
    }
    pthread_mutex_unlock(&client->mutex);
    if (!handle) {
        handle = xcalloc(1, sizeof(*handle));
        handle->multi = curl_multi_init();
        handle->easy = curl_easy_init();
        if (!handle->multi || !handle->easy) {
            handle_free(handle);
            return NULL;
        }
        (void)curl_multi_setopt(handle->multi, CURLMOPT_MAXCONNECTS, 4L);
    }
    handle->host = host;
    return handle;
}

static void handle_give(struct http_client *client, struct handle *handle)
{
    pthread_mutex_lock(&client->mutex);
    bool is_kept = client->idle_count < POOL_MAX;
    if (is_kept) {
        handle->next = client->idle;
        client->idle = handle;
        client->idle_count++;
    }
    pthread_mutex_unlock(&client->mutex);
    if (!is_kept)
        handle_free(handle);
}

/* ---- callbacks ---- */

static curl_socket_t on_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct fetch_hop *hop = ctx;
    struct err err = ERR_INIT;
    if (purpose != CURLSOCKTYPE_IPCXN || egress_check(hop->egress, &address->addr, &err)) {
        if (!hop->policy.code)
            hop->policy = err;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static bool may_have_left(const struct fetch_hop *hop)
{
    long size = 0;
    return hop->is_going_out &&
           (curl_easy_getinfo(hop->easy, CURLINFO_REQUEST_SIZE, &size) != CURLE_OK || size > 0);
}

static int on_going_out(void *ctx, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
    struct fetch_hop *hop = ctx;
    (void)remote_ip;
    (void)local_ip;
    (void)remote_port;
    (void)local_port;
    if (may_have_left(hop) && !hop->request->is_safe) {
        hop->is_lost = true;
        return CURL_PREREQFUNC_ABORT;
    }
    hop->is_going_out = true;
    return CURL_PREREQFUNC_OK;
}

static size_t on_header(char *data, size_t size, size_t count, void *ctx)
{
    struct fetch_hop *hop = ctx;
    struct str line = str_n(data, size * count);
    if (str_starts(line, "HTTP/"))
        buf_clear(&hop->head); /* an interim answer's headers are not the answer's */
    if (line.len && (line.ptr[0] == '\r' || line.ptr[0] == '\n'))
        hop->is_head_whole = true; /* lines behind it are trailers */
    buf_add_str(&hop->head, line);
    hop->is_too_big |= buf_is_overflowed(&hop->head);
    return hop->is_too_big ? 0 : line.len;
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
    struct fetch_hop *hop = ctx;
    long status = 0;
    if (hop->request->take &&
        curl_easy_getinfo(hop->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK &&
        status / 100 == 2) {
        hop->is_enough = hop->request->take(hop->request->take_ctx, str_n(data, size * count)) != 0;
        return hop->is_enough ? 0 : size * count;
    }
    buf_add(&hop->body_in, data, size * count);
    hop->is_too_big |= buf_is_overflowed(&hop->body_in);
    return hop->is_too_big ? 0 : size * count;
}

/* ---- one request ---- */

static void set_method(CURL *easy, const struct fetch_hop *hop)
{
    const char *method = hop->method;
    bool is_head = strcmp(method, "HEAD") == 0;
    bool wants_length =
        strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
    if (is_head) {
        (void)curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        return;
    }
    if (hop->body.ptr || wants_length) {
        (void)curl_easy_setopt(easy, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, hop->body.ptr ? hop->body.ptr : "");
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)hop->body.len);
    }
    (void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
}

static void set_credentials(CURL *easy, const struct fetch_hop *hop)
{
    const struct fetch_request *request = hop->request;
    if (hop->drops_credentials)
        return;
    const char *user = request->basic_user ? request->basic_user : hop->user;
    const char *password = request->basic_user ? request->basic_password : hop->password;
    if (!user && !password)
        return;
    (void)curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    (void)curl_easy_setopt(easy, CURLOPT_USERNAME, user ? user : "");
    (void)curl_easy_setopt(easy, CURLOPT_PASSWORD, password ? password : "");
}

static void set_options(const struct http_client *client, struct fetch_hop *hop, int64_t left_ms)
{
    CURL *easy = hop->easy;
    int64_t connect_ms = left_ms < LIMIT_FETCH_CONNECT_MS ? left_ms : LIMIT_FETCH_CONNECT_MS;
    curl_easy_reset(easy);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* never wait for a resolver's thread */
    (void)curl_easy_setopt(easy, CURLOPT_URL, hop->target);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    /* A proxy of the environment would be the one that is connected to, and the policy would see
     * nothing. */
    (void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(easy, CURLOPT_USERAGENT, client->user_agent);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)left_ms);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    (void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, hop->text);
    (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
    (void)curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, hop);
    (void)curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_going_out);
    (void)curl_easy_setopt(easy, CURLOPT_PREREQDATA, hop);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, hop);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, hop);
    (void)curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)hop->body_in.max);
    set_method(easy, hop);
    set_credentials(easy, hop);
}

static bool is_cancelled(const struct fetch_request *request)
{
    return request->cancelled && atomic_load(request->cancelled);
}

/* What libcurl's code means for the caller. */
static int translate(const struct fetch_hop *hop, CURLcode code, struct err *err)
{
    const char *why = hop->text[0] ? hop->text : curl_easy_strerror(code);
    bool is_unknown = (hop->is_lost || may_have_left(hop)) && !hop->request->is_safe;
    char name[256];
    fetch_hop_name(hop, name);
    if (is_cancelled(hop->request) || hop->is_enough)
        return err_set(err, RN_ECANCELED, "%s: cancelled", name);
    if (hop->is_too_big || code == CURLE_FILESIZE_EXCEEDED)
        return err_set(err, RN_ETOOBIG, "%s: the answer is larger than %zu bytes", name,
                       buf_is_overflowed(&hop->head) ? hop->head.max : hop->body_in.max);
    if (hop->policy.code && !hop->is_going_out)
        return err_set(err, RN_EPERM, "%s: %s", name, hop->policy.text);
    if (code == CURLE_URL_MALFORMAT)
        return err_set(err, RN_EINVAL, "%s: this is no URL: %s", name, why);
    if (code == CURLE_UNSUPPORTED_PROTOCOL)
        return err_set(err, RN_EPERM, "%s: only http:// and https:// URLs can be requested", name);
    if (is_unknown)
        return err_set(err, RN_EUNKNOWN, "%s: sent, but no full answer came back: %s", name, why);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return err_set(err, RN_ETIMEDOUT, "%s: timed out: %s", name, why);
    return err_set(err, RN_EUNAVAILABLE, "%s: %s", name, why);
}

static int perform(struct http_client *client, struct fetch_hop *hop, int64_t deadline_ms,
                   int *ret_status, struct err *err)
{
    struct curl_slist *lines = NULL;
    char name[256];
    int64_t left_ms = deadline_ms - http_now_ms();
    fetch_hop_name(hop, name);
    buf_clear(&hop->head);
    buf_clear(&hop->body_in);
    hop->is_going_out = hop->is_lost = hop->is_too_big = hop->is_head_whole = false;
    hop->policy.code = 0;
    hop->text[0] = '\0';
    if (left_ms <= 0)
        return err_set(err, RN_ETIMEDOUT, "%s: timed out before it was sent", name);
    int code = fetch_hop_headers(hop, &lines, err);
    if (code)
        return code == RN_EINVAL ? err_prefix(err, "%s", name) : code;
    struct handle *handle = handle_take(client, hop->target);
    if (!handle) {
        curl_slist_free_all(lines);
        return err_set(err, RN_ENOMEM, "%s: libcurl gives no handle", name);
    }
    hop->easy = handle->easy;
    set_options(client, hop, left_ms);
    (void)curl_easy_setopt(hop->easy, CURLOPT_HTTPHEADER, lines);
    CURLcode result = curl_multi_add_handle(handle->multi, handle->easy) == CURLM_OK
                          ? curl_wait(handle->multi, hop->request->cancelled, deadline_ms)
                          : CURLE_FAILED_INIT;
    /* A connection that ends within the head is a good answer to libcurl. */
    if (result == CURLE_OK && !hop->is_head_whole)
        result = CURLE_GOT_NOTHING;
    if (result == CURLE_OK) {
        long status = 0;
        (void)curl_easy_getinfo(hop->easy, CURLINFO_RESPONSE_CODE, &status);
        *ret_status = (int)status;
    } else {
        code = translate(hop, result, err);
    }
    (void)curl_multi_remove_handle(handle->multi, handle->easy);
    /* It keeps pointers to what is about to go. */
    curl_easy_reset(handle->easy);
    hop->easy = NULL;
    handle_give(client, handle);
    curl_slist_free_all(lines);
    return code;
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static int follow(struct http_client *client, struct fetch_hop *hop,
                  struct fetch_response *response, struct err *err)
{
    const struct fetch_request *request = hop->request;
    int64_t timeout_ms = request->timeout_ms > 0 ? request->timeout_ms : LIMIT_FETCH_TIMEOUT_MS;
    int64_t deadline_ms = http_now_ms() + (timeout_ms < INT32_MAX ? timeout_ms : INT32_MAX);
    int left = request->max_redirects ? request->max_redirects : LIMIT_FETCH_REDIRECTS;
    int status = 0;
    for (;;) {
        int code = perform(client, hop, deadline_ms, &status, err);
        if (code)
            return code;
        char *location = is_redirect(status) && left >= 0 ? fetch_hop_location(hop) : NULL;
        if (!location)
            break;
        char name[256];
        fetch_hop_name(hop, name);
        code = left-- == 0 ? err_set(err, RN_EPERM, "redirected more often than is followed")
                           : fetch_hop_redirect(hop, status, location, err);
        free(location);
        if (code)
            return err_prefix(err, "%s", name);
    }
    int code = fetch_read_headers(hop, response, err);
    if (code)
        return code;
    response->status = status;
    response->body = hop->body_in;
    hop->body_in = (struct buf)BUF_INIT(0);
    response->url = xstrdup(hop->url);
    return 0;
}

int http_client_fetch(struct http_client *client, const struct fetch_request *request,
                      struct fetch_response *response, struct err *err)
{
    size_t limit = request->response_limit ? request->response_limit : LIMIT_FETCH_RESPONSE;
    struct fetch_hop hop = {.request = request,
                            .method = request->method,
                            .body = request->body,
                            .egress = client->egress,
                            .head = BUF_INIT(LIMIT_FETCH_HEADERS),
                            .body_in = BUF_INIT(limit)};
    if (!request->method || !http_is_token(request->method))
        return err_set(err, RN_EINVAL, "the method of a request is a word like GET or POST");
    int code = fetch_hop_aim(&hop, request->url ? request->url : "", true, err);
    if (!code)
        code = follow(client, &hop, response, err);
    fetch_hop_release(&hop);
    return code;
}
