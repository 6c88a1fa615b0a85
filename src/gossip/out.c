/* The list of effects. Byte ranges are kept as offsets while a step appends (buf may move) and turned into pointers at
 * its end by out_fix(). What is appended stays valid over several steps, until the caller resets the list. */
#include "gossip/gossip_int.h"

/* An out list that once carried a full state does not keep that much memory. */
#define OUT_KEEP_BYTES (1u << 20)

void gossip_out_reset(struct gossip_out *out)
{
    out->count = 0;
    if (out->bytes.capacity > OUT_KEEP_BYTES)
        buf_deinit(&out->bytes);
    else
        buf_reset(&out->bytes);
}

void gossip_out_deinit(struct gossip_out *out)
{
    mem_free(out->effects);
    buf_deinit(&out->bytes);
    *out = (struct gossip_out){ 0 };
}

struct gossip_effect *effect_add(struct gossip *g, enum gossip_effect_kind kind)
{
    struct gossip_out *out = g->out;
    ASSERT(out != NULL);
    if (out->count == out->capacity) {
        out->capacity = mem_grow(out->capacity, out->count + 1);
        out->effects = mem_realloc_array(out->effects, out->capacity, sizeof *out->effects);
    }
    struct gossip_effect *e = &out->effects[out->count++];
    *e = (struct gossip_effect){ .kind = kind };
    return e;
}

/* A slice that lives in out->bytes: its pointer is an offset until out_fix(). */
struct str effect_bytes(struct gossip *g, struct str s)
{
    struct buf *b = &g->out->bytes;
    if (s.n == 0)
        return (struct str){ NULL, 0 };
    size_t at = b->n;
    buf_str(b, s);
    return (struct str){ (const char *)(uintptr_t)at, s.n };
}

static void fix(struct str *s, const struct buf *b)
{
    if (s->n == 0)
        s->p = "";
    else
        s->p = b->p + (uintptr_t)s->p;
}
static void unfix(struct str *s, const struct buf *b)
{
    if (s->n != 0)
        s->p = (const char *)(uintptr_t)(s->p - b->p);
}

void out_begin(struct gossip *g, struct gossip_out *out)
{
    g->out = out;
    for (size_t i = 0; i < out->count; i++) {
        unfix(&out->effects[i].key, &out->bytes);
        unfix(&out->effects[i].name, &out->bytes);
        unfix(&out->effects[i].bytes, &out->bytes);
    }
}

void out_end(struct gossip *g)
{
    struct gossip_out *out = g->out;
    for (size_t i = 0; i < out->count; i++) {
        fix(&out->effects[i].key, &out->bytes);
        fix(&out->effects[i].name, &out->bytes);
        fix(&out->effects[i].bytes, &out->bytes);
    }
    g->out = NULL;
}

void effect_log(struct gossip *g, enum log_level level, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    size_t len = (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    struct gossip_effect *e = effect_add(g, GOSSIP_LOG);
    e->level = level;
    e->bytes = effect_bytes(g, str_of(text, len));
}
