"""Rows 26 to 34: the network, cut in namespaces and worn by proxies."""

import functools
import random
import time

from backing import Redis
from checks import budget
from load import WITH_REPETITIONS
from proxy import Proxy
from registry import row
from server import wait_for
from shapes import Single

from .common import ALL, GRACE, WITH_I1, serve, serves

WORN = {"shape": functools.partial(Single, proxy=Proxy)}


class OnItsOwnHost(Single):
    def __init__(self):
        import network
        place = network.current()
        super().__init__(host=place.host("redis"), prefix=place.prefix("redis"))


APART = {"fleet": {"shape": OnItsOwnHost}, "needs": ("network",)}


def cut_from_redis(run, name, cut, seconds):
    """`cut()`, and what became of the requests of every instance until it was healed."""
    began = run.hold(name)
    cut()
    time.sleep(seconds)
    noticed = run.states.first("down", began)
    run.fleet.network.heal()
    back = run.hold(f"after {name}")
    if noticed:
        run.figure(f"{name}: noticed after", max(noticed.values()), "s", most=2)
    slow = budget.slower_than(run.history.events, 0.1, began, back)
    run.figure(f"{name}: slower than 100 ms, of one instance", max(slow.values(), default=0), "",
               most=50)
    run.until_normal(back, most=10, name=f"{name}: used again after")


@row(26, "instance 2 of 3 is cut from Redis", "limits within (1 + k/N); all else unchanged", ALL,
     judge=serves, **APART)
def one_cut(run):
    serve(run)
    cut_from_redis(run, "cut", lambda: run.fleet.network.cut(["i2"], ["redis"]),
                   run.pick(4, 60))


@row(27, "requests reach Redis, its replies are lost", "nothing counts twice", ALL, judge=serves,
     **APART)
def one_way(run):
    serve(run)
    run.fleet.network.host("redis")
    cut_from_redis(run, "deaf", lambda: [run.fleet.network.drop("redis", f"i{n}")
                                         for n in range(3)], run.pick(4, 60))


@row(28, "Redis is unplugged: connections stay and nothing comes back",
     "dead connections are noticed within 2 s", ALL, judge=serves, **APART)
def unplugged(run):
    serve(run)
    cut_from_redis(run, "unplugged", lambda: run.fleet.network.unplug("redis"), run.pick(4, 60))


@row(29, "Redis is 5, 50 and 500 ms away, give or take half of it",
     "slow is down: a session read takes at most 60 ms more", ALL, judge=serves, fleet=WORN)
def slow(run):
    serve(run)
    for ms in run.pick((5, 500), (5, 50, 500)):
        for proxy in run.fleet.proxies:
            proxy.latency, proxy.jitter = ms / 2000, ms / 4000
        run.hold(f"{ms} ms", run.pick(2, 30))
        for proxy in run.fleet.proxies:
            proxy.heal()
        back = run.hold(f"after {ms} ms")
        run.until_normal(back, most=35, name=f"{ms} ms: used again after")


def judge_wear(run):
    serves(run)
    run.require(any(p.cuts for p in run.fleet.proxies), "no reply was cut")


@row(30, "Redis' bytes come one by one, and replies end in their middle by a reset",
     "no reply is anybody else's; what is unknown is called so", ALL, judge=judge_wear, fleet=WORN)
def worn(run):
    serve(run)
    for proxy in run.fleet.proxies:
        proxy.slice = 1
    run.hold("sliced", run.pick(2, 20))
    for proxy in run.fleet.proxies:
        proxy.slice, proxy.reset_every = 0, 200
    run.hold("reset", run.pick(3, 30))
    for proxy in run.fleet.proxies:
        proxy.heal()
        proxy.reset_all()
    back = run.hold("after")
    run.until_normal(back, most=35)


@row(31, "1 kB a second to and from Redis", "bounded memory; deadlines hold", ALL, judge=serves,
     fleet=WORN)
def narrow(run):
    serve(run)
    before = [i.census()["rss"] for i in run.fleet.instances]
    for proxy in run.fleet.proxies:
        proxy.bandwidth = 1000
    run.hold("narrow", run.pick(4, 60))
    grown = [i.census()["rss"] - b for i, b in zip(run.fleet.instances, before)]
    run.figure("memory of an instance grew meanwhile by", max(grown) / 2**20, "MiB", most=64)
    for proxy in run.fleet.proxies:
        proxy.heal()
        proxy.reset_all()
    back = run.hold("after")
    run.until_normal(back, most=35)


@row(32, "every link of three instances, Redis and PostgreSQL is cut and healed at random",
     "every checker", WITH_I1, mix=WITH_REPETITIONS, **APART)
def swizzle(run):
    serve(run)
    rng, network = random.Random(run.load.random.random()), run.fleet.network
    pairs = [(f"i{n}", other) for n in range(3) for other in ("redis", "pg")]
    run.hold("swizzle")
    for _ in range(run.pick(5, 200)):
        since = run.now()
        cut = rng.sample(pairs, rng.randrange(1, len(pairs)))
        for one, other in cut:
            if rng.random() < .3:
                network.drop(other, one)
            else:
                network.cut([one], [other])
        time.sleep(rng.uniform(.2, 3))
        network.heal()
        run.lost_data()
        for one, other in cut:
            if other == "pg":
                run.without_record(int(one[1]), since, GRACE, catch_up=5)
    back = run.hold("after")
    run.until_normal(back, most=35)


class Named(OnItsOwnHost):
    """Known by a name alone, in a hosts file that nobody else sees."""

    NAME = "redis-of-the-lab"

    def __init__(self):
        super().__init__()
        self.call(self.redis.host)

    def call(self, *addresses):
        """Whom the name means from now on; without addresses, nobody."""
        import network
        network.current().write_hosts([(address, self.NAME) for address in addresses])

    def env(self, _instance):
        return {"REDIS_URL": f"redis://{self.NAME}:{self.redis.port}"}

    def move(self):
        """An empty Redis on another host, at the same port."""
        import network
        place = network.current()
        self.redis = Redis("protected-mode no", port=self.redis.port, host=place.host("redis2"),
                           prefix=place.prefix("redis2"))
        self.servers.append(self.redis)


@row(33, "the name of Redis means nobody, then two addresses of which one is dead",
     "nobody waits for a name; the new address is used", ALL, judge=serves,
     fleet={"shape": Named}, needs=("network",))
def renamed(run):
    serve(run)
    shape = run.fleet.shape
    gone = run.hold("nobody")
    shape.call()
    shape.redis.kill()
    run.lost_data()
    time.sleep(run.pick(3, 30))
    old = shape.redis.host
    shape.move()
    shape.call(old, shape.redis.host)
    back = run.hold("moved")
    slow = budget.slower_than(run.history.events, 0.1, gone, back)
    run.figure("slower than 100 ms, of one instance", max(slow.values(), default=0), "", most=50)
    run.until_normal(back, most=10)
    time.sleep(run.pick(1, 10))


@row(34, "instance 1 is cut from PostgreSQL; Redis is fine",
     "its copies answer within the grace and no longer; the others do not notice", WITH_I1,
     mix=WITH_REPETITIONS, **APART)
def cut_from_record(run):
    serve(run)
    began = run.hold("cut")
    run.fleet.network.cut(["i1"], ["pg"])
    time.sleep(run.pick(6, 60))
    instance = run.fleet.instances[1]
    refused = instance.post("/api/v1/sessions", {"user": "late"})
    run.require(refused.status == 503, f"a session was made without the record: {refused}")
    run.fleet.network.heal()
    run.without_record(1, began, GRACE)
    back = run.hold("after")
    wait_for(lambda: instance.status_of("record")["state"] == "normal", "the record to be back")
    run.figure("the record is used again after", run.now() - back, "s", most=10)
    time.sleep(run.pick(2, 10))
    failed = budget.phases([e for e in run.history.events if e["instance"] != 1],
                           [("", began, back)])[0]
    # What it had begun holds the others' writes up until the database gives up on it.
    run.figure("answered by the others meanwhile", 100 * failed.availability, "%", least=99)
