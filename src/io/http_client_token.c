/* OAuth tokens: fetched once per configuration, shared by the calls that need them, kept until shortly before they
 * expire.
 *
 * O1  A token is found by a digest over everything that went into asking for it, the secret included: a changed secret
 *     is another token.
 * O2  While one is being fetched, further calls that need it queue behind the same fetch. A failed fetch fails them all
 *     and is forgotten; the next call tries again.
 * O3  The fetch has copies of all it uses: configurations may be replaced while it is under way. */
#include "base/mem.h"
#include "crypto/ids.h"
#include "http/oauth.h"
#include "io/clock_io.h"
#include "io/http_client_int.h"

#include <string.h>
#include <sys/random.h>

enum { TOKENS_MAX = 1024, FETCH_TIMEOUT_MS = 30 * 1000 };

struct token {
    struct http_client *client;
    struct arena arena; /* of all texts */
    struct str key, secret, authorization;
    mono_ms expires; /* when it is given up */
    bool fetching;
    struct http_call_state *waiters, **waiters_tail;

    struct http_call call;
    struct http_client_config config; /* of the fetch: TLS and proxy of the oauth2 block */
    struct http_oauth2_config oauth;
    struct http_header headers[2];
    bool in_params;
};

/* ---- Copies ---- */

static void copy_str(struct arena *a, struct str *s)
{
    *s = arena_str(a, *s);
}

static struct str_list copy_list(struct arena *a, const struct str_list *l)
{
    struct str *v = arena_alloc_array(a, l->n, sizeof *v);
    for (size_t i = 0; i < l->n; i++)
        v[i] = arena_str(a, l->v[i]);
    return (struct str_list){ v, l->n };
}

static void copy_tls(struct arena *a, struct http_tls_config *t)
{
    struct str *const texts[] = { &t->ca, &t->cert, &t->key, &t->ca_file, &t->cert_file, &t->key_file, &t->server_name };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        copy_str(a, texts[i]);
}

static void copy_proxy(struct arena *a, struct http_proxy_config *p)
{
    copy_str(a, &p->proxy_url);
    copy_str(a, &p->no_proxy);
    struct str_lists_entry *v = arena_alloc_array(a, p->proxy_connect_header.n, sizeof *v);
    for (size_t i = 0; i < p->proxy_connect_header.n; i++) {
        v[i].key = arena_str(a, p->proxy_connect_header.v[i].key);
        v[i].values = copy_list(a, &p->proxy_connect_header.v[i].values);
    }
    p->proxy_connect_header.v = v;
}

/* What the second form needs again; the rest of the block is used at once. */
static void copy_oauth(struct arena *a, struct http_oauth2_config *o)
{
    copy_str(a, &o->client_id);
    copy_str(a, &o->token_url);
    copy_str(a, &o->grant_type);
    o->scopes = copy_list(a, &o->scopes);
    struct str_pair *v = arena_alloc_array(a, o->endpoint_params.n, sizeof *v);
    for (size_t i = 0; i < o->endpoint_params.n; i++)
        v[i] = (struct str_pair){ arena_str(a, o->endpoint_params.v[i].key),
                                  arena_str(a, o->endpoint_params.v[i].value) };
    o->endpoint_params.v = v;
    o->claims = NULL;
}

/* ---- Life ---- */

static void token_free(struct token *t)
{
    if (t->fetching)
        http_client_cancel(t->client, &t->call);
    map_remove(&t->client->tokens, t->key);
    arena_deinit(&t->arena);
    mem_free(t);
}

void tokens_free(struct http_client *c)
{
    for (;;) {
        size_t i = 0;
        struct token *t = map_next(&c->tokens, &i);
        if (!t)
            break;
        ASSERT(!t->waiters);
        token_free(t);
    }
    map_deinit(&c->tokens);
}

static void forget_expired(struct http_client *c, mono_ms now)
{
    struct token *oldest = NULL, *t;
    for (size_t i = 0; (t = map_next(&c->tokens, &i)) != NULL;)
        if (!t->fetching && (!oldest || mono_before(t->expires, oldest->expires)))
            oldest = t;
    if (oldest && (mono_before(oldest->expires, now) || c->tokens.count >= TOKENS_MAX))
        token_free(oldest);
}

/* ---- Fetching ---- */

static void hand_out(struct token *t, const struct err *err)
{
    struct http_call_state *s = t->waiters;
    t->waiters = NULL;
    t->waiters_tail = &t->waiters;
    while (s) {
        struct http_call_state *next = s->queue_next;
        s->queue_next = NULL;
        s->token = NULL;
        if (!err)
            s->authorization = arena_str(&s->arena, t->authorization);
        call_token_done(s, err);
        s = next;
    }
}

static void fetched(void *arg, const struct http_result *r);

static void fetch(struct token *t, struct str form)
{
    size_t n = 0;
    t->headers[n++] = (struct http_header){ STR("Content-Type"), STR("application/x-www-form-urlencoded") };
    if (!oauth_is_jwt(&t->oauth) && !t->in_params)
        t->headers[n++] = (struct http_header){ STR("Authorization"),
                                                oauth_authorization(&t->arena, &t->oauth, t->secret) };
    t->call = (struct http_call){
        .method = STR("POST"),
        .url = t->oauth.token_url,
        .headers = t->headers,
        .headers_count = n,
        .body = form,
        .config = &t->config,
        .timeout_ms = FETCH_TIMEOUT_MS,
        .response_bytes_max = OAUTH_RESPONSE_BYTES_MAX,
        .done = fetched,
        .arg = t,
    };
    t->fetching = true;
    http_client_send(t->client, &t->call);
}

static struct str header_of(const struct http_result *r, struct str name)
{
    for (size_t i = 0; i < r->headers_count; i++)
        if (str_eq_nocase(r->headers[i].name, name))
            return r->headers[i].value;
    return STR_EMPTY;
}

static void fetched(void *arg, const struct http_result *r)
{
    struct token *t = arg;
    struct oauth_token token;
    struct err err = r->err;
    t->fetching = false;
    bool ok = r->arrived && r->err.code == ERR_NONE &&
              oauth_parse(&t->arena, r->status, header_of(r, STR("Content-Type")), r->body, &token, &err);
    if (!ok && r->arrived && !t->in_params && !oauth_is_jwt(&t->oauth)) { /* servers differ: try the other way once */
        t->in_params = true;
        fetch(t, oauth_client_form(&t->arena, &t->oauth, t->secret, true));
        return;
    }
    if (!ok) {
        hand_out(t, &err);
        token_free(t);
        return;
    }
    t->authorization = token.authorization;
    t->expires = MONO_NEVER;
    if (token.lifetime_ms != INT64_MAX)
        t->expires = mono_add(clock_mono(), token.lifetime_ms - OAUTH_EXPIRY_DELTA_MS);
    hand_out(t, NULL);
}

static bool make_form(struct token *t, const struct http_oauth2_config *o, struct str *form, struct err *err)
{
    if (!oauth_is_jwt(o)) {
        *form = oauth_client_form(&t->arena, o, t->secret, false);
        return true;
    }
    uint8_t random[16];
    char id[UUID_TEXT_BYTES + 1];
    ssize_t got = getrandom(random, sizeof random, 0);
    ASSERT(got == sizeof random);
    uuid_v4_text(random, id);
    return oauth_jwt_form(&t->arena, o, t->secret, clock_wall(), str_c(id), form, err);
}

static struct token *token_new(struct http_client *c, const struct http_oauth2_config *o, struct str key,
                               struct str secret, struct err *err)
{
    struct token *t = MEM_NEW(struct token);
    struct str form;
    t->client = c;
    arena_init(&t->arena, ARENA_NO_LIMIT);
    t->key = arena_str(&t->arena, key);
    t->secret = arena_str(&t->arena, secret);
    t->waiters_tail = &t->waiters;
    t->oauth = *o;
    t->config = (struct http_client_config){ .follow_redirects = true, .enable_http2 = true, .tls_config = o->tls_config,
                                             .proxy = o->proxy };
    copy_tls(&t->arena, &t->config.tls_config);
    copy_proxy(&t->arena, &t->config.proxy);
    bool ok = make_form(t, o, &form, err);
    copy_oauth(&t->arena, &t->oauth);
    if (!ok) {
        arena_deinit(&t->arena);
        mem_free(t);
        return NULL;
    }
    map_put(&c->tokens, t->key, t);
    fetch(t, form);
    return t;
}

enum token_answer token_get(struct http_call_state *s, struct err *err)
{
    struct http_client *c = s->client;
    const struct http_oauth2_config *o = s->call->config->oauth2;
    struct str secret;
    bool jwt = oauth_is_jwt(o), ok;
    if (jwt)
        ok = read_credential(&s->arena, o->client_certificate_key, o->client_certificate_key_file, &secret, err);
    else
        ok = read_credential(&s->arena, o->client_secret, o->client_secret_file, &secret, err);
    if (!ok) {
        err_wrap(err, "unable to read oauth2 client secret");
        return TOKEN_FAIL;
    }
    if (secret.n == 0) {
        err_set(err, ERR_INVALID, jwt ? "oauth2 client certificate key is required" : "oauth2 client secret is required");
        return TOKEN_FAIL;
    }
    struct str key = oauth_cache_key(&s->arena, o, secret);
    mono_ms now = clock_mono();
    struct token *t = map_get(&c->tokens, key);
    if (t && !t->fetching && mono_before(now, t->expires)) {
        s->authorization = arena_str(&s->arena, t->authorization);
        return TOKEN_READY;
    }
    if (t && !t->fetching) {
        token_free(t);
        t = NULL;
    }
    if (!t) {
        forget_expired(c, now);
        t = token_new(c, o, key, secret, err);
        if (!t)
            return TOKEN_FAIL;
    }
    s->token = t;
    s->queue_next = NULL;
    *t->waiters_tail = s;
    t->waiters_tail = &s->queue_next;
    return TOKEN_WAIT;
}

void token_forget_waiter(struct http_call_state *s)
{
    struct token *t = s->token;
    if (!t)
        return;
    for (struct http_call_state **at = &t->waiters; *at; at = &(*at)->queue_next) {
        if (*at == s) {
            *at = s->queue_next;
            break;
        }
    }
    t->waiters_tail = &t->waiters;
    while (*t->waiters_tail)
        t->waiters_tail = &(*t->waiters_tail)->queue_next;
    s->token = NULL;
    s->queue_next = NULL;
}
