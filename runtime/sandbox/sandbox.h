/* The sandbox: honest stand-ins of the vendors' APIs on this machine, for trying workflows without
 * accounts. One listener; each vendor has a path of its own, and the rewrites say which host goes
 * where. What the vendors received can be listed, and they can be made to fail. docs/sandbox.md
 * says what each of them knows. [any thread] */
#ifndef RUNNEL_SANDBOX_SANDBOX_H
#define RUNNEL_SANDBOX_SANDBOX_H

#include "base/err.h"

struct sandbox;

#define SANDBOX_LIMITS_OFF (-1)
#define SANDBOX_LIMITS_MAX 100000

struct sandbox_options {
    const char *listen;     /* "127.0.0.1:9400"; port 0 picks a free one */
    const char *state_file; /* keeps what was registered over restarts; NULL: nothing is kept */
    int limits; /* 0: the vendors' own rate limits; N: N times as much; SANDBOX_LIMITS_OFF: none */
};

struct sandbox_rewrite {
    const char *from, *to; /* "https://discord.com" → "http://127.0.0.1:9400/discord" */
};

/* "real", "off" or a number from 1 to SANDBOX_LIMITS_MAX, as sandbox_options.limits. RN_EINVAL. */
int sandbox_read_limits(const char *text, int *ret, struct err *err) MUST_USE;

int sandbox_start(const struct sandbox_options *options, struct sandbox **ret,
                  struct err *err) MUST_USE;
const char *sandbox_url(const struct sandbox *sandbox);
/* Where it takes mail: "smtp://127.0.0.1:9401". */
const char *sandbox_smtp_url(const struct sandbox *sandbox);
const struct sandbox_rewrite *sandbox_rewrites(const struct sandbox *sandbox, size_t *ret_count);
void sandbox_stop(struct sandbox *sandbox); /* NULL is fine */

#endif
