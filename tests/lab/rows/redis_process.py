"""Rows 1 to 16: what may happen to the process of one Redis."""

import functools
import glob
import os
import random
import socket
import subprocess
import tempfile
import time

from checks import budget, revocation
from proxy import Proxy
from registry import row
from server import wait_for
from shapes import Single

from .common import ALL, generation, serve, serves, serves_during, until_moved

# Attempts to connect, of one instance in a second, once it knows that Redis is gone.
CONNECTS = 1
# Of a core, in percent: what the load needs is a small part of it, and a loop that never rests all.
BUSY = 50
WITH_AOF = {"shape": functools.partial(Single, "appendonly yes", "appendfsync everysec")}


def judge_outage(run):
    """The figures that the text names for an outage of Redis."""
    before, down = run.phase("before"), run.phase("down")
    second = serves_during(run, down)
    run.figure("p99 of a session read, added", down.p(.99) - before.p(.99), "ms", most=5)
    events = run.history.events
    run.figure("p99 of a typical second, added",
               budget.typical_p99(events, down.start + 1, down.end)
               - budget.typical_p99(events, before.start, before.end), "ms", most=5)
    run.figure("p99 in the first second, added", second.p(.99) - before.p(.99), "ms", most=60)
    silent = [e for e in events if e["type"] == "limit.check" and e["outcome"] == "ok"
              and not e["mode"] and run.gone[0] <= e["t_inv"] and e["t_ret"] <= run.gone[1]]
    run.require(not silent, f"{len(silent)} answers without Redis did not say so")
    if run.transactions:
        back = run.phase("after")
        degraded = run.transactions.between(down.start + 5, down.end)
        run.figure("PostgreSQL while degraded", degraded, "tx/s")
        run.figure("PostgreSQL in recovery, times that",
                   run.transactions.most(back.start, back.end) / max(degraded, 1), "", most=1.5)


@row(1, "redis is killed under load and starts with its AOF",
     "nothing acknowledged is lost; Redis is used again within 5 s", ALL,
     fleet=WITH_AOF, judge=judge_outage)
def killed_with_aof(run):
    serve(run)
    be_gone(run, run.pick(2, 30))
    time.sleep(run.pick(1, 15))


def be_gone(run, seconds):
    """Redis is killed, and started again after so long."""
    before = generation(run)
    run.hold("down")
    run.fleet.redis.kill()
    run.lost_data()
    died = run.now()
    time.sleep(seconds)
    run.gone = died, run.now()  # Whatever was answered in between, was without Redis.
    run.fleet.redis.start()
    back = run.hold("after")
    until_moved(run, before)
    run.until_normal(back)
    # Once is enough. Twice costs some misses: a mark that was not written in time is written anew.
    run.figure("the generation moved", generation(run) - before, "", most=1)


def killed_for(run, seconds):
    run.hold("warm-up", run.pick(0, 5))  # Connections are made, and caches filled.
    serve(run, 2, 20)
    be_gone(run, seconds)
    time.sleep(run.pick(2, 30))


@row(2, "redis is killed under load and starts empty",
     "no session lost, none resurrected; the generation moves, once; PostgreSQL takes at most 1.5 "
     "times its load without Redis", ALL, judge=judge_outage, short=True)
def killed_and_empty(run):
    killed_for(run, run.pick(3, 60))


@row(3, "redis is stopped (SIGSTOP) and goes on",
     "at most 50 requests of an instance take more than 100 ms; late replies are nobody else's",
     ALL, short=True)
def hangs(run):
    serve(run)
    for seconds in run.pick((3,), (1, 10, 120)):
        stopped = run.hold(f"stopped {seconds} s")
        run.fleet.redis.pause()
        time.sleep(seconds)
        run.fleet.redis.resume()
        back = run.hold(f"after {seconds} s")
        run.until_normal(back, most=5,
                         name=f"used again, after {seconds} s, after")
        slow = budget.slower_than(run.history.events, 0.1, stopped, back)
        run.figure(f"slower than 100 ms in {seconds} s, of one instance",
                   max(slow.values(), default=0), "", most=50)
        noticed = [min((run.states.first(s, stopped).get(n, 1e9) for s in ("down", "degraded")))
                   for n in range(len(run.fleet.instances))]
        run.figure(f"noticed by the last instance, of {seconds} s", max(noticed), "s", most=1.0)
        time.sleep(run.pick(1, 70))


@row(8, "FLUSHALL in the middle of traffic",
     "no session lost, none resurrected; it is noticed within 1 s", ALL,
     short=True)
def flushed(run):
    serve(run)
    for number in range(run.pick(1, 10)):
        before = generation(run)
        flushed_at = run.hold("flushed")
        run.fleet.redis.cli("flushall")
        run.lost_data(flushed_at)
        until_moved(run, before)
        run.figure("noticed by every instance after", run.now() - flushed_at, "s", most=1.0)
        time.sleep(run.pick(2, 5))
        # One that loses its data again and again is left alone for longer and longer.
        run.until_normal(flushed_at, most=35 if number else 8)


def connects(run):
    """Attempts of each instance to connect to Redis, up to now."""
    return [i.metric("redoubt_redis_connects_total") for i in run.fleet.instances]


def rate_since(run, began, before):
    """Of the attempts of one instance since then, in a second; asking for them may take a while. Between n
    of them there are n - 1 pauses."""
    attempts = max(after - b for after, b in zip(connects(run), before))
    return (attempts - 1) / (run.now() - began)


def until_gone(run):
    wait_for(lambda: run.fleet.states() == ["down"] * len(run.fleet.instances),
             lambda: f"every instance to do without Redis: {run.fleet.states()}")


def cpu_seconds(instance):
    with open(f"/proc/{instance.process.pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def serves_while(name):
    """What was broken decides neither in the whole, nor while it was."""
    def judge(run):
        serves(run)
        serves_during(run, run.phase(name))
    return judge


def judge_deafness(run):
    serves(run)
    run.figure("a revoked session was accepted elsewhere for", revocation.latest(run.history.events),
               "s", most=2)


@row(4, "only the connections that have subscribed hang", "what hints would have told is known by the "
     "journal, within 2 s", ALL, judge=judge_deafness,
     fleet={"shape": functools.partial(Single, proxy=Proxy)})
def deaf_subscribers(run):
    serve(run)
    run.hold("deaf")
    for proxy in run.fleet.proxies:
        proxy.hold_subscribers = True
    time.sleep(run.pick(4, 30))
    for proxy in run.fleet.proxies:
        proxy.heal()
    back = run.hold("after")
    run.until_normal(back)
    time.sleep(run.pick(1, 10))


@row(5, "a script that does not end (-BUSY), and DEBUG SLEEP",
     "as a hang; nobody sends SCRIPT KILL", ALL, judge=serves,
     fleet={"shape": functools.partial(Single, "enable-debug-command yes", "lua-time-limit 100")})
def busy(run):
    serve(run)
    redis = run.fleet.redis
    run.hold("busy")
    hog = subprocess.Popen(["redis-cli", "-p", str(redis.port), "eval", "while true do end", "0"],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(run.pick(3, 20))
    redis.cli("script", "kill")
    hog.wait(30)
    back = run.hold("after")
    run.until_normal(back)
    run.hold("asleep")
    redis.cli("debug", "sleep", str(run.pick(2, 10)))
    back = run.hold("awake")
    run.until_normal(back, most=8)
    kills = [line for line in redis.cli("info", "commandstats").splitlines()
             if line.startswith("cmdstat_script|kill")]
    run.require(len(kills) == 1 and "calls=1," in kills[0], f"somebody sent SCRIPT KILL: {kills}")


@row(6, "Redis is full under noeviction: -OOM to writes, PONG to PING",
     "copies are left out, nothing else changes", ALL, judge=serves)
def full(run):
    serve(run)
    run.hold("full")
    run.fleet.redis.cli("config", "set", "maxmemory-policy", "noeviction")
    run.fleet.redis.cli("config", "set", "maxmemory", "1mb")
    time.sleep(run.pick(4, 30))
    refused = run.fleet.instances[0].metric("redoubt_redis_error_replies_total")
    run.require(refused > 0, "no write was refused by Redis: it was not full")
    run.fleet.redis.cli("config", "set", "maxmemory", "0")
    back = run.hold("after")
    run.until_normal(back, most=8)


@row(7, "a flood of foreign keys under allkeys-lru evicts everything of ours",
     "nothing changes but the hit rate; the bound of limits holds", ALL, judge=serves,
     fleet={"shape": functools.partial(Single, "maxmemory 8mb", "maxmemory-policy allkeys-lru")})
def evicted(run):
    serve(run)
    run.hold("flood")
    redis = run.fleet.redis
    flood = subprocess.Popen(
        ["redis-benchmark", "-p", str(redis.port), "-q", "-t", "set", "-d", "100", "-P", "16",
         "-c", "4", "-r", "1000000", "-n", str(run.pick(300_000, 3_000_000))],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    evictions, looked = 0, run.now()
    while flood.poll() is None:
        before, evictions = evictions, _info(redis, "stats", "evicted_keys")
        if evictions > before:
            run.lost_data(looked)
        looked = run.now()
        time.sleep(0.1)
    run.lost_data(looked)
    run.hold("after", run.pick(2, 10))
    evictions = _info(redis, "stats", "evicted_keys")
    run.figure("keys evicted", evictions)
    run.require(evictions > 1000, "nothing was evicted")


def _info(redis, section, name):
    for line in redis.cli("info", section).splitlines():
        if line.startswith(name + ":"):
            return int(line.split(":")[1])
    return 0


@row(9, "CLIENT KILL of every connection each 100 ms",
     "no effect twice; at most a connect a second and connection", ALL, judge=serves)
def connections_killed(run):
    serve(run)
    before, began = connects(run), run.hold("killing")
    while run.now() - began < run.pick(4, 60):
        run.fleet.redis.cli("client", "kill", "type", "normal")
        time.sleep(0.1)
    seconds = run.now() - began
    back = run.hold("after")
    attempts = [after - b for after, b in zip(connects(run), before)]
    run.figure("connects of an instance (two workers and the monitor)", max(attempts) / seconds,
               "/s")
    run.until_normal(back, most=35)


@row(10, "maxclients is reached",
     "Redis is done without; no tight loop", ALL, judge=serves_while("refused"))
def too_many_clients(run):
    serve(run)
    redis = run.fleet.redis
    run.hold("refused")
    # The one connection that it still takes is ours, and sets it free again.
    with socket.create_connection((redis.host, redis.port), timeout=30) as taken:
        taken.sendall(b"CONFIG SET maxclients 1\r\nCLIENT KILL TYPE normal SKIPME yes\r\n")
        taken.recv(100)
        until_gone(run)
        began, before = run.now(), connects(run)
        cpu = [cpu_seconds(i) for i in run.fleet.instances]
        time.sleep(run.pick(4, 30))
        attempts = rate_since(run, began, before)
        used = [cpu_seconds(i) - c for i, c in zip(run.fleet.instances, cpu)]
        seconds = run.now() - began
        taken.sendall(b"CONFIG SET maxclients 1000\r\n")
        taken.recv(100)
    back = run.hold("after")
    run.figure("attempts of an instance to connect", attempts, "/s", most=CONNECTS)
    run.figure("processor of an instance meanwhile", 100 * max(used) / seconds, "%", most=BUSY)
    run.until_normal(back, most=8)


@row(11, "the AOF lacks its end at the restart, then is damaged in its middle",
     "as an empty restart, then as a Redis that is down", ALL, fleet=WITH_AOF, judge=serves)
def damaged_aof(run):
    serve(run)
    redis = run.fleet.redis
    run.hold("cut")
    redis.kill()
    run.lost_data()
    path = max(glob.glob(os.path.join(redis.directory, "appendonlydir", "*.incr.aof")))
    size = os.path.getsize(path)
    os.truncate(path, max(1, size - random.Random(1).randrange(1, max(2, size // 10))))
    redis.start()
    back = run.hold("after")
    run.until_normal(back)
    run.hold("damaged")
    redis.kill()
    run.lost_data()
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        file.write(b"\x00damage\x00" * 20)
    redis.launch()
    run.require(redis.process.wait(30) != 0, "Redis started with a damaged AOF")
    time.sleep(run.pick(1, 10))
    for name in glob.glob(os.path.join(redis.directory, "appendonlydir", "*")):
        os.remove(name)
    redis.start()
    back = run.hold("anew")
    run.until_normal(back, most=8)


class OnSmallDisk(Single):
    """A Redis whose directory is a file system of 4 MB."""

    def __init__(self):
        self.disk = tempfile.mkdtemp(prefix="redoubt-small-")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", self.disk], check=True)
        super().__init__(directory=self.disk)

    def close(self):
        super().close()
        subprocess.run(["umount", self.disk], check=True)
        os.rmdir(self.disk)


@row(12, "the disk of Redis is full (-MISCONF)", "as a Redis that is full", ALL, judge=serves,
     fleet={"shape": OnSmallDisk}, needs=("root",))
def disk_full(run):
    serve(run)
    redis = run.fleet.redis
    redis.cli("config", "set", "save", "1 1")
    run.hold("full")
    ballast = os.path.join(redis.directory, "ballast")
    with open(ballast, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    redis.cli("set", "foreign", "v" * 100_000)
    wait_for(lambda: b"rdb_last_bgsave_status:err" in redis.cli("info", "persistence").encode(),
             "a save to fail")
    time.sleep(run.pick(3, 20))
    os.remove(ballast)
    redis.cli("bgsave")
    back = run.hold("after")
    run.until_normal(back, most=8)


@row(13, "Redis is killed and started every 2 s",
     "at most 0.1 % of answers fail; it is left alone for longer and longer", ALL, judge=None)
def flapping(run):
    serve(run)
    began = run.hold("flapping")
    while run.now() - began < run.pick(12, 300):
        run.fleet.redis.kill()
        run.lost_data()
        time.sleep(1)
        run.fleet.redis.start()
        time.sleep(1)
    seconds = run.now() - began
    changes = [len([c for c in run.states.changes if c[1] == n and c[0] >= began])
               for n in range(3)]
    run.figure("changes of state of an instance", max(changes) / seconds * 60, "/min")
    back = run.hold("after")
    run.until_normal(back, most=35)
    phase = budget.phases(run.history.events, [("", began, back)])[0]
    run.figure("answered while it flapped", 100 * phase.availability, "%", least=99.9)


@row(14, "Redis loads its data for seconds (-LOADING)",
     "it is waited for without a storm of connections", ALL, judge=serves_while("loading"),
     fleet={"shape": functools.partial(Single, "key-load-delay 400",
                                       "loading-process-events-interval-bytes 1024")})
def loading(run):
    serve(run)
    redis = run.fleet.redis
    count = run.pick(10_000, 100_000)
    redis.cli("eval", f"for i=1,{count} do redis.call('set','foreign:'..i,i) end", "0")
    redis.cli("save")
    run.hold("loading")
    redis.kill()
    run.lost_data()
    until_gone(run)
    redis.start()
    began, before = run.now(), connects(run)
    wait_for(lambda: _info(redis, "persistence", "loading") == 0, "Redis to have loaded")
    back = run.hold("after")
    run.figure("loading took", back - began, "s")
    run.figure("attempts of an instance to connect", rate_since(run, began, before), "/s",
               most=CONNECTS)
    run.until_normal(back)


@row(15, "the server becomes a replica of nobody (-READONLY), and a master again",
     "its connections are left; it is a new Redis afterwards", ALL, judge=serves)
def orphaned(run):
    serve(run)
    redis = run.fleet.redis
    redis.cli("config", "set", "maxmemory-policy", "volatile-lru")
    before = generation(run)
    orphaned_at = run.hold("orphan")
    redis.cli("replicaof", "127.0.0.1", "1")
    wait_for(lambda: "normal" not in run.fleet.states(), "the demotion to be noticed")
    run.figure("noticed by every instance after", run.now() - orphaned_at, "s", most=2)
    time.sleep(run.pick(1, 20))
    redis.cli("replicaof", "no", "one")
    run.lost_data()
    back = run.hold("after")
    run.until_normal(back, most=8)
    run.require(generation(run) > before, "a promoted Redis kept its generation")


@row(16, "SCRIPT FLUSH all the time (-NOSCRIPT)",
     "every command once; limits exact", ALL, judge=serves)
def scripts_flushed(run):
    serve(run)
    began = run.hold("flushing")
    while run.now() - began < run.pick(3, 30):
        run.fleet.redis.cli("script", "flush")
        time.sleep(0.05)
    run.hold("after", 1)


@row("outage", "Redis is gone for minutes (--minutes, 10 unless told otherwise) and starts empty",
     "at least 99.99 % answered, 99.9 % in the first second; p99 of a session read at most 5 ms more; "
     "back within 5 s; PostgreSQL takes at most 1.5 times its load without Redis", ALL,
     judge=judge_outage)
def outage(run):
    run.title = f"Redis is killed under load, and back after {run.minutes:g} min, empty"
    killed_for(run, 60 * run.minutes)
