/* AWS SNS: Publish by the query protocol, signed. Every failure but a refusal by status is retried, template errors
 * included, as upstream. */
#include "notify/receivers/sns_config.h"

#include "base/utf8.h"
#include "notify/receivers/aws_credentials.h"
#include "notify/receivers/rows.h"
#include "notify/send.h"

#include <stdio.h>
#include <stdlib.h>

#define MESSAGE_BYTES_MAX (256 * 1024)
#define SMS_BYTES_MAX     1600

enum { STATE_CREDENTIALS, STATE_PUBLISH };

struct memory {
    struct str endpoint, body;
    struct aws_credentials credentials;
};

/* ---- the form ---- */

struct pair {
    struct str key, value;
};

static int pair_order(const void *a, const void *b)
{
    return str_cmp(((const struct pair *)a)->key, ((const struct pair *)b)->key);
}

static void write_attributes(struct buf *b, struct pair *v, size_t n)
{
    char name[80];
    qsort(v, n, sizeof *v, pair_order);
    if (n == 0)
        aws_parameter(b, "MessageAttributes", STR_EMPTY);
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "MessageAttributes.entry.%zu.Name", i + 1);
        aws_parameter(b, name, v[i].key);
        snprintf(name, sizeof name, "MessageAttributes.entry.%zu.Value.DataType", i + 1);
        aws_parameter(b, name, STR("String"));
        snprintf(name, sizeof name, "MessageAttributes.entry.%zu.Value.StringValue", i + 1);
        aws_parameter(b, name, v[i].value);
    }
}

/* A field; false with the failure named after it. */
static bool field(struct send_render *r, const char *name, struct str text, struct str *out, struct send_error *why)
{
    *out = send_text(r, text);
    if (r->failed)
        send_retry(why, SEND_REASON_CLIENT, "execute '%s' template: %s", name, r->err.text);
    return !r->failed;
}

struct publish {
    struct pair *attributes;
    size_t attributes_count;
    struct str topic, phone, target, message, subject;
};

static bool render_publish(struct send_attempt *at, const struct sns_config *c, struct send_render *r, struct publish *p,
                           struct send_error *why)
{
    size_t limit = MESSAGE_BYTES_MAX;
    p->attributes = arena_alloc_array(at->arena, c->attributes.n + 1, sizeof *p->attributes);
    for (size_t i = 0; i < c->attributes.n; i++) {
        struct pair *pair = &p->attributes[p->attributes_count++];
        if (!field(r, "attributes", c->attributes.v[i].key, &pair->key, why) ||
            !field(r, "attributes", c->attributes.v[i].value, &pair->value, why))
            return false;
    }
    if (!field(r, "topic_arn", c->topic_arn, &p->topic, why) ||
        !field(r, "phone_number", c->phone_number, &p->phone, why) ||
        !field(r, "target_arn", c->target_arn, &p->target, why) || !field(r, "message", c->message, &p->message, why))
        return false;
    if (!utf8_valid(p->message)) {
        send_retry(why, SEND_REASON_OTHER, "non utf8 encoded message string");
        return false;
    }
    if (c->phone_number.n > 0)
        limit = SMS_BYTES_MAX;
    if (p->message.n > limit) {
        p->message.n = limit;
        p->attributes[p->attributes_count++] = (struct pair){ STR("truncated"), STR("true") };
    }
    return field(r, "subject", c->subject, &p->subject, why);
}

static struct str build_body(struct send_attempt *at, const struct sns_config *c, struct publish *p)
{
    struct buf b = { 0 };
    aws_parameter(&b, "Action", STR("Publish"));
    aws_parameter(&b, "Message", p->message);
    write_attributes(&b, p->attributes, p->attributes_count);
    if (c->topic_arn.n > 0 && str_ends(p->topic, STR(".fifo"))) {
        aws_parameter(&b, "MessageDeduplicationId", send_group_id(at));
        aws_parameter(&b, "MessageGroupId", send_group_id(at));
    }
    if (c->phone_number.n > 0)
        aws_parameter(&b, "PhoneNumber", p->phone);
    if (c->subject.n > 0)
        aws_parameter(&b, "Subject", p->subject);
    if (c->target_arn.n > 0)
        aws_parameter(&b, "TargetArn", p->target);
    if (c->topic_arn.n > 0)
        aws_parameter(&b, "TopicArn", p->topic);
    aws_parameter(&b, "Version", STR("2010-03-31"));
    struct str s = arena_str(at->arena, buf_view(&b));
    buf_deinit(&b);
    return s;
}

/* ---- the attempt ---- */

static struct str find_region(struct send_attempt *at, const struct sns_config *c)
{
    if (c->sigv4.region.n > 0)
        return c->sigv4.region;
    struct str region = aws_environment(at, "AWS_REGION");
    return region.n > 0 ? region : aws_environment(at, "AWS_DEFAULT_REGION");
}

static enum send_verdict publish(struct send_attempt *at, const struct sns_config *c, struct send_request *next,
                                 struct send_error *why)
{
    const struct memory *m = at->memory;
    at->state = STATE_PUBLISH;
    return aws_signed_post(at, &m->credentials.value, m->credentials.region, "sns", c->common.http_config, m->endpoint,
                           m->body, next, why)
               ? SEND_REQUEST
               : SEND_RETRY;
}

static bool build_endpoint(struct send_attempt *at, const struct sns_config *c, struct send_render *r,
                           struct send_error *why)
{
    struct memory *m = at->memory;
    struct str url;
    if (!field(r, "api_url", c->api_url, &url, why))
        return false;
    m->credentials.region = find_region(at, c);
    if (m->credentials.region.n == 0) {
        send_retry(why, SEND_REASON_OTHER, "region not configured in sns.sigv4.region or in default credentials chain");
        return false;
    }
    if (url.n == 0)
        url = aws_endpoint(at, "SNS");
    if (url.n == 0)
        url = arena_printf(at->arena, "https://sns.%.*s.amazonaws.com%s", STR_ARG(m->credentials.region),
                           str_starts(m->credentials.region, STR("cn-")) ? ".cn" : "");
    m->endpoint = send_url_join(at->arena, url, STR_EMPTY);
    return true;
}

static enum send_verdict start(struct send_attempt *at, const struct sns_config *c, struct send_request *next,
                               struct send_error *why)
{
    struct memory *m = at->memory = ARENA_NEW(at->arena, struct memory);
    struct send_render r;
    struct publish p = { 0 };
    m->credentials = (struct aws_credentials){ .config = &c->sigv4, .http = c->common.http_config };
    send_render_init(&r, at, 0);
    if (!build_endpoint(at, c, &r, why) || !render_publish(at, c, &r, &p, why))
        return SEND_RETRY;
    m->body = build_body(at, c, &p);
    at->state = STATE_CREDENTIALS;
    return aws_credentials_start(&m->credentials, at, next, why);
}

static enum send_verdict step(struct send_attempt *at, const struct send_response *res, struct send_request *next,
                              struct send_error *why)
{
    const struct sns_config *c = at->config;
    struct memory *m = at->memory;
    enum send_verdict verdict;
    if (res && at->state == STATE_PUBLISH)
        return res->arrived ? send_check_status(res, 0, aws_element(res->body, "Message"), why)
                            : send_no_answer(res, why, NULL, 0);
    verdict = res ? aws_credentials_answer(&m->credentials, at, res, next, why) : start(at, c, next, why);
    return verdict == SEND_DONE ? publish(at, c, next, why) : verdict;
}

const struct receiver_row sns_row = { RECEIVER_ROW(RECEIVER_SNS, sns, true), .step = step };
