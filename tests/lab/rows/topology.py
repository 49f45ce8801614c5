"""Rows 17 to 25: Sentinel and Cluster."""

import subprocess
import time

from registry import elsewhere, row
from server import wait_for
from shapes import Cluster, OverHttp, Sentinel

from .common import ALL, generation, serve, serves, until_moved

elsewhere(19, "the second half of row 18")
elsewhere(25, "TLS of every kind against real servers: RedisTls in src/redis, PostgresTls in src/sql")


@row(17, "behind Sentinels the master is killed",
     "nothing older than an acknowledged value is read; sessions are neither lost nor resurrected",
     ALL, judge=serves, fleet={"shape": Sentinel}, short=True)
def master_killed(run):
    shape = run.fleet.shape
    for number in range(run.pick(1, 5)):
        serve(run)
        before = generation(run)
        killed = run.hold(f"killed {number + 1}")
        old = shape.master()
        old.kill()
        run.lost_data()
        wait_for(lambda: shape.master() is not old, "the failover")
        run.lost_data()  # Not every acknowledged write had reached the replica.
        failed_over = run.now()
        until_moved(run, before)
        run.until_normal(failed_over, most=5, name="used again, after the failover, after")
        run.figure("used again, after the death, after", run.now() - killed, "s")
        run.hold(f"after {number + 1}", run.pick(1, 10))
        if run.at_length:
            old.start()
            wait_for(lambda: "role:slave" in old.cli("info", "replication"),
                     "the old master to follow")


class Apart(Sentinel):
    """Every server on a host of its own."""

    def __init__(self):
        import network
        super().__init__(network.current())


@row(18, "a fork: {master, instance 0} are cut from the Sentinels, the replicas and the other "
         "instances; both masters serve. Then it heals (19)",
     "no revoked session accepted after 2 s anywhere, nothing older than acknowledged read, limits "
     "within (1 + k/N); instance 0 leaves the old master though PING and SET work", ALL,
     fleet={"shape": Apart}, needs=("network",), judge=serves, short=True)
def fork(run):
    shape, network = run.fleet.shape, run.fleet.network
    serve(run)
    old = shape.master()
    host = next(name for name, address in network.hosts.items() if address == old.host)
    others = [n for n in network.hosts if n not in (host, "i0", "pg")]
    before = generation(run)
    cut = run.hold("fork")
    # Instance 0 keeps the record: what it is told by Redis alone must not mislead it.
    network.cut([host], others)
    network.cut(["i0"], [n for n in others if n.startswith(("r", "s"))])
    wait_for(lambda: shape.master() is not old, "the failover")
    run.lost_data(cut)
    failed_over = run.now()
    wait_for(lambda: run.fleet.states()[1:] == ["normal", "normal"],
             "the majority side to use the new master")
    run.figure("the majority uses the new master after", run.now() - failed_over, "s", most=5)
    wait_for(lambda: generation(run, 0) > before and run.fleet.states()[0] != "normal",
             "instance 0 to leave the old master")
    left = run.states.first("down", cut).get(0, 0.0)
    moved = min(run.states.first("recovering", cut).get(n, 1e9) for n in (1, 2))
    run.figure("instance 0 used the old master after the cut for", left, "s")
    # Less than nothing: it had left before there were two masters, for a reason of its own.
    run.figure("beside the new one for", left - (failed_over - cut), "s", least=0)
    run.figure("instance 0 left it after the others had moved on, after", left - moved, "s", most=2)
    _is_still_acknowledging(run, old)
    time.sleep(run.pick(3, 20))
    network.heal()
    run.lost_data()
    healed = run.hold("healed")
    run.until_normal(healed, most=30, name="instance 0 uses the new master after")
    time.sleep(run.pick(2, 15))


def _is_still_acknowledging(run, old):
    run.require(old.cli("set", "foreign", "1") == "OK", "the old master did not serve: no fork")


@row(20, "two of three Sentinels are dead, and the master dies",
     "nobody writes to a replica; it is over when a Sentinel is back", ALL, judge=serves,
     fleet={"shape": Sentinel})
def sentinels_dead(run):
    shape = run.fleet.shape
    serve(run)
    old = shape.master()
    for sentinel in shape.sentinels[:2]:
        sentinel.kill()
    run.hold("leaderless")
    old.kill()
    run.lost_data()
    time.sleep(run.pick(4, 20))
    run.require("normal" not in run.fleet.states(), "a replica is used as if it were the master")
    shape.sentinels[0].start()
    wait_for(lambda: shape.master() is not old, "the failover")
    run.lost_data()
    back = run.hold("after")
    run.until_normal(back, most=10)
    run.hold("end of it", 1)


@row(21, "of a cluster of three masters with a replica each, a master is killed",
     "the replica that takes over is used; nothing older than acknowledged is read", ALL,
     judge=serves, fleet={"shape": Cluster}, short=True)
def shard_killed(run):
    shape = run.fleet.shape
    serve(run)
    killed = run.hold("killed")
    victim = shape.masters()[0]
    victim.kill()
    run.lost_data()
    wait_for(lambda: len(shape.masters()) == 3 and shape.is_whole(), "the replica to take over")
    run.lost_data()
    run.figure("the cluster was whole again after", run.now() - killed, "s")
    back = run.hold("after")
    run.until_normal(back, most=10)
    victim.start()
    time.sleep(run.pick(1, 10))


@row(22, "slots of a cluster move all the time (MOVED, ASK, TRYAGAIN)",
     "no effect lost or doubled; at most two redirects for a command", ALL, judge=serves,
     fleet={"shape": Cluster})
def resharding(run):
    shape = run.fleet.shape
    serve(run)
    ids = [m.cli("cluster", "myid") for m in shape.masters()]
    instance = run.fleet.instances[0]
    before = (instance.metric("redoubt_redis_redirects_total"),
              instance.metric("redoubt_redis_commands_total"))
    began = run.hold("moving")
    moves = 0
    while run.now() - began < run.pick(4, 60):
        source, target = ids[moves % 3], ids[(moves + 1) % 3]
        done = subprocess.run(
            ["redis-cli", "--cluster", "reshard", f"127.0.0.1:{shape.servers[0].port}",
             "--cluster-from", source, "--cluster-to", target, "--cluster-slots", "200",
             "--cluster-yes"], capture_output=True, text=True, timeout=120)
        moves += done.returncode == 0
        if done.returncode:
            wait_for(shape.is_whole, "the cluster to be whole")
    redirects = instance.metric("redoubt_redis_redirects_total") - before[0]
    commands = instance.metric("redoubt_redis_commands_total") - before[1]
    run.require(moves > 0, "no slot was moved")
    run.figure("moves of 200 slots", moves)
    run.figure("redirects for a command", redirects / max(commands, 1), "", most=2)
    back = run.hold("after")
    run.until_normal(back, most=10)


@row(23, "slots of a cluster are nobody's (-CLUSTERDOWN)",
     "refused is refused: nothing counts twice or is lost", ALL, judge=serves,
     fleet={"shape": Cluster})
def uncovered(run):
    shape = run.fleet.shape
    serve(run)
    master = shape.masters()[0]
    pair = [master] + [s for s in shape.servers if s is not master
                       and f"master_port:{master.port}" in s.cli("info", "replication")]
    run.hold("uncovered")
    for server in pair:
        server.kill()
    run.lost_data()
    alive = next(s for s in shape.servers if s not in pair)
    wait_for(lambda: "cluster_state:fail" in alive.cli("cluster", "info"), "the cluster to notice")
    time.sleep(run.pick(2, 20))
    for server in pair:
        server.start()
    wait_for(shape.is_whole, "the cluster to be whole")
    back = run.hold("after")
    run.until_normal(back, most=10)


@row(24, "Redis over HTTP: 429, 403, 5xx after it was done, slow, truncated, wrong lengths, replies in "
         "another order, dropped",
     "what is refused and what is unknown are told apart; the token is nowhere", ALL, judge=serves,
     fleet={"shape": OverHttp})
def over_http(run):
    service = run.fleet.shape.service
    serve(run)
    for fault in service.FAULTS:
        wait_for(run.fleet.is_normal, "Redis to be used")
        bad = service.bad
        run.hold(fault)
        service.fault = fault
        time.sleep(run.pick(1, 20))
        run.require(service.bad > bad, f"nobody met {fault}")
        service.fault = None
        run.hold(f"after {fault}")
    # What was told to have been done may not have been, and the other way round.
    run.lost_data()
    back = run.hold("after")
    run.until_normal(back, most=35)
    for number, instance in enumerate(run.fleet.instances):
        run.require(service.token not in instance.log(), f"instance {number} logged the token")
