/* Opening, looking before opening, closing; views; numbers. LMDB trusts the file that it maps, so
 * what can be checked cheaply is checked before: the two meta pages, the file's length (a shorter
 * file would end the process with SIGBUS), and our own meta record.
 *
 * One process at a time: a lock on <dir>/lock, whose text is the pid. LMDB's own locks would let
 * two writers take turns, and each would think that it alone owns the queues. A reader
 * (is_read_only) takes no lock. It is an open file description's lock (fcntl), because the kernel
 * gives it back at whatever end of the process, and because others can ask for it without taking
 * it. A pid alone says nothing: after a restart of the machine or of a container it is another's.
 */
#include "store/private.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAP_SPARE_BYTES MIB(256)

static const struct {
    const char *name;
    unsigned flags;
} table_names[TABLE_COUNT] = {
    [TABLE_META] = {"meta", 0},
    [TABLE_NAMES] = {"names", 0},
    [TABLE_KV] = {"kv", 0},
    [TABLE_EVENTS] = {"events", 0},
    [TABLE_EMITTERS] = {"emitters", 0},
    [TABLE_DEDUPE] = {"dedupe", 0},
    [TABLE_QUEUE] = {"queue", 0},
    [TABLE_LIVE] = {"live", 0},
    [TABLE_RUNS] = {"runs", 0},
    [TABLE_WORKFLOWS] = {"workflows", 0},
    [TABLE_STEPS] = {"steps", 0},
    [TABLE_CHANGES] = {"changes", 0},
};

int store_error(int rc, struct err *err, const char *what)
{
    switch (rc) {
    case 0:
        return 0;
    case MDB_NOTFOUND:
        return err_set(err, RN_ENOTFOUND, "%s: not in the store", what);
    case MDB_MAP_FULL:
        return err_set(err, RN_ENOSPACE, "%s: the store's file is full", what);
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return err_set(err, RN_ENOSPACE, "%s: the disk is full (%s)", what, strerror(rc));
    case MDB_READERS_FULL:
        return err_set(err, RN_EUNAVAILABLE, "%s: %d readers have the store open", what,
                       STORE_READERS);
    case ENOMEM:
        return err_set(err, RN_ENOMEM, "%s: no memory", what);
    case MDB_KEYEXIST:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
        return err_set(err, RN_EPROTOCOL, "%s: the store is damaged (%s)", what, mdb_strerror(rc));
    case MDB_TXN_FULL:
        return err_set(err, RN_ETOOBIG, "%s: too much for one transaction", what);
    default:
        return err_set(err, RN_EIO, "%s: %s", what, mdb_strerror(rc));
    }
}

int64_t store_real_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- before LMDB sees it */

static int make_dir(const char *path, struct err *err)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return 0;
    return err_set(err, RN_EIO, "%s cannot be made: %s", path, strerror(errno));
}

static struct flock whole_file(void)
{
    return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
}

static int64_t lock_pid(int fd)
{
    char text[32] = "";
    int64_t pid = 0;
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    return n > 0 && num_parse_i64(str_trim(str_n(text, (size_t)n)), &pid) == 0 ? pid : 0;
}

int64_t store_holder(const char *dir)
{
    char *path = xasprintf("%s/lock", dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct flock lock = whole_file();
    bool is_held = fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    int64_t pid = is_held ? lock_pid(fd) : 0;
    if (fd >= 0)
        close(fd);
    free(path);
    return pid;
}

static int take_lock(const char *dir, int *ret_fd, struct err *err)
{
    char *path = xasprintf("%s/lock", dir), text[32];
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct flock lock = whole_file();
    int rc = 0;
    if (fd < 0) {
        rc = err_set(err, RN_EIO, "%s cannot be opened: %s", path, strerror(errno));
        goto out;
    }
    if (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        int64_t pid = lock_pid(fd);
        if (pid > 0)
            rc = err_set(err, RN_EEXISTS,
                         "another runtime (pid %lld) uses %s; stop it with `runnel down`, or use "
                         "another folder with --data",
                         (long long)pid, dir);
        else
            rc = err_set(err, RN_EEXISTS, "another runtime uses %s; use another folder with --data",
                         dir);
        goto out;
    }
    int size = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)size, 0) != size)
        rc = err_set(err, RN_ENOSPACE, "%s cannot be written: %s", path, strerror(errno));
out:
    if (rc && fd >= 0)
        close(fd);
    else if (!rc)
        *ret_fd = fd;
    free(path);
    return rc;
}

/* The start of LMDB's data file, format version 1, of which there are two, a page each: what mdb.c
 * (0.9.24) calls MDB_page's header and MDB_meta. */
struct file_meta {
    uint64_t page_number;
    uint16_t pad, flags;
    uint32_t pad2;
    uint32_t magic, version;
    uint64_t address, map_size;
    struct {
        uint32_t page_size; /* of the first: of the file */
        uint16_t flags, depth;
        uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
    } dbs[2];
    uint64_t last_page, txn_id;
};

#define FILE_MAGIC 0xBEEFC0DEu
#define FILE_VERSION 1u
#define FILE_FLAG_META 0x08u
/* The last pages that a transaction counted may have been given back unwritten. */
#define FILE_UNWRITTEN_PAGES 1024u

static bool is_meta(const struct file_meta *meta)
{
    uint32_t size = meta->dbs[0].page_size;
    return meta->magic == FILE_MAGIC && (meta->flags & FILE_FLAG_META) && size >= 512 &&
           size <= 65536 && (size & (size - 1)) == 0;
}

static int check_length(int fd, const char *path, const struct file_meta *meta, uint64_t size,
                        bool may_write, struct err *err)
{
    uint64_t page = meta->dbs[0].page_size;
    if (meta->last_page > UINT64_MAX / page - 1)
        return err_set(err, RN_EPROTOCOL, "%s is damaged (its first pages make no sense)", path);
    uint64_t wanted = (meta->last_page + 1) * page;
    if (size >= wanted)
        return 0;
    if (wanted - size > FILE_UNWRITTEN_PAGES * page)
        return err_set(err, RN_EPROTOCOL,
                       "%s is damaged: it was cut to %llu of %llu bytes. Bring it back from a "
                       "backup, or move it away to start with an empty store",
                       path, (unsigned long long)size, (unsigned long long)wanted);
    if (may_write && ftruncate(fd, (off_t)wanted) != 0)
        return err_set(err, RN_EIO, "%s: %s", path, strerror(errno));
    return 0;
}

/* *ret_size: 0 for a file that is still to be made. Never while this process has the file open:
 * closing would drop its locks. */
static int check_file(const char *path, bool may_write, uint64_t *ret_size, struct err *err)
{
    int fd = open(path, (may_write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && may_write) {
        *ret_size = 0;
        return 0;
    }
    if (fd < 0 && errno == ENOENT)
        return err_set(err, RN_ENOTFOUND, "there is no store at %s yet: start `runnel up` once",
                       path);
    if (fd < 0)
        return err_set(err, RN_EIO, "%s cannot be opened: %s", path, strerror(errno));

    struct file_meta metas[2] = {0};
    struct stat st = {0};
    int rc = fstat(fd, &st) ? err_set(err, RN_EIO, "%s: %s", path, strerror(errno)) : 0;
    if (rc || st.st_size == 0)
        goto out;
    rc = RN_EPROTOCOL;
    if (pread(fd, &metas[0], sizeof(metas[0]), 0) != (ssize_t)sizeof(metas[0]) ||
        metas[0].magic != FILE_MAGIC) {
        (void)err_set(err, rc,
                      "%s is not a runnel store. Move it away, or use another folder with --data",
                      path);
        goto out;
    }
    if (metas[0].version != FILE_VERSION) {
        (void)err_set(err, rc, "%s was written by another version of LMDB (format %u, not %u)",
                      path, metas[0].version, FILE_VERSION);
        goto out;
    }
    uint32_t page = metas[0].dbs[0].page_size;
    if (!is_meta(&metas[0]) ||
        pread(fd, &metas[1], sizeof(metas[1]), page) != (ssize_t)sizeof(metas[1]) ||
        !is_meta(&metas[1])) {
        (void)err_set(err, rc,
                      "%s is damaged: its first pages cannot be read. Bring it back from a backup, "
                      "or move it away to start with an empty store",
                      path);
        goto out;
    }
    const struct file_meta *newest = &metas[metas[1].txn_id > metas[0].txn_id];
    rc = check_length(fd, path, newest, (uint64_t)st.st_size, may_write, err);
out:
    if (!rc)
        *ret_size = (uint64_t)st.st_size;
    close(fd);
    return rc;
}

/* ---- opening */

static int open_env(struct store *store, const char *dir, uint64_t file_size, struct err *err)
{
    int rc = mdb_env_create(&store->env);
    if (rc)
        return store_error(rc, err, "opening the store");
    /* Values of just over half a page take a whole one, and a long view keeps old pages: twice the
     * quota leaves running work its room. */
    uint64_t map = store->quota_bytes * 2 + MAP_SPARE_BYTES;
    if (map < file_size + file_size / 4 + MAP_SPARE_BYTES)
        map = file_size + file_size / 4 + MAP_SPARE_BYTES;
    map = (map + MIB(1) - 1) / MIB(1) * MIB(1);
    unsigned flags = MDB_NOTLS | (store->is_read_only ? MDB_RDONLY : 0u);
    if (!rc)
        rc = mdb_env_set_mapsize(store->env, map);
    if (!rc)
        rc = mdb_env_set_maxreaders(store->env, STORE_READERS);
    if (!rc)
        rc = mdb_env_set_maxdbs(store->env, TABLE_COUNT + 4);
    if (!rc)
        rc = mdb_env_open(store->env, dir, flags, 0600);
    if (rc)
        return store_error(rc, err, dir);
    int dead = 0;
    (void)mdb_reader_check(store->env, &dead);
    MDB_stat stat;
    (void)mdb_env_stat(store->env, &stat);
    store->page_bytes = stat.ms_psize;
    if (mdb_env_get_fd(store->env, &store->data_fd) == 0)
        (void)fcntl(store->data_fd, F_SETFD, FD_CLOEXEC);
    return 0;
}

static int check_meta(const struct store_meta *meta, const char *dir, struct err *err)
{
    if (memcmp(meta->magic, STORE_MAGIC, sizeof(meta->magic)) != 0)
        return err_set(err, RN_EPROTOCOL, "%s is damaged: its own record cannot be read", dir);
    if (meta->schema > STORE_SCHEMA_VERSION)
        return err_set(err, RN_EPROTOCOL,
                       "%s was written by a newer runnel (store schema %u; this one knows %d): "
                       "update runnel, or use another folder with --data",
                       dir, meta->schema, STORE_SCHEMA_VERSION);
    if (meta->schema == 0 || meta->history_bytes > meta->used_bytes)
        return err_set(err, RN_EPROTOCOL, "%s is damaged: its counters make no sense", dir);
    return 0;
}

/* 0, or RN_ENOTFOUND: nothing is in the file yet. */
static int read_meta(struct store *store, MDB_txn *txn, const char *dir, struct err *err)
{
    MDB_dbi main;
    MDB_stat stat = {0};
    int rc = mdb_dbi_open(txn, NULL, 0, &main);
    if (!rc)
        rc = mdb_stat(txn, main, &stat);
    if (rc)
        return store_error(rc, err, dir);
    if (stat.ms_entries == 0)
        return RN_ENOTFOUND;
    MDB_dbi dbi;
    MDB_val k = {.mv_size = 5, .mv_data = (char[]){"store"}}, v;
    rc = mdb_dbi_open(txn, table_names[TABLE_META].name, 0, &dbi);
    if (!rc)
        rc = mdb_get(txn, dbi, &k, &v);
    if (rc == MDB_NOTFOUND || rc == MDB_INCOMPATIBLE)
        return err_set(err, RN_EPROTOCOL,
                       "%s is a database of another program. Move it away, or use another folder "
                       "with --data",
                       dir);
    if (rc)
        return store_error(rc, err, dir);
    struct store_meta meta = {0};
    memcpy(&meta, v.mv_data, v.mv_size < sizeof(meta) ? v.mv_size : sizeof(meta));
    rc = check_meta(&meta, dir, err);
    if (rc)
        return rc;
    meta.schema = STORE_SCHEMA_VERSION;
    store->committed = meta;
    return 0;
}

int store_put_meta(struct store_tx *tx, struct err *err)
{
    return table_put(tx, TABLE_META, STR("store"), str_n(&tx->meta, sizeof(tx->meta)), PUT_REPLACE,
                     err);
}

/* Opens the tables in `txn`, making them where the store is new. */
static int open_tables(struct store *store, MDB_txn *txn, bool is_new, const char *dir,
                       struct err *err)
{
    for (int i = 0; i < TABLE_COUNT; i++) {
        /* Stores made before this table came have none. */
        bool is_late = i == TABLE_CHANGES && !store->is_read_only;
        int rc = mdb_dbi_open(txn, table_names[i].name,
                              table_names[i].flags | (is_new || is_late ? MDB_CREATE : 0u),
                              &store->tables[i]);
        if (rc == MDB_NOTFOUND)
            return err_set(err, RN_EPROTOCOL, "%s is damaged: its table \"%s\" is missing", dir,
                           table_names[i].name);
        if (rc)
            return store_error(rc, err, dir);
    }
    return 0;
}

static int make_store(struct store *store, MDB_txn *txn, struct err *err)
{
    struct store_tx tx = {.store = store, .txn = txn};
    memcpy(tx.meta.magic, STORE_MAGIC, sizeof(tx.meta.magic));
    tx.meta.schema = STORE_SCHEMA_VERSION;
    int rc = store_put_meta(&tx, err);
    if (!rc)
        store->committed = tx.meta;
    return rc;
}

static int read_store(struct store *store, const char *dir, struct err *err)
{
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(store->env, NULL, store->is_read_only ? MDB_RDONLY : 0u, &txn);
    if (rc)
        return store_error(rc, err, dir);
    rc = read_meta(store, txn, dir, err);
    bool is_new = rc == RN_ENOTFOUND;
    if (is_new && store->is_read_only) {
        rc = err_set(err, RN_ENOTFOUND, "%s is empty: start `runnel up` once", dir);
        goto out;
    }
    if (rc && !is_new)
        goto out;
    rc = open_tables(store, txn, is_new, dir, err);
    if (!rc && is_new)
        rc = make_store(store, txn, err);
    if (rc)
        goto out;
    /* The handles are the environment's from this commit on. */
    int committed = mdb_txn_commit(txn);
    txn = NULL;
    rc = store_error(committed, err, dir);
out:
    if (txn)
        mdb_txn_abort(txn);
    return rc;
}

static void release_store(struct store *store)
{
    while (store->views) {
        struct store_view *view = store->views;
        store->views = view->next;
        mdb_txn_abort(view->txn);
        free(view);
    }
    if (store->env)
        mdb_env_close(store->env);
    if (store->lock_fd >= 0) {
        if (ftruncate(store->lock_fd, 0) != 0)
            log_debug("the store's lock file keeps our pid: %s", strerror(errno));
        close(store->lock_fd);
    }
    map_release(&store->writer.names, NULL);
    buf_release(&store->writer.scratch);
    pthread_mutex_destroy(&store->lock);
    pthread_cond_destroy(&store->wake);
    pthread_mutex_destroy(&store->view_lock);
    pthread_mutex_destroy(&store->stats_lock);
    free(store);
}

static struct store *new_store(const struct store_options *options)
{
    struct store *store = xcalloc(1, sizeof(*store));
    store->lock_fd = -1;
    store->data_fd = -1;
    buf_init(&store->writer.scratch, SIZE_MAX / 2);
    store->quota_bytes = options && options->quota_bytes ? options->quota_bytes : LIMIT_STORE_BYTES;
    store->history_bytes =
        options && options->history_bytes ? options->history_bytes : LIMIT_HISTORY_BYTES;
    store->history_age_ms =
        options && options->history_age_ms ? options->history_age_ms : LIMIT_HISTORY_AGE_MS;
    store->is_read_only = options && options->is_read_only;
    store->telling = options ? options->telling : NULL;
    store->telling_ctx = options ? options->telling_ctx : NULL;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&store->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&store->lock, NULL);
    pthread_mutex_init(&store->view_lock, NULL);
    pthread_mutex_init(&store->stats_lock, NULL);
    return store;
}

int store_open(const char *dir, const struct store_options *options, struct store **ret,
               struct err *err)
{
    struct store *store = new_store(options);
    char *folder = xasprintf("%s/store", dir);
    char *file = xasprintf("%s/data.mdb", folder);
    uint64_t file_size = 0;
    int rc = 0;
    if (!store->is_read_only) {
        rc = make_dir(dir, err);
        if (!rc)
            rc = take_lock(dir, &store->lock_fd, err);
        if (!rc)
            rc = make_dir(folder, err);
    }
    if (!rc)
        rc = check_file(file, !store->is_read_only, &file_size, err);
    if (!rc)
        rc = open_env(store, folder, file_size, err);
    if (!rc)
        rc = read_store(store, folder, err);
    if (!rc && !store->is_read_only)
        rc = writer_start(store, err);
    if (rc)
        release_store(store);
    else
        *ret = store;
    free(file);
    free(folder);
    return rc;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    writer_stop(store);
    release_store(store);
}

/* ---- views */

/* A finished view is kept with its reader slot: beginning one is then two stores to shared memory.
 */
static struct store_view *take_kept_view(struct store *store)
{
    pthread_mutex_lock(&store->view_lock);
    struct store_view *view = store->views;
    if (view) {
        store->views = view->next;
        store->view_count--;
    }
    pthread_mutex_unlock(&store->view_lock);
    return view;
}

int store_view_begin(struct store *store, struct store_view **ret, struct err *err)
{
    struct store_view *view = take_kept_view(store);
    if (view) {
        int rc = mdb_txn_renew(view->txn);
        if (rc == 0) {
            *ret = view;
            return 0;
        }
        mdb_txn_abort(view->txn);
        free(view);
    }
    MDB_txn *txn = NULL;
    int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (rc == MDB_READERS_FULL) {
        int dead = 0;
        (void)mdb_reader_check(store->env, &dead);
        rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    }
    if (rc)
        return store_error(rc, err, "reading the store");
    view = xcalloc(1, sizeof(*view));
    view->store = store;
    view->txn = txn;
    *ret = view;
    return 0;
}

void store_view_end(struct store_view *view)
{
    if (!view)
        return;
    struct store *store = view->store;
    mdb_txn_reset(view->txn);
    pthread_mutex_lock(&store->view_lock);
    bool is_kept = store->view_count < STORE_VIEWS_KEPT;
    if (is_kept) {
        view->next = store->views;
        store->views = view;
        store->view_count++;
    }
    pthread_mutex_unlock(&store->view_lock);
    if (!is_kept) {
        mdb_txn_abort(view->txn);
        free(view);
    }
}

/* ---- numbers */

void store_watch(struct store *store, store_watch_fn fn, void *ctx)
{
    store->watch_ctx = ctx;
    atomic_store_explicit(&store->watch, fn, memory_order_release);
}

static void read_stats_of_view(struct store *store)
{
    struct store_view *view = NULL;
    if (store_view_begin(store, &view, NULL))
        return;
    struct str value;
    if (table_get(STORE_VIEW(view), TABLE_META, STR("store"), &value) == 0 &&
        value.len == sizeof(struct store_meta)) {
        pthread_mutex_lock(&store->stats_lock);
        memcpy(&store->committed, value.ptr, value.len);
        pthread_mutex_unlock(&store->stats_lock);
    }
    store_view_end(view);
}

void store_get_stats(struct store *store, struct store_stats *ret)
{
    if (store->is_read_only)
        read_stats_of_view(store);
    pthread_mutex_lock(&store->stats_lock);
    struct store_meta meta = store->committed;
    bool is_full = store->is_full;
    pthread_mutex_unlock(&store->stats_lock);
    struct stat st = {0};
    if (store->data_fd >= 0)
        (void)fstat(store->data_fd, &st);
    *ret = (struct store_stats){
        .used_bytes = meta.used_bytes,
        .quota_bytes = store->quota_bytes,
        .file_bytes = (uint64_t)st.st_size,
        .events = meta.events,
        .runs = meta.runs,
        .queued = meta.queued,
        .live = meta.live,
        .commits = atomic_load(&store->commits),
        .operations = atomic_load(&store->operations),
        .commit_us = atomic_load(&store->commit_us),
        .pending = atomic_load(&store->pending),
        .is_full = is_full || meta.used_bytes >= store->quota_bytes,
        .has_failed = atomic_load(&store->has_failed),
    };
    for (int i = 0; i < STORE_COMMIT_BUCKETS; i++)
        ret->commit_buckets[i] = atomic_load(&store->commit_buckets[i]);
}
