#!/usr/bin/env python3
"""Rules of the tree that no compiler checks.

    tools/tidy.py [root]

- a file has at most 800 lines;
- clocks are read in src/base only, so that time is injected everywhere else, and by the campaign of the
  simulator, which has to end;
- no coroutine is started and forgotten (asio::detached);
- tests do not sleep, outside tests/support, tests/e2e and the virtual time of tests/sim;
- nothing is left undone by its own words, no test is disabled;
- no lambda and no braced temporary inside an expression with co_await (docs/decisions/0002-compilers.md),
  but for the parameters of a statement, `co_await tx.run(kFind, {id})`: views, with nothing to destroy.

Prints one line per violation; exit status 1 if there is any.
"""

import pathlib
import re
import sys

LINES_MAX = 800
SUFFIXES = {".hpp", ".cpp", ".h", ".cc", ".sql", ".py", ".sh", ".cmake", ".md", ".txt"}
CODE = {".hpp", ".cpp", ".h", ".cc"}
TREES = ("src", "include", "tests", "fuzz", "bench", "migrations", "tools", "scripts", "cmake",
         "examples", "docs")
# Lists that grow with the product and are generated.
UNLIMITED = {"docs/configuration.md", "docs/openapi.json"}

CLOCK = re.compile(r"\b(?:steady_clock|system_clock|high_resolution_clock|utc_clock)::now\b"
                   r"|\bclock_gettime\s*\(|\bgettimeofday\s*\(")
DETACHED = re.compile(r"\basio::detached\b|[(,]\s*detached\s*\)")
SLEEP = re.compile(r"\b(?:sleep_for|sleep_until|usleep|nanosleep)\s*\(|(?<![\w.>])sleep\s*\(")
# Split, so that this file does not find itself.
UNDONE = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
# A skip behind a condition on one line says what the machine lacks; one by itself hides a test.
DISABLED = re.compile(r"\bDISABLED_|^\s*GTEST_" r"SKIP\b", re.MULTILINE)
LAMBDA = re.compile(r"[(,=&|]\s*\[[^\]\[]*\]\s*(?:\([^()]*\)\s*)?(?:mutable\s*|noexcept\s*|->[^{;]*)*\{")
SCALAR = r"(?!(?:std::)?(?:u?int\d*(?:_t)?|size_t|bool|double)\s*\{)"
AGGREGATE = re.compile(r"[(,]\s*" + SCALAR + r"(?:[A-Za-z_][\w:]*(?:<[^<>;]*>)?)?\s*\{\s*[^}\s]")
STATEMENT = re.compile(r"^\s*\w+(?:\.|->)run\(")
TYPED_AGGREGATE = re.compile(r"[({,]\s*" + SCALAR + r"[A-Za-z_][\w:]*(?:<[^<>;]*>)?\s*\{\s*[^}\s]")


def blank_comments_and_strings(text):
    """The text with comments, strings and characters blanked, line breaks kept."""
    pattern = re.compile(r'R"([^(\s]*)\(.*?\)\1"|//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"'
                         r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", re.DOTALL)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)


def awaited_expressions(code):
    """(line, text) from each co_await to the end of its statement or of what it is nested in."""
    for match in re.finditer(r"\bco_await\b", code):
        depth = 0
        end = match.end()
        while end < len(code):
            c = code[end]
            if c in "([{":
                depth += 1
            elif c in ")]}":
                depth -= 1
                if depth < 0:
                    break
            elif c == ";" and depth == 0:
                break
            end += 1
        yield code.count("\n", 0, match.start()) + 1, code[match.end():end]


def check_code(relative, text):
    code = blank_comments_and_strings(text)
    rules = [(DETACHED, "asio::detached starts a coroutine and forgets it")]
    if not relative.startswith(("src/base/", "tests/sim/campaign.")):
        rules.append((CLOCK, "clocks are read in src/base; take a Clock"))
    is_test = relative.endswith(("_test.cpp", "fixture.hpp")) or relative.startswith("tests/")
    if is_test and not relative.startswith(("tests/support/", "tests/e2e/", "tests/sim/")):
        rules.append((SLEEP, "a test does not sleep: use ManualClock or wait for an event"))
    if is_test:
        rules.append((DISABLED, "a test that does not run"))
    for pattern, message in rules:
        for match in pattern.finditer(code):
            yield code.count("\n", 0, match.start()) + 1, message
    for line, expression in awaited_expressions(code):
        if LAMBDA.search(expression):
            yield line, "name the lambda before the co_await"
        elif (TYPED_AGGREGATE if STATEMENT.match(expression) else AGGREGATE).search(expression):
            yield line, "name the aggregate before the co_await"


def check_text(relative, text):
    lines = text.count("\n") + (0 if text.endswith("\n") or not text else 1)
    if lines > LINES_MAX and relative not in UNLIMITED:
        yield 1, f"{lines} lines; at most {LINES_MAX}"
    for match in UNDONE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, f"left undone: {match.group(0)}"
    if pathlib.PurePath(relative).suffix in CODE:
        yield from check_code(relative, text)


def violations(root):
    for tree in TREES:
        for path in sorted((root / tree).rglob("*")):
            if path.suffix not in SUFFIXES or "node_modules" in path.parts:
                continue
            relative = path.relative_to(root).as_posix()
            for line, message in check_text(relative, path.read_text(errors="replace")):
                yield f"{relative}:{line}: {message}"


def main(arguments):
    root = pathlib.Path(arguments[1] if len(arguments) > 1 else ".").resolve()
    found = list(violations(root))
    print("\n".join(found) if found else "tidy")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
