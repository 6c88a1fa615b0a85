/* What each receiver is sent in three phases (two alerts firing, one resolved, all resolved): the rows are driven with the
 * recorded configurations and answers, without sockets, and their requests compared with the recorded ones.
 *
 * The recordings are of 0.25; files under derived/ are of 0.34. Differences between the two that the recordings' notes
 * name (new members, details of PagerDuty) are allowed for the former. */
#include "http/smtp.h"
#include "http/url.h"
#include "lib/shared.h"
#include "notify/default_templates.h"
#include "notify/receivers/email_config.h"
#include "notify/receivers_config.h"
#include "notify/send.h"

#define GROUP_KEY      "{}/{alertname=~\".+\"}:{alertname=\"HighCPU\"}"
#define LABELS_MAX     64
#define REQUESTS_MAX   8

struct fixture {
    struct template_set *set;
    struct template_renderer *renderer;
    struct arena arena; /* of one file */
    const char *file;
    bool recorded; /* by 0.25 */
    struct yaml_doc doc;
    struct send_cache *cache;
};

/* ---- configuration ---- */

static bool no_file(struct str path, struct buf *out, struct err *err)
{
    (void)out;
    return err_set(err, ERR_NOT_FOUND, "open %.*s: no such file or directory", STR_ARG(path));
}

static const struct receiver_config_row *find_row(const char *yaml_key)
{
    for (size_t i = 0; i < RECEIVER_KINDS; i++)
        if (strcmp(receiver_config_rows[i].yaml_key, yaml_key) == 0)
            return &receiver_config_rows[i];
    return NULL;
}

static bool defaults(struct fixture *f, struct receiver_defaults *d, struct err *err)
{
    struct binding b = { .arena = &f->arena };
    *d = (struct receiver_defaults){ 0 };
    bind_defaults(&b, &receiver_defaults_bind, d);
    d->http_config = ARENA_NEW(&f->arena, struct http_client_config);
    http_client_config_init(d->http_config);
    return receiver_defaults_check(d, err);
}

/* JSON is YAML; the tree lives as long as the arena of the file. */
static void *bind_config(struct fixture *f, const struct receiver_config_row *row, const json_t *value, struct err *err)
{
    struct receiver_defaults d;
    struct binding b = { .arena = &f->arena };
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    void *config = arena_alloc(&f->arena, row->bind->size);
    bool ok = yaml_parse(&f->doc, arena_str(&f->arena, str_c(text)), err) && defaults(f, &d, err) &&
              bind_document(&b, row->bind, f->doc.root, config, err) && row->finish(config, &d, &f->arena, err);
    free(text);
    if (ok && row->kind == RECEIVER_EMAIL)
        email_config_fill_headers(config, &f->arena);
    return ok ? config : NULL;
}

/* ---- notifications ---- */

static struct labels read_labels(const json_t *object, struct label *v)
{
    size_t n = 0;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    if (n < LABELS_MAX)
        v[n++] = (struct label){ str_c(key), str_of(json_string_value(value), json_string_length(value)) };
    return labels_normalize(v, n);
}

static struct notification_alert read_alert(const json_t *posted, struct wire_time now)
{
    struct label labels[LABELS_MAX], annotations[LABELS_MAX];
    struct alert_spec spec = { .labels = read_labels(json_object_get(posted, "labels"), labels),
                               .annotations = read_labels(json_object_get(posted, "annotations"), annotations),
                               .generator_url = shared_get_str(posted, "generatorURL"),
                               .updated_at = now };
    bool ok = rfc3339_parse(shared_get_str(posted, "startsAt"), &spec.starts_at, &spec.starts_offset_s) &&
              rfc3339_parse(shared_get_str(posted, "endsAt"), &spec.ends_at, &spec.ends_offset_s);
    ASSERT(ok);
    return (struct notification_alert){ alert_new(NULL, &spec), spec.ends_at, wire_time_cmp(spec.ends_at, now) <= 0 };
}

static struct notification *make_notification(const json_t *file, const json_t *phase, size_t number, bool send_resolved,
                                              struct wire_time now)
{
    static const enum notify_reason reasons[] = { NOTIFY_REASON_FIRST, NOTIFY_REASON_SOME_RESOLVED,
                                                  NOTIFY_REASON_ALL_RESOLVED };
    struct notification *n = notification_new();
    const json_t *posted = json_object_get(phase, "posted_alerts");
    struct notification_alert *v = arena_alloc_array(&n->arena, json_array_size(posted), sizeof *v);
    struct label *group = ARENA_NEW(&n->arena, struct label);
    for (size_t i = 0; i < json_array_size(posted); i++) {
        struct notification_alert a = read_alert(json_array_get(posted, i), now);
        if (a.resolved && !send_resolved)
            alert_release(a.alert);
        else
            v[n->alerts_count++] = a;
    }
    *group = (struct label){ STR("alertname"), STR("HighCPU") };
    n->alerts = v;
    n->receiver = arena_str(&n->arena, shared_get_str(file, "receiver"));
    n->group_key = STR(GROUP_KEY);
    n->group_labels = (struct labels){ group, 1 };
    n->reason = reasons[number < 3 ? number : 2];
    n->external_url = arena_str(&n->arena, shared_get_str(file, "external_url"));
    n->now = now;
    return n;
}

/* ---- comparing ---- */

/* Members that 0.34 added, or writes in another way. */
static bool is_newer(const char *key)
{
    static const char *const newer[] = { "notification_reason", "routeLabels", "content", "custom_details", "details" };
    for (size_t i = 0; i < ARRAY_LEN(newer); i++)
        if (strcmp(key, newer[i]) == 0)
            return true;
    return false;
}

static bool close_to(const struct fixture *f, const json_t *got, const json_t *want)
{
    const char *key;
    json_t *value;
    if (json_is_array(want) && json_is_array(got) && json_array_size(want) == json_array_size(got)) {
        for (size_t i = 0; i < json_array_size(want); i++)
            if (!close_to(f, json_array_get(got, i), json_array_get(want, i)))
                return false;
        return true;
    }
    if (!json_is_object(want) || !json_is_object(got))
        return json_equal(got, want);
    json_object_foreach((json_t *)(uintptr_t)want, key, value)
    {
        /* Opsgenie has details of its own, which are the same in both. */
        bool skip = f->recorded && is_newer(key) && !json_object_get(want, "alias");
        if (!skip && !close_to(f, json_object_get(got, key), value))
            return false;
    }
    json_object_foreach((json_t *)(uintptr_t)got, key, value)
        if (!json_object_get(want, key) && !(f->recorded && is_newer(key)))
            return false;
    return true;
}

/* Every parameter of the one is in the other; empty ones may be missing. */
static bool same_params(struct arena *a, struct str got, struct str want)
{
    struct http_params g, w;
    http_params_parse(a, got, &g);
    http_params_parse(a, want, &w);
    for (size_t i = 0; i < w.n; i++)
        if (!str_eq(http_param_get(&g, w.v[i].name), w.v[i].value))
            return false;
    for (size_t i = 0; i < g.n; i++)
        if (g.v[i].value.n > 0 && !http_param_has(&w, g.v[i].name))
            return false;
    return true;
}

static bool same_url(struct fixture *f, const struct send_request *q, const json_t *want)
{
    struct http_url url;
    struct err err = { 0 };
    struct buf path = { 0 };
    struct str target = shared_get_str(want, "url"), connect = shared_get_str(want, "via_connect");
    if (!http_url_parse(&f->arena, q->url, &url, &err))
        return false;
    size_t mark = str_find_byte(target, '?');
    struct str want_path = str_sub(target, 0, mark == STR_NPOS ? target.n : mark);
    http_url_escaped_path(&path, &url);
    bool ok = str_eq(buf_view(&path), want_path) &&
              same_params(&f->arena, url.raw_query, mark == STR_NPOS ? STR_EMPTY : str_from(target, mark + 1));
    struct str host = connect.p ? str_sub(connect, 0, connect.n - (sizeof ":443" - 1)) : STR("capture.test");
    ok = ok && str_eq(url.host, host) && str_eq(url.scheme, connect.p ? STR("https") : STR("http"));
    buf_deinit(&path);
    return ok;
}

static struct str own_header(const struct send_request *q, struct str name)
{
    for (size_t i = 0; i < q->headers_count; i++)
        if (str_eq_nocase(q->headers[i].name, name))
            return q->headers[i].value;
    return STR_EMPTY;
}

/* What the client adds by itself is not the row's. */
static bool same_headers(const struct send_request *q, const json_t *want, const char **which)
{
    for (size_t i = 0; i < json_array_size(want); i++) {
        const json_t *pair = json_array_get(want, i);
        const char *name = json_string_value(json_array_get(pair, 0));
        struct str value = str_c(json_string_value(json_array_get(pair, 1)));
        bool by_client = strcmp(name, "Host") == 0 || strcmp(name, "User-Agent") == 0 ||
                         strcmp(name, "Content-Length") == 0 || strcmp(name, "X-Amz-Date") == 0;
        bool by_config = strcmp(name, "Authorization") == 0 &&
                         (q->http->basic_auth || q->http->authorization || str_starts(value, STR("AWS4-HMAC")));
        *which = name;
        if (!by_client && !by_config && !str_eq(own_header(q, str_c(name)), value))
            return false;
    }
    return true;
}

static bool same_body(struct fixture *f, const struct send_request *q, const json_t *want)
{
    json_error_t error;
    const json_t *value = json_object_get(want, "json");
    struct str body = shared_get_str(want, "body");
    if (value && !json_is_null(value)) {
        json_t *got = json_loadb(q->body.p, q->body.n, 0, &error);
        bool ok = got && close_to(f, got, value) && str_ends(q->body, STR("\n"));
        json_decref(got);
        return ok;
    }
    if (str_starts(body, STR("Action=")))
        return same_params(&f->arena, q->body, body);
    return !body.p || str_eq(q->body, body);
}

static void compare(struct fixture *f, const char *what, const struct send_request *q, const json_t *want)
{
    const char *which = "";
    if (!str_eq(q->method, shared_get_str(want, "method")))
        shared_fail(what, "method %.*s", STR_ARG(q->method));
    else if (!same_url(f, q, want))
        shared_fail(what, "url %.*s", STR_ARG(q->url));
    else if (!same_headers(q, json_object_get(want, "headers"), &which))
        shared_fail(what, "header %s: %.*s", which, STR_ARG(own_header(q, str_c(which))));
    else if (!same_body(f, q, want))
        shared_fail(what, "body %.*s", STR_ARG(q->body));
    else
        shared_pass();
}

/* ---- mail ---- */

/* The message without what no two messages share: id, date, boundary. Header lines are sorted, the dots that the dialogue
 * stuffs are taken out again, and the built-in page (whose layout changed since 0.25) is cut off. */
static int line_order(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

static struct str normal_message(struct arena *a, struct str s, bool on_wire)
{
    struct buf b = { 0 }, out = { 0 };
    struct str lines[64];
    size_t n = 0, at = str_find(s, STR("boundary="));
    struct str boundary = str_sub(s, at + 9, 60);
    struct str rest = s;
    for (size_t i; (i = str_find(rest, boundary)) != STR_NPOS; rest = str_from(rest, i + boundary.n)) {
        buf_append(&b, rest.p, i);
        buf_c(&b, "BOUNDARY");
    }
    buf_str(&b, rest);
    struct str all = arena_str(a, buf_view(&b));
    size_t head = str_find(all, STR("\r\n\r\n"));
    struct str headers = str_sub(all, 0, head), line;
    while (str_split(&headers, '\n', &line))
        if (n < ARRAY_LEN(lines) && !str_starts(line, STR("Date: ")) && !str_contains(line, STR(".example>")) &&
            !str_contains(line, STR("@host>")))
            lines[n++] = str_trim(line);
    qsort(lines, n, sizeof lines[0], line_order);
    for (size_t i = 0; i < n; i++) {
        buf_str(&out, lines[i]);
        buf_byte(&out, '\n');
    }
    struct str body = str_sub(all, head, str_find(str_from(all, head), STR("<!DOCTYPE")));
    for (size_t i; on_wire && (i = str_find(body, STR("\r\n.."))) != STR_NPOS; body = str_from(body, i + 4))
        buf_append(&out, body.p, i + 3);
    buf_str(&out, body);
    struct str r = arena_str(a, buf_view(&out));
    buf_deinit(&b);
    buf_deinit(&out);
    return r;
}

static bool has_line(const json_t *dialogue, struct str line)
{
    for (size_t i = 0; i < json_array_size(dialogue); i++)
        if (str_starts(str_c(json_string_value(json_array_get(dialogue, i))), line))
            return true;
    return false;
}

static void compare_mail(struct fixture *f, const char *what, const struct smtp_job *job, const json_t *want)
{
    struct smtp_job rendered = *job;
    struct err err = { 0 };
    const json_t *dialogue = json_object_get(want, "dialogue");
    if (!job->render(job->render_arg, &rendered, &err)) {
        shared_fail(what, "%s", err.text);
        return;
    }
    bool ok = has_line(dialogue, arena_printf(&f->arena, "C: EHLO %.*s", STR_ARG(job->hello))) &&
              has_line(dialogue, arena_printf(&f->arena, "C: MAIL FROM:<%.*s>", STR_ARG(rendered.from)));
    for (size_t i = 0; i < rendered.to_count; i++)
        ok = ok && has_line(dialogue, arena_printf(&f->arena, "C: RCPT TO:<%.*s>", STR_ARG(rendered.to[i])));
    if (!ok)
        shared_fail(what, "the envelope differs");
    else
        shared_check_str(what, normal_message(&f->arena, rendered.message, false),
                         normal_message(&f->arena, shared_get_str(want, "message"), true));
}

/* ---- driving ---- */

/* What a server that is content says, where the case does not. */
static struct str good_answer(enum receiver_kind kind, int step)
{
    if (kind == RECEIVER_WECHAT)
        return step == 0 ? STR("{\"errcode\":0,\"access_token\":\"TOKEN123\"}") : STR("{\"errcode\":0}");
    if (kind == RECEIVER_SLACK)
        return STR("ok");
    if (kind == RECEIVER_TELEGRAM)
        return STR("{\"ok\":true,\"result\":{}}");
    return kind == RECEIVER_ROCKETCHAT ? STR("{\"success\":true}") : STR_EMPTY;
}

static struct send_response *answer_of(struct fixture *f, enum receiver_kind kind, int step, const json_t *want)
{
    struct send_response *res = ARENA_NEW(&f->arena, struct send_response);
    const json_t *answer = json_object_get(want, "server_answer");
    res->arrived = true;
    res->status = 200;
    res->body = good_answer(kind, step);
    if (answer) {
        char *text = json_dumps(answer, JSON_ENCODE_ANY);
        res->body = arena_str(&f->arena, str_c(text));
        free(text);
    }
    return res;
}

static void run_requests(struct fixture *f, const char *what, struct send_attempt *at, const json_t *wants)
{
    struct send_error why = { 0 };
    struct send_request next = { 0 };
    enum send_verdict verdict = at->row->step(at, NULL, &next, &why);
    char name[256];
    for (size_t i = 0; i < json_array_size(wants); i++) {
        const json_t *want = json_array_get(wants, i);
        snprintf(name, sizeof name, "%s request %zu", what, i);
        if (verdict != SEND_REQUEST) {
            shared_fail(name, "no request: verdict %d, %s", (int)verdict, why.err.text);
            return;
        }
        compare(f, name, &next, want);
        bool token = str_contains(next.url, STR("gettoken"));
        struct send_response *res = answer_of(f, at->row->kind, token ? 0 : 1, want);
        next = (struct send_request){ 0 };
        verdict = at->row->step(at, res, &next, &why);
    }
    if (verdict != SEND_DONE)
        shared_fail(what, "verdict %d at the end, %s %.*s", (int)verdict, why.err.text, STR_ARG(next.url));
}

static void run_mail(struct fixture *f, const char *what, struct send_attempt *at, const json_t *wants)
{
    struct send_error why = { 0 };
    struct send_request next = { 0 };
    enum send_verdict verdict = at->row->step(at, NULL, &next, &why);
    if (verdict != SEND_REQUEST || !next.smtp)
        shared_fail(what, "verdict %d, %s", (int)verdict, why.err.text);
    else
        compare_mail(f, what, next.smtp, json_array_get(wants, 0));
}

static void run_phase(struct fixture *f, const json_t *file, const struct receiver_config_row *row, const void *config,
                      size_t number)
{
    const json_t *phase = json_array_get(json_object_get(file, "phases"), number);
    const json_t *requests = json_object_get(phase, "requests"), *mails = json_object_get(phase, "smtp");
    const json_t *wants = requests ? requests : mails;
    const struct receiver_common *common = config;
    struct wire_time now = { 1795372052, 405422032 };
    struct notification *n = make_notification(file, phase, number, common->send_resolved, now);
    char what[200];
    snprintf(what, sizeof what, "%s %s", f->file, json_string_value(json_object_get(phase, "phase")));
    struct receiver_env env = { .templates = f->set, .hostname = STR("host"), .read_file = no_file };
    struct send_attempt at = { .env = &env, .row = receiver_rows[row->kind], .config = config, .n = n, .now = now,
                               .renderer = f->renderer, .arena = &f->arena, .cache = f->cache };
    /* With nothing to say the pipeline asks for nothing. */
    if (n->alerts_count == 0 || json_array_size(wants) == 0) {
        if (n->alerts_count == 0 && json_array_size(wants) == 0)
            shared_pass();
        else if (json_array_size(wants) > 0)
            shared_fail(what, "requests are expected, no alerts are passed");
    } else if (mails) {
        run_mail(f, what, &at, mails);
    } else {
        run_requests(f, what, &at, requests);
    }
    notification_release(n);
}

static void run_file(const char *path, void *arg)
{
    struct fixture *f = arg;
    size_t n = strlen(path);
    if (n < 5 || strcmp(path + n - 5, ".json") != 0)
        return;
    json_t *file = shared_json(path);
    const json_t *phases = file ? json_object_get(file, "phases") : NULL;
    const char *key = phases ? json_object_iter_key(json_object_iter(json_object_get(file, "receiver_config"))) : NULL;
    const struct receiver_config_row *row = key ? find_row(key) : NULL;
    if (row) {
        struct err err = { 0 };
        arena_init(&f->arena, ARENA_NO_LIMIT);
        f->file = path;
        f->recorded = strstr(path, "/derived/") == NULL;
        f->cache = send_cache_new();
        const void *config = bind_config(f, row, json_array_get(json_object_get(json_object_get(file, "receiver_config"), key), 0), &err);
        if (!config)
            shared_fail(path, "configuration: %s", err.text);
        for (size_t i = 0; config && i < json_array_size(phases); i++)
            run_phase(f, file, row, config, i);
        send_cache_free(f->cache);
        yaml_doc_deinit(&f->doc);
        arena_deinit(&f->arena);
    } else if (key) {
        shared_fail(path, "unknown kind %s", key);
    }
    json_decref(file);
}

int main(void)
{
    struct fixture f = { 0 };
    if (!shared_begin("notifications"))
        return shared_finish();
    f.set = default_templates_new();
    f.renderer = template_renderer_new(f.set);
    shared_list("conformance/alertmanager/notifications", run_file, &f);
    shared_list("conformance/alertmanager/notifications/derived", run_file, &f);
    template_renderer_free(f.renderer);
    template_set_release(f.set);
    return shared_finish();
}
