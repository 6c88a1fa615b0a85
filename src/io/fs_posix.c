/* The posix file system. A file remembers its path for the texts of its errors, as Go's os.File does.
 *
 * P1  Reads and writes are positional and complete: short results of the system are continued, EINTR is repeated.
 * P2  A name is turned into a C string on the stack; names with a NUL, or longer than PATH_MAX, are refused. */
#include "io/fs_posix.h"

#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct fs_file {
    int fd;
    bool append;
    char path[];
};

struct name {
    char z[PATH_MAX];
};

static bool name_of(struct name *out, struct str path, const char *verb, struct err *err)
{
    if (path.n >= sizeof out->z)
        return err_errno(err, ENAMETOOLONG, "%s %.*s…", verb, 128, path.p);
    if (path.n && memchr(path.p, 0, path.n))
        return err_errno(err, EINVAL, "%s %.*s", verb, STR_ARG(path));
    if (path.n)
        memcpy(out->z, path.p, path.n);
    out->z[path.n] = 0;
    return true;
}

static bool posix_open(struct fs *fs, struct str path, unsigned flags, struct fs_file **f, struct err *err)
{
    (void)fs;
    struct name name;
    if (!name_of(&name, path, "open", err))
        return false;
    ASSERT(flags & (FS_READ | FS_WRITE));
    int mode = O_CLOEXEC | O_NOCTTY;
    if ((flags & FS_READ) && (flags & FS_WRITE))
        mode |= O_RDWR;
    else
        mode |= flags & FS_WRITE ? O_WRONLY : O_RDONLY;
    if (flags & FS_CREATE)
        mode |= O_CREAT;
    if (flags & FS_TRUNCATE)
        mode |= O_TRUNC;
    if (flags & FS_EXCLUSIVE)
        mode |= O_EXCL;
    if (flags & FS_APPEND)
        mode |= O_APPEND;
    int fd;
    do
        fd = open(name.z, mode, 0666);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return err_errno(err, errno, "open %s", name.z);
    *f = mem_alloc(sizeof **f + path.n + 1);
    (*f)->fd = fd;
    (*f)->append = (flags & FS_APPEND) != 0;
    memcpy((*f)->path, name.z, path.n + 1);
    return true;
}

static void posix_close(struct fs *fs, struct fs_file *f)
{
    (void)fs;
    if (!f)
        return;
    close(f->fd);
    mem_free(f);
}

static bool posix_read(struct fs *fs, struct fs_file *f, uint64_t at, void *p, size_t n, size_t *got, struct err *err)
{
    (void)fs;
    size_t done = 0;
    while (done < n) {
        ssize_t r = pread(f->fd, (char *)p + done, n - done, (off_t)(at + done));
        if (r < 0 && errno == ESPIPE) /* a pipe, as --config.file=/dev/stdin may be: read once, from front to back */
            r = read(f->fd, (char *)p + done, n - done);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return err_errno(err, errno, "read %s", f->path);
        if (r == 0)
            break;
        done += (size_t)r;
    }
    *got = done;
    return true;
}

static bool posix_write(struct fs *fs, struct fs_file *f, uint64_t at, const void *p, size_t n, struct err *err)
{
    (void)fs;
    size_t done = 0;
    while (done < n) {
        const char *from = (const char *)p + done;
        ssize_t r = f->append ? write(f->fd, from, n - done) : pwrite(f->fd, from, n - done, (off_t)(at + done));
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return err_errno(err, errno, "write %s", f->path);
        done += (size_t)r;
    }
    return true;
}

static bool posix_sync(struct fs *fs, struct fs_file *f, struct err *err)
{
    (void)fs;
    int rc;
    do
        rc = fdatasync(f->fd);
    while (rc != 0 && errno == EINTR);
    return rc == 0 || err_errno(err, errno, "sync %s", f->path);
}

static bool posix_truncate(struct fs *fs, struct fs_file *f, uint64_t size, struct err *err)
{
    (void)fs;
    int rc;
    do
        rc = ftruncate(f->fd, (off_t)size);
    while (rc != 0 && errno == EINTR);
    return rc == 0 || err_errno(err, errno, "truncate %s", f->path);
}

static bool posix_size(struct fs *fs, struct fs_file *f, uint64_t *size, struct err *err)
{
    (void)fs;
    struct stat st;
    if (fstat(f->fd, &st) != 0)
        return err_errno(err, errno, "stat %s", f->path);
    *size = (uint64_t)st.st_size;
    return true;
}

static bool posix_map(struct fs *fs, struct fs_file *f, struct fs_map *m, struct err *err)
{
    uint64_t size;
    if (!posix_size(fs, f, &size, err))
        return false;
    *m = (struct fs_map){ (const uint8_t *)"", 0 };
    if (size == 0)
        return true;
    void *p = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, f->fd, 0);
    if (p == MAP_FAILED)
        return err_errno(err, errno, "mmap %s", f->path);
    *m = (struct fs_map){ p, (size_t)size };
    return true;
}

static void posix_unmap(struct fs *fs, struct fs_map *m)
{
    (void)fs;
    if (m->n) {
        const void *p = m->p;
        void *start;
        memcpy(&start, &p, sizeof start); /* munmap wants the page back without its const */
        munmap(start, m->n);
    }
    *m = (struct fs_map){ 0 };
}

static void posix_forget(struct fs *fs, const struct fs_map *m, size_t from, size_t n)
{
    (void)fs;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), first = (from + page - 1) / page * page, end = (from + n) / page * page;
    ASSERT(from <= m->n && n <= m->n - from);
    if (first < end)
        madvise((void *)(uintptr_t)(m->p + first), end - first, MADV_DONTNEED); /* a wish */
}

static bool posix_stat(struct fs *fs, struct str path, struct fs_stat *out, struct err *err)
{
    (void)fs;
    struct name name;
    struct stat st;
    if (!name_of(&name, path, "stat", err))
        return false;
    if (stat(name.z, &st) != 0)
        return err_errno(err, errno, "stat %s", name.z);
    *out = (struct fs_stat){
        .size_bytes = (uint64_t)st.st_size,
        .is_dir = S_ISDIR(st.st_mode),
        .mtime_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000,
    };
    return true;
}

static bool posix_rename(struct fs *fs, struct str from, struct str to, struct err *err)
{
    (void)fs;
    struct name a, b;
    return name_of(&a, from, "rename", err) && name_of(&b, to, "rename", err) &&
           (rename(a.z, b.z) == 0 || err_errno(err, errno, "rename %s %s", a.z, b.z));
}

static bool posix_remove(struct fs *fs, struct str path, struct err *err)
{
    (void)fs;
    struct name name;
    if (!name_of(&name, path, "remove", err))
        return false;
    if (unlink(name.z) == 0)
        return true;
    int unlink_errno = errno;
    if (rmdir(name.z) == 0)
        return true;
    /* As Go: of the two answers the one that says more. */
    return err_errno(err, errno == ENOTDIR ? unlink_errno : errno, "remove %s", name.z);
}

static bool posix_mkdir(struct fs *fs, struct str path, struct err *err)
{
    (void)fs;
    struct name name;
    struct stat st;
    if (!name_of(&name, path, "mkdir", err))
        return false;
    if (mkdir(name.z, 0777) == 0)
        return true;
    int mkdir_errno = errno;
    if (mkdir_errno == EEXIST && stat(name.z, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            return true;
        mkdir_errno = ENOTDIR;
    }
    return err_errno(err, mkdir_errno, "mkdir %s", name.z);
}

static bool posix_sync_dir(struct fs *fs, struct str path, struct err *err)
{
    (void)fs;
    struct name name;
    if (!name_of(&name, path, "open", err))
        return false;
    int fd = open(name.z, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "open %s", name.z);
    int rc;
    do
        rc = fsync(fd);
    while (rc != 0 && errno == EINTR);
    int sync_errno = errno;
    close(fd);
    return rc == 0 || err_errno(err, sync_errno, "sync %s", name.z);
}

static bool posix_link(struct fs *fs, struct str from, struct str to, struct err *err)
{
    (void)fs;
    struct name a, b;
    return name_of(&a, from, "link", err) && name_of(&b, to, "link", err) &&
           (link(a.z, b.z) == 0 || err_errno(err, errno, "link %s %s", a.z, b.z));
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool posix_list(struct fs *fs, struct str path, struct buf *out, struct err *err)
{
    (void)fs;
    struct name name;
    if (!name_of(&name, path, "open", err))
        return false;
    DIR *d = opendir(name.z);
    if (!d)
        return err_errno(err, errno, "open %s", name.z);
    char **names = NULL;
    size_t count = 0, capacity = 0;
    struct dirent *e;
    errno = 0;
    while ((e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (count == capacity) {
            capacity = mem_grow(capacity, count + 1);
            names = mem_realloc_array(names, capacity, sizeof *names);
        }
        names[count++] = mem_dup(e->d_name, strlen(e->d_name) + 1);
    }
    int read_errno = errno;
    closedir(d);
    if (count)
        qsort(names, count, sizeof *names, compare_names);
    for (size_t i = 0; i < count; i++) {
        if (read_errno == 0)
            buf_append(out, names[i], strlen(names[i]) + 1);
        mem_free(names[i]);
    }
    mem_free(names);
    return read_errno == 0 || err_errno(err, read_errno, "readdirent %s", name.z);
}

/* flock, and a POSIX record lock beside it: Prometheus holds the latter on its lock file. */
static bool posix_lock(struct fs *fs, struct fs_file *f, struct err *err)
{
    (void)fs;
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int rc;
    do
        rc = flock(f->fd, LOCK_EX | LOCK_NB);
    while (rc != 0 && errno == EINTR);
    if (rc == 0 && fcntl(f->fd, F_SETLK, &whole) != 0 && (errno == EACCES || errno == EAGAIN)) {
        flock(f->fd, LOCK_UN);
        errno = EWOULDBLOCK;
        rc = -1;
    }
    if (rc == 0)
        return true;
    bool held = errno == EWOULDBLOCK;
    err_errno(err, errno, "lock %s", f->path);
    if (held)
        err->code = ERR_CONFLICT;
    return false;
}

struct fs *fs_posix(void)
{
    static struct fs fs = {
        .open = posix_open,
        .close = posix_close,
        .read = posix_read,
        .write = posix_write,
        .sync = posix_sync,
        .truncate = posix_truncate,
        .size = posix_size,
        .map = posix_map,
        .unmap = posix_unmap,
        .forget = posix_forget,
        .stat = posix_stat,
        .rename = posix_rename,
        .remove = posix_remove,
        .mkdir = posix_mkdir,
        .sync_dir = posix_sync_dir,
        .link = posix_link,
        .list = posix_list,
        .lock = posix_lock,
    };
    return &fs;
}
