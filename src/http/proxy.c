/* Proxies by environment and by no_proxy: golang.org/x/net/http/httpproxy.
 *
 * Host names that are not ASCII are compared as they are written; Go compares their punycode. */
#include "http/proxy.h"

#include "http/ip.h"

static struct str env(const char *const *environ_, struct str name)
{
    for (size_t i = 0; environ_ && environ_[i]; i++) {
        struct str entry = str_c(environ_[i]);
        if (entry.n > name.n && entry.p[name.n] == '=' && str_starts(entry, name))
            return str_from(entry, name.n + 1);
    }
    return STR_EMPTY;
}

static struct str env_any(const char *const *environ_, struct str upper, struct str lower)
{
    struct str v = env(environ_, upper);
    return v.n ? v : env(environ_, lower);
}

void http_proxy_rules_from_environ(struct http_proxy_rules *r, const char *const *environ_)
{
    *r = (struct http_proxy_rules){
        .http_proxy = env_any(environ_, STR("HTTP_PROXY"), STR("http_proxy")),
        .https_proxy = env_any(environ_, STR("HTTPS_PROXY"), STR("https_proxy")),
        .no_proxy = env_any(environ_, STR("NO_PROXY"), STR("no_proxy")),
        .cgi = env(environ_, STR("REQUEST_METHOD")).n > 0,
    };
}

static bool ends_nocase(struct str s, struct str suffix)
{
    return s.n >= suffix.n && str_eq_nocase(str_from(s, s.n - suffix.n), suffix);
}

/* One entry against a host that is a name. */
static bool domain_matches(struct str entry, struct str entry_port, struct str host, struct str port)
{
    if (str_starts(entry, STR("*.")))
        entry = str_from(entry, 1);
    bool matches;
    if (entry.n && entry.p[0] == '.')
        matches = ends_nocase(host, entry);
    else
        matches = str_eq_nocase(host, entry) ||
                  (host.n > entry.n && host.p[host.n - entry.n - 1] == '.' && ends_nocase(host, entry));
    return matches && (entry_port.n == 0 || str_eq(entry_port, port));
}

static bool entry_matches(struct str entry, struct str host, struct str port, const struct ip *ip)
{
    struct ip_prefix prefix;
    struct str name = entry, entry_port = STR_EMPTY;
    const char *why;
    if (str_eq(entry, STR("*")))
        return true;
    if (ip_prefix_parse(entry, &prefix)) {
        if (!ip)
            return false;
        struct ip unmapped = ip_unmap(ip);
        return ip_prefix_contains(&prefix, &unmapped) || ip_prefix_contains(&prefix, ip);
    }
    if (!host_port_split(entry, &name, &entry_port, &why)) {
        name = entry;
        entry_port = STR_EMPTY;
    }
    if (name.n == 0)
        return false;
    struct ip entry_ip;
    if (ip_parse(name, &entry_ip)) {
        if (!ip)
            return false;
        struct ip a = ip_unmap(&entry_ip), b = ip_unmap(ip);
        return ip_eq(&a, &b) && (entry_port.n == 0 || str_eq(entry_port, port));
    }
    return !ip && domain_matches(name, entry_port, host, port);
}

bool http_proxy_wanted(struct str no_proxy, struct str host_port)
{
    struct str host, port, rest = no_proxy, entry;
    const char *why;
    struct ip ip;
    if (host_port.n == 0)
        return true;
    if (!host_port_split(host_port, &host, &port, &why) || str_eq(host, STR("localhost")))
        return false;
    bool is_ip = ip_parse(host, &ip);
    if (is_ip && ip_is_loopback(&ip))
        return false;
    host = str_trim(host);
    while (str_split(&rest, ',', &entry)) {
        entry = str_trim(entry);
        if (entry.n && entry_matches(entry, host, port, is_ip ? &ip : NULL))
            return false;
    }
    return true;
}

/* The proxy's URL as Go would use it: "host:port" gets http:// in front. Empty if it makes no sense. */
static struct str parse_proxy(struct arena *a, struct str text)
{
    struct http_url u;
    struct err ignored;
    bool ok = http_url_parse(a, text, &u, &ignored);
    if (ok && u.scheme.n && u.host.n)
        return text;
    struct str prefixed = arena_printf(a, "http://%.*s", STR_ARG(text));
    if (http_url_parse(a, prefixed, &u, &ignored))
        return prefixed;
    return ok ? text : STR_EMPTY;
}

static struct str default_port(struct str scheme)
{
    if (str_eq(scheme, STR("http")))
        return STR("80");
    return str_eq(scheme, STR("https")) ? STR("443") : STR_EMPTY;
}

bool http_proxy_for(struct arena *a, const struct http_proxy_rules *r, const struct http_url *u, struct str *proxy,
                    struct err *err)
{
    *proxy = STR_EMPTY;
    bool https = str_eq(u->scheme, STR("https")), http = str_eq(u->scheme, STR("http"));
    struct str text = https ? r->https_proxy : http ? r->http_proxy : STR_EMPTY;
    struct str found = text.n ? parse_proxy(a, text) : text;
    if (found.n == 0)
        return true;
    if (http && r->cgi)
        return err_set(err, ERR_INVALID,
                       "refusing to use HTTP_PROXY value in CGI environment; see golang.org/s/cgihttpproxy");
    struct buf b = { 0 };
    struct str port = http_url_port(u);
    host_port_join(&b, http_url_hostname(u), port.n ? port : default_port(u->scheme));
    if (http_proxy_wanted(r->no_proxy, buf_view(&b)))
        *proxy = found;
    buf_deinit(&b);
    return true;
}
