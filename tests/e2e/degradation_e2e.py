"""What is left while PostgreSQL or Redis is away: stated, labelled, bounded; and back by itself."""

import concurrent.futures
import contextlib
import json
import os
import re
import secrets
import signal
import time
import unittest

from backing import Postgres, Redis
from server import Server, wait_for

GRACE = 6.0  # Seconds.
FRESH = 2.0  # How old the journal may be before copies are no longer fresh.
BACK = 5.0   # Until everything is normal after Redis came back.


class Degraded(unittest.TestCase):
    """One instance on a PostgreSQL and a Redis that a test stops."""
    grace = GRACE

    def setUp(self):
        with contextlib.ExitStack() as made:
            self.postgres = made.enter_context(Postgres())
            self.redis = made.enter_context(Redis())
            self.env = {"DATABASE_URL": self.postgres.url,
                        "TOKEN_ENCRYPTION_KEY": secrets.token_hex(32),
                        "REDOUBT_WORKER_THREADS": "1", "SESSION_STORAGE": "redis",
                        "REDOUBT_AUTH_GRACE": f"{self.grace:.0f}s", "REDOUBT_OPERATIONS_MAX": "16"}
            self.redoubt = made.enter_context(Server(env=self.env, start=False))
            self.configure()
            self.redoubt.start()
            self.addCleanup(made.pop_all().close)
        self.wait_for_redis()

    def configure(self, text="", redis=None):
        """What is in the file that is read again; a process's environment cannot change. `redis`
        is its address, "" for none."""
        url = self.redis.url if redis is None else redis
        with open(os.path.join(self.redoubt.data_dir, ".env"), "w") as file:
            file.write(f"REDIS_URL={url}\n{text}")

    def reload(self, text="", redis=None, event="config.reloaded"):
        self.configure(text, redis)
        before = len(self.lines(event))
        self.redoubt.process.send_signal(signal.SIGHUP)
        wait_for(lambda: len(self.lines(event)) > before, event)

    def wait_for_redis(self):
        wait_for(lambda: "Redoubt-Mode" not in self.limit().headers, "Redis to be used")

    def limit(self):
        return self.redoubt.post("/api/v1/limits/check", {
            "limits": [{"policy": "default", "subject": secrets.token_hex(4)}]})

    def verify(self, session):
        return self.redoubt.get("/api/v1/sessions/current", key=session["token"])

    def status(self):
        return self.redoubt.get("/status", key=None).json

    def lines(self, event):
        out = []
        for line in self.redoubt.output + self.redoubt.errors:
            if event in line:
                with contextlib.suppress(json.JSONDecodeError):
                    out.append(json.loads(line))
        return out

    def pause_postgres(self):
        for pid in self.postgres_pids():
            os.kill(pid, signal.SIGSTOP)
        self.addCleanup(self.resume_postgres)

    def resume_postgres(self):
        for pid in self.postgres_pids():
            os.kill(pid, signal.SIGCONT)

    def postgres_pids(self):
        parent = self.postgres.process.pid
        with open(f"/proc/{parent}/task/{parent}/children") as file:
            return [parent, *map(int, file.read().split())]


class DegradationTest(Degraded):
    def test_without_redis_the_journal_is_looked_at_more_often(self):
        def hurried():
            return self.redoubt.metric("redoubt_record_journal_polls_total", cause="hint")
        self.redis.kill()
        wait_for(lambda: "Redoubt-Mode" in self.limit().headers, "Redis to be missed")
        before = hurried()
        wait_for(lambda: hurried() >= before + 5, "looks that nobody announced anything for")

    def test_sessions_outlive_the_record_for_the_grace(self):
        session = self.redoubt.new_session()
        self.assertNotIn("Redoubt-Mode", self.verify(session).headers)
        self.pause_postgres()
        began = time.monotonic()

        wait_for(lambda: self.verify(session).headers.get("Redoubt-Guarantee") == "sessions=grace",
                 "the grace to begin")
        self.assertGreaterEqual(time.monotonic() - began, FRESH - 0.5)
        reply = self.verify(session)
        self.assertEqual(reply.status, 200)
        self.assertEqual(reply.headers["Redoubt-Mode"], "degraded")
        self.assertEqual(reply.headers["Redoubt-Guarantee"], "sessions=grace")
        keyed = self.redoubt.post("/api/v1/sessions/verify", {"token": session["token"]})
        self.assertEqual(keyed.status, 200, keyed)
        self.assertEqual(keyed.headers["Redoubt-Guarantee"], "sessions=grace, keys=grace")
        self.assertEqual(self.limit().status, 200, "limits go on in Redis")
        self.assertNotIn("limits=", self.limit().headers["Redoubt-Guarantee"])

        refused = self.redoubt.post("/api/v1/sessions", {"user": "ada"},
                                    headers={"Redoubt-Timeout-Ms": "200"})
        self.assertIn(refused.status, (503, 504), refused)
        # Said a tick after it is acted upon.
        wait_for(lambda: self.status()["record"]["state"] == "down", "the record to be called down")
        record = self.status()["record"]
        self.assertEqual(record["status"], "disconnected")
        self.assertTrue(record["reason"])
        self.assertIn("grace", self.status()["features"]["sessions"]["active_backend"])
        self.assertEqual(self.redoubt.get("/readyz", key=None).status, 200)

        wait_for(lambda: self.verify(session).status == 503, "the grace to end")
        self.assertGreaterEqual(time.monotonic() - began, GRACE - 0.5)
        reply = self.verify(session)
        self.assertEqual(reply.headers["Redoubt-Guarantee"], "record=unavailable")
        self.assertIn("Retry-After", reply.headers)

        self.resume_postgres()
        wait_for(lambda: self.verify(session).status == 200, "the record to be back")
        wait_for(lambda: self.status()["record"]["state"] == "normal", "the record to be normal")
        self.assertNotIn("Redoubt-Mode", self.verify(session).headers)
        changes = self.lines("record.state_changed")
        self.assertEqual([(c["from"], c["to"]) for c in changes],
                         [("normal", "down"), ("down", "normal")])
        self.assertGreaterEqual(changes[1]["lasted_ms"], 1000)
        self.assertGreater(self.redoubt.metric("redoubt_guarantee_downgrades_total",
                                               guarantee="sessions=grace"), 0)

    def test_redis_is_missed_by_label_and_back_within_seconds(self):
        self.redis.pause()
        self.addCleanup(self.redis.resume)
        wait_for(lambda: self.status()["redis"]["state"] == "down", "Redis to be given up")
        reply = self.limit()
        self.assertEqual(reply.headers["Redoubt-Guarantee"], "limits=share")
        self.assertEqual(self.redoubt.get("/api/v1/cache/entries/x").headers["Redoubt-Guarantee"],
                         "cache=local")
        self.redis.resume()
        began = time.monotonic()
        wait_for(lambda: self.status()["redis"]["state"] == "normal", "Redis to be back")
        self.assertLess(time.monotonic() - began, BACK)
        wait_for(lambda: self.lines("shared.state_changed")[-1]["to"] == "normal", "the last line")
        steps = [(c["from"], c["to"]) for c in self.lines("shared.state_changed")]
        for before, after in zip(steps, steps[1:]):
            self.assertEqual(before[1], after[0], "no change is missing in the log")
        self.assertEqual(steps[-1], ("recovering", "normal"))

    def test_redis_is_turned_off_and_on_by_the_configuration(self):
        session = self.redoubt.new_session()
        self.reload("REDIS_ENABLE=false\nREDOUBT_LIMIT_TIGHT=2/1h burst 2\n")
        self.assertEqual(self.status()["redis"]["state"], "not_configured")
        self.assertEqual(self.status()["features"]["limits"]["active_backend"], "memory (share)")
        self.assertNotIn("Redoubt-Mode", self.limit().headers, "nobody misses it")
        self.assertEqual(self.verify(session).status, 200)
        body = {"limits": [{"policy": "tight", "subject": "a"}]}
        allowed = [self.redoubt.post("/api/v1/limits/check", body).json.get("allowed")
                   for _ in range(3)]
        self.assertEqual(allowed, [True, True, False], "a new limit, without a restart")

        self.reload("REDOUBT_LIMIT_TIGHT=2/1h burst 2\n")
        wait_for(lambda: self.status()["redis"]["state"] == "normal", "Redis to be used again")
        self.assertEqual(self.verify(session).status, 200)
        self.assertEqual(self.redoubt.post("/api/v1/limits/check", body).json.get("allowed"), False,
                         "what was admitted meanwhile is owed")

    def test_another_redis_takes_the_place_of_this_one(self):
        session = self.redoubt.new_session()
        with Redis("requirepass rotated") as other:
            self.reload(redis=f"redis://:rotated@127.0.0.1:{other.port}")
            wait_for(lambda: self.status()["redis"]["state"] == "normal" and
                     "rd:inc" in other.cli("-a", "rotated", "keys", "*"), "the other Redis")
            self.redis.kill()
            self.assertEqual(self.verify(session).status, 200, "no session is lost")
            wait_for(lambda: "Redoubt-Mode" not in self.limit().headers, "limits to be there")
            keys = other.cli("-a", "rotated", "keys", "*")
            self.assertIn(":ratelimit:", keys)
            self.assertNotIn("rotated", "".join(self.redoubt.output + self.redoubt.errors))

    def redis_calls(self, command):
        """How often Redis has carried it out."""
        found = re.search(rf"cmdstat_{command}:calls=(\d+)", self.redis.cli("info", "commandstats"))
        return int(found.group(1)) if found else 0

    def use_everything(self):
        session = self.redoubt.new_session()
        self.assertEqual(self.verify(session).status, 200)
        self.assertEqual(self.limit().status, 200)
        stored = self.redoubt.request("PUT", "/api/v1/cache/entries/" + secrets.token_hex(4), b"v")
        self.assertIn(stored.status, (200, 201, 204))

    def test_a_redis_comes_while_the_server_runs(self):
        self.redoubt.stop()
        self.redis.cli("flushall")
        self.redis.cli("config", "resetstat")
        self.configure(redis="")
        self.redoubt.start()
        session = self.redoubt.new_session()
        self.use_everything()
        status = self.status()
        self.assertEqual(status["redis"]["state"], "not_configured")
        self.assertEqual(status["features"]["limits"], {"active_backend": "memory"})
        self.assertEqual(self.redoubt.get("/health", key=None).json["status"], "healthy")
        self.assertEqual(self.redoubt.get("/redis/get/k").status, 503)
        self.assertNotIn("redoubt_shared_up", self.redoubt.get("/metrics", key=None).body)
        self.assertEqual(self.redis.cli("keys", "*").strip(), "", "nobody has been there")

        self.reload()
        wait_for(lambda: self.status()["redis"]["state"] == "normal", "the first Redis")
        self.wait_for_redis()
        sets, scripts = self.redis_calls("psetex"), self.redis_calls("evalsha")
        wait_for(lambda: self.use_everything() or
                 (self.redis_calls("psetex") > sets and self.redis_calls("evalsha") >= scripts + 2),
                 "sessions, limits and cache entries to be there")
        keys = self.redis.cli("keys", "*")
        for noun in (":session:", ":ratelimit:", ":cache:"):
            self.assertIn(noun, keys)
        self.assertEqual(self.verify(session).status, 200, "one from before")
        wait_for(lambda: self.redoubt.get("/redis/set/k/v").json == {"result": "OK"},
                 "the face to have it, too")
        wait_for(lambda: self.redoubt.get("/api/v2/debug/health/redis").json["state"] == "normal",
                 "the diagnosis to find it")
        self.assertEqual(self.status()["features"]["limits"], {"active_backend": "redis"})
        self.assertEqual(self.redoubt.metric("redoubt_shared_up"), 1)

        self.reload("REDIS_ENABLE=false\n")
        self.assertEqual(self.status()["redis"]["state"], "not_configured")
        sets, scripts = self.redis_calls("psetex"), self.redis_calls("evalsha")
        self.use_everything()
        self.assertEqual((self.redis_calls("psetex"), self.redis_calls("evalsha")), (sets, scripts))
        self.assertNotIn("Redoubt-Mode", self.limit().headers)
        self.assertEqual(self.redoubt.get("/redis/get/k").status, 503)
        self.assertEqual(self.verify(session).status, 200)

    def test_a_configuration_with_a_mistake_changes_nothing(self):
        self.reload("REDIS_ENABLE=false\nREDOUBT_LIMIT_TIGHT=many\n",
                    event="config.reload_refused")
        self.assertEqual(self.status()["redis"]["state"], "normal")

    def test_lists_are_refused_before_what_matters_more(self):
        self.pause_postgres()
        create = lambda _: self.redoubt.post("/api/v1/sessions", {"user": "ada"}).status
        with concurrent.futures.ThreadPoolExecutor(9) as pool:
            waiting = [pool.submit(create, i) for i in range(9)]
            wait_for(lambda: self.redoubt.metric("redoubt_operations_under_way") >= 8,
                     "writes to wait for the database")
            listed = self.redoubt.get("/api/v1/keys")
            self.resume_postgres()
            done = [each.result() for each in waiting]
        self.assertEqual((listed.status, listed.json["code"]), (503, "overloaded"))
        self.assertIn(int(listed.headers["Retry-After"]), (1, 2, 3))
        self.assertGreater(self.redoubt.metric("redoubt_operations_shed_total",
                                               priority="listing"), 0)
        self.assertEqual(set(done), {201}, "what was begun is done")
        self.assertEqual(self.redoubt.get("/api/v1/keys").status, 200)

    def test_a_timeout_that_is_none_is_refused(self):
        for value in ("0", "-1", "soon", "1.5", "3600001", "1e3"):
            reply = self.redoubt.get("/api/v1/sessions/current",
                                     headers={"Redoubt-Timeout-Ms": value})
            self.assertEqual(reply.status, 400, value)
            self.assertIn("Redoubt-Timeout-Ms", reply.body)


class CacheDegradationTest(Degraded):
    grace = 600.0  # Of API keys, so that it is not what ends an answer here.

    def put(self, server, path, value):
        reply = server.request("PUT", path, value, headers={"Content-Type": "text/plain"})
        self.assertEqual((reply.status, reply.json["stored"]), (200, True), reply)
        return reply

    def test_an_invalidation_at_best_effort_acts_while_the_record_is_away(self):
        def get(instance, key):
            return instance.get("/api/v1/cache/entries/" + key)

        def invalidate(query=""):
            return self.redoubt.post("/api/v1/cache/invalidate" + query, {"tags": ["vip"]})

        first = self.redoubt
        with Server(env={**self.env, "REDIS_URL": self.redis.url}) as other:
            other.admin_key = first.admin_key
            for key, tag in (("hit", "vip"), ("spared", "other")):
                put = first.request("PUT", f"/api/v1/cache/entries/{key}?tags={tag}", "old")
                self.assertEqual(put.status, 200, put)
                wait_for(lambda: get(other, key).status == 200, "the other one to have it")
            self.pause_postgres()
            replies = []

            def is_accepted():
                replies.append(invalidate("?best_effort=1"))
                self.assertIn(replies[-1].status, (202, 503, 504), replies[-1])
                return replies[-1].status == 202
            wait_for(is_accepted, "the record to be known to be away")

            self.assertEqual(replies[-1].headers["Redoubt-Mode"], "degraded")
            self.assertIn("cache=best_effort", replies[-1].headers["Redoubt-Guarantee"])
            self.assertEqual((replies[-1].json["recorded"], replies[-1].json["generation"]),
                             (False, 0))
            self.assertEqual(invalidate().status, 503, "not unless it is asked for")
            keyed = first.post("/api/v1/cache/invalidate?best_effort=1", {"tags": ["vip"]},
                               headers={"Idempotency-Key": "k"})
            self.assertEqual(keyed.status, 503, "nothing can be kept of it")
            self.assertEqual(first.metric("redoubt_cache_invalidations_unsaved"), 1)
            wait_for(lambda: other.metric("redoubt_cache_hints_total", result="received") > 0,
                     "the other one to be told")

            self.resume_postgres()
            for instance in (first, other):
                # What is in memory is good again; what was invalidated is not, at no moment.
                wait_for(lambda i=instance: self.assertNotEqual(get(i, "hit").status, 200) or
                         get(i, "spared").status == 200, "the record to be back")
                self.assertEqual(get(instance, "hit").status, 404)
            wait_for(lambda: first.metric("redoubt_cache_invalidations_unsaved") == 0,
                     "it to be recorded")
            self.assertTrue(self.lines("cache.invalidations_saved"))
            later = invalidate("?best_effort=1")
            self.assertEqual((later.status, later.json["recorded"]), (200, True))
            self.assertNotIn("Redoubt-Mode", later.headers)
            self.assertGreaterEqual(later.json["generation"], 2)

    def test_what_the_cache_took_without_redis_is_handed_over(self):
        path, gone = "/api/v1/cache/entries/handed", "/api/v1/cache/entries/gone"
        env = {**self.env, "REDIS_URL": self.redis.url}
        with Server(env=env) as other:
            state = lambda server: server.get("/status", key=None).json["redis"]["state"]
            wait_for(lambda: state(other) == "normal", "Redis to be used by both")
            for key in (path, gone):
                self.put(self.redoubt, key, "old")
                wait_for(lambda key=key: other.get(key, key=self.redoubt.admin_key).status == 200,
                         "the other one to have it")
            self.redis.pause()
            self.addCleanup(self.redis.resume)
            for server in (self.redoubt, other):
                wait_for(lambda server=server: state(server) == "down", "Redis to be given up")
            self.assertEqual(self.put(self.redoubt, path, "new").headers["Redoubt-Guarantee"],
                             "cache=local")
            self.assertEqual(self.redoubt.delete(gone).headers["Redoubt-Guarantee"], "cache=local")
            self.assertEqual(self.redoubt.metric("redoubt_cache_handoffs_pending"), 2)
            self.assertEqual(other.get(path, key=self.redoubt.admin_key).body, "old")

            self.redis.resume()
            wait_for(lambda: other.get(path, key=self.redoubt.admin_key).body != "old",
                     "the new value, or that the old one is gone")
            wait_for(lambda: other.get(gone, key=self.redoubt.admin_key).status == 404, "the erasure")
            wait_for(lambda: self.redoubt.metric("redoubt_cache_handoffs_pending") == 0,
                     "both to be known to be there")
            self.assertEqual(self.redoubt.metric("redoubt_cache_handoffs_total",
                                                 result="handed_over"), 2)

    def test_what_lives_by_its_ttl_is_found_without_the_record(self):
        coherent, loose = "/api/v1/cache/entries/coherent", "/api/v1/cache/entries/loose"
        self.put(self.redoubt, coherent, "v")
        self.put(self.redoubt, loose + "?consistency=ttl", "v")
        wrong = self.redoubt.request("PUT", loose + "?consistency=some", "v")
        self.assertEqual(wrong.status, 400)
        self.assertIn("consistency", wrong.body)
        self.pause_postgres()
        wait_for(lambda: self.redoubt.get(coherent).status == 404, "invalidations to be unheard")
        found = self.redoubt.get(loose)
        self.assertEqual((found.status, found.body), (200, "v"))
        self.assertIn("cache=unheard", found.headers["Redoubt-Guarantee"])
        self.resume_postgres()
        wait_for(lambda: self.redoubt.get(coherent).status == 200, "the record to be back")
        self.assertNotIn("Redoubt-Mode", self.redoubt.get(loose).headers)


if __name__ == "__main__":
    unittest.main()
