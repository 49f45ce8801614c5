"""C12: no crash, no report of a sanitizer, no secret in a log, and descriptors, threads and memory
back to where they were. A census is {"fds", "threads", "rss"} of one process."""

from . import ENOUGH

REPORTS = ("AddressSanitizer", "ThreadSanitizer", "runtime error:", "LeakSanitizer",
           "assertion failed", "terminate called")
TOLERANCE = 0.05


def check(instances, secrets=()):
    """`instances`: [(name, alive, log text, census before, census after)]."""
    complaints = []
    for name, alive, log, before, after in instances:
        if not alive:
            complaints.append(f"C12: {name} is not running")
        complaints += [f"C12: {name} logged {report!r}" for report in REPORTS if report in log]
        complaints += [f"C12: a secret is in the log of {name}" for s in secrets if s in log]
        for what in ("fds", "threads"):
            if before and after and after[what] > before[what] * (1 + TOLERANCE) + 2:
                complaints.append(f"C12: {name} has {after[what]} {what}, {before[what]} before")
    return complaints[:ENOUGH]
