/* Driving one row with a configuration text and answers, for the tests of this folder. */
#ifndef TOCSIN_TESTS_UNIT_NOTIFY_RECEIVERS_DRIVE_H
#define TOCSIN_TESTS_UNIT_NOTIFY_RECEIVERS_DRIVE_H

#include "notify/default_templates.h"
#include "notify/receivers_config.h"
#include "notify/send.h"

#include <stdio.h>
#include <stdlib.h>

struct drive {
    struct arena arena;
    struct template_set *set;
    struct template_renderer *renderer;
    struct yaml_doc doc;
    struct notification *n;
    struct send_cache *cache;
    struct receiver_env env;
    struct send_attempt at;
    struct send_request next;
    struct send_error why;
};

/* "/secret" holds " from file \n"; nothing else exists. */
static inline bool drive_read_file(struct str path, struct buf *out, struct err *err)
{
    if (!str_eq(path, STR("/secret")))
        return err_set(err, ERR_NOT_FOUND, "open %.*s: no such file or directory", STR_ARG(path));
    buf_c(out, " from file \n");
    return true;
}

static inline struct alert *drive_alert(const char *instance)
{
    struct label labels[] = { { STR("alertname"), STR("Down") },
                              { STR("instance"), str_c(instance) },
                              { STR("severity"), STR("critical") } };
    struct label annotations[] = { { STR("summary"), STR("it is down") } };
    struct alert_spec spec = { .labels = { labels, 3 },
                               .annotations = { annotations, 1 },
                               .generator_url = STR("http://p/g"),
                               .starts_at = { 1700000000, 0 },
                               .ends_at = { 1700000500, 0 } };
    return alert_new(NULL, &spec);
}

static inline void drive_begin(struct drive *d, enum receiver_kind kind, const char *yaml, bool resolved)
{
    static struct label group = { STR_INIT("alertname"), STR_INIT("Down") };
    const struct receiver_config_row *row = &receiver_config_rows[kind];
    struct receiver_defaults defaults = { 0 };
    struct err err = { 0 };
    *d = (struct drive){ 0 };
    arena_init(&d->arena, ARENA_NO_LIMIT);
    struct binding b = { .arena = &d->arena };
    bind_defaults(&b, &receiver_defaults_bind, &defaults);
    defaults.http_config = ARENA_NEW(&d->arena, struct http_client_config);
    http_client_config_init(defaults.http_config);
    defaults.smtp_from = STR("am@example.org");
    defaults.smtp_smarthost = (struct smtp_smarthost){ STR("mail.test"), STR("25") };
    void *config = arena_alloc(&d->arena, row->bind->size);
    bool ok = yaml_parse(&d->doc, str_c(yaml), &err) && bind_document(&b, row->bind, d->doc.root, config, &err) &&
              row->finish(config, &defaults, &d->arena, &err);
    if (!ok)
        print_error("%s\n", err.text);
    assert_true(ok);
    d->set = default_templates_new();
    d->renderer = template_renderer_new(d->set);
    d->cache = send_cache_new();
    d->env = (struct receiver_env){ .templates = d->set, .hostname = STR("host"), .read_file = drive_read_file };
    const struct receiver_row *sender = receiver_rows[kind];
    if (sender->load && !sender->load(config, &d->env, &d->arena, &err))
        print_error("%s\n", err.text);
    assert_int_equal(err.code, ERR_NONE);
    d->n = notification_new();
    struct notification_alert *v = arena_alloc_array(&d->n->arena, 2, sizeof *v);
    v[0] = (struct notification_alert){ drive_alert("a"), { 1700000500, 0 }, resolved };
    v[1] = (struct notification_alert){ drive_alert("b"), { 1700000500, 0 }, resolved };
    d->n->alerts = v;
    d->n->alerts_count = 2;
    d->n->receiver = STR("team");
    d->n->group_key = STR("{}:{alertname=\"Down\"}");
    d->n->group_labels = (struct labels){ &group, 1 };
    d->n->reason = NOTIFY_REASON_FIRST;
    d->n->external_url = STR("http://am");
    d->at = (struct send_attempt){ .env = &d->env, .row = receiver_rows[kind], .config = config, .n = d->n,
                                   .renderer = d->renderer, .cache = d->cache, .arena = &d->arena,
                                   .now = { 1700000100, 5 } };
}

static inline void drive_end(struct drive *d)
{
    notification_release(d->n);
    send_cache_free(d->cache);
    template_renderer_free(d->renderer);
    template_set_release(d->set);
    yaml_doc_deinit(&d->doc);
    arena_deinit(&d->arena);
}

static inline enum send_verdict drive_start(struct drive *d)
{
    d->next = (struct send_request){ 0 };
    d->why = (struct send_error){ 0 };
    d->at.state = 0;
    return d->at.row->step(&d->at, NULL, &d->next, &d->why);
}

static inline enum send_verdict drive_answer_as(struct drive *d, int status, const char *type, const char *body)
{
    struct http_header header = { STR("Content-Type"), str_c(type) };
    struct send_response *res = ARENA_NEW(&d->arena, struct send_response);
    struct http_header *h = ARENA_NEW(&d->arena, struct http_header);
    *h = header;
    *res = (struct send_response){ .arrived = true, .status = status, .headers = h, .headers_count = 1, .body = str_c(body) };
    d->next = (struct send_request){ 0 };
    d->why = (struct send_error){ 0 };
    return d->at.row->step(&d->at, res, &d->next, &d->why);
}

static inline enum send_verdict drive_answer(struct drive *d, int status, const char *body)
{
    return drive_answer_as(d, status, "text/plain", body);
}

static inline enum send_verdict drive_broken(struct drive *d, bool timed_out)
{
    struct send_response res = { .timed_out = timed_out };
    err_set(&res.err, ERR_IO, "Post \"<redacted>\": dial tcp: refused");
    d->next = (struct send_request){ 0 };
    d->why = (struct send_error){ 0 };
    return d->at.row->step(&d->at, &res, &d->next, &d->why);
}

static inline bool body_has(const struct drive *d, const char *text)
{
    if (str_contains(d->next.body, str_c(text)))
        return true;
    print_error("not in %.*s: %s\n", STR_ARG(d->next.body), text);
    return false;
}

static inline struct str header_of(const struct drive *d, const char *name)
{
    for (size_t i = 0; i < d->next.headers_count; i++)
        if (str_eq_nocase(d->next.headers[i].name, str_c(name)))
            return d->next.headers[i].value;
    return STR_EMPTY;
}

#define assert_str(s, want)                                                                        \
    do {                                                                                           \
        struct str s_ = (s);                                                                       \
        if (!str_eq(s_, str_c(want)))                                                              \
            print_error("got %.*s\n", STR_ARG(s_));                                                \
        assert_true(str_eq(s_, str_c(want)));                                                      \
    } while (0)

#endif
