#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "silence/silence.h"
#include "wire/pb.h"
#include "wire/pb_time.h"

#include <stdio.h>

static const int64_t RETENTION_S = 120 * 3600;

struct world {
    struct silence_store *st;
    struct rng rng;
    char id[SILENCE_ID_TEXT];
    struct silence_changes changes;
    struct err err;
};

static struct wire_time at(int64_t s)
{
    return (struct wire_time){ 1767225600 + s, 0 };
}

static void begin_with(struct world *w, int64_t silences_max, int64_t size_max)
{
    struct silence_options o = { RETENTION_S * 1000, silences_max, size_max, MATCHER_FALLBACK };
    *w = (struct world){ .st = silence_store_new(&o) };
    rng_seed(&w->rng, 1);
}

static void begin(struct world *w)
{
    begin_with(w, 0, 0);
}

static void end(struct world *w)
{
    silence_changes_deinit(&w->changes);
    silence_store_free(w->st);
}

static struct matcher m(enum match_op op, const char *name, const char *value)
{
    return (struct matcher){ .op = op, .name = str_c(name), .value = str_c(value) };
}

/* Sets a silence over one matcher. */
static bool set_matcher(struct world *w, int64_t now, const char *id, struct matcher matcher, int64_t start, int64_t end_s)
{
    struct matchers set = { &matcher, 1 };
    struct silence_spec spec = { .id = str_c(id), .sets = &set, .sets_count = 1, .starts_at = at(start),
                                 .ends_at = at(end_s), .created_by = STR("me"), .comment = STR("why") };
    silence_changes_deinit(&w->changes);
    return silence_store_set(w->st, at(now), &spec, &w->rng, w->id, &w->changes, &w->err);
}

static bool set(struct world *w, int64_t now, const char *id, const char *value, int64_t start, int64_t end_s)
{
    return set_matcher(w, now, id, m(MATCH_EQ, "a", value), start, end_s);
}

static struct str id_of(const struct world *w)
{
    return str_of(w->id, SILENCE_ID_TEXT);
}

static const struct silence *get(const struct world *w, struct str id)
{
    return silence_store_get(w->st, id);
}

static void new_silence_has_a_random_id_and_starts_no_earlier_than_now(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    assert_true(set(&w, 100, "", "x", 50, 500));
    const struct silence *s = get(&w, id_of(&w));
    assert_non_null(s);
    assert_int_equal(w.id[14], '4'); /* UUID version 4 */
    assert_int_equal(wire_time_cmp(s->starts_at, at(100)), 0);
    assert_int_equal(wire_time_cmp(s->updated_at, at(100)), 0);
    assert_int_equal(w.changes.n, 1);
    assert_int_equal(w.changes.v[0].kind, SILENCE_CREATED);
    assert_int_equal(silence_state_at(s, at(100)), SILENCE_ACTIVE);
    assert_int_equal(silence_state_at(s, at(500)), SILENCE_ACTIVE); /* both ends belong to it */
    assert_int_equal(silence_state_at(s, at(501)), SILENCE_EXPIRED);
    end(&w);
}

static void invalid_silences_are_refused_in_upstreams_words(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    static const struct {
        enum match_op op;
        const char *name, *value, *want;
    } rows[] = {
        { MATCH_EQ, "a", "", "invalid silence: matcher set 0: at least one matcher must not match the empty string" },
        { MATCH_RE, "a", ".*", "invalid silence: matcher set 0: at least one matcher must not match the empty string" },
        { MATCH_RE, "a", "(", "invalid silence: invalid label matcher 0 in set 0: invalid regular expression \"(\": error "
                              "parsing regexp: missing closing ): `(`" },
        { MATCH_EQ, "", "x", "invalid silence: invalid label matcher 0 in set 0: invalid label name \"\"" },
        { MATCH_EQ, "a", "\xff", "invalid silence: invalid label matcher 0 in set 0: invalid label value \"\\xff\"" },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_false(set_matcher(&w, 0, "", m(rows[i].op, rows[i].name, rows[i].value), 0, 500));
        assert_string_equal(w.err.text, rows[i].want);
        assert_int_equal(w.err.code, ERR_INVALID);
    }
    assert_true(set_matcher(&w, 0, "", m(MATCH_NE, "a", ""), 0, 500)); /* negative ones never count as empty */
    assert_false(set(&w, 0, "", "x", 10, 5));
    assert_string_equal(w.err.text, "invalid silence: end time must not be before start time");
    struct silence_spec spec = { .id = STR_EMPTY, .starts_at = at(0), .ends_at = at(9) };
    assert_false(silence_store_set(w.st, at(0), &spec, &w.rng, w.id, &w.changes, &w.err));
    assert_string_equal(w.err.text, "invalid silence: at least one matcher set required");
    struct matchers empty = { 0 };
    spec.sets = &empty;
    spec.sets_count = 1;
    assert_false(silence_store_set(w.st, at(0), &spec, &w.rng, w.id, &w.changes, &w.err));
    assert_string_equal(w.err.text, "invalid silence: matcher set 0 is empty");
    assert_int_equal(silence_store_count(w.st), 1);
    end(&w);
}

static void unknown_id_is_not_found_after_validation(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    assert_false(set(&w, 0, "00000000-0000-4000-8000-000000000000", "x", 0, 500));
    assert_int_equal(w.err.code, ERR_NOT_FOUND);
    assert_string_equal(w.err.text, "silence not found");
    assert_false(set(&w, 0, "00000000-0000-4000-8000-000000000000", "", 0, 500));
    assert_int_equal(w.err.code, ERR_INVALID);
    end(&w);
}

static void active_silence_is_updated_in_place_only_if_start_and_matchers_stay(void **state)
{
    (void)state;
    struct world w;
    char id[SILENCE_ID_TEXT + 1] = { 0 };
    begin(&w);
    assert_true(set(&w, 0, "", "x", 0, 500));
    memcpy(id, w.id, SILENCE_ID_TEXT);
    assert_true(set(&w, 10, id, "x", 0, 900));
    assert_memory_equal(w.id, id, SILENCE_ID_TEXT);
    assert_int_equal(w.changes.v[0].kind, SILENCE_UPDATED);
    assert_int_equal(wire_time_cmp(get(&w, str_c(id))->ends_at, at(900)), 0);
    assert_true(set(&w, 20, id, "y", 0, 900)); /* other matchers: replaced */
    assert_memory_not_equal(w.id, id, SILENCE_ID_TEXT);
    assert_int_equal(w.changes.n, 2);
    assert_int_equal(w.changes.v[0].kind, SILENCE_EXPIRED_NOW);
    assert_int_equal(w.changes.v[1].kind, SILENCE_CREATED);
    assert_int_equal(silence_state_at(get(&w, str_c(id)), at(21)), SILENCE_EXPIRED);
    assert_int_equal(wire_time_cmp(get(&w, id_of(&w))->starts_at, at(20)), 0);
    end(&w);
}

static void pending_silence_is_updated_in_place_if_it_stays_pending(void **state)
{
    (void)state;
    struct world w;
    char id[SILENCE_ID_TEXT + 1] = { 0 };
    begin(&w);
    set(&w, 0, "", "x", 100, 500);
    memcpy(id, w.id, SILENCE_ID_TEXT);
    assert_true(set(&w, 10, id, "x", 50, 600));
    assert_memory_equal(w.id, id, SILENCE_ID_TEXT);
    assert_true(set(&w, 20, id, "x", 10, 600)); /* a start in the past: a new one */
    assert_memory_not_equal(w.id, id, SILENCE_ID_TEXT);
    const struct silence *old = get(&w, str_c(id));
    assert_int_equal(wire_time_cmp(old->starts_at, at(20)), 0); /* expired while pending: both ends are now */
    assert_int_equal(wire_time_cmp(old->ends_at, at(20)), 0);
    end(&w);
}

static void expired_silence_is_replaced_without_touching_it(void **state)
{
    (void)state;
    struct world w;
    char id[SILENCE_ID_TEXT + 1] = { 0 };
    begin(&w);
    set(&w, 0, "", "x", 0, 10);
    memcpy(id, w.id, SILENCE_ID_TEXT);
    assert_true(set(&w, 20, id, "x", 0, 600));
    assert_int_equal(w.changes.n, 1);
    assert_memory_not_equal(w.id, id, SILENCE_ID_TEXT);
    assert_int_equal(wire_time_cmp(get(&w, str_c(id))->ends_at, at(10)), 0);
    end(&w);
}

static void expiring_twice_is_fine_and_changes_once(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    set(&w, 0, "", "x", 0, 500);
    struct silence_changes c;
    assert_true(silence_store_expire(w.st, at(10), id_of(&w), &c, &w.err));
    assert_int_equal(c.n, 1);
    silence_changes_deinit(&c);
    assert_true(silence_store_expire(w.st, at(11), id_of(&w), &c, &w.err));
    assert_int_equal(c.n, 0);
    assert_false(silence_store_expire(w.st, at(11), STR("nope"), &c, &w.err));
    assert_int_equal(w.err.code, ERR_NOT_FOUND);
    end(&w);
}

static void limits_refuse_before_anything_changes(void **state)
{
    (void)state;
    struct world w;
    char id[SILENCE_ID_TEXT + 1] = { 0 };
    begin_with(&w, 2, 0);
    set(&w, 0, "", "x", 0, 500);
    memcpy(id, w.id, SILENCE_ID_TEXT);
    set(&w, 0, "", "y", 0, 500);
    assert_false(set(&w, 0, "", "z", 0, 500));
    assert_string_equal(w.err.text, "exceeded maximum number of silences: 2 (limit: 2)");
    assert_int_equal(w.err.code, ERR_LIMIT);
    assert_false(set(&w, 1, id, "z", 0, 500)); /* a replacement counts as one more */
    assert_int_equal(silence_state_at(get(&w, str_c(id)), at(2)), SILENCE_ACTIVE);
    assert_true(set(&w, 1, id, "x", 0, 600));
    end(&w);
    begin_with(&w, 0, 50);
    assert_false(set(&w, 0, "", "x", 0, 500));
    assert_int_equal(w.err.code, ERR_LIMIT);
    assert_true(str_starts(err_text(&w.err), STR("silence exceeded maximum size: ")));
    end(&w);
}

static void silences_are_dropped_when_retention_has_passed(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    set(&w, 0, "", "x", 0, 500);
    size_t cursor = 0;
    silence_store_gc(w.st, at(500 + RETENTION_S - 1), &cursor, 10);
    assert_int_equal(silence_store_count(w.st), 1);
    cursor = 0;
    silence_store_gc(w.st, at(500 + RETENTION_S), &cursor, 10);
    assert_int_equal(silence_store_count(w.st), 0);
    end(&w);
}

static void own_change_wins_over_a_clock_that_is_ahead(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    set(&w, 100, "", "x", 0, 500);
    struct silence_changes c;
    assert_true(silence_store_expire(w.st, at(50), id_of(&w), &c, &w.err)); /* our clock went back */
    assert_int_equal(wire_time_sub_ns(c.v[0].silence->updated_at, at(100)), 1);
    silence_changes_deinit(&c);
    end(&w);
}

/* ---- Peers ---- */

static void write_matcher(struct buf *b, uint32_t number, const char *name, const char *value, uint64_t type)
{
    size_t mark = pb_begin(b, number);
    if (type)
        pb_write_u64(b, 1, type);
    pb_write_str(b, 2, str_c(name));
    pb_write_str(b, 3, str_c(value));
    pb_end(b, mark);
}

enum { OLD_FIELD = 1, NEW_FIELD = 2, COMMENTS = 4, UNKNOWN = 8, EMPTY_SET = 16, BAD_REGEX = 32 };

static void write_record(struct buf *b, const char *id, int64_t updated, int64_t ends, unsigned what)
{
    size_t record = pb_begin_delimited(b), s = pb_begin(b, 1);
    pb_write_str(b, 1, str_c(id));
    if (what & OLD_FIELD)
        write_matcher(b, 2, "a", "x", 0);
    pb_write_time(b, 3, at(0));
    pb_write_time(b, 4, at(ends));
    pb_write_time(b, 5, at(updated));
    if (what & COMMENTS) {
        size_t c = pb_begin(b, 7);
        pb_write_str(b, 1, STR("author"));
        pb_write_str(b, 2, STR("text"));
        pb_end(b, c);
    }
    if (what & (NEW_FIELD | BAD_REGEX)) {
        size_t set_mark = pb_begin(b, 11);
        write_matcher(b, 1, "a", what & BAD_REGEX ? "(" : "x", what & BAD_REGEX ? 1 : 0);
        pb_end(b, set_mark);
    }
    if (what & EMPTY_SET)
        pb_end(b, pb_begin(b, 11));
    if (what & UNKNOWN)
        pb_write_str(b, 99, STR("future"));
    pb_end(b, s);
    pb_write_time(b, 2, at(ends + RETENTION_S));
    if (what & UNKNOWN)
        pb_write_u64(b, 77, 5);
    pb_end(b, record);
}

struct heard {
    struct buf bytes;
    size_t n;
};

static void hear(void *arg, struct str record)
{
    struct heard *h = arg;
    buf_str(&h->bytes, record);
    h->n++;
}

static size_t merge(struct world *w, int64_t now, const struct buf *b, struct heard *h)
{
    struct replica r = silence_store_replica(w->st);
    struct err err;
    size_t before = h ? h->n : 0;
    assert_true(r.check(buf_view(b), &err));
    assert_int_equal(r.merge(w->st, at(now), buf_view(b), SIZE_MAX, h ? hear : NULL, h), b->n);
    return h ? h->n - before : 0;
}

static size_t matches(struct world *w, int64_t now, const char *value)
{
    struct label l[] = { { STR("a"), str_c(value) }, { STR("b"), STR("1") } };
    struct str ids[8];
    return silence_store_match(w->st, at(now), labels_normalize(l, 2), ids, 8);
}

static void newer_record_of_a_peer_wins_older_and_expired_ones_do_not(void **state)
{
    (void)state;
    struct world w;
    struct buf first = { 0 }, older = { 0 }, newer = { 0 }, gone = { 0 };
    struct heard h = { 0 };
    begin(&w);
    write_record(&first, "id", 10, 500, OLD_FIELD);
    write_record(&older, "id", 9, 900, OLD_FIELD);
    write_record(&newer, "id", 11, 700, OLD_FIELD);
    write_record(&gone, "other", 11, 20, OLD_FIELD);
    assert_int_equal(merge(&w, 10, &first, &h), 1);
    assert_int_equal(merge(&w, 10, &first, &h), 0);
    assert_int_equal(merge(&w, 10, &older, &h), 0);
    assert_int_equal(merge(&w, 10, &newer, &h), 1);
    assert_int_equal(merge(&w, 20 + RETENTION_S + 1, &gone, &h), 0);
    assert_int_equal(get(&w, STR("id"))->ends_at.s, at(700).s);
    buf_deinit(&first);
    buf_deinit(&older);
    buf_deinit(&newer);
    buf_deinit(&gone);
    buf_deinit(&h.bytes);
    end(&w);
}

static void of_two_updates_at_one_instant_the_one_that_lasts_longer_wins_everywhere(void **state)
{
    (void)state;
    struct world a, b;
    struct buf shorter = { 0 }, longer = { 0 };
    begin(&a);
    begin(&b);
    write_record(&shorter, "id", 10, 500, OLD_FIELD);
    write_record(&longer, "id", 10, 600, OLD_FIELD);
    merge(&a, 10, &shorter, NULL);
    merge(&a, 10, &longer, NULL);
    merge(&b, 10, &longer, NULL);
    merge(&b, 10, &shorter, NULL);
    assert_int_equal(get(&a, STR("id"))->ends_at.s, at(600).s);
    assert_int_equal(get(&b, STR("id"))->ends_at.s, at(600).s);
    buf_deinit(&shorter);
    buf_deinit(&longer);
    end(&a);
    end(&b);
}

static void record_is_passed_on_unchanged_with_unknown_fields(void **state)
{
    (void)state;
    struct world w;
    struct buf in = { 0 };
    struct heard h = { 0 };
    begin(&w);
    write_record(&in, "id", 10, 500, OLD_FIELD | NEW_FIELD | UNKNOWN);
    merge(&w, 10, &in, &h);
    assert_true(str_eq(buf_view(&h.bytes), buf_view(&in)));
    /* Expiring it here keeps what we do not understand. */
    struct silence_changes c;
    assert_true(silence_store_expire(w.st, at(20), STR("id"), &c, &w.err));
    assert_true(str_contains(c.v[0].silence->record, STR("future")));
    silence_changes_deinit(&c);
    buf_deinit(&in);
    buf_deinit(&h.bytes);
    end(&w);
}

/* An old peer takes a record without field 2 for "matches everything". */
static void copy_of_the_first_set_is_put_in_before_sending(void **state)
{
    (void)state;
    struct world w;
    struct buf in = { 0 }, want = { 0 };
    struct heard h = { 0 };
    begin(&w);
    write_record(&in, "id", 10, 500, NEW_FIELD | UNKNOWN);
    merge(&w, 10, &in, &h);
    assert_false(str_eq(buf_view(&h.bytes), buf_view(&in)));
    struct world again;
    begin(&again);
    merge(&again, 10, &h.bytes, NULL);
    const struct silence *s = get(&again, STR("id"));
    struct pb_reader r, inner;
    struct pb_field f;
    size_t old_fields = 0, unknown = 0;
    pb_reader_init(&r, s->record);
    while (pb_next(&r, &f)) {
        unknown += f.number == 77;
        if (f.number != 1)
            continue;
        pb_reader_init(&inner, f.bytes);
        while (pb_next(&inner, &f)) {
            old_fields += f.number == 2;
            unknown += f.number == 99;
        }
    }
    assert_int_equal(old_fields, 1);
    assert_int_equal(unknown, 2);
    buf_deinit(&in);
    buf_deinit(&want);
    buf_deinit(&h.bytes);
    end(&w);
    end(&again);
}

static void old_comments_become_author_and_comment(void **state)
{
    (void)state;
    struct world w;
    struct buf in = { 0 };
    begin(&w);
    write_record(&in, "id", 10, 500, OLD_FIELD | COMMENTS);
    merge(&w, 10, &in, NULL);
    const struct silence *s = get(&w, STR("id"));
    assert_true(str_eq(s->created_by, STR("author")));
    assert_true(str_eq(s->comment, STR("text")));
    buf_deinit(&in);
    end(&w);
}

static void silence_without_matchers_matches_nothing_and_is_never_sent(void **state)
{
    (void)state;
    struct world w;
    struct buf in = { 0 }, out = { 0 }, file = { 0 };
    struct heard h = { 0 };
    begin(&w);
    write_record(&in, "none", 10, 500, 0);
    write_record(&in, "empty", 10, 500, OLD_FIELD | NEW_FIELD | EMPTY_SET);
    assert_int_equal(merge(&w, 10, &in, &h), 0);
    assert_int_equal(silence_store_count(w.st), 2);
    assert_int_equal(matches(&w, 10, "x"), 0);
    struct replica r = silence_store_replica(w.st);
    replica_encode_all(&r, &out);
    assert_int_equal(out.n, 0);
    uint64_t cursor = 0;
    silence_store_snapshot(w.st, &cursor, SIZE_MAX, &file);
    assert_true(file.n > 0); /* but it is kept */
    buf_deinit(&in);
    buf_deinit(&out);
    buf_deinit(&file);
    buf_deinit(&h.bytes);
    end(&w);
}

static size_t bad_seen;
static void count_bad(void *arg, struct str id, const struct err *why)
{
    (void)arg;
    assert_true(str_eq(id, STR("bad")));
    assert_true(str_contains(err_text(why), STR("missing closing")));
    bad_seen++;
}

static void silence_that_does_not_compile_is_kept_hidden_and_disturbs_nobody(void **state)
{
    (void)state;
    struct world w;
    struct buf in = { 0 }, out = { 0 };
    begin(&w);
    write_record(&in, "bad", 10, 500, BAD_REGEX | OLD_FIELD);
    write_record(&in, "good", 10, 500, OLD_FIELD | NEW_FIELD);
    bad_seen = 0;
    assert_true(silence_store_load(w.st, buf_view(&in), count_bad, NULL, &w.err));
    assert_int_equal(bad_seen, 1);
    assert_null(get(&w, STR("bad")));
    assert_int_equal(matches(&w, 10, "x"), 1);
    struct silence_view *v = silence_store_view(w.st);
    assert_int_equal(v->n, 1);
    silence_view_release(v);
    struct replica r = silence_store_replica(w.st);
    replica_encode_all(&r, &out);
    assert_true(str_contains(buf_view(&out), STR("bad"))); /* peers get it as it is */
    assert_int_equal(counter_get(&silence_store_stats(w.st)->compile_errors_load), 1);
    buf_deinit(&in);
    buf_deinit(&out);
    end(&w);
}

static void new_matchers_under_a_known_id_take_effect(void **state)
{
    (void)state;
    struct world w;
    struct buf in = { 0 };
    begin(&w);
    write_record(&in, "id", 10, 500, OLD_FIELD);
    merge(&w, 10, &in, NULL);
    assert_int_equal(matches(&w, 11, "x"), 1);
    buf_reset(&in);
    size_t record = pb_begin_delimited(&in), s = pb_begin(&in, 1);
    pb_write_str(&in, 1, STR("id"));
    write_matcher(&in, 2, "a", "y", 0);
    pb_write_time(&in, 3, at(0));
    pb_write_time(&in, 4, at(500));
    pb_write_time(&in, 5, at(20));
    pb_end(&in, s);
    pb_write_time(&in, 2, at(500 + RETENTION_S));
    pb_end(&in, record);
    merge(&w, 21, &in, NULL);
    assert_int_equal(matches(&w, 22, "x"), 0);
    assert_int_equal(matches(&w, 22, "y"), 1);
    buf_deinit(&in);
    end(&w);
}

static void one_bad_record_spoils_the_message(void **state)
{
    (void)state;
    struct world w;
    struct buf in = { 0 };
    struct err err;
    begin(&w);
    struct replica r = silence_store_replica(w.st);
    write_record(&in, "id", 10, 500, OLD_FIELD);
    for (size_t n = 1; n < in.n; n++)
        assert_false(r.check(str_of(in.p, n), &err));
    write_record(&in, "\xff", 10, 500, OLD_FIELD); /* no UTF-8 */
    assert_false(r.check(buf_view(&in), &err));
    assert_int_equal(err.code, ERR_CORRUPT);
    buf_deinit(&in);
    end(&w);
}

static void state_encoded_in_slices_is_the_whole_state(void **state)
{
    (void)state;
    struct world w, other;
    struct buf out = { 0 };
    begin(&w);
    begin(&other);
    char value[16];
    for (int i = 0; i < 100; i++) {
        (void)snprintf(value, sizeof value, "v%d", i);
        set(&w, 0, "", value, 0, 500);
    }
    struct replica r = silence_store_replica(w.st);
    uint64_t cursor = 0;
    size_t slices = 1;
    while (r.encode(w.st, &cursor, 1000, &out))
        slices++;
    assert_true(slices > 5);
    merge(&other, 1, &out, NULL);
    assert_int_equal(silence_store_count(other.st), 100);
    buf_deinit(&out);
    end(&w);
    end(&other);
}

/* ---- Queries ---- */

static void list_is_sorted_by_state_and_time(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    set(&w, 0, "", "active_late", 0, 900);
    set(&w, 0, "", "expired_early", 0, 10);
    set(&w, 0, "", "pending_late", 300, 900);
    set(&w, 0, "", "active_early", 0, 500);
    set(&w, 0, "", "expired_late", 0, 20);
    set(&w, 0, "", "pending_early", 200, 900);
    struct silence_view *v = silence_store_view(w.st), *same = silence_store_view(w.st);
    assert_ptr_equal(v, same);
    silence_list_sort(v->v, v->n, at(100));
    static const char *const want[] = { "active_early", "active_late", "pending_early", "pending_late", "expired_late",
                                        "expired_early" };
    for (size_t i = 0; i < v->n; i++)
        assert_true(str_eq(v->v[i]->sets[0].v[0].value, str_c(want[i])));
    silence_view_release(v);
    silence_view_release(same);
    end(&w);
}

static void filters_compare_text(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    set_matcher(&w, 0, "", m(MATCH_RE, "a", "x.*"), 0, 900);
    const struct silence *s = get(&w, id_of(&w));
    struct matcher same = m(MATCH_RE, "a", "x.*"), other_op = m(MATCH_EQ, "a", "x.*"), value = m(MATCH_EQ, "a", "xy");
    assert_true(silence_has_matchers(s, &(struct matchers){ &same, 1 }));
    assert_false(silence_has_matchers(s, &(struct matchers){ &other_op, 1 }));
    assert_false(silence_has_matchers(s, &(struct matchers){ &value, 1 }));
    assert_true(silence_has_matchers(s, &(struct matchers){ NULL, 0 }));
    end(&w);
}

static void next_edge_is_when_a_state_changes_by_itself(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    set(&w, 0, "", "x", 100, 500);
    set(&w, 0, "", "y", 0, 300);
    assert_int_equal(wire_time_cmp(silence_store_next_edge(w.st, at(0)), at(100)), 0);
    assert_int_equal(wire_time_sub_ns(silence_store_next_edge(w.st, at(100)), at(300)), 1);
    assert_int_equal(wire_time_sub_ns(silence_store_next_edge(w.st, at(301)), at(500)), 1);
    assert_true(silence_store_next_edge(w.st, at(501)).s > at(1000000).s);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_silence_has_a_random_id_and_starts_no_earlier_than_now),
        cmocka_unit_test(invalid_silences_are_refused_in_upstreams_words),
        cmocka_unit_test(unknown_id_is_not_found_after_validation),
        cmocka_unit_test(active_silence_is_updated_in_place_only_if_start_and_matchers_stay),
        cmocka_unit_test(pending_silence_is_updated_in_place_if_it_stays_pending),
        cmocka_unit_test(expired_silence_is_replaced_without_touching_it),
        cmocka_unit_test(expiring_twice_is_fine_and_changes_once),
        cmocka_unit_test(limits_refuse_before_anything_changes),
        cmocka_unit_test(silences_are_dropped_when_retention_has_passed),
        cmocka_unit_test(own_change_wins_over_a_clock_that_is_ahead),
        cmocka_unit_test(newer_record_of_a_peer_wins_older_and_expired_ones_do_not),
        cmocka_unit_test(of_two_updates_at_one_instant_the_one_that_lasts_longer_wins_everywhere),
        cmocka_unit_test(record_is_passed_on_unchanged_with_unknown_fields),
        cmocka_unit_test(copy_of_the_first_set_is_put_in_before_sending),
        cmocka_unit_test(old_comments_become_author_and_comment),
        cmocka_unit_test(silence_without_matchers_matches_nothing_and_is_never_sent),
        cmocka_unit_test(silence_that_does_not_compile_is_kept_hidden_and_disturbs_nobody),
        cmocka_unit_test(new_matchers_under_a_known_id_take_effect),
        cmocka_unit_test(one_bad_record_spoils_the_message),
        cmocka_unit_test(state_encoded_in_slices_is_the_whole_state),
        cmocka_unit_test(list_is_sorted_by_state_and_time),
        cmocka_unit_test(filters_compare_text),
        cmocka_unit_test(next_edge_is_when_a_state_changes_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
