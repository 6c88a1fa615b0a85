/* Scrape bodies and what a real server made of them, as far as the parser decides it: cases with a scrape configuration or
 * another status than 200 are the scraper's. */
#include "lib/shared.h"

#include "base/mem.h"
#include "base/num.h"
#include "expfmt/parse.h"
#include "model/sample.h"
#include "wire/base64.h"

#include <math.h>
#include <stdlib.h>

struct shown {
    struct labels labels;
    double v;
    bool histogram;
    double count, sum;
    bool has_t;
    int64_t t;
};
struct meta {
    struct str family, help, unit, type;
};
struct parsed {
    struct shown *samples;
    size_t n, capacity;
    struct meta *metas;
    size_t metas_n, metas_capacity;
    size_t exemplars;
};

static struct meta *meta_of(struct parsed *p, struct arena *a, struct str family)
{
    for (size_t i = 0; i < p->metas_n; i++) {
        if (str_eq(p->metas[i].family, family))
            return &p->metas[i];
    }
    if (p->metas_n == p->metas_capacity) {
        p->metas_capacity = mem_grow(p->metas_capacity, p->metas_n + 1);
        p->metas = mem_realloc_array(p->metas, p->metas_capacity, sizeof *p->metas);
    }
    struct meta *m = &p->metas[p->metas_n++];
    *m = (struct meta){ arena_str(a, family), STR_EMPTY, STR_EMPTY, STR("unknown") };
    return m;
}

static bool take_series(struct expfmt_parser *p, struct arena *a, struct parsed *out, struct err *err)
{
    bool duplicate;
    struct labels ls, el;
    if (!expfmt_labels(p, a, &ls, &duplicate, err))
        return false;
    if (duplicate)
        return err_set(err, ERR_INVALID, "label name is not unique: invalid sample");
    if (labels_get(ls, STR("__name__")).n == 0)
        return err_set(err, ERR_INVALID, "missing metric name");
    for (bool more = p->has_exemplar; more; more = expfmt_next_exemplar(p)) {
        if (!expfmt_exemplar(p, a, &el, err))
            return false;
        out->exemplars++;
    }
    for (size_t i = 0; i < out->n; i++) {
        if (labels_eq(out->samples[i].labels, ls) && !p->has_t && !out->samples[i].has_t)
            return true; /* the first one counts */
    }
    if (out->n == out->capacity) {
        out->capacity = mem_grow(out->capacity, out->n + 1);
        out->samples = mem_realloc_array(out->samples, out->capacity, sizeof *out->samples);
    }
    struct shown *s = &out->samples[out->n++];
    *s = (struct shown){ .labels = labels_copy(a, ls), .v = p->value, .has_t = p->has_t, .t = p->t };
    if (p->h) {
        s->histogram = true;
        s->count = (double)p->h->count;
        s->sum = p->h->sum;
    } else if (p->fh) {
        s->histogram = true;
        s->count = p->fh->count;
        s->sum = p->fh->sum;
    }
    return true;
}

static bool parse(enum expfmt_syntax syntax, bool native, struct str body, struct arena *a, struct parsed *out,
                  struct err *err)
{
    struct expfmt_parser p = { 0 };
    enum expfmt_entry entry = EXPFMT_COMMENT;
    bool ok = true;
    expfmt_parser_init(&p, syntax, body);
    expfmt_parser_native(&p, native, false);
    while (ok && (ok = expfmt_next(&p, &entry, err)) && entry != EXPFMT_END) {
        switch (entry) {
        case EXPFMT_SERIES:
        case EXPFMT_HISTOGRAM: ok = take_series(&p, a, out, err); break;
        case EXPFMT_TYPE: meta_of(out, a, p.family)->type = expfmt_type_text(p.type); break;
        case EXPFMT_HELP: meta_of(out, a, p.family)->help = arena_str(a, p.meta); break;
        case EXPFMT_UNIT: meta_of(out, a, p.family)->unit = arena_str(a, p.meta); break;
        case EXPFMT_COMMENT:
        case EXPFMT_END: break;
        }
    }
    expfmt_parser_deinit(&p);
    return ok;
}

static bool same_number(const char *text, double v)
{
    double want = 0;
    if (!text || !num_parse_f64(str_c(text), &want, NULL))
        return false;
    return (isnan(want) && isnan(v)) || (want == v && signbit(want) == signbit(v));
}

static bool same_labels(const json_t *want, struct labels got)
{
    const char *name;
    json_t *value;
    size_t n = 0;
    json_object_foreach ((json_t *)(uintptr_t)want, name, value) {
        const char *text = json_string_value(value);
        if (text[0] == '<')
            continue; /* the target's */
        if (!str_eq(labels_get(got, str_of(name, json_object_size(want) ? strlen(name) : 0)), shared_get_str(want, name)))
            return false;
        n++;
    }
    return n == got.n;
}

static bool find_sample(const struct parsed *p, const json_t *want)
{
    const json_t *labels = json_object_get(want, "labels"), *h = json_object_get(want, "histogram");
    const json_t *t = json_object_get(want, "timestamp_ms");
    for (size_t i = 0; i < p->n; i++) {
        const struct shown *s = &p->samples[i];
        if (!same_labels(labels, s->labels))
            continue;
        if (t && (!s->has_t || s->t != json_integer_value(t)))
            continue;
        if (h ? s->histogram && same_number(json_string_value(json_object_get(h, "count")), s->count) &&
                    same_number(json_string_value(json_object_get(h, "sum")), s->sum)
              : same_number(json_string_value(json_object_get(want, "value")), s->v))
            return true;
    }
    return false;
}

static bool same_metadata(struct parsed *p, const json_t *want, const char **why)
{
    for (size_t i = 0; i < json_array_size(want); i++) {
        const json_t *w = json_array_get(want, i);
        struct str family = shared_get_str(w, "metric");
        bool found = false;
        for (size_t k = 0; k < p->metas_n; k++) {
            const struct meta *m = &p->metas[k];
            found |= str_eq(m->family, family) && str_eq(m->type, shared_get_str(w, "type")) &&
                     str_eq(m->help, shared_get_str(w, "help")) && str_eq(m->unit, shared_get_str(w, "unit"));
        }
        if (!found) {
            *why = json_string_value(json_object_get(w, "metric"));
            return false;
        }
    }
    return true;
}

static const char *judge(const json_t *c, struct parsed *p, bool ok, const struct err *err)
{
    const json_t *expected = json_object_get(c, "expected"), *samples = json_object_get(expected, "samples");
    const char *why = NULL;
    if (ok != json_is_true(json_object_get(expected, "ok")))
        return ok ? "is taken, should fail" : err->text;
    if (!ok)
        return NULL;
    for (size_t i = 0; i < json_array_size(samples); i++) {
        if (!find_sample(p, json_array_get(samples, i)))
            return "a sample is missing or differs";
    }
    if (samples && p->n != json_array_size(samples))
        return "another number of samples";
    const json_t *exemplars = json_object_get(expected, "exemplars");
    if (exemplars && json_array_size(exemplars) > p->exemplars)
        return "exemplars are missing";
    if (!same_metadata(p, json_object_get(expected, "metadata"), &why))
        return why;
    return NULL;
}

static bool syntax_of(struct str content_type, enum expfmt_syntax *syntax)
{
    if (str_starts(content_type, STR("text/plain")) || str_eq(content_type, STR("TEXT/PLAIN")))
        *syntax = EXPFMT_SYNTAX_TEXT;
    else if (str_starts(content_type, STR("application/openmetrics-text")))
        *syntax = EXPFMT_SYNTAX_OPENMETRICS;
    else if (str_starts(content_type, STR("application/vnd.google.protobuf")))
        *syntax = EXPFMT_SYNTAX_PROTOBUF;
    else
        return false;
    return true;
}

static bool only_native(const json_t *config)
{
    return json_object_size(config) == 0 ||
           (json_object_size(config) == 1 && json_is_true(json_object_get(config, "scrape_native_histograms")));
}

/* Labels that met those of the target. */
static bool conflicts(const json_t *c)
{
    const json_t *samples = json_object_get(json_object_get(c, "expected"), "samples");
    for (size_t i = 0; i < json_array_size(samples); i++) {
        const char *name;
        json_t *value;
        json_object_foreach (json_object_get(json_array_get(samples, i), "labels"), name, value) {
            if (str_starts(str_c(name), STR("exported_")))
                return true;
        }
    }
    return false;
}

static void run_case(const json_t *c, size_t line, void *arg)
{
    (void)line, (void)arg;
    enum expfmt_syntax syntax;
    struct buf name = { 0 }, body = { 0 };
    struct err err = { 0 };
    struct arena a;
    struct parsed p = { 0 };
    const json_t *config = json_object_get(c, "scrape_config");
    buf_printf(&name, "%.*s %.*s", STR_ARG(shared_get_str(c, "id")), STR_ARG(shared_get_str(c, "note")));
    if (!syntax_of(shared_get_str(c, "content_type"), &syntax) || !only_native(config) || conflicts(c) ||
        shared_get_int(c, "http_status", 200) != 200 || json_object_get(c, "content_encoding")) {
        shared_skip(name.p, "the scraper's");
    } else {
        if (json_object_get(c, "body"))
            buf_str(&body, shared_get_str(c, "body"));
        else if (!base64_decode(shared_get_str(c, "body_b64"), BASE64_STD, &body))
            shared_fail(name.p, "no base64");
        arena_init(&a, ARENA_NO_LIMIT);
        bool ok = parse(syntax, config != NULL, buf_view(&body), &a, &p, &err);
        const char *why = judge(c, &p, ok, &err);
        if (why)
            shared_fail(name.p, "%s", why);
        else
            shared_pass();
        arena_deinit(&a);
    }
    mem_free(p.samples);
    mem_free(p.metas);
    buf_deinit(&name);
    buf_deinit(&body);
}

int main(void)
{
    if (!shared_begin("exposition"))
        return shared_finish();
    shared_jsonl("conformance/prometheus/exposition.jsonl", run_case, NULL);
    return shared_finish();
}
