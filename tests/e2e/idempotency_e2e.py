"""Idempotency-Key: what is sent twice is done once, whatever happened in between."""

import concurrent.futures
import contextlib
import http.client
import secrets
import shutil
import socket
import tempfile
import threading
import unittest

from backing import Postgres
from server import PATIENCE, Server, ServerTest, wait_for

PATH = "/api/v1/sessions"


def create(redoubt, idempotency_key, user="ada", **more):
    return redoubt.post(PATH, {"user": user}, headers={"Idempotency-Key": idempotency_key}, **more)


def sessions_of(redoubt, user):
    return len(redoubt.get(f"/api/v1/users/{user}/sessions").json["data"])


class OneServer(ServerTest):
    env = {"REDOUBT_LIMIT_SMALL": "5/1h burst 5", "REDOUBT_LIMIT_EXACT": "5/1h strict"}

    def test_a_repetition_is_given_the_first_answer(self):
        first = create(self.redoubt, '"k-first"', "first")
        again = create(self.redoubt, "k-first", "first")
        self.assertEqual((first.status, again.status), (201, 201))
        self.assertNotIn("Idempotency-Replayed", first.headers)
        self.assertEqual(again.headers["Idempotency-Replayed"], "true")
        self.assertEqual(again.body, first.body)
        for header in ("Content-Type", "Location", "ETag", "Cache-Control"):
            self.assertEqual(again.headers[header], first.headers[header])
        self.assertNotEqual(again.headers["X-Request-ID"], first.headers["X-Request-ID"])
        self.assertEqual(self.redoubt.get(PATH + "/current", key=again.json["token"]).status, 200)
        self.assertEqual(sessions_of(self.redoubt, "first"), 1)

    def test_another_request_under_the_key_is_refused(self):
        self.assertEqual(create(self.redoubt, "k-other", "one").status, 201)
        refused = create(self.redoubt, "k-other", "two")
        self.assert_problem(refused, 422)
        self.assertEqual(refused.json["code"], "idempotency_key_reused")
        self.assertEqual(sessions_of(self.redoubt, "two"), 0)

    def test_another_tenant_and_another_key_of_the_tenant_have_keys_of_their_own(self):
        mine = create(self.redoubt, "k-scope").json
        theirs = create(self.redoubt, "k-scope", key=self.redoubt.new_tenant("globex"))
        beside = create(self.redoubt, "k-scope", key=self.redoubt.new_key("admin"))
        for reply in (theirs, beside):
            self.assertEqual(reply.status, 201)
            self.assertNotEqual(reply.json["token"], mine["token"])

    def test_a_bad_key_is_refused_and_named(self):
        for key in ("", '""', "a b", '"open', "k" * 129, "a,b"):
            reply = create(self.redoubt, key, "bad")
            self.assert_problem(reply, 400)
            self.assertIn("Idempotency-Key", reply.json["detail"])
        with self.redoubt.connect() as raw:
            body = b'{"user":"bad"}'
            raw.send(b"POST /api/v1/sessions HTTP/1.1\r\nHost: x\r\nIdempotency-Key: a\r\n"
                     b"Idempotency-Key: a\r\nContent-Type: application/json\r\nAuthorization: Bearer "
                     + self.redoubt.admin_key.encode() + b"\r\nContent-Length: "
                     + str(len(body)).encode() + b"\r\n\r\n" + body)
            self.assertEqual(raw.read(1)[0].status, 400)
        self.assertEqual(sessions_of(self.redoubt, "bad"), 0)

    def test_requests_in_one_pipeline_are_done_once(self):
        body = b'{"user":"pipelined"}'
        one = (b"POST /api/v1/sessions HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k-pipe\r\n"
               b"Content-Type: application/json\r\nAuthorization: Bearer "
               + self.redoubt.admin_key.encode() + b"\r\nContent-Length: "
               + str(len(body)).encode() + b"\r\n\r\n" + body)
        with self.redoubt.connect() as raw:
            raw.send(one * 5)
            replies = raw.read(5)
        self.assertEqual([reply.status for reply in replies], [201] * 5)
        self.assertEqual(len({reply.body for reply in replies}), 1)
        self.assertEqual(sessions_of(self.redoubt, "pipelined"), 1)

    def test_many_at_once_are_done_once(self):
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            replies = list(pool.map(lambda _: create(self.redoubt, "k-many", "many"), range(64)))
        done = {reply.body for reply in replies if reply.status == 201}
        self.assertEqual(len(done), 1)
        for reply in replies:
            self.assertIn(reply.status, (201, 409))
            if reply.status == 409:
                self.assertEqual(reply.json["code"], "idempotency_in_progress")
                self.assertIn("Retry-After", reply.headers)
        self.assertEqual(sessions_of(self.redoubt, "many"), 1)

    def test_a_revocation_is_no_404_the_second_time(self):
        session = self.redoubt.new_session()
        headers = {"Idempotency-Key": "k-revoke"}
        for _ in range(2):
            reply = self.redoubt.delete(f"{PATH}/{session['id']}", headers=headers)
            self.assertEqual(reply.status, 204)
        self.assertEqual(self.redoubt.delete(f"{PATH}/{session['id']}").status, 404)

    def test_a_refusal_is_repeated_and_a_bad_request_is_not_kept(self):
        headers = {"Idempotency-Key": "k-refused"}
        path = "/api/v1/tenants/later/disable"
        first = self.redoubt.post(path, headers=headers)
        self.assertEqual(first.status, 404)
        self.redoubt.new_tenant("later")
        again = self.redoubt.post(path, headers=headers)
        self.assertEqual(again.body, first.body)
        self.assertEqual(again.headers["Idempotency-Replayed"], "true")
        self.assertEqual(again.headers["Content-Type"], "application/problem+json")

        bad = self.redoubt.post(PATH, {"usr": "x"}, headers={"Idempotency-Key": "k-bad"})
        self.assertEqual(bad.status, 400)
        self.assertEqual(create(self.redoubt, "k-bad", "good").status, 201)

    def test_a_limit_is_charged_once_and_its_no_is_not_kept(self):
        for policy in ("small", "exact"):
            with self.subTest(policy):
                def check(key, policy=policy):
                    body = {"limits": [{"policy": policy, "subject": "s"}]}
                    return self.redoubt.post("/api/v1/limits/check", body,
                                             headers={"Idempotency-Key": f"{policy}-{key}"})
                for _ in range(8):
                    self.assertEqual(check("once").status, 200)
                self.assertEqual([check(i).status for i in range(5)], [200] * 4 + [429])
                self.assertNotIn("Idempotency-Replayed", check(4).headers)
                self.assertEqual(check("once").status, 200)

    def test_reading_ignores_a_key(self):
        session = self.redoubt.new_session()
        headers = {"Idempotency-Key": "k-read"}
        for _ in range(2):
            for reply in (self.redoubt.get(f"{PATH}/{session['id']}", headers=headers),
                          self.redoubt.post(PATH + "/verify", {"token": session["token"]},
                                            headers=headers)):
                self.assertEqual(reply.status, 200)
                self.assertNotIn("Idempotency-Replayed", reply.headers)

    def test_the_gate_ignores_a_key_and_its_yes_is_never_of_before(self):
        session = self.redoubt.new_session()
        body = {"token": session["token"]}
        headers = {"Idempotency-Key": "k-gate"}
        self.assertEqual(self.redoubt.post("/api/v1/gate", body, headers=headers).status, 200)
        self.redoubt.delete(f"{PATH}/{session['id']}")
        self.assertEqual(self.redoubt.post("/api/v1/gate", body, headers=headers).status, 401)

    def test_the_key_of_a_request_that_a_proxy_asks_about_is_not_looked_at(self):
        token = self.redoubt.new_session()["token"].encode()
        for keys in (b"Idempotency-Key: a\r\nIdempotency-Key: b\r\n", b"Idempotency-Key:\r\n"):
            with self.redoubt.connect() as raw:
                raw.send(b"GET /api/v1/gate/forward HTTP/1.1\r\nHost: x\r\n" + keys
                         + b"Authorization: Bearer " + token + b"\r\n\r\n")
                self.assertEqual(raw.read(1)[0].status, 200)

    def test_of_two_sessions_of_a_user_each_logs_out_itself(self):
        headers = {"Idempotency-Key": "k-logout"}
        one, other = (self.redoubt.new_session("twice")["token"] for _ in range(2))
        current = PATH + "/current"
        self.assertEqual(self.redoubt.delete(current, key=one, headers=headers).status, 204)
        self.assertEqual(self.redoubt.delete(current, key=other, headers=headers).status, 422)
        self.assertEqual(self.redoubt.get(current, key=other).status, 200)

    def test_what_became_of_keys_is_counted(self):
        before = self.redoubt.metric("redoubt_idempotency_requests_total", outcome="replayed")
        create(self.redoubt, "k-metric")
        create(self.redoubt, "k-metric")
        after = self.redoubt.metric("redoubt_idempotency_requests_total", outcome="replayed")
        self.assertEqual(after - before, 1)


class Crash(unittest.TestCase):
    def setUp(self):
        self.data = tempfile.mkdtemp(prefix="redoubt-idempotency-")
        self.addCleanup(shutil.rmtree, self.data, ignore_errors=True)

    def test_the_answer_survives_a_kill(self):
        redoubt = Server(data_dir=self.data)
        self.addCleanup(redoubt.__exit__)
        first = create(redoubt, "k1")
        redoubt.kill()
        redoubt.start()
        again = create(redoubt, "k1")
        self.assertEqual(again.body, first.body)
        self.assertEqual(again.headers["Idempotency-Replayed"], "true")
        self.assertEqual(sessions_of(redoubt, "ada"), 1)

    def test_killed_at_any_moment_each_is_done_once(self):
        """Requests are sent, the process is killed under them, and everything is sent again, with
        the same keys, until all is answered."""
        redoubt = Server(data_dir=self.data)
        self.addCleanup(redoubt.__exit__)
        users = [f"user-{i}" for i in range(60)]
        heard = {}
        for _ in range(4):
            answered = threading.Event()

            def send(user):
                try:
                    reply = create(redoubt, f"key of {user}".replace(" ", "-"), user)
                except (OSError, http.client.HTTPException):
                    return
                self.assertEqual(reply.status, 201, reply)
                self.assertEqual(heard.setdefault(user, reply.body), reply.body)
                answered.set()

            with concurrent.futures.ThreadPoolExecutor(12) as pool:
                sending = [pool.submit(send, user) for user in users]
                answered.wait(PATIENCE)
                redoubt.kill()
                for each in sending:
                    each.result()
            redoubt.start()
        for user in users:
            reply = create(redoubt, f"key-of-{user}", user)
            self.assertEqual(reply.status, 201, reply)
            self.assertEqual(heard.setdefault(user, reply.body), reply.body)
            self.assertEqual(sessions_of(redoubt, user), 1)

    def test_a_client_that_hung_up_learns_the_answer(self):
        with Server(data_dir=self.data) as redoubt:
            body = b'{"user": "gone"}'  # Byte for byte what create() sends.
            raw = socket.create_connection(("127.0.0.1", redoubt.port))
            raw.sendall(b"POST /api/v1/sessions HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k1\r\n"
                        b"Content-Type: application/json\r\nAuthorization: Bearer "
                        + redoubt.admin_key.encode() + b"\r\nContent-Length: "
                        + str(len(body)).encode() + b"\r\n\r\n" + body)
            raw.close()
            reply = wait_for(lambda: (lambda r: r if r.status == 201 else None)(
                create(redoubt, "k1", "gone")), "the answer")
            self.assertEqual(reply.status, 201)
            self.assertEqual(sessions_of(redoubt, "gone"), 1)


class TwoInstances(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with contextlib.ExitStack() as made:
            postgres = made.enter_context(Postgres())
            env = {"DATABASE_URL": postgres.url, "TOKEN_ENCRYPTION_KEY": secrets.token_hex(32)}
            cls.instances = [made.enter_context(Server(env=env)) for _ in range(2)]
            cls.instances[1].admin_key = cls.instances[0].admin_key
            cls.addClassCleanup(made.pop_all().close)

    def test_one_answer_for_both(self):
        first = create(self.instances[0], "k1")
        again = create(self.instances[1], "k1")
        self.assertEqual(again.body, first.body)
        self.assertEqual(again.headers["Idempotency-Replayed"], "true")

    def test_at_the_same_moment_one_of_them_does_it(self):
        def send(i):
            return create(self.instances[i % 2], f"k-{i // 8}", f"racer-{i // 8}")
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            replies = list(pool.map(send, range(160)))
        for k in range(20):
            group = replies[k * 8:(k + 1) * 8]
            self.assertEqual({reply.status for reply in group} - {201, 409}, set())
            self.assertEqual(len({reply.body for reply in group if reply.status == 201}), 1)
            self.assertEqual(sessions_of(self.instances[0], f"racer-{k}"), 1)

    def test_a_tenant_of_its_own_under_row_level_security(self):
        headers = {"Idempotency-Key": "k-tenant"}
        body = {"id": "initech", "name": "Initech"}
        replies = [instance.post("/api/v1/tenants", body, headers=headers)
                   for instance in self.instances]
        self.assertEqual([reply.status for reply in replies], [201, 201], replies)


if __name__ == "__main__":
    unittest.main()
