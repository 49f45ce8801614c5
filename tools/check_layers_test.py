#!/usr/bin/env python3
"""Tests of check_layers: each rule finds what it is for."""

import unittest

import check_layers

LAYERS = check_layers.read_layers(
    "# who\nbase:\nrecord: base\nservices: base record\noperations: base\n")


def of_source(relative, text):
    return [message for _, message in check_layers.check_source(LAYERS, relative, text)]


def of_contract(text):
    return [message for _, message in check_layers.check_contract(text)]


class Sources(unittest.TestCase):
    def test_downward_and_own_includes_pass(self):
        text = '#include "services/keys/service.hpp"\n#include "base/text.hpp"\n#include <vector>\n'
        self.assertEqual(of_source("services/keys/service.cpp", text), [])

    def test_upward_include_is_found_with_its_line(self):
        found = list(check_layers.check_source(LAYERS, "base/a.cpp", '\n#include "record/record.hpp"\n'))
        self.assertEqual(found, [(2, 'base may not include record: "record/record.hpp"')])

    def test_sideways_include_of_services_is_found(self):
        self.assertEqual(len(of_source("services/keys/a.cpp", '#include "services/cache/b.hpp"')), 1)

    def test_unknown_modules_are_found(self):
        self.assertEqual(len(of_source("extra/a.cpp", "")), 1)
        self.assertEqual(len(of_source("base/a.cpp", '#include "extra/b.hpp"')), 1)

    def test_bare_sibling_is_found(self):
        include = '#include "text.hpp"'
        found = list(check_layers.check_source(LAYERS, "base/a.cpp", include, {"text.hpp"}))
        self.assertEqual(found, [(1, 'write "text.hpp" as "base/text.hpp"')])
        self.assertEqual(of_source("base/a.cpp", '#include "generated.hpp"'), [])

    def test_test_support_is_for_tests_alone(self):
        include = '#include "tests/support/run.hpp"'
        self.assertEqual(of_source("record/a_test.cpp", include), [])
        self.assertEqual(of_source("record/a_fixture.hpp", include), [])
        self.assertEqual(len(of_source("record/a.cpp", include)), 1)
        self.assertEqual(len(of_source("record/a.cpp", '#include "record/a_fixture.hpp"')), 1)


class Contracts(unittest.TestCase):
    def test_standard_library_each_other_and_awaitable_pass(self):
        self.assertEqual(of_contract("#include <redoubt/error.hpp>\n#include <vector>\n"
                                     "#include <boost/asio/awaitable.hpp>\n"), [])

    def test_everything_else_is_found(self):
        for include in ["<boost/json.hpp>", '"base/text.hpp"', "<openssl/evp.h>", "<sqlite3.h>",
                        "<boost/asio/io_context.hpp>"]:
            self.assertEqual(len(of_contract(f"#include {include}\n")), 1, include)


class Layers(unittest.TestCase):
    def test_a_module_below_must_be_declared_first(self):
        with self.assertRaises(ValueError):
            check_layers.read_layers("a: b\nb:\n")
        with self.assertRaises(ValueError):
            check_layers.read_layers("a b\n")


if __name__ == "__main__":
    unittest.main()
