/* Frames to bytes and back (frame.h has the layout). Knows nothing of sockets, calls or JSON.
 * Reading never trusts a length before it was compared with a limit and with the lengths around it.
 */
#include "ipc/frame.h"

#include <endian.h>

size_t frame_size(const struct frame *frame)
{
    if (frame->section_count > LIMIT_FRAME_SECTIONS || frame->json.len > LIMIT_FRAME_BYTES)
        return 0;
    size_t size = FRAME_HEADER_BYTES + 4 * (size_t)frame->section_count + frame->json.len;
    for (uint32_t i = 0; i < frame->section_count; i++) {
        if (frame->sections[i].len > LIMIT_FRAME_BYTES)
            return 0;
        size += frame->sections[i].len;
        if (size - 4 > LIMIT_FRAME_BYTES)
            return 0;
    }
    return size - 4 > LIMIT_FRAME_BYTES ? 0 : size;
}

static char *put_u16(char *to, uint16_t value)
{
    value = htole16(value);
    memcpy(to, &value, sizeof(value));
    return to + sizeof(value);
}

static char *put_u32(char *to, uint32_t value)
{
    value = htole32(value);
    memcpy(to, &value, sizeof(value));
    return to + sizeof(value);
}

static char *put_u64(char *to, uint64_t value)
{
    value = htole64(value);
    memcpy(to, &value, sizeof(value));
    return to + sizeof(value);
}

static char *put_str(char *to, struct str text)
{
    if (text.len)
        memcpy(to, text.ptr, text.len);
    return to + text.len;
}

void frame_encode(const struct frame *frame, char *to)
{
    to = put_u32(to, (uint32_t)(frame_size(frame) - 4));
    to = put_u32(to, (uint32_t)frame->json.len);
    to = put_u64(to, frame->id);
    to = put_u16(to, frame->kind);
    to = put_u16(to, frame->number);
    to = put_u32(to, frame->section_count);
    for (uint32_t i = 0; i < frame->section_count; i++)
        to = put_u32(to, (uint32_t)frame->sections[i].len);
    to = put_str(to, frame->json);
    for (uint32_t i = 0; i < frame->section_count; i++)
        to = put_str(to, frame->sections[i]);
}

int frame_write(struct buf *out, const struct frame *frame)
{
    size_t size = frame_size(frame);
    char *to = size ? buf_reserve(out, size) : NULL;
    if (!to)
        return RN_ETOOBIG;
    frame_encode(frame, to);
    buf_grew(out, size);
    return 0;
}

static uint16_t get_u16(const char *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof(value));
    return le16toh(value);
}

static uint32_t get_u32(const char *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return le32toh(value);
}

static uint64_t get_u64(const char *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof(value));
    return le64toh(value);
}

/* The views of a whole frame whose lengths before the sections add up. */
static int read_sections(const char *at, struct frame *frame, struct str *sections, uint64_t rest,
                         struct err *err)
{
    const char *lengths = at + FRAME_HEADER_BYTES;
    const char *bytes = lengths + 4 * (size_t)frame->section_count;
    frame->json.ptr = bytes;
    bytes += frame->json.len;
    for (uint32_t i = 0; i < frame->section_count; i++) {
        uint32_t length = get_u32(lengths + 4 * (size_t)i);
        if (length > rest)
            return err_set(err, RN_EPROTOCOL, "frame: section %u is longer than the frame", i);
        sections[i] = str_n(bytes, length);
        bytes += length;
        rest -= length;
    }
    if (rest)
        return err_set(err, RN_EPROTOCOL, "frame: %llu bytes belong to no section",
                       (unsigned long long)rest);
    return 0;
}

int frame_read(struct str bytes, struct frame *ret, struct str *sections, uint32_t section_max,
               size_t *ret_size, struct err *err)
{
    *ret_size = 0;
    if (bytes.len < 4)
        return 0;
    uint32_t length = get_u32(bytes.ptr);
    if (length > LIMIT_FRAME_BYTES)
        return err_set(err, RN_ETOOBIG, "frame: %u bytes, the limit is %zu", length,
                       LIMIT_FRAME_BYTES);
    if (length < FRAME_HEADER_BYTES - 4)
        return err_set(err, RN_EPROTOCOL, "frame: %u bytes are too few", length);
    if (bytes.len < FRAME_HEADER_BYTES)
        return 0;
    struct frame frame = {.id = get_u64(bytes.ptr + 8),
                          .kind = get_u16(bytes.ptr + 16),
                          .number = get_u16(bytes.ptr + 18),
                          .json = {NULL, get_u32(bytes.ptr + 4)},
                          .sections = sections,
                          .section_count = get_u32(bytes.ptr + 20)};
    bool is_ask = frame.kind == FRAME_ASK || frame.kind == FRAME_ANSWER;
    if (frame.kind < FRAME_HELLO || frame.kind > FRAME_ANSWER || (frame.number != 0) != is_ask)
        return err_set(err, RN_EPROTOCOL, "frame: unknown kind %u, or number %u", frame.kind,
                       frame.number);
    if (frame.section_count > LIMIT_FRAME_SECTIONS || frame.section_count > section_max)
        return err_set(err, RN_ETOOBIG, "frame: %u sections are too many", frame.section_count);
    uint64_t known = FRAME_HEADER_BYTES - 4 + 4 * (uint64_t)frame.section_count + frame.json.len;
    if (known > length)
        return err_set(err, RN_EPROTOCOL, "frame: its parts are longer than the frame");
    if (bytes.len < 4 + (size_t)length)
        return 0;
    int code = read_sections(bytes.ptr, &frame, sections, length - known, err);
    if (code)
        return code;
    *ret = frame;
    *ret_size = 4 + (size_t)length;
    return 0;
}
