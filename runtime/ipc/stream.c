#include "ipc/stream.h"

#include <endian.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* The usual size of a batch: what a socketpair buffers at most (net.core.wmem_max twice, 416 KiB by
 * default) comes in one or two reads. Pages that are never written to cost nothing. */
#define BATCH_BYTES KIB(256)
/* With less room than this behind the last frame a new batch is begun. */
#define BATCH_ROOM_MIN KIB(16)
#define CHUNK_BYTES KIB(64)
#define WRITE_PARTS 64

/* ---- inbox */

static struct batch *batch_new(size_t capacity)
{
    struct batch *batch = xmalloc(sizeof(*batch) + capacity);
    batch->refs = 1;
    batch->capacity = capacity;
    batch->end = 0;
    return batch;
}

struct batch *batch_ref(struct batch *batch)
{
    batch->refs++;
    return batch;
}

void batch_unref(struct batch *batch)
{
    if (batch && --batch->refs == 0)
        free(batch);
}

void inbox_init(struct inbox *inbox)
{
    *inbox = (struct inbox){.batch = batch_new(BATCH_BYTES)};
}

void inbox_release(struct inbox *inbox)
{
    batch_unref(inbox->batch);
    free(inbox->sections);
    *inbox = (struct inbox){0};
}

/* Makes room behind what was read: for the whole of the frame that has begun, or for a good chunk.
 * Bytes move only when nobody else looks at them. A batch that grew for one large frame goes with
 * that frame. */
void inbox_make_room(struct inbox *inbox)
{
    struct batch *batch = inbox->batch;
    size_t pending = batch->end - inbox->start;
    bool is_ours = batch->refs == 1;
    bool is_large = batch->capacity > BATCH_BYTES;
    if (inbox->needed
            ? inbox->start + inbox->needed <= batch->capacity
            : batch->capacity - batch->end >= BATCH_ROOM_MIN && !(pending == 0 && is_ours))
        return;
    if (is_ours && inbox->needed <= batch->capacity && (!is_large || inbox->needed > BATCH_BYTES)) {
        memmove(batch->data, batch->data + inbox->start, pending);
    } else {
        inbox->batch =
            batch_new(inbox->needed > BATCH_BYTES ? inbox->needed + BATCH_ROOM_MIN : BATCH_BYTES);
        memcpy(inbox->batch->data, batch->data + inbox->start, pending);
        batch_unref(batch);
    }
    inbox->batch->end = pending;
    inbox->start = 0;
}

ssize_t inbox_receive(struct inbox *inbox, int fd, int flags, bool *ret_full)
{
    struct batch *batch = inbox->batch;
    size_t room = batch->capacity - batch->end;
    ssize_t n;
    do
        n = recv(fd, batch->data + batch->end, room, flags);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        batch->end += (size_t)n;
    *ret_full = n > 0 && (size_t)n == room;
    return n;
}

int inbox_next(struct inbox *inbox, struct frame *ret, struct err *err)
{
    struct batch *batch = inbox->batch;
    struct str bytes = {batch->data + inbox->start, batch->end - inbox->start};
    if (bytes.len >= FRAME_HEADER_BYTES) {
        uint32_t count;
        memcpy(&count, bytes.ptr + 20, sizeof(count));
        count = le32toh(count);
        if (count > inbox->section_capacity && count <= LIMIT_FRAME_SECTIONS) {
            inbox->sections = xrealloc(inbox->sections, count * sizeof(*inbox->sections));
            inbox->section_capacity = count;
        }
    }
    size_t size = 0;
    int code = frame_read(bytes, ret, inbox->sections, inbox->section_capacity, &size, err);
    if (code)
        return code;
    inbox->needed = 0;
    if (size == 0) {
        uint32_t length;
        if (bytes.len >= sizeof(length)) {
            memcpy(&length, bytes.ptr, sizeof(length));
            inbox->needed = 4 + (size_t)le32toh(length);
        }
        return 0;
    }
    inbox->start += size;
    return 1;
}

/* ---- outbox */

static struct chunk *chunk_alloc(size_t capacity)
{
    struct chunk *chunk = xmalloc(sizeof(*chunk) + capacity);
    *chunk = (struct chunk){.capacity = capacity};
    return chunk;
}

struct chunk *chunk_new(const struct frame *frame, size_t size)
{
    struct chunk *chunk = chunk_alloc(size);
    frame_encode(frame, chunk->data);
    chunk->size = size;
    return chunk;
}

void chunk_set_id(struct chunk *chunk, uint64_t id)
{
    id = htole64(id);
    memcpy(chunk->data + 8, &id, sizeof(id));
}

static void chunks_free(struct chunk *chunk)
{
    while (chunk) {
        struct chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void outbox_init(struct outbox *outbox)
{
    *outbox = (struct outbox){0};
}

void outbox_release(struct outbox *outbox)
{
    chunks_free(outbox->first);
    free(outbox->spare);
    *outbox = (struct outbox){0};
}

bool outbox_is_empty(const struct outbox *outbox)
{
    return !outbox->first && !outbox->writing;
}

void outbox_push(struct outbox *outbox, struct chunk *chunk)
{
    outbox->added += chunk->size;
    if (outbox->broken) {
        free(chunk);
        return;
    }
    chunk->next = NULL;
    if (outbox->last)
        outbox->last->next = chunk;
    else
        outbox->first = chunk;
    outbox->last = chunk;
}

void outbox_add(struct outbox *outbox, const struct frame *frame, size_t size)
{
    struct chunk *chunk = outbox->last;
    if (!outbox->broken && chunk && chunk->capacity - chunk->size >= size) {
        frame_encode(frame, chunk->data + chunk->size);
        chunk->size += size;
        outbox->added += size;
        return;
    }
    if (size > CHUNK_BYTES) {
        outbox_push(outbox, chunk_new(frame, size));
        return;
    }
    chunk = outbox->spare ? outbox->spare : chunk_alloc(CHUNK_BYTES);
    outbox->spare = NULL;
    frame_encode(frame, chunk->data);
    chunk->size = size;
    outbox_push(outbox, chunk);
}

/* Marks `n` bytes as sent; chunks that are done go to *done. Returns what is left. */
static struct chunk *advance(struct chunk *chunk, size_t n, struct chunk **done)
{
    while (chunk && n >= chunk->size - chunk->sent) {
        struct chunk *next = chunk->next;
        n -= chunk->size - chunk->sent;
        chunk->next = *done;
        *done = chunk;
        chunk = next;
    }
    if (chunk)
        chunk->sent += n;
    return chunk;
}

/* Sends as much as the socket takes. 0, RN_EAGAIN or RN_EIO; *chunks is what is left. */
static int send_chunks(struct chunk **chunks, int fd, int flags, uint64_t *ret_sent,
                       struct chunk **done)
{
    while (*chunks) {
        struct iovec parts[WRITE_PARTS];
        size_t count = 0;
        for (struct chunk *at = *chunks; at && count < WRITE_PARTS; at = at->next)
            parts[count++] = (struct iovec){at->data + at->sent, at->size - at->sent};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
        ssize_t n = sendmsg(fd, &message, flags | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ? RN_EAGAIN : RN_EIO;
        *ret_sent += (uint64_t)n;
        *chunks = advance(*chunks, (size_t)n, done);
    }
    return 0;
}

/* Puts chunks that the socket did not take back in front of what was added since. */
static void put_back(struct outbox *outbox, struct chunk *rest)
{
    struct chunk *tail = rest;
    while (tail->next)
        tail = tail->next;
    tail->next = outbox->first;
    if (!outbox->first)
        outbox->last = tail;
    outbox->first = rest;
}

/* Keeps one of the chunks that were sent for later and frees the others. */
static void recycle(struct outbox *outbox, struct chunk *done)
{
    while (done) {
        struct chunk *next = done->next;
        if (!outbox->spare && done->capacity == CHUNK_BYTES) {
            done->next = NULL;
            done->size = done->sent = 0;
            outbox->spare = done;
        } else {
            free(done);
        }
        done = next;
    }
}

int outbox_flush(struct outbox *outbox, pthread_mutex_t *lock, int fd, int flags)
{
    if (outbox->writing)
        return 0;
    int code = outbox->broken ? RN_EIO : 0;
    outbox->writing = true;
    while (outbox->first && code == 0) {
        struct chunk *chunks = outbox->first, *done = NULL;
        uint64_t sent = 0;
        outbox->first = outbox->last = NULL;
        pthread_mutex_unlock(lock);
        code = send_chunks(&chunks, fd, flags, &sent, &done);
        pthread_mutex_lock(lock);
        outbox->sent += sent;
        recycle(outbox, done);
        if (chunks && code == RN_EAGAIN) {
            put_back(outbox, chunks);
        } else if (chunks) {
            outbox->broken = true;
            chunks_free(chunks);
        }
    }
    outbox->writing = false;
    if (outbox->broken) {
        chunks_free(outbox->first);
        outbox->first = outbox->last = NULL;
    }
    return code;
}
