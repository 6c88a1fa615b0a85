/* What would run, in words. Files that are read once at start are read here too, so that a check that passes is a start that does
 * not fail on them. */
#include "app/check.h"

#include "app/generation.h"
#include "app/web_access.h"
#include "gossip/gossip.h"
#include "http/web_config.h"
#include "io/fs_posix.h"

#include <stdio.h>

#define CLUSTER_FILE_BYTES_MAX ((size_t)1 << 20)

static bool check_web_file(const struct options *o, bool *tls, struct err *err)
{
    struct web_access *access = web_access_open(fs_posix(), o->web_config_file, err);
    if (!access)
        return false;
    *tls = web_access_tls(access);
    web_access_close(access);
    return true;
}

static bool check_cluster_tls(struct str path, struct err *err)
{
    struct arena arena;
    struct buf text = { 0 };
    struct cluster_tls_config c = { 0 };
    size_t slash = str_rfind_byte(path, '/');
    struct str base = slash == STR_NPOS ? STR(".") : str_sub(path, 0, slash ? slash : 1);
    arena_init(&arena, ARENA_NO_LIMIT);
    bool ok = fs_read_file(fs_posix(), path, CLUSTER_FILE_BYTES_MAX, &text, err) &&
              cluster_tls_config_parse(&arena, buf_view(&text), base, NULL, &c, err);
    buf_deinit(&text);
    arena_deinit(&arena);
    return ok || err_wrap(err, "cluster.tls-config");
}

static bool check_cluster_keys(struct str path, struct err *err)
{
    struct buf text = { 0 };
    struct gossip_keyring *keys = NULL;
    if (fs_read_file(fs_posix(), path, CLUSTER_FILE_BYTES_MAX, &text, err))
        keys = gossip_keyring_parse(buf_view(&text), err);
    buf_deinit(&text);
    if (!keys)
        return err_wrap(err, "cluster.secret-key-file");
    gossip_keyring_free(keys);
    return true;
}

static bool say_cluster(const struct options *o, struct err *err)
{
    if (o->cluster_listen_address.n == 0) {
        printf("  cluster: disabled\n");
        return true;
    }
    printf("  cluster: %.*s TCP and UDP, %zu peers named%s\n", STR_ARG(o->cluster_listen_address), o->cluster_peers.n,
           o->cluster_tls_config.n        ? ", mutual TLS"
           : o->cluster_secret_key_file.n ? ", encrypted"
                                          : "");
    return (o->cluster_tls_config.n == 0 || check_cluster_tls(o->cluster_tls_config, err)) &&
           (o->cluster_secret_key_file.n == 0 || check_cluster_keys(o->cluster_secret_key_file, err));
}

static bool say_alert_half(const struct config *c, const struct options *o, struct err *err)
{
    if (!c->alert_half) {
        printf("alert half: no (no route in the file)\n");
        return true;
    }
    const struct generation_options options = { .external_url = STR("http://localhost"), .hostname = STR("localhost"),
                                                .fs = fs_posix() };
    struct generation *g = generation_new((struct config *)(uintptr_t)config_retain(c), &options, err);
    if (!g)
        return false;
    generation_release(g);
    printf("alert half: yes (route, %zu receivers, %zu inhibit rules, %zu template patterns)\n", c->receivers_count,
           c->inhibit_rules_count, c->templates.n);
    printf("  data: %.*s\n", STR_ARG(o->storage_path));
    return say_cluster(o, err);
}

static void say_prometheus_half(const struct config *c, const struct options *o)
{
    const struct prometheus_config *p = &c->prometheus;
    if (!p->present) {
        printf("Prometheus half: no (none of its sections in the file)\n");
        return;
    }
    const struct {
        const char *name;
        bool there;
    } sections[] = {
        { "storage", p->storage.tsdb || p->storage.exemplars },
        { "scrape_configs", p->scrape_configs },
        { "scrape_config_files", p->scrape_config_files },
        { "rule_files", p->rule_files },
        { "alerting", p->alerting },
        { "remote_write", p->remote_write },
        { "remote_read", p->remote_read },
        { "otlp", p->otlp },
        { "runtime", p->runtime },
    };
    printf("Prometheus half: yes");
    const char *before = " (";
    for (size_t i = 0; i < ARRAY_LEN(sections); i++) {
        if (!sections[i].there)
            continue;
        printf("%s%s", before, sections[i].name);
        before = ", ";
    }
    printf("%s\n  data: %.*s\n", before[0] == ',' ? ")" : "", STR_ARG(o->tsdb_path));
}

static void say_addresses(const struct options *o, bool alerts, bool prometheus, bool tls)
{
    printf("listen:");
    for (size_t i = 0; i < o->web_listen_addresses.n; i++)
        printf(" %.*s", STR_ARG(o->web_listen_addresses.v[i]));
    if (o->web_listen_addresses.n == 0)
        printf("%s%s", alerts ? " :9093" : "", prometheus ? " :9090" : "");
    printf("%s\n", tls ? " with TLS" : "");
}

bool check_and_say(const struct config *c, const struct options *o, struct err *err)
{
    bool tls = false;
    printf("configuration: %.*s\n", STR_ARG(o->config_file));
    if (!say_alert_half(c, o, err) || !check_web_file(o, &tls, err))
        return false;
    say_prometheus_half(c, o);
    say_addresses(o, c->alert_half, c->prometheus.present, tls);
    return true;
}
