"""Rows 44 to 48: clocks and pauses."""

import os
import signal
import time

from clock import Clock
from database import Database
from registry import elsewhere, row
from shapes import Single

from .common import ALL, serve, serves

elsewhere(48, "clocks of another rate need a simulation, not this machine's")

_clocks = {}


def clock_of(name):
    """One clock for each process that a row moves; kept for as long as the lab runs."""
    if name not in _clocks:
        _clocks[name] = Clock()
    _clocks[name].jump()
    return _clocks[name]


def moved(name):
    return {**os.environ, **clock_of(name).env}


class RedisWithClock(Single):
    def __init__(self):
        super().__init__(env=moved("redis"))


@row(44, "the wall clock of Redis jumps by +120 s and -3600 s",
     "limits stay within a burst more; nothing else changes", ALL, judge=serves,
     fleet={"shape": RedisWithClock}, needs=("shim",))
def redis_clock(run):
    serve(run)
    redis = run.fleet.redis
    for seconds in (120, -3600):
        run.hold(f"{seconds:+} s")
        clock_of("redis").jump(wall=seconds)
        run.lost_data()
        there = int(redis.cli("time").split()[0]) - time.time()
        run.require(abs(there - seconds) < 10, f"the clock of Redis is {there:.0f} s ahead")
        time.sleep(run.pick(2, 30))
    run.hold("back", run.pick(1, 30))
    clock_of("redis").jump()
    run.lost_data()
    run.hold("after", run.pick(2, 10))


def with_own_clock(number):
    return clock_of(f"instance {number}").env if number == 1 else {}


@row(45, "the wall clock of instance 1 is wrong by a second more each second, back and forth",
     "no session ends early or late by more than its slack; leases are unaffected", ALL,
     judge=serves, fleet={"env_of": with_own_clock}, needs=("shim",))
def instance_clock(run):
    serve(run)
    began = run.hold("drifting")
    while run.now() - began < run.pick(4, 60):
        clock_of("instance 1").jump(wall=int(run.now() - began) * run.pick(1, 2))
        time.sleep(0.5)
    clock_of("instance 1").jump()
    run.hold("after", run.pick(2, 10))


class DatabaseWithClock(Database):
    def __init__(self):
        super().__init__(env=moved("postgres"))


@row(46, "the wall clock of PostgreSQL jumps by +-1 h",
     "the journal is followed, sessions neither end nor live on", ALL, judge=serves,
     fleet={"postgres": DatabaseWithClock}, needs=("shim",))
def database_clock(run):
    serve(run)
    for seconds in (3600, -3600, 0):
        run.hold(f"{seconds:+} s")
        clock_of("postgres").jump(wall=seconds)
        there = float(run.fleet.postgres.sql("SELECT extract(epoch FROM clock_timestamp())"))
        run.require(abs(there - time.time() - seconds) < 30,
                    f"the clock of PostgreSQL is {there - time.time():.0f} s ahead")
        time.sleep(run.pick(2, 20))


@row(47, "an instance is stopped (SIGSTOP), and goes on",
     "it answers nothing from copies of before; the others serve", ALL)
def paused(run):
    serve(run)
    victim = run.fleet.instances[1]
    run.load.reach([0, 2])
    run.hold("paused")
    os.kill(victim.process.pid, signal.SIGSTOP)
    time.sleep(run.pick(4, 60))
    os.kill(victim.process.pid, signal.SIGCONT)
    # From the first moment on it is asked again, among others for what ended meanwhile.
    run.load.reach([0, 1, 2])
    back = run.hold("after")
    run.until_normal(back, most=10)
    time.sleep(run.pick(3, 20))
