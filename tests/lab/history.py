"""What every client did, in Jepsen's terms: a line of JSON for each operation.

    op_id, client     the client is a connection: it talks to one worker of one instance
    instance, tenant  whom it talked to, and for whom
    t_inv, t_ret      seconds of one monotonic clock
    type, key, args   what it asked for
    outcome           ok | refused (surely not done) | unknown (nobody can tell)
    status, result    the answer, as far as a checker wants it
    mode              the Redoubt-Guarantee header: how the answer was decided; empty in full
"""

import json

OK, REFUSED, UNKNOWN = "ok", "refused", "unknown"

# Of a write. These say nothing about whether it happened.
UNKNOWN_STATUS = {500, 502, 504}
UNKNOWN_CODES = {"record_outcome_unknown", "redis_unknown_outcome"}


def outcome_of(kind, status, code=""):
    if status < 400:
        return OK
    # A revocation that cannot be recorded holds at once all the same, and is recorded later.
    held = kind == "session.revoke" and status == 503
    return UNKNOWN if held or status in UNKNOWN_STATUS or code in UNKNOWN_CODES else REFUSED


class History:
    """Kept in memory for the checkers, and in a file for whoever wants to look."""

    def __init__(self, path=None):
        self.events = []
        self.file = open(path, "w", encoding="utf-8") if path else None

    def append(self, event):
        event["op_id"] = len(self.events)
        self.events.append(event)
        if self.file:
            self.file.write(json.dumps(event, separators=(",", ":")) + "\n")

    def close(self):
        if self.file:
            self.file.close()
            self.file = None


def read(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]
