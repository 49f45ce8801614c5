"""Rows 43 and 49 to 54: the instances themselves."""

import array
import fcntl
import functools
import os
import secrets
import signal
import termios
import threading
import time

from checks import brief, budget
from database import Database
from load import WITH_REPETITIONS
from proxy import Proxy, Trap
from registry import elsewhere, row
from server import wait_for
from shapes import Single

from .common import ALL, WITH_I1, serve, serves

elsewhere(52, "every write and sync failing in turn: SqliteFaults; EMFILE and ENOMEM are not tested")
elsewhere(53, "one version exists; PostgresMigrate.LetsAnOlderVersionStartOnWhatItCanStillUse")


@row(49, "a random instance of three is killed (-9) every 5 s, and starts again",
     "nothing acknowledged is lost, nothing revoked is back", WITH_I1, mix=WITH_REPETITIONS,
     restarts=(0, 1, 2), short=True)
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


def steps(command):
    request = b"\r\n" + command + b"\r\n"
    return {"request": request}, {"request": request, "answered": True}


# Where an instance is killed, as it is on the wire: what becomes durable, and what is shared. The
# words of PostgreSQL are in its replies alone, the statements being prepared.
POINTS = {"a commit": ({"reply": b"UPDATE 1\0"}, {"reply": b"COMMIT\0"}),
          "a script": steps(b"EVALSHA"), "a copy": steps(b"PSETEX"), "a write": steps(b"SET"),
          "a read": steps(b"GET"), "a message": steps(b"PUBLISH")}


@row(50, "an instance is killed (-9) before and after each kind of step: a commit to PostgreSQL; a script, "
         "a copy, another write, a read and a message to Redis; and starts again",
     "nothing acknowledged is lost or doubled, nothing revoked is back", WITH_I1, mix=WITH_REPETITIONS,
     restarts=(0, 1, 2), fleet={"shape": functools.partial(Single, proxy=Proxy),
                                "postgres": Database, "database_proxies": True})
def killed_at_a_step(run):
    run.spread = 3 / 2
    serve(run)
    for _ in range(run.pick(1, 20)):
        for name, (before, after) in POINTS.items():
            for side, point in (("before", before), ("after", after)):
                run.hold(f"{side} {name}")
                _kill_at(run, run.load.random.randrange(3), point)
    run.hold("after", 1)


def _kill_at(run, victim, point):
    instance = run.fleet.instances[victim]
    proxies = run.fleet.proxies if "request" in point else run.fleet.database_proxies
    trap = Trap(instance.process.kill, **point)
    proxies[victim].trap = trap
    wait_for(lambda: trap.closed, f"{point} of instance {victim}")
    run.load.reach([n for n in range(3) if n != victim])
    instance.kill()
    proxies[victim].heal()
    instance.start()
    run.load.reach(range(3))
    run.fleet.until_normal()


def bytes_in(pipe):
    held = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, held)
    return held[0]


@row(43, "nobody reads the log of instance 1; that of instance 2 is on a disk that is full",
     "requests do not notice; what was not written is counted", ALL, restarts=(1, 2),
     fleet={"env": {"REDOUBT_LOG_LEVEL": "debug", "REDOUBT_ACCESS_LOG": "all"}}, rate=1000)
def log_blocked(run):
    serve(run)
    out, into = os.pipe()
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        run.hold("restarted")
        for number, errors in ((1, into), (2, full)):
            run.load.reach([n for n in range(3) if n != number])
            run.require(run.fleet.instances[number].stop() == 0, "it did not exit with 0")
            run.fleet.instances[number].start(errors=errors)
            run.load.reach(range(3))
        run.fleet.until_normal()
        held = -1
        while held != (held := bytes_in(out)):  # It is full when nothing more goes in.
            time.sleep(1)
        blocked = run.hold("blocked", run.pick(3, 60))
        run.require(bytes_in(out) == held, "the log was read: nothing was blocked")
        slow = budget.slower_than(run.history.events, 0.1, blocked, run.now())
        run.figure("slower than 100 ms of an instance whose log is read", slow[0])
        run.figure("slower than 100 ms of an instance whose log is not", max(slow[1], slow[2]))
        wait_for(lambda: all(run.fleet.instances[n].metric("redoubt_log_lines_dropped_total") > 0
                             for n in (1, 2)), "lines to be given up")
        phase = budget.phases(run.history.events, [("", blocked, run.now())])[0]
        run.figure("answered", 100 * phase.availability, "%", least=99.99)
        run.hold("after", 1)
    finally:
        for pipe in (out, into, full):
            os.close(pipe)


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


# Seconds that an instance which was told to end goes on to serve whoever has not heard of it.
DRAIN = 2.0


@row(51, "every instance in turn gets SIGTERM behind a load balancer, and starts again",
     "no request fails; it exits within its deadline", ALL, restarts=(0, 1, 2), short=True,
     fleet={"env": {"REDOUBT_SHUTDOWN_DELAY": f"{DRAIN:.0f}s", "REDOUBT_KEEP_ALIVE": "60s"}})
def drained(run):
    balancer = LoadBalancer(run)
    exits, longest = [], 0.0
    try:
        serve(run)
        began = run.hold("rolling")
        for _ in range(run.pick(1, 10)):
            for number, instance in enumerate(run.fleet.instances):
                told = run.now()
                run.require(instance.stop() == 0, "it did not exit with 0")
                longest = max(longest, run.now() - told)
                instance.start()
                exits.append((number, told, run.now()))
                time.sleep(run.pick(0.5, 3))
        run.hold("after", 1)
    finally:
        balancer.stop()
    run.figure("an exit took", longest, "s", most=25)
    events = [e for e in run.history.events if e["t_inv"] >= began]
    failed = budget.failed_while_told(events, exits, DRAIN / 2)
    run.require(not failed, f"{len(failed)} requests failed, not none; the first: "
                            f"{brief(failed[0]) if failed else ''}")


def ring_file(fleet):
    return os.path.join(fleet.directory, "ring")


def write_ring(run, ring):
    path = ring_file(run.fleet)
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(ring)
    os.replace(path + ".new", path)


def reload(run, numbers):
    """Returns when they have read the ring anew."""
    instances = [run.fleet.instances[number] for number in numbers]
    before = [times_reloaded(instance) for instance in instances]
    for instance in instances:
        instance.process.send_signal(signal.SIGHUP)
    wait_for(lambda: all(times_reloaded(i) > b for i, b in zip(instances, before)),
             "the ring to be read")


def times_reloaded(instance):
    return instance.log().count('"keys.reloaded"')


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
    first = primary_key(instance)
    for number, one in enumerate(run.fleet.instances):
        run.require(primary_key(one) == first,
                    f"instance {number} seals under {primary_key(one)}, not {first}")


def primary_key(instance):
    return next(key["id"] for key in instance.get("/api/v1/keyring").json["keys"] if key["primary"])
