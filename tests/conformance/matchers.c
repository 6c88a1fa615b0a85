/* Matcher texts through both parsers and the rules above them: results, printed forms, errors, warnings. */
#include "lib/shared.h"
#include "model/matcher.h"

static bool same_matchers(const json_t *want, const struct matchers *got)
{
    if (json_array_size(want) != got->n)
        return false;
    for (size_t i = 0; i < got->n; i++) {
        const json_t *one = json_array_get(want, i);
        if (!str_eq(shared_get_str(one, "name"), got->v[i].name) ||
            !str_eq(shared_get_str(one, "op"), match_op_text(got->v[i].op)) ||
            !str_eq(shared_get_str(one, "value"), got->v[i].value))
            return false;
    }
    return true;
}

static struct str notice_text(const struct matcher_notice *notice)
{
    if (notice->disagreement)
        return STR("warn-disagreement");
    return notice->classic_used ? STR("warn-incompatible") : STR_EMPTY;
}

/* The data name the two warnings in their own way: any text with "disagree" is the one, any other is the other. */
static bool same_notice(const json_t *want, const struct matcher_notice *notice)
{
    struct str text = shared_get_str(want, "warning");
    if (text.p == NULL)
        return notice_text(notice).n == 0;
    bool disagreement = str_contains(text, STR("disagree"));
    return notice->disagreement == disagreement && notice->classic_used != disagreement;
}

struct mode {
    const char *key;
    enum matcher_mode mode;
    bool single;
};

static void check(const struct mode *mode, struct str input, const json_t *want)
{
    struct arena arena;
    arena_init(&arena, 16 * 1024 * 1024);
    struct matchers ms = { 0 };
    struct matcher one = { 0 };
    struct matcher_notice notice;
    struct err err = { 0 };
    struct buf what = { 0 }, text = { 0 };
    buf_printf(&what, "%s %.*s", mode->key, STR_ARG(input));
    bool ok;
    if (mode->single) {
        ok = matcher_parse(&arena, mode->mode, input, &one, &notice, &err);
        ms = (struct matchers){ &one, ok ? 1 : 0 };
    } else {
        ok = matchers_parse(&arena, mode->mode, input, &ms, &notice, &err);
    }
    struct str error = shared_get_str(want, "error"), string = shared_get_str(want, "string");
    matchers_write(&text, &ms);
    if (ok != shared_get_bool(want, "ok", false))
        shared_fail(what.p, "%s, %s", ok ? "taken" : "refused", err.text);
    else if (!ok && error.p != NULL && !str_eq(err_text(&err), error))
        shared_fail(what.p, "error `%s`, want `%.*s`", err.text, STR_ARG(error));
    else if (ok && !same_matchers(json_object_get(want, "parsed"), &ms))
        shared_fail(what.p, "parsed %s", text.p);
    else if (ok && string.p != NULL && !str_eq(buf_view(&text), string))
        shared_fail(what.p, "printed %s, want %.*s", text.p, STR_ARG(string));
    else if (ok && !same_notice(want, &notice))
        shared_fail(what.p, "warning %.*s", STR_ARG(notice_text(&notice)));
    else
        shared_pass();
    matchers_deinit(&ms);
    buf_deinit(&what);
    buf_deinit(&text);
    arena_deinit(&arena);
}

static void run_case(const json_t *value, size_t line, void *arg)
{
    static const struct mode modes[] = {
        { "classic", MATCHER_CLASSIC, false },          { "classic_single", MATCHER_CLASSIC, true },
        { "utf8", MATCHER_UTF8, false },                { "utf8_single", MATCHER_UTF8, true },
        { "fallback", MATCHER_FALLBACK, false },        { "fallback_single", MATCHER_FALLBACK, true },
    };
    (void)line;
    (void)arg;
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        const json_t *want = json_object_get(value, modes[i].key);
        if (want != NULL)
            check(&modes[i], shared_get_str(value, "input"), want);
    }
}

int main(void)
{
    if (shared_begin("matchers"))
        shared_jsonl("conformance/alertmanager/matchers.jsonl", run_case, NULL);
    return shared_finish();
}
