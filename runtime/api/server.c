#include "api/routes.h"
#include "api/streams.h"

#include "base/encode.h"
#include "base/ids.h"
#include "base/log.h"
#include "net/http_client.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum {
    ADMIN_THREADS = 32, /* a browser opens six connections; streams leave theirs */
    STOP_GRACE_MS = 10000,
    TOKEN_BYTES = 32,
};

/* The token: made at the first start, kept over restarts. */
static int load_token(struct server *server, struct err *err)
{
    char *path = xasprintf("%s/admin-token", server->data_dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc = 0;
    if (fd >= 0) {
        ssize_t n = read(fd, server->token, sizeof(server->token) - 1);
        server->token[n > 0 ? n : 0] = '\0';
        server->token[strcspn(server->token, "\r\n")] = '\0';
        if (strlen(server->token) < 32)
            rc = err_set(err, RN_ECONFIG, "%s holds no token: remove it, and a new one is made",
                         path);
    } else {
        unsigned char bytes[TOKEN_BYTES];
        random_bytes(bytes, sizeof(bytes));
        encode_hex(bytes, sizeof(bytes), server->token);
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0 ||
            write(fd, server->token, strlen(server->token)) != (ssize_t)strlen(server->token) ||
            fsync(fd))
            rc = err_set(err, RN_EIO, "%s cannot be written: %s", path, strerror(errno));
    }
    if (fd >= 0)
        close(fd);
    free(path);
    return rc;
}

static int listen_admin(struct server *server, const char *address, struct err *err)
{
    struct http_server_options options = {
        .listen = address, .threads = ADMIN_THREADS, .handler = admin_handle, .ctx = server};
    int rc = http_server_start(&options, &server->admin, err);
    return rc ? err_prefix(err, "admin listener") : 0;
}

static int listen_ingest(struct server *server, const struct engine_listen *settings,
                         const char *address, struct err *err)
{
    struct http_server_options options = {
        .listen = address,
        .body_limit = settings->body_limit,
        .tls_certificate = settings->tls_certificate,
        .tls_key = settings->tls_key,
        .handler = ingest_handle,
        .on_refused = ingest_refused,
        .ctx = server,
    };
    int rc = http_server_start(&options, &server->ingest, err);
    if (rc)
        return err_prefix(err, "ingest listener");
    engine_set_ingest_url(server->engine, http_server_url(server->ingest));
    return 0;
}

/* Where the command line finds a running runtime. */
static int write_address(struct server *server, const char *sandbox, struct err *err)
{
    char *path = xasprintf("%s/runtime.json", server->data_dir),
         *draft = xasprintf("%s.draft", path);
    struct json *value = json_new_object();
    json_set_integer(value, "pid", getpid());
    json_set_string(value, "admin", server_admin_url(server));
    json_set_string(value, "ingest", server_ingest_url(server));
    json_set_string(value, "sandbox", sandbox);
    char *text = json_text(value, NULL);
    FILE *file = fopen(draft, "we");
    int rc = 0;
    if (!file || fputs(text, file) == EOF || fclose(file) || rename(draft, path))
        rc = err_set(err, RN_EIO, "%s cannot be written: %s", path, strerror(errno));
    free(text);
    json_free(value);
    free(path);
    free(draft);
    return rc;
}

int server_start(const struct server_options *options, struct server **ret,
                 struct problems *problems, struct err *err)
{
    struct server *server = xcalloc(1, sizeof(*server));
    struct engine_listen settings = {0};
    server->shutdown_pipe[0] = server->shutdown_pipe[1] = -1;
    pthread_mutex_init(&server->code_lock, NULL);
    int rc = http_client_global_init(err);
    if (rc == 0 && pipe2(server->shutdown_pipe, O_CLOEXEC | O_NONBLOCK))
        rc = err_set(err, RN_EIO, "pipe: %s", strerror(errno));
    rc = rc ? rc : engine_open(&options->engine, &server->engine, problems, err);
    if (rc == 0) {
        engine_get_listen(server->engine, &settings);
        server->data_dir = xstrdup(settings.data_dir);
        rc = load_token(server, err);
    }
    if (rc == 0 && !options->has_no_ingest)
        rc = listen_ingest(server, &settings, options->listen ? options->listen : settings.listen,
                           err);
    rc = rc ? rc : streams_start(server->engine, &server->streams, err);
    rc = rc ? rc : listen_admin(server, options->admin ? options->admin : settings.admin, err);
    rc = rc ? rc : engine_start(server->engine, err);
    if (rc == 0 && !options->engine.is_passive)
        rc = write_address(server, options->sandbox, err);
    if (rc) {
        server_stop(server);
        return rc;
    }
    *ret = server;
    return 0;
}

struct engine *server_engine(struct server *server)
{
    return server->engine;
}

const char *server_ingest_url(const struct server *server)
{
    return server->ingest ? http_server_url(server->ingest) : "";
}

const char *server_admin_url(const struct server *server)
{
    return http_server_url(server->admin);
}

const char *server_token(const struct server *server)
{
    return server->token;
}

void server_request_shutdown(struct server *server, bool deactivates)
{
    char byte = deactivates ? 'd' : 's';
    ssize_t ignored = write(server->shutdown_pipe[1], &byte, 1);
    (void)ignored;
}

int server_shutdown_fd(const struct server *server)
{
    return server->shutdown_pipe[0];
}

void server_stop(struct server *server)
{
    if (!server)
        return;
    if (server->ingest)
        http_server_stop(server->ingest, STOP_GRACE_MS);
    if (server->engine && server->admin)
        engine_stop(server->engine, STOP_GRACE_MS);
    if (server->admin)
        http_server_stop(server->admin, STOP_GRACE_MS);
    streams_stop(server->streams);
    if (server->data_dir) {
        char *path = xasprintf("%s/runtime.json", server->data_dir);
        if (server->admin)
            (void)unlink(path);
        free(path);
    }
    engine_free(server->engine);
    streams_free(server->streams);
    if (server->shutdown_pipe[0] >= 0) {
        close(server->shutdown_pipe[0]);
        close(server->shutdown_pipe[1]);
    }
    pthread_mutex_destroy(&server->code_lock);
    free(server->data_dir);
    free(server);
}
