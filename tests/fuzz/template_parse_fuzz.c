/* Any text into the parser; what it takes is printed again and must parse to something that prints the same. */
#include "template/func_int.h"
#include "template/template.h"
#include "template/tree_int.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool print(struct arena *a, struct str text, struct buf *out)
{
    struct tree_map trees = { 0 };
    struct err err = { 0 };
    bool ok = tree_parse(a, FUNC_GO | FUNC_ALERTMANAGER, STR("f"), text, &trees, &err);
    if (ok)
        node_write(((struct tree *)map_get(&trees.map, STR("f")))->root, out);
    map_deinit(&trees.map);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct buf once = { 0 }, twice = { 0 };
    if (size > 1 << 16)
        return 0;
    arena_init(&a, ARENA_NO_LIMIT);
    if (print(&a, str_of((const char *)data, size), &once)) {
        /* Trimmed space can make new delimiters of what was text, and printing turns else-ifs into nested ifs, so that
         * depth may end it: only what parses again is compared. Calls need their definitions, but not to parse. */
        if (print(&a, buf_view(&once), &twice) && size < 1000 && !str_contains(buf_view(&once), STR("{{end}}")))
            ASSERT(str_eq(buf_view(&once), buf_view(&twice)));
    }
    buf_deinit(&once);
    buf_deinit(&twice);
    arena_deinit(&a);
    return 0;
}
