/* Keys of the mesh's encryption: a file of base64 lines, or raw keys from a test. A keyring never changes; rotation is
 * a new file, read as a whole, so that a bad one changes nothing (spec 8). The raw bytes pass through guarded memory
 * only: what was decoded here is wiped. */
#include "gossip/packet_int.h"

#include "base/mem.h"
#include "crypto/aead.h"
#include "wire/base64.h"

#define KEYS_MAX 64

static bool key_ok(struct str key)
{
    return key.n == 16 || key.n == 24 || key.n == 32;
}

struct gossip_keyring *gossip_keyring_of(const struct str *keys, size_t count, struct err *err)
{
    if (count == 0 || count > KEYS_MAX) {
        err_set(err, ERR_INVALID, count == 0 ? "no keys" : "too many keys");
        return NULL;
    }
    struct gossip_keyring *k = mem_alloc(sizeof *k + count * sizeof(struct aead *));
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++)
            if (keys[i].n == keys[j].n && crypto_equal(keys[i], keys[j])) {
                err_set(err, ERR_INVALID, "key %zu is there twice", i + 1);
                goto bad;
            }
        if (!key_ok(keys[i])) {
            err_set(err, ERR_INVALID, "key %zu: key size must be 16, 24 or 32 bytes", i + 1);
            goto bad;
        }
        k->aeads[i] = aead_new(keys[i], err);
        if (!k->aeads[i])
            goto bad;
        k->count++;
    }
    return k;
bad:
    gossip_keyring_free(k);
    return NULL;
}

struct gossip_keyring *gossip_keyring_parse(struct str file, struct err *err)
{
    struct buf raw[KEYS_MAX] = { 0 };
    struct str keys[KEYS_MAX], rest = file, line;
    struct gossip_keyring *k = NULL;
    size_t count = 0;
    uint32_t number = 0;
    while (str_split(&rest, '\n', &line)) {
        number++;
        line = str_trim(line);
        if (line.n == 0 || line.p[0] == '#')
            continue;
        if (count == KEYS_MAX) {
            err_set(err, ERR_INVALID, "line %u: too many keys", number);
            goto out;
        }
        buf_reserve(&raw[count], 64); /* decoding never moves the bytes and so leaves no copy behind */
        bool ok = line.n <= 64 && base64_decode(line, BASE64_STD, &raw[count]);
        keys[count] = buf_view(&raw[count]);
        count++;
        if (!ok || !key_ok(keys[count - 1])) {
            err_set(err, ERR_INVALID, "line %u: %s", number,
                    ok ? "key size must be 16, 24 or 32 bytes" : "not a key in base64");
            goto out;
        }
        for (size_t j = 0; j + 1 < count; j++)
            if (keys[j].n == keys[count - 1].n && crypto_equal(keys[j], keys[count - 1])) {
                err_set(err, ERR_INVALID, "line %u: key is there twice", number);
                goto out;
            }
    }
    k = gossip_keyring_of(keys, count, err);
out:
    for (size_t i = 0; i < count; i++) {
        crypto_wipe(raw[i].p, raw[i].capacity);
        buf_deinit(&raw[i]);
    }
    return k;
}

size_t gossip_keyring_count(const struct gossip_keyring *k)
{
    return k->count;
}

void gossip_keyring_free(struct gossip_keyring *k)
{
    if (!k)
        return;
    for (size_t i = 0; i < k->count; i++)
        aead_free(k->aeads[i]);
    mem_free(k);
}
