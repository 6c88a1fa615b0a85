/* The table of inhibition rules. Upstream's order of objections inside a rule: match_re while reading, then the names of
 * source_match and target_match, then `equal`. */
#include "inhibit/rule_config.h"

#include "model/labels.h"

static const struct bind rule_fields[] = {
    BIND_STR(struct inhibit_rule_config, name, "name", "For logs and metrics; should be unique."),
    BIND_SCALAR(struct inhibit_rule_config, source_match, "source_match", "Old form of source_matchers: equality.",
                &match_scalar),
    BIND_SCALAR(struct inhibit_rule_config, source_match_re, "source_match_re",
                "Old form of source_matchers: regexes.", &match_re_scalar),
    BIND_SCALAR(struct inhibit_rule_config, source_matchers, "source_matchers",
                "What an alert must match to inhibit others.", &matchers_scalar),
    BIND_SCALAR(struct inhibit_rule_config, target_match, "target_match", "Old form of target_matchers: equality.",
                &match_scalar),
    BIND_SCALAR(struct inhibit_rule_config, target_match_re, "target_match_re",
                "Old form of target_matchers: regexes.", &match_re_scalar),
    BIND_SCALAR(struct inhibit_rule_config, target_matchers, "target_matchers",
                "What an alert must match to be inhibited.", &matchers_scalar),
    BIND_STRS(struct inhibit_rule_config, equal, "equal", "Labels that must be equal on both sides."),
};

static bool label_name_ok(const struct binding *b, struct str name)
{
    const struct config_env *env = b->env;
    return env && env->matcher_mode == MATCHER_CLASSIC ? label_name_is_classic(name) : label_name_is_utf8(name);
}

static struct matchers all_of(struct arena *a, const struct match_map *m, const struct match_map *re,
                              const struct matchers *ms)
{
    const struct matchers *lists[] = { &m->matchers, &re->matchers, ms };
    return matchers_merge(a, lists, ARRAY_LEN(lists));
}

static bool rule_check(struct binding *b, void *object, struct err *err)
{
    struct inhibit_rule_config *r = object;
    if (!match_map_check(b, &r->source_match, err) || !match_map_check(b, &r->target_match, err))
        return false;
    for (size_t i = 0; i < r->equal.n; i++)
        if (!label_name_ok(b, r->equal.v[i]))
            return err_set(err, ERR_INVALID, "invalid label name %s in equal list", bind_quote(r->equal.v[i]).text);
    r->source = all_of(b->arena, &r->source_match, &r->source_match_re, &r->source_matchers);
    r->target = all_of(b->arena, &r->target_match, &r->target_match_re, &r->target_matchers);
    return true;
}

const struct bind_type inhibit_rule_config_bind =
    BIND_TYPE("common.plain", struct inhibit_rule_config, rule_fields, .title = "inhibit_rules",
              .check = rule_check, .line_offset = offsetof(struct inhibit_rule_config, line));
