/* Ordered members: see members_int.h.
 *
 * M1  Runs are not empty, and everything in a run is before everything in the next.
 * M2  A run holds at most RUN_MAX slots; a full one is split into halves, so a group of n has about n / 300 runs and an
 *     insertion moves a few KiB at most. */
#include "dispatch/members_int.h"

#include "base/mem.h"

static const uint32_t RUN_MAX = 512;

void group_members_deinit(struct members *m)
{
    for (uint32_t i = 0; i < m->runs_count; i++)
        mem_free(m->runs[i].v);
    mem_free(m->runs);
    *m = (struct members){ 0 };
}

static int compare(const struct alert_slot *a, const struct alert_slot *b)
{
    return alert_compare(a->value, b->value);
}

/* The last run whose first slot is not after s (0 if none is). */
static uint32_t find_run(const struct members *m, const struct alert_slot *s)
{
    uint32_t lo = 0, hi = m->runs_count;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (compare(m->runs[mid].v[0], s) <= 0)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

/* The first place in the run that is not before s. */
static uint32_t find_place(const struct member_run *r, const struct alert_slot *s)
{
    uint32_t lo = 0, hi = r->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (compare(r->v[mid], s) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void insert_run(struct members *m, uint32_t at, struct member_run r)
{
    if (m->runs_count == m->runs_capacity) {
        m->runs_capacity = m->runs_capacity ? m->runs_capacity * 2 : 1;
        m->runs = mem_realloc_array(m->runs, m->runs_capacity, sizeof *m->runs);
    }
    memmove(m->runs + at + 1, m->runs + at, (m->runs_count - at) * sizeof *m->runs);
    m->runs[at] = r;
    m->runs_count++;
}

static void split_run(struct members *m, uint32_t at)
{
    struct member_run *left = &m->runs[at];
    uint32_t half = left->n / 2, rest = left->n - half;
    struct member_run right = { rest, RUN_MAX, mem_alloc_array(RUN_MAX, sizeof *right.v) };
    memcpy(right.v, left->v + half, rest * sizeof *right.v);
    left->n = half;
    insert_run(m, at + 1, right);
}

void group_members_add(struct members *m, struct alert_slot *s)
{
    if (m->runs_count == 0)
        insert_run(m, 0, (struct member_run){ 0 });
    uint32_t at = find_run(m, s);
    if (m->runs[at].n == RUN_MAX) {
        split_run(m, at);
        at = find_run(m, s);
    }
    struct member_run *r = &m->runs[at];
    if (r->n == r->capacity) {
        r->capacity = r->capacity ? r->capacity * 2 : 1;
        r->v = mem_realloc_array(r->v, r->capacity, sizeof *r->v);
    }
    uint32_t place = find_place(r, s);
    memmove(r->v + place + 1, r->v + place, (r->n - place) * sizeof *r->v);
    r->v[place] = s;
    r->n++;
    m->count++;
}

bool group_members_remove(struct members *m, const struct alert_slot *s)
{
    if (m->runs_count == 0)
        return false;
    uint32_t at = find_run(m, s);
    struct member_run *r = &m->runs[at];
    uint32_t place = find_place(r, s);
    while (place < r->n && r->v[place] != s && compare(r->v[place], s) == 0)
        place++;
    if (place == r->n || r->v[place] != s)
        return false;
    memmove(r->v + place, r->v + place + 1, (r->n - place - 1) * sizeof *r->v);
    m->count--;
    if (--r->n == 0) {
        mem_free(r->v);
        m->runs_count--;
        memmove(m->runs + at, m->runs + at + 1, (m->runs_count - at) * sizeof *m->runs);
    }
    return true;
}

struct alert_slot *group_members_next(const struct members *m, struct member_at *at)
{
    while (at->run < m->runs_count) {
        const struct member_run *r = &m->runs[at->run];
        if (at->i < r->n)
            return r->v[at->i++];
        at->run++;
        at->i = 0;
    }
    return NULL;
}
