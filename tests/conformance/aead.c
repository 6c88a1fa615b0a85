/* AES-GCM as the mesh uses it: the sealed parts of the computed packets and streams (spec gossip 8) open to their plain
 * text and seal to the same bytes. */
#include "crypto/aead.h"
#include "lib/shared.h"

#include <stdio.h>

enum { UNIT_HEAD_BYTES = 1 + AEAD_NONCE_BYTES };

/* unit = version, nonce, ciphertext and tag. */
static void check_unit(const char *what, struct aead *a, struct str unit, struct str aad, struct str plain)
{
    struct buf padded = { 0 }, opened = { 0 }, sealed = { 0 };
    if (unit.n < UNIT_HEAD_BYTES) {
        shared_fail(what, "unit is too short");
        return;
    }
    buf_str(&padded, plain);
    if (unit.p[0] == 0) {
        char pad = (char)(16 - plain.n % 16);
        buf_fill(&padded, pad, (size_t)pad);
    }
    const uint8_t *nonce = (const uint8_t *)unit.p + 1;
    struct str body = str_from(unit, UNIT_HEAD_BYTES);
    aead_seal(a, nonce, aad, buf_view(&padded), &sealed);
    if (!aead_open(a, nonce, aad, body, &opened))
        shared_fail(what, "does not open");
    else if (!str_eq(buf_view(&opened), buf_view(&padded)))
        shared_fail(what, "opens to other bytes");
    else if (!str_eq(buf_view(&sealed), body))
        shared_fail(what, "seals to other bytes");
    else
        shared_pass();
    buf_deinit(&padded);
    buf_deinit(&opened);
    buf_deinit(&sealed);
}

static void run_case(const json_t *value, size_t number)
{
    char what[48];
    struct buf key = { 0 }, plain = { 0 }, packet = { 0 }, stream = { 0 }, aad = { 0 };
    struct str label = shared_get_str(value, "label");
    size_t label_head = label.n ? 2 + label.n : 0;
    struct err err = { 0 };
    bool hex = shared_unhex(shared_get_str(value, "key_hex"), &key) &&
               shared_unhex(shared_get_str(value, "plain_hex"), &plain) &&
               shared_unhex(shared_get_str(value, "packet_hex"), &packet) &&
               shared_unhex(shared_get_str(value, "stream_hex"), &stream);
    struct aead *a = hex ? aead_new(buf_view(&key), &err) : NULL;
    snprintf(what, sizeof what, "%zu", number);
    if (!a) {
        shared_fail(what, "%s", hex ? err.text : "no hex");
    } else {
        snprintf(what, sizeof what, "%zu packet", number);
        check_unit(what, a, str_from(buf_view(&packet), label_head), label, buf_view(&plain));
        snprintf(what, sizeof what, "%zu stream", number);
        struct str framed = str_from(buf_view(&stream), label_head);
        buf_str(&aad, str_sub(framed, 0, 5));
        buf_str(&aad, label);
        check_unit(what, a, str_from(framed, 5), buf_view(&aad), buf_view(&plain));
    }
    aead_free(a);
    buf_deinit(&key);
    buf_deinit(&plain);
    buf_deinit(&packet);
    buf_deinit(&stream);
    buf_deinit(&aad);
}

int main(void)
{
    crypto_init();
    if (!shared_begin("aead"))
        return shared_finish();
    json_t *cases = shared_json("conformance/gossip/encryption_computed.json");
    for (size_t i = 0; i < json_array_size(cases); i++)
        run_case(json_array_get(cases, i), i);
    json_decref(cases);
    return shared_finish();
}
