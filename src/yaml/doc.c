/* Composing: libyaml's events into a tree of shared, immutable nodes.
 *
 * A node is made once; an alias is the same node again. What aliases would expand to is counted, not built: every node
 * knows the number of decode steps that it stands for, the document sums those up with the part that aliases caused, and
 * past go-yaml's ratio (99 % for small documents, falling to 10 % for large ones) parsing ends. Merged mappings are the
 * one thing that is copied (their pairs, not their nodes), and are counted the same way.
 *
 * Bounds: YAML_BYTES_MAX of text, YAML_NODES_MAX nodes, YAML_DEPTH_MAX levels (recursion follows nesting), an arena
 * limit in proportion to the text. libyaml's own queue is bounded by the text. Only the first document is read. */
#include "yaml/doc.h"

#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"

#include <stdarg.h>
#include <yaml.h>

#define TAG_PREFIX STR("tag:yaml.org,2002:")
/* A node costs about 200 bytes and the shortest spelling of one is two bytes ("a,"). */
#define ARENA_BYTES_PER_BYTE 160
#define ARENA_BYTES_BASE     (1024 * 1024)

/* go-yaml's bounds for alias expansion. */
#define ALIAS_STEPS_LOW  400000.0
#define ALIAS_STEPS_HIGH 4000000.0

struct composed {
    struct yaml_node node; /* first: a node pointer is a composed pointer */
    uint64_t steps;        /* decode steps of the whole subtree, aliases expanded */
    bool open;             /* still being composed: an alias to it would contain itself */
};

/* What a mapping or sequence has collected so far; one stack for all levels. */
struct item {
    const struct composed *key, *value;
    uint32_t group;
};

struct composer {
    struct arena *arena;
    yaml_parser_t parser;
    struct err *err;
    struct err
        later; /* the first objection to a document that is well-formed: syntax errors behind it come first */
    struct map anchors; /* name -> struct composed */
    struct item *items;
    size_t items_count, items_capacity;
    uint64_t nodes;
    double steps, alias_steps;
    uint32_t next_group;
    unsigned depth;
};

static bool compose(struct composer *c, yaml_event_t *ev, struct composed **out);

/* go-yaml's reading of libyaml's marks: scanner errors are one line further than their mark says. */
static bool fail_syntax(struct composer *c)
{
    const yaml_parser_t *p = &c->parser;
    size_t line = 0;
    if (p->error == YAML_MEMORY_ERROR)
        return err_set(c->err, ERR_LIMIT, "yaml: out of memory");
    if (p->problem_mark.line != 0)
        line = p->problem_mark.line + (p->error == YAML_SCANNER_ERROR ? 1 : 0);
    else if (p->context_mark.line != 0)
        line = p->context_mark.line;
    const char *problem = p->problem ? p->problem : "unknown problem parsing YAML content";
    uint32_t at = (uint32_t)p->problem_mark.line + 1, column = (uint32_t)p->problem_mark.column + 1;
    if (line != 0)
        return err_set_at(c->err, ERR_INVALID, at, column, "yaml: line %zu: %s", line, problem);
    return err_set_at(c->err, ERR_INVALID, at, column, "yaml: %s", problem);
}

/* go-yaml parses a document completely before it looks at what it means. */
static bool PRINTF_LIKE(3, 4) object_later(struct composer *c, const struct yaml_node *at, const char *fmt, ...)
{
    if (c->later.code != ERR_NONE)
        return true;
    va_list ap;
    va_start(ap, fmt);
    err_vset(&c->later, ERR_INVALID, fmt, ap);
    va_end(ap);
    c->later.line = at->line;
    c->later.column = at->column;
    return true;
}

static bool fail_limit(struct composer *c, const char *what)
{
    return err_set(c->err, ERR_LIMIT, "yaml: %s", what);
}

static bool next_event(struct composer *c, yaml_event_t *ev)
{
    return yaml_parser_parse(&c->parser, ev) ? true : fail_syntax(c);
}

static double alias_ratio_allowed(double steps)
{
    if (steps <= ALIAS_STEPS_LOW)
        return 0.99;
    if (steps >= ALIAS_STEPS_HIGH)
        return 0.10;
    return 0.99 - 0.89 * ((steps - ALIAS_STEPS_LOW) / (ALIAS_STEPS_HIGH - ALIAS_STEPS_LOW));
}

/* Another `n` decode steps because of an alias. */
static bool count_alias(struct composer *c, uint64_t n)
{
    c->steps += (double)n;
    c->alias_steps += (double)n;
    if (c->alias_steps > 100 && c->steps > 1000 && c->alias_steps / c->steps > alias_ratio_allowed(c->steps))
        return fail_limit(c, "document contains excessive aliasing");
    return true;
}

static uint64_t add_steps(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static const struct composed *whole_of(const struct yaml_node *node)
{
    return (const struct composed *)(const void *)node;
}

static struct composed *new_node(struct composer *c, const yaml_event_t *ev)
{
    if (++c->nodes > YAML_NODES_MAX) {
        (void)fail_limit(c, "document has too many nodes");
        return NULL;
    }
    struct composed *n = arena_try_alloc(c->arena, sizeof *n);
    if (!n) {
        (void)fail_limit(c, "document is too large");
        return NULL;
    }
    n->node.line = (uint32_t)ev->start_mark.line + 1;
    n->node.column = (uint32_t)ev->start_mark.column + 1;
    n->steps = 1;
    c->steps += 1;
    return n;
}

/* A copy in the arena, NUL-terminated. */
static bool copy_text(struct composer *c, struct str s, struct str *out)
{
    char *p = arena_try_alloc(c->arena, s.n + 1);
    if (!p)
        return fail_limit(c, "document is too large");
    if (s.n)
        memcpy(p, s.p, s.n);
    *out = str_of(p, s.n);
    return true;
}

/* "tag:yaml.org,2002:str" is shown as "!!str". */
static bool copy_tag(struct composer *c, const yaml_char_t *tag, struct str *out)
{
    struct str s = str_c((const char *)tag);
    if (!str_starts(s, TAG_PREFIX))
        return copy_text(c, s, out);
    struct str rest = str_from(s, TAG_PREFIX.n);
    struct buf b = { 0 };
    buf_c(&b, "!!");
    buf_str(&b, rest);
    bool ok = copy_text(c, buf_view(&b), out);
    buf_deinit(&b);
    return ok;
}

static bool remember_anchor(struct composer *c, const yaml_char_t *anchor, struct composed *n)
{
    struct str name;
    if (!anchor)
        return true;
    if (!copy_text(c, str_c((const char *)anchor), &name))
        return false;
    (void)map_put(&c->anchors, name, n);
    return true;
}

static bool compose_alias(struct composer *c, const yaml_event_t *ev, struct composed **out)
{
    struct str name = str_c((const char *)ev->data.alias.anchor);
    struct composed *n = map_get(&c->anchors, name);
    uint32_t line = (uint32_t)ev->start_mark.line + 1;
    if (!n)
        return err_set_at(c->err, ERR_INVALID, line, 0, "yaml: unknown anchor '%.*s' referenced", STR_ARG(name));
    if (n->open) {
        *out = new_node(c, ev); /* in its place, until the end */
        return *out && object_later(c, &(*out)->node, "yaml: anchor '%.*s' value contains itself", STR_ARG(name));
    }
    *out = n;
    return count_alias(c, add_steps(n->steps, 1));
}

static int base64_value(char ch)
{
    if (ch >= 'A' && ch <= 'Z')
        return ch - 'A';
    if (ch >= 'a' && ch <= 'z')
        return ch - 'a' + 26;
    if (ascii_is_digit(ch))
        return ch - '0' + 52;
    return ch == '+' ? 62 : ch == '/' ? 63 : -1;
}

/* Standard base64 with padding; line breaks are skipped, as Go's decoder does. */
static bool decode_base64(struct str s, struct buf *out)
{
    uint32_t bits = 0;
    unsigned count = 0, padding = 0;
    for (size_t i = 0; i < s.n; i++) {
        char ch = s.p[i];
        if (ch == '\n' || ch == '\r')
            continue;
        int v = base64_value(ch);
        if (ch == '=' && count % 4 >= 2) {
            padding++;
            v = 0;
        } else if (v < 0 || padding) {
            return false;
        }
        bits = bits << 6 | (uint32_t)v;
        if (++count % 4 == 0) {
            unsigned bytes = 3 - padding;
            for (unsigned b = 0; b < bytes; b++)
                buf_byte(out, (char)(bits >> (16 - 8 * b) & 0xff));
            bits = 0;
            if (padding && i + 1 < s.n && str_trim_set(str_from(s, i + 1), STR("\r\n")).n)
                return false;
        }
    }
    return count % 4 == 0;
}

static bool decode_binary(struct composer *c, struct yaml_node *n)
{
    struct buf b = { 0 };
    bool ok = decode_base64(n->text, &b);
    if (ok)
        ok = copy_text(c, buf_view(&b), &n->text);
    else
        ok = object_later(c, n, "yaml: !!binary value contains invalid base64 data");
    buf_deinit(&b);
    return ok;
}

/* An explicit core tag must agree with what the text resolves to. */
static bool apply_tag(struct composer *c, struct yaml_node *n)
{
    static const struct {
        struct str tag;
        enum yaml_kind kind;
    } core[] = {
        { STR_INIT("!!bool"), YAML_BOOL },           { STR_INIT("!!int"), YAML_INT },
        { STR_INIT("!!float"), YAML_FLOAT },         { STR_INIT("!!null"), YAML_NULL },
        { STR_INIT("!!timestamp"), YAML_TIMESTAMP },
    };
    n->kind = YAML_STRING;
    if (str_eq(n->tag, STR("!!binary")))
        return decode_binary(c, n);
    for (size_t i = 0; i < ARRAY_LEN(core); i++) {
        if (!str_eq(core[i].tag, n->tag))
            continue;
        yaml_resolve(n->text, n);
        if (n->kind == core[i].kind)
            return true;
        if (core[i].kind == YAML_FLOAT && n->kind == YAML_INT) {
            n->kind = YAML_FLOAT;
            return true;
        }
        return object_later(c, n, "yaml: cannot decode %s `%.*s` as a %.*s", yaml_kind_name(n->kind),
                            STR_ARG(n->text), STR_ARG(n->tag));
    }
    return true; /* !!str and everything that is not ours: the text */
}

static bool compose_scalar(struct composer *c, const yaml_event_t *ev, struct composed **out)
{
    struct composed *n = new_node(c, ev);
    if (!n)
        return false;
    struct str text = str_of((const char *)ev->data.scalar.value, ev->data.scalar.length);
    if (!copy_text(c, text, &n->node.text) || !remember_anchor(c, ev->data.scalar.anchor, n))
        return false;
    n->node.quoted = ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    *out = n;
    if (ev->data.scalar.tag)
        return copy_tag(c, ev->data.scalar.tag, &n->node.tag) && apply_tag(c, &n->node);
    if (ev->data.scalar.plain_implicit)
        yaml_resolve(n->node.text, &n->node);
    else
        n->node.kind = YAML_STRING;
    return true;
}

static void push_item(struct composer *c, const struct composed *key, const struct composed *value, uint32_t group)
{
    if (c->items_count == c->items_capacity) {
        c->items_capacity = mem_grow(c->items_capacity, c->items_count + 1);
        c->items = mem_realloc_array(c->items, c->items_capacity, sizeof *c->items);
    }
    c->items[c->items_count++] = (struct item){ key, value, group };
}

static bool compose_sequence(struct composer *c, const yaml_event_t *start, struct composed **out)
{
    struct composed *n = new_node(c, start);
    if (!n || !remember_anchor(c, start->data.sequence_start.anchor, n))
        return false;
    if (start->data.sequence_start.tag && !copy_tag(c, start->data.sequence_start.tag, &n->node.tag))
        return false;
    n->node.kind = YAML_SEQUENCE;
    n->node.flow = start->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
    n->open = true;
    size_t base = c->items_count;
    for (;;) {
        yaml_event_t ev;
        struct composed *child = NULL;
        if (!next_event(c, &ev))
            return false;
        bool end = ev.type == YAML_SEQUENCE_END_EVENT;
        bool ok = end || compose(c, &ev, &child);
        yaml_event_delete(&ev);
        if (!ok)
            return false;
        if (end)
            break;
        push_item(c, NULL, child, 0);
        n->steps = add_steps(n->steps, child->steps);
    }
    n->open = false;
    n->node.n = c->items_count - base;
    const struct yaml_node **items = arena_try_alloc_array(c->arena, n->node.n, sizeof *items);
    if (!items)
        return fail_limit(c, "document is too large");
    for (size_t i = 0; i < n->node.n; i++)
        items[i] = &c->items[base + i].value->node;
    n->node.items = items;
    c->items_count = base;
    *out = n;
    return true;
}

static bool is_merge_key(const struct yaml_node *key, bool plain)
{
    return key->kind == YAML_STRING && str_eq(key->text, STR("<<")) &&
           ((plain && key->tag.n == 0) || str_eq(key->tag, STR("!!merge")));
}

/* The pairs of `from` take the place of the << ; nested merges keep their own groups. */
static bool merge_mapping(struct composer *c, struct composed *n, const struct yaml_node *from)
{
    uint32_t base = c->next_group, highest = 0;
    for (size_t i = 0; i < from->n; i++) {
        const struct yaml_pair *pair = &from->pairs[i];
        highest = pair->group > highest ? pair->group : highest;
        push_item(c, whole_of(pair->key), whole_of(pair->value), base + pair->group);
    }
    c->next_group = base + highest + 1;
    n->steps = add_steps(n->steps, whole_of(from)->steps);
    return count_alias(c, from->n);
}

static bool merge(struct composer *c, struct composed *n, const struct yaml_node *value)
{
    if (value->kind == YAML_MAPPING)
        return merge_mapping(c, n, value);
    bool ok = value->kind == YAML_SEQUENCE;
    for (size_t i = 0; ok && i < value->n; i++)
        ok = value->items[i]->kind == YAML_MAPPING;
    if (!ok)
        return object_later(c, value, "yaml: map merge requires map or sequence of maps as the value");
    for (size_t i = value->n; ok && i-- > 0;) /* backwards: earlier ones take precedence */
        ok = merge_mapping(c, n, value->items[i]);
    return ok;
}

/* One key and its value onto the stack; *end at the end of the mapping. */
static bool compose_pair(struct composer *c, struct composed *n, bool *end)
{
    yaml_event_t ev;
    struct composed *key = NULL, *value = NULL;
    if (!next_event(c, &ev))
        return false;
    *end = ev.type == YAML_MAPPING_END_EVENT;
    bool plain = ev.type == YAML_SCALAR_EVENT && ev.data.scalar.plain_implicit;
    bool ok = *end || compose(c, &ev, &key);
    yaml_event_delete(&ev);
    if (!ok || *end)
        return ok;
    if (!next_event(c, &ev))
        return false;
    ok = compose(c, &ev, &value);
    yaml_event_delete(&ev);
    if (!ok)
        return false;
    if (is_merge_key(&key->node, plain))
        return merge(c, n, &value->node);
    push_item(c, key, value, 0);
    n->steps = add_steps(n->steps, add_steps(key->steps, value->steps));
    return true;
}

static bool compose_mapping(struct composer *c, const yaml_event_t *start, struct composed **out)
{
    struct composed *n = new_node(c, start);
    if (!n || !remember_anchor(c, start->data.mapping_start.anchor, n))
        return false;
    if (start->data.mapping_start.tag && !copy_tag(c, start->data.mapping_start.tag, &n->node.tag))
        return false;
    n->node.kind = YAML_MAPPING;
    n->node.flow = start->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
    n->open = true;
    size_t base = c->items_count;
    uint32_t outer_group = c->next_group;
    c->next_group = 1;
    for (bool end = false; !end;)
        if (!compose_pair(c, n, &end))
            return false;
    c->next_group = outer_group;
    n->open = false;
    n->node.n = c->items_count - base;
    struct yaml_pair *pairs = arena_try_alloc_array(c->arena, n->node.n, sizeof *pairs);
    if (!pairs)
        return fail_limit(c, "document is too large");
    for (size_t i = 0; i < n->node.n; i++) {
        const struct item *it = &c->items[base + i];
        pairs[i] = (struct yaml_pair){ &it->key->node, &it->value->node, it->group };
    }
    n->node.pairs = pairs;
    c->items_count = base;
    *out = n;
    return true;
}

/* One node from its first event, which the caller deletes. */
static bool compose(struct composer *c, yaml_event_t *ev, struct composed **out)
{
    if (ev->type == YAML_ALIAS_EVENT)
        return compose_alias(c, ev, out);
    if (ev->type == YAML_SCALAR_EVENT)
        return compose_scalar(c, ev, out);
    ASSERT(ev->type == YAML_SEQUENCE_START_EVENT || ev->type == YAML_MAPPING_START_EVENT);
    if (c->depth >= YAML_DEPTH_MAX)
        return err_set_at(c->err, ERR_LIMIT, (uint32_t)ev->start_mark.line + 1, 0,
                          "yaml: line %zu: exceeded max depth of %d", ev->start_mark.line + 1, YAML_DEPTH_MAX);
    c->depth++;
    bool ok = ev->type == YAML_SEQUENCE_START_EVENT ? compose_sequence(c, ev, out) : compose_mapping(c, ev, out);
    c->depth--;
    return ok;
}

/* libyaml takes %YAML 1.2 as well; go-yaml, and so everybody's files, has 1.1 only. */
static bool check_version(struct composer *c, const yaml_event_t *start)
{
    const yaml_version_directive_t *v = start->data.document_start.version_directive;
    if (!v || (v->major == 1 && v->minor == 1))
        return true;
    size_t line = start->start_mark.line;
    if (line == 0)
        return err_set_at(c->err, ERR_INVALID, 1, 0, "yaml: found incompatible YAML document");
    return err_set_at(c->err, ERR_INVALID, (uint32_t)line, 0, "yaml: line %zu: found incompatible YAML document", line);
}

/* stream start, document start, the node, document end; what follows is not looked at. */
static bool compose_document(struct composer *c, const struct yaml_node **root)
{
    yaml_event_t ev;
    for (;;) {
        if (!next_event(c, &ev))
            return false;
        yaml_event_type_t type = ev.type;
        if (type == YAML_STREAM_START_EVENT || type == YAML_DOCUMENT_START_EVENT) {
            bool known = type == YAML_STREAM_START_EVENT || check_version(c, &ev);
            yaml_event_delete(&ev);
            if (!known)
                return false;
            continue;
        }
        struct composed *n = NULL;
        bool end = type == YAML_STREAM_END_EVENT;
        bool ok = end || compose(c, &ev, &n);
        yaml_event_delete(&ev);
        if (!ok || end)
            return ok;
        *root = &n->node;
        break;
    }
    if (!next_event(c, &ev))
        return false;
    ASSERT(ev.type == YAML_DOCUMENT_END_EVENT);
    yaml_event_delete(&ev);
    return true;
}

bool yaml_parse(struct yaml_doc *doc, struct str text, struct err *err)
{
    doc->root = NULL;
    arena_init(&doc->arena, ARENA_BYTES_BASE + ARENA_BYTES_PER_BYTE * (text.n < YAML_BYTES_MAX ? text.n : 0));
    if (text.n > YAML_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "yaml: document is larger than %d bytes", YAML_BYTES_MAX);
    struct composer c = { .arena = &doc->arena, .err = err, .next_group = 1 };
    if (!yaml_parser_initialize(&c.parser))
        return err_set(err, ERR_LIMIT, "yaml: out of memory");
    yaml_parser_set_input_string(&c.parser, (const unsigned char *)(text.p ? text.p : ""), text.n);
    const struct yaml_node *root = NULL;
    bool ok = compose_document(&c, &root);
    yaml_parser_delete(&c.parser);
    map_deinit(&c.anchors);
    mem_free(c.items);
    if (ok && c.later.code != ERR_NONE) {
        *err = c.later;
        return false;
    }
    if (ok)
        doc->root = root;
    return ok;
}

void yaml_doc_deinit(struct yaml_doc *doc)
{
    arena_deinit(&doc->arena);
    doc->root = NULL;
}

const struct yaml_node *yaml_get(const struct yaml_node *map, struct str key)
{
    if (!map || map->kind != YAML_MAPPING)
        return NULL;
    for (size_t i = map->n; i-- > 0;) {
        const struct yaml_node *k = map->pairs[i].key;
        bool scalar = k->kind != YAML_SEQUENCE && k->kind != YAML_MAPPING;
        if (scalar && str_eq(k->text, key))
            return map->pairs[i].value;
    }
    return NULL;
}

const char *yaml_kind_name(enum yaml_kind kind)
{
    static const char *const names[] = {
        [YAML_NULL] = "!!null",    [YAML_BOOL] = "!!bool",   [YAML_INT] = "!!int",
        [YAML_FLOAT] = "!!float",  [YAML_STRING] = "!!str",  [YAML_TIMESTAMP] = "!!timestamp",
        [YAML_SEQUENCE] = "!!seq", [YAML_MAPPING] = "!!map",
    };
    return names[kind];
}
