/* Buffered output and mapped input over a struct fs. One write a megabyte keeps the system calls of a block's index and
 * chunks out of the profile. */
#include "tsdb/file_int.h"

#include "base/num.h"

#include <stdarg.h>

struct str path_set(struct path *p, const char *fmt, ...)
{
    va_list ap;
    buf_reset(&p->text);
    va_start(ap, fmt);
    buf_vprintf(&p->text, fmt, ap);
    va_end(ap);
    return buf_view(&p->text);
}

void path_deinit(struct path *p)
{
    buf_deinit(&p->text);
}

bool file_out_open(struct file_out *o, struct fs *fs, struct str path, struct err *err)
{
    *o = (struct file_out){ .fs = fs, .buffer_bytes = FILE_OUT_BUFFER };
    return fs->open(fs, path, FS_WRITE | FS_CREATE | FS_TRUNCATE, &o->file, err);
}

void file_out_flush(struct file_out *o)
{
    if (o->pending.n == 0 || o->err.code != ERR_NONE)
        return;
    if (o->fs->write(o->fs, o->file, o->at, o->pending.p, o->pending.n, &o->err))
        o->at += o->pending.n;
    buf_reset(&o->pending);
}

void file_out_append(struct file_out *o, const void *p, size_t n)
{
    if (o->pending.n + n > o->buffer_bytes)
        file_out_flush(o);
    buf_append(&o->pending, p, n);
}

bool file_out_finish(struct file_out *o, struct err *err)
{
    file_out_flush(o);
    bool ok = o->err.code == ERR_NONE;
    if (!ok)
        *err = o->err;
    ok = ok && o->fs->sync(o->fs, o->file, err);
    file_out_abandon(o);
    return ok;
}

void file_out_abandon(struct file_out *o)
{
    if (o->file)
        o->fs->close(o->fs, o->file);
    buf_deinit(&o->pending);
    *o = (struct file_out){ 0 };
}

bool file_map_open(struct file_map *m, struct fs *fs, struct str path, struct err *err)
{
    uint64_t size = 0;
    *m = (struct file_map){ .fs = fs };
    bool ok = fs->open(fs, path, FS_READ, &m->file, err) && fs->size(fs, m->file, &size, err) &&
              (size == 0 || fs->map(fs, m->file, &m->map, err));
    if (!ok)
        file_map_close(m);
    return ok;
}

void file_map_close(struct file_map *m)
{
    if (m->map.p)
        m->fs->unmap(m->fs, &m->map);
    if (m->file)
        m->fs->close(m->fs, m->file);
    *m = (struct file_map){ 0 };
}

bool names_next(struct str *rest, struct str *name)
{
    if (rest->n == 0)
        return false;
    size_t n = str_find_byte(*rest, '\0');
    if (n == STR_NPOS)
        n = rest->n;
    *name = str_of(rest->p, n);
    *rest = str_from(*rest, n + 1);
    return true;
}

bool name_number(struct str name, uint32_t *n)
{
    int64_t v;
    if (name.n == 0 || name.n > 20)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        if (!ascii_is_digit(name.p[i]))
            return false;
    }
    if (!num_parse_i64(name, 10, &v) || v < 0 || v > INT32_MAX)
        return false;
    *n = (uint32_t)v;
    return true;
}
