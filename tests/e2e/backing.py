"""Real redis-server and PostgreSQL processes for a test: on free ports of 127.0.0.1, in temporary
directories, ended by pid."""

import glob
import os
import shutil
import signal
import socket
import subprocess
import tempfile

from server import free_port, wait_for


class Redis:
    """with Redis("requirepass x") as redis: redis.url"""

    def __init__(self, *lines, port=None, host="127.0.0.1", prefix=(), env=None, mode=(),
                 directory=None):
        """`prefix`: a command that runs it, as `ip netns exec` does; `mode`: as in --sentinel."""
        self.host = host
        self.prefix, self.env, self.mode = list(prefix), env, list(mode)
        self.port = port or free_port()
        self.directory = directory or tempfile.mkdtemp(prefix="redoubt-redis-")
        self.lines = lines
        self.process = None
        self.start()

    @property
    def url(self):
        return f"redis://{self.host}:{self.port}"

    def start(self):
        self.launch()
        wait_for(self._answers, "redis-server")
        return self

    def launch(self):
        """Without waiting for it."""
        path = os.path.join(self.directory, "redis.conf")
        if not (self.mode and os.path.exists(path)):  # A Sentinel keeps what it knows in there.
            with open(path, "w") as file:
                file.write(f"port {self.port}\nbind {self.host}\ndir {self.directory}\n")
                file.writelines(["save \"\"\n"] if not self.mode else [])
                file.writelines(line + "\n" for line in self.lines)
        self.process = subprocess.Popen([*self.prefix, "redis-server", path, *self.mode],
                                        stdout=subprocess.DEVNULL, env=self.env)

    def _answers(self):
        try:
            with socket.create_connection((self.host, self.port), timeout=1) as probe:
                probe.sendall(b"PING\r\n")
                return probe.recv(64)[:1] in (b"+", b"-")
        except OSError:
            return False

    def cli(self, *arguments):
        done = subprocess.run(["redis-cli", "-h", self.host, "-p", str(self.port), *arguments], errors="replace",
                              capture_output=True, timeout=30, check=True)
        return done.stdout.strip()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


class Postgres:
    """with Postgres() as postgres: postgres.url. The server's role there owns its database and is no
    superuser, as where it is deployed. PostgreSQL refuses to run as root; then it runs as the account
    that its package made."""

    def __init__(self, host="127.0.0.1", prefix=(), settings=(), directory=None, env=None):
        """`prefix`: a command that runs it, as `ip netns exec` does."""
        self.host, self.settings, self.env = host, list(settings), env
        self.prefix = list(prefix)
        self.port = free_port()
        self.directory = directory or tempfile.mkdtemp(prefix="redoubt-postgres-")
        self.account = {"user": "postgres"} if os.geteuid() == 0 else {}
        if self.account:
            shutil.chown(self.directory, "postgres")
        self.data = os.path.join(self.directory, "data")
        self.bin = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        subprocess.run([f"{self.bin}/initdb", "-D", self.data, "-U", "postgres", "-A", "trust",
                        "-E", "UTF8", "--locale=C", "--no-sync"], check=True, cwd=self.directory,
                       stdout=subprocess.DEVNULL, **self.account)
        if self.host != "127.0.0.1":
            with open(f"{self.data}/pg_hba.conf", "a") as file:
                file.write("host all all samenet trust\n")
        self.process = None
        self.start()
        self.sql("CREATE ROLE redoubt LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB")
        self.sql("ALTER DATABASE postgres OWNER TO redoubt")

    @property
    def url(self):
        return self._url("redoubt")

    def _url(self, role):
        return f"postgresql://{role}@{self.host}:{self.port}/postgres"

    def start(self):
        # Entering a namespace is root's; becoming the account is the last step there.
        account = {} if self.prefix else self.account
        become = (["setpriv", "--reuid", "postgres", "--regid", "postgres", "--init-groups"]
                  if self.prefix and self.account else [])
        self.process = subprocess.Popen(
            [*self.prefix, *become, f"{self.bin}/postgres", "-D", self.data, "-p", str(self.port),
             "-k", self.directory, "-c", f"listen_addresses={self.host}",
             "-c", "max_connections=200", "-c", "log_min_messages=fatal",
             *(part for setting in self.settings for part in ("-c", setting))],
            cwd=self.directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=self.env,
            **account)
        ready = [f"{self.bin}/pg_isready", "-q", "-h", self.host, "-p", str(self.port)]
        wait_for(lambda: subprocess.run(ready).returncode == 0, "PostgreSQL")
        return self

    def sql(self, text, role="postgres"):
        """As the superuser, who sees all rows, unless it is said otherwise."""
        done = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-c", text, self._url(role)],
                              text=True, capture_output=True, timeout=30, check=True)
        return done.stdout.strip()

    def stop(self):
        """At once, as a crash of the machine would."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
