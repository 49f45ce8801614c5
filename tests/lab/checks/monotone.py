"""C10: to one client a session's version never goes back, and one it has seen ended stays ended."""

from . import ENOUGH, brief


def check(events):
    seen, ended, complaints = {}, {}, []
    # The operations of one client do not overlap, so their order is that of their answers.
    for event in sorted(events, key=lambda e: e["t_ret"]):
        kind = event["type"]
        if kind not in ("session.read", "session.update"):
            continue
        who = event["client"], event["key"]
        if kind == "session.read" and event.get("status") == 401:
            ended.setdefault(who, event)
        if event["outcome"] != "ok":
            continue
        version = event["result"]["version"]
        if who in ended:
            complaints.append(f"C10: a session that had ended for client {event['client']} is good "
                              f"again: {brief(event)}")
        if version < seen.get(who, 0):
            complaints.append(f"C10: client {event['client']} saw version {seen[who]} before: "
                              f"{brief(event)}")
        seen[who] = max(version, seen.get(who, 0))
    return complaints[:ENOUGH]
