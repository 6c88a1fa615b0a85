/* What values of this floor look like as fields of configuration objects (yaml/bind.h), and what their hooks need. */
#ifndef TOCSIN_MODEL_CONFIG_TYPES_H
#define TOCSIN_MODEL_CONFIG_TYPES_H

#include "base/fs.h"
#include "model/matcher.h"
#include "model/timezone.h"
#include "yaml/bind.h"

/* binding.env of every configuration that holds matchers or time zones. Lives as long as the binding. */
struct config_env {
    enum matcher_mode matcher_mode;
    struct fs *fs;            /* time zones; NULL: names are not checked and mean UTC */
    struct zone *local;       /* of "Local"; NULL: UTC */
};

/* int64_t ms: a Prometheus duration. */
extern const struct bind_scalar duration_scalar;
/* struct opt_i64 in ms: the same, with absence. */
extern const struct bind_scalar opt_duration_scalar;
/* int64_t ns: Go's duration as text only; its errors end the load. */
extern const struct bind_scalar go_duration_scalar;
/* struct matchers: a list of texts, each holding any number of matchers; sorted. */
extern const struct bind_scalar matchers_scalar;

/* match: {name: value}; match_re: {name: regex}. Keys are classic label names ("invalid label name \"x\""); regexes
 * become the matcher value ^(?:x)$, a null one is refused ("invalid regexp value for \"x\""). The texts are kept as
 * written for the dump. The names of `match` are checked and its matchers made by match_map_check(), which the object
 * that holds it calls in its own check, as upstream does; match_re is complete once it is read. */
struct match_map {
    struct str_map texts;
    struct matchers matchers; /* sorted */
};
extern const struct bind_scalar match_scalar;
extern const struct bind_scalar match_re_scalar;
MUST_CHECK bool match_map_check(struct binding *b, struct match_map *m, struct err *err);

/* All matchers of the three forms in one sorted list; regexes are borrowed. */
struct matchers matchers_merge(struct arena *a, const struct matchers *const *lists, size_t lists_count);

#endif
