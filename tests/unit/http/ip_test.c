#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "http/ip.h"

static void addresses_are_read_strictly_and_written_canonically(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out; /* NULL: refused */
    } cases[] = {
        { "1.2.3.4", "1.2.3.4" }, { "0.0.0.0", "0.0.0.0" }, { "255.255.255.255", "255.255.255.255" },
        { "256.1.1.1", NULL }, { "1.2.3", NULL }, { "1.2.3.4.5", NULL }, { "01.2.3.4", NULL }, { "1.2.3.4 ", NULL },
        { "1..2.3", NULL }, { "", NULL }, { "::", "::" }, { "::1", "::1" }, { "1::", "1::" }, { "fe80::1%eth0", NULL },
        { "2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1" }, { "0:0:0:1:0:0:0:0", "0:0:0:1::" }, { "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8" },
        { "1:2:3:4:5:6:7", NULL }, { "1:2:3:4:5:6:7:8:9", NULL }, { "1::2::3", NULL }, { "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0" },
        { "1:2:3:4:5:6:7:8::", NULL }, { ":1", NULL }, { "1:", NULL }, { "12345::", NULL }, { "g::", NULL }, { ":::", NULL },
        { "::ffff:1.2.3.4", "::ffff:1.2.3.4" }, { "::1.2.3.4", "::102:304" }, { "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304" },
        { "::1.2.3", NULL }, { "::1.2.3.4:5", NULL }, { "1.2.3.4::", NULL }, { "1:2:3:4:5:6:7:1.2.3.4", NULL },
        { "1:2:3:4:5:6:7:8:", NULL }, { "0:1::", "0:1::" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ip ip;
        struct buf b = { 0 };
        bool ok = ip_parse(str_c(cases[i].in), &ip);
        if (ok != (cases[i].out != NULL))
            fail_msg("\"%s\" was %s", cases[i].in, ok ? "taken" : "refused");
        if (ok) {
            ip_write(&b, &ip);
            assert_string_equal(b.p, cases[i].out);
        }
        buf_deinit(&b);
    }
}

static struct ip ip_of(const char *text)
{
    struct ip ip;
    assert_true(ip_parse(str_c(text), &ip));
    return ip;
}

static void prefixes_contain_what_shares_their_bits(void **state)
{
    (void)state;
    static const struct {
        const char *prefix, *ip;
        bool in;
    } cases[] = {
        { "10.0.0.0/8", "10.255.0.1", true },    { "10.0.0.0/8", "11.0.0.0", false }, { "192.168.1.128/25", "192.168.1.129", true },
        { "192.168.1.128/25", "192.168.1.127", false }, { "0.0.0.0/0", "9.9.9.9", true }, { "fd00::/8", "fd12::1", true },
        { "fd00::/8", "fc00::1", false },        { "10.0.0.0/8", "::ffff:10.0.0.1", false }, { "1.2.3.4/32", "1.2.3.4", true },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ip_prefix p;
        struct ip ip = ip_of(cases[i].ip);
        assert_true(ip_prefix_parse(str_c(cases[i].prefix), &p));
        if (ip_prefix_contains(&p, &ip) != cases[i].in)
            fail_msg("%s in %s", cases[i].ip, cases[i].prefix);
    }
    static const char *const bad[] = { "10.0.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08", "10.0.0.0/-1", "::/129", "x/8" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct ip_prefix p;
        assert_false(ip_prefix_parse(str_c(bad[i]), &p));
    }
}

static void addresses_know_their_kind(void **state)
{
    (void)state;
    struct ip a = ip_of("127.9.9.9"), b = ip_of("::1"), c = ip_of("::ffff:127.0.0.1"), d = ip_of("172.31.0.1"), e = ip_of("fd00::1"),
              f = ip_of("8.8.8.8"), g = ip_of("169.254.1.1"), h = ip_of("fe80::1"), z = ip_of("::");
    assert_true(ip_is_loopback(&a) && ip_is_loopback(&b) && ip_is_loopback(&c));
    assert_true(ip_is_private(&d) && ip_is_private(&e));
    assert_false(ip_is_private(&f) || ip_is_loopback(&f) || ip_is_private(&a));
    assert_true(ip_is_link_local(&g) && ip_is_link_local(&h));
    assert_true(ip_is_unspecified(&z));
    assert_false(ip_is_unspecified(&a));
    assert_true(ip_cmp(&a, &b) < 0 && ip_cmp(&a, &f) > 0 && ip_cmp(&a, &a) == 0);
}

static void host_and_port_are_split_as_gos_split_host_port(void **state)
{
    (void)state;
    static const struct {
        const char *in, *host, *port_or_why;
    } cases[] = {
        { "h:80", "h", "80" }, { ":80", "", "80" }, { "h:", "h", "" }, { "[::1]:80", "::1", "80" },
        { "h", NULL, "missing port in address" }, { "", NULL, "missing port in address" }, { "[::1]", NULL, "missing port in address" },
        { "::1:80", NULL, "too many colons in address" }, { "[::1:80", NULL, "missing ']' in address" },
        { "[::1]x:80", NULL, "missing port in address" }, { "[::1]:80:90", NULL, "too many colons in address" },
        { "h]:80", NULL, "unexpected ']' in address" }, { "h[:80", NULL, "unexpected '[' in address" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str host, port;
        const char *why = "";
        bool ok = host_port_split(str_c(cases[i].in), &host, &port, &why);
        if (ok != (cases[i].host != NULL))
            fail_msg("\"%s\": %s", cases[i].in, why);
        if (!ok) {
            assert_string_equal(why, cases[i].port_or_why);
            continue;
        }
        assert_true(str_eq(host, str_c(cases[i].host)));
        assert_true(str_eq(port, str_c(cases[i].port_or_why)));
    }
    struct buf b = { 0 };
    host_port_join(&b, STR("::1"), STR("80"));
    host_port_join(&b, STR(" h"), STR("x"));
    assert_string_equal(b.p, "[::1]:80 h:x");
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_strictly_and_written_canonically),
        cmocka_unit_test(prefixes_contain_what_shares_their_bits),
        cmocka_unit_test(addresses_know_their_kind),
        cmocka_unit_test(host_and_port_are_split_as_gos_split_host_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
