/* What would run, in words. */
#include "app/check.h"

#include "app/generation.h"
#include "io/fs_posix.h"

#include <stdio.h>

static void say_addresses(const struct options *o, bool alerts, bool prometheus)
{
    printf("listen:");
    for (size_t i = 0; i < o->web_listen_addresses.n; i++)
        printf(" %.*s", STR_ARG(o->web_listen_addresses.v[i]));
    if (o->web_listen_addresses.n == 0)
        printf("%s%s", alerts ? " :9093" : "", prometheus ? " :9090" : "");
    printf("\n");
}

bool check_and_say(const struct config *c, const struct options *o, struct err *err)
{
    printf("configuration: %.*s\n", STR_ARG(o->config_file));
    if (c->alert_half) {
        const struct generation_options options = { .external_url = STR("http://localhost"), .hostname = STR("localhost"),
                                                    .fs = fs_posix() };
        struct generation *g = generation_new((struct config *)(uintptr_t)config_retain(c), &options, err);
        if (!g)
            return false;
        printf("alert half: yes (route, %zu receivers, %zu inhibit rules, %zu template patterns)\n", c->receivers_count,
               c->inhibit_rules_count, c->templates.n);
        printf("  data: %.*s\n", STR_ARG(o->storage_path));
        generation_release(g);
        if (o->cluster_listen_address.n)
            printf("  cluster: %.*s, %zu peers named\n", STR_ARG(o->cluster_listen_address), o->cluster_peers.n);
        else
            printf("  cluster: disabled\n");
    } else {
        printf("alert half: no (no route in the file)\n");
    }
    if (c->prometheus.present)
        printf("Prometheus half: yes\n  data: %.*s\n", STR_ARG(o->tsdb_path));
    else
        printf("Prometheus half: no (none of its sections in the file)\n");
    say_addresses(o, c->alert_half, c->prometheus.present);
    return true;
}
