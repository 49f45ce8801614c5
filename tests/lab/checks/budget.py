"""The error budget: how many requests each phase of a run could not answer, and how long they took.

A request counts against the service when its answer is 5xx or does not come. Refusals by rule (401,
404, 409, 429) do not."""

import collections

from wire import ALL_BUSY


def failed(event):
    return event.get("status", 0) >= 500 or event.get("status", 0) == 0


def quantile(ordered, q):
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else 0.0


class Phase:
    def __init__(self, name, start, end, events):
        self.name, self.start, self.end = name, start, end
        self.requests = len(events)
        self.failures = sum(failed(event) for event in events)
        times = collections.defaultdict(list)
        for event in events:
            times[event["type"]].append(event["t_ret"] - event["t_inv"])
        self.times = {kind: sorted(values) for kind, values in times.items()}

    @property
    def availability(self):
        return 1 - self.failures / self.requests if self.requests else 1.0

    def p(self, q, kind="session.read"):
        """A quantile of the time to answer, in milliseconds."""
        return 1000 * quantile(self.times.get(kind, []), q)

    def row(self):
        return (f"{self.name:<16} {self.end - self.start:8.1f} s {self.requests:8d} "
                f"{self.failures:6d} {100 * self.availability:9.4f} % "
                f"{self.p(.5):7.2f} {self.p(.99):8.2f} {self.p(1):8.1f}")


HEAD = (f"{'phase':<16} {'length':>10} {'requests':>8} {'failed':>6} {'answered':>11} "
        f"{'p50 ms':>7} {'p99 ms':>8} {'max ms':>8}   (of a session read)")


def phases(events, marks):
    """`marks`: [(name, start, end)] of one clock. An event belongs to where it began. What a client did
    not wait for is nobody's failure."""
    asked = [e for e in events if not e["type"].endswith((".final", ".list"))
             and not e["args"].get("hangs_up")]
    return [Phase(name, start, end, [e for e in asked if start <= e["t_inv"] < end])
            for name, start, end in marks]


def failed_while_told(events, exits, heard_by):
    """Requests that failed though a load balancer had done its part. `exits`: [(instance, told to
    end, serves again)]. Whoever is sent there later than `heard_by` seconds after it was told to end,
    was sent by a load balancer that had not looked for so long. What the clients had no connection
    for was not sent at all, and what is shed on a machine that is too slow is no matter of an end."""
    def is_late(event):
        return any(event["instance"] == number and told + heard_by < event["t_inv"] < again
                   for number, told, again in exits)

    def is_excess(event):
        result = event.get("result", {})
        return result.get("error") == ALL_BUSY or "overloaded" in result.get("code", "")
    return [e for e in events if failed(e) and not is_late(e) and not is_excess(e)]


def slower_than(events, seconds, start, end):
    """By instance: how many requests of an interval took longer."""
    count = collections.Counter()
    for event in events:
        if start <= event["t_inv"] < end and event["t_ret"] - event["t_inv"] > seconds:
            count[event["instance"]] += 1
    return count


def typical_p99(events, start, end, kind="session.read"):
    """The median over the seconds of an interval of each second's p99, in milliseconds: what a
    machine that is busy with something else for a moment does not move."""
    seconds = collections.defaultdict(list)
    for event in events:
        if start <= event["t_inv"] < end and event["type"] == kind:
            seconds[int(event["t_inv"])].append(event["t_ret"] - event["t_inv"])
    return 1000 * quantile(sorted(quantile(sorted(s), .99) for s in seconds.values()), .5)
