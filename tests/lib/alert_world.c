/* See alert_world.h. The world's loop is what app does with the same cores: step, perform effects, sleep until the
 * deadline or the next answer. */
#include "lib/alert_world.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static NORETURN void die(const char *what, const struct err *err)
{
    (void)fprintf(stderr, "alert_world: %s: %.*s\n", what, STR_ARG(err_text(err)));
    abort();
}

void alert_world_init_stores(struct alert_world *w, uint64_t seed)
{
    *w = (struct alert_world){ .now = { ALERT_WORLD_START }, .retention_ms = 120 * 3600 * 1000LL };
    w->resolve_timeout_ms = 5 * 60 * 1000;
    rng_seed(&w->rng, seed);
    arena_init(&w->arena, ARENA_NO_LIMIT);
    struct alert_store_options ao = { 0 };
    struct silence_options so = { .retention_ms = w->retention_ms };
    w->alerts = alert_store_new(&ao);
    w->silences = silence_store_new(&so);
    w->log = nflog_new(w->retention_ms);
    w->options = (struct dispatch_options){ .peer_timeout_ms = 15000 };
    rng_seed(&w->options.rng, seed + 1);
    notify_out_init(&w->out);
}

void alert_world_init_dispatch(struct alert_world *w)
{
    w->d = dispatch_new(&w->options, w->now, w->alerts, w->silences, w->log);
}

void alert_world_init(struct alert_world *w, uint64_t seed)
{
    alert_world_init_stores(w, seed);
    alert_world_init_dispatch(w);
    alert_world_peers(w, NULL, true);
}

void alert_world_stop_dispatch(struct alert_world *w)
{
    dispatch_free(w->d);
    w->d = NULL;
    w->pending_count = 0;
}

void alert_world_deinit(struct alert_world *w)
{
    notify_out_reset(&w->out);
    dispatch_free(w->d);
    route_tree_release(w->routes);
    silence_store_free(w->silences);
    nflog_free(w->log);
    alert_store_free(w->alerts);
    notify_out_deinit(&w->out);
    arena_deinit(&w->arena);
    mem_free(w->sent);
    mem_free(w->pending);
    buf_deinit(&w->record_bytes);
    buf_deinit(&w->last_error);
}

/* ---- Configuration ---- */

struct made { /* what a dispatch_config is made of, until the last reference goes */
    struct notify_receivers receivers;
    struct config *config;
    struct arena arena;
};

static void made_free(void *context)
{
    struct made *m = context;
    config_release(m->config);
    arena_deinit(&m->arena);
    mem_free(m);
}

static struct notify_receiver make_receiver(struct arena *a, const struct config_receiver *r)
{
    size_t n = 0;
    for (size_t k = 0; k < RECEIVER_KINDS; k++)
        n += r->kinds[k].n;
    struct notify_integration *v = arena_alloc_array(a, n, sizeof *v);
    n = 0;
    for (size_t k = 0; k < RECEIVER_KINDS; k++)
        for (size_t i = 0; i < r->kinds[k].n; i++) {
            const struct receiver_common *c = config_receiver_integration(r, (enum receiver_kind)k, i);
            v[n++] = (struct notify_integration){ .config = c, .name = receiver_config_rows[k].name,
                                                  .idx = u32_from_size(i), .send_resolved = c->send_resolved };
        }
    return (struct notify_receiver){ r->name, v, n };
}

static size_t add_windows(struct notify_window *v, const struct named_interval_config *named, size_t n)
{
    for (size_t i = 0; i < n; i++)
        v[i] = (struct notify_window){ named[i].name, named[i].compiled, named[i].intervals_count };
    return n;
}

void alert_world_configure(struct alert_world *w, const char *yaml)
{
    struct err err = { 0 };
    struct made *m = MEM_NEW(struct made);
    arena_init(&m->arena, ARENA_NO_LIMIT);
    struct config_options options = { .path = STR("alertmanager.yml") };
    if (!config_load(str_c(yaml), &options, &m->config, NULL, &err))
        die("configuration", &err);
    const struct config *c = m->config;
    struct notify_receiver *receivers = arena_alloc_array(&m->arena, c->receivers_count, sizeof *receivers);
    for (size_t i = 0; i < c->receivers_count; i++)
        receivers[i] = make_receiver(&m->arena, &c->receivers[i]);
    struct notify_window *windows = arena_alloc_array(
        &m->arena, c->time_intervals_count + c->mute_time_intervals_count, sizeof *windows);
    size_t windows_count = add_windows(windows, c->time_intervals, c->time_intervals_count);
    windows_count += add_windows(windows + windows_count, c->mute_time_intervals, c->mute_time_intervals_count);
    struct inhibit_rule *rules = arena_alloc_array(&m->arena, c->inhibit_rules_count, sizeof *rules);
    for (size_t i = 0; i < c->inhibit_rules_count; i++)
        rules[i] = inhibit_rule_of(&c->inhibit_rules[i]);
    atomic_init(&m->receivers.refs, 1);
    m->receivers.v = receivers;
    m->receivers.n = c->receivers_count;
    m->receivers.external_url = STR("http://am");
    m->receivers.context = m;
    m->receivers.free = made_free;
    struct route_env env = { receivers, c->receivers_count, windows, windows_count };
    struct route_tree *tree = route_tree_new(c->route, &env, &err);
    if (!tree)
        die("routes", &err);
    struct dispatch_config dc = { tree, &m->receivers, rules, c->inhibit_rules_count, w->resolve_timeout_ms };
    alert_world_step(w, &(struct dispatch_event){ .kind = DISPATCH_CONFIG, .config = &dc });
    route_tree_release(w->routes);
    w->routes = tree;
    notify_receivers_release(&m->receivers);
}

void alert_world_peers(struct alert_world *w, const struct claim_members *members, bool settled)
{
    struct claim_members alone = { 0 };
    alert_world_step(w, &(struct dispatch_event){ .kind = DISPATCH_PEERS, .members = members ? members : &alone,
                                                  .settled = settled });
}

/* ---- Alerts and silences ---- */

struct wire_time alert_world_at(const struct alert_world *w, int64_t ms)
{
    return wire_time_add_ms((struct wire_time){ ALERT_WORLD_EPOCH, 0 }, w->now.ms - ALERT_WORLD_START + ms);
}

struct wire_time alert_world_wall(const struct alert_world *w)
{
    return alert_world_at(w, 0);
}

struct labels alert_world_labels(struct alert_world *w, const char *text)
{
    struct str rest = str_c(text), piece;
    struct label v[32];
    size_t n = 0;
    while (rest.n && str_split(&rest, ',', &piece)) {
        size_t eq = str_find_byte(piece, '=');
        ASSERT(eq != STR_NPOS && n < ARRAY_LEN(v));
        v[n++] = (struct label){ str_sub(piece, 0, eq), str_from(piece, eq + 1) };
    }
    return labels_copy(&w->arena, labels_normalize(v, n));
}

enum alert_change alert_world_post_at(struct alert_world *w, const char *labels, int64_t starts_ms, int64_t ends_ms)
{
    struct alert_spec spec = {
        .labels = alert_world_labels(w, labels),
        .generator_url = STR_EMPTY,
        .starts_at = alert_world_at(w, starts_ms),
        .ends_at = alert_world_at(w, ends_ms),
        .updated_at = alert_world_wall(w),
    };
    struct dispatch_alert a = { .spec = &spec };
    alert_world_step(w, &(struct dispatch_event){ .kind = DISPATCH_ALERTS, .alerts = &a, .alerts_count = 1 });
    return a.change;
}

enum alert_change alert_world_post(struct alert_world *w, const char *labels, int64_t ends_ms)
{
    return alert_world_post_at(w, labels, ends_ms < 0 ? ends_ms : 0, ends_ms);
}

struct alert_slot *alert_world_slot(struct alert_world *w, const char *labels)
{
    return alert_store_get(w->alerts, labels_fingerprint(alert_world_labels(w, labels)));
}

struct str alert_world_silence(struct alert_world *w, const char *matchers, int64_t starts_ms, int64_t ends_ms)
{
    struct labels ls = alert_world_labels(w, matchers);
    struct matcher v[32] = { 0 };
    for (size_t i = 0; i < ls.n; i++)
        v[i] = (struct matcher){ .op = MATCH_EQ, .name = ls.v[i].name, .value = ls.v[i].value };
    struct matchers set = { v, ls.n };
    struct silence_spec spec = { .id = STR_EMPTY, .sets = &set, .sets_count = 1,
                                 .starts_at = alert_world_at(w, starts_ms), .ends_at = alert_world_at(w, ends_ms),
                                 .created_by = STR("me"), .comment = STR("c") };
    struct silence_changes changes;
    char id[SILENCE_ID_TEXT];
    struct err err = { 0 };
    if (!silence_store_set(w->silences, alert_world_wall(w), &spec, &w->rng, id, &changes, &err))
        die("silence", &err);
    silence_changes_deinit(&changes);
    return arena_str(&w->arena, str_of(id, sizeof id));
}

/* ---- Effects ---- */

static struct str describe(struct arena *a, const struct notification *n, bool *firing)
{
    struct buf b = { 0 };
    for (size_t i = 0; i < n->alerts_count; i++) {
        struct str name = alert_label_value(n->alerts[i].alert, STR("n"));
        if (i)
            buf_byte(&b, ' ');
        buf_str(&b, name.n ? name : alert_label_value(n->alerts[i].alert, STR("alertname")));
        if (n->alerts[i].resolved)
            buf_c(&b, "(resolved)");
        else
            *firing = true;
    }
    struct str s = arena_str(a, buf_view(&b));
    buf_deinit(&b);
    return s;
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static const uint64_t *hashes(struct arena *a, const struct notification *n, bool resolved, size_t *count)
{
    uint64_t *v = arena_alloc_array(a, n->alerts_count, sizeof *v);
    *count = 0;
    for (size_t i = 0; i < n->alerts_count; i++)
        if (n->alerts[i].resolved == resolved)
            v[(*count)++] = n->alerts[i].alert->nflog_hash;
    if (*count > 1)
        qsort(v, *count, sizeof *v, compare_u64);
    return v;
}

static void add_pending(struct alert_world *w, mono_ms at, size_t sent)
{
    if (w->pending_count == w->pending_capacity) {
        w->pending_capacity = mem_grow(w->pending_capacity, w->pending_count + 1);
        w->pending = mem_realloc_array(w->pending, w->pending_capacity, sizeof *w->pending);
    }
    w->pending[w->pending_count++] = (struct alert_world_pending){ at, sent };
}

static void perform_attempt(struct alert_world *w, const struct notify_attempt *at)
{
    if (w->sent_count == w->sent_capacity) {
        w->sent_capacity = mem_grow(w->sent_capacity, w->sent_count + 1);
        w->sent = mem_realloc_array(w->sent, w->sent_capacity, sizeof *w->sent);
    }
    struct alert_world_sent *s = &w->sent[w->sent_count];
    *s = (struct alert_world_sent){
        .at_ms = w->now.ms - ALERT_WORLD_START,
        .id = at->id,
        .receiver = arena_str(&w->arena, at->receiver->name),
        .integration = arena_printf(&w->arena, "%s[%u]", at->integration->name, (unsigned)at->integration->idx),
        .group_key = arena_str(&w->arena, at->n->group_key),
        .reason = at->n->reason,
        .alerts_count = at->n->alerts_count,
        .group_labels = labels_copy(&w->arena, at->n->group_labels),
        .verdict = SEND_DONE,
    };
    s->alerts = describe(&w->arena, at->n, &s->firing);
    s->firing_hashes = hashes(&w->arena, at->n, false, &s->firing_count);
    s->resolved_hashes = hashes(&w->arena, at->n, true, &s->resolved_count);
    int64_t delay_ms = 2;
    if (w->answer)
        s->verdict = w->answer(w->answer_arg, s, &delay_ms);
    mono_ms when = mono_add(w->now, delay_ms);
    if (!mono_before(when, at->deadline)) { /* the sender minds the deadline */
        when = at->deadline;
        s->verdict = SEND_RETRY;
        s->cancelled = true;
    }
    add_pending(w, when, w->sent_count++);
    notification_release(at->n);
    notify_receivers_release(at->receivers);
}

static void perform_claim(struct alert_world *w, const struct claim_message *claim, struct str to)
{
    struct claim_batch b = { 0 };
    bool ok = claim_batch_add(&b, claim);
    ASSERT(ok);
    w->on_claim(w->peer_arg, to, buf_view(&b.bytes));
    claim_batch_deinit(&b);
}

static void perform(struct alert_world *w)
{
    for (size_t i = 0; i < w->out.n; i++) {
        const struct notify_effect *e = &w->out.v[i];
        switch (e->kind) {
        case NOTIFY_ATTEMPT:
            perform_attempt(w, &e->attempt);
            break;
        case NOTIFY_CANCEL:
            break;
        case NOTIFY_RECORD:
            w->records++;
            buf_str(&w->record_bytes, e->bytes);
            if (w->on_record)
                w->on_record(w->peer_arg, e->bytes);
            break;
        case NOTIFY_RECORD_AGAIN:
            if (w->on_record)
                w->on_record(w->peer_arg, e->bytes);
            break;
        case NOTIFY_CLAIM:
            w->claims++;
            if (w->on_claim)
                perform_claim(w, &e->claim, e->to);
            break;
        case NOTIFY_NOTICE:
            w->notices[e->notice.kind]++;
            if (e->notice.kind == NOTIFY_NOTICE_FLUSH_FAILED) {
                buf_reset(&w->last_error);
                buf_str(&w->last_error, e->notice.err);
            }
            break;
        }
    }
    notify_out_reset(&w->out);
}

void alert_world_step(struct alert_world *w, const struct dispatch_event *ev)
{
    w->steps++;
    dispatch_step(w->d, w->now, alert_world_wall(w), ev, &w->out);
    perform(w);
}

static void answer(struct alert_world *w, size_t sent)
{
    struct alert_world_sent *s = &w->sent[sent];
    s->answered = true;
    struct notify_result r = {
        .attempt = s->id,
        .verdict = s->verdict,
        .reason = SEND_REASON_SERVER,
        .error = s->cancelled ? STR("context deadline exceeded") : STR("unexpected status code 500"),
        .data = s->data,
        .data_count = s->data_count,
        .seconds = 0.002,
    };
    alert_world_step(w, &(struct dispatch_event){ .kind = DISPATCH_RESULT, .result = &r });
}

/* The answer that comes first, or NULL. */
static struct alert_world_pending *first_pending(struct alert_world *w)
{
    struct alert_world_pending *first = NULL;
    for (size_t i = 0; i < w->pending_count; i++)
        if (!first || mono_before(w->pending[i].at, first->at))
            first = &w->pending[i];
    return first;
}

void alert_world_run(struct alert_world *w, int64_t ms)
{
    mono_ms end = mono_add(w->now, ms);
    for (;;) {
        struct alert_world_pending *p = first_pending(w);
        mono_ms next = dispatch_deadline(w->d);
        bool is_answer = p && !mono_before(next, p->at);
        if (is_answer)
            next = p->at;
        if (mono_before(end, next))
            break;
        if (mono_before(w->now, next))
            w->now = next;
        if (is_answer) {
            size_t sent = p->sent;
            *p = w->pending[--w->pending_count];
            answer(w, sent);
        } else {
            alert_world_step(w, NULL);
        }
    }
    w->now = end;
}

size_t alert_world_sent_to(const struct alert_world *w, const char *receiver)
{
    size_t n = 0;
    for (size_t i = 0; i < w->sent_count; i++)
        n += str_eq(w->sent[i].receiver, str_c(receiver));
    return n;
}
