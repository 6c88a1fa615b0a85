/* The service manager's side of the process: sd_notify and socket activation without libsystemd, and file limits. */
#include "io/service.h"

#include "base/num.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { LISTEN_FDS_START = 3, LISTEN_FDS_MAX = 64 };

bool service_notify(struct str message)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof sa.sun_path)
        return false;
    size_t n = strlen(path);
    memcpy(sa.sun_path, path, n);
    if (path[0] == '@')
        sa.sun_path[0] = 0; /* the abstract name space */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    ssize_t sent = sendto(fd, message.p, message.n, MSG_NOSIGNAL, (struct sockaddr *)&sa,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
    close(fd);
    return sent == (ssize_t)message.n;
}

size_t service_listen_fds(int *fd)
{
    uint64_t pid, count;
    *fd = LISTEN_FDS_START;
    if (!num_parse_u64(str_c(getenv("LISTEN_PID")), 10, &pid) || pid != (uint64_t)getpid() ||
        !num_parse_u64(str_c(getenv("LISTEN_FDS")), 10, &count) || count == 0 || count > LISTEN_FDS_MAX)
        return 0;
    for (int i = 0; i < (int)count; i++)
        fcntl(LISTEN_FDS_START + i, F_SETFD, FD_CLOEXEC);
    return (size_t)count;
}

uint64_t service_raise_files_limit(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
    return service_files_limit();
}

uint64_t service_files_limit(void)
{
    struct rlimit r;
    return getrlimit(RLIMIT_NOFILE, &r) == 0 ? (uint64_t)r.rlim_cur : 1024;
}
