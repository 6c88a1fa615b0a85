/* A store is opened over whatever lies in its directory: records of any content, rightly framed, in the log, the write-behind
 * log, a checkpoint and a chunk snapshot; chunks of any content with right checksums in chunks_head; and raw bytes at the
 * end of a log. It opens, answers, is written to, stops, and opens again with the same data.
 *
 * Input: pieces of a destination byte, a length byte and so many bytes. */
#include "base/bytes.h"
#include "base/log.h"
#include "lib/memfs.h"
#include "tsdb/bytes_int.h"
#include "tsdb/tsdb.h"
#include "tsdb/wal/log_int.h"
#include "wire/crc.h"

#include <fcntl.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TO_WAL, TO_WBL, TO_CHECKPOINT, TO_SNAPSHOT, TO_CHUNKS, TO_RAW, DESTINATIONS };
#define NOW INT64_C(1700006400000)

static void put_records(struct memfs *m, struct str dir, struct str in, uint8_t dest)
{
    struct wal w;
    struct err err = { 0 };
    struct wal_options o = { .segment_bytes = 4 * WAL_PAGE_BYTES };
    struct buf packed = { 0 };
    bool open = false;
    for (size_t at = 0; at + 2 <= in.n;) {
        uint8_t to = (uint8_t)in.p[at];
        struct str bytes = str_sub(in, at + 2, (uint8_t)in.p[at + 1]);
        at += 2 + bytes.n;
        if (to % DESTINATIONS != dest || bytes.n == 0)
            continue;
        if (!open) {
            ASSERT(fs_mkdir_all(memfs_fs(m), dir, &err) && wal_open(&w, memfs_fs(m), dir, &o, &err));
            open = true;
        }
        struct wal_item item = wal_pack(bytes, to & 0x80 ? WAL_SNAPPY : WAL_PLAIN, &packed);
        ASSERT(wal_log(&w, &item, 1, &err));
        if (to & 0x40)
            ASSERT(wal_cut(&w, &err));
        buf_reset(&packed);
    }
    if (open)
        wal_close(&w);
    buf_deinit(&packed);
}

/* Chunks: the input has all fields but the checksum; a byte short of data the chunk is left out. */
static void put_chunks(struct memfs *m, struct str in)
{
    static const char head[8] = { 0x01, 0x30, (char)0xBC, (char)0x91, 1 };
    struct buf file = { 0 };
    buf_append(&file, head, sizeof head);
    for (size_t at = 0; at + 2 <= in.n;) {
        uint8_t to = (uint8_t)in.p[at];
        struct str bytes = str_sub(in, at + 2, (uint8_t)in.p[at + 1]);
        at += 2 + bytes.n;
        if (to % DESTINATIONS != TO_CHUNKS || bytes.n < 26)
            continue;
        size_t from = file.n;
        buf_str(&file, str_sub(bytes, 0, 25)); /* series, times, encoding */
        buf_uvarint(&file, bytes.n - 25);
        buf_str(&file, str_from(bytes, 25));
        buf_be32(&file, crc32c(0, file.p + from, file.n - from));
    }
    if (file.n > sizeof head)
        memfs_put(m, STR("d/chunks_head/000001"), buf_view(&file));
    buf_deinit(&file);
}

static void put_raw(struct memfs *m, struct str in)
{
    struct buf file = { 0 };
    for (size_t at = 0; at + 2 <= in.n;) {
        uint8_t to = (uint8_t)in.p[at];
        struct str bytes = str_sub(in, at + 2, (uint8_t)in.p[at + 1]);
        at += 2 + bytes.n;
        if (to % DESTINATIONS == TO_RAW)
            buf_str(&file, bytes);
    }
    if (file.n)
        memfs_put(m, STR("d/wal/00000040"), buf_view(&file));
    buf_deinit(&file);
}

static uint64_t count(struct tsdb *db)
{
    struct arena a;
    struct err err = { 0 };
    struct querier *q;
    struct series_set *set;
    struct series *s;
    struct columns c = { 0 };
    struct matchers none = { 0 };
    struct exemplar_series *e;
    size_t n;
    struct strs names;
    uint64_t total = 0;
    arena_init(&a, ARENA_NO_LIMIT);
    ASSERT(storage_querier(tsdb_storage(db), &a, INT64_MIN, INT64_MAX, &q, &err));
    struct matcher v = { .op = MATCH_NE, .name = STR("no such label"), .value = STR("x") };
    struct matchers ms = { &v, 1 };
    ASSERT(querier_select(q, &ms, NULL, &set, &err));
    while (series_set_next(set, &s, &err) && s) {
        columns_reset(&c);
        if (!series_read(s, INT64_MIN, INT64_MAX, &c, &err))
            continue; /* a damaged chunk */
        for (size_t i = 1; i < c.n; i++)
            ASSERT(c.t[i - 1] < c.t[i]);
        total += c.n + c.hn;
    }
    ASSERT(querier_exemplars(q, &ms, 1, &e, &n, &err) && querier_label_names(q, &none, 0, &names, &err));
    querier_close(q);
    columns_deinit(&c);
    arena_deinit(&a);
    return total;
}

static void write_some(struct tsdb *db)
{
    struct appender *app;
    struct err err = { 0 };
    series_ref ref = 0;
    struct label l = { STR("__name__"), STR("a") };
    struct labels ls = { &l, 1 };
    ASSERT(storage_appender(tsdb_storage(db), NULL, &app, &err));
    for (int i = 0; i < 3; i++) {
        enum append_status st = append_sample(app, &ref, &ls, NOW + i, i);
        ASSERT(st == APPEND_OK || st == APPEND_OUT_OF_BOUNDS || st == APPEND_OUT_OF_ORDER || st == APPEND_TOO_OLD ||
                st == APPEND_DUPLICATE);
    }
    ASSERT(append_commit(app, &err));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool quiet;
    struct memfs *m = memfs_new();
    struct str in = str_of((const char *)data, size);
    struct tsdb *db;
    struct err err = { 0 };
    struct tsdb_options o = { .fs = memfs_fs(m), .dir = STR("d"), .exemplars_max = 10, .snapshot_on_shutdown = size % 3 == 0,
                              .out_of_order_ms = size % 2 ? 3600000 : 0 };
    if (!quiet)
        log_set_fd(open("/dev/null", O_WRONLY | O_CLOEXEC));
    quiet = true;
    put_records(m, STR("d/wal"), in, TO_WAL);
    put_records(m, STR("d/wbl"), in, TO_WBL);
    put_records(m, STR("d/wal/checkpoint.00000000"), in, TO_CHECKPOINT);
    put_records(m, STR("d/chunk_snapshot.000000.0000000000"), in, TO_SNAPSHOT);
    put_chunks(m, in);
    put_raw(m, in);
    if (!tsdb_open(&o, NOW, &db, &err)) {
        ASSERT(err.code != ERR_NONE);
        memfs_free(m);
        return 0;
    }
    count(db);
    write_some(db);
    uint64_t before = count(db);
    tsdb_close(db);
    ASSERT(tsdb_open(&o, NOW, &db, &err));
    ASSERT(count(db) == before);
    tsdb_maintain(db, NOW, NULL);
    count(db);
    write_some(db);
    tsdb_close(db);
    ASSERT(tsdb_open(&o, NOW, &db, &err));
    tsdb_close(db);
    memfs_free(m);
    return 0;
}
