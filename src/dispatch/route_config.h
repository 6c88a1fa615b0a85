/* The routing tree as configured (spec/alertmanager.md 2.3): nothing is inherited yet, dispatch/route.h compiles it.
 *
 * Immutable once bound; in the configuration's arena. */
#ifndef TOCSIN_DISPATCH_ROUTE_CONFIG_H
#define TOCSIN_DISPATCH_ROUTE_CONFIG_H

#include "model/config_types.h"
#include "model/labels.h"
#include "yaml/bind.h"

struct route_config {
    struct str receiver;        /* empty: inherits */
    uint32_t line;
    bool is_null;
    struct str_list group_by;   /* as written; v NULL: inherits, v non-NULL and n 0: no labels */
    const struct str *group_by_labels; /* group_by without '...' */
    size_t group_by_labels_count;
    bool group_by_all;          /* '...' was given */
    struct match_map match, match_re; /* deprecated forms */
    struct matchers matchers;   /* of `matchers` alone, sorted */
    struct matchers all_matchers; /* of match, match_re and matchers together, sorted by name, value, operator; borrows
                                     the regexes of the three */
    struct str_list mute_time_intervals, active_time_intervals;
    bool continues;
    struct route_config *routes;
    size_t routes_count;
    struct opt_i64 group_wait, group_interval, repeat_interval; /* ms; not set: inherits */
    struct str_map labels_map;  /* name -> template text */
    struct labels labels;       /* the same, sorted by name */
};
extern const struct bind_type route_config_bind;

/* Cross checks that need the names of the configuration; ERR_INVALID in upstream's words, children before parents. */
typedef bool route_name_known(const void *arg, struct str name);
MUST_CHECK bool route_config_check_receivers(const struct route_config *r, route_name_known *known, const void *arg,
                                             struct err *err);
MUST_CHECK bool route_config_check_intervals(const struct route_config *r, route_name_known *known, const void *arg,
                                             struct err *err);
/* The rules of the root: it has a receiver and no matchers and no intervals. (That it has no `continue` is checked last,
 * by the caller.) */
MUST_CHECK bool route_config_check_root(const struct route_config *r, struct err *err);

#endif
