/* A batch for everybody and a short list of batches for one member each. */
#include "app/claim_outbox.h"

#include "base/mem.h"

struct claim_target {
    struct buf name;
    struct claim_batch batch;
};

static void send_batch(struct claim_outbox *o, struct str to, struct claim_batch *b)
{
    if (b->bytes.n)
        o->send(o->arg, to, buf_view(&b->bytes));
    claim_batch_reset(b);
}

static struct claim_target *target(struct claim_outbox *o, struct str name)
{
    for (size_t i = 0; i < o->count; i++)
        if (str_eq(buf_view(&o->targets[i].name), name))
            return &o->targets[i];
    if (o->count == o->capacity) {
        o->capacity = mem_grow(o->capacity, o->count + 1);
        o->targets = mem_realloc_array(o->targets, o->capacity, sizeof *o->targets);
    }
    struct claim_target *t = &o->targets[o->count++];
    *t = (struct claim_target){ 0 };
    buf_str(&t->name, name);
    return t;
}

void claim_outbox_add(struct claim_outbox *o, struct str to, const struct claim_message *m)
{
    struct claim_batch *b = to.n ? &target(o, to)->batch : &o->all;
    if (claim_batch_add(b, m))
        return;
    send_batch(o, to, b);
    bool ok = claim_batch_add(b, m);
    ASSERT(ok);
}

static void drop_targets(struct claim_outbox *o)
{
    for (size_t i = 0; i < o->count; i++) {
        buf_deinit(&o->targets[i].name);
        claim_batch_deinit(&o->targets[i].batch);
    }
    o->count = 0;
}

void claim_outbox_flush(struct claim_outbox *o)
{
    send_batch(o, STR_EMPTY, &o->all);
    for (size_t i = 0; i < o->count; i++)
        send_batch(o, buf_view(&o->targets[i].name), &o->targets[i].batch);
    drop_targets(o);
}

bool claim_outbox_is_empty(const struct claim_outbox *o)
{
    return o->all.bytes.n == 0 && o->count == 0;
}

void claim_outbox_deinit(struct claim_outbox *o)
{
    drop_targets(o);
    mem_free(o->targets);
    claim_batch_deinit(&o->all);
}
