/* The addresses of this machine, as HashiCorp's go-sockaddr picks them for Alertmanager's advertise address.
 *
 * Thread: any; reads the kernel's tables at each call. */
#ifndef TOCSIN_IO_NETIF_H
#define TOCSIN_IO_NETIF_H

#include "base/err.h"
#include "http/ip.h"

#include <stdbool.h>

/* The first private (RFC 6890) address of the interface that has the default route; GetPrivateIP(). False: none. */
MUST_CHECK bool netif_private_ip(struct ip *ip);
/* The same for addresses that are not private; GetPublicIP(). */
MUST_CHECK bool netif_public_ip(struct ip *ip);
/* The source address that the kernel would use toward `to`: any machine with a route has one. */
MUST_CHECK bool netif_source_ip(const struct ip *to, struct ip *ip);
bool netif_has_ip(const struct ip *ip); /* it is one of ours */

#endif
