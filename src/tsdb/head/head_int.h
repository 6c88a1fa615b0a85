/* The head: every series that was written lately, its newest samples in memory, full chunks in chunks_head, all of it in
 * the log. One face for the files of this folder and for db.c.
 *
 * Numbers of a series. slot: where its record is (used again). id: ascending by creation, what postings hold. ref: what
 * the log calls it (never used again). A caller's series_ref is slot and ref in one word, so that a dead one is noticed.
 *
 * Locks, in the order they are taken (rank): isolation (10), index (20: labels, postings, slots), stripe (25: samples of
 * the series of its ids), mapper (30), log (40), pool (60). A stripe covers 32 neighbouring ids, so that a scrape, whose
 * series were made together, takes few.
 *
 * A series' life:
 *     LIVE --head_collect(): no data left--> DOOMED --appenders of before are gone--> DEAD --readers, too--> slot is free
 *       ^------------- an appender wants it ----------'
 */
#ifndef TOCSIN_TSDB_HEAD_HEAD_INT_H
#define TOCSIN_TSDB_HEAD_HEAD_INT_H

#include "base/rng.h"
#include "tsdb/block/block_int.h"
#include "tsdb/chunkenc/histogram_int.h"
#include "tsdb/chunkenc/xor_int.h"
#include "tsdb/head/isolation_int.h"
#include "tsdb/head/mapper_int.h"
#include "tsdb/head/memindex_int.h"
#include "tsdb/head/pieces_int.h"
#include "tsdb/rechunk_int.h"
#include "tsdb/tsdb.h"
#include "tsdb/wal/log_int.h"
#include "tsdb/wal/record_int.h"

#define SAMPLES_PER_CHUNK     120
#define FLOAT_CHUNK_BYTES_MAX 1005 /* 1024 less the longest sample */
#define HISTOGRAM_CHUNK_BYTES 1024
#define HISTOGRAM_SAMPLES_MIN 10
#define OOO_CHUNK_SAMPLES     32
#define BLOCK_MS              (2 * 3600 * INT64_C(1000))
#define SERIES_PER_SEGMENT    2048
#define SERIES_SEGMENTS       32768 /* 67 million series */
#define STRIPES               1024
#define UNLOGGED_NOBODY       0xffff /* whoever writes to it next logs it */
#define TIME_NONE_MIN         INT64_MAX
#define TIME_NONE_MAX         INT64_MIN

/* A full chunk in chunks_head. */
struct head_chunk {
    uint64_t ref;
    int64_t mint;
    uint32_t span; /* maxt - mint */
    uint16_t samples;
    uint8_t encoding;
};
struct ooo_chunk {
    uint64_t ref;
    int64_t mint, maxt;
    uint16_t samples;
    uint8_t encoding;
};

enum series_state { SERIES_LIVE, SERIES_DOOMED, SERIES_DEAD };
enum open_kind { OPEN_NONE, OPEN_FLOAT, OPEN_HISTOGRAM };

/* What few series have. */
struct series_extra {
    struct histogram_chunk histogram; /* the open chunk of an OPEN_HISTOGRAM series */
    bool predicted;                   /* its end was computed from its size */
    struct raw_samples ooo;           /* the open out-of-order chunk, sorted by time */
    struct arena ooo_memory;          /* histograms in it */
    bool ooo_memory_ready;
    struct ooo_chunk *ooo_chunks;
    size_t ooo_chunks_count;
    struct intervals gone;            /* tombstones */
    struct series_metadata *metadata; /* one heap block with its texts */
};

/* Two lines of the cache; what every sample of a steady series touches is in the first. */
struct head_series {
    struct xor_state floats;  /* of the open float chunk; t is the series' newest in-order time in any case */
    struct piece *bytes;      /* open float chunk: its newest piece */
    int64_t next_at;          /* when it is cut at the latest */
    uint32_t id;
    uint32_t total;           /* in-order samples so far; wraps */
    uint16_t full_count, full_capacity;
    uint16_t labels_count;
    uint8_t open;             /* enum open_kind */

    uint64_t ref;
    uint32_t commit[2];       /* newest two commits that wrote in-order samples, newest first; 0: visible to all */
    uint32_t before[2];       /* `total` before each */
    int64_t chunk_mint;       /* of the open chunk */
    struct head_chunk *full;  /* ascending; pool */
    struct series_extra *extra;
    struct sym_pair *labels;  /* pool */
    uint32_t hash;
    uint16_t unlogged_by;     /* appender that will log the series; 0: it is in the log */
    _Atomic uint8_t state;    /* enum series_state */
};
_Static_assert(sizeof(struct head_series) == 128, "a million of them");
_Static_assert(offsetof(struct head_series, ref) == 64, "the second line");

/* A commit that fell out of its series' record while somebody still needed it. */
struct old_commit {
    uint32_t slot, commit, before;
};
struct stripe {
    _Alignas(64) struct lock lock;
    struct old_commit *old;
    size_t old_count, old_capacity;
};

struct exemplar_ring;

struct head_stats {
    struct counter series_created, series_removed, chunks_created, chunks_removed, truncations, truncations_failed;
    struct counter wal_corruptions, wbl_corruptions, mmap_corruptions, checkpoints, checkpoints_failed;
    struct counter checkpoint_deletions, unknown_refs;
    struct counter appended_floats, appended_histograms, out_of_order, out_of_bounds, too_old, ooo_appended, duplicates;
    struct counter exemplars_appended, exemplars_out_of_order, refused;
    struct gauge series, chunks;
    struct fcounter replay_seconds, gc_seconds, wal_truncate_seconds;
};

/* Something taken out of shared structures that waits for its readers. */
struct garbage {
    uint64_t epoch;
    struct garbage *next;
    uint32_t *slots; /* dead series */
    size_t slots_count;
};

struct head {
    struct fs *fs;
    struct tsdb_options o; /* as normalised by db.c */
    struct path dir;
    _Atomic int64_t mint, maxt, min_valid; /* TIME_NONE_* when empty; min_valid INT64_MIN at first */
    _Atomic int64_t ooo_mint, ooo_maxt;
    _Atomic int64_t ooo_window;
    struct isolation isolation;
    struct rwlock index_lock;
    struct memindex index;
    struct head_series *segments[SERIES_SEGMENTS];
    _Atomic uint32_t slots_count; /* ever made; head_slots() */
    uint32_t *free_slots;
    size_t free_count, free_capacity;
    size_t series_count;
    uint64_t next_ref;
    struct stripe stripes[STRIPES];
    struct pool pool;
    struct mapper mapper;
    struct wal wal, wbl;
    bool has_wal, has_wbl;
    struct wal_times checkpoint_times;  /* of the last checkpoint; background work */
    struct exemplar_ring *exemplars;
    struct lock pools_lock;             /* rank 5: spare appenders */
    struct head_appender *spare;
    uint16_t appenders_made;
    /* background work; one thread */
    struct garbage *garbage;
    uint32_t *doomed;                   /* slots, since doomed_epoch */
    size_t doomed_count;
    uint64_t doomed_epoch;
    int64_t truncate_pending;           /* memory below it goes when readers are gone; INT64_MIN: nothing */
    uint64_t truncate_epoch;
    bool opening;                       /* replay: times stay, files stay */
    uint32_t *ooo_drop_counts;          /* out-of-order chunks that are in blocks, by slot; NULL: none wait */
    uint32_t ooo_drop_n;
    uint64_t ooo_drop_epoch;
    struct map64 kept_refs;             /* ref -> time until which its series record is kept in checkpoints, + 1 */
    struct head_stats stats;
};

static inline struct head_series *head_at(const struct head *h, uint32_t slot)
{
    return &h->segments[slot / SERIES_PER_SEGMENT][slot % SERIES_PER_SEGMENT];
}
/* For who goes over all series without the index lock: how many slots there are by now, and whose each is (0: nobody's).
 * Series are added meanwhile, so the number is asked for once. */
static inline uint32_t head_slots(struct head *h)
{
    return atomic_load_explicit(&h->slots_count, memory_order_acquire);
}
static inline uint64_t series_ref_load(const struct head_series *s)
{
    return __atomic_load_n(&s->ref, __ATOMIC_ACQUIRE);
}
static inline struct stripe *head_stripe(struct head *h, const struct head_series *s)
{
    return &h->stripes[(s->id >> 5) % STRIPES];
}
static inline series_ref head_handle(uint32_t slot, uint64_t ref)
{
    return (uint64_t)(slot + 1) << 32 | (ref & 0xffffffffu);
}
static inline int64_t time_load(_Atomic int64_t *t)
{
    return atomic_load_explicit(t, memory_order_relaxed);
}
/* End of the range of `width` that t is in. */
static inline int64_t range_end(int64_t t, int64_t width)
{
    return t / width * width + width;
}

/* ---- head.c: life, series, times ---- */

void head_init(struct head *h, const struct tsdb_options *o, struct str dir);
void head_deinit(struct head *h);
void head_observe_times(struct head *h, int64_t mint, int64_t maxt);
void head_observe_ooo_times(struct head *h, int64_t mint, int64_t maxt);
/* The series with these labels; made if it is not there (*created), NULL if it cannot be (limit) or, with make false, is
 * not. ref 0: the next one. */
struct head_series *head_series_get(struct head *h, struct labels ls, uint64_t ref, bool make, bool *created,
                                    uint32_t *slot);
struct series_extra *series_extra(struct head_series *s);
/* Labels as texts of the symbol table. The index lock is held; the texts live while a reader is registered. */
bool series_labels(const struct head *h, const struct head_series *s, struct arena *a, struct labels *out);
/* -1, 0, 1 in label order. Index lock. */
int series_compare(const struct head *h, const struct head_series *a, const struct head_series *b);
bool head_is_empty(struct head *h);
bool head_is_compactable(struct head *h);
/* Lowest time that an appender made now takes in order. */
int64_t head_lowest(struct head *h);

/* ---- series.c: samples of one series; its stripe is held ---- */

/* Appends in order; false: not later than what is there. commit 0: visible to all (replay). */
bool series_append_float(struct head *h, struct head_series *s, uint32_t slot, int64_t t, uint64_t v, uint32_t commit);
bool series_append_histogram(struct head *h, struct head_series *s, uint32_t slot, int64_t t, const struct int_histogram *ih,
                             const struct float_histogram *fh, uint32_t commit);
/* Brings near what the next float of a series writes to; its record is there already. */
static inline void series_prefetch(const struct head_series *s)
{
    if (s->bytes)
        __builtin_prefetch(s->bytes->bytes + piece_place(xor_bytes(&s->floats)), 1);
}
/* Newest in-order time of the open chunk; false if there is none. */
static inline bool series_last(const struct head_series *s, int64_t *t)
{
    *t = s->floats.t;
    return s->open != OPEN_NONE;
}
bool series_last_equals(const struct head_series *s, uint64_t v, const struct int_histogram *ih,
                        const struct float_histogram *fh);
/* The open chunk, which there is: how long it is, and its bytes. */
size_t series_open_bytes(const struct head_series *s);
void series_copy_open(const struct head_series *s, void *out);
/* Moves the open chunk to chunks_head. */
void series_cut(struct head *h, struct head_series *s);
void series_add_full(struct head *h, struct head_series *s, const struct head_chunk *c);
void series_drop_chunks(struct head *h, struct head_series *s);
bool series_reaches(const struct head_series *s, int64_t t); /* in-order data is there at or after t */
int64_t series_mint(const struct head_series *s); /* of in-order data; INT64_MAX: none */
/* Out of order: false if that time is there already. *cut tells that the open out-of-order chunk was full and went to
 * chunks_head first; the references of its chunks are appended to markers. */
bool series_append_ooo(struct head *h, struct head_series *s, const struct raw_sample *sample, bool *cut, struct buf *markers);
void series_map_ooo(struct head *h, struct head_series *s, struct buf *markers); /* be64 references */

void series_set_metadata(struct head_series *s, const struct series_metadata *m); /* copied */

/* What a reader sees of a series: copied under the stripe, decoded afterwards. Arrays are in the arena. */
struct series_view {
    struct head_chunk *full;
    size_t full_count;
    uint32_t hidden;  /* samples at the end of the last full chunks that the reader must not see */
    uint8_t open_encoding; /* CHUNK_NONE: no open chunk, or nothing of it is visible */
    struct str open;  /* its bytes, the count patched to what is visible */
    int64_t open_mint, open_maxt;
    struct ooo_chunk *ooo;
    size_t ooo_count;
    struct raw_sample *ooo_open;
    size_t ooo_open_count;
    struct interval *gone;
    size_t gone_count;
};
/* Takes the stripe itself. False: the arena is full. reader NULL: all is visible. */
bool series_look(struct head *h, struct head_series *s, uint32_t slot, const struct isolation_user *reader, int64_t mint,
                 int64_t maxt, struct arena *a, struct series_view *out);

/* ---- append.c ---- */
MUST_CHECK bool head_appender(struct head *h, const struct append_options *o, struct appender **out, struct err *err);
void head_appenders_free(struct head *h);

/* ---- exemplars.c ---- */
struct exemplar_ring *exemplar_ring_new(size_t max);
void exemplar_ring_free(struct exemplar_ring *r);
void exemplar_ring_resize(struct exemplar_ring *r, size_t max);
size_t exemplar_ring_max(struct exemplar_ring *r);
enum append_status exemplar_ring_check(struct exemplar_ring *r, struct labels series, const struct exemplar *e);
void exemplar_ring_add(struct exemplar_ring *r, struct labels series, const struct exemplar *e);
bool exemplar_ring_select(struct exemplar_ring *r, const struct matchers *sets, size_t sets_count, int64_t mint,
                          int64_t maxt, struct arena *a, struct exemplar_series **out, size_t *n);
typedef void exemplar_visit(void *arg, struct labels series, const struct exemplar *e);
void exemplar_ring_walk(struct exemplar_ring *r, exemplar_visit *visit, void *arg); /* oldest first */
size_t exemplar_ring_count(struct exemplar_ring *r);

/* ---- querier.c ---- */
struct querier *head_querier(struct head *h, struct arena *a, int64_t mint, int64_t maxt);
/* Slots of all live series in label order; heap array. Takes the index lock. */
uint32_t *head_sorted_slots(struct head *h, size_t *n);
/* Slots that the matchers accept, in order of creation; in the arena. Index lock held by the caller. */
bool head_matching(struct head *h, const struct matchers *ms, struct arena *a, uint32_t **slots, size_t *n, struct err *err);

/* ---- replay.c ---- */
/* Fills an empty head from chunks_head, checkpoint, log and write-behind log under its directory, repairs what can be, and
 * opens the logs for writing. min_valid: end of the newest in-order block (INT64_MIN: none). */
MUST_CHECK bool head_replay(struct head *h, int64_t min_valid, struct err *err);

/* ---- collect.c: memory and the log shrink ---- */
/* Everything below mint is in blocks. Memory goes as soon as no reader needs it. */
void head_truncate(struct head *h, int64_t mint);
/* What truncation and collection have left to do; called by every maintenance. */
void head_collect(struct head *h);
/* Checkpoints keep the series records of a reference until what it had by now has left the log. */
void head_keep_ref(struct head *h, uint64_t ref);
MUST_CHECK bool head_truncate_log(struct head *h, int64_t mint, struct err *err);

/* ---- to_block.c ---- */
/* Writes [mint, maxt) of the in-order data as a block under `parent`. *written false: there was nothing. */
MUST_CHECK bool head_write_block(struct head *h, struct str parent, int64_t mint, int64_t maxt, struct block_meta *meta,
                                 bool *written, struct err *err);
/* The same of the out-of-order data that is in chunks_head. */
MUST_CHECK bool head_write_ooo_block(struct head *h, struct str parent, int64_t mint, int64_t maxt, struct block_meta *meta,
                                     bool *written, struct err *err);

/* ---- snapshot.c ---- */
/* Of a head whose log was closed at `place`. */
struct snapshot_place;
MUST_CHECK bool head_snapshot_write(struct head *h, const struct snapshot_place *place, struct err *err);
/* Loads the newest snapshot if it is whole; series are told to the replay. *from: where the log goes on. */
struct snapshot_place {
    uint32_t segment;
    uint64_t offset;
};
struct replay;
void head_snapshot_load(struct head *h, struct replay *r, bool *loaded, struct snapshot_place *from);
/* What a loaded series means to the running replay (replay.c). */
void replay_loaded(struct replay *r, uint64_t ref, struct head_series *s, uint32_t slot);
struct head_series *replay_series_of(struct replay *r, uint64_t ref); /* NULL: unknown */
void head_snapshots_remove(struct head *h);

/* ---- deletion ---- */
MUST_CHECK bool head_delete(struct head *h, const struct matchers *ms, int64_t mint, int64_t maxt, struct err *err);

#endif
