/* Slots of a fixed size behind a header byte '[', as upstream's file has them. A slot is claimed by an atomic flag, so that
 * begin and end need no lock; each writes its own bytes only. */
#include "promql/active_log.h"

#include "base/mem.h"
#include "base/utf8.h"
#include "json/writer.h"

#include <stdatomic.h>

#define SLOT_BYTES 1000 /* as upstream's entries */
#define FILE_MAX   ((size_t)4 << 20)

struct active_log {
    struct fs *fs;
    struct fs_file *file;
    size_t slots;
    atomic_bool *taken;
};

static void show_left(struct fs *fs, struct str path, void (*seen)(void *arg, struct str json), void *arg)
{
    struct buf text = { 0 };
    struct err ignored = { 0 };
    if (seen && fs_exists(fs, path) && fs_read_file(fs, path, FILE_MAX, &text, &ignored)) {
        struct str rest = str_from(buf_view(&text), 1);
        for (; rest.n; rest = str_from(rest, SLOT_BYTES)) {
            struct str slot = str_sub(rest, 0, SLOT_BYTES);
            size_t end = str_find_byte(slot, '\0');
            slot = str_sub(slot, 0, end == STR_NPOS ? slot.n : end);
            if (str_ends(slot, STR(",")))
                slot.n--;
            if (slot.n && slot.p[0] == '{')
                seen(arg, slot);
        }
    }
    buf_deinit(&text);
}

bool active_log_open(struct fs *fs, struct str dir, size_t slots, void (*seen)(void *arg, struct str json), void *arg,
                     struct active_log **out, struct err *err)
{
    struct buf path = { 0 }, empty = { 0 };
    struct active_log *l = MEM_NEW(struct active_log);
    l->fs = fs;
    l->slots = slots;
    l->taken = mem_alloc_array(slots, sizeof *l->taken);
    buf_printf(&path, "%.*s/queries.active", STR_ARG(dir));
    show_left(fs, buf_view(&path), seen, arg);
    buf_byte(&empty, '[');
    buf_fill(&empty, '\0', slots * SLOT_BYTES);
    bool ok = fs->open(fs, buf_view(&path), FS_READ | FS_WRITE | FS_CREATE | FS_TRUNCATE, &l->file, err) &&
              fs->write(fs, l->file, 0, empty.p, empty.n, err);
    buf_deinit(&path);
    buf_deinit(&empty);
    if (!ok) {
        active_log_close(l);
        return false;
    }
    *out = l;
    return true;
}

void active_log_close(struct active_log *l)
{
    if (!l)
        return;
    if (l->file)
        l->fs->close(l->fs, l->file);
    mem_free(l->taken);
    mem_free(l);
}

size_t active_log_begin(struct active_log *l, struct str query, wall_ms now)
{
    struct err ignored = { 0 };
    char slot[SLOT_BYTES] = { 0 };
    size_t i = 0;
    while (i < l->slots && atomic_exchange(&l->taken[i], true))
        i++;
    if (i == l->slots)
        return SIZE_MAX;
    struct buf b = { 0 };
    struct str shown = query;
    for (size_t room = query.n < SLOT_BYTES ? query.n : SLOT_BYTES;; room /= 2) {
        struct json_writer w;
        shown = str_sub(query, 0, room);
        buf_reset(&b);
        json_writer_init(&w, &b);
        jw_object(&w);
        jw_kv(&w, STR("query"), shown);
        jw_key(&w, STR("timestamp_sec"));
        jw_i64(&w, now / 1000);
        jw_object_end(&w);
        buf_byte(&b, ',');
        if (b.n < SLOT_BYTES)
            break;
    }
    memcpy(slot, b.p, b.n);
    buf_deinit(&b);
    (void)!l->fs->write(l->fs, l->file, 1 + i * SLOT_BYTES, slot, sizeof slot, &ignored);
    return i;
}

void active_log_end(struct active_log *l, size_t slot)
{
    static const char zeros[SLOT_BYTES];
    struct err ignored = { 0 };
    if (slot == SIZE_MAX)
        return;
    ASSERT(slot < l->slots);
    (void)!l->fs->write(l->fs, l->file, 1 + slot * SLOT_BYTES, zeros, sizeof zeros, &ignored);
    atomic_store(&l->taken[slot], false);
}
