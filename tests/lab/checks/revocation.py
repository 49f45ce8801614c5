"""C6, revocation: no request is accepted that started later than the bound after a revocation was
acknowledged. On the instance that acknowledged it the bound is 0; on others `bound` seconds.

`cut_off` maps an instance to [(from, to, grace)]: while it was cut off from the record, and until it
has caught up, its bound is the grace.
"""

from . import ENOUGH, brief


def check(events, bound=2.0, cut_off=None):
    revoked = {}
    for event in events:
        if event["type"] == "session.revoke" and event["outcome"] == "ok":
            revoked[event["key"]] = event
    complaints = []
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


def _bound(event, revocation, bound, cut_off):
    if event["instance"] == revocation["instance"]:
        return 0.0
    graces = [grace for start, end, grace in cut_off.get(event["instance"], ())
              if start <= event["t_inv"] <= end]
    return max([bound, *graces])
