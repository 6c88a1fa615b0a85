/* jira_configs. (t): templates. */
#ifndef TOCSIN_NOTIFY_RECEIVERS_JIRA_CONFIG_H
#define TOCSIN_NOTIFY_RECEIVERS_JIRA_CONFIG_H

#include "notify/receivers_config.h"

struct jira_field_config {
    struct str template; /* (t) */
    enum tristate enable_update; /* absent: true */
};
struct jira_config {
    struct receiver_common common;
    struct str api_url;
    struct str api_type; /* auto, cloud, datacenter */
    struct str project;  /* (t) */
    struct jira_field_config summary, description;
    struct str_list labels; /* (t) */
    struct str priority, issue_type; /* (t) */
    struct str reopen_transition, resolve_transition, wont_fix_resolution;
    int64_t reopen_duration_ms;
    const struct yaml_node *fields; /* mapping or NULL; strings are (t) */
};

extern const struct bind_type jira_config_bind;
MUST_CHECK bool jira_config_finish(void *config, const struct receiver_defaults *global, struct arena *a, struct err *err);

#endif
