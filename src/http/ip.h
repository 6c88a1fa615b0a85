/* IP addresses and prefixes as text, as Go's net/netip reads and writes them.
 *
 * Thread: any; pure. */
#ifndef TOCSIN_HTTP_IP_H
#define TOCSIN_HTTP_IP_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct ip {
    uint8_t b[16]; /* network order; the first n count */
    uint8_t n;     /* 4 or 16; 0: none */
};
struct ip_prefix {
    struct ip ip;
    unsigned bits;
};
/* "1.2.3.4" (no leading zeros), "::1", "::ffff:1.2.3.4" (16 bytes). Zones are refused. */
MUST_CHECK bool ip_parse(struct str s, struct ip *ip);
MUST_CHECK bool ip_prefix_parse(struct str s, struct ip_prefix *p); /* "10.0.0.0/8" */
void ip_write(struct buf *b, const struct ip *ip);                  /* RFC 5952; v4-mapped as ::ffff:1.2.3.4 */
struct ip ip_unmap(const struct ip *ip);                            /* ::ffff:1.2.3.4 becomes 1.2.3.4 */
bool ip_eq(const struct ip *a, const struct ip *b);
int ip_cmp(const struct ip *a, const struct ip *b); /* shorter first, then bytes */
bool ip_prefix_contains(const struct ip_prefix *p, const struct ip *ip); /* same family only */
bool ip_is_loopback(const struct ip *ip);
bool ip_is_unspecified(const struct ip *ip);
bool ip_is_private(const struct ip *ip); /* RFC 1918, RFC 4193 */
bool ip_is_link_local(const struct ip *ip);

/* Go's net.SplitHostPort: "host:port", "[v6]:port", ":port". On failure *why is "missing port in address", "too many
 * colons in address", "missing ']' in address", "unexpected '[' in address" or "unexpected ']' in address". */
MUST_CHECK bool host_port_split(struct str s, struct str *host, struct str *port, const char **why);
void host_port_join(struct buf *b, struct str host, struct str port); /* brackets around hosts with a colon */

#endif
