/* The stages, and the table that puts them in order.
 *
 * A stage of the flush works on f->alerts from f->cursor on and may stop at the end of a slice; a stage of a run is short,
 * but for hashing and building, which cost a little per alert and are charged to the slice.
 *
 * T1  Stages up to "silence" only set `muted`; what is left of the flush is known when the last of them has passed.
 * T2  No attempt is made without the dedup stage having said so at this moment: a run that waited for anything comes back
 *     through "dedup".
 * T3  An entry is logged only by "record", only after a success. */
#include "base/mem.h"
#include "notify/notifier_int.h"

/* Alerts put into a notification at a time: about half a millisecond. The decision is made again in between. */
static const size_t BUILD_SLICE = 8192;

enum {
    ASK_GAP_FIRST_MS = 200, /* between one question and the next, doubled each time */
    ASK_GAP_MAX_MS = 1600,
    STOPPED_MS = 1000, /* a timer that comes so late says that the process was stopped */
};

static enum stage_result stage_settle(struct stage_call *c, struct notify_flush *f);
static enum stage_result stage_inhibit(struct stage_call *c, struct notify_flush *f);
static enum stage_result stage_time(struct stage_call *c, struct notify_flush *f);
static enum stage_result stage_silence(struct stage_call *c, struct notify_flush *f);
static enum stage_result stage_hash(struct stage_call *c, struct notify_flush *f);
static enum stage_result stage_wait(struct stage_call *c, struct run *r);
static enum stage_result stage_dedup(struct stage_call *c, struct run *r);
static enum stage_result stage_send(struct stage_call *c, struct run *r);
static enum stage_result stage_record(struct stage_call *c, struct run *r);

const struct stage notify_stages[] = {
    { "settle", .flush = stage_settle }, { "inhibit", .flush = stage_inhibit }, { "time", .flush = stage_time },
    { "silence", .flush = stage_silence }, { "hash", .flush = stage_hash },
    { "wait", .run = stage_wait }, { "dedup", .run = stage_dedup }, { "send", .run = stage_send }, { "record", .run = stage_record },
};
const size_t notify_stages_count = ARRAY_LEN(notify_stages);

size_t notify_stage_wait(void)
{
    size_t i = 0;
    while (notify_stages[i].run != stage_wait)
        i++;
    return i;
}

size_t notify_stage_record(void)
{
    size_t i = 0;
    while (notify_stages[i].run != stage_record)
        i++;
    return i;
}

/* ---- Per flush ---- */

static enum stage_result stage_settle(struct stage_call *c, struct notify_flush *f)
{
    (void)f;
    return c->nt->settled ? STAGE_PASS : STAGE_WAIT; /* woken by notifier_set_peers(), ended by the deadline */
}

/* Walks the alerts that are left, a slice at a time, and mutes those that `is_muted` says. */
static enum stage_result filter(struct stage_call *c, struct notify_flush *f, struct counter *suppressed,
                                bool (*is_muted)(struct stage_call *c, struct notify_flush *f, struct alert_slot *s))
{
    for (; f->cursor < f->alerts_count; f->cursor++) {
        if (*c->budget == 0)
            return STAGE_MORE;
        --*c->budget;
        struct notify_alert *a = &f->alerts[f->cursor];
        if (a->muted)
            continue;
        a->muted = is_muted(c, f, a->slot);
        a->slot->mark = a->muted ? ALERT_SUPPRESSED : ALERT_ACTIVE;
        if (a->muted) {
            f->left--;
            counter_add(suppressed, 1);
        }
    }
    return f->left ? STAGE_PASS : STAGE_END;
}

static bool is_inhibited(struct stage_call *c, struct notify_flush *f, struct alert_slot *s)
{
    fingerprint by;
    return inhibitor_query(f->inhibitor, c->wall, s, &by);
}

static enum stage_result stage_inhibit(struct stage_call *c, struct notify_flush *f)
{
    return filter(c, f, &c->nt->stats.suppressed_inhibition, is_inhibited);
}

static bool is_silenced(struct stage_call *c, struct notify_flush *f, struct alert_slot *s)
{
    (void)f;
    return silencer_query(c->nt->silencer, c->wall, s, NULL, 0) > 0;
}

static enum stage_result stage_silence(struct stage_call *c, struct notify_flush *f)
{
    return filter(c, f, &c->nt->stats.suppressed_silence, is_silenced);
}

/* Names of the windows that contain the tick, one for each item that does. */
static size_t windows_containing(const struct notify_window *w, size_t n, int64_t unix_s, struct str *names)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < w[i].n; k++)
            if (time_interval_contains(&w[i].v[k], unix_s))
                names[count++] = w[i].name;
    return count;
}

static size_t items_count(const struct notify_window *w, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += w[i].n;
    return count;
}

static enum stage_result stage_time(struct stage_call *c, struct notify_flush *f)
{
    f->time_ran = true;
    if (f->active_count) {
        struct str *names = arena_alloc_array(&c->nt->scratch, items_count(f->active, f->active_count), sizeof *names);
        if (!windows_containing(f->active, f->active_count, f->tick.s, names)) {
            struct str *all = arena_alloc_array(&f->arena, f->active_count, sizeof *all);
            for (size_t i = 0; i < f->active_count; i++)
                all[i] = arena_str(&f->arena, f->active[i].name);
            f->muted_by = all;
            f->muted_by_count = f->active_count;
            counter_add(&c->nt->stats.suppressed_active_time, f->left);
            return STAGE_END;
        }
    }
    if (f->mute_count == 0)
        return STAGE_PASS;
    struct str *names = arena_alloc_array(&f->arena, items_count(f->mute, f->mute_count), sizeof *names);
    size_t count = windows_containing(f->mute, f->mute_count, f->tick.s, names);
    if (count == 0)
        return STAGE_PASS;
    for (size_t i = 0; i < count; i++)
        names[i] = arena_str(&f->arena, names[i]);
    f->muted_by = names;
    f->muted_by_count = count;
    counter_add(&c->nt->stats.suppressed_mute_time, f->left);
    return STAGE_END;
}

static void lists_init(struct hash_lists *l, struct arena *a, size_t n)
{
    uint64_t **lists[] = { &l->firing, &l->resolved, &l->held, &l->log_firing, &l->log_resolved };
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        *lists[i] = arena_alloc_array(a, n, sizeof(uint64_t));
}

static void lists_add(struct hash_lists *l, enum alert_state state, uint64_t hash)
{
    switch (state) {
    case ALERT_FIRING:
        l->firing[l->firing_count++] = hash;
        l->log_firing[l->log_firing_count++] = hash;
        break;
    case ALERT_HELD:
        l->held[l->held_count++] = hash;
        l->log_firing[l->log_firing_count++] = hash;
        break;
    case ALERT_RESOLVED:
        l->log_resolved[l->resolved_count] = hash;
        l->resolved[l->resolved_count++] = hash;
        break;
    }
}

static void lists_sort(struct hash_lists *l, struct arena *scratch)
{
    notify_sort_hashes(scratch, l->firing, l->firing_count);
    notify_sort_hashes(scratch, l->held, l->held_count);
    notify_sort_hashes(scratch, l->resolved, l->resolved_count);
}

static enum stage_result stage_hash(struct stage_call *c, struct notify_flush *f)
{
    if (!f->hashes.firing)
        lists_init(&f->hashes, &f->arena, f->left);
    for (; f->cursor < f->alerts_count; f->cursor++) {
        if (*c->budget == 0)
            return STAGE_MORE;
        --*c->budget;
        const struct notify_alert *a = &f->alerts[f->cursor];
        if (!a->muted)
            lists_add(&f->hashes, a->state, a->slot->value->nflog_hash);
    }
    lists_sort(&f->hashes, &c->nt->scratch);
    f->hashes.taken = f->taken;
    return STAGE_PASS;
}

/* ---- Per integration ---- */

/* Is an attempt for the same log entry in flight on this node (an abandoned flush, a sibling route)? */
static bool twin_in_flight(const struct run *r)
{
    for (const struct run *t = map64_get(&r->flush->nt->by_claim, r->claim); t; t = t->same)
        if (t != r && t->attempt && str_eq(t->key, r->key))
            return true;
    return false;
}

static void spend(struct stage_call *c, size_t n)
{
    *c->budget -= n < *c->budget ? n : *c->budget;
}

static const uint64_t *sorted_copy(struct arena *a, const uint64_t *v, size_t n)
{
    uint64_t *copy = arena_alloc_array(a, n, sizeof *copy);
    if (n)
        memcpy(copy, v, n * sizeof *v);
    notify_sort_hashes(a, copy, n);
    return copy;
}

/* A peer has said something since we looked: what we saw may be older than that, and would take it back. The alerts that
 * are left are looked at again, for this integration. */
static void look_again(struct stage_call *c, struct run *r)
{
    struct notify_flush *f = r->flush;
    struct hash_lists *l = arena_alloc(&f->arena, sizeof *l);
    uint8_t *states = arena_alloc(&f->arena, f->alerts_count);
    lists_init(l, &f->arena, f->left);
    for (size_t i = 0; i < f->alerts_count; i++) {
        const struct notify_alert *a = &f->alerts[i];
        enum alert_state state = alert_slot_state(a->slot, c->wall);
        states[i] = (uint8_t)state;
        if (!a->muted)
            lists_add(l, state, a->slot->value->nflog_hash);
    }
    lists_sort(l, &c->nt->scratch);
    l->taken = c->wall;
    r->hashes = l;
    r->states = states;
    notification_release(r->n);
    r->n = NULL;
    spend(c, f->alerts_count);
}

/* What the log says now; *entry is zero if nothing is logged. */
static enum notify_reason decide(struct stage_call *c, struct run *r, struct nflog_entry *entry)
{
    const struct notify_flush *f = r->flush;
    *entry = (struct nflog_entry){ .timestamp = WIRE_TIME_ZERO };
    bool has_entry = nflog_query(c->nt->log, &c->nt->scratch, r->key, entry);
    if (has_entry && wire_time_cmp(entry->timestamp, r->hashes->taken) > 0 &&
        wire_time_cmp(entry->timestamp, r->looked_for) != 0) {
        r->looked_for = entry->timestamp; /* once per entry, also if its writer's clock is ahead of ours */
        look_again(c, r);
    }
    const struct hash_lists *l = r->hashes;
    struct notify_question q = {
        .firing = l->firing, .firing_count = l->firing_count,
        .resolved = l->resolved, .resolved_count = l->resolved_count,
        .held = l->held, .held_count = l->held_count,
        .has_entry = has_entry,
        .entry_firing = sorted_copy(&c->nt->scratch, entry->firing, entry->firing_count),
        .entry_firing_count = entry->firing_count,
        .entry_resolved = sorted_copy(&c->nt->scratch, entry->resolved, entry->resolved_count),
        .entry_resolved_count = entry->resolved_count,
        .entry_timestamp = entry->timestamp,
        .send_resolved = r->integration->send_resolved,
        .now = f->tick,
        .repeat_interval_ms = f->repeat_interval_ms,
    };
    spend(c, 1 + (f->left + entry->firing_count + entry->resolved_count) / 4);
    return notify_decide(&q);
}

static struct wire_time entry_time(const struct run *r)
{
    return notify_entry_time(r->flush->nt, r->key);
}

static bool asks(const struct notifier *nt)
{
    return nt->members.n <= CLAIM_ASK_MEMBERS_MAX;
}

static void announce(struct stage_call *c, struct run *r)
{
    struct notifier *nt = c->nt;
    struct claim_message m;
    if (!asks(nt))
        claims_take(nt->claims, c->now, r->claim, &nt->members, entry_time(r), &m);
    else if (!r->announced)
        claims_ask(nt->claims, c->now, r->claim, &nt->members, entry_time(r), &m);
    else
        claims_ask_again(nt->claims, r->claim, &nt->members, entry_time(r), &m);
    notify_announce(nt, &m, STR_EMPTY, c->out);
    r->asked_at = c->now;
}

static void announce_first(struct stage_call *c, struct run *r)
{
    announce(c, r);
    r->announced = true;
    r->asked_late = false;
    r->announced_at = c->now;
    r->ask_gap_ms = ASK_GAP_FIRST_MS;
}

static void announce_again(struct stage_call *c, struct run *r)
{
    announce(c, r);
    r->ask_gap_ms = r->ask_gap_ms * 2 < ASK_GAP_MAX_MS ? r->ask_gap_ms * 2 : ASK_GAP_MAX_MS;
}

/* Who does not answer is waited for as long as a turn is; in a route whose flushes are short, for three quarters of what a flush
 * has. A question that is asked late in a flush may end with it: the next flush asks again, and early enough. */
static mono_ms answers_bound(const struct stage_call *c, const struct run *r)
{
    if (!asks(c->nt))
        return mono_add(r->announced_at, CLAIM_NOTICE_MS);
    int64_t most_ms = r->flush->timeout_ms - r->flush->timeout_ms / 4, turn_ms = c->nt->options.peer_timeout_ms;
    return mono_add(r->announced_at, turn_ms < most_ms ? turn_ms : most_ms);
}

/* When something is to be done about the question again: to ask once more, or to wait no longer. */
static mono_ms ask_due(const struct stage_call *c, const struct run *r)
{
    mono_ms bound = answers_bound(c, r);
    return asks(c->nt) ? mono_min(bound, mono_add(r->asked_at, r->ask_gap_ms)) : bound;
}

/* Asks, asks again who may have missed it, and says when the attempt may be made: now, if all have said yes. */
static mono_ms ask(struct stage_call *c, struct run *r)
{
    struct notifier *nt = c->nt;
    if (!r->announced)
        announce_first(c, r);
    else if (asks(nt) && claims_agreed(nt->claims, r->claim, &nt->members))
        return c->now;
    mono_ms due = ask_due(c, r);
    if (mono_before(c->now, due))
        return due;
    if (!r->asked_late && mono_before(mono_add(due, STOPPED_MS), c->now)) {
        r->asked_late = true; /* what the others said meanwhile has not been read */
        r->announced_at = c->now;
    }
    if (!mono_before(c->now, answers_bound(c, r)))
        return c->now;
    announce_again(c, r);
    return ask_due(c, r);
}

/* When the run may try, or ask whether it may, as far as is known now: by its position or its back-off, and by claims. */
static mono_ms turn_of(struct stage_call *c, struct run *r)
{
    struct notifier *nt = c->nt;
    if (twin_in_flight(r))
        return r->flush->deadline; /* woken when that has ended */
    mono_ms base = r->tries ? r->next_at
                            : mono_add(r->begun_at, (int64_t)nt->members.self * nt->options.peer_timeout_ms);
    if (nt->alone)
        return base;
    r->announced = r->announced && claims_are_ours(nt->claims, c->now, r->claim, &nt->members);
    mono_ms turn = r->announced ? c->now
                                : claims_turn(nt->claims, c->now, r->claim, base, nt->options.peer_timeout_ms, &nt->members);
    if (mono_before(base, turn) && mono_before(c->now, turn))
        counter_add(&nt->stats.claims_waited, 1);
    if (r->tries && mono_before(turn, r->next_at))
        turn = r->next_at; /* its own back-off holds even when it is its turn */
    return turn;
}

/* When the others let the run try, whose turn it is: now, if they need not be asked or have all said yes. */
static mono_ms permission(struct stage_call *c, struct run *r)
{
    const struct notifier *nt = c->nt;
    bool first = nt->members.self == 0 && !claims_stand(nt->claims, c->now, r->claim);
    return nt->alone || (first && !r->announced) ? c->now : ask(c, r);
}

static void count_once(struct stage_call *c, struct run *r)
{
    if (!r->counted)
        notify_count_notification(c->nt, r);
    r->counted = true;
}

/* It is the run's turn. Does the state of the integration forbid an attempt? */
static bool is_spared(struct stage_call *c, struct run *r)
{
    r->admitted = r->admitted || r->announced || notify_outage_admits(c->nt, c->now, r);
    return !r->admitted;
}

static enum stage_result stage_wait(struct stage_call *c, struct run *r)
{
    struct nflog_entry entry;
    if (!r->begun) {
        r->begun = true;
        r->begun_at = c->now;
    }
    if (r->logged) { /* by a peer, meanwhile: perhaps there is nothing left to wait for */
        r->logged = false;
        if (decide(c, r, &entry) == NOTIFY_REASON_NONE)
            return STAGE_END;
    }
    mono_ms turn = turn_of(c, r);
    if (mono_before(c->now, turn)) {
        r->admitted = false;
    } else if (is_spared(c, r)) {
        if (decide(c, r, &entry) == NOTIFY_REASON_NONE)
            return STAGE_END;
        count_once(c, r);
        notify_spare(c, r);
        turn = r->next_at;
    } else {
        turn = permission(c, r);
    }
    if (!mono_before(c->now, turn))
        return STAGE_PASS;
    timer_arm(&c->nt->run_timers, &r->timer, mono_min(turn, r->flush->deadline));
    return STAGE_WAIT;
}

static void begin_build(struct run *r, const struct nflog_entry *entry);
static bool build(struct stage_call *c, struct run *r);

static enum stage_result stage_dedup(struct stage_call *c, struct run *r)
{
    struct nflog_entry entry;
    enum notify_reason why = decide(c, r, &entry);
    if (why == NOTIFY_REASON_NONE)
        return STAGE_END;
    count_once(c, r);
    bool stale = r->n && (why != r->why || wire_time_cmp(entry.timestamp, r->n_entry) != 0);
    r->why = why;
    r->n_entry = entry.timestamp;
    if (stale) {
        notification_release(r->n);
        r->n = NULL;
    }
    bool nothing_to_send = !r->integration->send_resolved && r->hashes->log_firing_count == 0;
    if (nothing_to_send)
        return STAGE_PASS;
    if (!r->n)
        begin_build(r, why == NOTIFY_REASON_FIRST ? NULL : &entry);
    return build(c, r) ? STAGE_PASS : STAGE_MORE; /* more: it is decided again, then built on */
}

static enum receiver_value_kind value_kind(enum nflog_value_kind kind)
{
    switch (kind) {
    case NFLOG_STR:
        return RECEIVER_VALUE_STR;
    case NFLOG_INT:
        return RECEIVER_VALUE_INT;
    case NFLOG_DOUBLE:
        return RECEIVER_VALUE_DOUBLE;
    }
    return RECEIVER_VALUE_STR;
}

static enum nflog_value_kind log_kind(enum receiver_value_kind kind)
{
    switch (kind) {
    case RECEIVER_VALUE_STR:
        return NFLOG_STR;
    case RECEIVER_VALUE_INT:
        return NFLOG_INT;
    case RECEIVER_VALUE_DOUBLE:
        return NFLOG_DOUBLE;
    }
    return NFLOG_STR;
}

static const struct receiver_value *copy_data(struct arena *a, const struct nflog_entry *entry)
{
    struct receiver_value *v = arena_alloc_array(a, entry->data_count, sizeof *v);
    for (size_t i = 0; i < entry->data_count; i++) {
        const struct nflog_value *from = &entry->data[i];
        v[i] = (struct receiver_value){ arena_str(a, from->key), value_kind(from->kind), arena_str(a, from->s),
                                        from->i, from->d };
    }
    return v;
}

/* The view of the group that the sender gets, still without alerts; entry is the one whose data the receiver sees, or
 * NULL. */
static void begin_build(struct run *r, const struct nflog_entry *entry)
{
    struct notify_flush *f = r->flush;
    struct notification *n = notification_new();
    size_t count = r->integration->send_resolved ? f->left : r->hashes->log_firing_count;
    n->alerts = arena_alloc_array(&n->arena, count, sizeof *n->alerts);
    n->receiver = arena_str(&n->arena, f->receiver->name);
    n->group_key = arena_str(&n->arena, f->group_key);
    n->group_labels = labels_copy(&n->arena, f->group_labels);
    n->route_labels = labels_copy(&n->arena, f->route_labels);
    n->external_url = arena_str(&n->arena, f->receivers->external_url);
    n->reason = r->why;
    n->now = f->tick;
    if (entry) {
        n->data = copy_data(&n->arena, entry);
        n->data_count = entry->data_count;
    }
    r->n = n;
    r->built = 0;
}

/* Puts alerts in, a slice at a time; true when all are. Nobody else has seen the notification yet. */
static bool build(struct stage_call *c, struct run *r)
{
    struct notify_flush *f = r->flush;
    struct notification *n = r->n;
    struct notification_alert *v = (struct notification_alert *)(uintptr_t)n->alerts;
    size_t end = f->alerts_count - r->built < BUILD_SLICE ? f->alerts_count : r->built + BUILD_SLICE;
    spend(c, (end - r->built) / 4);
    for (; r->built < end; r->built++) {
        const struct notify_alert *a = &f->alerts[r->built];
        bool resolved = (r->states ? (enum alert_state)r->states[r->built] : a->state) == ALERT_RESOLVED;
        if (a->muted || (resolved && !r->integration->send_resolved))
            continue;
        v[n->alerts_count++] = (struct notification_alert){ alert_retain(a->slot->value), a->slot->ends_at, resolved };
    }
    return end == f->alerts_count;
}

void notify_announce(struct notifier *nt, const struct claim_message *m, struct str to, struct notify_out *out)
{
    struct notify_effect *e = notify_out_add(out, NOTIFY_CLAIM);
    e->claim = *m;
    e->claim.holder = arena_str(&out->arena, m->holder);
    e->claim.origin = arena_str(&out->arena, m->origin);
    e->to = arena_str(&out->arena, to);
    counter_add(&nt->stats.claims_sent, 1);
}

/* The first in line has asked nobody: it says that it begins. */
static void begin_turn(struct stage_call *c, struct run *r)
{
    struct claim_message m;
    if (c->nt->alone)
        return;
    if (r->announced) {
        counter_add(&c->nt->stats.claims_unanswered, !claims_agreed(c->nt->claims, r->claim, &c->nt->members));
        return;
    }
    claims_take(c->nt->claims, c->now, r->claim, &c->nt->members, entry_time(r), &m);
    notify_announce(c->nt, &m, STR_EMPTY, c->out);
}

static enum stage_result stage_send(struct stage_call *c, struct run *r)
{
    struct notifier *nt = c->nt;
    struct notify_flush *f = r->flush;
    if (!r->n)
        return STAGE_PASS; /* nothing may be sent; it is logged all the same */
    /* It may be somebody else's since it was decided: building takes its time. */
    if (mono_before(c->now, turn_of(c, r)) || mono_before(c->now, permission(c, r))) {
        r->stage = notify_stage_wait();
        return STAGE_MORE;
    }
    begin_turn(c, r);
    r->announced = false;
    r->attempt = ++nt->last_attempt;
    r->attempts++;
    r->admitted = false;
    notify_outage_leave(r);
    r->attempt_at = c->now;
    map64_put(&nt->by_attempt, r->attempt, r);
    gauge_set(&nt->stats.in_flight, (double)nt->by_attempt.count);
    struct notify_effect *e = notify_out_add(c->out, NOTIFY_ATTEMPT);
    e->attempt = (struct notify_attempt){
        .id = r->attempt,
        .n = notification_retain(r->n),
        .receivers = notify_receivers_retain(f->receivers),
        .receiver = f->receiver,
        .integration = r->integration,
        .deadline = f->deadline,
        .begin_by = nt->alone ? (mono_ms){ 0 } : mono_add(c->now, CLAIM_BOUND_MS / 4),
        .number = r->attempts,
    };
    return STAGE_WAIT; /* for notifier_result() */
}

static enum stage_result stage_record(struct stage_call *c, struct run *r)
{
    struct notify_flush *f = r->flush;
    struct nflog_value *data = arena_alloc_array(&c->nt->scratch, r->data_count, sizeof *data);
    for (size_t i = 0; i < r->data_count; i++) {
        const struct receiver_value *from = &r->data[i];
        data[i] = (struct nflog_value){ from->key, log_kind(from->kind), from->s, from->i, from->d };
    }
    struct nflog_entry entry = {
        .group_key = f->group_key,
        .receiver = { f->receiver->name, str_c(r->integration->name), r->integration->idx },
        .firing = r->hashes->log_firing, .firing_count = r->hashes->log_firing_count,
        .resolved = r->hashes->log_resolved, .resolved_count = r->hashes->resolved_count,
        .data = data, .data_count = r->data_count,
    };
    buf_reset(&c->nt->text);
    nflog_log(c->nt->log, c->wall, &entry, f->repeat_interval_ms, &c->nt->text);
    struct notify_effect *e = notify_out_add(c->out, NOTIFY_RECORD);
    e->bytes = arena_str(&c->out->arena, buf_view(&c->nt->text));
    claims_logged(c->nt->claims, r->claim, entry_time(r));
    return STAGE_END;
}
