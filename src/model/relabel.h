/* Relabeling: Prometheus's rules that rewrite or drop label sets. A rule is plain data that a binding table fills with
 * texts; relabel_rule_prepare() checks it, fills in the defaults and compiles the regex; relabel_apply() runs a list.
 *
 * Ownership: a rule borrows its texts (the configuration's arena) and holds a reference of its regex; deinit gives it
 * back. relabel_apply() allocates in the caller's arena only when a rule changes something.
 * Upstream: prometheus model/relabel/relabel.go; spec/prometheus.md 3. Pure; prepared rules may be shared. */
#ifndef TOCSIN_MODEL_RELABEL_H
#define TOCSIN_MODEL_RELABEL_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "model/labels.h"
#include "regex/regex.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum relabel_action {
    RELABEL_REPLACE, RELABEL_KEEP, RELABEL_DROP, RELABEL_KEEPEQUAL, RELABEL_DROPEQUAL, RELABEL_HASHMOD,
    RELABEL_LABELMAP, RELABEL_LABELDROP, RELABEL_LABELKEEP, RELABEL_LOWERCASE, RELABEL_UPPERCASE,
};
struct str relabel_action_text(enum relabel_action a);
/* Case-insensitive. ERR_INVALID `unknown relabel action "x"`. */
MUST_CHECK bool relabel_action_parse(struct str text, enum relabel_action *a, struct err *err);

enum name_validation { NAMES_UTF8, NAMES_LEGACY };

struct relabel_rule {
    const struct str *source_labels;
    size_t source_labels_count;
    struct str separator, target_label, regex_text, replacement, action_text;
    /* Which of the texts were given; the others get their defaults ( ; (.*) $1 replace ). */
    bool has_separator, has_regex, has_replacement, has_action;
    uint64_t modulus;

    /* Made by relabel_rule_prepare(). */
    enum relabel_action action;
    enum name_validation names;
    struct regex *re;
    bool plain_target, plain_replacement; /* without variables */
    bool copies;                          /* the value is taken over as it is */
};

/* ERR_INVALID with upstream's texts; a regex's own error as it is. */
MUST_CHECK bool relabel_rule_prepare(struct relabel_rule *r, enum name_validation names, struct err *err);
void relabel_rule_deinit(struct relabel_rule *r);

/* Runs the rules over `in`; false: dropped. *out is `in` itself if nothing changed, else lives in the arena (names and
 * values may still point into `in` and into the rules). */
bool relabel_apply(const struct relabel_rule *rules, size_t rules_count, struct labels in, struct arena *a,
                   struct labels *out);

#endif
