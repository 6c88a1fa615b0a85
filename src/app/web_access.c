/* One lock guards the snapshot: guard, TLS context, and the file's time and size when it was read. Rank: leaf. */
#include "app/web_access.h"

#include "base/lock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/web_config.h"
#include "io/http_guard.h"
#include "io/tls.h"

#define FILE_BYTES_MAX (1024 * 1024)

struct web_access {
    struct fs *fs;
    struct buf path;
    struct lock lock;
    struct fs_stat seen;
    struct http_guard *guard;
    struct tls_server *tls;
    bool tls_enabled; /* fixed at start: listeners do not change their kind */
    bool warned_http2;
    bool broken;     /* what was read last was bad: read again each time, as files that go back to what they were count */
    struct err said; /* the error that the log has */
};

static struct str dir_of(struct str path)
{
    size_t slash = str_rfind_byte(path, '/');
    return slash == STR_NPOS ? STR(".") : str_sub(path, 0, slash ? slash : 1);
}

struct tls_server *web_tls_load(struct fs *fs, const struct web_tls_config *c, struct err *err)
{
    static const enum tls_client_auth auth[] = {
        [WEB_CLIENT_AUTH_NONE] = TLS_CLIENT_AUTH_NONE,
        [WEB_CLIENT_AUTH_REQUEST] = TLS_CLIENT_AUTH_REQUEST,
        [WEB_CLIENT_AUTH_REQUIRE_ANY] = TLS_CLIENT_AUTH_REQUIRE_ANY,
        [WEB_CLIENT_AUTH_VERIFY_IF_GIVEN] = TLS_CLIENT_AUTH_VERIFY_IF_GIVEN,
        [WEB_CLIENT_AUTH_REQUIRE_AND_VERIFY] = TLS_CLIENT_AUTH_REQUIRE_AND_VERIFY,
    };
    const struct tls_server_spec spec = {
        .cert = c->cert, .key = c->key, .client_ca = c->client_ca,
        .cert_file = c->cert_file, .key_file = c->key_file, .client_ca_file = c->client_ca_file,
        .client_auth = auth[c->client_auth],
        .allowed_sans = c->client_allowed_sans.v, .allowed_sans_count = c->client_allowed_sans.n,
        .min_version = c->min_version, .max_version = c->max_version,
        .cipher_suites = c->cipher_suites.v, .cipher_suites_count = c->cipher_suites.n,
        .curves = c->curve_preferences.v, .curves_count = c->curve_preferences.n,
    };
    return tls_server_load(&spec, fs, err);
}

static struct http_guard *make_guard(struct arena *arena, const struct web_config *c)
{
    struct http_guard_user *users = arena_alloc_array(arena, c->users.n, sizeof *users);
    for (size_t i = 0; i < c->users.n; i++)
        users[i] = (struct http_guard_user){ c->users.v[i].key, c->users.v[i].value };
    struct http_header *headers = arena_alloc_array(arena, c->http.headers.n, sizeof *headers);
    for (size_t i = 0; i < c->http.headers.n; i++)
        headers[i] = (struct http_header){ c->http.headers.v[i].key, c->http.headers.v[i].value };
    return http_guard_new(&(struct http_guard_spec){ .users = users, .users_count = c->users.n, .headers = headers,
                                                     .headers_count = c->http.headers.n,
                                                     .rate_interval_ns = c->rate_limit.interval_ns,
                                                     .rate_burst = (uint64_t)c->rate_limit.burst });
}

/* Reads the file; on success *guard and *tls are new. */
static bool load(struct web_access *a, struct http_guard **guard, struct tls_server **tls, struct err *err)
{
    struct arena arena;
    struct buf text = { 0 };
    struct web_config c = { 0 };
    struct notices notices;
    struct str path = buf_view(&a->path);
    arena_init(&arena, ARENA_NO_LIMIT);
    notices_init(&notices);
    *guard = NULL;
    *tls = NULL;
    bool ok = fs_read_file(a->fs, path, FILE_BYTES_MAX, &text, err) &&
              web_config_parse(&arena, buf_view(&text), dir_of(path), &notices, &c, err);
    if (ok && c.tls_enabled)
        ok = (*tls = web_tls_load(a->fs, &c.tls, err)) != NULL;
    if (ok)
        *guard = make_guard(&arena, &c);
    for (size_t i = 0; ok && !a->warned_http2 && i < notices.n; i++)
        log_warn("web configuration", LOG_STR("file", path), LOG_INT("line", notices.v[i].line),
                 LOG_STR("notice", notices.v[i].text));
    a->warned_http2 = true;
    notices_deinit(&notices);
    buf_deinit(&text);
    arena_deinit(&arena);
    return ok;
}

/* Called with the lock held. */
static void refresh(struct web_access *a)
{
    struct fs_stat st = { 0 };
    struct err err = { 0 };
    struct http_guard *guard;
    struct tls_server *tls;
    bool there = a->fs->stat(a->fs, buf_view(&a->path), &st, &err);
    bool same = there && st.mtime_ms == a->seen.mtime_ms && st.size_bytes == a->seen.size_bytes;
    if (same && !a->broken && !(a->tls && tls_server_changed(a->tls)))
        return;
    a->seen = st;
    if (there && load(a, &guard, &tls, &err)) {
        http_guard_release(a->guard);
        a->guard = guard;
        a->broken = false;
        if (tls && a->tls_enabled) {
            tls_server_release(a->tls);
            a->tls = tls;
        } else if (tls) {
            tls_server_release(tls);
        }
        return;
    }
    if (a->broken && str_eq(err_text(&err), err_text(&a->said)))
        return;
    log_error("The web configuration cannot be read; every request is refused until it can", LOG_ERR(&err));
    a->broken = true;
    a->said = err;
    http_guard_release(a->guard);
    a->guard = http_guard_new(&(struct http_guard_spec){ .broken = err_text(&err) });
}

static struct http_guard *hook_guard(void *arg)
{
    struct web_access *a = arg;
    lock_take(&a->lock);
    refresh(a);
    struct http_guard *g = http_guard_retain(a->guard);
    lock_give(&a->lock);
    return g;
}

static struct tls_server *hook_tls(void *arg)
{
    struct web_access *a = arg;
    lock_take(&a->lock);
    refresh(a);
    struct tls_server *s = tls_server_retain(a->tls);
    lock_give(&a->lock);
    return s;
}

struct web_access *web_access_open(struct fs *fs, struct str path, struct err *err)
{
    struct web_access *a = MEM_NEW(struct web_access);
    a->fs = fs;
    lock_init(&a->lock);
    buf_str(&a->path, path);
    if (path.n == 0)
        return a;
    if (fs->stat(fs, path, &a->seen, err) && load(a, &a->guard, &a->tls, err)) {
        a->tls_enabled = a->tls != NULL;
        return a;
    }
    web_access_close(a);
    return NULL;
}

void web_access_close(struct web_access *a)
{
    if (!a)
        return;
    if (a->guard)
        http_guard_release(a->guard);
    if (a->tls)
        tls_server_release(a->tls);
    buf_deinit(&a->path);
    lock_deinit(&a->lock);
    mem_free(a);
}

bool web_access_tls(const struct web_access *a)
{
    return a->tls_enabled;
}

struct http_guard_hooks web_access_hooks(struct web_access *a)
{
    if (a->path.n == 0)
        return (struct http_guard_hooks){ 0 };
    return (struct http_guard_hooks){ .arg = a, .guard = hook_guard, .tls = a->tls_enabled ? hook_tls : NULL };
}
