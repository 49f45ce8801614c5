"""C7, freshness: a coherent read shows nothing older than what was acknowledged `bound` seconds
before it started; on the instance that acknowledged it, nothing older at all.

Sessions: the version that a read shows. Cache: a value that was put before an invalidation of its
tag began is not read once that invalidation has been acknowledged for so long.
"""

import bisect
import collections

from . import ENOUGH, brief


def check(events, bound=2.0, cut_off=None):
    cut_off = cut_off or {}
    return (_sessions(events, bound, cut_off) + _cache(events, bound, cut_off))[:ENOUGH]


def _is_excused(event, cut_off):
    return any(start <= event["t_inv"] <= end
               for start, end, _ in cut_off.get(event["instance"], ()))


class _Acknowledged:
    """The versions of one session as they were acknowledged, in order of time."""

    def __init__(self):
        self.times, self.newest = [], []

    def add(self, time, version):
        self.times.append(time)
        self.newest.append(max(version, self.newest[-1] if self.newest else 0))

    def before(self, time):
        index = bisect.bisect_left(self.times, time)
        return self.newest[index - 1] if index else 0


def _sessions(events, bound, cut_off):
    anywhere = collections.defaultdict(_Acknowledged)
    here = collections.defaultdict(_Acknowledged)
    for event in sorted(events, key=lambda e: e["t_ret"]):
        if event["outcome"] != "ok" or event["type"] not in ("session.create", "session.update"):
            continue
        session = event["result"].get("session", event["key"])
        anywhere[session].add(event["t_ret"], event["result"]["version"])
        here[session, event["instance"]].add(event["t_ret"], event["result"]["version"])
    complaints = []
    for event in events:
        if event["type"] != "session.read" or event["outcome"] != "ok":
            continue
        owed = here[event["key"], event["instance"]].before(event["t_inv"])
        if not _is_excused(event, cut_off):
            owed = max(owed, anywhere[event["key"]].before(event["t_inv"] - bound))
        if event["result"]["version"] < owed:
            complaints.append(f"C7: version {event['result']['version']} was read where {owed} had "
                              f"been acknowledged: {brief(event)}")
    return complaints


def _cache(events, bound, cut_off):
    put, invalidations = {}, collections.defaultdict(list)
    for event in events:
        if event["outcome"] != "ok":
            continue
        if event["type"] == "cache.put":
            put[event["args"]["value"]] = event
        elif event["type"] == "cache.invalidate":
            invalidations[event["key"]].append(event)
    complaints = []
    for event in events:
        if event["type"] != "cache.get" or event["outcome"] != "ok":
            continue
        origin = put.get(event["result"]["value"])
        if origin is None:
            continue  # A put whose outcome is unknown; it may have happened at any time.
        if origin["key"] != event["key"]:
            complaints.append(f"C7: the value of {origin['key']} was read under another key: "
                              f"{brief(event)}")
        for invalidation in invalidations[event["key"]]:
            slack = 0.0 if invalidation["instance"] == event["instance"] else bound
            if _is_excused(event, cut_off) and slack:
                continue
            if (origin["t_ret"] < invalidation["t_inv"]
                    and event["t_inv"] > invalidation["t_ret"] + slack):
                complaints.append(
                    f"C7: a value was read {event['t_inv'] - invalidation['t_ret']:.3f} s after its "
                    f"invalidation by instance {invalidation['instance']}: {brief(event)}")
                break
    return complaints
