"""C11: what one tenant wrote appears in no answer to another, and nowhere in clear.

Every value that a client writes begins with the canary of its tenant. The clients note the canaries
that an answer contained; `places` are texts that anybody could read: logs, metrics, keys of Redis.
"""

from . import ENOUGH, brief


def check(events, places=(), canaries=()):
    complaints = []
    for event in events:
        strangers = [c for c in event.get("canaries", ()) if c != event["tenant"]]
        if strangers:
            complaints.append(f"C11: tenant {event['tenant']} was shown what belongs to "
                              f"{', '.join(strangers)}: {brief(event)}")
    for name, text in places:
        complaints += [f"C11: {name} contains a value of a tenant" for c in canaries if c in text]
    return complaints[:ENOUGH]
