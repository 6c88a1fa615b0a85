/* URLs as fields of configuration objects: a struct str that holds the URL as Go's URL.String() writes it. Empty: absent. */
#ifndef TOCSIN_HTTP_CONFIG_TYPES_H
#define TOCSIN_HTTP_CONFIG_TYPES_H

#include "base/err.h"
#include "base/str.h"
#include "yaml/bind.h"

#include <stdbool.h>

/* Alertmanager's URL: scheme http or https, a host. "unsupported scheme \"x\" for URL", "missing host for URL". */
extern const struct bind_scalar http_url_scalar;
/* The same; printed as <secret>, and the text <secret> itself is taken (a dump can be read again). */
extern const struct bind_scalar http_secret_url_scalar;
/* prometheus/common's URL: whatever parses; printed with the password as xxxxx. */
extern const struct bind_scalar http_any_url_scalar;

/* The check of http_url_scalar alone; *out is the normalised text in the arena. */
MUST_CHECK bool http_url_check(struct arena *a, struct str text, struct str *out, struct err *err);

#endif
