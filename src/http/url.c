/* URLs as Go's net/url (1.26). The grammar is Go's, not the RFC's, because users' files and other programs' texts were
 * written against it: what it takes we take, what it refuses we refuse in its words.
 *
 * U1  What part of a URL a byte may stand in unescaped is one table, `plain`: a bit per part.
 * U2  raw_path is empty if escaping path gives back the text that was parsed; likewise raw_fragment. */
#include "http/url.h"

#include "base/utf8.h"
#include "http/ip.h"

#include <stdint.h>

enum part {
    PATH = 1,
    SEGMENT = 2,
    HOST = 4,
    ZONE = 8,
    USER = 16,
    QUERY = 32,
    FRAGMENT = 64,
};

/* Go's shouldEscape, the other way round: may c stand unescaped in this part? */
static bool plain(unsigned char c, enum part part)
{
    if (ascii_is_alnum((char)c) || c == '-' || c == '_' || c == '.' || c == '~')
        return true;
    bool host = part == HOST || part == ZONE;
    switch (c) {
    case '$':
    case '&':
    case '+':
    case '=':
        return part != QUERY;
    case ',':
    case ';':
        return part != QUERY && part != SEGMENT;
    case ':':
        return part != QUERY && part != USER;
    case '@':
        return part == PATH || part == SEGMENT || part == FRAGMENT;
    case '/':
        return part == PATH || part == FRAGMENT;
    case '?':
        return part == FRAGMENT;
    case '!':
    case '(':
    case ')':
    case '*':
        return part == FRAGMENT || host;
    case '\'':
    case '[':
    case ']':
    case '<':
    case '>':
    case '"':
        return host;
    default:
        return false;
    }
}

static void escape(struct buf *b, struct str s, enum part part)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t from = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (plain(c, part))
            continue;
        buf_append(b, s.p + from, i - from);
        from = i + 1;
        if (c == ' ' && part == QUERY) {
            buf_byte(b, '+');
            continue;
        }
        const char x[3] = { '%', hex[c >> 4], hex[c & 15] };
        buf_append(b, x, sizeof x);
    }
    buf_append(b, s.p + from, s.n - from);
}

static bool bad_text(struct err *err, const char *before, struct str what, const char *after)
{
    struct buf quoted = { 0 };
    go_quote(&quoted, what);
    err_set(err, ERR_INVALID, "%s%.*s%s", before, STR_ARG(buf_view(&quoted)), after);
    buf_deinit(&quoted);
    return false;
}

static bool bad_escape(struct err *err, struct str s)
{
    return bad_text(err, "invalid URL escape ", str_sub(s, 0, 3), "");
}

/* Refuses what Go's unescape refuses; then out needs no more checks. */
static bool check_escapes(struct str s, enum part part, struct err *err)
{
    bool host = part == HOST || part == ZONE;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c != '%') {
            if (host && c < 0x80 && !plain(c, part))
                return bad_text(err, "invalid character ", str_sub(s, i, 1), " in host name");
            continue;
        }
        if (i + 2 >= s.n || !ascii_is_xdigit(s.p[i + 1]) || !ascii_is_xdigit(s.p[i + 2]))
            return bad_escape(err, str_from(s, i));
        int v = ascii_xdigit_value(s.p[i + 1]) << 4 | ascii_xdigit_value(s.p[i + 2]);
        bool percent = str_eq(str_sub(s, i, 3), STR("%25"));
        if (part == HOST && v < 0x80 && !percent)
            return bad_escape(err, str_from(s, i));
        if (part == ZONE && !percent && v != ' ' && !plain((unsigned char)v, HOST))
            return bad_escape(err, str_from(s, i));
        i += 2;
    }
    return true;
}

static bool unescape(struct buf *b, struct str s, enum part part, struct err *err)
{
    if (!check_escapes(s, part, err))
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '%') {
            buf_byte(b, (char)(ascii_xdigit_value(s.p[i + 1]) << 4 | ascii_xdigit_value(s.p[i + 2])));
            i += 2;
        } else {
            buf_byte(b, part == QUERY && s.p[i] == '+' ? ' ' : s.p[i]);
        }
    }
    return true;
}

/* Into the arena; a text without escapes stays a slice. */
static bool unescape_into(struct arena *a, struct str s, enum part part, struct str *out, struct err *err)
{
    if (str_find_byte(s, '%') == STR_NPOS) {
        *out = s;
        return check_escapes(s, part, err);
    }
    struct buf b = { 0 };
    bool ok = unescape(&b, s, part, err);
    if (ok)
        *out = arena_str(a, buf_view(&b));
    buf_deinit(&b);
    return ok;
}

void http_query_escape(struct buf *b, struct str s)
{
    escape(b, s, QUERY);
}

void http_path_escape(struct buf *b, struct str s)
{
    escape(b, s, SEGMENT);
}

bool http_query_unescape(struct buf *b, struct str s, struct err *err)
{
    return unescape(b, s, QUERY, err);
}

bool http_path_unescape(struct buf *b, struct str s, struct err *err)
{
    return unescape(b, s, SEGMENT, err);
}

/* Sets a decoded text and, if the default encoding would not give the same back, the raw one (U2). */
static bool set_decoded(struct arena *a, struct str raw, enum part part, struct str *decoded, struct str *kept,
                        struct err *err)
{
    if (!unescape_into(a, raw, part, decoded, err))
        return false;
    struct buf b = { 0 };
    escape(&b, *decoded, part);
    *kept = str_eq(buf_view(&b), raw) ? STR_EMPTY : raw;
    buf_deinit(&b);
    return true;
}

/* Text before the first colon, if that is a scheme. */
static bool cut_scheme(struct str s, struct str *scheme, struct str *rest, struct err *err)
{
    *scheme = STR_EMPTY;
    *rest = s;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (ascii_is_alpha(c))
            continue;
        if (c == ':' && i == 0)
            return err_set(err, ERR_INVALID, "missing protocol scheme");
        if (c == ':') {
            *scheme = str_sub(s, 0, i);
            *rest = str_from(s, i + 1);
            return true;
        }
        if (i == 0 || !(ascii_is_digit(c) || c == '+' || c == '-' || c == '.'))
            return true;
    }
    return true;
}

static bool optional_port_valid(struct str s)
{
    if (s.n == 0)
        return true;
    if (s.p[0] != ':')
        return false;
    for (size_t i = 1; i < s.n; i++)
        if (!ascii_is_digit(s.p[i]))
            return false;
    return true;
}

/* What netip.ParseAddr says about a text that is no address. The commonest reasons only: the rest is one phrase. */
static bool bad_ip_literal(struct err *err, struct str host)
{
    struct buf b = { 0 };
    go_quote(&b, host);
    err_set(err, ERR_INVALID, "invalid host: ParseAddr(%.*s): %s", STR_ARG(buf_view(&b)),
            str_find_byte(host, ':') == STR_NPOS && str_find_byte(host, '.') == STR_NPOS
                ? "unable to parse IP"
                : "unexpected character, want colon");
    buf_deinit(&b);
    return false;
}

static bool parse_ip_literal(struct arena *a, struct str host, struct str *out, struct err *err)
{
    size_t end = str_rfind_byte(host, ']');
    if (end == STR_NPOS)
        return err_set(err, ERR_INVALID, "missing ']' in host");
    struct str port = str_from(host, end + 1), name = str_sub(host, 1, end - 1), decoded, zone = STR_EMPTY;
    if (!optional_port_valid(port))
        return bad_text(err, "invalid port ", port, " after host");
    size_t at = str_find(name, STR("%25"));
    if (at != STR_NPOS && !unescape_into(a, str_from(name, at), ZONE, &zone, err))
        return false;
    if (!unescape_into(a, str_sub(name, 0, at == STR_NPOS ? name.n : at), HOST, &decoded, err))
        return false;
    struct ip ip;
    if (!ip_parse(decoded, &ip) || (at != STR_NPOS && zone.n < 2))
        return bad_ip_literal(err, decoded);
    if (ip.n == 4)
        return err_set(err, ERR_INVALID, "invalid IP-literal");
    *out = arena_printf(a, "[%.*s%.*s]%.*s", STR_ARG(decoded), STR_ARG(zone), STR_ARG(port));
    return true;
}

static bool parse_host(struct arena *a, struct str scheme, struct str host, struct str *out, struct err *err)
{
    size_t open = str_rfind_byte(host, '[');
    if (open == 0)
        return parse_ip_literal(a, host, out, err);
    if (open != STR_NPOS)
        return err_set(err, ERR_INVALID, "invalid IP-literal");
    /* More than one colon is refused for http and https only: others may list several hosts. */
    bool strict = str_eq(scheme, STR("http")) || str_eq(scheme, STR("https"));
    size_t colon = strict ? str_find_byte(host, ':') : str_rfind_byte(host, ':');
    if (colon != STR_NPOS && !optional_port_valid(str_from(host, colon)))
        return bad_text(err, "invalid port ", str_from(host, colon), " after host");
    return unescape_into(a, host, HOST, out, err);
}

static bool userinfo_valid(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_is_alnum(s.p[i]) && (s.p[i] == 0 || !strchr("-._:~!$&'()*+,;=%@", s.p[i])))
            return false;
    return true;
}

static bool parse_authority(struct arena *a, struct str s, struct http_url *u, struct err *err)
{
    size_t at = str_rfind_byte(s, '@');
    if (!parse_host(a, u->scheme, at == STR_NPOS ? s : str_from(s, at + 1), &u->host, err))
        return false;
    if (at == STR_NPOS)
        return true;
    struct str info = str_sub(s, 0, at);
    if (!userinfo_valid(info))
        return err_set(err, ERR_INVALID, "net/url: invalid userinfo");
    size_t colon = str_find_byte(info, ':');
    u->has_user = true;
    u->has_password = colon != STR_NPOS;
    return unescape_into(a, str_sub(info, 0, u->has_password ? colon : info.n), USER, &u->user, err) &&
           (!u->has_password || unescape_into(a, str_from(info, colon + 1), USER, &u->password, err));
}

static struct str lower(struct arena *a, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (ascii_lower(s.p[i]) == s.p[i])
            continue;
        char *p = arena_alloc(a, s.n + 1);
        for (size_t j = 0; j < s.n; j++)
            p[j] = ascii_lower(s.p[j]);
        return str_of(p, s.n);
    }
    return s;
}

/* Path, authority or opaque part, with scheme and query cut off already. */
static bool parse_rest(struct arena *a, struct str rest, bool request, struct http_url *u, struct err *err)
{
    if (!str_starts(rest, STR("/"))) {
        if (u->scheme.n) {
            u->opaque = rest;
            return true;
        }
        if (request)
            return err_set(err, ERR_INVALID, "invalid URI for request");
        size_t slash = str_find_byte(rest, '/');
        if (str_find_byte(str_sub(rest, 0, slash == STR_NPOS ? rest.n : slash), ':') != STR_NPOS)
            return err_set(err, ERR_INVALID, "first path segment in URL cannot contain colon");
    }
    if (str_starts(rest, STR("//")) && (u->scheme.n || (!request && !str_starts(rest, STR("///"))))) {
        struct str authority = str_from(rest, 2);
        size_t slash = str_find_byte(authority, '/');
        rest = slash == STR_NPOS ? STR_EMPTY : str_from(authority, slash);
        if (!parse_authority(a, str_sub(authority, 0, slash == STR_NPOS ? authority.n : slash), u, err))
            return false;
    } else if (u->scheme.n && str_starts(rest, STR("/"))) {
        u->omit_host = true;
    }
    return set_decoded(a, rest, PATH, &u->path, &u->raw_path, err);
}

static bool parse(struct arena *a, struct str s, bool request, struct http_url *u, struct err *err)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
            return err_set(err, ERR_INVALID, "net/url: invalid control character in URL");
    if (request && s.n == 0)
        return err_set(err, ERR_INVALID, "empty url");
    if (str_eq(s, STR("*"))) {
        u->path = STR("*");
        return true;
    }
    struct str scheme, rest;
    if (!cut_scheme(s, &scheme, &rest, err))
        return false;
    u->scheme = lower(a, scheme);
    size_t question = str_find_byte(rest, '?');
    if (question != STR_NPOS) {
        u->force_query = question + 1 == rest.n;
        u->raw_query = str_from(rest, question + 1);
        rest = str_sub(rest, 0, question);
    }
    return parse_rest(a, rest, request, u, err);
}

/* The empty parts are empty texts, not NULL. */
static struct http_url blank(void)
{
    return (struct http_url){ .scheme = STR_EMPTY, .opaque = STR_EMPTY, .user = STR_EMPTY, .password = STR_EMPTY,
                              .host = STR_EMPTY, .path = STR_EMPTY, .raw_path = STR_EMPTY, .raw_query = STR_EMPTY,
                              .fragment = STR_EMPTY, .raw_fragment = STR_EMPTY };
}

static bool parse_named(struct arena *a, struct str s, bool request, struct http_url *u, struct err *err)
{
    if (s.n > HTTP_URL_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "URL is longer than %d bytes", HTTP_URL_BYTES_MAX);
    struct http_url r = blank();
    struct str fragment = STR_EMPTY, named = s;
    size_t hash = request ? STR_NPOS : str_find_byte(s, '#');
    if (hash != STR_NPOS) {
        fragment = str_from(s, hash + 1);
        named = str_sub(s, 0, hash);
    }
    bool ok = parse(a, named, request, &r, err);
    if (ok && fragment.n) {
        named = s;
        ok = set_decoded(a, fragment, FRAGMENT, &r.fragment, &r.raw_fragment, err);
    }
    if (!ok) {
        struct buf q = { 0 };
        go_quote(&q, named);
        err_wrap(err, "parse %.*s", STR_ARG(buf_view(&q)));
        buf_deinit(&q);
        return false;
    }
    *u = r;
    return true;
}

bool http_url_parse(struct arena *a, struct str s, struct http_url *u, struct err *err)
{
    return parse_named(a, s, false, u, err);
}

bool http_url_parse_request(struct arena *a, struct str s, struct http_url *u, struct err *err)
{
    return parse_named(a, s, true, u, err);
}

/* Go's validEncoded: raw may be used as it is. */
static bool raw_valid(struct str s, enum part part)
{
    for (size_t i = 0; i < s.n; i++)
        if (!(s.p[i] && strchr("!$&'()*+,;=:@[]%", s.p[i])) && !plain((unsigned char)s.p[i], part))
            return false;
    return true;
}

static void write_encoded(struct buf *b, struct str decoded, struct str raw, enum part part)
{
    if (raw.n && raw_valid(raw, part)) {
        struct buf check = { 0 };
        struct err ignored;
        bool same = unescape(&check, raw, part, &ignored) && str_eq(buf_view(&check), decoded);
        buf_deinit(&check);
        if (same) {
            buf_str(b, raw);
            return;
        }
    }
    escape(b, decoded, part);
}

void http_url_escaped_path(struct buf *b, const struct http_url *u)
{
    if (u->raw_path.n == 0 && str_eq(u->path, STR("*")))
        buf_byte(b, '*');
    else
        write_encoded(b, u->path, u->raw_path, PATH);
}

static void write_authority(struct buf *b, const struct http_url *u, struct str password)
{
    if (u->omit_host && u->host.n == 0 && !u->has_user)
        return;
    if (u->host.n || u->path.n || u->has_user)
        buf_c(b, "//");
    if (u->has_user) {
        escape(b, u->user, USER);
        if (u->has_password) {
            buf_byte(b, ':');
            escape(b, password, USER);
        }
        buf_byte(b, '@');
    }
    escape(b, u->host, HOST);
}

static void write_url(struct buf *b, const struct http_url *u, struct str password)
{
    size_t start = b->n;
    if (u->scheme.n) {
        buf_str(b, u->scheme);
        buf_byte(b, ':');
    }
    if (u->opaque.n) {
        buf_str(b, u->opaque);
    } else {
        if (u->scheme.n || u->host.n || u->has_user)
            write_authority(b, u, password);
        struct buf path = { 0 };
        http_url_escaped_path(&path, u);
        struct str p = buf_view(&path);
        if (p.n && p.p[0] != '/' && u->host.n)
            buf_byte(b, '/');
        size_t slash = str_find_byte(p, '/');
        if (b->n == start && str_find_byte(str_sub(p, 0, slash == STR_NPOS ? p.n : slash), ':') != STR_NPOS)
            buf_c(b, "./");
        buf_str(b, p);
        buf_deinit(&path);
    }
    if (u->force_query || u->raw_query.n) {
        buf_byte(b, '?');
        buf_str(b, u->raw_query);
    }
    if (u->fragment.n) {
        buf_byte(b, '#');
        write_encoded(b, u->fragment, u->raw_fragment, FRAGMENT);
    }
}

void http_url_write(struct buf *b, const struct http_url *u)
{
    write_url(b, u, u->password);
}

void http_url_write_redacted(struct buf *b, const struct http_url *u)
{
    write_url(b, u, STR("xxxxx"));
}

void http_url_request_uri(struct buf *b, const struct http_url *u)
{
    size_t start = b->n;
    if (u->opaque.n == 0) {
        http_url_escaped_path(b, u);
        if (b->n == start)
            buf_byte(b, '/');
    } else {
        if (str_starts(u->opaque, STR("//"))) {
            buf_str(b, u->scheme);
            buf_byte(b, ':');
        }
        buf_str(b, u->opaque);
    }
    if (u->force_query || u->raw_query.n) {
        buf_byte(b, '?');
        buf_str(b, u->raw_query);
    }
}

static struct str cut_port(struct str host, struct str *port)
{
    size_t colon = str_rfind_byte(host, ':');
    *port = STR_EMPTY;
    if (colon != STR_NPOS && optional_port_valid(str_from(host, colon))) {
        *port = str_from(host, colon + 1);
        host = str_sub(host, 0, colon);
    }
    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = str_sub(host, 1, host.n - 2);
    return host;
}

struct str http_url_hostname(const struct http_url *u)
{
    struct str port;
    return cut_port(u->host, &port);
}

struct str http_url_port(const struct http_url *u)
{
    struct str port;
    cut_port(u->host, &port);
    return port;
}
