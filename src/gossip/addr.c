/* Addresses as the mesh keeps and prints them. Texts are Go's: net.IP.String() and net.JoinHostPort(), because they
 * show up in the status API. Pure; GOSSIP_ADDR_TEXT_MAX covers the longest "[v6]:port". */
#include "gossip/gossip.h"

#include "base/num.h"
#include "http/ip.h"

bool gossip_addr_eq(struct gossip_addr a, struct gossip_addr b)
{
    return a.ip_bytes == b.ip_bytes && a.port == b.port && memcmp(a.ip, b.ip, a.ip_bytes) == 0;
}

struct gossip_addr gossip_addr_v4(uint32_t ip, uint16_t port)
{
    struct gossip_addr a = { .ip_bytes = 4, .port = port };
    a.ip[0] = (uint8_t)(ip >> 24);
    a.ip[1] = (uint8_t)(ip >> 16);
    a.ip[2] = (uint8_t)(ip >> 8);
    a.ip[3] = (uint8_t)ip;
    return a;
}

bool gossip_addr_parse(struct str text, struct gossip_addr *addr)
{
    struct str host, port;
    const char *why;
    struct ip ip;
    uint64_t n;
    if (!host_port_split(text, &host, &port, &why) || !ip_parse(host, &ip) || !num_parse_u64(port, 10, &n) ||
        n > 65535)
        return false;
    ip = ip_unmap(&ip);
    *addr = (struct gossip_addr){ .ip_bytes = ip.n, .port = (uint16_t)n };
    memcpy(addr->ip, ip.b, ip.n);
    return true;
}

struct str gossip_addr_text(struct gossip_addr a, char text[GOSSIP_ADDR_TEXT_MAX])
{
    ASSERT(a.ip_bytes <= 16);
    struct ip ip = { .n = a.ip_bytes };
    memcpy(ip.b, a.ip, a.ip_bytes);
    struct buf host = { 0 }, port = { 0 }, joined = { 0 };
    if (ip.n != 0) {
        ip = ip_unmap(&ip);
        ip_write(&host, &ip);
    }
    buf_u64(&port, a.port);
    host_port_join(&joined, buf_view(&host), buf_view(&port));
    size_t n = joined.n < GOSSIP_ADDR_TEXT_MAX ? joined.n : GOSSIP_ADDR_TEXT_MAX - 1;
    memcpy(text, joined.p, n);
    text[n] = '\0';
    buf_deinit(&host);
    buf_deinit(&port);
    buf_deinit(&joined);
    return str_of(text, n);
}
