"""Kills a server under load, many times, and checks after each restart what it acknowledged.

    crash_run.py [times] [--data dir] [--seconds n] [--seed n]

What a kill cannot show is the loss of power: the kernel keeps what a killed process has written.
"""

import argparse
import os
import random
import sqlite3
import sys
import tempfile
import threading
import time

from crash_clients import LIMITS, POLICIES, ROUNDS_OF_A_SUBJECT, Client, Journal, outcome_of
from crash_wire import Wire
from server import Server

ENV = {**LIMITS, "RATE_LIMIT_ENABLED": "false", "SESSION_TTL": "30d",
       "REDOUBT_SESSION_ABSOLUTE_TTL": "30d", "SESSION_CLEANUP_INTERVAL": "1s"}
CLIENTS = 8
LOAD_SECONDS = (0.01, 0.3)  # From the first request to the kill.
START_KILLS = 0.1           # The part of the kills that hits a server still starting...
START_SECONDS = 0.08        # ...so long after the process is made, at most.
OLD_SAMPLE = 100            # Unchanged sessions and keys looked at after a restart.
BATCH = 64                  # Requests in one write.


class Verifier:
    """Looks at everything that may have changed, and at a sample of the rest."""

    def __init__(self, journal, server, rng):
        self.journal = journal
        self.server = server
        self.random = rng

    def look(self, everything=False):
        checker = self.journal.checker
        wire = Wire(self.server.port, self.server.admin_key)
        sessions = self._choose(checker.sessions, self.journal.changed_sessions, everything)
        keys = self._choose(checker.keys, self.journal.changed_keys, everything)
        self._look_at_sessions(wire, sessions)
        self._look_at_users(wire)
        self._look_at_keys(wire, keys)
        self._look_at_limits(wire, everything)
        self._look_at_instance(wire)
        self._look_at_file()
        self.journal.forget_changes()
        wire.close()

    def _choose(self, known, changed, everything):
        if everything:
            return sorted(known)
        sample = self.random.sample(list(known), min(OLD_SAMPLE, len(known)))
        return sorted({id for id in changed if id in known} | set(sample))

    def _ask(self, wire, requests):
        """[(event, request)] in order; yields (event with outcome, answer)."""
        for start in range(0, len(requests), BATCH):
            part = requests[start:start + BATCH]
            answers = wire.ask_all([request for _, request in part])
            for (event, _), (status, answer) in zip(part, answers):
                yield {**event, "outcome": outcome_of(status), "status": status}, answer

    def _look_at_sessions(self, wire, ids):
        requests = []
        for id in ids:
            token = self.journal.tokens.get(id)
            if token:
                requests.append(({"op": "session.verify", "session": id},
                                 ("POST", "/api/v1/sessions/verify", {"token": token}, None)))
            requests.append(({"op": "session.read", "session": id},
                             ("GET", f"/api/v1/sessions/{id}", None, None)))
        for event, answer in self._ask(wire, requests):
            if event["outcome"] == "ok":
                event.update(found=answer["id"], version=answer["version"],
                             n=answer["data"].get("n"))
            self.journal.append(event)

    def _look_at_users(self, wire):
        requests = [({"op": "session.list", "user": user},
                     ("GET", f"/api/v1/users/{user}/sessions?limit=1000", None, None))
                    for user in sorted(self.journal.users)]
        for event, answer in self._ask(wire, requests):
            if event["outcome"] == "ok":
                event["sessions"] = [{"session": s["id"], "version": s["version"],
                                      "n": s["data"].get("n")} for s in answer["data"]]
            self.journal.append(event)

    def _look_at_keys(self, wire, ids):
        requests = [({"op": "key.use", "key": id},
                     ("GET", "/api/v1/limits/policies", None, self.journal.tokens[id]))
                    for id in ids if id in self.journal.tokens]
        for event, _ in self._ask(wire, requests):
            self.journal.append(event)

    def _look_at_limits(self, wire, everything):
        last = self.journal.round // ROUNDS_OF_A_SUBJECT
        requests = []
        for policy in POLICIES:
            for number in range(0 if everything else max(0, last - 1), last + 1):
                subject = f"shared-{number}"
                body = {"limits": [{"policy": policy, "subject": subject}]}
                requests.append(({"op": "limit.peek", "policy": policy, "subject": subject},
                                 ("POST", "/api/v1/limits/peek", body, None)))
        for event, answer in self._ask(wire, requests):
            if event["outcome"] == "ok":
                state = answer["limits"][0]
                event["used"] = POLICIES[event["policy"]] - state["remaining"]
            self.journal.append(event)

    def _look_at_instance(self, wire):
        requests = [
            ({"op": "cache.generation"},
             ("POST", "/api/v1/cache/invalidate", {"tags": ["verifier"]}, None)),
            ({"op": "keyring.status"}, ("GET", "/api/v1/keyring", None, None)),
            ({"op": "audit.verify"}, ("GET", "/api/v1/audit/verify", None, None)),
        ]
        for event, answer in self._ask(wire, requests):
            if event["op"] == "cache.generation":
                event["generation"] = answer["generation"]
            elif event["op"] == "keyring.status":
                event.update(primary=answer["keys"][0]["id"], trouble=answer["trouble"])
            else:
                event.update(intact=answer["intact"], head=answer["head"])
            self.journal.append(event)

    def _look_at_file(self):
        path = os.path.join(self.server.data_dir, "redoubt.db")
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
            rows = [row[0] for row in database.execute("PRAGMA integrity_check")]
        database.close()
        self.journal.append({"op": "database.integrity", "outcome": "ok", "result": rows})


class CrashRun:
    def __init__(self, directory, seed=1):
        self.random = random.Random(seed)
        self.history = os.path.join(directory, "history.jsonl")
        self.journal = Journal(self.history)
        self.server = Server(env=ENV, data_dir=directory)
        self.verifier = Verifier(self.journal, self.server, self.random)
        self.clients = [Client(n, self.journal, self.server.port, self.server.admin_key,
                               self.random.random()) for n in range(CLIENTS)]
        self.kills = self.kills_of_starts = 0

    @property
    def complaints(self):
        return self.journal.checker.complaints

    def load(self, seconds):
        """Clients at work for so long; then the server is killed under them."""
        stop = threading.Event()
        threads = [threading.Thread(target=client.work, args=(stop,)) for client in self.clients]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        self.server.kill()
        stop.set()
        for thread in threads:
            thread.join()
        self.kills += 1

    def restart(self):
        if self.random.random() < START_KILLS:
            self.server.start(expect_up=False)
            time.sleep(self.random.uniform(0, START_SECONDS))
            self.server.kill()
            self.kills += 1
            self.kills_of_starts += 1
        self.server.start()
        self.journal.append({"op": "server.restart", "outcome": "ok"})

    def round(self):
        self.load(self.random.uniform(*LOAD_SECONDS))
        self.restart()
        self.verifier.look()
        self.journal.round += 1

    def run(self, times, seconds=None, report=lambda run: None):
        """Until so many kills, so many seconds, or the first complaint."""
        start = time.monotonic()
        while self.kills < times and not self.complaints:
            if seconds is not None and time.monotonic() - start >= seconds:
                break
            self.round()
            report(self)
        if not self.complaints:
            self.verifier.look(everything=True)

    def summary(self):
        outcomes = self.journal.checker.outcomes
        of = lambda outcome: sum(n for (_, o), n in outcomes.items() if o == outcome)
        made = sum(outcomes[op, "ok"] for op in outcomes_of_writes(outcomes))
        return (f"{self.kills} kills ({self.kills_of_starts} of a starting server), "
                f"{self.journal.checker.events} events: {made} writes acknowledged, "
                f"{of('unknown')} of unknown outcome, {of('refused')} refused; "
                f"{len(self.journal.checker.sessions)} sessions, "
                f"{len(self.journal.checker.keys)} API keys, "
                f"{self.journal.checker.audit_head} audit entries; "
                f"{len(self.complaints)} complaints")

    def close(self):
        self.server.kill()
        self.journal.file.close()


WRITES = ("session.create", "session.update", "session.revoke", "session.rotate",
          "session.revoke_all", "key.create", "key.revoke", "key.rotate", "limit.check",
          "cache.invalidate", "keyring.rotate")


def outcomes_of_writes(outcomes):
    return {op for op, _ in outcomes if op in WRITES}


def main():
    parser = argparse.ArgumentParser(prog="kill9", description=__doc__.splitlines()[0])
    parser.add_argument("times", nargs="?", type=int, default=1000)
    parser.add_argument("--data", help="empty directory for the server's data and the history")
    parser.add_argument("--seconds", type=float, help="stop after so long")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments = parser.parse_args()
    directory = os.path.abspath(arguments.data or tempfile.mkdtemp(prefix="redoubt-kill9-"))
    os.makedirs(directory, exist_ok=True)
    if os.listdir(directory):
        parser.error(f"{directory} is not empty")
    print(f"seed {arguments.seed}, data and history in {directory}", flush=True)
    run = CrashRun(directory, arguments.seed)

    def report(run):
        if run.journal.round % 50 == 0:
            print(run.summary(), flush=True)

    try:
        run.run(arguments.times, arguments.seconds, report)
    finally:
        run.close()
    print(run.summary())
    for complaint in run.complaints[:20]:
        print(complaint)
    return 1 if run.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
