"""Three instances on one PostgreSQL and one Redis: one truth, one limit, and each can go."""

import concurrent.futures
import contextlib
import os
import secrets
import signal
import time
import unittest

from backing import Postgres, Redis
from server import PATIENCE, Server, wait_for

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

    def put_entry(self, instance, key, value):
        reply = instance.request("PUT", key + "?ttl=1h", body=value,
                                 headers={"Content-Type": "text/plain"})
        self.assertIn(reply.status, (200, 201, 204), reply)

    def await_trusted_copies(self):
        """An instance that has just started does not judge copies of the time before, nor those of
        an instance that does not know of its start yet."""
        def is_trusted(writer):
            key = "/api/v1/cache/entries/trusted-" + secrets.token_hex(4)
            self.put_entry(writer, key, "v")
            return all(instance.get(key).body == "v" for instance in self.instances)

        for writer in self.instances:
            wait_for(lambda w=writer: is_trusted(w), "a copy to be trusted")

    def test_a_cache_entry_put_again_or_erased_on_one_is_so_on_all(self):
        key = "/api/v1/cache/entries/shared-" + secrets.token_hex(4)

        def all_have(value):
            for instance in self.instances:
                wait_for(lambda i=instance: i.get(key).body == value, "the value of another")

        self.await_trusted_copies()
        self.put_entry(self.instances[0], key, "old")
        all_have("old")
        self.put_entry(self.instances[1], key, "new")
        all_have("new")
        self.redis.cli("client", "kill", "type", "normal")
        self.setUp()
        self.put_entry(self.instances[2], key, "newer")
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
        self.await_trusted_copies()
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
        self.await_trusted_copies()
        granted = extra.get(key + "?lease=2s")
        self.assertTrue(granted.headers.get("Redoubt-Fill-Lease"), granted)
        extra.kill()
        first, second, _ = self.instances
        self.assertIsNone(first.get(key + "?lease=2s").headers.get("Redoubt-Fill-Lease"))

        fills, others = self.fill_together(key, [first, second])

        self.assertEqual(fills, 1)
        self.assertEqual(set(others), {"computed"})

    def test_what_ends_something_can_wait_until_all_have_heard(self):
        paths = self.instances[0].get("/openapi.json", key=None).json["paths"]
        offers = {operation["operationId"] for path in paths.values()
                  for operation in path.values() if "operationId" in operation
                  and any(p.get("name") == "wait" and p["schema"].get("enum") == ["self", "all"]
                          for p in operation.get("parameters", []))}
        self.assertEqual(offers, {
            "sessions.revoke", "sessions.logout", "sessions.revoke_all", "sessions.rotate",
            "api_keys.revoke", "api_keys.rotate", "tenants.disable", "cache.invalidate",
            "cache.delete", "cache.delete_key", "cache.clear", "cache.clear_pattern",
            "cache.clear_dashboard"})
        bad = self.instances[0].delete("/api/v1/sessions/ses_x?wait=some")
        self.assertEqual(bad.status, 400, bad)
        self.assertIn("wait", bad.body)

    def known_to_all(self, token):
        for instance in self.instances:
            for _ in range(2):  # The second is answered from memory.
                self.assertEqual(self.verify(instance, token).status, 200)

    def assert_refused_by_all(self, token):
        """At once: whoever waited for all may rely on it."""
        statuses = [self.verify(instance, token).status for instance in self.instances]
        self.assertEqual(statuses, [401] * 3)

    def test_after_waiting_for_all_nobody_accepts_an_ended_session(self):
        first = self.instances[0]
        ends = {
            "revoke": lambda s: first.delete(f"/api/v1/sessions/{s['id']}?wait=all"),
            "rotate": lambda s: first.post(f"/api/v1/sessions/{s['id']}/rotate?wait=all"),
            "revoke_all": lambda s: first.delete("/api/v1/users/waited/sessions?wait=all"),
            "logout": lambda s: first.delete("/api/v1/sessions/current?wait=all", key=s["token"]),
        }
        for name, end in ends.items():
            for _ in range(3):
                with self.subTest(name):
                    session = first.new_session(user="waited")
                    self.known_to_all(session["token"])
                    self.assertIn(end(session).status, (200, 204))
                    self.assert_refused_by_all(session["token"])

    def test_after_waiting_for_all_nobody_accepts_a_key_or_serves_what_was_invalidated(self):
        first, second, third = self.instances
        made = first.post("/api/v1/keys", {"name": "doomed"}).json
        doomed, disabled = made["token"], first.new_tenant("waited-" + secrets.token_hex(3))
        tenant = first.get("/api/v1/keys", key=disabled).json["keys"][0]["tenant"]
        for key in (doomed, disabled):
            for instance in self.instances:
                self.assertEqual(instance.get("/api/v1/cache/keys", key=key).status, 200)
        plain = {"Content-Type": "text/plain"}
        for instance in self.instances:
            instance.request("PUT", "/api/v1/cache/entries/w:1?tags=w", body="v", headers=plain)

        self.assertEqual(first.delete(f"/api/v1/keys/{made['key']['id']}?wait=all").status, 204)
        self.assertEqual([i.get("/api/v1/cache/keys", key=doomed).status
                          for i in self.instances], [401] * 3)
        self.assertEqual(first.post(f"/api/v1/tenants/{tenant}/disable?wait=all").status, 200)
        self.assertEqual([i.get("/api/v1/cache/keys", key=disabled).status
                          for i in self.instances], [401] * 3)
        for method, path, body in (
                ("POST", "/api/v1/cache/invalidate?wait=all", {"tags": ["w"]}),
                ("DELETE", "/api/v1/cache/entries/w:1?wait=all", None),
                ("POST", "/api/v1/cache/clear?wait=all", {})):
            with self.subTest(path):
                for instance in (second, third):
                    instance.request("PUT", "/api/v1/cache/entries/w:1?tags=w", body="v",
                                     headers=plain)
                    self.assertEqual(instance.get("/api/v1/cache/entries/w:1").status, 200)
                self.assertEqual(first.request(method, path, body).status, 200)
                self.assertEqual([i.get("/api/v1/cache/entries/w:1").status
                                  for i in self.instances], [404] * 3)

    def test_a_silent_instance_is_waited_for_until_it_trusts_its_copies_no_more(self):
        first, second, third = self.instances
        session = first.new_session()
        self.known_to_all(session["token"])
        third.request("PUT", "/api/v1/cache/entries/silent:1", body="v",
                      headers={"Content-Type": "text/plain"})
        self.assertEqual(third.get("/api/v1/cache/entries/silent:1").status, 200)
        os.kill(third.process.pid, signal.SIGSTOP)
        try:
            wait_for(lambda: third.state() == "T", "the instance to stop")
            began = time.monotonic()
            ended = first.delete(f"/api/v1/sessions/{session['id']}?wait=all")
            took = time.monotonic() - began
            cleared = first.delete("/api/v1/cache/entries/silent:1?wait=all")
        finally:
            os.kill(third.process.pid, signal.SIGCONT)
        # What it is asked first, before it has looked at the journal again.
        answers = [self.verify(third, session["token"]).status,
                   third.get("/api/v1/cache/entries/silent:1").status]

        self.assertEqual((ended.status, cleared.status), (204, 200))
        self.assertGreaterEqual(took, 2.0, "it had copies that it trusted")
        self.assertLess(took, PATIENCE)
        self.assertEqual(answers, [401, 404])
        self.assertEqual(self.verify(second, session["token"]).status, 401)

    def test_the_database_keeps_tenants_apart_for_the_role_that_the_server_has(self):
        self.assertEqual(self.postgres.sql(
            "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = 'redoubt'"), "f")
        self.instances[0].new_session()
        self.assertNotEqual(self.postgres.sql("SELECT count(*) FROM rd_session"), "0")
        as_the_server = self.postgres.sql("SELECT count(*) FROM rd_session", role="redoubt")
        self.assertEqual(as_the_server, "0", "no tenant is named")
        said = "".join(self.instances[0].output + self.instances[0].errors)
        self.assertNotIn("row_security_bypassed", said)

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


class WithoutRedis(unittest.TestCase):
    def test_instances_of_one_record_share_each_limit(self):
        with contextlib.ExitStack() as made:
            postgres = made.enter_context(Postgres())
            env = {"DATABASE_URL": postgres.url, "TOKEN_ENCRYPTION_KEY": secrets.token_hex(32),
                   "REDOUBT_WORKER_THREADS": "1", "REDOUBT_LIMIT_TIGHT": "10/1h burst 10"}
            first, second = (made.enter_context(Server(env=env)) for _ in range(2))
            second.admin_key = first.admin_key
            for instance in (first, second):
                wait_for(lambda i=instance: i.metric("redoubt_record_instances") == 2,
                         "the instances to know of each other")
            body = {"limits": [{"policy": "tight", "subject": "one"}]}

            admitted = [sum(instance.post("/api/v1/limits/check", body).json["allowed"]
                            for _ in range(10)) for instance in (first, second)]

            self.assertEqual(admitted, [5, 5])
            features = first.get("/status", key=None).json["features"]
            self.assertEqual(features["limits"], {"active_backend": "memory (share)"})
