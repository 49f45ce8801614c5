"""I1: what is asked for with an Idempotency-Key, and asked for again by whoever does not know what became
of it, is done once, and whoever asks is given the same answer.

A request and what is made of it have the same name. In the end each is sent once more, and all that was
made is listed.
"""

import collections

from . import ENOUGH, brief


def check(events):
    attempts, made, complaints = collections.defaultdict(list), collections.defaultdict(set), []
    for event in events:
        if event["type"] in ("idempotent.create", "idempotent.final"):
            attempts[event["key"]].append(event)
        elif event["type"] == "idempotent.list":
            if event["outcome"] != "ok":
                complaints.append(f"I1: what was made could not be listed: {brief(event)}")
            for name, identifier in event["result"].get("made", ()):
                made[name].add(identifier)
    for name, found in attempts.items():
        complaints += _of_one(name, found, made[name])
    return complaints[:ENOUGH]


def _is_refused(event):
    """For good. Its name is its own, so only a repetition that is not known as one can be."""
    return (400 <= event["status"] < 500 and event["status"] != 429
            and event["result"].get("code") != "idempotency_in_progress")


def _of_one(name, attempts, made):
    refused = [a for a in attempts if _is_refused(a)]
    if refused:
        return [f"I1: {name} was refused: {brief(refused[0])}"]
    answers = [a["result"] for a in attempts if a["outcome"] == "ok"]
    if not answers:
        return [f"I1: nobody was told what became of {name}"]
    if sum(not answer["replayed"] for answer in answers) > 1:
        return [f"I1: {name} was carried out anew"]
    if len({answer["answer"] for answer in answers}) > 1:
        return [f"I1: {name} was answered in different ways"]
    if made != {answers[0]["made"]}:
        return [f"I1: {name} made {sorted(made)}; {answers[0]['made']} was acknowledged"]
    return []


def carried_out_unheard(events):
    """Of how many the first answer that was heard is the one of an earlier attempt."""
    first = {}
    for event in events:
        if event["type"] == "idempotent.create" and event["outcome"] == "ok":
            first.setdefault(event["key"], event)
    return sum(event["result"]["replayed"] for event in first.values())
