/* GET /api/v2/alerts and /api/v2/alerts/groups: reading a view. The view is made once per change of the store by the alert
 * thread; filtering, sorting and encoding happen here, on the thread that writes to the connection, piece by piece: a client
 * that does not read holds one view and one piece.
 *
 * Order: alerts by fingerprint; groups by label set, then receiver; alerts of a group by job, instance, label set. */
#include "api/api.h"

#include "base/mem.h"
#include "json/writer.h"

#include <stdlib.h>

#define PIECE_BYTES (48 * 1024)

static const size_t PREFETCH_AHEAD = 8, PREFETCH_BYTES = 320; /* most of an alert */

struct listed_group {
    const struct dispatch_group_row *row;
    uint32_t *alerts; /* rows that passed, in order */
    size_t alerts_count;
};

/* Alerts come in batches: many have the same times. */
struct written_time {
    struct wire_time t;
    struct buf text;
};

struct listing {
    const struct api *api;
    struct arena *arena;
    struct dispatch_view *view;
    struct wire_time now;
    struct matchers filters;
    struct api_receiver_filter receivers;
    bool active, silenced, inhibited, muted;
    bool groups_wanted;
    bool prepared;
    struct arena labels;      /* of the alert that is looked at */

    const bool *route_passes; /* by route index */
    uint32_t *rows;           /* /alerts: what is listed */
    size_t rows_count;
    struct listed_group *groups;
    size_t groups_count;
    const struct str **receivers_of; /* by row: where its receivers begin, /groups only */
    uint32_t *receivers_count;
    size_t at; /* next to write */
    struct json_writer json;
    struct written_time ends_at, starts_at, updated_at;
};

static void listing_end(void *arg)
{
    struct listing *l = arg;
    matchers_deinit(&l->filters);
    api_receiver_filter_deinit(&l->receivers);
    arena_deinit(&l->labels);
    buf_deinit(&l->ends_at.text);
    buf_deinit(&l->starts_at.text);
    buf_deinit(&l->updated_at.text);
    if (l->receivers.config)
        config_release(l->receivers.config);
    if (l->view)
        dispatch_view_release(l->view);
    l->view = NULL;
}

/* ---- which ones ---- */

static bool suppressed(const struct dispatch_alert_row *row)
{
    return row->inhibited || row->silenced_by_count > 0;
}

static bool row_passes(struct listing *l, const struct dispatch_alert_row *row)
{
    if (!row->held && wire_time_cmp(row->ends_at, l->now) < 0)
        return false;
    if (!l->active && !suppressed(row))
        return false;
    if (!l->silenced && row->silenced_by_count > 0)
        return false;
    if (!l->inhibited && row->inhibited)
        return false;
    if (l->filters.n == 0)
        return true;
    arena_reset(&l->labels);
    return matchers_match(&l->filters, alert_labels(row->alert, &l->labels));
}

static bool routes_pass(const struct listing *l, const struct dispatch_alert_row *row)
{
    for (size_t i = 0; row->routes && i < row->routes->n; i++)
        if (l->route_passes[row->routes->v[i]])
            return true;
    return false;
}

/* qsort has no argument; the view is all that the order needs. */
static _Thread_local const struct dispatch_alert_row *sorted_rows;

static int by_job(const void *a, const void *b)
{
    return alert_compare(sorted_rows[*(const uint32_t *)a].alert, sorted_rows[*(const uint32_t *)b].alert);
}

static int by_group(const void *a, const void *b)
{
    const struct listed_group *x = a, *y = b;
    int order = labels_cmp(x->row->labels, y->row->labels);
    return order ? order : str_cmp(x->row->route->receiver, y->row->route->receiver);
}

/* What /alerts is sorted by, beside the row: values lie scattered over memory. */
struct sort_key {
    fingerprint fp;
    uint32_t row;
};

/* Fingerprints are hashes: a pass per byte beats comparing, from a few hundred alerts on, and is never worse than this. */
static struct sort_key *sorted_by_fingerprint(struct sort_key *keys, struct sort_key *spare, size_t n)
{
    for (unsigned shift = 0; shift < 64; shift += 8) {
        uint32_t begins[256] = { 0 };
        for (size_t i = 0; i < n; i++)
            begins[keys[i].fp >> shift & 255]++;
        for (uint32_t b = 0, at = 0; b < 256; b++) {
            uint32_t count = begins[b];
            begins[b] = at;
            at += count;
        }
        for (size_t i = 0; i < n; i++)
            spare[begins[keys[i].fp >> shift & 255]++] = keys[i];
        struct sort_key *sorted = spare;
        spare = keys;
        keys = sorted;
    }
    return keys;
}

static void pick_alerts(struct listing *l)
{
    const struct dispatch_view *v = l->view;
    struct sort_key *keys = mem_alloc_array(2 * v->alerts_count, sizeof *keys);
    size_t n = 0;
    for (size_t i = 0; i < v->alerts_count; i++) {
        if (i + PREFETCH_AHEAD < v->alerts_count)
            __builtin_prefetch(v->alerts[i + PREFETCH_AHEAD].alert);
        if (row_passes(l, &v->alerts[i]) && routes_pass(l, &v->alerts[i]))
            keys[n++] = (struct sort_key){ v->alerts[i].alert->fp, (uint32_t)i };
    }
    const struct sort_key *sorted = n > 1 ? sorted_by_fingerprint(keys, keys + n, n) : keys;
    l->rows = arena_alloc_array(l->arena, n, sizeof *l->rows);
    for (size_t i = 0; i < n; i++)
        l->rows[i] = sorted[i].row;
    l->rows_count = n;
    mem_free(keys);
}

static int by_str(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* For each alert of the groups that are listed: the receivers of those groups, sorted. */
static void pick_receivers(struct listing *l)
{
    size_t rows = l->view->alerts_count, total = 0;
    l->receivers_count = arena_alloc_array(l->arena, rows, sizeof *l->receivers_count);
    l->receivers_of = arena_alloc_array(l->arena, rows, sizeof *l->receivers_of);
    for (size_t g = 0; g < l->groups_count; g++)
        for (size_t i = 0; i < l->groups[g].alerts_count; i++, total++)
            l->receivers_count[l->groups[g].alerts[i]]++;
    struct str *names = arena_alloc_array(l->arena, total, sizeof *names);
    struct str **fill = arena_alloc_array(l->arena, rows, sizeof *fill);
    for (size_t r = 0, at = 0; r < rows; at += l->receivers_count[r], r++)
        l->receivers_of[r] = fill[r] = names + at;
    for (size_t g = 0; g < l->groups_count; g++)
        for (size_t i = 0; i < l->groups[g].alerts_count; i++)
            *fill[l->groups[g].alerts[i]]++ = l->groups[g].row->route->receiver;
    for (size_t r = 0; r < rows; r++)
        if (l->receivers_count[r] > 1)
            qsort(fill[r] - l->receivers_count[r], l->receivers_count[r], sizeof *names, by_str);
}

static void pick_groups(struct listing *l)
{
    const struct dispatch_view *v = l->view;
    l->groups = arena_alloc_array(l->arena, v->groups_count, sizeof *l->groups);
    sorted_rows = v->alerts;
    for (size_t g = 0; g < v->groups_count; g++) {
        const struct dispatch_group_row *row = &v->groups[g];
        if (!l->route_passes[row->route->index] || (!l->muted && row->muted_by_count > 0))
            continue;
        struct listed_group *out = &l->groups[l->groups_count];
        *out = (struct listed_group){ .row = row,
                                      .alerts = arena_alloc_array(l->arena, row->alerts_count, sizeof *out->alerts) };
        for (size_t i = 0; i < row->alerts_count; i++)
            if (row_passes(l, &v->alerts[row->alerts[i]]))
                out->alerts[out->alerts_count++] = row->alerts[i];
        if (out->alerts_count == 0)
            continue;
        qsort(out->alerts, out->alerts_count, sizeof *out->alerts, by_job);
        l->groups_count++;
    }
    qsort(l->groups, l->groups_count, sizeof *l->groups, by_group);
    pick_receivers(l);
}

static void prepare(struct listing *l)
{
    size_t routes = l->view ? route_tree_count(l->view->routes) : 0;
    bool *passes = arena_alloc_array(l->arena, routes, sizeof *passes);
    for (size_t i = 0; i < routes; i++)
        passes[i] = api_receiver_passes(&l->receivers, route_tree_at(l->view->routes, i)->receiver);
    l->route_passes = passes;
    if (l->view && l->groups_wanted)
        pick_groups(l);
    else if (l->view)
        pick_alerts(l);
    l->prepared = true;
}

/* ---- how they read ---- */

/* What stands between the values: the shape of an alert is fixed, so names, brackets and commas are whole texts. */
static void write_text(struct json_writer *w, struct str text)
{
    buf_str(w->out, text);
    w->need_comma = false;
}

static void write_pairs(struct json_writer *w, struct alert_walk pairs)
{
    struct label l;
    while (alert_walk_next(&pairs, &l))
        jw_kv(w, l.name, l.value);
}

static void write_time(struct json_writer *w, struct written_time *last, struct wire_time t)
{
    if (last->text.n == 0 || wire_time_cmp(last->t, t) != 0) {
        buf_reset(&last->text);
        rfc3339_write_ms(&last->text, t);
        last->t = t;
    }
    buf_str(w->out, buf_view(&last->text));
}

static void write_strs(struct json_writer *w, const struct str *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        jw_str(w, v[i]);
}

static void write_status(struct json_writer *w, const struct dispatch_alert_row *row, const struct str *muted_by,
                         size_t muted_by_count)
{
    write_text(w, STR("\"status\":{\"inhibitedBy\":["));
    if (row->inhibited) {
        buf_byte(w->out, '"');
        fingerprint_write(w->out, row->inhibited_by);
        buf_byte(w->out, '"');
    }
    write_text(w, STR("],\"mutedBy\":["));
    write_strs(w, muted_by, muted_by_count);
    write_text(w, STR("],\"silencedBy\":["));
    write_strs(w, row->silenced_by, row->silenced_by_count);
    write_text(w, suppressed(row) || muted_by_count ? STR("],\"state\":\"suppressed\"}") : STR("],\"state\":\"active\"}"));
}

static void write_receiver_name(struct json_writer *w, struct str name)
{
    jw_object(w);
    jw_kv(w, STR("name"), name);
    jw_object_end(w);
}

static void write_receivers(struct listing *l, uint32_t index, bool grouped)
{
    const struct dispatch_alert_row *row = &l->view->alerts[index];
    if (grouped)
        for (size_t i = 0; i < l->receivers_count[index]; i++)
            write_receiver_name(&l->json, l->receivers_of[index][i]);
    else
        for (size_t i = 0; row->routes && i < row->routes->n; i++)
            write_receiver_name(&l->json, route_tree_at(l->view->routes, row->routes->v[i])->receiver);
}

static void write_alert(struct listing *l, uint32_t index, const struct dispatch_group_row *group)
{
    struct json_writer *w = &l->json;
    const struct dispatch_alert_row *row = &l->view->alerts[index];
    const struct alert *a = row->alert;
    jw_object(w);
    write_text(w, STR("\"annotations\":{"));
    write_pairs(w, alert_walk_annotations(a));
    write_text(w, STR("},\"endsAt\":\""));
    write_time(w, &l->ends_at, row->ends_at);
    write_text(w, STR("\",\"fingerprint\":\""));
    fingerprint_write(w->out, a->fp);
    write_text(w, STR("\",\"receivers\":["));
    write_receivers(l, index, group != NULL);
    write_text(w, STR("],\"startsAt\":\""));
    write_time(w, &l->starts_at, a->starts_at);
    write_text(w, STR("\","));
    write_status(w, row, group ? group->muted_by : NULL, group ? group->muted_by_count : 0);
    write_text(w, STR(",\"updatedAt\":\""));
    write_time(w, &l->updated_at, row->updated_at);
    write_text(w, STR("\","));
    if (a->family->generator_url.n) {
        write_text(w, STR("\"generatorURL\":"));
        jw_str(w, a->family->generator_url);
        write_text(w, STR(","));
    }
    write_text(w, STR("\"labels\":{"));
    write_pairs(w, alert_walk_labels(a));
    write_text(w, STR("}}"));
    w->need_comma = true;
}

static void write_group(struct listing *l, const struct listed_group *g)
{
    struct json_writer *w = &l->json;
    jw_object(w);
    jw_key(w, STR("alerts"));
    jw_array(w);
    for (size_t i = 0; i < g->alerts_count; i++)
        write_alert(l, g->alerts[i], g->row);
    jw_array_end(w);
    jw_key(w, STR("labels"));
    labels_write_json(w, g->row->labels);
    jw_key(w, STR("receiver"));
    write_receiver_name(w, g->row->route->receiver);
    jw_key(w, STR("routeLabels"));
    labels_write_json(w, l->api->route_labels ? l->api->route_labels(l->api->route_labels_arg, l->arena, l->view, g->row)
                                              : (struct labels){ 0 });
    jw_object_end(w);
}

/* Rows come in the order of hashes: each is a walk to the other end of memory, and its alert is another. */
static void write_row(struct listing *l, size_t total)
{
    const struct dispatch_alert_row *rows = l->view->alerts;
    if (l->at + 2 * PREFETCH_AHEAD < total)
        __builtin_prefetch(&rows[l->rows[l->at + 2 * PREFETCH_AHEAD]]);
    if (l->at + PREFETCH_AHEAD < total) {
        const char *alert = (const char *)rows[l->rows[l->at + PREFETCH_AHEAD]].alert;
        for (size_t i = 0; i < PREFETCH_BYTES; i += 64)
            __builtin_prefetch(alert + i);
    }
    write_alert(l, l->rows[l->at], NULL);
}

static bool listing_pull(void *arg, struct buf *out, bool *done)
{
    struct listing *l = arg;
    l->json.out = out;
    if (!l->prepared) {
        prepare(l);
        json_writer_init(&l->json, out);
        jw_array(&l->json);
    }
    size_t from = out->n, total = l->groups_wanted ? l->groups_count : l->rows_count;
    while (l->at < total && out->n - from < PIECE_BYTES) {
        if (l->groups_wanted)
            write_group(l, &l->groups[l->at]);
        else
            write_row(l, total);
        l->at++;
    }
    *done = l->at == total;
    if (*done) {
        jw_array_end(&l->json);
        buf_byte(out, '\n');
    }
    return true;
}

/* ---- the requests ---- */

static void view_done(struct api_ask *q)
{
    struct api_call *c = q->user;
    struct listing *l = q->state;
    if (!q->ok) {
        listing_end(l);
        api_answer_string(c, q->err.code == ERR_UNAVAILABLE ? 503 : 500, err_text(&q->err));
        return;
    }
    l->view = q->view;
    l->now = q->now;
    api_answer_pull(c, listing_pull, l, listing_end);
}

static void list(struct api_call *c, bool groups)
{
    struct http_params ps;
    struct err err = { 0 };
    struct listing *l = ARENA_NEW(c->req->arena, struct listing);
    http_params_parse(c->req->arena, c->req->query, &ps);
    l->api = c->api;
    l->arena = c->req->arena;
    arena_init(&l->labels, ARENA_NO_LIMIT);
    l->groups_wanted = groups;
    l->active = api_param_bool(&ps, STR("active"), true);
    l->silenced = api_param_bool(&ps, STR("silenced"), true);
    l->inhibited = api_param_bool(&ps, STR("inhibited"), true);
    l->muted = api_param_bool(&ps, STR("muted"), true);
    if (!api_param_matchers(c, &ps, STR("filter"), &l->filters, &err) ||
        !api_receiver_filter_init(c, &ps, &l->receivers, &err)) {
        l->receivers.config = NULL;
        listing_end(l);
        api_answer_string(c, 400, err_text(&err));
        return;
    }
    if (c->config)
        l->receivers.config = config_retain(c->config);
    c->ask.state = l;
    api_ask(c, groups ? API_GROUPS : API_ALERTS, view_done);
}

void api_get_alerts(struct api_call *c)
{
    list(c, false);
}

void api_get_groups(struct api_call *c)
{
    list(c, true);
}
