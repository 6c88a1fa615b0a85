/* Any bytes through the JSON reader: what reads well writes well, and reads the same again. */
#include "json/reader.h"
#include "json/writer.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void copy_value(struct json_reader *r, struct json_writer *w)
{
    struct str s;
    bool b;
    double f;
    switch (jr_peek(r)) {
    case JR_OBJECT:
        jr_object(r);
        jw_object(w);
        while (jr_member(r, &s)) {
            jw_key(w, s);
            copy_value(r, w);
        }
        jw_object_end(w);
        break;
    case JR_ARRAY:
        jr_array(r);
        jw_array(w);
        while (jr_element(r))
            copy_value(r, w);
        jw_array_end(w);
        break;
    case JR_STRING:
        if (jr_str(r, &s))
            jw_str(w, s);
        break;
    case JR_NUMBER:
        if (jr_f64(r, &f))
            jw_f64(w, f);
        break;
    case JR_BOOL:
        if (jr_bool(r, &b))
            jw_bool(w, b);
        break;
    case JR_NULL:
        if (jr_null(r))
            jw_null(w);
        break;
    case JR_NONE:
        jr_skip(r);
        break;
    }
}

static bool copy_text(struct str text, struct buf *out, struct err *err)
{
    struct arena arena;
    arena_init(&arena, 1u << 20);
    struct json_reader r;
    struct json_writer w;
    json_reader_init(&r, text, &arena);
    json_writer_init(&w, out);
    copy_value(&r, &w);
    bool ok = jr_finish(&r, err);
    arena_deinit(&arena);
    return ok;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_of((const char *)data, size);
    struct buf once = { 0 }, twice = { 0 };
    struct err err;
    struct arena arena;
    arena_init(&arena, 0);
    struct json_reader skipper;
    json_reader_init(&skipper, text, &arena);
    bool skipped = jr_skip(&skipper) && jr_finish(&skipper, &err);
    if (copy_text(text, &once, &err)) {
        if (!skipped || !copy_text(buf_view(&once), &twice, &err) || !str_eq(buf_view(&once), buf_view(&twice)))
            abort();
    }
    buf_deinit(&once);
    buf_deinit(&twice);
    arena_deinit(&arena);
    return 0;
}
