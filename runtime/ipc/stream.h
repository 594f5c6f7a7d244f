/* Frames on a socket, for both ends: an inbox that reads large chunks and gives whole frames, an
 * outbox that many threads fill and one of them writes. Knows nothing of calls. Neither has a lock
 * of its own: the owner's lock guards the outbox, and the inbox belongs to the one thread that
 * reads (only a batch's reference count is under the owner's lock as well, where batches are
 * shared). */
#ifndef RUNNEL_IPC_STREAM_H
#define RUNNEL_IPC_STREAM_H

#include "ipc/frame.h"

#include <pthread.h>
#include <sys/types.h>

/* ---- inbox */

/* Bytes that were read. A frame's views stay where they are as long as somebody holds a reference.
 * */
struct batch {
    unsigned refs;
    size_t capacity;
    size_t end; /* bytes read so far */
    char data[];
};

struct inbox {
    struct batch *batch;
    size_t start;  /* the first byte in `batch` that belongs to no frame given out yet */
    size_t needed; /* size of the frame that begins at `start`, as far as known; else 0 */
    struct str *sections;
    uint32_t section_capacity;
};

void inbox_init(struct inbox *inbox);
void inbox_release(struct inbox *inbox);
/* Makes room for the rest of the frame that has begun, or for a good chunk: before each
 * inbox_receive(). [under the lock where batches are shared] */
void inbox_make_room(struct inbox *inbox);
/* recv() into the inbox: the count, 0 at the end of the stream, −1 with errno. *ret_full: the
 * socket may well hold more. */
ssize_t inbox_receive(struct inbox *inbox, int fd, int flags, bool *ret_full);
/* 1 with the next whole frame (its views and sections last until the next inbox call; the views as
 * long as the batch), 0 when more must be read, RN_EPROTOCOL or RN_ETOOBIG. */
int inbox_next(struct inbox *inbox, struct frame *ret, struct err *err) MUST_USE;
struct batch *batch_ref(struct batch *batch);
void batch_unref(struct batch *batch);

/* ---- outbox */

/* Frames of one malloc. */
struct chunk {
    struct chunk *next;
    size_t capacity;
    size_t size;
    size_t sent;
    char data[];
};

struct outbox {
    struct chunk *first, *last;
    struct chunk *spare; /* one empty chunk, so that the steady state needs no malloc */
    uint64_t added;      /* bytes in all */
    uint64_t sent;       /* bytes in all that the socket took; settled while !writing */
    bool writing;        /* a thread has the writer's role */
    bool broken;         /* the other end is gone: what is added is dropped */
};

/* Frames of at least this size are encoded before the lock is taken (chunk_new) and then pushed. */
#define CHUNK_ALONE_BYTES KIB(32)

/* One frame of `size` = frame_size() bytes as a chunk of its own; owned by the caller until pushed.
 * */
struct chunk *chunk_new(const struct frame *frame, size_t size);
void chunk_set_id(struct chunk *chunk, uint64_t id);

void outbox_init(struct outbox *outbox);
/* Drops what was not sent, too. */
void outbox_release(struct outbox *outbox);
/* Appends a frame of `size` = frame_size() bytes. [lock held] */
void outbox_add(struct outbox *outbox, const struct frame *frame, size_t size);
/* Takes the chunk. [lock held] */
void outbox_push(struct outbox *outbox, struct chunk *chunk);
bool outbox_is_empty(const struct outbox *outbox);
/* Sends all that is queued, also what others add meanwhile; returns 0 at once when another thread
 * has the role. Drops the lock while it sends. `flags` MSG_DONTWAIT: RN_EAGAIN when the socket is
 * full, the rest stays. RN_EIO: broken. [lock held] */
int outbox_flush(struct outbox *outbox, pthread_mutex_t *lock, int fd, int flags);

#endif
