/* The guard as the server sees it, and the thread that compares passwords. */
#ifndef TOCSIN_IO_HTTP_GUARD_INT_H
#define TOCSIN_IO_HTTP_GUARD_INT_H

#include "base/err.h"
#include "crypto/hash.h"
#include "http/message.h"
#include "io/http_guard.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum guard_verdict {
    GUARD_PASS,
    GUARD_BROKEN,
    GUARD_LIMITED,
    GUARD_UNAUTHORIZED,
    GUARD_BUSY,    /* too many comparisons wait */
    GUARD_COMPARE, /* hand the ticket to guard_compare() */
};

struct guard_ticket { /* in the exchange's memory */
    struct guard_ticket *next;
    struct http_guard *guard; /* borrowed: the exchange holds a reference */
    struct str hash, password; /* arena of the exchange, and the guard */
    bool known_user, matched;
    uint8_t digest[SHA256_BYTES];
    void (*done)(struct guard_ticket *t);
};

/* Looks at a request whose headers are there. With GUARD_COMPARE the ticket is filled in. */
enum guard_verdict guard_check(struct http_guard *g, const struct http_request *req, int64_t now_ns,
                               struct guard_ticket *t);
void guard_add_headers(const struct http_guard *g, struct http_response *res);

/* One comparing thread per server, started by the first comparison. */
struct guard_comparer;
struct guard_comparer *guard_comparer_new(void);
void guard_comparer_free(struct guard_comparer *c); /* what waits is done with matched = false */
/* False: too many wait. done is called on the comparer's thread. */
MUST_CHECK bool guard_compare(struct guard_comparer *c, struct guard_ticket *t);

#endif
