/* OAuth 2.0: client credentials (RFC 6749 4.4) and JWT bearer (RFC 7523 2.1). */
#include "http/oauth.h"

#include "base/num.h"
#include "base/utf8.h"
#include "crypto/hash.h"
#include "crypto/rsa.h"
#include "http/auth.h"
#include "http/header.h"
#include "http/message.h"
#include "http/url.h"
#include "json/reader.h"
#include "json/writer.h"

#include <stdlib.h>

static const int64_t ASSERTION_LIFE_S = 3600;

bool oauth_is_jwt(const struct http_oauth2_config *c)
{
    return str_eq(c->grant_type, STR(HTTP_OAUTH2_GRANT_JWT));
}

/* ---- Forms ---- */

struct form {
    struct arena *arena;
    struct str_pair *v;
    size_t n;
};

static void form_init(struct form *f, struct arena *a, size_t capacity)
{
    *f = (struct form){ .arena = a, .v = arena_alloc_array(a, capacity, sizeof *f->v) };
}

static void form_add(struct form *f, struct str key, struct str value)
{
    f->v[f->n++] = (struct str_pair){ key, value };
}

static int compare_pairs(const void *a, const void *b)
{
    return str_cmp(((const struct str_pair *)a)->key, ((const struct str_pair *)b)->key);
}

/* Sorted by key, as Go's url.Values.Encode. */
static struct str form_encode(struct form *f)
{
    struct buf b = { 0 };
    qsort(f->v, f->n, sizeof *f->v, compare_pairs);
    for (size_t i = 0; i < f->n; i++) {
        buf_c(&b, i ? "&" : "");
        http_query_escape(&b, f->v[i].key);
        buf_byte(&b, '=');
        http_query_escape(&b, f->v[i].value);
    }
    struct str s = arena_str(f->arena, buf_view(&b));
    buf_deinit(&b);
    return s;
}

static struct str joined_scopes(struct arena *a, const struct http_oauth2_config *c)
{
    struct buf b = { 0 };
    for (size_t i = 0; i < c->scopes.n; i++) {
        buf_c(&b, i ? " " : "");
        buf_str(&b, c->scopes.v[i]);
    }
    struct str s = arena_str(a, buf_view(&b));
    buf_deinit(&b);
    return s;
}

static void add_endpoint_params(struct form *f, const struct http_oauth2_config *c)
{
    for (size_t i = 0; i < c->endpoint_params.n; i++)
        form_add(f, c->endpoint_params.v[i].key, c->endpoint_params.v[i].value);
}

struct str oauth_client_form(struct arena *a, const struct http_oauth2_config *c, struct str secret, bool in_params)
{
    struct form f;
    form_init(&f, a, c->endpoint_params.n + 4);
    form_add(&f, STR("grant_type"), STR("client_credentials"));
    if (c->scopes.n)
        form_add(&f, STR("scope"), joined_scopes(a, c));
    add_endpoint_params(&f, c);
    if (in_params) {
        form_add(&f, STR("client_id"), c->client_id);
        if (secret.n)
            form_add(&f, STR("client_secret"), secret);
    }
    return form_encode(&f);
}

struct str oauth_authorization(struct arena *a, const struct http_oauth2_config *c, struct str secret)
{
    struct buf id = { 0 }, pass = { 0 }, b = { 0 };
    http_query_escape(&id, c->client_id);
    http_query_escape(&pass, secret);
    http_basic_write(&b, buf_view(&id), buf_view(&pass));
    struct str s = arena_str(a, buf_view(&b));
    buf_deinit(&id);
    buf_deinit(&pass);
    buf_deinit(&b);
    return s;
}

/* ---- Assertions ---- */

static void base64url(struct buf *b, struct str s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < s.n; i += 3) {
        size_t have = s.n - i < 3 ? s.n - i : 3;
        uint32_t v = 0;
        for (size_t j = 0; j < 3; j++)
            v = v << 8 | (j < have ? (uint8_t)s.p[i + j] : 0);
        for (size_t j = 0; j <= have; j++)
            buf_byte(b, digits[v >> (18 - 6 * j) & 63]);
    }
}

static void write_node(struct json_writer *w, const struct yaml_node *n)
{
    switch (n->kind) {
    case YAML_NULL:
        jw_null(w);
        return;
    case YAML_BOOL:
        jw_bool(w, n->b);
        return;
    case YAML_INT:
        if (n->is_u64)
            jw_u64(w, n->u);
        else
            jw_i64(w, n->i);
        return;
    case YAML_FLOAT:
        if (n->f - n->f == 0) /* finite: JSON has no others */
            jw_f64(w, n->f);
        else
            jw_str(w, n->text);
        return;
    case YAML_TIMESTAMP:
    case YAML_STRING:
        jw_str(w, n->text);
        return;
    case YAML_SEQUENCE:
        jw_array(w);
        for (size_t i = 0; i < n->n; i++)
            write_node(w, n->items[i]);
        jw_array_end(w);
        return;
    case YAML_MAPPING:
        jw_object(w);
        for (size_t i = 0; i < n->n; i++) {
            jw_key(w, n->pairs[i].key->text);
            write_node(w, n->pairs[i].value);
        }
        jw_object_end(w);
        return;
    }
}

static bool has_claim(const struct http_oauth2_config *c, struct str name)
{
    return c->claims && c->claims->kind == YAML_MAPPING && yaml_get(c->claims, name) != NULL;
}

static void claim_str(struct json_writer *w, const struct http_oauth2_config *c, struct str name, struct str value)
{
    if (value.n && !has_claim(c, name))
        jw_kv(w, name, value);
}

static void claim_time(struct json_writer *w, const struct http_oauth2_config *c, struct str name, int64_t unix_s)
{
    if (has_claim(c, name))
        return;
    jw_key(w, name);
    jw_i64(w, unix_s);
}

/* The configured claims replace ours of the same name. */
static void write_claims(struct buf *b, struct arena *a, const struct http_oauth2_config *c, struct wire_time now,
                         struct str id)
{
    struct json_writer w;
    json_writer_init(&w, b);
    jw_object(&w);
    claim_str(&w, c, STR("iss"), c->iss.n ? c->iss : c->client_id);
    claim_str(&w, c, STR("sub"), c->client_id);
    claim_str(&w, c, STR("aud"), c->audience.n ? c->audience : c->token_url);
    claim_str(&w, c, STR("jti"), id);
    claim_str(&w, c, STR("scope"), joined_scopes(a, c));
    claim_time(&w, c, STR("iat"), now.s);
    claim_time(&w, c, STR("exp"), now.s + ASSERTION_LIFE_S);
    if (c->claims && c->claims->kind == YAML_MAPPING) {
        for (size_t i = 0; i < c->claims->n; i++) {
            jw_key(&w, c->claims->pairs[i].key->text);
            write_node(&w, c->claims->pairs[i].value);
        }
    }
    jw_object_end(&w);
}

static const struct {
    struct str name;
    enum rsa_hash hash;
} algorithms[] = {
    { STR_INIT("RS256"), RSA_SHA256 },
    { STR_INIT("RS384"), RSA_SHA384 },
    { STR_INIT("RS512"), RSA_SHA512 },
};

bool oauth_jwt_form(struct arena *a, const struct http_oauth2_config *c, struct str key_pem, struct wire_time now,
                    struct str id, struct str *form, struct err *err)
{
    size_t alg = 0;
    for (size_t i = 0; i < ARRAY_LEN(algorithms); i++)
        if (str_eq(algorithms[i].name, c->signature_algorithm))
            alg = i;
    struct buf head = { 0 }, claims = { 0 }, jwt = { 0 }, signature = { 0 };
    struct json_writer w;
    json_writer_init(&w, &head);
    jw_object(&w);
    jw_kv(&w, STR("alg"), algorithms[alg].name);
    if (c->client_certificate_key_id.n)
        jw_kv(&w, STR("kid"), c->client_certificate_key_id);
    jw_kv(&w, STR("typ"), STR("JWT"));
    jw_object_end(&w);
    write_claims(&claims, a, c, now, id);
    base64url(&jwt, buf_view(&head));
    buf_byte(&jwt, '.');
    base64url(&jwt, buf_view(&claims));
    bool ok = rsa_sign(key_pem, algorithms[alg].hash, buf_view(&jwt), &signature, err);
    if (ok) {
        buf_byte(&jwt, '.');
        base64url(&jwt, buf_view(&signature));
        struct form f;
        form_init(&f, a, c->endpoint_params.n + 3);
        form_add(&f, STR("grant_type"), STR(HTTP_OAUTH2_GRANT_JWT));
        form_add(&f, STR("assertion"), arena_str(a, buf_view(&jwt)));
        if (c->scopes.n)
            form_add(&f, STR("scope"), joined_scopes(a, c));
        add_endpoint_params(&f, c);
        *form = form_encode(&f);
    }
    buf_deinit(&head);
    buf_deinit(&claims);
    buf_deinit(&jwt);
    buf_deinit(&signature);
    return ok;
}

/* ---- Answers ---- */

struct answer {
    struct str access_token, token_type, error, description, uri;
    double expires_in_s;
};

static void answer_set(struct answer *out, struct str key, struct str value)
{
    double v;
    if (str_eq(key, STR("access_token")))
        out->access_token = value;
    else if (str_eq(key, STR("token_type")))
        out->token_type = value;
    else if (str_eq(key, STR("error")))
        out->error = value;
    else if (str_eq(key, STR("error_description")))
        out->description = value;
    else if (str_eq(key, STR("error_uri")))
        out->uri = value;
    else if (str_eq(key, STR("expires_in")) && num_parse_f64(value, &v, NULL))
        out->expires_in_s = v;
}

static bool read_json(struct arena *a, struct str body, struct answer *out, struct err *err)
{
    struct json_reader r;
    struct str key, value;
    json_reader_init(&r, body, a);
    jr_object(&r);
    while (jr_member(&r, &key)) {
        enum jr_type t = jr_peek(&r);
        if (t == JR_STRING && jr_str(&r, &value))
            answer_set(out, key, value);
        else if (t == JR_NUMBER && jr_number(&r, &value))
            answer_set(out, key, value);
        else
            jr_skip(&r);
    }
    return jr_finish(&r, err);
}

static void read_form(struct arena *a, struct str body, struct answer *out)
{
    struct http_params ps;
    http_params_parse(a, body, &ps);
    for (size_t i = 0; i < ps.n; i++)
        answer_set(out, ps.v[i].name, ps.v[i].value);
}

static bool fail_with(const struct answer *ans, int status, struct str body, struct err *err)
{
    struct buf b = { 0 };
    if (ans->error.n) {
        buf_c(&b, "oauth2: ");
        go_quote(&b, ans->error);
        if (ans->description.n) {
            buf_byte(&b, ' ');
            go_quote(&b, ans->description);
        }
        if (ans->uri.n) {
            buf_byte(&b, ' ');
            go_quote(&b, ans->uri);
        }
    } else {
        buf_printf(&b, "oauth2: cannot fetch token: %d %.*s\nResponse: %.*s", status, STR_ARG(http_status_text(status)),
                   STR_ARG(str_sub(body, 0, 512)));
    }
    err_set(err, ERR_IO, "%.*s", STR_ARG(buf_view(&b)));
    buf_deinit(&b);
    return false;
}

static struct str type_name(struct str type)
{
    static const struct {
        struct str lower, proper;
    } types[] = {
        { STR_INIT("bearer"), STR_INIT("Bearer") },
        { STR_INIT("mac"), STR_INIT("MAC") },
        { STR_INIT("basic"), STR_INIT("Basic") },
    };
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (str_eq_nocase(type, types[i].lower))
            return types[i].proper;
    return type.n ? type : STR("Bearer");
}

bool oauth_parse(struct arena *a, int status, struct str content_type, struct str body, struct oauth_token *token,
                 struct err *err)
{
    struct answer ans = { 0 };
    struct http_media_type media;
    struct err why;
    bool ok = status >= 200 && status <= 299, read = true;
    if (!http_media_type_parse(a, content_type, &media, &why))
        media.type = STR_EMPTY;
    if (str_eq(media.type, STR("application/x-www-form-urlencoded")) || str_eq(media.type, STR("text/plain")))
        read_form(a, body, &ans);
    else
        read = read_json(a, body, &ans, &why);
    if (!ok || (read && ans.error.n))
        return fail_with(&ans, status, body, err);
    if (!read)
        return err_set(err, ERR_IO, "oauth2: cannot parse json: %s", why.text);
    if (ans.access_token.n == 0)
        return err_set(err, ERR_IO, "oauth2: server response missing access_token");
    if (!http_header_value_valid(ans.access_token) || !http_header_value_valid(ans.token_type))
        return err_set(err, ERR_IO, "oauth2: server response has control characters in its token");
    token->authorization = arena_printf(a, "%.*s %.*s", STR_ARG(type_name(ans.token_type)), STR_ARG(ans.access_token));
    token->lifetime_ms = INT64_MAX;
    if (ans.expires_in_s > 0 && ans.expires_in_s < 1e12)
        token->lifetime_ms = (int64_t)(ans.expires_in_s * 1000);
    return true;
}

static void add_text(struct buf *b, struct str s)
{
    buf_printf(b, "%zu:", s.n);
    buf_str(b, s);
}

struct str oauth_cache_key(struct arena *a, const struct http_oauth2_config *c, struct str secret)
{
    struct buf b = { 0 }, hex = { 0 };
    const struct str parts[] = { c->client_id,     secret,    c->client_certificate_key_id, c->grant_type,
                                 c->signature_algorithm, c->iss, c->audience,                c->token_url };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        add_text(&b, parts[i]);
    for (size_t i = 0; i < c->scopes.n; i++)
        add_text(&b, c->scopes.v[i]);
    buf_byte(&b, ';');
    for (size_t i = 0; i < c->endpoint_params.n; i++) {
        add_text(&b, c->endpoint_params.v[i].key);
        add_text(&b, c->endpoint_params.v[i].value);
    }
    if (c->claims) {
        struct json_writer w;
        json_writer_init(&w, &b);
        write_node(&w, c->claims);
    }
    hash_sha256_hex(buf_view(&b), &hex);
    struct str key = arena_str(a, buf_view(&hex));
    explicit_bzero(b.p, b.n);
    buf_deinit(&b);
    buf_deinit(&hex);
    return key;
}
