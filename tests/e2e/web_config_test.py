"""The web configuration file: TLS, client certificates, users, headers, rate limit, and their change while serving."""
import base64
import ssl

from harness import *

QUIET = "route: {receiver: none}\nreceivers: [{name: none}]\n"
# bcrypt of "secret", cost 4.
SECRET = "$2b$04$wdTr0JedUidnsnE0pDGl/e/Rn/9VBv738dlYNb0PgK3niRbJU8q.C"


def write(path, text):
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(text)
    os.rename(path + ".new", path)


class Authority:
    """A certificate authority by openssl, in a folder of its own."""

    def __init__(self, name):
        self.folder = scratch()
        self.crt, self.key = os.path.join(self.folder, "ca.crt"), os.path.join(self.folder, "ca.key")
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                      "-keyout", self.key, "-out", self.crt, "-subj", f"/CN={name}")

    @staticmethod
    def _openssl(*args):
        code, _, err = run(["openssl", *args])
        assert code == 0, err

    def issue(self, name, san="DNS:localhost,IP:127.0.0.1"):
        """(certificate, key), files."""
        crt, key, csr, ext = (os.path.join(self.folder, name + s) for s in (".crt", ".key", ".csr", ".ext"))
        self._openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
                      "-out", csr, "-subj", f"/CN={name}")
        write(ext, f"subjectAltName={san}\n")
        self._openssl("x509", "-req", "-in", csr, "-CA", self.crt, "-CAkey", self.key, "-CAcreateserial", "-days", "2",
                      "-extfile", ext, "-out", crt)
        return crt, key


class Web:
    """A server with a web configuration file."""

    def __init__(self, text, wait=True, **files):
        self.folder = scratch()
        self.path = os.path.join(self.folder, "web.yml")
        for name, source in files.items():
            self.put(name, source)
        write(self.path, text)
        self.server = Server(QUIET, extra=[f"--web.config.file={self.path}"], wait=False)
        self.port = self.server.port
        if wait:
            def bound():
                assert self.server.alive(), self.server.output()
                return "Listening on" in self.server.output()
            wait_for("the listener", bound, 20)

    def put(self, name, source):
        """A copy beside the web configuration; replaced as a whole, as mounted secrets are."""
        target = os.path.join(self.folder, name)
        shutil.copy(source, target + ".new")
        os.rename(target + ".new", target)

    def rewrite(self, text):
        write(self.path, text)

    def get(self, path="/-/healthy", user=None, password=None, headers=None):
        sent = dict(headers or {})
        if user is not None:
            sent["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        return call(self.port, "GET", path, headers=sent)


def handshake(port, ca, client=None, path="/-/healthy", minimum=None, maximum=None):
    """(status, headers, the server's certificate as DER)."""
    context = ssl.create_default_context(cafile=ca)
    if client:
        context.load_cert_chain(*client)
    if minimum:
        context.minimum_version = minimum
    if maximum:
        context.maximum_version = maximum
    connection = http.client.HTTPSConnection("localhost", port, timeout=10, context=context)
    connection.sock = context.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=10), server_hostname="localhost")
    try:
        shown = connection.sock.getpeercert(True)
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, shown
    finally:
        connection.close()


def handshake_fails(*args, **kw):
    try:
        handshake(*args, **kw)
    except (ssl.SSLError, ConnectionError, http.client.HTTPException):
        return True
    return False


TLS = "tls_server_config: {cert_file: server_crt, key_file: server_key}\n"


def tls_is_served_and_plain_http_is_not():
    ca = Authority("one")
    crt, key = ca.issue("server")
    web = Web(TLS, server_crt=crt, server_key=key)
    assert handshake(web.port, ca.crt)[0] == 200
    assert handshake_fails(web.port, Authority("two").crt)
    assert 'msg="TLS is enabled."' in web.server.output()
    try:
        status = call(web.port, "GET", "/-/healthy", timeout=5)[0]
    except (http.client.HTTPException, OSError):
        status = None
    assert status != 200, status
    assert handshake(web.port, ca.crt)[0] == 200
    assert web.server.stop() == 0


def versions_outside_the_range_are_refused():
    ca = Authority("one")
    crt, key = ca.issue("server")
    web = Web("tls_server_config: {cert_file: server_crt, key_file: server_key, min_version: TLS13}\n",
              server_crt=crt, server_key=key)
    assert handshake(web.port, ca.crt)[0] == 200
    assert handshake_fails(web.port, ca.crt, maximum=ssl.TLSVersion.TLSv1_2)
    web = Web("tls_server_config: {cert_file: server_crt, key_file: server_key, max_version: TLS12}\n",
              server_crt=crt, server_key=key)
    assert handshake(web.port, ca.crt)[0] == 200
    assert handshake_fails(web.port, ca.crt, minimum=ssl.TLSVersion.TLSv1_3)


def client_certificates_are_asked_for_as_configured():
    ca, stranger = Authority("one"), Authority("two")
    crt, key = ca.issue("server")
    known, unknown = ca.issue("client"), stranger.issue("client")
    allowed = ca.issue("ops", san="DNS:ops.example,email:ops@example.com")
    base = "tls_server_config: {cert_file: server_crt, key_file: server_key, client_auth_type: %s%s}\n"
    with_ca = ", client_ca_file: ca_crt"
    for kind, extra, outcome in (
            ("RequireAndVerifyClientCert", with_ca, {None: False, known: True, unknown: False}),
            ("VerifyClientCertIfGiven", with_ca, {None: True, known: True, unknown: False}),
            ("RequireAnyClientCert", "", {None: False, known: True, unknown: True}),
            ("RequestClientCert", "", {None: True, known: True, unknown: True}),
            ("RequireAndVerifyClientCert", with_ca + ", client_allowed_sans: [ops.example]",
             {None: False, known: False, allowed: True})):
        web = Web(base % (kind, extra), server_crt=crt, server_key=key, ca_crt=ca.crt)
        for client, good in outcome.items():
            who = os.path.basename(client[0]) if client else "nobody"
            assert handshake_fails(web.port, ca.crt, client=client) != good, f"{kind}: {who}, expected {good}"
        web.server.kill()


def certificates_change_without_a_restart():
    ca = Authority("one")
    first, second = ca.issue("first"), ca.issue("second")
    web = Web(TLS, server_crt=first[0], server_key=first[1])
    before = handshake(web.port, ca.crt)[2]
    web.put("server_key", second[1])
    web.put("server_crt", second[0])

    def changed():
        status, _, shown = handshake(web.port, ca.crt)
        return status == 200 and shown != before
    wait_for("the new certificate", changed)


def a_key_that_goes_bad_refuses_requests_until_it_is_good_again():
    ca = Authority("one")
    crt, key = ca.issue("server")
    web = Web(TLS, server_crt=crt, server_key=key)
    broken = os.path.join(scratch(), "broken")
    write(broken, "not a key\n")
    web.put("server_key", broken)

    def refuses():
        try:
            return handshake(web.port, ca.crt)[0] == 500
        except (ssl.SSLError, ConnectionError):
            return True
    wait_for("refusals", refuses)
    assert web.server.alive()
    web.put("server_key", key)
    wait_for("service again", lambda: handshake(web.port, ca.crt)[0] == 200)


def users_need_their_password_on_every_path():
    web = Web(f"basic_auth_users: {{ann: '{SECRET}'}}\n")
    for path in ("/-/healthy", "/-/ready", "/metrics", "/api/v2/alerts", "/", "/nowhere"):
        status, headers, body = web.get(path)
        assert (status, body) == (401, b"Unauthorized\n"), (path, status, body)
        assert headers["www-authenticate"] == "Basic", headers
        assert web.get(path, "ann", "secret")[0] in (200, 404), path
    for user, password in (("ann", "wrong"), ("ann", ""), ("bob", "secret"), ("", "secret"), ("ANN", "secret")):
        assert web.get("/-/healthy", user, password)[0] == 401, (user, password)
    for header in ("Basic", "Basic !!!", "Bearer x", "Basic " + base64.b64encode(b"ann").decode()):
        assert web.get("/-/healthy", headers={"Authorization": header})[0] == 401, header
    status, _, body = call(web.port, "POST", "/-/reload")
    assert status == 401, (status, body)


def users_change_without_a_restart():
    web = Web(f"basic_auth_users: {{ann: '{SECRET}'}}\n")
    assert web.get("/-/healthy", "ann", "secret")[0] == 200
    web.rewrite(f"basic_auth_users: {{bob: '{SECRET}'}}\n")
    wait_for("bob comes in", lambda: web.get("/-/healthy", "bob", "secret")[0] == 200)
    assert web.get("/-/healthy", "ann", "secret")[0] == 401
    web.rewrite("{}\n")
    wait_for("everybody comes in", lambda: web.get("/-/healthy")[0] == 200)


def headers_are_sent_with_every_answer():
    web = Web("http_server_config:\n  headers:\n    X-Frame-Options: deny\n    X-Content-Type-Options: nosniff\n"
              "    Content-Security-Policy: default-src 'self'\n    Strict-Transport-Security: max-age=60\n"
              "    X-XSS-Protection: 1; mode=block\n"
              f"basic_auth_users: {{ann: '{SECRET}'}}\n")
    for args in (("/-/healthy", "ann", "secret"), ("/api/v2/status", "ann", "secret"), ("/-/healthy",)):
        _, headers, _ = web.get(*args)
        for name, value in (("x-frame-options", "deny"), ("x-content-type-options", "nosniff"),
                            ("content-security-policy", "default-src 'self'"), ("strict-transport-security", "max-age=60"),
                            ("x-xss-protection", "1; mode=block")):
            assert headers.get(name) == value, (args, name, headers)


def requests_beyond_the_rate_are_refused():
    web = Web("rate_limit: {interval: 1h, burst: 5}\n")
    answers = [web.get() for _ in range(8)]
    statuses = [a[0] for a in answers]
    assert statuses == [200] * 5 + [429] * 3, statuses
    assert answers[-1][2] == b"Too Many Requests\n", answers[-1]
    web.rewrite("rate_limit: {interval: 0s}\n")
    wait_for("no limit any more", lambda: all(web.get()[0] == 200 for _ in range(20)))


def a_file_that_goes_bad_gives_500_until_it_is_good_again():
    good = f"basic_auth_users: {{ann: '{SECRET}'}}\n"
    web = Web(good)
    assert web.get("/-/healthy", "ann", "secret")[0] == 200
    for bad in ("basic_auth_users: [\n", "colour: red\n", f"basic_auth_users: {{ann: plain}}\n"):
        web.rewrite(bad)
        wait_for("500", lambda: web.get("/-/healthy", "ann", "secret")[0] == 500)
        assert web.get()[0] == 500
        assert web.server.output().count("web configuration cannot be read") < 20, "one line per change, not per request"
        web.rewrite(good)
        wait_for("service again", lambda: web.get("/-/healthy", "ann", "secret")[0] == 200)
        assert web.get()[0] == 401
    os.unlink(web.path)
    wait_for("500 without the file", lambda: web.get("/-/healthy", "ann", "secret")[0] == 500)
    web.rewrite(good)
    wait_for("service again", lambda: web.get("/-/healthy", "ann", "secret")[0] == 200)


def a_file_that_is_bad_at_start_ends_the_process():
    ca = Authority("one")
    crt, key = ca.issue("server")
    for text in ("colour: red\n", "tls_server_config: {cert_file: server_crt}\n",
                 "tls_server_config: {cert_file: nowhere, key_file: server_key}\n",
                 "tls_server_config: {cert_file: server_crt, key_file: server_key, client_auth_type: RequireAndVerifyClientCert}\n",
                 "tls_server_config: {cert_file: server_crt, key_file: server_key, client_ca_file: ca_crt}\n",
                 "basic_auth_users: {ann: plain}\n"):
        web = Web(text, wait=False, server_crt=crt, server_key=key, ca_crt=ca.crt)
        assert web.server.p.wait(20) == 1, (text, web.server.output())
        assert "level=ERROR" in web.server.output(), (text, web.server.output())


if __name__ == "__main__":
    main([tls_is_served_and_plain_http_is_not, versions_outside_the_range_are_refused,
          client_certificates_are_asked_for_as_configured, certificates_change_without_a_restart,
          a_key_that_goes_bad_refuses_requests_until_it_is_good_again, users_need_their_password_on_every_path,
          users_change_without_a_restart, headers_are_sent_with_every_answer, requests_beyond_the_rate_are_refused,
          a_file_that_goes_bad_gives_500_until_it_is_good_again, a_file_that_is_bad_at_start_ends_the_process])
