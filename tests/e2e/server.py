"""A real redoubt process on a free port, with a data directory of its own, ended by pid."""

import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get("REDOUBT_BINARY", os.path.join(ROOT, "build", "release", "redoubt"))
PATIENCE = 120.0  # Seconds until a wait is a failure; nothing is decided by less.


def free_port():
    """Below those that the kernel gives to connections (32,768): while a server is down, one of them
    could else have its port, even one to that very port, which then talks to itself. And none of
    those that tests/support/free_port.hpp gives out."""
    while True:
        port = random.randrange(10_000, 15_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def wait_for(condition, what):
    """Waits for an event, not for time; fails when it does not come. `what` may be a function, which
    is asked in the end."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited {PATIENCE:.0f} s for {what() if callable(what) else what}")


def forged_of(token):
    """The token with another last character, whichever it has."""
    return token[:-1] + ("y" if token[-1] == "x" else "x")


class Reply:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:400]!r}>"


def replies_in(data):
    """The replies in a byte stream, and what is left of it after the last whole one. Every reply of
    the server announces its length."""
    replies = []
    while True:
        head_end = data.find(b"\r\n\r\n")
        if head_end < 0:
            return replies, data
        lines = data[:head_end].decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = http.client.HTTPMessage()
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name] = value.strip()
        length = int(headers.get("Content-Length", "0"))
        end = head_end + 4 + length
        if len(data) < end:
            return replies, data
        replies.append(Reply(status, headers, data[head_end + 4:end].decode("utf-8", "replace")))
        data = data[end:]


class Raw:
    """A connection that sends bytes as they are."""

    def __init__(self, port, wrap=None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        if wrap:
            self.socket = wrap(self.socket)
        self.rest = b""

    def send(self, data):
        """False when the server has hung up, as it may on what it does not like."""
        try:
            self.socket.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError):
            return False

    def send_beside(self, data):
        """Sends from a thread, so that this one can read what comes back meanwhile."""
        thread = threading.Thread(target=self.send, args=(data,), daemon=True)
        thread.start()
        return thread

    def read(self, count):
        """So many replies; fewer when the server closes first."""
        replies = []
        while len(replies) < count:
            found, self.rest = replies_in(self.rest)
            replies += found
            if len(replies) < count and not self._receive():
                break
        return replies

    def read_to_end(self):
        """All replies until the server closes; fails when it neither answers nor closes."""
        while self._receive():
            pass
        replies, self.rest = replies_in(self.rest)
        return replies

    def _receive(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            return False
        except TimeoutError as silence:
            raise AssertionError(f"neither an answer nor the end in {PATIENCE:.0f} s") from silence
        self.rest += data
        return bool(data)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Server:
    """with Server(env={...}) as redoubt: redoubt.post("/api/v1/sessions", {"user": "ada"})"""

    def __init__(self, env=None, data_dir=None, arguments=(), tls=False, port=None, start=True,
                 host="127.0.0.1", prefix=()):
        """`prefix`: a command that runs the server, as `ip netns exec` does."""
        self.host = host
        self.prefix = list(prefix)
        self.port = port or free_port()
        self.own_dir = data_dir is None
        self.data_dir = data_dir or tempfile.mkdtemp(prefix="redoubt-e2e-")
        self.env = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": self.data_dir,
            "REDOUBT_DATA_DIR": self.data_dir,
            "REDOUBT_LISTEN": f"{host}:{self.port}",
            "REDOUBT_WORKER_THREADS": "2",
            "RATE_LIMIT_REQUESTS_PER_MINUTE": "60",
        }
        # What the sanitizers of an instrumented binary are told.
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.env.update(env or {})
        self.arguments = list(arguments)
        self.process = None
        self.output = []
        self.errors = []
        self.admin_key = None
        if start:
            self.start()

    def start(self, expect_up=True, errors=subprocess.PIPE):
        """`errors`: where its log goes, when it is not to be kept here."""
        self.output, self.errors = [], []
        self.process = subprocess.Popen(
            [*self.prefix, BINARY, "serve", *self.arguments], env=self.env, cwd=self.data_dir,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True)
        self.readers = [self._collect(stream, lines) for stream, lines in
                        ((self.process.stdout, self.output), (self.process.stderr, self.errors))
                        if stream]
        if not expect_up:
            return self
        wait_for(lambda: self._up() or self.process.poll() is not None, "the server to be up")
        if self.process.poll() is not None:
            self._join()
            raise AssertionError("the server ended: " + "".join(self.errors + self.output))
        wait_for(lambda: "Ctrl-C" in "".join(self.output), "the welcome")
        found = re.search(r"rdk_[0-9A-Za-z]+_[0-9A-Za-z]+_[0-9A-Za-z]+", "".join(self.output))
        if found:
            self.admin_key = found.group(0)
        return self

    def _collect(self, stream, lines):
        def run():
            for line in stream:
                lines.append(line)
            stream.close()
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def _join(self):
        for reader in self.readers:
            reader.join(PATIENCE)

    def _up(self):
        try:
            return self.request("GET", "/startupz", key=None).status == 200
        except OSError:
            return False

    def request(self, method, path, body=None, key="admin", headers=None):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)
        sent = dict(headers or {})
        if key == "admin":
            key = self.admin_key
        if key:
            sent.setdefault("Authorization", "Bearer " + key)
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, body=body, headers=sent)
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read().decode("utf-8", "replace"))
        finally:
            connection.close()

    def get(self, path, **more):
        return self.request("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.request("POST", path, {} if body is None else body, **more)

    def delete(self, path, **more):
        return self.request("DELETE", path, **more)

    def connect(self):
        return Raw(self.port)

    def new_key(self, role, scopes=None, by="admin", **fields):
        """The token of a new API key."""
        body = {"role": role, "name": "a test's " + role, **fields}
        if scopes is not None:
            body["scopes"] = list(scopes)
        reply = self.post("/api/v1/keys", body, key=by)
        assert reply.status == 201, reply
        return reply.json["token"]

    def new_tenant(self, identifier):
        """The token of an admin key of a new tenant."""
        reply = self.post("/api/v1/tenants", {"id": identifier})
        assert reply.status == 201, reply
        return self.new_key("admin", tenant=identifier)

    def metric(self, name, **labels):
        """The sum of a metric's samples that carry these labels."""
        total = 0.0
        for line in self.get("/metrics", key=None).body.splitlines():
            found = re.fullmatch(r"([a-zA-Z_:]+)(?:\{(.*)\})? (\S+)", line)
            if found and found.group(1) == name and all(
                    f'{key}="{value}"' in (found.group(2) or "") for key, value in labels.items()):
                total += float(found.group(3))
        return total

    def state(self):
        """The process's state as the kernel calls it: R, S, T when stopped, ..."""
        with open(f"/proc/{self.process.pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0]

    def memory_peak(self):
        """The most memory the process has ever held, in bytes."""
        with open(f"/proc/{self.process.pid}/status") as file:
            return int(re.search(r"VmHWM:\s+(\d+) kB", file.read()).group(1)) * 1024

    def new_session(self, user="ada", **fields):
        reply = self.post("/api/v1/sessions", {"user": user, **fields})
        assert reply.status == 201, reply
        return reply.json

    def command(self, *arguments, env=None, **more):
        """The binary's other commands, against this server."""
        full = {**self.env, "REDOUBT_URL": f"http://127.0.0.1:{self.port}", **(env or {})}
        if self.admin_key:
            full.setdefault("REDOUBT_API_KEY", self.admin_key)
        return subprocess.run([BINARY, *arguments], env=full, cwd=self.data_dir, text=True,
                              capture_output=True, timeout=PATIENCE * 2, **more)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
            self._join()

    def stop(self):
        """SIGTERM; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE * 2)
        self._join()
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        if self.own_dir:
            shutil.rmtree(self.data_dir, ignore_errors=True)


class ServerTest(unittest.TestCase):
    """Tests that share one server."""

    env = {}

    @classmethod
    def setUpClass(cls):
        cls.redoubt = Server(env=cls.env)
        cls.addClassCleanup(cls.redoubt.__exit__)

    def assert_problem(self, reply, *statuses):
        self.assertIn(reply.status, statuses, reply)
        self.assertEqual(reply.headers["Content-Type"], "application/problem+json", reply)
        for member in ("status", "title", "code", "detail", "request_id"):
            self.assertIn(member, reply.json, reply)
        self.assertEqual(reply.json["status"], reply.status)
