"""One row under way: the load, the phases, and in the end the checkers and the figures."""

import asyncio
import os
import time

import figure
from checks import (budget, counters, durable, freshness, hygiene, idempotency, isolation, limits,
                    monotone, revocation)
from fleet import SOFT
from history import History
from load import COUNTERS, READ, SPEND, Load
from server import PATIENCE, wait_for
from watch import States, Transactions, waited_for_processor
from wire import encode

BOUND = 2.0          # Seconds: what the freshness rule promises.
RETURN_BOUND = 5.0   # Seconds until Redis is used again once it answers.
AT_ONCE = 32         # Of each kind: more than there are connections to the record.
GROWTH = 64          # MiB: what an instance may keep of a row; what it caches is bounded by less.
POLICY = limits.Policy(**SOFT)


class Figure:
    def __init__(self, name, value, unit, most=None, least=None):
        self.name, self.value, self.unit, self.most, self.least = name, value, unit, most, least

    @property
    def holds(self):
        return ((self.most is None or self.value <= self.most)
                and (self.least is None or self.value >= self.least))

    def __str__(self):
        goal = (f"at most {self.most:g}" if self.most is not None
                else f"at least {self.least:g}" if self.least is not None else "")
        verdict = "" if not goal else "holds" if self.holds else "MISSED"
        return f"  {self.name:<58} {self.value:12.4g} {self.unit:<6} {goal:<18} {verdict}"


class Run:
    def __init__(self, row, fleet, at_length, out, rate, seed):
        self.row, self.fleet, self.at_length, self.out = row, fleet, at_length, out
        self.figures, self.complaints, self.marks, self.losses = [], [], [], []
        self.title = row.fault  # Of the picture.
        self.cut_off = {}   # See checks/revocation.
        self.away = set()   # Instances that are not running, by intent.
        self.spread = 1.0   # See checks/limits.
        self.waited = None  # The part of the time in which somebody waited for a processor.
        path = os.path.join(out, f"row-{row.name}.jsonl") if out else None
        self.history = History(path)
        self.before = []  # A census of each instance before anything is broken.
        self.load = Load(fleet.addresses(), fleet.tenants, self.history, rate, seed,
                         run=f"row{row.name}-{seed}", mix=row.mix)
        self.states = States(fleet, self.load.now)
        self.transactions = Transactions(fleet.postgres, self.load.now) if at_length else None

    def now(self):
        return self.load.now()

    def pick(self, short, long):
        """How long something lasts: in CI, and at length."""
        return long if self.at_length else short

    # ---- What a row does ----

    def hold(self, phase, seconds=None):
        """A phase begins; returns when it has lasted so long."""
        now = self.now()
        if self.marks:
            self.marks[-1][2] = now
        self.marks.append([phase, now, None])
        time.sleep(seconds or 0)
        return now

    def lost_data(self, since=None):
        """Redis forgot what it knew, now or at some moment since."""
        now = self.now()
        self.losses.append((now if since is None else since, now))

    def without_record(self, instance, since, grace=BOUND, catch_up=BOUND):
        """An instance could not ask the record from `since` to now: its reads were bounded by a
        grace instead."""
        self.cut_off.setdefault(instance, []).append((since, self.now() + catch_up, grace))

    def until_normal(self, since, most=RETURN_BOUND, name="used again after"):
        """Waits until every instance uses Redis; it is a figure how long after `since`."""
        self.fleet.until_normal()
        self.figure(name, self.now() - since, "s", most=most)

    def call(self, coroutine):
        """Something of the row's own, on the loop of the load."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.load.loop).result(2 * PATIENCE)

    def figure(self, name, value, unit="", most=None, least=None):
        self.figures.append(Figure(name, float(value), unit, most, least))

    def require(self, condition, sentence):
        """Safety: it must hold whatever the machine does meanwhile."""
        if not condition:
            self.complaints.append(sentence)

    def phase(self, name):
        return next(p for p in self.phases if p.name == name)

    # ---- Around it ----

    def execute(self):
        began, waited = self.now(), waited_for_processor()
        self.load.run_now(self._open_everything())
        self.before = [None if n in self.row.restarts else self._census_in_the_beginning(i)
                       for n, i in enumerate(self.fleet.instances)]
        self.load.start()
        try:
            self.row.body(self)
            self.hold("end")
        finally:
            self.load.stop()
            self.states.stop()
            if self.transactions:
                self.transactions.stop()
        if waited is not None:
            self.waited = (waited_for_processor() - waited) / (self.now() - began)
        self._settle()
        self.phases = budget.phases(self.history.events, [m for m in self.marks if m[2]])
        self._check()
        if self.row.judge:
            self.row.judge(self)
        self.history.close()

    async def _open_everything(self):
        """So much at once that an instance makes every connection that it may have to the record:
        what there is more of in the end was not given back."""
        tenant = self.fleet.tenants[0]

        async def ask(number, *request):
            pool = self.load.pool(number)
            connection = await pool.take()
            try:
                await connection.ask(encode(*request), PATIENCE)
            finally:
                pool.give_back(connection)

        asked = []
        for number in range(len(self.fleet.instances)):
            for n in range(AT_ONCE):
                user = f"first-{number}-{n}"
                asked += [ask(number, "POST", "/api/v1/sessions", tenant.key, {"user": user}),
                          ask(number, "GET", f"/api/v1/users/{user}/sessions", tenant.key)]
        await asyncio.gather(*asked)
        for pool in self.load.pools.values():
            pool.close()

    @staticmethod
    def _census_in_the_beginning(instance):
        """Once the connections of those who asked are closed."""
        while True:
            census = instance.census()
            time.sleep(0.2)
            if census["fds"] == instance.census()["fds"]:
                return census

    def _settle(self):
        """At rest, and past every bound: now the last look at everything."""
        wait_for(lambda: all(i.status_of("record")["state"] == "normal" for i in self._running()),
                 "the record to be written again")
        if not self.row.redis_stays_away:
            self.fleet.until_normal()
        time.sleep(BOUND + 0.2)
        self.load.reach([n for n in range(len(self.fleet.instances)) if n not in self.away])
        self.load.run_now(self._last_look())

    def _running(self):
        return [i for n, i in enumerate(self.fleet.instances) if n not in self.away]

    async def _last_look(self):
        load, numbers = self.load, self.load.targets
        looks = []
        for index, session in enumerate(load.all.values()):
            everywhere = session in load.revoked
            for number in (numbers if everywhere else [numbers[index % len(numbers)]]):
                looks.append(self._look_at(session, number))
        for tenant, user in sorted(load.users, key=lambda pair: pair[1]):
            looks.append(self._list(tenant, user))
        looks += [self._count(f"{load.run}-counter-{n}") for n in range(COUNTERS)]
        again, counts = load.idempotent.last_look()
        for some in (looks, again, counts):
            for start in range(0, len(some), 64):
                await asyncio.gather(*some[start:start + 64])
        for pool in load.pools.values():
            pool.close()

    async def _look_at(self, session, instance):
        def result(answer):
            body = answer.json()
            return {"version": body["version"], "n": body["data"].get("n")}
        await self.load.insist({"type": "session.final", "key": session.id, "args": {}},
                               encode("GET", "/api/v1/sessions/current", session.token),
                               session.tenant, result, instance)

    async def _list(self, tenant, user):
        await self.load.insist({"type": "session.list", "key": user, "args": {}},
                               encode("GET", f"/api/v1/users/{user}/sessions?limit=1000",
                                      tenant.key),
                               tenant, lambda a: {"sessions": [s["id"] for s in a.json()["data"]]})

    async def _count(self, key):
        def used(answer):
            body = answer.json()
            return {"used": body["limit"] - body["remaining"]}
        tenant = self.fleet.tenants[0]
        await self.load.insist({"type": "counter.final", "key": key, "args": {}},
                               encode("POST", "/api/v1/limits/peek", tenant.key,
                                      {"limits": [{"policy": SPEND, "subject": key}]}),
                               tenant, used)

    # ---- Judgement ----

    def _check(self):
        events = self.history.events
        if not self.row.rewrites_the_past:
            self.complaints += durable.check(events)
            self.complaints += counters.check(events)
            self.complaints += revocation.check(events, BOUND, self.cut_off,
                                                 self.row.restarts)
            self.complaints += freshness.check(events, BOUND, self.cut_off)
            self.complaints += monotone.check(events)
            self.complaints += idempotency.check(events)
        if self.load.idempotent.all:
            unheard = idempotency.carried_out_unheard(events)
            self.figure(f"carried out unheard, of {len(self.load.idempotent.all)} with a key", unheard)
            self.require(unheard, "no request with a key was carried out unheard")
        self.complaints += limits.check(events, {READ: POLICY}, len(self.fleet.instances),
                                        self.losses, self.spread, bool(self.row.restarts))
        places = [(f"the log of instance {n}", i.log())
                  for n, i in enumerate(self.fleet.instances)]
        places += [(f"the metrics of instance {n}", i.get("/metrics", key=None).body)
                   for n, i in enumerate(self.fleet.instances) if n not in self.away]
        places.append(("Redis", self.fleet.shape.keys()))
        self.complaints += isolation.check(events, places,
                                           [t.canary for t in self.fleet.tenants])
        tokens = [s.token for s in list(self.load.all.values())[:50]]
        after = [self._census_at_rest(n) for n in range(len(self.fleet.instances))]
        self.complaints += hygiene.check(
            [(f"instance {n}", n in self.away or i.process.poll() is None, i.log(),
              self.before[n], after[n])
             for n, i in enumerate(self.fleet.instances)],
            [*self.fleet.secrets(), *tokens])
        grown = [a["rss"] - b["rss"] for b, a in zip(self.before, after) if a and b]
        if grown:
            self.figure("memory of an instance grew by", max(grown) / 2**20, "MiB", most=GROWTH)

    def _census_at_rest(self, number):
        """Once what the last look had opened is closed, and what was broken is made again."""
        if number in self.away:
            return None
        before, deadline = self.before[number], time.monotonic() + PATIENCE
        census = self.fleet.instances[number].census()
        while hygiene.grown(before, census) and time.monotonic() < deadline:
            time.sleep(0.1)
            census = self.fleet.instances[number].census()
        return census

    @property
    def passed(self):
        return not self.reasons()

    def reasons(self):
        """Why it did not hold, a line each."""
        missed = [f for f in self.figures if not f.holds] if self.at_length else []
        return [f"row {self.row.name}: {reason}" for reason in
                [*self.complaints, *(" ".join(str(f).split()) for f in missed)]]

    def report(self):
        lines = [f"row {self.row.name}: {self.row.fault}", f"  must hold: {self.row.must}",
                 "  " + budget.HEAD, *("  " + p.row() for p in self.phases if p.requests)]
        count = len(self.history.events)
        outcomes = {o: sum(e["outcome"] == o for e in self.history.events)
                    for o in ("ok", "refused", "unknown")}
        lines.append(f"  {count} operations: {outcomes['ok']} ok, {outcomes['refused']} refused, "
                     f"{outcomes['unknown']} unknown; arrivals at most "
                     f"{1000 * self.load.behind:.0f} ms late")
        if self.waited is not None:
            lines.append(f"  somebody waited for a processor in {100 * self.waited:.0f} % of the time")
        lines += map(str, self.figures)
        lines += ["  VIOLATED " + complaint for complaint in self.complaints]
        lines.append(f"  {'held' if self.passed else 'DID NOT HOLD'}: {self.row.checks}")
        return "\n".join(lines)

    def _in_short(self):
        failures = sum(p.failures for p in self.phases)
        total = sum(p.requests for p in self.phases)
        return (f"{len(self.fleet.instances)} instances, {self.load.rate:g} requests a second; "
                f"{total} requests, {failures} of them not answered")

    def draw(self):
        """The curve, as a picture beside the history."""
        if not self.out:
            return None
        path = os.path.join(self.out, f"row-{self.row.name}.svg")
        with open(path, "w", encoding="utf-8") as file:
            file.write(figure.svg(self.title, self._in_short(), self.history.events,
                                  self.marks, self.states.changes,
                                  self.transactions.rates if self.transactions else []))
        return path
