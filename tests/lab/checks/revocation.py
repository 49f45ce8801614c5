"""C6, revocation: no request is accepted that started later than the bound after a revocation was
acknowledged. On the instance that acknowledged it the bound is 0; on others `bound` seconds.

A revocation that could not be recorded and was said to hold all the same does so on its instance for as
long as that one lives: `restarted` are the instances that did not.

`cut_off` maps an instance to [(from, to, grace)]: while it was cut off from the record, and until it
has caught up, its bound is the grace.
"""

from . import ENOUGH, brief


def check(events, bound=2.0, cut_off=None, restarted=()):
    revoked = {}
    for event in events:
        if event["type"] == "session.revoke" and event["outcome"] == "ok":
            revoked[event["key"]] = event
    complaints = _unrecorded(events, restarted)
    for event in events:
        if event["type"] not in ("session.read", "session.final") or event["outcome"] != "ok":
            continue
        revocation = revoked.get(event["key"])
        if revocation is None:
            continue
        late = event["t_inv"] - revocation["t_ret"]
        if late > _bound(event, revocation, bound, cut_off or {}):
            complaints.append(f"C6: session {event['key']} was accepted {late:.3f} s after its "
                              f"revocation by instance {revocation['instance']}: {brief(event)}")
    return complaints[:ENOUGH]


def _unrecorded(events, restarted):
    held, complaints = {}, []
    for event in sorted(events, key=lambda e: e["t_ret"]):
        where = event["key"], event["instance"]
        if event["type"] == "session.revoke" and event["instance"] not in restarted:
            if event["result"].get("held"):
                held.setdefault(where, event["t_ret"])
        elif (event["type"] in ("session.read", "session.final") and event["outcome"] == "ok"
              and event["t_inv"] > held.get(where, float("inf"))):
            complaints.append(f"C6: session {event['key']} was accepted by the instance that had "
                              f"revoked it without the record: {brief(event)}")
    return complaints


def _bound(event, revocation, bound, cut_off):
    if event["instance"] == revocation["instance"]:
        return 0.0
    graces = [grace for start, end, grace in cut_off.get(event["instance"], ())
              if start <= event["t_inv"] <= end]
    return max([bound, *graces])


def latest(events):
    """The longest after a revocation that another instance still accepted the session, in seconds."""
    revoked = {e["key"]: e for e in events
               if e["type"] == "session.revoke" and e["outcome"] == "ok"}
    return max((e["t_inv"] - revoked[e["key"]]["t_ret"] for e in events
                if e["type"] == "session.read" and e["outcome"] == "ok" and e["key"] in revoked),
               default=0.0)
