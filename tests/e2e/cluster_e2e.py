"""Three instances on one PostgreSQL and one Redis: one truth, one limit, and each can go."""

import concurrent.futures
import contextlib
import secrets
import time
import unittest

from backing import Postgres, Redis
from server import Server, wait_for

REVOCATION_BOUND = 2.0  # Seconds: what the freshness rule promises, whatever messages are lost.


class ClusterTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with contextlib.ExitStack() as made:
            cls.postgres = made.enter_context(Postgres())
            cls.redis = made.enter_context(Redis())
            cls.env = {"DATABASE_URL": cls.postgres.url, "REDIS_URL": cls.redis.url,
                       "TOKEN_ENCRYPTION_KEY": secrets.token_hex(32),
                       "REDOUBT_WORKER_THREADS": "1", "SESSION_STORAGE": "redis",
                       "REDOUBT_LIMIT_TIGHT": "50/1h burst 50"}
            cls.instances = [made.enter_context(Server(env=cls.env)) for _ in range(3)]
            cls.admin_key = cls.instances[0].admin_key
            for instance in cls.instances:
                instance.admin_key = cls.admin_key
            cls.addClassCleanup(made.pop_all().close)

    def setUp(self):
        """Every worker of every instance uses Redis."""
        body = {"limits": [{"policy": "default", "subject": "set-up"}]}
        for instance in self.instances:
            wait_for(lambda i=instance: "Redoubt-Mode" not in i.post(
                "/api/v1/limits/check", body).headers, "Redis to be used")

    def verify(self, instance, token):
        return instance.get("/api/v1/sessions/current", key=token)

    def test_the_first_start_alone_makes_an_admin_key(self):
        self.assertTrue(self.admin_key)
        printed = ["rdk_" in "".join(instance.output) for instance in self.instances]
        self.assertEqual(printed, [True, False, False])

    def test_a_session_made_on_one_is_good_on_all_and_ends_on_all(self):
        first, second, third = self.instances
        for _ in range(5):
            session = first.new_session()
            for instance in self.instances:
                self.assertEqual(self.verify(instance, session["token"]).status, 200)

            self.assertEqual(third.delete("/api/v1/sessions/" + session["id"]).status, 204)
            revoked = time.monotonic()

            for instance in (first, second):
                while self.verify(instance, session["token"]).status == 200:
                    self.assertLess(time.monotonic() - revoked, REVOCATION_BOUND,
                                    "a revoked session is accepted for too long")
                self.assertEqual(self.verify(instance, session["token"]).status, 401)

    def test_a_session_is_read_from_its_copy_and_sealed_there(self):
        first, second, _ = self.instances
        tokens = []

        def answers_from_a_copy():
            session = first.new_session(user="a-name-to-look-for", data={"secret": "a-secret"})
            tokens.append(session["token"])
            before = second.metric("redoubt_session_lookups_total", result="copy")
            self.assertEqual(self.verify(second, session["token"]).status, 200)
            return second.metric("redoubt_session_lookups_total", result="copy") == before + 1

        # An instance that has just started does not judge copies of the time before.
        wait_for(answers_from_a_copy, "a copy to be trusted")
        for key in self.redis.cli("keys", "*").splitlines():
            if ":session:" not in key:
                continue
            value = self.redis.cli("get", key)
            for clear in ("a-name-to-look-for", "a-secret", *tokens):
                self.assertNotIn(clear, key + value)
        features = second.get("/status", key=None).json["features"]
        self.assertEqual(features["sessions"], {"active_backend": "record+redis+memory"})

    def test_together_they_admit_what_one_would(self):
        body = {"limits": [{"policy": "tight", "subject": "user:" + secrets.token_hex(4)}]}

        def ask(number):
            reply = self.instances[number % 3].post("/api/v1/limits/check", body)
            self.assertNotIn("Redoubt-Mode", reply.headers, reply)
            return reply.json["allowed"]

        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            admitted = sum(pool.map(ask, range(300)))

        self.assertEqual(admitted, 50)

    def test_an_invalidation_on_one_is_seen_by_all(self):
        first, second, _ = self.instances
        first.request("PUT", "/api/v1/cache/entries/users:1?tags=users", body="v", headers={
            "Content-Type": "text/plain"})
        second.request("PUT", "/api/v1/cache/entries/users:2", body="v", headers={
            "Content-Type": "text/plain"})
        self.assertEqual(second.get("/api/v1/cache/entries/users:2").status, 200)
        reply = first.post("/api/v1/cache/invalidate", {"patterns": ["users:*"]})
        self.assertIn(reply.status, (200, 204), reply)
        wait_for(lambda: second.get("/api/v1/cache/entries/users:2").status == 404,
                 "the invalidation to arrive")

    def test_a_cache_entry_put_again_or_erased_on_one_is_so_on_all(self):
        key = "/api/v1/cache/entries/shared-" + secrets.token_hex(4)

        def put(instance, value):
            reply = instance.request("PUT", key + "?ttl=1h", body=value,
                                     headers={"Content-Type": "text/plain"})
            self.assertIn(reply.status, (200, 201, 204), reply)

        def all_have(value):
            for instance in self.instances:
                wait_for(lambda i=instance: i.get(key).body == value, "the value of another")

        def is_trusted(writer):
            put(writer, "old")
            return all(instance.get(key).body == "old" for instance in self.instances)

        # An instance that has just started does not judge copies of the time before, nor those of
        # an instance that does not know of its start yet.
        for writer in self.instances:
            wait_for(lambda w=writer: is_trusted(w), "a copy to be trusted")
        all_have("old")  # From memory.
        put(self.instances[1], "new")
        all_have("new")
        self.redis.cli("client", "kill", "type", "normal")
        self.setUp()
        put(self.instances[2], "newer")
        all_have("newer")
        self.instances[0].delete(key)
        for instance in self.instances:
            wait_for(lambda i=instance: i.get(key).status == 404, "the erasure to arrive")

    def fill_together(self, key, instances, each=6):
        """Callers on all instances that ask for a missing entry; who is granted the lease fills it.
        How many were, and what the others got."""
        def ask(number):
            instance = instances[number % len(instances)]
            reply = instance.get(key + "?lease=20s&wait=20s")
            lease = reply.headers.get("Redoubt-Fill-Lease")
            if not lease:
                return reply.body
            time.sleep(0.3)  # The work that is not to be done twice.
            instance.request("PUT", key, body="computed", headers={
                "Content-Type": "text/plain", "Redoubt-Fill-Lease": lease})
            return None

        with concurrent.futures.ThreadPoolExecutor(each * len(instances)) as pool:
            answers = list(pool.map(ask, range(each * len(instances))))
        return answers.count(None), [answer for answer in answers if answer is not None]

    def test_of_all_instances_one_fills(self):
        for _ in range(3):
            key = "/api/v1/cache/entries/filled-" + secrets.token_hex(4)
            fills, others = self.fill_together(key, self.instances)
            self.assertEqual(fills, 1)
            self.assertEqual(set(others), {"computed"})

    def test_a_filler_that_is_killed_is_followed_by_another(self):
        key = "/api/v1/cache/entries/orphan-" + secrets.token_hex(4)
        extra = Server(env=self.env)
        self.addCleanup(extra.__exit__)
        extra.admin_key = self.admin_key
        wait_for(lambda: "Redoubt-Mode" not in extra.post("/api/v1/limits/check", {
            "limits": [{"policy": "default", "subject": "set-up"}]}).headers, "Redis to be used")
        granted = extra.get(key + "?lease=2s")
        self.assertTrue(granted.headers.get("Redoubt-Fill-Lease"), granted)
        extra.kill()
        first, second, _ = self.instances
        self.assertIsNone(first.get(key + "?lease=2s").headers.get("Redoubt-Fill-Lease"))

        fills, others = self.fill_together(key, [first, second])

        self.assertEqual(fills, 1)
        self.assertEqual(set(others), {"computed"})

    def test_one_that_is_killed_is_missed_by_nobody(self):
        session = self.instances[0].new_session()
        extra = Server(env=self.env)
        self.addCleanup(extra.__exit__)
        extra.admin_key = self.admin_key
        made = extra.new_session()
        extra.kill()
        for instance in self.instances:
            self.assertEqual(self.verify(instance, made["token"]).status, 200)
            self.assertEqual(self.verify(instance, session["token"]).status, 200)

    def test_redis_gone_changes_no_answer_about_sessions(self):
        first, second, third = self.instances
        kept, ended = first.new_session(), first.new_session()
        self.redis.kill()
        try:
            self.assertEqual(third.delete("/api/v1/sessions/" + ended["id"]).status, 204)
            revoked = time.monotonic()
            while self.verify(second, ended["token"]).status == 200:
                self.assertLess(time.monotonic() - revoked, REVOCATION_BOUND)
            self.assertEqual(self.verify(second, kept["token"]).status, 200)
        finally:
            self.redis.start()
        for instance in self.instances:
            wait_for(lambda i=instance: i.get("/status", key=None).json["redis"]["state"] ==
                     "normal", "Redis to be used again")


class PostgresFaults(unittest.TestCase):
    def test_what_was_acknowledged_survives_a_crash_of_postgres(self):
        with Postgres() as postgres:
            env = {"DATABASE_URL": postgres.url, "TOKEN_ENCRYPTION_KEY": secrets.token_hex(32)}
            with Server(env=env) as redoubt:
                made = [redoubt.new_session(user=f"u{i}") for i in range(20)]
                postgres.stop()
                refused = redoubt.post("/api/v1/sessions", {"user": "late"})
                self.assertEqual(refused.status, 503, refused)
                self.assertIn(refused.json["code"],
                              ("record_unavailable", "record_outcome_unknown"))
                self.assertEqual(redoubt.get("/readyz", key=None).status, 200)
                postgres.start()
                wait_for(lambda: redoubt.post("/api/v1/sessions", {"user": "again"}).status == 201,
                         "writes to be taken again")
                for session in made:
                    current = redoubt.get("/api/v1/sessions/current", key=session["token"])
                    self.assertEqual(current.status, 200)

    def test_a_database_that_is_not_there_stops_the_start_with_a_sentence(self):
        from lifecycle_e2e import refused_start
        status, said = refused_start(
            {"DATABASE_URL": "postgresql://ada:hunter2@127.0.0.1:1/redoubt?connect_timeout=2"})
        self.assertNotEqual(status, 0)
        self.assertIn("127.0.0.1", said)
        self.assertNotIn("hunter2", said)
