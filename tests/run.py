#!/usr/bin/env python3
"""Runs the tests by tier, prints one line a program and the time of each tier, and closes with `N passed, N failed`.

A program speaks for itself in one of three ways, and its last word counts: cmocka's summary, a line
`N passed, N failed[, N skipped]`, or (fuzz targets) its exit code. A program that dies counts as one failure.
"""
import argparse
import concurrent.futures
import os
import re
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
JOBS = max(1, os.cpu_count() or 1)
SUMMARY = re.compile(r"^(?:\w+: )?(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.M)
CMOCKA_OK = re.compile(r"^\[  PASSED  \] (\d+) test", re.M)
CMOCKA_BAD = re.compile(r"^\[  FAILED  \] [^:]*: (\d+) test|^\[  FAILED  \] (\d+) test", re.M)

# Which unit programs run again under ThreadSanitizer: those of the folders that have threads.
TSAN_FOLDERS = ("io", "tsdb", "base")


class Totals:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.bad = []


def environment():
    env = dict(os.environ)
    env.setdefault("TOCSIN_SHARED", os.path.join(ROOT, "..", "shared"))
    env["ASAN_OPTIONS"] = "detect_leaks=1:abort_on_error=0:allocator_may_return_null=0"
    env["UBSAN_OPTIONS"] = "print_stacktrace=1"
    env["TSAN_OPTIONS"] = "second_deadlock_stack=1:halt_on_error=1"
    env["CCACHE_NOHASHDIR"] = "1"
    return env


def run_program(name, argv, timeout, env=None):
    started = time.monotonic()
    process = subprocess.Popen(argv, cwd=ROOT, env=env or environment(), stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True)
    try:
        raw, _ = process.communicate(timeout=timeout)
        code = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raw, _ = process.communicate()
        raw += b"\n*** no end within %d s: killed\n" % timeout
        code = 124
    text = raw.decode("utf-8", "replace")
    passed = failed = skipped = 0
    lines = SUMMARY.findall(text)
    if lines:
        passed, failed, skipped = (int(x or 0) for x in lines[-1])
    else:
        passed = sum(int(n) for n in CMOCKA_OK.findall(text))
        failed = sum(int(a or b) for a, b in CMOCKA_BAD.findall(text))
    if code != 0 and failed == 0:
        failed = 1
    if code == 0 and passed == 0 and skipped == 0 and failed == 0:
        passed = 1
    return name, passed, failed, skipped, time.monotonic() - started, text


def report(totals, result):
    name, passed, failed, skipped, seconds, text = result
    totals.passed += passed
    totals.failed += failed
    totals.skipped += skipped
    mark = "FAIL" if failed else "ok"
    print(f"{mark:4} {name}  {passed} passed{f', {failed} failed' if failed else ''}"
          f"{f', {skipped} skipped' if skipped else ''}  {seconds:.1f}s", flush=True)
    if skipped:
        for line in text.splitlines():
            if line.startswith("SKIP"):
                print(f"     {line}", flush=True)
    if failed:
        totals.bad.append(name)
        tail = text.splitlines()[-60:]
        print("\n".join("     | " + line for line in tail), flush=True)


def run_all(totals, programs, timeout, jobs, alone_again=False):
    """With alone_again, a program that fails beside others is run once more by itself: two cores are shared, and the tests
    start servers whose deadlines are real. What fails alone too has failed."""
    failed = []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        futures = {pool.submit(run_program, name, argv, timeout): (name, argv) for name, argv in programs}
        for future in concurrent.futures.as_completed(futures):
            result = future.result()
            if alone_again and result[2]:
                failed.append(futures[future])
                print(f"     {result[0]}: {result[2]} failed beside others; again, alone, at the end", flush=True)
            else:
                report(totals, result)
    for name, argv in failed:
        report(totals, run_program(name, argv, timeout))


def build(preset, *targets):
    started = time.monotonic()
    folder = os.path.join(ROOT, "build", preset)
    if not os.path.exists(os.path.join(folder, "build.ninja")):
        subprocess.run(["cmake", "--preset", preset], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run(["ninja", "--quiet", "-C", folder, f"-j{JOBS}", *targets], cwd=ROOT, env=environment())
    if done.returncode != 0:
        print(f"build of preset {preset} failed\n0 passed, 1 failed")
        sys.exit(1)
    print(f"built {preset} in {time.monotonic() - started:.0f}s", flush=True)
    return folder


def build_release():
    """The programs, the simulations and the C halves of end-to-end tests: units run under sanitizers only."""
    targets = ["tocsin", "tocsinctl"]
    for kind in ("sim", "e2e"):
        folder = os.path.join(ROOT, "tests", kind)
        targets += [f"{kind}_{f[:-2]}" for f in sorted(os.listdir(folder)) if f.endswith(".c")]
    return build("release", *targets)


def programs_in(folder, kind):
    path = os.path.join(folder, kind)
    if not os.path.isdir(path):
        return []
    return sorted(os.path.join(path, f) for f in os.listdir(path) if os.access(os.path.join(path, f), os.X_OK)
                  and os.path.isfile(os.path.join(path, f)))


def wanted(name, names):
    return not names or any(n in name for n in names)


def tier_unit(totals, opt):
    folder = build("dev")
    programs = [(os.path.basename(p), [p]) for kind in ("unit", "conformance") for p in programs_in(folder, kind)]
    run_all(totals, [p for p in programs if wanted(p[0], opt.names)], 300, JOBS)


def tier_tsan(totals, opt):
    folder = os.path.join(ROOT, "build", "tsan")
    names = [os.path.basename(p) for p in programs_in(os.path.join(ROOT, "build", "dev"), "unit")]
    names = [n for n in names if n.startswith(tuple(f"unit_{f}_" for f in TSAN_FOLDERS)) and wanted(n, opt.names)]
    if not names:
        return
    build("tsan", *names)
    run_all(totals, [("tsan_" + n, [os.path.join(folder, "unit", n)]) for n in names], 300, JOBS)


# Simulations: program[:variant] -> arguments in CI, with --long, and of the fewer seeds under ASan.
SIMULATIONS = {
    "sim_dispatch_sim": (["--seeds", "10000"], ["--seeds", "50000"], ["--seeds", "300"]),
    "sim_mesh_sim": (["--nodes", "5", "--seeds", "2000"], ["--nodes", "5", "--seeds", "10000"], ["--nodes", "5", "--seeds", "50"]),
    "sim_cluster_sim": (["--seeds", "10000"], ["--seeds", "30000"], ["--seeds", "300"]),
    "sim_tsdb_model": (["--seeds", "20"], ["--seeds", "20", "--ops", "100000"], ["--seeds", "3"]),
    "sim_tsdb_model:cuts": (["--cuts", "--seeds", "4"], ["--cuts", "--seeds", "100"], ["--cuts", "--seeds", "1"]),
}


def tier_sim(totals, opt):
    release, dev = build_release(), os.path.join(ROOT, "build", "dev")
    programs = []
    known = {f"sim_{f[:-2]}" for f in os.listdir(os.path.join(ROOT, "tests", "sim")) if f.endswith(".c")}
    for path in programs_in(release, "sim"):
        name = os.path.basename(path)
        if name not in known:
            continue
        under_asan = os.path.join(dev, "sim", name)
        for key in [k for k in SIMULATIONS if k.split(":")[0] == name] or [name]:
            short, long, asan = SIMULATIONS.get(key, ([], [], []))
            programs.append((key, [path] + (long if opt.long else short)))
            if os.path.exists(under_asan):
                programs.append((key + " (asan)", [under_asan] + asan))
    run_all(totals, [p for p in programs if wanted(p[0], opt.names)], 3600 if opt.long else 600, JOBS)


def tier_e2e(totals, opt):
    """Python tests in tests/e2e: each is given the folder of a build. `# build: release` in its head asks for release,
    where a deadline is judged; the default is dev (ASan), where behaviour is. `# long` runs only with --long;
    `# peers` marks those that share Debian's peers' ports and run alone."""
    folder = os.path.join(ROOT, "tests", "e2e")
    if not os.path.isdir(folder):
        return
    dev, release = build("dev"), build_release()
    programs = []
    for f in sorted(os.listdir(folder)):
        if not f.endswith("_test.py") or not wanted("e2e_" + f[:-3], opt.names):
            continue
        head = open(os.path.join(folder, f), encoding="utf-8").read(600)
        if "# long" in head and not opt.long:
            continue
        binaries = release if "# build: release" in head else dev
        programs.append(("e2e_" + f[:-3], [sys.executable, os.path.join(folder, f), "--bin", binaries]
                         + (["--long"] if opt.long else [])))
    run_all(totals, programs, 3600 if opt.long else 420, JOBS, alone_again=True)


def tier_fuzz(totals, opt):
    folder = build("fuzz")
    programs = []
    for path in programs_in(folder, "fuzz"):
        name = os.path.basename(path)
        if not wanted(name, opt.names):
            continue
        corpus = os.path.join(ROOT, "build", "corpus", name)
        os.makedirs(corpus, exist_ok=True)
        seeds = os.path.join(ROOT, "tests", "fuzz", "corpus", name)
        argv = [path, f"-max_total_time={opt.fuzz_seconds}", "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=0",
                "-verbosity=0", f"-artifact_prefix={os.path.join(ROOT, 'build')}/{name}-", corpus]
        programs.append((name, argv + ([seeds] if os.path.isdir(seeds) else [])))
    run_all(totals, programs, opt.fuzz_seconds + 120, JOBS)


def tier_tidy(totals, opt):
    if wanted("tidy", opt.names):
        report(totals, run_program("tidy", [sys.executable, os.path.join(ROOT, "tools", "tidy.py")], 300))


TIERS = [("tidy", tier_tidy), ("unit", tier_unit), ("tsan", tier_tsan), ("sim", tier_sim), ("e2e", tier_e2e),
         ("fuzz", tier_fuzz)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tier", action="append")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--fuzz-seconds", type=int, default=None)
    parser.add_argument("names", nargs="*")
    opt = parser.parse_args()
    if opt.fuzz_seconds is None:
        opt.fuzz_seconds = 600 if opt.long else 6
    totals, times = Totals(), []
    for name, tier in TIERS:
        if opt.tier and name not in opt.tier:
            continue
        started = time.monotonic()
        tier(totals, opt)
        times.append(f"{name} {time.monotonic() - started:.0f}s")
    print("time: " + ", ".join(times))
    for name in totals.bad:
        print("failed: " + name)
    print(f"{totals.passed} passed, {totals.failed} failed" + (f", {totals.skipped} skipped" if totals.skipped else ""))
    sys.exit(1 if totals.failed or totals.passed == 0 else 0)


if __name__ == "__main__":
    main()
