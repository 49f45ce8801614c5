"""A record whose disk is full, read-only or not writable: writes say why, reads go on, and it
recovers by itself with nothing lost."""

import os
import subprocess
import tempfile
import unittest

from server import Server, wait_for

MIB = 1 << 20


def run(*command):
    return subprocess.run(command, capture_output=True, text=True)


class Volume:
    """A small file system of its own, for the data directory."""

    def __init__(self, *mount):
        self.dir = tempfile.mkdtemp(prefix="redoubt-volume-")
        self.mounted = run("mount", *mount, self.dir)

    def remove(self):
        run("umount", self.dir)
        os.rmdir(self.dir)


class StorageFault(unittest.TestCase):
    def serve_on(self, volume):
        self.addCleanup(volume.remove)
        if volume.mounted.returncode != 0:
            self.skipTest("cannot mount here: " + volume.mounted.stderr.strip())
        self.data = os.path.join(volume.dir, "data")
        os.mkdir(self.data)
        self.redoubt = Server(data_dir=self.data, env={"REDOUBT_LIMIT_STRICT": "9/1h strict"})
        self.addCleanup(self.redoubt.__exit__)
        # In memory, and only in the record: its copy goes when the session is changed elsewhere.
        self.session = self.redoubt.new_session("ada")
        self.gone = self.redoubt.new_session("eve")
        self.redoubt.delete(f"/api/v1/sessions/{self.gone['id']}")
        self.acknowledged = [self.session]
        self.to_end = [self.redoubt.new_session("mallory") for _ in range(4)]
        self.ended = []
        self.to_stop = [self.stoppable(f"doomed-{i}") for i in range(4)]
        self.stopped = []

    def stoppable(self, tenant):
        """A tenant to disable, with its key and a session, and a key to revoke."""
        of_tenant = self.redoubt.new_tenant(tenant)
        session = self.redoubt.post("/api/v1/sessions", {"user": "x"}, key=of_tenant).json["token"]
        key = self.redoubt.post("/api/v1/keys", {"name": "doomed"}).json
        self.assertEqual(self.redoubt.get("/api/v1/cache/keys", key=key["token"]).status, 200)
        return {"tenant": tenant, "key": key, "credentials": [of_tenant, key["token"], session]}

    def stop_one(self, reason):
        """Refused at once, although it could not be recorded."""
        doomed = self.to_stop.pop()
        for method, path in (("DELETE", f"/api/v1/keys/{doomed['key']['key']['id']}"),
                             ("POST", f"/api/v1/tenants/{doomed['tenant']}/disable")):
            reply = self.redoubt.request(method, path, {} if method == "POST" else None)
            self.assertEqual(reply.status, 503, reply)
            self.assertIn(reason, reply.json["detail"])
        self.stopped += doomed["credentials"]
        self.assertEqual(self.redoubt.metric("redoubt_stops_unsaved"), 2)
        self.assert_stopped()

    def kill_and_forget(self):
        """What was answered 503 and acted in the process alone goes with it."""
        self.redoubt.kill()
        self.ended.clear()
        self.stopped.clear()

    def assert_stopped(self):
        for credential in self.stopped:
            self.assertEqual(
                self.redoubt.get("/api/v1/sessions/current", key=credential).status, 401)

    def create(self):
        reply = self.redoubt.post("/api/v1/sessions", {"user": "bob", "data": {"x": "y" * 8000}})
        if reply.status == 201:
            self.acknowledged.append(reply.json)
        return reply

    def verified(self, session):
        return self.redoubt.post("/api/v1/sessions/verify", {"token": session["token"]}).status

    def record(self):
        return self.redoubt.get("/status", key=None).json

    def assert_degraded(self, reason):
        """Every write says why; whatever needs none goes on."""
        session = f"/api/v1/sessions/{self.session['id']}"
        doomed = self.to_end.pop()
        self.assertEqual(self.verified(doomed), 200)
        for method, path, body in (
                ("POST", "/api/v1/sessions", {"user": "bob"}),
                ("PATCH", session, {"data": {"a": 1}}),
                ("DELETE", f"/api/v1/sessions/{doomed['id']}", None),
                ("POST", "/api/v1/keys", {"name": "x"}),
                ("POST", "/api/v1/cache/invalidate", {"tags": ["t"]}),
                ("POST", "/api/v1/limits/check",
                 {"limits": [{"policy": "strict", "subject": "ada"}]})):
            with self.subTest(f"{method} {path}"):
                reply = self.redoubt.request(method, path, body)
                self.assertEqual(reply.status, 503, reply)
                self.assertEqual(reply.headers["Content-Type"], "application/problem+json")
                self.assertIn(reason, reply.json["detail"])
                self.assertGreaterEqual(int(reply.headers["Retry-After"]), 1)

        self.stop_one(reason)
        self.ended.append(doomed)  # Refused at once, although it could not be recorded.
        self.assertEqual({self.verified(session) for session in self.ended}, {401})
        self.assertEqual(self.redoubt.get(f"/api/v1/sessions/{doomed['id']}").status, 404)
        self.assertEqual(self.verified(self.session), 200)
        self.assertEqual(self.verified(self.gone), 401)
        self.assertEqual(self.redoubt.get(session).status, 200)
        self.assertEqual(self.redoubt.get("/api/v1/users/ada/sessions").status, 200)
        self.assertEqual(self.redoubt.get("/api/v1/audit/verify").json["intact"], True)
        gate = {"token": self.session["token"], "limits": [{"policy": "default"}]}
        self.assertEqual(self.redoubt.post("/api/v1/gate", gate).status, 200)
        put = self.redoubt.request("PUT", "/api/v1/cache/entries/k", "v")
        self.assertEqual(put.status, 200, put)
        self.assertEqual(self.redoubt.get("/api/v1/cache/entries/k").body, "v")

        status = self.record()
        self.assertEqual(status["health"], "degraded")
        self.assertEqual(status["record"]["state"], "down")
        self.assertEqual(status["record"]["reason"], reason)
        health = self.redoubt.get("/health", key=None)
        self.assertEqual((health.status, health.json["status"]), (200, "degraded"))
        for path in ("/readyz", "/livez", "/startupz"):
            self.assertEqual(self.redoubt.get(path, key=None).status, 200)
        self.assertEqual(self.redoubt.metric("redoubt_record_up"), 0)

    def assert_recovered(self):
        wait_for(lambda: self.create().status == 201, "writes to succeed again")
        status = self.record()
        self.assertEqual((status["health"], status["record"]["state"]), ("ok", "normal"))
        self.assertNotIn("reason", status["record"])
        self.assertEqual(self.redoubt.metric("redoubt_record_up"), 1)
        wait_for(lambda: self.redoubt.metric("redoubt_session_ends_unsaved") == 0,
                 "revocations to be recorded")
        wait_for(lambda: self.redoubt.metric("redoubt_stops_unsaved") == 0,
                 "what was stopped to be recorded")
        self.assert_nothing_lost()

    def assert_nothing_lost(self):
        self.assertEqual({self.verified(session) for session in self.acknowledged}, {200})
        self.assertEqual({self.verified(session) for session in [self.gone, *self.ended]}, {401})
        self.assert_stopped()
        self.assertTrue(self.redoubt.get("/api/v1/audit/verify").json["intact"])


class FullDisk(StorageFault):
    def setUp(self):
        self.serve_on(Volume("-t", "tmpfs", "-o", "size=6m", "tmpfs"))
        self.ballast = os.path.join(os.path.dirname(self.data), "ballast")

    def fill(self):
        with open(self.ballast, "wb", buffering=0) as file:
            for size in (MIB // 4, 4096):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    pass  # Full, for writes of this size.
        wait_for(lambda: self.create().status == 503, "the last free pages to be used")

    def test_says_so_reads_on_and_recovers_without_a_restart(self):
        for _ in range(2):
            self.fill()
            self.assert_degraded("disk full")
            os.unlink(self.ballast)
            self.assert_recovered()
        self.redoubt.kill()
        self.redoubt.start()
        self.assert_nothing_lost()

    def test_a_restart_on_a_full_disk_is_clear_about_it_or_serves(self):
        self.fill()
        self.redoubt.kill()
        self.redoubt.start(expect_up=False)
        wait_for(lambda: self.redoubt._up() or self.redoubt.process.poll() is not None, "a verdict")
        if self.redoubt.process.poll() is not None:
            self.redoubt._join()
            self.assertEqual(self.redoubt.process.returncode, 1)
            self.assertIn("disk full", "".join(self.redoubt.errors))
            os.unlink(self.ballast)
            self.redoubt.start()
        else:
            self.assertEqual(self.verified(self.session), 200)
            os.unlink(self.ballast)
        self.assert_recovered()


class Unwritable(StorageFault):
    """The file system turns read-only, or the files do, under the running server."""

    def setUp(self):
        with tempfile.NamedTemporaryFile(suffix=".img", delete=False) as image:
            image.truncate(16 * MIB)
        self.image = image.name
        self.addCleanup(os.unlink, self.image)
        made = run("mkfs.ext4", "-q", "-F", self.image)
        if made.returncode != 0:
            self.skipTest("cannot make a file system here: " + made.stderr.strip())
        self.volume = Volume("-o", "loop,errors=remount-ro", self.image)
        self.serve_on(self.volume)

    def device(self):
        return os.path.basename(run("findmnt", "-no", "SOURCE", self.volume.dir).stdout.strip())

    def test_files_that_may_not_be_written_for_a_while(self):
        files = [os.path.join(self.data, "redoubt.db" + end) for end in ("", "-wal")]
        if run("chattr", "+i", *files).returncode != 0:
            self.skipTest("chattr +i is not permitted here")
        self.addCleanup(run, "chattr", "-i", *files)
        self.assert_degraded("permission denied")
        run("chattr", "-i", *files)
        self.assert_recovered()

    def test_a_file_system_that_turned_read_only(self):
        trigger = f"/sys/fs/ext4/{self.device()}/trigger_fs_error"
        try:
            with open(trigger, "w") as file:
                file.write("a test\n")
        except OSError as error:
            self.skipTest(f"cannot break the file system here: {error}")
        self.assert_degraded("read-only file system")

        # It stays broken until it is checked, which needs it unmounted.
        self.kill_and_forget()
        run("umount", self.volume.dir)
        run("fsck.ext4", "-fy", self.image)
        self.assertEqual(run("mount", "-o", "loop", self.image, self.volume.dir).returncode, 0)
        self.redoubt.start()
        self.assert_recovered()

    def test_another_file_system_mounted_over_it_is_not_gone_on_with(self):
        trigger = f"/sys/fs/ext4/{self.device()}/trigger_fs_error"
        try:
            with open(trigger, "w") as file:
                file.write("a test\n")
        except OSError as error:
            self.skipTest(f"cannot break the file system here: {error}")
        self.assert_degraded("read-only file system")
        repaired = self.image + ".repaired"
        run("cp", self.image, repaired)
        self.addCleanup(os.unlink, repaired)
        run("fsck.ext4", "-fy", repaired)
        self.assertEqual(run("mount", "-o", "loop", repaired, self.volume.dir).returncode, 0)
        self.addCleanup(run, "umount", self.volume.dir)

        # Sessions revoked in one file must not live on in the other: no write before a restart.
        for _ in range(3):
            self.assertEqual(self.create().status, 503)
        self.assertEqual(self.verified(self.session), 200)
        self.assertEqual(self.record()["record"]["reason"], "file was replaced; restart")
        self.kill_and_forget()
        self.redoubt.start()
        self.assert_recovered()
        self.redoubt.kill()


if __name__ == "__main__":
    unittest.main()
