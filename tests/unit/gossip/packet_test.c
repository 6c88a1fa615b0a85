#include "unit/gossip/one_node.h"

#include "crypto/aead.h"
#include "wire/crc.h"
#include "wire/lzw.h"

static struct packet_scratch scratch;
static const struct seal plain_seal = { .label = { "", 0 } };

struct seen {
    size_t count, bytes;
    uint8_t types[1024];
    bool bad;
};

static void visit(void *arg, uint8_t type, struct str body)
{
    struct seen *s = arg;
    if (s->count < ARRAY_LEN(s->types))
        s->types[s->count] = type;
    s->count++;
    s->bytes += body.n;
}

static struct seen walk_all(struct str plain)
{
    struct seen s = { 0 };
    struct packet_walk w = { .scratch = &scratch, .visit = visit, .arg = &s };
    packet_walk(&w, plain);
    s.bad = w.bad;
    assert_true(w.inflated_bytes <= GOSSIP_INFLATED_MAX);
    return s;
}

static void put_compress(struct buf *out, struct str plain)
{
    struct buf packed = { 0 };
    lzw_encode(plain, &packed);
    msg_compress_encode(out, buf_view(&packed));
    buf_deinit(&packed);
}

static void compound_gives_its_parts_in_order(void **state)
{
    (void)state;
    struct packet_parts p = { 0 };
    struct buf b = { 0 };
    packet_parts_add(&p, MSG_USER, STR("one"));
    assert_true(str_eq(packet_parts_join(&p, &b), STR("\x08one"))); /* one is sent bare */
    packet_parts_add(&p, -1, STR("\x0b\x80"));
    struct str joined = packet_parts_join(&p, &b);
    assert_true(str_eq(joined, str_of("\x07\x02\x00\x04\x00\x02\x08one\x0b\x80", 12)));
    struct seen s = walk_all(joined);
    assert_int_equal(s.count, 2);
    assert_int_equal(s.types[0], MSG_USER);
    assert_int_equal(s.types[1], MSG_NACK);
    assert_false(s.bad);
    packet_parts_deinit(&p);
    buf_deinit(&b);
}

static void cut_compound_gives_what_is_whole(void **state)
{
    (void)state;
    struct seen s = walk_all(str_of("\x07\x02\x00\x04\x00\x09\x08one\x0b\x80", 12));
    assert_int_equal(s.count, 1);
    assert_true(s.bad);
    s = walk_all(str_of("\x07\x05\x00", 3));
    assert_int_equal(s.count, 0);
    assert_true(s.bad);
    s = walk_all(str_of("\x07", 1));
    assert_true(s.bad);
    s = walk_all(str_of("\x07\x00trailing", 10));
    assert_int_equal(s.count, 0);
}

static void empty_units_are_left_out(void **state)
{
    (void)state;
    struct seen s = walk_all(str_of("\x07\x02\x00\x00\x00\x02\x0b\x80", 8)); /* an empty part, then a nack */
    assert_int_equal(s.count, 1);
    assert_true(s.bad);
    struct buf b = { 0 };
    put_compress(&b, STR_EMPTY);
    s = walk_all(buf_view(&b));
    assert_int_equal(s.count, 0);
    assert_true(s.bad);
    struct str plain;
    assert_int_equal(packet_open(&plain_seal, &scratch, str_of("\x0c\x00\x00\x00\x00", 5), &plain), UNSEAL_BAD);
    assert_int_equal(packet_open(&plain_seal, &scratch, STR_EMPTY, &plain), UNSEAL_BAD);
    buf_deinit(&b);
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    struct buf b = { 0 }, next = { 0 };
    buf_append(&b, "\x0b\x80", 2);
    for (unsigned depth = 0; depth < 2 * GOSSIP_NEST_MAX; depth++) {
        struct seen s = walk_all(buf_view(&b));
        assert_int_equal(s.count, depth < GOSSIP_NEST_MAX ? 1 : 0);
        buf_reset(&next);
        if (depth % 2) {
            put_compress(&next, buf_view(&b));
        } else {
            buf_append(&next, "\x07\x01", 2);
            buf_be16(&next, (uint16_t)b.n);
            buf_str(&next, buf_view(&b));
        }
        buf_reset(&b);
        buf_str(&b, buf_view(&next));
    }
    buf_deinit(&b);
    buf_deinit(&next);
}

static void bombs_stop_at_the_bound(void **state)
{
    (void)state;
    struct buf big = { 0 }, bomb = { 0 }, compound = { 0 };
    buf_byte(&big, MSG_USER);
    buf_fill(&big, 'x', 1 << 20);
    put_compress(&bomb, buf_view(&big));
    assert_true(bomb.n < 4000);
    struct seen s = walk_all(buf_view(&bomb));
    assert_int_equal(s.count, 0);
    assert_true(s.bad);

    /* Many small ones: all together stay under it. */
    buf_truncate(&big, 20000);
    buf_reset(&bomb);
    put_compress(&bomb, buf_view(&big));
    size_t n = 60;
    buf_byte(&compound, MSG_COMPOUND);
    buf_byte(&compound, (char)n);
    for (size_t i = 0; i < n; i++)
        buf_be16(&compound, (uint16_t)bomb.n);
    for (size_t i = 0; i < n; i++)
        buf_str(&compound, buf_view(&bomb));
    s = walk_all(buf_view(&compound));
    assert_int_equal(s.count, 3);
    assert_true(s.bad);
    buf_deinit(&big);
    buf_deinit(&bomb);
    buf_deinit(&compound);
}

static void crc_is_only_taken_outermost_and_must_match(void **state)
{
    (void)state;
    struct buf b = { 0 };
    struct str plain;
    packet_seal(&plain_seal, &scratch, &b, STR("\x0b\x80"), true);
    assert_int_equal(b.p[0], MSG_HAS_CRC);
    assert_int_equal(packet_open(&plain_seal, &scratch, buf_view(&b), &plain), UNSEAL_OK);
    assert_true(str_eq(plain, STR("\x0b\x80")));
    b.p[b.n - 1] ^= 1;
    assert_int_equal(packet_open(&plain_seal, &scratch, buf_view(&b), &plain), UNSEAL_BAD);
    b.p[b.n - 1] ^= 1;
    struct buf compound = { 0 };
    buf_append(&compound, "\x07\x01", 2);
    buf_be16(&compound, (uint16_t)b.n);
    buf_str(&compound, buf_view(&b));
    struct seen s = walk_all(buf_view(&compound));
    assert_int_equal(s.types[0], MSG_HAS_CRC); /* handed on as what nobody knows */
    buf_deinit(&b);
    buf_deinit(&compound);
}

static void compression_is_used_only_where_it_is_shorter(void **state)
{
    (void)state;
    struct buf b = { 0 }, text = { 0 };
    packet_seal(&plain_seal, &scratch, &b, STR("\x0b\x80"), false);
    assert_true(str_eq(buf_view(&b), STR("\x0b\x80")));
    buf_byte(&text, MSG_USER);
    buf_fill(&text, 'y', 500);
    buf_reset(&b);
    packet_seal(&plain_seal, &scratch, &b, buf_view(&text), false);
    assert_int_equal(b.p[0], MSG_COMPRESS);
    assert_true(b.n < 200);
    buf_deinit(&b);
    buf_deinit(&text);
}

static void labels_must_be_equal_and_whole(void **state)
{
    (void)state;
    struct seal prod = { .label = STR("prod") };
    struct buf b = { 0 };
    struct str plain;
    packet_seal(&prod, &scratch, &b, STR("\x0b\x80"), false);
    assert_true(str_eq(buf_view(&b), str_of("\xf4\x04prod\x0b\x80", 8)));
    assert_int_equal(packet_open(&prod, &scratch, buf_view(&b), &plain), UNSEAL_OK);
    assert_int_equal(packet_open(&plain_seal, &scratch, buf_view(&b), &plain), UNSEAL_LABEL);
    assert_int_equal(packet_open(&prod, &scratch, STR("\x0b\x80"), &plain), UNSEAL_LABEL);
    assert_int_equal(packet_open(&prod, &scratch, STR("\xf4\x04pro"), &plain), UNSEAL_LABEL);
    assert_int_equal(packet_open(&plain_seal, &scratch, str_of("\xf4\x00\x0b\x80", 4), &plain), UNSEAL_LABEL);
    assert_int_equal(packet_open(&plain_seal, &scratch, STR("\xf4"), &plain), UNSEAL_LABEL);
    buf_deinit(&b);
}

static void nonce_of_sevens(void *arg, uint8_t nonce[12])
{
    (void)arg;
    memset(nonce, 7, 12);
}

static void encrypted_packets_open_with_any_key_of_the_ring(void **state)
{
    (void)state;
    struct err err;
    struct str old_keys[] = { STR("0123456789abcdef") }, both[] = { STR("0123456789abcdef0123456789abcdef"), STR("0123456789abcdef") };
    struct seal old = { .label = STR("l"), .keyring = gossip_keyring_of(old_keys, 1, &err), .nonce = nonce_of_sevens };
    struct seal next = { .label = STR("l"), .keyring = gossip_keyring_of(both, 2, &err), .nonce = nonce_of_sevens };
    struct buf b = { 0 };
    struct str plain;
    assert_int_equal(seal_overhead(&old), 29 + 3);
    packet_seal(&old, &scratch, &b, STR("\x0b\x80"), true);
    assert_int_equal(b.n, 2 + 5 + seal_overhead(&old));
    assert_int_equal(packet_open(&next, &scratch, buf_view(&b), &plain), UNSEAL_OK);
    assert_true(str_eq(plain, STR("\x0b\x80")));
    buf_reset(&b);
    packet_seal(&next, &scratch, &b, STR("\x0b\x80"), true);
    assert_int_equal(packet_open(&old, &scratch, buf_view(&b), &plain), UNSEAL_CRYPT);
    /* Nothing encrypted is empty or cut. */
    for (size_t n = 3; n < b.n; n++)
        assert_int_equal(packet_open(&next, &scratch, str_of(b.p, n), &plain), UNSEAL_CRYPT);
    gossip_keyring_free(old.keyring);
    gossip_keyring_free(next.keyring);
    buf_deinit(&b);
}

static void bad_padding_of_version_zero_is_refused(void **state)
{
    (void)state;
    struct err err;
    struct str key = STR("0123456789abcdef");
    struct gossip_keyring *ring = gossip_keyring_of(&key, 1, &err);
    uint8_t nonce[12] = { 1 };
    struct buf unit = { 0 }, out = { 0 };
    static const char *const tails[] = { "\x00", "\x11", "\x20" };
    crypt_seal(&unit, ring, nonce, 0, STR("0123456789abcdef"), STR_EMPTY);
    assert_int_equal(unit.n, 16 + 16 + 29); /* a whole block of padding */
    assert_true(crypt_open(&out, ring, buf_view(&unit), STR_EMPTY));
    assert_true(str_eq(buf_view(&out), STR("0123456789abcdef")));
    for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
        struct buf padded = { 0 };
        buf_c(&padded, "0123456789abcde");
        buf_append(&padded, tails[i], 1);
        buf_reset(&unit);
        crypt_seal(&unit, ring, nonce, 1, buf_view(&padded), STR_EMPTY);
        unit.p[0] = 0; /* says that it was padded */
        buf_reset(&out);
        assert_false(crypt_open(&out, ring, buf_view(&unit), STR_EMPTY));
        assert_int_equal(out.n, 0);
        buf_deinit(&padded);
    }
    gossip_keyring_free(ring);
    buf_deinit(&unit);
    buf_deinit(&out);
}

static void key_files_are_checked_line_by_line(void **state)
{
    (void)state;
    struct err err;
    struct gossip_keyring *k = gossip_keyring_parse(STR("# keys\n\nMDEyMzQ1Njc4OWFiY2RlZg==\r\nMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n"), &err);
    assert_non_null(k);
    assert_int_equal(gossip_keyring_count(k), 2);
    gossip_keyring_free(k);
    static const struct {
        const char *file, *say;
    } bad[] = {
        { "", "no keys" },
        { "# only\n", "no keys" },
        { "MDEy\n", "line 1: key size must be 16, 24 or 32 bytes" },
        { "MDEyMzQ1Njc4OWFiY2RlZg==\n!!\n", "line 2: not a key in base64" },
        { "MDEyMzQ1Njc4OWFiY2RlZg==\n\nMDEyMzQ1Njc4OWFiY2RlZg==\n", "line 3: key is there twice" },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_null(gossip_keyring_parse(str_c(bad[i].file), &err));
        assert_string_equal(err.text, bad[i].say);
    }
}

int main(void)
{
    crypto_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compound_gives_its_parts_in_order),
        cmocka_unit_test(cut_compound_gives_what_is_whole),
        cmocka_unit_test(empty_units_are_left_out),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(bombs_stop_at_the_bound),
        cmocka_unit_test(crc_is_only_taken_outermost_and_must_match),
        cmocka_unit_test(compression_is_used_only_where_it_is_shorter),
        cmocka_unit_test(labels_must_be_equal_and_whole),
        cmocka_unit_test(encrypted_packets_open_with_any_key_of_the_ring),
        cmocka_unit_test(bad_padding_of_version_zero_is_refused),
        cmocka_unit_test(key_files_are_checked_line_by_line),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    packet_scratch_deinit(&scratch);
    return failed;
}
