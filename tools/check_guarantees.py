#!/usr/bin/env python3
"""Every promise of docs/guarantees.md names at least one test, and every test it names exists.

    tools/check_guarantees.py [root]

Prints one line per violation; exit status 1 if there is any.
"""

import pathlib
import sys

import guarantees


def violations(page, tests, programs):
    seen = set()
    for number, names in guarantees.rows(page):
        if number in seen:
            yield f"{number}: there are two rows of this name"
        seen.add(number)
        if not names:
            yield f"{number}: no test"
        for name in names:
            if name not in tests:
                yield f"{number}: there is no test {name}"
    for number, name in guarantees.programs(page):
        if name not in programs:
            yield f"{number}: {name} is neither a test nor a program of the tree"
    if not seen:
        yield "no promises were found"
    for name in guarantees.NAME.findall(guarantees.ROW.sub("", page)):
        if name not in tests:
            yield f"outside the tables: there is no test {name}"


def main(arguments):
    root = pathlib.Path(arguments[1] if len(arguments) > 1 else ".").resolve()
    found = list(violations(guarantees.page_of(root), guarantees.all_tests(root),
                            guarantees.known_programs(root)))
    for line in found:
        print(f"docs/guarantees.md: {line}")
    if not found:
        print("every promise has its tests")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
