/* Host names to addresses, by the system's resolver (getaddrinfo on libuv's thread pool).
 *
 * A resolver that does not answer can hold a pool thread for half a minute. So at most DNS_RUNNING_MAX look-ups run at
 * once per resolver, others wait; a look-up whose deadline passes is answered with ERR_TIMEOUT while its thread is
 * still out. A queue longer than DNS_WAITING_MAX refuses.
 *
 * Thread: the loop's. */
#ifndef TOCSIN_IO_DNS_H
#define TOCSIN_IO_DNS_H

#include "base/err.h"
#include "base/str.h"
#include "io/addr.h"
#include "io/loop.h"

#include <stddef.h>

#define DNS_RUNNING_MAX 2
#define DNS_WAITING_MAX 1024
#define DNS_ADDRESSES_MAX 256

struct dns;
struct dns *dns_new(struct loop *l);
void dns_free(struct dns *d); /* open look-ups are dropped without a callback */

struct dns_lookup; /* a handle to cancel */
/* `done` gets the addresses with `port` filled in, or err ("lookup nope.example: no such host"). It is never called
 * from within, and exactly once unless cancelled. An IP literal is answered without the resolver. */
struct dns_lookup *dns_resolve(struct dns *d, struct str host, uint16_t port, mono_ms deadline,
                               void (*done)(void *arg, const struct addr *addrs, size_t count, const struct err *err),
                               void *arg);
void dns_cancel(struct dns_lookup *l); /* before done */

#endif
