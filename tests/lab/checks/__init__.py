"""Checkers of a history. Each is a function of the events that returns complaints: sentences, none of
them when the invariant held. They err on the side of the server wherever the order of two operations
cannot be told, so a complaint is a fault."""

ENOUGH = 20  # Complaints of one checker; a broken invariant would otherwise fill the screen.


def brief(event):
    """An operation as a complaint shows it."""
    shown = {name: event[name] for name in ("op_id", "instance", "type", "key", "result", "status")
             if event.get(name) not in (None, "")}
    return f"{shown} at {event['t_inv']:.3f}..{event['t_ret']:.3f} s"
