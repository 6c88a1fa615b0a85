/* URL fields. The normalised text is what is kept: it is what upstream would print and send to. */
#include "http/config_types.h"

#include "http/url.h"

#define SECRET STR(BIND_SECRET_TEXT)

static bool text_is_zero(const void *value)
{
    return ((const struct str *)value)->n == 0;
}

/* Upstream's URLs are pointers: an absent one that is shown is null. */
static void text_emit(struct yaml_emitter *e, const void *value)
{
    if (text_is_zero(value))
        yaml_emit_null(e);
    else
        yaml_emit_str(e, *(const struct str *)value);
}

static void secret_emit(struct yaml_emitter *e, const void *value)
{
    if (text_is_zero(value))
        yaml_emit_null(e);
    else
        yaml_emit_str(e, SECRET);
}

static struct str url_text(struct arena *a, const struct http_url *u)
{
    struct buf b = { 0 };
    http_url_write(&b, u);
    struct str text = arena_str(a, buf_view(&b));
    buf_deinit(&b);
    return text;
}

bool http_url_check(struct arena *a, struct str text, struct str *out, struct err *err)
{
    struct http_url u;
    if (!http_url_parse(a, text, &u, err))
        return false;
    if (!str_eq(u.scheme, STR("http")) && !str_eq(u.scheme, STR("https")))
        return err_set(err, ERR_INVALID, "unsupported scheme %s for URL", bind_quote(u.scheme).text);
    if (u.host.n == 0)
        return err_set(err, ERR_INVALID, "missing host for URL");
    *out = url_text(a, &u);
    return true;
}

static bool url_parse(struct binding *b, struct str text, void *out, struct err *err)
{
    return http_url_check(b->arena, text, out, err);
}

static bool secret_url_parse(struct binding *b, struct str text, void *out, struct err *err)
{
    if (!str_eq(text, SECRET))
        return http_url_check(b->arena, text, out, err);
    *(struct str *)out = SECRET;
    return true;
}

static bool any_url_parse(struct binding *b, struct str text, void *out, struct err *err)
{
    struct http_url u;
    if (!http_url_parse(b->arena, text, &u, err))
        return false;
    *(struct str *)out = url_text(b->arena, &u);
    return true;
}

static void any_url_emit(struct yaml_emitter *e, const void *value)
{
    struct arena scratch;
    struct http_url u;
    struct err err = { 0 };
    struct buf b = { 0 };
    arena_init(&scratch, ARENA_NO_LIMIT);
    if (http_url_parse(&scratch, *(const struct str *)value, &u, &err))
        http_url_write_redacted(&b, &u);
    yaml_emit_str(e, buf_view(&b));
    buf_deinit(&b);
    arena_deinit(&scratch);
}

const struct bind_scalar http_url_scalar = {
    .size = sizeof(struct str),
    .parse = url_parse,
    .emit = text_emit,
    .is_zero = text_is_zero,
};
const struct bind_scalar http_secret_url_scalar = {
    .size = sizeof(struct str),
    .parse = secret_url_parse,
    .emit = secret_emit,
    .is_zero = text_is_zero,
};
const struct bind_scalar http_any_url_scalar = {
    .size = sizeof(struct str),
    .parse = any_url_parse,
    .emit = any_url_emit,
    .is_zero = text_is_zero,
};
