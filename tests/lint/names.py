#!/usr/bin/env python3
"""No two files define a type, inline constant or inline function of the same name in the same namespace.

    names.py [--root DIR]

Two such names break the one-definition rule as soon as one program holds both: no compiler sees
it, the linker keeps the inline functions of either, and the program fails far from the cause.
Types inside other types, functions and unnamed namespaces, and specialisations of templates are
left out.
"""

import argparse
import collections
import pathlib
import re
import sys

import layers

NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|R"\((?:.*?)\)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'',
                   re.DOTALL)
PREPROCESSOR = re.compile(r"^[ \t]*#(?:\\\n|[^\n])*", re.MULTILINE)
NAMESPACE = re.compile(r"\bnamespace\s*([\w:]*)\s*$")
TYPE = re.compile(r"\b(?:class|struct|union|enum(?:\s+(?:class|struct))?)\s+"
                  r"(?:alignas\s*\([^()]*\)\s*|\[\[[^\]]*\]\]\s*)*(\w+)\s*(?:final\s*)?(?::[^:].*)?$",
                  re.DOTALL)


FUNCTION = re.compile(r"(?<![\w.>:])(\w+)\s*(\((?:[^()]|\([^()]*\))*\))[^()=]*$", re.DOTALL)
VARIABLE = re.compile(r"(\w+)\s*(?:\[[^\]]*\]\s*)*=", re.DOTALL)
INLINE = re.compile(r"^inline\b")


def blank(match):
    """Whitespace of as many lines."""
    return " " + "\n" * match.group().count("\n")


def definitions(text):
    """Yields (line, qualified name) of what `text` defines directly in namespaces."""
    text = PREPROCESSOR.sub(blank, NOISE.sub(blank, text))
    scopes = []  # per open brace: the namespace's name, "" for an unnamed one, None for the rest
    begin = 0  # of what stands before the next brace
    for brace in re.finditer(r"[{};]", text):
        head, at = text[begin:brace.start()].strip(), brace.start()
        begin = brace.end()
        if INLINE.search(head) and all(scopes) and not NAMESPACE.search(head):
            if name := inline_name(head, brace.group()):
                yield text.count("\n", 0, at) + 1, "::".join(scopes + [name])
        if brace.group() == "}":
            if scopes:
                scopes.pop()
        elif brace.group() == "{":
            namespace, found = NAMESPACE.search(head), TYPE.search(head)
            if found and all(scopes):
                yield text.count("\n", 0, at) + 1, "::".join(scopes + [found.group(1)])
            scopes.append(namespace.group(1) if namespace else None)


def inline_name(head, end):
    """What an inline definition, up to its brace or semicolon, defines; None for a declaration."""
    if found := VARIABLE.search(head):
        return found.group(1)
    if end == "{" and (found := FUNCTION.search(head)):
        return found.group(1) + " ".join(found.group(2).split())
    return None


def check(root):
    """All violations below `root`, as printable lines, and the number of names seen."""
    places = collections.defaultdict(dict)
    for file in layers.source_files(root):
        path = file.relative_to(root).as_posix()
        for line, name in definitions(file.read_text()):
            places[name].setdefault(path, f"{path}:{line}")  # of one file, #if takes one
    violations = [f"{second}: {name} is also defined at {first}; rename one or move it into a "
                  f"namespace of its own"
                  for name, files in places.items()
                  for first, *others in [files.values()] for second in others]
    return violations, len(places)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).parents[2])
    violations, count = check(parser.parse_args().root)
    for violation in violations:
        print(violation)
    print(f"lint.names: {count} names, {len(violations)} defined twice")
    return 1 if violations or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
