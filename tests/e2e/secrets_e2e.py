"""Planted secrets are searched for wherever the server writes or shows anything."""

import base64
import glob
import os
import re
import resource
import secrets
import signal
import unittest

from contract import operations
from server import Server, forged_of, wait_for

CANARY = "canary-" + secrets.token_hex(8)  # What a session carries: the caller's own secret.


class Secrets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.encryption_key = secrets.token_hex(32)
        cls.redoubt = Server(env={"TOKEN_ENCRYPTION_KEY": cls.encryption_key,
                                  "REDOUBT_MODE": "production", "REDOUBT_LOG_LEVEL": "debug",
                                  "REDOUBT_LOG_FORMAT": "json", "REDOUBT_ACCESS_LOG": "all",
                                  "REDOUBT_CORS_ORIGINS": "https://app.example.com"})
        cls.addClassCleanup(cls.redoubt.__exit__)
        cls.bodies = []
        cls.walk()

    @classmethod
    def walk(cls):
        """Everything that handles a secret, right and wrong; what was answered is kept."""
        redoubt = cls.redoubt
        cls.key = redoubt.new_key("service")
        cls.tenant_key = redoubt.new_tenant("acme")
        made = redoubt.post("/api/v1/sessions", {"user": "ada", "data": {"card": CANARY}}).json
        cls.token = made["token"]
        cls.ended = redoubt.new_session("eve")["token"]
        rotated = redoubt.post(f"/api/v1/sessions/{made['id']}/rotate").json
        cls.rotated = rotated["token"]
        redoubt.request("PATCH", f"/api/v1/sessions/{rotated['id']}", {"data": {"pin": CANARY}})
        redoubt.request("DELETE", "/api/v1/sessions/current", key=cls.ended)
        redoubt.post("/api/v1/keyring/rotate")
        for credential in cls.credentials():
            cls.misuse(credential)
        for operation in operations(redoubt):
            method, target, headers, body = operation.request()
            if operation.id.startswith(("tenants.", "keyring.")):
                continue
            for key in (cls.key, cls.ended, forged_of(cls.token)):
                cls.bodies.append(redoubt.request(method, target, body, key=key, headers=headers))

    @classmethod
    def credentials(cls):
        return [cls.key, cls.tenant_key, cls.token, cls.ended, cls.rotated]

    @classmethod
    def misuse(cls, secret):
        """A secret in every place where people put them by mistake."""
        redoubt, keep = cls.redoubt, cls.bodies.append
        keep(redoubt.get(f"/api/v1/cache/stats?token={secret}", key=None))
        keep(redoubt.get(f"/api/v1/cache/stats?access_token={secret}", key=cls.key))
        keep(redoubt.get("/api/v1/cache/stats", key=secret[:-2]))
        keep(redoubt.get("/api/v1/cache/stats", key="Bearer " + secret))
        keep(redoubt.get("/api/v1/cache/stats", key=None,
                         headers={"Authorization": "Basic " + base64.b64encode(
                             f"user:{secret}".encode()).decode()}))
        keep(redoubt.get("/api/v1/sessions/current", key=None,
                         headers={"Cookie": f"session={secret}", "Origin": "https://x.example"}))
        keep(redoubt.post("/api/v1/sessions/verify", {"token": secret + "x"}, key=cls.key))
        keep(redoubt.post("/api/v1/sessions/verify", {"token": [secret]}, key=cls.key))
        keep(redoubt.post("/api/v1/sessions/verify", {"tokn": secret}, key=cls.key))
        keep(redoubt.post("/api/v1/gate", {"token": secret + "x"}, key=cls.key))
        keep(redoubt.get("/api/v1/gate/forward?limit=default", key=secret + "x"))
        keep(redoubt.request("POST", "/api/v1/sessions/verify", f'{{"token":"{secret}"',
                             key=cls.key, headers={"Content-Type": "application/json"}))

    def assert_absent(self, text, where, also=()):
        for name, secret in [*self.planted(), *also]:
            self.assertNotIn(secret, text, f"{name} is in {where}")

    def planted(self):
        yield "the encryption key", self.encryption_key
        yield "the encryption key in capitals", self.encryption_key.upper()
        yield "the admin key", self.redoubt.admin_key.split("_")[2]
        for token in (self.key, self.tenant_key):
            yield "an API key's secret", token.split("_")[2]
        for token in (self.token, self.ended, self.rotated):
            yield "a session token's secret", token.split("_")[1][30:]
        yield "a session's data", CANARY

    def test_the_log_has_none(self):
        wait_for(lambda: "/api/v1/audit/verify" in "".join(self.redoubt.errors), "the last request")
        log = "".join(self.redoubt.errors)
        self.assertGreater(log.count("http.request"), 100)
        self.assert_absent(log, "the log")

    def test_the_metrics_have_none(self):
        metrics = self.redoubt.get("/metrics", key=None).body
        self.assertIn("redoubt_http_requests_total", metrics)
        self.assert_absent(metrics, "/metrics")

    def test_errors_repeat_none(self):
        errors = [reply for reply in self.bodies if reply.status >= 400]
        self.assertGreater(len(errors), 50)
        for reply in errors:
            self.assert_absent(reply.body + str(reply.headers), f"an answer: {reply}")

    def test_lists_and_documents_show_none(self):
        for path in ("/api/v1/keys", "/api/v1/audit?limit=1000", "/api/v1/keyring", "/status",
                     "/health", "/api/v2/debug/health/redis", "/api/v1/info", "/openapi.json",
                     "/docs", "/api/v1/cache/keys"):
            with self.subTest(path):
                reply = self.redoubt.get(path)
                self.assertEqual(reply.status, 200, reply)
                self.assert_absent(reply.body, path)

    def test_the_process_shows_none(self):
        with open(f"/proc/{self.redoubt.process.pid}/cmdline", "rb") as file:
            self.assert_absent(file.read().decode("latin-1"), "the command line")

    def test_the_settings_show_none(self):
        self.assert_absent(self.redoubt.command("config").stdout, "redoubt config")

    def test_the_files_have_none_in_any_spelling(self):
        key = bytes.fromhex(self.encryption_key)
        raw = [("the encryption key as bytes", key.decode("latin-1"))]
        for spell in (base64.b64encode, base64.urlsafe_b64encode):
            raw.append(("the encryption key in base64", spell(key).decode().rstrip("=")))
        files = [path for path in glob.glob(self.redoubt.data_dir + "/**", recursive=True)
                 if os.path.isfile(path)]
        self.assertTrue([path for path in files if path.endswith("redoubt.db-wal")], files)
        for path in files:
            with open(path, "rb") as file:
                self.assert_absent(file.read().decode("latin-1"), path, raw)
            self.assertEqual(os.stat(path).st_mode & 0o077, 0, f"{path} is open to others")

    def test_the_answers_that_do_carry_a_secret_are_not_to_be_stored(self):
        for path, body in (("/api/v1/sessions", {"user": "ada"}), ("/api/v1/keys", {"name": "x"})):
            reply = self.redoubt.post(path, body)
            self.assertEqual(reply.status, 201, reply)
            self.assertEqual(reply.headers["Cache-Control"], "no-store")


class CoreFiles(unittest.TestCase):
    def test_a_crash_leaves_no_memory_behind(self):
        limits = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (limits[1], limits[1]))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_CORE, limits)
        with Server() as redoubt:
            redoubt.process.send_signal(signal.SIGABRT)
            self.assertEqual(redoubt.process.wait(30), -signal.SIGABRT)
            left = [name for name in os.listdir(redoubt.data_dir) if re.match(r"core(\.|$)", name)]
            self.assertEqual(left, [])


if __name__ == "__main__":
    unittest.main()
