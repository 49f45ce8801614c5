"""What is looked at from outside while a row runs: the state of Redis as each instance has it, the
transactions of PostgreSQL, and whether the machine had processors enough."""

import http.client
import json
import re
import subprocess
import threading

EVERY = 0.1  # Seconds between two looks at an instance.


class States:
    """[(time, instance, state)], a line for each change."""

    def __init__(self, fleet, now):
        self.changes = []
        self.now = now
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._follow, args=(number, instance), daemon=True)
                        for number, instance in enumerate(fleet.instances)]
        for thread in self.threads:
            thread.start()

    def _follow(self, number, instance):
        connection, state = None, None
        while not self.stopping.wait(EVERY):
            asked = self.now()
            try:
                connection = connection or http.client.HTTPConnection(instance.host, instance.port,
                                                                      timeout=2)
                connection.request("GET", "/status")
                found = json.loads(connection.getresponse().read())["redis"]["state"]
            except (OSError, http.client.HTTPException, ValueError):
                connection, found = None, "gone"
            if found != state:
                state = found
                self.changes.append((asked, number, state))

    def first(self, state, after):
        """By instance: how many seconds after `after` it was first in this state; None when never."""
        found = {}
        for time_of, number, seen in self.changes:
            if seen == state and time_of >= after and number not in found:
                found[number] = time_of - after
        return found

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


def waited_for_processor():
    """Seconds in which somebody on this machine was kept waiting, since it started; None where the
    kernel does not say."""
    try:
        with open("/proc/pressure/cpu", encoding="utf-8") as file:
            return int(re.search(r"some .*total=(\d+)", file.read())[1]) / 1e6
    except OSError:
        return None


class Transactions:
    """[(time, transactions a second)] of a PostgreSQL."""

    QUERY = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'postgres'"

    def __init__(self, postgres, now):
        self.rates = []
        self.now = now
        self.process = subprocess.Popen(["psql", "-X", "-q", "-A", "-t", postgres.url],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        self.process.stdin.write(self.QUERY + " \\watch 1\n")
        self.process.stdin.flush()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        last = None
        for line in self.process.stdout:
            if not line.strip().isdigit():
                continue
            seen = (self.now(), int(line))
            if last and seen[0] > last[0]:
                self.rates.append((seen[0], (seen[1] - last[1]) / (seen[0] - last[0])))
            last = seen

    def between(self, start, end):
        """The mean rate of an interval."""
        found = [rate for when, rate in self.rates if start <= when < end]
        return sum(found) / len(found) if found else 0.0

    def most(self, start, end, over=3):
        """The highest mean of so many seconds in an interval."""
        found = [rate for when, rate in self.rates if start <= when < end]
        means = [sum(found[i:i + over]) / over for i in range(len(found) - over + 1)]
        return max(means, default=0.0)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.thread.join()
        self.process.stdout.close()
