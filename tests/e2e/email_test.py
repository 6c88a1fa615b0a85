"""Mail: against a small SMTP server of the test's own (plain, STARTTLS, implicit TLS, three mechanisms) and Debian's aiosmtpd."""
import asyncio
import base64
import email
import email.policy
import hashlib
import hmac
import re

from harness import *
from local_servers import Authority, server_tls, text_of, write

USER, PASSWORD, SECRET = "am", "pa ss", "cram secret"


class Post:
    """An SMTP server. `mechanisms` are offered as written; `tls` allows STARTTLS, or is used at once if `implicit`.
    `refuse`: verb -> answer."""

    def __init__(self, mechanisms="", tls=None, implicit=False, refuse=None, extensions=("8BITMIME",)):
        self.mechanisms, self.tls, self.implicit, self.refuse = mechanisms, tls, implicit, refuse or {}
        self.extensions = list(extensions)
        self.mails, self.sessions = [], []
        ready = threading.Event()

        def serve():
            self.loop = asyncio.new_event_loop()

            async def start():
                server = await asyncio.start_server(self.session, "127.0.0.1", 0, ssl=tls if implicit else None)
                self.port = server.sockets[0].getsockname()[1]
                ready.set()
            self.loop.run_until_complete(start())
            self.loop.run_forever()
        threading.Thread(target=serve, daemon=True).start()
        assert ready.wait(10)

    async def session(self, reader, writer):
        try:
            await asyncio.wait_for(self.dialogue(reader, writer), 30)
        except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, ValueError):
            pass
        finally:
            writer.close()

    async def dialogue(self, reader, writer):
        state = {"verbs": [], "tls": self.implicit, "auth": None, "to": []}
        self.sessions.append(state)

        async def say(text):
            writer.write(text.encode() + b"\r\n")
            await writer.drain()

        async def ask(challenge):
            await say("334 " + base64.b64encode(challenge).decode())
            return base64.b64decode((await reader.readline()).strip())
        await say("220 post.example ESMTP")
        while line := await reader.readline():
            text = line.decode().rstrip("\r\n")
            verb, _, rest = text.partition(" ")
            verb = verb.upper()
            state["verbs"].append(text)
            if verb in self.refuse:
                await say(self.refuse[verb])
            elif verb in ("EHLO", "HELO"):
                state["hello"] = rest
                offer = list(self.extensions) if verb == "EHLO" else []
                if verb == "EHLO" and self.tls and not state["tls"]:
                    offer.append("STARTTLS")
                if verb == "EHLO" and self.mechanisms:
                    offer.append("AUTH " + self.mechanisms)
                lines = ["post.example", *offer]
                for i, entry in enumerate(lines):
                    await say(("250 " if i == len(lines) - 1 else "250-") + entry)
            elif verb == "STARTTLS":
                await say("220 go ahead")
                await writer.start_tls(self.tls)
                state["tls"] = True
            elif verb == "AUTH":
                await self.authenticate(state, rest.split(" "), ask, say)
            elif verb == "MAIL":
                state["from"] = rest
                await say("250 ok")
            elif verb == "RCPT":
                state["to"].append(rest)
                await say("250 ok")
            elif verb == "DATA":
                await say("354 send it")
                message = b""
                while (part := await reader.readline()) not in (b".\r\n", b""):
                    message += part[1:] if part.startswith(b".") else part
                state["message"] = message
                self.mails.append(state)
                await say("250 queued")
            elif verb == "QUIT":
                await say("221 bye")
                return
            else:
                await say("502 unknown")

    @staticmethod
    async def authenticate(state, words, ask, say):
        mechanism, good = words[0], False
        if mechanism == "PLAIN":
            got = base64.b64decode(words[1]) if len(words) > 1 else await ask(b"")
            good = got.split(b"\0")[1:] == [USER.encode(), PASSWORD.encode()]
            state["identity"] = got.split(b"\0")[0].decode()
        elif mechanism == "LOGIN":
            good = (await ask(b"Username:"), await ask(b"Password:")) == (USER.encode(), PASSWORD.encode())
        elif mechanism == "CRAM-MD5":
            challenge = b"<1.2@post.example>"
            want = f"{USER} {hmac.new(SECRET.encode(), challenge, hashlib.md5).hexdigest()}"
            good = await ask(challenge) == want.encode()
        state["auth"] = mechanism if good else "wrong " + mechanism
        await say("235 welcome" if good else "535 who are you")


def configuration(receivers):
    return json.dumps({
        "route": {"receiver": "none", "group_by": ["alertname"], "group_wait": "10ms", "group_interval": "1s",
                  "routes": [{"receiver": name, "continue": True} for name in receivers]},
        "receivers": [{"name": "none"}, *({"name": n, "email_configs": [e]} for n, e in receivers.items())]})


def mail_to(post, **fields):
    return {"to": "ops@example.org", "from": "am@example.org", "smarthost": f"127.0.0.1:{post.port}", "require_tls": False, **fields}


def read(state):
    return email.message_from_bytes(state["message"], policy=email.policy.default)


def one_of_each(receivers, posts, deadline=20):
    """Sends one alert through all receivers; the first session of each post that delivered."""
    server = Server(configuration(receivers))
    post_alerts(server.port, alert("Mail"))

    def all_there():
        missing = {k: (p.sessions[:2]) for k, p in posts.items() if not p.mails}
        assert not missing, missing
        return True
    wait_for("all mails", all_there, deadline)
    server.stop()
    return {k: p.mails[0] for k, p in posts.items()}


def a_message_has_its_parts_and_headers():
    post, html_only, text_only = Post(), Post(), Post()
    both = mail_to(post, to="Ops <ops@example.org>, two@example.org", send_resolved=True, hello="me.example", text="{{ .Status }} plain é\n.dot\n",
                   html="<p>{{ .CommonLabels.alertname }} &amp; {{ .CommonLabels.markup }}</p>",
                   **{"headers": {"subject": "[{{ .Status }}] žluť", "X-Custom": "v {{ .CommonLabels.alertname }}"}})
    server = Server(configuration({"both": both, "html": mail_to(html_only), "text": mail_to(text_only, html="", text="just text")}))
    post_alerts(server.port, alert("Mail", {"markup": "<b>"}))
    wait_for("three mails", lambda: post.mails and html_only.mails and text_only.mails, 15)
    state, message = post.mails[0], read(post.mails[0])
    assert state["hello"] == "me.example" and state["verbs"][-1] in ("QUIT", "DATA"), state["verbs"]
    assert state["from"] == "FROM:<am@example.org> BODY=8BITMIME", state["from"]
    assert state["to"] == ["TO:<ops@example.org>", "TO:<two@example.org>"], state["to"]
    assert message["Subject"] == "[firing] žluť" and message["X-Custom"] == "v Mail", message.items()
    assert message["To"] == "Ops <ops@example.org>, two@example.org" and message["From"] == "am@example.org"
    assert re.fullmatch(r"<\d+\.\d+@[^@>]+>", message["Message-Id"]), message["Message-Id"]
    assert abs(message["Date"].datetime.timestamp() - time.time()) < 60, message["Date"]
    assert message.get_content_type() == "multipart/alternative" and message["MIME-Version"] == "1.0"
    parts = list(message.iter_parts())
    assert [p.get_content_type() for p in parts] == ["text/plain", "text/html"]
    assert all(p["Content-Transfer-Encoding"] == "quoted-printable" and p.get_content_charset() == "utf-8" for p in parts)
    assert parts[0].get_content().replace("\r\n", "\n").rstrip("\n") == "firing plain é\n.dot", parts[0].get_content()
    assert parts[1].get_content().strip() == "<p>Mail &amp; &lt;b&gt;</p>", parts[1].get_content()
    assert [p.get_content_type() for p in read(html_only.mails[0]).iter_parts()] == ["text/html"]
    assert "Sent by Alertmanager" in read(html_only.mails[0]).get_body().get_content()
    assert [p.get_content_type() for p in read(text_only.mails[0]).iter_parts()] == ["text/plain"]
    post_alerts(server.port, alert("Mail", {"markup": "<b>"}, ends=time.time() - 1))
    wait_for("the resolved one", lambda: len(post.mails) == 2, 15)
    assert read(post.mails[1])["Subject"] == "[resolved] žluť"
    assert len(html_only.mails) == 1, "send_resolved is off for mail unless asked for"
    server.stop()


def replies_of_a_group_stay_in_its_thread():
    daily, never = Post(), Post()
    group = hashlib.sha256(b'{}/{}:{alertname="Mail"}').hexdigest()[:16]
    server = Server(configuration({"daily": mail_to(daily, send_resolved=True, threading={"enabled": True, "thread_by_date": "daily"}),
                                   "never": mail_to(never, send_resolved=True, threading={"enabled": True, "thread_by_date": "none"})}))
    post_alerts(server.port, alert("Mail"))
    wait_for("two mails", lambda: daily.mails and never.mails, 15)
    post_alerts(server.port, alert("Mail", ends=time.time() - 1))
    wait_for("their ends", lambda: len(daily.mails) == 2 and len(never.mails) == 2, 15)
    for post, form in ((daily, rf"<alert-{group}-\d{{4}}-\d\d-\d\d@alertmanager>"), (never, rf"<alert-{group}-@alertmanager>")):
        messages = [read(m) for m in post.mails]
        for m in messages:
            assert re.fullmatch(form, m["References"]) and m["In-Reply-To"] == m["References"], m.items()
        assert messages[0]["References"] == messages[1]["References"] and messages[0]["Message-Id"] != messages[1]["Message-Id"]
    server.stop()


def tls_is_plain_started_or_from_the_first_byte():
    ca = Authority("mail")
    context = server_tls(ca.issue("post"))
    trust = {"tls_config": {"ca_file": ca.crt}}
    named = Authority.issue(ca, "named", "DNS:mail.inside.example")
    posts = {"plain": Post(), "started": Post(tls=context), "implicit": Post(tls=context, implicit=True),
             "unverified": Post(tls=context), "named": Post(tls=server_tls(named))}
    receivers = {"plain": mail_to(posts["plain"]), "started": mail_to(posts["started"], require_tls=True, **trust),
                 "implicit": mail_to(posts["implicit"], force_implicit_tls=True, **trust),
                 "unverified": mail_to(posts["unverified"], require_tls=True, tls_config={"insecure_skip_verify": True}),
                 "named": mail_to(posts["named"], require_tls=True, tls_config={"ca_file": ca.crt, "server_name": "mail.inside.example"})}
    sent = one_of_each(receivers, posts)
    assert {k: m["tls"] for k, m in sent.items()} == {"plain": False, "started": True, "implicit": True, "unverified": True, "named": True}
    assert [v.split(" ")[0] for v in sent["started"]["verbs"][:3]] == ["EHLO", "STARTTLS", "EHLO"]


def client_certificates_are_shown_to_the_mail_server():
    ca, clients = Authority("mail"), Authority("clients")
    post = Post(tls=server_tls(ca.issue("post"), client_ca=clients.crt))
    crt, key = clients.issue("tocsin")
    one_of_each({"mutual": mail_to(post, require_tls=True, tls_config={"ca_file": ca.crt, "cert_file": crt, "key_file": key})}, {"mutual": post})


def each_mechanism_is_spoken():
    folder = scratch()
    password, secret = write(os.path.join(folder, "password"), PASSWORD + "\n"), write(os.path.join(folder, "secret"), SECRET)
    posts = {"plain": Post("PLAIN"), "login": Post("LOGIN"), "cram": Post("CRAM-MD5"), "order": Post("SCRAM-SHA-1 LOGIN PLAIN"),
             "file": Post("PLAIN LOGIN"), "secret file": Post("CRAM-MD5 PLAIN"), "both": Post("PLAIN CRAM-MD5"), "cram later": Post("CRAM-MD5 PLAIN"),
             "nobody asks": Post(), "no user": Post("PLAIN")}
    known = {"auth_username": USER, "auth_password": PASSWORD}
    receivers = {
        "plain": mail_to(posts["plain"], auth_identity="ident", **known), "login": mail_to(posts["login"], **known),
        "cram": mail_to(posts["cram"], auth_username=USER, auth_secret=SECRET), "order": mail_to(posts["order"], **known),
        "file": mail_to(posts["file"], auth_username=USER, auth_password_file=password),
        "secret file": mail_to(posts["secret file"], auth_username=USER, auth_secret_file=secret),
        "both": mail_to(posts["both"], auth_secret=SECRET, **known), "cram later": mail_to(posts["cram later"], **known),
        "nobody asks": mail_to(posts["nobody asks"], **known), "no user": mail_to(posts["no user"]),
    }
    sent = one_of_each(receivers, posts)
    want = {"plain": "PLAIN", "login": "LOGIN", "cram": "CRAM-MD5", "order": "LOGIN", "file": "PLAIN", "secret file": "CRAM-MD5",
            "both": "PLAIN", "cram later": "PLAIN", "nobody asks": None, "no user": None}
    assert {k: m["auth"] for k, m in sent.items()} == want, {k: m["auth"] for k, m in sent.items()}
    assert sent["plain"]["identity"] == "ident"


def refusals_are_said_and_repeated_as_upstream_does():
    ca = Authority("mail")
    posts = {"no starttls": Post(), "wrong password": Post("PLAIN"), "strange authority": Post(tls=server_tls(ca.issue("post"))),
             "no mail": Post(refuse={"MAIL": "451 not now"}), "no recipient": Post(refuse={"RCPT": "550 who"}),
             "no mechanism": Post("XOAUTH2")}
    receivers = {
        "no starttls": mail_to(posts["no starttls"], require_tls=True),
        "wrong password": mail_to(posts["wrong password"], auth_username=USER, auth_password="no"),
        "strange authority": mail_to(posts["strange authority"], require_tls=True), "no mail": mail_to(posts["no mail"]),
        "no recipient": mail_to(posts["no recipient"]),
        "no mechanism": mail_to(posts["no mechanism"], auth_username=USER, auth_password=PASSWORD),
        "template": mail_to(Post(), html="{{ .Nope }}"), "address": mail_to(Post(), to="not an address <"),
    }
    good = Post()
    receivers["good"] = mail_to(good)
    says = {"no starttls": "does not advertise the STARTTLS extension", "wrong password": "535", "strange authority": "send STARTTLS command: tls: failed to verify certificate",
            "no mail": "send MAIL command", "no recipient": "send RCPT command", "no mechanism": "unknown auth mechanism: XOAUTH2",
            "template": "execute html template", "address": "parse 'to' addresses"}
    server = Server(configuration(receivers))
    post_alerts(server.port, alert("Mail"))
    wait_for("the good one", lambda: good.mails, 15)

    def said():
        text = server.output()
        missing = [k for k, v in says.items() if not any(v in line and (f'receiver="{k}"' in line or f"receiver={k} " in line or f"{k}/email" in line)
                                                         for line in text.splitlines())]
        assert not missing, missing
        return True
    wait_for("every refusal in the log", said, 20)
    wait_for("a second try of what may heal", lambda: all(len(p.sessions) >= 2 for p in posts.values()), 15)
    assert not any(p.mails for p in posts.values())
    server.stop()


def helo_when_ehlo_is_unknown():
    post = Post(refuse={"EHLO": "502 what"})
    sent = one_of_each({"old": mail_to(post)}, {"old": post})["old"]
    assert "HELO localhost" in sent["verbs"] and sent["from"] == "FROM:<am@example.org>", sent


def debians_smtp_server_takes_it():
    program = shutil.which("aiosmtpd", path="/usr/bin:/usr/local/bin")
    if not program:
        raise Skip("Debian's python3-aiosmtpd is not installed")
    ca = Authority("mail")
    crt, key = ca.issue("post")
    receivers, boxes = {}, {}
    for name, extra, fields in (("plain", [], {"require_tls": False}),
                                ("starttls", ["--tlscert", crt, "--tlskey", key], {"require_tls": True, "tls_config": {"ca_file": ca.crt}}),
                                ("implicit", ["--smtpscert", crt, "--smtpskey", key], {"force_implicit_tls": True, "tls_config": {"ca_file": ca.crt}})):
        port, boxes[name] = free_port(), os.path.join(scratch(), "box")
        Process(["/usr/bin/python3", program, "-n", "-l", f"127.0.0.1:{port}", *extra, "-c", "aiosmtpd.handlers.Mailbox", boxes[name]], name="aiosmtpd-" + name)
        receivers[name] = {"to": "ops@example.org", "from": "am@example.org", "smarthost": f"127.0.0.1:{port}", "text": "{{ .Status }}\n.\nend", **fields}

        def listening(port=port):
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return True
        wait_for("aiosmtpd " + name, listening, 15)
    server = Server(configuration(receivers))
    post_alerts(server.port, alert("Mail"))

    def delivered(name):
        new = os.path.join(boxes[name], "new")
        return os.listdir(new) if os.path.isdir(new) else []
    wait_for("a mail in each box", lambda: all(delivered(n) for n in boxes), 25)
    for name in boxes:
        message = email.message_from_string(text_of(os.path.join(boxes[name], "new", delivered(name)[0])), policy=email.policy.default)
        assert message["X-RcptTo"] == "ops@example.org" and message["Subject"].startswith("[FIRING:1] Mail"), (name, message.items())
        assert message.get_body(("plain",)).get_content().strip() == "firing\n.\nend", (name, message.get_body(("plain",)).get_content())
    server.stop()


if __name__ == "__main__":
    main([a_message_has_its_parts_and_headers, replies_of_a_group_stay_in_its_thread, tls_is_plain_started_or_from_the_first_byte,
          client_certificates_are_shown_to_the_mail_server, each_mechanism_is_spoken, refusals_are_said_and_repeated_as_upstream_does,
          helo_when_ehlo_is_unknown, debians_smtp_server_takes_it])
