/* The table of routes, and the checks of a route and of the tree. The order of checks inside a route is upstream's
 * (Route.UnmarshalYAML); the tree's checks are called by config/ in the order of Config.UnmarshalYAML. Recursion follows
 * the tree, whose depth the parser has bounded. */
#include "dispatch/route_config.h"

#include "base/map.h"

#define GROUP_BY_ALL STR("...")

static const struct bind route_fields[] = {
    BIND_STR(struct route_config, receiver, "receiver", "Who is notified.", .inherit = true),
    BIND_STRS(struct route_config, group_by, "group_by",
              "Labels whose values make a group; '...' for all labels; [] for one group.", .inherit = true),
    BIND_SCALAR(struct route_config, match, "match", "Old form of matchers: equality.", &match_scalar),
    BIND_SCALAR(struct route_config, match_re, "match_re", "Old form of matchers: regular expressions.",
                &match_re_scalar),
    BIND_SCALAR(struct route_config, matchers, "matchers", "What an alert must match to be routed here.",
                &matchers_scalar),
    BIND_STRS(struct route_config, mute_time_intervals, "mute_time_intervals",
              "Intervals in which nothing is notified."),
    BIND_STRS(struct route_config, active_time_intervals, "active_time_intervals",
              "Intervals outside of which nothing is notified."),
    BIND_BOOL(struct route_config, continues, "continue",
              "Whether later siblings are tried after this one matched.", .always = true),
    BIND_LIST(struct route_config, routes, "routes", "Child routes; the first that matches is taken.",
              &route_config_bind, .go_type = "[]*config.Route"),
    BIND_SCALAR(struct route_config, group_wait, "group_wait", "How long a new group waits for more alerts; 30s.",
                &opt_duration_scalar, .inherit = true),
    BIND_SCALAR(struct route_config, group_interval, "group_interval", "How often a changed group is notified; 5m.",
                &opt_duration_scalar, .inherit = true),
    BIND_SCALAR(struct route_config, repeat_interval, "repeat_interval",
                "How often an unchanged group is notified again; 4h.", &opt_duration_scalar, .inherit = true),
    BIND_STR_MAP(struct route_config, labels_map, "labels",
                 "Labels of the route, for templates; merged over the parent's.", .inherit = true,
                 .templated = true),
};

static bool label_name_ok(const struct binding *b, struct str name)
{
    const struct config_env *env = b->env;
    return env && env->matcher_mode == MATCHER_CLASSIC ? label_name_is_classic(name) : label_name_is_utf8(name);
}

static bool check_group_by(struct binding *b, struct route_config *r, struct err *err)
{
    struct str *labels = arena_alloc_array(b->arena, r->group_by.n, sizeof *labels);
    struct map seen = { 0 };
    bool ok = true;
    for (size_t i = 0; ok && i < r->group_by.n; i++) {
        struct str name = r->group_by.v[i];
        if (str_eq(name, GROUP_BY_ALL))
            r->group_by_all = true;
        else if (label_name_ok(b, name))
            labels[r->group_by_labels_count++] = name;
        else
            ok = err_set(err, ERR_INVALID, "invalid label name %s in group_by list", bind_quote(name).text);
    }
    if (ok && r->group_by_all && r->group_by_labels_count)
        ok = err_set(err, ERR_INVALID, "cannot have wildcard group_by (`...`) and other labels at the same time");
    for (size_t i = 0; ok && i < r->group_by_labels_count; i++)
        if (map_put(&seen, labels[i], labels))
            ok = err_set(err, ERR_INVALID, "duplicated label %s in group_by", bind_quote(labels[i]).text);
    map_deinit(&seen);
    r->group_by_labels = labels;
    return ok;
}

static bool check_labels(struct binding *b, struct route_config *r, struct err *err)
{
    struct label *v = arena_alloc_array(b->arena, r->labels_map.n, sizeof *v);
    for (size_t i = 0; i < r->labels_map.n; i++) {
        if (!label_name_ok(b, r->labels_map.v[i].key))
            return err_set(err, ERR_INVALID, "invalid label name %s in route labels",
                           bind_quote(r->labels_map.v[i].key).text);
        v[i] = (struct label){ r->labels_map.v[i].key, r->labels_map.v[i].value };
    }
    r->labels = (struct labels){ v, r->labels_map.n };
    return true;
}

static bool route_check(struct binding *b, void *object, struct err *err)
{
    struct route_config *r = object;
    if (!match_map_check(b, &r->match, err) || !check_group_by(b, r, err) || !check_labels(b, r, err))
        return false;
    if (r->group_interval.set && r->group_interval.v == 0)
        return err_set(err, ERR_INVALID, "group_interval cannot be zero");
    if (r->repeat_interval.set && r->repeat_interval.v == 0)
        return err_set(err, ERR_INVALID, "repeat_interval cannot be zero");
    for (size_t i = 0; i < r->routes_count; i++)
        if (r->routes[i].is_null)
            return err_set(err, ERR_INVALID, "empty or null route in routes");
    const struct matchers *lists[] = { &r->match.matchers, &r->match_re.matchers, &r->matchers };
    r->all_matchers = matchers_merge(b->arena, lists, ARRAY_LEN(lists));
    return true;
}

const struct bind_type route_config_bind = BIND_TYPE(
    "config.plain", struct route_config, route_fields, .title = "route", .check = route_check,
    .line_offset = offsetof(struct route_config, line), .null_offset = offsetof(struct route_config, is_null));

/* ---- The tree ---- */

static bool name_fail(const struct route_config *r, const char *what, struct str name, struct err *err)
{
    return err_set_at(err, ERR_INVALID, r->line, 0, "undefined %s %s used in route", what, bind_quote(name).text);
}

bool route_config_check_receivers(const struct route_config *r, route_name_known *known, const void *arg,
                                  struct err *err)
{
    for (size_t i = 0; i < r->routes_count; i++)
        if (!route_config_check_receivers(&r->routes[i], known, arg, err))
            return false;
    return r->receiver.n == 0 || known(arg, r->receiver) || name_fail(r, "receiver", r->receiver, err);
}

static bool check_names(const struct route_config *r, struct str_list names, route_name_known *known,
                        const void *arg, struct err *err)
{
    for (size_t i = 0; i < names.n; i++)
        if (!known(arg, names.v[i]))
            return name_fail(r, "time interval", names.v[i], err);
    return true;
}

bool route_config_check_intervals(const struct route_config *r, route_name_known *known, const void *arg,
                                  struct err *err)
{
    for (size_t i = 0; i < r->routes_count; i++)
        if (!route_config_check_intervals(&r->routes[i], known, arg, err))
            return false;
    return check_names(r, r->active_time_intervals, known, arg, err) &&
           check_names(r, r->mute_time_intervals, known, arg, err);
}

bool route_config_check_root(const struct route_config *r, struct err *err)
{
    if (r->receiver.n == 0)
        return err_set_at(err, ERR_INVALID, r->line, 0, "root route must specify a default receiver");
    if (r->all_matchers.n)
        return err_set_at(err, ERR_INVALID, r->line, 0, "root route must not have any matchers");
    if (r->mute_time_intervals.n)
        return err_set_at(err, ERR_INVALID, r->line, 0, "root route must not have any mute time intervals");
    if (r->active_time_intervals.n)
        return err_set_at(err, ERR_INVALID, r->line, 0, "root route must not have any active time intervals");
    return true;
}
