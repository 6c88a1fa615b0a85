/* The templates that every configuration has: the names that defaults of receivers refer to (`slack.default.title` and
 * so on), as template text. Their outputs are bytes that users and other programs know. Upstream: alertmanager
 * template/default.tmpl, email.tmpl. */
#ifndef TOCSIN_NOTIFY_DEFAULT_TEMPLATES_H
#define TOCSIN_NOTIFY_DEFAULT_TEMPLATES_H

#include "template/template.h"

/* A new set that holds them, one reference; user files are parsed into it afterwards. */
struct template_set *default_templates_new(void);

#endif
