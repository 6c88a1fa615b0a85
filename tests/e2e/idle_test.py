"""What a node costs that has nothing to do.
# build: release"""
from harness import *

QUIET = "route: {receiver: none}\nreceivers: [{name: none}]\n"


def status_of(server, *keys):
    with open(f"/proc/{server.pid}/status", encoding="ascii") as f:
        found = dict(line.split(":", 1) for line in f)
    return [int(found[key].split()[0]) for key in keys]


def an_idle_node_is_small_and_sleeps():
    server = Server(QUIET)
    time.sleep(1)  # what starting needed goes
    resident, anonymous = (kib / 1024 for kib in status_of(server, "VmRSS", "RssAnon"))
    assert resident <= 14 and anonymous <= 4, (resident, anonymous)

    def wakeups():
        total = 0
        for task in os.listdir(f"/proc/{server.pid}/task"):
            with open(f"/proc/{server.pid}/task/{task}/status", encoding="ascii") as f:
                total += int(next(line.split()[1] for line in f if line.startswith("voluntary")))
        return total
    before = wakeups()
    time.sleep(4)
    assert wakeups() - before <= 12, f"{wakeups() - before} wake-ups in 4 s"


if __name__ == "__main__":
    main([an_idle_node_is_small_and_sleeps])
