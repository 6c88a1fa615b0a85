/* TLS material for libcurl, which opens files: its *_BLOB options are refused or ignored in the GnuTLS flavour. Each
 * content gets a memfd, reachable as /proc/self/fd/N.
 *
 * H1  One content, one path, as long as anyone uses it: libcurl compares paths when it looks for a connection to
 *     reuse, so a changed certificate never travels on an old connection.
 * H2  A descriptor number that is used again gets another path: "./" in it counts the generations. */
#include "base/mem.h"
#include "io/http_client_int.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { IDLE_MAX = 64, GENERATIONS = 32, FILES_MAX = 256 };

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

struct material_cache {
    struct fs *fs;
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

static bool get_file(struct material_cache *c, struct str path, struct material **out, struct err *err)
{
    struct known_file *known = map_get(&c->files, path);
    if (known && !watched_file_changed(&known->file) && (*out = find(c, known->digest)) != NULL)
        return true;
    if (known) {
        map_remove(&c->files, path);
        watched_file_deinit(&known->file);
        mem_free(known);
    }
    if (c->files.count >= FILES_MAX)
        forget_files(c);
    struct buf b = { 0 };
    known = MEM_NEW(struct known_file);
    bool ok = watched_file_read(&known->file, c->fs, path, &b, err) &&
              get_text(c, buf_view(&b), out, known->digest, err);
    if (ok) {
        map_put(&c->files, known->file.path, known);
    } else {
        watched_file_deinit(&known->file);
        mem_free(known);
    }
    if (b.p)
        explicit_bzero(b.p, b.n);
    buf_deinit(&b);
    return ok;
}

bool material_get(struct material_cache *c, struct str text, struct str file, struct material **out, struct err *err)
{
    uint8_t digest[SHA256_BYTES];
    if (text.n)
        return get_text(c, text, out, digest, err);
    return file.n == 0 || get_file(c, file, out, err);
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
