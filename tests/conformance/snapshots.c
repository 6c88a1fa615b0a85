/* Snapshot files written by the real program (conformance/alertmanager/snapshots): they load, show what the decoded form
 * says, and are written again byte for byte. */
#include "lib/shared.h"
#include "nflog/nflog.h"
#include "silence/silence.h"

#include "base/num.h"

#include <stdio.h>

static struct wire_time read_time(const json_t *t)
{
    return (struct wire_time){ shared_get_int(t, "seconds", 0), (int32_t)shared_get_int(t, "nanos", 0) };
}

static bool same_time(struct wire_time a, const json_t *t)
{
    return wire_time_cmp(a, read_time(t)) == 0;
}

static bool same_list(const uint64_t *v, size_t n, const json_t *list)
{
    if (n != json_array_size(list))
        return false;
    for (size_t i = 0; i < n; i++) {
        uint64_t want;
        if (!num_parse_u64(str_c(json_string_value(json_array_get(list, i))), 10, &want) || want != v[i])
            return false;
    }
    return true;
}

static void check_entry(struct nflog *log, const json_t *value)
{
    const json_t *entry = json_object_get(value, "entry"), *receiver = json_object_get(entry, "receiver");
    struct nflog_receiver r = { shared_get_str(receiver, "group_name"), shared_get_str(receiver, "integration"),
                                (uint32_t)shared_get_int(receiver, "idx", 0) };
    struct buf key = { 0 };
    struct arena a;
    struct nflog_entry e;
    arena_init(&a, ARENA_NO_LIMIT);
    nflog_key_write(&key, shared_get_str(entry, "group_key"), &r);
    bool ok = nflog_query(log, &a, buf_view(&key), &e) && str_eq(e.group_key, shared_get_str(entry, "group_key")) &&
              same_time(e.timestamp, json_object_get(entry, "timestamp")) &&
              same_time(e.expires_at, json_object_get(value, "expires_at")) &&
              same_list(e.firing, e.firing_count, json_object_get(entry, "firing_alerts")) &&
              same_list(e.resolved, e.resolved_count, json_object_get(entry, "resolved_alerts"));
    if (ok)
        shared_pass();
    else
        shared_fail("nflog entry", "%.*s", STR_ARG(buf_view(&key)));
    buf_deinit(&key);
    arena_deinit(&a);
}

static void check_nflog(void)
{
    struct buf file = { 0 }, again = { 0 };
    struct err err = { 0 };
    struct nflog *log = nflog_new(120 * 3600 * 1000LL);
    if (shared_read("conformance/alertmanager/snapshots/nflog.bin", &file)) {
        if (!nflog_load(log, buf_view(&file), &err))
            shared_fail("nflog.bin", "%.*s", STR_ARG(err_text(&err)));
        struct replica row = nflog_replica(log);
        replica_encode_all(&row, &again);
        shared_check_str("nflog.bin written again", buf_view(&again), buf_view(&file));
        json_t *list = shared_json("conformance/alertmanager/snapshots/nflog.json"), *value;
        size_t i;
        json_array_foreach(list, i, value)
            check_entry(log, value);
        json_decref(list);
    }
    nflog_free(log);
    buf_deinit(&file);
    buf_deinit(&again);
}

static bool same_matchers(const struct silence *s, const json_t *list)
{
    static const enum match_op ops[] = { MATCH_EQ, MATCH_RE, MATCH_NE, MATCH_NRE };
    if (s->sets_count != 1 || s->sets[0].n != json_array_size(list))
        return false;
    for (size_t i = 0; i < s->sets[0].n; i++) {
        const json_t *want = json_array_get(list, i);
        const struct matcher *m = &s->sets[0].v[i];
        if (m->op != ops[shared_get_int(want, "type", 0) & 3] || !str_eq(m->name, shared_get_str(want, "name")) ||
            !str_eq(m->value, shared_get_str(want, "pattern")))
            return false;
    }
    return true;
}

static void check_silence(struct silence_store *st, const json_t *value)
{
    const json_t *want = json_object_get(value, "silence");
    const struct silence *s = silence_store_get(st, shared_get_str(want, "id"));
    bool ok = s && same_matchers(s, json_object_get(want, "matchers")) &&
              same_time(s->starts_at, json_object_get(want, "starts_at")) &&
              same_time(s->ends_at, json_object_get(want, "ends_at")) &&
              same_time(s->updated_at, json_object_get(want, "updated_at")) &&
              str_eq(s->created_by, shared_get_str(want, "created_by")) &&
              str_eq(s->comment, shared_get_str(want, "comment"));
    if (ok)
        shared_pass();
    else
        shared_fail("silence", "%.*s", STR_ARG(shared_get_str(want, "id")));
}

static void check_silences(void)
{
    struct buf file = { 0 }, again = { 0 };
    struct err err = { 0 };
    struct silence_options options = { .retention_ms = 120 * 3600 * 1000LL };
    struct silence_store *st = silence_store_new(&options);
    if (shared_read("conformance/alertmanager/snapshots/silences.bin", &file)) {
        if (!silence_store_load(st, buf_view(&file), NULL, NULL, &err))
            shared_fail("silences.bin", "%.*s", STR_ARG(err_text(&err)));
        uint64_t cursor = 0;
        while (silence_store_snapshot(st, &cursor, SIZE_MAX, &again))
            continue;
        shared_check_str("silences.bin written again", buf_view(&again), buf_view(&file));
        json_t *list = shared_json("conformance/alertmanager/snapshots/silences.json"), *value;
        size_t i;
        json_array_foreach(list, i, value)
            check_silence(st, value);
        json_decref(list);
    }
    silence_store_free(st);
    buf_deinit(&file);
    buf_deinit(&again);
}

int main(void)
{
    if (!shared_begin("snapshots"))
        return shared_finish();
    check_nflog();
    check_silences();
    return shared_finish();
}
