"""Every field of http_config against local servers that refuse when it is missing: each row is sent with its fields, and must pass,
and without them, and must not."""
import base64
import ssl
import urllib.parse

from harness import *
from local_servers import Authority, Gate, Proxy, server_tls, text_of, write


def b64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def wants(name, value):
    return lambda r: None if r.headers.get(name.lower()) == value else f"{name}: {r.headers.get(name.lower())!r}"


def wants_all(name, values):
    return lambda r: None if r.values(name) == values else f"{name}: {r.values(name)!r}"


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class World:
    """Authorities, certificates and secret files, shared by all rows."""

    def __init__(self):
        self.folder = scratch()
        self.ca, self.client_ca = Authority("servers"), Authority("clients")
        self.pair = self.ca.issue("server")
        self.inside = self.ca.issue("inside", "DNS:hooks.inside.example")
        self.client = self.client_ca.issue("tocsin", "DNS:tocsin")

    def file(self, name, text):
        return write(os.path.join(self.folder, name), text)


class Row:
    """fields: what the row is about; base: what is needed besides. gate passes what is sent with both."""

    def __init__(self, name, gate, fields, base=None, url=None, proxy=None, passes_without=False):
        self.name, self.gate, self.fields, self.base = name, gate, fields, base or {}
        self.url, self.proxy, self.passes_without = url or gate.url(), proxy, passes_without

    def merged(self):
        out = dict(self.base)
        for k, v in self.fields.items():
            out[k] = {**out[k], **v} if isinstance(v, dict) and isinstance(out.get(k), dict) else v
        return out


def receiver(name, url, config):
    return {"name": name, "webhook_configs": [{"url": url, "send_resolved": False, "http_config": config}]}


def configuration(receivers):
    return json.dumps({
        "route": {"receiver": "none", "group_by": ["alertname"], "group_wait": "10ms", "group_interval": "1h",
                  "routes": [{"receiver": r["name"], "continue": True} for r in receivers]},
        "receivers": [{"name": "none"}, *receivers]})


def drive(make_rows, env=None):
    """One server sends for every row twice. The two requests differ by their path, /with and /without."""
    world = World()
    rows = make_rows(world)
    receivers = []
    for row in rows:
        receivers.append(receiver(row.name, row.url + "with", row.merged()))
        receivers.append(receiver(row.name + " without", row.url + "without", row.base))
    server = Server(configuration(receivers), env=env)
    post_alerts(server.port, alert("Fields"))

    def paths(row):
        with row.gate.lock:
            return {r.path.rsplit("/", 1)[1] for r in row.gate.passed}

    def all_there():
        return all("with" in paths(row) for row in rows)

    try:
        wait_for("all rows", all_there, 25)
    except AssertionError:
        missing = [f"{row.name} (refused: {row.gate.refused[:3]}, proxy: {row.proxy and row.proxy.refused[:3]})"
                   for row in rows if "with" not in paths(row)]
        raise AssertionError("not delivered: " + "; ".join(missing)) from None
    wait_for("rows that must pass without", lambda: all("without" in paths(row) for row in rows if row.passes_without), 10)

    def all_tried():
        """Whoever is refused by HTTP is refused once; handshakes and dials are repeated."""
        found = samples(server.port)
        return sum(v for k, v in found.items() if k.startswith("alertmanager_notification_requests_total")) >= 2 * len(rows)
    wait_for("every receiver tried", all_tried, 15)
    wrong = [row.name for row in rows if not row.passes_without and "without" in paths(row)]
    assert not wrong, f"passed without the field: {wrong}"
    server.stop()


def credentials():
    def rows(w):
        user, password, token = w.file("user", " alice\n"), w.file("password", "se cret\n"), w.file("token", "tok3n\n")
        b = basic("alice", "se cret")
        extra = {"X-One": {"values": ["a", "b"]}, "X-Secret": {"secrets": ["s1"]}, "X-File": {"files": [token]}}
        return [
            Row("basic inline", Gate(wants("authorization", b)), {"basic_auth": {"username": "alice", "password": "se cret"}}),
            Row("basic files", Gate(wants("authorization", b)), {"basic_auth": {"username_file": user, "password_file": password}}),
            Row("authorization", Gate(wants("authorization", "Token abc")), {"authorization": {"type": "Token", "credentials": "abc"}}),
            Row("authorization file", Gate(wants("authorization", "Bearer tok3n")), {"authorization": {"credentials_file": token}}),
            Row("bearer", Gate(wants("authorization", "Bearer xyz")), {"bearer_token": "xyz"}),
            Row("bearer file", Gate(wants("authorization", "Bearer tok3n")), {"bearer_token_file": token}),
            Row("header values", Gate(wants_all("X-One", ["a", "b"])), {"http_headers": {"X-One": extra["X-One"]}}),
            Row("header secrets", Gate(wants_all("X-Secret", ["s1"])), {"http_headers": {"X-Secret": extra["X-Secret"]}}),
            Row("header files", Gate(wants_all("X-File", ["tok3n"])), {"http_headers": {"X-File": extra["X-File"]}}),
        ]
    drive(rows)


def tls():
    def rows(w):
        ca, pem = {"tls_config": {"ca_file": w.ca.crt}}, text_of(w.ca.crt)
        crt, key = w.client

        def mutual():
            return Gate(lambda r: None if r.client.get("commonName") == "tocsin" else f"client {r.client}",
                        tls=server_tls(w.pair, client_ca=w.client_ca.crt))

        def plain(**kw):
            return Gate(tls=server_tls(w.pair, **kw))
        inside = Gate(tls=server_tls(w.inside))
        by_name = plain()
        only12 = Gate(lambda r: None if r.tls_version == "TLSv1.2" else r.tls_version, tls=server_tls(w.pair))
        return [
            Row("ca file", plain(), ca),
            Row("ca inline", plain(), {"tls_config": {"ca": pem}}),
            Row("ca by name", by_name, ca, url=by_name.url("localhost")),
            Row("skip verify", plain(), {"tls_config": {"insecure_skip_verify": True}}),
            Row("client files", mutual(), {"tls_config": {"cert_file": crt, "key_file": key}}, base=ca),
            Row("client inline", mutual(), {"tls_config": {"cert": text_of(crt), "key": text_of(key)}}, base=ca),
            Row("client mixed", mutual(), {"tls_config": {"cert_file": crt, "key": text_of(key)}}, base=ca),
            Row("server name", inside, {"tls_config": {"server_name": "hooks.inside.example"}}, base=ca),
            Row("max version", only12, {"tls_config": {"max_version": "TLS12"}}, base=ca),
            Row("min version 1.2", plain(max_version=ssl.TLSVersion.TLSv1_2), {"tls_config": {"min_version": "TLS12"}},
                base=ca, passes_without=True),
        ]
    drive(rows)


def min_version_refuses_older_servers():
    w = World()
    gate = Gate(tls=server_tls(w.pair, max_version=ssl.TLSVersion.TLSv1_2))
    server = Server(configuration([receiver("new", gate.url(), {"tls_config": {"ca_file": w.ca.crt, "min_version": "TLS13"}})]))
    post_alerts(server.port, alert("Old"))
    wait_for("a refused handshake", lambda: gate.refused, 15)
    assert not gate.passed
    server.stop()


def http2_is_offered_unless_switched_off():
    w = World()
    trusted = {"tls_config": {"ca_file": w.ca.crt}}
    off, on = (Gate(lambda r: f"alpn {r.alpn}" if r.alpn == "h2" else None, tls=server_tls(w.pair, alpn=["h2", "http/1.1"])) for _ in range(2))
    server = Server(configuration([receiver("off", off.url(), {**trusted, "enable_http2": False}), receiver("on", on.url(), trusted)]))
    post_alerts(server.port, alert("Version"))
    wait_for("HTTP/1.1", lambda: off.passed, 15)
    wait_for("what this server cannot read", lambda: on.refused or "receiver=on" in server.output(), 15)
    assert not on.passed and not off.refused
    server.stop()


def proxies():
    def rows(w):
        ca = {"tls_config": {"ca_file": w.ca.crt}}
        plain, auth, header = (Gate() for _ in range(3))
        secure = [Gate(tls=server_tls(w.pair)) for _ in range(5)]
        p_plain = Proxy(plain)
        p_auth = Proxy(auth, check=wants("proxy-authorization", basic("pu", "pp")))
        p_tunnel = Proxy(secure[0])
        p_header = Proxy(secure[1], connect_check=lambda h: None if h.headers.get_all("X-Who") == ["me", "too"] else "no X-Who")
        p_tunnel_auth = Proxy(secure[2], connect_check=lambda h: None if h.headers.get("Proxy-Authorization") == basic("pu", "pp") else "no auth")
        p_tls = Proxy(header, tls=server_tls(w.pair))
        p_tls_tunnel = Proxy(secure[3], tls=server_tls(w.pair))
        # What is called by the configured name is the proxy, too, as in Go.
        by_name, tunnel_by_name = Gate(), Gate(tls=server_tls(w.inside))
        p_by_name, p_tunnel_by_name = (Proxy(g, tls=server_tls(w.inside)) for g in (by_name, tunnel_by_name))
        named = {"tls_config": {"server_name": "hooks.inside.example"}}
        dead = Proxy(plain, check=lambda r: "nobody goes here")
        direct = [Gate() for _ in range(3)]

        def at(proxy, user=""):
            return {"proxy_url": proxy.url().replace("//", "//" + user, 1)}

        def except_for(text, gate):
            return Row("no_proxy " + text.replace(str(gate.port), "PORT"), gate, {"no_proxy": text}, base=at(dead), url=gate.url("0.0.0.0"), proxy=dead)
        return [
            Row("plain", plain, at(p_plain), url="http://receiver.invalid/", proxy=p_plain),
            Row("with a user", auth, at(p_auth, "pu:pp@"), base=at(p_auth), url="http://receiver.invalid:8080/", proxy=p_auth),
            Row("tunnel", secure[0], at(p_tunnel), base={"tls_config": {"insecure_skip_verify": True}}, url="https://receiver.invalid/", proxy=p_tunnel),
            Row("connect header", secure[1], {"proxy_connect_header": {"X-Who": ["me", "too"]}},
                base={**at(p_header), "tls_config": {"insecure_skip_verify": True}}, url="https://receiver.invalid/", proxy=p_header),
            Row("tunnel with a user", secure[2], at(p_tunnel_auth, "pu:pp@"), base={**at(p_tunnel_auth), "tls_config": {"insecure_skip_verify": True}},
                url="https://receiver.invalid/", proxy=p_tunnel_auth),
            Row("proxy over tls", header, ca, base=at(p_tls), url="http://receiver.invalid/", proxy=p_tls),
            Row("tunnel over tls", secure[3], ca, base=at(p_tls_tunnel), url=secure[3].url("localhost"), proxy=p_tls_tunnel),
            Row("proxy by name", by_name, named, base={**ca, "proxy_url": p_by_name.url("localhost")}, url="http://receiver.invalid/", proxy=p_by_name),
            Row("tunnel by name", tunnel_by_name, named, base={**ca, **at(p_tunnel_by_name)}, url="https://receiver.invalid/", proxy=p_tunnel_by_name),
            except_for("0.0.0.0/8", direct[0]),
            except_for(f"example.com,0.0.0.0:{direct[1].port}", direct[1]),
            except_for("10.0.0.0/8, 0.0.0.0", direct[2]),
        ]
    drive(rows)


def a_no_proxy_entry_with_another_port_does_not_count():
    target = Gate()
    proxy = Proxy(target)
    server = Server(configuration([receiver("p", "http://0.0.0.0:1/", {"proxy_url": proxy.url(), "no_proxy": "0.0.0.0:2,0.0.0.0/32:1"})]))
    post_alerts(server.port, alert("Ports"))
    wait_for("it comes through the proxy", lambda: target.passed, 15)
    server.stop()


def a_proxy_that_has_not_the_configured_name_is_refused():
    w = World()
    gate = Gate(tls=server_tls(w.inside))
    proxy = Proxy(gate, tls=server_tls(w.pair))
    tls = {"tls_config": {"ca_file": w.ca.crt, "server_name": "hooks.inside.example"}}
    server = Server(configuration([receiver("p", "https://receiver.invalid/", {**tls, "proxy_url": proxy.url()})]))
    post_alerts(server.port, alert("Name"))
    wait_for("the failure", lambda: "failed to verify certificate" in server.output(), 15)
    assert not proxy.tunnels and not gate.passed
    server.stop()


def the_proxy_of_the_environment():
    target = Gate()
    proxy, direct = Proxy(target), Gate()

    def rows(_):
        return [Row("environment", target, {"proxy_from_environment": True}, url="http://receiver.invalid/", proxy=proxy),
                Row("its exceptions", direct, {"proxy_from_environment": True}, url=direct.url("0.0.0.0"), passes_without=True)]
    drive(rows, env={"HTTP_PROXY": proxy.url(), "NO_PROXY": "0.0.0.0", "http_proxy": "", "no_proxy": ""})


def redirects():
    def rows(_):
        target = Gate()
        first = Gate(answer=lambda r: (307, {"Location": target.url("127.0.0.1", r.path)}, b""))
        return [Row("followed", target, {"follow_redirects": True}, base={}, url=first.url(), passes_without=True)]
    drive(rows)
    target = Gate()
    first = Gate(answer=lambda r: (307, {"Location": target.url()}, b""))
    server = Server(configuration([receiver("stay", first.url(), {"follow_redirects": False})]))
    post_alerts(server.port, alert("Redirect"))
    wait_for("the redirect", lambda: first.passed, 15)
    wait_for("the failure", lambda: any(v for k, v in samples(server.port).items()
                                        if k.startswith("alertmanager_notification_requests_failed_total") and 'webhook' in k), 15)
    assert not target.passed
    server.stop()


def credentials_do_not_cross_hosts():
    w = World()
    secret = w.file("secret", "topsecret")
    configs = {
        "basic": {"basic_auth": {"username": "u", "password": "p"}},
        "bearer": {"authorization": {"credentials": "abc"}},
        "headers": {"http_headers": {"X-Public": {"values": ["v"]}, "X-Secret": {"secrets": ["s"]}, "X-File": {"files": [secret]}}},
    }
    receivers, pairs = [], {}
    for name, config in configs.items():
        for host in ("127.0.0.1", "localhost"):
            target = Gate()
            first = Gate(answer=lambda r, t=target, h=host: (307, {"Location": t.url(h)}, b""))
            pairs[name, host] = (first, target)
            receivers.append(receiver(f"{name} to {host}", first.url("127.0.0.1"), config))
    server = Server(configuration(receivers))
    post_alerts(server.port, alert("Cross"))
    wait_for("all targets", lambda: all(t.passed for _, t in pairs.values()), 20)
    for (name, host), (first, target) in pairs.items():
        seen, sent = target.passed[0], first.passed[0]
        assert seen.method == "POST" and seen.body == sent.body, (name, host)
        secrets = {"authorization", "x-secret", "x-file"} & set(seen.headers)
        if host == "127.0.0.1":
            assert secrets == {"authorization", "x-secret", "x-file"} & set(sent.headers), (name, host, seen.lines)
        else:
            assert not secrets, (name, host, seen.lines)
        if name == "headers":
            assert seen.headers.get("x-public") == "v"
    server.stop()


class TokenServer(Gate):
    """OAuth2: gives tokens to those whom `judge` (form, headers) finds nothing wrong with."""

    def __init__(self, judge, tls=None):
        self.given = []

        def check(r):
            return judge(dict(urllib.parse.parse_qsl(r.body.decode())), r)

        def answer(_):
            self.given.append(f"token{len(self.given)}")
            return 200, {"Content-Type": "application/json"}, json.dumps(
                {"access_token": self.given[-1], "token_type": "Bearer", "expires_in": 3600}).encode()
        super().__init__(check=check, answer=answer, tls=tls)

    def known(self, r):
        return None if r.headers.get("authorization", "")[7:] in self.given else f"authorization {r.headers.get('authorization')!r}"


def verify_jwt(public, token, algorithm):
    head, claims, signature = token.split(".")
    folder = scratch()
    with open(os.path.join(folder, "sig"), "wb") as f:
        f.write(b64url(signature))
    with open(os.path.join(folder, "text"), "wb") as f:
        f.write(f"{head}.{claims}".encode())
    digest = {"RS256": "-sha256", "RS384": "-sha384", "RS512": "-sha512"}[algorithm]
    code, out, err = run(["openssl", "dgst", digest, "-verify", public, "-signature", os.path.join(folder, "sig"), os.path.join(folder, "text")])
    return (json.loads(b64url(head)), json.loads(b64url(claims))) if code == 0 else (None, out + err)


def oauth2():
    def rows(w):
        secret = w.file("oauth", "s3cr&t\n")
        rsa, public = os.path.join(w.folder, "rsa.key"), os.path.join(w.folder, "rsa.pub")
        Authority.openssl("genrsa", "-out", rsa, "2048")
        Authority.openssl("rsa", "-in", rsa, "-pubout", "-out", public)

        def by_header(form, r):
            if r.headers.get("authorization") != basic("client", urllib.parse.quote_plus("s3cr&t")):
                return f"header {r.headers.get('authorization')}"
            return None if form.get("grant_type") == "client_credentials" and "client_secret" not in form else f"form {form}"

        def by_form(form, r):
            return None if (form.get("client_id"), form.get("client_secret")) == ("client", "s3cr&t") and "authorization" not in r.headers else f"form {form}"

        def with_extras(form, r):
            return None if form.get("scope") == "read write" and form.get("audience") == "a b" else f"form {form}"

        def by_jwt(algorithm):
            def judge(form, r):
                if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
                    return f"form {form}"
                head, claims = verify_jwt(public, form.get("assertion", ".."), algorithm)
                if head is None:
                    return claims
                if (head["alg"], head.get("kid")) != (algorithm, "kid1"):
                    return f"head {head}"
                want = {"iss": "issuer", "sub": "client", "aud": "audience", "extra": {"deep": [1, "x"]}}
                return None if all(claims.get(k) == v for k, v in want.items()) and claims["exp"] > claims["iat"] else f"claims {claims}"
            return judge

        def row(name, tokens, fields, base=None):
            return Row(name, Gate(tokens.known), {"oauth2": {"client_id": "client", "token_url": tokens.url(), **fields}}, base, proxy=tokens)

        def jwt(algorithm, **fields):
            return {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "client_certificate_key_id": "kid1", "iss": "issuer",
                    "audience": "audience", "claims": {"extra": {"deep": [1, "x"]}}, "signature_algorithm": algorithm, **fields}
        behind = TokenServer(by_header)
        way = Proxy(behind)
        return [
            row("client in the header", TokenServer(by_header), {"client_secret": "s3cr&t"}),
            row("client in the form", TokenServer(by_form), {"client_secret": "s3cr&t"}),
            row("secret file", TokenServer(by_header), {"client_secret_file": secret}),
            row("scopes and parameters", TokenServer(with_extras), {"client_secret": "x", "scopes": ["read", "write"], "endpoint_params": {"audience": "a b"}}),
            row("token over tls", TokenServer(by_header, tls=server_tls(w.pair)), {"client_secret": "s3cr&t", "tls_config": {"ca_file": w.ca.crt}}),
            row("token with a client certificate", TokenServer(by_header, tls=server_tls(w.pair, client_ca=w.client_ca.crt)),
                {"client_secret": "s3cr&t", "tls_config": {"ca_file": w.ca.crt, "cert_file": w.client[0], "key_file": w.client[1]}}),
            Row("token through a proxy", Gate(behind.known), {"oauth2": {"client_id": "client", "client_secret": "s3cr&t",
                "token_url": "http://tokens.invalid/", "proxy_url": way.url()}}, proxy=way),
            row("jwt RS256", TokenServer(by_jwt("RS256")), jwt("RS256", client_certificate_key_file=rsa)),
            row("jwt RS384", TokenServer(by_jwt("RS384")), jwt("RS384", client_certificate_key_file=rsa)),
            row("jwt RS512", TokenServer(by_jwt("RS512")), jwt("RS512", client_certificate_key=text_of(rsa))),
        ]
    drive(rows)


def what_changes_on_disk_is_used_by_the_next_notification():
    w = World()
    expected = {"password": "one", "token": "one", "header": "one"}
    files = {k: w.file(k, v) for k, v in expected.items()}
    ca_file, crt, key = (os.path.join(w.folder, n) for n in ("ca.pem", "client.pem", "client.key"))
    write(ca_file, text_of(w.ca.crt)), write(crt, text_of(w.client[0])), write(key, text_of(w.client[1]))
    tokens = TokenServer(lambda f, r: None if r.headers.get("authorization") == basic("c", expected["token"]) else "secret")
    client_name = ["tocsin"]
    gates = {
        "basic": Gate(lambda r: wants("authorization", basic("u", expected["password"]))(r)),
        "bearer": Gate(lambda r: wants("authorization", "Bearer " + expected["token"])(r)),
        "header": Gate(lambda r: wants("x-file", expected["header"])(r)),
        "oauth": Gate(lambda r: None if tokens.given and r.headers.get("authorization") == "Bearer " + tokens.given[-1] else "token"),
        "ca": Gate(tls=server_tls(w.pair)),
        "client": Gate(lambda r: None if r.client.get("commonName") == client_name[0] else f"client {r.client}",
                       tls=server_tls(w.pair, client_ca=w.client_ca.crt)),
    }
    trusted = {"tls_config": {"ca_file": ca_file}}
    configs = {
        "basic": {"basic_auth": {"username": "u", "password_file": files["password"]}},
        "bearer": {"authorization": {"credentials_file": files["token"]}},
        "header": {"http_headers": {"X-File": {"files": [files["header"]]}}},
        "oauth": {"oauth2": {"client_id": "c", "client_secret_file": files["token"], "token_url": tokens.url()}},
        "ca": trusted,
        "client": {"tls_config": {"ca_file": ca_file, "cert_file": crt, "key_file": key}},
    }
    server = Server(configuration([receiver(k, gates[k].url(), v) for k, v in configs.items()]))
    post_alerts(server.port, alert("Before"))

    def passed(n):
        missing = {k: g.refused[:2] for k, g in gates.items() if len(g.passed) < n}
        assert not missing, missing
        return True
    wait_for("the first round", lambda: passed(1), 20)
    # Everything changes: the secrets, the servers' authority and certificates, the client's certificate.
    new_ca = Authority("servers again")
    new_pair = new_ca.issue("server2")
    other = w.client_ca.issue("renewed", "DNS:renewed")
    for k in expected:
        expected[k] = "two"
        write(files[k], "two")
    write(ca_file, text_of(new_ca.crt)), write(crt, text_of(other[0])), write(key, text_of(other[1]))
    client_name[0] = "renewed"
    gates["ca"].tls = server_tls(new_pair)
    gates["client"].tls = server_tls(new_pair, client_ca=w.client_ca.crt)
    post_alerts(server.port, alert("After"))
    wait_for("the second round", lambda: passed(2), 20)
    # And the old authority is trusted no more.
    old = Gate(tls=server_tls(w.pair))
    write(server.config_path, configuration([receiver("old", old.url(), trusted)]))
    assert call(server.port, "POST", "/-/reload")[0] == 200
    post_alerts(server.port, alert("Old authority"))
    wait_for("a refused server", lambda: "receiver=old" in server.output() and "unknown authority" in server.output(), 15)
    assert not old.passed
    server.stop()


if __name__ == "__main__":
    main([credentials, tls, min_version_refuses_older_servers, http2_is_offered_unless_switched_off, proxies, a_no_proxy_entry_with_another_port_does_not_count,
          a_proxy_that_has_not_the_configured_name_is_refused, the_proxy_of_the_environment, redirects, credentials_do_not_cross_hosts, oauth2,
          what_changes_on_disk_is_used_by_the_next_notification])
