#!/usr/bin/env python3
"""Tests of check_errors: it finds what is missing, stale or of another status."""

import unittest

import check_errors

TABLE = '{Errc::not_found, "not_found", 404, -1, false, ""}, {Errc::conflict, "conflict", 409, 1,'
PAGE = ("| code | status | x |\n|---|---|---|\n| `not_found` | 404 | a |\n| `conflict` | 409 | b |\n"
        "| `taken` | 409 | c |\n## Codes of fields\n| `range` | d |\n")


def of(source, page=PAGE):
    return list(check_errors.compare({"table": TABLE, "a.cpp": source}, page, TABLE))


class CheckErrors(unittest.TestCase):
    def test_documented_codes_pass(self):
        self.assertEqual(of('Error(Errc::conflict, "taken", "it is taken")'), [])

    def test_every_way_to_make_one_is_seen(self):
        for source, code in [('Error(Errc::conflict,\n  "fresh", "x")', "fresh"),
                             ('Error error(Errc::conflict, "fresh", "x")', "fresh"),
                             ('not_found("thing")', "thing_not_found"),
                             ('deny(\n "fresh", "x")', "fresh"), ('unavailable("fresh", x)', "fresh"),
                             ('unauthenticated("fresh", x)', "fresh"), ('refusal("fresh", x)', "fresh")]:
            found = [line for line in of('Error(Errc::conflict, "taken", "")' + source)]
            self.assertEqual(len(found), 1, source)
            self.assertIn(f"{code} is not in", found[0])

    def test_another_status_is_found(self):
        found = of('Error(Errc::not_found, "taken", "")')
        self.assertEqual(found, ["a.cpp:1: taken has status 404; docs/errors.md says 409"])

    def test_a_code_that_is_gone_is_found(self):
        self.assertEqual(of(""), ["docs/errors.md: taken is made nowhere"])


if __name__ == "__main__":
    unittest.main()
