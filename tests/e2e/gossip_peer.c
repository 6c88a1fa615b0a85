/* A bare member of a mesh, for tests from outside: the gossip edge with nothing above it. It prints what happens, a line
 * each, and does what it is told on standard input:
 *
 *     broadcast KEY HEX | send NAME KEY HEX | state KEY HEX | leave | quit
 *
 * gossip_peer --listen IP:PORT [--peer HOST:PORT]... [--name NAME] [--label L] [--key-file F]
 *             [--tls-cert F --tls-key F --tls-ca F]
 * Lines: `listening NAME ADDRESS`, `started [ERROR]`, `member joined|left NAME tocsin=0|1`, `view ready=0|1 position=N
 * NAME=ADDRESS...`, `deliver KEY update|full HEX`, `need_state own=0|1`, `left`. */
#include "base/mem.h"
#include "crypto/aead.h"
#include "gossip/gossip_io.h"
#include "http/client_config.h"
#include "io/clock_io.h"
#include "io/fs_posix.h"
#include "io/loop.h"
#include "io/tls.h"
#include "wire/base64.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PEERS_MAX  16
#define STATES_MAX 8

static struct loop *loop;
static struct gossip_io *mesh;
static struct buf input;
static struct {
    struct str key;
    struct buf data;
} states[STATES_MAX];
static size_t states_count;

static void print_hex(struct str bytes)
{
    struct buf hex = { 0 };
    hex_encode(bytes, &hex);
    printf("%.*s", (int)hex.n, hex.p ? hex.p : "");
    buf_deinit(&hex);
}

static void on_deliver(void *arg, struct str key, struct str bytes, bool full)
{
    (void)arg;
    printf("deliver %.*s %s ", STR_ARG(key), full ? "full" : "update");
    print_hex(bytes);
    putchar('\n');
    fflush(stdout);
}

static void on_need_state(void *arg, uint64_t tag, bool own)
{
    (void)arg;
    struct buf state = { 0 };
    printf("need_state own=%d\n", own);
    fflush(stdout);
    for (size_t i = 0; i < states_count; i++)
        if (own || !gossip_key_is_own(states[i].key))
            gossip_full_state_add(&state, states[i].key, buf_view(&states[i].data));
    gossip_io_state_take(mesh, tag, &state);
}

static void on_member(void *arg, struct str name, bool joined, bool tocsin, bool is_self)
{
    (void)arg;
    if (!is_self)
        printf("member %s %.*s tocsin=%d\n", joined ? "joined" : "left", STR_ARG(name), tocsin);
    fflush(stdout);
}

static void on_view(void *arg, const struct peer_view *view)
{
    (void)arg;
    printf("view ready=%d position=%zu", view->ready, view->position);
    for (size_t i = 0; i < view->members_count; i++)
        printf(" %.*s=%.*s", STR_ARG(view->members[i].name), STR_ARG(view->members[i].address));
    putchar('\n');
    fflush(stdout);
}

static void on_started(void *arg, const struct err *err)
{
    (void)arg;
    printf("started %.*s\n", STR_ARG(err_text(err)));
    fflush(stdout);
}

static void on_left(void *arg)
{
    (void)arg;
    printf("left\n");
    fflush(stdout);
    loop_stop(loop);
}

static struct buf *state_of(struct str key)
{
    for (size_t i = 0; i < states_count; i++)
        if (str_eq(states[i].key, key))
            return &states[i].data;
    if (states_count == STATES_MAX)
        exit(2);
    states[states_count].key = str_of(mem_dup(key.p, key.n), key.n);
    return &states[states_count++].data;
}

static void command(struct str line)
{
    struct str rest = line, verb, key, name = STR_EMPTY;
    struct buf bytes = { 0 };
    (void)str_split(&rest, ' ', &verb);
    bool is_send = str_eq(verb, STR("send")) && str_split(&rest, ' ', &name);
    if (str_eq(verb, STR("leave"))) {
        (void)gossip_io_leave(mesh);
    } else if (str_eq(verb, STR("quit"))) {
        loop_stop(loop);
    } else if (!str_split(&rest, ' ', &key) || !hex_decode(rest, &bytes)) {
        printf("what? %.*s\n", STR_ARG(line));
    } else if (is_send) {
        (void)gossip_io_send(mesh, name, key, buf_view(&bytes));
    } else if (str_eq(verb, STR("broadcast"))) {
        (void)gossip_io_broadcast(mesh, key, buf_view(&bytes), false);
    } else if (str_eq(verb, STR("state"))) {
        buf_str(state_of(key), buf_view(&bytes));
    }
    fflush(stdout);
    buf_deinit(&bytes);
}

static void on_input(void *arg, unsigned events)
{
    (void)arg;
    (void)events;
    char piece[65536];
    ssize_t n = read(0, piece, sizeof piece);
    if (n <= 0) {
        loop_stop(loop);
        return;
    }
    buf_append(&input, piece, (size_t)n);
    for (;;) {
        size_t end = str_find_byte(buf_view(&input), '\n');
        if (end == STR_NPOS)
            return;
        command(str_sub(buf_view(&input), 0, end));
        buf_erase_front(&input, end + 1);
    }
}

static void fail(const struct err *err)
{
    fprintf(stderr, "gossip_peer: %s\n", err->text);
    exit(1);
}

static void load_tls(struct gossip_io_options *o, struct fs *fs, const char *cert, const char *key, const char *ca)
{
    struct err err;
    struct tls_server_spec server = { .cert_file = str_c(cert),
                                      .key_file = str_c(key),
                                      .client_ca_file = str_c(ca),
                                      .client_auth = TLS_CLIENT_AUTH_REQUIRE_AND_VERIFY };
    struct http_tls_config client = { 0 };
    client.ca_file = str_c(ca);
    client.cert_file = str_c(cert);
    client.key_file = str_c(key);
    o->tls_server = tls_server_load(&server, fs, &err);
    if (!o->tls_server)
        fail(&err);
    o->tls_client = tls_client_load(&client, fs, &err);
    if (!o->tls_client)
        fail(&err);
}

int main(int argc, char **argv)
{
    static struct gossip_stats stats;
    static struct peer_stats peer_stats;
    static struct gossip_io_stats io_stats;
    struct str peers[PEERS_MAX];
    struct err err = { 0 };
    const char *cert = NULL, *key = NULL, *ca = NULL, *key_file = NULL;
    struct gossip_io_options o = gossip_io_options_default();
    crypto_init();
    clock_install_log();
    log_configure(LOG_DEBUG, LOG_LOGFMT);
    signal(SIGPIPE, SIG_IGN);
    gossip_stats_init(&stats);
    for (int i = 1; i + 1 < argc; i += 2) {
        struct str flag = str_c(argv[i]);
        if (str_eq(flag, STR("--listen")))
            o.bind = str_c(argv[i + 1]);
        else if (str_eq(flag, STR("--peer")) && o.peers_count < PEERS_MAX)
            peers[o.peers_count++] = str_c(argv[i + 1]);
        else if (str_eq(flag, STR("--name")))
            o.name = str_c(argv[i + 1]);
        else if (str_eq(flag, STR("--label")))
            o.label = str_c(argv[i + 1]);
        else if (str_eq(flag, STR("--key-file")))
            key_file = argv[i + 1];
        else if (str_eq(flag, STR("--tls-cert")))
            cert = argv[i + 1];
        else if (str_eq(flag, STR("--tls-key")))
            key = argv[i + 1];
        else if (str_eq(flag, STR("--tls-ca")))
            ca = argv[i + 1];
        else
            return 2;
    }
    loop = loop_new("mesh", NULL);
    struct fs *fs = fs_posix();
    if (key_file) {
        struct buf text = { 0 };
        if (!fs_read_file(fs, str_c(key_file), 65536, &text, &err) || !(o.keyring = gossip_keyring_parse(buf_view(&text), &err)))
            fail(&err);
        buf_deinit(&text);
    }
    if (cert && key && ca)
        load_tls(&o, fs, cert, key, ca);
    o.loop = loop;
    o.peers = peers;
    o.stats = &stats;
    o.peer_stats = &peer_stats;
    o.io_stats = &io_stats;
    o.events = (struct gossip_io_events){ on_deliver, on_need_state, on_member, on_view, on_started, on_left, NULL };
    mesh = gossip_io_open(&o, &err);
    if (!mesh)
        fail(&err);
    (void)state_of(STR("nfl"));
    (void)state_of(STR("sil"));
    char text[GOSSIP_ADDR_TEXT_MAX];
    printf("listening %.*s %s\n", STR_ARG(gossip_io_name(mesh)), gossip_addr_text(gossip_io_advertised(mesh), text).p);
    fflush(stdout);
    struct loop_poll *poll = loop_poll_new(loop, 0, on_input, NULL);
    loop_poll_set(poll, LOOP_READ);
    gossip_io_start(mesh);
    loop_run(loop);
    loop_poll_free(poll);
    gossip_io_free(mesh);
    if (o.tls_client) {
        tls_client_release(o.tls_client);
        tls_server_release(o.tls_server);
    }
    loop_free(loop);
    gossip_stats_deinit(&stats);
    buf_deinit(&input);
    for (size_t i = 0; i < states_count; i++) {
        union {
            const char *in;
            char *out;
        } k = { .in = states[i].key.p };
        mem_free(k.out);
        buf_deinit(&states[i].data);
    }
    return 0;
}
