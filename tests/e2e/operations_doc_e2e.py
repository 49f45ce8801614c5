"""What docs/operations.md tells operators to do, done; and the words it tells them to look for."""

import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
import unittest

from server import ROOT, Server


def page():
    with open(os.path.join(ROOT, "docs", "operations.md"), encoding="utf-8") as file:
        return file.read()


class Backup(unittest.TestCase):
    def setUp(self):
        self.kept = tempfile.mkdtemp(prefix="redoubt-backup-")
        self.addCleanup(shutil.rmtree, self.kept, ignore_errors=True)
        self.copy = os.path.join(self.kept, "redoubt.db")
        self.redoubt = Server()
        self.addCleanup(self.redoubt.__exit__)
        self.database = os.path.join(self.redoubt.data_dir, "redoubt.db")

    def back_up(self):
        subprocess.run(["sqlite3", self.database, f".backup '{self.copy}'"], check=True)

    def restore(self):
        self.redoubt.stop()
        for suffix in ("-wal", "-shm"):
            if os.path.exists(self.database + suffix):
                os.remove(self.database + suffix)
        shutil.copyfile(self.copy, self.database)

    def is_good(self, session):
        reply = self.redoubt.post("/api/v1/sessions/verify", {"token": session["token"]})
        self.assertIn(reply.status, (200, 401), reply)
        return reply.status == 200

    def test_of_a_running_server_restores_to_its_moment(self):
        before, ended = self.redoubt.new_session("ada"), self.redoubt.new_session("bob")
        self.back_up()
        after = self.redoubt.new_session("ada")
        self.redoubt.delete("/api/v1/sessions/" + ended["id"])

        self.restore()
        self.redoubt.start()

        self.assertTrue(self.is_good(before))
        self.assertFalse(self.is_good(after))
        self.assertTrue(self.is_good(ended), "the page warns of this")
        self.assertTrue(self.redoubt.get("/api/v1/audit/verify").json["intact"])

    def test_all_sessions_can_be_ended_before_the_start(self):
        session = self.redoubt.new_session("ada")
        self.back_up()
        self.restore()
        with sqlite3.connect(self.database) as database:
            database.execute("DELETE FROM rd_session")
        database.close()

        self.redoubt.start()

        self.assertFalse(self.is_good(session))


class Words(unittest.TestCase):
    def test_events_of_the_log_are_those_of_the_source(self):
        table = page().split("| event | level | says |")[1].split("\n\n")[0]
        source = ""
        for folder, _, files in os.walk(os.path.join(ROOT, "src")):
            for name in files:
                if name.endswith(".cpp") and not name.endswith("_test.cpp"):
                    with open(os.path.join(folder, name), encoding="utf-8") as file:
                        source += file.read()
        logged = set(re.findall(r'(?:error|warn|info|write)\((?:[^,"]+,)?\s*"([a-z_.]+)"', source))
        told = {event for row in table.splitlines() if row.startswith("| `")
                for event in re.findall(r"`([a-z_.]+\.[a-z_.]+)`", row.split("|")[1])}

        self.assertGreater(len(told), 10)
        self.assertEqual(told - logged, set())

    def test_health_paths_answer_as_told(self):
        with Server() as redoubt:
            rows = page().split("| path | answers | for |")[1].split("\n\n")[0]
            paths = re.findall(r"`(/[\w/]+)`", rows)
            self.assertGreater(len(paths), 8)
            for path in paths:
                self.assertEqual(redoubt.get(path, key=None).status, 200, path)
            self.assertEqual(redoubt.get("/health", key=None).json["status"], "healthy")

    def test_the_unit_file_asks_for_nothing_unknown(self):
        verify = shutil.which("systemd-analyze")
        if not verify:
            self.skipTest("no systemd-analyze")
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(ROOT, "deploy", "redoubt.service"), encoding="utf-8") as file:
                unit = file.read().replace("/usr/local/bin/redoubt", "/bin/true")
            path = os.path.join(folder, "redoubt.service")
            with open(path, "w", encoding="utf-8") as file:
                file.write(unit)
            done = subprocess.run([verify, "verify", path], text=True, capture_output=True,
                                  check=False)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_the_unit_files_environment_starts_a_server(self):
        with open(os.path.join(ROOT, "deploy", "redoubt.service"), encoding="utf-8") as file:
            env = dict(re.findall(r"^Environment=(\w+)=(.*)$", file.read(), re.MULTILINE))
        with tempfile.TemporaryDirectory() as credentials, tempfile.TemporaryDirectory() as state:
            with open(os.path.join(credentials, "token-encryption-key"), "w",
                      encoding="utf-8") as key:
                key.write(os.urandom(32).hex() + "\n")
            env = {name: value.replace("%d", credentials).replace("/var/lib/redoubt", state)
                   for name, value in env.items()}
            with Server(env=env, data_dir=state) as redoubt:
                printed = redoubt.command("config")
                self.assertRegex(printed.stdout, r"mode\W+production")
                self.assertEqual(redoubt.get("/status", key=None).json["health"], "ok")
                self.assertIn("redoubt.db", os.listdir(state))


if __name__ == "__main__":
    unittest.main()
