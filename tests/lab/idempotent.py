"""What is asked for with an Idempotency-Key, and asked for again until it is answered: sessions and API
keys. Each has a name that nothing else has, so that what was made of it can be counted."""

import asyncio
import hashlib

from history import OK
from wire import encode

WAITING_MAX = 32  # An outage is not asked by ever more of them.
HANGS_UP = 0.3    # So many of the clients do not wait for the answer,
AFTER = 0.01      # or so many seconds at most.
PAUSE = 2.0       # Seconds between two tries, at most.


class Request:
    def __init__(self, kind, name, tenant):
        self.kind, self.name, self.tenant = kind, name, tenant
        path, body = {"session": ("/api/v1/sessions",
                                  {"user": name, "data": {"secret": tenant.canary}}),
                      "key": ("/api/v1/keys", {"name": name})}[kind]
        self.encoded = encode("POST", path, tenant.key, body, more=f"Idempotency-Key: {name}\r\n")

    def result(self, answer):
        """A digest of the answer: it has a token in it."""
        body = answer.json()
        return {"made": (body if self.kind == "session" else body["key"])["id"],
                "answer": hashlib.sha256(answer.body).hexdigest()[:16],
                "replayed": answer.header(b"Idempotency-Replayed") == "true"}

    def event(self, type, **more):
        return {"type": type, "key": self.name, "args": {"kind": self.kind, **more}}


class Requests:
    """Of one load."""

    def __init__(self, load):
        self.load = load
        self.all, self.waiting = [], 0

    async def create(self):
        """Asks any instance, and again any, until it is answered."""
        load = self.load
        if self.waiting >= WAITING_MAX:
            return await load.read()
        kind = load.random.choice(("session", "session", "session", "key"))
        request = Request(kind, f"{load.run}-once-{load.next()}", load.random.choice(load.tenants))
        self.all.append(request)
        self.waiting += 1
        pause = 0.0
        while not load.stopping and not await self._is_answered(request):
            await asyncio.sleep(load.random.uniform(0, pause))
            pause = min(2 * pause + 0.05, PAUSE)
        self.waiting -= 1

    async def _is_answered(self, request):
        hangs_up = self.load.random.random() < HANGS_UP
        timeout = self.load.random.uniform(0, AFTER) if hangs_up else None
        event = request.event("idempotent.create", hangs_up=hangs_up)
        await self.load.ask(event, request.encoded, request.tenant, request.result, timeout=timeout)
        return event["outcome"] == OK

    def last_look(self):
        """Coroutines in two lists: everything is asked for once more; then it is counted."""
        again = [self.load.insist(r.event("idempotent.final"), r.encoded, r.tenant, r.result)
                 for r in self.all]
        counts = [self._sessions(r) for r in self.all if r.kind == "session"]
        if self.all:
            counts += [self._keys(tenant) for tenant in self.load.tenants]
        return again, counts

    def _sessions(self, request):
        return self._list(f"/api/v1/users/{request.name}/sessions", request.tenant,
                          lambda body: [[request.name, s["id"]] for s in body["data"]])

    async def _keys(self, tenant):
        path, cursor = "/api/v1/keys?limit=1000", ""
        while cursor is not None:
            answer = await self._list(path + cursor, tenant,
                                      lambda body: [[k["name"], k["id"]] for k in body["keys"]])
            following = answer.json().get("next_cursor") if answer else None
            cursor = f"&cursor={following}" if following else None

    def _list(self, path, tenant, made):
        return self.load.insist({"type": "idempotent.list", "key": path, "args": {}},
                                encode("GET", path, tenant.key), tenant,
                                lambda answer: {"made": made(answer.json())})
