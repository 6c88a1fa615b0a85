/* The `templates` section as files: a glob's files, in lexical order, into a template set, each under its base name.
 *
 * Thread: any. Upstream: alertmanager template.FromGlobs. */
#ifndef TOCSIN_CONFIG_TEMPLATE_FILES_H
#define TOCSIN_CONFIG_TEMPLATE_FILES_H

#include "base/err.h"
#include "base/fs.h"
#include "base/str.h"
#include "template/template.h"

#include <stdbool.h>

/* No match is fine. Errors: a bad pattern, a file that cannot be read or parsed. */
MUST_CHECK bool template_files_parse(struct template_set *set, struct fs *fs, struct str glob, struct err *err);

#endif
