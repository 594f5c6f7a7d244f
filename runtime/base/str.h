/* A view of text: pointer and length, not owned, may hold NULs. */
#ifndef RUNNEL_BASE_STR_H
#define RUNNEL_BASE_STR_H

#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>

struct str {
    const char *ptr;
    size_t len;
};

#define STR(literal_) ((struct str){("" literal_), sizeof(literal_) - 1})
#define STR_NONE ((struct str){NULL, 0})
#define STR_FMT "%.*s"
#define STR_ARG(s_) (int)(s_).len, (s_).ptr ? (s_).ptr : ""

/* NULL gives the empty view. */
struct str str_from(const char *text);
struct str str_n(const void *data, size_t size);
bool str_eq(struct str a, struct str b);
bool str_eq_c(struct str a, const char *b);
bool str_eq_nocase(struct str a, struct str b);
int str_cmp(struct str a, struct str b);
bool str_starts(struct str text, const char *prefix);
bool str_ends(struct str text, const char *suffix);
/* The part before the first `c`; *text becomes what is behind it. False at the end of the text. */
bool str_cut(struct str *text, char c, struct str *ret_part);
struct str str_trim(struct str text);
/* 1 to `max` of letters, digits, - _ . and no . in front. */
bool str_is_name(struct str text, size_t max);
/* The offset of the first `needle` at or behind `from`, or -1. */
ptrdiff_t str_find(struct str text, const char *needle, size_t from);
/* A copy with a NUL behind it; the caller frees. */
char *str_dup(struct str text);

bool utf8_is_valid(struct str text);
/* The length in bytes of the character at `at` (1 for a byte that starts none). */
size_t utf8_length(struct str text, size_t at);
/* Writes code point `c` to out[4]; returns the length. */
size_t utf8_encode(uint32_t c, char out[4]);
/* Reads the code point at *at and moves *at behind it; 0xFFFD for a byte that starts none. */
uint32_t utf8_decode(struct str text, size_t *at);

/* Numbers, the whole text or RN_EINVAL; RN_ETOOBIG when it does not fit. No spaces, no plus sign.
 * */
int num_parse_i64(struct str text, int64_t *ret) MUST_USE;
int num_parse_u64(struct str text, uint64_t *ret) MUST_USE;
/* "10MiB", "4GiB", "512KiB", "100" (bytes); also KB, MB, GB (powers of 1,000). */
int num_parse_bytes(struct str text, uint64_t *ret) MUST_USE;
/* "30s", "500ms", "5m", "2h", "30d", "1w" to ms. A bare number is refused. */
int num_parse_duration(struct str text, int64_t *ret_ms) MUST_USE;

/* The edit distance of two names, at most `limit` + 1: for "did you mean". */
size_t str_distance(struct str a, struct str b, size_t limit);

#endif
