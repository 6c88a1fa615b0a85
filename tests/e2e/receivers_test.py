"""Each integration that Debian's Alertmanager has: it and tocsin send the same groups, firing, partly and wholly resolved, to servers
that keep what they hear; the requests are equal in method, path, query, headers and body but for what 0.34 documents as new."""
import email
import email.policy
import re
import urllib.parse

from email_test import Post
from harness import *
from local_servers import Authority, Gate, Proxy, server_tls

PEER = "/usr/bin/prometheus-alertmanager"
EXTERNAL = "http://am.example:9093/base"
JSON = {"Content-Type": "application/json"}
SNS = (b'<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>m</MessageId></PublishResult>'
       b"<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PublishResponse>")
WECHAT = b'{"errcode":0,"errmsg":"ok","access_token":"T0KEN","expires_in":7200}'
TELEGRAM = b'{"ok":true,"result":{"message_id":1,"date":1,"chat":{"id":42,"type":"private"},"text":"x"}}'
ACCEPTED = b'{"status":"success","message":"ok","dedup_key":"k","requestId":"r","result":"ok"}'
SIGV4 = {"region": "us-east-2", "access_key": "AK", "secret_key": "SK"}
RICH = "{{ .Status }} {{ len .Alerts.Firing }}/{{ len .Alerts }} {{ .CommonLabels.team }} <&> é {{ range .Alerts }}{{ .Labels.instance }} {{ end }}"


def always(status, body=b"", headers=None):
    return lambda _: (status, headers or JSON, body)


# name: (kind, answer, fields with %s for the server's URL, whether it is reached through a proxy that ends TLS)
INTEGRATIONS = {
    "webhook": ("webhook", always(200), {"url": "%shook?a=b"}, False),
    "webhook limited": ("webhook", always(200), {"url": "%shook", "max_alerts": 1, "http_config": {"basic_auth": {"username": "u", "password": "p"}}}, False),
    "webhook quiet": ("webhook", always(200), {"url": "%shook", "send_resolved": False, "http_config": {"authorization": {"credentials": "c"}}}, False),
    "pagerduty": ("pagerduty", always(202, ACCEPTED), {"url": "%sv2/enqueue", "routing_key": "RK"}, False),
    "pagerduty rich": ("pagerduty", always(202, ACCEPTED), {
        "url": "%sv2", "routing_key": "RK", "client": "C", "client_url": "http://c", "description": RICH, "severity": "{{ .CommonLabels.severity }}",
        "class": "cl", "component": "co", "group": "gr", "details": {"own": RICH}, "images": [{"src": "http://i", "alt": "a", "href": "http://h"}],
        "links": [{"href": "http://l", "text": "t"}]}, False),
    "pagerduty v1": ("pagerduty", always(200, ACCEPTED), {"service_key": "SK"}, True),
    "slack": ("slack", always(200, b"ok", {"Content-Type": "text/plain"}), {"api_url": "%sslack", "send_resolved": True}, False),
    "slack rich": ("slack", always(200, b"ok", {"Content-Type": "text/plain"}), {
        "api_url": "%sslack", "send_resolved": True, "channel": "#{{ .GroupLabels.alertname }}", "username": "bot", "title": RICH, "title_link": "http://t",
        "pretext": "pre", "text": RICH, "fallback": "fb", "callback_id": "cb", "icon_emoji": ":x:", "image_url": "http://img", "thumb_url": "http://th",
        "footer": "ft", "link_names": True, "short_fields": True, "mrkdwn_in": ["text"], "fields": [{"title": "F", "value": RICH, "short": False}],
        "actions": [{"type": "button", "text": "Go", "url": "http://go", "style": "danger"},
                    {"type": "button", "text": "Sure", "name": "n", "value": "v", "confirm": {"text": "really", "title": "T"}}]}, False),
    "opsgenie": ("opsgenie", always(202, ACCEPTED), {"api_url": "%sog", "api_key": "KEY"}, False),
    "opsgenie rich": ("opsgenie", always(202, ACCEPTED), {
        "api_url": "%sog", "api_key": "K{{ .Status }}", "message": RICH, "description": RICH, "source": "s", "details": {"k": RICH}, "entity": "e",
        "actions": "a1,a2", "tags": "t1, t2", "note": "n", "priority": "P1", "update_alerts": True,
        "responders": [{"name": "x,y", "type": "teams"}, {"username": "u", "type": "user"}]}, False),
    "wechat": ("wechat", always(200, WECHAT), {"api_url": "%swechat/", "api_secret": "S", "corp_id": "C", "to_user": "@all", "agent_id": "7", "send_resolved": True}, False),
    "wechat markdown": ("wechat", always(200, WECHAT), {"api_url": "%swechat/", "api_secret": "S", "corp_id": "C", "to_party": "p", "message": RICH,
                                                         "message_type": "markdown", "send_resolved": True}, False),
    "victorops": ("victorops", always(200), {"api_url": "%svo", "api_key": "K", "routing_key": "r-{{ .GroupLabels.alertname }}", "custom_fields": {"cf": RICH}}, False),
    "pushover": ("pushover", always(200, b'{"status":1}'), {"user_key": "U", "token": "T"}, True),
    "pushover rich": ("pushover", always(200, b'{"status":1}'), {"user_key": "U", "token": "T", "title": RICH, "message": RICH, "url": "http://u", "url_title": "ut",
                                                                "sound": "siren", "priority": "1", "retry": "90s", "expire": "30m", "html": True}, True),
    "sns topic": ("sns", always(200, SNS, {"Content-Type": "text/xml"}), {"api_url": "%s", "topic_arn": "arn:aws:sns:us-east-2:123456789012:T", "sigv4": SIGV4,
                                                                         "attributes": {"k": "{{ .Status }}"}}, False),
    "sns fifo": ("sns", always(200, SNS, {"Content-Type": "text/xml"}), {"api_url": "%s", "topic_arn": "arn:aws:sns:us-east-2:123456789012:T.fifo", "subject": "",
                                                                        "message": RICH, "sigv4": SIGV4}, False),
    "telegram": ("telegram", always(200, TELEGRAM), {"api_url": "%stg", "bot_token": "1:BT", "chat_id": -100}, False),
    "telegram markdown": ("telegram", always(200, TELEGRAM), {"api_url": "%stg", "bot_token": "1:BT", "chat_id": 42, "parse_mode": "MarkdownV2",
                                                              "disable_notifications": True, "message": "*{{ .Status }}*"}, False),
    "discord": ("discord", always(204), {"webhook_url": "%sdiscord"}, False),
    "webex": ("webex", always(200), {"api_url": "%swebex", "room_id": "ROOM", "http_config": {"authorization": {"credentials": "wx"}}}, False),
    "email": ("email", None, {"to": "to@example.org, Two <two@example.org>", "from": "am@example.org", "require_tls": False, "send_resolved": True, "text": RICH,
                              "hello": "me.example", "headers": {"X-Own": RICH}}, False),
}


def filled(value, url):
    if isinstance(value, dict):
        return {k: filled(v, url) for k, v in value.items()}
    return value.replace("%s", url) if isinstance(value, str) and value.startswith("%s") else value


class Side:
    """One of the two servers with a capture server for each integration."""

    def __init__(self, binary, name, pair):
        self.heard, receivers = {}, []
        for key, (kind, answer, fields, proxied) in INTEGRATIONS.items():
            if kind == "email":
                capture = Post()
                own = {**fields, "smarthost": f"127.0.0.1:{capture.port}"}
            else:
                capture = Gate(answer=answer, tls=server_tls(pair) if proxied else None)
                own = filled(fields, capture.url())
                if proxied:
                    own["http_config"] = {"proxy_url": Proxy(capture).url(), "tls_config": {"insecure_skip_verify": True}}
            self.heard[key] = capture
            receivers.append({"name": key, f"{kind}_configs": [own]})
        # Alerts older than group_wait are flushed at once, in the peer while the rest of their request is still being read.
        config = {"route": {"receiver": "none", "group_by": ["alertname"], "group_wait": "4s", "group_interval": "2s", "repeat_interval": "1h",
                            "routes": [{"receiver": k, "continue": True, "matchers": ["alertname=~\".+\""]} for k in self.heard]},
                  "receivers": [{"name": "none"}, *receivers]}
        self.server = Server(json.dumps(config), binary=binary, name=name, extra=[f"--web.external-url={EXTERNAL}", "--web.route-prefix=/"])

    def requests(self, key):
        capture = self.heard[key]
        return list(capture.mails if isinstance(capture, Post) else capture.passed)

    def counts(self):
        return {k: len(self.requests(k)) for k in self.heard}


def plain_mail(state):
    m = email.message_from_bytes(state["message"], policy=email.policy.default)
    parts = []
    for p in m.iter_parts():
        text = re.sub(r"\s+", " ", p.get_content()).replace("http://schema.org", "https://schema.org")
        parts.append((p.get_content_type(), re.sub(r" ?([<>]) ?", r"\1", text).strip()))
    headers = sorted((k.lower(), str(v)) for k, v in m.items() if k.lower() not in ("date", "message-id", "content-type"))
    return {"from": state["from"], "to": state["to"], "hello": state["hello"], "headers": headers, "parts": parts}


IGNORED = {"host", "user-agent", "content-length", "accept-encoding", "accept", "connection", "x-amz-date"}


def body_value(kind, request):
    text = request.body.decode()
    if "x-www-form-urlencoded" in request.headers.get("content-type", ""):
        return sorted(urllib.parse.parse_qsl(text, keep_blank_values=True))
    try:
        value = json.loads(text)
    except ValueError:
        return text
    if kind == "webhook": # said by 0.34 in addition
        value.pop("notification_reason", None)
        value.pop("routeLabels", None)
    if kind == "pagerduty": # numbers and lists of objects since 0.30, texts before
        for details in ((value.get("payload") or {}).get("custom_details"), value.get("details")):
            for name in ("firing", "resolved", "num_firing", "num_resolved"):
                (details or {}).pop(name, None)
    if kind == "discord":
        value.setdefault("content", "")
    return value


def comparable(kind, request):
    if kind == "email":
        return plain_mail(request)
    url = urllib.parse.urlsplit(request.path)
    query = sorted(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
    if kind == "pushover":
        query = [q for q in query if q != ("device", "")]
    headers = {k.lower(): v for k, v in request.lines if k.lower() not in IGNORED}
    if headers.get("authorization", "").startswith("AWS4-"):
        headers["authorization"] = re.search(r"Credential=\w+/\d+/[\w-]+/sns/aws4_request", headers["authorization"])[0]
    if "content-type" in headers:
        headers["content-type"] = headers["content-type"].lower().replace(" ", "")
    agent = request.headers.get("user-agent", "").split("/")[0]
    return {"method": request.method, "path": url.path, "query": query, "headers": headers, "body": body_value(kind, request),
            "agent": agent if kind not in ("sns", "telegram") else ""}


def difference(a, b, path=""):
    if isinstance(a, dict) and isinstance(b, dict):
        for k in sorted(set(a) | set(b)):
            if k not in a or k not in b:
                return f"{path}.{k}: only {'tocsin' if k in a else 'the peer'} has it: {str(a.get(k, b.get(k)))[:200]}"
            found = difference(a[k], b[k], f"{path}.{k}")
            if found:
                return found
        return None
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return next((d for i, (x, y) in enumerate(zip(a, b)) if (d := difference(x, y, f"{path}[{i}]"))), None)
    if a == b:
        return None
    at = next((i for i, (x, y) in enumerate(zip(str(a), str(b))) if x != y), 0) if isinstance(a, str) and isinstance(b, str) else 0
    return f"{path}: tocsin {str(a)[max(0, at - 40):at + 160]!r}, the peer {str(b)[max(0, at - 40):at + 160]!r}"


def every_integration_sends_what_debians_alertmanager_sends():
    if not os.path.exists(PEER):
        raise Skip("Debian's prometheus-alertmanager is not installed")
    pair = Authority("capture").issue("any")
    own, peer = Side(None, "tocsin", pair), Side(PEER, "alertmanager", pair)
    now = int(time.time())

    def one(i, ends):
        return {"labels": {"alertname": "HighCPU", "instance": f"web-{i}:9100", "severity": "critical", "team": "a \"b\" <c>"},
                "annotations": {"summary": f"CPU of {i} is high <90%>", "description": "said \"hi\" & left — ěšč"},
                "startsAt": rfc3339(now - i), "endsAt": rfc3339(ends), "generatorURL": f"http://prom.example/graph?g0.expr=up%3D%3D{i}&g0.tab=1"}
    quiet = {"webhook quiet"}
    problems, seen = [], {k: 0 for k in INTEGRATIONS}
    for phase, ends in (("firing", (3600, 3600)), ("partly resolved", (0, 3600)), ("resolved", (0, 0))):
        alerts = [one(i + 1, now + e) for i, e in enumerate(ends)]
        for side in (own, peer):
            post_alerts(side.server.port, *alerts)
        due = [k for k in INTEGRATIONS if phase == "firing" or k not in quiet]
        wait_for(f"{phase}: the peer's requests", lambda: all(peer.counts()[k] > seen[k] for k in due), 20)
        heard, since = None, 0

        def settled():
            """Both sides have said as much, and nothing more for half a second: some say several things one after another."""
            nonlocal heard, since
            now = own.counts(), peer.counts()
            if now != heard:
                heard, since = now, time.monotonic()
            return now[0] == now[1] and time.monotonic() - since > 0.5
        try:
            wait_for(f"{phase}: as many of tocsin", settled, 10)
        except AssertionError:
            pass # said below, by name
        for key, (kind, *_) in INTEGRATIONS.items():
            a, b = own.requests(key)[seen[key]:], peer.requests(key)[seen[key]:]
            seen[key] += len(b)
            if len(a) != len(b):
                problems.append(f"{key}, {phase}: {len(a)} requests of tocsin, {len(b)} of the peer")
                continue
            for x, y in zip(a, b):
                found = difference(comparable(kind, x), comparable(kind, y))
                if found:
                    problems.append(f"{key}, {phase}: {found}")
    assert not problems, f"{len(problems)} differences:\n  " + "\n  ".join(problems)
    assert {k for k, n in seen.items() if n == 0} == set()
    own.server.stop()
    peer.server.stop()


def keys(name):
    """What a container or an instance answers."""
    return json.dumps({"Code": "Success", "AccessKeyId": name, "SecretAccessKey": "S", "Token": f"token of {name}",
                       "Expiration": rfc3339(int(time.time()) + 3600)}).encode()


def metadata_service():
    """An EC2 instance's: a token for who asks with PUT, and nothing without it."""
    def check(r):
        if r.method == "PUT":
            return None if r.path == "/latest/api/token" and r.headers.get("x-aws-ec2-metadata-token-ttl-seconds") else "no lifetime"
        return None if r.headers.get("x-aws-ec2-metadata-token") == "IMDS" else f"token {r.headers.get('x-aws-ec2-metadata-token')!r}"

    def answer(r):
        base = "/latest/meta-data/iam/security-credentials/"
        found = {"/latest/api/token": b"IMDS", base: b"my-role\n", base + "my-role": keys("INSTANCE")}
        return (200, {}, found[r.path]) if r.path in found else (404, {}, b"")
    return Gate(check=check, answer=answer)


def sns_finds_the_credentials_of_its_machine():
    folder = scratch()
    token = os.path.join(folder, "jwt")
    with open(token, "w", encoding="utf-8") as f:
        f.write("a.b.c")
    instance = metadata_service()
    container = Gate(check=lambda r: None if r.headers.get("authorization") == "let me in" else "authorization", answer=lambda _: (200, JSON, keys("CONTAINER")))

    def sts_check(r):
        form = dict(urllib.parse.parse_qsl(r.body.decode()))
        want = {"Action": "AssumeRoleWithWebIdentity", "RoleArn": "arn:aws:iam::1:role/r", "WebIdentityToken": "a.b.c", "RoleSessionName": "me", "Version": "2011-06-15"}
        return None if form == want and "authorization" not in r.headers else f"form {form}"
    sts = Gate(check=sts_check, answer=lambda _: (200, {"Content-Type": "text/xml"}, (
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>WEB</AccessKeyId><SecretAccessKey>S</SecretAccessKey>"
        f"<SessionToken>token of WEB</SessionToken><Expiration>{rfc3339(int(time.time()) + 3600)}</Expiration></Credentials>"
        "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>").encode()))
    nothing = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "HOME": folder}
    sources = {
        "INSTANCE": {**nothing, "AWS_EC2_METADATA_SERVICE_ENDPOINT": instance.url()},
        "CONTAINER": {**nothing, "AWS_CONTAINER_CREDENTIALS_FULL_URI": container.url(path="/role"), "AWS_CONTAINER_AUTHORIZATION_TOKEN": "let me in"},
        "WEB": {**nothing, "AWS_WEB_IDENTITY_TOKEN_FILE": token, "AWS_ROLE_ARN": "arn:aws:iam::1:role/r", "AWS_ROLE_SESSION_NAME": "me",
                "AWS_ENDPOINT_URL_STS": sts.url()},
    }
    for name, env in sources.items():
        sns = Gate(answer=always(200, SNS, {"Content-Type": "text/xml"}))
        server = Server(json.dumps({"route": {"receiver": "sns", "group_by": ["alertname"], "group_wait": "10ms"}, "receivers": [
            {"name": "sns", "sns_configs": [{"api_url": sns.url(), "topic_arn": "arn:aws:sns:us-east-2:1:T", "sigv4": {"region": "us-east-2"}}]}]}), env=env)
        for n, one in enumerate(("First", "Second")):
            post_alerts(server.port, alert(one))
            wait_for(f"{name}: {one}", lambda: len(sns.passed) > n, 15)
        for r in sns.passed:
            assert f"Credential={name}/" in r.headers["authorization"] and r.headers["x-amz-security-token"] == f"token of {name}", r.lines
        server.stop()
    assert [r.method for r in instance.passed] == ["PUT", "GET", "GET"] and not instance.refused, instance.refused
    assert len(container.passed) == 1 and len(sts.passed) == 1, "credentials are remembered"


if __name__ == "__main__":
    main([sns_finds_the_credentials_of_its_machine, every_integration_sends_what_debians_alertmanager_sends])
