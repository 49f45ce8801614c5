"""Instances of redoubt on one PostgreSQL and one Redis of some shape."""

import os
import secrets
import shutil
import tempfile

from backing import Postgres
from load import READ, SPEND, Tenant
from proxy import Proxy
from server import Server, wait_for
from shapes import Single

INSTANCES = 3
OTHER_TENANT = "other"

# Few enough that the soft limit refuses under load; the strict one counts, and nothing comes back.
SOFT = {"limit": 120, "period": 60.0, "burst": 20}
LIMITS = {
    f"REDOUBT_LIMIT_{READ.upper()}": "120/1m burst 20",
    f"REDOUBT_LIMIT_{SPEND.upper()}": "1000000/366d fixed_window strict",
}


class Instance(Server):
    def status_of(self, dependency):
        return self.get("/status", key=None).json[dependency]

    def redis_state(self):
        try:
            return self.status_of("redis")["state"]
        except OSError:
            return "gone"

    def census(self):
        """What the process holds; None when it is gone."""
        pid = self.process.pid
        try:
            with open(f"/proc/{pid}/status", encoding="utf-8") as file:
                status = dict(line.split(":", 1) for line in file)
            return {"fds": len(os.listdir(f"/proc/{pid}/fd")), "threads": int(status["Threads"]),
                    "rss": int(status["VmRSS"].split()[0]) * 1024}
        except (OSError, KeyError):
            return None

    def log(self):
        return "".join(self.errors + self.output)


class Fleet:
    """`shape`: makes what Redis is; `database_proxies`: one in front of PostgreSQL for each instance;
    `network`: every part on a host of its own; `env`: of all instances, `env_of(i)` of one; `ring`:
    the key comes from a file, `directory`/ring."""

    def __init__(self, shape=Single, instances=INSTANCES, database_proxies=False, network=None,
                 env=None, env_of=None, postgres=None, ring=False):
        self.closing = []
        self.network = network
        self.directory = tempfile.mkdtemp(prefix="redoubt-lab-")
        self.closing.append(lambda: shutil.rmtree(self.directory, ignore_errors=True))
        try:
            place = self._place("pg")
            self.postgres = postgres(**place) if postgres else Postgres(**place)
            self.closing.append(self.postgres.__exit__)
            self.shape = shape()
            self.closing.append(self.shape.close)
            self.database_proxies = []
            if database_proxies:
                target = (self.postgres.host, self.postgres.port)
                self.database_proxies = [Proxy(target) for _ in range(instances)]
                for proxy in self.database_proxies:
                    self.closing.append(proxy.close)
            self.encryption_key = secrets.token_hex(32)
            self.env, self.env_of = dict(env or {}), env_of or (lambda _: {})
            self.env.update(self._key(ring))
            self.instances = []
            for number in range(instances):
                self.instances.append(self._instance(number))
                self.closing.append(self.instances[-1].__exit__)
            self._make_tenants()
            self.until_normal()
        except BaseException:
            self.close()
            raise

    def _place(self, name):
        if not self.network:
            return {}
        return {"host": self.network.host(name), "prefix": self.network.prefix(name)}

    def _key(self, in_file):
        if not in_file:
            return {"TOKEN_ENCRYPTION_KEY": self.encryption_key}
        path = os.path.join(self.directory, "ring")
        with open(path, "w", encoding="utf-8") as file:
            file.write("old:" + self.encryption_key)
        return {"TOKEN_ENCRYPTION_KEY_FILE": path}

    def _database_url(self, number):
        if self.database_proxies:
            return f"postgresql://redoubt@127.0.0.1:{self.database_proxies[number].port}/postgres"
        # Another host is spoken to over TLS unless told otherwise.
        return self.postgres.url + ("?sslmode=disable" if self.network else "")

    def _instance(self, number):
        env = {"DATABASE_URL": self._database_url(number), **self.shape.env(number), **LIMITS,
               "REDOUBT_WORKER_THREADS": "2", "SESSION_STORAGE": "redis", "RATE_LIMIT_ENABLED": "false",
               "REDOUBT_LOG_FORMAT": "json", **self.env, **self.env_of(number)}
        instance = Instance(env=env, **self._place(f"i{number}"))
        if number:
            instance.admin_key = self.instances[0].admin_key
        return instance

    def _make_tenants(self):
        first = self.instances[0]
        self.tenants = [Tenant("default", first.admin_key),
                        Tenant(OTHER_TENANT, first.new_tenant(OTHER_TENANT))]

    @property
    def redis(self):
        """Of a shape with one server."""
        return self.shape.redis

    @property
    def proxies(self):
        """In front of Redis, one for each instance."""
        return self.shape.proxies

    def addresses(self):
        return [(i.host, i.port) for i in self.instances]

    def states(self):
        return [i.redis_state() for i in self.instances]

    def is_normal(self):
        return all(state == "normal" for state in self.states())

    def until_normal(self):
        """Waits until every instance uses Redis."""
        wait_for(self.is_normal, lambda: f"Redis to be used by every instance: {self.states()}")

    def secrets(self):
        return [self.encryption_key, *(t.key for t in self.tenants[1:])]

    def close(self):
        for close in reversed(self.closing):
            close()
        self.closing.clear()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
