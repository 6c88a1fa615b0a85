/* Streams (spec 6; memberlist net.go): one request, at most one response, one connection.
 *
 *   accepted:  READING --push/pull--> STATE --owner's state: write, merge--> closed
 *                      --user: deliver--> closed      --ping: ack--> closed      --anything else--> closed
 *   ours:      DIALLING --opened--> [push/pull: STATE --owner's state: write-->] READING --answer--> closed
 *
 * E1  Every stream has a timer, so every stream ends. A stream is freed when it is closed here, and no effect about its
 *     id follows.
 * E2  A responder sends its node list as it was before it merges the request's.
 * E3  At most GOSSIP_STREAMS_MAX streams are accepted at once; all streams together hold at most
 *     GOSSIP_STREAMS_BYTES_MAX, and the one that would pass it is cut.
 * E4  A user message counts as sent when the other side has closed the connection, which it does after reading it. */
#include "gossip/gossip_int.h"

#include <math.h>

static void timeout(struct gossip *g, struct gtimer *t);

/* ---- life of a stream ------------------------------------------------------------------------------------------------- */

static struct stream *stream_new(struct gossip *g, uint64_t id, enum stream_role role, struct gossip_addr addr)
{
    struct stream *s = MEM_NEW(struct stream);
    s->id = id;
    s->role = role;
    s->addr = addr;
    s->start = g->now;
    s->timer.fire = timeout;
    s->reader.accepted = role == STREAM_ACCEPTED;
    s->phase = role == STREAM_ACCEPTED ? STREAM_READING : STREAM_DIALLING;
    if (role == STREAM_ACCEPTED)
        g->streams_accepted++;
    if (role == STREAM_USER)
        g->user_streams++;
    map64_put(&g->streams, id, s);
    gtimer_in(&g->timers, &s->timer, g->now, g->config.tcp_timeout_ms);
    return s;
}

static struct stream *dial(struct gossip *g, enum stream_role role, struct gossip_addr to)
{
    struct stream *s = stream_new(g, g->next_stream, role, to);
    g->next_stream += 2;
    ASSERT(s->id % 2 == 1);
    struct gossip_effect *e = effect_add(g, GOSSIP_DIAL);
    e->stream = s->id;
    e->addr = to;
    return s;
}

static size_t held(const struct stream *s)
{
    return s->reader.raw.n + s->reader.plain.n;
}

static void stream_free(struct gossip *g, struct stream *s)
{
    timer_disarm(&g->timers, &s->timer.entry);
    ASSERT(g->stream_bytes >= held(s));
    g->stream_bytes -= held(s);
    if (s->role == STREAM_ACCEPTED)
        g->streams_accepted--;
    if (s->role == STREAM_USER)
        g->user_streams--;
    if (s->accepted_push_pull)
        g->push_pulls--;
    map64_remove(&g->streams, s->id);
    if (s->blob)
        blob_release(g, s->blob);
    stream_reader_deinit(&s->reader);
    mem_free(s);
}

void exchange_deinit(struct gossip *g)
{
    struct stream *s;
    for (size_t at = 0; (s = map64_next(&g->streams, &at)) != NULL;) {
        if (s->blob)
            blob_release(g, s->blob);
        stream_reader_deinit(&s->reader);
        mem_free(s);
    }
    map64_deinit(&g->streams);
}

static void end_effect(struct gossip *g, struct stream *s, enum gossip_effect_kind kind)
{
    struct gossip_effect *e = effect_add(g, kind);
    e->stream = s->id;
}

/* The end of a stream, and what it means to whoever wanted it. `why` may point into the stream. */
static void finish(struct gossip *g, struct stream *s, bool ok, struct str why)
{
    char text[GOSSIP_ADDR_TEXT_MAX];
    struct node *n = s->node;
    struct blob *b = s->blob;
    int64_t ms = g->now.ms - s->start.ms;
    switch (s->role) {
    case STREAM_ACCEPTED:
    case STREAM_USER:
        break;
    case STREAM_PUSH_PULL:
        if (s->join) {
            struct gossip_effect *e = effect_add(g, GOSSIP_JOINED);
            e->tag = s->tag;
            e->ok = ok;
            e->addr = s->addr;
            e->bytes = effect_bytes(g, why);
        } else if (!ok) {
            effect_log(g, LOG_DEBUG, "Push/Pull with %.*s failed: %.*s", STR_ARG(gossip_addr_text(s->addr, text)),
                       STR_ARG(why));
        }
        break;
    case STREAM_PING:
        probe_tcp_result(g, s->id, ok);
        break;
    }
    s->blob = NULL;
    stream_free(g, s);
    if (n)
        outbox_sent(g, n, b, ok, ms); /* may open the next one */
    if (b)
        blob_release(g, b);
}

/* In order: what was written still goes out. */
static void close_stream(struct gossip *g, struct stream *s)
{
    end_effect(g, s, GOSSIP_CLOSE);
    finish(g, s, true, STR_EMPTY);
}

static void fail(struct gossip *g, struct stream *s, struct str why)
{
    end_effect(g, s, GOSSIP_ABORT);
    finish(g, s, false, why);
}

static void timeout(struct gossip *g, struct gtimer *t)
{
    fail(g, container_of(t, struct stream, timer), STR("i/o timeout"));
}

static void renew(struct gossip *g, struct stream *s)
{
    gtimer_in(&g->timers, &s->timer, g->now, g->config.tcp_timeout_ms);
}

void exchange_abort(struct gossip *g, uint64_t id)
{
    struct stream *s = map64_get(&g->streams, id);
    if (!s)
        return;
    end_effect(g, s, GOSSIP_ABORT);
    stream_free(g, s);
}

void exchange_forget_node(struct gossip *g, const struct node *n)
{
    struct stream *s;
    for (size_t at = 0; (s = map64_next(&g->streams, &at)) != NULL;)
        if (s->node == n)
            s->node = NULL;
}

static void write_plain(struct gossip *g, struct stream *s, struct str plain)
{
    struct gossip_effect *e = effect_add(g, GOSSIP_WRITE);
    struct buf *out = &g->out->bytes;
    size_t at = out->n;
    stream_seal(&g->seal, &g->scratch, out, plain, s->role != STREAM_ACCEPTED);
    e->stream = s->id;
    e->bytes = (struct str){ (const char *)(uintptr_t)at, out->n - at };
}

/* ---- push/pull ---------------------------------------------------------------------------------------------------------- */

static bool state_has_own_keys(struct str state)
{
    struct str key, data;
    bool bad = false;
    while (gossip_full_state_next(&state, &key, &data, &bad))
        if (gossip_key_is_own(key))
            return true;
    return false;
}

static void need_state(struct gossip *g, struct stream *s)
{
    s->phase = STREAM_STATE;
    renew(g, s);
    struct gossip_effect *e = effect_add(g, GOSSIP_NEED_STATE);
    e->tag = s->id;
    e->own = s->own;
}

static void warn_of_size(struct gossip *g, const struct stream *s, size_t n)
{
    if (n < GOSSIP_STATE_WARN_BYTES) {
        g->state_warned = false;
        return;
    }
    if (n <= GOSSIP_STATE_BYTES_MAX && g->state_warned)
        return;
    g->state_warned = true;
    char text[GOSSIP_ADDR_TEXT_MAX];
    if (n <= GOSSIP_STATE_BYTES_MAX)
        effect_log(g, LOG_WARN, "Full state of %zu bytes nears the %u that Alertmanager takes", n,
                   (unsigned)GOSSIP_STATE_BYTES_MAX);
    else
        effect_log(g, LOG_WARN, "Full state of %zu bytes is over what Alertmanager takes; peer falls behind: %.*s", n,
                   STR_ARG(gossip_addr_text(s->addr, text)));
}

static void write_state(struct gossip *g, struct stream *s, bool join, struct str state)
{
    struct msg_push_pull header = { .join = join,
                                    .nodes = (int64_t)g->nodes_count,
                                    .user_state_bytes = (int64_t)state.n };
    warn_of_size(g, s, state.n);
    buf_reset(&g->body);
    msg_push_pull_encode(&g->body, &header);
    members_encode(g, &g->body);
    buf_str(&g->body, state);
    write_plain(g, s, buf_view(&g->body));
    if (g->body.capacity > GOSSIP_BULK_BYTES * 4)
        buf_deinit(&g->body);
    counter_add(&g->stats->sent_full, 1);
    counter_add(&g->stats->sent_size_full, state.n);
}

static bool merge(struct gossip *g, struct stream *s, const char **why)
{
    const struct stream_reader *r = &s->reader;
    if (!members_compatible(g, r->nodes, why)) {
        counter_add(&g->stats->merges_refused, 1);
        effect_log(g, LOG_WARN, "Push/Pull not merged: %s", *why);
        return false;
    }
    members_merge(g, r->nodes);
    if (r->tail.n > 0)
        spread_full_state(g, s->addr, r->tail);
    return true;
}

void exchange_state(struct gossip *g, uint64_t tag, struct str state)
{
    struct stream *s = map64_get(&g->streams, tag);
    const char *why;
    if (!s || s->phase != STREAM_STATE)
        return; /* it timed out meanwhile */
    renew(g, s);
    if (s->role == STREAM_PUSH_PULL) {
        write_state(g, s, s->join, state);
        s->phase = STREAM_READING;
        return;
    }
    struct buf answer = { 0 };
    full_state_answer(&answer, state, s->reader.tail, g->hash_seed);
    write_state(g, s, s->reader.header.join, buf_view(&answer)); /* E2 */
    buf_deinit(&answer);
    (void)merge(g, s, &why);
    close_stream(g, s);
}

static void push_pull_with(struct gossip *g, struct gossip_addr to, bool join, uint64_t tag)
{
    struct stream *s = dial(g, STREAM_PUSH_PULL, to);
    const struct node *n = node_by_addr(g, to);
    s->join = join;
    s->tag = tag;
    s->own = n != NULL && n->tocsin;
}

void exchange_join(struct gossip *g, struct gossip_addr to, uint64_t tag)
{
    push_pull_with(g, to, true, tag);
}

/* Upstream leaves what was missed to the next random push/pull, minutes away in a small cluster: time enough to notify
 * twice. The bound keeps a flapping network from becoming a storm of full states. */
void exchange_heal(struct gossip *g, const struct node *n)
{
    g->heal_tokens += (double)(g->now.ms - g->heal_at.ms) / GOSSIP_HEALS_EVERY_MS;
    g->heal_at = g->now;
    if (g->heal_tokens > GOSSIP_HEALS_BURST)
        g->heal_tokens = GOSSIP_HEALS_BURST;
    if (g->heal_tokens < 1.0)
        return;
    g->heal_tokens -= 1.0;
    push_pull_with(g, n->addr, false, 0);
}

static bool kind_alive(const struct gossip *g, const struct node *n, const void *tocsin)
{
    return n != g->self && n->state == GOSSIP_ALIVE && n->tocsin == *(const bool *)tocsin;
}

static bool comparing_with(const struct gossip *g, struct gossip_addr to)
{
    const struct stream *s;
    for (size_t at = 0; (s = map64_next(&g->streams, &at)) != NULL;)
        if (s->role == STREAM_PUSH_PULL && gossip_addr_eq(s->addr, to) && g->now.ms - s->start.ms < GOSSIP_COMPARE_MS)
            return true; /* an older one may wait for a host that is gone */
    return false;
}

void exchange_compare(struct gossip *g)
{
    static const bool upstream = false, tocsin = true;
    struct node *picked[GOSSIP_COMPARES_UPSTREAM + GOSSIP_COMPARES_TOCSIN];
    size_t count = members_pick(g, GOSSIP_COMPARES_UPSTREAM, kind_alive, &upstream, picked);
    count += members_pick(g, GOSSIP_COMPARES_TOCSIN, kind_alive, &tocsin, picked + count);
    for (size_t i = 0; i < count; i++)
        if (!comparing_with(g, picked[i]->addr))
            push_pull_with(g, picked[i]->addr, false, 0);
}

static bool other_alive(const struct gossip *g, const struct node *n, const void *arg)
{
    (void)arg;
    return n != g->self && n->state == GOSSIP_ALIVE;
}

static int64_t push_pull_interval(const struct gossip *g)
{
    int64_t mult = 1;
    if (g->nodes_count > PUSH_PULL_SCALE)
        mult = (int64_t)ceil(log2((double)g->nodes_count) - log2((double)PUSH_PULL_SCALE)) + 1;
    return g->config.pushpull_interval_ms * mult;
}

static void push_pull_tick(struct gossip *g, struct gtimer *t)
{
    struct node *n;
    gtimer_in(&g->timers, t, g->now, push_pull_interval(g));
    if (members_pick(g, 1, other_alive, NULL, &n) == 1)
        push_pull_with(g, n->addr, false, 0);
}

void exchange_start(struct gossip *g)
{
    g->push_pull_timer.fire = push_pull_tick;
    g->heal_tokens = GOSSIP_HEALS_BURST;
    g->heal_at = g->now;
    int64_t interval = g->config.pushpull_interval_ms;
    if (interval > 0)
        gtimer_in(&g->timers, &g->push_pull_timer, g->now,
                  interval + (int64_t)rng_below(&g->rng, (uint64_t)interval));
}

/* ---- pings and user messages -------------------------------------------------------------------------------------------- */

uint64_t exchange_ping(struct gossip *g, const struct node *n, uint32_t seq, mono_ms deadline)
{
    struct stream *s = dial(g, STREAM_PING, n->addr);
    s->tag = seq;
    timer_arm(&g->timers, &s->timer.entry, deadline);
    return s->id;
}

bool exchange_user(struct gossip *g, struct node *n, struct blob *b)
{
    if (g->user_streams >= GOSSIP_DIALS_MAX)
        return false;
    struct stream *s = dial(g, STREAM_USER, n->addr);
    s->node = n;
    s->blob = b;
    b->refs++;
    return true;
}

static void write_ping(struct gossip *g, struct stream *s)
{
    struct str ip = str_of((const char *)g->self->addr.ip, g->self->addr.ip_bytes);
    const struct node *n = g->probe.node;
    ASSERT(n != NULL); /* the stream ends with the probe */
    struct msg_ping ping = { .node = node_name(n),
                             .seq = (uint32_t)s->tag,
                             .source_addr = ip,
                             .source_port = g->self->addr.port,
                             .source_node = g->config.name };
    buf_reset(&g->message);
    msg_ping_encode(&g->message, &ping);
    write_plain(g, s, buf_view(&g->message));
}

void exchange_opened(struct gossip *g, uint64_t id)
{
    struct stream *s = map64_get(&g->streams, id);
    if (!s || s->phase != STREAM_DIALLING)
        return;
    s->phase = STREAM_READING;
    switch (s->role) {
    case STREAM_ACCEPTED:
        break;
    case STREAM_PUSH_PULL:
        need_state(g, s);
        break;
    case STREAM_PING:
        write_ping(g, s);
        break;
    case STREAM_USER: {
        struct gossip_effect *e = effect_add(g, GOSSIP_WRITE);
        e->stream = s->id;
        e->bytes = effect_bytes(g, buf_view(&s->blob->bytes));
        renew(g, s);
        break;
    }
    }
}

/* ---- reading ------------------------------------------------------------------------------------------------------------ */

void exchange_accepted(struct gossip *g, uint64_t id, struct gossip_addr from)
{
    ASSERT(id % 2 == 0);
    if (g->streams_accepted >= GOSSIP_STREAMS_MAX || map64_get(&g->streams, id)) {
        counter_add(&g->stats->streams_refused, 1);
        struct gossip_effect *e = effect_add(g, GOSSIP_ABORT);
        e->stream = id;
        return;
    }
    (void)stream_new(g, id, STREAM_ACCEPTED, from);
}

static void answer_ping(struct gossip *g, struct stream *s)
{
    struct msg_ping ping;
    if (!msg_ping_decode(str_from(s->reader.body, 1), &ping) ||
        (ping.node.n != 0 && !str_eq(ping.node, g->config.name)))
        return;
    struct msg_ack ack = { .seq = ping.seq, .payload_nil = true };
    buf_reset(&g->message);
    msg_ack_encode(&g->message, &ack);
    write_plain(g, s, buf_view(&g->message));
}

static void accepted_done(struct gossip *g, struct stream *s)
{
    switch ((uint8_t)s->reader.body.p[0]) {
    case MSG_PUSH_PULL:
        if (g->push_pulls + 1 >= GOSSIP_STREAMS_MAX) {
            counter_add(&g->stats->streams_refused, 1);
            break;
        }
        g->push_pulls++;
        s->accepted_push_pull = true;
        s->own = state_has_own_keys(s->reader.tail);
        need_state(g, s);
        return;
    case MSG_USER:
        if (s->reader.tail.n > 0)
            spread_user(g, s->addr, s->reader.tail);
        break;
    case MSG_PING:
        answer_ping(g, s);
        break;
    default:
        break;
    }
    close_stream(g, s);
}

static void push_pull_done(struct gossip *g, struct stream *s)
{
    const char *why;
    struct str text;
    size_t used;
    uint8_t type = (uint8_t)s->reader.body.p[0];
    if (type == MSG_ERR) {
        char line[300];
        int n = msg_err_decode(str_from(s->reader.body, 1), &text, &used) == MSG_OK
                    ? snprintf(line, sizeof line, "remote error: %.*s", (int)(text.n < 200 ? text.n : 200), text.p)
                    : 0;
        fail(g, s, str_of(line, (size_t)n));
    } else if (type != MSG_PUSH_PULL) {
        fail(g, s, STR("received invalid msgType, expected pushPullMsg"));
    } else if (!merge(g, s, &why)) {
        fail(g, s, str_c(why));
    } else {
        close_stream(g, s);
    }
}

static void ping_done(struct gossip *g, struct stream *s)
{
    struct msg_ack ack;
    if (s->reader.body.p[0] == MSG_ACK && msg_ack_decode(str_from(s->reader.body, 1), &ack) &&
        ack.seq == (uint32_t)s->tag)
        close_stream(g, s);
    else
        fail(g, s, STR("no ack of this ping"));
}

static void answer_err(struct gossip *g, struct stream *s, const char *why)
{
    buf_reset(&g->message);
    msg_err_encode(&g->message, str_c(why));
    write_plain(g, s, buf_view(&g->message));
}

static void read_failed(struct gossip *g, struct stream *s, enum stream_result result)
{
    bool crypt = result == STREAM_OUTER && !s->reader.crypt_done;
    counter_add(result == STREAM_LABEL ? &g->stats->streams_dropped_label
                : crypt                ? &g->stats->streams_dropped_crypt
                                       : &g->stats->streams_dropped_bad,
                1);
    if (s->role != STREAM_ACCEPTED) {
        fail(g, s, str_c(s->reader.why));
        return;
    }
    if (result == STREAM_OUTER)
        answer_err(g, s, s->reader.why);
    close_stream(g, s);
}

static void read_on(struct gossip *g, struct stream *s)
{
    size_t before = held(s);
    enum stream_result result = stream_read(&s->reader, &g->seal);
    g->stream_bytes += held(s);
    g->stream_bytes -= before;
    switch (result) {
    case STREAM_MORE:
        return;
    case STREAM_DONE:
        if (s->role == STREAM_ACCEPTED)
            accepted_done(g, s);
        else if (s->role == STREAM_PUSH_PULL)
            push_pull_done(g, s);
        else
            ping_done(g, s);
        return;
    case STREAM_LABEL:
    case STREAM_OUTER:
    case STREAM_BAD:
        read_failed(g, s, result);
        return;
    }
}

void exchange_bytes(struct gossip *g, uint64_t id, struct str bytes)
{
    struct stream *s = map64_get(&g->streams, id);
    if (!s || s->phase != STREAM_READING || bytes.n == 0)
        return; /* what follows a whole request is ignored */
    if (s->role == STREAM_USER) {
        fail(g, s, STR("the other side could not read the message"));
        return;
    }
    if (g->stream_bytes + bytes.n > GOSSIP_STREAMS_BYTES_MAX) {
        counter_add(&g->stats->streams_refused, 1);
        fail(g, s, STR("too many bytes in all streams"));
        return;
    }
    buf_str(&s->reader.raw, bytes);
    g->stream_bytes += bytes.n;
    read_on(g, s);
}

void exchange_eof(struct gossip *g, uint64_t id)
{
    struct stream *s = map64_get(&g->streams, id);
    if (!s)
        return;
    if (s->phase == STREAM_STATE && s->role == STREAM_ACCEPTED)
        return; /* a half-closed connection still gets its answer */
    if (s->phase == STREAM_READING && s->role == STREAM_USER) {
        close_stream(g, s); /* E4 */
        return;
    }
    if (s->role == STREAM_ACCEPTED) {
        if (s->reader.raw.n > 0) {
            counter_add(&g->stats->streams_dropped_bad, 1);
            if (s->reader.label_done && !s->reader.outer_done)
                answer_err(g, s, "unexpected EOF");
        }
        close_stream(g, s);
        return;
    }
    fail(g, s, STR("EOF"));
}

void exchange_closed(struct gossip *g, uint64_t id, struct str why)
{
    struct stream *s = map64_get(&g->streams, id);
    if (!s)
        return;
    bool sent = s->role == STREAM_USER && s->phase == STREAM_READING && why.n == 0; /* E4 */
    finish(g, s, sent, why.n != 0 ? why : STR("EOF"));
}

void exchange_refused(struct gossip *g, uint64_t id, struct str why)
{
    const struct stream *s = map64_get(&g->streams, id);
    if (!s)
        return;
    struct gossip_addr addr = s->addr;
    exchange_closed(g, id, why);
    members_refused(g, addr);
}
