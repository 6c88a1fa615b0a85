/* Binding: from a YAML tree to structs, and back, by tables. A folder describes each of its configuration objects by one
 * row per key; parsing, defaults, required keys, unknown and duplicate keys, secrets, the dump of the effective
 * configuration and the reference page all come from those rows.
 *
 *     static const struct bind route_fields[] = {
 *         BIND_STR(struct route_config, receiver, "receiver", "Who is notified."),
 *         BIND_LIST(struct route_config, routes, "routes", "Child routes.", &route_bind),
 *     };
 *     const struct bind_type route_bind = BIND_TYPE("config.plain", struct route_config, route_fields, .check = route_check);
 *
 * Semantics are those of go-yaml v2 in strict mode with an UnmarshalYAML method per object (spec 2.1):
 *  - Defaults (`fallback`) are in place before an object is read; an explicit null sets the zero value.
 *  - Type errors, unknown and duplicate keys are collected and reported together: "yaml: unmarshal errors:\n  line N: ...".
 *  - An object that collected any skips its own checks. A failed check or parse hook ends everything and is reported
 *    alone, even if type errors were found before.
 *  - Objects are checked in document order, inner before outer.
 *
 * Everything made lives in the arena of the binding. Objects may nest YAML_DEPTH_MAX deep (the parser's bound).
 * A null element of a list of objects becomes a zero object whose checks are skipped (see BIND_LIST). */
#ifndef TOCSIN_YAML_BIND_H
#define TOCSIN_YAML_BIND_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "yaml/doc.h"
#include "yaml/emit.h"
#include "yaml/notice.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Field types that only configuration has ---- */

struct str_pair {
    struct str key, value;
};
struct str_map { /* sorted by key, keys unique */
    const struct str_pair *v; /* NULL: absent or null */
    size_t n;
};
struct str_lists_entry {
    struct str key;
    struct str_list values;
};
struct str_lists { /* key -> list of strings, sorted by key */
    const struct str_lists_entry *v;
    size_t n;
};
enum tristate { TRISTATE_ABSENT, TRISTATE_FALSE, TRISTATE_TRUE };
struct opt_i64 {
    bool set;
    int64_t v;
};

struct str str_map_get(const struct str_map *m, struct str key); /* empty if absent */
void str_map_sort(struct str_pair *v, size_t n); /* by key */
bool str_map_has(const struct str_map *m, struct str key);

/* ---- One binding ---- */

#define BIND_TYPE_ERRORS_MAX 64 /* kept; an err holds no more text than that */

enum bind_result {
    BIND_OK,
    BIND_TYPE_ERROR, /* recorded; decoding goes on */
    BIND_FAIL,       /* b->err is set; decoding ends */
};

/* Something that an arena cannot give back: a reference that a value holds. */
struct bind_cleanup {
    void (*release)(void *what);
    void *what;
    struct bind_cleanup *next;
};

struct binding {
    struct arena *arena;     /* of what is made */
    struct bind_cleanup *cleanups; /* newest first; the owner of the arena runs them before it drops it, also when the
                                      binding has failed */
    struct notices *notices; /* may be NULL */
    const void *env;         /* for hooks of upper folders: model/config_types.h says what */
    struct str field;        /* after a failure that is not of types: where, "route.routes[2].group_wait"; in the arena */
    /* Below: the binder's own. */
    struct err err;
    struct str *type_errors; /* BIND_TYPE_ERRORS_MAX of them once the first came */
    size_t type_errors_count;
    size_t type_errors_dropped;
};

/* Hooks of a scalar type: something that YAML holds in one node and C in one value. */
struct bind_scalar {
    const char *go_type; /* upstream's name of the type the text is first read into; NULL: "string" */
    size_t size;         /* of the value */
    /* Text to value. The node is a scalar that was accepted as a string. False with err: the load ends. */
    bool (*parse)(struct binding *b, struct str text, void *out, struct err *err);
    /* Instead of parse, for values that are not just text; may use the bind_read_* functions. */
    enum bind_result (*parse_node)(struct binding *b, const struct yaml_node *node, void *out);
    void (*emit)(struct yaml_emitter *e, const void *value);
    bool (*is_zero)(const void *value);
};

enum bind_kind {
    BIND_KIND_BOOL,     /* bool */
    BIND_KIND_TRISTATE, /* enum tristate */
    BIND_KIND_I64,      /* int64_t */
    BIND_KIND_OPT_I64,  /* struct opt_i64 */
    BIND_KIND_U64,      /* uint64_t */
    BIND_KIND_F64,      /* double */
    BIND_KIND_STR,      /* struct str; any non-null scalar */
    BIND_KIND_GO_NS,    /* int64_t nanoseconds; Go duration text or an integer (yaml/go_duration.c) */
    BIND_KIND_ENUM,     /* int, index into names; first name is the zero value and "" is never printed */
    BIND_KIND_STRS,     /* struct str_list */
    BIND_KIND_STR_MAP,  /* struct str_map */
    BIND_KIND_STR_LISTS,/* struct str_lists */
    BIND_KIND_SCALAR,   /* by hooks */
    BIND_KIND_SCALARS,  /* list of them: T *field; size_t field_count */
    BIND_KIND_TREE,     /* const struct yaml_node *: any value, borrowed from the document; a mapping if go_type is set */
    BIND_KIND_OBJECT,   /* struct in place */
    BIND_KIND_POINTER,  /* pointer to struct; NULL: absent or null */
    BIND_KIND_INLINE,   /* struct in place whose keys are the parent's */
    BIND_KIND_LIST,     /* T *field; size_t field_count: list of objects */
    BIND_KIND_MAP,      /* the same from a mapping; T begins with struct str, the key */
    BIND_KIND_KINDS
};

struct bind_type;
struct bind {
    enum bind_kind kind;
    const char *key;
    size_t offset;
    size_t count_offset; /* lists */
    const char *doc;     /* one sentence for the reference page */
    const char *fallback;/* default as YAML text; NULL: the zero value */
    const struct bind_type *type;
    const struct bind_scalar *scalar;
    const char *const *names; /* BIND_KIND_ENUM, NULL-terminated */
    const char *refuse;       /* BIND_KIND_ENUM: error text before the value */
    const int *shown;         /* BIND_KIND_ENUM: printed as these numbers; NULL: as its names */
    const char *go_type;      /* overrides the kind's name in type errors */
    const char *required;     /* error text if it is empty after decoding; checked in row order before the object's check */
    const char *inactive;     /* notice text if the key is present: accepted, but nothing is done with it */
    bool secret;              /* printed as <secret> */
    bool always;              /* printed even if zero */
    bool never;               /* never printed */
    bool inherit;             /* filled from the parent object or global when absent (for the reference page) */
    bool templated;           /* a template text (for the reference page) */
    bool flow;                /* lists are printed as [a, b] */
};

struct bind_type {
    const char *name;    /* upstream's Go type, for "field X not found in type NAME" */
    const char *title;   /* of its section in the reference page; NULL: shown inside its parent */
    size_t size;
    const struct bind *fields;
    size_t fields_count;
    /* Values that no text can say; runs before the fallbacks. */
    void (*init)(void *object);
    /* After all keys were read without a type error. */
    bool (*check)(struct binding *b, void *object, struct err *err);
    /* Reads the object from something that is not its mapping (a plain string, say). Returns BIND_OK with *taken set if
     * it did; otherwise the binder goes on as usual. */
    enum bind_result (*parse_short)(struct binding *b, const struct yaml_node *node, void *object, bool *taken);
    /* Prints the object as something that is not its mapping; false: the binder goes on as usual. */
    bool (*emit_short)(struct yaml_emitter *e, const void *object);
    size_t line_offset;  /* uint32_t: line of the object; 0: none (so it cannot be the first member) */
    size_t null_offset;  /* bool: the object was null; 0: none */
    bool null_defaults;  /* null means the defaults, not the zero value */
};

/* Fails to compile if the field has another type. */
#define BIND_AT(struct_, field_, type_)                                                            \
    (offsetof(struct_, field_) + 0 * sizeof(_Generic(((struct_ *)0)->field_, type_: 0)))
#define BIND_ROW_(kind_, struct_, field_, type_, key_, doc_, ...)                                  \
    { .kind = (kind_), .key = (key_), .offset = BIND_AT(struct_, field_, type_), .doc = (doc_), __VA_ARGS__ }

#define BIND_BOOL(s, f, key_, doc_, ...)     BIND_ROW_(BIND_KIND_BOOL, s, f, bool, key_, doc_, __VA_ARGS__)
#define BIND_TRISTATE(s, f, key_, doc_, ...) BIND_ROW_(BIND_KIND_TRISTATE, s, f, enum tristate, key_, doc_, __VA_ARGS__)
#define BIND_I64(s, f, key_, doc_, ...)      BIND_ROW_(BIND_KIND_I64, s, f, int64_t, key_, doc_, __VA_ARGS__)
#define BIND_OPT_I64(s, f, key_, doc_, ...)  BIND_ROW_(BIND_KIND_OPT_I64, s, f, struct opt_i64, key_, doc_, __VA_ARGS__)
#define BIND_U64(s, f, key_, doc_, ...)      BIND_ROW_(BIND_KIND_U64, s, f, uint64_t, key_, doc_, __VA_ARGS__)
#define BIND_F64(s, f, key_, doc_, ...)      BIND_ROW_(BIND_KIND_F64, s, f, double, key_, doc_, __VA_ARGS__)
#define BIND_STR(s, f, key_, doc_, ...)      BIND_ROW_(BIND_KIND_STR, s, f, struct str, key_, doc_, __VA_ARGS__)
#define BIND_SECRET(s, f, key_, doc_, ...)                                                           \
    BIND_ROW_(BIND_KIND_STR, s, f, struct str, key_, doc_, .secret = true, ##__VA_ARGS__)
#define BIND_GO_NS(s, f, key_, doc_, ...)    BIND_ROW_(BIND_KIND_GO_NS, s, f, int64_t, key_, doc_, __VA_ARGS__)
#define BIND_ENUM(s, f, key_, doc_, names_, refuse_, ...)                                            \
    { .kind = BIND_KIND_ENUM, .key = (key_), .offset = offsetof(s, f), .doc = (doc_), .names = (names_),   \
      .refuse = (refuse_), __VA_ARGS__ }
#define BIND_STRS(s, f, key_, doc_, ...)     BIND_ROW_(BIND_KIND_STRS, s, f, struct str_list, key_, doc_, __VA_ARGS__)
#define BIND_STR_MAP(s, f, key_, doc_, ...)  BIND_ROW_(BIND_KIND_STR_MAP, s, f, struct str_map, key_, doc_, __VA_ARGS__)
#define BIND_STR_LISTS(s, f, key_, doc_, ...) BIND_ROW_(BIND_KIND_STR_LISTS, s, f, struct str_lists, key_, doc_, __VA_ARGS__)
#define BIND_TREE(s, f, key_, doc_, ...)                                                             \
    BIND_ROW_(BIND_KIND_TREE, s, f, const struct yaml_node *, key_, doc_, __VA_ARGS__)
#define BIND_SCALAR(s, f, key_, doc_, scalar_, ...)                                                  \
    { .kind = BIND_KIND_SCALAR, .key = (key_), .offset = offsetof(s, f), .doc = (doc_), .scalar = (scalar_), __VA_ARGS__ }
#define BIND_SCALARS(s, f, key_, doc_, scalar_, ...)                                                 \
    { .kind = BIND_KIND_SCALARS, .key = (key_), .offset = offsetof(s, f), .count_offset = offsetof(s, f##_count), \
      .doc = (doc_), .scalar = (scalar_), __VA_ARGS__ }
#define BIND_OBJECT(s, f, key_, doc_, type_, ...)                                                    \
    { .kind = BIND_KIND_OBJECT, .key = (key_), .offset = offsetof(s, f), .doc = (doc_), .type = (type_), __VA_ARGS__ }
#define BIND_POINTER(s, f, key_, doc_, type_, ...)                                                   \
    { .kind = BIND_KIND_POINTER, .key = (key_), .offset = offsetof(s, f), .doc = (doc_), .type = (type_), __VA_ARGS__ }
#define BIND_INLINE(s, f, type_)                                                                   \
    { .kind = BIND_KIND_INLINE, .key = "", .offset = offsetof(s, f), .doc = "", .type = (type_) }
#define BIND_LIST(s, f, key_, doc_, type_, ...)                                                      \
    { .kind = BIND_KIND_LIST, .key = (key_), .offset = offsetof(s, f), .count_offset = offsetof(s, f##_count), \
      .doc = (doc_), .type = (type_), __VA_ARGS__ }
#define BIND_MAP(s, f, key_, doc_, type_, ...)                                                       \
    { .kind = BIND_KIND_MAP, .key = (key_), .offset = offsetof(s, f), .count_offset = offsetof(s, f##_count), \
      .doc = (doc_), .type = (type_), __VA_ARGS__ }

#define BIND_TYPE(name_, struct_, fields_, ...)                                                    \
    { .name = (name_), .size = sizeof(struct_), .fields = (fields_), .fields_count = ARRAY_LEN(fields_), __VA_ARGS__ }

/* ---- Reading ---- */

/* Defaults into *object, which is zeroed memory of type->size bytes. */
void bind_defaults(struct binding *b, const struct bind_type *type, void *object);
/* The whole document into *object (zeroed). An empty document leaves the defaults. The tree must live as long as the
 * object: strings and trees are borrowed from it. */
MUST_CHECK bool bind_document(struct binding *b, const struct bind_type *type, const struct yaml_node *root,
                              void *object, struct err *err);

/* For hooks. Each records type errors itself; lists and maps return BIND_TYPE_ERROR if an element had one. */
enum bind_result bind_read_str(struct binding *b, const struct yaml_node *node, struct str *out);
enum bind_result bind_read_strs(struct binding *b, const struct yaml_node *node, struct str_list *out);
enum bind_result bind_read_str_map(struct binding *b, const struct yaml_node *node, const char *go_type,
                                   struct str_map *out);
/* Any value; a mapping if go_type is not NULL. NULL for null. */
enum bind_result bind_read_tree(struct binding *b, const struct yaml_node *node, const char *go_type,
                                const struct yaml_node **out);
enum bind_result bind_read_object(struct binding *b, const struct bind_type *type, const struct yaml_node *node,
                                  void *object);
/* "line N: cannot unmarshal !!str `x` into GO_TYPE". */
enum bind_result bind_type_error(struct binding *b, const struct yaml_node *node, const char *go_type);
/* Ends the load with this text. */
enum bind_result bind_fail(struct binding *b, const struct yaml_node *node, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The text as Go's %q, cut, for messages: bind_quote(s).text. */
#define BIND_QUOTE_MAX 320
struct bind_quoted {
    char text[BIND_QUOTE_MAX];
};
struct bind_quoted bind_quote(struct str s);
bool bind_is_null(const struct yaml_node *node); /* null as go-yaml sees it for any target */
/* release(what) is called when the configuration goes. */
void bind_cleanup_add(struct binding *b, void (*release)(void *what), void *what);
void bind_cleanups_run(struct bind_cleanup *first);

/* ---- Writing ---- */

/* The object as a map, keys in row order, secrets as <secret>. */
void bind_emit(struct yaml_emitter *e, const struct bind_type *type, const void *object);
void bind_emit_str_map(struct yaml_emitter *e, const struct str_map *m); /* in go-yaml's key order */
bool bind_is_zero(const struct bind_type *type, const void *object);
#define BIND_SECRET_TEXT "<secret>"

/* ---- For generators ---- */

/* Calls visit for each row, in order, objects before what they hold; `path` is "global.http_config.tls_config".
 * A type that holds itself is entered once. */
typedef void bind_visit(void *arg, struct str path, const struct bind_type *owner, const struct bind *field);
void bind_walk(const struct bind_type *type, bind_visit *visit, void *arg);
const char *bind_kind_text(enum bind_kind kind); /* "string", "list of objects" ... */

#endif
