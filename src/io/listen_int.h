/* Listening sockets by Go's network addresses. */
#ifndef TOCSIN_IO_LISTEN_INT_H
#define TOCSIN_IO_LISTEN_INT_H

#include "base/err.h"
#include "base/str.h"
#include "io/addr.h"

/* A listening TCP socket for "host:port" as net.Listen("tcp", …): an empty host listens on both families. -1 on error:
 * "listen tcp <address>: bind: address already in use". */
int listen_tcp(struct str address, struct err *err);
/* The same for a known address. */
int listen_tcp_addr(const struct addr *a, struct err *err);

#endif
