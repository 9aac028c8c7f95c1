#!/usr/bin/env python3
"""Holds every #include of the sources to docs/layers.txt, which explains its own format.

    layers.py [--root DIR]

Prints one line per violation, FILE:LINE: what is wrong, and ends with 1 when there is any.
"""

import argparse
import pathlib
import re
import sys

TOP_FOLDERS = ("core", "parallel", "optim", "data", "launch", "tests")
SUFFIXES = (".h", ".cpp", ".cu", ".cuh")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


class LayersError(Exception):
    """docs/layers.txt itself is wrong."""


class Layers:
    """The parsed docs/layers.txt."""

    def __init__(self, text):
        self.direct, self.tests, self.foreign, self.sources = {}, {}, {}, []
        section = None
        for number, line in enumerate(text.splitlines(), 1):
            line = line.split("#")[0].strip()
            if not line:
                continue
            if line.startswith("["):
                section = line.strip("[]")
            elif section == "sources":
                self.sources += line.split()
            elif section in ("modules", "tests", "foreign") and "=" in line:
                left, right = line.split("=")
                table = {"modules": self.direct, "tests": self.tests, "foreign": self.foreign}[section]
                table[left.strip()] = right.split()
            else:
                raise LayersError(f"docs/layers.txt:{number}: cannot read '{line}'")
        self.allowed = {module: self._closure(module, ()) for module in self.direct}
        for folder, modules in self.tests.items():
            self.allowed[folder] = set().union(*(self._closure(m, (folder,)) for m in modules))

    def _closure(self, module, path):
        if module in path:
            raise LayersError("docs/layers.txt: cycle " + " -> ".join(path + (module,)))
        if module not in self.direct:
            raise LayersError(f"docs/layers.txt: {path[-1]} names {module}, which is not listed")
        return {module}.union(*(self._closure(m, path + (module,)) for m in self.direct[module]))

    def module_of(self, path):
        """The longest listed folder or file that contains `path`; a test counts as what it mirrors."""
        mirrored = path.removeprefix("tests/")
        found = [m for m in self.direct if is_under(mirrored, m)]
        if mirrored != path:
            found += [m for m in self.tests if is_under(path, m)]
        if found:
            return max(found, key=lambda m: (len(m.removeprefix("tests/")), m in self.tests))
        raise LayersError(f"{path}: no module of docs/layers.txt contains this file")

    def may_include(self, path, target):
        """Whether file `path` may include project file `target`."""
        if target.startswith("tests/"):
            here, there = path.rsplit("/", 1)[0], target.rsplit("/", 1)[0]
            near = is_under(here, there) or is_under(there, here)
            return path.startswith("tests/") and (near or is_under(there, "tests/support"))
        return self.module_of(target) in self.allowed[self.module_of(path)]

    def foreign_rule(self, header):
        """The folders that alone may include `header`, or None where anyone may."""
        for pattern, folders in self.foreign.items():
            if matches(header, pattern):
                return folders
        return None

    def is_sources_only(self, header):
        return any(matches(header, pattern) for pattern in self.sources)


def is_under(path, folder):
    return path == folder or path.startswith(folder + "/")


def matches(header, pattern):
    if pattern.endswith("*"):
        return header.startswith(pattern[:-1])
    return header.startswith(pattern) if pattern.endswith("/") else header == pattern


def folder_of(path):
    return path.rsplit("/", 1)[0]


def source_files(root):
    for top in TOP_FOLDERS:
        for path in sorted((root / top).rglob("*")):
            if path.suffix in SUFFIXES:
                yield path


def check_include(layers, root, path, quote, target):
    """Yields what is wrong with file `path` including `target`."""
    if quote == '"':
        if "/" not in target or target.startswith("."):
            yield f'"{target}" is not relative to the root of the repository'
        elif not (root / target).is_file():
            yield f'"{target}" does not exist'
        elif not layers.may_include(path, target):
            yield f'"{target}" is not below this file\'s module'
        return
    folders = layers.foreign_rule(target)
    if folders is not None and not any(is_under(path, f) for f in folders):
        yield f"<{target}> may be included only from {', '.join(folders)}"
    if layers.is_sources_only(target) and path.endswith((".h", ".cuh")):
        yield f"<{target}> in a header; include it in one .cpp"


def check_edges(layers, seen):
    """Yields what is wrong with the table itself; `seen` holds the (from, to) paths of all includes
    among project files."""
    used = {(layers.module_of(a), layers.module_of(b)) for a, b in seen}
    for module, named in layers.direct.items():
        for other in named:
            if (module, other) not in used:
                yield f"docs/layers.txt: {module} names {other}, of which it includes nothing"
            above = [m for m in named if m != other and other in layers.allowed[m]]
            if above:
                yield f"docs/layers.txt: {module} names {other}, which {above[0]} brings already"
    folders = {(folder_of(a), folder_of(b)) for a, b in seen}
    for a, b in sorted(folders):
        if a < b and (b, a) in folders:
            yield f"{a} and {b} include each other"


def check(root):
    """All violations below `root`, as printable lines, and the number of includes seen."""
    layers = Layers((root / "docs/layers.txt").read_text())
    violations, count, seen = [], 0, set()
    for file in source_files(root):
        path = file.relative_to(root).as_posix()
        lines = file.read_text().splitlines()
        if file.suffix in (".h", ".cuh") and "#pragma once" not in lines:
            violations.append(f"{path}:1: header without #pragma once")
        for number, line in enumerate(lines, 1):
            include = INCLUDE.match(line)
            if not include:
                continue
            count += 1
            try:
                problems = list(check_include(layers, root, path, *include.groups()))
            except LayersError as error:
                problems = [str(error)]
            violations += [f"{path}:{number}: {problem}" for problem in problems]
            quote, target = include.groups()
            if quote == '"' and not problems and not path.startswith("tests/"):
                seen.add((path, target))
    if not violations:
        violations += check_edges(layers, seen)
    return violations, count


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).parents[2])
    try:
        violations, count = check(parser.parse_args().root)
    except LayersError as error:
        violations, count = [str(error)], 0
    for violation in violations:
        print(violation)
    print(f"lint.layers: {count} includes, {len(violations)} violations")
    return 1 if violations or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
