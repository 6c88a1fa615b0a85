/* The HTTP client from the inside: calls under way, their queues, tokens and TLS material; shared by the http_client*.c
 * files. */
#ifndef TOCSIN_IO_HTTP_CLIENT_INT_H
#define TOCSIN_IO_HTTP_CLIENT_INT_H

#include "base/arena.h"
#include "base/map.h"
#include "http/proxy.h"
#include "http/url.h"
#include "io/addr.h"
#include "io/dns.h"
#include "io/host_memory_int.h"
#include "io/http_client.h"
#include "io/tls_int.h"

#include <curl/curl.h>

/* ---- TLS material: PEM texts and files as paths that libcurl can open (http_client_tls.c) ---- */

struct material; /* counted */
struct material_cache;
struct material_cache *material_cache_new(struct fs *fs);
void material_cache_free(struct material_cache *c);
/* A reference to the content of `text`, or of the file; *out stays NULL if both are empty. */
MUST_CHECK bool material_get(struct material_cache *c, struct str text, struct str file, struct material **out,
                             struct err *err);
const char *material_path(const struct material *m); /* "/proc/self/fd/7" */
void material_release(struct material_cache *c, struct material *m);

/* Authorities of `text`, of the file, or of the system if both are empty; a reference. */
struct trust;
MUST_CHECK bool trust_get(struct material_cache *c, struct str text, struct str file, struct trust **out,
                          struct err *err);
const char *trust_label(const struct trust *t);
void trust_release(struct trust *t);
/* Is the session's peer one that may be called `name`? Errors as Go's, "tls: failed to verify certificate: …". */
MUST_CHECK bool trust_verify(const struct trust *t, gnutls_session_t session, struct str name, struct err *err);

/* ---- Calls ---- */

enum call_stage { CALL_NEW, CALL_TOKEN, CALL_QUEUED, CALL_RUNNING, CALL_FAILED, CALL_ZOMBIE };

struct host_queue { /* calls for one host; lives while it has any */
    char *key;
    struct http_call_state *head, *last;
    size_t active, waiting;
    uint64_t hash;            /* for the client's memory of hosts */
    size_t window;            /* calls it may have at once */
    size_t finished, best;    /* calls that ended since the last look, and before the window last grew */
    struct host_queue *prev, *next; /* ring of those with waiting calls */
};

enum call_material { CALL_CERTIFICATE, CALL_KEY, CALL_PROXY_AUTHORITIES, CALL_MATERIALS };

struct http_call_state {
    struct http_client *client;
    struct http_call *call; /* NULL once cancelled inside libcurl */
    enum call_stage stage;
    struct http_call_state *prev, *next;   /* all calls of the client */
    struct http_call_state *queue_next;    /* in its host's queue, or a token's */
    struct http_call_state *queue_prev;    /* in its host's queue */
    struct token *token;                   /* CALL_TOKEN: waited for */
    struct host_queue *host;
    struct loop_timer deadline, later;
    struct arena arena;

    /* The request as it is now, after redirects. */
    struct str method, body;
    struct http_url url, first_url;
    struct str url_text, referer;
    bool has_url;
    bool cross_host;       /* redirected away from where the credentials belong */
    unsigned redirects;
    struct str authorization; /* OAuth's */

    /* The transfer. */
    CURL *easy;
    struct curl_slist *headers, *proxy_headers, *connect_to;
    struct material *materials[CALL_MATERIALS];
    struct trust *trust; /* NULL: plain, or nobody looks */
    bool proxied;
    /* A proxy over TLS that is to be called by another name: libcurl is given that name, and where it is in truth. */
    struct str proxy_name, proxy_host; /* empty: no such thing */
    uint16_t proxy_port;
    struct dns_lookup *lookup; /* of proxy_host, while it is under way */
    struct curl_slist *resolve;
    CURLSH *share; /* a DNS cache of its own: what is told to this call is nobody else's business */
    struct str proxy_label; /* of what a tunnel was asked for with; empty: none */
    struct addr dialed; /* the first address that was tried */
    bool has_dialed;
    char error_text[CURL_ERROR_SIZE];

    /* The answer. */
    struct http_header *answer_headers;
    size_t answer_headers_count, answer_headers_capacity, answer_headers_bytes;
    struct buf body_own;
    size_t body_bytes;
    bool cut, stopped; /* stopped: piece() wants no more */
    struct err err;
    bool timed_out;
};

#define SPARES_MAX 64 /* of each kind, while calls are under way */
struct spares {
    CURL *easy[SPARES_MAX];
    struct http_call_state *states[SPARES_MAX];
    size_t easy_count, states_count;
};

struct http_client {
    struct loop *loop;
    CURLM *multi;
    struct loop_timer curl_timer, start_timer, window_timer;
    bool look_due; /* the windows are looked at when the timer comes again, a turn of the loop later */
    bool in_curl;
    struct map64 watches; /* of libcurl's sockets, by descriptor */
    size_t held_back; /* by their owner */
    struct http_client_stats stats;
    unsigned connections_max;
    struct str user_agent;
    struct http_proxy_rules env_proxy;
    struct arena arena; /* texts of the options */

    struct buf key; /* scratch of enqueue() */

    struct http_call_state *calls;
    struct http_call_state *zombies; /* cancelled inside libcurl */
    struct map hosts;
    struct host_memory memory; /* who answered when last asked */
    struct host_queue *ring; /* whose turn is next */
    size_t active, waiting, open, open_peak;
    struct spares spare; /* what calls that are over left for the next */

    struct material_cache *materials;
    struct map tokens; /* key -> struct token */
    struct dns *dns;   /* NULL until a proxy has to be looked up here */
};

/* Tells libcurl what became of a socket, or that time went by (CURL_SOCKET_TIMEOUT), and ends the calls that it has finished. */
void http_client_socket_action(struct http_client *c, curl_socket_t fd, int events);

/* http_client_watch.c: libcurl's sockets on the loop. For CURLMOPT_SOCKETFUNCTION, CURLOPT_OPENSOCKETFUNCTION and
 * CURLOPT_CLOSESOCKETFUNCTION. */
int http_watch_change(CURL *easy, curl_socket_t fd, int what, void *client, void *socket_arg);
void http_watch_open(struct http_client *c, curl_socket_t fd);
int http_watch_close(void *client, curl_socket_t fd); /* closes fd */
void http_watches_free(struct http_client *c);        /* after libcurl has closed what it had */

void http_client_library_start(void); /* http_client_setup.c; once in a process */

/* http_client_setup.c: the call's request on state->easy. Errors are what the user sees, without the prefix. */
MUST_CHECK bool call_setup(struct http_call_state *s, struct err *err);
/* Tells libcurl where the proxy of another name is. After call_setup() if proxy_host is set. */
void call_place_proxy(struct http_call_state *s, const struct addr *addrs, size_t count);
void call_unshare(struct http_call_state *s);  /* before the handle is reset */
void call_teardown(struct http_call_state *s); /* lists and materials of one transfer */
MUST_CHECK bool read_credential(struct arena *a, struct str inline_text, struct str file, struct str *out,
                                struct err *err);

/* http_client_error.c: the reason of a failed transfer in Go's words. */
void call_explain(struct http_call_state *s, CURLcode code, struct err *err);

/* http_client_token.c */
enum token_answer { TOKEN_READY, TOKEN_WAIT, TOKEN_FAIL };
/* Sets state->authorization, or queues the call until the token is there (call_token_done). */
enum token_answer token_get(struct http_call_state *s, struct err *err);
void token_forget_waiter(struct http_call_state *s);
void tokens_free(struct http_client *c);
/* http_client.c: the token is there, or err says why not. */
void call_token_done(struct http_call_state *s, const struct err *err);

#endif
