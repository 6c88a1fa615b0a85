"""Servers that judge what a sender does: HTTP gates with and without TLS, proxies, and a certificate authority by openssl.

A gate lets a request pass when its check finds nothing wrong and answers 403 otherwise. What passed and what was refused, a
failed TLS handshake too, is kept for the test to read."""
import http.client
import http.server
import os
import socketserver
import ssl
import threading

from harness import run, scratch


def write(path, text):
    """Replaces the file as a whole, as mounted secrets are."""
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(text)
    os.rename(path + ".new", path)
    return path


def text_of(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


class Authority:
    def __init__(self, name):
        self.folder = scratch()
        self.crt, self.key = os.path.join(self.folder, "ca.crt"), os.path.join(self.folder, "ca.key")
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                     "-keyout", self.key, "-out", self.crt, "-subj", f"/CN={name}")

    @staticmethod
    def openssl(*args):
        code, _, err = run(["openssl", *args])
        assert code == 0, err

    def issue(self, name, san="DNS:localhost,IP:127.0.0.1"):
        """(certificate, key), files."""
        crt, key, csr, ext = (os.path.join(self.folder, name + s) for s in (".crt", ".key", ".csr", ".ext"))
        self.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
                     "-out", csr, "-subj", f"/CN={name}")
        write(ext, f"subjectAltName={san}\n")
        self.openssl("x509", "-req", "-in", csr, "-CA", self.crt, "-CAkey", self.key, "-CAcreateserial", "-days", "2",
                     "-extfile", ext, "-out", crt)
        return crt, key


def server_tls(pair, client_ca=None, max_version=None, alpn=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    if max_version:
        context.maximum_version = max_version
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


class Request:
    def __init__(self, handler, body):
        self.method, self.path, self.body = handler.command, handler.path, body
        self.lines = handler.headers.items()
        self.headers = {k.lower(): v for k, v in self.lines}
        tls = isinstance(handler.connection, ssl.SSLSocket)
        self.tls_version = handler.connection.version() if tls else None
        self.alpn = handler.connection.selected_alpn_protocol() if tls else None
        self.client = dict(x[0] for x in handler.connection.getpeercert()["subject"]) if tls and handler.connection.getpeercert() else {}

    def values(self, name):
        return [v for k, v in self.lines if k.lower() == name.lower()]


class Gate:
    """check(request) gives what is wrong with it or None; answer(request) gives (status, headers, body) for what passed."""

    def __init__(self, check=None, tls=None, answer=None):
        self.check, self.tls, self.answer = check, tls, answer
        self.passed, self.refused, self.lock = [], [], threading.Lock()
        gate = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def setup(self):
                if gate.tls:
                    self.request.settimeout(10)
                    self.request = gate.tls.wrap_socket(self.request, server_side=True)
                super().setup()

            def take(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = Request(self, body)
                wrong = gate.check(request) if gate.check else None
                with gate.lock:
                    (gate.refused if wrong else gate.passed).append(wrong or request)
                status, headers, out = 403, {}, str(wrong).encode()
                if not wrong:
                    status, headers, out = gate.answer(request) if gate.answer else (200, {}, b"ok")
                self.send_response(status)
                for k, v in headers.items():
                    self.send_header(k, v)
                self.send_header("Content-Length", str(len(out)))
                self.end_headers()
                self.wfile.write(out)

            do_GET = do_POST = do_PUT = take

            def do_CONNECT(self):
                gate.tunnel(self)

            def log_message(self, *_):
                pass

        class Listener(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads, request_queue_size = True, 256

            def handle_error(self, request, client_address):
                import sys
                with gate.lock:
                    gate.refused.append(repr(sys.exc_info()[1]))

        self.server = Listener(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.2}, daemon=True).start()

    def url(self, host="127.0.0.1", path="/"):
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{path}"

    def tunnel(self, handler):
        handler.send_error(405)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Proxy(Gate):
    """Sends everything it is asked for to the gate `to`, whatever the name; tunnels are checked by connect_check(handler)."""

    def __init__(self, to, check=None, connect_check=None, tls=None):
        super().__init__(check=check, tls=tls, answer=self.forward)
        self.to, self.connect_check, self.tunnels = to, connect_check, []

    def forward(self, request):
        connection = http.client.HTTPConnection("127.0.0.1", self.to.port, timeout=10)
        own = {k: v for k, v in request.lines if not k.lower().startswith("proxy-") and k.lower() != "content-length"}
        path = "/" + request.path.split("/", 3)[3]
        connection.request(request.method, path, body=request.body, headers=own)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, {}, body

    def tunnel(self, handler):
        wrong = self.connect_check(handler) if self.connect_check else None
        with self.lock:
            if wrong:
                self.refused.append(wrong)
            else:
                self.tunnels.append(handler.path)
        handler.close_connection = True
        if wrong:
            handler.send_error(403)
            return
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.flush()
        import socket
        near, far = handler.connection, socket.create_connection(("127.0.0.1", self.to.port), timeout=10)

        def pump(source, target):
            try:
                while True:
                    data = source.recv(65536)
                    if not data:
                        break
                    target.sendall(data)
            except (OSError, ValueError):
                pass
            for s in (source, target):
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        back = threading.Thread(target=pump, args=(far, near), daemon=True)
        back.start()
        pump(near, far)
        back.join(5)
