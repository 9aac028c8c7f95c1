#!/usr/bin/env python3
"""Every relative link of the Markdown pages leads to a file of the repository."""

import pathlib
import re
import sys

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def pages(root):
    yield from root.glob("*.md")
    yield from (root / "docs").rglob("*.md")


def broken(root):
    for page in sorted(pages(root)):
        for number, line in enumerate(page.read_text().splitlines(), 1):
            for target in LINK.findall(line):
                if "://" not in target and not (page.parent / target).exists():
                    yield f"{page.relative_to(root)}:{number}: {target} does not exist"


def main():
    found = list(broken(pathlib.Path(__file__).parents[2]))
    print("\n".join(found) if found else "lint.links: all links lead somewhere")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
