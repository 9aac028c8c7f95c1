#!/usr/bin/env python3
"""Operations are made with their fields by name, so that no tensor is taken for another.

    fields.py [--root DIR]

op::Add{.a = x, .b = y, .y = y} and not op::Add{x, y, y}, which would compile.
"""

import argparse
import pathlib
import re
import sys

import layers
import names

BY_PLACE = re.compile(r"\bop::[A-Z]\w*(?:\s+\w+)?\s*\{\s*[^.}\s]")
EXAMPLES = {"ops(op::Add{x, y, y}, s);": 1, "const op::Matmul args{\n  a, b};": 1,
            "ops(op::Add{.a = x}, s); op::Fill{}; op::Matmul args{\n.a = x};": 0,
            "void f(const op::Add& args) { run(args); }": 0}


def places(text):
    """The lines of `text` where fields are given by their place."""
    text = names.NOISE.sub(names.blank, text)
    return [text.count("\n", 0, m.start()) + 1 for m in BY_PLACE.finditer(text)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).parents[2])
    root = parser.parse_args().root
    for example, count in EXAMPLES.items():
        assert len(places(example)) == count, example
    found = [f"{file.relative_to(root).as_posix()}:{line}: name the fields of this operation"
             for file in layers.source_files(root) for line in places(file.read_text())]
    for violation in found:
        print(violation)
    print(f"lint.fields: {len(found)} operations without names of their fields")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
