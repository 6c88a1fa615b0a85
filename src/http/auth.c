/* Credentials: RFC 7617 and AWS Signature Version 4. */
#include "http/auth.h"

#include "base/clock.h"
#include "base/mem.h"
#include "crypto/hash.h"

#include <stdlib.h>
#include <string.h>

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void base64_write(struct buf *b, struct str s)
{
    for (size_t i = 0; i < s.n; i += 3) {
        uint32_t v = (uint32_t)(uint8_t)s.p[i] << 16;
        if (i + 1 < s.n)
            v |= (uint32_t)(uint8_t)s.p[i + 1] << 8;
        if (i + 2 < s.n)
            v |= (uint8_t)s.p[i + 2];
        const char out[4] = { base64_digits[v >> 18], base64_digits[v >> 12 & 63],
                              i + 1 < s.n ? base64_digits[v >> 6 & 63] : '=',
                              i + 2 < s.n ? base64_digits[v & 63] : '=' };
        buf_append(b, out, sizeof out);
    }
}

/* Padded base64; line ends are skipped, as Go does. */
static bool base64_read(struct str s, char *out, size_t *n)
{
    uint32_t v = 0;
    unsigned digits = 0, pads = 0;
    *n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\r' || s.p[i] == '\n')
            continue;
        if (s.p[i] == '=') {
            pads++;
            continue;
        }
        const char *at = s.p[i] ? strchr(base64_digits, s.p[i]) : NULL;
        if (!at || pads)
            return false;
        v = v << 6 | (uint32_t)(at - base64_digits);
        digits++;
        if (digits % 4 == 0) {
            out[(*n)++] = (char)(v >> 16);
            out[(*n)++] = (char)(v >> 8);
            out[(*n)++] = (char)v;
        }
    }
    unsigned rest = digits % 4;
    if (rest == 1 || pads != (4 - rest) % 4)
        return false;
    if (rest >= 2)
        out[(*n)++] = (char)(rest == 2 ? v >> 4 : v >> 10);
    if (rest == 3)
        out[(*n)++] = (char)(v >> 2);
    return true;
}

void http_basic_write(struct buf *b, struct str user, struct str password)
{
    struct buf pair = { 0 };
    buf_str(&pair, user);
    buf_byte(&pair, ':');
    buf_str(&pair, password);
    buf_c(b, "Basic ");
    base64_write(b, buf_view(&pair));
    explicit_bzero(pair.p, pair.n);
    buf_deinit(&pair);
}

bool http_basic_parse(struct arena *a, struct str value, struct str *user, struct str *password)
{
    if (value.n < 6 || !str_eq_nocase(str_sub(value, 0, 6), STR("Basic ")))
        return false;
    struct str text = str_from(value, 6);
    char *p = arena_try_alloc(a, text.n + 3);
    size_t n;
    if (!p || !base64_read(text, p, &n))
        return false;
    struct str pair = str_of(p, n);
    size_t colon = str_find_byte(pair, ':');
    if (colon == STR_NPOS)
        return false;
    *user = str_sub(pair, 0, colon);
    *password = str_from(pair, colon + 1);
    return true;
}

/* ---- Signature Version 4 ---- */

struct signed_header {
    struct str name, value; /* name in lower case */
};

static int compare_headers(const void *a, const void *b)
{
    return str_cmp(((const struct signed_header *)a)->name, ((const struct signed_header *)b)->name);
}

static int compare_params(const void *a, const void *b)
{
    const struct http_param *x = a, *y = b;
    int c = str_cmp(x->name, y->name);
    return c ? c : str_cmp(x->value, y->value);
}

/* RFC 3986's unreserved bytes as they are, the rest in hex; slashes too unless it is a path. */
static void uri_encode(struct buf *b, struct str s, bool path)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (ascii_is_alnum(c) || c == '-' || c == '_' || c == '.' || c == '~' || (path && c == '/'))
            buf_byte(b, c);
        else
            buf_printf(b, "%%%02X", (unsigned)(unsigned char)c);
    }
}

static void canonical_query(struct arena *a, struct buf *b, struct str query)
{
    struct http_params ps;
    http_params_parse(a, query, &ps);
    if (ps.n)
        qsort(ps.v, ps.n, sizeof *ps.v, compare_params);
    for (size_t i = 0; i < ps.n; i++) {
        if (i)
            buf_byte(b, '&');
        uri_encode(b, ps.v[i].name, false);
        buf_byte(b, '=');
        uri_encode(b, ps.v[i].value, false);
    }
}

/* Trimmed, runs of spaces made one. */
static void canonical_value(struct buf *b, struct str value)
{
    value = str_trim(value);
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] != ' ' || value.p[i - 1] != ' ')
            buf_byte(b, value.p[i]);
}

static struct str lower(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);
    for (size_t i = 0; i < s.n; i++)
        p[i] = ascii_lower(s.p[i]);
    return str_of(p, s.n);
}

static void hmac(const uint8_t key[SHA256_BYTES], struct str text, uint8_t out[SHA256_BYTES])
{
    hmac_sha256(str_of((const char *)key, SHA256_BYTES), text, out);
}

/* The host that is signed: the port is left out if it is the scheme's own. */
static struct str signed_host(struct arena *a, const struct http_url *u)
{
    struct str port = http_url_port(u);
    bool usual = (str_eq(u->scheme, STR("http")) && str_eq(port, STR("80"))) ||
                 (str_eq(u->scheme, STR("https")) && str_eq(port, STR("443")));
    return usual ? arena_str(a, str_sub(u->host, 0, u->host.n - port.n - 1)) : u->host;
}

size_t sigv4_sign(struct arena *a, const struct sigv4_request *req, const struct sigv4_credentials *cred,
                  struct http_header *out)
{
    size_t out_count = 0;
    bool s3 = str_eq(req->service, STR("s3")); /* announces the body's hash, and encodes paths once, not twice */
    struct civil t;
    civil_from_unix(req->now.s, 0, 0, &t);
    struct str date = arena_printf(a, "%04d%02d%02d", (int)t.year, t.month, t.day);
    struct str stamp = arena_printf(a, "%.*sT%02d%02d%02dZ", STR_ARG(date), t.hour, t.minute, t.second);
    struct buf body_hash = { 0 };
    hash_sha256_hex(req->body, &body_hash);
    struct str payload = arena_str(a, buf_view(&body_hash));
    buf_deinit(&body_hash);

    out[out_count++] = (struct http_header){ STR("X-Amz-Date"), stamp };
    if (s3)
        out[out_count++] = (struct http_header){ STR("X-Amz-Content-Sha256"), payload };
    if (cred->session_token.n)
        out[out_count++] = (struct http_header){ STR("X-Amz-Security-Token"), cred->session_token };

    size_t n = 0, capacity = req->headers_count + out_count + 1;
    struct signed_header *h = arena_alloc_array(a, capacity, sizeof *h);
    h[n++] = (struct signed_header){ STR("host"), signed_host(a, req->url) };
    for (size_t i = 0; i < req->headers_count; i++)
        h[n++] = (struct signed_header){ lower(a, req->headers[i].name), req->headers[i].value };
    for (size_t i = 0; i < out_count; i++)
        h[n++] = (struct signed_header){ lower(a, out[i].name), out[i].value };
    qsort(h, n, sizeof *h, compare_headers);

    struct buf names = { 0 }, canonical = { 0 }, path = { 0 };
    buf_str(&canonical, req->method);
    buf_byte(&canonical, '\n');
    http_url_escaped_path(&path, req->url);
    if (path.n == 0)
        buf_byte(&path, '/');
    if (s3)
        buf_str(&canonical, buf_view(&path));
    else
        uri_encode(&canonical, buf_view(&path), true);
    buf_byte(&canonical, '\n');
    canonical_query(a, &canonical, req->url->raw_query);
    buf_byte(&canonical, '\n');
    for (size_t i = 0; i < n; i++) {
        buf_printf(&names, "%s%.*s", i ? ";" : "", STR_ARG(h[i].name));
        buf_str(&canonical, h[i].name);
        buf_byte(&canonical, ':');
        canonical_value(&canonical, h[i].value);
        buf_byte(&canonical, '\n');
    }
    buf_printf(&canonical, "\n%.*s\n%.*s", STR_ARG(buf_view(&names)), STR_ARG(payload));

    struct str scope = arena_printf(a, "%.*s/%.*s/%.*s/aws4_request", STR_ARG(date), STR_ARG(req->region),
                                    STR_ARG(req->service));
    struct buf to_sign = { 0 };
    buf_printf(&to_sign, "AWS4-HMAC-SHA256\n%.*s\n%.*s\n", STR_ARG(stamp), STR_ARG(scope));
    hash_sha256_hex(buf_view(&canonical), &to_sign);

    uint8_t k[SHA256_BYTES];
    struct str secret = arena_printf(a, "AWS4%.*s", STR_ARG(cred->secret_key));
    hmac_sha256(secret, date, k);
    hmac(k, req->region, k);
    hmac(k, req->service, k);
    hmac(k, STR("aws4_request"), k);
    hmac(k, buf_view(&to_sign), k);

    struct buf value = { 0 };
    buf_printf(&value, "AWS4-HMAC-SHA256 Credential=%.*s/%.*s, SignedHeaders=%.*s, Signature=", STR_ARG(cred->access_key),
               STR_ARG(scope), STR_ARG(buf_view(&names)));
    for (size_t i = 0; i < sizeof k; i++)
        buf_printf(&value, "%02x", k[i]);
    out[out_count++] = (struct http_header){ STR("Authorization"), arena_str(a, buf_view(&value)) };
    ASSERT(out_count <= SIGV4_HEADERS_MAX);
    buf_deinit(&value);
    buf_deinit(&to_sign);
    buf_deinit(&canonical);
    buf_deinit(&names);
    buf_deinit(&path);
    return out_count;
}
