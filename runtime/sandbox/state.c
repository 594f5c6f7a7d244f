/* The sandbox's memory, and the file that keeps it over restarts.
 *
 * What a source registered must survive a kill: it is saved at once. Everything else is saved by a
 * thread of its own, which waits longer the longer a save takes, so that saving costs a twentieth
 * of the time at most. */
#include "sandbox/private.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/ids.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

enum { SAVE_MS = 250, SAVE_SHARE = 20, FILE_VERSION = 1 };

struct json *object_member(struct json *parent, const char *name, struct json *(*make)(void))
{
    struct json *member = json_get_mut(parent, name);
    return member ? member : json_set(parent, name, make());
}

struct json *state_member(struct sandbox *sandbox, const char *name)
{
    return object_member(sandbox->state, name, json_new_object);
}

char *new_id(struct sandbox *sandbox, const char *prefix)
{
    char key[15];
    random_key(key, 14);
    sandbox->next_id++;
    return xasprintf("%s%s", prefix, key);
}

/* ---- received */

static void drop_first(struct sandbox *sandbox)
{
    struct received *old = sandbox->first;
    sandbox->first = old->next;
    if (!sandbox->first)
        sandbox->last = NULL;
    sandbox->received_count--;
    sandbox->received_bytes -= old->size;
    free(old);
}

static void add_received(struct sandbox *sandbox, const char *vendor, struct str text)
{
    struct received *item = xmalloc(sizeof(*item) + text.len + 1);
    *item = (struct received){.vendor = vendor, .size = text.len};
    memcpy(item->text, text.ptr, text.len);
    item->text[text.len] = '\0';
    if (sandbox->last)
        sandbox->last->next = item;
    else
        sandbox->first = item;
    sandbox->last = item;
    sandbox->received_count++;
    sandbox->received_bytes += text.len;
    while (sandbox->received_count > RECEIVED_MAX ||
           (sandbox->received_bytes > RECEIVED_BYTES && sandbox->first != sandbox->last))
        drop_first(sandbox);
}

void note_received(struct sandbox *sandbox, const char *vendor, struct json *value)
{
    size_t size = 0;
    char *text = json_text(value, &size);
    add_received(sandbox, vendor, str_n(text, size));
    free(text);
    json_free(value);
    state_changed(sandbox);
}

void list_received(const struct sandbox *sandbox, const char *vendor, size_t count, struct buf *out)
{
    size_t total = 0, at = 0;
    for (const struct received *r = sandbox->first; r; r = r->next)
        total += !vendor || strcmp(r->vendor, vendor) == 0;
    buf_add_char(out, '[');
    for (const struct received *r = sandbox->first; r; r = r->next) {
        if (vendor && strcmp(r->vendor, vendor) != 0)
            continue;
        if (count && at++ + count < total)
            continue;
        if (out->ptr[out->len - 1] != '[')
            buf_add_char(out, ',');
        buf_addf(out, "{\"vendor\":\"%s\",\"received\":", r->vendor);
        buf_add(out, r->text, r->size);
        buf_add_char(out, '}');
    }
    buf_add_char(out, ']');
}

/* ---- the file */

static void write_file(const char *path, struct str text)
{
    char *draft = xasprintf("%s.draft", path);
    (void)unlink(draft);
    /* it holds secrets of destinations and a key */
    int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (file) {
        bool failed = fwrite(text.ptr, 1, text.len, file) != text.len;
        failed |= fclose(file) != 0;
        if (!failed)
            (void)rename(draft, path);
    } else if (fd >= 0) {
        (void)close(fd);
    }
    free(draft);
}

static void snapshot(const struct sandbox *sandbox, struct buf *out)
{
    buf_addf(out, "{\"version\":%d,\"state\":", FILE_VERSION);
    json_write(out, sandbox->state);
    buf_add_c(out, ",\"received\":");
    list_received(sandbox, NULL, 0, out);
    buf_add_c(out, "}\n");
}

static void write_snapshot(struct sandbox *sandbox, const struct buf *text, uint64_t version)
{
    pthread_mutex_lock(&sandbox->file_lock);
    if (version > sandbox->saved_version) { /* else a newer one is there already */
        write_file(sandbox->state_file, buf_str(text));
        sandbox->saved_version = version;
    }
    pthread_mutex_unlock(&sandbox->file_lock);
}

void state_changed(struct sandbox *sandbox)
{
    sandbox->version++;
    if (!sandbox->is_dirty)
        pthread_cond_signal(&sandbox->changed);
    sandbox->is_dirty = true;
}

void state_save(struct sandbox *sandbox)
{
    sandbox->version++;
    if (!sandbox->state_file)
        return;
    struct buf text = BUF_INIT(LIMIT_JSON_BYTES);
    snapshot(sandbox, &text);
    write_snapshot(sandbox, &text, sandbox->version);
    buf_release(&text);
    sandbox->is_dirty = false;
}

static void wait_ms(struct sandbox *sandbox, int64_t ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (!sandbox->is_stopping &&
           pthread_cond_timedwait(&sandbox->changed, &sandbox->lock, &until) == 0)
        ;
}

static void *save_loop(void *ctx)
{
    struct sandbox *sandbox = ctx;
    pthread_mutex_lock(&sandbox->lock);
    while (!sandbox->is_stopping) {
        if (!sandbox->is_dirty) {
            pthread_cond_wait(&sandbox->changed, &sandbox->lock);
            continue;
        }
        int64_t start = clock_mono_ms();
        struct buf text = BUF_INIT(LIMIT_JSON_BYTES);
        snapshot(sandbox, &text);
        uint64_t version = sandbox->version;
        sandbox->is_dirty = false;
        pthread_mutex_unlock(&sandbox->lock);
        write_snapshot(sandbox, &text, version);
        buf_release(&text);
        int64_t took = clock_mono_ms() - start;
        pthread_mutex_lock(&sandbox->lock);
        wait_ms(sandbox, took * SAVE_SHARE > SAVE_MS ? took * SAVE_SHARE : SAVE_MS);
    }
    pthread_mutex_unlock(&sandbox->lock);
    return NULL;
}

void state_start_saver(struct sandbox *sandbox)
{
    sandbox->has_saver =
        sandbox->state_file && pthread_create(&sandbox->saver, NULL, save_loop, sandbox) == 0;
}

static void read_received(struct sandbox *sandbox, const struct json *list)
{
    static const char *const names[] = {"segment", "discord", "sheets", "airtable", "http", "mail"};
    for (const struct json *r = json_first(list); r; r = json_next(r)) {
        for (size_t i = 0; i < COUNT_OF(names); i++) {
            if (!str_eq_c(json_get_text(r, "vendor"), names[i]))
                continue;
            size_t size = 0;
            char *text = json_text(json_get(r, "received"), &size);
            add_received(sandbox, names[i], str_n(text, size));
            free(text);
        }
    }
}

void state_load(struct sandbox *sandbox)
{
    const char *path = sandbox->state_file;
    char *text = NULL;
    size_t size = 0;
    struct json *root = NULL;
    if (path && file_read(path, path, LIMIT_JSON_BYTES, &text, &size, NULL) == 0 &&
        json_parse(str_n(text, size), &root, NULL) == 0 &&
        json_get_i64(root, "version", 0) == FILE_VERSION &&
        json_is(json_get(root, "state"), JSON_OBJECT)) {
        sandbox->state = json_take(root, "state");
        read_received(sandbox, json_get(root, "received"));
    } else {
        sandbox->state = json_new_object();
    }
    json_free(root);
    free(text);
}

static void clear(struct sandbox *sandbox)
{
    while (sandbox->first)
        drop_first(sandbox);
    fault_clear(sandbox);
    map_release(&sandbox->rates, free);
    json_free(sandbox->state);
    sandbox->state = NULL;
}

void state_reset(struct sandbox *sandbox)
{
    clear(sandbox);
    sandbox->state = json_new_object();
    state_save(sandbox);
}

void state_stop(struct sandbox *sandbox)
{
    pthread_mutex_lock(&sandbox->lock);
    sandbox->is_stopping = true;
    pthread_cond_broadcast(&sandbox->changed);
    if (sandbox->is_dirty)
        state_save(sandbox);
    pthread_mutex_unlock(&sandbox->lock);
    if (sandbox->has_saver)
        (void)pthread_join(sandbox->saver, NULL);
    clear(sandbox);
    free(sandbox->state_file);
}
