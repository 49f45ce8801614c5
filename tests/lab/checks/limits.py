"""C8, limits: in no interval more is admitted than the formula of the mode in force allows.

An admission lies somewhere between its request and its answer; one counts for an interval when both
do. With N instances, rate 1/T and an interval of d seconds:

    all decided by Redis                burst + d/T
    all decided by shares               (burst + d/T) * spread + N
    k instances by share, others not    (1 + k/N) * (burst + d/T) * spread + k

`spread` is N over the number of instances that the shares are of, where that is fewer for a while.
Every loss of Redis' data that may have been inside the interval adds what the instances could not put
back: each remembers the debt that it last heard of, and the first that comes after the loss tells
Redis. So it is what the others had admitted since then, and a burst at most.
"""

import collections

from . import ENOUGH


class Policy:
    def __init__(self, limit, period, burst):
        self.rate = limit / period
        self.burst = burst


def check(events, policies, instances=3, losses=(), spread=1.0, forgetful=False):
    """`losses`: [(from, to)], within which Redis forgot what it knew. `forgetful`: instances were
    started anew, and remember nothing."""
    decided = collections.defaultdict(list)
    for event in events:
        if event["type"] == "limit.check" and event["outcome"] == "ok":
            decided[event["args"]["policy"], event["key"]].append(event)
    complaints = []
    for (name, subject), found in decided.items():
        policy = policies[name]
        admitted = [e for e in found if e["result"]["allowed"]]
        forgotten = [(since, until, policy.burst if forgetful
                      else min(policy.burst, _unheard(found, admitted, instances, since, until)))
                     for since, until in losses]
        worst = _worst(admitted, policy, instances, forgotten, spread)
        if worst:
            complaints.append(f"C8: {name} of {subject}: {worst}")
    return complaints[:ENOUGH]


def is_by_share(event):
    return "limits=share" in event["mode"]


def _cost(event):
    return event["args"].get("cost", 1)


def _unheard(decided, admitted, instances, since, until):
    """The most of what the others had admitted that an instance had not heard of before a loss."""
    most = 0
    for number in range(instances):
        heard = max((e["t_inv"] for e in decided if e["instance"] == number
                     and not is_by_share(e) and e["t_ret"] < since), default=float("-inf"))
        most = max(most, sum(_cost(e) for e in admitted if e["instance"] != number
                             and e["t_ret"] > heard and e["t_inv"] <= until))
    return most


def allowed(policy, seconds, by_share, by_redis, instances, extra=0.0, spread=1.0):
    """The most that an interval may admit. `by_share`: instances that decided alone in it; `extra`:
    what losses give back."""
    whole = policy.burst + policy.rate * seconds
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
            count += _cost(event)
            if is_by_share(event):
                shares.add(event["instance"])
            else:
                redis = True
            end = event["t_ret"]
            lost = sum(extra for since, until, extra in losses if start <= until and since <= end)
            bound = allowed(policy, end - start, len(shares), redis, instances, lost, spread)
            if count - bound > worst:
                worst = count - bound
                text = (f"{count} were admitted from {start:.3f} to {end:.3f} s, "
                        f"{bound:.1f} at most were to be ({len(shares)} instances by share, "
                        f"{lost} by losses)")
    return text
