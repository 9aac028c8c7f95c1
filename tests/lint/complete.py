#!/usr/bin/env python3
"""Every .cpp of the sources is compiled: a test or a module that no target builds proves nothing.

    complete.py COMPILE_COMMANDS_JSON [--root DIR] [--without FOLDER...]

Folders of these names belong to parts that this build does not have.
"""

import argparse
import json
import pathlib
import re
import sys

import layers


def missing(root, commands, without):
    """The .cpp and .cu files below `root` without an entry in the compile commands."""
    compiled = {pathlib.Path(c["directory"], c["file"]).resolve() for c in commands}
    for unity in [f for f in compiled if f.parent.name == "Unity" and f.exists()]:
        compiled.update(pathlib.Path(f).resolve()
                        for f in re.findall(r'#include "([^"]+)"', unity.read_text()))
    sources = [f for f in layers.source_files(root) if f.suffix in (".cpp", ".cu")]
    sources = [f for f in sources if not without.intersection(f.relative_to(root).parts)]
    return [f.relative_to(root).as_posix() for f in sources if f.resolve() not in compiled]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commands", type=pathlib.Path)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).parents[2])
    parser.add_argument("--without", nargs="*", default=[])
    arguments = parser.parse_args()
    left_out = missing(arguments.root, json.loads(arguments.commands.read_text()),
                       set(arguments.without))
    for path in left_out:
        print(f"{path}: no target compiles this file; add it to a CMakeLists.txt or delete it")
    return 1 if left_out else 0


if __name__ == "__main__":
    sys.exit(main())
