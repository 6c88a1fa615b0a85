/* The face of RE2.
 *
 * A program is checked by syntax.c (Go's objections, Go's words), looked at by simple.c, and compiled by RE2 unless
 * simple.c knows all about it: then RE2 is built only when somebody asks for groups.
 *
 *   R1  `automaton` is set once, before the program is shared or under `once`; it never changes after.
 *   R2  What simple.c accepted, Go and RE2 accept: building it late cannot fail for its syntax.
 *   R3  Subjects are bytes. RE2 knows only UTF-8, Go reads each invalid byte as U+FFFD: such subjects are repaired into
 *       a copy first, and matches are mapped back.
 *
 * Bounds: REGEX_TEXT_MAX of text, REGEX_MEMORY_MAX of program and DFA cache. RE2's DFA falls back to its NFA when the
 * cache is full; matching stays linear in the subject. */
extern "C" {
#include "regex/regex.h"
#include "base/arena.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "regex/syntax_int.h"
}

#include <re2/re2.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

using re2::StringPiece;

struct regex {
    std::atomic<unsigned> refs{1};
    unsigned flags = 0;
    std::string text;
    std::string program; /* what RE2 is given */
    struct arena arena;  /* texts of `simple` */
    struct simple_regex simple;
    bool matches_empty = false;
    std::once_flag once;
    std::unique_ptr<RE2> automaton;
    std::vector<std::string> names; /* by group, with the automaton */
};

namespace {

StringPiece piece(struct str s)
{
    return StringPiece(s.p == nullptr ? "" : s.p, s.n);
}

struct str view(const std::string &s)
{
    return str_of(s.data(), s.size());
}

void build(struct regex *re)
{
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(REGEX_MEMORY_MAX);
    options.set_case_sensitive((re->flags & REGEX_FOLD) == 0);
    options.set_dot_nl((re->flags & REGEX_DOTALL) != 0);
    re->automaton = std::make_unique<RE2>(re->program, options);
    if (!re->automaton->ok())
        return;
    re->names.resize(static_cast<size_t>(re->automaton->NumberOfCapturingGroups()) + 1);
    for (const auto &name : re->automaton->CapturingGroupNames())
        re->names[static_cast<size_t>(name.first)] = name.second;
}

/* The automaton, built now if nobody needed it yet. */
const struct regex *built(const struct regex *re)
{
    auto *writable = const_cast<struct regex *>(re);
    std::call_once(writable->once, [writable] {
        if (!writable->automaton)
            build(writable);
    });
    return re;
}

/* What is left for RE2 to object to once Go's syntax is satisfied: size; the rest only if the two disagree. */
bool refuse(const struct regex *re, struct err *err)
{
    if (re->automaton->error_code() == RE2::ErrorPatternTooLarge)
        return err_set(err, ERR_LIMIT, "error parsing regexp: expression too large");
    return regex_syntax_error(err, re->automaton->error().c_str(), view(re->text));
}

/* The wrapped text is what Go compiles, and what its errors quote. */
std::string wrap(struct str text, unsigned flags)
{
    std::string body(text.p == nullptr ? "" : text.p, text.n);
    if ((flags & REGEX_ANCHORED) == 0)
        return body;
    return ((flags & REGEX_DOTALL) != 0 ? "^(?s:" : "^(?:") + body + ")$";
}

bool prepare(struct regex *re, struct str text, struct err *err)
{
    re->text.assign(text.p == nullptr ? "" : text.p, text.n);
    struct buf rewritten = {};
    bool ok = regex_syntax_check(view(wrap(text, re->flags)), &rewritten, err);
    re->program.assign(buf_view(&rewritten).p, rewritten.n);
    buf_deinit(&rewritten);
    if (!ok)
        return false;
    if ((re->flags & REGEX_ANCHORED) != 0 && (re->flags & REGEX_FOLD) == 0)
        regex_simple_parse(&re->arena, view(re->text), &re->simple);
    if (re->simple.kind == SIMPLE_NONE) {
        build(re);
        if (!re->automaton->ok())
            return refuse(re, err);
    }
    re->matches_empty = regex_match(re, STR_EMPTY);
    return true;
}

bool gap_fits(const struct regex *re, enum simple_gap gap, struct str s)
{
    if (gap == GAP_NONE || (gap == GAP_SOME && s.n == 0))
        return gap == GAP_NONE && s.n == 0;
    return (re->flags & REGEX_DOTALL) != 0 || str_find_byte(s, '\n') == STR_NPOS;
}

bool match_set(const struct simple_regex *simple, struct str s)
{
    const struct str *end = simple->literals + simple->literals_count;
    auto less = [](struct str a, struct str b) { return str_cmp(a, b) < 0; };
    if (simple->literals_count == 1)
        return str_eq(simple->literals[0], s);
    const struct str *found = std::lower_bound(simple->literals, end, s, less);
    return found != end && str_eq(*found, s);
}

/* [gap] middle [gap] */
bool match_affix(const struct regex *re, struct str s)
{
    const struct simple_regex *simple = &re->simple;
    struct str middle = simple->middle;
    if (s.n < middle.n)
        return false;
    if (middle.n == 0 || simple->tail == GAP_NONE)
        return str_ends(s, middle) && gap_fits(re, simple->lead, str_sub(s, 0, s.n - middle.n));
    if (simple->lead == GAP_NONE)
        return str_starts(s, middle) && gap_fits(re, simple->tail, str_from(s, middle.n));
    /* Gaps on both sides; where lines matter the gaps could not stand next to a newline, so the text must have the only
     * ones: rare enough for a scan over all places. */
    for (size_t at = 0; at + middle.n <= s.n; at++) {
        size_t found = str_find(str_from(s, at), middle);
        if (found == STR_NPOS)
            return false;
        at += found;
        if (gap_fits(re, simple->lead, str_sub(s, 0, at)) &&
            gap_fits(re, simple->tail, str_from(s, at + middle.n)))
            return true;
    }
    return false;
}

/* A subject with each invalid byte replaced, and where each byte came from. */
struct repaired {
    std::string text;
    std::vector<size_t> origin; /* one more than bytes */
};

void repair(struct str s, struct repaired *out)
{
    size_t at = 0;
    while (at < s.n) {
        size_t size;
        rune r = utf8_decode(str_from(s, at), &size);
        bool bad = r == RUNE_ERROR && size == 1;
        const char *bytes = bad ? "\xEF\xBF\xBD" : s.p + at;
        size_t n = bad ? 3 : size;
        out->text.append(bytes, n);
        for (size_t i = 0; i < n; i++)
            out->origin.push_back(bad ? at : at + i);
        at += size;
    }
    out->origin.push_back(s.n);
}

bool find_valid(const struct regex *re, struct str s, size_t at, struct str *groups, size_t count)
{
    StringPiece few[16];
    std::vector<StringPiece> many;
    StringPiece *found = few;
    if (count > 16) {
        many.resize(count);
        found = many.data();
    }
    const RE2 &automaton = *re->automaton;
    if (!automaton.Match(piece(s), at, s.n, RE2::UNANCHORED, found, static_cast<int>(count)))
        return false;
    for (size_t i = 0; i < count; i++)
        groups[i] = str_of(found[i].data(), found[i].size());
    return true;
}

bool find_repaired(const struct regex *re, struct str s, size_t at, struct str *groups, size_t count)
{
    struct repaired fixed;
    repair(s, &fixed);
    auto from = std::lower_bound(fixed.origin.begin(), fixed.origin.end(), at) - fixed.origin.begin();
    if (!find_valid(re, view(fixed.text), static_cast<size_t>(from), groups, count))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (groups[i].p == nullptr)
            continue;
        size_t begin = static_cast<size_t>(groups[i].p - fixed.text.data());
        size_t first = fixed.origin[begin], last = fixed.origin[begin + groups[i].n];
        groups[i] = str_of(s.p + first, last - first);
    }
    return true;
}

/* A reference that is a number, as Go reads one: no leading zero, below 1e9. SIZE_MAX: it is a name. */
size_t number_of(struct str name)
{
    size_t number = 0;
    if (name.n > 1 && name.p[0] == '0')
        return SIZE_MAX;
    for (size_t i = 0; i < name.n; i++) {
        if (!ascii_is_digit(name.p[i]) || number >= 100000000)
            return SIZE_MAX;
        number = number * 10 + static_cast<size_t>(name.p[i] - '0');
    }
    return number;
}

/* The text a reference stands for: of that number, or of the first group of that name that took part. */
struct str group_text(const struct regex *re, struct str name, const struct str *groups, size_t count)
{
    size_t number = number_of(name);
    if (number != SIZE_MAX)
        return number < count && groups[number].p != nullptr ? groups[number] : STR_EMPTY;
    size_t known = std::min(count, re->names.size());
    for (size_t i = 1; i < known; i++)
        if (!re->names[i].empty() && str_eq(view(re->names[i]), name) && groups[i].p != nullptr)
            return groups[i];
    return STR_EMPTY;
}

/* Letters and digits of any script belong to a name in Go. RE2 keeps the tables that tell. */
bool is_name_rune(struct str s, size_t *size)
{
    static const RE2 letters("[\\p{L}\\p{Nd}]");
    rune r = utf8_decode(s, size);
    if (r < 128)
        return r == '_' || ascii_is_alnum(static_cast<char>(r));
    return *size > 1 && RE2::FullMatch(StringPiece(s.p, *size), letters);
}

/* Reads a reference behind a '$'. False if it is none; then the '$' stands for itself. */
bool read_reference(struct str *rest, struct str *name)
{
    struct str s = *rest;
    bool brace = s.n > 0 && s.p[0] == '{';
    if (brace)
        s = str_from(s, 1);
    size_t n = 0;
    while (n < s.n) {
        size_t size;
        if (!is_name_rune(str_from(s, n), &size))
            break;
        n += size;
    }
    if (n == 0 || (brace && (n >= s.n || s.p[n] != '}')))
        return false;
    *name = str_sub(s, 0, n);
    *rest = str_from(s, brace ? n + 1 : n);
    return true;
}

} // namespace

extern "C" {

bool regex_class_exists(struct str escape)
{
    RE2::Options options;
    options.set_log_errors(false);
    return escape.n > 2 && RE2(piece(escape), options).ok();
}

struct regex *regex_compile(struct str text, unsigned flags, struct err *err)
{
    if (text.n > REGEX_TEXT_MAX) {
        err_set(err, ERR_LIMIT, "regular expression of %zu bytes is longer than %d", text.n, REGEX_TEXT_MAX);
        return nullptr;
    }
    auto *re = new struct regex;
    re->flags = flags;
    arena_init(&re->arena, ARENA_NO_LIMIT);
    re->simple = {};
    re->simple.prefix = STR_EMPTY;
    if (!prepare(re, text, err)) {
        regex_release(re);
        return nullptr;
    }
    return re;
}

struct regex *regex_retain(struct regex *re)
{
    re->refs.fetch_add(1, std::memory_order_relaxed);
    return re;
}

void regex_release(struct regex *re)
{
    if (re == nullptr || re->refs.fetch_sub(1, std::memory_order_acq_rel) != 1)
        return;
    arena_deinit(&re->arena);
    delete re;
}

struct str regex_text(const struct regex *re)
{
    return view(re->text);
}

bool regex_match(const struct regex *re, struct str s)
{
    switch (re->simple.kind) {
    case SIMPLE_SET:
        return match_set(&re->simple, s);
    case SIMPLE_AFFIX:
        return match_affix(re, s);
    case SIMPLE_NONE:
        break;
    }
    if (!str_starts(s, re->simple.prefix))
        return false;
    return regex_find(re, s, 0, nullptr, 0);
}

size_t regex_groups_count(const struct regex *re)
{
    return built(re)->names.size();
}

struct str regex_group_name(const struct regex *re, size_t group)
{
    built(re);
    return group < re->names.size() ? view(re->names[group]) : STR_EMPTY;
}

bool regex_find(const struct regex *re, struct str s, size_t at, struct str *groups, size_t groups_count)
{
    built(re);
    if (!re->automaton->ok() || at > s.n)
        return false;
    size_t known = std::min(groups_count, re->names.size());
    for (size_t i = known; i < groups_count; i++)
        groups[i] = str_of(nullptr, 0);
    if (s.p == nullptr)
        s = STR_EMPTY;
    return utf8_valid(s) ? find_valid(re, s, at, groups, known) : find_repaired(re, s, at, groups, known);
}

void regex_expand(const struct regex *re, struct str replacement, const struct str *groups, size_t groups_count,
                  struct buf *out)
{
    built(re);
    struct str rest = replacement;
    while (rest.n > 0) {
        size_t dollar = str_find_byte(rest, '$');
        if (dollar == STR_NPOS) {
            buf_str(out, rest);
            return;
        }
        buf_str(out, str_sub(rest, 0, dollar));
        rest = str_from(rest, dollar + 1);
        struct str name;
        if (rest.n > 0 && rest.p[0] == '$') {
            buf_byte(out, '$');
            rest = str_from(rest, 1);
        } else if (read_reference(&rest, &name)) {
            buf_str(out, group_text(re, name, groups, groups_count));
        } else {
            buf_byte(out, '$');
        }
    }
}

/* As Go does it: an empty match right behind another match is not replaced, and the search always moves on. */
void regex_replace_all(const struct regex *re, struct str s, struct str replacement, struct buf *out)
{
    struct str few[16];
    std::vector<struct str> many;
    struct str *groups = few;
    size_t count = regex_groups_count(re);
    if (count > ARRAY_LEN(few)) {
        many.resize(count);
        groups = many.data();
    }
    if (s.p == nullptr)
        s = STR_EMPTY;
    size_t copied = 0, at = 0;
    while (at <= s.n && regex_find(re, s, at, groups, count)) {
        size_t begin = static_cast<size_t>(groups[0].p - s.p), end = begin + groups[0].n;
        buf_str(out, str_sub(s, copied, begin - copied));
        if (end > copied || begin == 0)
            regex_expand(re, replacement, groups, count, out);
        copied = end;
        size_t size = 1;
        if (at < s.n)
            (void)utf8_decode(str_from(s, at), &size);
        at = at + size > end ? at + size : end;
    }
    buf_str(out, str_from(s, copied));
}

size_t regex_literals(const struct regex *re, const struct str **literals)
{
    *literals = re->simple.literals;
    return re->simple.kind == SIMPLE_SET ? re->simple.literals_count : 0;
}

struct str regex_prefix(const struct regex *re)
{
    return re->simple.prefix;
}

bool regex_matches_empty(const struct regex *re)
{
    return re->matches_empty;
}

} // extern "C"
