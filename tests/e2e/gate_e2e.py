"""The gate, directly and behind a real nginx that asks it with auth_request."""

import http.client
import http.server
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import unittest

from server import PATIENCE, Server, forged_of, free_port, wait_for

ENV = {"REDOUBT_LIMIT_CHAT": "2/1h burst 2 gcra", "REDOUBT_LIMIT_KNOCK": "3/1h burst 3 gcra",
       "REDOUBT_TRUSTED_PROXIES": "127.0.0.1/32"}


class Upstream(http.server.BaseHTTPRequestHandler):
    """The agent backend: answers with the identity it was handed."""

    def do_GET(self):
        body = (self.headers.get("X-User", "-") + " " + self.headers.get("X-Session", "-")).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


NGINX = """
daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/error.log;
events {{ worker_connections 128; }}
http {{
  access_log off; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p;
  fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  server {{
    listen 127.0.0.1:{port};
    location = /gate {{
      internal;
      proxy_pass http://127.0.0.1:{redoubt}/api/v1/gate/forward?limit=chat:user;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_set_header X-Forwarded-For $remote_addr;
    }}
    location / {{
      auth_request /gate;
      auth_request_set $user $upstream_http_redoubt_user;
      auth_request_set $session $upstream_http_redoubt_session;
      auth_request_set $left $upstream_http_x_ratelimit_remaining;
      proxy_set_header X-User $user;
      proxy_set_header X-Session $session;
      add_header X-Left $left always;
      proxy_pass http://127.0.0.1:{upstream};
    }}
  }}
}}
"""


class Nginx:
    def __init__(self, redoubt, upstream):
        self.dir = tempfile.mkdtemp(prefix="redoubt-nginx-")
        self.port = free_port()
        path = os.path.join(self.dir, "nginx.conf")
        with open(path, "w") as file:
            file.write(NGINX.format(dir=self.dir, port=self.port, redoubt=redoubt,
                                    upstream=upstream))
        binary = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
        self.process = subprocess.Popen([binary, "-c", path, "-e", os.path.join(self.dir, "e.log")],
                                        stderr=subprocess.DEVNULL)
        wait_for(self._up, "nginx")

    def _up(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE).close()
            return True
        except OSError:
            return False

    def get(self, token=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        headers = {"Authorization": "Bearer " + token} if token else {}
        try:
            connection.request("GET", "/chat", headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()
        finally:
            connection.close()

    def stop(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


class Gate(unittest.TestCase):
    def setUp(self):
        self.redoubt = Server(env=ENV)
        self.addCleanup(self.redoubt.__exit__)

    def test_says_yes_with_everything_needed_to_go_on(self):
        session = self.redoubt.new_session("ada", agent="planner", data={"plan": "pro"})

        reply = self.redoubt.post("/api/v1/gate", {
            "token": session["token"], "agent": "planner",
            "limits": [{"policy": "chat", "by": "user"}]})

        self.assertEqual(reply.status, 200, reply)
        self.assertTrue(reply.json["allowed"])
        self.assertEqual(reply.json["principal"], "user:ada")
        self.assertEqual(reply.json["session"]["data"], {"plan": "pro"})
        self.assertEqual(reply.json["limits"][0]["remaining"], 1)
        self.assertEqual(reply.headers["X-RateLimit-Remaining"], "1")

    def test_says_no_in_three_ways(self):
        session = self.redoubt.new_session("ada", agent="planner")
        ask = {"token": session["token"], "limits": [{"policy": "chat"}]}

        forged = self.redoubt.post("/api/v1/gate", {**ask, "token": forged_of(session["token"])})
        wrong_agent = self.redoubt.post("/api/v1/gate", {**ask, "agent": "coder"})
        admitted = [self.redoubt.post("/api/v1/gate", ask).status for _ in range(2)]
        limited = self.redoubt.post("/api/v1/gate", ask)

        self.assertEqual(forged.status, 401, forged)
        self.assertEqual(forged.json["outcome"], "session_invalid")
        self.assertEqual(wrong_agent.status, 403, wrong_agent)
        self.assertEqual(admitted, [200, 200])  # The refusals charged nothing.
        self.assertEqual(limited.status, 429, limited)
        self.assertIn("Retry-After", limited.headers)

    def test_counts_addresses_that_guess_tokens(self):
        ask = {"token": "rds_guess", "address": "203.0.113.7",
               "limits": [{"policy": "knock", "by": "address"}, {"policy": "chat"}]}

        statuses = [self.redoubt.post("/api/v1/gate", ask).status for _ in range(4)]

        self.assertEqual(statuses, [401, 401, 401, 429])

    def test_names_what_is_wrong_with_a_request(self):
        unknown = self.redoubt.post("/api/v1/gate", {"limits": [{"policy": "nope"}]})
        self.assertEqual(unknown.status, 400, unknown)
        self.assertIn("nope", unknown.body)
        no_session = self.redoubt.post(
            "/api/v1/gate", {"limits": [{"policy": "chat", "by": "session"}]})
        self.assertEqual(no_session.status, 400, no_session)
        self.assertIn("limits.0.by", no_session.body)

    def test_guards_a_backend_behind_nginx(self):
        upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
        threading.Thread(target=upstream.serve_forever, daemon=True).start()
        self.addCleanup(upstream.server_close)
        self.addCleanup(upstream.shutdown)
        nginx = Nginx(self.redoubt.port, upstream.server_port)
        self.addCleanup(nginx.stop)
        session = self.redoubt.new_session("ada")

        status, headers, body = nginx.get(session["token"])
        self.assertEqual(status, 200, body)
        self.assertEqual(body, "ada " + session["id"])
        self.assertEqual(headers["X-Left"], "1")
        self.assertEqual(nginx.get()[0], 401)
        self.assertEqual(nginx.get("rds_forged")[0], 401)
        self.assertEqual(nginx.get(session["token"])[0], 200)
        # nginx turns any status but 2xx, 401 and 403 of auth_request into 500; what matters is
        # that the request does not pass.
        self.assertIn(nginx.get(session["token"])[0], (429, 500))

    def test_answers_proxies_with_status_and_fields_alone(self):
        session = self.redoubt.new_session("ada lovelace")
        path = "/api/v1/gate/forward?limit=chat:user"

        yes = self.redoubt.get(path, key=session["token"])
        self.assertEqual(self.redoubt.get(path, key=session["token"]).status, 200)
        no = self.redoubt.get(path, key=session["token"])
        cookie = self.redoubt.get("/api/v1/gate/forward?limit=knock:user", key=None, headers={
            "Cookie": "a=b; __Host-redoubt-session=" + session["token"]})

        self.assertEqual((yes.status, no.status, cookie.status), (200, 429, 200))
        self.assertEqual(yes.headers["Redoubt-User"], "ada%20lovelace")
        self.assertEqual(yes.headers["Redoubt-Tenant"], "default")
        self.assertEqual(yes.headers["Redoubt-Agent"], "")  # Over any the client may have sent.
        self.assertIn("RateLimit", no.headers)
        self.assertEqual(self.redoubt.get("/api/v1/gate/forward?limit=chat:x").status, 400)

    def test_reads_no_limits_from_the_original_requests_query(self):
        session = self.redoubt.new_session("ada")
        for query in ("limit=chat:user", "limit=nonsense", "limit=chat:user:1000000", "agent=x"):
            with self.subTest(query):
                reply = self.redoubt.request("POST", "/api/v1/gate/forward/its/path?" + query,
                                             key=session["token"])
                self.assertEqual(reply.status, 200, reply)
                self.assertTrue(reply.headers["RateLimit"].startswith('"default"'), reply.headers)

    def test_limits_what_names_no_limit_unless_told_not_to_and_always_what_names_one(self):
        with Server(env={"RATE_LIMIT_ENABLED": "false", "RATE_LIMIT_BURST_SIZE": "2"}) as redoubt:
            token = redoubt.new_session("ada")["token"]
            unnamed = [redoubt.get("/api/v1/gate/forward", key=token) for _ in range(4)]
            named = [redoubt.get("/api/v1/gate/forward?limit=default:user", key=token).status
                     for _ in range(3)]
        self.assertEqual([reply.status for reply in unnamed], [200] * 4)
        self.assertNotIn("RateLimit", unnamed[0].headers)
        self.assertEqual(named, [200, 200, 429])

    def test_names_nobody_when_there_is_nobody(self):
        reply = self.redoubt.get("/api/v1/gate/forward?limit=chat:user", key="rds_forged", headers={
            "Redoubt-User": "root", "Redoubt-Session": "ses_forged"})
        self.assertEqual(reply.status, 401, reply)
        for name in ("Redoubt-User", "Redoubt-Session", "Redoubt-Agent", "Redoubt-Principal"):
            self.assertEqual(reply.headers[name], "", name)

    def test_a_repeated_credential_is_refused_and_of_both_kinds_the_bearer_counts(self):
        token = self.redoubt.new_session("ada")["token"].encode()
        path = b"GET /api/v1/gate/forward?limit=chat:user HTTP/1.1\r\nHost: a\r\n"
        bearer, key = b"Authorization: Bearer ", b"X-API-Key: "
        for fields in ((bearer + token, bearer + token), (bearer + b"rds_x", bearer + token),
                       (key + token, key + token)):
            with self.subTest(fields), self.redoubt.connect() as raw:
                raw.send(path + b"\r\n".join(fields) + b"\r\n\r\n")
                self.assertEqual(raw.read(1)[0].status, 400)
        for first, second, status in ((bearer + token, key + b"rdk_x", 200),
                                      (bearer + b"rds_x", key + token, 401)):
            with self.subTest(first), self.redoubt.connect() as raw:
                raw.send(path + first + b"\r\n" + second + b"\r\n\r\n")
                self.assertEqual(raw.read(1)[0].status, status)


if __name__ == "__main__":
    unittest.main()
