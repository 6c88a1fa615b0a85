/* What the TSDB costs, each question in a process of its own, so that its memory is its own.
 *
 *     tsdb fill DIR SERIES SCRAPES   append to a new store; dies without closing it, as kill -9 would
 *     tsdb replay DIR THREADS        open what is there, log and all
 *     tsdb query DIR                 open, select, read
 *     tsdb decode SERIES             decode chunks that lie in the cache
 *     tsdb send PORT SERIES SCRAPES  the same load as remote write to a server on this machine
 *
 * One line a figure: name, value. bench/tsdb.py runs it beside the real peer.
 *
 * Series look like node_exporter's: targets of 1000 series, 10 labels, counters, gauges and constants at 15 s. */
#include "base/log.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/rng.h"
#include "io/fs_posix.h"
#include "tsdb/chunkenc/xor_int.h"
#include "tsdb/tsdb.h"
#include "wire/pb.h"
#include "wire/snappy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TARGET  1000
#define STEP_MS 15000
#define LABELS  10

static double clock_s(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double cpu(void)
{
    return clock_s(CLOCK_PROCESS_CPUTIME_ID);
}

static double status_bytes(const char *key)
{
    char line[256];
    double kib = 0;
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof line, f)) {
        struct str text = str_c(line);
        if (!str_starts(text, str_c(key)))
            continue;
        text = str_trim(str_from(text, strlen(key) + 1));
        if (!num_parse_f64(str_trim(str_sub(text, 0, str_find_byte(text, 'k'))), &kib, NULL))
            kib = 0;
    }
    if (f)
        fclose(f);
    return kib * 1024;
}

static void figure(const char *name, double v)
{
    printf("%s %.9g\n", name, v);
}

static NORETURN void die(const char *what, const struct err *err)
{
    fprintf(stderr, "%s: %s\n", what, err->text);
    exit(1);
}

/* ---- the load ---- */

static void make_labels(struct arena *a, size_t series, struct labels *out)
{
    struct label *v = arena_alloc_array(a, LABELS, sizeof *v);
    size_t target = series / TARGET, n = series % TARGET;
    static const char *const modes[] = { "idle", "user", "system", "iowait", "irq", "softirq", "steal", "nice" };
    v[0] = (struct label){ STR("__name__"), arena_printf(a, "node_metric_%zu_total", n / 8) };
    v[1] = (struct label){ STR("cluster"), STR("production-eu-west-1") };
    v[2] = (struct label){ STR("cpu"), arena_printf(a, "%zu", n % 64) };
    v[3] = (struct label){ STR("datacenter"), arena_printf(a, "dc-%zu", target % 4) };
    v[4] = (struct label){ STR("env"), STR("prod") };
    v[5] = (struct label){ STR("instance"), arena_printf(a, "node-%05zu.example.internal:9100", target) };
    v[6] = (struct label){ STR("job"), STR("node-exporter") };
    v[7] = (struct label){ STR("mode"), str_c(modes[n % 8]) };
    v[8] = (struct label){ STR("pod"), arena_printf(a, "node-exporter-%05zu-x7k2p", target) };
    v[9] = (struct label){ STR("team"), STR("infrastructure") };
    *out = (struct labels){ v, LABELS };
}

struct bench {
    size_t series;
    int64_t start;
    struct tsdb *db;
    series_ref *refs;
    double *values;
    struct rng rng;
};

static void open_db(struct bench *b, const char *dir, unsigned threads)
{
    struct err err = { 0 };
    struct tsdb_options o = { .fs = fs_posix(), .dir = str_c(dir), .seed = 42, .replay_threads = threads, .no_lock = true };
    if (!tsdb_open(&o, b->start, &b->db, &err))
        die("open", &err);
}

/* Half of the series stand still, a quarter count evenly, the rest are busy counters and a few noisy gauges. */
static double next_value(struct bench *b, size_t i)
{
    double v = b->values[i];
    switch (i % 20) {
    case 0: return (double)rng_below(&b->rng, 100000) / 100;
    case 1:
    case 2:
    case 3:
    case 4: return v + (double)rng_below(&b->rng, 100);
    case 5:
    case 6:
    case 7:
    case 8:
    case 9: return v + 15;
    default: return v ? v : (double)(i % 7);
    }
}

static void scrape(struct bench *b, size_t target, int64_t t, bool first)
{
    struct appender *a;
    struct err err = { 0 };
    struct arena memory;
    if (!storage_appender(tsdb_storage(b->db), NULL, &a, &err))
        die("appender", &err);
    if (first)
        arena_init(&memory, ARENA_NO_LIMIT);
    for (size_t i = target * TARGET; i < (target + 1) * TARGET && i < b->series; i++) {
        struct labels ls;
        if (first)
            make_labels(&memory, i, &ls);
        b->values[i] = next_value(b, i);
        if (append_sample(a, &b->refs[i], first ? &ls : NULL, t, b->values[i]) != APPEND_OK)
            die("append", &a->detail);
    }
    if (first)
        arena_deinit(&memory);
    if (!append_commit(a, &err))
        die("commit", &err);
}

static void scrape_all(struct bench *b, size_t from, size_t to)
{
    size_t targets = (b->series + TARGET - 1) / TARGET;
    for (size_t s = from; s < to; s++) {
        for (size_t k = 0; k < targets; k++)
            scrape(b, k, b->start + (int64_t)s * STEP_MS + (int64_t)(k % STEP_MS), s == 0);
    }
}

static size_t number(const char *text)
{
    uint64_t v;
    if (!text || !num_parse_u64(str_c(text), 10, &v)) {
        fprintf(stderr, "not a number: %s\n", text ? text : "");
        exit(2);
    }
    return (size_t)v;
}

static void fill(struct bench *b, const char *dir, size_t series, size_t scrapes)
{
    b->series = series;
    b->refs = mem_alloc_array(series, sizeof *b->refs);
    b->values = mem_alloc_array(series, sizeof *b->values);
    memset(b->refs, 0xff, series * sizeof *b->refs); /* the bench's own memory is not the store's */
    memset(b->refs, 0, series * sizeof *b->refs);
    for (size_t i = 0; i < series; i++)
        b->values[i] = 0;
    rng_seed(&b->rng, 1);
    double base = status_bytes("VmRSS"), at = cpu();
    open_db(b, dir, 0);
    scrape_all(b, 0, 1);
    double first = cpu() - at, samples = (double)series * (double)(scrapes - 1);
    figure("create_per_cpu_s", (double)series / first);
    at = cpu();
    scrape_all(b, 1, scrapes);
    figure("append_per_cpu_s", samples / (cpu() - at));
    figure("resident", status_bytes("VmRSS") - base);
    figure("resident_per_series", (status_bytes("VmRSS") - base) / (double)series);
}

static void replay(struct bench *b, const char *dir, size_t threads)
{
    double base = status_bytes("VmRSS"), at = cpu(), wall = clock_s(CLOCK_MONOTONIC);
    open_db(b, dir, (unsigned)threads);
    figure("replay_cpu", cpu() - at);
    figure("replay_wall", clock_s(CLOCK_MONOTONIC) - wall);
    figure("resident", status_bytes("VmRSS") - base);
    figure("peak", status_bytes("VmHWM") - base);
}

/* ---- reading ---- */

static void query(struct bench *b, const char *what, struct matcher *v, size_t n, bool read)
{
    struct arena a;
    struct err err = { 0 };
    struct querier *q;
    struct series_set *set;
    struct series *s = NULL;
    struct matchers ms = { v, n };
    struct columns c = { 0 };
    size_t series = 0, samples = 0;
    arena_init(&a, ARENA_NO_LIMIT);
    double at = cpu();
    if (!storage_querier(tsdb_storage(b->db), &a, INT64_MIN, INT64_MAX, &q, &err) || !querier_select(q, &ms, NULL, &set, &err))
        die("select", &err);
    while (series_set_next(set, &s, &err) && s) {
        series++;
        if (read) {
            columns_reset(&c);
            if (!series_read(s, INT64_MIN, INT64_MAX, &c, &err))
                die("read", &err);
            samples += c.n;
        }
    }
    double took = cpu() - at;
    printf("%s_series %zu\n%s_cpu %.6f\n", what, series, what, took);
    if (samples)
        printf("%s_samples_per_cpu_s %.9g\n", what, (double)samples / took);
    columns_deinit(&c);
    querier_close(q);
    arena_deinit(&a);
}

static void queries(struct bench *b, const char *dir)
{
    struct matcher v[2];
    struct err err = { 0 };
    open_db(b, dir, 0);
    if (!matcher_init(&v[0], MATCH_EQ, STR("instance"), STR("node-00000.example.internal:9100"), &err))
        die("matcher", &err);
    query(b, "one_target", v, 1, true);
    matcher_deinit(&v[0]);
    if (!matcher_init(&v[0], MATCH_EQ, STR("__name__"), STR("node_metric_7_total"), &err) ||
        !matcher_init(&v[1], MATCH_RE, STR("mode"), STR("idle|user"), &err))
        die("matcher", &err);
    query(b, "one_metric", v, 2, true);
    matcher_deinit(&v[0]);
    matcher_deinit(&v[1]);
    if (!matcher_init(&v[0], MATCH_RE, STR("__name__"), STR("node_metric_1.*"), &err))
        die("matcher", &err);
    query(b, "prefix", v, 1, true);
    matcher_deinit(&v[0]);
    query(b, "labels", v, 0, false);
    query(b, "all", v, 0, true);
}

/* ---- decoding ---- */

#define DECODE_SAMPLES 120
#define DECODE_BYTES   (DECODE_SAMPLES * XOR_SAMPLE_BYTES_MAX + XOR_STEP_BYTES)
#define DECODE_ROUNDS  9

static size_t encode(struct bench *b, size_t i, uint8_t *out)
{
    struct xor_state s = { 0 };
    struct xor_step step;
    for (int64_t k = 0; k < DECODE_SAMPLES; k++) {
        size_t n = xor_bytes(&s);
        uint64_t bits;
        b->values[i] = next_value(b, i);
        memcpy(&bits, &b->values[i], sizeof bits);
        xor_append(&s, n ? out[n - 1] : 0, b->start + k * STEP_MS, bits, &step);
        memcpy(out + step.at, step.bytes, step.n);
    }
    out[0] = 0;
    out[1] = DECODE_SAMPLES;
    return xor_bytes(&s);
}

static void decode(struct bench *b, size_t series)
{
    uint8_t *bytes = mem_alloc_array(series, DECODE_BYTES);
    size_t *n = mem_alloc_array(series, sizeof *n), total = 0;
    int64_t t[DECODE_SAMPLES];
    double v[DECODE_SAMPLES], best = 0;
    struct err err = { 0 };
    b->values = mem_alloc_array(series, sizeof *b->values);
    rng_seed(&b->rng, 1);
    for (size_t i = 0; i < series; i++)
        total += n[i] = encode(b, i, bytes + i * DECODE_BYTES);
    for (int round = 0; round < DECODE_ROUNDS; round++) { /* the best: the machine is shared */
        double at = clock_s(CLOCK_THREAD_CPUTIME_ID);
        for (size_t i = 0; i < series; i++) {
            bool ascends;
            if (!xor_decode(bytes + i * DECODE_BYTES, n[i], t, v, &ascends, &err))
                die("decode", &err);
        }
        double rate = (double)series * DECODE_SAMPLES / (clock_s(CLOCK_THREAD_CPUTIME_ID) - at);
        best = rate > best ? rate : best;
    }
    figure("decode_per_s", best);
    figure("bytes_per_sample", (double)total / ((double)series * DECODE_SAMPLES));
    mem_free(bytes);
    mem_free(n);
}

/* ---- remote write ---- */

struct client {
    int fd;
    struct buf message, body, request;
    struct arena arena;
};

static void put_series(struct bench *b, struct client *c, size_t i, int64_t t)
{
    struct labels ls;
    make_labels(&c->arena, i, &ls);
    size_t series = pb_begin(&c->message, 1);
    for (size_t k = 0; k < ls.n; k++) {
        size_t label = pb_begin(&c->message, 1);
        pb_write_str(&c->message, 1, ls.v[k].name);
        pb_write_str(&c->message, 2, ls.v[k].value);
        pb_end(&c->message, label);
    }
    b->values[i] = next_value(b, i);
    size_t sample = pb_begin(&c->message, 2);
    pb_write_f64(&c->message, 1, b->values[i]);
    pb_write_i64(&c->message, 2, t);
    pb_end(&c->message, sample);
    pb_end(&c->message, series);
}

static void post(struct client *c)
{
    char answer[4096];
    buf_reset(&c->body);
    snappy_encode(buf_view(&c->message), &c->body);
    buf_reset(&c->request);
    buf_printf(&c->request,
               "POST /api/v1/write HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: snappy\r\n"
               "Content-Type: application/x-protobuf\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\nContent-Length: %zu\r\n\r\n",
               c->body.n);
    buf_str(&c->request, buf_view(&c->body));
    for (size_t at = 0; at < c->request.n;) {
        ssize_t n = write(c->fd, c->request.p + at, c->request.n - at);
        if (n <= 0)
            die("send", &(struct err){ .text = "connection lost" });
        at += (size_t)n;
    }
    ssize_t n = read(c->fd, answer, sizeof answer - 1); /* 204 and a few headers: one piece */
    if (n < 12 || memcmp(answer + 9, "204", 3) != 0) {
        answer[n > 0 ? n : 0] = 0;
        fprintf(stderr, "send: %s\n", answer);
        exit(1);
    }
}

static void send_all(struct bench *b, size_t port, size_t series, size_t scrapes)
{
    struct client c = { .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
    if (c.fd < 0 || connect(c.fd, (const struct sockaddr *)&to, sizeof to) != 0)
        die("connect", &(struct err){ .text = "no server" });
    arena_init(&c.arena, ARENA_NO_LIMIT);
    b->values = mem_alloc_array(series, sizeof *b->values);
    rng_seed(&b->rng, 1);
    for (size_t s = 0; s < scrapes; s++) {
        for (size_t from = 0; from < series; from += TARGET) {
            buf_reset(&c.message);
            arena_reset(&c.arena);
            for (size_t i = from; i < from + TARGET && i < series; i++)
                put_series(b, &c, i, b->start + (int64_t)s * STEP_MS + (int64_t)(from / TARGET % STEP_MS));
            post(&c);
        }
    }
    close(c.fd);
}

int main(int argc, char **argv)
{
    static struct bench b;
    const char *what = argc > 2 ? argv[1] : "";
    b.start = ((int64_t)time(NULL) - 8 * 3600) / 7200 * 7200 * 1000; /* the peer rejects what is too old */
    log_configure(LOG_ERROR, LOG_LOGFMT);
    if (strcmp(what, "fill") == 0 && argc == 5)
        fill(&b, argv[2], number(argv[3]), number(argv[4]));
    else if (strcmp(what, "replay") == 0 && argc == 4)
        replay(&b, argv[2], number(argv[3]));
    else if (strcmp(what, "query") == 0 && argc == 3)
        queries(&b, argv[2]);
    else if (strcmp(what, "decode") == 0 && argc == 3)
        decode(&b, number(argv[2]));
    else if (strcmp(what, "send") == 0 && argc == 5)
        send_all(&b, number(argv[2]), number(argv[3]), number(argv[4]));
    else
        return fprintf(stderr, "usage: tsdb fill DIR SERIES SCRAPES | replay DIR THREADS | query DIR | decode SERIES |\n"
                               "            send PORT SERIES SCRAPES\n"),
               2;
    fflush(stdout);
    _exit(0);
}
