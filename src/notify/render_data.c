/* Template data from notifications and from JSON, and the classes that show it: Data, Alerts, Alert, KV, Pairs, Pair.
 *
 * R1: label sets are sorted by name; SortedPairs differs from that order only in putting alertname first. R2: everything
 * made here lives in the arena given or borrows from the notification. */
#include "notify/render_data.h"

#include "base/mem.h"
#include "json/reader.h"

#define ALERTS_MAX 100000 /* of a JSON file */
#define LABELS_MAX 10000

/* ---- KV, Pairs, Pair ---- */

static const struct tval_class pairs_class;
static const struct tval_class kv_class;

static struct tval kv_value(struct labels ls)
{
    return tval_ref(&kv_class, ls.v, ls.n);
}

static void pair_name(const void *self, struct tval *out)
{
    *out = tval_str(((const struct label *)self)->name);
}

static void pair_value(const void *self, struct tval *out)
{
    *out = tval_str(((const struct label *)self)->value);
}

static const struct tval_field pair_fields[] = {
    { STR_INIT("Name"), STR_INIT("Name"), pair_name, TVAL_TEXT(struct label, name) },
    { STR_INIT("Value"), STR_INIT("Value"), pair_value, TVAL_TEXT(struct label, value) },
};
static const struct tval_class pair_class = { .name = STR_INIT("template.Pair"),
                                              .kind = TVAL_STRUCT,
                                              .fields = pair_fields,
                                              .fields_count = ARRAY_LEN(pair_fields) };

static void pairs_at(const struct tval *self, size_t i, struct str *key, struct tval *value)
{
    (void)key;
    *value = tval_ref(&pair_class, (const struct label *)self->v.ref.p + i, 0);
}

static void kv_at(const struct tval *self, size_t i, struct str *key, struct tval *value)
{
    const struct label *l = (const struct label *)self->v.ref.p + i;
    *key = l->name;
    *value = tval_str(l->value);
}

static bool kv_get(const struct tval *self, struct str key, struct tval *value)
{
    const struct label *l = self->v.ref.p;
    for (size_t i = 0; i < self->v.ref.n; i++)
        if (str_eq(l[i].name, key)) {
            *value = tval_str(l[i].value);
            return true;
        }
    return false;
}

/* Where alertname is among n labels; n if it is not. */
static size_t alertname_at(const struct label *l, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_eq(l[i].name, STR("alertname")))
            return i;
    return n;
}

/* The labels with alertname first; the set itself if it is that already. */
static const struct label *sorted_pairs(struct arena *a, const struct tval *kv)
{
    const struct label *l = kv->v.ref.p;
    size_t n = kv->v.ref.n, first = alertname_at(l, n);
    if (first == 0 || first == n)
        return l;
    struct label *v = arena_alloc_array(a, n, sizeof *v);
    v[0] = l[first];
    memcpy(v + 1, l, first * sizeof *v);
    memcpy(v + 1 + first, l + first + 1, (n - first - 1) * sizeof *v);
    return v;
}

static void write_pairs(const struct label *l, size_t n, size_t first, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        /* As sorted_pairs() would have it: `first` leads, the others keep their order. */
        const struct label *p = first == n ? &l[i] : i == 0 ? &l[first] : &l[i <= first ? i - 1 : i];
        if (i > 0)
            buf_c(out, ", ");
        buf_str(out, p->name);
        buf_byte(out, '=');
        buf_str(out, p->value);
    }
}

static void pairs_string(const struct tval *self, struct buf *out)
{
    write_pairs(self->v.ref.p, self->v.ref.n, self->v.ref.n, out);
}

static void kv_string(const struct tval *self, struct buf *out)
{
    write_pairs(self->v.ref.p, self->v.ref.n, alertname_at(self->v.ref.p, self->v.ref.n), out);
}

#define METHOD(name_)                                                                              \
    static bool name_(struct tval_call *c, const struct tval *self, const struct tval *args, size_t args_count, \
                      struct tval *out, struct err *err)

static void strings_of(struct tval_call *c, const struct label *l, size_t n, bool values, struct tval *out)
{
    struct str *v = arena_alloc_array(c->arena, n + 1, sizeof *v);
    for (size_t i = 0; i < n; i++)
        v[i] = values ? l[i].value : l[i].name;
    *out = tval_ref(&tval_strs_class, v, n);
}

METHOD(pairs_names)
{
    (void)args, (void)args_count, (void)err;
    strings_of(c, self->v.ref.p, self->v.ref.n, false, out);
    return true;
}

METHOD(pairs_values)
{
    (void)args, (void)args_count, (void)err;
    strings_of(c, self->v.ref.p, self->v.ref.n, true, out);
    return true;
}

METHOD(text_method)
{
    struct buf b = { 0 };
    (void)args, (void)args_count, (void)err;
    self->class->string(self, &b);
    *out = tval_str(arena_str(c->arena, buf_view(&b)));
    buf_deinit(&b);
    return true;
}

static const struct tval_method pairs_methods[] = {
    { STR_INIT("Names"), "", pairs_names },
    { STR_INIT("Values"), "", pairs_values },
    { STR_INIT("String"), "", text_method },
};
static const struct tval_class pairs_class = { .name = STR_INIT("template.Pairs"),
                                               .kind = TVAL_LIST,
                                               .stride = sizeof(struct label),
                                               .at = pairs_at,
                                               .methods = pairs_methods,
                                               .methods_count = ARRAY_LEN(pairs_methods),
                                               .string = pairs_string };

METHOD(kv_sorted_pairs)
{
    (void)args, (void)args_count, (void)err;
    size_t n = self->v.ref.n;
    const void *p = n > 0 ? (const void *)sorted_pairs(c->arena, self) : "";
    *out = tval_ref(&pairs_class, p, n);
    return true;
}

METHOD(kv_names)
{
    (void)args, (void)args_count, (void)err;
    strings_of(c, sorted_pairs(c->arena, self), self->v.ref.n, false, out);
    return true;
}

METHOD(kv_values)
{
    (void)args, (void)args_count, (void)err;
    strings_of(c, sorted_pairs(c->arena, self), self->v.ref.n, true, out);
    return true;
}

METHOD(kv_remove)
{
    (void)args_count, (void)err;
    const struct label *l = self->v.ref.p;
    const struct str *names = args[0].v.ref.p;
    struct label *v = arena_alloc_array(c->arena, self->v.ref.n + 1, sizeof *v);
    size_t n = 0;
    for (size_t i = 0; i < self->v.ref.n; i++) {
        bool keep = true;
        for (size_t k = 0; keep && k < args[0].v.ref.n; k++)
            keep = !str_eq(l[i].name, names[k]);
        if (keep)
            v[n++] = l[i];
    }
    *out = tval_ref(&kv_class, v, n);
    return true;
}

static const struct tval_method kv_methods[] = {
    { STR_INIT("SortedPairs"), "", kv_sorted_pairs }, { STR_INIT("Remove"), "S", kv_remove },
    { STR_INIT("Names"), "", kv_names },              { STR_INIT("Values"), "", kv_values },
    { STR_INIT("String"), "", text_method },
};
static const struct tval_class kv_class = { .name = STR_INIT("template.KV"),
                                            .kind = TVAL_MAP,
                                            .at = kv_at,
                                            .get = kv_get,
                                            .methods = kv_methods,
                                            .methods_count = ARRAY_LEN(kv_methods),
                                            .string = kv_string };

/* ---- alerts ---- */

static const struct render_alert *alert_of(const void *self)
{
    return self;
}

static void alert_status(const void *self, struct tval *out)
{
    *out = tval_str(alert_of(self)->status);
}

static void alert_kv_labels(const void *self, struct tval *out)
{
    *out = kv_value(alert_of(self)->labels);
}

static void alert_kv_annotations(const void *self, struct tval *out)
{
    *out = kv_value(alert_of(self)->annotations);
}

static void alert_starts_at(const void *self, struct tval *out)
{
    *out = tval_at_time(alert_of(self)->starts_at, alert_of(self)->starts_offset_s);
}

static void alert_ends_at(const void *self, struct tval *out)
{
    *out = tval_at_time(alert_of(self)->ends_at, alert_of(self)->ends_offset_s);
}

static void alert_generator_url(const void *self, struct tval *out)
{
    *out = tval_str(alert_of(self)->generator_url);
}

static void alert_fingerprint(const void *self, struct tval *out)
{
    *out = tval_str(alert_of(self)->fingerprint);
}

static const struct tval_field alert_fields[] = {
    { STR_INIT("Status"), STR_INIT("status"), alert_status, TVAL_TEXT(struct render_alert, status) },
    { STR_INIT("Labels"), STR_INIT("labels"), alert_kv_labels, 0 },
    { STR_INIT("Annotations"), STR_INIT("annotations"), alert_kv_annotations, 0 },
    { STR_INIT("StartsAt"), STR_INIT("startsAt"), alert_starts_at, 0 },
    { STR_INIT("EndsAt"), STR_INIT("endsAt"), alert_ends_at, 0 },
    { STR_INIT("GeneratorURL"), STR_INIT("generatorURL"), alert_generator_url,
      TVAL_TEXT(struct render_alert, generator_url) },
    { STR_INIT("Fingerprint"), STR_INIT("fingerprint"), alert_fingerprint, TVAL_TEXT(struct render_alert, fingerprint) },
};
static const struct tval_class alert_class = { .name = STR_INIT("template.Alert"),
                                               .kind = TVAL_STRUCT,
                                               .fields = alert_fields,
                                               .fields_count = ARRAY_LEN(alert_fields) };

static void alerts_at(const struct tval *self, size_t i, struct str *key, struct tval *value)
{
    (void)key;
    *value = tval_ref(&alert_class, ((const struct render_alert *const *)self->v.ref.p)[i], 0);
}

static const struct tval_class alert_list_class = { .name = STR_INIT("[]template.Alert"),
                                                    .kind = TVAL_LIST,
                                                    .stride = sizeof(struct render_alert *),
                                                    .at = alerts_at };

static void alerts_with(struct tval_call *c, const struct tval *self, struct str status, struct tval *out)
{
    const struct render_alert *const *all = self->v.ref.p;
    const struct render_alert **v = arena_alloc_array(c->arena, self->v.ref.n + 1, sizeof(struct render_alert *));
    size_t n = 0;
    for (size_t i = 0; i < self->v.ref.n; i++)
        if (str_eq(all[i]->status, status))
            v[n++] = all[i];
    *out = tval_ref(&alert_list_class, v, n);
}

METHOD(alerts_firing)
{
    (void)args, (void)args_count, (void)err;
    alerts_with(c, self, STR("firing"), out);
    return true;
}

METHOD(alerts_resolved)
{
    (void)args, (void)args_count, (void)err;
    alerts_with(c, self, STR("resolved"), out);
    return true;
}

static const struct tval_method alerts_methods[] = {
    { STR_INIT("Firing"), "", alerts_firing },
    { STR_INIT("Resolved"), "", alerts_resolved },
};
static const struct tval_class alerts_class = { .name = STR_INIT("template.Alerts"),
                                                .kind = TVAL_LIST,
                                                .stride = sizeof(struct render_alert *),
                                                .at = alerts_at,
                                                .methods = alerts_methods,
                                                .methods_count = ARRAY_LEN(alerts_methods) };

/* ---- data ---- */

static const struct render_data *data_of(const void *self)
{
    return self;
}

static void data_receiver(const void *self, struct tval *out)
{
    *out = tval_str(data_of(self)->receiver);
}

static void data_status(const void *self, struct tval *out)
{
    *out = tval_str(data_of(self)->status);
}

static void data_alerts(const void *self, struct tval *out)
{
    *out = tval_ref(&alerts_class, data_of(self)->alerts, data_of(self)->alerts_count);
}

static void data_reason(const void *self, struct tval *out)
{
    *out = tval_str(data_of(self)->notification_reason);
}

static void data_group_labels(const void *self, struct tval *out)
{
    *out = kv_value(data_of(self)->group_labels);
}

static void data_common_labels(const void *self, struct tval *out)
{
    *out = kv_value(data_of(self)->common_labels);
}

static void data_common_annotations(const void *self, struct tval *out)
{
    *out = kv_value(data_of(self)->common_annotations);
}

static void data_route_labels(const void *self, struct tval *out)
{
    *out = kv_value(data_of(self)->route_labels);
}

static void data_external_url(const void *self, struct tval *out)
{
    *out = tval_str(data_of(self)->external_url);
}

static const struct tval_field data_fields[] = {
    { STR_INIT("Receiver"), STR_INIT("receiver"), data_receiver, TVAL_TEXT(struct render_data, receiver) },
    { STR_INIT("Status"), STR_INIT("status"), data_status, TVAL_TEXT(struct render_data, status) },
    { STR_INIT("Alerts"), STR_INIT("alerts"), data_alerts, 0 },
    { STR_INIT("NotificationReason"), STR_INIT("notification_reason"), data_reason, 0 },
    { STR_INIT("GroupLabels"), STR_INIT("groupLabels"), data_group_labels, 0 },
    { STR_INIT("CommonLabels"), STR_INIT("commonLabels"), data_common_labels, 0 },
    { STR_INIT("CommonAnnotations"), STR_INIT("commonAnnotations"), data_common_annotations, 0 },
    { STR_INIT("RouteLabels"), STR_INIT("routeLabels"), data_route_labels, 0 },
    { STR_INIT("ExternalURL"), STR_INIT("externalURL"), data_external_url, TVAL_TEXT(struct render_data, external_url) },
};
static const struct tval_class data_class = { .name = STR_INIT("*template.Data"),
                                              .kind = TVAL_STRUCT,
                                              .pointer = true,
                                              .fields = data_fields,
                                              .fields_count = ARRAY_LEN(data_fields) };

struct tval render_data_value(const struct render_data *d)
{
    return tval_ref(&data_class, d, 0);
}

/* ---- from a notification ---- */

static struct str quote_regex(struct arena *a, struct str s)
{
    struct buf b = { 0 };
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] && strchr("\\.+*?()|[]{}^$", s.p[i]))
            buf_byte(&b, '\\');
        buf_byte(&b, s.p[i]);
    }
    struct str out = arena_str(a, buf_view(&b));
    buf_deinit(&b);
    return out;
}

/* Labels of the first alert whose value every other alert has too; a missing one counts as empty. */
static struct labels common(struct arena *a, const struct render_alert *const *alerts, size_t n, bool annotations)
{
    const struct labels first = n == 0       ? (struct labels){ 0 }
                                : annotations ? alerts[0]->annotations
                                              : alerts[0]->labels;
    struct label *v = arena_alloc_array(a, first.n + 1, sizeof *v);
    size_t count = 0;
    for (size_t i = 0; i < first.n; i++) {
        bool same = true;
        for (size_t k = 1; same && k < n; k++) {
            struct labels ls = annotations ? alerts[k]->annotations : alerts[k]->labels;
            same = str_eq(labels_get(ls, first.v[i].name), first.v[i].value);
        }
        if (same)
            v[count++] = first.v[i];
    }
    return (struct labels){ v, count };
}

/* Not nil, even if empty. */
static struct labels present(struct labels ls)
{
    static const struct label none;
    return ls.v ? ls : (struct labels){ &none, 0 };
}

static void alert_from(struct arena *a, const struct notification_alert *na, struct render_alert *out)
{
    const struct alert *al = na->alert;
    struct buf fp = { 0 };
    fingerprint_write(&fp, al->fp);
    *out = (struct render_alert){
        .status = na->resolved ? STR("resolved") : STR("firing"),
        .labels = present(alert_labels(al, a)),
        .annotations = present(alert_annotations(al, a)),
        .starts_at = al->starts_at,
        .starts_offset_s = al->starts_offset_s,
        .ends_at = na->resolved ? na->ends_at : WIRE_TIME_ZERO,
        .ends_offset_s = na->resolved ? al->ends_offset_s : 0,
        .generator_url = al->family->generator_url,
        .fingerprint = arena_str(a, buf_view(&fp)),
    };
    buf_deinit(&fp);
}

void render_data_from(struct arena *a, const struct notification *n, size_t alerts_max, struct render_data *out)
{
    size_t count = alerts_max > 0 && alerts_max < n->alerts_count ? alerts_max : n->alerts_count;
    struct render_alert *v = arena_alloc_array(a, count + 1, sizeof *v);
    const struct render_alert **pointers = arena_alloc_array(a, count + 1, sizeof(struct render_alert *));
    bool firing = false;
    for (size_t i = 0; i < count; i++) {
        alert_from(a, &n->alerts[i], &v[i]);
        pointers[i] = &v[i];
        firing |= !n->alerts[i].resolved;
    }
    *out = (struct render_data){
        .receiver = quote_regex(a, n->receiver),
        .status = firing ? STR("firing") : STR("resolved"),
        .alerts = pointers,
        .alerts_count = count,
        .notification_reason = notify_reason_text(n->reason),
        .group_labels = present(n->group_labels),
        .common_labels = common(a, pointers, count, false),
        .common_annotations = common(a, pointers, count, true),
        .route_labels = present(n->route_labels),
        .external_url = n->external_url,
    };
}

struct labels render_route_labels(struct template_renderer *r, struct arena *a, const struct notification *n,
                                  struct zone *(*zone)(void *arg, struct str name),
                                  void (*failed)(void *arg, struct str name, const struct err *err), void *arg)
{
    struct labels raw = n->route_labels;
    if (raw.n == 0)
        return present((struct labels){ 0 });
    struct render_data data;
    render_data_from(a, n, 0, &data);
    data.notification_reason = notify_reason_text(NOTIFY_REASON_UNKNOWN);
    struct template_hooks hooks = { .zone = zone, .route_labels = raw };
    struct template_run run = { .data = render_data_value(&data), .now = n->now, .arena = a, .hooks = &hooks };
    struct label *v = arena_alloc_array(a, raw.n, sizeof *v);
    size_t count = 0;
    for (size_t i = 0; i < raw.n; i++) {
        struct buf b = { 0 };
        struct err err = { 0 };
        if (template_render_text(r, &run, raw.v[i].value, &b, &err))
            v[count++] = (struct label){ raw.v[i].name, arena_str(a, buf_view(&b)) };
        else if (failed)
            failed(arg, raw.v[i].name, &err);
        buf_deinit(&b);
    }
    return (struct labels){ v, count };
}

/* ---- JSON out ---- */

void render_labels_json(struct json_writer *w, struct labels ls)
{
    struct tval v = kv_value(ls);
    struct err err = { 0 };
    bool ok = tval_write_json(&v, w, &err);
    ASSERT(ok); /* strings always can */
}

void render_alerts_json(struct json_writer *w, const struct render_data *d)
{
    struct tval v;
    struct err err = { 0 };
    data_alerts(d, &v);
    bool ok = tval_write_json(&v, w, &err);
    ASSERT(ok);
}

/* ---- JSON in ---- */

static int label_order(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

/* Sorts by name; of equal names the last given stays (Go's maps), empty values stay too. */
static size_t sort_labels(struct label *v, size_t n)
{
    for (size_t i = 1; i < n; i++) { /* stable, and label sets are short */
        struct label l = v[i];
        size_t k = i;
        for (; k > 0 && label_order(&v[k - 1], &l) > 0; k--)
            v[k] = v[k - 1];
        v[k] = l;
    }
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (i + 1 == n || !str_eq(v[i].name, v[i + 1].name))
            v[kept++] = v[i];
    return kept;
}

static bool read_labels(struct json_reader *r, struct labels *out)
{
    struct str key;
    if (jr_peek(r) == JR_NULL) {
        *out = (struct labels){ 0 };
        return jr_null(r);
    }
    size_t n = 0, capacity = 8;
    struct label *v = arena_alloc_array(r->arena, capacity, sizeof *v);
    if (!jr_object(r))
        return false;
    while (jr_member(r, &key)) {
        struct str value = STR_EMPTY;
        if (jr_peek(r) == JR_NULL ? !jr_null(r) : !jr_str(r, &value))
            return false;
        if (n == LABELS_MAX)
            return jr_fail(r, "more than %d labels", LABELS_MAX);
        if (n == capacity) {
            struct label *grown = arena_alloc_array(r->arena, capacity * 2, sizeof *v);
            memcpy(grown, v, n * sizeof *v);
            v = grown;
            capacity *= 2;
        }
        v[n++] = (struct label){ key, value };
    }
    *out = (struct labels){ v, sort_labels(v, n) };
    return true;
}

static bool read_time(struct json_reader *r, struct wire_time *t, int32_t *offset_s)
{
    struct str s;
    if (jr_peek(r) == JR_NULL)
        return jr_null(r);
    if (!jr_str(r, &s))
        return false;
    return rfc3339_parse(s, t, offset_s) || jr_fail(r, "parsing time \"%.*s\"", STR_ARG(s));
}

static bool read_text(struct json_reader *r, struct str *out)
{
    return jr_peek(r) == JR_NULL ? jr_null(r) : jr_str(r, out);
}

static bool read_alert(struct json_reader *r, struct render_alert *a)
{
    struct str key;
    bool ok = true;
    a->starts_at = a->ends_at = WIRE_TIME_ZERO;
    if (jr_peek(r) == JR_NULL)
        return jr_null(r);
    if (!jr_object(r))
        return false;
    while (ok && jr_member(r, &key)) {
        if (str_eq_nocase(key, STR("status")))
            ok = read_text(r, &a->status);
        else if (str_eq_nocase(key, STR("labels")))
            ok = read_labels(r, &a->labels);
        else if (str_eq_nocase(key, STR("annotations")))
            ok = read_labels(r, &a->annotations);
        else if (str_eq_nocase(key, STR("startsAt")))
            ok = read_time(r, &a->starts_at, &a->starts_offset_s);
        else if (str_eq_nocase(key, STR("endsAt")))
            ok = read_time(r, &a->ends_at, &a->ends_offset_s);
        else if (str_eq_nocase(key, STR("generatorURL")))
            ok = read_text(r, &a->generator_url);
        else if (str_eq_nocase(key, STR("fingerprint")))
            ok = read_text(r, &a->fingerprint);
        else
            ok = jr_skip(r);
    }
    return ok;
}

static bool read_alerts(struct json_reader *r, struct render_data *out)
{
    out->alerts = NULL;
    out->alerts_count = 0;
    if (jr_peek(r) == JR_NULL)
        return jr_null(r);
    size_t n = 0, capacity = 8;
    const struct render_alert **v = arena_alloc_array(r->arena, capacity, sizeof(struct render_alert *));
    if (!jr_array(r))
        return false;
    while (jr_element(r)) {
        if (n == ALERTS_MAX)
            return jr_fail(r, "more than %d alerts", ALERTS_MAX);
        struct render_alert *a = ARENA_NEW(r->arena, struct render_alert);
        if (!read_alert(r, a))
            return false;
        if (n == capacity) {
            const struct render_alert **grown = arena_alloc_array(r->arena, capacity * 2, sizeof(struct render_alert *));
            memcpy(grown, v, n * sizeof(struct render_alert *));
            v = grown;
            capacity *= 2;
        }
        v[n++] = a;
    }
    out->alerts = v;
    out->alerts_count = n;
    return true;
}

static bool read_member(struct json_reader *r, struct str key, struct render_data *out)
{
    if (str_eq_nocase(key, STR("receiver")))
        return read_text(r, &out->receiver);
    if (str_eq_nocase(key, STR("status")))
        return read_text(r, &out->status);
    if (str_eq_nocase(key, STR("alerts")))
        return read_alerts(r, out);
    if (str_eq_nocase(key, STR("notification_reason")))
        return read_text(r, &out->notification_reason);
    if (str_eq_nocase(key, STR("groupLabels")))
        return read_labels(r, &out->group_labels);
    if (str_eq_nocase(key, STR("commonLabels")))
        return read_labels(r, &out->common_labels);
    if (str_eq_nocase(key, STR("commonAnnotations")))
        return read_labels(r, &out->common_annotations);
    if (str_eq_nocase(key, STR("routeLabels")))
        return read_labels(r, &out->route_labels);
    if (str_eq_nocase(key, STR("externalURL")))
        return read_text(r, &out->external_url);
    return jr_skip(r);
}

bool render_data_from_json(struct arena *a, struct str json, struct render_data *out, struct err *err)
{
    struct json_reader r;
    struct str key;
    *out = (struct render_data){ 0 };
    json_reader_init(&r, json, a);
    bool ok = jr_object(&r);
    while (ok && jr_member(&r, &key))
        ok = read_member(&r, key, out);
    return jr_finish(&r, err);
}

/* ---- the sample ---- */

static struct labels sample_labels(struct arena *a, const char *const *pairs)
{
    size_t n = 0;
    while (pairs[n])
        n += 2;
    struct label *v = arena_alloc_array(a, n / 2 + 1, sizeof *v);
    for (size_t i = 0; i < n / 2; i++)
        v[i] = (struct label){ str_c(pairs[2 * i]), str_c(pairs[2 * i + 1]) };
    return (struct labels){ v, sort_labels(v, n / 2) };
}

static const struct render_alert *sample_alert(struct arena *a, const char *status, const char *const *labels,
                                               const char *const *annotations, struct wire_time starts,
                                               struct wire_time ends, const char *id)
{
    struct render_alert *al = ARENA_NEW(a, struct render_alert);
    *al = (struct render_alert){ .status = str_c(status),
                                 .labels = sample_labels(a, labels),
                                 .annotations = sample_labels(a, annotations),
                                 .starts_at = starts,
                                 .ends_at = ends,
                                 .generator_url = STR("https://generatorurl.com"),
                                 .fingerprint = str_c(id) };
    return al;
}

#define COMMON_LABELS      "commonlabelkey1", "commonlabelvalue1", "commonlabelkey2", "commonlabelvalue2"
#define COMMON_ANNOTATIONS "commonannotationkey1", "commonannotationvalue1", "commonannotationkey2", "commonannotationvalue2"

void render_data_sample(struct arena *a, struct wire_time now, struct render_data *out)
{
    static const char *const group[] = { "grouplabelkey1", "grouplabelvalue1", "grouplabelkey2", "grouplabelvalue2", NULL };
    static const char *const labels[] = { COMMON_LABELS, NULL };
    static const char *const annotations[] = { COMMON_ANNOTATIONS, NULL };
    static const char *const labels1[] = { "label1", "value1", "label2", "value2", "instance", "foo.bar:1234",
                                           COMMON_LABELS, NULL };
    static const char *const annotations1[] = { "annotation1", "value1", "annotation2", "value2", COMMON_ANNOTATIONS,
                                                NULL };
    static const char *const labels2[] = { "foo", "bar", "baz", "qux", COMMON_LABELS, NULL };
    static const char *const annotations2[] = { "aaa", "bbb", "ccc", "ddd", COMMON_ANNOTATIONS, NULL };
    const struct render_alert **alerts = arena_alloc_array(a, 2, sizeof(struct render_alert *));
    alerts[0] = sample_alert(a, "firing", labels1, annotations1, wire_time_add_ms(now, -5 * 60 * 1000), now,
                             "fingerprint1");
    alerts[1] = sample_alert(a, "resolved", labels2, annotations2, wire_time_add_ms(now, -10 * 60 * 1000), now,
                             "fingerprint2");
    *out = (struct render_data){ .receiver = STR("receiver"),
                                 .status = STR("alertstatus"),
                                 .alerts = alerts,
                                 .alerts_count = 2,
                                 .group_labels = sample_labels(a, group),
                                 .common_labels = sample_labels(a, labels),
                                 .common_annotations = sample_labels(a, annotations),
                                 .external_url = STR("https://example.com") };
}
