/* An attempt walks its row's steps: request, answer, request ... until a verdict. All of its memory is one arena.
 *
 *     begin -> step() -> SEND_REQUEST -> call -> step(answer) -> ... -> DONE | RETRY | FAIL -> result
 *                 cancel or deadline ------------------------------------> RETRY "context canceled" | the call's error
 *
 * Route labels are rendered once per attempt, before the first step. Renderers are kept per template set, so that a
 * configuration's texts are compiled once; the set of a generation that nobody sends for any more is let go.
 * An attempt is begun when fewer than READY_MAX of its integration are ready and wait for the client's slots: a burst of
 * ten thousand groups is rendered as it leaves, not all at once. What has a slot no longer counts, so that a receiver
 * that is slow to answer holds up nobody.
 * Bounds: STEPS_MAX requests per attempt; its memory by the notification's size, SEND_TEXT_BYTES_MAX of rendered texts and
 * SEND_RESPONSE_BYTES_MAX per answer. */
#include "notify/notify_io.h"

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/stopwatch.h"
#include "io/clock_io.h"
#include "io/dns.h"
#include "io/http_client.h"
#include "io/smtp_client.h"
#include "notify/render_data.h"
#include "notify/send.h"

#define READY_MAX     32 /* of an integration; enough to fill what the client starts in a turn */
#define STEPS_MAX     64
#define RENDERERS_MAX 8

/* What an attempt needs from begin() on, in its arena. */
struct work {
    struct send_attempt at;
    struct send_request request;
    struct http_call http;
    struct smtp_call smtp;
    uint32_t requests;
    bool own_timeout; /* the request's timeout_ms is shorter than the deadline */
    bool in_call;
};

struct running {
    struct notify_io *io;
    struct notify_attempt a;
    struct arena arena;
    struct stopwatch watch;
    struct work *work; /* NULL while it stands in line */
    struct line *line; /* that it stands in, or is made ready from; NULL once its first request has a slot */
    struct running *prev, *next; /* in line */
};

/* Attempts of one integration, in the order in which they came; lives while it has any. */
struct line {
    uint64_t key;
    struct running *head, *last;
    uint32_t ready; /* begun, and their first request waits for its slot */
    bool moving;
};

struct cached_renderer {
    const struct template_set *set;
    struct template_renderer *renderer;
    uint64_t used;
};

#define SPARES_MAX READY_MAX

struct notify_io {
    struct loop *loop;
    struct notify_io_options o;
    struct buf user_agent;
    struct http_client *http;
    struct dns *dns;
    struct smtp_client *smtp;
    struct map64 running; /* by attempt id */
    struct map64 lines;   /* by the address of the integration's configuration */
    size_t standing;      /* in all lines */
    struct running *spares; /* over, with the first block of their arenas; linked by next */
    size_t spares_count;
    struct cached_renderer renderers[RENDERERS_MAX];
    uint64_t clock;
    struct send_cache *cache;
};

static void advance(struct running *r, const struct send_response *res);
static void leave_line(struct running *r);

static struct template_renderer *renderer_for(struct notify_io *io, const struct receiver_env *env)
{
    struct cached_renderer *oldest = &io->renderers[0];
    for (size_t i = 0; i < RENDERERS_MAX; i++) {
        struct cached_renderer *c = &io->renderers[i];
        if (c->renderer && c->set == env->templates) {
            c->used = ++io->clock;
            return c->renderer;
        }
        if (c->used < oldest->used)
            oldest = c;
    }
    if (oldest->renderer)
        template_renderer_free(oldest->renderer);
    *oldest = (struct cached_renderer){ env->templates, template_renderer_new(env->templates), ++io->clock };
    return oldest->renderer;
}

static struct running *running_new(struct notify_io *io, const struct notify_attempt *a)
{
    struct running *r = io->spares;
    if (r) {
        io->spares = r->next;
        io->spares_count--;
        r->next = NULL;
    } else {
        r = MEM_NEW(struct running);
        arena_init(&r->arena, ARENA_NO_LIMIT);
    }
    r->io = io;
    r->a = *a;
    r->watch = stopwatch_start();
    return r;
}

static void running_free(struct running *r)
{
    struct notify_io *io = r->io;
    if (io->spares_count == SPARES_MAX) {
        arena_deinit(&r->arena);
        mem_free(r);
        return;
    }
    arena_reset(&r->arena);
    struct arena arena = r->arena;
    *r = (struct running){ .arena = arena, .next = io->spares };
    io->spares = r;
    io->spares_count++;
}

static void route_label_failed(void *arg, struct str name, const struct err *err)
{
    const struct running *r = arg;
    log_error("Failed to render route label", LOG_STR("receiver", r->a.n->receiver), LOG_STR("label", name), LOG_ERR(err));
}

static void answer(struct running *r, enum send_verdict verdict, const struct send_error *why)
{
    struct notify_io *io = r->io;
    const struct notify_result result = {
        .attempt = r->a.id,
        .verdict = verdict,
        .reason = why->reason,
        .error = verdict == SEND_DONE ? STR_EMPTY : err_text(&why->err),
        .data = r->work ? r->work->at.data : NULL,
        .data_count = r->work ? r->work->at.data_count : 0,
        .seconds = stopwatch_seconds(r->watch),
        .requests = r->work ? r->work->requests : 0,
    };
    (void)map64_remove(&io->running, r->a.id);
    leave_line(r);
    struct notify_result shown = result;
    io->o.result(io->o.arg, &shown);
    notification_release(r->a.n);
    notify_receivers_release(r->a.receivers);
    running_free(r);
}

static void answer_cancelled(struct running *r)
{
    struct send_error why = { .reason = SEND_REASON_CANCELED };
    err_set(&why.err, ERR_CANCELLED, "context canceled");
    answer(r, SEND_RETRY, &why);
}

/* ---- one request ---- */

static void http_done(void *arg, const struct http_result *res)
{
    struct running *r = arg;
    struct send_response *out = ARENA_NEW(&r->arena, struct send_response);
    r->work->in_call = false;
    *out = (struct send_response){ .arrived = res->arrived && res->err.code == ERR_NONE, .status = res->status,
                                   .err = res->err, .timed_out = res->timed_out && r->work->own_timeout };
    out->body = arena_str(&r->arena, res->body);
    struct http_header *headers = arena_alloc_array(&r->arena, res->headers_count, sizeof *headers);
    for (size_t i = 0; i < res->headers_count; i++)
        headers[i] = (struct http_header){ arena_str(&r->arena, res->headers[i].name),
                                           arena_str(&r->arena, res->headers[i].value) };
    out->headers = headers;
    out->headers_count = res->headers_count;
    advance(r, out);
}

static void smtp_done(void *arg, const struct smtp_result *res)
{
    struct running *r = arg;
    struct send_response *out = ARENA_NEW(&r->arena, struct send_response);
    r->work->in_call = false;
    *out = (struct send_response){ .arrived = res->delivered, .smtp_retry = res->retry, .err = res->err };
    advance(r, out);
}

static int64_t time_left(struct running *r)
{
    int64_t left = r->a.deadline.ms == INT64_MAX ? 0 : r->a.deadline.ms - clock_mono().ms;
    return r->a.deadline.ms == INT64_MAX ? 0 : left > 0 ? left : 1;
}

/* The first request has its slot: the next in line may be made ready. */
static void has_slot(void *arg)
{
    leave_line(arg);
}

static void perform(struct running *r)
{
    struct work *w = r->work;
    const struct send_request *q = &w->request;
    int64_t left = time_left(r);
    w->requests++;
    w->in_call = true;
    if (q->smtp) {
        w->smtp = (struct smtp_call){ .job = q->smtp, .timeout_ms = left, .done = smtp_done, .arg = r };
        smtp_client_send(r->io->smtp, &w->smtp);
        leave_line(r);
        return;
    }
    w->own_timeout = q->timeout_ms > 0 && (left == 0 || q->timeout_ms < left);
    w->http = (struct http_call){ .method = q->method, .url = q->url, .headers = q->headers,
                                  .headers_count = q->headers_count, .body = q->body, .config = q->http,
                                  .timeout_ms = w->own_timeout ? q->timeout_ms : left,
                                  .response_bytes_max = SEND_RESPONSE_BYTES_MAX, .secret_url = q->secret_url,
                                  .started = has_slot, .done = http_done, .arg = r };
    http_client_send(r->io->http, &w->http);
}

static void advance(struct running *r, const struct send_response *res)
{
    struct send_error why = { .reason = SEND_REASON_OTHER };
    struct work *w = r->work;
    w->at.now = clock_wall();
    w->request = (struct send_request){ 0 };
    enum send_verdict verdict = w->at.row->step(&w->at, res, &w->request, &why);
    if (verdict == SEND_REQUEST && w->requests < STEPS_MAX) {
        perform(r);
        return;
    }
    if (verdict == SEND_REQUEST) {
        err_set(&why.err, ERR_LIMIT, "more than %d requests in one attempt", STEPS_MAX);
        verdict = SEND_FAIL;
    }
    answer(r, verdict, &why);
}

/* ---- attempts ---- */

static void begin(struct running *r)
{
    struct notify_io *io = r->io;
    const struct notify_attempt *a = &r->a;
    struct work *w = ARENA_NEW(&r->arena, struct work);
    r->work = w;
    r->watch = stopwatch_start();
    w->at = (struct send_attempt){ .env = io->o.env(a->receivers), .row = a->integration->row,
                                   .config = a->integration->config, .n = a->n, .cache = io->cache, .arena = &r->arena };
    w->at.data_count = a->n->data_count;
    w->at.data = arena_alloc_array(&r->arena, a->n->data_count, sizeof *w->at.data);
    if (a->n->data_count)
        memcpy(w->at.data, a->n->data, a->n->data_count * sizeof *w->at.data);
    w->at.renderer = renderer_for(io, w->at.env);
    w->at.route_labels = a->n->route_labels.n ? render_route_labels(w->at.renderer, &r->arena, a->n, w->at.env->zone,
                                                                    route_label_failed, r)
                                              : (struct labels){ 0 };
    advance(r, NULL);
}

/* ---- lines ---- */

static void unlink_waiting(struct line *l, struct running *r)
{
    struct notify_io *io = r->io;
    http_client_held_back(io->http, --io->standing);
    *(r->prev ? &r->prev->next : &l->head) = r->next;
    *(r->next ? &r->next->prev : &l->last) = r->prev;
    r->prev = r->next = NULL;
}

/* The other replicas take an attempt to be over after CLAIM_BOUND_MS: one that has stood here for a quarter of it, behind
 * thousands for a slow receiver, is not begun any more. */
static bool is_late(const struct running *r)
{
    return r->a.begin_by.ms != 0 && mono_before(r->a.begin_by, clock_mono());
}

static void give_back(struct running *r)
{
    struct send_error why = { .reason = SEND_REASON_OTHER };
    err_set(&why.err, ERR_LIMIT, "stood in line for too long behind other notifications");
    answer(r, SEND_RETRY, &why);
}

/* Begins those whose turn it is. An attempt may be over before begin() returns: the loop, not the stack, takes the next. */
static void move_line(struct notify_io *io, struct line *l)
{
    if (l->moving)
        return;
    l->moving = true;
    while (l->head && l->ready < READY_MAX) {
        struct running *r = l->head;
        if (is_late(r)) {
            give_back(r);
            continue;
        }
        unlink_waiting(l, r);
        l->ready++;
        begin(r);
    }
    l->moving = false;
    if (l->ready == 0) {
        (void)map64_remove(&io->lines, l->key);
        mem_free(l);
    }
}

static void leave_line(struct running *r)
{
    struct line *l = r->line;
    if (!l)
        return;
    r->line = NULL;
    if (!r->work) {
        unlink_waiting(l, r);
    } else {
        ASSERT(l->ready > 0);
        l->ready--;
    }
    move_line(r->io, l);
}

static void join_line(struct running *r)
{
    struct notify_io *io = r->io;
    uint64_t key = (uint64_t)(uintptr_t)r->a.integration->config;
    struct line *l = map64_get(&io->lines, key);
    if (!l) {
        l = MEM_NEW(struct line);
        l->key = key;
        (void)map64_put(&io->lines, key, l);
    }
    r->line = l;
    r->prev = l->last;
    *(l->last ? &l->last->next : &l->head) = r;
    l->last = r;
    http_client_held_back(io->http, ++io->standing);
    move_line(io, l);
}

void notify_io_attempt(struct notify_io *io, const struct notify_attempt *a)
{
    struct running *r = running_new(io, a);
    void *old = map64_put(&io->running, a->id, r);
    ASSERT(!old); /* ids are unique */
    join_line(r);
}

void notify_io_cancel(struct notify_io *io, uint64_t attempt)
{
    struct running *r = map64_get(&io->running, attempt);
    if (!r || (r->work && !r->work->in_call))
        return;
    if (r->work && r->work->request.smtp)
        smtp_client_cancel(io->smtp, &r->work->smtp);
    else if (r->work)
        http_client_cancel(io->http, &r->work->http);
    answer_cancelled(r);
}

size_t notify_io_count(const struct notify_io *io)
{
    return io->running.count;
}

struct http_client *notify_io_client(struct notify_io *io)
{
    return io->http;
}

struct notify_io *notify_io_new(struct loop *l, const struct notify_io_options *options)
{
    struct notify_io *io = MEM_NEW(struct notify_io);
    io->loop = l;
    io->o = *options;
    buf_str(&io->user_agent, options->user_agent);
    io->http = http_client_new(l, &(struct http_client_options){ .user_agent = buf_view(&io->user_agent) });
    io->dns = dns_new(l);
    io->smtp = smtp_client_new(l, io->dns);
    io->cache = send_cache_new();
    return io;
}

void notify_io_free(struct notify_io *io)
{
    size_t cursor = 0;
    struct running *r;
    while ((r = map64_next(&io->running, &cursor)) != NULL) {
        notify_io_cancel(io, r->a.id);
        cursor = 0;
    }
    while ((r = io->spares) != NULL) {
        io->spares = r->next;
        arena_deinit(&r->arena);
        mem_free(r);
    }
    smtp_client_free(io->smtp);
    dns_free(io->dns);
    http_client_free(io->http);
    for (size_t i = 0; i < RENDERERS_MAX; i++)
        if (io->renderers[i].renderer)
            template_renderer_free(io->renderers[i].renderer);
    send_cache_free(io->cache);
    map64_deinit(&io->running);
    map64_deinit(&io->lines);
    buf_deinit(&io->user_agent);
    mem_free(io);
}
