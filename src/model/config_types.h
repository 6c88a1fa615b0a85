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
    const char *matcher_origin; /* of notices: "config" */
};

/* int64_t ms: a Prometheus duration. */
extern const struct bind_scalar duration_scalar;
/* struct opt_i64 in ms: the same, with absence. */
extern const struct bind_scalar opt_duration_scalar;
/* int64_t ns: Go's duration as text only; its errors end the load. */
extern const struct bind_scalar go_duration_scalar;
/* struct matchers: a list of texts, each holding any number of matchers; sorted. The regexes are released by
 * matchers_deinit() when the configuration goes. */
extern const struct bind_scalar matchers_scalar;

/* match: {name: value}; match_re: {name: regex}. Keys are classic label names ("invalid label name \"x\""); regexes
 * become the matcher value ^(?:x)$, a null one is refused ("invalid regexp value for \"x\""). Kept as written for the
 * dump; appended to matchers by match_map_matchers(). */
struct match_map {
    struct str_map texts;
    struct matchers matchers; /* sorted */
};
extern const struct bind_scalar match_scalar;
extern const struct bind_scalar match_re_scalar;

#endif
