/* The sandbox: honest stand-ins of the vendors' APIs on this machine, for trying workflows without
 * accounts. One listener; each vendor has a path of its own, and the rewrites say which host goes
 * where. What the vendors received can be listed. [any thread] */
#ifndef RUNNEL_SANDBOX_SANDBOX_H
#define RUNNEL_SANDBOX_SANDBOX_H

#include "base/err.h"

struct sandbox;

struct sandbox_options {
    const char *listen;     /* "127.0.0.1:9400"; port 0 picks a free one */
    const char *state_file; /* keeps what was registered over restarts; NULL: nothing is kept */
};

struct sandbox_rewrite {
    const char *from, *to; /* "https://discord.com" → "http://127.0.0.1:9400/discord" */
};

int sandbox_start(const struct sandbox_options *options, struct sandbox **ret,
                  struct err *err) MUST_USE;
const char *sandbox_url(const struct sandbox *sandbox);
const struct sandbox_rewrite *sandbox_rewrites(const struct sandbox *sandbox, size_t *ret_count);
void sandbox_stop(struct sandbox *sandbox); /* NULL is fine */

#endif
