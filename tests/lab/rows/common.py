"""What rows of several files share."""

from checks import budget
from server import wait_for

ALL = "C1 C3 C6 C7 C8 C10 C11 C12"
WITH_I1 = ALL + " I1"  # With the load WITH_REPETITIONS.

# Seconds that an instance without the record may go on to accept what it knows, at most.
GRACE = 30.0


def serve(run, short=1, long=10):
    run.hold("before", run.pick(short, long))


def serves(run):
    """What was broken does not decide whether a request is answered."""
    failures = sum(p.failures for p in run.phases)
    total = sum(p.requests for p in run.phases)
    run.figure("answered", 100 * (1 - failures / max(total, 1)), "%", least=99.99)


def serves_during(run, phase):
    """The same of the phase in which it is broken, and of that phase's first second."""
    run.figure(f"answered while {phase.name}", 100 * phase.availability, "%", least=99.99)
    second = budget.phases(run.history.events, [("", phase.start, phase.start + 1)])[0]
    run.figure("answered in its first second", 100 * second.availability, "%", least=99.9)
    return second


def generation(run, instance=0):
    return run.fleet.instances[instance].metric("redoubt_shared_generation")


def until_moved(run, before):
    """Until every instance knows that what Redis holds is not to be relied on."""
    wait_for(lambda: all(generation(run, n) > before for n in range(len(run.fleet.instances))),
             "the new generation")
