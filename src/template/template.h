/* Go's template language, text and HTML, with the functions that Alertmanager and Prometheus add (two flavours of one
 * function table). Templates are code that users write: every rendering is bounded in output, steps, depth and memory,
 * and can be cancelled.
 *
 * A set is what one configuration defines: built-in definitions, then files. It is filled by one thread, then shared
 * immutable and counted. A renderer belongs to one thread: it keeps the compiled form of the anonymous texts that it was
 * given (and of their HTML-escaped form), so that a configuration's texts are parsed once.
 *
 * Errors are Go's: `template: :1:3: executing "" at <.X>: can't evaluate field X in type ...`. Data: value.h.
 * Upstream: Go's text/template and html/template; alertmanager template/; prometheus template/. */
#ifndef TOCSIN_TEMPLATE_TEMPLATE_H
#define TOCSIN_TEMPLATE_TEMPLATE_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "template/value.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum template_flavour { TEMPLATE_ALERTMANAGER = 1, TEMPLATE_PROMETHEUS = 2 };

#define TEMPLATE_TEXT_BYTES_MAX   (4 * 1024 * 1024)  /* of one file or text */
#define TEMPLATE_OUTPUT_BYTES_MAX (16 * 1024 * 1024) /* defaults of struct template_run */
#define TEMPLATE_MEMORY_BYTES_MAX (64 * 1024 * 1024)
#define TEMPLATE_STEPS_MAX        (20 * 1000 * 1000)
#define TEMPLATE_DEPTH_MAX        1000 /* templates calling templates, nesting of actions and parentheses; the stack may say less */

struct template_set;
struct template_set *template_set_new(enum template_flavour flavour); /* empty, one reference */
/* Adds the definitions of a text. name is what the text outside of definitions is called and what errors say: the base
 * name of a file, "" for built-in text. Later definitions replace earlier ones as Go does it. The text is copied.
 * Only before the set is shared. ERR_INVALID, ERR_LIMIT. */
MUST_CHECK bool template_set_parse(struct template_set *set, struct str name, struct str text, struct err *err);
struct template_set *template_set_retain(struct template_set *set);
void template_set_release(struct template_set *set);
bool template_set_has(const struct template_set *set, struct str name);

/* Does the text parse, with Go's own functions only? What configuration checks of templated URLs ask. */
MUST_CHECK bool template_check(struct str text, struct err *err);

struct template_renderer;
struct template_renderer *template_renderer_new(struct template_set *set); /* retains the set */
void template_renderer_free(struct template_renderer *r);

/* What functions reach outside of the data. All may be zero. */
struct template_hooks {
    void *arg;
    /* tz and Time.In: NULL if there is no such zone. */
    struct zone *(*zone)(void *arg, struct str name);
    /* Prometheus: query; the result is a list of samples (template_sample). */
    bool (*query)(void *arg, struct tval_call *c, struct str expr, struct tval *out, struct err *err);
    struct str external_url, path_prefix; /* Prometheus: externalURL, pathPrefix */
    /* Alertmanager: routeLabels. Raw ones are templates, rendered when first asked for. */
    struct labels route_labels;
    bool route_labels_rendered;
};

/* One rendering; zero members mean the defaults. */
struct template_run {
    struct tval data; /* the dot */
    struct wire_time now;
    struct str name;     /* of the anonymous text, in errors */
    struct arena *arena; /* for values that functions make; NULL: the renderer's own */
    const atomic_bool *cancel;
    const struct template_hooks *hooks;
    size_t output_bytes_max, memory_bytes_max;
    uint64_t steps_max;
};

/* Render an anonymous text next to the set's definitions and append to `out`. An empty text gives nothing. On a run-time
 * failure `out` keeps what was written before it; parse and HTML context errors leave none.
 * ERR_INVALID (the template or the data is wrong), ERR_LIMIT, ERR_CANCELLED. */
MUST_CHECK bool template_render_text(struct template_renderer *r, const struct template_run *run, struct str text,
                                     struct buf *out, struct err *err);
MUST_CHECK bool template_render_html(struct template_renderer *r, const struct template_run *run, struct str text,
                                     struct buf *out, struct err *err);

/* A sample of Prometheus's query function. */
struct template_sample {
    struct labels labels;
    double value;
};
extern const struct tval_class template_sample_class; /* *template.sample; ref.p is a struct template_sample */
extern const struct tval_class template_vector_class; /* template.queryResult; ref.p is a struct template_sample[] */

#endif
