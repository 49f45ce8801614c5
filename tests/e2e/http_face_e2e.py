"""What every client of the HTTP face meets: health, metrics, documents, CORS, tracing, ETags."""

import json
import re
import shutil
import subprocess
import unittest

from server import ServerTest


class Health(ServerTest):
    def get(self, path):
        return self.redoubt.get(path, key=None)

    def test_probes_answer_with_a_status(self):
        for path in ("/livez", "/readyz", "/startupz", "/health/live", "/health/ready",
                     "/api/v2/health/live", "/api/v2/health/ready"):
            with self.subTest(path):
                reply = self.get(path)
                self.assertEqual((reply.status, reply.body), (200, "ok\n"))
                self.assertEqual(reply.headers["Cache-Control"], "no-store")
        self.assertEqual(self.get("/readyz?verbose").body,
                         "[+]started ok\n[+]not_draining ok\nreadyz check passed\n")
        self.assertEqual(self.get("/readyz?verbose&exclude=started").body,
                         "[+]not_draining ok\nreadyz check passed\n")

    def test_people_and_dashboards_get_bodies(self):
        status = self.get("/status").json
        self.assertEqual((status["agent_type"], status["status"], status["health"]),
                         ("redoubt", "stable", "ok"))
        self.assertEqual(status["redis"]["status"], "not_configured")
        self.assertEqual(status["features"]["cache"], {"active_backend": "memory"})
        for path in ("/health", "/api/v2/health"):
            health = self.get(path).json
            self.assertEqual(health["status"], "healthy")
            self.assertEqual(health["dependencies"],
                             {"database": "connected", "redis": "not_configured"})
            self.assertEqual(health["features"]["limits"], {"active_backend": "memory"})
        redis = self.redoubt.get("/api/v2/debug/health/redis")
        self.assertEqual((redis.status, redis.json["status"]), (200, "not_configured"))
        self.assert_problem(self.get("/api/v2/debug/health/redis"), 401)
        self.assertEqual(self.get("/api/v1/info").json["name"], "redoubt")

    def test_only_reading_is_allowed(self):
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            reply = self.redoubt.request(method, "/readyz", key=None)
            self.assert_problem(reply, 405)
            self.assertEqual(reply.json["title"], "Method Not Allowed")
            self.assertEqual(reply.headers["Allow"], "GET, HEAD")

    def test_documents(self):
        self.assertEqual(self.get("/openapi.json").json["openapi"][:3], "3.1")
        page = self.get("/docs")
        self.assertEqual(page.headers["Content-Type"], "text/html; charset=utf-8")
        self.assertIn("default-src 'none'", page.headers["Content-Security-Policy"])
        self.assertNotRegex(page.body, r'(src|href)="https?://')


class Metrics(ServerTest):
    def setUp(self):
        self.redoubt.new_session()
        self.redoubt.get("/api/v1/sessions/nonsense")
        self.redoubt.get("/nowhere/at/all", key=None)
        self.redoubt.post("/api/v1/gate", {"limits": [{"policy": "default"}]})

    def text(self, **headers):
        return self.redoubt.request("GET", "/metrics", key=None,
                                    headers={n.replace("_", "-"): v for n, v in headers.items()})

    def test_promtool_has_nothing_to_say(self):
        promtool = shutil.which("promtool")
        if not promtool:
            self.skipTest("promtool is not installed")
        reply = self.text()
        self.assertEqual(reply.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        said = subprocess.run([promtool, "check", "metrics"], input=reply.body, text=True,
                              capture_output=True)
        self.assertEqual((said.returncode, said.stdout + said.stderr), (0, ""))

    def test_openmetrics_for_those_who_ask(self):
        reply = self.text(Accept="application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
        self.assertEqual(reply.headers["Content-Type"],
                         "application/openmetrics-text; version=1.0.0; charset=utf-8")
        self.assertTrue(reply.body.endswith("# EOF\n"))
        self.assertIn("# TYPE redoubt_http_requests counter\n", reply.body)
        self.assertIn("\nredoubt_http_requests_total{", reply.body)

    def test_labels_are_bounded(self):
        for i in range(20):
            self.redoubt.get(f"/nowhere/{i}", key=None)
            self.redoubt.get(f"/api/v1/sessions/ses_{i:022}")
            self.redoubt.request(f"BREW{i}", "/livez", key=None)
        body = self.text().body
        routes = set(re.findall(r'route="([^"]*)"', body))
        self.assertIn("/api/v1/sessions/{id}", routes)
        self.assertFalse([route for route in routes if "nowhere" in route or "ses_" in route])
        self.assertFalse(re.findall(r'"BREW', body))


UUID7 = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"


class Requests(ServerTest):
    env = {"REDOUBT_CORS_ORIGINS": "https://app.example.com"}

    def test_every_answer_names_its_request(self):
        own = self.redoubt.get("/livez", headers={"X-Request-ID": "my-id_1.2"})
        self.assertEqual(own.headers["X-Request-ID"], "my-id_1.2")
        for bad in ("", "a b", "x" * 129, "a;b", "<script>"):
            made = self.redoubt.get("/nowhere", headers={"X-Request-ID": bad})
            self.assertRegex(made.headers["X-Request-ID"], UUID7)
            self.assertEqual(made.json["request_id"], made.headers["X-Request-ID"])

    def test_traces_are_continued_when_they_are_valid(self):
        good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        self.assertEqual(self.redoubt.get("/api/v1/info", headers={"traceparent": good})
                         .headers["traceparent"], good)
        for bad in ("00-" + "0" * 32 + "-b7ad6b7169203331-01", good[:-1], good.upper(),
                    good.replace("00-", "ff-", 1), good + "-x"):
            with self.subTest(bad):
                self.assertNotIn("traceparent", self.redoubt.get(
                    "/api/v1/info", headers={"traceparent": bad}).headers)

    def test_answers_say_how_long_they_took_and_are_not_sniffed(self):
        reply = self.redoubt.get("/api/v1/cache/stats")
        self.assertRegex(reply.headers["Server-Timing"], r"^app;dur=\d+\.\d{3}$")
        self.redoubt.request("PUT", "/api/v1/cache/entries/page", "<script>alert(1)</script>",
                             headers={"Content-Type": "text/html"})
        for path in ("/api/v1/cache/entries/page", "/api/v1/cache/entries/none", "/docs"):
            reply = self.redoubt.get(path)
            self.assertEqual(reply.headers["X-Content-Type-Options"], "nosniff", reply)

    def test_pages_of_a_named_origin_may_call(self):
        asked = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "PUT",
                 "Access-Control-Request-Headers": "authorization,redoubt-fill-lease"}
        preflight = self.redoubt.request("OPTIONS", "/api/v1/cache/entries/x", key=None,
                                         headers=asked)
        self.assertEqual(preflight.status, 204, preflight)
        self.assertEqual(preflight.headers["Access-Control-Allow-Origin"],
                         "https://app.example.com")
        self.assertIn("PUT", preflight.headers["Access-Control-Allow-Methods"])
        for header in ("Authorization", "Content-Type", "If-Match", "Redoubt-Fill-Lease"):
            self.assertIn(header, preflight.headers["Access-Control-Allow-Headers"])
        self.assertEqual(preflight.headers["Vary"], "Origin")
        called = self.redoubt.get("/api/v1/cache/stats", headers={"Origin": asked["Origin"]})
        self.assertEqual(called.headers["Access-Control-Allow-Origin"], asked["Origin"])
        self.assertIn("RateLimit", called.headers["Access-Control-Expose-Headers"])

    def test_pages_of_others_may_not(self):
        for origin in ("https://evil.example.com", "https://app.example.com.evil.com", "null",
                       "http://app.example.com", "https://app.example.com:444"):
            with self.subTest(origin):
                for method in ("OPTIONS", "GET"):
                    reply = self.redoubt.request(
                        method, "/api/v1/cache/stats", headers={
                            "Origin": origin, "Access-Control-Request-Method": "GET"})
                    self.assertNotIn("Access-Control-Allow-Origin", reply.headers)

    def test_wrong_methods_say_which_are_right(self):
        reply = self.redoubt.request("PUT", "/api/v1/sessions")
        self.assert_problem(reply, 405)
        self.assertEqual(reply.headers["Allow"], "POST")

    def test_a_change_can_depend_on_the_version_it_was_made_from(self):
        session = self.redoubt.new_session()
        path = f"/api/v1/sessions/{session['id']}"
        version = self.redoubt.get(path).headers["ETag"]

        def patch(etag):
            return self.redoubt.request("PATCH", path, json.dumps({"data": {"n": etag}}), headers={
                "If-Match": etag, "Content-Type": "application/json"})

        self.assertEqual(patch(version).status, 200)
        self.assert_problem(patch(version), 412)
        self.assertEqual(patch(self.redoubt.get(path).headers["ETag"]).status, 200)

    def test_a_version_that_the_client_has_is_not_sent_again(self):
        session = self.redoubt.new_session()
        path = f"/api/v1/sessions/{session['id']}"
        version = self.redoubt.get(path).headers["ETag"]

        def get(etag):
            return self.redoubt.request("GET", path, headers={"If-None-Match": etag})

        for etag in (version, f'"7", W/{version}', "*"):
            reply = get(etag)
            self.assertEqual((reply.status, reply.body), (304, ""))
            self.assertEqual(reply.headers["ETag"], version)
        self.assertEqual(get('"7"').json["id"], session["id"])
        self.redoubt.request("PATCH", path, {"data": {"n": 1}})
        self.assertEqual(get(version).status, 200)

    def test_lists_come_in_pages(self):
        for _ in range(5):
            self.redoubt.new_session("paged")
        seen, cursor = [], ""
        while cursor is not None:
            page = self.redoubt.get(f"/api/v1/users/paged/sessions?limit=2&cursor={cursor}").json
            seen += [session["id"] for session in page["data"]]
            cursor = page.get("next_cursor")
        self.assertEqual((len(seen), len(set(seen))), (5, 5))


if __name__ == "__main__":
    unittest.main()
