/* Frames between the runtime and its host processes, over a stream socketpair.
 *
 *   bytes  0  u32 length of all that follows these 4 bytes (at most LIMIT_FRAME_BYTES)
 *          4  u32 length of the JSON text
 *          8  u64 call id (0: not about a call)
 *         16  u16 kind        18 u16 number of the ask (FRAME_ASK, FRAME_ANSWER; else 0)
 *         20  u32 number of raw sections
 *         24  u32 length of each section …
 *             the JSON text, then the sections' bytes, one after the other
 *
 * Integers are little endian (both ends are this machine). JSON is what is small; a section is
 * bytes that JSON cannot hold or that nobody on the way needs to parse (raw bodies, event texts). A
 * frame that does not add up ends the connection.
 *
 * Asks: while a host holds a call it may ask the runtime for something (a record of a data store,
 * for one; plugin/protocol.h has the requests). It sends FRAME_ASK with the call's id and a number
 * of its choice from 1 to 65,535 that no open ask of the call has; the runtime answers each with
 * exactly one FRAME_ANSWER of the same id and number, {"ok":true, …} or {"error":{code,text}}, in
 * any order, as long as the call has not ended. At most LIMIT_ASKS are open in one call: more are
 * answered with an error at once. An ask of a call that has ended gets no answer.
 */
#ifndef RUNNEL_IPC_FRAME_H
#define RUNNEL_IPC_FRAME_H

#include "base/buf.h"
#include "base/err.h"
#include "base/limits.h"

enum frame_kind {
    FRAME_HELLO = 1, /* host → runtime: {"ready":true} or {"error":{code,text}} */
    /* runtime → host: {"op":…}; answered by exactly one FRAME_RESULT of the same id */
    FRAME_CALL = 2,
    FRAME_RESULT = 3, /* host → runtime */
    FRAME_CANCEL = 4, /* runtime → host: end the call of this id soon */
    FRAME_LOG = 5,    /* host → runtime: {"level":"info","text":…} of a call */
    FRAME_ASK = 6,    /* host → runtime: {"op":…} of a call */
    FRAME_ANSWER = 7, /* runtime → host: to the ask of the same id and number */
};

struct frame {
    uint64_t id;
    uint16_t kind;
    uint16_t number; /* of an ask or its answer; else 0 */
    struct str json;
    const struct str *sections;
    uint32_t section_count;
};

#define FRAME_HEADER_BYTES 24

/* The size of the frame's bytes, or 0 when it is over LIMIT_FRAME_BYTES or LIMIT_FRAME_SECTIONS. */
size_t frame_size(const struct frame *frame);
/* Writes exactly frame_size() bytes, which is not 0. */
void frame_encode(const struct frame *frame, char *to);
/* Appends the frame's bytes. RN_ETOOBIG. */
int frame_write(struct buf *out, const struct frame *frame) MUST_USE;
/* Reads a frame from the start of `bytes`: its length in *ret_size, or 0 when it is not whole yet.
 * The views point into `bytes`; `sections` has room for `section_max`. RN_EPROTOCOL, RN_ETOOBIG. */
int frame_read(struct str bytes, struct frame *ret, struct str *sections, uint32_t section_max,
               size_t *ret_size, struct err *err) MUST_USE;

#endif
