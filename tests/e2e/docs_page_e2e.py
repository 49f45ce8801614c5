"""The page at /docs in a real browser.

With REDOUBT_SCREENSHOTS=directory it leaves pictures of the page there.
"""

import os
import unittest
import urllib.parse

from browser import Browser
from server import Server

READY = "document.querySelectorAll('details').length > 0"
SHOWN = "[...document.querySelectorAll('details:not([hidden])')].map((node) => node.id)"


class DocsPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.redoubt = Server()
        cls.addClassCleanup(cls.redoubt.__exit__)
        cls.url = f"http://127.0.0.1:{cls.redoubt.port}/docs"
        cls.operations = {operation["operationId"]: (method, path)
                          for path, item in cls.redoubt.get("/openapi.json").json["paths"].items()
                          for method, operation in item.items()}

    def setUp(self):
        self.browser = Browser()
        self.addCleanup(self.browser.close)
        self.browser.look()

    def tearDown(self):
        self.assertEqual(self.browser.complaints(), [])
        for url in self.browser.requests():
            parts = urllib.parse.urlsplit(url)
            self.assertIn(parts.scheme, ("http", "about"), url)
            if parts.scheme == "http":
                self.assertEqual(parts.netloc, f"127.0.0.1:{self.redoubt.port}", url)

    def open(self, fragment=""):
        self.browser.open(self.url + fragment, READY)

    def picture(self, name):
        if directory := os.environ.get("REDOUBT_SCREENSHOTS"):
            self.browser.screenshot(os.path.join(directory, name + ".png"))

    def test_shows_every_operation(self):
        self.open()

        self.assertEqual(sorted(self.browser.value(SHOWN)), sorted(self.operations))
        text = self.browser.value("document.body.textContent")
        for name, (_, path) in self.operations.items():
            self.assertIn(path, text)
            self.assertIn("redoubt call " + name, text)
        self.assertIn("Requests may have no members", text)
        self.picture("light")

    def test_needs_only_what_the_server_serves_under_its_own_policy(self):
        policy = self.redoubt.get("/docs", key=None).headers["Content-Security-Policy"]
        self.assertIn("default-src 'none'", policy)

        self.open()

        paths = {urllib.parse.urlsplit(url).path for url in self.browser.requests()}
        self.assertLessEqual({"/docs", "/docs.js", "/openapi.json"}, paths)
        # The policy is in force: the page cannot be made to call elsewhere.
        self.browser.value("fetch('http://127.0.0.1:9/').catch(() => { window.refused = true; }); 0")
        self.browser.wait("window.refused")
        refused = [c for c in self.browser.complaints() if "Content Security Policy" in str(c)]
        self.assertTrue(refused)
        self.browser.events = [e for e in self.browser.events if "127.0.0.1:9/" not in str(e)]

    def test_finds_by_keyboard(self):
        self.open()

        self.browser.press("/", "/")
        self.assertEqual(self.browser.value("document.activeElement.id"), "filter")
        self.assertEqual(self.browser.value("document.activeElement.value"), "")
        self.browser.write("rotate keyring")
        self.assertEqual(self.browser.value(SHOWN), ["keyring.rotate"])
        self.assertIn("1 of ", self.browser.value("document.getElementById('count').textContent"))
        self.picture("filtered")
        self.browser.press("Enter")
        self.browser.wait("document.getElementById('keyring.rotate').open")
        self.browser.press("Escape")
        self.assertEqual(len(self.browser.value(SHOWN)), len(self.operations))

    def test_a_link_opens_its_operation(self):
        self.browser.look(dark=True)
        self.open("#gate.decide")

        self.browser.wait("document.getElementById('gate.decide').open")
        text = self.browser.value("document.getElementById('gate.decide').innerText")
        for expected in ("limits[].policy", "curl", "/api/v1/gate", "429", "session.user"):
            self.assertIn(expected, text)
        self.picture("dark-open")

    def test_fits_a_narrow_screen(self):
        self.browser.look(width=360, height=780)
        self.open("#cache.put")

        self.browser.wait("document.getElementById('cache.put').open")
        self.assertLessEqual(self.browser.value("document.documentElement.scrollWidth"), 360)
        self.picture("narrow")


if __name__ == "__main__":
    unittest.main()
