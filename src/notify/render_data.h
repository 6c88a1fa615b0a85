/* The data that Alertmanager's templates see: `.Alerts`, `.CommonLabels` and the rest, as values (template/value.h) over
 * structs. Made from a notification for sending, or from JSON for `amtool template render`.
 *
 * Nothing is copied but slices: a render_data is valid as long as what it was made from and the arena. A label set whose
 * `v` is NULL is Go's nil map (JSON null); an empty one points somewhere.
 *
 * Thread: any. Upstream: alertmanager template/template.go. */
#ifndef TOCSIN_NOTIFY_RENDER_DATA_H
#define TOCSIN_NOTIFY_RENDER_DATA_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "json/writer.h"
#include "notify/notification.h"
#include "template/template.h"

#include <stdbool.h>
#include <stddef.h>

struct render_alert {
    struct str status;
    struct labels labels, annotations;
    struct wire_time starts_at, ends_at;
    int32_t starts_offset_s, ends_offset_s;
    struct str generator_url, fingerprint;
};
struct render_data {
    struct str receiver; /* with regex characters escaped */
    struct str status;   /* "firing" or "resolved" */
    const struct render_alert *const *alerts;
    size_t alerts_count;
    struct str notification_reason;
    struct labels group_labels, common_labels, common_annotations, route_labels;
    struct str external_url;
};

/* Of the first alerts_max alerts (0: all). The common labels are those of these alerts; route labels stay as they are
 * in the notification: templates, unless somebody rendered them (render_route_labels). */
void render_data_from(struct arena *a, const struct notification *n, size_t alerts_max, struct render_data *out);
/* Renders the notification's route labels over its own data; one that fails is left out, and reported to `failed` (may
 * be NULL). `zone` is that of template_hooks. */
struct labels render_route_labels(struct template_renderer *r, struct arena *a, const struct notification *n,
                                  struct zone *(*zone)(void *arg, struct str name),
                                  void (*failed)(void *arg, struct str name, const struct err *err), void *arg);
/* A JSON object with the webhook's member names, all optional, unknown ones ignored. ERR_INVALID. */
MUST_CHECK bool render_data_from_json(struct arena *a, struct str json, struct render_data *out, struct err *err);
/* What `amtool template render` uses without a data file. */
void render_data_sample(struct arena *a, struct wire_time now, struct render_data *out);

struct tval render_data_value(const struct render_data *d); /* *template.Data */

/* The alerts as the webhook writes them: a JSON array. */
void render_alerts_json(struct json_writer *w, const struct render_data *d);
void render_labels_json(struct json_writer *w, struct labels ls);

#endif
