/* Any bytes as YAML: what is taken is written, read again and written again; both writings are the same. */
#include "yaml/bind.h"
#include "yaml/doc.h"
#include "yaml/emit.h"

#include <stdint.h>
#include <stdlib.h>

struct holder {
    const struct yaml_node *tree;
};
static const struct bind fields[] = {
    BIND_TREE(struct holder, tree, "tree", "Anything."),
};
static const struct bind_type holder_bind = BIND_TYPE("fuzz.Holder", struct holder, fields);

/* Is the tree one that go-yaml would take (no duplicates, no maps as keys)? */
static bool acceptable(const struct yaml_node *root)
{
    struct yaml_node key = { .kind = YAML_STRING, .text = STR_INIT("tree") };
    struct yaml_pair pair = { .key = &key, .value = root };
    struct yaml_node map = { .kind = YAML_MAPPING, .n = 1, .pairs = &pair };
    struct holder h;
    struct arena arena;
    struct err err = { 0 };
    arena_init(&arena, ARENA_NO_LIMIT);
    struct binding b = { .arena = &arena };
    bool ok = bind_document(&b, &holder_bind, &map, &h, &err);
    arena_deinit(&arena);
    return ok;
}

static bool write_again(struct str text, struct buf *out)
{
    struct yaml_doc doc;
    struct err err = { 0 };
    bool ok = yaml_parse(&doc, text, &err) && doc.root && acceptable(doc.root);
    if (ok) {
        struct yaml_emitter *e = yaml_emitter_new(out);
        yaml_emit_tree(e, doc.root);
        yaml_emit_finish(e);
        yaml_emitter_free(e);
    }
    yaml_doc_deinit(&doc);
    return ok;
}

/* libyaml itself reads some of what it writes differently: line and paragraph separators, byte order marks. */
static bool has_odd_breaks(struct str s)
{
    return str_contains(s, STR("\xe2\x80\xa8")) || str_contains(s, STR("\xe2\x80\xa9")) || str_contains(s, STR("\xc2\x85")) ||
           str_contains(s, STR("\xef\xbb\xbf"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf first = { 0 }, second = { 0 };
    if (size <= 4096 && write_again(str_of((const char *)data, size), &first) && !has_odd_breaks(buf_view(&first)) &&
        first.n < 65536 && write_again(buf_view(&first), &second) && !str_eq(buf_view(&first), buf_view(&second)))
        abort();
    buf_deinit(&first);
    buf_deinit(&second);
    return 0;
}
