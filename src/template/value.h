/* Values that templates work on. A value is a small struct passed by pointer; it borrows what it shows, so that a folder
 * exposes its own structs (an alert, a label set, a sample) without copying them: it describes them once in a constant
 * `struct tval_class`, and a value is then a class and a pointer.
 *
 * The kinds are those of Go's reflection as far as templates can tell them apart. A basic kind with a class is a named
 * Go type over it: time.Duration is TVAL_INT with tval_duration_class, a safe HTML string TVAL_STR with
 * tval_html_class. Comparison and arithmetic go by kind, parameters and printing by class.
 *
 * Lifetime: a value is valid as long as what it points at: the caller's data and the arena of the rendering.
 * Thread: values and classes are immutable. Upstream: Go's text/template, reflect, fmt. */
#ifndef TOCSIN_TEMPLATE_VALUE_H
#define TOCSIN_TEMPLATE_VALUE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/str.h"
#include "json/writer.h"
#include "model/gotime.h"
#include "model/labels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tval_class;

enum tval_kind {
    TVAL_NONE, /* no value: a missing datum, prints <no value> */
    TVAL_NIL,  /* an interface that holds nothing: prints <no value>, <nil> as an argument */
    TVAL_BOOL,
    TVAL_INT,
    TVAL_UINT,
    TVAL_FLOAT,
    TVAL_COMPLEX, /* nobody needs it; imaginary literals print */
    TVAL_STR,
    TVAL_LIST,
    TVAL_MAP,
    TVAL_STRUCT,
    TVAL_TIME,
};

/* An instant with the place it is shown in. */
enum tval_place {
    TVAL_PLACE_OFFSET, /* a nameless offset; 0 is UTC */
    TVAL_PLACE_ZONE,   /* `in` is a struct zone */
    TVAL_PLACE_NAMED,  /* the offset has a name, `in`, NUL-terminated */
};
struct tval_time {
    struct wire_time t;
    int32_t offset_s;
    enum tval_place place;
    const void *in;
};

struct tval {
    enum tval_kind kind;
    const struct tval_class *class; /* NULL: the unnamed basic type. Lists, maps, structs, times always have one */
    union {
        bool b;
        int64_t i;
        uint64_t u;
        double f;
        struct {
            double re, im;
        } c;
        struct str s;
        struct {
            const void *p; /* lists and maps: NULL is Go's nil */
            size_t n;      /* elements or entries */
        } ref;
        struct tval_time time;
    } v;
};

/* What a function or a method sees of the rendering that calls it. */
struct tval_call {
    struct arena *arena; /* of the rendering: for results */
    void *exec;          /* the executor's own */
};

struct tval_field {
    struct str name;
    struct str json; /* empty: left out of JSON */
    void (*get)(const void *self, struct tval *out); /* sets all of out */
    size_t text; /* 1 + the offset of a struct str in *self that get() shows as a plain string; 0: get() has to be asked */
};
#define TVAL_TEXT(type, member) (offsetof(type, member) + 1)

/* Parameters are described by letters: b bool, i int, f float64, s string, S []string, L []interface{}, t time.Time,
 * d time.Duration, p *time.Location, v and m Prometheus's vector and sample (template.h), a anything; a trailing '*'
 * repeats the last one any number of times. */
struct tval_method {
    struct str name;
    const char *params;
    /* Arguments are checked. On failure sets err (ERR_INVALID: the plain cause) and returns false. */
    bool (*call)(struct tval_call *c, const struct tval *self, const struct tval *args, size_t args_count,
                 struct tval *out, struct err *err);
};

struct tval_class {
    struct str name; /* as %T prints it: "template.KV" */
    enum tval_kind kind;
    bool pointer;    /* name is *T: printf shows &{...} */
    size_t stride;   /* lists: bytes of an element in the array at ref.p */
    bool nil_missing; /* maps: a missing key gives nil; else the empty string */
    /* Lists: element i (key untouched). Maps: entry i in sorted key order. */
    void (*at)(const struct tval *self, size_t i, struct str *key, struct tval *value);
    /* Maps: the value of a key; false if absent. */
    bool (*get)(const struct tval *self, struct str key, struct tval *value);
    const struct tval_field *fields; /* structs, in Go's order; `ref.p` is handed to get */
    size_t fields_count;
    const struct tval_method *methods;
    size_t methods_count;
    /* fmt.Stringer; NULL: none. */
    void (*string)(const struct tval *self, struct buf *out);
};

extern const struct tval_class tval_html_class;     /* template.HTML, a TVAL_STR */
extern const struct tval_class tval_url_class;      /* template.URL, a TVAL_STR */
extern const struct tval_class tval_int64_class;    /* int64, which is not int: what Unix() and Milliseconds() give */
extern const struct tval_class tval_duration_class; /* time.Duration, a TVAL_INT of nanoseconds */
extern const struct tval_class tval_month_class;    /* time.Month, a TVAL_INT */
extern const struct tval_class tval_weekday_class;  /* time.Weekday, a TVAL_INT */
extern const struct tval_class tval_time_class;     /* time.Time */
extern const struct tval_class tval_zone_class;     /* *time.Location; ref.p is a struct zone, NULL for UTC (time.c has others) */
extern const struct tval_class tval_strs_class;     /* []string; ref.p is a struct str[] */
extern const struct tval_class tval_list_class;     /* []interface {}; ref.p is a struct tval[] */
extern const struct tval_class tval_dict_class;     /* map[string]interface {}; ref.p is a struct tval_entry[] by key */
extern const struct tval_class tval_labels_class;   /* map[string]string; ref.p is a struct label[] by name */

struct tval_entry {
    struct str key;
    struct tval value;
};

static inline struct tval tval_nil(void)
{
    return (struct tval){ .kind = TVAL_NIL };
}
static inline struct tval tval_bool(bool b)
{
    return (struct tval){ .kind = TVAL_BOOL, .v.b = b };
}
static inline struct tval tval_int(int64_t i)
{
    return (struct tval){ .kind = TVAL_INT, .v.i = i };
}
static inline struct tval tval_int64(int64_t i)
{
    return (struct tval){ .kind = TVAL_INT, .class = &tval_int64_class, .v.i = i };
}
static inline struct tval tval_float(double f)
{
    return (struct tval){ .kind = TVAL_FLOAT, .v.f = f };
}
static inline struct tval tval_str(struct str s)
{
    return (struct tval){ .kind = TVAL_STR, .v.s = s };
}
static inline struct tval tval_ref(const struct tval_class *class, const void *p, size_t n)
{
    return (struct tval){ .kind = class->kind, .class = class, .v.ref = { p, n } };
}
static inline struct tval tval_labels(struct labels ls)
{
    return tval_ref(&tval_labels_class, ls.n ? (const void *)ls.v : (const void *)"", ls.n);
}
static inline struct tval tval_duration(int64_t ns)
{
    return (struct tval){ .kind = TVAL_INT, .class = &tval_duration_class, .v.i = ns };
}
static inline struct tval tval_at_time(struct wire_time t, int32_t offset_s)
{
    return (struct tval){ .kind = TVAL_TIME, .class = &tval_time_class, .v.time = { .t = t, .offset_s = offset_s } };
}

void tval_to_go_time(const struct tval *v, struct go_time *out); /* of a TVAL_TIME */
struct tval tval_from_go_time(struct arena *a, const struct go_time *t);

/* A TVAL_TIME as Go source: what GoString() gives and printf "%#v" shows. */
void tval_time_go_syntax(const struct tval *v, struct buf *out);

/* The value as print and printf "%v" write it; nil is <nil>. */
void tval_print(const struct tval *v, struct buf *out);
/* The same with a pointer followed: what an action prints. */
void tval_print_plain(const struct tval *v, struct buf *out);
/* The value as encoding/json writes it, with HTML escaping and without a newline. Fails on NaN and infinities. */
MUST_CHECK bool tval_json(const struct tval *v, struct buf *out, struct err *err);
MUST_CHECK bool tval_write_json(const struct tval *v, struct json_writer *w, struct err *err); /* as the next value of w */
/* Go's type name, as %T prints it. */
struct str tval_type_name(const struct tval *v);
/* Truth as `if` sees it. */
bool tval_truth(const struct tval *v);

#endif
