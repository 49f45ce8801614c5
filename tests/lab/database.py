"""PostgreSQL with what the rows do to it: its whole family of processes stopped, its postmaster
killed, its disk full, its past put back."""

import glob
import os
import shutil
import signal
import subprocess
import tempfile

from backing import Postgres
from server import wait_for


def children_of(pid):
    found = []
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="utf-8") as file:
                fields = file.read().rsplit(")", 1)
        except OSError:
            continue
        if int(fields[1].split()[1]) == pid:
            found.append(int(fields[0].split(" ", 1)[0]))
    return found


class Database(Postgres):
    def family(self):
        return [self.process.pid, *children_of(self.process.pid)]

    def pause(self):
        for pid in self.family():
            self._signal(pid, signal.SIGSTOP)

    def resume(self):
        for pid in reversed(self.family()):
            self._signal(pid, signal.SIGCONT)

    @staticmethod
    def _signal(pid, what):
        try:
            os.kill(pid, what)
        except ProcessLookupError:
            pass

    def kill(self):
        """The postmaster alone; its children find out by themselves. Returns when they have."""
        children = children_of(self.process.pid)
        self.process.kill()
        self.process.wait()
        wait_for(lambda: not [p for p in children if os.path.exists(f"/proc/{p}")],
                 "the children of PostgreSQL to end")

    def terminate_others(self):
        return self.sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                        "WHERE pid <> pg_backend_pid() AND usename IS NOT NULL")

    def copy(self):
        """A base backup: what it is now. Returns the directory."""
        kept = tempfile.mkdtemp(prefix="redoubt-base-")
        if self.account:
            shutil.chown(kept, "postgres")
        target = os.path.join(kept, "data")
        subprocess.run([f"{self.bin}/pg_basebackup", "-D", target, "-h", self.host, "-p",
                        str(self.port), "-U", "postgres", "-c", "fast", "-X", "stream"], check=True,
                       cwd=kept, capture_output=True, **self.account)
        return kept

    def put_back(self, kept):
        """Starts again from a base backup, by a recovery, as an operator would who restores one: it
        ends on a timeline of its own."""
        self.stop()
        shutil.rmtree(self.data)
        shutil.move(os.path.join(kept, "data"), self.data)
        shutil.rmtree(kept)
        signal_file = os.path.join(self.data, "recovery.signal")
        with open(signal_file, "w", encoding="utf-8"):
            pass
        if self.account:
            shutil.chown(signal_file, "postgres")
        recovery = ["restore_command=false", "recovery_target=immediate",
                    "recovery_target_action=promote"]
        kept_settings, self.settings = self.settings, [*self.settings, *recovery]
        self.start()
        self.settings = kept_settings
        wait_for(lambda: self.sql("SELECT pg_is_in_recovery()") == "f", "the recovery to end")


class OnSmallDisk(Database):
    """Its data on a file system that can be filled."""

    def __init__(self, megabytes=160):
        self.disk = tempfile.mkdtemp(prefix="redoubt-small-")
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", self.disk],
                       check=True)
        super().__init__(directory=self.disk, settings=["max_wal_size=64MB", "min_wal_size=32MB"])

    def fill(self):
        with open(os.path.join(self.disk, "ballast"), "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(65536))
            except OSError:
                pass

    def free(self):
        os.remove(os.path.join(self.disk, "ballast"))

    def __exit__(self, *_):
        self.stop()
        subprocess.run(["umount", "-l", self.disk], check=True)
        shutil.rmtree(self.disk, ignore_errors=True)
