#!/usr/bin/env python3
"""No two files of one library define the same file-local name, so that they compile as one.

    unity.py LIBRARIES

LIBRARIES is a file with a line of sources for each library, separated by colons. File-local
names are types, functions of equal parameters, variables and constants of unnamed namespaces.
"""

import collections
import pathlib
import re
import sys

import names

ALIAS = re.compile(r"\bnamespace\s+\w+\s*=")


def local_definitions(text):
    """Yields (line, name) of what `text` defines in unnamed namespaces."""
    text = names.PREPROCESSOR.sub(names.blank, names.NOISE.sub(names.blank, text))
    scopes = []  # per open brace: the namespace's name, "" for an unnamed one, None for the rest
    begin = 0
    for brace in re.finditer(r"[{};]", text):
        head, at = text[begin:brace.start()].strip(), brace.start()
        begin = brace.end()
        if brace.group() == "}":
            if scopes:
                scopes.pop()
            continue
        if "" in scopes and None not in scopes:
            name = local_name(head, brace.group())
            if name:
                yield text.count("\n", 0, at) + 1, name
        if brace.group() == "{":
            namespace = names.NAMESPACE.search(head)
            scopes.append(namespace.group(1) if namespace else None)


def local_name(head, end):
    """What the text before a brace or semicolon defines; None for nothing, or a use of it."""
    if names.NAMESPACE.search(head) or ALIAS.search(head):
        return None
    if end == "{" and (found := names.TYPE.search(head)):
        return found.group(1)
    if found := names.VARIABLE.search(head):
        return found.group(1)
    if end == "{" and (found := names.FUNCTION.search(head)):
        return found.group(1) + " ".join(found.group(2).split())
    return None


def check(libraries):
    """Violations of these lists of files, as printable lines, and the number of names seen."""
    violations, count = [], 0
    for files in libraries:
        places = collections.defaultdict(dict)
        for file in files:
            for line, name in local_definitions(file.read_text()):
                places[name].setdefault(file, f"{file}:{line}")
        count += len(places)
        for name, by_file in places.items():
            first, *others = by_file.values()
            violations += [f"{other}: {name} is also local to {first}, of the same library; rename "
                           f"one, or share it in a header" for other in others]
    return violations, count


def main():
    lines = pathlib.Path(sys.argv[1]).read_text().splitlines()
    violations, count = check([[pathlib.Path(f) for f in line.split(":")] for line in lines if line])
    for violation in violations:
        print(violation)
    print(f"lint.unity: {count} local names, {len(violations)} defined twice")
    return 1 if violations or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
