/* A query's life:  HTTP thread: submit -> a query thread: run, write its line of the log, answer.
 *
 * Query threads take from one queue, so that none idles while a query waits. The watch thread sleeps while no query is there;
 * else it looks at all of them every WATCH_MS: those whose time is over or whose client has gone are told to stop, and those
 * of them that still wait are answered by it.
 *
 * Why a lock, here in app/: queue and list of running queries are touched for a few instructions by threads that would
 * otherwise have to pass each query through a loop twice, which costs more than a small query itself.
 *
 * Q1  A query is in the queue, or in the list of those that run, or nobody but its thread knows it.
 * Q2  `busy` counts what is in either; waiting ones are refused at stop, running ones are stopped, so both threads and
 *     queue end.
 * Bounds: `concurrency` threads; waiting queries are bounded by the connections of the server. */
#include "app/queries.h"

#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/clock_io.h"
#include "io/http_server.h"
#include "io/thread.h"
#include "json/writer.h"
#include "promql/active_log.h"

#include <time.h>

#define WATCH_MS          100
#define QUERY_STACK_BYTES ((size_t)8 << 20) /* expressions nest up to 1000 deep; touched lazily */
#define CONCURRENCY_MAX   1024

/* One query; in the arena of its request. */
struct query {
    struct query *next, *previous; /* previous: of running ones */
    struct web_call *call;
    struct api_v1_job *job;
    struct stopwatch queued;
    mono_ms deadline;
};

struct query_thread {
    struct thread thread;
    struct queries *queries;
};

struct query_stats {
    struct gauge running, concurrent_max, log_enabled;
    struct counter log_failures, samples;
};

struct queries {
    struct queries_options o;
    struct active_log *active; /* NULL: could not be opened */
    struct lock lock;          /* guards all that follows; rank: above the HTTP server's */
    pthread_cond_t work, watch; /* something to run; something to watch */
    struct query *first, *last; /* waiting */
    struct query *running;
    size_t waiting, busy, idle_threads, threads_count;
    struct query_thread *threads;
    bool stopping;
    struct thread watch_thread;

    struct lock log_lock; /* guards the query log's file; taken alone */
    struct fs_file *log;
    struct query_stats stats;
};

static const struct metric_desc query_metrics[] = {
    METRIC(GAUGE, struct query_stats, running, "prometheus_engine_queries",
           "The current number of queries being executed or waiting."),
    METRIC(GAUGE, struct query_stats, concurrent_max, "prometheus_engine_queries_concurrent_max",
           "The max number of concurrent queries."),
    METRIC(GAUGE, struct query_stats, log_enabled, "prometheus_engine_query_log_enabled", "State of the query log."),
    METRIC(COUNTER, struct query_stats, log_failures, "prometheus_engine_query_log_failures_total",
           "The number of query log failures."),
    METRIC(COUNTER, struct query_stats, samples, "prometheus_engine_query_samples_total",
           "The total number of samples loaded by all queries."),
};

/* ---- the query log ---- */

void queries_log_to(struct queries *s, struct str path)
{
    struct fs *fs = s->o.fs;
    struct err err = { 0 };
    lock_take(&s->log_lock);
    if (s->log)
        fs->close(fs, s->log);
    s->log = NULL;
    if (path.n && !fs->open(fs, path, FS_WRITE | FS_CREATE | FS_APPEND, &s->log, &err)) {
        s->log = NULL;
        log_error("Error opening the query log", LOG_STR("file", path), LOG_ERR(&err));
    }
    gauge_set(&s->stats.log_enabled, s->log != NULL);
    lock_give(&s->log_lock);
}

static void write_instant(struct json_writer *w, const char *key, int64_t ms)
{
    struct buf text = { 0 };
    rfc3339_write_ms(&text, wire_time_from_ms(ms));
    jw_kv(w, str_c(key), buf_view(&text));
    buf_deinit(&text);
}

/* One line of JSON, as upstream's handler orders it. */
static void log_line(struct buf *line, const struct query *q)
{
    const struct api_v1_job *j = q->job;
    const struct http_request *req = q->call->call.req;
    struct json_writer w;
    size_t colon = str_rfind_byte(req->peer, ':');
    json_writer_init(&w, line);
    jw_object(&w);
    write_instant(&w, "time", clock_wall_ms());
    jw_kv(&w, STR("level"), STR("INFO"));
    jw_kv(&w, STR("msg"), STR("promql query logged"));
    jw_key(&w, STR("params"));
    jw_object(&w);
    write_instant(&w, "end", j->run.end_ms);
    jw_kv(&w, STR("query"), promql_text(j->expr));
    write_instant(&w, "start", j->run.start_ms);
    jw_key(&w, STR("step"));
    jw_i64(&w, j->run.step_ms / 1000);
    jw_object_end(&w);
    if (j->failed.code != ERR_NONE)
        jw_kv(&w, STR("error"), err_text(&j->failed));
    jw_key(&w, STR("stats"));
    api_v1_write_stats(&w, j);
    jw_key(&w, STR("httpRequest"));
    jw_object(&w);
    jw_kv(&w, STR("clientIP"), colon == STR_NPOS ? req->peer : str_sub(req->peer, 0, colon));
    jw_kv(&w, STR("method"), req->method);
    jw_kv(&w, STR("path"), req->path);
    jw_object_end(&w);
    jw_object_end(&w);
    buf_byte(line, '\n');
}

static void log_query(struct queries *s, const struct query *q)
{
    struct buf line = { 0 };
    struct err err = { 0 };
    if (!q->job->is_query || gauge_get(&s->stats.log_enabled) == 0)
        return;
    log_line(&line, q);
    lock_take(&s->log_lock);
    if (s->log && !s->o.fs->write(s->o.fs, s->log, 0, line.p, line.n, &err))
        counter_add_shared(&s->stats.log_failures, 1);
    lock_give(&s->log_lock);
    buf_deinit(&line);
}

/* ---- running ---- */

static void run_one(struct queries *s, struct query *q)
{
    struct api_v1_job *j = q->job;
    size_t slot = SIZE_MAX;
    j->queued_s = stopwatch_seconds(q->queued);
    if (s->active && j->is_query)
        slot = active_log_begin(s->active, promql_text(j->expr), clock_wall_ms());
    api_v1_run(j);
    if (s->active)
        active_log_end(s->active, slot);
    counter_add_shared(&s->stats.samples, j->ran.samples_total);
    log_query(s, q);
}

static void running_add(struct queries *s, struct query *q)
{
    q->previous = NULL;
    q->next = s->running;
    if (s->running)
        s->running->previous = q;
    s->running = q;
}
static void running_remove(struct queries *s, struct query *q)
{
    *(q->previous ? &q->previous->next : &s->running) = q->next;
    if (q->next)
        q->next->previous = q->previous;
}

static void busy_change(struct queries *s, bool more)
{
    s->busy = more ? s->busy + 1 : s->busy - 1;
    gauge_set(&s->stats.running, (double)s->busy);
}

static void run_thread(void *arg)
{
    struct query_thread *t = arg;
    struct queries *s = t->queries;
    lock_take(&s->lock);
    for (;;) {
        while (!s->first && !s->stopping) {
            s->idle_threads++;
            pthread_cond_wait(&s->work, &s->lock.m);
            s->idle_threads--;
        }
        struct query *q = s->first;
        if (!q)
            break;
        s->first = q->next;
        s->waiting--;
        q->deadline = mono_add(clock_mono(), q->job->timeout_ms);
        running_add(s, q);
        lock_give(&s->lock);
        run_one(s, q);
        lock_take(&s->lock);
        running_remove(s, q);
        busy_change(s, false);
        lock_give(&s->lock);
        struct web_call *call = q->call;
        api_v1_release(q->job);
        api_finish(&call->call); /* q is gone */
        lock_take(&s->lock);
    }
    lock_give(&s->lock);
}

/* With the lock held, or before there is a second thread. */
static bool make_thread(struct queries *s, struct err *err)
{
    struct query_thread *t = &s->threads[s->threads_count];
    t->queries = s;
    if (!thread_start_deep(&t->thread, "query", QUERY_STACK_BYTES, run_thread, t, err))
        return false;
    s->threads_count++;
    return true;
}

/* ---- watching ---- */

/* With the lock held. */
static void look_at_running(struct queries *s)
{
    mono_ms now = clock_mono();
    for (struct query *q = s->running; q; q = q->next) {
        if (!mono_before(now, q->deadline))
            atomic_store(&q->job->stop, PROMQL_TIMED_OUT);
        else if (s->stopping || http_exchange_gone(q->call->call.carrier))
            atomic_store(&q->job->stop, PROMQL_CANCELLED);
    }
}

/* Takes one query whose client has gone out of the queue; NULL: there is none. With the lock held. */
static struct query *take_gone(struct queries *s)
{
    struct query **link = &s->first, *before = NULL;
    for (; *link; before = *link, link = &(*link)->next) {
        struct query *q = *link;
        if (!s->stopping && !http_exchange_gone(q->call->call.carrier))
            continue;
        *link = q->next;
        if (s->last == q)
            s->last = before;
        s->waiting--;
        busy_change(s, false);
        return q;
    }
    return NULL;
}

static void watch_wait(struct queries *s)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += WATCH_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_cond_timedwait(&s->watch, &s->lock.m, &until);
}

static void watch_thread(void *arg)
{
    struct queries *s = arg;
    lock_take(&s->lock);
    while (!s->stopping || s->busy) {
        if (s->busy == 0) {
            pthread_cond_wait(&s->watch, &s->lock.m);
            continue;
        }
        watch_wait(s);
        look_at_running(s);
        for (struct query *q; (q = take_gone(s)) != NULL;) {
            lock_give(&s->lock);
            api_v1_refuse(q->job, "query was canceled in query queue");
            api_finish(&q->call->call);
            lock_take(&s->lock);
        }
    }
    lock_give(&s->lock);
}

void queries_submit(struct queries *s, struct web_call *c, struct api_v1_job *job)
{
    struct query *q = ARENA_NEW(c->call.req->arena, struct query);
    struct err err = { 0 };
    *q = (struct query){ .call = c, .job = job, .queued = stopwatch_start() };
    lock_take(&s->lock);
    bool refused = s->stopping;
    if (!refused) {
        *(s->first ? &s->last->next : &s->first) = q;
        s->last = q;
        if (s->busy == 0)
            pthread_cond_signal(&s->watch);
        busy_change(s, true);
        if (++s->waiting > s->idle_threads && s->threads_count < s->o.concurrency && !make_thread(s, &err))
            log_warn("No more threads for queries", LOG_INT("threads", s->threads_count), LOG_ERR(&err));
        pthread_cond_signal(&s->work);
    }
    lock_give(&s->lock);
    if (refused) {
        api_v1_refuse(job, "the server is shutting down");
        api_finish(&c->call);
    }
}

/* ---- start and end ---- */

static void tell_left_query(void *arg, struct str json)
{
    (void)arg;
    log_info("These queries didn't finish in prometheus' last run:", LOG_STR("queries", json));
}

bool queries_start(const struct queries_options *o, struct queries **out, struct err *err)
{
    struct queries *s = MEM_NEW(struct queries);
    struct err cause = { 0 };
    pthread_condattr_t attr;
    s->o = *o;
    s->o.concurrency = o->concurrency < 1 ? 1 : o->concurrency > CONCURRENCY_MAX ? CONCURRENCY_MAX : o->concurrency;
    s->threads = mem_alloc_array(s->o.concurrency, sizeof *s->threads);
    lock_init(&s->lock);
    lock_init(&s->log_lock);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->work, NULL);
    pthread_cond_init(&s->watch, &attr);
    pthread_condattr_destroy(&attr);
    if (!active_log_open(o->fs, o->dir, s->o.concurrency, tell_left_query, NULL, &s->active, &cause))
        log_error("Error opening the log of active queries", LOG_ERR(&cause));
    gauge_set(&s->stats.concurrent_max, (double)s->o.concurrency);
    metric_registry_add(o->registry, query_metrics, ARRAY_LEN(query_metrics), &s->stats, NULL, NULL);
    *out = s;
    return thread_start(&s->watch_thread, "query-watch", watch_thread, s, err) && make_thread(s, err);
}

void queries_stop(struct queries *s)
{
    if (!s)
        return;
    lock_take(&s->lock);
    s->stopping = true;
    look_at_running(s);
    pthread_cond_broadcast(&s->work);
    pthread_cond_signal(&s->watch);
    lock_give(&s->lock);
    for (size_t i = 0; i < s->threads_count; i++)
        thread_join(&s->threads[i].thread);
    thread_join(&s->watch_thread);
    queries_log_to(s, STR_EMPTY);
    active_log_close(s->active);
    pthread_cond_destroy(&s->work);
    pthread_cond_destroy(&s->watch);
    lock_deinit(&s->lock);
    lock_deinit(&s->log_lock);
    mem_free(s->threads);
    mem_free(s);
}
