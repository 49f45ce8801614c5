"""What rows of several files share."""

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


def generation(run, instance=0):
    return run.fleet.instances[instance].metric("redoubt_shared_generation")


def until_moved(run, before):
    """Until every instance knows that what Redis holds is not to be relied on."""
    wait_for(lambda: all(generation(run, n) > before for n in range(len(run.fleet.instances))),
             "the new generation")
