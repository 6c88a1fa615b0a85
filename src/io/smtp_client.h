/* Delivery of one e-mail: the dialogue of http/smtp.h over tcp.h and tls.h.
 *
 * Thread: the loop's. */
#ifndef TOCSIN_IO_SMTP_CLIENT_H
#define TOCSIN_IO_SMTP_CLIENT_H

#include "base/clock.h"
#include "base/err.h"
#include "http/smtp.h"
#include "io/dns.h"
#include "io/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct smtp_client;
struct smtp_client *smtp_client_new(struct loop *l, struct dns *dns);
void smtp_client_free(struct smtp_client *c); /* open deliveries are dropped without a callback */

struct smtp_call { /* the caller's storage, as struct http_call */
    const struct smtp_job *job;
    int64_t timeout_ms; /* 0: none */
    void (*done)(void *arg, const struct smtp_result *r);
    void *arg;
    struct smtp_call_state *state;
};
void smtp_client_send(struct smtp_client *c, struct smtp_call *call); /* done is never called from within */
void smtp_client_cancel(struct smtp_client *c, struct smtp_call *call);

#endif
