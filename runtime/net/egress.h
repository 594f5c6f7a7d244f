/* Where requests may go. Checked at connect time on the address that is really connected to, so
 * that no DNS answer gets around it. Link-local and metadata addresses are always refused
 * (169.254.0.0/16, fe80::/10, fd00:ec2::254, 0.0.0.0/8, multicast, broadcast), whatever `allow`
 * says; loopback, private (RFC 1918, RFC 4193, 100.64.0.0/10) unless `allow` has them. An IPv4
 * address inside an IPv6 one (mapped, NAT64, 6to4, Teredo, ISATAP) is judged as itself.
 * Immutable after the last egress_…add; then [any thread]. */
#ifndef RUNNEL_NET_EGRESS_H
#define RUNNEL_NET_EGRESS_H

#include "base/err.h"
#include "base/str.h"

#include <sys/socket.h>

struct egress;

struct egress *egress_new(void);
void egress_free(struct egress *egress);
/* A network in CIDR form ("127.0.0.0/8", "::1/128") or one address, optionally with a port:
 * "127.0.0.1:9400". RN_EINVAL. */
int egress_allow(struct egress *egress, struct str network, struct err *err) MUST_USE;
/* Requests to `from` (scheme://host[:port]) go to `to`, a base URL: path and query are appended.
 * RN_EINVAL. */
int egress_rewrite(struct egress *egress, struct str from, struct str to, struct err *err) MUST_USE;
/* Every request that no rewrite takes goes to `base`/<scheme>/<host[:port]>/<path…>: for tests that
 * are to reach nobody. RN_EINVAL. */
int egress_catch(struct egress *egress, struct str base, struct err *err) MUST_USE;
/* The URL to use for `url`; the caller frees. Only http and https: RN_EPERM. RN_EINVAL for what is
 * no URL. */
int egress_apply(const struct egress *egress, const char *url, char **ret_url,
                 struct err *err) MUST_USE;
/* Whether an address may be connected to; RN_EPERM with a text that says how to allow it. */
int egress_check(const struct egress *egress, const struct sockaddr *address,
                 struct err *err) MUST_USE;
/* As text, to hand to another process; and back. The caller frees. */
char *egress_to_json(const struct egress *egress);
int egress_from_json(struct str text, struct egress **ret, struct err *err) MUST_USE;

#endif
