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


# What a server adds to the 503 of a revocation that it could not record and keeps to all the same, and
# records when it can.
HELD = "refuses what was to end"


def outcome_of(status, code="", detail=""):
    if status < 400:
        return OK
    open_ended = status in UNKNOWN_STATUS or code in UNKNOWN_CODES or HELD in detail
    return UNKNOWN if open_ended else REFUSED


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
