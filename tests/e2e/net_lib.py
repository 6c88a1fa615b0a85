"""Machines of a test: network namespaces behind one bridge, children that start inside of one, a name server that answers what the
test wants. Needs root and ip; what is missing is a Skip."""
import atexit
import ctypes
import os
import shutil
import socket
import struct
import subprocess
import threading

from harness import Skip

NAMES = "/run/netns"
CLONE_NEWNET, CLONE_NEWNS = 0x40000000, 0x20000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
_libc = ctypes.CDLL(None, use_errno=True)


def ip(*args, space=None, check=True):
    """In a namespace, if one is named; ip's own -n wants to change the mounts of /, which a chroot does not allow."""
    done = subprocess.run(["ip", *args], capture_output=True, text=True, preexec_fn=(lambda: enter(space)) if space else None)
    if check and done.returncode:
        raise Skip(f"ip {' '.join(args)}: {done.stderr.strip()}")


class Network:
    """A bridge that has `net`.1 here, and `count` namespaces behind it; the i-th has `net`.(10 + i)."""
    made = 0

    def __init__(self, net, count):
        if os.geteuid() or not shutil.which("ip"):
            raise Skip("network namespaces need root and ip")
        Network.made += 1
        self.net, self.bridge, self.spaces = net, f"tcs{os.getpid() % 100000}x{Network.made}", []
        atexit.register(self.close)
        ip("link", "add", self.bridge, "type", "bridge")
        ip("addr", "add", f"{net}.1/24", "dev", self.bridge)
        ip("link", "set", self.bridge, "up")
        for i in range(count):
            space, link = f"{self.bridge}n{i}", f"v{os.getpid() % 100000}x{Network.made}x{i}"
            self.spaces.append(space)
            ip("netns", "add", space)
            ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", space)
            ip("link", "set", link, "master", self.bridge, "up")
            ip("link", "set", "eth0", "up", space=space)
            ip("link", "set", "lo", "up", space=space)
            self.give(i, f"{net}.{10 + i}")

    def give(self, i, address):
        """The i-th namespace has this address and no other."""
        ip("addr", "flush", "dev", "eth0", "scope", "global", space=self.spaces[i])
        ip("addr", "add", f"{address}/24", "dev", "eth0", space=self.spaces[i])

    def rules(self, i, *rules):
        """What namespace i drops of what comes in; none: all is let in."""
        text = "flush ruleset\n"
        if rules:
            text += "table inet t {\n chain in {\n type filter hook input priority 0;\n"
            text += "".join(f"{r} drop\n" for r in rules) + " }\n}\n"
        done = subprocess.run(["nft", "-f", "-"], input=text, capture_output=True, text=True, preexec_fn=lambda: enter(self.spaces[i]))
        if done.returncode:
            raise Skip("nft: " + done.stderr.strip()[:200])

    def heal(self):
        for i in range(len(self.spaces)):
            self.rules(i)

    def close(self):
        for space in self.spaces:
            ip("netns", "del", space, check=False)
        ip("link", "del", self.bridge, check=False)
        self.spaces = []
        # ip mounts the folder over itself for the first namespace and leaves it so: a chroot could not be removed.
        if os.path.isdir(NAMES) and not os.listdir(NAMES):
            _libc.umount(os.fsencode(NAMES))


def enter(space):
    """For preexec: into the network namespace."""
    with open(f"{NAMES}/{space}", "rb") as f:
        if _libc.setns(f.fileno(), CLONE_NEWNET):
            os._exit(90)


def _nothing_is_shared():
    """But where ip keeps the names of namespaces."""
    with open("/proc/1/mountinfo", encoding="utf-8") as f:
        return not any(" shared:" in line and NAMES not in line.split()[4] for line in f)


def own_mounts():
    """For preexec: what is mounted from here on is seen by this child only. In a chroot whose root is no mount point the kernel
    cannot be asked for that; it holds where no mount of the machine is shared."""
    if _libc.unshare(CLONE_NEWNS) or (_libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) and not _nothing_is_shared()):
        os._exit(91)


def need_own_mounts():
    if os.geteuid() or subprocess.run(["true"], preexec_fn=own_mounts).returncode:
        raise Skip("no mounts of one's own here (needs root)")


def bind(source, target, read_only=False):
    """For preexec, after own_mounts()."""
    source, target = os.fsencode(source), os.fsencode(target)
    if _libc.mount(source, target, None, MS_BIND, None) or \
            (read_only and _libc.mount(b"none", target, None, MS_BIND | MS_REMOUNT | MS_RDONLY, None)):
        os._exit(92)


class Resolver:
    """Answers A questions with the addresses that find(name) gives; nothing for AAAA; None: there is no such name."""

    def __init__(self, host, find):
        self.find, self.closed = find, False
        self.s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.s.bind((host, 53))
        self.s.settimeout(0.1)
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    @staticmethod
    def name_of(q):
        labels, at = [], 12
        while q[at]:
            labels.append(q[at + 1:at + 1 + q[at]].decode("ascii", "replace"))
            at += 1 + q[at]
        return ".".join(labels).lower(), at + 5

    def serve(self):
        while not self.closed:
            try:
                q, peer = self.s.recvfrom(2048)
            except TimeoutError:
                continue
            name, end = self.name_of(q)
            kind = struct.unpack(">H", q[end - 4:end - 2])[0]
            known = self.find(name)
            found = known if known and kind == 1 else []
            flags = 0x8583 if known is None else 0x8580
            answer = q[:2] + struct.pack(">HHHHH", flags, 1, len(found), 0, 0) + q[12:end]
            for a in found:
                answer += b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 1, 4) + socket.inet_aton(a)
            self.s.sendto(answer, peer)

    def close(self):
        self.closed = True
        self.thread.join()
        self.s.close()
