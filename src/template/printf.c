/* fmt: Printf, Print and Println over template values, with Go's verbs, flags and diagnostics.
 *
 * One formatter runs over one output buffer. Widths and precisions are bounded as Go bounds them (WIDTH_MAX); the output
 * is bounded by the buffer's limit. Recursion follows the nesting of values, which lists and dicts built by a template
 * can make deep: PRINT_DEPTH_MAX ends it.
 *
 * Invariant: methods (Stringers) are not called while a bad verb is being reported, as in Go. */
#include "template/func_int.h"
#include "template/value.h"

#include "base/num.h"
#include "base/utf8.h"

#include <math.h>
#include <stdio.h>

#define WIDTH_MAX       1000000
#define PRINT_DEPTH_MAX 64

struct fmt {
    struct buf *out;
    bool plus, minus, sharp, space, zero, plus_v, sharp_v;
    bool has_width, has_prec;
    int64_t width, prec;
    bool erroring;
    bool plain; /* a pointer at the top is followed */
    int depth;
};

static void print_value(struct fmt *f, const struct tval *v, rune verb, bool top);

/* ---- padding ---- */

static void fill(struct fmt *f, int64_t n)
{
    if (n > 0)
        buf_fill(f->out, f->zero && !f->minus ? '0' : ' ', (size_t)n);
}

static void pad(struct fmt *f, struct str s)
{
    if (!f->has_width || f->width == 0) {
        buf_str(f->out, s);
        return;
    }
    int64_t n = f->width - (int64_t)utf8_count(s);
    if (!f->minus)
        fill(f, n);
    buf_str(f->out, s);
    if (f->minus)
        fill(f, n);
}

static void pad_spaces(struct fmt *f, struct str s)
{
    bool zero = f->zero;
    f->zero = false;
    pad(f, s);
    f->zero = zero;
}

static struct str cut(const struct fmt *f, struct str s)
{
    return f->has_prec ? utf8_prefix(s, (size_t)f->prec) : s;
}

/* ---- basic kinds ---- */

static void format_hex_bytes(struct fmt *f, struct str s, const char *digits)
{
    size_t n = f->has_prec && (size_t)f->prec < s.n ? (size_t)f->prec : s.n;
    if (n == 0) {
        if (f->has_width)
            fill(f, f->width);
        return;
    }
    size_t width = 2 * n;
    if (f->space)
        width = (f->sharp ? 4 * n : 2 * n) + n - 1;
    else if (f->sharp)
        width += 2;
    int64_t space = f->has_width ? f->width - (int64_t)width : 0;
    if (!f->minus)
        fill(f, space);
    for (size_t i = 0; i < n; i++) {
        if (f->space && i > 0)
            buf_byte(f->out, ' ');
        if (f->sharp && (i == 0 || f->space)) {
            buf_byte(f->out, '0');
            buf_byte(f->out, digits[16]);
        }
        unsigned char c = (unsigned char)s.p[i];
        buf_byte(f->out, digits[c >> 4]);
        buf_byte(f->out, digits[c & 15]);
    }
    if (f->minus)
        fill(f, space);
}

static const char lower_digits[] = "0123456789abcdefx", upper_digits[] = "0123456789ABCDEFX";

static bool can_backquote(struct str s)
{
    while (s.n > 0) {
        size_t size;
        rune r = utf8_decode(s, &size);
        if (r == 0xFEFF || (r == RUNE_ERROR && size == 1) || (size == 1 && ((r < ' ' && r != '\t') || r == '`' || r == 0x7F)))
            return false;
        s = str_from(s, size);
    }
    return true;
}

/* Go's quoting with everything above ASCII escaped. */
static void quote_ascii(struct buf *out, struct str s)
{
    struct buf q = { 0 };
    go_quote(&q, s);
    struct str rest = buf_view(&q);
    while (rest.n > 0) {
        size_t size;
        rune r = utf8_decode(rest, &size);
        if (r < 0x80)
            buf_byte(out, (char)r);
        else if (r < 0x10000)
            buf_printf(out, "\\u%04x", r);
        else
            buf_printf(out, "\\U%08x", r);
        rest = str_from(rest, size);
    }
    buf_deinit(&q);
}

static void format_quoted(struct fmt *f, struct str s)
{
    struct buf b = { .limit_bytes = f->out->limit_bytes };
    s = cut(f, s);
    if (f->sharp && can_backquote(s)) {
        buf_byte(&b, '`');
        buf_str(&b, s);
        buf_byte(&b, '`');
    } else if (f->plus) {
        quote_ascii(&b, s);
    } else {
        go_quote(&b, s);
    }
    if (b.overflow)
        f->out->overflow = true;
    pad(f, buf_view(&b));
    buf_deinit(&b);
}

static void bad_verb(struct fmt *f, const struct tval *v, rune verb)
{
    f->erroring = true;
    buf_c(f->out, "%!");
    utf8_append(f->out, verb);
    buf_byte(f->out, '(');
    if (v->kind == TVAL_NONE || v->kind == TVAL_NIL) {
        buf_c(f->out, "<nil>");
    } else {
        buf_str(f->out, tval_type_name(v));
        buf_byte(f->out, '=');
        print_value(f, v, 'v', true);
    }
    buf_byte(f->out, ')');
    f->erroring = false;
}

static void format_string(struct fmt *f, const struct tval *v, struct str s, rune verb)
{
    switch (verb) {
    case 'v':
        if (f->sharp_v)
            format_quoted(f, s);
        else
            pad(f, cut(f, s));
        break;
    case 's':
        pad(f, cut(f, s));
        break;
    case 'x':
        format_hex_bytes(f, s, lower_digits);
        break;
    case 'X':
        format_hex_bytes(f, s, upper_digits);
        break;
    case 'q':
        format_quoted(f, s);
        break;
    default:
        bad_verb(f, v, verb);
    }
}

/* Digits right to left, then what stands before them. */
static void format_integer(struct fmt *f, uint64_t u, unsigned base, bool is_signed, rune verb, const char *digits)
{
    bool negative = is_signed && (int64_t)u < 0;
    if (negative)
        u = 0 - u;
    int64_t prec = 0;
    if (f->has_prec) {
        prec = f->prec;
        if (prec == 0 && u == 0) {
            bool zero = f->zero;
            f->zero = false;
            fill(f, f->width);
            f->zero = zero;
            return;
        }
    } else if (f->zero && !f->minus && f->has_width) {
        prec = f->width - (negative || f->plus || f->space);
    }
    char raw[64];
    size_t at = sizeof raw;
    do
        raw[--at] = digits[u % base];
    while ((u /= base) > 0);
    int64_t zeros = prec - (int64_t)(sizeof raw - at);
    if (!f->has_width && !f->sharp && zeros <= 0 && verb != 'O') { /* nearly always: nothing to build */
        if (negative || f->plus || f->space)
            buf_byte(f->out, negative ? '-' : f->plus ? '+' : ' ');
        buf_append(f->out, raw + at, sizeof raw - at);
        return;
    }
    struct buf b = { 0 };
    if (negative)
        buf_byte(&b, '-');
    else if (f->plus)
        buf_byte(&b, '+');
    else if (f->space)
        buf_byte(&b, ' ');
    if (verb == 'O')
        buf_c(&b, "0o");
    if (f->sharp && base == 2)
        buf_c(&b, "0b");
    if (f->sharp && base == 8 && zeros <= 0 && raw[at] != '0')
        buf_byte(&b, '0');
    if (f->sharp && base == 16) {
        buf_byte(&b, '0');
        buf_byte(&b, digits[16]);
    }
    if (zeros > 0)
        buf_fill(&b, '0', (size_t)zeros);
    buf_append(&b, raw + at, sizeof raw - at);
    pad_spaces(f, buf_view(&b));
    buf_deinit(&b);
}

static void format_unicode(struct fmt *f, uint64_t u)
{
    char raw[16];
    size_t at = sizeof raw;
    uint64_t rest = u;
    do
        raw[--at] = upper_digits[rest % 16];
    while ((rest /= 16) > 0);
    struct buf b = { 0 };
    buf_c(&b, "U+");
    int64_t zeros = (f->has_prec && f->prec > 4 ? f->prec : 4) - (int64_t)(sizeof raw - at);
    if (zeros > 0)
        buf_fill(&b, '0', (size_t)zeros);
    buf_append(&b, raw + at, sizeof raw - at);
    if (f->sharp && u <= 0x10FFFF && rune_is_printable((rune)u)) {
        buf_c(&b, " '");
        utf8_append(&b, (rune)u);
        buf_byte(&b, '\'');
    }
    pad_spaces(f, buf_view(&b));
    buf_deinit(&b);
}

static void format_rune(struct fmt *f, uint64_t u, bool quoted)
{
    struct buf b = { 0 }, q = { 0 };
    utf8_append(&b, u > 0x10FFFF ? RUNE_ERROR : (rune)u);
    if (!quoted) {
        pad(f, buf_view(&b));
    } else {
        /* 'x' quotes as "x" does, but for the two quotes themselves. */
        struct buf s = { 0 };
        if (f->plus)
            quote_ascii(&s, buf_view(&b));
        else
            go_quote(&s, buf_view(&b));
        buf_byte(&q, '\'');
        if (u == '"')
            buf_byte(&q, '"');
        else if (u == '\'')
            buf_c(&q, "\\'");
        else
            buf_str(&q, str_sub(buf_view(&s), 1, s.n - 2));
        buf_byte(&q, '\'');
        pad(f, buf_view(&q));
        buf_deinit(&s);
    }
    buf_deinit(&b);
    buf_deinit(&q);
}

static void format_int(struct fmt *f, const struct tval *v, rune verb)
{
    bool is_signed = v->kind == TVAL_INT;
    uint64_t u = is_signed ? (uint64_t)v->v.i : v->v.u;
    switch (verb) {
    case 'v':
        if (f->sharp_v && !is_signed) {
            bool sharp = f->sharp;
            f->sharp = true;
            format_integer(f, u, 16, false, 'v', lower_digits);
            f->sharp = sharp;
            break;
        }
        format_integer(f, u, 10, is_signed, verb, lower_digits);
        break;
    case 'd':
        format_integer(f, u, 10, is_signed, verb, lower_digits);
        break;
    case 'b':
        format_integer(f, u, 2, is_signed, verb, lower_digits);
        break;
    case 'o':
    case 'O':
        format_integer(f, u, 8, is_signed, verb, lower_digits);
        break;
    case 'x':
        format_integer(f, u, 16, is_signed, verb, lower_digits);
        break;
    case 'X':
        format_integer(f, u, 16, is_signed, verb, upper_digits);
        break;
    case 'c':
        format_rune(f, u, false);
        break;
    case 'q':
        format_rune(f, u, true);
        break;
    case 'U':
        format_unicode(f, u);
        break;
    default:
        bad_verb(f, v, verb);
    }
}

/* ---- floats ---- */

/* Go's %x of a float: C's %a with an exponent of at least two digits. */
static void write_hex_float(struct buf *out, double v, int64_t prec)
{
    char text[1200];
    if (prec > 1000)
        prec = 1000;
    int n = prec < 0 ? snprintf(text, sizeof text, "%a", v) : snprintf(text, sizeof text, "%.*a", (int)prec, v);
    struct str s = str_of(text, (size_t)n);
    size_t p = str_find_byte(s, 'p');
    int64_t exp = 0;
    if (p == STR_NPOS || !num_parse_i64(str_from(s, p + (s.p[p + 1] == '+' ? 2 : 1)), 10, &exp)) {
        buf_str(out, s);
        return;
    }
    if (text[2] == '2') { /* C rounds 1.9 up to 2, Go goes on to the next power */
        text[2] = '1';
        exp++;
    }
    buf_str(out, str_sub(s, 0, p + 1));
    buf_printf(out, "%c%02lld", exp < 0 ? '-' : '+', (long long)(exp < 0 ? -exp : exp));
}

/* Go's %b of a float: mantissa and binary exponent, both decimal. */
static void write_binary_float(struct buf *out, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    int64_t exp = (int64_t)((bits >> 52) & 0x7FF);
    uint64_t mantissa = bits & ((UINT64_C(1) << 52) - 1);
    if (exp == 0)
        exp = 1;
    else
        mantissa |= UINT64_C(1) << 52;
    exp -= 1023 + 52;
    if (bits >> 63)
        buf_byte(out, '-');
    buf_u64(out, mantissa);
    buf_printf(out, "p%+lld", (long long)exp);
}

/* The # flag: a decimal point always, and the zeros that %g drops. */
static void keep_zeros(const struct fmt *f, struct buf *num, rune verb, int64_t prec)
{
    int64_t digits = 0;
    if (verb == 'g' || verb == 'G' || verb == 'v' || verb == 'x')
        digits = prec < 0 ? 6 : prec;
    struct buf tail = { 0 };
    bool point = false, nonzero = false;
    (void)f;
    for (size_t i = 1; i < num->n; i++) {
        char c = num->p[i];
        bool hex = verb == 'x' || verb == 'X';
        if (c == '.') {
            point = true;
        } else if (c == 'p' || c == 'P' || (!hex && (c == 'e' || c == 'E'))) {
            buf_append(&tail, num->p + i, num->n - i);
            buf_truncate(num, i);
            break;
        } else {
            nonzero |= c != '0';
            digits -= nonzero;
        }
    }
    if (!point) {
        if (num->n == 2 && num->p[1] == '0')
            digits--;
        buf_byte(num, '.');
    }
    if (digits > 0)
        buf_fill(num, '0', (size_t)digits);
    buf_str(num, buf_view(&tail));
    buf_deinit(&tail);
}

/* num holds a sign and digits. */
static void pad_number(struct fmt *f, struct buf *num)
{
    struct str s = buf_view(num);
    if (!f->plus && s.p[0] == '+') {
        pad(f, str_from(s, 1));
        return;
    }
    if (f->zero && !f->minus && f->has_width && f->width > (int64_t)s.n) {
        buf_byte(f->out, s.p[0]);
        fill(f, f->width - (int64_t)s.n);
        buf_str(f->out, str_from(s, 1));
        return;
    }
    pad(f, s);
}

static void format_double(struct fmt *f, double v, rune verb, int64_t prec)
{
    if (f->has_prec)
        prec = f->prec;
    struct buf num = { 0 };
    bool negative = signbit(v) && !isnan(v);
    double abs = negative ? -v : v;
    buf_byte(&num, negative ? '-' : '+');
    if (isinf(v))
        buf_c(&num, "Inf");
    else if (isnan(v))
        buf_c(&num, "NaN");
    else if (verb == 'x' || verb == 'X')
        write_hex_float(&num, abs, prec);
    else if (verb == 'b')
        write_binary_float(&num, abs);
    else
        num_write_f64(&num, abs, (char)(verb == 'F' ? 'f' : verb), prec > WIDTH_MAX ? WIDTH_MAX : (int)prec);
    for (size_t i = 0; verb == 'X' && i < num.n; i++)
        num.p[i] = ascii_upper(num.p[i]);
    if (f->space && num.p[0] == '+' && !f->plus)
        num.p[0] = ' ';
    if (num.p[1] == 'I' || num.p[1] == 'N') {
        bool keep = f->plus || num.p[0] != '+';
        if (num.p[1] == 'N' && !f->space && !f->plus)
            keep = false;
        pad_spaces(f, str_from(buf_view(&num), keep || num.p[1] == 'I' ? 0 : 1));
    } else {
        if (f->sharp && verb != 'b')
            keep_zeros(f, &num, verb, prec);
        pad_number(f, &num);
    }
    buf_deinit(&num);
}

/* False: no verb of floats. */
static bool format_float_verb(struct fmt *f, double d, rune verb)
{
    switch (verb) {
    case 'v':
        format_double(f, d, 'g', -1);
        return true;
    case 'b':
    case 'g':
    case 'G':
    case 'x':
    case 'X':
        format_double(f, d, verb, -1);
        return true;
    case 'f':
    case 'F':
    case 'e':
    case 'E':
        format_double(f, d, verb, 6);
        return true;
    default:
        return false;
    }
}

static void format_complex(struct fmt *f, const struct tval *v, rune verb)
{
    if (!strchr("vbgGxXfFeE", (int)(verb < 0x80 ? verb : 1))) {
        bad_verb(f, v, verb);
        return;
    }
    bool plus = f->plus;
    buf_byte(f->out, '(');
    (void)format_float_verb(f, v->v.c.re, verb);
    f->plus = true;
    (void)format_float_verb(f, v->v.c.im, verb);
    buf_c(f->out, "i)");
    f->plus = plus;
}

/* ---- composite kinds ---- */

static void separate(struct fmt *f)
{
    buf_c(f->out, f->sharp_v ? ", " : " ");
}

static void print_struct(struct fmt *f, const struct tval *v, rune verb)
{
    const struct tval_class *c = v->class;
    if (f->sharp_v)
        buf_str(f->out, str_from(c->name, c->pointer ? 1 : 0));
    buf_byte(f->out, '{');
    for (size_t i = 0; i < c->fields_count; i++) {
        if (i > 0)
            separate(f);
        if (f->plus_v || f->sharp_v) {
            buf_str(f->out, c->fields[i].name);
            buf_byte(f->out, ':');
        }
        struct tval field = { 0 };
        c->fields[i].get(v->v.ref.p, &field);
        print_value(f, &field, verb, false);
    }
    buf_byte(f->out, '}');
}

static void print_elements(struct fmt *f, const struct tval *v, rune verb)
{
    bool map = v->kind == TVAL_MAP;
    if (f->sharp_v) {
        buf_str(f->out, v->class->name);
        if (!v->v.ref.p) {
            buf_c(f->out, "(nil)");
            return;
        }
        buf_byte(f->out, '{');
    } else {
        buf_c(f->out, map ? "map[" : "[");
    }
    for (size_t i = 0; i < v->v.ref.n && !f->out->overflow; i++) {
        struct str key = STR_EMPTY;
        struct tval item = { 0 };
        v->class->at(v, i, &key, &item);
        if (i > 0)
            separate(f);
        if (map) {
            struct tval k = tval_str(key);
            print_value(f, &k, verb, false);
            buf_byte(f->out, ':');
        }
        print_value(f, &item, verb, false);
    }
    buf_byte(f->out, f->sharp_v ? '}' : ']');
}

static bool takes_text(rune verb)
{
    return verb == 'v' || verb == 's' || verb == 'x' || verb == 'X' || verb == 'q';
}

static void format_text_of(struct fmt *f, const struct tval *v, rune verb)
{
    struct buf b = { 0 };
    v->class->string(v, &b);
    format_string(f, v, buf_view(&b), verb);
    buf_deinit(&b);
}

/* Inside a list or a map nil is an empty interface, which no verb objects to. */
static void print_nil(struct fmt *f, const struct tval *v, rune verb, bool top)
{
    if (!top)
        buf_c(f->out, f->sharp_v ? "interface {}(nil)" : "<nil>");
    else if (verb == 'v')
        pad(f, STR("<nil>"));
    else
        bad_verb(f, v, verb);
}

/* A *time.Location that is nil for UTC. */
static void print_place(struct fmt *f, const void *place, rune verb)
{
    struct tval address = { .kind = TVAL_UINT, .v.u = (uintptr_t)place };
    if (verb < 0x80 && strchr("bodxX", (int)verb)) {
        format_int(f, &address, verb);
        return;
    }
    buf_c(f->out, "%!");
    utf8_append(f->out, verb);
    buf_c(f->out, "(*time.Location=");
    if (place)
        buf_printf(f->out, "0x%llx", (unsigned long long)address.v.u);
    else
        pad(f, STR("<nil>"));
    buf_byte(f->out, ')');
}

/* A verb that takes no text shows the fields of Go's struct: nanoseconds, seconds since the year 1, and a pointer to the
 * place, which is nil for UTC. */
static void print_time(struct fmt *f, const struct tval *v, rune verb)
{
    if (f->sharp_v) {
        struct buf b = { 0 };
        tval_time_go_syntax(v, &b);
        buf_str(f->out, buf_view(&b));
        buf_deinit(&b);
        return;
    }
    const struct tval_time *t = &v->v.time;
    static const struct tval_class uint64_class = { .name = STR_INIT("uint64"), .kind = TVAL_UINT };
    const struct wire_time zero = WIRE_TIME_ZERO;
    struct tval wall = { .kind = TVAL_UINT, .class = &uint64_class, .v.u = (uint64_t)t->t.ns };
    struct tval ext = tval_int64(t->t.s - zero.s);
    buf_byte(f->out, '{');
    print_value(f, &wall, verb, false);
    buf_byte(f->out, ' ');
    print_value(f, &ext, verb, false);
    buf_byte(f->out, ' ');
    print_place(f, t->in, verb);
    buf_byte(f->out, '}');
}

static void print_value(struct fmt *f, const struct tval *v, rune verb, bool top)
{
    if (f->depth >= PRINT_DEPTH_MAX || f->out->overflow) {
        f->out->overflow = true;
        return;
    }
    if (v->class && v->class->string && !f->erroring && !f->sharp_v && takes_text(verb)) {
        format_text_of(f, v, verb);
        return;
    }
    f->depth++;
    switch (v->kind) {
    case TVAL_NONE:
    case TVAL_NIL:
        print_nil(f, v, verb, top);
        break;
    case TVAL_BOOL:
        if (verb == 't' || verb == 'v')
            pad(f, v->v.b ? STR("true") : STR("false"));
        else
            bad_verb(f, v, verb);
        break;
    case TVAL_INT:
    case TVAL_UINT:
        format_int(f, v, verb);
        break;
    case TVAL_FLOAT:
        if (!format_float_verb(f, v->v.f, verb))
            bad_verb(f, v, verb);
        break;
    case TVAL_COMPLEX:
        format_complex(f, v, verb);
        break;
    case TVAL_STR:
        format_string(f, v, v->v.s, verb);
        break;
    case TVAL_LIST:
    case TVAL_MAP:
        print_elements(f, v, verb);
        break;
    case TVAL_STRUCT:
        if (v->class->pointer && !top) {
            buf_printf(f->out, "0x%llx", (unsigned long long)(uintptr_t)v->v.ref.p);
            break;
        }
        if (v->class->pointer && !f->plain)
            buf_byte(f->out, '&');
        print_struct(f, v, verb);
        break;
    case TVAL_TIME:
        print_time(f, v, verb);
        break;
    }
    f->depth--;
}

/* ---- the format ---- */

static void clear_flags(struct fmt *f)
{
    *f = (struct fmt){ .out = f->out };
}

struct directive {
    struct str format;
    size_t i;
    const struct tval *args;
    size_t args_count, arg;
    bool reordered, good_index, after_index;
};

/* Digits at d->i; false if there are none or the number is too large (then all of them are skipped). */
static bool parse_number(struct directive *d, int64_t *n)
{
    bool found = false;
    *n = 0;
    while (d->i < d->format.n && ascii_is_digit(d->format.p[d->i])) {
        if (*n > WIDTH_MAX) {
            *n = 0;
            d->i = d->format.n; /* Go gives up on the rest of the format */
            return false;
        }
        *n = *n * 10 + (d->format.p[d->i++] - '0');
        found = true;
    }
    return found;
}

/* "[n]" at d->i selects the next argument. */
static void parse_index(struct directive *d)
{
    d->after_index = false;
    if (d->i >= d->format.n || d->format.p[d->i] != '[')
        return;
    d->reordered = true;
    struct str rest = str_from(d->format, d->i);
    size_t close = rest.n < 3 ? STR_NPOS : str_find_byte(rest, ']');
    if (close == STR_NPOS) {
        d->i++;
        d->good_index = false;
        return;
    }
    size_t end = d->i + close;
    int64_t n;
    d->i++;
    bool ok = parse_number(d, &n) && d->i == end;
    d->i = end + 1;
    if (ok && n >= 1 && (size_t)(n - 1) < d->args_count)
        d->arg = (size_t)(n - 1);
    else
        d->good_index = false;
    d->after_index = ok;
}

/* A "*": the next argument as a number. */
static bool int_argument(struct directive *d, int64_t *n)
{
    *n = 0;
    if (d->arg >= d->args_count)
        return false;
    const struct tval *v = &d->args[d->arg++];
    if (v->kind == TVAL_INT)
        *n = v->v.i;
    else if (v->kind == TVAL_UINT && v->v.u <= INT64_MAX)
        *n = (int64_t)v->v.u;
    else
        return false;
    if (*n > WIDTH_MAX || *n < -WIDTH_MAX) {
        *n = 0;
        return false;
    }
    return true;
}

static bool at_star(struct directive *d)
{
    if (d->i < d->format.n && d->format.p[d->i] == '*') {
        d->i++;
        return true;
    }
    return false;
}

static void parse_flags(struct fmt *f, struct directive *d)
{
    for (; d->i < d->format.n; d->i++) {
        char c = d->format.p[d->i];
        if (c == '#')
            f->sharp = true;
        else if (c == '0')
            f->zero = true;
        else if (c == '+')
            f->plus = true;
        else if (c == '-')
            f->minus = true;
        else if (c == ' ')
            f->space = true;
        else
            return;
    }
}

static void parse_width(struct fmt *f, struct directive *d)
{
    if (at_star(d)) {
        f->has_width = int_argument(d, &f->width);
        if (!f->has_width)
            buf_c(f->out, "%!(BADWIDTH)");
        if (f->width < 0) {
            f->width = -f->width;
            f->minus = true;
            f->zero = false;
        }
        d->after_index = false;
        return;
    }
    f->has_width = parse_number(d, &f->width);
    if (d->after_index && f->has_width)
        d->good_index = false;
}

static void parse_precision(struct fmt *f, struct directive *d)
{
    if (d->i + 1 >= d->format.n || d->format.p[d->i] != '.')
        return;
    d->i++;
    if (d->after_index)
        d->good_index = false;
    parse_index(d);
    if (at_star(d)) {
        f->has_prec = int_argument(d, &f->prec);
        if (f->prec < 0) {
            f->prec = 0;
            f->has_prec = false;
        }
        if (!f->has_prec)
            buf_c(f->out, "%!(BADPREC)");
        d->after_index = false;
        return;
    }
    f->has_prec = parse_number(d, &f->prec);
    if (!f->has_prec) {
        f->prec = 0;
        f->has_prec = true;
    }
}

static void print_argument(struct fmt *f, const struct tval *v, rune verb)
{
    if (verb == 'T') {
        bool nil = v->kind == TVAL_NONE || v->kind == TVAL_NIL;
        pad(f, nil ? STR("<nil>") : cut(f, tval_type_name(v)));
        return;
    }
    if (verb == 'v' || verb == 'w') {
        f->sharp_v = f->sharp;
        f->sharp = false;
        f->plus_v = f->plus;
        f->plus = false;
    }
    if (verb == 'w') {
        bad_verb(f, v, verb);
        return;
    }
    if (verb == 'p') {
        if (v->kind == TVAL_LIST || v->kind == TVAL_MAP || (v->class && v->class->pointer))
            buf_printf(f->out, "0x%llx", (unsigned long long)(uintptr_t)v->v.ref.p);
        else
            bad_verb(f, v, verb);
        return;
    }
    print_value(f, v, verb, true);
}

/* One directive behind its '%'. False at the end of the format. */
static bool format_directive(struct fmt *f, struct directive *d)
{
    clear_flags(f);
    d->good_index = true;
    parse_flags(f, d);
    parse_index(d);
    parse_width(f, d);
    parse_precision(f, d);
    if (!d->after_index)
        parse_index(d);
    if (d->i >= d->format.n) {
        buf_c(f->out, "%!(NOVERB)");
        return false;
    }
    size_t size;
    rune verb = utf8_decode(str_from(d->format, d->i), &size);
    d->i += size;
    if (verb == '%') {
        buf_byte(f->out, '%');
    } else if (!d->good_index || d->arg >= d->args_count) {
        buf_c(f->out, "%!");
        utf8_append(f->out, verb);
        buf_c(f->out, d->good_index ? "(MISSING)" : "(BADINDEX)");
    } else {
        print_argument(f, &d->args[d->arg++], verb);
    }
    return true;
}

static void print_extra(struct fmt *f, const struct directive *d)
{
    clear_flags(f);
    buf_c(f->out, "%!(EXTRA ");
    for (size_t i = d->arg; i < d->args_count; i++) {
        const struct tval *v = &d->args[i];
        if (i > d->arg)
            buf_c(f->out, ", ");
        if (v->kind == TVAL_NONE || v->kind == TVAL_NIL) {
            buf_c(f->out, "<nil>");
            continue;
        }
        buf_str(f->out, tval_type_name(v));
        buf_byte(f->out, '=');
        print_value(f, v, 'v', true);
    }
    buf_byte(f->out, ')');
}

void format_printf(struct buf *out, struct str format, const struct tval *args, size_t n)
{
    struct fmt f = { .out = out };
    struct directive d = { .format = format, .args = args, .args_count = n };
    while (d.i < format.n && !out->overflow) {
        size_t at = str_find_byte(str_from(format, d.i), '%');
        size_t text = at == STR_NPOS ? format.n - d.i : at;
        buf_append(out, format.p + d.i, text);
        d.i += text;
        if (d.i >= format.n)
            break;
        d.i++;
        if (!format_directive(&f, &d))
            break;
    }
    if (!d.reordered && d.arg < n)
        print_extra(&f, &d);
}

void format_print(struct buf *out, const struct tval *args, size_t n)
{
    struct fmt f = { .out = out };
    bool previous = false;
    for (size_t i = 0; i < n; i++) {
        bool string = args[i].kind == TVAL_STR;
        if (i > 0 && !string && !previous)
            buf_byte(out, ' ');
        print_value(&f, &args[i], 'v', true);
        previous = string;
    }
}

void format_println(struct buf *out, const struct tval *args, size_t n)
{
    struct fmt f = { .out = out };
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_byte(out, ' ');
        print_value(&f, &args[i], 'v', true);
    }
    buf_byte(out, '\n');
}

void tval_print(const struct tval *v, struct buf *out)
{
    format_print(out, v, 1);
}

void tval_print_plain(const struct tval *v, struct buf *out)
{
    struct fmt f = { .out = out, .plain = true };
    print_value(&f, v, 'v', true);
}
