#!/usr/bin/env python3
"""Runs the tests of promises in docs/guarantees.md: prove.py [--preset name] [S1 L2 ...], all without.

The tests must have been built: cmake --preset release && cmake --build build/release
"""

import argparse
import collections
import os
import pathlib
import subprocess
import sys

import guarantees

ROOT = pathlib.Path(__file__).resolve().parent.parent


def program_of(path, build):
    """The program that a *_test.cpp is built into: named after the file or one of its folders, in
    the build's folder of the same path or above."""
    relative = path.relative_to(ROOT)
    names = [path.stem + "s", *(part + "_tests" for part in reversed(relative.parts[:-1]))]
    for folder in relative.parents:
        for name in names:
            if (program := build / folder / name).is_file():
                return program
    raise SystemExit(f"no program for {relative} under {build}; build the tests first")


def filter_of(names):
    """A --gtest_filter for tests by their names, with every parameter where they have some."""
    return ":".join(f"{name}:*/{name}/*" for name in names)


def listed(listing):
    """{Suite.Name} of what --gtest_list_tests prints, without instantiations and parameters."""
    found, suite = set(), ""
    for line in listing.splitlines():
        text = line.split("#")[0].rstrip()
        if not text.startswith("  "):
            suite = text.rstrip(".").split("/")[-1]
        else:
            found.add(f"{suite}.{text.strip().split('/')[0]}")
    return found


def run(names, build):
    """The names' tests, one run per program; whether all passed."""
    units, passed = guarantees.unit_tests(ROOT), True
    filters, modules = collections.defaultdict(list), []
    for name in names:
        if name in units:
            filters[program_of(units[name], build)].append(name)
        else:
            modules.append(name)
    for program, wanted in filters.items():
        print(f"-- {program.name}: {', '.join(wanted)}", flush=True)
        only = "--gtest_filter=" + filter_of(wanted)
        listing = subprocess.run([program, "--gtest_list_tests", only], text=True,
                                 capture_output=True, check=True).stdout
        if not listed(listing) >= set(wanted):
            print(f"{program} is older than its tests; build it")
            passed = False
        passed &= subprocess.run([program, "--gtest_brief=1", only], check=False).returncode == 0
    if modules:
        print(f"-- end to end: {', '.join(modules)}", flush=True)
        environment = {**os.environ, "REDOUBT_BINARY": str(build / "redoubt")}
        passed &= subprocess.run([sys.executable, "-m", "unittest", *modules], env=environment,
                                 cwd=ROOT / "tests/e2e", check=False).returncode == 0
    return passed


def main():
    parser = argparse.ArgumentParser(prog="prove", description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*")
    parser.add_argument("--preset", default="release")
    arguments = parser.parse_args()
    known = dict(guarantees.rows(guarantees.page_of(ROOT)))
    for row in arguments.rows:
        if row not in known:
            parser.error(f"there is no row {row}; there are {', '.join(known)}")
    names = dict.fromkeys(name for row in arguments.rows or known for name in known[row])
    passed = run(names, ROOT / "build" / arguments.preset)
    print("all hold" if passed else "some do not hold")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
