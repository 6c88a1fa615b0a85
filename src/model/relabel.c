/* Relabeling. A list of rules runs over a builder that starts as the caller's own slice and becomes a copy in the arena
 * with the first change; it stays sorted and without empty values throughout (labels.c, L1), so that every rule sees
 * what upstream's builder would show it and nothing is sorted at the end.
 *
 * Most rules in the field copy, compare or set constants: relabel_rule_prepare() notes what needs no automaton
 * (plain_target, plain_replacement, copies). */
#include "model/relabel.h"

#include "base/buf.h"
#include "base/bytes.h"
#include "base/utf8.h"
#include "crypto/hash.h"

#include <stdio.h>
#include <unicase.h>

enum { GROUPS_MAX = 16, GROWTH = 8 };

static const struct str action_texts[] = {
    [RELABEL_REPLACE] = STR_INIT("replace"),     [RELABEL_KEEP] = STR_INIT("keep"),
    [RELABEL_DROP] = STR_INIT("drop"),           [RELABEL_KEEPEQUAL] = STR_INIT("keepequal"),
    [RELABEL_DROPEQUAL] = STR_INIT("dropequal"), [RELABEL_HASHMOD] = STR_INIT("hashmod"),
    [RELABEL_LABELMAP] = STR_INIT("labelmap"),   [RELABEL_LABELDROP] = STR_INIT("labeldrop"),
    [RELABEL_LABELKEEP] = STR_INIT("labelkeep"), [RELABEL_LOWERCASE] = STR_INIT("lowercase"),
    [RELABEL_UPPERCASE] = STR_INIT("uppercase"),
};

struct str relabel_action_text(enum relabel_action a)
{
    return action_texts[a];
}

static bool fail_quoted(struct err *err, const char *before, struct str text, const char *after)
{
    struct buf quoted = { 0 };
    go_quote(&quoted, text);
    err_set(err, ERR_INVALID, "%s%s%s", before, quoted.p, after);
    buf_deinit(&quoted);
    return false;
}

bool relabel_action_parse(struct str text, enum relabel_action *a, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(action_texts); i++)
        if (str_eq_nocase(text, action_texts[i])) {
            *a = (enum relabel_action)i;
            return true;
        }
    return fail_quoted(err, "unknown relabel action ", text, "");
}

/* Preparing */

static bool has_variable(struct str template)
{
    return str_find_byte(template, '$') != STR_NPOS;
}

/* [a-zA-Z_] then [a-zA-Z0-9_], with ${name} or $name anywhere: what a legacy name may be built from. */
static bool is_legacy_template(struct str s)
{
    bool first = true;
    while (s.n > 0) {
        char c = s.p[0];
        size_t n = 1;
        if (c == '$') {
            bool brace = s.n > 1 && s.p[1] == '{';
            size_t from = brace ? 2 : 1;
            n = from;
            while (n < s.n && (ascii_is_alnum(s.p[n]) || s.p[n] == '_'))
                n++;
            if (n == from || (brace && (n >= s.n || s.p[n++] != '}')))
                return false;
        } else if (!ascii_is_alpha(c) && c != '_' && (first || !ascii_is_digit(c))) {
            return false;
        }
        first = false;
        s = str_from(s, n);
    }
    return !first;
}

static bool name_is_valid(const struct relabel_rule *r, struct str name)
{
    return r->names == NAMES_LEGACY ? label_name_is_classic(name) : label_name_is_utf8(name);
}

static bool template_is_valid(const struct relabel_rule *r, struct str template)
{
    return r->names == NAMES_LEGACY ? is_legacy_template(template) : label_name_is_utf8(template);
}

static bool needs_target(enum relabel_action a)
{
    return a == RELABEL_REPLACE || a == RELABEL_HASHMOD || a == RELABEL_LOWERCASE || a == RELABEL_UPPERCASE ||
           a == RELABEL_KEEPEQUAL || a == RELABEL_DROPEQUAL;
}

static bool check_names(const struct relabel_rule *r, struct err *err)
{
    struct str action = action_texts[r->action];
    char after[64];
    if (needs_target(r->action)) {
        bool template = r->action == RELABEL_REPLACE && has_variable(r->target_label);
        snprintf(after, sizeof after, " is invalid 'target_label' for %.*s action", STR_ARG(action));
        if (!(template ? template_is_valid(r, r->target_label) : name_is_valid(r, r->target_label)))
            return fail_quoted(err, "", r->target_label, after);
    }
    bool no_replacement = needs_target(r->action) && r->action != RELABEL_REPLACE && r->action != RELABEL_HASHMOD;
    if (no_replacement && !str_eq(r->replacement, STR("$1")))
        return err_set(err, ERR_INVALID, "'replacement' can not be set for %.*s action", STR_ARG(action));
    snprintf(after, sizeof after, " is invalid 'replacement' for %.*s action", STR_ARG(action));
    if (r->action == RELABEL_LABELMAP && !template_is_valid(r, r->replacement))
        return fail_quoted(err, "", r->replacement, after);
    return true;
}

static bool check(const struct relabel_rule *r, struct err *err)
{
    struct str action = action_texts[r->action];
    if (r->action == RELABEL_HASHMOD && r->modulus == 0)
        return err_set(err, ERR_INVALID, "relabel configuration for hashmod requires non-zero modulus");
    if (needs_target(r->action) && r->target_label.n == 0)
        return err_set(err, ERR_INVALID, "relabel configuration for %.*s action requires 'target_label' value",
                       STR_ARG(action));
    if (!check_names(r, err))
        return false;
    bool plain = r->modulus == 0 && str_eq(r->separator, STR(";")) && str_eq(r->replacement, STR("$1"));
    if ((r->action == RELABEL_KEEPEQUAL || r->action == RELABEL_DROPEQUAL) && (!plain || r->has_regex))
        return err_set(err, ERR_INVALID,
                       "%.*s action requires only 'source_labels' and `target_label`, and no other fields",
                       STR_ARG(action));
    bool alone = plain && r->source_labels_count == 0 && r->target_label.n == 0;
    if ((r->action == RELABEL_LABELDROP || r->action == RELABEL_LABELKEEP) && !alone)
        return err_set(err, ERR_INVALID, "%.*s action requires only 'regex', and no other fields", STR_ARG(action));
    return true;
}

bool relabel_rule_prepare(struct relabel_rule *r, enum name_validation names, struct err *err)
{
    r->names = names;
    r->re = NULL;
    if (!r->has_separator)
        r->separator = STR(";");
    if (!r->has_regex)
        r->regex_text = STR("(.*)");
    if (!r->has_replacement)
        r->replacement = STR("$1");
    if (!r->has_action)
        r->action_text = STR("replace");
    if (r->action_text.n == 0)
        return err_set(err, ERR_INVALID, "relabel action cannot be empty");
    if (!relabel_action_parse(r->action_text, &r->action, err))
        return false;
    /* The regex's own error comes first, as upstream reads the field before it looks at the rule. */
    struct regex *re = regex_compile(r->regex_text, REGEX_ANCHORED | REGEX_DOTALL, err);
    if (re == NULL)
        return false;
    if (!check(r, err)) {
        regex_release(re);
        return false;
    }
    r->re = re;
    r->plain_target = !has_variable(r->target_label);
    r->plain_replacement = !has_variable(r->replacement);
    r->copies = str_eq(r->regex_text, STR("(.*)")) &&
                (str_eq(r->replacement, STR("$1")) || str_eq(r->replacement, STR("${1}")));
    return true;
}

void relabel_rule_deinit(struct relabel_rule *r)
{
    regex_release(r->re);
    r->re = NULL;
}

/* Applying */

struct builder {
    struct arena *arena;
    struct labels now;      /* what rules see */
    struct label *own;      /* the array behind it once it is a copy */
    size_t capacity;
};

/* Where the name is, or would be. */
static size_t find(const struct builder *b, struct str name, bool *there)
{
    size_t low = 0, high = b->now.n;
    *there = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = str_cmp(b->now.v[middle].name, name);
        if (order == 0) {
            *there = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void own(struct builder *b, size_t room)
{
    if (b->own != NULL && b->now.n + room <= b->capacity)
        return;
    b->capacity = b->now.n + room + GROWTH;
    struct label *v = arena_alloc_array(b->arena, b->capacity, sizeof *v);
    if (b->now.n > 0)
        memcpy(v, b->now.v, b->now.n * sizeof *v);
    b->own = v;
    b->now.v = v;
}

static void delete_at(struct builder *b, size_t at)
{
    own(b, 0);
    memmove(b->own + at, b->own + at + 1, (b->now.n - at - 1) * sizeof *b->own);
    b->now.n--;
}

/* Name and value must outlive the result; an empty value deletes. */
static void set(struct builder *b, struct str name, struct str value)
{
    bool there;
    size_t at = find(b, name, &there);
    if (value.n == 0) {
        if (there)
            delete_at(b, at);
        return;
    }
    if (there) {
        if (str_eq(b->now.v[at].value, value))
            return;
        own(b, 0);
        b->own[at].value = value;
        return;
    }
    own(b, 1);
    memmove(b->own + at + 1, b->own + at, (b->now.n - at) * sizeof *b->own);
    b->own[at] = (struct label){ name, value };
    b->now.n++;
}

static struct str get(const struct builder *b, struct str name)
{
    bool there;
    size_t at = find(b, name, &there);
    return there ? b->now.v[at].value : STR_EMPTY;
}

static struct str join(const struct builder *b, const struct relabel_rule *r)
{
    if (r->source_labels_count == 0)
        return STR_EMPTY;
    if (r->source_labels_count == 1)
        return get(b, r->source_labels[0]);
    size_t n = (r->source_labels_count - 1) * r->separator.n;
    for (size_t i = 0; i < r->source_labels_count; i++)
        n += get(b, r->source_labels[i]).n;
    char *joined = arena_alloc(b->arena, n + 1), *to = joined;
    for (size_t i = 0; i < r->source_labels_count; i++) {
        struct str value = get(b, r->source_labels[i]);
        if (i > 0 && r->separator.n > 0) {
            memcpy(to, r->separator.p, r->separator.n);
            to += r->separator.n;
        }
        if (value.n > 0)
            memcpy(to, value.p, value.n);
        to += value.n;
    }
    return str_of(joined, n);
}

static struct str expand(const struct builder *b, const struct relabel_rule *r, struct str template,
                         const struct str *groups, size_t groups_count)
{
    struct buf text = { 0 };
    regex_expand(r->re, template, groups, groups_count, &text);
    struct str s = arena_str(b->arena, buf_view(&text));
    buf_deinit(&text);
    return s;
}

static void replace(struct builder *b, const struct relabel_rule *r, struct str value)
{
    bool needs_groups = !r->plain_target || !(r->plain_replacement || r->copies);
    struct str groups[GROUPS_MAX];
    size_t count = needs_groups ? regex_groups_count(r->re) : 0;
    struct str *found = groups;
    if (count > GROUPS_MAX)
        found = arena_alloc_array(b->arena, count, sizeof *found);
    bool match = needs_groups ? regex_find(r->re, value, 0, found, count) : regex_match(r->re, value);
    if (!match)
        return;
    struct str target = r->plain_target ? r->target_label : expand(b, r, r->target_label, found, count);
    if (!name_is_valid(r, target))
        return;
    struct str result = r->plain_replacement ? r->replacement
                        : r->copies          ? value
                                             : expand(b, r, r->replacement, found, count);
    set(b, target, result);
}

static struct str change_case(const struct builder *b, struct str value, bool upper)
{
    struct buf text = { 0 };
    while (value.n > 0) {
        size_t size;
        rune c = utf8_decode(value, &size);
        utf8_append(&text, upper ? uc_toupper(c) : uc_tolower(c));
        value = str_from(value, size);
    }
    struct str s = arena_str(b->arena, buf_view(&text));
    buf_deinit(&text);
    return s;
}

static struct str hash_mod(const struct builder *b, struct str value, uint64_t modulus)
{
    uint8_t digest[MD5_BYTES];
    hash_md5(value, digest);
    return arena_printf(b->arena, "%llu", (unsigned long long)(get_be64(digest + 8) % modulus));
}

/* Over the labels as they were before the rule; later names win. */
static void map_names(struct builder *b, const struct relabel_rule *r)
{
    struct label *v = arena_alloc_array(b->arena, b->now.n + 1, sizeof *v);
    if (b->now.n > 0)
        memcpy(v, b->now.v, b->now.n * sizeof *v);
    struct labels before = { v, b->now.n };
    struct buf name = { 0 };
    for (size_t i = 0; i < before.n; i++) {
        if (!regex_match(r->re, before.v[i].name))
            continue;
        buf_reset(&name);
        regex_replace_all(r->re, before.v[i].name, r->replacement, &name);
        set(b, arena_str(b->arena, buf_view(&name)), before.v[i].value);
    }
    buf_deinit(&name);
}

static void drop_names(struct builder *b, const struct relabel_rule *r, bool matching)
{
    for (size_t i = b->now.n; i-- > 0;)
        if (regex_match(r->re, b->now.v[i].name) == matching)
            delete_at(b, i);
}

/* False: dropped. */
static bool apply_one(struct builder *b, const struct relabel_rule *r)
{
    struct str value = join(b, r);
    switch (r->action) {
    case RELABEL_KEEP:
        return regex_match(r->re, value);
    case RELABEL_DROP:
        return !regex_match(r->re, value);
    case RELABEL_KEEPEQUAL:
        return str_eq(get(b, r->target_label), value);
    case RELABEL_DROPEQUAL:
        return !str_eq(get(b, r->target_label), value);
    case RELABEL_REPLACE:
        replace(b, r, value);
        break;
    case RELABEL_HASHMOD:
        set(b, r->target_label, hash_mod(b, value, r->modulus));
        break;
    case RELABEL_LOWERCASE:
        set(b, r->target_label, change_case(b, value, false));
        break;
    case RELABEL_UPPERCASE:
        set(b, r->target_label, change_case(b, value, true));
        break;
    case RELABEL_LABELMAP:
        map_names(b, r);
        break;
    case RELABEL_LABELDROP:
        drop_names(b, r, true);
        break;
    case RELABEL_LABELKEEP:
        drop_names(b, r, false);
        break;
    }
    return true;
}

bool relabel_apply(const struct relabel_rule *rules, size_t rules_count, struct labels in, struct arena *a,
                   struct labels *out)
{
    struct builder b = { .arena = a, .now = in };
    for (size_t i = 0; i < rules_count; i++)
        if (!apply_one(&b, &rules[i]))
            return false;
    *out = b.now;
    return true;
}
