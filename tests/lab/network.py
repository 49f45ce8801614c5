"""Hosts of their own on this machine: a network namespace each, on one bridge, with links that can be
cut silently.

It needs root and a network namespace for itself, so that nothing of it is seen outside: lab.py runs
such rows under `unshare --net --mount`.
"""

import os
import shutil
import subprocess
import tempfile

PREFIX = "10.88.0."
LAB = PREFIX + "254"


def run(*command):
    subprocess.run(command, check=True, capture_output=True, text=True)


def missing():
    """Why there can be no namespaces here, or nothing."""
    for program in ("ip", "nft", "unshare"):
        if not (shutil.which(program) or os.path.exists(f"/usr/sbin/{program}")):
            return f"{program} is not installed"
    if os.geteuid() != 0:
        return "it needs root"
    tried = subprocess.run(["unshare", "--net", "--mount", "ip", "link", "set", "lo", "up"],
                           capture_output=True, text=True)
    return tried.stderr.strip() if tried.returncode else None


class Network:
    """In a namespace of its own already."""

    def __init__(self):
        self.hosts = {}
        self.hosts_file = None
        run("mkdir", "-p", "/run/netns")
        run("mount", "-t", "tmpfs", "none", "/run/netns")
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "lab0", "type", "bridge")
        run("ip", "addr", "add", LAB + "/24", "dev", "lab0")
        run("ip", "link", "set", "lab0", "up")

    def host(self, name):
        """Its address, the host being made when it is not there."""
        if name not in self.hosts:
            address = PREFIX + str(len(self.hosts) + 1)
            run("ip", "netns", "add", name)
            run("ip", "link", "add", "v" + name, "type", "veth", "peer", "name", "eth0", "netns",
                name)
            run("ip", "link", "set", "v" + name, "master", "lab0", "up")
            for command in (f"addr add {address}/24 dev eth0", "link set eth0 up", "link set lo up"):
                run("ip", "-n", name, *command.split())
            for chain in ("input", "output"):
                self._nft(name, f"add table inet lab; add chain inet lab {chain} "
                                f"{{ type filter hook {chain} priority 0; }}")
            self.hosts[name] = address
        return self.hosts[name]

    def prefix(self, name):
        """The command that runs another one on a host."""
        self.host(name)
        return ["ip", "netns", "exec", name]

    def _nft(self, name, text):
        run("ip", "netns", "exec", name, "nft", text)

    def drop(self, sender, receiver):
        """What one sends never reaches the other; the other way is open."""
        self._nft(receiver, f"add rule inet lab input ip saddr {self.hosts[sender]} drop")

    def cut(self, some, others):
        """Nothing passes between any of these and any of those."""
        for one in some:
            for other in others:
                self.drop(one, other)
                self.drop(other, one)

    def unplug(self, name):
        """The cable: whoever talks to it hears nothing, not even that it is gone."""
        run("ip", "link", "set", "v" + name, "down")

    def heal(self):
        for name in self.hosts:
            for chain in ("input", "output"):
                self._nft(name, f"flush chain inet lab {chain}")
            run("ip", "link", "set", "v" + name, "up")

    def write_hosts(self, names):
        """[(address, name)] of everything that runs here: a hosts file in place of the machine's."""
        if self.hosts_file is None:
            self.hosts_file = tempfile.NamedTemporaryFile("w", prefix="redoubt-hosts-")
            os.chmod(self.hosts_file.name, 0o644)
            run("mount", "--bind", self.hosts_file.name, "/etc/hosts")
        self.hosts_file.seek(0)
        self.hosts_file.truncate()
        self.hosts_file.writelines(f"{address} {name}\n" for address, name in
                                   [("127.0.0.1", "localhost"), *names])
        self.hosts_file.flush()

    def close(self):
        for name in self.hosts:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
        self.hosts.clear()
        subprocess.run(["ip", "link", "del", "lab0"], capture_output=True)
        subprocess.run(["umount", "/run/netns"], capture_output=True)


_current = None


def current():
    """The network of this process's namespace, made once."""
    global _current
    _current = _current or Network()
    return _current
