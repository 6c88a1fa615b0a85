/* Paths of URLs: RFC 3986 reference resolution and Go's path.Clean and JoinPath. */
#include "base/mem.h"
#include "http/url.h"

#include <string.h>

/* Dot segments applied to base joined with ref, as Go's resolvePath. */
static void resolve_path(struct buf *out, struct str base, struct str ref)
{
    struct buf full = { 0 };
    if (ref.n == 0 || ref.p[0] != '/') {
        size_t slash = str_rfind_byte(base, '/');
        buf_str(&full, ref.n == 0 ? base : str_sub(base, 0, slash == STR_NPOS ? 0 : slash + 1));
    }
    buf_str(&full, ref);
    struct str rest = buf_view(&full), elem;
    if (rest.n == 0) {
        buf_deinit(&full);
        return;
    }
    struct buf dst = { 0 };
    buf_byte(&dst, '/');
    bool first = true;
    while (str_split(&rest, '/', &elem)) {
        if (str_eq(elem, STR("."))) {
            first = false;
        } else if (str_eq(elem, STR(".."))) {
            size_t slash = str_rfind_byte(str_from(buf_view(&dst), 1), '/');
            buf_truncate(&dst, slash == STR_NPOS ? 1 : slash + 1);
            first = dst.n == 1;
        } else {
            if (!first)
                buf_byte(&dst, '/');
            buf_str(&dst, elem);
            first = false;
        }
    }
    if (str_eq(elem, STR(".")) || str_eq(elem, STR("..")))
        buf_byte(&dst, '/');
    struct str path = buf_view(&dst);
    buf_str(out, path.n > 1 && path.p[1] == '/' ? str_from(path, 1) : path);
    buf_deinit(&dst);
    buf_deinit(&full);
}

/* Path and raw path from an escaped text: parsing it as a URL of its own does just that. False for bad escapes. */
static bool set_path(struct arena *a, struct http_url *u, struct str escaped)
{
    struct http_url parsed;
    struct err ignored;
    struct str text = arena_printf(a, "x://h%s%.*s", escaped.n && escaped.p[0] != '/' ? "/" : "", STR_ARG(escaped));
    struct buf safe = { 0 };
    for (size_t i = 0; i < text.n; i++) { /* ? and # would end the path there */
        if (text.p[i] == '?' || text.p[i] == '#')
            buf_printf(&safe, "%%%02X", (unsigned)text.p[i]);
        else
            buf_byte(&safe, text.p[i]);
    }
    struct str kept = arena_str(a, buf_view(&safe));
    buf_deinit(&safe);
    if (!http_url_parse(a, kept, &parsed, &ignored))
        return false;
    bool relative = escaped.n && escaped.p[0] != '/';
    u->path = relative ? str_from(parsed.path, 1) : parsed.path;
    u->raw_path = relative ? str_from(parsed.raw_path, 1) : parsed.raw_path;
    return true;
}

static struct str escaped_path(struct arena *a, const struct http_url *u)
{
    struct buf b = { 0 };
    http_url_escaped_path(&b, u);
    struct str s = arena_str(a, buf_view(&b));
    buf_deinit(&b);
    return s;
}

static void set_resolved(struct arena *a, struct http_url *u, struct str base, struct str ref)
{
    struct buf b = { 0 };
    resolve_path(&b, base, ref);
    bool ok = set_path(a, u, arena_str(a, buf_view(&b)));
    ASSERT(ok); /* both were made by escaping */
    buf_deinit(&b);
}

void http_url_resolve(struct arena *a, const struct http_url *base, const struct http_url *ref, struct http_url *out)
{
    struct http_url u = *ref;
    if (ref->scheme.n == 0)
        u.scheme = base->scheme;
    if (ref->scheme.n || ref->host.n || ref->has_user) {
        set_resolved(a, &u, escaped_path(a, ref), STR_EMPTY);
        *out = u;
        return;
    }
    bool bare = ref->path.n == 0 && !ref->force_query && ref->raw_query.n == 0;
    if (ref->opaque.n == 0 && bare) {
        u.raw_query = base->raw_query;
        if (ref->fragment.n == 0) {
            u.fragment = base->fragment;
            u.raw_fragment = base->raw_fragment;
        }
    }
    if (ref->opaque.n || (ref->path.n == 0 && base->opaque.n)) {
        u.opaque = ref->opaque.n ? ref->opaque : base->opaque;
        u.has_user = u.has_password = false;
        u.user = u.password = u.host = u.path = STR_EMPTY;
        *out = u;
        return;
    }
    u.host = base->host;
    u.has_user = base->has_user;
    u.has_password = base->has_password;
    u.user = base->user;
    u.password = base->password;
    set_resolved(a, &u, escaped_path(a, base), escaped_path(a, ref));
    *out = u;
}

struct str http_path_clean(struct arena *a, struct str path)
{
    if (path.n == 0)
        return STR(".");
    bool rooted = path.p[0] == '/';
    char *out = arena_alloc(a, path.n + 2);
    size_t w = 0, floor = 0; /* what lies below floor is ".." that nothing can take back */
    if (rooted)
        out[w++] = '/', floor = 1;
    struct str rest = path, elem;
    while (str_split(&rest, '/', &elem)) {
        if (elem.n == 0 || str_eq(elem, STR(".")))
            continue;
        if (str_eq(elem, STR(".."))) {
            if (w > floor) {
                w--;
                while (w > floor && out[w] != '/')
                    w--;
                continue;
            }
            if (rooted)
                continue;
        }
        if ((rooted && w != 1) || (!rooted && w != 0))
            out[w++] = '/';
        memcpy(out + w, elem.p, elem.n);
        w += elem.n;
        if (!rooted && str_eq(elem, STR("..")))
            floor = w;
    }
    return w == 0 ? STR(".") : str_of(out, w);
}

bool http_url_join(struct arena *a, const struct http_url *base, const struct str *elems, size_t elems_count,
                   struct http_url *out)
{
    struct buf b = { 0 };
    struct str first = escaped_path(a, base);
    bool relative = !str_starts(first, STR("/"));
    if (relative)
        buf_byte(&b, '/');
    buf_str(&b, first);
    for (size_t i = 0; i < elems_count; i++) {
        if (elems[i].n == 0)
            continue;
        buf_byte(&b, '/');
        buf_str(&b, elems[i]);
    }
    struct str last = elems_count ? elems[elems_count - 1] : first;
    struct str clean = http_path_clean(a, buf_view(&b));
    if (relative)
        clean = str_from(clean, 1);
    if (str_ends(last, STR("/")) && !str_ends(clean, STR("/")))
        clean = arena_printf(a, "%.*s/", STR_ARG(clean));
    buf_deinit(&b);
    struct http_url u = *base;
    if (!set_path(a, &u, clean))
        return false;
    *out = u;
    return true;
}
