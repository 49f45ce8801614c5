"""With a real Redis as shared memory: what is kept there, what happens when it goes, and when it is
another record's."""

import json
import os
import secrets
import signal
import unittest

from backing import Postgres, Redis
from server import Server, wait_for
from lifecycle_e2e import refused_start

# Nothing comes back while a test runs.
SLOW = {"REDOUBT_LIMIT_SLOW": "10/24h burst 10"}
WAITS_MAX = 5  # Failures in a row until Redis is called down.
CHECK = {"limits": [{"policy": "slow", "subject": "user:1"}]}


def redis_state(redoubt):
    return redoubt.get("/status", key=None).json["redis"]["state"]


class RedisTest(unittest.TestCase):
    def setUp(self):
        self.redis = Redis()
        self.addCleanup(self.redis.__exit__)

    def serve(self, **env):
        redoubt = Server(env={"REDIS_URL": self.redis.url, **SLOW, **env})
        self.addCleanup(redoubt.__exit__)
        return redoubt

    def check(self, redoubt):
        reply = redoubt.post("/api/v1/limits/check", CHECK)
        self.assertIn(reply.status, (200, 429), reply)
        return reply

    def check_there(self, redoubt):
        """A check that Redis decided, if it did."""
        reply = self.check(redoubt)
        return None if "Redoubt-Mode" in reply.headers else reply

    def test_limits_are_counted_there(self):
        redoubt = self.serve()
        self.assertEqual(redis_state(redoubt), "normal")
        status = redoubt.get("/status", key=None).json
        self.assertEqual(status["redis"]["status"], "connected")
        self.assertEqual(status["features"]["limits"], {"active_backend": "redis"})

        remaining = [int(self.check(redoubt).headers["X-RateLimit-Remaining"]) for _ in range(3)]

        self.assertEqual(remaining, [9, 8, 7])
        keys = self.redis.cli("keys", "*").splitlines()
        self.assertTrue(any(":{default}:ratelimit:slow:" in key for key in keys), keys)
        for key in keys:
            self.assertTrue(key.startswith("rd:"), key)
            if key != "rd:inc":
                self.assertGreater(int(self.redis.cli("pttl", key)), 0, key)

    def test_it_goes_on_without_redis_and_comes_back_by_itself(self):
        redoubt = self.serve()
        session = redoubt.new_session()
        self.check(redoubt)
        self.redis.kill()

        degraded = self.check(redoubt)

        self.assertEqual(degraded.status, 200)
        self.assertEqual(degraded.headers["Redoubt-Mode"], "degraded")
        self.assertEqual(degraded.headers["Redoubt-Guarantee"], "limits=share")
        self.assertEqual(degraded.headers["X-RateLimit-Remaining"], "8", "it goes on from there")
        current = redoubt.get("/api/v1/sessions/current", key=session["token"])
        self.assertEqual(current.status, 200)
        self.assertEqual(redoubt.get("/readyz", key=None).status, 200)
        wait_for(lambda: redis_state(redoubt) == "down", "the loss to be noticed")
        self.assertEqual(redoubt.get("/health", key=None).json["status"], "degraded")

        self.redis.start()
        wait_for(lambda: redis_state(redoubt) == "normal", "Redis to be trusted again")
        again = wait_for(lambda: self.check_there(redoubt), "Redis to be used again")
        self.assertLess(int(again.headers["X-RateLimit-Remaining"]), 8,
                        "what was used meanwhile counts")

    def test_nobody_waits_for_a_redis_that_hangs(self):
        redoubt = self.serve()
        self.check(redoubt)
        def waits():
            return redoubt.metric("redoubt_shared_operations_total", result="failed")
        self.redis.pause()
        self.addCleanup(self.redis.resume)
        before = waits()

        while redis_state(redoubt) != "down":
            self.assertEqual(self.check(redoubt).headers["Redoubt-Guarantee"], "limits=share")
            self.assertLessEqual(waits() - before, WAITS_MAX, "until it is given up")
        before = waits()
        for _ in range(20):
            self.assertEqual(self.check(redoubt).headers["Redoubt-Guarantee"], "limits=share")
        self.assertEqual(waits(), before, "nobody asks it any more, so nobody waits")
        self.assertEqual(redis_state(redoubt), "down", "all the while")

        self.redis.resume()
        wait_for(lambda: redis_state(redoubt) == "normal", "Redis to be used again")

    def test_what_redis_forgets_is_restored(self):
        redoubt = self.serve()
        for _ in range(9):
            self.check(redoubt)
        self.redis.cli("flushall")
        self.assertEqual(self.check(redoubt).headers["X-RateLimit-Remaining"], "0")
        self.assertEqual(self.check(redoubt).status, 429, "the limit is not full again")

    def test_it_starts_while_redis_is_away(self):
        self.redis.kill()
        redoubt = self.serve()
        self.assertEqual(redoubt.get("/readyz", key=None).status, 200)
        self.assertEqual(self.check(redoubt).headers["Redoubt-Mode"], "degraded")
        self.redis.start()
        wait_for(lambda: redis_state(redoubt) == "normal", "Redis to be used")

    def test_the_redis_of_another_record_is_refused(self):
        self.serve()
        status, said = refused_start({"REDIS_URL": self.redis.url})
        self.assertNotEqual(status, 0)
        self.assertIn("This Redis is in use by the record", said)
        self.assertIn("REDIS_DATABASE", said)

    def test_the_redis_of_another_record_that_comes_while_it_runs_is_not_used(self):
        self.serve()
        redoubt = Server(env=SLOW, start=False)
        self.addCleanup(redoubt.__exit__)
        redoubt.start()
        self.check(redoubt)

        self.reload(redoubt, f"REDIS_URL={self.redis.url}\n")
        said = wait_for(lambda: redoubt.get("/status", key=None).json["redis"].get("reason", "")
                        .find("in use by the record") >= 0, "it to be looked at")
        self.assertTrue(said)
        self.assertNotEqual(redis_state(redoubt), "normal")
        self.assertEqual(self.check(redoubt).headers["X-RateLimit-Remaining"], "8", "not theirs")
        told = wait_for(lambda: [line for line in redoubt.output + redoubt.errors
                                 if "This Redis is in use by the record" in line], "a log line")
        self.assertIn("REDIS_DATABASE", told[0])
        self.assertIn("error", told[0])

        self.reload(redoubt, f"REDIS_URL={self.redis.url}\nREDIS_DATABASE=1\n")
        wait_for(lambda: redis_state(redoubt) == "normal", "one of its own")

    def test_a_password_that_was_mended_is_used_without_a_restart(self):
        with Redis("requirepass right") as redis:
            redoubt = Server(env=SLOW, start=False)
            self.addCleanup(redoubt.__exit__)
            self.configure(redoubt, f"REDIS_URL={redis.url}\nREDIS_PASSWORD=wrong\n")
            redoubt.start()
            self.assertEqual(redis_state(redoubt), "down")
            told = [line for line in redoubt.output + redoubt.errors if "redis.denied" in line]
            self.assertTrue(told, "it is said loudly")
            self.assertIn('"error"', told[0])

            self.reload(redoubt, f"REDIS_URL={redis.url}\nREDIS_PASSWORD=right\n")

            wait_for(lambda: redis_state(redoubt) == "normal", "Redis to be used")

    def configure(self, redoubt, text):
        with open(os.path.join(redoubt.data_dir, ".env"), "w") as file:
            file.write(text)

    def reload(self, redoubt, text):
        self.configure(redoubt, text)
        redoubt.process.send_signal(signal.SIGHUP)

    def test_certificates_that_nobody_verifies_are_said_in_the_log_and_in_the_status(self):
        with Postgres() as postgres:
            elsewhere = postgres.url.replace("127.0.0.1", "0.0.0.0")  # Not this machine by its name.
            env = {"DATABASE_URL": elsewhere + "?sslmode=prefer", "REDIS_SSL_CERT_REQS": "none",
                   "REDIS_URL": self.redis.url.replace("redis:", "rediss:"),
                   "TOKEN_ENCRYPTION_KEY": secrets.token_hex(32)}
            with Server(env=env) as redoubt:
                told = redoubt.get("/status", key=None).json
                self.assertIn("REDIS_SSL_CERT_REQS=none", told["redis"]["warnings"][0])
                self.assertIn("sslmode=verify-full", told["record"]["warnings"][0])
                self.assertNotIn("warnings", redoubt.get("/api/v2/health", key=None).body,
                                 "everybody may look there")
                said = "".join(redoubt.output + redoubt.errors)
                self.assertIn("redis.certificate_not_verified", said)
                self.assertIn("record.tls_not_verified", said)
            rest = {"UPSTASH_REDIS_REST_URL": "https://127.0.0.1:1", "REDIS_SSL_CERT_REQS": "none",
                    "UPSTASH_REDIS_REST_TOKEN": "t", "TOKEN_ENCRYPTION_KEY": secrets.token_hex(32)}
            with Server(env=rest) as redoubt:
                self.assertIn("warnings", redoubt.get("/status", key=None).json["redis"])
            verified = {**env, "DATABASE_URL": postgres.url, "REDIS_SSL_CERT_REQS": "required"}
            with Server(env=verified) as redoubt:
                told = redoubt.get("/status", key=None).json
                for dependency in ("redis", "record"):
                    self.assertNotIn("warnings", told[dependency])
                self.assertNotIn("not_verified", "".join(redoubt.output + redoubt.errors))

    def test_its_password_is_nowhere(self):
        password = secrets.token_hex(16)
        with Redis(f"requirepass {password}") as redis:
            url = f"redis://:{password}@127.0.0.1:{redis.port}"
            with Server(env={"REDIS_URL": url, **SLOW}) as redoubt:
                self.assertEqual(redis_state(redoubt), "normal")
                shown = [redoubt.get(path, key=None).body
                         for path in ("/status", "/health", "/metrics")]
                shown.append(redoubt.command("config").stdout)
                redis.kill()
                self.check(redoubt)
                redoubt.stop()
                for text in shown + redoubt.output + redoubt.errors:
                    self.assertNotIn(password, text)
        with Redis(f"requirepass {password}") as redis:
            wrong = f"redis://:not-{password}@127.0.0.1:{redis.port}"
            with Server(env={"REDIS_URL": wrong, **SLOW}) as redoubt:
                self.assertEqual(redis_state(redoubt), "down")
                reason = redoubt.get("/status", key=None).json["redis"]["reason"]
                self.assertTrue(reason, "it says why")
                self.assertNotIn(password, json.dumps(reason))
