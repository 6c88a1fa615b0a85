/* AWS SNS: Publish by the query protocol, signed. With a role, its credentials are fetched from STS first and kept while
 * they are good.
 *
 * Every failure but a refusal by status is retried, template errors included, as upstream. Credentials come from the
 * configuration, the environment or the shared credentials file; those of the machine's metadata service are not asked
 * for. */
#include "notify/receivers/sns_config.h"

#include "base/num.h"
#include "base/utf8.h"
#include "http/auth.h"
#include "http/url.h"
#include "notify/receivers/rows.h"
#include "notify/send.h"

#include <stdio.h>
#include <stdlib.h>

#define MESSAGE_BYTES_MAX (256 * 1024)
#define SMS_BYTES_MAX     1600
#define ROLE_AGE_MS       (50 * 60 * 1000) /* STS gives an hour */

enum { STATE_START, STATE_ROLE, STATE_PUBLISH };

struct memory {
    struct str endpoint, body, region;
    struct sigv4_credentials credentials;
    struct str role_key; /* in the cache */
};

/* ---- the form ---- */

static void parameter(struct buf *b, const char *name, struct str value)
{
    if (b->n > 0)
        buf_byte(b, '&');
    buf_c(b, name);
    buf_byte(b, '=');
    http_query_escape(b, value);
}

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
        parameter(b, "MessageAttributes", STR_EMPTY);
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "MessageAttributes.entry.%zu.Name", i + 1);
        parameter(b, name, v[i].key);
        snprintf(name, sizeof name, "MessageAttributes.entry.%zu.Value.DataType", i + 1);
        parameter(b, name, STR("String"));
        snprintf(name, sizeof name, "MessageAttributes.entry.%zu.Value.StringValue", i + 1);
        parameter(b, name, v[i].value);
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
    parameter(&b, "Action", STR("Publish"));
    parameter(&b, "Message", p->message);
    write_attributes(&b, p->attributes, p->attributes_count);
    if (c->topic_arn.n > 0 && str_ends(p->topic, STR(".fifo"))) {
        parameter(&b, "MessageDeduplicationId", send_group_id(at));
        parameter(&b, "MessageGroupId", send_group_id(at));
    }
    if (c->phone_number.n > 0)
        parameter(&b, "PhoneNumber", p->phone);
    if (c->subject.n > 0)
        parameter(&b, "Subject", p->subject);
    if (c->target_arn.n > 0)
        parameter(&b, "TargetArn", p->target);
    if (c->topic_arn.n > 0)
        parameter(&b, "TopicArn", p->topic);
    parameter(&b, "Version", STR("2010-03-31"));
    struct str s = arena_str(at->arena, buf_view(&b));
    buf_deinit(&b);
    return s;
}

/* ---- credentials ---- */

static struct str environment(struct send_attempt *at, const char *name)
{
    return at->env->environment ? at->env->environment(name) : STR_EMPTY;
}

static struct str credentials_path(struct send_attempt *at)
{
    struct str path = environment(at, "AWS_SHARED_CREDENTIALS_FILE"), home = environment(at, "HOME");
    return path.n > 0 ? path : arena_printf(at->arena, "%.*s/.aws/credentials", STR_ARG(home));
}

/* One profile of an INI file. */
static void read_profile(struct str text, struct str profile, struct sigv4_credentials *out)
{
    struct str line;
    bool inside = false;
    while (str_split(&text, '\n', &line)) {
        line = str_trim(line);
        size_t eq = str_find_byte(line, '=');
        if (line.n > 1 && line.p[0] == '[' && line.p[line.n - 1] == ']')
            inside = str_eq(str_trim(str_sub(line, 1, line.n - 2)), profile);
        if (!inside || eq == STR_NPOS || line.p[0] == '#' || line.p[0] == ';')
            continue;
        struct str key = str_trim(str_sub(line, 0, eq)), value = str_trim(str_from(line, eq + 1));
        if (str_eq_nocase(key, STR("aws_access_key_id")))
            out->access_key = value;
        else if (str_eq_nocase(key, STR("aws_secret_access_key")))
            out->secret_key = value;
        else if (str_eq_nocase(key, STR("aws_session_token")))
            out->session_token = value;
    }
}

static bool find_credentials(struct send_attempt *at, const struct sns_config *c, struct sigv4_credentials *out,
                             struct send_error *why)
{
    struct err err = { 0 };
    struct str text, profile = c->sigv4.profile;
    *out = (struct sigv4_credentials){ .access_key = c->sigv4.access_key, .secret_key = c->sigv4.secret_key };
    if (out->access_key.n > 0)
        return true;
    if (profile.n == 0) {
        out->access_key = environment(at, "AWS_ACCESS_KEY_ID");
        out->secret_key = environment(at, "AWS_SECRET_ACCESS_KEY");
        out->session_token = environment(at, "AWS_SESSION_TOKEN");
        profile = environment(at, "AWS_PROFILE");
    }
    if (out->access_key.n == 0 && send_read_file(at, credentials_path(at), false, &text, &err))
        read_profile(text, profile.n > 0 ? profile : STR("default"), out);
    if (out->access_key.n > 0 && out->secret_key.n > 0)
        return true;
    send_retry(why, SEND_REASON_OTHER, "could not get SigV4 credentials: no valid credential sources found");
    return false;
}

static struct str find_region(struct send_attempt *at, const struct sns_config *c)
{
    if (c->sigv4.region.n > 0)
        return c->sigv4.region;
    struct str region = environment(at, "AWS_REGION");
    return region.n > 0 ? region : environment(at, "AWS_DEFAULT_REGION");
}

/* ---- requests ---- */

static bool signed_post(struct send_attempt *at, struct send_request *next, struct str url, struct str body,
                        const char *service, struct send_error *why)
{
    const struct sns_config *c = at->config;
    const struct memory *m = at->memory;
    struct http_url parsed;
    struct err err = { 0 };
    if (!http_url_parse(at->arena, url, &parsed, &err)) {
        send_retry(why, SEND_REASON_OTHER, "%s", err.text);
        return false;
    }
    *next = (struct send_request){ .method = STR("POST"), .url = url, .body = body, .http = c->common.http_config };
    send_header(next, STR("Content-Type"), STR("application/x-www-form-urlencoded; charset=utf-8"));
    struct sigv4_request q = { .method = next->method, .url = &parsed, .headers = next->headers,
                               .headers_count = next->headers_count, .body = body, .region = m->region,
                               .service = str_c(service), .now = at->now };
    next->headers_count += sigv4_sign(at->arena, &q, &m->credentials, next->headers + next->headers_count);
    return true;
}

static enum send_verdict publish(struct send_attempt *at, struct send_request *next, struct send_error *why)
{
    const struct memory *m = at->memory;
    at->state = STATE_PUBLISH;
    return signed_post(at, next, m->endpoint, m->body, "sns", why) ? SEND_REQUEST : SEND_RETRY;
}

static enum send_verdict assume_role(struct send_attempt *at, const struct sns_config *c, struct send_request *next,
                                     struct send_error *why)
{
    const struct memory *m = at->memory;
    struct buf b = { 0 };
    parameter(&b, "Action", STR("AssumeRole"));
    if (c->sigv4.external_id.n > 0)
        parameter(&b, "ExternalId", c->sigv4.external_id);
    parameter(&b, "RoleArn", c->sigv4.role_arn);
    parameter(&b, "RoleSessionName", arena_printf(at->arena, "%lld%09d", (long long)at->now.s, (int)at->now.ns));
    parameter(&b, "Version", STR("2011-06-15"));
    struct str body = arena_str(at->arena, buf_view(&b));
    buf_deinit(&b);
    struct str url = arena_printf(at->arena, "https://sts%s.%.*s.amazonaws.com/",
                                  c->sigv4.use_fips_sts_endpoint ? "-fips" : "", STR_ARG(m->region));
    at->state = STATE_ROLE;
    return signed_post(at, next, url, body, "sts", why) ? SEND_REQUEST : SEND_RETRY;
}

/* ---- answers ---- */

/* The text of an XML element; AWS's answers hold each only once and no markup inside. */
static struct str element(struct str xml, const char *name)
{
    char open[64], close[64];
    snprintf(open, sizeof open, "<%s>", name);
    snprintf(close, sizeof close, "</%s>", name);
    size_t from = str_find(xml, str_c(open));
    struct str s = from == STR_NPOS ? STR_EMPTY : str_from(xml, from + strlen(open));
    size_t to = str_find(s, str_c(close));
    return to == STR_NPOS ? STR_EMPTY : str_sub(s, 0, to);
}

static void cache_role(struct send_attempt *at)
{
    struct memory *m = at->memory;
    struct str s = arena_printf(at->arena, "%.*s\n%.*s\n%.*s", STR_ARG(m->credentials.access_key),
                                STR_ARG(m->credentials.secret_key), STR_ARG(m->credentials.session_token));
    send_cache_put(at->cache, m->role_key, s, at->now);
}

static bool cached_role(struct send_attempt *at)
{
    struct memory *m = at->memory;
    struct str s = arena_str(at->arena, send_cache_get(at->cache, m->role_key, at->now, ROLE_AGE_MS));
    return s.n > 0 && str_split(&s, '\n', &m->credentials.access_key) &&
           str_split(&s, '\n', &m->credentials.secret_key) && str_split(&s, '\n', &m->credentials.session_token);
}

static enum send_verdict refused(const struct send_response *res, struct send_error *why)
{
    return send_check_status(res, 0, element(res->body, "Message"), why);
}

static enum send_verdict got_role(struct send_attempt *at, const struct send_response *res, struct send_request *next,
                                  struct send_error *why)
{
    struct memory *m = at->memory;
    if (res->status / 100 != 2) {
        (void)refused(res, why);
        return SEND_RETRY;
    }
    m->credentials = (struct sigv4_credentials){ element(res->body, "AccessKeyId"),
                                                 element(res->body, "SecretAccessKey"),
                                                 element(res->body, "SessionToken") };
    if (m->credentials.access_key.n == 0 || m->credentials.secret_key.n == 0)
        return send_retry(why, SEND_REASON_OTHER, "could not get SigV4 credentials: no credentials in the answer");
    cache_role(at);
    return publish(at, next, why);
}

/* ---- the start ---- */

static bool build_endpoint(struct send_attempt *at, const struct sns_config *c, struct send_render *r,
                           struct send_error *why)
{
    struct memory *m = at->memory;
    struct str url;
    if (!field(r, "api_url", c->api_url, &url, why))
        return false;
    m->region = find_region(at, c);
    if (m->region.n == 0) {
        send_retry(why, SEND_REASON_OTHER, "region not configured in sns.sigv4.region or in default credentials chain");
        return false;
    }
    if (url.n == 0)
        url = arena_printf(at->arena, "https://sns.%.*s.amazonaws.com%s", STR_ARG(m->region),
                           str_starts(m->region, STR("cn-")) ? ".cn" : "");
    m->endpoint = send_url_join(at->arena, url, STR_EMPTY);
    return true;
}

static enum send_verdict start(struct send_attempt *at, const struct sns_config *c, struct send_request *next,
                               struct send_error *why)
{
    struct memory *m = at->memory = ARENA_NEW(at->arena, struct memory);
    struct send_render r;
    struct publish p = { 0 };
    send_render_init(&r, at, 0);
    if (!build_endpoint(at, c, &r, why) || !render_publish(at, c, &r, &p, why) ||
        !find_credentials(at, c, &m->credentials, why))
        return SEND_RETRY;
    m->body = build_body(at, c, &p);
    if (c->sigv4.role_arn.n == 0)
        return publish(at, next, why);
    m->role_key = arena_printf(at->arena, "sts\n%.*s\n%.*s\n%.*s\n%.*s", STR_ARG(m->region), STR_ARG(c->sigv4.role_arn),
                               STR_ARG(c->sigv4.external_id), STR_ARG(m->credentials.access_key));
    return cached_role(at) ? publish(at, next, why) : assume_role(at, c, next, why);
}

static enum send_verdict step(struct send_attempt *at, const struct send_response *res, struct send_request *next,
                              struct send_error *why)
{
    const struct sns_config *c = at->config;
    if (!res)
        return start(at, c, next, why);
    if (!res->arrived)
        return send_no_answer(res, why, NULL, 0);
    return at->state == STATE_ROLE ? got_role(at, res, next, why) : refused(res, why);
}

const struct receiver_row sns_row = { RECEIVER_ROW(RECEIVER_SNS, sns, true), .step = step };
