/* What the runtime stands on, without the runtime: a bare civetweb handler that reads the body
 * ("read"), the same with HMAC-SHA1 ("hmac"), the same with a synced LMDB group commit of the body
 * ("commit"). "forward" is the floor of the whole way: the body is committed and answered, then one
 * of FORWARDERS threads commits an intent, posts the body with libcurl to a URL, and commits the
 * result. Prints its port; ends with its standard input. For bench/run.py only. */
#include <civetweb.h>
#include <curl/curl.h>
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

enum { BODY_MAX = 65536, FORWARDERS = 64 };

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

/* ---- forwarding */

struct job {
    struct job *next;
    size_t size;
    char data[];
};

static const char *target_url;                               /* NULL: nothing is forwarded */
static pthread_mutex_t job_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the jobs */
static pthread_cond_t job_wake = PTHREAD_COND_INITIALIZER;
static struct job *first_job, **last_job = &first_job;

static void add_job(const char *data, size_t size)
{
    struct job *job = malloc(sizeof(*job) + size);
    must(!job, "malloc");
    job->next = NULL;
    job->size = size;
    memcpy(job->data, data, size);
    pthread_mutex_lock(&job_lock);
    *last_job = job;
    last_job = &job->next;
    pthread_cond_signal(&job_wake);
    pthread_mutex_unlock(&job_lock);
}

static size_t ignore(char *data, size_t size, size_t count, void *ctx)
{
    (void)data;
    (void)ctx;
    return size * count;
}

static void *forward_main(void *ctx)
{
    static const char intent[] = "{\"intent\":\"post\"}", result[] = "{\"status\":200}";
    (void)ctx;
    CURL *curl = curl_easy_init();
    must(!curl, "curl");
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    curl_easy_setopt(curl, CURLOPT_URL, target_url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
    for (;;) {
        pthread_mutex_lock(&job_lock);
        while (!first_job)
            pthread_cond_wait(&job_wake, &job_lock);
        struct job *job = first_job;
        first_job = job->next;
        if (!first_job)
            last_job = &first_job;
        pthread_mutex_unlock(&job_lock);
        commit(intent, sizeof(intent) - 1);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, (char *)job->data);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)job->size);
        if (curl_easy_perform(curl) == CURLE_OK) /* the end of the load closes the target */
            commit(result, sizeof(result) - 1);
        free(job);
    }
    return NULL;
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
    if (target_url)
        add_job(body, size);
    return 200;
}

int main(int argc, char **argv)
{
    bool forwards = argc == 4 && strcmp(argv[1], "forward") == 0;
    if (argc != 3 && !forwards) {
        fprintf(stderr, "usage: bench_floor read|hmac|commit FOLDER, or forward FOLDER URL\n");
        return 2;
    }
    has_commit = forwards || strcmp(argv[1], "commit") == 0;
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
    if (forwards) {
        target_url = argv[3];
        must(curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK, "curl");
        for (int i = 0; i < FORWARDERS; i++) {
            pthread_t thread;
            must(pthread_create(&thread, NULL, forward_main, NULL), "thread");
        }
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
    _exit(0); /* without waiting for the threads: what was answered is on disk */
}
