/* How verbs get at a configuration: the one of a file, or the one that a server runs. */
#ifndef TOCSIN_CTL_CONFIG_INT_H
#define TOCSIN_CTL_CONFIG_INT_H

#include "config/config.h"
#include "ctl/ctl.h"

/* NULL with err. Notices may be NULL. */
struct config *ctl_load_config_file(struct ctl *c, struct str path, struct notices *notices, struct err *err);
struct config *ctl_load_running_config(struct ctl *c); /* NULL: c->err */

#endif
