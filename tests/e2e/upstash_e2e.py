"""Redis over HTTP as Upstash serves it: the public clients run against the server unmodified, on
both ways to it, and the server runs against itself over its own REST transport."""

import os
import signal
import subprocess
import unittest

from backing import Redis
from server import PATIENCE, Server, free_port, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
TOKEN = "a-token-that-reads-and-writes"
CHECKS = 9


def run_clients(url, token):
    """The names of the checks that passed."""
    environment = {"PATH": os.environ["PATH"], "UPSTASH_REDIS_REST_URL": url,
                   "UPSTASH_REDIS_REST_TOKEN": token}
    done = subprocess.run(["node", "upstash_clients.mjs"], cwd=HERE, env=environment, text=True,
                          capture_output=True, timeout=PATIENCE * 3, check=False)
    if "ERR_MODULE_NOT_FOUND" in done.stderr:
        raise AssertionError("the clients are not there; `npm ci --ignore-scripts` in tests/e2e "
                             "installs them: " + done.stderr)
    if done.returncode != 0:
        raise AssertionError(done.stdout + done.stderr)
    return done.stdout.splitlines()


class Upstash(unittest.TestCase):
    def setUp(self):
        self.redis = Redis()
        self.addCleanup(self.redis.__exit__)
        self.port = free_port()

    def serve(self, **env):
        redoubt = Server(env={"REDIS_URL": self.redis.url, "REDOUBT_UPSTASH_TOKENS": TOKEN,
                              "REDOUBT_UPSTASH_ADDR": str(self.port), **env})
        self.addCleanup(redoubt.__exit__)
        return redoubt

    def test_the_public_clients_run_on_a_port_of_its_own(self):
        self.serve()
        self.assertEqual(len(run_clients(f"http://127.0.0.1:{self.port}", TOKEN)), CHECKS)

    def test_the_public_clients_run_below_the_path_with_an_api_key(self):
        redoubt = self.serve()
        key = redoubt.new_key("service", ["redis"])
        self.assertEqual(len(run_clients(f"http://127.0.0.1:{redoubt.port}/redis", key)), CHECKS)

    def test_the_public_clients_run_as_a_tenant_with_keys_of_its_own(self):
        redoubt = self.serve(REDOUBT_UPSTASH_PREFIX="tenant", REDOUBT_UPSTASH_TENANT_SCRIPTS="true")
        key = redoubt.new_key("service", ["redis"])
        self.assertEqual(len(run_clients(f"http://127.0.0.1:{redoubt.port}/redis", key)), CHECKS)
        for name in self.redis.cli("keys", "*").splitlines():
            self.assertTrue(name.startswith(("tenant:default:", "rd:")), name)

    def test_what_an_address_without_redis_says(self):
        redoubt = Server()
        self.addCleanup(redoubt.__exit__)
        reply = redoubt.get("/redis/get/k")
        self.assertEqual(reply.status, 503, reply)
        self.assertEqual(reply.json, {"error": "ERR Redis is not available: none is configured"})
        self.assertEqual(redoubt.get("/redis/get/k", key=None).status, 401)

    def test_a_redis_that_is_down_or_turned_off_is_not_asked(self):
        redoubt = Server(env={"REDOUBT_UPSTASH_COMMAND_TIMEOUT": "5m"}, start=False)
        self.addCleanup(redoubt.__exit__)
        def configure(text=""):
            with open(os.path.join(redoubt.data_dir, ".env"), "w", encoding="utf-8") as file:
                file.write(f"REDIS_URL={self.redis.url}\n{text}")
        configure()
        redoubt.start()
        state = lambda: redoubt.get("/status", key=None).json["redis"]["state"]
        ask = lambda: redoubt.get("/redis/set/k/v")
        wait_for(lambda: state() == "normal", "Redis to be used")
        self.assertEqual(ask().json, {"result": "OK"})

        self.redis.pause()  # Who asks it now waits longer than this test.
        wait_for(lambda: state() == "down", "Redis to be given up")
        self.assertEqual((ask().status, ask().json),
                         (503, {"error": "ERR Redis is not available: it is down"}))
        self.redis.resume()
        wait_for(lambda: state() == "normal", "Redis to be back")
        self.assertEqual(ask().json, {"result": "OK"})

        configure("REDIS_ENABLE=false\n")
        redoubt.process.send_signal(signal.SIGHUP)
        wait_for(lambda: state() == "not_configured", "Redis to be turned off")
        self.assertEqual((ask().status, ask().json),
                         (503, {"error": "ERR Redis is not available: "
                                         "it is turned off by the configuration"}))

    def behind(self, token=TOKEN):
        """A server whose Redis is the one in front."""
        redoubt = Server(env={"REDOUBT_LIMIT_SLOW": "5/24h burst 5", "SESSION_STORAGE": "redis",
                              "UPSTASH_REDIS_REST_URL": f"http://127.0.0.1:{self.port}",
                              "UPSTASH_REDIS_REST_TOKEN": token, "REDIS_SOCKET_TIMEOUT": "5s"},
                         start=False)
        self.addCleanup(redoubt.__exit__)
        return redoubt

    def test_a_server_has_another_one_as_its_redis(self):
        self.serve(REDOUBT_UPSTASH_PREFIX="tenant", REDOUBT_UPSTASH_TENANT_SCRIPTS="true")
        redoubt = self.behind().start()
        wait_for(lambda: redoubt.get("/status", key=None).json["redis"]["state"] == "normal",
                 "Redis to be used")
        check = {"limits": [{"policy": "slow", "subject": "user:1"}]}
        reply = wait_for(lambda: self.decided_there(redoubt, check), "Redis to decide")
        self.assertEqual(reply.status, 200)

        session = redoubt.new_session()
        verified = redoubt.get("/api/v1/sessions/current", key=session["token"])
        self.assertEqual((verified.status, verified.headers["Redoubt-Mode"]), (200, None))
        put = redoubt.request("PUT", "/api/v1/cache/entries/answer", b"42")
        self.assertIn(put.status, (200, 201, 204), put)
        entry = redoubt.get("/api/v1/cache/entries/answer")
        self.assertEqual((entry.status, entry.headers["Redoubt-Mode"]), (200, None), entry)

        for noun in ("ratelimit", "session", "cache"):
            wait_for(lambda: self.keys_of_the_one_behind(noun), f"a key of the {noun} in Redis")

    def keys_of_the_one_behind(self, noun):
        keys = self.redis.cli("keys", f"tenant:default:rd:*:{noun}:*")
        return keys.splitlines()

    def test_without_a_prefix_a_server_cannot_have_another_one_as_its_redis(self):
        admin = "a-token-that-may-do-everything"
        self.serve(REDOUBT_UPSTASH_TOKENS=f"{TOKEN},admin:{admin}")
        wait_for(lambda: "rd:inc" in self.redis.cli("keys", "*"), "the mark of the one in front")
        refused = self.behind(admin).start(expect_up=False)
        self.assertNotEqual(refused.process.wait(PATIENCE), 0)
        wait_for(lambda: "in use by the record" in "".join(refused.errors + refused.output),
                 "the reason")
        unused = self.behind().start()
        wait_for(lambda: "refuses our credentials or rights" in
                 unused.get("/status", key=None).json["redis"]["reason"], "its keys to be refused")
        self.assertFalse(self.redis.cli("keys", "tenant:*"))

    def decided_there(self, redoubt, check):
        reply = redoubt.post("/api/v1/limits/check", check)
        return None if "Redoubt-Mode" in reply.headers else reply


if __name__ == "__main__":
    unittest.main()
