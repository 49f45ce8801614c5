"""Limits as a backend sees them: decisions, headers, peek, refund and reset."""

import re
import threading
import time
import unittest

from server import ServerTest

ENV = {
    "REDOUBT_LIMIT_CHAT": "3/1h burst 3 gcra",
    "REDOUBT_LIMIT_BURST": "100/1h burst 2 gcra",
    "REDOUBT_LIMIT_SLIDING": "5/1h sliding_window",
    "REDOUBT_LIMIT_LOG": "4/1h sliding_log",
    "REDOUBT_LIMIT_FIXED": "1000/1h fixed_window",
    "REDOUBT_LIMIT_DAILY": "2/day calendar_window",
    "REDOUBT_LIMIT_TOKENS": "50/1d burst 50 strict",
    "REDOUBT_LIMIT_FAST": "10/1s burst 1",
    "REDOUBT_LIMIT_MANY": "100/1h burst 100",
}


class Limits(ServerTest):
    env = ENV

    def ask(self, operation, *limits, status=200):
        items = [{"policy": policy, "subject": subject, "cost": cost}
                 for policy, subject, cost in limits]
        reply = self.redoubt.post(f"/api/v1/limits/{operation}", {"limits": items})
        self.assertEqual(reply.status, status, reply)
        return reply

    def test_admits_what_the_policy_says_and_then_says_when_to_come_back(self):
        left = [self.ask("check", ("chat", "ada", 1)).json["remaining"] for _ in range(3)]
        refused = self.ask("check", ("chat", "ada", 1), status=429)

        self.assertEqual(left, [2, 1, 0])
        self.assertFalse(refused.json["allowed"])
        self.assertEqual(refused.json["reason"], "limit_exceeded")
        # One of three an hour comes back in 20 minutes.
        wait = int(refused.headers["Retry-After"])
        self.assertTrue(1190 <= wait <= 1200, wait)
        self.assertEqual(refused.headers["RateLimit-Policy"], '"chat";q=3;w=3600')
        self.assertEqual(refused.headers["RateLimit"], f'"chat";r=0;t={wait}')
        self.assertEqual(refused.headers["X-RateLimit-Limit"], "3")
        self.assertEqual(refused.headers["X-RateLimit-Remaining"], "0")
        reset = int(refused.headers["X-RateLimit-Reset"])
        self.assertTrue(3590 <= reset - time.time() <= 3602, reset)
        self.assertEqual(self.ask("check", ("chat", "bob", 1)).json["remaining"], 2)

    def test_every_algorithm_admits_exactly_its_count(self):
        for policy, admitted in (("burst", 2), ("sliding", 5), ("log", 4), ("daily", 2)):
            with self.subTest(policy):
                items = {"limits": [{"policy": policy, "subject": "exact"}]}
                statuses = [self.redoubt.post("/api/v1/limits/check", items).status
                            for _ in range(admitted + 2)]
                self.assertEqual(statuses, [200] * admitted + [429] * 2)

    def test_several_are_charged_together_or_not_at_all(self):
        both = (("chat", "together", 1), ("burst", "together", 1))
        self.ask("check", *both)
        self.ask("check", *both)
        refused = self.ask("check", *both, status=429)

        self.assertEqual([limit["allowed"] for limit in refused.json["limits"]], [True, False])
        self.assertEqual(re.findall(r'"(\w+)"', refused.headers["RateLimit"]), ["chat", "burst"])
        peeked = self.ask("peek", ("chat", "together", 1))
        self.assertEqual(peeked.json["remaining"], 1)  # The refusal charged nothing.

    def test_peek_charges_nothing(self):
        for _ in range(5):
            self.assertEqual(self.ask("peek", ("chat", "peeked", 1)).json["remaining"], 3)

    def test_costs_add_up_and_too_much_is_never_admitted(self):
        self.assertEqual(self.ask("check", ("tokens", "ada", 30)).json["remaining"], 20)
        self.ask("check", ("tokens", "ada", 21), status=429)
        self.assertEqual(self.ask("check", ("tokens", "ada", 20)).json["remaining"], 0)
        never = self.ask("check", ("tokens", "bob", 51), status=429)
        self.assertEqual(never.json["reason"], "cost_exceeds_limit")
        self.assertNotIn("Retry-After", never.headers)

    def test_refunds_come_back_but_no_more_than_was_taken(self):
        self.ask("check", ("tokens", "refunded", 30))
        self.ask("refund", ("tokens", "refunded", 10))
        self.assertEqual(self.ask("peek", ("tokens", "refunded", 1)).json["remaining"], 30)
        self.ask("refund", ("tokens", "refunded", 1000))
        self.assertEqual(self.ask("peek", ("tokens", "refunded", 1)).json["remaining"], 50)

    def test_reset_makes_it_full(self):
        for policy in ("chat", "sliding", "log", "daily", "tokens"):
            with self.subTest(policy):
                full = self.ask("peek", (policy, "reset", 1)).json["remaining"]
                self.ask("check", (policy, "reset", 2))
                reply = self.redoubt.post("/api/v1/limits/reset",
                                          {"policy": policy, "subject": "reset"})
                self.assertEqual(reply.status, 204, reply)
                self.assertEqual(self.ask("peek", (policy, "reset", 1)).json["remaining"], full)

    def test_time_brings_it_back(self):
        self.ask("check", ("fast", "ada", 1))
        refused = self.redoubt.post("/api/v1/limits/check",
                                    {"limits": [{"policy": "fast", "subject": "ada"}]})
        deadline = time.monotonic() + 10
        while refused.status == 429 and time.monotonic() < deadline:
            refused = self.redoubt.post("/api/v1/limits/check",
                                        {"limits": [{"policy": "fast", "subject": "ada"}]})
        self.assertEqual(refused.status, 200, refused)

    def test_clients_at_once_get_no_more_than_the_limit(self):
        for policy in ("many", "tokens"):
            with self.subTest(policy):
                capacity = self.ask("peek", (policy, "crowd", 1)).json["remaining"]
                admitted = []

                def spend(policy=policy, admitted=admitted):
                    for _ in range(30):
                        reply = self.redoubt.post(
                            "/api/v1/limits/check",
                            {"limits": [{"policy": policy, "subject": "crowd"}]})
                        admitted.append(reply.status == 200)

                crowd = [threading.Thread(target=spend) for _ in range(8)]
                for one in crowd:
                    one.start()
                for one in crowd:
                    one.join()
                # What an hour or a day gives back during the test is less than one or two.
                self.assertTrue(capacity <= sum(admitted) <= capacity + 1, sum(admitted))

    def test_policies_are_listed_as_configured(self):
        policies = self.redoubt.get("/api/v1/limits/policies").json["policies"]
        listed = {policy["name"]: policy for policy in policies}
        self.assertEqual(set(listed), {name[len("REDOUBT_LIMIT_"):].lower() for name in ENV} |
                         {"default"})
        self.assertEqual(listed["tokens"]["class"], "strict")
        self.assertEqual(listed["daily"]["unit"], "day")
        self.assertEqual((listed["default"]["limit"], listed["default"]["burst"]), (60, 10))

    def test_unknown_policies_are_named(self):
        reply = self.redoubt.post("/api/v1/limits/check",
                                  {"limits": [{"policy": "chatt", "subject": "x"}]})
        self.assert_problem(reply, 400)
        self.assertIn("chatt", reply.body)
        self.assertEqual(reply.json["errors"][0]["location"], "body.limits.0.policy")


if __name__ == "__main__":
    unittest.main()
