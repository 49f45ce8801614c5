"""Runs rows of the fault table against real processes.

    lab.py --list                 the rows, and what must hold
    lab.py 2 8 17                 these, at length: the figures are judged too
    lab.py --short [rows...]      the short ones of scripts/test: safety is judged, figures are shown
    lab.py outage --minutes 10    Redis gone for so long

    --out directory    keeps histories (JSON lines) and pictures (SVG) there
    --rate n           operations a second;  --seed n
"""

import argparse
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]

import clock  # noqa: E402
import network  # noqa: E402
import rows  # noqa: E402,F401
from fleet import Fleet  # noqa: E402
from registry import ELSEWHERE, ROWS  # noqa: E402
from run import Run  # noqa: E402

INSIDE = "LAB_IN_NAMESPACE"


def cannot(row):
    """Why a row cannot be run here, or nothing."""
    needs = row.needs
    if "network" in needs and (why := network.missing()):
        return why
    if "root" in needs and os.geteuid() != 0:
        return "it needs root"
    if "shim" in needs and not clock.compiler():
        return "there is no C compiler"
    return None


def enter_namespace(row, arguments):
    """Runs a row in a network namespace of its own; the exit status."""
    command = ["unshare", "--net", "--mount", sys.executable, os.path.abspath(__file__), row.name,
               "--seed", str(arguments.seed), "--minutes", str(arguments.minutes)]
    for flag, value in (("--rate", arguments.rate), ("--out", arguments.out)):
        command += [flag, str(value)] if value else []
    command += ["--short"] if arguments.short else []
    return subprocess.run(command, env={**os.environ, INSIDE: "1"}).returncode == 0


def run_row(row, arguments):
    why = cannot(row)
    if why:
        print(f"row {row.name}: not run here: {why}\n", flush=True)
        return True
    if "network" in row.needs and INSIDE not in os.environ:
        return enter_namespace(row, arguments)
    started = time.monotonic()
    fleet = dict(row.fleet)
    if "network" in row.needs:
        fleet["network"] = network.current()
    with Fleet(**fleet) as made:
        run = Run(row, made, not arguments.short, arguments.out, arguments.rate or row.rate,
                  arguments.seed)
        run.minutes = arguments.minutes
        try:
            run.execute()
        except BaseException:
            for instance in made.instances:
                sys.stderr.write(instance.log()[-3000:])
            raise
        print(run.report())
        picture = run.draw()
    print(f"  {time.monotonic() - started:.0f} s in all{'; ' + picture if picture else ''}\n",
          flush=True)
    return run.passed


def in_order(names):
    return sorted(names, key=lambda name: (not name.isdigit(), int(name) if name.isdigit() else 0))


def show_list():
    for name in in_order(ROWS):
        row = ROWS[name]
        print(f"{name:>8}  {'short' if row.short else '     '}  {row.fault}\n"
              f"{'':17}must hold: {row.must}\n{'':17}checks: {row.checks}")
    print("\nNot here. Locks, jobs and streams do not exist yet, so nothing checks C2, C4, C5 and C9.")
    for name in in_order(ELSEWHERE):
        print(f"{name:>8}         {ELSEWHERE[name]}")


def parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="row")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out")
    return parser.parse_args()


def main():
    arguments = parse()
    if arguments.list:
        return show_list()
    names = arguments.rows or [n for n in in_order(ROWS)
                               if ROWS[n].short or not arguments.short]
    for name in names:
        if name not in ROWS:
            sys.exit(f"there is no row {name}" + (f": {ELSEWHERE[name]}" if name in ELSEWHERE
                                                  else "; --list shows them"))
    if arguments.out:
        os.makedirs(arguments.out, exist_ok=True)
    failed = [name for name in names if not run_row(ROWS[name], arguments)]
    if failed:
        sys.exit("did not hold: " + " ".join(failed))
    if INSIDE not in os.environ:
        print(f"held: {' '.join(names)}")


if __name__ == "__main__":
    main()
