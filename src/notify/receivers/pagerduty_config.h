/* pagerduty_configs: PagerDuty events, v1 with a service key, v2 with a routing key. (t): templates. */
#ifndef TOCSIN_NOTIFY_RECEIVERS_PAGERDUTY_CONFIG_H
#define TOCSIN_NOTIFY_RECEIVERS_PAGERDUTY_CONFIG_H

#include "notify/receivers_config.h"

struct pagerduty_image {
    struct str src, alt, href; /* (t) */
};
struct pagerduty_link {
    struct str href, text; /* (t) */
};
struct pagerduty_detail {
    struct str key;
    const struct yaml_node *value; /* strings are (t); NULL: null */
};
struct pagerduty_details {
    const struct yaml_node *tree; /* as written; NULL: absent */
    struct pagerduty_detail *v;   /* with the four defaults, sorted by key */
    size_t n;
};
struct pagerduty_config {
    struct receiver_common common;
    struct str service_key, service_key_file, routing_key, routing_key_file; /* secrets (t) */
    struct str url;
    struct str client, client_url, description; /* (t) */
    struct pagerduty_details details;
    struct pagerduty_image *images;
    size_t images_count;
    struct pagerduty_link *links;
    size_t links_count;
    struct str source, severity, class_, component, group; /* (t) */
    int64_t timeout_ns;
};

extern const struct bind_type pagerduty_config_bind;
MUST_CHECK bool pagerduty_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err);

#endif
