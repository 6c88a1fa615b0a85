/* Conformance runners' ground floor. State is one set of counters per program: a runner has one thread. */
#include "lib/shared.h"

#include "base/utf8.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static struct {
    const char *name;
    size_t passed, failed, skipped;
} run = { .name = "?" };

static const char *shared_dir(void)
{
    const char *dir = getenv("TOCSIN_SHARED");
    return dir && *dir ? dir : "../shared";
}

bool shared_is_there(void)
{
    struct stat st;
    return stat(shared_dir(), &st) == 0 && S_ISDIR(st.st_mode);
}

bool shared_begin(const char *name)
{
    run.name = name;
    if (shared_is_there())
        return true;
    printf("SKIP %s: ../shared not there\n", name);
    run.skipped++;
    return false;
}

int shared_finish(void)
{
    printf("%zu passed, %zu failed, %zu skipped\n", run.passed, run.failed, run.skipped);
    fflush(stdout);
    return run.failed ? 1 : 0;
}

const char *shared_path(const char *relative)
{
    static char path[4096];
    int n = snprintf(path, sizeof path, "%s/%s", shared_dir(), relative);
    ASSERT(n > 0 && (size_t)n < sizeof path);
    return path;
}

bool shared_read(const char *relative, struct buf *out)
{
    FILE *f = fopen(shared_path(relative), "rb");
    if (!f) {
        shared_fail(relative, "cannot be read");
        return false;
    }
    char piece[65536];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        buf_append(out, piece, n);
    bool ok = !ferror(f);
    fclose(f);
    if (!ok)
        shared_fail(relative, "cannot be read");
    return ok;
}

/* The text with every integer of 19 digits and more, outside of strings, put into quotes. */
static void quote_big_integers(struct str text, struct buf *out)
{
    bool in_string = false;
    for (size_t i = 0; i < text.n; i++) {
        size_t digits = 0;
        while (!in_string && i + digits < text.n && ascii_is_digit(text.p[i + digits]))
            digits++;
        if (digits >= 19)
            buf_byte(out, '"');
        buf_append(out, text.p + i, digits ? digits : 1);
        if (digits >= 19)
            buf_byte(out, '"');
        if (digits) {
            i += digits - 1;
        } else if (in_string && text.p[i] == '\\' && i + 1 < text.n) {
            buf_byte(out, text.p[++i]);
        } else if (text.p[i] == '"') {
            in_string = !in_string;
        }
    }
}

static json_t *parse(const char *what, size_t line, struct str text)
{
    json_error_t error;
    json_t *value = json_loadb(text.p, text.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!value && json_error_code(&error) == json_error_numeric_overflow) {
        struct buf quoted = { 0 };
        quote_big_integers(text, &quoted);
        value = json_loadb(quoted.p, quoted.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
        buf_deinit(&quoted);
    }
    if (!value)
        shared_fail(what, "line %zu: %s", line, error.text);
    return value;
}

json_t *shared_json(const char *relative)
{
    struct buf text = { 0 };
    json_t *value = shared_read(relative, &text) ? parse(relative, 0, buf_view(&text)) : NULL;
    buf_deinit(&text);
    return value;
}

void shared_jsonl(const char *relative, shared_case *each, void *arg)
{
    struct buf text = { 0 };
    if (!shared_read(relative, &text)) {
        buf_deinit(&text);
        return;
    }
    struct str rest = buf_view(&text), line;
    for (size_t number = 1; str_split(&rest, '\n', &line); number++) {
        if (str_trim(line).n == 0)
            continue;
        json_t *value = parse(relative, number, line);
        if (value)
            each(value, number, arg);
        json_decref(value);
    }
    buf_deinit(&text);
}

static int is_name(const struct dirent *entry)
{
    return entry->d_name[0] != '.' || (entry->d_name[1] && !(entry->d_name[1] == '.' && !entry->d_name[2]));
}

void shared_list(const char *relative, void (*visit)(const char *relative_path, void *arg), void *arg)
{
    struct dirent **entries;
    int count = scandir(shared_path(relative), &entries, is_name, alphasort);
    if (count < 0) {
        shared_fail(relative, "cannot be listed");
        return;
    }
    for (int i = 0; i < count; i++) {
        char path[4096];
        int n = snprintf(path, sizeof path, "%s/%s", relative, entries[i]->d_name);
        ASSERT(n > 0 && (size_t)n < sizeof path);
        visit(path, arg);
        free(entries[i]);
    }
    free(entries);
}

void shared_pass(void)
{
    run.passed++;
}

void shared_fail(const char *what, const char *fmt, ...)
{
    run.failed++;
    printf("FAIL %s: %s: ", run.name, what);
    va_list ap;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
}

void shared_skip(const char *what, const char *why)
{
    run.skipped++;
    printf("SKIP %s: %s: %s\n", run.name, what, why);
}

bool shared_check_str(const char *what, struct str got, struct str want)
{
    if (str_eq(got, want)) {
        shared_pass();
        return true;
    }
    struct buf text = { 0 };
    buf_c(&text, "got ");
    go_quote(&text, got);
    buf_c(&text, ", want ");
    go_quote(&text, want);
    shared_fail(what, "%.*s", STR_ARG(buf_view(&text)));
    buf_deinit(&text);
    return false;
}

struct str shared_get_str(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_string(value))
        return str_of(NULL, 0);
    return str_of(json_string_value(value), json_string_length(value));
}

int64_t shared_get_int(const json_t *object, const char *key, int64_t fallback)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? (int64_t)json_integer_value(value) : fallback;
}

bool shared_get_bool(const json_t *object, const char *key, bool fallback)
{
    const json_t *value = json_object_get(object, key);
    return json_is_boolean(value) ? json_boolean_value(value) : fallback;
}

bool shared_unhex(struct str hex, struct buf *out)
{
    if (hex.n % 2)
        return false;
    for (size_t i = 0; i < hex.n; i += 2) {
        int high = ascii_xdigit_value(hex.p[i]), low = ascii_xdigit_value(hex.p[i + 1]);
        if (high < 0 || low < 0)
            return false;
        buf_byte(out, (char)(high << 4 | low));
    }
    return true;
}
