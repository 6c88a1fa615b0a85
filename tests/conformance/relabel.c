/* Relabeling rules over label sets. */
#include "base/num.h"
#include "lib/shared.h"
#include "model/relabel.h"

#define LIST_MAX 64

struct rules {
    struct relabel_rule v[LIST_MAX];
    struct str sources[LIST_MAX][LIST_MAX];
    size_t n;
};

/* Numbers stand for their text; those past 63 bits come as text already. */
static struct str text_of(struct arena *a, const json_t *value)
{
    if (json_is_integer(value))
        return arena_printf(a, "%lld", (long long)json_integer_value(value));
    return str_of(json_string_value(value), json_string_length(value));
}

static bool read_rule(struct arena *a, const json_t *rule, struct rules *rules, struct err *err)
{
    struct relabel_rule *r = &rules->v[rules->n];
    *r = (struct relabel_rule){ .target_label = STR_EMPTY };
    const json_t *sources = json_object_get(rule, "source_labels"), *one;
    for (size_t i = 0; i < json_array_size(sources); i++)
        rules->sources[rules->n][i] = text_of(a, json_array_get(sources, i));
    r->source_labels = rules->sources[rules->n];
    r->source_labels_count = json_array_size(sources);
    const struct {
        const char *key;
        struct str *text;
        bool *has;
    } fields[] = {
        { "separator", &r->separator, &r->has_separator },       { "target_label", &r->target_label, NULL },
        { "regex", &r->regex_text, &r->has_regex },              { "replacement", &r->replacement, &r->has_replacement },
        { "action", &r->action_text, &r->has_action },
    };
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if ((one = json_object_get(rule, fields[i].key)) == NULL)
            continue;
        *fields[i].text = text_of(a, one);
        if (fields[i].has != NULL)
            *fields[i].has = true;
    }
    rules->n++;
    if ((one = json_object_get(rule, "modulus")) != NULL && !num_parse_u64(text_of(a, one), 10, &r->modulus))
        return err_set(err, ERR_INVALID, "bad modulus");
    return relabel_rule_prepare(r, NAMES_UTF8, err);
}

static struct labels read_labels(struct arena *a, const json_t *object)
{
    struct label *v = arena_alloc_array(a, json_object_size(object) + 1, sizeof *v);
    size_t n = 0;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
        v[n++] = (struct label){ str_c(key), text_of(a, value) };
    return labels_normalize(v, n);
}

static void judge(struct arena *a, const json_t *value, const struct rules *rules)
{
    struct str id = shared_get_str(value, "id");
    const char *what = arena_cstr(a, id);
    const json_t *expected = json_object_get(value, "expected");
    struct labels out;
    bool kept = relabel_apply(rules->v, rules->n, read_labels(a, json_object_get(value, "input")), a, &out);
    if (kept == json_is_null(expected)) {
        shared_fail(what, "%s", kept ? "kept" : "dropped");
        return;
    }
    if (!kept) {
        shared_pass();
        return;
    }
    struct buf got = { 0 }, want = { 0 };
    labels_write_prometheus(&got, out);
    labels_write_prometheus(&want, read_labels(a, expected));
    shared_check_str(what, buf_view(&got), buf_view(&want));
    buf_deinit(&got);
    buf_deinit(&want);
}

static void run_case(const json_t *value, size_t line, void *arg)
{
    (void)line;
    (void)arg;
    struct arena a;
    arena_init(&a, ARENA_NO_LIMIT);
    static struct rules rules;
    rules.n = 0;
    const json_t *list = json_object_get(value, "rules");
    struct err err = { 0 };
    bool ok = true;
    ASSERT(json_array_size(list) <= LIST_MAX);
    for (size_t i = 0; ok && i < json_array_size(list); i++)
        ok = read_rule(&a, json_array_get(list, i), &rules, &err);
    if (ok)
        judge(&a, value, &rules);
    else
        shared_fail(arena_cstr(&a, shared_get_str(value, "id")), "%s", err.text);
    for (size_t i = 0; i < rules.n; i++)
        relabel_rule_deinit(&rules.v[i]);
    arena_deinit(&a);
}

int main(void)
{
    if (shared_begin("relabel"))
        shared_jsonl("conformance/prometheus/relabel.jsonl", run_case, NULL);
    return shared_finish();
}
