/* Hexadecimal, base64, percent-encoding, form bodies. [any thread] */
#ifndef RUNNEL_BASE_ENCODE_H
#define RUNNEL_BASE_ENCODE_H

#include "base/buf.h"

/* Lower-case digits; out has room for 2 × size + 1. */
void encode_hex(const void *data, size_t size, char *out);
/* Two digits a byte, either case, into out (text.len / 2 bytes). RN_EINVAL. */
int decode_hex(struct str text, unsigned char *out) MUST_USE;
/* Standard alphabet with padding; `url` true: the URL alphabet without padding. */
void encode_base64(struct buf *out, const void *data, size_t size, bool url);
/* Either alphabet, padding optional, no white space. RN_EINVAL. */
int decode_base64(struct buf *out, struct str text) MUST_USE;
/* All but RFC 3986's unreserved characters become %XX. */
void encode_percent(struct buf *out, struct str text);
/* %XX to bytes, and + to a space where `form`. RN_EINVAL on a bad %. */
int decode_percent(struct buf *out, struct str text, bool form) MUST_USE;

#endif
