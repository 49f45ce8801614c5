"""Rows 49 to 54: the instances themselves."""

import os
import secrets
import signal
import threading
import time

from checks import budget
from registry import elsewhere, row
from server import wait_for

from .common import ALL, serve, serves

elsewhere(50, "the binary has no failpoints; kills at any moment: record_crash, scripts/kill9, row 49")
elsewhere(52, "every write and sync failing in turn: SqliteFaults; EMFILE and ENOMEM are not tested")
elsewhere(53, "one version exists; PostgresMigrate.LetsAnOlderVersionStartOnWhatItCanStillUse")


@row(49, "a random instance of three is killed (-9) every 5 s, and starts again",
     "nothing acknowledged is lost, nothing revoked is back", ALL, restarts=(0, 1, 2), short=True)
def instances_killed(run):
    # While one is missed, the others' shares are of N, and for up to 5 s of fewer than there are.
    run.spread = 3 / 2
    serve(run)
    for number in range(run.pick(3, 120)):
        victim = run.load.random.randrange(3)
        instance = run.fleet.instances[victim]
        run.hold(f"killed {number + 1}")
        instance.kill()
        run.load.reach([n for n in range(3) if n != victim])
        time.sleep(run.pick(0.3, 1))
        instance.start()
        run.load.reach(range(3))
        time.sleep(run.pick(1, 3))
    run.hold("after", 1)


class LoadBalancer:
    """Looks at /readyz as one would, and sends nothing to who says no."""

    EVERY = 0.1

    def __init__(self, run):
        self.run = run
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self):
        while not self.stopping.wait(self.EVERY):
            ready = []
            for number, instance in enumerate(self.run.fleet.instances):
                try:
                    if instance.get("/readyz", key=None).status == 200:
                        ready.append(number)
                except OSError:
                    pass
            self.run.load.reach(ready or range(3))

    def stop(self):
        self.stopping.set()
        self.thread.join()


@row(51, "every instance in turn gets SIGTERM behind a load balancer, and starts again",
     "no request fails; it exits within its deadline", ALL, restarts=(0, 1, 2), short=True,
     fleet={"env": {"REDOUBT_SHUTDOWN_DELAY": "1s", "REDOUBT_KEEP_ALIVE": "60s"}})
def drained(run):
    balancer = LoadBalancer(run)
    try:
        serve(run)
        began = run.hold("rolling")
        longest = 0.0
        for _ in range(run.pick(1, 10)):
            for instance in run.fleet.instances:
                asked = run.now()
                run.require(instance.stop() == 0, "it did not exit with 0")
                longest = max(longest, run.now() - asked)
                instance.start()
                time.sleep(run.pick(0.5, 3))
        run.hold("after", 1)
    finally:
        balancer.stop()
    phase = budget.phases(run.history.events, [("", began, run.now())])[0]
    run.figure("an exit took", longest, "s", most=25)
    run.require(phase.failures == 0, f"{phase.failures} requests failed, not none")


def ring_file(fleet):
    return os.path.join(fleet.directory, "ring")


def write_ring(run, ring):
    path = ring_file(run.fleet)
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(ring)
    os.replace(path + ".new", path)


def reload(run, numbers):
    for number in numbers:
        run.fleet.instances[number].process.send_signal(signal.SIGHUP)


@row(54, "the key ring is changed step by step while traffic goes on, one instance being late",
     "no session is logged out, nothing fails to open", ALL, judge=serves, fleet={"ring": True},
     short=True)
def keys_rotated(run):
    old, new = run.fleet.encryption_key, secrets.token_hex(32)
    serve(run)
    # Everywhere first as one that only opens, then as the one that seals: an instance that is late
    # can open what the others seal.
    for phase, ring in (("opens", f"old:{old},new:{new}"), ("seals", f"new:{new},old:{old}")):
        run.hold(phase)
        write_ring(run, ring)
        reload(run, [0, 1])
        time.sleep(run.pick(1, 20))
        reload(run, [2])
        time.sleep(run.pick(1, 20))
    run.hold("sealed again")
    instance = run.fleet.instances[0]
    wait_for(lambda: instance.command("keys", "status").returncode == 0
             and instance.metric("redoubt_keys_rows_remaining") == 0, "every row to be sealed anew")
    run.hold("after", run.pick(1, 70))
    if run.at_length:  # A minute later the old key may go.
        write_ring(run, f"new:{new}")
        reload(run, [0, 1, 2])
        run.hold("without the old one", 10)
    for number, one in enumerate(run.fleet.instances):
        primary = one.get("/api/v1/keyring").json["keys"][0]["id"]
        first = instance.get("/api/v1/keyring").json["keys"][0]["id"]
        run.require(primary == first, f"instance {number} seals under {primary}, not {first}")
