/* Addresses of the machine's interfaces: getifaddrs and the kernel's routing tables, by go-sockaddr's rules.
 *
 * GetPrivateIP: of the interface that has the default route (IPv4's first, then IPv6's), the addresses that are up,
 * forwardable and private, IPv4 before IPv6; the first one. GetPublicIP: the same of those that are not private. */
#include "io/netif.h"

#include "io/addr.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The interface of the default route in /proc/net/route: destination and mask are zero. */
static bool default_interface_v4(char name[IF_NAMESIZE])
{
    FILE *f = fopen("/proc/net/route", "re");
    char line[256];
    bool found = false;
    if (!f)
        return false;
    while (!found && fgets(line, sizeof line, f)) {
        char device[IF_NAMESIZE + 1], destination[16], gateway[16], flags[8], refs[16], use[16], metric[16], mask[16];
        found = sscanf(line, "%16s %15s %15s %7s %15s %15s %15s %15s", device, destination, gateway, flags, refs, use,
                       metric, mask) == 8 &&
                strcmp(destination, "00000000") == 0 && strcmp(mask, "00000000") == 0;
        if (found)
            snprintf(name, IF_NAMESIZE, "%.15s", device);
    }
    fclose(f);
    return found;
}

/* In /proc/net/ipv6_route: prefix ::/0 on something that is not the loopback interface. */
static bool default_interface_v6(char name[IF_NAMESIZE])
{
    FILE *f = fopen("/proc/net/ipv6_route", "re");
    char line[256];
    bool found = false;
    if (!f)
        return false;
    while (!found && fgets(line, sizeof line, f)) {
        char destination[33], length[3], device[IF_NAMESIZE + 1];
        found = sscanf(line, "%32s %2s %*s %*s %*s %*s %*s %*s %*s %16s", destination, length, device) == 3 &&
                strcmp(length, "00") == 0 && strspn(destination, "0") == 32 && strcmp(device, "lo") != 0;
        if (found)
            snprintf(name, IF_NAMESIZE, "%.15s", device);
    }
    fclose(f);
    return found;
}

static bool forwardable(const struct ip *ip)
{
    return !ip_is_loopback(ip) && !ip_is_unspecified(ip) && !ip_is_link_local(ip) &&
           !(ip->n == 4 ? ip->b[0] >= 224 : ip->b[0] == 0xff);
}

/* RFC 6890's private blocks: 1918 and 4193, and the shared address space of carriers. */
static bool is_private(const struct ip *ip)
{
    return ip_is_private(ip) || (ip->n == 4 && ip->b[0] == 100 && (ip->b[1] & 0xc0) == 64);
}

static bool pick(bool private_one, struct ip *out)
{
    char name[IF_NAMESIZE];
    struct ifaddrs *list, *i;
    bool found = false;
    if (!(default_interface_v4(name) || default_interface_v6(name)) || getifaddrs(&list) != 0)
        return false;
    for (unsigned family_bytes = 4; family_bytes <= 16 && !found; family_bytes += 12) {
        for (i = list; i && !found; i = i->ifa_next) {
            struct addr a;
            if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) || strcmp(i->ifa_name, name) != 0 ||
                !addr_from_sockaddr(&a, i->ifa_addr) || a.ip.n != family_bytes || !forwardable(&a.ip) ||
                is_private(&a.ip) != private_one)
                continue;
            *out = a.ip;
            found = true;
        }
    }
    freeifaddrs(list);
    return found;
}

bool netif_private_ip(struct ip *ip)
{
    return pick(true, ip);
}

bool netif_public_ip(struct ip *ip)
{
    return pick(false, ip);
}

bool netif_source_ip(const struct ip *to, struct ip *ip)
{
    struct addr target = { .ip = *to, .port = 9 }, local;
    struct sockaddr_storage sa;
    socklen_t n = addr_to_sockaddr(&target, &sa);
    int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool ok = connect(fd, (struct sockaddr *)&sa, n) == 0; /* sends nothing: it only picks a route */
    n = sizeof sa;
    ok = ok && getsockname(fd, (struct sockaddr *)&sa, &n) == 0 && addr_from_sockaddr(&local, (struct sockaddr *)&sa);
    close(fd);
    if (ok)
        *ip = local.ip;
    return ok;
}

bool netif_has_ip(const struct ip *ip)
{
    struct ifaddrs *list;
    bool found = false;
    if (getifaddrs(&list) != 0)
        return false;
    for (struct ifaddrs *i = list; i && !found; i = i->ifa_next) {
        struct addr a;
        found = i->ifa_addr && addr_from_sockaddr(&a, i->ifa_addr) && ip_eq(&a.ip, ip);
    }
    freeifaddrs(list);
    return found;
}
