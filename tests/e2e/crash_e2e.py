"""kill -9 at random moments under load: nothing acknowledged is lost, nothing revoked comes back.

scripts/kill9 does the same a thousand times.
"""

import glob
import os
import shutil
import sqlite3
import tempfile
import unittest

from crash_history import Checker
from crash_run import CrashRun

KILLS = 15


class Kill(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="redoubt-crash-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.run_ = CrashRun(self.directory, seed=20)
        self.addCleanup(self.run_.close)

    def test_loses_nothing_acknowledged_and_brings_nothing_back(self):
        self.run_.run(KILLS)

        self.assertEqual(self.run_.complaints, [])
        outcomes = self.run_.journal.checker.outcomes
        for op in ("session.create", "session.update", "session.revoke", "session.rotate",
                   "key.create", "limit.check", "cache.invalidate"):
            self.assertGreater(outcomes[op, "ok"], 0, op)
        unknown = sum(n for (_, outcome), n in outcomes.items() if outcome == "unknown")
        self.assertGreater(unknown, 0, "no kill hit a request under way")


class BlindChecker(unittest.TestCase):
    """What the checker is for, done to the database by hand: it must see it."""

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="redoubt-crash-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.run_ = CrashRun(self.directory, seed=21)
        self.addCleanup(self.run_.close)
        self.run_.load(0.3)
        self.run_.restart()
        self.run_.verifier.look()
        self.assertEqual(self.run_.complaints, [])
        self.run_.server.kill()

    def doctor(self, statement):
        with sqlite3.connect(os.path.join(self.directory, "redoubt.db")) as database:
            changed = database.execute(statement).rowcount
        database.close()
        self.assertGreater(changed, 0, statement)

    def files(self):
        return [path for name in ("redoubt.db*", "keyring")
                for path in glob.glob(os.path.join(self.directory, name))]

    def look_again(self):
        self.run_.server.start()
        self.run_.verifier.look(everything=True)
        return "\n".join(self.run_.complaints)

    def test_sees_a_session_that_was_removed(self):
        self.doctor("DELETE FROM rd_session WHERE id = "
                    "(SELECT id FROM rd_session WHERE revoked_at IS NULL LIMIT 1)")

        self.assertIn("is lost", self.look_again())

    def test_sees_a_version_that_went_back(self):
        # The payload is bound to its version, so a row with another one cannot be opened either.
        self.doctor("UPDATE rd_session SET ver = 1 WHERE id = "
                    "(SELECT id FROM rd_session WHERE revoked_at IS NULL AND ver > 1 LIMIT 1)")

        self.assertRegex(self.look_again(), "the server failed|found")

    def test_sees_api_keys_that_came_back(self):
        self.doctor("UPDATE rd_api_key SET revoked_at = NULL")

        self.assertIn("a revoked API key is accepted", self.look_again())

    def test_sees_strict_limits_that_were_forgotten(self):
        self.doctor("DELETE FROM rd_limit")

        self.assertIn("under-counted", self.look_again())

    def test_sees_invalidations_that_were_forgotten(self):
        self.doctor("DELETE FROM rd_cache_generation")

        self.assertIn("the generation went back", self.look_again())

    def test_sees_a_database_of_yesterday(self):
        # With its key ring: yesterday's rows may need a key that has been retired since.
        kept = tempfile.mkdtemp(prefix="redoubt-crash-kept-")
        self.addCleanup(shutil.rmtree, kept, ignore_errors=True)
        for path in self.files():
            shutil.copy2(path, kept)
        self.run_.server.start()
        self.run_.load(0.3)
        for path in self.files():
            os.remove(path)
        for path in glob.glob(os.path.join(kept, "*")):
            shutil.copy2(path, self.directory)

        complaints = self.look_again()

        self.assertIn("is lost", complaints)
        self.assertIn("entries of the audit trail are lost", complaints)


MADE = {"client": 1, "op": "session.create", "outcome": "ok", "user": "ada", "session": "s",
        "n": 1, "version": 1}
SEEN = {"op": "session.verify", "outcome": "ok", "session": "s", "found": "s", "n": 1, "version": 1}
GONE = {"op": "session.verify", "outcome": "refused", "status": 401, "session": "s"}
REVOKED = {"client": 1, "op": "session.revoke", "session": "s"}
UPDATED = {"client": 1, "op": "session.update", "session": "s", "n": 2}
LISTED = {"op": "session.list", "outcome": "ok", "user": "ada"}
TAKEN = {"client": 1, "op": "limit.check", "policy": "p", "subject": "x", "cost": 2}
USED = {"op": "limit.peek", "outcome": "ok", "policy": "p", "subject": "x"}
PUT = {"client": 1, "op": "cache.put", "outcome": "ok", "key": "k", "value": "v"}
GOT = {"op": "cache.get", "outcome": "ok", "key": "k", "value": "v"}
INVALIDATED = {"client": 1, "op": "cache.invalidate", "outcome": "ok", "key": "k", "generation": 3}


class Rules(unittest.TestCase):
    """Each rule of the checker, on histories of a few events."""

    def passes(self, *history):
        checker = Checker()
        for event in history:
            checker.apply(event)
        self.assertEqual(checker.complaints, [])

    def finds(self, text, *history):
        """A complaint about the last event alone."""
        self.passes(*history[:-1])
        checker = Checker()
        for event in history:
            checker.apply(event)
        self.assertEqual(len(checker.complaints), 1, checker.complaints)
        self.assertIn(text, checker.complaints[0])

    def test_acknowledged_creations_stay(self):
        self.passes(MADE, SEEN)
        self.finds("is lost", MADE, GONE)
        self.finds("is lost", MADE, {**LISTED, "sessions": []})

    def test_acknowledged_revocations_stay(self):
        self.passes(MADE, {**REVOKED, "outcome": "ok"}, GONE)
        self.finds("found", MADE, {**REVOKED, "outcome": "ok"}, SEEN)

    def test_unknown_outcomes_may_be_either_but_not_both(self):
        unknown = {**REVOKED, "outcome": "unknown"}
        self.passes(MADE, unknown, SEEN)
        self.passes(MADE, unknown, GONE)
        self.finds("found", MADE, unknown, GONE, SEEN)
        self.finds("is lost", MADE, unknown, SEEN, GONE)

    def test_updates_stay_and_versions_never_go_back(self):
        updated = {**UPDATED, "outcome": "ok", "version": 2}
        unknown = {**UPDATED, "outcome": "unknown"}
        self.passes(MADE, updated, {**SEEN, "n": 2, "version": 2})
        self.finds("found", MADE, updated, SEEN)
        self.passes(MADE, unknown, SEEN)
        self.passes(MADE, unknown, {**SEEN, "n": 2, "version": 2})
        self.finds("found", MADE, unknown, {**SEEN, "n": 2})
        self.finds("does not follow", MADE, {**updated, "version": 3})

    def test_only_unknown_creations_may_turn_up(self):
        other = {"session": "t", "n": 5, "version": 1}
        listed = {**LISTED, "sessions": [other]}
        self.passes({**MADE, "outcome": "unknown"}, listed)
        self.finds("nobody made", {**MADE, "outcome": "refused"}, listed)
        self.finds("nobody made", {**MADE, "outcome": "unknown"}, {**LISTED, "sessions": []},
                   listed)

    def test_a_rotation_moves_the_content(self):
        rotated = {"client": 1, "op": "session.rotate", "outcome": "ok", "session": "s",
                   "successor": "t", "n": 1, "version": 1}
        self.passes(MADE, rotated, GONE, {**SEEN, "session": "t", "found": "t"})
        self.finds("found", MADE, rotated, SEEN)
        self.finds("rotation gave", MADE, {**rotated, "n": 2})

    def test_strict_limits_count_everything_acknowledged(self):
        ok, unknown = {**TAKEN, "outcome": "ok"}, {**TAKEN, "outcome": "unknown"}
        self.passes(ok, unknown, {**USED, "used": 2}, {**USED, "used": 2})
        self.passes(ok, unknown, {**USED, "used": 4})
        self.finds("under-counted", ok, {**USED, "used": 1})
        self.finds("over-counted", ok, {**USED, "used": 3})

    def test_invalidated_values_do_not_come_back(self):
        self.passes(PUT, GOT)
        self.finds("invalidated", PUT, INVALIDATED, GOT)
        self.finds("invalidated", PUT, {"op": "server.restart", "outcome": "ok"}, GOT)
        self.passes(INVALIDATED, {"op": "cache.generation", "outcome": "ok", "generation": 4})
        self.finds("went back", INVALIDATED,
                   {"op": "cache.generation", "outcome": "ok", "generation": 3})

    def test_a_server_at_rest_answers_and_never_with_500(self):
        self.passes({**REVOKED, "outcome": "refused", "status": 503})
        self.finds("at rest", MADE, {**GONE, "status": 503})
        self.finds("at rest", {**LISTED, "outcome": "refused", "status": 503})
        self.finds("failed", MADE, {**SEEN, "client": 1, "outcome": "unknown", "status": 500})

    def test_the_instance_keeps_its_keys_and_its_trail(self):
        rotated = {"client": 1, "op": "keyring.rotate", "outcome": "ok", "primary": "b"}
        status = {"op": "keyring.status", "outcome": "ok", "trouble": ""}
        audit = {"op": "audit.verify", "outcome": "ok", "intact": True}
        self.passes(rotated, {**status, "primary": "b"})
        self.finds("primary", rotated, {**status, "primary": "a"})
        self.passes(rotated, {**rotated, "outcome": "unknown"}, {**status, "primary": "c"})
        self.passes({**audit, "head": 4}, rotated, {**audit, "head": 5})
        self.finds("lost", {**audit, "head": 4}, rotated, {**audit, "head": 4})
        self.finds("broken", {**audit, "head": 4, "intact": False})
        self.finds("not sound", {"op": "database.integrity", "outcome": "ok",
                                 "result": ["row 1 missing"]})


if __name__ == "__main__":
    unittest.main()
