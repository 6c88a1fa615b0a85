/* TLS contexts: credentials, versions and ciphers in GnuTLS's terms.
 *
 * T1  A context is built completely or not at all; afterwards only its count changes.
 * T2  Go names cipher suites whole, GnuTLS takes sets of key exchanges, ciphers and MACs. The set of a list of suites can
 *     admit a combination that was not listed; none of them is weaker than the weakest that was. */
#include "io/tls.h"

#include "base/mem.h"
#include "io/clock_io.h"
#include "io/tls_int.h"

#include <gnutls/x509.h>
#include <string.h>

/* ---- Files ---- */

/* File systems stamp times in ticks of up to this much. */
static const int64_t STAMP_MS = 2000;

bool watched_file_read(struct watched_file *w, struct fs *fs, struct str path, struct buf *out, struct err *err)
{
    struct fs_stat st;
    size_t start = out->n;
    int64_t now = clock_wall_ms();
    if (!fs_read_file(fs, path, WATCHED_FILE_BYTES_MAX, out, err) || !fs->stat(fs, path, &st, err))
        return false;
    w->fs = fs;
    w->path = str_of(mem_dup(path.p, path.n), path.n);
    w->size_bytes = st.size_bytes;
    w->mtime_ms = st.mtime_ms;
    w->read_at_ms = now;
    hash_sha256(str_from(buf_view(out), start), w->digest);
    return true;
}

bool watched_file_changed(const struct watched_file *w)
{
    struct fs_stat st;
    struct err ignored;
    if (w->path.n == 0)
        return false;
    if (!w->fs->stat(w->fs, w->path, &st, &ignored))
        return true;
    if (st.size_bytes == w->size_bytes && st.mtime_ms == w->mtime_ms && st.mtime_ms + STAMP_MS < w->read_at_ms)
        return false;
    struct buf b = { 0 };
    uint8_t digest[SHA256_BYTES];
    bool same = fs_read_file(w->fs, w->path, WATCHED_FILE_BYTES_MAX, &b, &ignored);
    if (same) {
        hash_sha256(buf_view(&b), digest);
        same = memcmp(digest, w->digest, sizeof digest) == 0;
    }
    buf_deinit(&b);
    return !same;
}

void watched_file_deinit(struct watched_file *w)
{
    char *owned;
    memcpy(&owned, &w->path.p, sizeof owned);
    mem_free(owned);
    *w = (struct watched_file){ 0 };
}

/* The text itself, or the file's content. */
static bool material(struct str inline_text, struct str path, struct fs *fs, struct watched_file *w, struct buf *out,
                     struct err *err)
{
    if (inline_text.n) {
        buf_str(out, inline_text);
        return true;
    }
    return path.n == 0 || watched_file_read(w, fs, path, out, err);
}

/* ---- Versions, ciphers, curves ---- */

static const char *const version_names[] = {
    [HTTP_TLS_10] = "VERS-TLS1.0",
    [HTTP_TLS_11] = "VERS-TLS1.1",
    [HTTP_TLS_12] = "VERS-TLS1.2",
    [HTTP_TLS_13] = "VERS-TLS1.3",
};

static const struct {
    const char *go, *gnutls;
} suites[] = {
    { "TLS_RSA_WITH_3DES_EDE_CBC_SHA", "+RSA:+3DES-CBC:+SHA1" },
    { "TLS_RSA_WITH_AES_128_CBC_SHA", "+RSA:+AES-128-CBC:+SHA1" },
    { "TLS_RSA_WITH_AES_256_CBC_SHA", "+RSA:+AES-256-CBC:+SHA1" },
    { "TLS_RSA_WITH_AES_128_CBC_SHA256", "+RSA:+AES-128-CBC:+SHA256" },
    { "TLS_RSA_WITH_AES_128_GCM_SHA256", "+RSA:+AES-128-GCM:+AEAD" },
    { "TLS_RSA_WITH_AES_256_GCM_SHA384", "+RSA:+AES-256-GCM:+AEAD" },
    { "TLS_RSA_WITH_RC4_128_SHA", "+RSA:+ARCFOUR-128:+SHA1" },
    { "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA", "+ECDHE-ECDSA:+ARCFOUR-128:+SHA1" },
    { "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "+ECDHE-ECDSA:+AES-128-CBC:+SHA1" },
    { "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "+ECDHE-ECDSA:+AES-256-CBC:+SHA1" },
    { "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", "+ECDHE-ECDSA:+AES-128-CBC:+SHA256" },
    { "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "+ECDHE-ECDSA:+AES-128-GCM:+AEAD" },
    { "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "+ECDHE-ECDSA:+AES-256-GCM:+AEAD" },
    { "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305", "+ECDHE-ECDSA:+CHACHA20-POLY1305:+AEAD" },
    { "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "+ECDHE-ECDSA:+CHACHA20-POLY1305:+AEAD" },
    { "TLS_ECDHE_RSA_WITH_RC4_128_SHA", "+ECDHE-RSA:+ARCFOUR-128:+SHA1" },
    { "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", "+ECDHE-RSA:+3DES-CBC:+SHA1" },
    { "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "+ECDHE-RSA:+AES-128-CBC:+SHA1" },
    { "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "+ECDHE-RSA:+AES-256-CBC:+SHA1" },
    { "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", "+ECDHE-RSA:+AES-128-CBC:+SHA256" },
    { "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "+ECDHE-RSA:+AES-128-GCM:+AEAD" },
    { "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "+ECDHE-RSA:+AES-256-GCM:+AEAD" },
    { "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", "+ECDHE-RSA:+CHACHA20-POLY1305:+AEAD" },
    { "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "+ECDHE-RSA:+CHACHA20-POLY1305:+AEAD" },
    /* Those of TLS 1.3 are always on, as in Go. */
    { "TLS_AES_128_GCM_SHA256", "+AES-128-GCM:+AEAD" },
    { "TLS_AES_256_GCM_SHA384", "+AES-256-GCM:+AEAD" },
    { "TLS_CHACHA20_POLY1305_SHA256", "+CHACHA20-POLY1305:+AEAD" },
};

static const struct {
    const char *go, *gnutls;
} curves[] = {
    { "CurveP256", "+GROUP-SECP256R1" },
    { "CurveP384", "+GROUP-SECP384R1" },
    { "CurveP521", "+GROUP-SECP521R1" },
    { "X25519", "+GROUP-X25519" },
};

static bool add_suites(struct buf *b, const struct str *names, size_t count, bool with_13, struct err *err)
{
    if (count == 0)
        return true;
    buf_c(b, ":-CIPHER-ALL:-KX-ALL:-MAC-ALL");
    for (size_t i = 0; i < count; i++) {
        const char *found = NULL;
        for (size_t j = 0; j < ARRAY_LEN(suites) && !found; j++)
            if (str_eq(names[i], str_c(suites[j].go)))
                found = suites[j].gnutls;
        if (!found)
            return err_set(err, ERR_INVALID, "unknown cipher: %.*s", STR_ARG(names[i]));
        buf_printf(b, ":%s", found);
    }
    if (with_13)
        buf_c(b, ":+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305:+AEAD");
    return true;
}

static bool add_curves(struct buf *b, const struct str *names, size_t count, struct err *err)
{
    if (count == 0)
        return true;
    buf_c(b, ":-GROUP-ALL");
    for (size_t i = 0; i < count; i++) {
        const char *found = NULL;
        for (size_t j = 0; j < ARRAY_LEN(curves) && !found; j++)
            if (str_eq(names[i], str_c(curves[j].go)))
                found = curves[j].gnutls;
        if (!found)
            return err_set(err, ERR_INVALID, "unknown curve: %.*s", STR_ARG(names[i]));
        buf_printf(b, ":%s", found);
    }
    return true;
}

/* A priority string from versions (defaults filled in), suites and curves. */
static bool make_priority(gnutls_priority_t *out, int min, int max, const struct tls_server_spec *spec, struct err *err)
{
    struct buf b = { 0 };
    min = min == HTTP_TLS_DEFAULT ? HTTP_TLS_12 : min;
    max = max == HTTP_TLS_DEFAULT ? HTTP_TLS_13 : max;
    buf_c(&b, "NORMAL:-VERS-ALL");
    for (int v = HTTP_TLS_13; v >= HTTP_TLS_10; v--)
        if (v >= min && v <= max)
            buf_printf(&b, ":+%s", version_names[v]);
    bool ok = !spec || (add_suites(&b, spec->cipher_suites, spec->cipher_suites_count, max == HTTP_TLS_13, err) &&
                        add_curves(&b, spec->curves, spec->curves_count, err));
    if (ok && min > max)
        ok = err_set(err, ERR_INVALID,
                     "tls_config.max_version must be greater than or equal to tls_config.min_version if both are specified");
    if (ok) {
        const char *at;
        int rc = gnutls_priority_init(out, b.p, &at);
        if (rc != 0)
            ok = err_set(err, ERR_INVALID, "TLS versions or ciphers: %s", gnutls_strerror(rc));
    }
    buf_deinit(&b);
    return ok;
}

/* ---- Credentials ---- */

static gnutls_datum_t datum(const struct buf *b)
{
    return (gnutls_datum_t){ .data = (unsigned char *)b->p, .size = u32_from_size(b->n) };
}

static bool set_pair(gnutls_certificate_credentials_t cred, const struct buf *cert, const struct buf *key,
                     struct err *err)
{
    if (cert->n == 0 && key->n == 0)
        return true;
    gnutls_datum_t c = datum(cert), k = datum(key);
    int rc = gnutls_certificate_set_x509_key_mem2(cred, &c, &k, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (rc == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
        return err_set(err, ERR_INVALID, "tls: private key does not match public key");
    if (rc < 0 && (cert->n == 0 || !memmem(cert->p, cert->n, "-----BEGIN", 10)))
        return err_set(err, ERR_INVALID, "tls: failed to find any PEM data in certificate input");
    if (rc < 0 && (key->n == 0 || !memmem(key->p, key->n, "-----BEGIN", 10)))
        return err_set(err, ERR_INVALID, "tls: failed to find any PEM data in key input");
    return rc >= 0 || err_set(err, ERR_INVALID, "tls: %s", gnutls_strerror(rc));
}

static bool set_trust(gnutls_certificate_credentials_t cred, const struct buf *ca, struct err *err)
{
    gnutls_datum_t d = datum(ca);
    int rc = gnutls_certificate_set_x509_trust_mem(cred, &d, GNUTLS_X509_FMT_PEM);
    return rc > 0 || err_set(err, ERR_INVALID, "unable to use specified CA cert");
}

static void wipe(struct buf *b)
{
    if (b->p)
        explicit_bzero(b->p, b->n);
    buf_deinit(b);
}

struct tls_server *tls_server_load(const struct tls_server_spec *spec, struct fs *fs, struct err *err)
{
    struct tls_server *s = MEM_NEW(struct tls_server);
    struct buf ca = { 0 }, cert = { 0 }, key = { 0 };
    atomic_init(&s->refs, 1);
    arena_init(&s->arena, ARENA_NO_LIMIT);
    s->client_auth = spec->client_auth;
    int rc = gnutls_certificate_allocate_credentials(&s->cred);
    ASSERT(rc == 0);
    bool ok = material(spec->client_ca, spec->client_ca_file, fs, &s->files[0], &ca, err) &&
              material(spec->cert, spec->cert_file, fs, &s->files[1], &cert, err) &&
              material(spec->key, spec->key_file, fs, &s->files[2], &key, err) && set_pair(s->cred, &cert, &key, err) &&
              (ca.n == 0 || set_trust(s->cred, &ca, err)) &&
              make_priority(&s->priority, spec->min_version, spec->max_version, spec, err);
    if (ok && spec->allowed_sans_count) {
        struct str *sans = arena_alloc_array(&s->arena, spec->allowed_sans_count, sizeof *sans);
        for (size_t i = 0; i < spec->allowed_sans_count; i++)
            sans[i] = arena_str(&s->arena, spec->allowed_sans[i]);
        s->allowed_sans = sans;
        s->allowed_sans_count = spec->allowed_sans_count;
    }
    wipe(&key);
    buf_deinit(&cert);
    buf_deinit(&ca);
    if (ok)
        return s;
    tls_server_release(s);
    return NULL;
}

struct tls_server *tls_server_retain(struct tls_server *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

static void free_files(struct watched_file *files)
{
    for (size_t i = 0; i < TLS_FILES; i++)
        watched_file_deinit(&files[i]);
}

static bool files_changed(const struct watched_file *files)
{
    for (size_t i = 0; i < TLS_FILES; i++)
        if (watched_file_changed(&files[i]))
            return true;
    return false;
}

void tls_server_release(struct tls_server *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    gnutls_certificate_free_credentials(s->cred);
    if (s->priority)
        gnutls_priority_deinit(s->priority);
    free_files(s->files);
    arena_deinit(&s->arena);
    mem_free(s);
}

bool tls_server_changed(const struct tls_server *s)
{
    return files_changed(s->files);
}

static int give_own(gnutls_session_t session, const gnutls_datum_t *req_ca_dn, int nreqs,
                    const gnutls_pk_algorithm_t *pk_algos, int pk_algos_length, gnutls_pcert_st **pcert,
                    unsigned int *pcert_length, gnutls_privkey_t *privkey)
{
    (void)req_ca_dn, (void)nreqs, (void)pk_algos, (void)pk_algos_length;
    struct tls_client *c = tls_client_of(session);
    *pcert = c->own;
    *pcert_length = c->own_count;
    *privkey = c->own_key;
    return 0;
}

/* Takes the pair out of the credentials again, in the form in which a session can be given it. */
static void keep_own(struct tls_client *c)
{
    gnutls_x509_crt_t *crts;
    gnutls_x509_privkey_t key;
    unsigned count;
    if (gnutls_certificate_get_x509_crt(c->cred, 0, &crts, &count) != 0)
        return;
    c->own = mem_alloc_array(count, sizeof *c->own);
    bool ok = gnutls_certificate_get_x509_key(c->cred, 0, &key) == 0;
    if (ok) {
        ok = gnutls_privkey_init(&c->own_key) == 0 &&
             gnutls_privkey_import_x509(c->own_key, key, GNUTLS_PRIVKEY_IMPORT_COPY) == 0;
        gnutls_x509_privkey_deinit(key);
    }
    for (unsigned i = 0; i < count; i++) {
        ok = ok && gnutls_pcert_import_x509(&c->own[i], crts[i], 0) == 0;
        c->own_count += ok;
        gnutls_x509_crt_deinit(crts[i]);
    }
    gnutls_free(crts);
    if (ok)
        gnutls_certificate_set_retrieve_function2(c->cred, give_own);
}

struct tls_client *tls_client_load(const struct http_tls_config *config, struct fs *fs, struct err *err)
{
    struct tls_client *c = MEM_NEW(struct tls_client);
    struct buf ca = { 0 }, cert = { 0 }, key = { 0 };
    atomic_init(&c->refs, 1);
    c->insecure = config->insecure_skip_verify;
    c->server_name = str_of(mem_dup(config->server_name.p, config->server_name.n), config->server_name.n);
    int rc = gnutls_certificate_allocate_credentials(&c->cred);
    ASSERT(rc == 0);
    bool ok = material(config->ca, config->ca_file, fs, &c->files[0], &ca, err) &&
              material(config->cert, config->cert_file, fs, &c->files[1], &cert, err) &&
              material(config->key, config->key_file, fs, &c->files[2], &key, err) &&
              set_pair(c->cred, &cert, &key, err) && (ca.n == 0 || set_trust(c->cred, &ca, err)) &&
              make_priority(&c->priority, config->min_version, config->max_version, NULL, err);
    if (ok && cert.n)
        keep_own(c);
    if (ok && ca.n == 0 && !c->insecure)
        gnutls_certificate_set_x509_system_trust(c->cred); /* none there: nothing verifies, and the handshake says so */
    wipe(&key);
    buf_deinit(&cert);
    buf_deinit(&ca);
    if (ok)
        return c;
    tls_client_release(c);
    return NULL;
}

struct tls_client *tls_client_retain(struct tls_client *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

void tls_client_release(struct tls_client *c)
{
    if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    gnutls_certificate_free_credentials(c->cred);
    for (unsigned i = 0; i < c->own_count; i++)
        gnutls_pcert_deinit(&c->own[i]);
    mem_free(c->own);
    if (c->own_key)
        gnutls_privkey_deinit(c->own_key);
    if (c->priority)
        gnutls_priority_deinit(c->priority);
    free_files(c->files);
    char *owned;
    memcpy(&owned, &c->server_name.p, sizeof owned);
    mem_free(owned);
    mem_free(c);
}

bool tls_client_changed(const struct tls_client *c)
{
    return files_changed(c->files);
}
