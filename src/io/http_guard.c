/* Basic authentication, rate limit and extra headers of the web configuration.
 *
 * G1  A guard never changes but for its rate limiter and its memory of good passwords, each behind its own lock (rank:
 *     leaves, nothing is taken inside).
 * G2  What is remembered of a good password is SHA-256 over a random salt, the user's hash and the password: the
 *     process keeps no password and no digest that could be looked up.
 * G3  The comparer works on one ticket at a time, in the order of arrival, so that guessing costs the guesser time. */
#include "io/http_guard.h"

#include "base/arena.h"
#include "base/lock.h"
#include "base/mem.h"
#include "crypto/bcrypt.h"
#include "http/auth.h"
#include "io/http_guard_int.h"
#include "io/thread.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

/* bcrypt of "fakepassword", cost 10: what an unknown user's password is compared with, so that it takes as long. It is
 * the exporter toolkit's. */
static const struct str FAKE_HASH = STR_INIT("$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi");

enum { SALT_BYTES = 16 };

struct http_guard {
    atomic_uint refs;
    struct arena arena; /* of all texts */
    struct http_guard_user *users;
    size_t users_count;
    struct http_header *headers;
    size_t headers_count;
    struct str broken;

    struct lock rate_lock; /* guards the two below */
    double rate_tokens;
    int64_t rate_at_ns;
    int64_t rate_interval_ns;
    uint64_t rate_burst;

    struct lock cache_lock; /* guards the three below */
    uint8_t cache[HTTP_GUARD_CACHE_MAX][SHA256_BYTES];
    size_t cache_count, cache_next;
    uint8_t salt[SALT_BYTES];
};

struct http_guard *http_guard_new(const struct http_guard_spec *spec)
{
    struct http_guard *g = MEM_NEW(struct http_guard);
    atomic_init(&g->refs, 1);
    arena_init(&g->arena, ARENA_NO_LIMIT);
    lock_init(&g->rate_lock);
    lock_init(&g->cache_lock);
    g->users = arena_alloc_array(&g->arena, spec->users_count, sizeof *g->users);
    g->users_count = spec->users_count;
    for (size_t i = 0; i < spec->users_count; i++)
        g->users[i] = (struct http_guard_user){ arena_str(&g->arena, spec->users[i].name),
                                                arena_str(&g->arena, spec->users[i].hash) };
    g->headers = arena_alloc_array(&g->arena, spec->headers_count, sizeof *g->headers);
    g->headers_count = spec->headers_count;
    for (size_t i = 0; i < spec->headers_count; i++)
        g->headers[i] = (struct http_header){ arena_str(&g->arena, spec->headers[i].name),
                                              arena_str(&g->arena, spec->headers[i].value) };
    g->broken = arena_str(&g->arena, spec->broken);
    g->rate_interval_ns = spec->rate_interval_ns;
    g->rate_burst = spec->rate_burst;
    g->rate_tokens = (double)spec->rate_burst;
    g->rate_at_ns = INT64_MIN;
    ssize_t got = getrandom(g->salt, sizeof g->salt, 0);
    ASSERT(got == SALT_BYTES);
    return g;
}

struct http_guard *http_guard_retain(struct http_guard *g)
{
    atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
    return g;
}

void http_guard_release(struct http_guard *g)
{
    if (!g || atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) != 1)
        return;
    arena_deinit(&g->arena);
    lock_deinit(&g->rate_lock);
    lock_deinit(&g->cache_lock);
    mem_free(g);
}

/* A token bucket as golang.org/x/time/rate: one token per interval, at most `burst` of them. */
static bool rate_allows(struct http_guard *g, int64_t now_ns)
{
    if (g->rate_interval_ns <= 0)
        return true;
    lock_take(&g->rate_lock);
    if (g->rate_at_ns != INT64_MIN && now_ns > g->rate_at_ns)
        g->rate_tokens += (double)(now_ns - g->rate_at_ns) / (double)g->rate_interval_ns;
    if (g->rate_tokens > (double)g->rate_burst)
        g->rate_tokens = (double)g->rate_burst;
    g->rate_at_ns = now_ns;
    bool allowed = g->rate_tokens >= 1;
    if (allowed)
        g->rate_tokens -= 1;
    lock_give(&g->rate_lock);
    return allowed;
}

static bool cache_has(struct http_guard *g, const uint8_t digest[SHA256_BYTES])
{
    bool found = false;
    lock_take(&g->cache_lock);
    for (size_t i = 0; i < g->cache_count && !found; i++)
        found = memcmp(g->cache[i], digest, SHA256_BYTES) == 0;
    lock_give(&g->cache_lock);
    return found;
}

static void cache_put(struct http_guard *g, const uint8_t digest[SHA256_BYTES])
{
    lock_take(&g->cache_lock);
    memcpy(g->cache[g->cache_next], digest, SHA256_BYTES);
    g->cache_next = (g->cache_next + 1) % HTTP_GUARD_CACHE_MAX;
    if (g->cache_count < HTTP_GUARD_CACHE_MAX)
        g->cache_count++;
    lock_give(&g->cache_lock);
}

static void salted_digest(struct http_guard *g, struct str hash, struct str password, uint8_t out[SHA256_BYTES])
{
    struct buf b = { 0 };
    buf_append(&b, g->salt, sizeof g->salt);
    buf_str(&b, hash);
    buf_byte(&b, 0);
    buf_str(&b, password);
    hash_sha256(buf_view(&b), out);
    explicit_bzero(b.p, b.n);
    buf_deinit(&b);
}

enum guard_verdict guard_check(struct http_guard *g, const struct http_request *req, int64_t now_ns,
                               struct guard_ticket *t)
{
    if (g->broken.n)
        return GUARD_BROKEN;
    if (!rate_allows(g, now_ns))
        return GUARD_LIMITED;
    if (g->users_count == 0)
        return GUARD_PASS;
    struct str user, password;
    if (!http_basic_parse(req->arena, http_request_header(req, STR("Authorization")), &user, &password))
        return GUARD_UNAUTHORIZED;
    *t = (struct guard_ticket){ .guard = g, .hash = FAKE_HASH, .password = password };
    for (size_t i = 0; i < g->users_count; i++) {
        if (str_eq(g->users[i].name, user)) {
            t->known_user = true;
            t->hash = g->users[i].hash;
        }
    }
    salted_digest(g, t->hash, password, t->digest);
    return t->known_user && cache_has(g, t->digest) ? GUARD_PASS : GUARD_COMPARE;
}

void guard_add_headers(const struct http_guard *g, struct http_response *res)
{
    for (size_t i = 0; i < g->headers_count && res->headers_count < HTTP_RESPONSE_HEADERS_MAX; i++)
        http_response_header(res, g->headers[i].name, g->headers[i].value);
}

/* ---- The comparing thread ---- */

struct guard_comparer {
    pthread_mutex_t m; /* guards all below; rank: leaf */
    pthread_cond_t more;
    struct guard_ticket *head, **tail;
    size_t waiting;
    bool stop;
    struct thread thread;
};

static void compare_all(void *arg)
{
    struct guard_comparer *c = arg;
    pthread_mutex_lock(&c->m);
    while (!c->stop) {
        struct guard_ticket *t = c->head;
        if (!t) {
            pthread_cond_wait(&c->more, &c->m);
            continue;
        }
        c->head = t->next;
        if (!c->head)
            c->tail = &c->head;
        c->waiting--;
        pthread_mutex_unlock(&c->m);
        bool same = bcrypt_check(t->hash, t->password);
        t->matched = same && t->known_user;
        if (t->matched)
            cache_put(t->guard, t->digest);
        t->done(t);
        pthread_mutex_lock(&c->m);
    }
    pthread_mutex_unlock(&c->m);
}

struct guard_comparer *guard_comparer_new(void)
{
    struct guard_comparer *c = MEM_NEW(struct guard_comparer);
    int rc = pthread_mutex_init(&c->m, NULL) | pthread_cond_init(&c->more, NULL);
    ASSERT(rc == 0);
    c->tail = &c->head;
    return c;
}

bool guard_compare(struct guard_comparer *c, struct guard_ticket *t)
{
    struct err err;
    pthread_mutex_lock(&c->m);
    bool ok = !c->stop && c->waiting < HTTP_GUARD_QUEUE_MAX &&
              (c->thread.started || thread_start(&c->thread, "http-auth", compare_all, c, &err));
    if (ok) {
        t->next = NULL;
        *c->tail = t;
        c->tail = &t->next;
        c->waiting++;
        pthread_cond_signal(&c->more);
    }
    pthread_mutex_unlock(&c->m);
    return ok;
}

void guard_comparer_free(struct guard_comparer *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->m);
    c->stop = true;
    pthread_cond_signal(&c->more);
    pthread_mutex_unlock(&c->m);
    thread_join(&c->thread);
    while (c->head) {
        struct guard_ticket *t = c->head;
        c->head = t->next;
        t->matched = false;
        t->done(t);
    }
    pthread_mutex_destroy(&c->m);
    pthread_cond_destroy(&c->more);
    mem_free(c);
}
