/* Where AWS's credentials come from, in the order of AWS's SDK for Go:
 *
 *     configured keys -> environment -> web identity -> shared credentials file -> container -> EC2 instance
 *                                            |                                         |            |
 *                                      STS, unsigned                              one GET    token, role, keys
 *
 * and then, with a role, AssumeRole signed by what was found. A configured profile skips the environment.
 *
 * K1: after a failure the next attempt begins at the start: nothing but good credentials is remembered. K2: requests to
 * the machine (container, EC2) carry nothing of the receiver's HTTP configuration: no proxy, no authorization. K3: a
 * container's URL may be plain HTTP only on this machine or a link-local address of AWS, because it gets a token.
 * Bounds: at most three requests for a source and one for the role. */
#include "notify/receivers/aws_credentials.h"

#include "base/clock.h"
#include "base/num.h"
#include "http/ip.h"
#include "http/url.h"
#include "json/reader.h"

#include <stdio.h>

#define REFRESH_BEFORE_MS   (5 * 60 * 1000)  /* of what has an end */
#define LIFETIME_DEFAULT_MS (60 * 60 * 1000) /* of what does not say */
#define CACHE_AGE_MS        (24 * 60 * 60 * 1000)
#define METADATA_TIMEOUT_MS 1000 /* the address answers at once or is not there */
#define CONTAINER_TIMEOUT_MS 5000
#define METADATA_TOKEN_SECONDS "21600"

#define CONTAINER_HOST "http://169.254.170.2"
#define METADATA_PATH  "/latest/meta-data/iam/security-credentials/"

enum {
    STATE_START, STATE_WEB_IDENTITY, STATE_CONTAINER, STATE_METADATA_TOKEN, STATE_METADATA_ROLE, STATE_METADATA_KEYS,
    STATE_ROLE,
};

static enum send_verdict none(struct send_error *why, const char *fmt, ...) PRINTF_LIKE(2, 3);
static enum send_verdict none(struct send_error *why, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    why->reason = SEND_REASON_OTHER;
    err_vset(&why->err, ERR_INVALID, fmt, ap);
    va_end(ap);
    err_wrap(&why->err, "could not get SigV4 credentials");
    return SEND_RETRY;
}

struct str aws_environment(const struct send_attempt *at, const char *name)
{
    return at->env->environment ? at->env->environment(name) : STR_EMPTY;
}

static bool environment_is_true(const struct send_attempt *at, const char *name)
{
    return str_eq_nocase(aws_environment(at, name), STR("true"));
}

struct str aws_endpoint(const struct send_attempt *at, const char *service)
{
    char name[64];
    if (environment_is_true(at, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"))
        return STR_EMPTY;
    snprintf(name, sizeof name, "AWS_ENDPOINT_URL_%s", service);
    struct str own = aws_environment(at, name);
    return own.n > 0 ? own : aws_environment(at, "AWS_ENDPOINT_URL");
}

/* ---- requests ---- */

void aws_parameter(struct buf *b, const char *name, struct str value)
{
    if (b->n > 0)
        buf_byte(b, '&');
    buf_c(b, name);
    buf_byte(b, '=');
    http_query_escape(b, value);
}

static void form_request(struct send_request *next, const struct http_client_config *http, struct str url,
                         struct str body)
{
    *next = (struct send_request){ .method = STR("POST"), .url = url, .body = body, .http = http };
    send_header(next, STR("Content-Type"), STR("application/x-www-form-urlencoded; charset=utf-8"));
}

bool aws_signed_post(struct send_attempt *at, const struct sigv4_credentials *credentials, struct str region,
                     const char *service, const struct http_client_config *http, struct str url, struct str body,
                     struct send_request *next, struct send_error *why)
{
    struct http_url parsed;
    struct err err = { 0 };
    if (!http_url_parse(at->arena, url, &parsed, &err)) {
        send_retry(why, SEND_REASON_OTHER, "%s", err.text);
        return false;
    }
    form_request(next, http, url, body);
    struct sigv4_request q = { .method = next->method, .url = &parsed, .headers = next->headers,
                               .headers_count = next->headers_count, .body = body, .region = region,
                               .service = str_c(service), .now = at->now };
    next->headers_count += sigv4_sign(at->arena, &q, credentials, next->headers + next->headers_count);
    return true;
}

static struct str sts_url(const struct aws_credentials *c, const struct send_attempt *at)
{
    struct str own = aws_endpoint(at, "STS");
    if (own.n > 0)
        return send_url_join(at->arena, own, STR_EMPTY);
    return arena_printf(at->arena, "https://sts%s.%.*s.amazonaws.com%s/", c->config->use_fips_sts_endpoint ? "-fips" : "",
                        STR_ARG(c->region), str_starts(c->region, STR("cn-")) ? ".cn" : "");
}

struct str aws_element(struct str xml, const char *name)
{
    char open[64], close[64];
    snprintf(open, sizeof open, "<%s>", name);
    snprintf(close, sizeof close, "</%s>", name);
    size_t from = str_find(xml, str_c(open));
    struct str s = from == STR_NPOS ? STR_EMPTY : str_from(xml, from + strlen(open));
    size_t to = str_find(s, str_c(close));
    return to == STR_NPOS ? STR_EMPTY : str_sub(s, 0, to);
}

/* ---- what is remembered ---- */

static void remember(struct aws_credentials *c, struct send_attempt *at, struct str expiration)
{
    struct wire_time end;
    int32_t offset;
    int64_t until = wire_time_to_ms(at->now) + LIFETIME_DEFAULT_MS;
    if (expiration.n > 0 && rfc3339_parse(expiration, &end, &offset))
        until = wire_time_to_ms(end);
    struct str s = arena_printf(at->arena, "%.*s\n%.*s\n%.*s\n%lld", STR_ARG(c->value.access_key),
                                STR_ARG(c->value.secret_key), STR_ARG(c->value.session_token), (long long)until);
    send_cache_put(at->cache, c->cache_key, s, at->now);
}

static bool recall(struct aws_credentials *c, struct send_attempt *at)
{
    struct str s = arena_str(at->arena, send_cache_get(at->cache, c->cache_key, at->now, CACHE_AGE_MS)), until;
    struct sigv4_credentials v;
    int64_t ms;
    if (!str_split(&s, '\n', &v.access_key) || !str_split(&s, '\n', &v.secret_key) ||
        !str_split(&s, '\n', &v.session_token) || !str_split(&s, '\n', &until) || !num_parse_i64(until, 10, &ms) ||
        wire_time_to_ms(at->now) >= ms - REFRESH_BEFORE_MS)
        return false;
    c->value = v;
    return true;
}

/* ---- the role ---- */

static struct str session_name(struct send_attempt *at)
{
    return arena_printf(at->arena, "%lld%09d", (long long)at->now.s, (int)at->now.ns);
}

static struct str form(struct send_attempt *at, struct buf *b)
{
    struct str s = arena_str(at->arena, buf_view(b));
    buf_deinit(b);
    return s;
}

/* The source has spoken: value is it, or signs for the role. */
static enum send_verdict have_source(struct aws_credentials *c, struct send_attempt *at, struct send_request *next,
                                     struct send_error *why)
{
    const struct sigv4_config *config = c->config;
    struct buf b = { 0 };
    if (config->role_arn.n == 0)
        return SEND_DONE;
    c->cache_key = arena_printf(at->arena, "aws role\n%.*s\n%.*s\n%.*s\n%.*s", STR_ARG(c->region),
                                STR_ARG(config->role_arn), STR_ARG(config->external_id), STR_ARG(c->value.access_key));
    if (recall(c, at))
        return SEND_DONE;
    c->state = STATE_ROLE;
    aws_parameter(&b, "Action", STR("AssumeRole"));
    if (config->external_id.n > 0)
        aws_parameter(&b, "ExternalId", config->external_id);
    aws_parameter(&b, "RoleArn", config->role_arn);
    aws_parameter(&b, "RoleSessionName", session_name(at));
    aws_parameter(&b, "Version", STR("2011-06-15"));
    return aws_signed_post(at, &c->value, c->region, "sts", c->http, sts_url(c, at), form(at, &b), next, why)
               ? SEND_REQUEST
               : SEND_RETRY;
}

/* ---- web identity ---- */

static enum send_verdict ask_web_identity(struct aws_credentials *c, struct send_attempt *at, struct str path,
                                          struct send_request *next, struct send_error *why)
{
    struct str token, role = aws_environment(at, "AWS_ROLE_ARN"), name = aws_environment(at, "AWS_ROLE_SESSION_NAME");
    struct err err = { 0 };
    struct buf b = { 0 };
    if (role.n == 0)
        return none(why, "role ARN is not set");
    c->cache_key = arena_printf(at->arena, "aws web identity\n%.*s\n%.*s\n%.*s", STR_ARG(c->region), STR_ARG(role),
                                STR_ARG(path));
    if (recall(c, at))
        return have_source(c, at, next, why);
    if (!send_read_file(at, path, false, &token, &err))
        return none(why, "failed to retrieve jwt from provide source: unable to read file at %.*s: %s", STR_ARG(path),
                    err.text);
    c->state = STATE_WEB_IDENTITY;
    aws_parameter(&b, "Action", STR("AssumeRoleWithWebIdentity"));
    aws_parameter(&b, "RoleArn", role);
    aws_parameter(&b, "RoleSessionName", name.n > 0 ? name : session_name(at));
    aws_parameter(&b, "Version", STR("2011-06-15"));
    aws_parameter(&b, "WebIdentityToken", token);
    form_request(next, c->http, sts_url(c, at), form(at, &b));
    return SEND_REQUEST;
}

/* ---- shared credentials file ---- */

static struct str credentials_path(struct send_attempt *at)
{
    struct str path = aws_environment(at, "AWS_SHARED_CREDENTIALS_FILE"), home = aws_environment(at, "HOME");
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

/* ---- container ---- */

/* May this URL be asked over plain HTTP? */
static bool container_host_is_local(struct str host)
{
    struct ip ip;
    if (str_eq(host, STR("localhost")) || str_eq(host, STR("169.254.170.2")) || str_eq(host, STR("169.254.170.23")) ||
        str_eq_nocase(host, STR("fd00:ec2::23")))
        return true;
    return ip_parse(host, &ip) && ip_is_loopback(&ip);
}

/* The value of the Authorization header; false with *why. */
static bool container_token(struct send_attempt *at, struct str *token, struct send_error *why)
{
    struct err err = { 0 };
    struct str path = aws_environment(at, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    *token = aws_environment(at, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    if (path.n > 0 && !send_read_file(at, path, false, token, &err)) {
        none(why, "failed to read authorization token from %.*s: %s", STR_ARG(path), err.text);
        return false;
    }
    if (str_find_byte(*token, '\r') != STR_NPOS || str_find_byte(*token, '\n') != STR_NPOS) {
        none(why, "authorization token contains invalid newline sequence");
        return false;
    }
    return true;
}

static enum send_verdict ask_container(struct aws_credentials *c, struct send_attempt *at, struct str url,
                                       struct send_request *next, struct send_error *why)
{
    struct http_url parsed;
    struct err err = { 0 };
    struct str token;
    c->cache_key = arena_printf(at->arena, "aws container\n%.*s", STR_ARG(url));
    if (recall(c, at))
        return have_source(c, at, next, why);
    if (!http_url_parse(at->arena, url, &parsed, &err))
        return none(why, "invalid URL: %s", err.text);
    if (!str_eq_nocase(parsed.scheme, STR("https")) && !container_host_is_local(http_url_hostname(&parsed)))
        return none(why, "invalid endpoint host, \"%.*s\", only loopback/ecs/eks hosts are allowed.",
                    STR_ARG(http_url_hostname(&parsed)));
    if (!container_token(at, &token, why))
        return SEND_RETRY;
    c->state = STATE_CONTAINER;
    *next = (struct send_request){ .method = STR("GET"), .url = url, .timeout_ms = CONTAINER_TIMEOUT_MS };
    send_header(next, STR("Accept"), STR("application/json"));
    if (token.n > 0)
        send_header(next, STR("Authorization"), token);
    return SEND_REQUEST;
}

/* ---- EC2 ---- */

static struct str metadata_url(struct send_attempt *at)
{
    struct str url = aws_environment(at, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
    if (url.n > 0)
        return url;
    return str_eq_nocase(aws_environment(at, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"), STR("IPv6"))
               ? STR("http://[fd00:ec2::254]")
               : STR("http://169.254.169.254");
}

static enum send_verdict get_metadata(struct aws_credentials *c, struct send_attempt *at, struct str path, int state,
                                      struct send_request *next)
{
    c->state = state;
    *next = (struct send_request){ .method = STR("GET"), .url = send_url_join(at->arena, c->metadata_url, path),
                                   .timeout_ms = METADATA_TIMEOUT_MS };
    if (c->metadata_token.n > 0)
        send_header(next, STR("X-Aws-Ec2-Metadata-Token"), c->metadata_token);
    return SEND_REQUEST;
}

static enum send_verdict ask_metadata(struct aws_credentials *c, struct send_attempt *at, struct send_request *next,
                                      struct send_error *why)
{
    if (environment_is_true(at, "AWS_EC2_METADATA_DISABLED"))
        return none(why, "no valid credential sources found");
    c->metadata_url = metadata_url(at);
    c->cache_key = arena_printf(at->arena, "aws instance\n%.*s", STR_ARG(c->metadata_url));
    if (recall(c, at))
        return have_source(c, at, next, why);
    c->state = STATE_METADATA_TOKEN;
    *next = (struct send_request){ .method = STR("PUT"), .timeout_ms = METADATA_TIMEOUT_MS,
                                   .url = send_url_join(at->arena, c->metadata_url, STR("latest/api/token")) };
    send_header(next, STR("X-Aws-Ec2-Metadata-Token-Ttl-Seconds"), STR(METADATA_TOKEN_SECONDS));
    return SEND_REQUEST;
}

/* No token is no end: a service of the first version knows none, and behind one hop too many nobody gets one. */
static enum send_verdict got_metadata_token(struct aws_credentials *c, struct send_attempt *at,
                                            const struct send_response *res, struct send_request *next,
                                            struct send_error *why)
{
    bool got = res->arrived && res->status == 200;
    bool without = !res->arrived || res->status == 403 || res->status == 404 || res->status == 405;
    if (!got && (!without || environment_is_true(at, "AWS_EC2_METADATA_V1_DISABLED")))
        return none(why, "no EC2 IMDS token: %s",
                    res->arrived ? arena_cstr(at->arena, arena_printf(at->arena, "status %d", res->status)) : res->err.text);
    c->metadata_token = got ? str_trim(res->body) : STR_EMPTY;
    return get_metadata(c, at, STR(METADATA_PATH), STATE_METADATA_ROLE, next);
}

static enum send_verdict got_metadata_role(struct aws_credentials *c, struct send_attempt *at,
                                           const struct send_response *res, struct send_request *next,
                                           struct send_error *why)
{
    struct str rest = res->body, role;
    if (res->status != 200 || !str_split(&rest, '\n', &role) || str_trim(role).n == 0)
        return none(why, "no EC2 IMDS role found: status %d", res->status);
    struct str path = arena_printf(at->arena, METADATA_PATH "%.*s", STR_ARG(str_trim(role)));
    return get_metadata(c, at, path, STATE_METADATA_KEYS, next);
}

/* ---- answers ---- */

/* What containers and instances answer. */
static enum send_verdict got_json(struct aws_credentials *c, struct send_attempt *at, const struct send_response *res,
                                  struct send_request *next, struct send_error *why)
{
    struct json_reader r;
    struct str key, expiration = STR_EMPTY, code = STR_EMPTY, message = STR_EMPTY;
    struct err err = { 0 };
    if (res->status != 200)
        return none(why, "status %d", res->status);
    c->value = (struct sigv4_credentials){ 0 };
    json_reader_init(&r, res->body, at->arena);
    bool ok = jr_object(&r);
    while (ok && jr_member(&r, &key)) {
        struct str *to = str_eq(key, STR("AccessKeyId"))       ? &c->value.access_key
                         : str_eq(key, STR("SecretAccessKey")) ? &c->value.secret_key
                         : str_eq(key, STR("Token"))           ? &c->value.session_token
                         : str_eq(key, STR("Expiration"))      ? &expiration
                         : str_eq(key, STR("Code"))            ? &code
                         : str_eq(key, STR("Message"))         ? &message
                                                               : NULL;
        ok = to && jr_peek(&r) == JR_STRING ? jr_str(&r, to) : jr_skip(&r);
    }
    if (!jr_finish(&r, &err))
        return none(why, "%s", err.text);
    if (code.n > 0 && !str_eq_nocase(code, STR("Success")))
        return none(why, "%.*s: %.*s", STR_ARG(code), STR_ARG(message));
    if (c->value.access_key.n == 0 || c->value.secret_key.n == 0)
        return none(why, "no credentials in the answer");
    remember(c, at, expiration);
    return have_source(c, at, next, why);
}

/* What STS answers. */
static bool got_xml(struct aws_credentials *c, struct send_attempt *at, const struct send_response *res,
                    struct send_error *why)
{
    if (res->status / 100 != 2) {
        (void)send_check_status(res, 0, aws_element(res->body, "Message"), why);
        return false;
    }
    c->value = (struct sigv4_credentials){ aws_element(res->body, "AccessKeyId"),
                                           aws_element(res->body, "SecretAccessKey"),
                                           aws_element(res->body, "SessionToken") };
    if (c->value.access_key.n == 0 || c->value.secret_key.n == 0) {
        none(why, "no credentials in the answer");
        return false;
    }
    remember(c, at, aws_element(res->body, "Expiration"));
    return true;
}

enum send_verdict aws_credentials_answer(struct aws_credentials *c, struct send_attempt *at,
                                         const struct send_response *res, struct send_request *next,
                                         struct send_error *why)
{
    if (c->state == STATE_METADATA_TOKEN)
        return got_metadata_token(c, at, res, next, why);
    if (!res->arrived && (c->state == STATE_WEB_IDENTITY || c->state == STATE_ROLE))
        return send_no_answer(res, why, NULL, 0);
    if (!res->arrived)
        return none(why, "%s", res->err.text);
    switch (c->state) {
    case STATE_WEB_IDENTITY:
        return got_xml(c, at, res, why) ? have_source(c, at, next, why) : SEND_RETRY;
    case STATE_METADATA_ROLE:
        return got_metadata_role(c, at, res, next, why);
    case STATE_ROLE:
        return got_xml(c, at, res, why) ? SEND_DONE : SEND_RETRY;
    default:
        return got_json(c, at, res, next, why);
    }
}

/* ---- the chain ---- */

enum send_verdict aws_credentials_start(struct aws_credentials *c, struct send_attempt *at, struct send_request *next,
                                        struct send_error *why)
{
    const struct sigv4_config *config = c->config;
    struct err err = { 0 };
    struct str text, profile = config->profile;
    c->state = STATE_START;
    c->value = (struct sigv4_credentials){ .access_key = config->access_key, .secret_key = config->secret_key };
    if (c->value.access_key.n == 0 && profile.n == 0) {
        c->value = (struct sigv4_credentials){ aws_environment(at, "AWS_ACCESS_KEY_ID"),
                                               aws_environment(at, "AWS_SECRET_ACCESS_KEY"),
                                               aws_environment(at, "AWS_SESSION_TOKEN") };
        struct str web = aws_environment(at, "AWS_WEB_IDENTITY_TOKEN_FILE");
        if ((c->value.access_key.n == 0 || c->value.secret_key.n == 0) && web.n > 0)
            return ask_web_identity(c, at, web, next, why);
        profile = aws_environment(at, "AWS_PROFILE");
    }
    if (c->value.access_key.n == 0 && send_read_file(at, credentials_path(at), false, &text, &err))
        read_profile(text, profile.n > 0 ? profile : STR("default"), &c->value);
    if (c->value.access_key.n > 0 && c->value.secret_key.n > 0)
        return have_source(c, at, next, why);
    struct str relative = aws_environment(at, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    struct str full = aws_environment(at, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    if (relative.n > 0)
        full = arena_printf(at->arena, CONTAINER_HOST "%.*s", STR_ARG(relative));
    return full.n > 0 ? ask_container(c, at, full, next, why) : ask_metadata(c, at, next, why);
}
