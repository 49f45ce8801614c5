"""Where Redis may be: one server, behind Sentinels, or a cluster. Each is real processes on free
ports; `env(instance)` is what an instance is told."""

import subprocess

from backing import Redis
from rest import RestService
from server import free_port, wait_for

OPEN = "protected-mode no"  # In a namespace nobody else is there.


def contents(*servers):
    """What somebody who looks into Redis sees of ours: keys and values."""
    found = []
    for server in servers:
        keys = server.cli("--scan", "--pattern", "rd:*").splitlines()
        asked = "".join(f"get {key}\n" for key in keys)
        values = subprocess.run(["redis-cli", "-h", server.host, "-p", str(server.port)],
                                input=asked.encode(), capture_output=True, check=True).stdout
        found += [*keys, values.decode("utf-8", "replace")]
    return "\n".join(found)


class Single:
    """`through`: proxies, one for each instance, that stand in front of it."""

    def __init__(self, *lines, proxy=None, **place):
        self.redis = Redis(OPEN, *lines, **place)
        self.servers = [self.redis]
        self.proxies = []
        self.proxy = proxy

    def env(self, instance):
        if self.proxy is None:
            return {"REDIS_URL": self.redis.url}
        while len(self.proxies) <= instance:
            self.proxies.append(self.proxy((self.redis.host, self.redis.port)))
        return {"REDIS_URL": f"redis://127.0.0.1:{self.proxies[instance].port}"}

    def keys(self):
        return contents(self.redis)

    def close(self):
        for proxy in self.proxies:
            proxy.close()
        for server in self.servers:
            server.__exit__()


class OverHttp(Single):
    """A Redis that is reached over HTTP alone (rest.py)."""

    TOKEN = "the-token-of-the-rest-service"

    def __init__(self):
        super().__init__()
        self.service = RestService((self.redis.host, self.redis.port), self.TOKEN)

    def env(self, _instance):
        return {"UPSTASH_REDIS_REST_URL": f"http://127.0.0.1:{self.service.port}",
                "UPSTASH_REDIS_REST_TOKEN": self.TOKEN}

    def close(self):
        self.service.close()
        super().close()


class Sentinel:
    """A master, two replicas and three Sentinels, which fail over about 2.5 s after a death."""

    def __init__(self, network=None, min_replicas=0):
        def place(name):
            return {"host": network.host(name), "prefix": network.prefix(name)} if network else {}

        lines = [OPEN, "repl-diskless-sync-delay 0", f"min-replicas-to-write {min_replicas}",
                 "min-replicas-max-lag 1"]
        master = Redis(*lines, **place("r1"))
        at_master = f"replicaof {master.host} {master.port}"
        replicas = [Redis(*lines, at_master, **place(name)) for name in ("r2", "r3")]
        self.data = [master, *replicas]
        monitor = f"sentinel monitor main {master.host} {master.port} 2"
        self.sentinels = [
            Redis(OPEN, monitor, "sentinel down-after-milliseconds main 1000",
                  "sentinel failover-timeout main 5000", mode=["--sentinel"], **place(f"s{i}"))
            for i in range(3)]
        self.servers = [*self.data, *self.sentinels]
        wait_for(self._is_formed, "the Sentinels to agree")

    def _is_formed(self):
        for sentinel in self.sentinels:
            state = sentinel.cli("sentinel", "master", "main").splitlines()
            facts = dict(zip(state[::2], state[1::2]))
            if facts.get("num-other-sentinels") != "2" or facts.get("num-slaves") != "2":
                return False
        return all("master_link_status:up" in r.cli("info", "replication") for r in self.data[1:])

    def env(self, _instance):
        hosts = ",".join(f"{s.host}:{s.port}" for s in self.sentinels)
        return {"REDIS_SENTINEL_HOSTS": hosts, "REDIS_SENTINEL_MASTER": "main"}

    def master(self):
        """Who the majority of the living Sentinels calls the master."""
        votes = []
        for sentinel in self.sentinels:
            if sentinel.process.poll() is None:
                address = sentinel.cli("sentinel", "get-master-addr-by-name", "main").splitlines()
                votes += [s for s in self.data if [s.host, str(s.port)] == address]
        return max(votes, key=votes.count)

    def keys(self):
        return contents(self.master())

    def close(self):
        for server in reversed(self.servers):
            server.__exit__()


class Cluster:
    """Three masters with a replica each."""

    def __init__(self, *lines):
        more = ["cluster-enabled yes", "cluster-node-timeout 2000", "repl-diskless-sync-delay 0",
                "cluster-replica-validity-factor 0", *lines]
        # The bus is at the port and 10000 unless told otherwise, which there may not be.
        self.servers = [Redis(OPEN, f"cluster-port {free_port()}", *more) for _ in range(6)]
        self.servers[0].cli("--cluster", "create", *(f"127.0.0.1:{s.port}" for s in self.servers),
                            "--cluster-replicas", "1", "--cluster-yes")
        wait_for(self.is_whole, "the cluster to form")

    def is_whole(self):
        for server in self.servers:
            if server.process.poll() is not None:
                continue
            if "cluster_state:ok" not in server.cli("cluster", "info"):
                return False
            role = server.cli("info", "replication")
            if "role:slave" in role and "master_link_status:up" not in role:
                return False
        return True

    def masters(self):
        return [s for s in self.servers if s.process.poll() is None
                and "role:master" in s.cli("info", "replication")]

    def env(self, _instance):
        return {"REDIS_CLUSTER_NODES": ",".join(f"127.0.0.1:{s.port}" for s in self.servers[:3])}

    def keys(self):
        return contents(*self.masters())

    def close(self):
        for server in self.servers:
            server.__exit__()
