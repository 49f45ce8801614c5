"""A real redoubt process on a free port, with a data directory of its own, ended by pid."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get("REDOUBT_BINARY", os.path.join(ROOT, "build", "release", "redoubt"))
PATIENCE = 30.0  # Seconds until a wait is a failure; nothing is decided by less.


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, what):
    """Waits for an event, not for time; fails when it does not come."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited {PATIENCE:.0f} s for {what}")


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


class Server:
    """with Server(env={...}) as redoubt: redoubt.post("/api/v1/sessions", {"user": "ada"})"""

    def __init__(self, env=None, data_dir=None, arguments=(), tls=False, port=None, start=True):
        self.port = port or free_port()
        self.own_dir = data_dir is None
        self.data_dir = data_dir or tempfile.mkdtemp(prefix="redoubt-e2e-")
        self.env = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": self.data_dir,
            "REDOUBT_DATA_DIR": self.data_dir,
            "REDOUBT_LISTEN": f"127.0.0.1:{self.port}",
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

    def start(self, expect_up=True):
        self.output, self.errors = [], []
        self.process = subprocess.Popen(
            [BINARY, "serve", *self.arguments], env=self.env, cwd=self.data_dir,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.readers = [self._collect(self.process.stdout, self.output),
                        self._collect(self.process.stderr, self.errors)]
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
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
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

    def send_raw(self, data, until_closed=True):
        """Bytes as they are; returns what came back before the server closed or fell silent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as raw:
            raw.sendall(data)
            if not until_closed:
                return raw.recv(65536)
            received = b""
            while chunk := raw.recv(65536):
                received += chunk
            return received

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
