/* Sets of definitions, and renderers with what they remember.
 *
 * S1: a set's trees and texts live in its arena and are immutable once the set is shared. S2: a compiled text borrows
 * trees of the set (text) or owns escaped copies (HTML); it dies with the renderer, which holds the set. S3: a nested
 * rendering (route labels) may compile, but the cache is only emptied when no rendering is under way.
 *
 * Bounds: texts by TEMPLATE_TEXT_BYTES_MAX, the cache by CACHE_TEXTS_MAX and CACHE_BYTES_MAX (a configuration's texts
 * fit; contents of key files change and would pile up), expressions by CACHE_REGEXES_MAX. */
#include "template/depth_int.h"
#include "template/exec_int.h"
#include "template/func_int.h"
#include "template/html_int.h"

#include "base/mem.h"
#include "regex/regex.h"

#define SET_BYTES_MAX     (256u * 1024 * 1024)
#define COMPILED_BYTES_MAX (64u * 1024 * 1024)
#define CACHE_TEXTS_MAX   4096
#define CACHE_BYTES_MAX   (64u * 1024 * 1024)
#define CACHE_REGEXES_MAX 256

struct template_set {
    atomic_uint refs;
    unsigned flavours;
    struct arena arena;
    struct tree_map trees;
};

struct compiled {
    struct arena arena;
    struct tree_map own;
    struct tree *root;
};

struct template_renderer {
    struct template_set *set;
    struct map texts, htmls; /* by text; separate, because one text may be used both ways */
    size_t cached_bytes;
    struct map regexes;
    struct arena scratch;
    struct variables vars;
    struct name_row *names; /* of texts and classes; forgotten with the cache, whose texts they point into */
    struct buf spare[2];
    unsigned running; /* renderings under way */
};

/* ---- sets ---- */

struct template_set *template_set_new(enum template_flavour flavour)
{
    struct template_set *s = MEM_NEW(struct template_set);
    atomic_init(&s->refs, 1);
    s->flavours = FUNC_GO | (unsigned)flavour;
    arena_init(&s->arena, ARENA_NO_LIMIT);
    return s;
}

struct template_set *template_set_retain(struct template_set *set)
{
    atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
    return set;
}

void template_set_release(struct template_set *set)
{
    if (!set || atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) != 1)
        return;
    map_deinit(&set->trees.map);
    arena_deinit(&set->arena);
    mem_free(set);
}

bool template_set_has(const struct template_set *set, struct str name)
{
    return map_get(&set->trees.map, name) != NULL;
}

static bool check_size(struct str text, struct err *err)
{
    return text.n <= TEMPLATE_TEXT_BYTES_MAX || err_set(err, ERR_LIMIT, "template: the text is too long");
}

bool template_set_parse(struct template_set *set, struct str name, struct str text, struct err *err)
{
    if (!check_size(text, err))
        return false;
    if (set->arena.used_bytes > SET_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "template: the templates are too large");
    struct tree_map fresh = { 0 };
    bool ok = tree_parse(&set->arena, set->flavours, arena_str(&set->arena, name), arena_str(&set->arena, text), &fresh,
                         err);
    struct tree *t;
    for (size_t i = 0; ok && (t = map_next(&fresh.map, &i)) != NULL;) {
        const struct tree *there = map_get(&set->trees.map, t->name);
        if (!there || !tree_is_empty(t->root))
            map_put(&set->trees.map, t->name, t);
    }
    map_deinit(&fresh.map);
    return ok;
}

bool template_check(struct str text, struct err *err)
{
    if (!check_size(text, err))
        return false;
    struct arena a;
    struct tree_map trees = { 0 };
    arena_init(&a, ARENA_NO_LIMIT);
    bool ok = tree_parse(&a, FUNC_GO, STR_EMPTY, text, &trees, err);
    map_deinit(&trees.map);
    arena_deinit(&a);
    return ok;
}

/* ---- compiled texts ---- */

static void compiled_free(struct compiled *c)
{
    map_deinit(&c->own.map);
    arena_deinit(&c->arena);
    mem_free(c);
}

static struct compiled *compile(struct template_set *set, struct str name, struct str text, bool html, struct err *err)
{
    if (!check_size(text, err))
        return NULL;
    struct compiled *c = MEM_NEW(struct compiled);
    arena_init(&c->arena, ARENA_NO_LIMIT);
    text = arena_str(&c->arena, text);
    name = arena_str(&c->arena, name);
    bool ok = tree_parse(&c->arena, set->flavours, name, text, &c->own, err);
    if (ok)
        c->root = map_get(&c->own.map, name);
    if (ok && html) {
        struct tree_map escaped = { 0 };
        struct scope scope = { &c->own, &set->trees, c->root };
        ok = html_escape_trees(&c->arena, &scope, c->root, &escaped, &c->root, err);
        map_deinit(&c->own.map);
        c->own = escaped;
    }
    if (!ok) {
        compiled_free(c);
        return NULL;
    }
    return c;
}

static void drop_texts(struct map *m)
{
    struct compiled *c;
    for (size_t i = 0; (c = map_next(m, &i)) != NULL;)
        compiled_free(c);
    map_deinit(m);
    *m = (struct map){ 0 };
}

static void drop_cache(struct template_renderer *r)
{
    ASSERT(r->running == 0);
    drop_texts(&r->texts);
    drop_texts(&r->htmls);
    r->cached_bytes = 0;
    struct regex *re;
    for (size_t i = 0; (re = map_next(&r->regexes, &i)) != NULL;)
        regex_release(re);
    map_deinit(&r->regexes);
    r->regexes = (struct map){ 0 };
    memset(r->names, 0, NAME_ROWS * sizeof *r->names);
}

/* Two rules of Prometheus may have one text and must not have one error: the name is part of the key. */
static struct str cache_key(struct str name, struct str text, struct buf *b)
{
    if (name.n == 0)
        return text;
    buf_str(b, name);
    buf_byte(b, '\0');
    buf_str(b, text);
    return buf_view(b);
}

static struct compiled *find_compiled(struct template_renderer *r, struct str name, struct str text, bool html,
                                      struct err *err)
{
    struct map *cache = html ? &r->htmls : &r->texts;
    struct buf b = { 0 };
    struct str key = cache_key(name, text, &b);
    struct compiled *c = map_get(cache, key);
    if (!c && (c = compile(r->set, name, text, html, err)) != NULL) {
        map_put(cache, arena_str(&c->arena, key), c);
        r->cached_bytes += c->arena.used_bytes;
    }
    buf_deinit(&b);
    return c;
}

/* ---- renderers ---- */

struct template_renderer *template_renderer_new(struct template_set *set)
{
    struct template_renderer *r = MEM_NEW(struct template_renderer);
    r->set = template_set_retain(set);
    r->names = mem_alloc_array(NAME_ROWS, sizeof *r->names);
    arena_init(&r->scratch, ARENA_NO_LIMIT);
    return r;
}

void template_renderer_free(struct template_renderer *r)
{
    if (!r)
        return;
    drop_cache(r);
    arena_deinit(&r->scratch);
    mem_free(r->vars.v);
    mem_free(r->names);
    buf_deinit(&r->spare[0]);
    buf_deinit(&r->spare[1]);
    template_set_release(r->set);
    mem_free(r);
}

bool exec_text(struct exec_shared *shared, struct str text, struct buf *out, struct err *err)
{
    struct template_renderer *r = shared->renderer;
    if (text.n == 0)
        return true;
    r->running++;
    struct compiled *c = find_compiled(r, shared->run->name, text, shared->html, err);
    bool ok = false;
    if (c) {
        struct scope scope = { &c->own, shared->html ? NULL : &r->set->trees, c->root };
        ok = exec_tree(shared, &scope, c->root, out, err);
    }
    r->running--;
    return ok;
}

struct regex *call_regex(struct tval_call *c, struct str text, struct err *err)
{
    struct template_renderer *r = call_shared(c)->renderer;
    struct regex *re = map_get(&r->regexes, text);
    if (re)
        return re;
    re = regex_compile(text, 0, err);
    if (re)
        map_put(&r->regexes, regex_text(re), re);
    return re;
}

static bool render(struct template_renderer *r, const struct template_run *run, struct str text, bool html,
                   struct buf *out, struct err *err)
{
    static const struct template_hooks none = { 0 };
    if (text.n == 0)
        return true;
    size_t cached = r->texts.count + r->htmls.count;
    if (r->running == 0 &&
        (cached > CACHE_TEXTS_MAX || r->cached_bytes > CACHE_BYTES_MAX || r->regexes.count > CACHE_REGEXES_MAX))
        drop_cache(r);
    struct exec_shared shared = {
        .renderer = r,
        .names = r->names,
        .spare = r->spare,
        .run = run,
        .hooks = run->hooks ? run->hooks : &none,
        .arena = run->arena ? run->arena : &r->scratch,
        .vars = &r->vars,
        .stack = depth_here(),
        .html = html,
        .budget = { .steps_left = run->steps_max ? run->steps_max : TEMPLATE_STEPS_MAX,
                    .memory_bytes_max = run->memory_bytes_max ? run->memory_bytes_max : TEMPLATE_MEMORY_BYTES_MAX,
                    .output_bytes_max = run->output_bytes_max ? run->output_bytes_max : TEMPLATE_OUTPUT_BYTES_MAX },
    };
    shared.budget.memory_bytes_start = shared.arena->used_bytes;
    /* The bound is on what this rendering writes, not on what the buffer held before. The buffer enforces it. */
    size_t limit = out->limit_bytes, max = shared.budget.output_bytes_max + out->n;
    shared.budget.output_bytes_max = max;
    bool tighter = !out->overflow && (limit == 0 || limit > max);
    if (tighter)
        out->limit_bytes = max;
    bool ok = exec_text(&shared, text, out, err);
    if (tighter) {
        out->limit_bytes = limit;
        out->overflow = false;
    }
    if (!run->arena)
        arena_reset(&r->scratch);
    return ok;
}

bool template_render_text(struct template_renderer *r, const struct template_run *run, struct str text, struct buf *out,
                          struct err *err)
{
    return render(r, run, text, false, out, err);
}

bool template_render_html(struct template_renderer *r, const struct template_run *run, struct str text, struct buf *out,
                          struct err *err)
{
    return render(r, run, text, true, out, err);
}
