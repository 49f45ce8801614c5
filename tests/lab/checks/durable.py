"""C1, the durable set: what was acknowledged is there at the end, and nothing is there that nobody
asked for.

The writes of one session are issued one after the other, so they are ordered. A state is (version,
n), n being the value the client wrote, or DEAD. An unknown write leaves both its outcomes open until
the next acknowledged one settles it.
"""

import collections

from . import ENOUGH, brief

DEAD = "dead"


def possible_states(writes):
    """What a session may be after these writes, in their order."""
    states = set()
    for event in writes:
        outcome, kind = event["outcome"], event["type"]
        if outcome == "refused":
            continue
        if kind == "session.create":
            states = {(event["result"]["version"], event["args"]["n"])}
        elif kind == "session.revoke":
            states = {DEAD} if outcome == "ok" else states | {DEAD}
        elif outcome == "ok":
            states = {(event["result"]["version"], event["args"]["n"])}
        else:
            states |= {(state[0] + 1, event["args"]["n"]) for state in states if state != DEAD}
    return states


def check(events):
    writes = collections.defaultdict(list)
    users, strangers, listed = {}, collections.Counter(), collections.defaultdict(set)
    finals = []
    for event in sorted(events, key=lambda e: e["t_inv"]):
        kind = event["type"]
        if kind == "session.create":
            if event["outcome"] == "ok":
                users[event["result"]["session"]] = event["key"]
                writes[event["result"]["session"]].append(event)
            elif event["outcome"] == "unknown":
                strangers[event["key"]] += 1
        elif kind in ("session.update", "session.revoke"):
            writes[event["key"]].append(event)
        elif kind == "session.final":
            finals.append(event)
        elif kind == "session.list" and event["outcome"] == "ok":
            listed[event["key"]] |= set(event["result"]["sessions"])
    return (_lost(writes, finals) + _unseen(writes, finals) + _invented(users, strangers, listed)
            )[:ENOUGH]


def _lost(writes, finals):
    complaints = []
    for event in finals:
        allowed = possible_states(writes[event["key"]])
        if event["outcome"] == "ok":
            found = (event["result"]["version"], event["result"]["n"])
        elif event["status"] in (401, 404):
            found = DEAD
        else:
            complaints.append(f"C1: no answer about a session at the end: {brief(event)}")
            continue
        if found not in allowed:
            complaints.append(f"C1: session {event['key']} is {found} at the end; the acknowledged "
                              f"writes allow {sorted(map(str, allowed))}")
    return complaints


def _unseen(writes, finals):
    """A checker that looked at nothing has proven nothing."""
    looked_at = {event["key"] for event in finals}
    missing = [session for session in writes if session not in looked_at]
    return [f"C1: {len(missing)} sessions were not looked at in the end"] if missing else []


def _invented(users, strangers, listed):
    complaints = []
    for user, sessions in listed.items():
        unknown = [s for s in sessions if users.get(s) != user]
        if len(unknown) > strangers[user]:
            complaints.append(f"C1: {user} has {len(unknown)} sessions that nobody was told of; "
                              f"{strangers[user]} creations have an unknown outcome")
    return complaints
