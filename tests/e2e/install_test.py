#!/usr/bin/env python3
# build: release
"""What is shipped works where nothing of it was before: the Debian package in a fresh Debian, and, with --long, the steps of
deploy/Dockerfile in another, down to the tree that would be the image. Needs root, debootstrap and a mirror of Debian's."""
import shlex
import shutil

from deploy_test import DEPLOY, IMAGE_BYTES_MAX, sanitized
from harness import *
from net_lib import bind, need_own_mounts, own_mounts

SOURCES = "/etc/apt/sources.list.d/debian.sources"
CLEAN = {"HOME": "/root", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}


class Debian:
    """A fresh Debian 12 as small as debian:12-slim; commands are run in it as a container engine does."""

    def __init__(self):
        if os.geteuid() != 0 or not shutil.which("debootstrap"):
            raise Skip("needs root and debootstrap")
        need_own_mounts()
        if not os.path.exists(SOURCES):
            raise Skip(f"no {SOURCES}")
        self.root = os.path.join(scratch(), "debian")
        with open(SOURCES, encoding="utf-8") as f:
            mirror = next(line.split()[1] for line in f if line.startswith("URIs:"))
        code, out, err = run(["debootstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", self.root, mirror], timeout=300)
        if code != 0:
            raise Skip("debootstrap: " + (out + err)[-200:].strip())
        os.remove(os.path.join(self.root, "etc/apt/sources.list"))
        for path in [SOURCES, "/etc/resolv.conf"] + [os.path.join("/etc/apt/apt.conf.d", n) for n in os.listdir("/etc/apt/apt.conf.d")
                                                    if n.startswith("99")]:
            shutil.copy(path, self.root + path)
        shutil.copytree("/usr/share/keyrings", self.root + "/usr/share/keyrings", dirs_exist_ok=True)
        code, said = self.run(["apt-get", "update", "-qq"])
        if code != 0:
            raise Skip("apt-get update: " + said[-200:].strip())

    def run(self, argv, folder="/", timeout=300):
        def inside():
            own_mounts()
            bind("/dev", self.root + "/dev")
            bind("/proc", self.root + "/proc")
            os.chroot(self.root)
            os.chdir(folder)
        done = subprocess.run(argv, preexec_fn=inside, env=CLEAN, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout + done.stderr

    def must(self, *argv, **how):
        code, said = self.run(list(argv), **how)
        assert code == 0, f"{argv}: {code}\n{said[-3000:]}"
        return said

    def files(self):
        return set(self.must("find", "/", "-xdev", "-not", "-path", "/proc*", "-not", "-path", "/dev*", "-not", "-path", "/var/*").splitlines())


def make_package():
    folder = scratch()
    code, out, err = run(["cpack", "--config", os.path.join(OPT.bin, "CPackConfig.cmake"), "-G", "DEB", "-B", folder], timeout=300)
    assert code == 0, out[-2000:] + err[-2000:]
    return next(os.path.join(folder, f) for f in os.listdir(folder) if f.endswith(".deb"))


def the_package_installs_into_a_clean_debian_and_leaves_it():
    if not shutil.which("cpack"):
        raise Skip("no cpack")
    debian = Debian()
    shutil.copy(make_package(), debian.root + "/tocsin.deb")
    debian.must("apt-get", "install", "-y", "-qq", "--no-install-recommends", "systemd", "procps", timeout=600)  # a machine has them
    debian.must("apt-get", "install", "-y", "-qq", "--no-install-recommends", "/tocsin.deb", timeout=600)
    assert debian.must("tocsin", "--version").startswith("tocsin, version ")
    assert "route" in debian.must("tocsin", "--config.file=/etc/tocsin/tocsin.yml", "--config.check")
    assert "SUCCESS" in debian.must("tocsinctl", "check-config", "/etc/tocsin/tocsin.yml")
    assert "not found" not in debian.must("ldd", "/usr/bin/tocsin", "/usr/bin/tocsinctl")
    assert debian.must("dpkg", "--verify", "tocsin") == ""
    if shutil.which("systemd-analyze"):
        unit = debian.root + "/usr/lib/systemd/system/tocsin.service"
        code, out, err = run(["systemd-analyze", "verify", "--man=no", "--root=" + debian.root, unit])
        assert code == 0 and "tocsin.service" not in out + err, out + err
    with open(debian.root + "/etc/tocsin/tocsin.yml", "a", encoding="utf-8") as f:
        f.write("# mine\n")
    debian.must("apt-get", "install", "-y", "-qq", "--reinstall", "/tocsin.deb")
    with open(debian.root + "/etc/tocsin/tocsin.yml", encoding="utf-8") as f:
        assert f.read().endswith("# mine\n"), "an upgrade keeps the operator's file"
    debian.must("apt-get", "purge", "-y", "-qq", "tocsin")
    left = [f for f in debian.files() if "tocsin" in f and f != "/tocsin.deb"]
    assert not left, left


def instructions():
    """deploy/Dockerfile as (instruction, arguments), stage by stage."""
    with open(os.path.join(DEPLOY, "Dockerfile"), encoding="utf-8") as f:
        lines = [l for l in f.read().replace("\\\n", " ").splitlines() if l.strip() and not l.startswith("#")]
    stages = []
    for word, rest in (line.split(None, 1) for line in lines):
        if word == "FROM":
            stages.append((rest, []))
        else:
            stages[-1][1].append((word, rest))
    return stages


def build_stage(debian, steps):
    folder = "/"
    for word, rest in steps:
        if word == "WORKDIR":
            folder = rest
            os.makedirs(debian.root + folder, exist_ok=True)
        elif word == "COPY":
            assert rest == ". ."
            names = subprocess.run(["git", "ls-files", "-z", "-c", "-o", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True).stdout
            for name in filter(None, names.decode().split("\0")):
                if os.path.exists(os.path.join(ROOT, name)):
                    os.makedirs(os.path.dirname(os.path.join(debian.root + folder, name)), exist_ok=True)
                    shutil.copy(os.path.join(ROOT, name), os.path.join(debian.root + folder, name))
        else:
            assert word == "RUN", word
            started = time.monotonic()
            said = debian.must("/bin/sh", "-c", rest, folder=folder, timeout=3000)
            print(f"     RUN {rest[:60]}…  {time.monotonic() - started:.0f}s" + "".join(f"  ({l})" for l in said.splitlines() if "image: " in l))


def final_stage(debian, steps):
    """The image's tree, and how it is started."""
    tree, start = os.path.join(scratch(), "image"), {}
    os.mkdir(tree)
    for word, rest in steps:
        if word == "COPY":
            source, target = rest.split()[1:]
            if source.endswith("/"):
                shutil.copytree(debian.root + source, tree + target, symlinks=True, dirs_exist_ok=True)
            else:
                os.makedirs(os.path.dirname(tree + target), exist_ok=True)
                shutil.copy(debian.root + source, tree + target)
        elif word in ("ENTRYPOINT", "CMD"):
            start[word] = json.loads(rest)
        elif word == "USER":
            start[word] = rest
    return tree, start


def the_steps_of_the_dockerfile_make_a_small_image_that_runs():
    if not OPT.long:
        raise Skip("builds everything anew: with --long")
    if sanitized():
        raise Skip("a build with sanitizers")
    (base, build), (nothing, image) = instructions()
    assert base == "debian:12-slim AS build" and nothing == "scratch"
    debian = Debian()
    build_stage(debian, build)
    tree, start = final_stage(debian, image)
    sizes = {}
    for folder, _, files in os.walk(tree):
        for status in (os.lstat(os.path.join(folder, name)) for name in files):
            sizes[status.st_ino] = status.st_size
    libraries = sum(os.path.getsize(os.path.join(f, n)) for f, _, names in os.walk(tree + "/usr/lib") for n in names)
    programs = sum(os.path.getsize(os.path.join(tree, "usr/bin", n)) for n in os.listdir(tree + "/usr/bin"))
    print(f"     programs {programs / 1e6:.1f} MB + libraries {libraries / 1e6:.1f} MB; the image {sum(sizes.values()) / 1e6:.1f} MB")
    assert sum(sizes.values()) < IMAGE_BYTES_MAX
    shutil.copy(os.path.join(DEPLOY, "kubernetes", "base", "tocsin.yml"), tree + "/etc/tocsin/tocsin.yml")
    port = free_port()
    argv = ["chroot", "--userspec=" + start["USER"], tree, *start["ENTRYPOINT"], *start["CMD"], f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address="]
    process = Process(argv, name="image")
    wait_for("the image answers", lambda: call(port, "GET", "/-/ready", timeout=2)[0] == 200, 20)
    assert process.stop() == 0
    for program in ("tocsin", "tocsinctl"):
        done = subprocess.run(["chroot", tree, "/usr/bin/" + program, "--version"], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and done.stdout.startswith(program), shlex.join(done.args) + done.stderr


if __name__ == "__main__":
    main([the_package_installs_into_a_clean_debian_and_leaves_it, the_steps_of_the_dockerfile_make_a_small_image_that_runs])
