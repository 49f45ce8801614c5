"""Rows 79 and 80: more than it can take, everybody at once, and faults without end."""

import asyncio
import os
import random
import signal
import time

from checks import budget
from database import Database
from load import WITH_REPETITIONS
from registry import row
from server import PATIENCE, wait_for
from wire import encode

from .common import ALL, WITH_I1, serve
from .postgres import until_written, without_record

# Of a write to one row that others wait for, which a trigger makes take so long: so its rate has a bound
# that no machine moves, and that the clients of the lab reach many times over.
HOT = {"counter.add": 90, "session.read": 10}
WRITE_TAKES = 0.01  # Seconds.
SLOW_WRITES = f"""
    CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_sleep({WRITE_TAKES}); RETURN NEW; END $$;
    CREATE TRIGGER slow BEFORE UPDATE ON rd_limit FOR EACH ROW EXECUTE FUNCTION slow();
"""

# Connections that the clients may have to an instance: more than ever wait, so that it is the server that
# says no, or is late.
CONNECTIONS = 3000


def goodput(run, start, end):
    """Writes a second that were acknowledged."""
    return sum(e["type"] == "counter.add" and e["outcome"] == "ok" and start <= e["t_ret"] < end
               for e in run.history.events) / (end - start)


@row(79, "twice as many writes as it can take, from clients that try again, and Redis gone meanwhile",
     "at least 80 % of capacity is acknowledged under overload; back to normal within 10 s by itself",
     ALL, mix=HOT, fleet={"postgres": Database}, rate=50)
def overloaded(run):
    load = run.load
    load.counters = 1
    for number in range(3):
        load.pool(number).most = CONNECTIONS
    run.fleet.postgres.sql(SLOW_WRITES)
    run.hold("before", run.pick(1, 5))
    capacity = _capacity(run)
    run.figure("capacity", capacity, "/s")
    load.rate, load.retries = 2 * capacity, 3
    began = run.hold("overload", run.pick(2, 20))
    run.fleet.redis.kill()
    run.lost_data()
    without = run.hold("without Redis", run.pick(3, 60))
    run.fleet.redis.start()
    with_redis = run.hold("with Redis again", run.pick(1, 20))
    load.rate, load.retries = capacity / 2, 0
    ended = run.hold("after")
    for name, start, end in (("with Redis", began + 1, without),
                             ("without Redis", without, with_redis),
                             ("with Redis again", with_redis, ended)):
        run.figure(f"acknowledged under overload {name}, of capacity",
                   100 * goodput(run, start, end) / capacity, "%", least=80)
    asked = [e for e in run.history.events if began <= e["t_inv"] < ended]
    run.figure("not answered, or refused, meanwhile",
               100 * sum(map(budget.failed, asked)) / max(len(asked), 1), "%", least=10)

    def is_well():
        recent = [e for e in run.history.events[-100:] if e["t_inv"] > ended]
        return (len(recent) >= 50 and not any(budget.failed(e) for e in recent)
                and run.fleet.is_normal())
    wait_for(is_well, "it to be well again")
    run.figure("well again after", run.now() - ended, "s", most=10)
    time.sleep(run.pick(1, 10))


def _capacity(run):
    """What it acknowledges of clients that ask again as soon as they are answered: of more and more of
    them, until that makes no difference."""
    clients, most = 8, 0.0
    while True:
        began = run.hold(f"{clients} at once")
        run.call(_saturate(run.load, clients, run.pick(3, 10)))
        found = goodput(run, began + 1, run.now())
        if found < 1.1 * most:
            return max(found, most)
        clients, most = 2 * clients, found


async def _saturate(load, clients, seconds):
    end = load.now() + seconds

    async def client():
        while load.now() < end:
            await load.add()
    await asyncio.gather(*(client() for _ in range(clients)))


@row(80, "an entry that everybody wants is missing, with Redis up and with Redis down",
     "one caller of an instance fills it, the others wait for its value", ALL, short=True)
def stampede(run):
    serve(run)
    callers = run.pick(200, 2000)
    for phase in ("with Redis", "without"):
        run.hold(phase)
        if phase == "without":
            run.fleet.redis.kill()
            run.lost_data()
        fills, served = run.call(_stampede(run, f"hot-{phase.replace(' ', '-')}", callers))
        run.figure(f"{phase}: fills of {callers} callers on 3 instances", fills)
        run.require(1 <= fills <= 3, f"{phase}: {fills} filled the same entry")
        run.require(served == callers, f"{phase}: {callers - served} of {callers} got no value")
    run.fleet.redis.start()
    back = run.hold("after")
    run.until_normal(back)


async def _stampede(run, key, callers):
    load, tenant = run.load, run.fleet.tenants[0]
    path = f"/api/v1/cache/entries/{key}"
    counts = {"fills": 0, "served": 0}

    async def ask(connection, request):
        """Until there is an answer: an instance that is short of processor sheds load."""
        deadline = run.now() + PATIENCE
        while True:
            answer = await connection.ask(request, PATIENCE)
            if answer.status != 503 or run.now() > deadline:
                return answer
            await asyncio.sleep(0.2)

    async def one(number):
        pool = load.pool(number % 3)
        connection = await pool.take()
        try:
            answer = await ask(connection, encode("GET", path + "?lease=20s&wait=20s", tenant.key))
            lease = answer.header(b"Redoubt-Fill-Lease")
            if lease:
                counts["fills"] += 1
                await asyncio.sleep(0.3)
                answer = await ask(connection, encode("PUT", path, tenant.key, "the value", "text/plain",
                                                      f"Redoubt-Fill-Lease: {lease}\r\n"))
            counts["served"] += answer.status < 300
        finally:
            pool.give_back(connection)

    for number in range(3):
        load.pool(number).most = 10 * callers  # Beside those of the load, which may be slow.
    await asyncio.gather(*(one(n) for n in range(callers)))
    return counts["fills"], counts["served"]


@row("soak", "a random fault every half minute, for --minutes", "every checker; memory does not grow",
     WITH_I1, fleet={"postgres": Database}, mix=WITH_REPETITIONS, restarts=(0, 1, 2))
def soak(run):
    run.spread = 3 / 2
    rng = random.Random(run.load.random.random())
    serve(run)
    before = [i.census()["rss"] for i in run.fleet.instances]
    faults = [_redis_killed, _redis_paused, _redis_flushed, _postmaster_killed, _postgres_paused,
              _instance_killed]
    end, count = run.now() + run.pick(0.2, 1) * 60 * run.minutes, 0
    while run.now() < end:
        fault = rng.choice(faults)
        count += 1
        run.hold(f"{count} {fault.__name__[1:]}")
        fault(run, rng)
        time.sleep(rng.uniform(5, run.pick(6, 30)))
    back = run.hold("after")
    run.until_normal(back, most=35)
    grown = max(i.census()["rss"] - b for i, b in zip(run.fleet.instances, before))
    run.figure("faults", count)
    run.figure("memory of an instance grew by", grown / 2**20, "MiB")


def _redis_killed(run, rng):
    run.fleet.redis.kill()
    run.lost_data()
    time.sleep(rng.uniform(.1, 5))
    run.fleet.redis.start()


def _redis_paused(run, rng):
    run.fleet.redis.pause()
    time.sleep(rng.uniform(.1, 5))
    run.fleet.redis.resume()


def _redis_flushed(run, _rng):
    run.fleet.redis.cli("flushall")
    run.lost_data()


def _postmaster_killed(run, rng):
    began = run.now()
    run.fleet.postgres.kill()
    time.sleep(rng.uniform(.1, 3))
    run.fleet.postgres.start()
    until_written(run, run.now())
    without_record(run, began)


def _postgres_paused(run, rng):
    began = run.now()
    run.fleet.postgres.pause()
    time.sleep(rng.uniform(.1, 5))
    run.fleet.postgres.resume()
    until_written(run, run.now())
    without_record(run, began)


def _instance_killed(run, rng):
    victim = rng.randrange(3)
    instance = run.fleet.instances[victim]
    if rng.random() < .5:
        instance.kill()
        run.load.reach([n for n in range(3) if n != victim])
        time.sleep(rng.uniform(.1, 2))
        instance.start()
    else:
        run.load.reach([n for n in range(3) if n != victim])
        os.kill(instance.process.pid, signal.SIGSTOP)
        time.sleep(rng.uniform(.1, 5))
        os.kill(instance.process.pid, signal.SIGCONT)
    run.load.reach(range(3))
