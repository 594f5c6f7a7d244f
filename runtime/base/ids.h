/* Ids. An id of the store is 64 bits: ms since the epoch << 20 | a counter, so that ids sort by
 * time; as text it has a prefix and 13 digits of Crockford's base 32 (lower case): evt_…, run_….
 * Random keys come from the system. [any thread] */
#ifndef RUNNEL_BASE_IDS_H
#define RUNNEL_BASE_IDS_H

#include "base/str.h"

#define ID_TEXT_MAX 32
#define ID_COUNTER_BITS 20

/* The smallest id that is greater than `last` and not before now. */
uint64_t id_next(uint64_t last, int64_t now_ms);
int64_t id_ms(uint64_t id);
/* `prefix` without its underscore: "evt", "run". */
void id_format(const char *prefix, uint64_t id, char out[ID_TEXT_MAX]);
/* RN_EINVAL: another prefix, or no id. */
int id_parse(const char *prefix, struct str text, uint64_t *ret) MUST_USE;

/* `size` random bytes from getrandom(2). */
void random_bytes(void *data, size_t size);
/* `length` random characters of [a-z0-9] without look-alikes (5 bits each); out has room for length
 * + 1. */
void random_key(char *out, size_t length);
/* A UUID of version 4; out has room for 37. */
void random_uuid(char out[37]);

#endif
