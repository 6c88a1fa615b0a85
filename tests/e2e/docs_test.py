#!/usr/bin/env python3
"""Every command of README.md and docs/*.md is run. A page's blocks marked `sh` are one bash script in their order, run with
errors fatal in a network of its own, so that the ports that the page names are free, with the programs of this build on PATH.
Blocks marked `console` hold what cannot be run by a test; each of their lines is in NOT_RUN with its reason. Also: the generated
pages are those that the tables give, links between pages lead somewhere, and every flag that a page names exists."""
import glob
import os
import re
import shutil
import subprocess

from harness import OPT, ROOT, TOCSIN, TOCSINCTL, Server, Skip, call, free_port, main, run, scratch

NOT_RUN = {
    "./dev build": "the build that this test is part of",
    "./dev run": "installs and builds; what it shows then is run by the_demo_says_each_thing_once",
    "./dev test": "runs this test",
    "./dev run     # installs what is missing, builds, starts a cluster, fires alerts, shows the one notification for each": "as above",
    "./dev test    # all tests: units, recorded cases, simulations, end to end beside the real peers, fuzzing": "as above",
    "apt install ./tocsin_0.1.0_amd64.deb": "would change the machine; deploy_test makes the package and looks into it",
}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
# "unchanged": in a chroot / is no mount point, and changing its propagation fails there.
ISOLATED = ["unshare", "-n", "-p", "-f", "--kill-child", "--mount-proc", "--propagation", "unchanged"]


def pages():
    found = [os.path.join(ROOT, "README.md")]
    for folder, _, files in os.walk(os.path.join(ROOT, "docs")):
        found += sorted(os.path.join(folder, f) for f in files if f.endswith(".md"))
    return found


def text_of(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def blocks(path, kind):
    return [body for what, body in FENCE.findall(text_of(path)) if what == kind]


def prepare():
    """A folder that looks like the repository after a build."""
    folder = scratch()
    os.makedirs(os.path.join(folder, "build"))
    os.symlink(os.path.abspath(OPT.bin), os.path.join(folder, "build", "release"))
    for name in ("config", "deploy"):
        shutil.copytree(os.path.join(ROOT, name), os.path.join(folder, name))
    os.makedirs(os.path.join(folder, "home"))
    return folder


def run_page(path):
    script = "set -euo pipefail\nset -m\n" + "\n".join(blocks(path, "sh")) + "\nexec 2>&-\nkill $(jobs -p) || true\n"
    folder = prepare()
    with open(os.path.join(folder, "page.sh"), "w", encoding="utf-8") as f:
        f.write(script)
    env = dict(os.environ, HOME=os.path.join(folder, "home"), PATH=os.path.abspath(OPT.bin) + ":" + os.environ["PATH"])
    env.pop("URL", None)
    with open(os.path.join(folder, "output"), "w+b") as out:
        try:
            code = subprocess.run(ISOLATED + ["bash", "-c", "ip link set lo up && exec bash -x page.sh"], cwd=folder, env=env,
                                  stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, timeout=150).returncode
        except subprocess.TimeoutExpired:
            code = "no end within 150 s"
        out.seek(0)
        text = out.read().decode("utf-8", "replace")
    if code != 0:
        raise AssertionError(f"{os.path.relpath(path, ROOT)}: {code}\n{text[-3000:]}")


def page_test(path):
    def test():
        if subprocess.run(ISOLATED + ["ip", "link", "set", "lo", "up"], capture_output=True).returncode != 0:
            raise Skip("no network namespaces here (needs root)")
        if "prometheus-alertmanager" in "".join(blocks(path, "sh")) and not shutil.which("prometheus-alertmanager"):
            raise Skip("no prometheus-alertmanager (Debian)")
        run_page(path)
    test.__name__ = "commands_of_" + re.sub(r"\W", "_", os.path.relpath(path, ROOT)[:-3])
    return test


def what_is_not_run_is_listed_with_a_reason():
    for path in pages():
        for body in blocks(path, "console"):
            for line in body.splitlines():
                assert not line.strip() or line.strip() in NOT_RUN, f"{path}: {line!r} is neither run nor listed"
        for kind, _ in FENCE.findall(text_of(path)):
            assert kind in ("sh", "console", "yaml", "json", "text", "c", "promql"), f"{path}: a block marked {kind!r}"


def the_configuration_page_is_what_the_tables_say():
    code, page, errors = run([os.path.join(OPT.bin, "gen_docs")])
    assert code == 0, errors
    assert page == text_of(os.path.join(ROOT, "docs", "configuration.md")), \
        "docs/configuration.md differs: gen_docs > docs/configuration.md"


def whatever_has_no_effect_is_on_the_page_of_differences():
    page = text_of(os.path.join(ROOT, "docs", "compatibility.md"))
    inactive = page[page.index("## Accepted, not active"):page.index("## Differs on purpose")]
    patterns = [re.escape(name).replace(r"\*", ".*") for name in re.findall(r"`(?:--)?([\w.*-]+)`", inactive)]
    with open(os.path.join(ROOT, "src", "cmd", "tocsin", "flags.c"), encoding="utf-8") as f:
        names = re.findall(r'F\(\w+, \w+, "([\w.-]+)",.*\.inactive = true', f.read())
    keys = re.findall(r"^\| `(\w+)` .*\*not active\* \|$", text_of(os.path.join(ROOT, "docs", "configuration.md")), re.M)
    assert len(names) > 20 and len(keys) > 5
    unlisted = [n for n in names + keys if not any(re.fullmatch(p, n) for p in patterns)]
    assert not unlisted, f"neither active nor listed: {unlisted}"


def what_has_no_effect_is_warned_of_with_its_line():
    folder = scratch()
    sections = {"tracing": "{endpoint: localhost:1}", "event_recorder": "{}", "scrape_configs": "[]", "rule_files": "[]", "alerting": "{}",
                "remote_write": "[]", "remote_read": "[]", "otlp": "{}", "runtime": "{}"}
    path = os.path.join(folder, "all.yml")
    with open(path, "w", encoding="utf-8") as f:
        f.write("".join(f"{k}: {v}\n" for k, v in sections.items()) + "route: {receiver: r}\nreceivers: [{name: r}]\n")
    with open(os.path.join(folder, "web.yml"), "w", encoding="utf-8") as f:
        f.write("http_server_config:\n  http2: true\n")
    code, out, log = run([TOCSIN, "--config.check", "--config.file=" + path, f"--web.config.file={folder}/web.yml",
                          "--enable-feature=event-recorder", "--config.auto-reload"])
    assert code == 0 and "Prometheus half: yes (scrape_configs, rule_files, alerting" in out, out + log
    _, out, said = run([TOCSINCTL, "check-config", path])
    assert "SUCCESS" in out
    for line, name in enumerate(sections, 1):
        assert log.count(f"line {line}: {name}: accepted, but ") == 1, name + "\n" + log
        assert said.count(f"line {line}: {name}: accepted, but ") == 1, name + "\n" + said
    assert 'file=' in log and "line=2" in log and "HTTP/2 is not served" in log, log
    assert log.count("flag=config.auto-reload\n") == 1 and "Event recorder: accepted, not active" in log, log
    code, _, err = run([TOCSIN, "--config.file=" + path, f"--storage.path={folder}/d", "--cluster.listen-address=",
                        "--web.listen-address=vsock://:1"])
    assert code == 1 and "vsock" in err and "not available" in err, err


def root_pages():
    return [os.path.join(ROOT, f"{name}.md") for name in ("ARCHITECTURE", "CONTRIBUTING", "CHANGELOG")]


def the_paths_of_the_api_page_are_there_and_those_said_to_be_missing_are_not():
    def named(text):
        """`/a/b`, `/c` in one cell: a later one continues where the first one's last part was."""
        for cell in text:
            base = ""
            for path in re.findall(r"`(?:[A-Z, …]+ )?(/[\w/{}.-]+)`", cell):
                base = base if not re.match(r"/(api|-|metrics|federate|debug)", path) else ""
                yield base + path
                base = base or (path.rpartition("/")[0] if path.startswith("/api/v1/") else "")
    both = Server("route: {receiver: r}\nreceivers: [{name: r}]\nstorage: {tsdb: {out_of_order_time_window: 1m}}\n",
                  extra=[f"--storage.tsdb.path={scratch()}/d", "--web.enable-admin-api", "--web.enable-remote-write-receiver"])

    def status(path):
        path = re.sub(r"\{id\}", "11111111-2222-4333-8444-555555555555", path).replace("{name}", "job")
        answers = {call(both.port, method, path)[::2] for method in ("GET", "POST")}
        return any(code not in (404, 405) or (code == 404 and b"page not found" not in body) for code, body in answers)
    rows = re.findall(r"^\| (`[A-Z].*?) \|", text_of(os.path.join(ROOT, "docs", "api.md")), re.M)
    there = [p for p in named(rows) if p != "/-/quit"]
    assert len(there) > 25 and "/api/v1/status/tsdb/blocks" in there, there
    missing = [p for p in there if not status(p)]
    assert not missing, f"said to be there: {missing}"
    rows = re.findall(r"^\| (`/(?:api/v1|debug).*?) \|", text_of(os.path.join(ROOT, "docs", "compatibility.md")), re.M)
    absent = list(named(rows))
    assert len(absent) > 8 and not any(status(p) for p in absent), [p for p in absent if status(p)]


def the_metrics_to_watch_are_exposed():
    server = Server("route: {receiver: r}\nreceivers: [{name: r}]\n", cluster=f"127.0.0.1:{free_port()}",
                    extra=["--cluster.settle-timeout=0s"])
    exposed = set(re.findall(r"^# TYPE (\w+)", call(server.port, "GET", "/metrics")[2].decode(), re.M))
    named = {m for path in pages() for m in re.findall(r"`((?:alertmanager|tocsin)_\w+)(?:\{.*?\})?`", text_of(path))}
    assert len(named) > 10 and named <= exposed, named - exposed


def the_map_is_the_tree():
    page = text_of(os.path.join(ROOT, "ARCHITECTURE.md"))
    floors = {}
    for line in text_of(os.path.join(ROOT, "tools", "floors.txt")).splitlines():
        if line and not line.startswith("#"):
            number, name = line.split()
            if os.path.isdir(os.path.join(ROOT, "src", name)):
                floors.setdefault(int(number), set()).add(name)
    drawn = {int(n): set(names.split()) for n, names in re.findall(r"^\| (\d+) \| ([a-z ]+) \|", page, re.M)}
    assert drawn == floors, f"drawn {drawn}\nis {floors}"
    sources = [os.path.join(folder, f) for folder, _, files in os.walk(os.path.join(ROOT, "src")) for f in files if f.endswith(".c")]
    code = "".join(text_of(path) for path in sources)
    threads = set(re.findall(r'thread_start(?:_deep)?\([^;]*?"([a-z-]+)"', code))
    table = page[page.index("## Threads"):page.index("## Files")]
    missing = [t for t in threads if not re.search(rf"\b{t}\b", table)]
    assert len(threads) >= 6 and not missing, missing


def paths_that_pages_name_are_there():
    for path in pages() + root_pages():
        for name in re.findall(r"`((?:src|tests|tools|docs|deploy|config|bench)/[\w./*<>\[\]-]+)`", text_of(path)):
            pattern = re.sub(r"<\w+>|\[ch\]", "*", name)
            assert glob.glob(os.path.join(ROOT, pattern)) or name == "src/x/x.h", f"{path}: {name}"


def links_between_pages_lead_somewhere():
    for path in pages() + root_pages():
        for target in re.findall(r"\]\(([^)#\s]+)", text_of(path)):
            if not re.match(r"\w+:", target):
                assert os.path.exists(os.path.join(os.path.dirname(path), target)), f"{path}: {target}"


def every_flag_that_a_page_names_exists():
    known = set()
    for program in (TOCSIN, TOCSINCTL):
        code, text, _ = run([program, "--help-long"], env={"HOME": "/nonexistent"})
        assert code == 0
        known |= {name.replace("[no-]", "") for name in re.findall(r"--((?:\[no-\])?[a-z][\w.-]*)", text)}
    assert "config.file" in known and "alertmanager.url" in known and len(known) > 80
    for path in pages():
        for line in text_of(path).splitlines():
            if "tocsin" not in line:
                continue
            for name in re.findall(r"(?<![\w-])--((?!no-)[a-z]+\.[a-z.-]+[a-z])", line):
                assert name in known, f"{path}: --{name}"


def the_demo_says_each_thing_once():
    code, out, err = run(["python3", os.path.join(ROOT, "tools", "demo.py"), "--bin", os.path.abspath(OPT.bin)], timeout=120)
    assert code == 0 and "none lost, none doubled" in out, out + err


def both_programs_have_a_page_of_the_manual():
    for program in (TOCSIN, TOCSINCTL):
        name = os.path.basename(program)
        code, page, errors = run([program, "--help-man"], env={"HOME": "/nonexistent"})
        assert code == 0 and page.startswith(f".TH {name} 1"), errors
        for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS"):
            assert f".SH {section}\n" in page, section
        if shutil.which("groff"):
            code, shown, errors = run(["groff", "-man", "-Tutf8", "-ww", "-rLL=200n", "-"], stdin=page)
            assert code == 0 and errors == "", errors
            assert "OPTIONS" in re.sub(".\b", "", shown) # bold is struck twice


if __name__ == "__main__":
    tests = [what_is_not_run_is_listed_with_a_reason, the_configuration_page_is_what_the_tables_say,
             whatever_has_no_effect_is_on_the_page_of_differences, what_has_no_effect_is_warned_of_with_its_line,
             the_paths_of_the_api_page_are_there_and_those_said_to_be_missing_are_not, the_metrics_to_watch_are_exposed,
             the_map_is_the_tree, paths_that_pages_name_are_there, links_between_pages_lead_somewhere, every_flag_that_a_page_names_exists,
             both_programs_have_a_page_of_the_manual, the_demo_says_each_thing_once]
    main(tests + [page_test(path) for path in pages() if blocks(path, "sh")])
