/* Calls: from send to done. Slots, turns, redirects, deadlines, and libcurl on a libuv loop.
 *
 *   NEW --> TOKEN --(token there)--> QUEUED --(slot)--> RUNNING --> done
 *      \________________________________^    (redirects stay RUNNING and keep their slot)
 *   any --> FAILED --(next turn)--> done     cancelled inside libcurl --> ZOMBIE --> freed
 *
 * C1  done is called from the loop's timers or after libcurl has returned, never from within http_client_send() and never
 *     from inside libcurl, so a done callback may send, cancel and free as it likes.
 * C2  A call that is not RUNNING holds no socket, no libcurl handle, and (unless its URL has escapes, or it is one of the
 *     SPARES_MAX that took over what another left) no arena block: thousands of them may wait.
 * C3  Turns: hosts with waiting calls stand in a ring; a free slot goes to the next host in it. A host may take a slot
 *     only while it has fewer of them than are free: so one dead host ends up with half of all, the second with half of
 *     the rest, and a host that has none always gets in.
 *     A quarter of all slots is kept for hosts that answered when they were last asked (host_memory_int.h): thousands of
 *     dead hosts, one slot each, do not shut out those that work.
 * C4  At most START_PER_TURN transfers are started per turn of the loop, and one over TLS, which may cost milliseconds of
 *     CPU to open, counts for TLS_WEIGHT of them.
 * C5  A burst for one host does not open a connection for each call: a host has a window of calls under way, and those
 *     behind it find warm connections. A window that is full is looked at every WINDOW_LOOK_MS while calls wait. It
 *     grows fourfold if nothing came back, and doubles if the last growth let half as many more come back: so a host that
 *     is slow to answer has thousands of calls under way within a fraction of a second, and one that is busy is not given
 *     more than it can do. A host without calls is forgotten, its window too. */
#include "io/http_client.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "io/clock_io.h"
#include "io/fs_posix.h"
#include "io/http_client_int.h"
#include "io/service.h"

#include <malloc.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { START_PER_TURN = 32, TLS_WEIGHT = 4, REDIRECTS_MAX = 10 };
enum { CONNECTIONS_MAX = 16384, IDLE_CONNECTIONS_MAX = 256 };
enum { TRIM_CALLS = 256, SPARES_IDLE = 8 }; /* that make a storm; that are kept when nothing is under way */
enum { WINDOW_START = 64, WINDOW_LOOK_MS = 50, PROXY_LOOKUP_MS = 30000 };

const struct metric_desc http_client_metric_descs[] = {
    METRIC(GAUGE, struct http_client_stats, waiting, "tocsin_send_waiting",
           "Outgoing requests that wait for a connection slot."),
    METRIC(GAUGE, struct http_client_stats, connections, "tocsin_send_connections",
           "Outgoing requests that hold a connection slot."),
};
const size_t http_client_metric_descs_count = ARRAY_LEN(http_client_metric_descs);

static void start_some(void *arg);
static void look_at_windows(void *arg);
static void schedule_start(struct http_client *c);

/* ---- libcurl on the loop ---- */

static void finish(struct http_call_state *s);
static void complete(struct http_call_state *s, CURLcode code);
static void state_free(struct http_call_state *s);

static void bury_zombies(struct http_client *c)
{
    while (c->zombies) {
        struct http_call_state *s = c->zombies;
        c->zombies = s->queue_next;
        state_free(s);
    }
}

/* What libcurl has finished. Each completion may start others, or end them. */
static void read_messages(struct http_client *c)
{
    bury_zombies(c);
    CURLMsg *m;
    int left;
    while ((m = curl_multi_info_read(c->multi, &left)) != NULL) {
        if (m->msg != CURLMSG_DONE)
            continue;
        struct http_call_state *s = NULL;
        CURLcode code = m->data.result;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &s);
        complete(s, code);
        bury_zombies(c);
    }
}

void http_client_socket_action(struct http_client *c, curl_socket_t fd, int events)
{
    int running;
    c->in_curl = true;
    curl_multi_socket_action(c->multi, fd, events, &running);
    c->in_curl = false;
    read_messages(c);
}

static void on_curl_timer(void *arg)
{
    struct http_client *c = arg;
    http_client_socket_action(c, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer_change(CURLM *multi, long timeout_ms, void *arg)
{
    struct http_client *c = arg;
    (void)multi;
    if (timeout_ms < 0)
        loop_timer_stop(c->loop, &c->curl_timer);
    else
        loop_timer_in(c->loop, &c->curl_timer, timeout_ms);
    return 0;
}

struct http_client *http_client_new(struct loop *l, const struct http_client_options *options)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, http_client_library_start);
    struct http_client *c = MEM_NEW(struct http_client);
    c->loop = l;
    arena_init(&c->arena, ARENA_NO_LIMIT);
    c->user_agent = arena_str(&c->arena, options->user_agent);
    http_proxy_rules_from_environ(&c->env_proxy, options->environ ? options->environ : (const char *const *)environ);
    c->env_proxy.http_proxy = arena_str(&c->arena, c->env_proxy.http_proxy);
    c->env_proxy.https_proxy = arena_str(&c->arena, c->env_proxy.https_proxy);
    c->env_proxy.no_proxy = arena_str(&c->arena, c->env_proxy.no_proxy);
    c->connections_max = options->connections_max;
    if (c->connections_max == 0) {
        uint64_t half = service_files_limit() / 2;
        c->connections_max = half > CONNECTIONS_MAX ? CONNECTIONS_MAX : half < 8 ? 8 : (unsigned)half;
    }
    c->curl_timer = (struct loop_timer){ .fire = on_curl_timer, .arg = c };
    c->start_timer = (struct loop_timer){ .fire = start_some, .arg = c };
    c->window_timer = (struct loop_timer){ .fire = look_at_windows, .arg = c };
    c->materials = material_cache_new(fs_posix());
    c->multi = curl_multi_init();
    ASSERT(c->multi != NULL);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, http_watch_change);
    curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timer_change);
    curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
    curl_multi_setopt(c->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)c->connections_max);
    curl_multi_setopt(c->multi, CURLMOPT_MAXCONNECTS,
                      (long)(c->connections_max < IDLE_CONNECTIONS_MAX ? c->connections_max : IDLE_CONNECTIONS_MAX));
    return c;
}

struct http_client_stats *http_client_stats(struct http_client *c)
{
    return &c->stats;
}

/* ---- Slots and turns ---- */

static void ring_add(struct http_client *c, struct host_queue *h)
{
    if (h->next)
        return;
    if (!c->ring) {
        h->prev = h->next = h;
        c->ring = h;
        return;
    }
    h->next = c->ring; /* last in turn */
    h->prev = c->ring->prev;
    h->prev->next = h;
    h->next->prev = h;
}

static void ring_remove(struct http_client *c, struct host_queue *h)
{
    if (!h->next)
        return;
    if (c->ring == h)
        c->ring = h->next == h ? NULL : h->next;
    h->prev->next = h->next;
    h->next->prev = h->prev;
    h->prev = h->next = NULL;
}

static void show(struct http_client *c)
{
    gauge_set(&c->stats.waiting, (double)(c->waiting + c->held_back));
    gauge_set(&c->stats.connections, (double)c->active);
}

void http_client_held_back(struct http_client *c, size_t n)
{
    c->held_back = n;
    show(c);
}

static void host_leave(struct http_client *c, struct host_queue *h)
{
    if (h->active || h->waiting)
        return;
    ring_remove(c, h);
    map_remove(&c->hosts, str_c(h->key));
    mem_free(h->key);
    mem_free(h);
}

static void enqueue(struct http_call_state *s)
{
    struct http_client *c = s->client;
    struct buf *key = &c->key; /* not in the arena: a call that waits has not touched its own (C2) */
    buf_reset(key);
    buf_str(key, s->url.scheme);
    buf_c(key, "://");
    buf_str(key, s->url.host);
    struct host_queue *h = map_get(&c->hosts, buf_view(key));
    if (!h) {
        h = MEM_NEW(struct host_queue);
        h->key = mem_dup(key->p, key->n + 1);
        h->window = WINDOW_START;
        h->hash = host_memory_hash(buf_view(key));
        map_put(&c->hosts, str_c(h->key), h);
    }
    s->host = h;
    s->stage = CALL_QUEUED;
    s->queue_next = NULL;
    s->queue_prev = h->last;
    if (h->last)
        h->last->queue_next = s;
    else
        h->head = s;
    h->last = s;
    h->waiting++;
    c->waiting++;
    ring_add(c, h);
    show(c);
    schedule_start(c);
}

static void unlink_queued(struct http_call_state *s)
{
    struct http_client *c = s->client;
    struct host_queue *h = s->host;
    if (s->queue_prev)
        s->queue_prev->queue_next = s->queue_next;
    else
        h->head = s->queue_next;
    if (s->queue_next)
        s->queue_next->queue_prev = s->queue_prev;
    else
        h->last = s->queue_prev;
    h->waiting--;
    c->waiting--;
    if (!h->waiting)
        ring_remove(c, h);
    s->queue_next = s->queue_prev = NULL;
}

static void leave_queue(struct http_call_state *s)
{
    struct http_client *c = s->client;
    struct host_queue *h = s->host;
    unlink_queued(s);
    s->host = NULL;
    host_leave(c, h);
    show(c);
}

static CURL *take_easy(struct http_client *c)
{
    if (c->spare.easy_count)
        return c->spare.easy[--c->spare.easy_count];
    CURL *e = curl_easy_init();
    ASSERT(e != NULL);
    return e;
}

/* Out of libcurl; the handle is spare. */
static void release_easy(struct http_call_state *s)
{
    struct http_client *c = s->client;
    if (!s->easy)
        return;
    curl_multi_remove_handle(c->multi, s->easy);
    call_unshare(s);
    curl_easy_reset(s->easy);
    if (c->spare.easy_count < SPARES_MAX)
        c->spare.easy[c->spare.easy_count++] = s->easy;
    else
        curl_easy_cleanup(s->easy);
    s->easy = NULL;
    call_teardown(s);
}

static void release_slot(struct http_call_state *s)
{
    struct http_client *c = s->client;
    struct host_queue *h = s->host;
    release_easy(s);
    c->active--;
    h->active--;
    h->finished++;
    s->host = NULL;
    host_leave(c, h);
    show(c);
    if (c->waiting)
        schedule_start(c);
}

/* Ends the call in the next turn: done is not called from here (C1). */
static void fail_later(struct http_call_state *s)
{
    if (s->stage == CALL_QUEUED)
        leave_queue(s);
    else if (s->stage == CALL_RUNNING)
        release_slot(s);
    s->stage = CALL_FAILED;
    loop_timer_in(s->client->loop, &s->later, 0);
}

static void add_to_curl(struct http_call_state *s)
{
    CURLMcode rc = curl_multi_add_handle(s->client->multi, s->easy);
    ASSERT(rc == CURLM_OK);
}

static void proxy_found(void *arg, const struct addr *addrs, size_t count, const struct err *err)
{
    struct http_call_state *s = arg;
    s->lookup = NULL;
    if (count == 0) {
        s->err = *err;
        err_wrap(&s->err, "proxyconnect tcp: dial tcp");
        fail_later(s);
        return;
    }
    call_place_proxy(s, addrs, count);
    add_to_curl(s);
}

static void transfer(struct http_call_state *s)
{
    struct http_client *c = s->client;
    if (!call_setup(s, &s->err)) {
        fail_later(s);
        return;
    }
    if (s->proxy_host.n == 0) {
        add_to_curl(s);
        return;
    }
    if (!c->dns)
        c->dns = dns_new(c->loop);
    s->lookup = dns_resolve(c->dns, s->proxy_host, s->proxy_port, (mono_ms){ clock_mono().ms + PROXY_LOOKUP_MS }, proxy_found, s);
}

static void start(struct http_call_state *s)
{
    struct http_client *c = s->client;
    struct host_queue *h = s->host;
    unlink_queued(s);
    s->stage = CALL_RUNNING;
    h->active++;
    c->active++;
    s->easy = take_easy(c);
    show(c);
    if (s->call->started)
        s->call->started(s->call->arg);
    transfer(s);
}

/* The next host whose turn it is and that may take a slot (C3, C5). */
static struct host_queue *next_host(struct http_client *c)
{
    size_t free_slots = c->connections_max - c->active;
    bool for_all = free_slots > c->connections_max / 4;
    struct host_queue *h = c->ring;
    do {
        if (h->active < free_slots && h->active < h->window && (for_all || host_memory_has(&c->memory, h->hash)))
            return h;
        h = h->next;
    } while (h != c->ring);
    return NULL;
}

static void start_some(void *arg)
{
    struct http_client *c = arg;
    unsigned started = 0;
    while (c->ring && c->active < c->connections_max) {
        if (started >= START_PER_TURN) {
            schedule_start(c);
            return;
        }
        struct host_queue *h = next_host(c);
        if (!h)
            break; /* a slot that comes free looks again */
        c->ring = h->next;
        started += str_eq(h->head->url.scheme, STR("https")) ? TLS_WEIGHT : 1;
        start(h->head);
    }
    if (c->ring && !timer_is_armed(&c->window_timer.entry))
        loop_timer_in(c->loop, &c->window_timer, WINDOW_LOOK_MS);
}

static void look_at_windows(void *arg)
{
    struct http_client *c = arg;
    struct host_queue *h = c->ring;
    if (!h)
        return;
    /* On a busy machine the answers may be there, and only we have not been: they are read before we judge. */
    c->look_due = !c->look_due;
    if (c->look_due) {
        loop_timer_in(c->loop, &c->window_timer, 0);
        return;
    }
    do {
        if (h->active >= h->window && (h->finished == 0 || h->finished >= h->best + h->best / 2)) {
            h->best = h->finished;
            h->window *= h->finished == 0 ? 4 : 2;
        }
        h->finished = 0;
        h = h->next;
    } while (h != c->ring);
    start_some(c);
}

static void schedule_start(struct http_client *c)
{
    if (!timer_is_armed(&c->start_timer.entry))
        loop_timer_in(c->loop, &c->start_timer, 0);
}

/* ---- The life of a call ---- */

static void keep_spares(struct http_client *c, size_t most)
{
    struct spares *s = &c->spare;
    while (s->easy_count > most)
        curl_easy_cleanup(s->easy[--s->easy_count]);
    while (s->states_count > most) {
        struct http_call_state *state = s->states[--s->states_count];
        arena_deinit(&state->arena);
        mem_free(state);
    }
}

/* After a storm of calls the heap is given back: idle again is small again. */
static void trim_after_storm(struct http_client *c)
{
    if (c->open > 0 || c->open_peak < TRIM_CALLS)
        return;
    c->open_peak = 0;
    keep_spares(c, SPARES_IDLE);
    malloc_trim(0);
}

static struct http_call_state *state_new(struct http_client *c)
{
    struct http_call_state *s;
    if (c->spare.states_count) {
        s = c->spare.states[--c->spare.states_count];
    } else {
        s = MEM_NEW(struct http_call_state);
        arena_init(&s->arena, ARENA_NO_LIMIT);
    }
    s->client = c;
    return s;
}

static void state_unlink(struct http_call_state *s)
{
    s->client->open--;
    if (s->prev)
        s->prev->next = s->next;
    else
        s->client->calls = s->next;
    if (s->next)
        s->next->prev = s->prev;
    s->prev = s->next = NULL;
}

static void state_free(struct http_call_state *s)
{
    struct http_client *c = s->client;
    if (s->stage == CALL_QUEUED)
        leave_queue(s);
    else if (s->stage == CALL_RUNNING || s->stage == CALL_ZOMBIE)
        release_slot(s);
    token_forget_waiter(s);
    loop_timer_stop(c->loop, &s->deadline);
    loop_timer_stop(c->loop, &s->later);
    mem_free(s->answer_headers);
    buf_deinit(&s->body_own);
    if (c->spare.states_count == SPARES_MAX) {
        arena_deinit(&s->arena);
        mem_free(s);
        return;
    }
    arena_reset(&s->arena);
    struct arena arena = s->arena;
    *s = (struct http_call_state){ .arena = arena };
    c->spare.states[c->spare.states_count++] = s;
}

/* Go's stripPassword: "http://user:***@host/". */
static void write_without_password(struct buf *b, const struct http_url *u)
{
    if (!u->has_password) {
        http_url_write(b, u);
        return;
    }
    struct buf redacted = { 0 };
    http_url_write_redacted(&redacted, u); /* ":xxxxx@" is the first of its kind in it */
    struct str text = buf_view(&redacted);
    size_t at = str_find(text, STR(":xxxxx@"));
    ASSERT(at != STR_NPOS);
    buf_str(b, str_sub(text, 0, at));
    buf_c(b, ":***@");
    buf_str(b, str_from(text, at + 7));
    buf_deinit(&redacted);
}

/* `Post "http://x": ` in front, as Go's url.Error. */
static void name_error(struct http_call_state *s)
{
    struct buf b = { 0 };
    struct str m = s->method;
    for (size_t i = 0; i < m.n; i++)
        buf_byte(&b, i == 0 ? m.p[i] : ascii_lower(m.p[i]));
    buf_byte(&b, ' ');
    struct buf url = { 0 };
    if (s->call->secret_url)
        buf_c(&url, "<redacted>");
    else
        write_without_password(&url, &s->url);
    go_quote(&b, buf_view(&url));
    err_wrap(&s->err, "%.*s", STR_ARG(buf_view(&b)));
    buf_deinit(&url);
    buf_deinit(&b);
}

/* Gives the result to the caller and is gone. */
static void finish(struct http_call_state *s)
{
    struct http_call *call = s->call;
    long status = 0;
    if (s->easy)
        curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
    bool failed = s->err.code != ERR_NONE;
    if (failed && s->has_url)
        name_error(s);
    struct http_result r = {
        .arrived = status >= 200 && (!failed || (s->body_bytes && !s->timed_out)),
        .status = (int)status,
        .headers = s->answer_headers,
        .headers_count = s->answer_headers_count,
        .body = buf_view(call->body_into ? call->body_into : &s->body_own),
        .body_cut = s->cut,
        .url = s->url_text,
        .timed_out = s->timed_out,
        .err = s->err,
    };
    if (s->stage == CALL_RUNNING) {
        release_slot(s);
        s->stage = CALL_FAILED;
    }
    loop_timer_stop(s->client->loop, &s->deadline);
    state_unlink(s);
    struct http_client *c = s->client;
    call->state = NULL;
    call->done(call->arg, &r);
    state_free(s);
    trim_after_storm(c);
}

static void on_later(void *arg)
{
    finish(arg);
}

static void on_deadline(void *arg)
{
    struct http_call_state *s = arg;
    err_set(&s->err, ERR_TIMEOUT, "context deadline exceeded");
    s->timed_out = true;
    if (s->stage == CALL_TOKEN)
        token_forget_waiter(s);
    if (s->stage != CALL_FAILED)
        fail_later(s);
}

static bool parse_target(struct http_call_state *s, struct str text, struct err *err)
{
    if (!http_url_parse(&s->arena, text, &s->url, err)) {
        if (s->call->secret_url)
            err_set(err, ERR_INVALID, "parse \"<redacted>\": invalid URL");
        return false;
    }
    s->has_url = true;
    if (!str_eq(s->url.scheme, STR("http")) && !str_eq(s->url.scheme, STR("https"))) {
        struct buf b = { 0 };
        go_quote(&b, s->url.scheme);
        err_set(err, ERR_INVALID, "unsupported protocol scheme %.*s", STR_ARG(buf_view(&b)));
        buf_deinit(&b);
        return false;
    }
    return s->url.host.n > 0 || err_set(err, ERR_INVALID, "http: no Host in request URL");
}

static void proceed(struct http_call_state *s)
{
    if (s->call->config && s->call->config->oauth2) {
        s->stage = CALL_TOKEN;
        switch (token_get(s, &s->err)) {
        case TOKEN_WAIT:
            return;
        case TOKEN_FAIL:
            fail_later(s);
            return;
        case TOKEN_READY:
            break;
        }
    }
    enqueue(s);
}

void call_token_done(struct http_call_state *s, const struct err *err)
{
    ASSERT(s->stage == CALL_TOKEN);
    if (err) {
        s->err = *err;
        fail_later(s);
    } else {
        enqueue(s);
    }
}

void http_client_send(struct http_client *c, struct http_call *call)
{
    ASSERT(!call->state);
    ASSERT(call->done != NULL);
    struct http_call_state *s = state_new(c);
    s->call = call;
    call->state = s;
    s->deadline = (struct loop_timer){ .fire = on_deadline, .arg = s };
    s->later = (struct loop_timer){ .fire = on_later, .arg = s };
    s->next = c->calls;
    if (s->next)
        s->next->prev = s;
    c->calls = s;
    if (++c->open > c->open_peak)
        c->open_peak = c->open;
    s->method = call->method.n ? call->method : STR("GET");
    s->body = call->body;
    s->url_text = call->url;
    if (call->timeout_ms > 0)
        loop_timer_in(c->loop, &s->deadline, call->timeout_ms);
    if (!parse_target(s, s->url_text, &s->err)) {
        fail_later(s);
        return;
    }
    s->first_url = s->url;
    proceed(s);
}

void http_client_cancel(struct http_client *c, struct http_call *call)
{
    struct http_call_state *s = call->state;
    if (!s)
        return;
    ASSERT(s->client == c);
    call->state = NULL;
    state_unlink(s);
    if (c->in_curl && s->stage == CALL_RUNNING) { /* libcurl does not like to lose a handle while it works */
        s->call = NULL;
        s->stage = CALL_ZOMBIE;
        loop_timer_stop(c->loop, &s->deadline);
        s->queue_next = c->zombies;
        c->zombies = s;
        return;
    }
    state_free(s);
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    struct http_call_state *s = c->calls;
    while (s) {
        err_set(&s->err, ERR_CANCELLED, "context canceled");
        token_forget_waiter(s);
        if (s->stage == CALL_QUEUED) {
            leave_queue(s);
            s->stage = CALL_FAILED;
        }
        finish(s);
        s = c->calls;
    }
    bury_zombies(c);
    tokens_free(c);
    dns_free(c->dns);
    loop_timer_stop(c->loop, &c->start_timer);
    loop_timer_stop(c->loop, &c->window_timer);
    keep_spares(c, 0);
    buf_deinit(&c->key);
    curl_multi_cleanup(c->multi);
    http_watches_free(c);
    loop_timer_stop(c->loop, &c->curl_timer);
    material_cache_free(c->materials);
    map_deinit(&c->hosts);
    arena_deinit(&c->arena);
    mem_free(c);
}

/* ---- Ends and redirects ---- */

static struct str location(const struct http_call_state *s)
{
    for (size_t i = 0; i < s->answer_headers_count; i++)
        if (str_eq_nocase(s->answer_headers[i].name, STR("Location")))
            return s->answer_headers[i].value;
    return STR_EMPTY;
}

static bool same_or_subdomain(struct str host, struct str of)
{
    return str_eq_nocase(host, of) ||
           (host.n > of.n && host.p[host.n - of.n - 1] == '.' && str_find_byte(host, ':') == STR_NPOS &&
            str_eq_nocase(str_from(host, host.n - of.n), of));
}

/* Go's refererForURL: not from https to http, and without credentials. */
static struct str referer_of(struct http_call_state *s, const struct http_url *from, const struct http_url *to)
{
    if (str_eq(from->scheme, STR("https")) && str_eq(to->scheme, STR("http")))
        return STR_EMPTY;
    struct http_url u = *from;
    u.has_user = u.has_password = false;
    u.fragment = u.raw_fragment = STR_EMPTY;
    struct buf b = { 0 };
    http_url_write(&b, &u);
    struct str text = arena_str(&s->arena, buf_view(&b));
    buf_deinit(&b);
    return text;
}

/* 307 and 308 repeat method and body; the others become GET, as browsers and Go do. */
static bool redirect(struct http_call_state *s, long status, struct err *err)
{
    struct http_url to, from = s->url;
    struct str where = location(s);
    if (++s->redirects > REDIRECTS_MAX)
        return err_set(err, ERR_IO, "stopped after %d redirects", REDIRECTS_MAX);
    struct err why;
    if (!http_url_parse(&s->arena, where, &to, &why))
        return err_set(err, ERR_IO, "failed to parse Location header \"%.*s\": %s", STR_ARG(where), why.text);
    http_url_resolve(&s->arena, &from, &to, &to);
    struct buf b = { 0 };
    http_url_write(&b, &to);
    s->url_text = arena_str(&s->arena, buf_view(&b));
    buf_deinit(&b);
    bool downgrade = str_eq(from.scheme, STR("https")) && str_eq(to.scheme, STR("http"));
    if (!parse_target(s, s->url_text, err))
        return false;
    s->referer = referer_of(s, &from, &s->url);
    if (downgrade || !same_or_subdomain(http_url_hostname(&s->url), http_url_hostname(&s->first_url)))
        s->cross_host = true; /* once away, never trusted again */
    if (status != 307 && status != 308) {
        if (!str_eq(s->method, STR("HEAD")))
            s->method = STR("GET");
        s->body = STR_EMPTY;
    }
    return true;
}

static void complete(struct http_call_state *s, CURLcode code)
{
    long status = 0;
    if (s->stage == CALL_ZOMBIE)
        return; /* buried with the others */
    ASSERT(s->stage == CALL_RUNNING);
    curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
    host_memory_set(&s->client->memory, s->host->hash, status != 0);
    bool ours = code == CURLE_WRITE_ERROR && s->cut; /* we had enough */
    bool moved = status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    bool follow = !s->call->config || s->call->config->follow_redirects;
    if ((code == CURLE_OK || ours) && moved && follow && location(s).n) {
        curl_multi_remove_handle(s->client->multi, s->easy);
        call_unshare(s);
        curl_easy_reset(s->easy);
        call_teardown(s);
        if (redirect(s, status, &s->err))
            transfer(s);
        else
            fail_later(s);
        return;
    }
    if (ours && s->call->fail_if_cut)
        err_set(&s->err, ERR_LIMIT, "body size limit exceeded");
    else if (code != CURLE_OK && !ours && s->err.code == ERR_NONE)
        call_explain(s, code, &s->err);
    finish(s);
}
