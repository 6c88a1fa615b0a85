/* bcrypt by libxcrypt's crypt_r, which takes any of the prefixes. Its workspace of 32 KiB lives on the heap for the call,
 * since connection threads have small stacks, and is wiped after. The comparison is in constant time. */
#include "crypto/bcrypt.h"

#include "base/mem.h"
#include "crypto/aead.h"

#include <crypt.h>

enum { HASH_BYTES = 60, PASSWORD_BYTES_MAX = 72, COST_MIN = 4, COST_MAX = 31 };

/* $2b$12$<22 of salt><31 of hash> in bcrypt's base 64. */
int bcrypt_cost(struct str hash)
{
    if (hash.n != HASH_BYTES || !str_starts(hash, STR("$2")) || hash.p[3] != '$' || hash.p[6] != '$')
        return 0;
    if (hash.p[2] != 'a' && hash.p[2] != 'b' && hash.p[2] != 'y')
        return 0;
    if (!ascii_is_digit(hash.p[4]) || !ascii_is_digit(hash.p[5]))
        return 0;
    for (size_t i = 7; i < hash.n; i++)
        if (!ascii_is_alnum(hash.p[i]) && hash.p[i] != '.' && hash.p[i] != '/')
            return 0;
    int cost = (hash.p[4] - '0') * 10 + (hash.p[5] - '0');
    return cost >= COST_MIN && cost <= COST_MAX ? cost : 0;
}

bool bcrypt_is_hash(struct str hash)
{
    return bcrypt_cost(hash) != 0;
}

bool bcrypt_check(struct str hash, struct str password)
{
    if (!bcrypt_is_hash(hash) || str_find_byte(password, '\0') != STR_NPOS)
        return false;
    char setting[HASH_BYTES + 1] = { 0 }, phrase[PASSWORD_BYTES_MAX + 1] = { 0 };
    memcpy(setting, hash.p, HASH_BYTES);
    if (password.n)
        memcpy(phrase, password.p, password.n < PASSWORD_BYTES_MAX ? password.n : PASSWORD_BYTES_MAX);
    struct crypt_data *work = MEM_NEW(struct crypt_data);
    const char *got = crypt_r(phrase, setting, work);
    bool same = got && got[0] != '*' && crypto_equal(str_c(got), hash);
    crypto_wipe(work, sizeof *work);
    crypto_wipe(phrase, sizeof phrase);
    mem_free(work);
    return same;
}
