"""Histories of a server that is killed, and the checker that says what they contradict.

A history is a list of events, one JSON object each, in the order in which they completed:

    {"op": "session.update", "outcome": "ok", "client": 3, "session": "ses_...", "n": 7,
     "version": 4}

`outcome` is what the client knows (Jepsen's ok, fail and info):

    ok        acknowledged: it is true from now on, whatever is killed
    refused   answered with a refusal, or never sent: it is not true
    unknown   sent and not answered, because the server died: it happened before it died, or never

The checker keeps, for every object, the set of states that the history allows. An acknowledgement
leaves one; an unknown outcome adds one; an answer that none of them explains is a complaint, and so
is an object that is gone, or an answer of 500. A client has one operation under way at a time and
objects of its own, so the order of completion is the order of an object's operations. What clients
share (strict limits, the audit trail, the key ring) is counted. Events without a client are the
verifier's, who asks while nobody else does: it must be answered.

Operations of the clients     session.create update revoke rotate revoke_all verify
                              key.create revoke rotate use; limit.check; cache.put invalidate get
                              keyring.rotate
What the verifier looks at    session.verify read list; key.use; limit.peek; cache.generation
after each restart            keyring.status; audit.verify; database.integrity
Between them                  server.restart
"""

import collections

DEAD = None  # A state of a session or key: it is ended. Alive is (version, n), for a key True.
AUDITED = {"session.revoke", "session.rotate", "session.revoke_all", "key.create", "key.revoke",
           "key.rotate", "keyring.rotate"}


class Session:
    def __init__(self, user, states):
        self.user = user
        self.states = set(states)

    def alive(self):
        return {state for state in self.states if state is not DEAD}


class Limit:
    def __init__(self):
        self.acknowledged = 0
        self.unknown = 0


class Checker:
    """for event in history: checker.apply(event); then checker.complaints."""

    def __init__(self):
        self.complaints = []
        self.events = 0
        self.outcomes = collections.Counter()
        self.sessions = {}
        self.sessions_of = collections.defaultdict(set)  # By user; the dead ones leave.
        self.strangers = collections.Counter()  # By user: creations whose outcome is unknown.
        self.keys = {}
        self.limits = collections.defaultdict(Limit)
        self.cached = {}  # By key: the values it may have; absent: none.
        self.generation = 0
        self.primary = None  # Of the key ring.
        self.primary_unknown = False
        self.retired = set()
        self.audit_head = 0
        self.audited = 0  # Acknowledged since audit_head was seen.

    def apply(self, event):
        before = len(self.complaints)
        self.events += 1
        op, outcome = event["op"], event["outcome"]
        self.outcomes[op, outcome] += 1
        if outcome == "ok" and op in AUDITED:
            self.audited += 1
        if event.get("status") == 500:
            self._complain(event, "the server failed")
        elif "client" not in event and outcome != "ok" and event.get("status") not in (401, 404):
            self._complain(event, "no answer from a server at rest")
        getattr(self, "_" + op.replace(".", "_"))(event, outcome)
        return self.complaints[before:]

    def _complain(self, event, text):
        self.complaints.append(f"{text} (event {self.events}: {event})")

    # Sessions

    def _session_create(self, event, outcome):
        if outcome == "ok":
            self._add_session(event["session"], event["user"], {(event["version"], event["n"])})
        elif outcome == "unknown":
            self.strangers[event["user"]] += 1

    def _add_session(self, id, user, states):
        self.sessions[id] = Session(user, states)
        self.sessions_of[user].add(id)

    def _become(self, id, states):
        session = self.sessions[id]
        session.states = set(states)
        if session.states == {DEAD}:
            self.sessions_of[session.user].discard(id)

    def _session_update(self, event, outcome):
        id = event["session"]
        states, alive = self.sessions[id].states, self.sessions[id].alive()
        if outcome == "ok":
            version = event["version"]
            if version - 1 not in {v for v, _ in alive}:
                self._complain(event, f"version {version} does not follow {sorted(alive)}")
            self._become(id, {(version, event["n"])})
        elif outcome == "unknown":
            self._become(id, states | {(v + 1, event["n"]) for v, _ in alive})
        elif event.get("status") == 404:
            self._seen_dead(event, id)

    def _session_revoke(self, event, outcome):
        id = event["session"]
        if outcome == "ok":
            if not self.sessions[id].alive():
                self._complain(event, "a session that had ended could be revoked")
            self._become(id, {DEAD})
        elif outcome == "unknown":
            self._become(id, self.sessions[id].states | {DEAD})
        elif event.get("status") == 404:
            self._seen_dead(event, id)

    def _session_rotate(self, event, outcome):
        id = event["session"]
        session = self.sessions[id]
        if outcome == "ok":
            state = (event["version"], event["n"])
            if state not in session.states:
                self._complain(event, f"rotation gave {state}, not one of {session.states}")
            self._become(id, {DEAD})
            self._add_session(event["successor"], session.user, {state})
        elif outcome == "unknown":
            self._become(id, session.states | {DEAD})
            self.strangers[session.user] += 1
        elif event.get("status") == 404:
            self._seen_dead(event, id)

    def _session_revoke_all(self, event, outcome):
        user, kept = event["user"], event["except"]
        others = [id for id in self.sessions_of[user] if id != kept]
        if outcome == "unknown":
            for id in others:
                self._become(id, self.sessions[id].states | {DEAD})
        if outcome != "ok":
            return
        surely = sum(DEAD not in self.sessions[id].states for id in others)
        if not surely <= event["count"] <= len(others) + self.strangers[user]:
            self._complain(event, f"ended {event['count']} sessions; {surely} to {len(others)} and "
                                  f"{self.strangers[user]} unknown were alive")
        self.strangers[user] = 0
        for id in others:
            self._become(id, {DEAD})

    def _session_verify(self, event, outcome):
        """By token, or by id as session.read."""
        id = event["session"]
        if outcome == "ok":
            state = (event["version"], event["n"])
            if event["found"] != id:
                self._complain(event, "another session's token or id")
            if state not in self.sessions[id].states:
                self._complain(event, f"found {state}, acknowledged {self.sessions[id].states}")
            self._become(id, {state})
        elif outcome == "refused" and event.get("status") in (401, 404):
            self._seen_dead(event, id)

    _session_read = _session_verify

    def _seen_dead(self, event, id):
        if DEAD not in self.sessions[id].states:
            self._complain(event, f"session {id} is lost; acknowledged {self.sessions[id].states}")
        self._become(id, {DEAD})

    def _session_list(self, event, outcome):
        if outcome != "ok":
            return
        user, found = event["user"], {s["session"]: (s["version"], s["n"])
                                      for s in event["sessions"]}
        for id in list(self.sessions_of[user]):
            if id not in found:
                self._seen_dead(event, id)
        strangers = 0
        for id, state in found.items():
            if id not in self.sessions:
                strangers += 1
                self._add_session(id, user, {state})
            elif state not in self.sessions[id].states:
                self._complain(event, f"{id} is listed as {state}, acknowledged "
                                      f"{self.sessions[id].states}")
        if strangers > self.strangers[user]:
            self._complain(event, f"{strangers} sessions nobody made; "
                                  f"{self.strangers[user]} creations are unknown")
        self.strangers[user] = 0

    # API keys

    def _key_create(self, event, outcome):
        if outcome == "ok":
            self.keys[event["key"]] = {True}

    def _key_revoke(self, event, outcome):
        if outcome == "ok":
            self.keys[event["key"]] = {DEAD}
        elif outcome == "unknown":
            self.keys[event["key"]].add(DEAD)

    def _key_rotate(self, event, outcome):
        self._key_revoke(event, outcome)
        if outcome == "ok":
            self.keys[event["successor"]] = {True}

    def _key_use(self, event, outcome):
        if outcome == "unknown" or outcome == "refused" and event.get("status") != 401:
            return
        state = True if outcome == "ok" else DEAD
        if state not in self.keys[event["key"]]:
            self._complain(event, "a revoked API key is accepted" if state
                           else "an acknowledged API key is refused")
        self.keys[event["key"]] = {state}

    # Strict limits: what is used, over all clients.

    def _limit_check(self, event, outcome):
        limit = self.limits[event["policy"], event["subject"]]
        if outcome == "ok":
            limit.acknowledged += event["cost"]
        elif outcome == "unknown":
            limit.unknown += event["cost"]

    def _limit_peek(self, event, outcome):
        if outcome != "ok":
            return
        limit, used = self.limits[event["policy"], event["subject"]], event["used"]
        if used < limit.acknowledged:
            self._complain(event, f"under-counted: {limit.acknowledged} were acknowledged")
        if used > limit.acknowledged + limit.unknown:
            self._complain(event, f"over-counted: {limit.acknowledged} were acknowledged, "
                                  f"{limit.unknown} are unknown")
        limit.acknowledged, limit.unknown = used, 0

    # Cache: entries may go at any time; invalidated ones may not come back.

    def _cache_put(self, event, outcome):
        if outcome == "ok":
            self.cached[event["key"]] = {event["value"]}
        elif outcome == "unknown":
            self.cached.setdefault(event["key"], set()).add(event["value"])

    def _cache_invalidate(self, event, outcome):
        if outcome == "ok":
            self.cached.pop(event["key"], None)
            self.generation = max(self.generation, event["generation"])

    def _cache_get(self, event, outcome):
        if outcome == "ok" and event["value"] not in self.cached.get(event["key"], ()):
            self._complain(event, "a value that was invalidated, replaced or never put")

    def _cache_generation(self, event, outcome):
        """An invalidation while no other is under way."""
        if outcome != "ok":
            return
        if event["generation"] <= self.generation:
            self._complain(event, f"the generation went back; {self.generation} was acknowledged")
        self.generation = event["generation"]

    # The instance

    def _keyring_rotate(self, event, outcome):
        if outcome == "ok":
            self._set_primary(event["primary"])
        elif outcome == "unknown":
            self.primary_unknown = True

    def _keyring_status(self, event, outcome):
        if outcome != "ok":
            return
        primary = event["primary"]
        new = self.primary_unknown and primary not in self.retired
        if self.primary not in (None, primary) and not new:
            self._complain(event, f"the primary key is not the acknowledged {self.primary}")
        if event["trouble"]:
            self._complain(event, "sealing again does not progress")
        self._set_primary(primary)

    def _set_primary(self, primary):
        if self.primary not in (None, primary):
            self.retired.add(self.primary)
        self.primary = primary
        self.primary_unknown = False

    def _audit_verify(self, event, outcome):
        if outcome != "ok":
            return
        if not event["intact"]:
            self._complain(event, "the audit trail is broken")
        if event["head"] < self.audit_head + self.audited:
            self._complain(event, f"entries of the audit trail are lost: it was at "
                                  f"{self.audit_head} and {self.audited} were acknowledged since")
        self.audit_head, self.audited = event["head"], 0

    def _database_integrity(self, event, outcome):
        if event["result"] != ["ok"]:
            self._complain(event, "the database is not sound")

    def _server_restart(self, event, outcome):
        self.cached.clear()
