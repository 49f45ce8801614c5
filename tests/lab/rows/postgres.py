"""Rows 35 to 42: PostgreSQL."""

import subprocess
import time

from checks import budget
from database import Database, OnSmallDisk
from load import WITH_REPETITIONS
from registry import elsewhere, row
from server import wait_for

from .common import ALL, GRACE, WITH_I1, serve

PLAIN = {"postgres": Database}
THROUGH_PROXIES = {"postgres": Database, "database_proxies": True}

elsewhere(42, "SQLite: SqliteFaults, storage_faults_e2e, crash_e2e, scripts/kill9")


def without_record(run, since):
    for number in range(len(run.fleet.instances)):
        run.without_record(number, since, GRACE)


def until_written(run, since, most=10):
    """Until every instance writes again."""
    def is_written():
        return all(i.status_of("record")["state"] == "normal" and
                   i.post("/api/v1/sessions", {"user": "probe"}).status == 201
                   for i in run.fleet.instances)
    wait_for(is_written, "writes to be taken again")
    run.figure("written again after", run.now() - since, "s", most=most)


@row(35, "the postmaster is killed (-9) every 20 s",
     "nothing acknowledged is lost; a commit whose answer was lost is called unknown", WITH_I1,
     fleet=PLAIN, mix=WITH_REPETITIONS, short=True)
def postmaster_killed(run):
    serve(run)
    for number in range(run.pick(1, 50)):
        began = run.hold(f"killed {number + 1}")
        run.fleet.postgres.kill()
        time.sleep(run.pick(0.5, 2))
        run.fleet.postgres.start()
        back = run.hold(f"after {number + 1}")
        until_written(run, back)
        without_record(run, began)
        time.sleep(run.pick(2, 15))


@row(36, "PostgreSQL is stopped (SIGSTOP)",
     "deadlines hold: whoever cannot be served is told so in bounded time; no connection is lost for "
     "good", WITH_I1, fleet=PLAIN, mix=WITH_REPETITIONS)
def stopped(run):
    serve(run)
    began = run.hold("stopped")
    run.fleet.postgres.pause()
    time.sleep(run.pick(6, 30))
    run.fleet.postgres.resume()
    back = run.hold("after")
    until_written(run, back)
    without_record(run, began)
    slow = max((e["t_ret"] - e["t_inv"] for e in run.history.events if e["t_inv"] >= began),
               default=0)
    run.figure("the longest that anybody waited", slow, "s")
    late = [e for e in run.history.events if e["t_inv"] >= began and e["status"] == 503]
    run.require(late, "nobody was refused: PostgreSQL was not missed")
    time.sleep(run.pick(2, 10))


@row(37, "PostgreSQL is down with Redis up; then both, which come back in either order",
     "sessions are answered from copies within the grace; writes are refused; nothing is lost",
     WITH_I1, fleet=PLAIN, mix=WITH_REPETITIONS)
def down(run):
    serve(run)
    redis, postgres = run.fleet.redis, run.fleet.postgres

    def outage(name, break_them, mend_them):
        began = run.hold(name)
        break_them()
        time.sleep(run.pick(3, 60))
        mend_them()
        back = run.hold(f"after {name}")
        until_written(run, back)
        without_record(run, began)
        run.until_normal(back, most=35, name=f"{name}: Redis used again after")

    def both():
        postgres.stop()
        redis.kill()
        run.lost_data()

    outage("record", postgres.stop, postgres.start)
    outage("both, record first", both, lambda: (postgres.start(), time.sleep(1), redis.start()))
    outage("both, Redis first", both, lambda: (redis.start(), time.sleep(1), postgres.start()))


@row(38, "the disk of PostgreSQL is full, then it is not",
     "writes are refused with the reason, reads go on, it recovers without a restart of an instance",
     WITH_I1, fleet={"postgres": OnSmallDisk}, mix=WITH_REPETITIONS, needs=("root",))
def disk_full(run):
    serve(run)
    postgres = run.fleet.postgres
    began = run.hold("full")
    postgres.fill()
    instance = run.fleet.instances[0]

    def is_refused():
        return instance.post("/api/v1/sessions", {"user": "late", "data": {"x": "x" * 50_000}}
                             ).status == 503
    wait_for(is_refused, "a write to be refused")
    time.sleep(run.pick(2, 20))
    postgres.free()
    back = run.hold("after")
    # PostgreSQL may have given up over its log; who runs it starts it again.
    if subprocess.run([f"{postgres.bin}/pg_isready", "-q", "-h", postgres.host, "-p",
                       str(postgres.port)]).returncode:
        postgres.stop()
        postgres.start()
    until_written(run, back, most=15)
    without_record(run, began)
    time.sleep(1)


@row(39, "connections to PostgreSQL are cut after a COMMIT and before its answer; then all of them are "
         "terminated again and again",
     "unknown is called unknown, and is done as a whole or not at all", WITH_I1,
     fleet=THROUGH_PROXIES, mix=WITH_REPETITIONS, short=True)
def commits_cut(run):
    serve(run)
    began = run.hold("commits cut")
    for _ in range(run.pick(4, 60)):
        _cut_commits(run)
        time.sleep(0.4)
    wait_for(lambda: _unknown(run) or _cut_commits(run), "an outcome to be called unknown")
    run.figure("commits whose answer was lost", _cuts(run))
    run.hold("terminated")
    for _ in range(run.pick(4, 60)):
        run.fleet.postgres.terminate_others()
        time.sleep(0.3)
    back = run.hold("after")
    until_written(run, back)
    without_record(run, began)
    run.figure("operations of unknown outcome", _unknown(run))
    time.sleep(1)


def _cuts(run):
    return sum(proxy.cuts for proxy in run.fleet.database_proxies)


def _unknown(run):
    return sum(e["outcome"] == "unknown" for e in list(run.history.events))


def _cut_commits(run):
    """For a moment, and until there was one at least."""
    before = _cuts(run)
    for proxy in run.fleet.database_proxies:
        proxy.cut_reply = b"COMMIT\0"
    time.sleep(0.1)
    wait_for(lambda: _cuts(run) > before, "a commit to be cut")
    for proxy in run.fleet.database_proxies:
        proxy.heal()


@row(40, "PostgreSQL is put back from a base backup of a minute ago",
     "it is noticed and said aloud; what the backup does not know is good nowhere, copies included",
     "the log; C11 C12", fleet=PLAIN, rewrites_the_past=True)
def restored(run):
    serve(run)
    kept = run.fleet.postgres.copy()
    run.hold("later", run.pick(2, 30))
    instances = run.fleet.instances
    late = [i.new_session(user="late") for i in instances for _ in range(5)]
    for session in late:
        for instance in instances:
            run.require(instance.get("/api/v1/sessions/current", key=session["token"]).status == 200,
                        "a new session was refused")
    run.hold("restored")
    run.fleet.postgres.put_back(kept)
    back = run.hold("after")
    until_written(run, back)
    time.sleep(2.2)
    for session in late:
        for number, instance in enumerate(instances):
            status = instance.get("/api/v1/sessions/current", key=session["token"]).status
            run.require(status == 401, f"instance {number} answers {status} to a session that the "
                                       f"record does not have")
    # The first that sees it notes it in the database; the others see that it is noted.
    run.require(any("record.database_changed" in instance.log() for instance in instances),
                "nobody said that the database is another one")


@row(41, "a transaction holds a number of the journal for 5 s; a thousand others take one and abort",
     "nothing is missed behind the hole; copies are not trusted across it", ALL, fleet=PLAIN)
def journal_holes(run):
    serve(run)
    postgres = run.fleet.postgres
    seconds = run.pick(3, 5)
    row_of = ("INSERT INTO rd_journal (origin, tenant, kind, key, value) "
              "VALUES ('lab', 'default', 0, 'nobody', 0)")
    for _ in range(run.pick(1, 10)):
        run.hold("hole")
        open_one = subprocess.Popen(
            ["psql", "-X", "-q", "-c", "SET redoubt.tenant = '*'", "-c",
             f"BEGIN; {row_of}; SELECT pg_sleep({seconds}); COMMIT", postgres.url],
            stdout=subprocess.DEVNULL)
        aborted = run.pick(200, 1000)
        subprocess.run(["psql", "-X", "-q", postgres.url], text=True, check=True,
                       stdout=subprocess.DEVNULL,
                       input=("SET redoubt.tenant = '*';"
                              + f"BEGIN; {row_of}; ROLLBACK;" * aborted))
        run.require(open_one.wait(60) == 0, "the transaction with the hole did not commit")
    back = run.hold("after", run.pick(2, 10))
    phase = budget.phases(run.history.events, [("", 0, back)])[0]
    run.figure("answered", 100 * phase.availability, "%", least=99.99)
