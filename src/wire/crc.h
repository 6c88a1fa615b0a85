/* Checksums: CRC-32 of IEEE 802.3 (zlib's; the mesh's packets) and CRC-32C, Castagnoli's (WAL, chunks, journal), by the
 * CPU's instruction where it has one. `crc` is the value so far, 0 at the start. Thread: any. */
#ifndef TOCSIN_WIRE_CRC_H
#define TOCSIN_WIRE_CRC_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32_ieee(uint32_t crc, const void *p, size_t n);
uint32_t crc32c(uint32_t crc, const void *p, size_t n);
/* The table-driven form of crc32c, which the other is tested against. */
uint32_t crc32c_portable(uint32_t crc, const void *p, size_t n);

#endif
