#!/usr/bin/env python3
"""Who may include whom: checks every #include "..." against cmake/layers.txt.

    tools/check_layers.py [root]

A module may include itself, the modules after its colon, and the contracts in include/redoubt. A noun of
services/ may not include another noun. The contracts may include the standard library, each other, and of
Boost only Asio's awaitable. Prints one line per violation; exit status 1 if there is any.
"""

import pathlib
import re
import sys

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
SUFFIXES = {".hpp", ".cpp", ".h", ".cc"}
CONTRACT_EXTRA = {"boost/asio/awaitable.hpp"}
# What only tests may include, and which files are tests: fixture.hpp and <noun>_fixture.hpp are theirs.
TEST_PREFIX = "tests/"
TEST_SUFFIXES = ("_test.cpp", "fixture.hpp")


def read_layers(text):
    """{module: modules it may include} from the text of layers.txt."""
    layers = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.split("#", 1)[0].strip()
        if not line:
            continue
        module, colon, below = line.partition(":")
        if not colon:
            raise ValueError(f"layers.txt:{number}: expected 'module: modules below'")
        for name in below.split():
            if name not in layers:
                raise ValueError(f"layers.txt:{number}: {name} is not declared above {module.strip()}")
        layers[module.strip()] = set(below.split())
    return layers


def includes(text):
    """(line, bracket, path) of every #include."""
    for match in INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match.group(1), match.group(2)


def check_source(layers, relative, text, siblings=frozenset()):
    """Violations of one file under src/; relative is its path below src/, siblings its folder's files."""
    parts = relative.split("/")
    module = parts[0]
    if module not in layers:
        yield 1, f"module {module} is not in cmake/layers.txt"
        return
    is_test = relative.endswith(TEST_SUFFIXES)
    for line, bracket, path in includes(text):
        if bracket == "<":
            continue
        if path.startswith(TEST_PREFIX) or path.endswith("fixture.hpp"):
            if not is_test:
                yield line, f'"{path}" is for tests'
            if path.startswith(TEST_PREFIX):
                continue
        target = path.split("/")
        if len(target) == 1:
            # Generated headers (embedded files) have no folder; siblings are written with their module.
            if path in siblings:
                yield line, f'write "{path}" as "{"/".join(parts[:-1] + [path])}"'
        elif target[0] not in layers:
            yield line, f'"{path}" is of no module in cmake/layers.txt'
        elif target[0] != module and target[0] not in layers[module]:
            yield line, f'{module} may not include {target[0]}: "{path}"'
        elif module == target[0] == "services" and target[1] != parts[1]:
            yield line, f'services never include services: "{path}" from services/{parts[1]}'


def check_contract(text):
    """Violations of one header of include/redoubt."""
    for line, bracket, path in includes(text):
        if bracket == '"':
            yield line, f'a contract includes contracts as <redoubt/...>, not "{path}"'
        elif "/" in path and not path.startswith("redoubt/") and path not in CONTRACT_EXTRA:
            yield line, f"a contract may not include <{path}>"
        elif "/" not in path and path.endswith((".h", ".hpp")):
            yield line, f"a contract includes the C++ standard library only, not <{path}>"


def violations(root):
    layers = read_layers((root / "cmake/layers.txt").read_text())
    for path in sorted((root / "src").rglob("*")):
        if path.suffix in SUFFIXES:
            relative = path.relative_to(root / "src").as_posix()
            siblings = {sibling.name for sibling in path.parent.iterdir()}
            for line, text in check_source(layers, relative, path.read_text(), siblings):
                yield f"src/{relative}:{line}: {text}"
    for path in sorted((root / "include").rglob("*")):
        if path.suffix in SUFFIXES:
            for line, text in check_contract(path.read_text()):
                yield f"{path.relative_to(root).as_posix()}:{line}: {text}"


def main(arguments):
    root = pathlib.Path(arguments[1] if len(arguments) > 1 else ".").resolve()
    found = list(violations(root))
    print("\n".join(found) if found else "every include points down")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
