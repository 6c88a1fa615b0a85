"""./dev bench tsdb: the store of samples, by itself and beside Debian's Prometheus.

Memory, appending and decoding are asked of the store alone (bench/tsdb.c). Replay and compaction are the same directory
given to both servers, which read each other's files; remote write is the same requests to both, and a million series to
tocsin alone. CPU seconds are what to trust on a busy machine. --only runs the parts whose title has that text."""
import glob
import json
import os
import shutil
import subprocess
import time

from harness import Peer, scratch, show

FLAGS = ["--config.file={folder}/prometheus.yml", "--storage.tsdb.retention.time=100y", "--web.listen-address=127.0.0.1:{port}",
         "--log.level=error"]


def tool(opt):
    subprocess.run(["ninja", "--quiet", "-C", opt.bin, "bench_tsdb"], check=True)
    return os.path.join(opt.bin, "bench", "bench_tsdb")


def figures(program, *words):
    out = subprocess.run([program, *map(str, words)], check=True, capture_output=True, text=True).stdout
    return {k: float(v) for k, v in (line.split() for line in out.splitlines())}


def server(binary, name, data, *flags, wait=600):
    folder = scratch()
    with open(os.path.join(folder, "prometheus.yml"), "w", encoding="ascii") as f:
        f.write("global: {}\n")
    argv = [a.replace("{folder}", folder) for a in FLAGS] + [f"--storage.tsdb.path={data}", *flags]
    peer = Peer(binary, name, argv, wait=wait)
    shutil.rmtree(folder)
    return peer


def tree_bytes(folder):
    return sum(os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(folder) for f in files)


def replay(binary, name, data):
    """CPU, wall seconds, peak MiB of exec -> ready on a copy of the directory."""
    own = shutil.copytree(data, scratch(), dirs_exist_ok=True)
    peer = server(binary, name, own)
    out = peer.cpu(), peer.ready_ms / 1000, peer.memory()[2]
    peer.stop()
    shutil.rmtree(own)
    return out


def compaction(binary, name, data):
    """CPU from ready until the head's first block is written and the log is cut, bytes a sample of that block."""
    own = shutil.copytree(data, scratch(), dirs_exist_ok=True)
    peer = server(binary, name, own)
    before, end = peer.cpu(), time.monotonic() + 600
    while not glob.glob(own + "/*/meta.json") and time.monotonic() < end:
        time.sleep(0.2)
    last = -1.0
    while peer.cpu() - last > 0.02 and time.monotonic() < end: # until it has nothing left to do
        last = peer.cpu()
        time.sleep(3)
    cpu = peer.cpu() - before
    peer.stop()
    block = os.path.dirname(sorted(glob.glob(own + "/*/meta.json"))[0])
    with open(block + "/meta.json", encoding="ascii") as f:
        samples = json.load(f)["stats"]["numSamples"]
    each = tree_bytes(block) / samples
    shutil.rmtree(own)
    return cpu, each


def remote_write(binary, name, program, series, scrapes):
    """Resident bytes a series at the end, CPU seconds a million samples."""
    own = scratch()
    peer = server(binary, name, own, "--web.enable-remote-write-receiver")
    subprocess.run([program, "send", str(peer.port), str(series), str(scrapes)], check=True)
    resident, cpu = peer.memory()[0] * 2**20 / series, peer.cpu() / (series * scrapes) * 1e6
    peer.stop()
    shutil.rmtree(own)
    return resident, cpu


def alone(program, series, scrapes, data):
    own, decoded = figures(program, "fill", data, series, scrapes), figures(program, "decode", 1000)
    rows = [("resident, all in, a series", own["resident_per_series"], "B", "700"),
            ("append, memory through log, a CPU second", own["append_per_cpu_s"] / 1e6, "M", "5"),
            ("new series a CPU second", own["create_per_cpu_s"] / 1e6, "M", ""),
            ("XOR decoding, samples a second", decoded["decode_per_s"] / 1e6, "M", "150")]
    print(f"\nThe store alone, {series:,} series, {scrapes} scrapes of 15 s")
    for what, value, unit, target in rows:
        print(f"  {what:44}{value:>11.2f} {unit:<3} target {target or 'none'}")
    return own["resident"] / 2**20


def show_replay(opt, program, tocsin, series, scrapes):
    data = scratch()
    running = alone(program, series, scrapes, data)
    theirs, ours = replay(opt.prometheus, "prometheus", data), replay(tocsin, "tocsin", data)
    million = series * scrapes / 1e6
    shutil.rmtree(data)
    show(f"Replay beside Debian's Prometheus, {series:,} series x {scrapes}",
         [("replay, CPU seconds", theirs[0], ours[0], "s", False, "5x"),
          ("replay, exec to ready", theirs[1], ours[1], "s", False, "5x"),
          ("replay, samples a second", million / theirs[1], million / ours[1], "M", True, "5x"),
          ("replay, peak memory", theirs[2], ours[2], "MiB", False, f"{1.2 * running:.0f} MiB (1.2 x running head)")])


def show_compaction(opt, program, tocsin, series):
    data = scratch()
    figures(program, "fill", data, series, 800)
    theirs, ours = compaction(opt.prometheus, "prometheus", data), compaction(tocsin, "tocsin", data)
    shutil.rmtree(data)
    show(f"Compaction beside Debian's Prometheus, {series:,} series x 800",
         [("head to 2 h block, CPU seconds", theirs[0], ours[0], "s", False, "4x"),
          ("block, bytes a sample", theirs[1], ours[1], "B", False, "1x")])


def show_remote_write(opt, program, tocsin, series):
    theirs = remote_write(opt.prometheus, "prometheus", program, series, 120)
    ours = remote_write(tocsin, "tocsin", program, series, 120)
    show(f"Remote write beside Debian's Prometheus, {series:,} series x 120",
         [("resident bytes a series", theirs[0], ours[0], "B", False, "700 B"),
          ("CPU s a million samples", theirs[1], ours[1], "s", False, "")])


def show_million(_, program, tocsin, series):
    resident, cpu = remote_write(tocsin, "tocsin", program, series, 120)
    print(f"\nRemote write, tocsin alone, {series:,} series x 120")
    print(f"  {'resident, the whole server, a series':44}{resident:>11.2f} B   target 700")
    print(f"  {'CPU s a million samples':44}{cpu:>11.2f} s")


def run(opt):
    program, tocsin = tool(opt), os.path.join(opt.bin, "tocsin")
    parts = [("replay", show_replay, (100_000 if opt.quick else 1_000_000, 120))]
    parts += [(f"compaction {n}", show_compaction, (n,)) for n in ([20_000] if opt.quick else [20_000, 100_000, 300_000])]
    parts.append(("remote write beside", show_remote_write, (20_000 if opt.quick else 100_000,)))
    if not opt.quick:
        parts.append(("remote write alone", show_million, (1_000_000,)))
    for title, part, words in parts:
        if opt.only in title:
            part(opt, program, tocsin, *words)
