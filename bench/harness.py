"""What bench/run measures with: servers it starts and stops, the CPU time they used, and load."""

import contextlib
import glob
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
TICK = os.sysconf("SC_CLK_TCK")
UNITS_MS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
# Cores that the rest of the machine may use during a measurement before it is taken again.
QUIET = 0.15
STOP_PATIENCE = 10
# A limit that admits whatever a benchmark sends.
WIDE = "1000000000/1s burst 1000000000 gcra"
# The same at a whole number of microseconds each, as 60 a minute is.
WIDE_WHOLE = "1000000/1s burst 1000000000 gcra"
UPSTASH_TOKEN = "bench-token-of-no-secret"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def busy_seconds():
    """CPU seconds that the whole machine has worked: neither idle, nor waiting, nor stolen."""
    fields = [int(x) for x in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]]
    return (sum(fields) - fields[3] - fields[4]) / TICK


def children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Quiet:
    """Waits for the rest of the machine to calm down, for so many seconds in a whole run."""

    def __init__(self, patience):
        self.patience = patience

    def wait(self, longest=3):
        started = time.monotonic()
        while self.patience > 0 and time.monotonic() - started < longest:
            before, since = busy_seconds(), time.monotonic()
            time.sleep(0.2)
            elapsed = time.monotonic() - since
            if (busy_seconds() - before) / elapsed < QUIET:
                return
            self.patience -= elapsed


class Server:
    """A process that listens on a port of 127.0.0.1."""

    def __init__(self, name, argv, port, env=None, cwd=None, output=subprocess.DEVNULL):
        self.name, self.port = name, port
        self.started = time.monotonic()
        self.process = subprocess.Popen([str(a) for a in argv], cwd=cwd, stdin=subprocess.DEVNULL,
                                        env={**os.environ, **(env or {})}, stdout=output,
                                        stderr=subprocess.DEVNULL)

    def pids(self):
        pid = self.process.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def cpu_seconds(self):
        """What the scheduler has counted for every thread, in nanoseconds and not in ticks."""
        files = [f for pid in self.pids() for f in glob.glob(f"/proc/{pid}/task/*/schedstat")]
        return sum(int(pathlib.Path(f).read_text().split()[0]) for f in files) / 1e9

    def pss_bytes(self):
        """Memory of its own plus its share of what it has in common with other processes."""
        total = 0
        for pid in self.pids():
            rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(re.search(r"^Pss:\s+(\d+)", rollup, re.M)[1]) * 1024
        return total

    def rss_bytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+)", status, re.M)[1]) * 1024

    def wait(self, path="/livez", patience=30):
        """Seconds from the start to the first answer of 200."""
        request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode()
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise SystemExit(f"{self.name} exited with {self.process.returncode}")
            with contextlib.suppress(OSError), \
                    socket.create_connection(("127.0.0.1", self.port)) as client:
                client.sendall(request)
                if client.recv(64).startswith(b"HTTP/1.1 200"):
                    return time.monotonic() - self.started
            time.sleep(0.0005)
        raise SystemExit(f"{self.name} did not answer within {patience} s")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            print(f"{self.name} had to be killed", file=sys.stderr)
            self.process.kill()
            self.process.wait()


class Redoubt(Server):
    """A server of ours over a data directory; the first start there leaves its admin key behind."""

    def __init__(self, binary, data, workers=1, name="redoubt", **settings):
        data.mkdir(parents=True, exist_ok=True)
        port = free_port()
        env = {k: v for k, v in os.environ.items() if not k.startswith(("REDOUBT_", "RATE_LIMIT"))}
        env.update({"REDOUBT_DATA_DIR": str(data), "REDOUBT_LISTEN": f"127.0.0.1:{port}",
                    "REDOUBT_WORKER_THREADS": str(workers), "REDOUBT_LIMIT_WIDE": WIDE, **settings})
        self.data, self.key_file = data, data / "bench.key"
        with open(data / "bench.out", "w") as output:
            super().__init__(name, [binary, "serve"], port, env=env, cwd=data, output=output)

    def key(self):
        """Printed once, by the first start over this data, when it is up."""
        self.wait("/readyz")
        deadline = time.monotonic() + 5
        while not self.key_file.exists():
            found = re.search(r"rdk_\w+", (self.data / "bench.out").read_text())
            if found:
                self.key_file.write_text(found[0])
            elif time.monotonic() > deadline:
                raise SystemExit("no admin key was printed")
            time.sleep(0.01)
        return self.key_file.read_text()

    def call(self, method, path, body=None, token=None, content_type="application/json"):
        data = json.dumps(body).encode() if content_type == "application/json" and body else body
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data, method=method,
            headers={"Authorization": f"Bearer {token or self.key()}",
                     "Content-Type": content_type})
        with urllib.request.urlopen(request) as answer:
            return answer.read()


class Redis(Server):
    """A redis-server that keeps nothing on disk, and what it has counted."""

    def __init__(self, work, program="redis-server", patience=10):
        if not shutil.which(program):
            raise SystemExit("redis-server is needed: apt-get install redis-server")
        port = free_port()
        super().__init__("redis", [program, "--port", port, "--bind", "127.0.0.1", "--save", "",
                                   "--appendonly", "no", "--dir", work], port)
        deadline = time.monotonic() + patience
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port))
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise SystemExit("redis-server does not listen") from None
                time.sleep(0.01)
        self.replies = self.socket.makefile("rb")

    def ask(self, *words):
        """The reply to one command: a bulk string, or the line it is."""
        parts = [str(w).encode() for w in words]
        self.socket.sendall(b"*%d\r\n" % len(parts)
                            + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
        line = self.replies.readline().decode().strip()
        if not line.startswith("$"):
            return line
        return self.replies.read(int(line[1:]) + 2)[:-2].decode()

    def counted(self):
        """Commands and reads since the start; each look is two commands in two reads."""
        stats = self.ask("INFO", "stats")
        return {name: int(re.search(rf"^total_{name}_processed:(\d+)", stats, re.M)[1])
                for name in ("commands", "reads")}

    def stop(self):
        self.replies.close()
        self.socket.close()
        super().stop()


def raw_request(method, path, credential, body="", value=""):
    """A request whose "{value}" will be as long as `value`, for bench/load.hpp and bench/wrk."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {credential}"]
    if body:
        lines += ["Content-Type: application/json",
                  f"Content-Length: {len(body.replace('{value}', value))}"]
    return "\r\n".join(lines) + "\r\n\r\n" + body


def behind_redis(redis, upstash_port):
    """Settings of a server whose workers answer nothing from memory, so that Redis is asked."""
    return {"REDIS_URL": f"redis://127.0.0.1:{redis.port}", "SESSION_STORAGE": "hybrid",
            "REDOUBT_SESSION_CACHE_SIZE": "0", "CACHE_MEMORY_SIZE": "1", "CACHE_DEFAULT_TTL": "1d",
            "REDOUBT_LIMIT_WIDE": WIDE_WHOLE, "REDOUBT_LIMIT_SECOND": WIDE_WHOLE,
            "REDOUBT_LIMIT_THIRD": WIDE_WHOLE,
            "REDOUBT_UPSTASH_ADDR": f"127.0.0.1:{upstash_port}",
            "REDOUBT_UPSTASH_TOKENS": f"read_only:{UPSTASH_TOKEN}"}


def gate_body(token, *limits):
    """A question to the gate with a limit for each (policy, by)."""
    asked = ",".join(f'{{"policy":"{policy}","by":"{by}"}}' for policy, by in limits)
    return f'{{"token":"{token}","route":"chat","address":"10.0.0.1","limits":[{asked}]}}'


class Tools:
    """The programs of the bench preset, and the scratch directory."""

    def __init__(self, build, work, quiet, needed=("floor", "rate", "replay", "record_bench")):
        self.build, self.work, self.quiet = pathlib.Path(build), pathlib.Path(work), quiet
        missing = [name for name in needed if not self.path(name).exists()]
        if missing:
            raise SystemExit(f"{', '.join(missing)} not in {self.build}/bench; build them with: "
                             "cmake --preset bench && cmake --build --preset bench")
        if not shutil.which("wrk"):
            raise SystemExit("wrk is needed: apt-get install wrk")

    def path(self, name):
        return self.build / "bench" / name

    def file(self, name, text):
        path = self.work / name
        path.write_text(text)
        return path

    def floor(self, threads, answer_bytes):
        port = free_port()
        server = Server("floor", [self.path("floor"), port, threads, answer_bytes], port)
        server.wait()
        return server

    def nginx(self, body_bytes):
        if not shutil.which("nginx"):
            return None
        port = free_port()
        config = self.file("nginx.conf", f"""
            daemon off; worker_processes 1; pid {self.work}/nginx.pid; error_log /dev/null;
            events {{ worker_connections 4096; }}
            http {{
              access_log off; keepalive_requests 1000000000; default_type application/json;
              server {{ listen 127.0.0.1:{port}; return 200 "{'x' * body_bytes}"; }}
            }}""")
        server = Server("nginx", ["nginx", "-c", config, "-e", "/dev/null"], port)
        server.wait()
        return server

    def replay(self, server, template, values, field="", connections=256):
        argv = [self.path("replay"), server.port, connections, template, values]
        return subprocess.run([str(a) for a in argv + ([field] if field else [])], check=True,
                              text=True, stdout=subprocess.PIPE).stdout

    def bare_commits(self, seconds, rows_per_commit):
        argv = [self.path("record_bench"), "--bare", self.work, seconds, rows_per_commit]
        return float(subprocess.check_output([str(a) for a in argv], text=True))


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * UNITS_MS[unit]


def wrk(tools, server, template, values, seconds):
    """Closed loop: 64 connections, each asks again when it is answered."""
    argv = ["wrk", "-t2", "-c64", f"-d{seconds}s", "--latency", "-s", HERE / "wrk/values.lua",
            f"http://127.0.0.1:{server.port}/", "--", template, *([values] if values else [])]
    out = subprocess.check_output([str(a) for a in argv], text=True)
    bad = sum(int(n) for n in re.findall(r"Non-2xx or 3xx responses: (\d+)", out))
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
    return {"requests": int(re.search(r"(\d+) requests in", out)[1]),
            "per_second": float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1]),
            "bad": bad + sum(map(int, errors.groups()) if errors else []),
            "p50_ms": milliseconds(re.search(r"^\s+50%\s+(\S+)", out, re.M)[1]),
            "p99_ms": milliseconds(re.search(r"^\s+99%\s+(\S+)", out, re.M)[1])}


def open_loop(rate, connections=64):
    def load(tools, server, template, values, seconds):
        argv = [tools.path("rate"), server.port, connections, rate, seconds, template,
                *([values] if values else [])]
        got = json.loads(subprocess.check_output([str(a) for a in argv], text=True))
        got["bad"] += got.pop("unanswered")
        got["per_second"] = got["requests"] / got["seconds"]
        return got
    return load


def measure_once(tools, case, seconds):
    tools.quiet.wait()
    busy, mine, server = busy_seconds(), children_seconds(), case.server.cpu_seconds()
    started = time.monotonic()
    sample = case.load(tools, case.server, case.template, case.values, seconds)
    elapsed = time.monotonic() - started
    server = case.server.cpu_seconds() - server
    others = busy_seconds() - busy - (children_seconds() - mine) - server
    sample["cpu_us"] = server * 1e6 / max(1, sample["requests"])
    sample["others"] = max(0.0, others / elapsed)
    return sample


class Case:
    """One kind of request to one server, with the samples taken of it."""

    def __init__(self, name, server, template, values=None, load=wrk, floor=None,
                 goal=None):
        self.name, self.server, self.template, self.values = name, server, template, values
        self.load, self.floor, self.goal = load, floor, goal
        self.samples = []

    def sample(self, tools, seconds):
        """Takes a sample, or two when others kept the machine busy: then the quieter one counts."""
        sample = measure_once(tools, self, seconds)
        if sample["others"] > QUIET and tools.quiet.patience > 0:
            tools.quiet.patience -= seconds
            sample = min(sample, measure_once(tools, self, seconds), key=lambda s: s["others"])
        self.samples.append(sample)

    def median(self, what):
        return statistics.median(s[what] for s in self.samples)

    def ratio_to(self, other):
        """Of CPU time, round by round, so that what slows the machine slows both."""
        pairs = zip(self.samples, other.samples)
        return statistics.median(a["cpu_us"] / b["cpu_us"] for a, b in pairs)
