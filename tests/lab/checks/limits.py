"""C8, limits: in no interval more is admitted than the formula of the mode in force allows.

An admission lies somewhere between its request and its answer; one counts for an interval when both
do. With N instances, rate 1/T and an interval of d seconds:

    all decided by Redis                burst + d/T
    all decided by shares               (burst + d/T) * spread + N
    k instances by share, others not    (1 + k/N) * (burst + d/T) * spread + k

`spread` is N over the number of instances that the shares are of, where that is fewer for a while.
Every loss of Redis' data that may have been inside the interval adds a burst.
"""

import collections

from . import ENOUGH


class Policy:
    def __init__(self, limit, period, burst):
        self.rate = limit / period
        self.burst = burst


def check(events, policies, instances=3, losses=(), spread=1.0):
    """`losses`: [(from, to)], within which Redis forgot what it knew."""
    admitted = collections.defaultdict(list)
    for event in events:
        if (event["type"] == "limit.check" and event["outcome"] == "ok"
                and event["result"]["allowed"]):
            admitted[event["args"]["policy"], event["key"]].append(event)
    complaints = []
    for (policy, subject), found in admitted.items():
        worst = _worst(found, policies[policy], instances, losses, spread)
        if worst:
            complaints.append(f"C8: {policy} of {subject}: {worst}")
    return complaints[:ENOUGH]


def allowed(policy, seconds, by_share, by_redis, instances, losses=0, spread=1.0):
    """The most that an interval may admit. `by_share`: instances that decided alone in it."""
    whole = policy.burst + policy.rate * seconds
    extra = losses * policy.burst
    if not by_share:
        return whole + extra
    if not by_redis:
        return whole * spread + instances + extra
    return (1 + by_share / instances) * whole * spread + by_share + extra


def _worst(found, policy, instances, losses, spread):
    """The interval that exceeds its bound by most, or nothing."""
    by_end = sorted(found, key=lambda e: e["t_ret"])
    worst, text = 1e-6, None
    for first in found:
        start, count, shares, redis = first["t_inv"], 0, set(), False
        for event in by_end:
            if event["t_inv"] < start:
                continue
            count += event["args"].get("cost", 1)
            if "limits=share" in event["mode"]:
                shares.add(event["instance"])
            else:
                redis = True
            end = event["t_ret"]
            lost = sum(start <= until and since <= end for since, until in losses)
            bound = allowed(policy, end - start, len(shares), redis, instances, lost, spread)
            if count - bound > worst:
                worst = count - bound
                text = (f"{count} were admitted from {start:.3f} to {end:.3f} s, "
                        f"{bound:.1f} at most were to be ({len(shares)} instances by share, "
                        f"{lost} losses)")
    return text
