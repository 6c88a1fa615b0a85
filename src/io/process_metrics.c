/* /proc read when metrics are collected: the Go client's process collector. What cannot be read keeps its last value. */
#include "io/process_metrics.h"

#include "base/num.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

const struct metric_desc process_metric_descs[] = {
    METRIC(FCOUNTER, struct process_stats, cpu_seconds, "process_cpu_seconds_total",
           "Total user and system CPU time spent in seconds."),
    METRIC(GAUGE, struct process_stats, max_fds, "process_max_fds", "Maximum number of open file descriptors."),
    METRIC(FCOUNTER, struct process_stats, network_receive_bytes, "process_network_receive_bytes_total",
           "Number of bytes received by the process over the network."),
    METRIC(FCOUNTER, struct process_stats, network_transmit_bytes, "process_network_transmit_bytes_total",
           "Number of bytes sent by the process over the network."),
    METRIC(GAUGE, struct process_stats, open_fds, "process_open_fds", "Number of open file descriptors."),
    METRIC(GAUGE, struct process_stats, resident_memory_bytes, "process_resident_memory_bytes",
           "Resident memory size in bytes."),
    METRIC(GAUGE, struct process_stats, start_time_seconds, "process_start_time_seconds",
           "Start time of the process since unix epoch in seconds."),
    METRIC(GAUGE, struct process_stats, virtual_memory_bytes, "process_virtual_memory_bytes",
           "Virtual memory size in bytes."),
    METRIC(GAUGE, struct process_stats, virtual_memory_max_bytes, "process_virtual_memory_max_bytes",
           "Maximum amount of virtual memory available in bytes."),
};
const size_t process_metric_descs_count = ARRAY_LEN(process_metric_descs);

enum { TEXT_MAX = 8192 };

static struct str read_text(const char *path, char buffer[TEXT_MAX])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return STR_EMPTY;
    size_t n = 0;
    ssize_t got;
    while (n < TEXT_MAX && (got = read(fd, buffer + n, TEXT_MAX - n)) > 0)
        n += (size_t)got;
    close(fd);
    return str_of(buffer, n);
}

/* The nth (from 0) field of white space separated text as a number; 0 if it is none. */
static double field(struct str text, size_t nth)
{
    struct str word;
    double v = 0;
    size_t at = 0;
    while (str_split(&text, ' ', &word)) {
        if (word.n == 0)
            continue;
        if (at++ == nth)
            return num_parse_f64(str_trim(word), &v, NULL) ? v : 0;
    }
    return 0;
}

static void set_total(struct fcounter *c, double v)
{
    double before = fcounter_get(c);
    if (v > before)
        fcounter_add(c, v - before);
}

static double boot_time(void)
{
    static double cached;
    char buffer[TEXT_MAX];
    if (cached > 0)
        return cached;
    struct str text = read_text("/proc/stat", buffer), line;
    while (str_split(&text, '\n', &line))
        if (str_starts(line, STR("btime ")))
            cached = field(line, 1);
    return cached;
}

/* Fields of /proc/self/stat after the name in parentheses; numbers as in proc(5), less three. */
static void read_stat(struct process_stats *s)
{
    char buffer[TEXT_MAX];
    struct str text = read_text("/proc/self/stat", buffer);
    size_t end = str_rfind_byte(text, ')');
    if (end == STR_NPOS)
        return;
    text = str_from(text, end + 2);
    double ticks = (double)sysconf(_SC_CLK_TCK);
    set_total(&s->cpu_seconds, (field(text, 11) + field(text, 12)) / ticks);
    gauge_set(&s->start_time_seconds, boot_time() + field(text, 19) / ticks);
    gauge_set(&s->virtual_memory_bytes, field(text, 20));
    gauge_set(&s->resident_memory_bytes, field(text, 21) * (double)sysconf(_SC_PAGESIZE));
}

static void count_fds(struct process_stats *s)
{
    DIR *d = opendir("/proc/self/fd");
    if (!d)
        return;
    double n = 0;
    struct dirent *e;
    while ((e = readdir(d)) != NULL)
        n += e->d_name[0] != '.';
    closedir(d);
    gauge_set(&s->open_fds, n - 1); /* less the one we read with */
}

static double limit_of(int resource)
{
    struct rlimit r;
    if (getrlimit((__rlimit_resource_t)resource, &r) != 0)
        return 0;
    return r.rlim_cur == RLIM_INFINITY ? 18446744073709551615.0 : (double)r.rlim_cur;
}

/* The IpExt line of numbers in /proc/self/net/netstat, by the names of the line before. */
static void read_network(struct process_stats *s)
{
    char buffer[TEXT_MAX];
    struct str text = read_text("/proc/self/net/netstat", buffer), line, names = STR_EMPTY, word;
    while (str_split(&text, '\n', &line)) {
        if (!str_starts(line, STR("IpExt:")))
            continue;
        if (names.n == 0) {
            names = line;
            continue;
        }
        for (size_t at = 0; str_split(&names, ' ', &word); at++) {
            if (str_eq(word, STR("InOctets")))
                set_total(&s->network_receive_bytes, field(line, at));
            else if (str_eq(word, STR("OutOctets")))
                set_total(&s->network_transmit_bytes, field(line, at));
        }
    }
}

void process_stats_collect(void *stats, void *arg)
{
    struct process_stats *s = stats;
    (void)arg;
    read_stat(s);
    count_fds(s);
    read_network(s);
    gauge_set(&s->max_fds, limit_of(RLIMIT_NOFILE));
    gauge_set(&s->virtual_memory_max_bytes, limit_of(RLIMIT_AS));
}
