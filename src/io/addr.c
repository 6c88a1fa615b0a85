/* Addresses: struct addr to sockaddr and back, and their text. */
#include "io/addr.h"

#include "base/mem.h"
#include "base/num.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

unsigned addr_to_sockaddr(const struct addr *a, void *storage)
{
    memset(storage, 0, sizeof(struct sockaddr_storage));
    if (a->ip.n == 4) {
        struct sockaddr_in *in = storage;
        in->sin_family = AF_INET;
        in->sin_port = htons(a->port);
        memcpy(&in->sin_addr, a->ip.b, 4);
        return sizeof *in;
    }
    ASSERT(a->ip.n == 16);
    struct sockaddr_in6 *in6 = storage;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(a->port);
    in6->sin6_scope_id = a->scope;
    memcpy(&in6->sin6_addr, a->ip.b, 16);
    return sizeof *in6;
}

bool addr_from_sockaddr(struct addr *a, const struct sockaddr *sa)
{
    *a = (struct addr){ 0 };
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof in);
        a->ip.n = 4;
        memcpy(a->ip.b, &in.sin_addr, 4);
        a->port = ntohs(in.sin_port);
        return true;
    }
    if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof in6);
        a->ip.n = 16;
        memcpy(a->ip.b, &in6.sin6_addr, 16);
        a->ip = ip_unmap(&a->ip);
        a->port = ntohs(in6.sin6_port);
        a->scope = in6.sin6_scope_id;
        return true;
    }
    return false;
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
    return a->port == b->port && ip_eq(&a->ip, &b->ip) && a->scope == b->scope;
}

void addr_write(struct buf *b, const struct addr *a)
{
    buf_c(b, a->ip.n == 16 ? "[" : "");
    ip_write(b, &a->ip);
    if (a->scope)
        buf_printf(b, "%%%u", (unsigned)a->scope);
    buf_printf(b, "%s:%u", a->ip.n == 16 ? "]" : "", (unsigned)a->port);
}

bool addr_parse(struct addr *a, struct str s)
{
    struct str host, port;
    const char *why;
    uint64_t n;
    struct addr r = { 0 };
    if (!host_port_split(s, &host, &port, &why) || !ip_parse(host, &r.ip) || port.n == 0 || !ascii_is_digit(port.p[0]) ||
        !num_parse_u64(port, 10, &n) || n > 65535)
        return false;
    r.ip = ip_unmap(&r.ip);
    r.port = (uint16_t)n;
    *a = r;
    return true;
}
