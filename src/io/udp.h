/* One bound UDP socket on a loop. Packets are sent from the socket that receives, whole or not at all.
 *
 * Thread: the loop's. */
#ifndef TOCSIN_IO_UDP_H
#define TOCSIN_IO_UDP_H

#include "base/err.h"
#include "base/str.h"
#include "io/addr.h"
#include "io/loop.h"

#include <stdbool.h>

#define UDP_PACKET_BYTES_MAX 65536

struct udp;
/* Binds (port 0: any free one). The kernel's receive buffer is asked for `receive_bytes` (0: its default), halved until
 * it agrees. `packet` gets each datagram; the bytes are valid during the call. Zero-length datagrams are dropped. */
struct udp *udp_open(struct loop *l, const struct addr *bind, int receive_bytes,
                     void (*packet)(void *arg, const struct addr *from, struct str bytes), void *arg, struct err *err);
void udp_close(struct udp *u); /* NULL is fine; may be called from `packet` */
const struct addr *udp_address(const struct udp *u); /* the real one */
/* A full send buffer drops the packet: ERR_UNAVAILABLE. Errors: "write udp 0.0.0.0:9094->10.0.0.1:9094: …". */
MUST_CHECK bool udp_send(struct udp *u, const struct addr *to, struct str bytes, struct err *err);

#endif
