/* inhibit_rules as configured (spec/alertmanager.md 2.4). Immutable once bound; in the configuration's arena. */
#ifndef TOCSIN_INHIBIT_RULE_CONFIG_H
#define TOCSIN_INHIBIT_RULE_CONFIG_H

#include "model/config_types.h"
#include "yaml/bind.h"

struct inhibit_rule_config {
    struct str name;
    uint32_t line;
    struct match_map source_match, source_match_re, target_match, target_match_re; /* deprecated forms */
    struct matchers source_matchers, target_matchers; /* of the new form alone */
    struct matchers source, target; /* all forms together; borrow their regexes */
    struct str_list equal;
};
extern const struct bind_type inhibit_rule_config_bind;

#endif
