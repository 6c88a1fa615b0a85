/* Families of alerts: alert.h says what they are for. The table holds one reference of each family that it knows; one
 * that nobody else holds is let go when the table comes past it.
 *
 * Thread: the owner's, but for alert_family_release(): any. */
#ifndef TOCSIN_ALERT_FAMILY_INT_H
#define TOCSIN_ALERT_FAMILY_INT_H

#include "alert/alert.h"
#include "base/map.h"

struct alert_families {
    struct map64 by_hash;
    size_t cursor; /* of the sweep */
};

void alert_families_deinit(struct alert_families *fs);
/* A reference of the alert's family, which is made if it is not known. fs NULL: it is made. */
struct alert_family *alert_family_get(struct alert_families *fs, const struct alert_spec *spec);
/* Looks at so many places of the table, and lets go of the families there that no alert belongs to. */
void alert_families_sweep(struct alert_families *fs, size_t places);
void alert_family_release(struct alert_family *f);

#endif
