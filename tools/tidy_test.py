#!/usr/bin/env python3
"""Tests of tidy: each rule finds what it is for, and not what looks like it."""

import unittest

import tidy


def of(relative, text):
    return [message for _, message in tidy.check_text(relative, text)]


class Rules(unittest.TestCase):
    def finds(self, relative, text):
        self.assertEqual(len(of(relative, text)), 1, text)

    def passes(self, relative, text):
        self.assertEqual(of(relative, text), [], text)

    def test_length(self):
        self.finds("src/a/b.cpp", "\n" * 801)
        self.passes("src/a/b.cpp", "\n" * 800)

    def test_clock(self):
        self.finds("src/net/a.cpp", "auto t = std::chrono::steady_clock::now();\n")
        self.finds("src/net/a.cpp", "clock_gettime(CLOCK_BOOTTIME, &t);\n")
        self.passes("src/base/clock.cpp", "clock_gettime(CLOCK_BOOTTIME, &t);\n")
        self.passes("src/net/a.cpp", "// never steady_clock::now()\n")

    def test_detached(self):
        self.finds("src/net/a.cpp", "asio::co_spawn(io, run(), asio::detached);\n")
        self.passes("src/net/a.cpp", 'log("asio::detached");\n')

    def test_sleep(self):
        self.finds("src/net/a_test.cpp", "std::this_thread::sleep_for(1s);\n")
        self.finds("tests/api/a.cpp", "sleep(1);\n")
        self.passes("tests/support/a.cpp", "sleep(1);\n")
        self.passes("src/net/a_test.cpp", "co_await timers.sleep(1s);\n")

    def test_undone(self):
        self.finds("src/net/a.cpp", "// TO" "DO: later\n")
        self.finds("docs/a.md", "FIX" "ME\n")

    def test_disabled(self):
        self.finds("src/net/a_test.cpp", "TEST(A, DISABLED_B) {}\n")
        self.finds("src/net/a_test.cpp", "TEST(A, B) {\n  GTEST_" "SKIP();\n}\n")
        self.passes("src/net/a_test.cpp", "if (!mounted) GTEST_" "SKIP() << why;\n")

    def test_lambda_in_await(self):
        self.finds("src/a.cpp", "co_await record.write(c, [&](Unit& u) { return f(u); });\n")
        self.finds("src/a.cpp", "RD_CO_TRY(x, co_await run([t] { g(t); }));\n")
        self.passes("src/a.cpp", "auto f = [t] { g(t); };\nco_await run(std::move(f));\n")
        self.passes("src/a.cpp", "RD_CO_CHECK(co_await run(x));\nauto f = [] { };\n")
        self.passes("src/a.cpp", "if (co_await run(items[i])) { f(); }\n")

    def test_aggregate_in_await(self):
        self.finds("src/a.cpp", "co_await f(Agg{T{}, 3});\n")
        self.finds("src/a.cpp", "co_await f(x, {1, 2});\n")
        self.finds("src/a.cpp", "co_await tx.run(kFind, Agg{id});\n")
        self.passes("src/a.cpp", "RD_CO_TRY(rows, co_await tx.run(kFind, {id, as_bytes(key)}));\n")
        self.finds("src/a.cpp", "co_await tx.run(kFind, {Agg{id}});\n")
        self.passes("src/a.cpp", "co_await f(std::int64_t{1}, true);\n")
        self.passes("src/a.cpp", "co_await f(Agg{});\n")
        self.passes("src/a.cpp", "const Agg a{1, 2};\nco_await f(a);\n")

    def test_digit_separators_are_not_characters(self):
        self.passes("src/a.cpp", "int a = 1'000; // it's\nint b = 2'000;\n")


if __name__ == "__main__":
    unittest.main()
