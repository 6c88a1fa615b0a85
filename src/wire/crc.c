/* Checksums. CRC-32C runs on the SSE4.2 instruction where the CPU has it (asked once a process, by the loader's cpu
 * model), else on slicing by eight with tables that are computed at first use. */
#include "wire/crc.h"

#include "base/bytes.h"

#include <pthread.h>
#include <zlib.h>

uint32_t crc32_ieee(uint32_t crc, const void *p, size_t n)
{
    return n ? (uint32_t)crc32_z(crc, p, n) : crc;
}

static const uint32_t CASTAGNOLI = 0x82F63B78; /* reflected */
static uint32_t tables[8][256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void fill_tables(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t v = i;
        for (int bit = 0; bit < 8; bit++)
            v = v & 1 ? v >> 1 ^ CASTAGNOLI : v >> 1;
        tables[0][i] = v;
    }
    for (size_t t = 1; t < 8; t++)
        for (uint32_t i = 0; i < 256; i++)
            tables[t][i] = tables[t - 1][i] >> 8 ^ tables[0][tables[t - 1][i] & 0xFF];
}

uint32_t crc32c_portable(uint32_t crc, const void *p, size_t n)
{
    pthread_once(&tables_once, fill_tables);
    const uint8_t *at = p;
    crc = ~crc;
    for (; n >= 8; n -= 8, at += 8) {
        uint32_t low = get_le32(at) ^ crc, high = get_le32(at + 4);
        crc = tables[7][low & 0xFF] ^ tables[6][low >> 8 & 0xFF] ^ tables[5][low >> 16 & 0xFF] ^ tables[4][low >> 24] ^
              tables[3][high & 0xFF] ^ tables[2][high >> 8 & 0xFF] ^ tables[1][high >> 16 & 0xFF] ^ tables[0][high >> 24];
    }
    for (; n > 0; n--, at++)
        crc = crc >> 8 ^ tables[0][(crc ^ *at) & 0xFF];
    return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const void *p, size_t n)
{
    const uint8_t *at = p;
    uint64_t wide = (uint32_t)~crc;
    for (; n >= 8; n -= 8, at += 8)
        wide = __builtin_ia32_crc32di(wide, get_le64(at));
    uint32_t narrow = (uint32_t)wide;
    for (; n > 0; n--, at++)
        narrow = __builtin_ia32_crc32qi(narrow, *at);
    return ~narrow;
}

uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
    return __builtin_cpu_supports("sse4.2") ? crc32c_sse42(crc, p, n) : crc32c_portable(crc, p, n);
}
#else
uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
    return crc32c_portable(crc, p, n);
}
#endif
