#!/usr/bin/env python3
"""The table of modules in docs/architecture.md has the modules and edges of docs/layers.txt.

    architecture.py [--root DIR] [--write]

Each module has one row, in the order of layers.txt: its name and what it stands on are from there, what
it is and where to begin reading are the page's own. --write puts the first two in place, with an empty
description where a module is new; otherwise prints what differs and ends with 1.
"""

import argparse
import pathlib
import sys

import layers

HEAD = ["| module | stands on | what it is | begin reading at |", "|---|---|---|---|"]


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split(" | ")]


def split_page(text):
    """What is before the table, its rows, and what comes after."""
    lines = text.splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith("| module |"))
    end = next(i for i in range(begin, len(lines) + 1) if i == len(lines) or not lines[i].startswith("|"))
    return lines[:begin], lines[begin + 2:end], lines[end:]


def printed(root):
    """The page as it should be."""
    rules = layers.Layers((root / "docs/layers.txt").read_text())
    before, rows, after = split_page((root / "docs/architecture.md").read_text())
    told = {cells(row)[0]: cells(row)[-2:] for row in rows}
    table = list(HEAD)
    for module, below in rules.direct.items():
        what, begin = told.get(module, ["", ""])
        table.append(f"| {module} | {', '.join(below) or '-'} | {what} | {begin} |")
    return "\n".join(before + table + after) + "\n"


def differences(root):
    expected = printed(root).splitlines()
    actual = (root / "docs/architecture.md").read_text().splitlines()
    for line in expected:
        if line.startswith("| ") and cells(line)[-2:] == ["", ""]:
            yield f"docs/architecture.md: {cells(line)[0]} has no description"
        elif line not in actual:
            yield f"docs/architecture.md: by layers.txt there is the row {line[:90]}"
    for line in actual:
        if line not in expected:
            yield f"docs/architecture.md: not by layers.txt: {line[:90]}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).parents[2])
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    if args.write:
        (args.root / "docs/architecture.md").write_text(printed(args.root))
        return 0
    found = list(differences(args.root))
    print("\n".join(found) if found else "lint.architecture: the table is that of layers.txt")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
