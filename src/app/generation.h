/* One configuration made ready to run: routes compiled, receivers built, templates parsed, rules bound. Built completely beside the
 * running one; a failure leaves that one alone. Immutable and counted: an attempt in flight keeps its generation over a
 * reload. What counts is the `receivers` inside; the generation goes with its last reference.
 *
 * Thread: made on main; shared by all. */
#ifndef TOCSIN_APP_GENERATION_H
#define TOCSIN_APP_GENERATION_H

#include "base/err.h"
#include "base/fs.h"
#include "config/config.h"
#include "dispatch/dispatch.h"
#include "notify/pipeline.h"
#include "template/template.h"

struct generation {
    struct config *config;
    struct template_set *templates;
    struct notify_receivers receivers;
    struct route_tree *routes;
    struct dispatch_config dispatch;
    struct receiver_env env;
    size_t receivers_used, integrations;
    struct arena arena;
};

struct generation_options {
    struct str external_url, hostname, user_agent;
    struct fs *fs;
    int64_t retention_ms; /* for the warnings about repeat_interval */
};

/* Takes the reference of config over, also when it fails. The caller holds one reference: generation_release(). */
MUST_CHECK struct generation *generation_new(struct config *config, const struct generation_options *options, struct err *err);
void generation_retain(struct generation *g);
void generation_release(struct generation *g);
/* The generation that these receivers belong to. */
struct generation *generation_of(struct notify_receivers *r);
/* What the log says about it once it runs: unused receivers, odd intervals. */
void generation_log(const struct generation *g, int64_t retention_ms);

#endif
