/* What a service manager and the system's limits offer: readiness messages, inherited sockets, file descriptors.
 *
 * Thread: main. */
#ifndef TOCSIN_IO_SERVICE_H
#define TOCSIN_IO_SERVICE_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One datagram to $NOTIFY_SOCKET ("READY=1", "STOPPING=1", "RELOADING=1\nMONOTONIC_USEC=…"). False if there is no manager. */
bool service_notify(struct str message);
/* Sockets handed over by LISTEN_FDS/LISTEN_PID: the first descriptor in *fd, their number returned (0: none). They get
 * O_CLOEXEC. */
size_t service_listen_fds(int *fd);
/* Raises the soft limit of open files to the hard one; returns what it is now. */
uint64_t service_raise_files_limit(void);
uint64_t service_files_limit(void);

#endif
