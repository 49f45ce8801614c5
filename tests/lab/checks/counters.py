"""C3, the bounds of a counter: sum(acknowledged) <= value <= sum(acknowledged and unknown).

The counters are limits of class strict that refill so slowly that nothing comes back during a run.
"""

import collections

from . import ENOUGH


def check(events):
    acknowledged, unknown = collections.Counter(), collections.Counter()
    finals = {}
    for event in events:
        if event["type"] == "counter.add":
            if event["outcome"] == "ok":
                acknowledged[event["key"]] += event["args"]["cost"]
            elif event["outcome"] == "unknown":
                unknown[event["key"]] += event["args"]["cost"]
        elif event["type"] == "counter.final" and event["outcome"] == "ok":
            finals[event["key"]] = event["result"]["used"]
    complaints = []
    for key in set(acknowledged) | set(unknown):
        if key not in finals:
            complaints.append(f"C3: {key} was not looked at in the end")
            continue
        low, high = acknowledged[key], acknowledged[key] + unknown[key]
        if not low <= finals[key] <= high:
            complaints.append(f"C3: {key} is {finals[key]}; {low} acknowledged, "
                              f"{unknown[key]} unknown")
    return complaints[:ENOUGH]
