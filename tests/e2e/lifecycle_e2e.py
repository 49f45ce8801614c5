"""Start, stop, restart and reload: what is refused and in which words, and what is kept."""

import http.client
import json
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

from server import Raw, Server, free_port, wait_for

EX_CONFIG = 78
EX_USAGE = 2


def refused_start(env=None, arguments=(), **more):
    """What a server that does not come up says."""
    server = Server(env=env, arguments=arguments, start=False, **more)
    server.start(expect_up=False)
    try:
        status = server.process.wait(30)
        server._join()
        return status, "".join(server.errors + server.output)
    finally:
        server.__exit__()


class Refusals(unittest.TestCase):
    def test_production_wants_a_real_key_and_says_what_is_wrong(self):
        random = secrets.token_hex(32)
        for key, reason in (
                (None, "must be given in production mode"),
                ("", "must be given in production mode"),
                (random[:32], "must be 64 hex digits (32 bytes), but has 32 characters"),
                (random + "00", "must be 64 hex digits (32 bytes), but has 66 characters"),
                ("zz" + random[2:], "must be 64 hex digits; it has other characters"),
                ("00" * 32, "all bytes are equal"),
                ("".join(f"{i:02x}" for i in range(32)), "its bytes count up or down"),
                ("0123456789abcdef" * 4, "it repeats a short pattern"),
                ("deadbeef" * 8, "it repeats a short pattern"),
                ("your-64-character-hex-key-here", "is a placeholder from a document"),
                ("changeme", "is a placeholder from a document")):
            with self.subTest(key):
                env = {"REDOUBT_MODE": "production"}
                if key is not None:
                    env["TOKEN_ENCRYPTION_KEY"] = key
                status, said = refused_start(env)
                self.assertEqual(status, EX_CONFIG, said)
                self.assertIn("TOKEN_ENCRYPTION_KEY", said)
                self.assertIn(reason, said)
                self.assertIn("openssl rand -hex 32", said)
                if key:
                    self.assertNotIn(key, said)
                    self.assertNotIn(key[2:30], said)

    def test_production_starts_with_a_good_key_and_prints_it_nowhere(self):
        key = secrets.token_hex(32)
        with Server(env={"REDOUBT_MODE": "production", "TOKEN_ENCRYPTION_KEY": key}) as redoubt:
            self.assertEqual(redoubt.new_session()["user"], "ada")
            self.assertEqual(redoubt.stop(), 0)
            self.assertNotIn(key, "".join(redoubt.output + redoubt.errors))

    def test_another_key_than_the_records_is_refused(self):
        good, other = secrets.token_hex(32), secrets.token_hex(32)
        with Server(env={"TOKEN_ENCRYPTION_KEY": good}) as redoubt:
            redoubt.new_session()
            redoubt.stop()
            status, said = refused_start({"TOKEN_ENCRYPTION_KEY": other},
                                         data_dir=redoubt.data_dir)
            self.assertNotEqual(status, 0)
            self.assertIn("key", said)
            self.assertNotIn(other, said)
            redoubt.start()
            self.assertEqual(redoubt.get("/readyz", key=None).status, 200)

    def test_contradictions_about_redis_are_refused(self):
        url = "redis://user:hunter2@cache:6379/0"
        for env, sentence in (
                ({"REDIS_URL": url, "REDIS_HOST": "other"},
                 "REDIS_HOST: contradicts REDIS_URL; REDIS_URL would win: unset REDIS_HOST"),
                ({"REDIS_URL": url, "UPSTASH_REDIS_URL": url + "?protocol=3"},
                 "contradicts REDIS_URL"),
                ({"REDIS_URL": "http://:hunter2@cache"}, "REDIS_URL"),
                ({"REDIS_ENABLED": "true"}, "nothing says where Redis is"),
                ({"REDIS_PROTOCOL": "rest"}, "UPSTASH_REDIS_REST_URL")):
            with self.subTest(env):
                status, said = refused_start(env)
                self.assertEqual(status, EX_CONFIG, said)
                self.assertIn(sentence, said)
                self.assertNotIn("hunter2", said)
        with Server(env={"REDIS_URL": "redis://cache:6379", "REDIS_ENABLE": "false"}) as redoubt:
            self.assertEqual(redoubt.get("/readyz", key=None).status, 200)

    def test_what_is_misspelt_is_named_and_all_of_it_at_once(self):
        status, said = refused_start({"REDOUBT_LISTNE": "4000", "SESSION_TTL": "soon",
                                      "REDOUBT_LOG_LEVEL": "loud"})
        self.assertEqual(status, EX_CONFIG)
        self.assertIn("REDOUBT_LISTNE: there is no such setting; did you mean REDOUBT_LISTEN?",
                      said)
        self.assertIn('SESSION_TTL: "soon" is not a duration', said)
        self.assertIn("REDOUBT_LOG_LEVEL", said)
        self.assertIn("3 problems", said)

    def test_two_servers_on_one_record_are_one_too_many(self):
        with Server() as first:
            status, said = refused_start(data_dir=first.data_dir)
            self.assertEqual(status, 1, said)
            self.assertIn(f"is in use by process {first.process.pid}", said)
            self.assertIn("another data directory", said)
            self.assertEqual(first.new_session()["user"], "ada")

    def test_a_port_in_use_is_named(self):
        with Server() as first:
            status, said = refused_start(port=first.port)
            self.assertEqual(status, 1, said)
            self.assertIn(f"127.0.0.1:{first.port}", said)
            self.assertIn("in use", said)
            # The record is there now, so that no later start shows the first key.
            self.assertRegex(said, r"Your admin key, shown this once only:\s+rdk_\w+")

    def test_a_directory_that_cannot_be_made_is_named(self):
        status, said = refused_start({"REDOUBT_DATA_DIR": "/proc/nowhere"})
        self.assertEqual(status, 1, said)
        self.assertIn("/proc/nowhere", said)
        self.assertIn("REDOUBT_DATA_DIR", said)

    def test_tls_without_a_certificate_is_refused(self):
        status, said = refused_start({"REDOUBT_TLS_LISTEN": f"127.0.0.1:{free_port()}"})
        self.assertEqual(status, EX_CONFIG, said)
        self.assertIn("REDOUBT_TLS_CERTIFICATE", said)


class Load:
    """Clients that verify and create without a pause, and remember what failed and when."""

    def __init__(self, redoubt, clients=8):
        self.redoubt = redoubt
        self.token = redoubt.new_session("loaded")["token"]
        self.failed = []   # When it was sent whole (None: it was not), when it failed, and how.
        self.created = []  # Tokens the server acknowledged.
        self.answered = 0
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        headers = {"Authorization": "Bearer " + self.redoubt.admin_key,
                   "Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self.redoubt.port, timeout=30)
        while not self.stopping.is_set():
            for path, body, wanted in (
                    ("/api/v1/sessions/verify", {"token": self.token}, 200),
                    ("/api/v1/sessions", {"user": "made"}, 201)):
                sent = None
                try:
                    connection.request("POST", path, json.dumps(body), headers)
                    sent = time.monotonic()
                    reply = connection.getresponse()
                    text = reply.read()
                except (OSError, http.client.HTTPException) as error:
                    self.failed.append((sent, time.monotonic(), repr(error)))
                    connection.close()
                    continue
                self.answered += 1
                if reply.status != wanted:
                    self.failed.append((sent, time.monotonic(), reply.status))
                elif wanted == 201:
                    self.created.append(json.loads(text)["token"])
        connection.close()

    def failed_before(self, signalled):
        """Requests the server had whole by then, or failed by then, and did not answer well."""
        return [failure for failure in self.failed
                if failure[1] < signalled or (failure[0] and failure[0] < signalled)]

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


class Stopping(unittest.TestCase):
    def test_what_began_before_the_signal_is_answered_and_kept(self):
        with Server(env={"REDOUBT_DRAIN_DEADLINE": "10s"}) as redoubt:
            load = Load(redoubt)
            wait_for(lambda: load.answered > 500, "the load")
            signalled = time.monotonic()
            redoubt.process.send_signal(signal.SIGTERM)
            status = redoubt.process.wait(30)
            took = time.monotonic() - signalled
            load.stop()
            redoubt._join()

            self.assertEqual(status, 0, redoubt.errors)
            self.assertLess(took, 10)
            self.assertEqual(load.failed_before(signalled), [])
            self.assertGreater(len(load.created), 100)

            redoubt.start()
            for token in (load.created[0], load.created[-1], load.token):
                reply = redoubt.post("/api/v1/sessions/verify", {"token": token})
                self.assertEqual(reply.status, 200, reply)
            self.assertTrue(redoubt.get("/api/v1/audit/verify").json["intact"])

    def unanswered(self, connected_before):
        """Sends whole requests to a frozen server, then the signal, then lets it go on: how many of
        them are not answered. Frozen, it cannot have read any of them before the signal."""
        with Server(env={"REDOUBT_DRAIN_DEADLINE": "10s"}) as redoubt:
            request = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
            clients = []
            if connected_before:
                clients = [redoubt.connect() for _ in range(100)]
                for client in clients:
                    client.send(request)
                    self.assertEqual(client.read(1)[0].status, 200)
            redoubt.process.send_signal(signal.SIGSTOP)
            wait_for(lambda: redoubt.state() == "T", "the server to be frozen")
            if not connected_before:
                clients = [redoubt.connect() for _ in range(100)]
            for client in clients:
                client.send(request)
            redoubt.process.send_signal(signal.SIGTERM)
            redoubt.process.send_signal(signal.SIGCONT)
            lost = sum(not client.read(1) for client in clients)
            for client in clients:
                client.close()
            self.assertEqual(redoubt.process.wait(30), 0)
            return lost

    # Whether the worker hears of the signal or of the requests first is chance: hence several.
    def test_requests_that_came_before_the_signal_but_were_not_read_are_answered(self):
        self.assertEqual([self.unanswered(connected_before=True) for _ in range(8)], [0] * 8)

    def test_connections_that_came_before_the_signal_but_were_not_accepted_are_answered(self):
        self.assertEqual([self.unanswered(connected_before=False) for _ in range(8)], [0] * 8)

    def test_serves_on_while_the_load_balancer_looks_away(self):
        with Server(env={"REDOUBT_SHUTDOWN_DELAY": "1s"}) as redoubt:
            redoubt.process.send_signal(signal.SIGTERM)
            wait_for(lambda: redoubt.get("/readyz", key=None).status == 503, "/readyz to fail")
            self.assertEqual(redoubt.get("/livez", key=None).status, 200)
            self.assertEqual(redoubt.new_session()["user"], "ada")
            self.assertIn("[-]not_draining failed", redoubt.get("/readyz", key=None).body)
            self.assertEqual(redoubt.process.wait(30), 0)

    def test_a_request_that_waits_is_answered_within_the_deadline(self):
        with Server(env={"REDOUBT_DRAIN_DEADLINE": "10s"}) as redoubt:
            path = "/api/v1/cache/entries/slow?lease=60s"
            self.assertIn("Redoubt-Fill-Lease", redoubt.get(path).headers)
            with redoubt.connect() as waiting:
                waiting.send(f"GET {path}&wait=2s HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "
                             f"{redoubt.admin_key}\r\n\r\n".encode())
                wait_for(lambda: redoubt.metric("redoubt_connections", state="waiting") == 1,
                         "the request to wait")
                redoubt.process.send_signal(signal.SIGTERM)
                replies = waiting.read_to_end()
            self.assertEqual([reply.status for reply in replies], [404])
            self.assertEqual(replies[0].headers["Connection"], "close")
            self.assertEqual(redoubt.process.wait(30), 0)

    def test_a_request_that_would_wait_for_ever_does_not_hold_it_up(self):
        with Server(env={"REDOUBT_DRAIN_DEADLINE": "1s"}) as redoubt:
            path = "/api/v1/cache/entries/slow?lease=300s"
            redoubt.get(path)
            with redoubt.connect() as waiting:
                waiting.send(f"GET {path}&wait=60s HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "
                             f"{redoubt.admin_key}\r\n\r\n".encode())
                wait_for(lambda: redoubt.metric("redoubt_connections", state="waiting") == 1,
                         "the request to wait")
                began = time.monotonic()
                self.assertEqual(redoubt.stop(), 1)  # It tells that it cut somebody off.
                self.assertLess(time.monotonic() - began, 10)
                self.assertIn("did not end in time", "".join(redoubt.errors))

    def test_a_second_signal_cuts(self):
        with Server(env={"REDOUBT_SHUTDOWN_DELAY": "5m"}) as redoubt:
            redoubt.process.send_signal(signal.SIGTERM)
            wait_for(lambda: redoubt.get("/readyz", key=None).status == 503, "/readyz to fail")
            redoubt.process.send_signal(signal.SIGINT)
            self.assertEqual(redoubt.process.wait(30), 0)


class Restarting(unittest.TestCase):
    @staticmethod
    def invalidate(redoubt):
        return redoubt.post("/api/v1/cache/invalidate", {"tags": ["t"]}).json["generation"]

    def test_everything_durable_is_there_again(self):
        with Server(env={"REDOUBT_LIMIT_STRICT": "3/1d burst 3 strict"}) as redoubt:
            session = redoubt.new_session("ada", data={"plan": "pro"})
            redoubt.request("PATCH", f"/api/v1/sessions/{session['id']}", {"data": {"seats": 2}})
            gone = redoubt.new_session("eve")
            redoubt.delete(f"/api/v1/sessions/{gone['id']}")
            tenant = redoubt.new_tenant("acme")
            spend = {"limits": [{"policy": "strict", "subject": "ada", "cost": 2}]}
            self.assertEqual(redoubt.post("/api/v1/limits/check", spend).status, 200)
            generation = self.invalidate(redoubt)
            first_key = redoubt.admin_key

            for stop in (redoubt.stop, redoubt.kill):
                stop()
                redoubt.start()
                welcome = "".join(redoubt.output)
                self.assertEqual(redoubt.admin_key, first_key)
                self.assertNotIn("shown this once", welcome)
                self.assertIn("redoubt new-admin-key", welcome)

            verified = redoubt.post("/api/v1/sessions/verify", {"token": session["token"]})
            self.assertEqual(verified.json["data"], {"plan": "pro", "seats": 2}, verified)
            self.assertEqual(
                redoubt.post("/api/v1/sessions/verify", {"token": gone["token"]}).status, 401)
            self.assertEqual(redoubt.get("/api/v1/keys", key=tenant).status, 200)
            self.assertEqual(redoubt.post("/api/v1/limits/check", spend).status, 429)
            self.assertGreater(self.invalidate(redoubt), generation)

    def test_a_lost_admin_key_is_replaced_while_it_is_stopped(self):
        with Server() as redoubt:
            running = redoubt.command("new-admin-key")
            self.assertNotEqual(running.returncode, 0)
            self.assertIn("is in use by process", running.stderr)
            redoubt.stop()
            made = redoubt.command("new-admin-key")
            self.assertEqual(made.returncode, 0, made.stderr)
            redoubt.start()
            self.assertEqual(redoubt.get("/api/v1/keys", key=made.stdout.strip()).status, 200)


class Certificates:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="redoubt-tls-")
        self.certificate = os.path.join(self.dir, "cert.pem")
        self.key = os.path.join(self.dir, "key.pem")

    def make(self, name):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                        "/CN=" + name, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                        "-keyout", self.key, "-out", self.certificate],
                       check=True, capture_output=True)
        with open(self.certificate) as file:
            return ssl.PEM_cert_to_DER_cert(file.read())

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)


class Tls(unittest.TestCase):
    def setUp(self):
        self.files = Certificates()
        self.addCleanup(self.files.remove)
        self.first = self.files.make("first")
        self.port = free_port()
        self.redoubt = Server(env={"REDOUBT_TLS_LISTEN": f"127.0.0.1:{self.port}",
                                   "REDOUBT_TLS_CERTIFICATE": self.files.certificate,
                                   "REDOUBT_TLS_KEY": self.files.key})
        self.addCleanup(self.redoubt.__exit__)

    def connect(self, **settings):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        for name, value in settings.items():
            setattr(context, name, value)
        return Raw(self.port, wrap=context.wrap_socket)

    def shown(self):
        with self.connect() as raw:
            return raw.socket.getpeercert(binary_form=True)

    def assert_live(self, raw):
        raw.send(b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual(raw.read(1)[0].status, 200)

    def logged(self, event):
        return wait_for(lambda: event in "".join(self.redoubt.errors + self.redoubt.output), event)

    def test_a_new_certificate_is_taken_up_and_old_connections_live(self):
        self.assertEqual(self.shown(), self.first)
        with self.connect() as old:
            self.assert_live(old)
            second = self.files.make("second")
            self.redoubt.process.send_signal(signal.SIGHUP)
            wait_for(lambda: self.shown() == second, "the second certificate")
            self.assert_live(old)

    def test_a_bad_certificate_is_refused_and_the_old_one_stays(self):
        with open(self.files.certificate, "w") as file:
            file.write("not a certificate")
        self.redoubt.process.send_signal(signal.SIGHUP)
        self.logged("tls.reload_refused")
        self.assertEqual(self.shown(), self.first)

    def test_old_protocols_are_refused(self):
        with self.connect(minimum_version=ssl.TLSVersion.TLSv1_2,
                          maximum_version=ssl.TLSVersion.TLSv1_2) as raw:
            self.assert_live(raw)
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            self.connect(minimum_version=ssl.TLSVersion.TLSv1,
                         maximum_version=ssl.TLSVersion.TLSv1_1)

    def test_a_body_over_many_records_is_read(self):
        body = b'{"user":"ada","data":{"x":"' + b"a" * 60_000 + b'"}}'
        with self.connect() as raw:
            raw.send(b"POST /api/v1/sessions HTTP/1.1\r\nHost: a\r\nContent-Type: application/json"
                     b"\r\nContent-Length: %d\r\nAuthorization: Bearer %s\r\n\r\n" %
                     (len(body), self.redoubt.admin_key.encode()) + body)
            self.assertEqual(raw.read(1)[0].status, 201)

    def test_the_commands_speak_it(self):
        url = f"https://localhost:{self.port}"
        trusting = self.redoubt.command("healthcheck", "--url", url, "--ca-file",
                                        self.files.certificate)
        self.assertEqual(trusting.returncode, 0, trusting.stderr)
        strict = self.redoubt.command("healthcheck", "--url", url)
        self.assertEqual(strict.returncode, 1, strict)


class KeyRingFile(unittest.TestCase):
    def setUp(self):
        self.keys = {name: secrets.token_hex(32) for name in ("one", "two", "three")}
        directory = tempfile.mkdtemp(prefix="redoubt-ring-")
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        self.path = os.path.join(directory, "ring")
        self.write("one")
        self.redoubt = Server(env={"TOKEN_ENCRYPTION_KEY_FILE": self.path,
                                   "REDOUBT_MODE": "production"})
        self.addCleanup(self.redoubt.__exit__)

    def write(self, *names):
        with open(self.path, "w") as file:
            file.write(",".join(f"{name}:{self.keys[name]}" for name in names) + "\n")

    def reload(self, event):
        before = "".join(self.redoubt.errors).count(event)
        self.redoubt.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "".join(self.redoubt.errors).count(event) > before, event)

    def ring(self):
        return self.redoubt.get("/api/v1/keyring").json["keys"]

    def verified(self, session):
        return self.redoubt.post("/api/v1/sessions/verify", {"token": session["token"]}).status

    def test_rotates_while_it_runs_and_logs_nobody_out(self):
        sessions = [self.redoubt.new_session(f"user-{i}", data={"i": i}) for i in range(50)]

        self.write("two", "one")
        self.reload("keys.reloaded")
        wait_for(lambda: [k["rows"] for k in self.ring() if not k["primary"]] == [0],
                 "every row to be sealed again")
        self.assertEqual({self.verified(session) for session in sessions}, {200})
        self.write("two")
        self.reload("keys.reload_refused")  # For a minute: writes may be on their way.
        self.assertIn("within 60 seconds of a rotation", "".join(self.redoubt.errors))
        self.redoubt.stop()
        self.redoubt.start()  # Nothing is on its way from before.
        self.assertEqual([key["primary"] for key in self.ring()], [True])
        self.assertEqual({self.verified(session) for session in sessions}, {200})

    def test_a_ring_without_a_needed_key_is_refused_and_the_old_one_stays(self):
        session = self.redoubt.new_session()
        self.write("three")
        self.reload("keys.reload_refused")
        self.assertEqual(self.verified(session), 200)
        self.assertEqual(self.redoubt.new_session()["user"], "ada")
        said = "".join(self.redoubt.errors + self.redoubt.output)
        self.assertFalse([name for name, key in self.keys.items() if key in said])

    def test_a_file_that_is_gone_or_broken_is_refused(self):
        session = self.redoubt.new_session()
        with open(self.path, "w") as file:
            file.write("one:abc")
        self.reload("keys.reload_refused")
        os.unlink(self.path)
        self.reload("keys.reload_refused")
        self.assertEqual(self.verified(session), 200)


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.redoubt = Server()
        cls.addClassCleanup(cls.redoubt.__exit__)

    def run_command(self, *arguments, status=0, **more):
        done = self.redoubt.command(*arguments, **more)
        self.assertEqual(done.returncode, status, done)
        return done

    def test_config_prints_each_value_and_where_it_came_from(self):
        said = self.run_command("config", "--set", "sessions.ttl=2h",
                                env={"CACHE_DEFAULT_TTL": "5m",
                                     "TOKEN_ENCRYPTION_KEY": secrets.token_hex(32)}).stdout
        lines = {line.split()[0]: line.split() for line in said.splitlines() if line.strip()}
        self.assertEqual(lines["sessions.ttl"][1], "2h")
        self.assertEqual(lines["sessions.ttl"][2], "flag")
        self.assertEqual(lines["cache.default_ttl"][1:3], ["5m", "environment"])
        self.assertIn("(CACHE_DEFAULT_TTL)", lines["cache.default_ttl"])
        self.assertEqual(lines["http.body_max"][1:3], ["1mb", "default"])
        self.assertEqual(lines["crypto.token_encryption_key"][1:3], ["set", "environment"])

    def test_call_calls_any_operation(self):
        session = json.loads(self.run_command("call", "sessions.create", "user=cli",
                                              'data={"plan":"pro"}', "idle_ttl=10m").stdout)
        self.assertEqual((session["user"], session["data"], session["idle_ttl"]),
                         ("cli", {"plan": "pro"}, 600))
        listed = json.loads(self.run_command("call", "sessions.list", "user=cli").stdout)
        self.assertEqual([s["id"] for s in listed["data"]], [session["id"]])
        self.run_command("call", "sessions.revoke", "id=" + session["id"])
        missing = self.run_command("call", "sessions.get", "id=" + session["id"], status=1)
        self.assertIn("the server answered 404", missing.stderr)

    def test_call_with_a_key_is_carried_out_once(self):
        call = ("call", "sessions.create", "user=keyed", "--idempotency-key", '"once only"')
        first = self.run_command(*call)
        self.assertEqual(self.run_command(*call).stdout, first.stdout)
        listed = json.loads(self.run_command("call", "sessions.list", "user=keyed").stdout)
        self.assertEqual(len(listed["data"]), 1)
        other = self.run_command("call", "sessions.create", "user=other", *call[3:], status=1)
        self.assertIn("idempotency_key_reused", other.stdout)
        for key in ("", "two words", "k" * 129):
            done = self.run_command(*call[:4], key, status=EX_USAGE)
            self.assertIn("--idempotency-key must", done.stderr)
            self.assertEqual(done.stdout, "", "nothing is sent")

    def test_call_says_what_was_probably_meant(self):
        self.assertIn("did you mean sessions.create?",
                      self.run_command("call", "sessions.creat", status=EX_USAGE).stderr)
        self.assertIn("did you mean user?",
                      self.run_command("call", "sessions.create", "usr=a", status=EX_USAGE).stderr)
        self.assertIn("user=TEXT", self.run_command("call", "sessions.create", "--describe").stdout)

    def test_unknown_options_and_commands_say_what_was_probably_meant(self):
        self.assertIn("did you mean healthcheck?",
                      self.run_command("healthchek", status=EX_USAGE).stderr)
        self.assertIn("did you mean --config?",
                      self.run_command("serve", "--confg", "x", status=EX_USAGE).stderr)

    def test_call_without_a_key_says_where_to_put_it(self):
        done = self.run_command("call", "sessions.list", "user=a", env={"REDOUBT_API_KEY": ""},
                                status=EX_USAGE)
        self.assertIn("REDOUBT_API_KEY", done.stderr)

    def test_keys_and_audit(self):
        self.assertEqual(len(json.loads(self.run_command("keys", "status").stdout)["keys"]), 1)
        rotated = json.loads(self.run_command("keys", "rotate").stdout)["keys"]
        self.assertEqual([key["primary"] for key in rotated], [True, False])
        self.assertTrue(json.loads(self.run_command("audit", "verify").stdout)["intact"])

    def test_lists_and_documents(self):
        listed = self.run_command("operations").stdout
        served = self.redoubt.get("/openapi.json", key=None).json
        printed = json.loads(self.run_command("openapi").stdout)
        self.assertEqual(printed, served)
        for methods in served["paths"].values():
            for operation in methods.values():
                self.assertIn(operation["operationId"], listed)

    def test_healthcheck_is_for_containers(self):
        self.assertIn("readyz check passed", self.run_command("healthcheck").stdout)
        away = self.run_command("healthcheck", "--url", f"http://127.0.0.1:{free_port()}", status=1)
        self.assertIn("Connection refused", away.stderr)

    def test_version(self):
        self.assertRegex(self.run_command("version").stdout, r"^redoubt \d+\.\d+\.\d+")
        self.assertEqual(self.run_command("version").stdout, self.run_command("--version").stdout)


if __name__ == "__main__":
    unittest.main()
