/* /proc/self read into gauges. Upstream: client_golang prometheus/process_collector_linux.go. */
#include "io/process_metrics.h"

#include "base/buf.h"
#include "base/num.h"
#include "base/str.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

const struct metric_desc process_metric_descs[] = {
    METRIC(FCOUNTER, struct process_stats, cpu_seconds, "process_cpu_seconds_total",
           "Total user and system CPU time spent in seconds."),
    METRIC(GAUGE, struct process_stats, open_fds, "process_open_fds", "Number of open file descriptors."),
    METRIC(GAUGE, struct process_stats, max_fds, "process_max_fds", "Maximum number of open file descriptors."),
    METRIC(GAUGE, struct process_stats, virtual_memory_bytes, "process_virtual_memory_bytes", "Virtual memory size in bytes."),
    METRIC(GAUGE, struct process_stats, virtual_memory_max_bytes, "process_virtual_memory_max_bytes",
           "Maximum amount of virtual memory available in bytes."),
    METRIC(GAUGE, struct process_stats, resident_memory_bytes, "process_resident_memory_bytes",
           "Resident memory size in bytes."),
    METRIC(GAUGE, struct process_stats, start_time_seconds, "process_start_time_seconds",
           "Start time of the process since unix epoch in seconds."),
    METRIC(FCOUNTER, struct process_stats, network_receive_bytes, "process_network_receive_bytes_total",
           "Number of bytes received by the process over the network."),
    METRIC(FCOUNTER, struct process_stats, network_transmit_bytes, "process_network_transmit_bytes_total",
           "Number of bytes sent by the process over the network."),
};
const size_t process_metric_descs_count = ARRAY_LEN(process_metric_descs);

#define PROC_BYTES 16384

static struct str read_proc(const char *path, char *into)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return STR_EMPTY;
    size_t n = 0;
    for (;;) {
        ssize_t got = read(fd, into + n, PROC_BYTES - n);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    close(fd);
    return str_of(into, n);
}

/* The i-th word (from 0) of a line of words. */
static uint64_t word_u64(struct str line, size_t i)
{
    struct str word;
    uint64_t v = 0;
    while (line.n) {
        while (line.n && ascii_is_space(line.p[0]))
            line = str_from(line, 1);
        if (!str_split(&line, ' ', &word))
            break;
        if (i-- == 0)
            return num_parse_u64(str_trim(word), 10, &v) ? v : 0;
    }
    return 0;
}

static double boot_time(void)
{
    char text[PROC_BYTES];
    struct str stat = read_proc("/proc/stat", text);
    size_t at = str_find(stat, STR("\nbtime "));
    if (at == STR_NPOS)
        return 0;
    struct str rest = str_from(stat, at + 1), line;
    (void)str_split(&rest, '\n', &line);
    return (double)word_u64(line, 1);
}

static void collect_stat(struct process_stats *s)
{
    char text[PROC_BYTES];
    struct str stat = read_proc("/proc/self/stat", text);
    size_t end = str_rfind_byte(stat, ')');
    if (end == STR_NPOS)
        return;
    struct str fields = str_from(stat, end + 2); /* begins with field 3, the state */
    double tick = (double)sysconf(_SC_CLK_TCK);
    double cpu = (double)(word_u64(fields, 11) + word_u64(fields, 12)) / tick;
    fcounter_add(&s->cpu_seconds, cpu - fcounter_get(&s->cpu_seconds));
    gauge_set(&s->start_time_seconds, boot_time() + (double)word_u64(fields, 19) / tick);
    gauge_set(&s->virtual_memory_bytes, (double)word_u64(fields, 20));
    gauge_set(&s->resident_memory_bytes, (double)word_u64(fields, 21) * (double)sysconf(_SC_PAGESIZE));
}

static void collect_fds(struct process_stats *s)
{
    size_t n = 0;
    DIR *d = opendir("/proc/self/fd");
    if (!d)
        return;
    while (readdir(d))
        n++;
    closedir(d);
    gauge_set(&s->open_fds, (double)(n > 3 ? n - 3 : 0)); /* without ".", ".." and the directory itself */
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        gauge_set(&s->max_fds, (double)limit.rlim_cur);
    if (getrlimit(RLIMIT_AS, &limit) == 0)
        gauge_set(&s->virtual_memory_max_bytes, (double)limit.rlim_cur);
}

static void collect_network(struct process_stats *s)
{
    char text[PROC_BYTES];
    struct str rest = read_proc("/proc/self/net/netstat", text), line, names = STR_EMPTY;
    while (str_split(&rest, '\n', &line)) {
        if (!str_starts(line, STR("IpExt:")))
            continue;
        if (names.n == 0) {
            names = line;
            continue;
        }
        struct str name;
        for (size_t i = 0; str_split(&names, ' ', &name); i++) {
            double v = (double)word_u64(line, i);
            if (str_eq(name, STR("InOctets")))
                fcounter_add(&s->network_receive_bytes, v - fcounter_get(&s->network_receive_bytes));
            if (str_eq(name, STR("OutOctets")))
                fcounter_add(&s->network_transmit_bytes, v - fcounter_get(&s->network_transmit_bytes));
        }
        return;
    }
}

void process_stats_collect(void *stats, void *arg)
{
    (void)arg;
    collect_stat(stats);
    collect_fds(stats);
    collect_network(stats);
}
