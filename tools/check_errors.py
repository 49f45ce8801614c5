#!/usr/bin/env python3
"""docs/errors.md names every error code of the source, with its status, and no other.

    tools/check_errors.py [root]

The source is read as text: a code is the string after an Errc in a constructor or table row, or the
first argument of the functions that make errors. Prints one line per violation; exit status 1 if
there is any.
"""

import pathlib
import re
import sys

MAKERS = {"unauthenticated": "unauthenticated", "unavailable": "unavailable",
          "not_found": "not_found", "deny": "permission_denied", "refusal": "conflict"}
MADE = re.compile(r'\bErrc::(\w+)\s*,\s*"([a-z_]+)"'
                  r'|\b(' + "|".join(MAKERS) + r')\(\s*"([a-z_]+)"')
STATUS = re.compile(r'\{Errc::(\w+), "\w+", (\d+),')
ROW = re.compile(r"^\| `([a-z_]+)` \|([^|]*)\|", re.MULTILINE)
# Answered with a status of their own.
OWN_STATUS = {"method_not_allowed": "405", "unsupported_media_type": "415", "http_refused": "400",
              "idempotency_key_reused": "422"}
FIELDS_HEADING = "## Codes of fields"


def codes_of_text(text):
    """(line, kind, code) of every error that the text makes."""
    for match in MADE.finditer(text):
        kind, code, maker, argument = match.groups()
        if maker:
            kind, code = MAKERS[maker], argument + ("_not_found" if maker == "not_found" else "")
        yield text.count("\n", 0, match.start()) + 1, kind, code


def documented(page):
    """{code: its second cell} of the tables before the one on fields."""
    return {code: cell.strip() for code, cell in ROW.findall(page.split(FIELDS_HEADING)[0])}


def compare(sources, page, table):
    """sources: {path: text}; table: the text of the status table. Yields complaints."""
    statuses = dict(STATUS.findall(table))
    rows = documented(page)
    found = set()
    for path, text in sources.items():
        for line, kind, code in codes_of_text(text):
            found.add(code)
            if code not in rows:
                yield f"{path}:{line}: {code} is not in docs/errors.md"
                continue
            cell = rows[code]
            expected = OWN_STATUS.get(code, statuses.get(kind, ""))
            if re.fullmatch(r"[\d, ]+", cell) and expected not in cell.split(", "):
                yield f"{path}:{line}: {code} has status {expected}; docs/errors.md says {cell}"
    for code in sorted(set(rows) - found):
        yield f"docs/errors.md: {code} is made nowhere"


def violations(root):
    sources = {path.relative_to(root).as_posix(): path.read_text()
               for path in sorted((root / "src").rglob("*.?pp"))
               if not path.name.endswith(("_test.cpp", "fixture.hpp"))}
    return compare(sources, (root / "docs/errors.md").read_text(), sources["src/base/error.cpp"])


def main(arguments):
    root = pathlib.Path(arguments[1] if len(arguments) > 1 else ".").resolve()
    found = list(violations(root))
    print("\n".join(found) if found else "every error code is documented")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
