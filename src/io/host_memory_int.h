/* Which hosts answered when they were last asked: what the client knows of a host for which it has no calls any more. One
 * place per hash, the newest stays: a forgotten host is a stranger again, that is all. Fixed in size, allocates nothing.
 * Thread: its client's. */
#ifndef TOCSIN_IO_HOST_MEMORY_INT_H
#define TOCSIN_IO_HOST_MEMORY_INT_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

#define HOST_MEMORY_PLACES 2048

struct host_memory {
    uint64_t places[HOST_MEMORY_PLACES]; /* hashes; 0: none */
};

static inline uint64_t host_memory_hash(struct str host)
{
    return str_hash(host, HOST_MEMORY_PLACES) | 1;
}

static inline bool host_memory_has(const struct host_memory *m, uint64_t hash)
{
    return m->places[hash / 2 % HOST_MEMORY_PLACES] == hash;
}

static inline void host_memory_set(struct host_memory *m, uint64_t hash, bool answered)
{
    uint64_t *place = &m->places[hash / 2 % HOST_MEMORY_PLACES];
    if (answered)
        *place = hash;
    else if (*place == hash)
        *place = 0;
}

#endif
