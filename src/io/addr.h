/* Addresses of sockets: an IP and a port, and their text. Host names are dns.h's.
 *
 * Thread: any. */
#ifndef TOCSIN_IO_ADDR_H
#define TOCSIN_IO_ADDR_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "http/ip.h"

#include <stdbool.h>
#include <stdint.h>

struct addr {
    struct ip ip; /* n is 4 or 16; a v4-mapped address is always stored as 4 bytes */
    uint16_t port;
    uint32_t scope; /* of a link-local IPv6 address; 0: none */
};
#define ADDR_TEXT_MAX 80

struct sockaddr;
unsigned addr_to_sockaddr(const struct addr *a, void *storage); /* a sockaddr_storage; returns its length */
bool addr_from_sockaddr(struct addr *a, const struct sockaddr *sa);
bool addr_eq(const struct addr *a, const struct addr *b);
void addr_write(struct buf *b, const struct addr *a); /* "1.2.3.4:80", "[::1]:80" */
/* An IP literal with a port: "1.2.3.4:80", "[::1]:80". False if it is none. */
MUST_CHECK bool addr_parse(struct addr *a, struct str s);

#endif
