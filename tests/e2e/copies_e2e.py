"""Copies in a real Redis, as the whole server makes and uses them."""

import unittest

from backing import Redis
from server import Server, wait_for


class CopiesTest(unittest.TestCase):
    def setUp(self):
        self.redis = Redis()
        self.addCleanup(self.redis.__exit__)
        # Two workers: what one has in memory the other finds in Redis.
        self.redoubt = Server(env={"REDIS_URL": self.redis.url, "SESSION_STORAGE": "hybrid",
                                   "REDOUBT_WORKER_THREADS": "2"})
        self.addCleanup(self.redoubt.__exit__)

    def verify(self, token):
        return self.redoubt.post("/api/v1/sessions/verify", {"token": token}).status

    def from_copy(self):
        return self.redoubt.metric("redoubt_session_lookups_total", result="copy") or 0

    def test_a_session_is_found_in_redis_and_gone_when_it_is_revoked(self):
        sessions = [self.redoubt.new_session() for _ in range(20)]
        for session in sessions:
            for _ in range(8):
                self.assertEqual(self.verify(session["token"]), 200)
        wait_for(lambda: [self.verify(s["token"]) for s in sessions] and self.from_copy() > 0,
                 "a worker that finds a session in Redis")
        for session in sessions:
            self.redoubt.delete("/api/v1/sessions/" + session["id"])
        for session in sessions:
            self.assertEqual(self.verify(session["token"]), 401)


class NoMemoryTest(unittest.TestCase):
    """Workers that keep no session: each verification asks Redis, and the record without one."""

    def verified(self, redoubt, times):
        session = redoubt.new_session()
        for _ in range(times):
            reply = redoubt.get("/api/v1/sessions/current", key=session["token"])
            self.assertEqual(reply.status, 200, reply)
        redoubt.delete("/api/v1/sessions/" + session["id"])
        self.assertEqual(redoubt.get("/api/v1/sessions/current", key=session["token"]).status, 401)
        return {place: redoubt.metric("redoubt_session_lookups_total", result=place)
                for place in ("memory", "copy", "record")}

    def test_every_verification_is_answered_by_the_copy_in_redis(self):
        with Redis() as redis, Server(env={"REDIS_URL": redis.url, "SESSION_STORAGE": "hybrid",
                                           "REDOUBT_SESSION_CACHE_SIZE": "0"}) as redoubt:
            self.assertEqual(self.verified(redoubt, 5), {"memory": 0, "copy": 5, "record": 0})

    def test_without_redis_the_record_answers(self):
        with Server(env={"REDOUBT_SESSION_CACHE_SIZE": "0"}) as redoubt:
            self.assertEqual(self.verified(redoubt, 5), {"memory": 0, "copy": 0, "record": 5})


if __name__ == "__main__":
    unittest.main()
