"""The container's image has every library that the server is linked with."""

import os
import pathlib
import re
import subprocess
import unittest

from server import BINARY

DOCKERFILE = pathlib.Path(__file__).resolve().parents[2] / "deploy/Dockerfile"
# In every image of Debian.
BASE = {"libc6", "libgcc-s1", "libstdc++6"}


def text_of(*command):
    return subprocess.run(command, check=True, text=True, capture_output=True).stdout


def release():
    facts = pathlib.Path("/etc/os-release").read_text()
    return re.findall(r'^(?:ID|VERSION_ID)="?([^"\n]*)', facts, re.M)


def packages_needed():
    wanted = re.findall(r"\(NEEDED\).*\[(.+)\]", text_of("readelf", "-d", BINARY))
    found = dict(re.findall(r"^\s*(\S+) => (/\S+)", text_of("ldd", BINARY), re.M))
    for library in set(wanted) & set(found):
        # Where /lib is a link to /usr/lib, dpkg knows some under the one name, some under the other.
        path = os.path.realpath(found[library])
        owner = subprocess.run(["dpkg", "-S", path, path.removeprefix("/usr")], text=True,
                               capture_output=True).stdout
        yield owner.split(":", 1)[0]


class ImageTest(unittest.TestCase):
    def test_it_installs_what_the_server_is_linked_with(self):
        if sorted(release()) != ["12", "debian"]:
            self.skipTest("packages have other names here than in the image, which is Debian 12")
        final = DOCKERFILE.read_text().rsplit("FROM ", 1)[1]
        installed = set(re.search(r"--no-install-recommends(.*?)&&", final, re.S)[1]
                        .replace("\\", "").split())
        needed = set(packages_needed())
        self.assertIn("libssl3", needed)
        self.assertEqual(needed - BASE, installed)


if __name__ == "__main__":
    unittest.main()
