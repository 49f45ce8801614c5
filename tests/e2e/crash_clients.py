"""The load under which the server is killed: clients that keep a history of what they did."""

import json
import random
import threading

from crash_history import DEAD, Checker
from crash_wire import Lost, NotSent, Wire

# Of class strict and, within a run, without refill: what was used stays used.
LIMITS = {
    "REDOUBT_LIMIT_BUCKET": "1000/366d burst 1000 gcra strict",
    "REDOUBT_LIMIT_COUNT": "1000000/366d fixed_window strict",
    "REDOUBT_LIMIT_LOG": "10000/1d sliding_log strict",
}
POLICIES = {"bucket": 1000, "count": 1_000_000, "log": 10_000}
ROUNDS_OF_A_SUBJECT = 10
USERS_OF_A_CLIENT = 3
SESSIONS_OF_A_USER_MAX = 12


class Journal:
    """The history: written down, checked as it grows, and what changed since the last restart."""

    def __init__(self, path):
        self.lock = threading.Lock()
        self.file = open(path, "w", encoding="utf-8")
        self.checker = Checker()
        self.tokens = {}  # Of sessions and API keys that were ever issued to us.
        self.users = set()
        self.round = 0
        self.forget_changes()

    def forget_changes(self):
        self.changed_sessions, self.changed_keys = set(), set()

    def append(self, event):
        with self.lock:
            self.file.write(json.dumps(event) + "\n")
            self.checker.apply(event)
            for name in ("session", "successor"):
                if event["op"].startswith("session.") and event.get(name):
                    self.changed_sessions.add(event[name])
                if event["op"].startswith("key.") and event.get(name):
                    self.changed_keys.add(event[name])
            if event["op"] == "session.revoke_all":
                self.changed_sessions.update(event["before"])


def outcome_of(status):
    """An answer of 500 or 504 leaves open what became of a write."""
    if status < 300:
        return "ok"
    return "unknown" if status in (500, 504) else "refused"


class Client:
    def __init__(self, number, journal, port, key, seed):
        self.number = number
        self.journal = journal
        self.wire = Wire(port, key)
        self.random = random.Random(seed)
        self.counter = 0
        self.users = [f"user-{number}-{k}" for k in range(USERS_OF_A_CLIENT)]
        self.keys = []
        journal.users.update(self.users)
        self.operations = [(self.create, 20), (self.update, 25), (self.verify, 15),
                           (self.revoke, 8), (self.rotate, 6), (self.revoke_all, 2),
                           (self.create_key, 4), (self.use_key, 5), (self.rotate_key, 2),
                           (self.revoke_key, 2), (self.take, 12), (self.put, 6), (self.get, 4),
                           (self.invalidate, 4)]
        if number == 0:
            self.operations.append((self.rotate_ring, 0.5))

    def work(self, stop):
        """Until the server is gone or `stop` is set."""
        operations, weights = zip(*self.operations)
        try:
            while not stop.is_set():
                self.random.choices(operations, weights)[0]()
        except (Lost, NotSent):
            pass
        finally:
            self.wire.close()

    def _do(self, event, method, path, body=None, key=None):
        """Asks, notes the outcome in the event, and returns the answer when it is ok. The caller
        completes the event and appends it; other outcomes are appended here."""
        event["client"] = self.number
        try:
            status, answer = self.wire.ask(method, path, body, key)
        except NotSent:
            self.journal.append({**event, "outcome": "refused"})
            raise
        except Lost:
            self.journal.append({**event, "outcome": "unknown"})
            raise
        event["outcome"], event["status"] = outcome_of(status), status
        if event["outcome"] == "ok":
            return answer
        self.journal.append(event)
        return None

    def _next(self):
        self.counter += 1
        return self.counter

    def _some_session(self):
        user = self.random.choice(self.users)
        mine = sorted(self.journal.checker.sessions_of[user])
        return self.random.choice(mine) if mine else None

    # Sessions

    def create(self):
        user = self.random.choice(self.users)
        if len(self.journal.checker.sessions_of[user]) >= SESSIONS_OF_A_USER_MAX:
            return self.revoke()
        n = self._next()
        event = {"op": "session.create", "user": user, "n": n}
        answer = self._do(event, "POST", "/api/v1/sessions", {"user": user, "data": {"n": n}})
        if answer:
            self.journal.tokens[answer["id"]] = answer["token"]
            self.journal.append({**event, "session": answer["id"], "version": answer["version"]})
        return None

    def update(self):
        id = self._some_session()
        if id is None:
            return
        n = self._next()
        event = {"op": "session.update", "session": id, "n": n}
        answer = self._do(event, "PATCH", f"/api/v1/sessions/{id}", {"data": {"n": n}})
        if answer:
            self.journal.append({**event, "version": answer["version"]})

    def verify(self):
        id = self._some_session()
        if id is None or id not in self.journal.tokens:
            return
        event = {"op": "session.verify", "session": id}
        answer = self._do(event, "POST", "/api/v1/sessions/verify",
                          {"token": self.journal.tokens[id]})
        if answer:
            self.journal.append({**event, "found": answer["id"], "version": answer["version"],
                                 "n": answer["data"]["n"]})

    def revoke(self):
        id = self._some_session()
        if id is None:
            return
        event = {"op": "session.revoke", "session": id}
        if self._do(event, "DELETE", f"/api/v1/sessions/{id}") is not None:
            self.journal.append(event)

    def rotate(self):
        id = self._some_session()
        if id is None:
            return
        event = {"op": "session.rotate", "session": id}
        answer = self._do(event, "POST", f"/api/v1/sessions/{id}/rotate")
        if answer:
            self.journal.tokens[answer["id"]] = answer["token"]
            self.journal.append({**event, "successor": answer["id"],
                                 "version": answer["version"], "n": answer["data"]["n"]})

    def revoke_all(self):
        user = self.random.choice(self.users)
        before = sorted(self.journal.checker.sessions_of[user])
        kept = self.random.choice(["", *before])
        event = {"op": "session.revoke_all", "user": user, "except": kept, "before": before}
        answer = self._do(event, "DELETE", f"/api/v1/users/{user}/sessions?except={kept}")
        if answer:
            self.journal.append({**event, "count": answer["revoked"]})

    # API keys

    def create_key(self):
        event = {"op": "key.create", "name": f"key-{self.number}-{self._next()}"}
        answer = self._do(event, "POST", "/api/v1/keys", {"name": event["name"]})
        if answer:
            self._keep_key(answer)
            self.journal.append({**event, "key": answer["key"]["id"]})

    def _keep_key(self, answer):
        self.journal.tokens[answer["key"]["id"]] = answer["token"]
        self.keys.append(answer["key"]["id"])

    def _some_key(self, take=False):
        # One whose end is unknown is used no more; the verifier looks what became of it.
        states = self.journal.checker.keys
        self.keys = [id for id in self.keys if DEAD not in states.get(id, {DEAD})]
        if not self.keys:
            return None
        id = self.random.choice(self.keys)
        if take:
            self.keys.remove(id)
        return id

    def use_key(self):
        id = self._some_key()
        if id is None:
            return
        event = {"op": "key.use", "key": id}
        answer = self._do(event, "GET", "/api/v1/limits/policies", key=self.journal.tokens[id])
        if answer:
            self.journal.append(event)

    def rotate_key(self):
        id = self._some_key(take=True)
        if id is None:
            return
        event = {"op": "key.rotate", "key": id}
        answer = self._do(event, "POST", f"/api/v1/keys/{id}/rotate")
        if answer:
            self._keep_key(answer)
            self.journal.append({**event, "successor": answer["key"]["id"]})

    def revoke_key(self):
        id = self._some_key(take=True)
        if id is None:
            return
        event = {"op": "key.revoke", "key": id}
        if self._do(event, "DELETE", f"/api/v1/keys/{id}") is not None:
            self.journal.append(event)

    # Limits, cache, key ring

    def take(self):
        policy = self.random.choice(list(POLICIES))
        subject = f"shared-{self.journal.round // ROUNDS_OF_A_SUBJECT}"
        cost = self.random.randint(1, 3)
        event = {"op": "limit.check", "policy": policy, "subject": subject, "cost": cost}
        answer = self._do(event, "POST", "/api/v1/limits/check",
                          {"limits": [{"policy": policy, "subject": subject, "cost": cost}]})
        if answer:
            self.journal.append(event)

    def _some_entry(self):
        return f"entry-{self.number}-{self.random.randrange(3)}"

    def put(self):
        key, value = self._some_entry(), f"value-{self._next()}"
        event = {"op": "cache.put", "key": key, "value": value}
        if self._do(event, "PUT", f"/api/v1/cache/entries/{key}?tags={key}", value) is not None:
            self.journal.append(event)

    def get(self):
        key = self._some_entry()
        event = {"op": "cache.get", "key": key}
        answer = self._do(event, "GET", f"/api/v1/cache/entries/{key}")
        if answer is not None:
            self.journal.append({**event, "value": answer})

    def invalidate(self):
        key = self._some_entry()
        event = {"op": "cache.invalidate", "key": key}
        answer = self._do(event, "POST", "/api/v1/cache/invalidate", {"tags": [key]})
        if answer:
            self.journal.append({**event, "generation": answer["generation"]})

    def rotate_ring(self):
        event = {"op": "keyring.rotate"}
        answer = self._do(event, "POST", "/api/v1/keyring/rotate")
        if answer:
            self.journal.append({**event, "primary": answer["keys"][0]["id"]})
