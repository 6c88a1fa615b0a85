/* RFC 5322 address lists, after Go's net/mail: a cursor over the text, bounded by it and by EMAIL_ADDRESSES_MAX. Nothing
 * here recurses but for the one level of groups; comments nest by counting. */
#include "notify/receivers/email_message.h"

#include "base/utf8.h"
#include "http/ip.h"

#include <string.h>

struct cursor {
    struct arena *arena;
    struct str s;
    struct str *v;
    size_t n;
    struct err *err;
};

static bool fail(struct cursor *c, const char *why)
{
    return err_set(c->err, ERR_INVALID, "mail: %s", why);
}

static bool fail_quoted(struct cursor *c, const char *why, struct str what)
{
    struct buf b = { 0 };
    go_quote(&b, what);
    err_set(c->err, ERR_INVALID, "mail: %s: %.*s", why, STR_ARG(buf_view(&b)));
    buf_deinit(&b);
    return false;
}

static char peek(const struct cursor *c)
{
    return c->s.n > 0 ? c->s.p[0] : '\0';
}

static bool take(struct cursor *c, char x)
{
    if (c->s.n == 0 || c->s.p[0] != x)
        return false;
    c->s = str_from(c->s, 1);
    return true;
}

static void skip_space(struct cursor *c)
{
    while (c->s.n > 0 && (c->s.p[0] == ' ' || c->s.p[0] == '\t'))
        c->s = str_from(c->s, 1);
}

/* After its "(". */
static bool skip_comment(struct cursor *c)
{
    size_t depth = 1, i = 0;
    for (; i < c->s.n && depth > 0; i++) {
        char x = c->s.p[i];
        if (x == '\\' && i + 1 < c->s.n)
            i++;
        else if (x == '(')
            depth++;
        else if (x == ')')
            depth--;
    }
    c->s = str_from(c->s, i);
    return depth == 0 || fail(c, "misformatted parenthetical comment");
}

static bool skip(struct cursor *c)
{
    skip_space(c);
    while (take(c, '(')) {
        if (!skip_comment(c))
            return false;
        skip_space(c);
    }
    return true;
}

static bool is_visible(rune r)
{
    return (r >= '!' && r <= '~') || r >= 0x80;
}

static bool is_atom(rune r)
{
    return is_visible(r) && (r >= 0x80 || !strchr("()<>[]:;@\\,\"", (int)r));
}

/* Visible characters and dots; `strict`: a dot-atom. */
static bool take_atom(struct cursor *c, bool strict, struct str *out)
{
    size_t n = 0, size;
    for (; n < c->s.n; n += size) {
        rune r = utf8_decode(str_from(c->s, n), &size);
        if (r == RUNE_ERROR && size == 1)
            return fail_quoted(c, "invalid utf-8 in address", c->s);
        if (!is_atom(r))
            break;
    }
    if (n == 0)
        return fail(c, "invalid string");
    *out = str_sub(c->s, 0, n);
    c->s = str_from(c->s, n);
    if (!strict)
        return true;
    if (out->p[0] == '.')
        return fail(c, "leading dot in atom");
    if (str_contains(*out, STR("..")))
        return fail(c, "double dot in atom");
    if (out->p[n - 1] == '.')
        return fail(c, "trailing dot in atom");
    return true;
}

static bool fail_rune(struct cursor *c, const char *why, struct str what)
{
    struct buf b = { 0 };
    go_quote(&b, what);
    b.p[0] = b.p[b.n - 1] = '\''; /* Go quotes a character so; this one is neither kind of quote */
    err_set(c->err, ERR_INVALID, "mail: %s: %.*s", why, STR_ARG(buf_view(&b)));
    buf_deinit(&b);
    return false;
}

static bool take_quoted(struct cursor *c, struct buf *out)
{
    bool escaped = false;
    size_t size;
    for (size_t i = 1; i < c->s.n; i += size) {
        rune r = utf8_decode(str_from(c->s, i), &size);
        if (r == RUNE_ERROR && size == 1)
            return fail_quoted(c, "invalid utf-8 in quoted-string", c->s);
        if (!escaped && r == '"') {
            c->s = str_from(c->s, i + 1);
            return true;
        }
        if (!escaped && r == '\\') {
            escaped = true;
            continue;
        }
        if (!is_visible(r) && r != ' ' && r != '\t')
            return fail_rune(c, "bad character in quoted-string", str_sub(c->s, i, size));
        buf_append(out, c->s.p + i, size);
        escaped = false;
    }
    return fail(c, "unclosed quoted-string");
}

/* As an SMTP command wants it: quoted unless it is a dot-atom. */
static void write_local(struct buf *out, struct str local, bool quoted)
{
    static const char plain[] = "!#$%&'*+-/=?^_`{|}~.";
    bool atom = !quoted || !(local.p[0] == '.' || local.p[local.n - 1] == '.' || str_contains(local, STR("..")));
    for (size_t i = 0; quoted && atom && i < local.n; i++)
        atom = (unsigned char)local.p[i] >= 0x80 || ascii_is_alnum(local.p[i]) || strchr(plain, local.p[i]);
    if (atom) {
        buf_str(out, local);
        return;
    }
    buf_byte(out, '"');
    for (size_t i = 0; i < local.n; i++) {
        if (local.p[i] == '"' || local.p[i] == '\\')
            buf_byte(out, '\\');
        buf_byte(out, local.p[i]);
    }
    buf_byte(out, '"');
}

static bool take_literal(struct cursor *c, struct buf *out)
{
    size_t end = str_find_byte(c->s, ']');
    if (end == STR_NPOS)
        return fail(c, "unclosed domain-literal");
    struct str text = str_sub(c->s, 1, end - 1);
    struct ip ip;
    if (!ip_parse(text, &ip))
        return fail_quoted(c, "invalid IP address in domain-literal", text);
    buf_append(out, c->s.p, end + 1);
    c->s = str_from(c->s, end + 1);
    return true;
}

static bool take_spec_parts(struct cursor *c, struct buf *local, struct buf *address)
{
    struct str atom;
    skip_space(c);
    if (c->s.n == 0)
        return fail(c, "no addr-spec");
    bool quoted = peek(c) == '"';
    if (quoted) {
        if (!take_quoted(c, local))
            return false;
        if (local->n == 0)
            return fail(c, "empty quoted string in addr-spec");
    } else {
        if (!take_atom(c, true, &atom))
            return false;
        buf_str(local, atom);
    }
    if (!take(c, '@'))
        return fail(c, "missing @ in addr-spec");
    write_local(address, buf_view(local), quoted);
    buf_byte(address, '@');
    skip_space(c);
    if (c->s.n == 0)
        return fail(c, "no domain in addr-spec");
    if (peek(c) == '[')
        return take_literal(c, address);
    if (!take_atom(c, true, &atom))
        return false;
    buf_str(address, atom);
    return true;
}

/* local@domain, added to the list. What fails leaves the cursor where it was. */
static bool take_spec(struct cursor *c)
{
    struct str start = c->s;
    struct buf local = { 0 }, address = { 0 };
    bool ok = take_spec_parts(c, &local, &address);
    if (ok && c->n == EMAIL_ADDRESSES_MAX)
        ok = fail(c, "too many addresses");
    else if (ok)
        c->v[c->n++] = arena_str(c->arena, buf_view(&address));
    else
        c->s = start;
    buf_deinit(&local);
    buf_deinit(&address);
    return ok;
}

/* A display name: atoms and quoted texts. *spaced: it is no single atom. */
static bool take_phrase(struct cursor *c, bool *spaced)
{
    size_t words = 0;
    *spaced = false;
    for (;; words++) {
        struct str atom;
        struct buf ignored = { 0 };
        if (words > 0 && !skip(c))
            return false;
        skip_space(c);
        if (c->s.n == 0)
            return true;
        bool quoted = peek(c) == '"';
        bool ok = quoted ? take_quoted(c, &ignored) : take_atom(c, false, &atom);
        for (size_t i = 0; quoted && ok && i < ignored.n; i++)
            *spaced |= !is_atom((unsigned char)ignored.p[i]);
        buf_deinit(&ignored);
        if (!ok && words == 0) {
            err_wrap(c->err, "mail: missing word in phrase");
            return false;
        }
        if (!ok)
            return true;
        *spaced |= words > 0;
    }
}

static bool take_group(struct cursor *c);

static bool take_address(struct cursor *c, bool group_allowed)
{
    bool spaced = false;
    skip_space(c);
    if (c->s.n == 0)
        return fail(c, "no address");
    if (take_spec(c)) {
        skip_space(c);
        return !take(c, '(') || skip_comment(c);
    }
    if (c->n == EMAIL_ADDRESSES_MAX)
        return false;
    if (peek(c) != '<' && !take_phrase(c, &spaced))
        return false;
    skip_space(c);
    if (group_allowed && take(c, ':'))
        return take_group(c);
    if (!take(c, '<'))
        return fail(c, spaced ? "no angle-addr" : "missing '@' or angle-addr");
    if (!take_spec(c))
        return false;
    return take(c, '>') || fail(c, "unclosed angle-addr");
}

/* After its ":". */
static bool take_group(struct cursor *c)
{
    skip_space(c);
    if (take(c, ';'))
        return skip(c);
    for (;;) {
        if (!take_address(c, false) || !skip(c))
            return false;
        if (take(c, ';'))
            return skip(c);
        if (!take(c, ','))
            return fail(c, "expected comma");
    }
}

static bool take_list(struct cursor *c)
{
    for (;;) {
        skip_space(c);
        if (take(c, ',')) /* an empty element */
            continue;
        if (!take_address(c, true) || !skip(c))
            return false;
        if (c->s.n == 0)
            return true;
        if (peek(c) != ',')
            return fail(c, "expected comma");
        while (take(c, ','))
            skip_space(c);
        if (c->s.n == 0)
            return true;
    }
}

bool email_parse_addresses(struct arena *a, struct str text, struct email_addresses *out, struct err *err)
{
    struct cursor c = { .arena = a, .s = text, .err = err };
    c.v = arena_alloc_array(a, EMAIL_ADDRESSES_MAX, sizeof *c.v);
    if (!take_list(&c))
        return false;
    *out = (struct email_addresses){ c.v, c.n };
    return true;
}
