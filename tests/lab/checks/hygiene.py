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
        complaints += [f"C12: {name} has {after[what]} {what}, {before[what]} before"
                       for what in grown(before, after)]
    return complaints[:ENOUGH]


def grown(before, after):
    """What there is more of than there was."""
    if not (before and after):
        return []
    return [what for what in ("fds", "threads")
            if after[what] > before[what] * (1 + TOLERANCE) + 2]
