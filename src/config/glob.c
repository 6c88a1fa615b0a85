/* Go's filepath.Match and filepath.Glob on Unix: * any run but '/', ? one rune but '/', [a-z] and [^a-z] classes,
 * \ takes the next rune as it is. A pattern is checked to its end even if the name has failed before, so that a bad one
 * is always reported. Match is linear but for backtracking inside one chunk behind a '*', as in Go. */
#include "config/config.h"

#include "base/utf8.h"

#define GLOB_DEPTH_MAX 64 /* directories of a pattern that are patterns themselves */

static bool bad_pattern(struct err *err)
{
    return err_set(err, ERR_INVALID, "syntax error in pattern");
}

/* The rune at the head of a class, unescaped. */
static bool cut_class_rune(struct str *chunk, rune *r)
{
    size_t n;
    if (chunk->n == 0 || chunk->p[0] == '-' || chunk->p[0] == ']')
        return false;
    if (chunk->p[0] == '\\') {
        *chunk = str_from(*chunk, 1);
        if (chunk->n == 0)
            return false;
    }
    *r = utf8_decode(*chunk, &n);
    if (*r == RUNE_ERROR && n == 1)
        return false;
    *chunk = str_from(*chunk, n);
    return chunk->n != 0;
}

/* A class, behind its '['; *hit says whether r is in it. */
static bool match_class(struct str *chunk, rune r, bool *hit)
{
    bool negated = chunk->n && chunk->p[0] == '^', match = false;
    if (negated)
        *chunk = str_from(*chunk, 1);
    for (size_t ranges = 0;; ranges++) {
        rune low, high;
        if (chunk->n && chunk->p[0] == ']' && ranges > 0) {
            *chunk = str_from(*chunk, 1);
            break;
        }
        if (!cut_class_rune(chunk, &low))
            return false;
        high = low;
        if (chunk->p[0] == '-') {
            *chunk = str_from(*chunk, 1);
            if (!cut_class_rune(chunk, &high))
                return false;
        }
        match = match || (low <= r && r <= high);
    }
    *hit = match != negated;
    return true;
}

/* Does the chunk (no '*' in it) match the start of name? *rest is what follows; *ok false: bad pattern. */
static bool match_chunk(struct str chunk, struct str name, struct str *rest, bool *ok)
{
    bool failed = false;
    while (chunk.n) {
        failed = failed || name.n == 0;
        size_t n = 0;
        char c = chunk.p[0];
        chunk = str_from(chunk, 1);
        if (c == '[') {
            bool hit = false;
            rune r = failed ? 0 : utf8_decode(name, &n);
            if (!match_class(&chunk, r, &hit)) {
                *ok = false;
                return false;
            }
            failed = failed || !hit;
        } else if (c == '?') {
            failed = failed || name.p[0] == '/';
            if (!failed)
                (void)utf8_decode(name, &n);
        } else {
            if (c == '\\') {
                if (chunk.n == 0) {
                    *ok = false;
                    return false;
                }
                c = chunk.p[0];
                chunk = str_from(chunk, 1);
            }
            failed = failed || name.p[0] != c;
            n = 1;
        }
        if (!failed)
            name = str_from(name, n);
    }
    *rest = name;
    return !failed;
}

/* Cuts leading stars and the text up to the next star off the pattern. */
static void scan_chunk(struct str *pattern, bool *star, struct str *chunk)
{
    *star = false;
    while (pattern->n && pattern->p[0] == '*') {
        *star = true;
        *pattern = str_from(*pattern, 1);
    }
    bool in_class = false;
    size_t i = 0;
    for (; i < pattern->n; i++) {
        char c = pattern->p[i];
        if (c == '\\' && i + 1 < pattern->n)
            i++;
        else if (c == '[')
            in_class = true;
        else if (c == ']')
            in_class = false;
        else if (c == '*' && !in_class)
            break;
    }
    *chunk = str_sub(*pattern, 0, i);
    *pattern = str_from(*pattern, i);
}

/* Is what is left of a pattern well-formed? */
static bool check_rest(struct str pattern)
{
    bool ok = true;
    while (ok && pattern.n) {
        bool star;
        struct str chunk, rest;
        scan_chunk(&pattern, &star, &chunk);
        (void)match_chunk(chunk, STR_EMPTY, &rest, &ok);
    }
    return ok;
}

bool config_match_path(struct str pattern, struct str name, bool *matched, struct err *err)
{
    *matched = false;
    while (pattern.n) {
        bool star, ok = true;
        struct str chunk, rest;
        scan_chunk(&pattern, &star, &chunk);
        if (star && chunk.n == 0) {
            *matched = str_find_byte(name, '/') == STR_NPOS;
            return true;
        }
        bool hit = match_chunk(chunk, name, &rest, &ok) && (rest.n == 0 || pattern.n != 0);
        for (size_t i = 0; ok && !hit && star && i < name.n && name.p[i] != '/'; i++)
            hit = match_chunk(chunk, str_from(name, i + 1), &rest, &ok) && (rest.n == 0 || pattern.n != 0);
        if (!ok)
            return bad_pattern(err);
        if (!hit)
            return check_rest(pattern) || bad_pattern(err);
        name = rest;
    }
    *matched = name.n == 0;
    return true;
}

static bool has_meta(struct str path)
{
    for (size_t i = 0; i < path.n; i++)
        if (str_find_byte(STR("*?[\\"), path.p[i]) != STR_NPOS)
            return true;
    return false;
}

/* The names in `dir` that match, as paths. A directory that cannot be read holds nothing. */
static bool glob_dir(struct fs *fs, struct str dir, struct str pattern, struct buf *out, struct err *err)
{
    struct buf names = { 0 };
    struct err ignored = { 0 };
    bool ok = true;
    if (fs->list(fs, dir, &names, &ignored)) {
        struct str rest = buf_view(&names), name;
        while (ok && rest.n && str_split(&rest, '\0', &name)) {
            bool matched;
            if (name.n == 0)
                continue;
            ok = config_match_path(pattern, name, &matched, err);
            if (!ok || !matched)
                continue;
            if (!str_eq(dir, STR(".")))
                buf_printf(out, str_ends(dir, STR("/")) ? "%.*s" : "%.*s/", STR_ARG(dir));
            buf_str(out, name);
            buf_byte(out, '\0');
        }
    }
    buf_deinit(&names);
    return ok;
}

static bool glob_at(struct fs *fs, struct str pattern, unsigned depth, struct buf *out, struct err *err);

/* Every directory that `dir` names, then the files in it. */
static bool glob_dirs(struct fs *fs, struct str dir, struct str file, unsigned depth, struct buf *out,
                      struct err *err)
{
    struct buf dirs = { 0 };
    bool ok = glob_at(fs, dir, depth + 1, &dirs, err);
    struct str rest = buf_view(&dirs), one;
    while (ok && rest.n && str_split(&rest, '\0', &one))
        if (one.n)
            ok = glob_dir(fs, one, file, out, err);
    buf_deinit(&dirs);
    return ok;
}

static bool glob_at(struct fs *fs, struct str pattern, unsigned depth, struct buf *out, struct err *err)
{
    bool matched;
    if (!config_match_path(pattern, STR_EMPTY, &matched, err))
        return false;
    if (depth > GLOB_DEPTH_MAX)
        return err_set(err, ERR_LIMIT, "pattern has too many directories");
    if (!fs)
        return true;
    if (!has_meta(pattern)) {
        if (fs_exists(fs, pattern)) {
            buf_str(out, pattern);
            buf_byte(out, '\0');
        }
        return true;
    }
    size_t slash = str_rfind_byte(pattern, '/');
    struct str dir = slash == STR_NPOS ? STR(".") : slash == 0 ? STR("/") : str_sub(pattern, 0, slash);
    struct str file = slash == STR_NPOS ? pattern : str_from(pattern, slash + 1);
    if (!has_meta(dir))
        return glob_dir(fs, dir, file, out, err);
    return str_eq(dir, pattern) ? bad_pattern(err) : glob_dirs(fs, dir, file, depth, out, err);
}

bool config_glob(struct fs *fs, struct str pattern, struct buf *out, struct err *err)
{
    return glob_at(fs, pattern, 0, out, err);
}

bool config_template_files(const struct config *c, struct fs *fs, struct buf *out, struct err *err)
{
    for (size_t i = 0; i < c->templates.n; i++)
        if (!config_glob(fs, c->templates.v[i], out, err))
            return false;
    return true;
}
