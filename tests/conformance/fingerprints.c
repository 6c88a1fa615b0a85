/* Label sets as clients post them: what is kept of them, and both hashes. */
#include "lib/shared.h"
#include "model/labels.h"

#include <inttypes.h>

#define LABELS_MAX 64

static struct labels read_labels(const json_t *object, struct label v[LABELS_MAX])
{
    size_t n = 0;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        ASSERT(n < LABELS_MAX);
        v[n++] = (struct label){ str_c(key), str_of(json_string_value(value), json_string_length(value)) };
    }
    return labels_normalize(v, n);
}

static void run_case(const json_t *value, size_t line, void *arg)
{
    (void)arg;
    struct label given_v[LABELS_MAX], stored_v[LABELS_MAX];
    struct labels given = read_labels(json_object_get(value, "labels"), given_v);
    struct labels stored = read_labels(json_object_get(value, "stored_labels"), stored_v);
    struct buf print = { 0 }, hash = { 0 }, what = { 0 };
    buf_printf(&what, "line %zu", line);
    fingerprint_write(&print, labels_fingerprint(given));
    buf_u64(&hash, labels_nflog_hash(given));
    struct str want_hash = shared_get_str(value, "nflog_hash");
    if (!labels_eq(given, stored))
        shared_fail(what.p, "kept other labels");
    else if (want_hash.p != NULL && !str_eq(buf_view(&hash), want_hash))
        shared_fail(what.p, "nflog hash %s, want %.*s", hash.p, STR_ARG(want_hash));
    else
        shared_check_str(what.p, buf_view(&print), shared_get_str(value, "fingerprint"));
    buf_deinit(&print);
    buf_deinit(&hash);
    buf_deinit(&what);
}

int main(void)
{
    if (shared_begin("fingerprints"))
        shared_jsonl("conformance/alertmanager/fingerprints.jsonl", run_case, NULL);
    return shared_finish();
}
