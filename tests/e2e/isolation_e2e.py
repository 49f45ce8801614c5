"""Who may do what, on every route: tenants, roles, scopes, session tokens, forged credentials."""

import re
import unittest

from contract import operations
from server import ServerTest, wait_for

SCOPES = ("sessions", "limits", "cache", "gate", "tenants", "keyring", "audit", "health", "redis")

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def comparable(reply):
    """The body without what differs every time: the request's id, and a ttl's jitter."""
    return re.sub(r'"request_id":"[^"]*"|"ttl":[0-9.]+', "", reply.body)


class Isolation(ServerTest):
    env = {"REDOUBT_LIMIT_CHAT": "1000000/1m burst 1000000"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.operations = operations(cls.redoubt)
        cls.ours = cls.redoubt.new_tenant("acme")
        cls.theirs = cls.redoubt.new_tenant("globex")

    def send(self, request, key):
        method, target, headers, body = request
        return self.redoubt.request(method, target, body, key=key, headers=headers)

    def login(self, key, user="ada"):
        reply = self.redoubt.post("/api/v1/sessions", {"user": user}, key=key)
        self.assertEqual(reply.status, 201, reply)
        return reply.json


class Tenants(Isolation):
    def their_ids(self):
        """Of each kind: one of theirs, and one that nobody has."""
        for user in ("ada", "bob"):
            self.login(self.theirs, user)
        session = self.login(self.theirs, "secret-user")
        key = self.redoubt.post("/api/v1/keys", {"name": "theirs"}, key=self.theirs).json["key"]
        put = self.redoubt.request("PUT", "/api/v1/cache/entries/secret-key", "theirs",
                                   key=self.theirs)
        self.assertEqual(put.status, 200, put)
        nobody = "ses_" + "0" * 22
        return {"sessions": ("id", session["id"], nobody),
                "users": ("user", "secret-user", "nobody-at-all"),
                "keys": ("id", key["id"], key["id"][:-4] + "0000"),
                "cache": ("key", "secret-key", "missing-key"),
                "tenants": ("id", "globex", "missing")}

    def test_anothers_objects_are_like_objects_that_are_not_there(self):
        tried = set()
        for operation in self.operations:
            if not operation.path_ids:
                continue
            name, theirs, missing = self.their_ids()[operation.path.split("/")[3]]
            with self.subTest(operation.id):
                answers = []
                for chosen in (theirs, missing):
                    reply = self.send(operation.request(ids={name: chosen}), self.ours)
                    # An answer may repeat the id it was asked about.
                    answers.append((reply.status, comparable(reply).replace(chosen, "ID")))
                self.assertEqual(answers[0], answers[1])
                self.assertNotIn("theirs", answers[0][1])
                if operation.path.split("/")[3] in ("sessions", "keys"):
                    self.assertEqual(answers[0][0], 404, answers)
                tried.add(operation.id)
        self.assertGreaterEqual(len(tried), 15)
        # And nothing of theirs was touched by any of it.
        listed = self.redoubt.get("/api/v1/users/secret-user/sessions", key=self.theirs).json
        self.assertEqual(len(listed["data"]), len(tried))
        entry = self.redoubt.get("/api/v1/cache/entries/secret-key", key=self.theirs)
        self.assertEqual(entry.body, "theirs")

    def test_lists_show_nothing_of_another(self):
        their = self.login(self.theirs, "only-theirs")
        for _ in range(3):
            self.redoubt.post("/api/v1/keys", {"name": "only-theirs"}, key=self.theirs)
        self.redoubt.request("PUT", "/api/v1/cache/entries/only-theirs", "x", key=self.theirs)
        for path in ("/api/v1/users/only-theirs/sessions", "/api/v1/keys", "/api/v1/audit",
                     "/api/v1/cache/keys?pattern=*", "/api/v1/cache/stats"):
            with self.subTest(path):
                reply = self.redoubt.get(path, key=self.ours)
                self.assertEqual(reply.status, 200, reply)
                self.assertNotIn("only-theirs", reply.body)
                self.assertNotIn("globex", reply.body)
                self.assertNotIn(their["id"], reply.body)

    def test_a_cursor_of_another_leads_nowhere_else(self):
        for _ in range(3):
            self.login(self.theirs, "paged")
            self.redoubt.post("/api/v1/keys", {"name": "paged"}, key=self.theirs)
            self.redoubt.request("PUT", "/api/v1/cache/entries/paged", "x", key=self.theirs)
        for path in ("/api/v1/users/paged/sessions", "/api/v1/keys", "/api/v1/audit"):
            with self.subTest(path):
                cursor = self.redoubt.get(path + "?limit=1", key=self.theirs).json["next_cursor"]
                reply = self.redoubt.get(f"{path}?cursor={cursor}", key=self.ours)
                self.assertNotIn("paged", reply.body)
                self.assertNotIn("globex", reply.body)

    def test_clearing_ones_cache_leaves_the_others(self):
        self.redoubt.request("PUT", "/api/v1/cache/entries/kept?tags=t", "x", key=self.theirs)
        for path, body in (("clear", {}), ("clear/pattern?pattern=*", {}),
                           ("invalidate", {"tags": ["t"], "prefixes": ["kept"], "patterns": ["*"]}),
                           ("dashboard/clear", {})):
            self.assertEqual(self.redoubt.post("/api/v1/cache/" + path, body, key=self.ours).status,
                             200)
        self.assertEqual(self.redoubt.get("/api/v1/cache/entries/kept", key=self.theirs).body, "x")

    def test_limits_of_one_are_not_used_up_by_another(self):
        ask = {"limits": [{"policy": "default", "subject": "shared", "cost": 10}]}
        for key, status in ((self.ours, 200), (self.ours, 429), (self.theirs, 200)):
            self.assertEqual(self.redoubt.post("/api/v1/limits/check", ask, key=key).status, status)

    def test_anothers_session_token_is_no_token(self):
        token = self.login(self.theirs)["token"]
        forged = token[:-1] + ALPHABET[(ALPHABET.index(token[-1]) + 1) % 62]
        for path in ("/api/v1/sessions/verify", "/api/v1/gate"):
            with self.subTest(path):
                theirs = self.redoubt.post(path, {"token": token}, key=self.ours)
                nobodys = self.redoubt.post(path, {"token": forged}, key=self.ours)
                self.assertEqual(theirs.status, 401, theirs)
                self.assertEqual(comparable(theirs), comparable(nobodys))
                own = self.redoubt.post(path, {"token": token}, key=self.theirs)
                self.assertEqual(own.status, 200, own)

    def test_only_the_home_tenant_makes_keys_for_others(self):
        for tenant in ("globex", "missing"):
            reply = self.redoubt.post("/api/v1/keys", {"name": "x", "tenant": tenant},
                                      key=self.ours)
            self.assertEqual(reply.status, 403, reply)

    def test_a_disabled_tenant_is_locked_out_at_once_and_its_sessions_end(self):
        key = self.redoubt.new_tenant("short-lived")
        token = self.login(key)["token"]
        self.assertEqual(self.redoubt.get("/api/v1/sessions/current", key=token).status, 200)
        self.assertEqual(self.redoubt.post("/api/v1/tenants/short-lived/disable").status, 200)
        for credential in (key, token):
            self.assertEqual(self.redoubt.get("/api/v1/sessions/current", key=credential).status,
                             401)
        self.assertEqual(self.redoubt.post("/api/v1/tenants/short-lived/enable").status, 200)
        self.assertEqual(self.redoubt.get("/api/v1/keys", key=key).status, 200)
        self.assertEqual(self.redoubt.get("/api/v1/sessions/current", key=token).status, 401)


class Roles(Isolation):
    def assert_let_in(self, reply):
        """The credential was good for it; "x" is still no session's token."""
        self.assertNotEqual(reply.status, 403, reply)
        if reply.status == 401:
            self.assertEqual(reply.json["code"], "session_invalid", reply)

    def test_every_route_needs_a_credential(self):
        for operation in self.operations:
            for key in (None, "nonsense", "rds_x", "rdk_x_y_z", "rdt_x"):
                with self.subTest(operation=operation.id, key=key):
                    reply = self.send(operation.request(), key)
                    self.assert_problem(reply, 401)
                    self.assertIn("Bearer", reply.headers["WWW-Authenticate"])
        for path in ("/api/v1/gate/forward", "/api/v1/gate/forward/a/b?limit=chat"):
            self.assertEqual(self.redoubt.get(path, key=None).status, 401)

    def test_reading_keys_do_not_write(self):
        key = self.redoubt.new_key("read_only")
        for operation in self.operations:
            with self.subTest(operation.id):
                reply = self.send(operation.request(), key)
                if operation.writes:
                    self.assert_problem(reply, 403)
                    self.assertEqual(reply.json["code"], "role_missing")
                else:
                    self.assert_let_in(reply)

    def test_services_do_not_administer(self):
        key = self.redoubt.new_key("service")
        for operation in self.operations:
            with self.subTest(operation.id):
                reply = self.send(operation.request(), key)
                if operation.role == "admin":
                    self.assert_problem(reply, 403)
                else:
                    self.assert_let_in(reply)

    def test_keys_reach_their_scopes_alone(self):
        only = {scope: self.redoubt.new_key("service", [scope]) for scope in SCOPES}
        without = {scope: self.redoubt.new_key("service", [s for s in SCOPES if s != scope])
                   for scope in SCOPES}
        tried = set()
        for operation in self.operations:
            if operation.role == "admin":
                continue
            with self.subTest(operation.id):
                self.assertIn(operation.scope, SCOPES)
                denied = self.send(operation.request(), without[operation.scope])
                self.assert_problem(denied, 403)
                self.assertEqual(denied.json["code"], "scope_missing")
                self.assert_let_in(self.send(operation.request(), only[operation.scope]))
                tried.add(operation.scope)
        self.assertGreaterEqual(tried, {"sessions", "limits", "cache", "gate"})

    def test_the_instance_belongs_to_the_home_tenants_admins(self):
        shared = [o for o in self.operations if "`default`" in o.description or
                  o.id.startswith(("tenants.", "keyring."))]
        self.assertGreaterEqual(len(shared), 7)
        for operation in shared:
            with self.subTest(operation.id):
                reply = self.send(operation.request(), self.ours)
                self.assert_problem(reply, 403)
                self.assertEqual(reply.json["code"], "home_tenant_only")

        def refusals():
            trail = self.redoubt.get("/api/v1/audit?limit=1000", key=self.ours).json["entries"]
            return [e for e in trail if (e["outcome"], e["target"]) == ("denied", "home_tenant_only")]
        wait_for(refusals, "the refusals in the audit trail")
        self.assertLessEqual({e["action"] for e in refusals()}, {o.id for o in shared})

    def test_session_tokens_open_what_is_theirs(self):
        for operation in self.operations:
            token = self.login(self.ours)["token"]
            with self.subTest(operation.id):
                reply = self.send(operation.request(), token)
                if operation.session_may:
                    self.assertIn(reply.status, (200, 204, 400), reply)
                else:
                    self.assert_problem(reply, 403)
        self.assertEqual({o.id for o in self.operations if o.session_may},
                         {"sessions.current", "sessions.logout"})

    def test_keys_that_ended_open_nothing(self):
        made = self.redoubt.post("/api/v1/keys", {"name": "x"}).json
        rotated = self.redoubt.post(f"/api/v1/keys/{made['key']['id']}/rotate")
        self.assertEqual(rotated.status, 201, rotated)
        self.assertEqual(self.redoubt.get("/api/v1/cache/stats", key=made["token"]).status, 401)
        self.assertEqual(self.redoubt.get("/api/v1/cache/stats", key=rotated.json["token"]).status,
                         200)
        self.redoubt.delete(f"/api/v1/keys/{rotated.json['key']['id']}")
        self.assertEqual(self.redoubt.get("/api/v1/cache/stats", key=rotated.json["token"]).status,
                         401)


def damaged(token):
    """Every single bit flipped, every truncation, and other near misses."""
    for at in range(len(token)):
        for bit in range(8):
            yield token[:at] + chr(ord(token[at]) ^ (1 << bit)) + token[at + 1:]
    for length in range(len(token)):
        yield token[:length]
    for more in ("0", "_", " x", "\u0000", token):
        yield token + more
    yield token.swapcase()
    yield token.upper()


class Forgery(Isolation):
    def test_no_damaged_session_token_is_good(self):
        good = self.login(self.ours)["token"]
        bodies = set()
        for token in damaged(good):
            reply = self.redoubt.post("/api/v1/sessions/verify", {"token": token}, key=self.ours)
            # Empty, or with U+0000: no string that could be a token.
            self.assertIn(reply.status, (401,) if token and "\0" not in token else (400,), token)
            if reply.status == 401:
                bodies.add(comparable(reply))
            gate = self.redoubt.post("/api/v1/gate", {"token": token or "x"}, key=self.ours)
            self.assertIn(gate.status, (401,) if "\0" not in token else (400,), token)
        self.assertEqual(len(bodies), 1, "why a token is bad must not show: " + str(bodies))
        reply = self.redoubt.post("/api/v1/sessions/verify", {"token": good}, key=self.ours)
        self.assertEqual(reply.status, 200, reply)

    def assert_no_damaged_credential(self, good, path):
        with self.redoubt.connect() as raw:
            for token in damaged(good):
                value = token.encode("latin-1")
                controls = any(byte < 0x20 or byte == 0x7f for byte in value)
                if controls or value.strip() == good.encode():
                    continue  # No field value, or the same one.
                raw.send(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " +
                         value + b"\r\n\r\n")
                reply = raw.read(1)[0]
                self.assertEqual(reply.status, 401, token)
                self.assertNotIn(good[8:-8], reply.body)
        self.assertEqual(self.redoubt.get(path.decode(), key=good).status, 200)

    def test_no_damaged_credential_is_good(self):
        self.assert_no_damaged_credential(self.login(self.ours)["token"],
                                          b"/api/v1/sessions/current")
        self.assert_no_damaged_credential(self.redoubt.new_key("service"), b"/api/v1/cache/stats")

    def test_parts_of_two_good_credentials_make_none(self):
        keys = [self.redoubt.new_key("service").split("_") for _ in range(2)]
        tokens = [self.login(self.ours)["token"] for _ in range(2)]
        for at in (1, 2, 3):
            mixed = list(keys[0])
            mixed[at] = keys[1][at]
            self.assertEqual(self.redoubt.get("/api/v1/cache/stats", key="_".join(mixed)).status,
                             401)
        for at in range(5, len(tokens[0]) - 1, 3):
            mixed = tokens[0][:at] + tokens[1][at:]
            if mixed not in tokens:
                reply = self.redoubt.get("/api/v1/sessions/current", key=mixed)
                self.assertEqual(reply.status, 401, reply)

    def test_a_token_is_not_a_key_and_an_id_is_neither(self):
        session = self.login(self.ours)
        for credential in (session["id"], "rds_" + session["id"], "rdk_" + session["id"],
                           session["token"].replace("rds_", "rdk_"),
                           self.ours.replace("rdk_", "rds_")):
            reply = self.redoubt.get("/api/v1/sessions/current", key=credential)
            self.assertEqual(reply.status, 401, reply)

    def test_credentials_are_read_from_headers_alone(self):
        key = self.redoubt.new_key("service")
        for path in (f"/api/v1/cache/stats?key={key}", f"/api/v1/cache/stats?access_token={key}"):
            self.assertIn(self.redoubt.get(path, key=None).status, (400, 401))
        self.assertEqual(self.redoubt.get("/api/v1/cache/stats", key=None,
                                          headers={"X-API-Key": key}).status, 200)
        self.assertEqual(self.redoubt.get("/api/v1/cache/stats", key=None,
                                          headers={"X-Tenant-ID": "globex", "X-API-Key": self.ours})
                         .status, 200)
        self.assertEqual(self.redoubt.get("/api/v1/cache/stats", key=None, headers={
            "Cookie": "__Host-redoubt-session=" + self.login(self.ours)["token"]}).status, 401)


if __name__ == "__main__":
    unittest.main()
