"""The rows: what is done, what must hold, who checks it, and the function that does it."""

from shapes import Single

ROWS = {}
RATE = 500  # Operations a second; the clients need about a fifth of a core for them.


class Row:
    def __init__(self, name, fault, must, checks, body, judge=None, short=False, fleet=None,
                 needs=(), redis_stays_away=False, restarts=(),
                 rewrites_the_past=False, rate=RATE, mix=None):
        self.name, self.fault, self.must, self.checks = name, fault, must, checks
        self.body, self.judge = body, judge
        self.short = short                # It takes part in scripts/test.
        self.fleet = fleet or {"shape": Single}
        self.needs = needs                # "network", "root", "shim".
        self.redis_stays_away = redis_stays_away
        self.rewrites_the_past = rewrites_the_past  # The record forgets: only C11 and C12 hold.
        self.restarts = restarts          # Instances whose census begins anew.
        self.rate = rate
        self.mix = mix


def row(name, fault, must, checks, **more):
    """Registers the function below it as a row."""
    def register(body):
        ROWS[str(name)] = Row(str(name), fault, must, checks, body, **more)
        return body
    return register


# What the text asks of services that this server does not have, or of other parts of the tree.
ELSEWHERE = {}


def elsewhere(name, why):
    ELSEWHERE[str(name)] = why
