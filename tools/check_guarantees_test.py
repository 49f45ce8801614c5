#!/usr/bin/env python3
"""Tests of check_guarantees: it finds rows without tests and tests that are gone."""

import pathlib
import tempfile
import unittest

import check_guarantees
import guarantees
import prove

HEAD = "| | promise | bound | tests |\n|---|---|---|---|\n"
TESTS = {"Suite.Name", "a_e2e.Case.test_it"}


def of(rows):
    return list(check_guarantees.violations(HEAD + rows, TESTS, {"scripts/go"}))


class CheckGuarantees(unittest.TestCase):
    def test_rows_with_tests_that_exist_pass(self):
        self.assertEqual(of("| A1 | It `works`. | 0 | `Suite.Name`, `a_e2e.Case.test_it` |\n"), [])

    def test_a_test_that_is_gone_is_found(self):
        self.assertEqual(of("| A1 | x | 0 | `Suite.Gone` |\n"), ["A1: there is no test Suite.Gone"])
        self.assertEqual(of("| A1 | x | 0 | `a_e2e.Case.test_gone` |\n"),
                         ["A1: there is no test a_e2e.Case.test_gone"])
        self.assertEqual(of("| A1 | x | 0 | `Suite.Name` |\n\nAnd `Suite.Gone`.\n"),
                         ["outside the tables: there is no test Suite.Gone"])

    def test_programs_must_exist_too(self):
        row = "| A1 | x | 0 | `Suite.Name`; at length `scripts/go 9` |\n"
        self.assertEqual(of(row), [])
        for other in ("scripts/gone", "Suite:Name", "a_e2e.Case.it"):
            self.assertEqual(of(row.replace("scripts/go 9", other)),
                             [f"A1: {other} is neither a test nor a program of the tree"])

    def test_a_promise_without_a_test_is_found(self):
        self.assertEqual(of("| A1 | As `Suite.Name` says. | 0 | |\n"), ["A1: no test"])

    def test_two_rows_of_one_name_and_no_rows_are_found(self):
        row = "| A1 | x | 0 | `Suite.Name` |\n"
        self.assertEqual(of(row + row), ["A1: there are two rows of this name"])
        self.assertEqual(of(""), ["no promises were found"])

    def test_tests_with_parameters_are_run_with_all_of_them(self):
        self.assertEqual(prove.filter_of(["S.N", "T.M"]), "S.N:*/S.N/*:T.M:*/T.M/*")
        listing = ("Suite.\n  Name\nEverywhere/Other.\n  Name/Memory  # GetParam() = 0\n"
                   "  Name/Redis  # GetParam() = 1\n")
        self.assertEqual(prove.listed(listing), {"Suite.Name", "Other.Name"})

    def test_tests_are_found_by_class_and_name(self):
        with tempfile.TemporaryDirectory() as root:
            tree = pathlib.Path(root)
            (tree / "src/a").mkdir(parents=True)
            (tree / "tests/e2e").mkdir(parents=True)
            (tree / "src/a/b_test.cpp").write_text("TEST_F(Suite,\n       Name) {}\nTEST(S, N) {}\n")
            (tree / "tests/e2e/a_e2e.py").write_text(
                "class One:\n    def test_it(self):\nclass Two:\n    def test_other(self):\n")
            self.assertEqual(set(guarantees.all_tests(tree)),
                             {"Suite.Name", "S.N", "a_e2e.One.test_it", "a_e2e.Two.test_other"})


if __name__ == "__main__":
    unittest.main()
