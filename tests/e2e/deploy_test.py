#!/usr/bin/env python3
# build: release
"""What deploy/ holds works: manifests render and fit together, the arguments in them start tocsin, the unit and the package are
sound, the image is small and complete, the mixin's alerts ask for metrics that exist. What a machine cannot do is skipped by name."""
import gzip
import os
import re
import shutil
import socket
import subprocess

from harness import OPT, ROOT, TOCSIN, TOCSINCTL, Process, Server, Skip, call, free_port, main, run, scratch, wait_for

DEPLOY = os.path.join(ROOT, "deploy")
KUBERNETES = os.path.join(DEPLOY, "kubernetes")
VARIANTS = ("base", "overlays/single", "overlays/monitoring")
KINDS = {"ServiceAccount": "v1", "ConfigMap": "v1", "Service": "v1", "StatefulSet": "apps/v1",
         "PodDisruptionBudget": "policy/v1", "NetworkPolicy": "networking.k8s.io/v1"}
IMAGE_BYTES_MAX = 20_000_000


# ---- YAML as kustomize writes it: block style, plain, quoted or literal scalars, empty collections in flow style ----

def scalar(text):
    text = text.strip()
    if text in ("{}", "[]"):
        return {} if text == "{}" else []
    if text[:1] == '"':
        return bytes(text[1:-1], "utf-8").decode("unicode_escape")
    if text[:1] == "'":
        return text[1:-1].replace("''", "'")
    if text in ("true", "false"):
        return text == "true"
    return int(text) if re.fullmatch(r"-?\d+", text) else text


class Reader:
    def __init__(self, text):
        self.lines = [(len(l) - len(l.lstrip()), l.strip(), l) for l in text.split("\n")]
        self.at = 0

    def peek(self):
        while self.at < len(self.lines) and not self.lines[self.at][1]:
            self.at += 1
        return self.lines[self.at] if self.at < len(self.lines) else (-1, "", "")

    def value(self, rest, indent):
        if rest in ("|", "|-"):
            kept = []
            while self.at < len(self.lines) and (not self.lines[self.at][1] or self.lines[self.at][0] > indent):
                kept.append(self.lines[self.at][2][indent + 2:])
                self.at += 1
            return "\n".join(kept).rstrip("\n") + ("\n" if rest == "|" else "")
        if rest:
            return scalar(rest)
        depth, text, _ = self.peek()
        return self.block(depth) if depth > indent or (depth == indent and text.startswith("-")) else None

    def block(self, indent):
        if self.peek()[1].startswith("- ") or self.peek()[1] == "-":
            return self.sequence(indent)
        found = {}
        while self.peek()[0] == indent and not self.peek()[1].startswith("- "):
            key, rest = re.match(r'("[^"]*"|[^:]+):(?:\s+(.*))?$', self.peek()[1]).groups()
            self.at += 1
            found[scalar(key)] = self.value(rest or "", indent)
        return found

    def sequence(self, indent):
        found = []
        while self.peek()[0] == indent and self.peek()[1].startswith("-"):
            text = self.peek()[1][1:].strip()
            if re.match(r"[\w./-]+:(\s|$)", text):
                self.lines[self.at] = (indent + 2, text, self.lines[self.at][2])
                found.append(self.block(indent + 2))
            else:
                self.at += 1
                found.append(self.value(text, indent))
        return found


def rendered(variant):
    if not shutil.which("kubectl"):
        return None
    code, out, err = run(["kubectl", "kustomize", os.path.join(KUBERNETES, variant)], env={"HOME": scratch()})
    assert code == 0, f"{variant}: {err}"
    return [Reader(part).block(0) for part in re.split(r"^---$", out, flags=re.M)]


def only(documents, kind, name=None):
    found = [d for d in documents if d["kind"] == kind and name in (None, d["metadata"]["name"])]
    assert len(found) == 1, f"{kind} {name or ''}: {len(found)}"
    return found[0]


def for_each_variant(check):
    for variant in VARIANTS:
        documents = rendered(variant)
        if documents is None:
            raise Skip("no kubectl (Debian: kubernetes-client)")
        try:
            check(variant, documents)
        except (AssertionError, KeyError, TypeError) as e:
            raise AssertionError(f"{variant}: {e!r}") from e


def container_of(documents):
    containers = only(documents, "StatefulSet")["spec"]["template"]["spec"]["containers"]
    assert len(containers) == 1
    return containers[0]


def manifests_have_the_right_groups_and_fields():
    def check(variant, documents):
        assert sorted(d["kind"] for d in documents) == sorted(list(KINDS) + ["Service"])
        for d in documents:
            assert d["apiVersion"] == KINDS[d["kind"]], d["kind"]
            assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", d["metadata"]["name"])
            assert d["metadata"].get("namespace") == ("monitoring" if variant.endswith("monitoring") else None)
        spec = only(documents, "StatefulSet")["spec"]
        for field in ("serviceName", "replicas", "selector", "template", "volumeClaimTemplates"):
            assert field in spec, field
        assert spec["replicas"] == (1 if variant.endswith("single") else 3)
        pod = spec["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True and pod["terminationGracePeriodSeconds"] >= 30
        assert pod["serviceAccountName"] == only(documents, "ServiceAccount")["metadata"]["name"]
        one = container_of(documents)
        for field in ("name", "image", "args", "ports", "livenessProbe", "readinessProbe", "resources", "volumeMounts"):
            assert one.get(field), field
        assert one["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                          "capabilities": {"drop": ["ALL"]}}
        budget = only(documents, "PodDisruptionBudget")["spec"]
        assert budget["maxUnavailable"] == 1
    for_each_variant(check)


def selectors_select_the_pods():
    def check(_, documents):
        stateful = only(documents, "StatefulSet")["spec"]
        labels = stateful["template"]["metadata"]["labels"]

        def selects(selector):
            return bool(selector) and all(labels.get(k) == v for k, v in selector.items())
        assert selects(stateful["selector"]["matchLabels"])
        assert selects(only(documents, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"])
        policy = only(documents, "NetworkPolicy")["spec"]
        assert selects(policy["podSelector"]["matchLabels"])
        peers = [f["podSelector"]["matchLabels"] for rule in policy["ingress"] for f in rule.get("from", [])]
        assert peers and all(selects(p) for p in peers)
        for service in (d for d in documents if d["kind"] == "Service"):
            assert selects(service["spec"]["selector"]), service["metadata"]["name"]
        terms = stateful["template"]["spec"]["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
        assert all(selects(t["podAffinityTerm"]["labelSelector"]["matchLabels"]) for t in terms)
    for_each_variant(check)


def ports_probes_and_volumes_fit_together():
    def check(variant, documents):
        one = container_of(documents)
        ports = {p["name"]: (p["containerPort"], p.get("protocol", "TCP")) for p in one["ports"]}
        flags = dict(a[2:].split("=", 1) for a in one["args"] if "cluster.peer=" not in a)
        assert ports["web"] == (int(flags["web.listen-address"].rpartition(":")[2]), "TCP")
        for probe in ("livenessProbe", "readinessProbe"):
            assert one[probe]["httpGet"]["port"] in ports and one[probe]["httpGet"]["path"] in ("/-/healthy", "/-/ready")
        for service in (d for d in documents if d["kind"] == "Service"):
            for p in service["spec"]["ports"]:
                assert ports[p["targetPort"]] == (p["port"], p.get("protocol", "TCP")), p
        headless = only(documents, "Service", only(documents, "StatefulSet")["spec"]["serviceName"])
        assert headless["spec"]["clusterIP"] == "None" and headless["spec"]["publishNotReadyAddresses"] is True
        open_ports = {(p["port"], p["protocol"]) for rule in only(documents, "NetworkPolicy")["spec"]["ingress"] for p in rule["ports"]}
        assert open_ports == set(ports.values())
        peers = [a.split("=", 1)[1] for a in one["args"] if a.startswith("--cluster.peer=")]
        if variant.endswith("single"):
            assert not peers and flags["cluster.listen-address"] == ""
        else:
            mesh = int(flags["cluster.listen-address"].rpartition(":")[2])
            assert {ports["mesh-tcp"], ports["mesh-udp"]} == {(mesh, "TCP"), (mesh, "UDP")}
            replicas, name = only(documents, "StatefulSet")["spec"]["replicas"], only(documents, "StatefulSet")["metadata"]["name"]
            assert peers == [f"{name}-{i}.{headless['metadata']['name']}:{mesh}" for i in range(replicas)]
        pod = only(documents, "StatefulSet")["spec"]
        names = {v["name"] for v in pod["template"]["spec"]["volumes"]} | {v["metadata"]["name"] for v in pod["volumeClaimTemplates"]}
        mounts = {m["name"]: m["mountPath"] for m in one["volumeMounts"]}
        assert set(mounts) == names
        config = only(documents, "ConfigMap")
        assert pod["template"]["spec"]["volumes"][0]["configMap"]["name"] == config["metadata"]["name"]
        assert re.search(r"-[a-z0-9]{10}$", config["metadata"]["name"]), "a changed file must roll the pods"
        assert [f"{mounts['config']}/{f}" for f in config["data"]] == [flags["config.file"]]
        assert flags["storage.path"].startswith(mounts["data"])
        code, out, _ = run([TOCSINCTL, "check-config"], stdin=config["data"]["tocsin.yml"])
        assert code == 0, out
    for_each_variant(check)


def start_with(arguments, config, answers):
    """tocsin with exactly these arguments, but for the folders and addresses that exist elsewhere; `answers` are (port, path)."""
    folder = scratch()
    with open(os.path.join(folder, "tocsin.yml"), "w", encoding="utf-8") as f:
        f.write(config)
    ports = {}

    def here(argument):
        argument = argument.replace("/etc/tocsin", folder).replace("/var/lib/tocsin", folder).replace("/data", folder)
        argument = argument.replace("$(POD_IP)", "127.0.0.1")

        def port(m):
            return "127.0.0.1:%d" % ports.setdefault(m[1], free_port())
        if "cluster.peer=" in argument:
            return argument
        return re.sub(r"(?:127\.0\.0\.1)?:(\d+)$", port, argument)
    process = Process([TOCSIN] + [here(a) for a in arguments], name="deployed", cwd=folder)
    for port, path in answers:
        wait_for(f"{path}", lambda path=path, port=port: call(ports[str(port)], "GET", path, timeout=2)[0] == 200, 30)
    assert process.alive()
    assert process.stop() == 0, process.output()[-2000:]


def the_arguments_of_the_manifests_start_tocsin():
    def check(_, documents):
        one = container_of(documents)
        named = {p["name"]: p["containerPort"] for p in one["ports"]}
        answers = [(named[one[p]["httpGet"]["port"]], one[p]["httpGet"]["path"]) for p in ("livenessProbe", "readinessProbe")]
        start_with(one["args"], only(documents, "ConfigMap")["data"]["tocsin.yml"], answers)
    for_each_variant(check)


def unit_text():
    with open(os.path.join(DEPLOY, "systemd", "tocsin.service"), encoding="utf-8") as f:
        return f.read()


def the_unit_is_sound():
    text = unit_text()
    if not shutil.which("systemd-analyze"):
        raise Skip("no systemd-analyze")
    path = os.path.join(scratch(), "tocsin.service")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace("/usr/bin/tocsin ", os.path.abspath(TOCSIN) + " "))
    code, out, err = run(["systemd-analyze", "verify", "--man=no", path])
    assert code == 0 and "tocsin.service" not in out + err, out + err
    code, out, err = run(["systemd-analyze", "security", "--offline=true", "--threshold=20", path])  # of 100: how much it may do
    assert code == 0, out[-300:] + err


def the_command_of_the_unit_starts_and_tells_the_manager():
    argv = re.search(r"^ExecStart=/usr/bin/tocsin (.*)$", unit_text(), re.M).group(1).split()
    assert argv.pop() == "$ARGS"
    folder = scratch()
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(os.path.join(folder, "notify"))
    manager.settimeout(20)
    shutil.copy(os.path.join(ROOT, "config", "alertmanager.yml"), os.path.join(folder, "tocsin.yml"))
    argv = [a.replace("/etc/tocsin", folder).replace("/var/lib/tocsin", folder) for a in argv]
    process = Process([TOCSIN] + argv + [f"--web.listen-address=127.0.0.1:{free_port()}", "--cluster.listen-address="], cwd=folder,
                      env={"NOTIFY_SOCKET": os.path.join(folder, "notify")})
    assert b"READY=1" in manager.recv(4096)
    assert process.stop() == 0
    assert b"STOPPING=1" in manager.recv(4096)


def the_package_holds_what_it_should():
    for tool in ("cpack", "dpkg-deb", "dpkg-shlibdeps"):
        if not shutil.which(tool):
            raise Skip(f"no {tool}")
    folder = scratch()
    code, out, err = run(["cpack", "--config", os.path.join(OPT.bin, "CPackConfig.cmake"), "-G", "DEB", "-B", folder], timeout=300)
    assert code == 0, out[-2000:] + err[-2000:]
    packages = [f for f in os.listdir(folder) if f.endswith(".deb")]
    assert len(packages) == 1 and re.fullmatch(r"tocsin_[\d.]+_\w+\.deb", packages[0]), packages
    package = os.path.join(folder, packages[0])
    field = lambda name: run(["dpkg-deb", "--field", package, name])[1].strip()
    assert field("Package") == "tocsin" and field("Maintainer") and field("Description")
    for library in ("libuv1", "libmicrohttpd12", "libcurl3-gnutls", "libgnutls30", "tzdata", "ca-certificates"):
        assert library in field("Depends"), field("Depends")
    root = os.path.join(folder, "root")
    assert run(["dpkg-deb", "-x", package, root])[0] == 0 and run(["dpkg-deb", "-e", package, os.path.join(folder, "control")])[0] == 0
    for name in ("usr/bin/tocsin", "usr/bin/tocsinctl", "usr/lib/systemd/system/tocsin.service", "etc/tocsin/tocsin.yml", "etc/default/tocsin",
                 "usr/share/bash-completion/completions/tocsinctl",
                 "usr/share/zsh/vendor-completions/_tocsinctl", "usr/share/doc/tocsin/operate.md",
                 "usr/share/doc/tocsin/copyright", "usr/share/doc/tocsin/changelog.gz"):
        assert os.path.isfile(os.path.join(root, name)), name
    for program in ("tocsin", "tocsinctl"):
        with gzip.open(os.path.join(root, f"usr/share/man/man1/{program}.1.gz"), "rt", encoding="utf-8") as page:
            assert page.readline().startswith(f".TH {program} 1")
        code, out, err = run([os.path.join(root, "usr/bin", program), "--version"])
        assert code == 0 and out.startswith(program), err
    with open(os.path.join(folder, "control", "conffiles"), encoding="utf-8") as f:
        assert f.read().split() == ["/etc/default/tocsin", "/etc/tocsin/tocsin.yml"]
    for script in ("postinst", "prerm"):
        assert run(["sh", "-n", os.path.join(folder, "control", script)])[0] == 0
        assert os.access(os.path.join(folder, "control", script), os.X_OK)
    assert run([os.path.join(root, "usr/bin/tocsinctl"), "check-config", os.path.join(root, "etc/tocsin/tocsin.yml")])[0] == 0


def sanitized():
    with open(TOCSIN, "rb") as f:
        return b"__asan_init" in f.read()


def image_tree():
    out = os.path.join(scratch(), "image")
    code, said, err = run([os.path.join(DEPLOY, "collect-libraries"), os.path.abspath(OPT.bin), out], timeout=120)
    assert code == 0 and "image: " in said, said + err
    return out


def the_image_is_complete():
    """The tree that the Dockerfile copies into an empty image runs on its own: nothing outside of it is loaded."""
    if os.geteuid() != 0 or sanitized():
        raise Skip("chroot needs root, sanitizers need /proc")
    out = image_tree()
    shutil.copy(os.path.join(KUBERNETES, "base", "tocsin.yml"), os.path.join(out, "etc", "tocsin", "tocsin.yml"))
    with open(os.path.join(DEPLOY, "Dockerfile"), encoding="utf-8") as f:
        command = re.findall(r'"([^"]+)"', re.search(r"^CMD \[(.*)\]", f.read(), re.M).group(1))
    for argv in (["/usr/bin/tocsin", "--version"], ["/usr/bin/tocsin", *command, "--config.check"],
                 ["/usr/bin/tocsinctl", "check-config", "/etc/tocsin/tocsin.yml"]):
        done = subprocess.run(["chroot", "--userspec=65534:65534", out, *argv], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"


def the_image_is_small():
    """Of what Debian's libcurl brings with it (LDAP, Kerberos, SSH and their OpenSSL) and of the C++ runtime, the Dockerfile's build has
    nothing, so they do not count here; what it links statically instead is smaller than what it leaves out besides."""
    if sanitized():
        raise Skip("a build with sanitizers")
    foreign = ("libcrypto", "libssh2", "libldap", "liblber", "libsasl2", "libkrb5", "libk5crypto", "libgssapi", "libcom_err",
               "libkeyutils", "librtmp", "libbrotli", "libpsl", "libstdc++", "libgcc_s")
    sizes = {}
    for folder, _, files in os.walk(image_tree()):
        for name in files:
            status = os.lstat(os.path.join(folder, name))
            if not name.startswith(foreign):
                sizes[status.st_ino] = status.st_size
    if os.path.exists("/etc/ssl/certs/ca-certificates.crt"):
        sizes["certificates"] = os.path.getsize("/etc/ssl/certs/ca-certificates.crt")
    assert sum(sizes.values()) < IMAGE_BYTES_MAX, f"{sum(sizes.values()) / 1e6:.1f} MB"


def the_mixin_is_valid_and_asks_for_metrics_that_exist():
    paths = [os.path.join(DEPLOY, "mixin", f) for f in ("alerts.yml", "rules.yml")]
    texts = []
    for path in paths:
        if shutil.which("promtool"):
            code, out, err = run(["promtool", "check", "rules", path])
            assert code == 0, out + err
        with open(path, encoding="utf-8") as f:
            texts.append(f.read())
    if shutil.which("promtool"):
        code, out, err = run(["promtool", "test", "rules", "tests.yml"], cwd=os.path.join(DEPLOY, "mixin"))
        assert code == 0, out + err
    with open(os.path.join(DEPLOY, "mixin", "tests.yml"), encoding="utf-8") as f:
        tested = f.read()
    for name in re.findall(r"- alert: (\w+)", texts[0]):
        assert tested.count(f"alertname: {name}") == 2, f"{name} is not tested both ways"
    server = Server("route: {receiver: r}\nreceivers: [{name: r}]\n", cluster=f"127.0.0.1:{free_port()}", extra=["--cluster.settle-timeout=0s"])
    exposed = call(server.port, "GET", "/metrics")[2].decode()
    known = {re.sub(r"_(bucket|sum|count)$", "", m) for m in re.findall(r"^(\w+)[{ ]", exposed, re.M)}
    asked = {re.sub(r"_(bucket|sum|count)$", "", m) for t in texts for m in re.findall(r"\b(?:tocsin|alertmanager|process)_[a-z_]+", t)
             if not re.search(rf"record: \S*{m}", t)}
    assert len(asked) >= 8
    assert asked <= known, f"nobody exposes {sorted(asked - known)}"


if __name__ == "__main__":
    main([manifests_have_the_right_groups_and_fields, selectors_select_the_pods, ports_probes_and_volumes_fit_together,
          the_arguments_of_the_manifests_start_tocsin, the_unit_is_sound, the_command_of_the_unit_starts_and_tells_the_manager,
          the_package_holds_what_it_should, the_image_is_complete, the_image_is_small,
          the_mixin_is_valid_and_asks_for_metrics_that_exist])
