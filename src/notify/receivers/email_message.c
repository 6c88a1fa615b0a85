/* Encoded words, quoted-printable, multipart. */
#include "notify/receivers/email_message.h"

#include "base/utf8.h"

#define LINE_BYTES_MAX    76 /* with the "=" of a soft break */
#define WORD_BYTES_MAX    63 /* content of an encoded word of 75 */

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
