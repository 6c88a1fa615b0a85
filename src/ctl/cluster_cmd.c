/* amtool cluster: who is in it, as one member sees it. */
#include "ctl/ctl.h"

#include "base/num.h"

#include <stdlib.h>

struct member {
    struct str address, name;
};

static bool read_members(struct ctl *c, struct json_reader *r, struct member **out, size_t *count)
{
    struct str key;
    size_t n = 0, capacity = 16;
    struct member *v = arena_alloc_array(c->arena, capacity, sizeof *v);
    if (!jr_array(r))
        return false;
    while (jr_element(r)) {
        if (n == capacity) {
            struct member *grown = arena_alloc_array(c->arena, capacity * 2, sizeof *grown);
            memcpy(grown, v, n * sizeof *grown);
            v = grown;
            capacity *= 2;
        }
        struct member *m = &v[n++];
        if (!jr_object(r))
            return false;
        while (jr_member(r, &key)) {
            bool ok = str_eq(key, STR("address")) ? jr_str(r, &m->address)
                      : str_eq(key, STR("name"))  ? jr_str(r, &m->name)
                                                  : jr_skip(r);
            if (!ok)
                return false;
        }
    }
    *out = v;
    *count = n;
    return !r->failed;
}

/* By address as bytes, then port. */
static int by_address(const void *a, const void *b)
{
    struct str x = ((const struct member *)a)->address, y = ((const struct member *)b)->address;
    size_t cut_x = str_rfind_byte(x, ':'), cut_y = str_rfind_byte(y, ':');
    struct str host_x = str_sub(x, 0, cut_x == STR_NPOS ? x.n : cut_x), host_y = str_sub(y, 0, cut_y == STR_NPOS ? y.n : cut_y);
    uint64_t octets[2][4] = { { 0 } };
    struct str hosts[2] = { host_x, host_y };
    for (int k = 0; k < 2; k++) {
        struct str rest = hosts[k], part;
        for (int i = 0; i < 4 && str_split(&rest, '.', &part); i++)
            if (!num_parse_u64(part, 10, &octets[k][i]))
                octets[k][i] = 256;
    }
    for (int i = 0; i < 4; i++)
        if (octets[0][i] != octets[1][i])
            return octets[0][i] < octets[1][i] ? -1 : 1;
    int order = str_cmp(host_x, host_y);
    if (order)
        return order;
    uint64_t port_x = 0, port_y = 0;
    if (!num_parse_u64(str_from(x, cut_x + 1), 10, &port_x) || !num_parse_u64(str_from(y, cut_y + 1), 10, &port_y))
        return str_cmp(x, y);
    return port_x < port_y ? -1 : port_x > port_y;
}

int ctl_cluster_show(void *program)
{
    struct ctl *c = program;
    struct str body, key, cluster = STR("{}"), name = STR_EMPTY, status = STR_EMPTY;
    struct member *members = NULL;
    size_t n = 0;
    struct json_reader r;
    if (!ctl_api_ok(c, "GET", STR("/status"), STR_EMPTY, "/status", "getStatus", &body))
        return ctl_fail(c);
    json_reader_init(&r, body, c->arena);
    if (jr_object(&r))
        while (jr_member(&r, &key))
            if (!(str_eq(key, STR("cluster")) ? jr_raw(&r, &cluster) : jr_skip(&r)))
                break;
    if (!jr_finish(&r, &c->err))
        return ctl_fail(c);
    if (str_eq(c->f.output, STR("json"))) {
        buf_str(&c->out, cluster);
        buf_byte(&c->out, '\n');
        return 0;
    }
    json_reader_init(&r, cluster, c->arena);
    if (jr_object(&r))
        while (jr_member(&r, &key)) {
            bool ok = str_eq(key, STR("name"))     ? jr_str(&r, &name)
                      : str_eq(key, STR("status")) ? jr_str(&r, &status)
                      : str_eq(key, STR("peers"))  ? read_members(c, &r, &members, &n)
                                                   : jr_skip(&r);
            if (!ok)
                break;
        }
    if (!jr_finish(&r, &c->err))
        return ctl_fail(c);
    buf_printf(&c->out, "Cluster Status:  %.*s\nNode Name:       %.*s\n", STR_ARG(status), STR_ARG(name));
    if (!str_eq(c->f.output, STR("extended")))
        return 0;
    if (n)
        qsort(members, n, sizeof *members, by_address);
    size_t width = strlen("Address");
    for (size_t i = 0; i < n; i++)
        width = members[i].address.n > width ? members[i].address.n : width;
    size_t names = strlen("Name");
    for (size_t i = 0; i < n; i++)
        names = members[i].name.n > names ? members[i].name.n : names;
    buf_c(&c->out, "\nAddress");
    buf_fill(&c->out, ' ', width + 2 - strlen("Address"));
    buf_c(&c->out, "Name\n");
    for (size_t i = 0; i < n; i++) {
        buf_str(&c->out, members[i].address);
        buf_fill(&c->out, ' ', width + 2 - members[i].address.n);
        buf_str(&c->out, members[i].name);
        buf_fill(&c->out, ' ', names + 2 - members[i].name.n);
        buf_byte(&c->out, '\n');
    }
    return 0;
}
