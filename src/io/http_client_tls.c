/* TLS for libcurl: client certificates as files, and the verification of servers, which is ours.
 *
 * libcurl opens files: its *_BLOB options are refused or ignored in the GnuTLS flavour. Each content gets a memfd,
 * reachable as /proc/self/fd/N.
 *
 * libcurl 7.88 parses the authorities anew for each connection and keeps them with it: 5 to 8 ms and 4 MiB a piece for
 * the system's. So it is told to verify nothing, and before each request is sent (CURLOPT_PREREQFUNCTION) the chain of
 * its session is checked against a list that all connections share.
 *
 * H1  One content, one path, as long as anyone uses it: libcurl compares paths when it looks for a connection to
 *     reuse, so a changed certificate never travels on an old connection.
 * H2  A descriptor number that is used again gets another path: "./" in it counts the generations.
 * H3  A session that was checked carries the address of its trust. A connection is only reused by calls with the same
 *     trust: CURLOPT_CAPATH, of no other use here, holds a label of it that libcurl compares. So a call that verifies
 *     never rides on a connection of one that does not, nor on one that failed. The label of a call through a tunnel also
 *     tells what the tunnel was asked for with: libcurl does not compare that. */
#include "base/mem.h"
#include "io/http_client_int.h"

#include <gnutls/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { IDLE_MAX = 64, GENERATIONS = 32, FILES_MAX = 256, TRUSTS_MAX = 64 };

struct material {
    uint8_t digest[SHA256_BYTES];
    unsigned refs;
    int fd;
    char path[128];
    struct material *next;
};

/* What a file held when it was last looked at. */
struct known_file {
    struct watched_file file;
    uint8_t digest[SHA256_BYTES];
};

/* Authorities, parsed. */
struct trust {
    uint8_t digest[SHA256_BYTES]; /* of the PEM text; zero: the system's */
    unsigned refs;
    gnutls_x509_trust_list_t list;
    char label[16 + 2 * SHA256_BYTES];
    struct trust *next;
};

struct material_cache {
    struct fs *fs;
    struct trust *trusts; /* most recently used first */
    size_t trusts_count;
    struct material *list; /* most recently used first */
    size_t count;
    unsigned generation;
    struct map files; /* path -> struct known_file */
};

struct material_cache *material_cache_new(struct fs *fs)
{
    struct material_cache *c = MEM_NEW(struct material_cache);
    c->fs = fs;
    return c;
}

static void forget_files(struct material_cache *c)
{
    struct known_file *f;
    for (size_t i = 0; (f = map_next(&c->files, &i)) != NULL;) {
        watched_file_deinit(&f->file);
        mem_free(f);
    }
    map_deinit(&c->files);
}

static void destroy(struct material *m)
{
    close(m->fd);
    mem_free(m);
}

void material_cache_free(struct material_cache *c)
{
    while (c->list) {
        struct material *m = c->list;
        ASSERT(m->refs == 0);
        c->list = m->next;
        destroy(m);
    }
    while (c->trusts) {
        struct trust *t = c->trusts;
        ASSERT(t->refs == 0);
        c->trusts = t->next;
        gnutls_x509_trust_list_deinit(t->list, 1);
        mem_free(t);
    }
    forget_files(c);
    mem_free(c);
}

static struct material *find(struct material_cache *c, const uint8_t digest[SHA256_BYTES])
{
    for (struct material **at = &c->list; *at; at = &(*at)->next) {
        struct material *m = *at;
        if (memcmp(m->digest, digest, SHA256_BYTES) != 0)
            continue;
        *at = m->next; /* to the front */
        m->next = c->list;
        c->list = m;
        m->refs++;
        return m;
    }
    return NULL;
}

/* Drops the longest unused one. */
static void evict(struct material_cache *c)
{
    struct material **oldest = NULL;
    for (struct material **at = &c->list; *at; at = &(*at)->next)
        if ((*at)->refs == 0)
            oldest = at;
    if (!oldest)
        return;
    struct material *m = *oldest;
    *oldest = m->next;
    destroy(m);
    c->count--;
    c->generation = (c->generation + 1) % GENERATIONS;
}

static struct material *add(struct material_cache *c, struct str text, const uint8_t digest[SHA256_BYTES],
                            struct err *err)
{
    if (c->count >= IDLE_MAX)
        evict(c);
    int fd = memfd_create("tls", MFD_CLOEXEC);
    if (fd < 0 || write(fd, text.p, text.n) != (ssize_t)text.n) {
        if (fd >= 0)
            close(fd);
        err_set(err, ERR_IO, "cannot keep TLS material in memory");
        return NULL;
    }
    struct material *m = MEM_NEW(struct material);
    memcpy(m->digest, digest, SHA256_BYTES);
    m->fd = fd;
    m->refs = 1;
    size_t n = (size_t)snprintf(m->path, sizeof m->path, "/proc/self/fd/");
    for (unsigned i = 0; i < c->generation; i++, n += 2)
        memcpy(m->path + n, "./", 2);
    snprintf(m->path + n, sizeof m->path - n, "%d", fd);
    m->next = c->list;
    c->list = m;
    c->count++;
    return m;
}

static bool get_text(struct material_cache *c, struct str text, struct material **out, uint8_t digest[SHA256_BYTES],
                     struct err *err)
{
    hash_sha256(text, digest);
    *out = find(c, digest);
    if (!*out)
        *out = add(c, text, digest, err);
    return *out != NULL;
}

/* What the file held when it was last read, if that is still so. */
static struct known_file *known_unchanged(struct material_cache *c, struct str path)
{
    struct known_file *known = map_get(&c->files, path);
    if (!known || !watched_file_changed(&known->file))
        return known;
    map_remove(&c->files, path);
    watched_file_deinit(&known->file);
    mem_free(known);
    return NULL;
}

static bool read_file(struct material_cache *c, struct str path, struct buf *out, struct err *err)
{
    struct known_file *known = MEM_NEW(struct known_file);
    if (!watched_file_read(&known->file, c->fs, path, out, err)) {
        mem_free(known);
        return false;
    }
    memcpy(known->digest, known->file.digest, SHA256_BYTES);
    if (c->files.count >= FILES_MAX)
        forget_files(c);
    struct known_file *before = map_put(&c->files, known->file.path, known);
    if (before) {
        watched_file_deinit(&before->file);
        mem_free(before);
    }
    return true;
}

static void wipe(struct buf *b)
{
    if (b->p)
        explicit_bzero(b->p, b->n);
    buf_deinit(b);
}

bool material_get(struct material_cache *c, struct str text, struct str file, struct material **out, struct err *err)
{
    uint8_t digest[SHA256_BYTES];
    if (text.n)
        return get_text(c, text, out, digest, err);
    if (file.n == 0)
        return true;
    struct known_file *known = known_unchanged(c, file);
    if (known && (*out = find(c, known->digest)) != NULL)
        return true;
    struct buf b = { 0 };
    bool ok = read_file(c, file, &b, err) && get_text(c, buf_view(&b), out, digest, err);
    wipe(&b);
    return ok;
}

const char *material_path(const struct material *m)
{
    return m->path;
}

void material_release(struct material_cache *c, struct material *m)
{
    if (!m)
        return;
    ASSERT(m->refs > 0);
    m->refs--;
    if (m->refs == 0 && c->count > IDLE_MAX)
        evict(c);
}

/* ---- Trust ---- */

static struct trust *find_trust(struct material_cache *c, const uint8_t digest[SHA256_BYTES])
{
    for (struct trust **at = &c->trusts; *at; at = &(*at)->next) {
        struct trust *t = *at;
        if (memcmp(t->digest, digest, SHA256_BYTES) != 0)
            continue;
        *at = t->next;
        t->next = c->trusts;
        c->trusts = t;
        t->refs++;
        return t;
    }
    return NULL;
}

static void drop_unused_trust(struct material_cache *c)
{
    struct trust **oldest = NULL;
    for (struct trust **at = &c->trusts; *at; at = &(*at)->next)
        if ((*at)->refs == 0)
            oldest = at;
    if (!oldest)
        return;
    struct trust *t = *oldest;
    *oldest = t->next;
    c->trusts_count--;
    gnutls_x509_trust_list_deinit(t->list, 1);
    mem_free(t);
}

static struct trust *add_trust(struct material_cache *c, struct str pem, const uint8_t digest[SHA256_BYTES],
                               struct err *err)
{
    struct trust *t = MEM_NEW(struct trust);
    int rc = gnutls_x509_trust_list_init(&t->list, 0);
    ASSERT(rc == 0);
    if (pem.n) {
        unsigned char *bytes;
        memcpy(&bytes, &pem.p, sizeof bytes); /* only read, in spite of the type */
        const gnutls_datum_t d = { .data = bytes, .size = u32_from_size(pem.n) };
        rc = gnutls_x509_trust_list_add_trust_mem(t->list, &d, NULL, GNUTLS_X509_FMT_PEM, 0, 0);
    } else {
        /* None there: nothing verifies, and each request says so. */
        gnutls_x509_trust_list_add_system_trust(t->list, 0, 0);
        rc = 1;
    }
    if (rc <= 0) {
        gnutls_x509_trust_list_deinit(t->list, 1);
        mem_free(t);
        err_set(err, ERR_INVALID, "unable to use specified CA cert");
        return NULL;
    }
    if (c->trusts_count >= TRUSTS_MAX)
        drop_unused_trust(c);
    memcpy(t->digest, digest, SHA256_BYTES);
    size_t n = (size_t)snprintf(t->label, sizeof t->label, "/verify/");
    for (size_t i = 0; i < SHA256_BYTES; i++, n += 2)
        snprintf(t->label + n, sizeof t->label - n, "%02x", digest[i]);
    t->refs = 1;
    t->next = c->trusts;
    c->trusts = t;
    c->trusts_count++;
    return t;
}

bool trust_get(struct material_cache *c, struct str text, struct str file, struct trust **out, struct err *err)
{
    uint8_t digest[SHA256_BYTES] = { 0 };
    struct buf b = { 0 };
    struct known_file *known = text.n || !file.n ? NULL : known_unchanged(c, file);
    if (known && (*out = find_trust(c, known->digest)) != NULL)
        return true;
    if (text.n == 0 && file.n && !read_file(c, file, &b, err))
        return false;
    if (b.p)
        text = buf_view(&b);
    if (text.n || file.n)
        hash_sha256(text, digest);
    *out = find_trust(c, digest);
    if (!*out && file.n && text.n == 0)
        err_set(err, ERR_INVALID, "unable to use specified CA cert");
    else if (!*out)
        *out = add_trust(c, text, digest, err);
    buf_deinit(&b);
    return *out != NULL;
}

const char *trust_label(const struct trust *t)
{
    return t->label;
}

void trust_release(struct trust *t)
{
    if (!t)
        return;
    ASSERT(t->refs > 0);
    t->refs--;
}

enum { CHAIN_MAX = 16 };

static bool verify_chain(const struct trust *t, gnutls_session_t session, struct str name, struct err *err)
{
    unsigned count = 0, status = 0, imported = 0;
    const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &count);
    gnutls_x509_crt_t crts[CHAIN_MAX];
    char *host = mem_alloc(name.n + 1), purpose[] = GNUTLS_KP_TLS_WWW_SERVER;
    memcpy(host, name.p, name.n);
    gnutls_typed_vdata_st data[] = {
        { .type = GNUTLS_DT_KEY_PURPOSE_OID, .data = (unsigned char *)purpose },
        { .type = GNUTLS_DT_DNS_HOSTNAME, .data = (unsigned char *)host },
    };
    bool ok = chain && count > 0 && count <= CHAIN_MAX;
    for (; ok && imported < count; imported++) {
        ok = gnutls_x509_crt_init(&crts[imported]) == 0;
        if (ok && gnutls_x509_crt_import(crts[imported], &chain[imported], GNUTLS_X509_FMT_DER) != 0) {
            gnutls_x509_crt_deinit(crts[imported]);
            ok = false;
            break;
        }
    }
    ok = ok && gnutls_x509_trust_list_verify_crt2(t->list, crts, imported, data, ARRAY_LEN(data), 0, &status, NULL) == 0;
    while (imported > 0)
        gnutls_x509_crt_deinit(crts[--imported]);
    mem_free(host);
    if (!ok)
        return err_set(err, ERR_IO, "tls: failed to verify certificate: x509: certificate is not valid");
    return status == 0 || tls_explain_status(session, status, name, err);
}

bool trust_verify(const struct trust *t, gnutls_session_t session, struct str name, struct err *err)
{
    if (gnutls_session_get_ptr(session) == t)
        return true;
    if (!verify_chain(t, session, name, err))
        return false;
    struct trust *marker;
    memcpy(&marker, &t, sizeof marker);
    gnutls_session_set_ptr(session, marker);
    return true;
}
