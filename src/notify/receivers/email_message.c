/* Addresses, encoded words, quoted-printable, multipart. The address parser is a cursor over the text, bounded by it and
 * by EMAIL_ADDRESSES_MAX; comments nest at most COMMENT_DEPTH_MAX deep. */
#include "notify/receivers/email_message.h"

#include "base/utf8.h"

#define COMMENT_DEPTH_MAX 50
#define LINE_BYTES_MAX    76 /* with the "=" of a soft break */
#define WORD_BYTES_MAX    63 /* content of an encoded word of 75 */

/* ---- addresses ---- */

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

/* White space and comments. */
static bool skip(struct cursor *c)
{
    int depth = 0;
    while (c->s.n > 0) {
        char x = c->s.p[0];
        if (depth > 0 && x == '\\' && c->s.n > 1)
            c->s = str_from(c->s, 1);
        else if (x == '(')
            depth++;
        else if (x == ')' && depth > 0)
            depth--;
        else if (depth == 0 && x != ' ' && x != '\t' && x != '\r' && x != '\n')
            return true;
        if (depth > COMMENT_DEPTH_MAX)
            return fail(c, "misformatted parenthetical comment");
        c->s = str_from(c->s, 1);
    }
    return depth == 0 || fail(c, "misformatted parenthetical comment");
}

static bool is_atom(char x, bool dot)
{
    if ((unsigned char)x >= 0x80)
        return true;
    return ascii_is_alnum(x) || (x && strchr("!#$%&'*+-/=?^_`{|}~", x)) || (dot && x == '.');
}

static struct str take_atom(struct cursor *c, bool dot)
{
    size_t n = 0;
    while (n < c->s.n && is_atom(c->s.p[n], dot))
        n++;
    struct str atom = str_sub(c->s, 0, n);
    c->s = str_from(c->s, n);
    return atom;
}

static bool take_quoted(struct cursor *c, struct buf *out)
{
    for (size_t i = 1; i < c->s.n; i++) {
        char x = c->s.p[i];
        if (x == '"') {
            c->s = str_from(c->s, i + 1);
            return true;
        }
        if (x == '\\' && i + 1 < c->s.n)
            x = c->s.p[++i];
        else if (x == '\r' || x == '\n')
            break;
        buf_byte(out, x);
    }
    return fail(c, "unclosed quoted-string");
}

static bool good_dots(struct str s)
{
    return s.n > 0 && s.p[0] != '.' && s.p[s.n - 1] != '.' && !str_contains(s, STR(".."));
}

/* A local part that is no plain atom is quoted in the command. */
static void write_local(struct buf *out, struct str local)
{
    bool plain = good_dots(local);
    for (size_t i = 0; plain && i < local.n; i++)
        plain = is_atom(local.p[i], true);
    if (plain) {
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

static bool take_domain(struct cursor *c, struct buf *out)
{
    if (c->s.n > 0 && c->s.p[0] == '[') {
        size_t end = str_find_byte(c->s, ']');
        if (end == STR_NPOS)
            return fail(c, "unclosed domain-literal");
        buf_append(out, c->s.p, end + 1);
        c->s = str_from(c->s, end + 1);
        return true;
    }
    struct str domain = take_atom(c, true);
    if (domain.n == 0)
        return fail(c, "no angle-addr");
    if (!good_dots(domain))
        return fail(c, "double dot in atom");
    buf_str(out, domain);
    return true;
}

static bool add(struct cursor *c, const struct buf *address)
{
    if (c->n == EMAIL_ADDRESSES_MAX)
        return fail(c, "too many addresses");
    c->v[c->n++] = arena_str(c->arena, buf_view(address));
    return true;
}

/* local@domain; false without a failure (*tried) if what is here is no local part followed by an @. */
static bool take_spec(struct cursor *c, bool *tried)
{
    struct str start = c->s;
    struct buf local = { 0 }, address = { 0 };
    bool ok = true;
    *tried = false;
    if (c->s.n > 0 && c->s.p[0] == '"')
        ok = take_quoted(c, &local);
    else
        buf_str(&local, take_atom(c, true));
    *tried = !ok;
    if (ok && local.n > 0 && c->s.n > 0 && c->s.p[0] == '@') {
        *tried = true;
        c->s = str_from(c->s, 1);
        write_local(&address, buf_view(&local));
        buf_byte(&address, '@');
        if (!good_dots(buf_view(&local)) && address.p[0] != '"')
            ok = fail(c, "double dot in atom");
        ok = ok && (c->s.n > 0 || fail(c, "no angle-addr")) && take_domain(c, &address) && add(c, &address);
    } else {
        c->s = start;
        ok = false;
    }
    buf_deinit(&local);
    buf_deinit(&address);
    return ok;
}

static bool take_angle(struct cursor *c)
{
    bool tried;
    c->s = str_from(c->s, 1);
    if (!skip(c))
        return false;
    if (!take_spec(c, &tried))
        return tried ? false : fail(c, "no angle-addr");
    if (!skip(c))
        return false;
    if (c->s.n == 0 || c->s.p[0] != '>')
        return fail(c, "unclosed angle-addr");
    c->s = str_from(c->s, 1);
    return true;
}

/* A display name: words and quoted texts. */
static bool take_phrase(struct cursor *c, bool *any)
{
    *any = false;
    for (;;) {
        if (!skip(c))
            return false;
        if (c->s.n == 0)
            return true;
        if (c->s.p[0] == '"') {
            struct buf ignored = { 0 };
            bool ok = take_quoted(c, &ignored);
            buf_deinit(&ignored);
            if (!ok)
                return false;
        } else if (take_atom(c, true).n == 0) {
            return true;
        }
        *any = true;
    }
}

static bool take_list(struct cursor *c, char end);

static bool take_address(struct cursor *c, bool group_allowed)
{
    bool tried, named;
    if (!skip(c))
        return false;
    if (c->s.n == 0)
        return fail(c, "no address");
    if (take_spec(c, &tried))
        return true;
    if (tried)
        return false;
    if (!take_phrase(c, &named))
        return false;
    if (c->s.n > 0 && c->s.p[0] == '<')
        return take_angle(c);
    if (group_allowed && named && c->s.n > 0 && c->s.p[0] == ':') {
        c->s = str_from(c->s, 1);
        return take_list(c, ';');
    }
    return fail(c, "missing '@' or angle-addr");
}

/* Addresses up to `end` (0: the end of the text). */
static bool take_list(struct cursor *c, char end)
{
    for (;;) {
        if (!skip(c))
            return false;
        if (end && c->s.n > 0 && c->s.p[0] == end) {
            c->s = str_from(c->s, 1);
            return true;
        }
        if (c->s.n > 0 && c->s.p[0] == ',') { /* an empty element */
            c->s = str_from(c->s, 1);
            continue;
        }
        if (c->s.n == 0)
            return !end || fail(c, "misformatted group: missing semicolon");
        if (!take_address(c, end == 0) || !skip(c))
            return false;
        if (c->s.n > 0 && c->s.p[0] != ',' && c->s.p[0] != end)
            return fail(c, "expected comma");
    }
}

bool email_parse_addresses(struct arena *a, struct str text, struct email_addresses *out, struct err *err)
{
    struct cursor c = { .arena = a, .s = text, .err = err };
    c.v = arena_alloc_array(a, EMAIL_ADDRESSES_MAX, sizeof *c.v);
    if (!take_list(&c, 0))
        return false;
    if (c.n == 0)
        return fail(&c, "no address");
    *out = (struct email_addresses){ c.v, c.n };
    return true;
}

/* ---- encoded words ---- */

static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((s.p[i] < ' ' || s.p[i] > '~') && s.p[i] != '\t')
            return false;
    return true;
}

static bool is_word_byte(char x)
{
    return x > ' ' && x <= '~' && x != '=' && x != '?' && x != '_';
}

void email_write_word(struct buf *out, struct str value)
{
    static const char open[] = "=?utf-8?q?";
    if (is_plain(value)) {
        buf_str(out, value);
        return;
    }
    size_t length = 0;
    buf_c(out, open);
    while (value.n > 0) {
        size_t size = 1, bytes = 1;
        if (!is_word_byte(value.p[0]) && value.p[0] != ' ') {
            utf8_decode(value, &size);
            bytes = 3 * size;
        }
        if (length + bytes > WORD_BYTES_MAX) { /* a character is never split between words */
            buf_c(out, "?= ");
            buf_c(out, open);
            length = 0;
        }
        for (size_t i = 0; i < size; i++) {
            char x = value.p[i];
            if (x == ' ')
                buf_byte(out, '_');
            else if (is_word_byte(x))
                buf_byte(out, x);
            else
                buf_printf(out, "=%02X", (unsigned char)x);
        }
        length += bytes;
        value = str_from(value, size);
    }
    buf_c(out, "?=");
}

/* ---- quoted-printable ---- */

struct quoted {
    struct buf *out;
    char line[LINE_BYTES_MAX];
    size_t n;
    bool cr; /* a lone CR has just ended a line */
};

static void flush(struct quoted *q, bool soft)
{
    buf_append(q->out, q->line, q->n);
    buf_c(q->out, soft ? "=\r\n" : "\r\n");
    q->n = 0;
}

static void put_encoded(struct quoted *q, char x)
{
    static const char digits[] = "0123456789ABCDEF";
    if (LINE_BYTES_MAX - 1 - q->n < 3)
        flush(q, true);
    q->line[q->n++] = '=';
    q->line[q->n++] = digits[(unsigned char)x >> 4];
    q->line[q->n++] = digits[(unsigned char)x & 15];
}

/* Space at the end of a line would be lost on the way. */
static void protect_space(struct quoted *q)
{
    if (q->n == 0 || (q->line[q->n - 1] != ' ' && q->line[q->n - 1] != '\t'))
        return;
    char x = q->line[--q->n];
    put_encoded(q, x);
}

static void put_line_end(struct quoted *q, char x)
{
    if (q->cr && x == '\n') {
        q->cr = false;
        return;
    }
    protect_space(q);
    flush(q, false);
    q->cr = x == '\r';
}

void email_write_quoted(struct buf *out, struct str text)
{
    struct quoted q = { .out = out };
    for (size_t i = 0; i < text.n; i++) {
        char x = text.p[i];
        if (x == '\n' || x == '\r') {
            put_line_end(&q, x);
            continue;
        }
        q.cr = false;
        if ((x >= '!' && x <= '~' && x != '=') || x == ' ' || x == '\t') {
            if (q.n == LINE_BYTES_MAX - 1)
                flush(&q, true);
            q.line[q.n++] = x;
        } else {
            put_encoded(&q, x);
        }
    }
    protect_space(&q);
    buf_append(out, q.line, q.n);
}

/* ---- multipart ---- */

void email_write_multipart(struct buf *out, struct str boundary, const struct email_part *parts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, "%s--%.*s\r\n", i > 0 ? "\r\n" : "", STR_ARG(boundary));
        buf_printf(out, "Content-Transfer-Encoding: quoted-printable\r\nContent-Type: %s\r\n\r\n", parts[i].type);
        email_write_quoted(out, parts[i].text);
    }
    buf_printf(out, "\r\n--%.*s--\r\n", STR_ARG(boundary));
}
