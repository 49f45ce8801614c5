"""The checkers see what they are for, and let pass what is allowed: on histories made by hand."""

import os
import tempfile
import unittest
import xml.etree.ElementTree

import figure
import history
from checks import (budget, counters, durable, freshness, hygiene, idempotency, isolation, limits,
                    monotone, revocation)


def event(kind, key="s", t=0.0, took=0.01, outcome="ok", status=200, **more):
    made = {"op_id": 0, "client": 1, "instance": 0, "tenant": "a", "type": kind, "key": key,
            "args": {}, "result": {}, "mode": "", "t_inv": t, "t_ret": t + took,
            "outcome": outcome, "status": status}
    made.update(more)
    return made


def made(session="s", n=1, t=0.0, **more):
    return event("session.create", "ada", t, args={"n": n},
                 result={"session": session, "version": 1}, **more)


def updated(version, n, t=1.0, **more):
    return event("session.update", t=t, args={"n": n}, result={"version": version}, **more)


def revoked(t=2.0, **more):
    return event("session.revoke", t=t, **more)


def read(version=1, t=3.0, **more):
    return event("session.read", t=t, result={"version": version, "n": 1}, **more)


def final(version=1, n=1, **more):
    return event("session.final", t=9.0, result={"version": version, "n": n}, **more)


GONE = {"outcome": "refused", "status": 401}
UNKNOWN = {"outcome": "unknown", "status": 0}


class Case(unittest.TestCase):
    def passes(self, complaints):
        self.assertEqual(complaints, [])

    def sees(self, what, complaints):
        self.assertTrue(any(what in c for c in complaints), complaints)


class Durable(Case):
    def test_what_was_acknowledged_and_is_there(self):
        self.passes(durable.check([made(), updated(2, 7), final(2, 7)]))
        self.passes(durable.check([made(), revoked(), final(**GONE)]))

    def test_a_session_that_is_lost(self):
        self.sees("allow", durable.check([made(), final(**GONE)]))

    def test_an_update_that_is_lost(self):
        self.sees("allow", durable.check([made(), updated(2, 7), final(1, 1)]))

    def test_a_session_that_came_back(self):
        self.sees("allow", durable.check([made(), revoked(), final(1, 1)]))

    def test_an_unknown_write_may_have_happened_or_not(self):
        unknown = updated(0, 7, **UNKNOWN)
        self.passes(durable.check([made(), unknown, final(1, 1)]))
        self.passes(durable.check([made(), unknown, final(2, 7)]))
        self.sees("allow", durable.check([made(), unknown, final(2, 8)]))
        self.passes(durable.check([made(), revoked(**UNKNOWN), final(**GONE)]))

    def test_an_acknowledged_write_settles_an_unknown_one(self):
        history = [made(), updated(0, 7, **UNKNOWN), updated(3, 8, t=2.0)]
        self.passes(durable.check([*history, final(3, 8)]))
        self.sees("allow", durable.check([*history, final(2, 7)]))

    def test_a_refused_write_did_not_happen(self):
        self.sees("allow", durable.check([made(), updated(2, 7, outcome="refused"), final(2, 7)]))

    def test_a_session_nobody_looked_at(self):
        self.sees("not looked at", durable.check([made()]))

    def test_sessions_that_nobody_made(self):
        listed = event("session.list", "ada", t=9.0, result={"sessions": ["s", "x"]})
        self.sees("nobody was told of", durable.check([made(), final(), listed]))
        self.passes(durable.check([made(), made(**UNKNOWN), final(), listed]))

    def test_a_server_that_gives_no_answer_in_the_end(self):
        self.sees("no answer", durable.check([made(), final(outcome="unknown", status=500)]))


class Counters(Case):
    def history(self, used, **second):
        return [event("counter.add", "c", args={"cost": 2}),
                event("counter.add", "c", args={"cost": 3}, **second),
                event("counter.final", "c", result={"used": used})]

    def test_bounds(self):
        self.passes(counters.check(self.history(5)))
        self.sees("acknowledged", counters.check(self.history(4)))
        self.sees("acknowledged", counters.check(self.history(6)))

    def test_unknown_ones_widen_them(self):
        for used in (2, 5):
            self.passes(counters.check(self.history(used, **UNKNOWN)))
        self.sees("unknown", counters.check(self.history(1, **UNKNOWN)))
        self.sees("unknown", counters.check(self.history(8, **UNKNOWN)))

    def test_one_that_nobody_looked_at(self):
        self.sees("not looked at", counters.check(self.history(5)[:2]))


class Revocation(Case):
    def test_elsewhere_it_may_take_the_bound(self):
        self.passes(revocation.check([made(), revoked(2.0), read(t=4.0, instance=1)]))
        self.sees("accepted", revocation.check([made(), revoked(2.0), read(t=4.1, instance=1)]))

    def test_how_long_it_was_accepted_elsewhere(self):
        history = [made(), revoked(2.0), read(t=2.5, instance=1), read(t=2.7, instance=2, **GONE)]
        self.assertAlmostEqual(revocation.latest(history), 0.49)

    def test_here_it_takes_nothing(self):
        self.sees("accepted", revocation.check([made(), revoked(2.0), read(t=2.1)]))

    def test_a_read_that_started_before_it(self):
        self.passes(revocation.check([made(), revoked(2.0), read(t=2.005, took=9)]))

    def test_an_unknown_revocation_promises_nothing(self):
        self.passes(revocation.check([made(), revoked(2.0, **UNKNOWN), read(t=9.0)]))

    def test_one_without_the_record_holds_where_it_was_made(self):
        unrecorded = revoked(2.0, outcome="unknown", status=503,
                             result={"held": True})
        self.sees("without the record", revocation.check([made(), unrecorded, read(t=3.0)]))
        self.passes(revocation.check([made(), unrecorded, read(t=3.0, instance=1)]))
        self.passes(revocation.check([made(), unrecorded, read(t=3.0)], restarted=[0]))

    def test_an_instance_without_the_record_has_its_grace(self):
        history = [made(), revoked(2.0), read(t=9.0, instance=1)]
        self.passes(revocation.check(history, cut_off={1: [(0, 20, 10.0)]}))
        self.sees("accepted", revocation.check(history, cut_off={1: [(0, 20, 5.0)]}))
        self.sees("accepted", revocation.check(history, cut_off={1: [(0, 8, 10.0)]}))


class Freshness(Case):
    def test_versions(self):
        history = [made(), updated(2, 7, t=1.0)]
        self.passes(freshness.check([*history, read(1, t=2.9, instance=1)]))
        self.passes(freshness.check([*history, read(2, t=9.0, instance=1)]))
        self.sees("version 1", freshness.check([*history, read(1, t=3.2, instance=1)]))
        self.sees("version 1", freshness.check([*history, read(1, t=1.1)]))

    def test_values_that_were_invalidated(self):
        put = event("cache.put", "k", t=0.0, args={"value": "v"})
        ended = event("cache.invalidate", "k", t=1.0)

        def get(t, instance, key="k"):
            return event("cache.get", key, t=t, instance=instance, result={"value": "v"})

        self.passes(freshness.check([put, ended, get(3.0, 1)]))
        self.sees("after its invalidation", freshness.check([put, ended, get(3.1, 1)]))
        self.sees("after its invalidation", freshness.check([put, ended, get(1.1, 0)]))
        self.passes(freshness.check([put, get(0.5, 1), ended]))
        late_put = {**put, "t_inv": 0.9, "t_ret": 1.5}
        self.passes(freshness.check([late_put, ended, get(9.0, 1)]))
        self.sees("another key", freshness.check([put, get(0.5, 1, key="other")]))


class Limits(Case):
    policies = {"p": limits.Policy(10, 1.0, 5)}

    def burst(self, count, t=0.0, took=0.01, **more):
        return [event("limit.check", "u", t, took, args={"policy": "p"}, result={"allowed": True},
                      **more) for _ in range(count)]

    def test_exact_while_redis_decides(self):
        self.passes(limits.check(self.burst(5), self.policies))
        self.sees("6 were admitted", limits.check(self.burst(6), self.policies))
        self.passes(limits.check(self.burst(5) + self.burst(5, t=0.5), self.policies))
        self.sees("11 were admitted", limits.check(self.burst(5) + self.burst(6, t=0.5),
                                                   self.policies))

    def test_what_may_have_been_before_the_interval_does_not_count(self):
        self.passes(limits.check(self.burst(5, took=1.0) + self.burst(5, t=0.5, took=1.0),
                                 self.policies))

    def test_shares(self):
        share = {"mode": "limits=share"}
        spread = [e for i in range(3) for e in self.burst(2, instance=i, **share)]
        self.passes(limits.check(spread, self.policies))
        self.sees("admitted", limits.check(self.burst(9, **share), self.policies))

    def test_some_by_share(self):
        mixed = self.burst(5, instance=1) + self.burst(2, instance=0, mode="limits=share")
        self.passes(limits.check(mixed, self.policies))
        self.sees("1 instances by share", limits.check(mixed * 2, self.policies))

    def test_a_loss_adds_what_an_instance_had_not_heard_of(self):
        spread = self.burst(5, t=0.0) + self.burst(5, t=0.1)
        self.sees("admitted", limits.check(spread, self.policies))
        self.passes(limits.check(spread, self.policies, losses=[(0.05, 0.06)]))
        self.sees("admitted", limits.check(spread, self.policies, losses=[(0.2, 0.3)]))
        heard = [event("limit.check", "u", 0.02, instance=i, args={"policy": "p"},
                       result={"allowed": False}) for i in range(3)]
        self.sees("admitted", limits.check(spread + heard, self.policies, losses=[(0.05, 0.06)]))
        self.passes(limits.check(spread + heard, self.policies, losses=[(0.05, 0.06)],
                                 forgetful=True))

    def test_refusals_do_not_count(self):
        refused = event("limit.check", "u", args={"policy": "p"}, result={"allowed": False})
        self.passes(limits.check(self.burst(5) + [refused] * 9, self.policies))


class Monotone(Case):
    def test_versions_of_one_client(self):
        self.passes(monotone.check([read(1, t=1), read(2, t=2), read(1, t=3, client=2)]))
        self.sees("saw version 2", monotone.check([read(2, t=1), read(1, t=2)]))
        self.sees("saw version 2", monotone.check([updated(2, 1, t=1), read(1, t=2)]))

    def test_an_end(self):
        self.sees("good again", monotone.check([read(t=1, **GONE), read(t=2)]))


class Idempotency(Case):
    def asked(self, what="id", replayed=False, **more):
        return event("idempotent.create", "r", result={"made": what, "answer": f"of {what}",
                                                       "replayed": replayed}, **more)

    def unheard(self, **more):
        return event("idempotent.create", "r", **{**UNKNOWN, **more})

    def listed(self, *made, **more):
        return event("idempotent.list", "path", result={"made": [["r", m] for m in made]}, **more)

    def test_once_whoever_was_heard(self):
        self.passes(idempotency.check([self.asked(), self.listed("id")]))
        self.passes(idempotency.check([self.unheard(), self.asked(), self.listed("id")]))
        self.passes(idempotency.check([self.unheard(), self.asked(replayed=True), self.listed("id")]))
        self.passes(idempotency.check([self.asked(), self.asked(replayed=True), self.listed("id")]))

    def test_one_that_was_done_twice(self):
        self.sees("made ['id', 'other']", idempotency.check(
            [self.unheard(), self.asked(), self.listed("id", "other")]))
        self.sees("carried out anew", idempotency.check(
            [self.asked(), self.asked(), self.listed("id")]))

    def test_one_that_was_acknowledged_and_is_not_there(self):
        self.sees("made []", idempotency.check([self.asked(), self.listed()]))
        self.sees("made ['other']", idempotency.check([self.asked(), self.listed("other")]))

    def test_two_answers(self):
        self.sees("different ways", idempotency.check(
            [self.asked(), self.asked("other", replayed=True), self.listed("id")]))

    def test_what_is_no_answer_may_be_asked_for_again(self):
        waits = {"outcome": "refused", "status": 409, "result": {"code": "idempotency_in_progress"}}
        for busy in (waits, {"outcome": "refused", "status": 503}, {"outcome": "refused", "status": 0}):
            self.passes(idempotency.check([self.unheard(**busy), self.asked(), self.listed("id")]))

    def test_a_repetition_that_is_refused(self):
        for code in ("idempotency_key_reused", "conflict"):
            other = {"outcome": "refused", "status": 409, "result": {"code": code}}
            self.sees("was refused", idempotency.check(
                [self.unheard(), self.unheard(**other), self.asked(), self.listed("id")]))

    def test_one_that_is_never_answered_or_not_looked_at(self):
        self.sees("nobody was told", idempotency.check([self.unheard(), self.listed()]))
        self.sees("could not be listed", idempotency.check(
            [self.asked(), self.listed("id"), self.listed(**UNKNOWN)]))

    def test_what_had_been_carried_out_when_it_was_asked_for_again(self):
        self.assertEqual(idempotency.carried_out_unheard([self.unheard(), self.asked()]), 0)
        self.assertEqual(idempotency.carried_out_unheard(
            [self.unheard(), self.asked(replayed=True)]), 1)
        self.assertEqual(idempotency.carried_out_unheard(
            [self.asked(), self.asked(replayed=True)]), 0)


class Isolation(Case):
    def test_a_stranger(self):
        self.passes(isolation.check([read(canaries=["a"])]))
        self.sees("shown", isolation.check([read(canaries=["b"])]))

    def test_places(self):
        self.passes(isolation.check([], [("the log", "nothing")], ["canary-a"]))
        self.sees("the log", isolation.check([], [("the log", "x canary-a y")], ["canary-a"]))


class Hygiene(Case):
    small, large = ({"fds": n, "threads": n, "rss": n} for n in (20, 40))

    def test_all_well(self):
        self.passes(hygiene.check([("one", True, "started", self.small, self.small)], ["secret"]))

    def test_what_it_sees(self):
        self.sees("not running", hygiene.check([("one", False, "", None, None)]))
        self.sees("secret", hygiene.check([("one", True, "a secret", None, None)], ["secret"]))
        self.sees("Sanitizer", hygiene.check(
            [("one", True, "==1==ERROR: AddressSanitizer: heap", None, None)]))
        self.sees("fds", hygiene.check([("one", True, "", self.small, self.large)]))


class Budget(Case):
    def test_failures_while_an_instance_ends(self):
        exits = [(0, 10.0, 15.0)]
        lost = [event("session.read", "s", t, instance=i, status=0)
                for i, t in ((0, 9.5), (0, 10.5), (0, 12.0), (0, 15.5), (1, 12.0))]
        found = budget.failed_while_told(lost, exits, 1.0)
        self.assertEqual([(e["instance"], e["t_inv"]) for e in found],
                         [(0, 9.5), (0, 10.5), (0, 15.5), (1, 12.0)])

    def test_phases(self):
        events = [read(t=0.1), read(t=0.2, status=503, outcome="refused"), read(t=1.5, **GONE),
                  read(t=1.6, took=0.5, **UNKNOWN)]
        first, second = budget.phases(events, [("one", 0, 1), ("two", 1, 2)])
        self.assertEqual((first.requests, first.failures), (2, 1))
        self.assertEqual((second.requests, second.failures), (2, 1))
        self.assertAlmostEqual(second.p(1), 500.0)
        stalled = [read(t=t / 10, took=.9 if t == 5 else .002) for t in range(30)]
        self.assertAlmostEqual(budget.typical_p99(stalled, 0, 3), 2.0)
        self.assertEqual(budget.slower_than(events, 0.1, 0, 2), {0: 1})

    def test_who_hangs_up_was_not_failed(self):
        hung_up = event("idempotent.create", "r", 0.5, args={"hangs_up": True}, **UNKNOWN)
        only = budget.phases([hung_up, read(t=0.1)], [("one", 0, 1)])[0]
        self.assertEqual((only.requests, only.failures), (1, 0))


class Outcomes(Case):
    def test_of_answers(self):
        self.assertEqual(history.outcome_of(200), "ok")
        self.assertEqual(history.outcome_of(409), "refused")
        self.assertEqual(history.outcome_of(503, "record_unavailable"), "refused")
        self.assertEqual(history.outcome_of(503, "record_outcome_unknown"), "unknown")
        self.assertEqual(history.outcome_of(500), "unknown")

    def test_a_revocation_that_holds_without_the_record_may_be_recorded_later(self):
        self.assertEqual(history.outcome_of(503, "record_unavailable", "It is away. This server "
                                            "refuses what was to end from now on, ..."), "unknown")


class Histories(Case):
    def test_are_read_back_as_they_were(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "history.jsonl")
            kept = history.History(path)
            kept.append(made())
            kept.append(read())
            kept.close()
            self.assertEqual(history.read(path), kept.events)
            self.assertEqual([e["op_id"] for e in kept.events], [0, 1])


class Pictures(Case):
    def test_show_every_whole_second_and_state(self):
        events = [read(t=t / 10) for t in range(30)] + [read(t=2.5, status=503)]
        text = figure.svg("a <run>", "short", events, [["down", 1.0, 2.0]],
                          [(0.0, 0, "normal"), (1.0, 0, "down")], [(1.0, 10.0), (2.0, 20.0)])
        drawn = xml.etree.ElementTree.fromstring(text)
        lines = drawn.findall(".//{*}polyline")
        self.assertEqual([len(line.get("points").split()) for line in lines], [2, 2, 2, 2, 2])
        bands = [r.get("fill") for r in drawn.findall(".//{*}rect") if r.get("height") == "12"]
        self.assertEqual(bands, [figure.COLOURS["normal"], figure.COLOURS["down"]])

    def test_axes_end_with_round_numbers(self):
        self.assertEqual([figure.round_up(v) for v in (0, 0.7, 1, 55, 564, 1020)],
                         [1, 0.8, 1, 60, 600, 1200])
        scale = figure.Logarithmic([0.4, 3, 54])
        self.assertEqual(scale.marks, [0.1, 1, 10, 100])
        self.assertEqual([round(scale.part(v), 3) for v in (0, 0.1, 1, 100)], [0, 0, 0.333, 1])


if __name__ == "__main__":
    unittest.main()
