"""The mixed load: clients that arrive at a rate, whether or not the server keeps up, and write down
all they do.

An operation picks an instance at random. The writes of one session wait for each other, so that the
checkers know their order; reads do not, and go on after a revocation, as a stolen token would.
"""

import asyncio
import collections
import random
import threading
import time

from history import HELD, OK, UNKNOWN, outcome_of
from idempotent import Requests
from server import PATIENCE
from wire import Lost, NotSent, Pool, encode

LIVE_MAX = 400          # Sessions alive at a time, over all tenants.
REVOKED_KEPT = 200      # Of the last revoked ones, whose tokens are still tried.
USERS = 40
SUBJECTS = 4            # Of the soft limit; few, so that it refuses.
COUNTERS = 6
ENTRIES = 30            # Keys of the cache.

# What comes how often.
MIX = {"session.read": 46, "session.create": 6, "session.update": 9, "session.revoke": 5,
       "limit.check": 12, "counter.add": 6, "cache.put": 5, "cache.get": 9, "cache.invalidate": 2}

# Where the record or an instance fails, also what is sent again until it is answered.
WITH_REPETITIONS = {**MIX, "idempotent.create": 4}

READ, SPEND = "lab", "spend"  # Policies: soft, and strict.


class Tenant:
    def __init__(self, name, key):
        self.name, self.key = name, key
        self.canary = f"canary-{name}"


class Session:
    __slots__ = ("id", "token", "tenant", "busy")

    def __init__(self, id, token, tenant):
        self.id, self.token, self.tenant, self.busy = id, token, tenant, False


class Load:
    def __init__(self, instances, tenants, history, rate, seed, run="r", timeout=5.0, mix=None):
        """`instances`: [(host, port)]; `run` makes the names of this load its own."""
        self.instances = instances
        self.tenants = tenants
        self.history = history
        self.rate = rate
        self.random = random.Random(seed)
        self.run = run
        self.timeout = timeout
        mix = mix or MIX
        self.kinds, self.weights = list(mix), list(mix.values())
        self.live, self.revoked = [], collections.deque(maxlen=REVOKED_KEPT)
        self.all = {}
        self.users = set()
        self.idempotent = Requests(self)
        self.counter = 0
        self.counters = COUNTERS
        self.retries = 0  # How often a failed addition is tried again, as another one, at once.
        self.behind = 0.0  # The most seconds the arrivals were late.
        self.running = set()
        self.epoch = time.monotonic()
        self.loop = asyncio.new_event_loop()
        self.stopping = False
        self.pools = {}
        self.reach(range(len(instances)))

    # ---- From the row's thread ----

    def start(self):
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def stop(self):
        """No more arrivals; waits for the answers under way."""
        self.stopping = True
        self.thread.join()

    def now(self):
        return time.monotonic() - self.epoch

    def reach(self, numbers):
        """Only these instances are asked from now on, as behind a load balancer."""
        self.targets = list(numbers)

    def run_now(self, coroutine):
        """After stop(): runs something on the load's loop."""
        return self.loop.run_until_complete(coroutine)

    # ---- On the loop ----

    def _run(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._arrive())

    async def _arrive(self):
        due = time.monotonic()
        while not self.stopping:
            now = time.monotonic()
            self.behind = max(self.behind, now - due)
            while due <= now:
                due += self.random.expovariate(self.rate)
                task = self.loop.create_task(self._one())
                self.running.add(task)
                task.add_done_callback(self.running.discard)
            await asyncio.sleep(max(0.0, min(due - time.monotonic(), 0.1)))
        while self.running:
            await asyncio.wait(set(self.running))

    async def _one(self):
        kind = self.random.choices(self.kinds, self.weights)[0]
        await self.operations[kind](self)

    def next(self):
        self.counter += 1
        return self.counter

    def pool(self, instance):
        if instance not in self.pools:
            self.pools[instance] = Pool(*self.instances[instance], timeout=self.timeout)
        return self.pools[instance]

    async def ask(self, event, request, tenant, read_result, instance=None, timeout=None):
        """Asks an instance and writes down what became of it, in the event too."""
        answer = await self._exchange(event, request, tenant, read_result, instance, timeout)
        self.history.append(event)
        return answer

    async def insist(self, event, request, tenant, read_result, instance=None):
        """The same, until there is an answer: an instance that is short of processor sheds load."""
        deadline = time.monotonic() + PATIENCE
        answer = await self._exchange(event, request, tenant, read_result, instance)
        while not (answer and answer.status < 500) and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
            answer = await self._exchange(event, request, tenant, read_result, instance)
        self.history.append(event)
        return answer

    async def _exchange(self, event, request, tenant, read_result, instance, timeout=None):
        if instance is None:
            instance = self.random.choice(self.targets)
        event.update(instance=instance, tenant=tenant.name, client=0, mode="", status=0,
                     result={}, t_inv=self.now())
        pool, answer = self.pool(instance), None
        try:
            connection = await pool.take()
        except NotSent as error:
            event.update(outcome="refused", result={"error": str(error)})
        else:
            event.update(client=connection.number, t_inv=self.now())
            try:
                answer = await connection.ask(request, self.timeout if timeout is None else timeout)
            except Lost as error:
                event.update(outcome=UNKNOWN, result={"error": str(error)})
            finally:
                pool.give_back(connection)
        event["t_ret"] = self.now()
        if answer:
            self._note(event, answer, read_result)
        return answer

    def _note(self, event, answer, read_result):
        event["status"] = answer.status
        event["mode"] = answer.header(b"Redoubt-Guarantee")
        found = [t.name for t in self.tenants if t.canary.encode() in answer.body]
        if found:
            event["canaries"] = found
        if answer.status < 400 or answer.status == 429:
            event["outcome"] = OK if answer.status < 400 or event["type"] == "limit.check" \
                else "refused"
            event["result"] = read_result(answer)
        else:
            body = answer.json() if b"problem+json" in answer.head else {}
            code, detail = body.get("code", ""), body.get("detail", "")
            event["outcome"] = outcome_of(answer.status, code, detail)
            event["result"] = {"code": code, "held": HELD in detail}

    # ---- Sessions ----

    async def create(self):
        if len(self.live) >= LIVE_MAX:
            return await self.revoke()
        tenant = self.random.choice(self.tenants)
        user = f"{self.run}-user-{self.random.randrange(USERS)}"
        self.users.add((tenant, user))
        n = self.next()
        event = {"type": "session.create", "key": user, "args": {"n": n}}
        answer = await self.ask(
            event,
            encode("POST", "/api/v1/sessions", tenant.key,
                   {"user": user, "data": {"n": n, "secret": tenant.canary}}),
            tenant, lambda a: _session(a))
        if event["outcome"] == OK:
            body = answer.json()
            session = Session(body["id"], body["token"], tenant)
            self.live.append(session)
            self.all[session.id] = session

    def _take(self):
        """A live session that no write is under way of."""
        for _ in range(5):
            if not self.live:
                return None
            session = self.random.choice(self.live)
            if not session.busy:
                session.busy = True
                return session
        return None

    def _put_back(self, session, event):
        """A write whose outcome is unknown may yet happen: it is the last one of its session."""
        session.busy = False
        if event["outcome"] == UNKNOWN:
            self.live.remove(session)

    async def update(self):
        session = self._take()
        if session is None:
            return await self.create()
        n = self.next()
        event = {"type": "session.update", "key": session.id, "args": {"n": n}}
        await self.ask(
            event,
            encode("PATCH", f"/api/v1/sessions/{session.id}", session.tenant.key,
                   {"data": {"n": n}}),
            session.tenant, lambda a: {"version": a.json()["version"]})
        self._put_back(session, event)

    async def revoke(self):
        session = self._take()
        if session is None:
            return
        event = {"type": "session.revoke", "key": session.id, "args": {}}
        await self.ask(
            event,
            encode("DELETE", f"/api/v1/sessions/{session.id}", session.tenant.key),
            session.tenant, lambda a: {})
        self._put_back(session, event)
        if event["outcome"] == OK:
            self.live.remove(session)
            self.revoked.append(session)

    async def read(self):
        ended = self.revoked and self.random.random() < 0.15
        if not ended and not self.live:
            return await self.create()
        # Of the revoked ones mostly the last: they are those that somebody may not know of yet.
        lately = list(self.revoked)[-5 if self.random.random() < .7 else 0:]
        session = self.random.choice(lately if ended else self.live)
        await self.ask({"type": "session.read", "key": session.id, "args": {}},
                       encode("GET", "/api/v1/sessions/current", session.token),
                       session.tenant, _session)

    # ---- Limits ----

    async def check_limit(self):
        tenant = self.tenants[0]
        subject = f"{self.run}-subject-{self.random.randrange(SUBJECTS)}"
        await self.ask({"type": "limit.check", "key": subject, "args": {"policy": READ}},
                       encode("POST", "/api/v1/limits/check", tenant.key,
                              {"limits": [{"policy": READ, "subject": subject}]}),
                       tenant, lambda a: {"allowed": a.json()["allowed"]})

    async def add(self):
        for _ in range(1 + self.retries):
            answer = await self._add_once()
            if answer and answer.status < 500:
                return

    async def _add_once(self):
        tenant, cost = self.tenants[0], self.random.randint(1, 3)
        key = f"{self.run}-counter-{self.random.randrange(self.counters)}"
        return await self.ask({"type": "counter.add", "key": key, "args": {"cost": cost}},
                              encode("POST", "/api/v1/limits/check", tenant.key,
                                     {"limits": [{"policy": SPEND, "subject": key,
                                                  "cost": cost}]}),
                              tenant, lambda a: {})

    # ---- Cache ----

    def _entry(self):
        tenant = self.random.choice(self.tenants)
        return tenant, f"{self.run}-entry-{self.random.randrange(ENTRIES)}"

    async def put(self):
        tenant, key = self._entry()
        value = f"{tenant.canary}-{self.run}-{self.next()}"
        await self.ask({"type": "cache.put", "key": f"{tenant.name}/{key}",
                        "args": {"value": value}},
                       encode("PUT", f"/api/v1/cache/entries/{key}?tags={key}", tenant.key, value,
                              "text/plain"),
                       tenant, lambda a: {})

    async def get(self):
        tenant, key = self._entry()
        await self.ask({"type": "cache.get", "key": f"{tenant.name}/{key}", "args": {}},
                       encode("GET", f"/api/v1/cache/entries/{key}", tenant.key),
                       tenant, lambda a: {"value": a.body.decode()})

    async def invalidate(self):
        tenant, key = self._entry()
        await self.ask({"type": "cache.invalidate", "key": f"{tenant.name}/{key}", "args": {}},
                       encode("POST", "/api/v1/cache/invalidate", tenant.key, {"tags": [key]}),
                       tenant, lambda a: {"generation": a.json()["generation"]})

    async def create_once(self):
        await self.idempotent.create()

    operations = {"session.read": read, "session.create": create, "session.update": update,
                  "session.revoke": revoke, "limit.check": check_limit, "counter.add": add,
                  "cache.put": put, "cache.get": get, "cache.invalidate": invalidate,
                  "idempotent.create": create_once}


def _session(answer):
    body = answer.json()
    return {"session": body["id"], "version": body["version"], "n": body["data"].get("n")}
