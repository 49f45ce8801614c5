"""The clocks of one process, moved while it runs: `env` makes it obey, `jump` moves them."""

import mmap
import os
import shutil
import struct
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def compiler():
    return next((c for c in ("clang-19", "clang-20", "clang-21", "gcc", "cc") if shutil.which(c)),
                None)


class Clock:
    def __init__(self, wall=0.0):
        self.directory = tempfile.mkdtemp(prefix="redoubt-clock-")
        library = os.path.join(self.directory, "clock_shim.so")
        subprocess.run([compiler(), "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library,
                        os.path.join(HERE, "clock_shim.c")], check=True)
        os.chmod(self.directory, 0o755)  # PostgreSQL runs as another account.
        path = os.path.join(self.directory, "offsets")
        self.file = open(path, "w+b")
        self.file.write(bytes(16))
        self.file.flush()
        self.page = mmap.mmap(self.file.fileno(), 16)
        self.env = {"LD_PRELOAD": library, "LAB_CLOCK_FILE": path}
        self.jump(wall)

    def jump(self, wall=0.0, boot=0.0):
        """Sets how many seconds the clocks are ahead of the real ones."""
        self.page[:] = struct.pack("qq", int(wall * 1e9), int(boot * 1e9))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.page.close()
        self.file.close()
        shutil.rmtree(self.directory, ignore_errors=True)
