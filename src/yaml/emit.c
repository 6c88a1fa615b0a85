/* Writing YAML: go-yaml's choice of styles, libyaml's emitter for the layout. go-yaml's emitter is a port of libyaml's, so
 * that the layout (folding, indentation, which plain texts need quotes) agrees by construction; what go-yaml decides
 * before the emitter is here: which strings may be plain, literal blocks, base64 of what is no UTF-8.
 *
 * libyaml only fails on a wrong order of events or without memory; both are asserts. */
#include "yaml/emit.h"

#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <yaml.h>

struct yaml_emitter {
    yaml_emitter_t lib;
    struct buf *out;
    unsigned depth;
};

static int write_out(void *arg, unsigned char *p, size_t n)
{
    struct yaml_emitter *e = arg;
    buf_append(e->out, p, n);
    return 1;
}

static void emit(struct yaml_emitter *e, yaml_event_t *ev, int made)
{
    ASSERT(made);
    int ok = yaml_emitter_emit(&e->lib, ev);
    ASSERT(ok);
}

struct yaml_emitter *yaml_emitter_new(struct buf *out)
{
    struct yaml_emitter *e = MEM_NEW(struct yaml_emitter);
    yaml_event_t ev;
    e->out = out;
    int ok = yaml_emitter_initialize(&e->lib);
    ASSERT(ok);
    yaml_emitter_set_output(&e->lib, write_out, e);
    yaml_emitter_set_unicode(&e->lib, 1);
    emit(e, &ev, yaml_stream_start_event_initialize(&ev, YAML_UTF8_ENCODING));
    emit(e, &ev, yaml_document_start_event_initialize(&ev, NULL, NULL, NULL, 1));
    return e;
}

void yaml_emitter_free(struct yaml_emitter *e)
{
    if (!e)
        return;
    yaml_emitter_delete(&e->lib);
    mem_free(e);
}

void yaml_emit_finish(struct yaml_emitter *e)
{
    yaml_event_t ev;
    ASSERT(e->depth == 0);
    emit(e, &ev, yaml_document_end_event_initialize(&ev, 1));
    e->lib.open_ended = 0; /* no "..." after a text that ends in blank lines */
    emit(e, &ev, yaml_stream_end_event_initialize(&ev));
}

void yaml_emit_map(struct yaml_emitter *e)
{
    yaml_event_t ev;
    e->depth++;
    emit(e, &ev, yaml_mapping_start_event_initialize(&ev, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE));
}

void yaml_emit_map_end(struct yaml_emitter *e)
{
    yaml_event_t ev;
    ASSERT(e->depth > 0);
    e->depth--;
    emit(e, &ev, yaml_mapping_end_event_initialize(&ev));
}

void yaml_emit_list(struct yaml_emitter *e, bool flow)
{
    yaml_event_t ev;
    e->depth++;
    emit(e, &ev,
         yaml_sequence_start_event_initialize(&ev, NULL, NULL, 1,
                                              flow ? YAML_FLOW_SEQUENCE_STYLE : YAML_BLOCK_SEQUENCE_STYLE));
}

void yaml_emit_list_end(struct yaml_emitter *e)
{
    yaml_event_t ev;
    ASSERT(e->depth > 0);
    e->depth--;
    emit(e, &ev, yaml_sequence_end_event_initialize(&ev));
}

static void emit_scalar(struct yaml_emitter *e, struct str s, const char *tag, yaml_scalar_style_t style)
{
    yaml_event_t ev;
    int implicit = tag == NULL;
    const char *text = s.n ? s.p : "";
    emit(e, &ev,
         yaml_scalar_event_initialize(&ev, NULL, (const yaml_char_t *)tag, (const yaml_char_t *)text,
                                      int_from_size(s.n), implicit, implicit, style));
}

/* ^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$ : other readers take it for a number. */
static bool is_base60(struct str s)
{
    size_t i = 0;
    if (i < s.n && (s.p[i] == '+' || s.p[i] == '-'))
        i++;
    if (i >= s.n || !ascii_is_digit(s.p[i]))
        return false;
    while (i < s.n && (ascii_is_digit(s.p[i]) || s.p[i] == '_'))
        i++;
    size_t groups = 0;
    while (i < s.n && s.p[i] == ':') {
        size_t digits = 0;
        for (i++; i < s.n && ascii_is_digit(s.p[i]); digits++)
            i++;
        if (digits == 0 || digits > 2 || (digits == 2 && s.p[i - 2] > '5'))
            return false;
        groups++;
    }
    if (groups == 0)
        return false;
    if (i < s.n && s.p[i] == '.')
        for (i++; i < s.n && (ascii_is_digit(s.p[i]) || s.p[i] == '_');)
            i++;
    return i == s.n;
}

static void encode_base64(struct buf *out, struct str s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const size_t line = 70;
    size_t total = (s.n + 2) / 3 * 4, written = 0;
    for (size_t i = 0; i < s.n; i += 3) {
        uint32_t bits = (uint32_t)(unsigned char)s.p[i] << 16;
        bits |= i + 1 < s.n ? (uint32_t)(unsigned char)s.p[i + 1] << 8 : 0;
        bits |= i + 2 < s.n ? (uint32_t)(unsigned char)s.p[i + 2] : 0;
        for (unsigned d = 0; d < 4; d++) {
            buf_byte(out, i + d > s.n ? '=' : digits[bits >> (18 - 6 * d) & 63]);
            if (total >= line && ++written % line == 0)
                buf_byte(out, '\n');
        }
    }
    if (total >= line && written % line != 0)
        buf_byte(out, '\n');
}

static void emit_binary(struct yaml_emitter *e, struct str s)
{
    struct buf b = { 0 };
    encode_base64(&b, s);
    struct str text = buf_view(&b);
    bool lines = str_find_byte(text, '\n') != STR_NPOS;
    emit_scalar(e, text, "tag:yaml.org,2002:binary", lines ? YAML_LITERAL_SCALAR_STYLE : YAML_PLAIN_SCALAR_STYLE);
    buf_deinit(&b);
}

void yaml_emit_str(struct yaml_emitter *e, struct str s)
{
    if (!utf8_valid(s)) {
        emit_binary(e, s);
        return;
    }
    struct yaml_node as = { 0 };
    yaml_resolve(s, &as);
    yaml_scalar_style_t style = YAML_DOUBLE_QUOTED_SCALAR_STYLE;
    if (str_find_byte(s, '\n') != STR_NPOS)
        style = YAML_LITERAL_SCALAR_STYLE;
    else if (as.kind == YAML_STRING && !is_base60(s))
        style = YAML_PLAIN_SCALAR_STYLE;
    emit_scalar(e, s, NULL, style);
}

static void emit_plain(struct yaml_emitter *e, struct str s)
{
    emit_scalar(e, s, NULL, YAML_PLAIN_SCALAR_STYLE);
}

void yaml_emit_i64(struct yaml_emitter *e, int64_t v)
{
    struct buf b = { 0 };
    buf_i64(&b, v);
    emit_plain(e, buf_view(&b));
    buf_deinit(&b);
}

void yaml_emit_u64(struct yaml_emitter *e, uint64_t v)
{
    struct buf b = { 0 };
    buf_u64(&b, v);
    emit_plain(e, buf_view(&b));
    buf_deinit(&b);
}

void yaml_emit_f64(struct yaml_emitter *e, double v)
{
    struct buf b = { 0 };
    if (isnan(v))
        buf_c(&b, ".nan");
    else if (isinf(v))
        buf_c(&b, v > 0 ? ".inf" : "-.inf");
    else
        num_write_f64(&b, v, 'g', -1);
    emit_plain(e, buf_view(&b));
    buf_deinit(&b);
}

void yaml_emit_bool(struct yaml_emitter *e, bool v)
{
    emit_plain(e, v ? STR("true") : STR("false"));
}

void yaml_emit_null(struct yaml_emitter *e)
{
    emit_plain(e, STR("null"));
}

/* ---- Trees ---- */

/* go-yaml asks Unicode; keys outside ASCII are words far more often than anything else. */
static bool is_letter(rune r)
{
    return r >= 0x80 || ascii_is_alpha((char)r);
}

static bool is_digit(rune r)
{
    return r >= '0' && r <= '9';
}

/* The number that starts at s, continuing `n`; returns how many digits. Stops growing where Go's int64 would wrap. */
static size_t read_digits(struct str s, int64_t *n)
{
    size_t i = 0;
    for (; i < s.n && ascii_is_digit(s.p[i]); i++)
        *n = *n > (INT64_MAX - 9) / 10 ? INT64_MAX : *n * 10 + (s.p[i] - '0');
    return i;
}

/* Do the digits before `at` hold anything but zeros? Then a zero here is no leading one. */
static bool inside_number(struct str s, size_t at)
{
    while (at > 0 && ascii_is_digit(s.p[at - 1]))
        if (s.p[--at] != '0')
            return true;
    return false;
}

int yaml_key_cmp(struct str a, struct str b)
{
    size_t at = 0;
    while (at < a.n && at < b.n) {
        size_t an, bn;
        rune ar = utf8_decode(str_from(a, at), &an), br = utf8_decode(str_from(b, at), &bn);
        if (ar == br && an == bn) {
            at += an;
            continue;
        }
        bool al = is_letter(ar), bl = is_letter(br);
        if (al && bl)
            return ar < br ? -1 : 1;
        if (al || bl)
            return bl ? -1 : 1;
        int64_t av = 0, bv = 0;
        if ((ar == '0' || br == '0') && inside_number(a, at))
            av = bv = 1;
        size_t ad = is_digit(ar) ? read_digits(str_from(a, at), &av) : 0;
        size_t bd = is_digit(br) ? read_digits(str_from(b, at), &bv) : 0;
        if (av != bv)
            return av < bv ? -1 : 1;
        if (ad != bd)
            return ad < bd ? -1 : 1;
        return ar < br ? -1 : 1;
    }
    return a.n == b.n ? 0 : at >= a.n ? -1 : 1;
}

static bool is_number(const struct yaml_node *n)
{
    return n->kind == YAML_INT || n->kind == YAML_FLOAT || n->kind == YAML_BOOL;
}

static double number_of(const struct yaml_node *n)
{
    return n->kind == YAML_BOOL ? (n->b ? 1 : 0) : n->f;
}

static int pair_cmp(const void *pa, const void *pb)
{
    const struct yaml_node *a = ((const struct yaml_pair *)pa)->key, *b = ((const struct yaml_pair *)pb)->key;
    if (is_number(a) && is_number(b)) {
        double x = number_of(a), y = number_of(b);
        return x < y ? -1 : x > y ? 1 : (int)a->kind - (int)b->kind;
    }
    if (is_number(a) != is_number(b))
        return is_number(a) ? -1 : 1;
    if ((a->kind == YAML_NULL) != (b->kind == YAML_NULL))
        return a->kind == YAML_NULL ? -1 : 1;
    return yaml_key_cmp(a->text, b->text);
}

static void emit_tree_map(struct yaml_emitter *e, const struct yaml_node *node)
{
    struct yaml_pair *sorted = mem_alloc_array(node->n, sizeof *sorted);
    if (node->n)
        memcpy(sorted, node->pairs, node->n * sizeof *sorted);
    if (node->n > 1)
        qsort(sorted, node->n, sizeof *sorted, pair_cmp);
    yaml_emit_map(e);
    for (size_t i = 0; i < node->n; i++) {
        yaml_emit_tree(e, sorted[i].key);
        yaml_emit_tree(e, sorted[i].value);
    }
    yaml_emit_map_end(e);
    mem_free(sorted);
}

void yaml_emit_tree(struct yaml_emitter *e, const struct yaml_node *node)
{
    switch (node->kind) {
    case YAML_NULL:
        yaml_emit_null(e);
        return;
    case YAML_BOOL:
        yaml_emit_bool(e, node->b);
        return;
    case YAML_INT:
        if (node->is_u64)
            yaml_emit_u64(e, node->u);
        else
            yaml_emit_i64(e, node->i);
        return;
    case YAML_FLOAT:
        yaml_emit_f64(e, node->f);
        return;
    case YAML_TIMESTAMP:
    case YAML_STRING:
        yaml_emit_str(e, node->text);
        return;
    case YAML_SEQUENCE:
        yaml_emit_list(e, false);
        for (size_t i = 0; i < node->n; i++)
            yaml_emit_tree(e, node->items[i]);
        yaml_emit_list_end(e);
        return;
    case YAML_MAPPING:
        emit_tree_map(e, node);
        return;
    }
}
