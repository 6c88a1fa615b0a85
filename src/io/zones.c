/* A map under a lock; entries are never removed. Names that do not exist are not kept, so that a template cannot fill it with
 * inventions. Rank of the lock: leaf. */
#include "io/zones.h"

#include "base/lock.h"
#include "base/map.h"
#include "base/mem.h"
#include "io/fs_posix.h"

#include <stdlib.h>

static struct lock zones_lock = LOCK_INIT;
static struct map zones;

static struct zone *load(struct str name)
{
    struct err err = { 0 };
    if (str_eq(name, STR("Local"))) {
        const char *tz = getenv("TZ");
        return zone_load_local(fs_posix(), tz != NULL, str_c(tz));
    }
    return zone_load(fs_posix(), name, NULL, &err);
}

struct zone *zones_get(struct str name)
{
    lock_take(&zones_lock);
    struct zone *z = map_get(&zones, name);
    if (!z && zones.count < ZONES_MAX && (z = load(name)) != NULL)
        map_put(&zones, str_of(mem_dup(name.p, name.n), name.n), z);
    lock_give(&zones_lock);
    return z;
}

struct zone *zones_hook(void *arg, struct str name)
{
    (void)arg;
    return zones_get(name);
}
