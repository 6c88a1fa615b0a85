/* alert watch and cluster watch: ask again and again, and show what changed.
 *
 * Two generations of answers are kept, each in an arena of its own, so that a watch of days holds two answers and no more. A
 * question that fails is said on stderr, once until there is an answer again; only the first one ends the command, because
 * then the URL or the matchers are wrong. Items are sorted by key; one walk over both generations finds what is new, different or gone. */
#include "ctl/alerts_int.h"
#include "ctl/ctl.h"

#include "base/mem.h"
#include "http/url.h"
#include "io/clock_io.h"
#include "json/writer.h"
#include "model/gotime.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct item {
    struct str key;   /* what it is */
    struct str value; /* its state: another one is a change */
    struct str text;  /* for people */
    struct str raw;   /* JSON */
};

struct items {
    struct item *v;
    size_t n;
    struct str screen; /* the whole picture, for a terminal */
};

struct watch {
    /* Asks once; memory from c->arena. */
    bool (*ask)(struct ctl *c, struct items *out);
    const char *noun; /* member of the JSON object */
};

static int by_key(const void *a, const void *b)
{
    return str_cmp(((const struct item *)a)->key, ((const struct item *)b)->key);
}

static void say_change(struct ctl *c, const struct watch *w, struct str now, const char *sign, const char *event,
                       const struct item *i)
{
    if (!str_eq(c->f.output, STR("json"))) {
        buf_printf(&c->out, "%.*s  %s  %.*s%s%.*s\n", STR_ARG(now), sign, STR_ARG(i->value), i->value.n ? "  " : "",
                   STR_ARG(i->text));
        return;
    }
    struct json_writer j;
    json_writer_init(&j, &c->out);
    jw_object(&j);
    jw_kv(&j, STR("at"), now);
    jw_kv(&j, STR("event"), str_c(event));
    jw_kv(&j, STR("state"), i->value);
    jw_key(&j, str_c(w->noun));
    jw_raw(&j, i->raw);
    jw_object_end(&j);
    buf_byte(&c->out, '\n');
}

static void say_changes(struct ctl *c, const struct watch *w, struct str now, const struct items *old,
                        const struct items *new)
{
    size_t i = 0, k = 0;
    while (i < old->n || k < new->n) {
        int order = i >= old->n ? 1 : k >= new->n ? -1 : str_cmp(old->v[i].key, new->v[k].key);
        if (order < 0) {
            say_change(c, w, now, "-", "gone", &old->v[i++]);
        } else if (order > 0) {
            say_change(c, w, now, "+", "new", &new->v[k++]);
        } else {
            if (!str_eq(old->v[i].value, new->v[k].value))
                say_change(c, w, now, "~", "changed", &new->v[k]);
            i++;
            k++;
        }
    }
}

static struct str now_text(struct ctl *c)
{
    struct buf b = { 0 };
    struct wire_time now = clock_wall();
    if (str_eq(c->f.output, STR("json")))
        rfc3339_write_ms(&b, now);
    else
        go_time_format(&b, STR("2006-01-02 15:04:05 MST"), &(struct go_time){ .t = now });
    struct str s = arena_str(c->arena, buf_view(&b));
    buf_deinit(&b);
    return s;
}

/* The lines of a terminal; 0: as many as one likes. */
static size_t terminal_lines(void)
{
    struct winsize size = { 0 };
    return ioctl(1, TIOCGWINSZ, &size) == 0 ? size.ws_row : 0;
}

/* Redraws the terminal in place. Of a table that is longer than it, the head is kept, and the end, where the newest are; lines are cut
 * at its edge instead of going on in the next. */
static void draw(struct buf *out, struct str now, struct str screen, size_t lines_max)
{
    struct str rest = screen, line;
    size_t lines = 0, number = 0, left_out = 0;
    while (rest.n && str_split(&rest, '\n', &line))
        lines++;
    if (lines_max > 6 && lines + 3 > lines_max)
        left_out = lines + 4 - lines_max; /* the time, a blank line, the cursor's, and the one that says how many */
    buf_printf(out, "\033[?7l\033[H\033[2J%.*s\n\n", STR_ARG(now));
    for (rest = screen; rest.n && str_split(&rest, '\n', &line); number++) {
        if (left_out && number == 1)
            buf_printf(out, "... %zu more\n", left_out);
        if (number == 0 || number > left_out)
            buf_printf(out, "%.*s\n", STR_ARG(line));
    }
    buf_c(out, "\033[?7h");
}

static void show(struct ctl *c, const struct watch *w, const struct items *old, const struct items *new)
{
    struct str now = now_text(c);
    if (isatty(1) && !str_eq(c->f.output, STR("json")))
        draw(&c->out, now, new->screen, terminal_lines());
    else
        say_changes(c, w, now, old, new);
    fwrite(c->out.p ? c->out.p : "", 1, c->out.n, stdout);
    fflush(stdout);
    buf_reset(&c->out);
}

#define PAUSE_MS_MAX 86400000

/* False if the reader of stdout has gone: a pipe or terminal that was closed says so without being written to. */
static bool pause_unless_left(int64_t ms)
{
    struct pollfd reader = { .fd = 1 };
    return poll(&reader, 1, (int)(ms < 1 ? 1 : ms > PAUSE_MS_MAX ? PAUSE_MS_MAX : ms)) <= 0;
}

static int run_watch(struct ctl *c, const struct watch *w)
{
    struct arena generations[2];
    struct items items[2] = { { .n = 0 }, { .n = 0 } };
    struct arena *kept = c->arena;
    size_t current = 0;
    bool lost = false;
    int code = 0;
    int64_t pause_ms = c->f.watch_interval_ns / 1000000;
    if (!ctl_connect(c))
        return ctl_fail(c);
    arena_init(&generations[0], ARENA_NO_LIMIT);
    arena_init(&generations[1], ARENA_NO_LIMIT);
    for (int64_t polls = 1; c->f.watch_polls == 0 || polls <= c->f.watch_polls; polls++) {
        size_t next = 1 - current;
        struct items fresh = { .n = 0 };
        arena_reset(&generations[next]);
        c->arena = &generations[next];
        ctl_client_renew(c);
        if (w->ask(c, &fresh)) {
            if (lost)
                fprintf(stderr, "%s: answered again\n", c->name);
            lost = false;
            if (fresh.n)
                qsort(fresh.v, fresh.n, sizeof *fresh.v, by_key);
            show(c, w, &items[current], &fresh);
            items[next] = fresh;
            current = next;
        } else if (polls == 1) {
            code = ctl_fail(c);
            break;
        } else {
            if (!lost)
                fprintf(stderr, "%s: %s\n", c->name, c->err.text);
            lost = true;
        }
        if (ferror(stdout))
            break; /* nobody reads any more */
        if (polls != c->f.watch_polls && !pause_unless_left(pause_ms))
            break;
    }
    c->arena = kept;
    arena_deinit(&generations[0]);
    arena_deinit(&generations[1]);
    return code;
}

/* What the printers of other verbs write goes to c->out; here it is the screen. */
static struct str take_output(struct ctl *c)
{
    struct str s = arena_str(c->arena, buf_view(&c->out));
    buf_reset(&c->out);
    return s;
}

/* ---- alerts ---- */

static bool ask_alerts(struct ctl *c, struct items *out)
{
    struct buf q = { 0 };
    struct str body;
    struct shown_alert *v;
    size_t n;
    buf_c(&q, "/alerts?active=true");
    alerts_filter_query(c, &q);
    buf_c(&q, "&inhibited=true");
    if (c->f.receiver.n) {
        buf_c(&q, "&receiver=");
        http_query_escape(&q, c->f.receiver);
    }
    buf_c(&q, "&silenced=true&unprocessed=true");
    struct str path = arena_str(c->arena, buf_view(&q));
    buf_deinit(&q);
    if (!ctl_api_ok(c, "GET", path, STR_EMPTY, "/alerts", "getAlerts", &body) || !alerts_read(c, body, &v, &n))
        return false;
    out->v = arena_alloc_array(c->arena, n, sizeof *out->v);
    out->n = n;
    for (size_t i = 0; i < n; i++)
        out->v[i] = (struct item){ .key = v[i].fingerprint, .value = v[i].state, .raw = v[i].raw,
                                   .text = alerts_map_text(c, v[i].labels) };
    alerts_print_table(c, v, n);
    out->screen = take_output(c);
    return true;
}

int ctl_alert_watch(void *program)
{
    static const struct watch w = { ask_alerts, "alert" };
    return run_watch(program, &w);
}

/* ---- the cluster ---- */

static bool read_member(struct ctl *c, struct json_reader *r, struct item *out)
{
    struct json_reader one;
    struct str key, name = STR_EMPTY, address = STR_EMPTY;
    if (!jr_raw(r, &out->raw))
        return false;
    json_reader_init(&one, out->raw, c->arena);
    if (jr_object(&one))
        while (jr_member(&one, &key)) {
            bool ok = str_eq(key, STR("name"))      ? jr_str(&one, &name)
                      : str_eq(key, STR("address")) ? jr_str(&one, &address)
                                                    : jr_skip(&one);
            if (!ok)
                break;
        }
    out->key = arena_printf(c->arena, "peer %.*s %.*s", STR_ARG(address), STR_ARG(name));
    out->value = STR_EMPTY;
    out->text = arena_printf(c->arena, "%.*s  %.*s", STR_ARG(address), STR_ARG(name));
    return jr_finish(&one, &c->err);
}

static bool read_cluster(struct ctl *c, struct json_reader *r, struct items *out)
{
    struct str key, status = STR_EMPTY, name = STR_EMPTY;
    size_t capacity = 16;
    out->v = arena_alloc_array(c->arena, capacity, sizeof *out->v);
    out->n = 1; /* the first is the status of the member that is asked */
    if (!jr_object(r))
        return false;
    while (jr_member(r, &key)) {
        bool ok = true;
        if (str_eq(key, STR("status"))) {
            ok = jr_str(r, &status);
        } else if (str_eq(key, STR("name"))) {
            ok = jr_str(r, &name);
        } else if (!str_eq(key, STR("peers"))) {
            ok = jr_skip(r);
        } else if (jr_array(r)) {
            while (ok && jr_element(r)) {
                if (out->n == capacity) {
                    struct item *grown = arena_alloc_array(c->arena, capacity * 2, sizeof *grown);
                    memcpy(grown, out->v, out->n * sizeof *grown);
                    out->v = grown;
                    capacity *= 2;
                }
                ok = read_member(c, r, &out->v[out->n++]);
            }
        }
        if (!ok)
            return false;
    }
    struct buf b = { 0 };
    struct json_writer w;
    json_writer_init(&w, &b);
    jw_object(&w);
    jw_kv(&w, STR("name"), name);
    jw_kv(&w, STR("status"), status);
    jw_object_end(&w);
    out->v[0] = (struct item){ .key = STR("node"), .value = status, .text = name, .raw = arena_str(c->arena, buf_view(&b)) };
    buf_deinit(&b);
    return !r->failed;
}

static bool ask_cluster(struct ctl *c, struct items *out)
{
    struct json_reader r;
    struct str body, key;
    bool ok = true;
    if (!ctl_api_ok(c, "GET", STR("/status"), STR_EMPTY, "/status", "getStatus", &body))
        return false;
    json_reader_init(&r, body, c->arena);
    if (jr_object(&r))
        while (ok && jr_member(&r, &key))
            ok = str_eq(key, STR("cluster")) ? read_cluster(c, &r, out) : jr_skip(&r);
    if (!jr_finish(&r, &c->err))
        return false;
    if (out->n)
        buf_printf(&c->out, "Cluster Status:  %.*s\nNode Name:       %.*s\n\n", STR_ARG(out->v[0].value),
                   STR_ARG(out->v[0].text));
    for (size_t i = 1; i < out->n; i++)
        buf_printf(&c->out, "%.*s\n", STR_ARG(out->v[i].text));
    out->screen = take_output(c);
    return true;
}

int ctl_cluster_watch(void *program)
{
    static const struct watch w = { ask_cluster, "member" };
    return run_watch(program, &w);
}
