/* --web.config.file: who may talk to the listeners. The file is looked at for each request and each handshake, and read again
 * when its text changes, so that users and certificates change without a restart. A file that becomes bad later makes every
 * request a 500 until it is good again.
 *
 * Thread: open on main; the hooks on any. Upstream: exporter-toolkit web. */
#ifndef TOCSIN_APP_WEB_ACCESS_H
#define TOCSIN_APP_WEB_ACCESS_H

#include "base/err.h"
#include "base/fs.h"
#include "io/http_server.h"

#include <stdbool.h>

struct web_access;
/* An empty path: everybody may, plain HTTP. ERR_INVALID, ERR_NOT_FOUND: the file is bad at start. */
MUST_CHECK struct web_access *web_access_open(struct fs *fs, struct str path, struct err *err);
void web_access_close(struct web_access *a);
bool web_access_tls(const struct web_access *a);
struct http_guard_hooks web_access_hooks(struct web_access *a);

struct web_tls_config;
/* The server side of a TLS section; the mesh's file has one too. */
struct tls_server *web_tls_load(struct fs *fs, const struct web_tls_config *c, struct err *err);

#endif
