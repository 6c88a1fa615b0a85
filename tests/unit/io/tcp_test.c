#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "io/clock_io.h"
#include "io/fs_posix.h"
#include "io/tcp.h"
#include "unit/io/cert_fixture.h"
#include "unit/io/net_fixture.h"

#include <stdlib.h>

struct side { /* what one end of a connection has seen */
    struct tcp *tcp;
    struct buf got;
    unsigned pieces, opened, closed, drained;
    struct err why;
    bool echo;
};

static void on_opened(void *arg)
{
    struct side *s = arg;
    s->opened++;
}

static void on_data(void *arg, struct str bytes)
{
    struct side *s = arg;
    s->pieces++;
    buf_str(&s->got, bytes);
    if (s->echo)
        assert_true(tcp_write(s->tcp, bytes));
}

static void on_closed(void *arg, const struct err *why)
{
    struct side *s = arg;
    s->closed++;
    s->why = *why;
}

static void on_drained(void *arg)
{
    struct side *s = arg;
    s->drained++;
}

static const struct tcp_events events = { on_opened, on_data, on_closed, on_drained };

struct fixture {
    struct loop *loop;
    struct tcp_listener *listener;
    struct side a, b; /* a dials, b accepts */
    struct tls_server *tls_server;
    struct tls_client *tls_client;
    bool refuse;
};

static void on_accepted(void *arg, struct tcp *c)
{
    struct fixture *f = arg;
    if (f->refuse) {
        tcp_free(c);
        f->b.closed++;
        return;
    }
    f->b.tcp = c;
    tcp_set_events(c, &events, &f->b);
}

static struct tls_server *current_tls(void *arg)
{
    struct fixture *f = arg;
    return tls_server_retain(f->tls_server);
}

static const struct addr loopback = { .ip = { { 127, 0, 0, 1 }, 4 } };

static void listen_fixture(struct fixture *f)
{
    struct tcp_listener_options o = { .accepted = on_accepted, .arg = f, .tls = f->tls_server ? current_tls : NULL };
    struct err err;
    f->listener = tcp_listen(f->loop, &loopback, &o, &err);
    if (!f->listener)
        fail_msg("%s", err.text);
}

static void connect_fixture(struct fixture *f, mono_ms deadline, const char *name)
{
    struct tcp_options o = { .events = events, .arg = &f->a, .deadline = deadline, .tls = f->tls_client,
                             .server_name = str_c(name) };
    f->a.tcp = tcp_connect(f->loop, tcp_listener_address(f->listener), &o);
    assert_int_equal(f->a.opened, 0);
}

static void start(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    f->loop = loop_new("tcp", NULL);
    listen_fixture(f);
}

static void stop(struct fixture *f)
{
    tcp_free(f->a.tcp);
    tcp_free(f->b.tcp);
    tcp_listener_free(f->listener);
    tls_server_release(f->tls_server);
    tls_client_release(f->tls_client);
    buf_deinit(&f->a.got);
    buf_deinit(&f->b.got);
    loop_free(f->loop);
}

#define wait_for(f, condition)                                                                     \
    do {                                                                                           \
        int64_t end_ = test_now_ms() + FIXTURE_DEADLINE_MS;                                        \
        while (!(condition)) {                                                                     \
            if (test_now_ms() > end_)                                                              \
                fail_msg("waited in vain for %s", #condition);                                     \
            loop_turn((f)->loop, 100);                                                             \
        }                                                                                          \
    } while (0)

static void bytes_go_both_ways_and_the_end_is_told(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    connect_fixture(&f, MONO_NEVER, "");
    assert_true(tcp_write(f.a.tcp, STR("early "))); /* before it is open */
    wait_for(&f, f.a.opened && f.b.tcp);
    f.b.echo = true;
    assert_true(tcp_write(f.a.tcp, STR("late")));
    wait_for(&f, f.a.got.n >= 4);
    wait_for(&f, f.b.got.n == 10);
    assert_string_equal(f.b.got.p, "early late");
    assert_int_equal(tcp_remote(f.a.tcp)->port, tcp_listener_address(f.listener)->port);
    assert_int_equal(tcp_local(f.a.tcp)->port, tcp_remote(f.b.tcp)->port);
    tcp_end(f.a.tcp);
    wait_for(&f, f.b.closed);
    assert_int_equal(f.b.why.code, ERR_NONE);
    wait_for(&f, f.a.closed);
    assert_int_equal(f.a.why.code, ERR_NONE);
    assert_false(tcp_write(f.a.tcp, STR("x")));
    stop(&f);
}

static void a_refused_connection_says_so_in_gos_words(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    uint16_t port;
    close(listen_any(&port));
    struct addr to = loopback;
    to.port = port;
    struct tcp_options o = { .events = events, .arg = &f.a, .deadline = MONO_NEVER };
    f.a.tcp = tcp_connect(f.loop, &to, &o);
    wait_for(&f, f.a.closed);
    char want[128];
    snprintf(want, sizeof want, "dial tcp 127.0.0.1:%u: connect: connection refused", (unsigned)port);
    assert_string_equal(f.a.why.text, want);
    stop(&f);
}

static void the_deadline_closes_a_silent_connection(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    connect_fixture(&f, mono_add(clock_mono(), 30), "");
    wait_for(&f, f.a.closed);
    assert_int_equal(f.a.why.code, ERR_TIMEOUT);
    assert_non_null(strstr(f.a.why.text, "i/o timeout"));
    stop(&f);
}

static void a_large_write_is_queued_and_arrives_whole(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    connect_fixture(&f, MONO_NEVER, "");
    wait_for(&f, f.a.opened && f.b.tcp);
    tcp_pause(f.b.tcp, true);
    struct buf big = { 0 };
    buf_fill(&big, 'y', 8 * 1024 * 1024);
    assert_true(tcp_write(f.a.tcp, buf_view(&big)));
    assert_true(tcp_write_queued(f.a.tcp) > 0);
    tcp_end(f.a.tcp);
    loop_turn(f.loop, 10);
    assert_int_equal(f.b.got.n, 0);
    tcp_pause(f.b.tcp, false);
    wait_for(&f, f.b.closed);
    assert_int_equal(f.b.got.n, big.n);
    buf_deinit(&big);
    stop(&f);
}

static void more_than_the_queue_holds_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    struct tcp_options o = { .events = events, .arg = &f.a, .deadline = MONO_NEVER, .write_bytes_max = 10 };
    f.a.tcp = tcp_connect(f.loop, tcp_listener_address(f.listener), &o);
    assert_true(tcp_write(f.a.tcp, STR("12345678")));
    assert_false(tcp_write(f.a.tcp, STR("901")));
    assert_true(tcp_write(f.a.tcp, STR("90")));
    stop(&f);
}

static void an_accepted_connection_may_be_dropped_at_once(void **state)
{
    (void)state;
    struct fixture f;
    start(&f);
    f.refuse = true;
    connect_fixture(&f, MONO_NEVER, "");
    wait_for(&f, f.a.closed && f.b.closed);
    stop(&f);
}

static void a_listener_stops_accepting_at_its_limit_and_goes_on_when_one_leaves(void **state)
{
    (void)state;
    struct fixture f;
    memset(&f, 0, sizeof f);
    f.loop = loop_new("tcp", NULL);
    struct tcp_listener_options lo = { .accepted = on_accepted, .arg = &f, .connections_max = 1 };
    struct err err;
    f.listener = tcp_listen(f.loop, &loopback, &lo, &err);
    connect_fixture(&f, MONO_NEVER, "");
    wait_for(&f, f.a.opened && f.b.tcp);
    struct side second = { 0 };
    struct tcp *first = f.b.tcp;
    struct tcp_options o = { .events = events, .arg = &second, .deadline = MONO_NEVER };
    second.tcp = tcp_connect(f.loop, tcp_listener_address(f.listener), &o);
    wait_for(&f, second.opened); /* by the kernel's queue */
    loop_turn(f.loop, 10);
    assert_ptr_equal(f.b.tcp, first);
    tcp_free(first);
    f.b.tcp = NULL;
    wait_for(&f, f.b.tcp != NULL);
    tcp_free(second.tcp);
    stop(&f);
}

/* ---- TLS ---- */

struct certs {
    struct cert ca, other, server, client;
};

static void certs_make(struct certs *c)
{
    cert_make(&c->ca, "ca", NULL, NULL, NULL, 10);
    cert_make(&c->other, "other", NULL, NULL, NULL, 10);
    cert_make(&c->server, "srv", &c->ca, "srv.test", LOOPBACK_IP, 10);
    cert_make(&c->client, "cli", &c->ca, "cli.test", NULL, 10);
}

static void certs_free(struct certs *c)
{
    cert_free(&c->ca);
    cert_free(&c->other);
    cert_free(&c->server);
    cert_free(&c->client);
}

static void tls_start(struct fixture *f, const struct tls_server_spec *spec, const struct http_tls_config *config)
{
    struct err err;
    memset(f, 0, sizeof *f);
    f->loop = loop_new("tls", NULL);
    f->tls_server = tls_server_load(spec, fs_posix(), &err);
    if (!f->tls_server)
        fail_msg("%s", err.text);
    f->tls_client = tls_client_load(config, fs_posix(), &err);
    if (!f->tls_client)
        fail_msg("%s", err.text);
    listen_fixture(f);
}

static void one_write_is_one_record(void **state)
{
    (void)state;
    struct certs c;
    struct fixture f;
    certs_make(&c);
    tls_start(&f, &(struct tls_server_spec){ .cert = cert_pem(&c.server), .key = key_pem(&c.server) },
              &(struct http_tls_config){ .ca = cert_pem(&c.ca) });
    connect_fixture(&f, MONO_NEVER, "srv.test");
    assert_true(tcp_write(f.a.tcp, STR("first")));
    assert_true(tcp_write(f.a.tcp, STR("second")));
    wait_for(&f, f.a.opened);
    assert_true(tcp_write(f.a.tcp, STR("third")));
    wait_for(&f, f.b.got.n == 16);
    assert_int_equal(f.b.pieces, 3);
    assert_true(tcp_is_tls(f.a.tcp));
    struct buf big = { 0 };
    buf_fill(&big, 'z', 3 * TLS_RECORD_BYTES_MAX + 5);
    assert_true(tcp_write(f.b.tcp, buf_view(&big)));
    tcp_end(f.b.tcp);
    wait_for(&f, f.a.closed);
    assert_int_equal(f.a.got.n, big.n);
    assert_int_equal(f.a.pieces, 4);
    assert_int_equal(f.a.why.code, ERR_NONE);
    buf_deinit(&big);
    stop(&f);
    certs_free(&c);
}

static void a_server_with_another_name_or_ca_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *want;
        bool other_ca;
    } cases[] = {
        { "else.test",
          "tls: failed to verify certificate: x509: certificate is valid for srv.test, 127.0.0.1, not else.test", false },
        { "srv.test", "tls: failed to verify certificate: x509: certificate signed by unknown authority", true },
    };
    struct certs c;
    certs_make(&c);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        tls_start(&f, &(struct tls_server_spec){ .cert = cert_pem(&c.server), .key = key_pem(&c.server) },
                  &(struct http_tls_config){ .ca = cert_pem(cases[i].other_ca ? &c.other : &c.ca) });
        connect_fixture(&f, MONO_NEVER, cases[i].name);
        wait_for(&f, f.a.closed);
        assert_string_equal(f.a.why.text, cases[i].want);
        wait_for(&f, f.b.closed);
        assert_int_equal(f.a.opened, 0);
        stop(&f);
    }
    certs_free(&c);
}

static void an_expired_certificate_is_refused_unless_nobody_looks(void **state)
{
    (void)state;
    struct certs c;
    struct cert old;
    struct fixture f;
    certs_make(&c);
    cert_make(&old, "old", &c.ca, "srv.test", NULL, -1);
    const struct tls_server_spec spec = { .cert = cert_pem(&old), .key = key_pem(&old) };
    tls_start(&f, &spec, &(struct http_tls_config){ .ca = cert_pem(&c.ca) });
    connect_fixture(&f, MONO_NEVER, "srv.test");
    wait_for(&f, f.a.closed);
    assert_non_null(strstr(f.a.why.text, "x509: certificate has expired or is not yet valid"));
    stop(&f);
    tls_start(&f, &spec, &(struct http_tls_config){ .insecure_skip_verify = true });
    connect_fixture(&f, MONO_NEVER, "srv.test");
    wait_for(&f, f.a.opened);
    stop(&f);
    cert_free(&old);
    certs_free(&c);
}

/* Which clients come in, by the server's demand. */
static void client_certificates_are_asked_for_and_checked(void **state)
{
    (void)state;
    enum who { NOBODY, KNOWN, STRANGER };
    static const struct {
        enum tls_client_auth auth;
        enum who who;
        bool sans, in;
    } cases[] = {
        { TLS_CLIENT_AUTH_NONE, NOBODY, false, true },
        { TLS_CLIENT_AUTH_REQUEST, STRANGER, false, true },
        { TLS_CLIENT_AUTH_REQUEST, NOBODY, false, true },
        { TLS_CLIENT_AUTH_REQUIRE_ANY, NOBODY, false, false },
        { TLS_CLIENT_AUTH_REQUIRE_ANY, STRANGER, false, true },
        { TLS_CLIENT_AUTH_VERIFY_IF_GIVEN, NOBODY, false, true },
        { TLS_CLIENT_AUTH_VERIFY_IF_GIVEN, STRANGER, false, false }, /* sent although its issuer was not asked for */
        { TLS_CLIENT_AUTH_VERIFY_IF_GIVEN, KNOWN, false, true },
        { TLS_CLIENT_AUTH_REQUIRE_AND_VERIFY, NOBODY, false, false },
        { TLS_CLIENT_AUTH_REQUIRE_AND_VERIFY, STRANGER, false, false },
        { TLS_CLIENT_AUTH_REQUIRE_AND_VERIFY, KNOWN, false, true },
        { TLS_CLIENT_AUTH_REQUIRE_AND_VERIFY, KNOWN, true, false },
    };
    static const struct str sans[] = { STR_INIT("friend.test") };
    struct certs c;
    struct cert stranger;
    certs_make(&c);
    cert_make(&stranger, "stranger", &c.other, "x.test", NULL, 10);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        const struct cert *own = cases[i].who == KNOWN ? &c.client : &stranger;
        struct http_tls_config config = { .ca = cert_pem(&c.ca) };
        if (cases[i].who != NOBODY) {
            config.cert = cert_pem(own);
            config.key = key_pem(own);
        }
        tls_start(&f,
                  &(struct tls_server_spec){ .cert = cert_pem(&c.server), .key = key_pem(&c.server),
                                             .client_ca = cases[i].auth >= TLS_CLIENT_AUTH_VERIFY_IF_GIVEN
                                                              ? cert_pem(&c.ca)
                                                              : STR_EMPTY,
                                             .client_auth = cases[i].auth,
                                             .allowed_sans = sans, .allowed_sans_count = cases[i].sans ? 1 : 0 },
                  &config);
        connect_fixture(&f, MONO_NEVER, "srv.test");
        wait_for(&f, f.b.opened || f.b.closed);
        if (cases[i].in != (f.b.opened == 1))
            fail_msg("case %zu: %s", i, f.b.why.text);
        stop(&f);
    }
    cert_free(&stranger);
    certs_free(&c);
}

static void versions_that_do_not_meet_fail_the_handshake(void **state)
{
    (void)state;
    struct certs c;
    struct fixture f;
    certs_make(&c);
    tls_start(&f,
              &(struct tls_server_spec){ .cert = cert_pem(&c.server), .key = key_pem(&c.server),
                                         .min_version = HTTP_TLS_13 },
              &(struct http_tls_config){ .ca = cert_pem(&c.ca), .max_version = HTTP_TLS_12 });
    connect_fixture(&f, MONO_NEVER, "srv.test");
    wait_for(&f, f.a.closed);
    assert_non_null(strstr(f.a.why.text, "remote error: tls: "));
    stop(&f);
    certs_free(&c);
}

static void a_connection_can_change_to_tls(void **state)
{
    (void)state;
    struct certs c;
    struct fixture f;
    struct err err;
    certs_make(&c);
    start(&f);
    struct tls_client *client = tls_client_load(&(struct http_tls_config){ .ca = cert_pem(&c.ca) }, fs_posix(), &err);
    assert_non_null(client);
    connect_fixture(&f, MONO_NEVER, "");
    wait_for(&f, f.a.opened && f.b.tcp);
    tcp_start_tls(f.a.tcp, client, STR("srv.test"));
    wait_for(&f, f.b.got.n > 5);
    assert_int_equal(f.b.got.p[0], 22); /* a handshake record */
    tls_client_release(client);
    stop(&f);
    certs_free(&c);
}

static void changed_files_are_noticed_and_bad_material_is_named(void **state)
{
    (void)state;
    struct certs c;
    struct err err;
    char path[] = "/tmp/tcp_test.XXXXXX";
    certs_make(&c);
    int fd = mkstemp(path);
    assert_int_equal(write(fd, c.ca.crt_pem.data, c.ca.crt_pem.size), c.ca.crt_pem.size);
    const struct http_tls_config config = { .ca_file = str_c(path) };
    struct tls_client *client = tls_client_load(&config, fs_posix(), &err);
    assert_non_null(client);
    assert_false(tls_client_changed(client));
    assert_int_equal(pwrite(fd, c.other.crt_pem.data, c.other.crt_pem.size, 0), c.other.crt_pem.size);
    assert_true(tls_client_changed(client));
    tls_client_release(client);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(pwrite(fd, "junk", 4, 0), 4);
    assert_null(tls_client_load(&config, fs_posix(), &err));
    assert_string_equal(err.text, "unable to use specified CA cert");
    close(fd);
    unlink(path);
    assert_null(tls_client_load(&config, fs_posix(), &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    const struct tls_server_spec crossed = { .cert = cert_pem(&c.server), .key = key_pem(&c.client) };
    assert_null(tls_server_load(&crossed, fs_posix(), &err));
    assert_string_equal(err.text, "tls: private key does not match public key");
    const struct str suite = STR("TLS_NOPE");
    const struct tls_server_spec unknown = { .cert = cert_pem(&c.server), .key = key_pem(&c.server),
                                             .cipher_suites = &suite, .cipher_suites_count = 1 };
    assert_null(tls_server_load(&unknown, fs_posix(), &err));
    assert_string_equal(err.text, "unknown cipher: TLS_NOPE");
    certs_free(&c);
}

static void chosen_ciphers_and_curves_still_shake_hands(void **state)
{
    (void)state;
    static const struct str suites[] = { STR_INIT("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256") };
    static const struct str curves[] = { STR_INIT("CurveP256") };
    struct certs c;
    certs_make(&c);
    for (int max = HTTP_TLS_12; max <= HTTP_TLS_13; max++) {
        struct fixture f;
        tls_start(&f,
                  &(struct tls_server_spec){ .cert = cert_pem(&c.server), .key = key_pem(&c.server), .max_version = max,
                                             .cipher_suites = suites, .cipher_suites_count = 1, .curves = curves,
                                             .curves_count = 1 },
                  &(struct http_tls_config){ .ca = cert_pem(&c.ca) });
        connect_fixture(&f, MONO_NEVER, "srv.test");
        wait_for(&f, f.a.opened || f.a.closed);
        assert_string_equal(f.a.why.text, "");
        stop(&f);
    }
    certs_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_both_ways_and_the_end_is_told),
        cmocka_unit_test(a_refused_connection_says_so_in_gos_words),
        cmocka_unit_test(the_deadline_closes_a_silent_connection),
        cmocka_unit_test(a_large_write_is_queued_and_arrives_whole),
        cmocka_unit_test(more_than_the_queue_holds_is_refused),
        cmocka_unit_test(an_accepted_connection_may_be_dropped_at_once),
        cmocka_unit_test(a_listener_stops_accepting_at_its_limit_and_goes_on_when_one_leaves),
        cmocka_unit_test(one_write_is_one_record),
        cmocka_unit_test(a_server_with_another_name_or_ca_is_refused),
        cmocka_unit_test(an_expired_certificate_is_refused_unless_nobody_looks),
        cmocka_unit_test(client_certificates_are_asked_for_and_checked),
        cmocka_unit_test(versions_that_do_not_meet_fail_the_handshake),
        cmocka_unit_test(a_connection_can_change_to_tls),
        cmocka_unit_test(changed_files_are_noticed_and_bad_material_is_named),
        cmocka_unit_test(chosen_ciphers_and_curves_still_shake_hands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
