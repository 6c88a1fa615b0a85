/* Everything a request's lines are read for: media types, Accept, credentials, query strings, addresses, routes. */
#include "http/auth.h"
#include "http/header.h"
#include "http/ip.h"
#include "http/message.h"
#include "http/oauth.h"
#include "http/proxy.h"
#include "http/router.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_route routes[] = {
    { "GET", "/", 1 },           { "GET", "/a/:x", 2 },       { "POST", "/a/:x/", 3 },
    { "GET", "/a/b/*rest", 4 },  { "DELETE", "/A/:x/:y", 5 }, { "OPTIONS", "/a/b", 6 },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_of((const char *)data, size);
    struct arena a;
    struct err err;
    struct http_media_type media;
    struct http_params params;
    struct str user, password, host, port;
    struct ip ip;
    struct ip_prefix prefix;
    struct oauth_token token;
    struct http_route_match m;
    const char *why;
    arena_init(&a, ARENA_NO_LIMIT);
    (void)!http_media_type_parse(&a, text, &media, &err);
    (void)http_accept_quality(text, STR("application/json"));
    (void)http_accept_encoding_quality(text, STR("gzip"));
    (void)http_token_list_has(text, STR("gzip"));
    if (http_basic_parse(&a, text, &user, &password)) {
        struct buf b = { 0 };
        http_basic_write(&b, user, password);
        ASSERT(http_basic_parse(&a, buf_view(&b), &user, &password));
        buf_deinit(&b);
    }
    http_params_parse(&a, text, &params);
    if (ip_parse(text, &ip)) {
        struct buf b = { 0 };
        struct ip back;
        ip_write(&b, &ip);
        ASSERT(ip_parse(buf_view(&b), &back));
        ASSERT(ip_eq(&ip, &back));
        buf_deinit(&b);
    }
    (void)!ip_prefix_parse(text, &prefix);
    (void)!host_port_split(text, &host, &port, &why);
    (void)http_proxy_wanted(text, STR("a.b.example:80"));
    (void)http_proxy_wanted(STR("10.0.0.0/8,.x,y:1"), text);
    (void)!oauth_parse(&a, 200, STR("application/json"), text, &token, &err);
    (void)!oauth_parse(&a, 400, STR("text/plain"), text, &token, &err);
    struct http_request req = { .method = STR("GET"), .query = STR("q"), .arena = &a };
    struct http_response res = { 0 };
    enum http_route_result r = http_route(routes, ARRAY_LEN(routes), size % 2 ? STR("GET") : STR("POST"), text, &a, &m);
    if (r != HTTP_ROUTE_FOUND)
        http_answer_unrouted(&res, &req, r, &m);
    buf_deinit(&res.body);
    arena_deinit(&a);
    return 0;
}
