"""Reads docs/guarantees.md, and finds the tests it names in the tree.

A test is named `Suite.Name` as GoogleTest does, or `module_e2e.Class.test_name` as unittest does. What
else stands in the cell of tests as `code` is a program of the tree or a test of ctest by its name.
"""

import pathlib
import re

ROW = re.compile(r"^\| ([A-Z]\d+) \|(.*)\|$", re.MULTILINE)
NAME = re.compile(r"`(\w+_e2e\.\w+\.test_\w+|[A-Z]\w*\.[A-Z]\w*)`")
UNIT = re.compile(r"\bTEST(?:_F|_P)?\(\s*(\w+)\s*,\s*(\w+)\s*\)")


CODE = re.compile(r"`([^`]+)`")


def cells(page):
    """[(id, text of the cell of tests)] in the order of the page."""
    return [(match.group(1), match.group(2).rsplit("|", 1)[-1]) for match in ROW.finditer(page)]


def rows(page):
    """[(id, [names of tests])]."""
    return [(number, NAME.findall(cell)) for number, cell in cells(page)]


def programs(page):
    """[(id, first word)] of what is in the cells and is no test's name."""
    return [(number, text.split()[0]) for number, cell in cells(page)
            for text in CODE.findall(NAME.sub("", cell))]


def known_programs(root):
    """Scripts by path, and the tests of ctest by name."""
    found = {f"scripts/{path.name}" for path in (root / "scripts").iterdir() if path.is_file()}
    for path in sorted(root.glob("*/CMakeLists.txt")):
        found.update(re.findall(r"add_test\(NAME (\w+)", path.read_text()))
    return found


def unit_tests(root):
    """{Suite.Name: path} of the GoogleTests."""
    found = {}
    for tree in ("src", "tests"):
        for path in sorted((root / tree).rglob("*_test.cpp")):
            for suite, name in UNIT.findall(path.read_text()):
                found[f"{suite}.{name}"] = path
    return found


def e2e_tests(root):
    """{module.Class.test_name: path} of the end-to-end tests."""
    found = {}
    for path in sorted((root / "tests/e2e").glob("*_e2e.py")):
        owner = None
        for line in path.read_text().splitlines():
            if match := re.match(r"class (\w+)", line):
                owner = match.group(1)
            elif owner and (match := re.match(r"    def (test_\w+)\(", line)):
                found[f"{path.stem}.{owner}.{match.group(1)}"] = path
    return found


def all_tests(root):
    return {**unit_tests(root), **e2e_tests(root)}


def page_of(root):
    return (pathlib.Path(root) / "docs/guarantees.md").read_text()
