"""The OpenAPI document of a running server, looked at by a public linter."""

import json
import os
import subprocess
import tempfile
import unittest

from server import PATIENCE, Server

HERE = os.path.dirname(os.path.abspath(__file__))


def lint(document):
    """What the linter finds, one line each."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(document, file)
        file.flush()
        done = subprocess.run(["node", "lint_openapi.mjs", file.name], cwd=HERE, text=True,
                              capture_output=True, timeout=PATIENCE * 2, check=False)
    if done.returncode not in (0, 1) or done.stderr:
        raise AssertionError("the linter did not run; `npm ci --ignore-scripts` in tests/e2e "
                             "installs it: " + done.stderr)
    return done.stdout.splitlines()


class OpenApi(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.redoubt = Server()
        cls.addClassCleanup(cls.redoubt.__exit__)
        cls.document = cls.redoubt.get("/openapi.json", key=None).json

    def test_passes_the_recommended_rules_of_a_public_linter(self):
        self.assertEqual(lint(self.document), [])

    def test_the_linter_finds_what_is_wrong(self):
        broken = json.loads(json.dumps(self.document))
        operation = broken["paths"]["/api/v1/sessions"]["post"]
        operation["operationId"] = "tenants.create"
        operation["parameters"] = [{"name": "x", "in": "nowhere"}]

        found = "\n".join(lint(broken))

        self.assertIn("operation-operationId-unique", found)
        self.assertIn("error struct", found)

    def test_is_what_the_command_line_prints(self):
        printed = self.redoubt.command("openapi")

        self.assertEqual(printed.returncode, 0, printed.stderr)
        self.assertEqual(json.loads(printed.stdout), self.document)


if __name__ == "__main__":
    unittest.main()
