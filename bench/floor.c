/* What the runtime's acceptance stands on, without the runtime: a bare civetweb handler that reads
 * the body ("read"), the same with HMAC-SHA1 ("hmac"), the same with a synced LMDB group commit of
 * the body ("commit"). Prints its port; ends with its standard input. For bench/run.py only. */
#include <civetweb.h>
#include <lmdb.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BODY_MAX = 65536 };

struct waiter {
    struct waiter *next;
    const char *data;
    size_t size;
    bool is_done;
    pthread_cond_t cond;
};

static bool has_hmac, has_commit;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards waiting */
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static struct waiter *waiting;
static MDB_env *env;
static MDB_dbi dbi;
static uint64_t next_key;

static void must(int failed, const char *what)
{
    if (failed) {
        fprintf(stderr, "floor: %s failed (%d)\n", what, failed);
        exit(1);
    }
}

static void *write_main(void *ctx)
{
    (void)ctx;
    for (;;) {
        pthread_mutex_lock(&lock);
        while (!waiting)
            pthread_cond_wait(&wake, &lock);
        struct waiter *batch = waiting;
        waiting = NULL;
        pthread_mutex_unlock(&lock);
        MDB_txn *txn;
        must(mdb_txn_begin(env, NULL, 0, &txn), "begin");
        for (struct waiter *w = batch; w; w = w->next) {
            uint64_t number = __builtin_bswap64(++next_key);
            MDB_val key = {sizeof(number), &number}, value = {w->size, (void *)(uintptr_t)w->data};
            must(mdb_put(txn, dbi, &key, &value, MDB_APPEND), "put");
        }
        must(mdb_txn_commit(txn), "commit");
        pthread_mutex_lock(&lock);
        while (batch) {
            struct waiter *next = batch->next;
            batch->is_done = true;
            pthread_cond_signal(&batch->cond);
            batch = next;
        }
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void commit(const char *data, size_t size)
{
    struct waiter waiter = {.data = data, .size = size, .cond = PTHREAD_COND_INITIALIZER};
    pthread_mutex_lock(&lock);
    waiter.next = waiting;
    waiting = &waiter;
    pthread_cond_signal(&wake);
    while (!waiter.is_done)
        pthread_cond_wait(&waiter.cond, &lock);
    pthread_mutex_unlock(&lock);
}

static int handle(struct mg_connection *connection, void *ctx)
{
    (void)ctx;
    char body[BODY_MAX];
    long long length = mg_get_request_info(connection)->content_length;
    size_t size = 0;
    while ((long long)size < length && size < sizeof(body)) {
        int n = mg_read(connection, body + size, sizeof(body) - size);
        if (n <= 0)
            return 500;
        size += (size_t)n;
    }
    if (has_hmac) {
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned int digest_size;
        HMAC(EVP_sha1(), "bench", 5, (unsigned char *)body, size, digest, &digest_size);
    }
    if (has_commit)
        commit(body, size);
    static const char answer[] =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
        "17\r\n\r\n{\"accepted\":true}";
    mg_write(connection, answer, sizeof(answer) - 1);
    return 200;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: bench_floor read|hmac|commit FOLDER\n");
        return 2;
    }
    has_commit = strcmp(argv[1], "commit") == 0;
    has_hmac = has_commit || strcmp(argv[1], "hmac") == 0;
    if (has_commit) {
        MDB_txn *txn;
        pthread_t thread;
        must(mdb_env_create(&env), "env");
        must(mdb_env_set_mapsize(env, (size_t)8 << 30), "map");
        must(mdb_env_open(env, argv[2], 0, 0600), "open");
        must(mdb_txn_begin(env, NULL, 0, &txn), "begin");
        must(mdb_dbi_open(txn, NULL, 0, &dbi), "dbi");
        must(mdb_txn_commit(txn), "commit");
        must(pthread_create(&thread, NULL, write_main, NULL), "thread");
    }
    const char *options[] = {"listening_ports",
                             "127.0.0.1:0",
                             "num_threads",
                             "272",
                             "enable_keep_alive",
                             "yes",
                             "keep_alive_timeout_ms",
                             "5000",
                             "tcp_nodelay",
                             "1",
                             NULL};
    struct mg_callbacks callbacks = {0};
    mg_init_library(0);
    struct mg_context *context = mg_start(&callbacks, NULL, options);
    must(!context, "listen");
    mg_set_request_handler(context, "/", handle, NULL);
    struct mg_server_port port;
    must(mg_get_server_ports(context, 1, &port) != 1, "port");
    printf("%d\n", port.port);
    fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    mg_stop(context);
    return 0;
}
