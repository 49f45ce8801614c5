"""`redoubt doctor` on real installations with something wrong, and the diagnosis of a running one."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import unittest

from server import BINARY, PATIENCE, Server, free_port, wait_for

PARTS = {"connectivity": "connectivity", "performance": "performance",
         "server-info": "server_info", "connection-pool": "connection_pool",
         "operational": "operational"}
PASSWORD = "ten-blue-whales"


class Redis:
    """A redis-server of its own on a free port, ended by pid."""

    def __init__(self, *lines):
        self.port = free_port()
        self.folder = tempfile.mkdtemp(prefix="redoubt-redis-")
        arguments = [word for line in ("save ''", *lines) for word in self._words(line)]
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder,
             *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self._answers, "redis-server")

    @staticmethod
    def _words(line):
        name, _, value = line.partition(" ")
        return ["--" + name, *("" if word == "''" else word for word in value.split(" "))]

    def _answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64)[:1] in (b"+", b"-")
        except OSError:
            return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Doctor(unittest.TestCase):
    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="redoubt-doctor-")
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        self.port = free_port()

    def run_doctor(self, *arguments, **env):
        full = {"PATH": os.environ.get("PATH", ""), "REDOUBT_DATA_DIR": self.home,
                "REDOUBT_LISTEN": f"127.0.0.1:{self.port}", **env}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                full[name] = os.environ[name]
        return subprocess.run([BINARY, "doctor", *arguments], env=full, cwd=self.home, text=True,
                              capture_output=True, timeout=PATIENCE * 2, check=False)

    def codes(self, **env):
        done = self.run_doctor("--json", **env)
        body = json.loads(done.stdout)
        return done.returncode, {finding["code"]: finding for finding in body["findings"]}

    def test_a_new_installation_has_nothing_critical_and_stays_as_it_is(self):
        status, codes = self.codes()
        self.assertEqual((status, set(codes)), (0, {"key_development", "record_missing"}))
        self.assertEqual(os.listdir(self.home), [])

    def test_a_running_server_is_no_trouble(self):
        with Server(data_dir=self.home, port=self.port):
            status, codes = self.codes()
        self.assertEqual(status, 0, codes)
        self.assertIn("server_running", codes)
        self.assertNotIn("port_taken", codes)
        self.assertNotIn("record_unusable", codes)

    def test_a_port_of_another_program_is_critical_and_each_finding_has_its_mend(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", self.port))
            other.listen()
            done = self.run_doctor()
        self.assertEqual(done.returncode, 3, done.stdout)
        self.assertRegex(done.stdout, r"(?m)^critical port_taken  .*\n +mend: ss -ltnp")

    def test_a_configuration_that_does_not_load_is_shown_with_its_lines(self):
        status, codes = self.codes(SESSION_TTL="soon")
        self.assertEqual(status, 78)
        self.assertIn("SESSION_TTL", codes["config_invalid"]["what"])

    def test_files_that_others_may_read_or_write_are_found(self):
        with Server(data_dir=self.home):
            pass
        os.chmod(os.path.join(self.home, "keyring"), 0o644)
        os.chmod(os.path.join(self.home, "redoubt.db"), 0o644)
        os.chmod(self.home, 0o777)
        status, codes = self.codes()
        self.assertEqual(status, 3)
        for code in ("key_readable_by_others", "record_readable_by_others",
                     "data_dir_writable_by_others"):
            self.assertIn(code, codes)

        for command in (codes["record_readable_by_others"]["mend"],
                        f"chmod go-w {self.home}"):
            subprocess.run(command, shell=True, check=True)
        self.assertEqual(set(self.codes()[1]), {"key_readable_by_others"} |
                         {"key_development"})

    def test_a_damaged_record_and_a_foreign_one_are_found(self):
        path = os.path.join(self.home, "redoubt.db")
        subprocess.run(["sqlite3", path, "CREATE TABLE theirs (x)"], check=True)
        self.assertIn("record_foreign", self.codes()[1])
        with open(path, "wb") as file:
            file.write(b"this is no database" * 400)
        status, codes = self.codes()
        self.assertEqual(status, 3)
        self.assertTrue({"record_unusable", "record_damaged"} & set(codes), codes)

    def test_a_bad_redis_is_found_without_its_password_being_told(self):
        with Redis("requirepass " + PASSWORD, "maxmemory 100mb",
                   "maxmemory-policy allkeys-lru") as redis:
            url = f"redis://:{PASSWORD}@127.0.0.1:{redis.port}/0"
            done = self.run_doctor("--json", REDIS_URL=url, REDIS_MAX_CONNECTIONS="50",
                                   REDIS_SOCKET_TIMEOUT="5s")
            refused = self.run_doctor(REDIS_URL=url.replace("ten-", "no-"))
        codes = {finding["code"] for finding in json.loads(done.stdout)["findings"]}
        self.assertLessEqual({"redis_policy_allkeys", "redis_timeout_long",
                              "redis_pool_setting_unused", "redis_not_persistent"}, codes)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(refused.returncode, 3)
        self.assertIn("redis_login_refused", refused.stdout)
        for output in (done.stdout, done.stderr, refused.stdout, refused.stderr):
            self.assertNotIn(PASSWORD, output)


class OfARunningServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.redis = Redis("requirepass " + PASSWORD, "maxmemory 100mb",
                          "maxmemory-policy allkeys-lru")
        cls.addClassCleanup(cls.redis.__exit__)
        cls.redoubt = Server(env={
            "REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:{cls.redis.port}/0",
            "SESSION_STORAGE": "redis"})
        cls.addClassCleanup(cls.redoubt.__exit__)

    def test_the_whole_and_its_parts(self):
        reply = self.redoubt.get("/api/v2/debug/health/redis")
        whole = reply.json
        self.assertEqual((reply.status, whole["status"]), (200, "connected"), reply)
        self.assertEqual(whole["verdict"], "warning")
        codes = {finding["code"]: finding for finding in whole["findings"]}
        self.assertIn("allkeys-lru", codes["redis_policy_allkeys"]["what"])
        self.assertNotIn("redis_another_record", codes)
        self.assertEqual([one["operation"] for one in whole["performance"]["operations"]],
                         ["PING", "SET", "GET", "EVAL", "DEL"])
        self.assertTrue(all(one["works"] for one in whole["performance"]["operations"]))
        self.assertEqual(whole["server_info"]["role"], "master")
        self.assertGreater(whole["connection_pool"]["connections_ours"], 0)
        self.assertEqual(whole["operational"]["memory_max_bytes"], 100 << 20)
        self.assertNotIn(PASSWORD, reply.body)
        for path, member in PARTS.items():
            with self.subTest(path):
                part = self.redoubt.get("/api/v2/debug/health/redis/" + path)
                self.assertEqual(part.status, 200, part)
                self.assertEqual(set(part.json[member]), set(whole[member]))
                self.assertEqual({finding["section"] for finding in part.json["findings"]} - {path},
                                 set())

    def test_only_admins_of_the_home_tenant_may_ask(self):
        stranger = self.redoubt.new_tenant("stranger")
        service = self.redoubt.new_key("service")
        for path in ("", *("/" + part for part in PARTS)):
            path = "/api/v2/debug/health/redis" + path
            self.assertEqual(self.redoubt.get(path, key=None).status, 401)
            self.assertEqual(self.redoubt.get(path, key=stranger).status, 403)
            self.assertEqual(self.redoubt.get(path, key=service).status, 403)

    def test_status_and_health_name_the_backend_of_each_feature(self):
        wait_for(lambda: self.redoubt.get("/status", key=None).json["features"]["limits"] ==
                 {"active_backend": "redis"}, "Redis to be used")
        health = self.redoubt.get("/health", key=None).json
        self.assertEqual(health["features"]["limits"], {"active_backend": "redis"})
        self.assertEqual(health["features"]["limits.strict"], {"active_backend": "record"})
        self.assertEqual(health["features"]["sessions"], {"active_backend": "record+redis+memory"})
        self.assertEqual(health["features"]["cache"], {"active_backend": "redis+memory"})

    def test_a_redis_that_is_gone_is_a_finding_not_an_error(self):
        with Redis() as redis:
            redoubt = Server(env={"REDIS_URL": f"redis://127.0.0.1:{redis.port}",
                                  "SESSION_STORAGE": "redis"})
            self.addCleanup(redoubt.__exit__)
        reply = redoubt.get("/api/v2/debug/health/redis")
        self.assertEqual((reply.status, reply.json["status"], reply.json["verdict"]),
                         (200, "disconnected", "critical"))
        self.assertEqual(reply.json["findings"][0]["code"], "redis_unreachable")
        self.assertEqual(redoubt.get("/readyz", key=None).status, 200)
        for path in ("/status", "/health"):
            features = redoubt.get(path, key=None).json["features"]
            self.assertEqual(features["sessions"], {"active_backend": "record+memory"})
            self.assertEqual(features["limits"], {"active_backend": "memory (share)"})
            self.assertEqual(features["cache"], {"active_backend": "memory"})


if __name__ == "__main__":
    unittest.main()
