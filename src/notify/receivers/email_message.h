/* Mail as bytes: addresses read, headers and bodies written, all as Go's net/mail, mime and mime/multipart do it.
 *
 * Thread: any; pure. */
#ifndef TOCSIN_NOTIFY_RECEIVERS_EMAIL_MESSAGE_H
#define TOCSIN_NOTIFY_RECEIVERS_EMAIL_MESSAGE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>

#define EMAIL_ADDRESSES_MAX 1000

struct email_addresses {
    const struct str *v; /* bare: a@b */
    size_t n;
};
/* An RFC 5322 address list: `Name <a@b>`, comments, groups. Errors as Go's: "mail: no address", ... */
MUST_CHECK bool email_parse_addresses(struct arena *a, struct str text, struct email_addresses *out, struct err *err);

/* A header value: as it is, or in encoded words (`=?utf-8?q?...?=`) if it is not plain ASCII. */
void email_write_word(struct buf *out, struct str value);
/* Quoted-printable, lines of 76 bytes, ends of line as CRLF. */
void email_write_quoted(struct buf *out, struct str text);

struct email_part {
    const char *type; /* "text/plain; charset=UTF-8" */
    struct str text;
};
/* The parts between boundaries, each quoted-printable. */
void email_write_multipart(struct buf *out, struct str boundary, const struct email_part *parts, size_t n);

#endif
