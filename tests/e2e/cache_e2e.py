"""The cache as its clients see it: entries, fills, invalidation, and the paths of its dashboard."""

import threading
import time
import unittest
from urllib.parse import quote

from server import ServerTest, wait_for


class Cache(ServerTest):
    env = {"CACHE_DEFAULT_TTL": "1h"}

    def setUp(self):
        self.redoubt.post("/api/v1/cache/clear")

    def put(self, key, value, query="", **headers):
        reply = self.redoubt.request(
            "PUT", f"/api/v1/cache/entries/{quote(key, '')}{query}", value,
            headers={"Content-Type": "text/plain",
                     **{name.replace("_", "-"): text for name, text in headers.items()}})
        self.assertEqual(reply.status, 200, reply)
        return reply

    def get(self, key, query="", **headers):
        return self.redoubt.get(f"/api/v1/cache/entries/{quote(key, '')}{query}",
                                headers={n.replace("_", "-"): t for n, t in headers.items()})

    def keys(self, pattern="*"):
        reply = self.redoubt.get(f"/api/v1/cache/keys?pattern={quote(pattern, '')}&limit=100")
        self.assertEqual(reply.status, 200, reply)
        return sorted(item["key"] for item in reply.json["data"])


class Entries(Cache):
    def test_a_value_comes_back_as_it_was_put(self):
        put = self.put("a:1", "value", "?ttl=60")
        got = self.get("a:1")

        self.assertTrue(put.json["stored"])
        self.assertEqual((got.status, got.body), (200, "value"))
        self.assertEqual(got.headers["Content-Type"], "text/plain")
        self.assertEqual(got.headers["Redoubt-Cache"], "hit")
        self.assertEqual(got.headers["ETag"], f'"{put.json["etag"]}"')
        self.assertEqual(got.headers["Age"], "0")
        self.assertTrue(50 <= float(got.headers["Redoubt-Cache-Ttl"]) <= 60)

    def test_what_the_client_has_is_not_sent_again(self):
        etag = self.put("a:2", "value").headers["ETag"]
        same = self.get("a:2", If_None_Match=etag)
        self.assertEqual((same.status, same.body), (304, ""))
        self.put("a:2", "other")
        self.assertEqual(self.get("a:2", If_None_Match=etag).status, 200)

    def test_a_miss_is_said_and_a_negative_entry_is_none(self):
        missed = self.get("nowhere")
        self.assert_problem(missed, 404)
        self.assertEqual((missed.json["code"], missed.headers["Redoubt-Cache"]),
                         ("cache_miss", "miss"))
        self.put("absent", "", "?negative=true")
        self.assertEqual(self.get("absent").headers["Redoubt-Cache"], "negative")

    def test_it_ends_and_is_served_stale_when_asked_to(self):
        self.put("short", "x", "?ttl=50ms")
        self.put("kept", "x", "?ttl=50ms&stale_for=60")
        wait_for(lambda: self.get("short").status == 404, "the entry to end")
        wait_for(lambda: self.get("kept").headers["Redoubt-Cache"] == "stale", "it to be stale")
        self.assertEqual(self.get("kept").body, "x")
        refresher = self.get("kept", "?lease=10s")
        self.assertIn("Redoubt-Fill-Lease", refresher.headers)
        self.assertNotIn("Redoubt-Fill-Lease", self.get("kept", "?lease=10s").headers)

    def test_deleting_says_whether_there_was_one(self):
        self.put("gone", "x")
        for path, there in (("entries", True), ("keys", False)):
            reply = self.redoubt.delete(f"/api/v1/cache/{path}/gone")
            self.assertEqual((reply.status, reply.json["deleted"]), (200, there))
        self.assertEqual(self.get("gone").status, 404)

    def test_batches_are_in_order(self):
        stored = self.redoubt.post("/api/v1/cache/batch/set", {"entries": [
            {"key": "b:1", "value": "one"}, {"key": "b:2", "value_base64": "/wA="}]})
        self.assertEqual([item["stored"] for item in stored.json["data"]], [True, True])
        got = self.redoubt.post("/api/v1/cache/batch/get", {"keys": ["b:2", "none", "b:1"]})
        self.assertEqual([item["status"] for item in got.json["data"]], [200, 404, 200])
        self.assertEqual(got.json["data"][0]["value_base64"], "/wA=")
        self.assertEqual(got.json["data"][2]["value"], "one")

    def test_values_over_the_limit_are_refused(self):
        reply = self.redoubt.request("PUT", "/api/v1/cache/entries/big", b"x" * ((1 << 20) + 1))
        self.assertEqual(reply.status, 413, reply)


class Fills(Cache):
    def test_of_many_that_miss_one_computes_and_all_get_it(self):
        computed, answers = [], []

        def client():
            reply = self.get("report", "?lease=20s&wait=20s")
            lease = reply.headers.get("Redoubt-Fill-Lease")
            if lease:
                computed.append(1)
                waiting = "redoubt_connections"
                wait_for(lambda: self.redoubt.metric(waiting, state="waiting") >= 5, "the others")
                self.put("report", "computed once", Redoubt_Fill_Lease=lease)
                answers.append("computed once")
            else:
                answers.append(reply.body)

        clients = [threading.Thread(target=client) for _ in range(6)]
        for one in clients:
            one.start()
        for one in clients:
            one.join()

        self.assertEqual(len(computed), 1)
        self.assertEqual(answers, ["computed once"] * 6)

    def test_of_two_that_compete_the_second_waits_no_longer_than_it_would(self):
        first = self.get("slow", "?lease=20s")
        began = time.monotonic()
        second = self.get("slow", "?lease=20s&wait=300ms")
        self.assertIn("Redoubt-Fill-Lease", first.headers)
        self.assertEqual(second.status, 404)
        self.assertNotIn("Redoubt-Fill-Lease", second.headers)
        self.assertGreaterEqual(time.monotonic() - began, 0.3)

    def test_a_lease_given_back_passes_on(self):
        lease = self.get("passed", "?lease=20s").headers["Redoubt-Fill-Lease"]
        released = self.redoubt.delete("/api/v1/cache/leases/passed",
                                       headers={"Redoubt-Fill-Lease": lease})
        self.assertTrue(released.json["released"], released)
        self.assertIn("Redoubt-Fill-Lease", self.get("passed", "?lease=20s").headers)

    def test_a_fill_that_began_before_an_invalidation_is_not_kept(self):
        lease = self.get("users:7", "?lease=20s").headers["Redoubt-Fill-Lease"]
        self.redoubt.post("/api/v1/cache/invalidate", {"prefixes": ["users:7"]})
        late = self.put("users:7", "too late", Redoubt_Fill_Lease=lease)
        self.assertEqual((late.json["stored"], late.json["outcome"]), (False, "invalidated"))
        self.assertEqual(self.get("users:7").status, 404)

    def test_a_forged_lease_fills_nothing(self):
        self.get("guarded", "?lease=20s")
        forged = self.put("guarded", "x", Redoubt_Fill_Lease="0" * 32)
        self.assertEqual(forged.json["outcome"], "lease_lost")
        self.assertEqual(self.get("guarded").status, 404)


class Invalidation(Cache):
    def setUp(self):
        super().setUp()
        for key, tag in (("users:1:a", "red"), ("users:1:b", "blue"), ("users:2:a", "red"),
                         ("other", "blue")):
            self.put(key, "x", "?tags=" + tag)

    def test_by_tag_prefix_and_pattern(self):
        for what, left in (({"tags": ["red"]}, ["other", "users:1:b"]),
                           ({"prefixes": ["users:1:"]}, ["other"]),
                           ({"patterns": ["o?her"]}, [])):
            reply = self.redoubt.post("/api/v1/cache/invalidate", what)
            self.assertEqual(reply.status, 200, reply)
            self.assertEqual(self.keys(), left)

    def test_a_prefix_is_taken_literally(self):
        self.redoubt.post("/api/v1/cache/invalidate", {"prefixes": ["*"]})
        self.assertEqual(len(self.keys()), 4)

    def test_generations_grow(self):
        generations = [self.redoubt.post("/api/v1/cache/invalidate", {"tags": ["x"]})
                       .json["generation"] for _ in range(3)]
        self.assertEqual(generations, sorted(set(generations)))


class Administration(Cache):
    """The paths that the dashboards of existing systems call."""

    def setUp(self):
        super().setUp()
        for key in ("users:1", "users:2", "dashboard:stats", "projects:1"):
            self.put(key, "x")

    def test_status_says_which_backend_serves_what(self):
        body = self.redoubt.get("/api/v1/cache/status").json
        self.assertEqual(set(body), {"redis_status", "cache_service_status", "rate_limit_status"})
        self.assertEqual(body["redis_status"], {"status": "not_configured"})
        self.assertEqual(body["cache_service_status"],
                         {"redis_available": False, "active_backend": "memory",
                          "memory_cache_size": 4})
        self.assertEqual(body["rate_limit_status"],
                         {"redis_available": False, "active_backend": "memory"})

    def test_stats_count(self):
        before = self.redoubt.get("/api/v1/cache/stats").json
        self.get("users:1")
        self.get("nowhere")
        after = self.redoubt.get("/api/v1/cache/stats").json
        self.assertEqual((after["hits"] - before["hits"], after["misses"] - before["misses"]),
                         (1, 1))
        self.assertEqual(after["entries"], 4)

    def test_keys_are_listed_by_pattern_in_pages(self):
        self.assertEqual(self.keys("users:*"), ["users:1", "users:2"])
        path = "/api/v1/cache/keys?pattern=*&limit=3"
        first = self.redoubt.get(path).json
        second = self.redoubt.get(f"{path}&cursor={quote(first['next_cursor'], '')}").json
        listed = [item["key"] for page in (first, second) for item in page["data"]]
        self.assertEqual(listed, sorted(listed))
        self.assertEqual(len(set(listed)), 4)
        self.assertNotIn("next_cursor", second)

    def test_clearing_by_pattern_and_altogether(self):
        self.assertEqual(self.redoubt.post("/api/v1/cache/clear/pattern?pattern=users:*").status,
                         200)
        self.assertEqual(self.keys(), ["dashboard:stats", "projects:1"])
        self.assertEqual(self.redoubt.post("/api/v1/cache/dashboard/clear").status, 200)
        self.assertEqual(self.keys(), ["projects:1"])
        self.assertEqual(self.redoubt.post("/api/v1/cache/clear").status, 200)
        self.assertEqual(self.keys(), [])

    def test_the_dashboard_is_warmed(self):
        warmed = self.redoubt.post("/api/v1/cache/dashboard/warm", {"entries": [
            {"key": "runs", "value": "7"}]})
        self.assertEqual(warmed.status, 200, warmed)
        self.assertEqual(self.get("dashboard:runs").body, "7")
        self.assertEqual(self.redoubt.request("POST", "/api/v1/cache/dashboard/warm", None).status,
                         200)


if __name__ == "__main__":
    unittest.main()
