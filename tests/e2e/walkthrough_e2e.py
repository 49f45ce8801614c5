"""The tour that README.md shows: what it prints is what the README says."""

import os
import re
import subprocess
import unittest

from server import BINARY, PATIENCE, ROOT


def read_me_says():
    with open(os.path.join(ROOT, "README.md")) as file:
        found = re.search(r"<!-- walkthrough:begin -->\n```\n(.*?)\n```\n<!-- walkthrough:end -->",
                          file.read(), re.S)
    return found.group(1)


def comparable(text):
    """Seconds until a limit has recovered may differ by the time the tour took."""
    return re.sub(r"(;t=|Retry-After: )\d+", r"\1N", text.strip())


class Walkthrough(unittest.TestCase):
    def test_prints_what_the_readme_says(self):
        # Without the settings of whoever runs the tests: the server would read them too.
        env = {name: value for name, value in os.environ.items()
               if not name.startswith("REDOUBT_")}
        tour = subprocess.run([os.path.join(ROOT, "examples", "walkthrough.sh"), BINARY], env=env,
                              capture_output=True, text=True, timeout=PATIENCE * 2)

        self.assertEqual(tour.returncode, 0, tour.stderr)
        for line in ('{"user":"ada","agent":"planner","device":"laptop","data":{"plan":"pro"}}',
                     '429 {"outcome":"limited","principal":"user:ada"}',
                     "client 1: 404, has the lease", "client 2: 200, waited and got: computed once",
                     "the session still works: 200", "204, then 401", '{"revoked":2}', "401 401"):
            self.assertIn(line, tour.stdout)
        self.assertEqual(comparable(tour.stdout), comparable(read_me_says()))


if __name__ == "__main__":
    unittest.main()
