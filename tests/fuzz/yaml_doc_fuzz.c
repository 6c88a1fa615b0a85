/* Any bytes as YAML: what is taken is written and read until its forms have settled (-.0 becomes -0, then 0); from then
 * on writings are equally long (go-yaml's order of keys is no total order where digits abound). */
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

/* libyaml itself reads some of what it writes differently: line and paragraph separators, byte order marks. And a key -.0
 * becomes -0, which is the same key as 0. */
static bool cannot_come_back(struct str s)
{
    return str_contains(s, STR("-0")) || str_contains(s, STR("\xe2\x80\xa8")) ||
           str_contains(s, STR("\xe2\x80\xa9")) || str_contains(s, STR("\xc2\x85")) ||
           str_contains(s, STR("\xef\xbb\xbf"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf first = { 0 }, second = { 0 }, third = { 0 };
    bool taken = size <= 4096 && write_again(str_of((const char *)data, size), &first) && first.n < 65536 &&
                 !cannot_come_back(buf_view(&first));
    if (taken &&
        (!write_again(buf_view(&first), &second) || !write_again(buf_view(&second), &third) || second.n != third.n))
        abort();
    buf_deinit(&first);
    buf_deinit(&second);
    buf_deinit(&third);
    return 0;
}
