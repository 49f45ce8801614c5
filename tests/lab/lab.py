"""Runs rows of the fault table against real processes.

    lab.py --list                 the rows, and what must hold
    lab.py 2 8 17                 these, at length: the figures are judged too
    lab.py --short [rows...]      the short ones of scripts/test: safety is judged, figures are shown
    lab.py outage --minutes 10    Redis gone for so long

    --out directory    keeps histories (JSON lines), pictures (SVG) and logs there
    --rate n           operations a second;  --seed n
"""

import argparse
import collections
import os
import subprocess
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "e2e")]

import clock  # noqa: E402
import network  # noqa: E402
import rows  # noqa: E402,F401
from fleet import Fleet  # noqa: E402
from registry import ELSEWHERE, ROWS  # noqa: E402
from run import Run  # noqa: E402

INSIDE = "LAB_IN_NAMESPACE"
REASONS = 20  # Lines about rows that did not hold, at the end of a run.
HEADING = "did not hold:"


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
    """Runs a row in a network namespace of its own; what it ended with when it did not hold."""
    command = ["unshare", "--net", "--mount", sys.executable, os.path.abspath(__file__), row.name,
               "--seed", str(arguments.seed), "--minutes", str(arguments.minutes)]
    for flag, value in (("--rate", arguments.rate), ("--out", arguments.out)):
        command += [flag, str(value)] if value else []
    command += ["--short"] if arguments.short else []
    last = collections.deque(maxlen=REASONS)
    with subprocess.Popen(command, env={**os.environ, INSIDE: "1"}, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace") as inside:
        for line in inside.stdout:
            print(line, end="", flush=True)
            last.append(line.rstrip())
    return [] if inside.returncode == 0 else reasons_in(list(last))


def reasons_in(lines):
    """What another lab.py said at its end, without its heading."""
    headings = [n for n, line in enumerate(lines) if line.startswith(HEADING)]
    return lines[headings[-1] + 1:] if headings else lines


def run_row(row, arguments):
    """Why it did not hold: lines, none of them when it did."""
    why = cannot(row)
    if why:
        print(f"row {row.name}: not run here: {why}\n", flush=True)
        return []
    if "network" in row.needs and INSIDE not in os.environ:
        return enter_namespace(row, arguments)
    try:
        return run_here(row, arguments)
    except Exception:  # The other rows are run all the same.
        traceback.print_exc()
        last = traceback.format_exc().rstrip().splitlines()[-REASONS // 2:]
        return [f"row {row.name}: it could not be run to its end:", *("  " + line for line in last)]


def run_here(row, arguments):
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
            show_logs(made)
            raise
        finally:
            keep_logs(row, made, arguments.out)
        if not run.passed:
            show_logs(made)
        print(run.report())
        picture = run.draw()
    print(f"  {time.monotonic() - started:.0f} s in all{'; ' + picture if picture else ''}\n",
          flush=True)
    return run.reasons()


def keep_logs(row, fleet, directory):
    for number, instance in enumerate(fleet.instances if directory else ()):
        path = os.path.join(directory, f"row-{row.name}-{number}.log")
        with open(path, "w", encoding="utf-8") as file:
            file.write(instance.log())


def show_logs(fleet):
    for number, instance in enumerate(fleet.instances):
        print(f"-- the end of the log of instance {number}:\n{instance.log()[-3000:]}", flush=True)


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
    failed = {name: why for name in names if (why := run_row(ROWS[name], arguments))}
    if failed:
        share = max(2, REASONS // len(failed))
        print(HEADING, " ".join(failed))
        for why in failed.values():
            print("\n".join(why[:share]))
        sys.exit(1)
    if INSIDE not in os.environ:
        print(f"held: {' '.join(names)}")


if __name__ == "__main__":
    main()
