"""docs/metrics.md lists what a running server exposes after a tour of all operations.

UPDATE_GOLDEN=1 rewrites its table.
"""

import os
import re
import shutil
import subprocess
import unittest

from backing import Redis
from server import ROOT, Server

PAGE = os.path.join(ROOT, "docs", "metrics.md")
BLOCK = ("<!-- metrics:begin -->\n", "<!-- metrics:end -->\n")
REDIS_BLOCK = ("<!-- metrics-redis:begin -->\n", "<!-- metrics-redis:end -->\n")
SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? \S+$")
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count")}


def families(text):
    """{name: (type, help, {label names})} of Prometheus text."""
    found, kinds, helps = {}, {}, {}
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, words = line[7:].split(" ", 1)
            helps[name] = words
        elif line.startswith("# TYPE "):
            name, kinds[name] = line[7:].split(" ")
            found[name] = (kinds[name], helps[name], set())
        else:
            sample, labels = SAMPLE.match(line).groups()
            name = family_of(sample, kinds)
            found[name][2].update(key for key, _ in LABEL.findall(labels or ""))
            found[name][2].discard("le")
    return found


def family_of(sample, kinds):
    if sample in kinds:
        return sample
    for kind, suffixes in SUFFIXES.items():
        for suffix in suffixes:
            if kinds.get(sample.removesuffix(suffix)) == kind:
                return sample.removesuffix(suffix)
    raise AssertionError(f"{sample} is of no family")


def table(found):
    lines = ["| name | type | labels | meaning |", "|---|---|---|---|"]
    for name, (kind, words, labels) in sorted(found.items()):
        of = ", ".join(f"`{label}`" for label in sorted(labels))
        lines.append(f"| `{name}` | {kind} | {of} | {words} |")
    return "\n".join(lines) + "\n"


class MetricsDocument(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.text = cls.metrics_after_a_tour({})
        with Redis() as redis:
            cls.text_with_redis = cls.metrics_after_a_tour(
                {"REDIS_URL": redis.url, "SESSION_STORAGE": "redis"})

    @classmethod
    def metrics_after_a_tour(cls, env):
        with Server(env={"REDOUBT_LIMIT_STRICT_ONE": "5/1m strict", **env}) as redoubt:
            cls.tour(redoubt)
            return redoubt.get("/metrics", key=None).body

    @staticmethod
    def tour(ask):
        """Every operation once, well or badly asked, and every other path."""
        session = ask.new_session("ada")
        ask.post("/api/v1/gate", {"token": session["token"], "limits": [{"policy": "strict_one"}]})
        ask.request("PUT", "/api/v1/cache/entries/k?tags=t", "v")
        ask.get("/api/v1/cache/entries/k")
        ask.post("/api/v1/cache/invalidate", {"tags": ["t"], "patterns": ["a*b"]})
        for path, item in ask.get("/openapi.json", key=None).json["paths"].items():
            for method, operation in item.items():
                if operation["operationId"] in ("sessions.create", "gate.decide"):
                    continue
                filled = re.sub(r"{\w+}", session["id"], path)
                body = {} if "requestBody" in operation else None
                ask.request(method.upper(), filled, body)
        for path in ("/", "/docs", "/status", "/health", "/readyz", "/livez", "/nowhere"):
            ask.get(path, key=None)

    def assert_listed(self, block, found):
        with open(PAGE, encoding="utf-8") as file:
            page = file.read()
        before, rest = page.split(block[0])
        listed, after = rest.split(block[1])
        expected = table(found)
        if os.environ.get("UPDATE_GOLDEN"):
            with open(PAGE, "w", encoding="utf-8") as file:
                file.write(before + block[0] + expected + block[1] + after)
            return
        self.assertEqual(listed, expected)

    def test_lists_every_metric_with_its_labels(self):
        self.assert_listed(BLOCK, families(self.text))

    def test_lists_every_metric_of_a_server_with_redis(self):
        alone = families(self.text)
        with_redis = families(self.text_with_redis)
        self.assert_listed(REDIS_BLOCK, {name: family for name, family in with_redis.items()
                                         if name not in alone})

    def test_what_is_to_be_watched_exists(self):
        with open(PAGE, encoding="utf-8") as file:
            prose = file.read().split(BLOCK[0])[0]
        kinds = {name: kind for name, (kind, _, _) in families(self.text).items()}
        for name in set(re.findall(r"\b(?:redoubt|process)_[a-z_]+", prose)):
            self.assertIn(family_of(name, kinds), kinds)

    def test_labels_tell_nothing_about_whom(self):
        lines = self.text.splitlines() + self.text_with_redis.splitlines()
        values = {value for line in lines if not line.startswith("#")
                  for _, value in LABEL.findall(line)}
        for value in values:
            self.assertNotRegex(value, r"ses_|rds_|rdk_|\bada\b|strict_one:")

    def test_passes_promtool(self):
        if not shutil.which("promtool"):
            self.skipTest("promtool is not installed")
        for text in (self.text, self.text_with_redis):
            done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True,
                                  capture_output=True, check=False)
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
