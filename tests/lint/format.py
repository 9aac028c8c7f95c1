#!/usr/bin/env python3
"""The sources are formatted as .clang-format says, by the pinned version of clang-format.

    format.py [--fix]

Ends with 77, which the test reads as skipped, where that version is not installed.
"""

import pathlib
import re
import shutil
import subprocess
import sys

import layers

PINNED = 14
SKIPPED = 77


def find_tool():
    """The pinned clang-format, or None: versions differ in how they break lines."""
    for name in (f"clang-format-{PINNED}", "clang-format"):
        tool = shutil.which(name)
        if tool is None:
            continue
        version = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True)
        if re.search(rf"version {PINNED}\.", version.stdout):
            return tool
    return None


def main():
    tool = find_tool()
    if tool is None:
        print(f"skipped: clang-format {PINNED} is not installed (launch/install --dev)")
        return SKIPPED
    root = pathlib.Path(__file__).parents[2]
    mode = ["-i"] if "--fix" in sys.argv[1:] else ["--dry-run", "-Werror"]
    files = [str(f) for f in layers.source_files(root)]
    return subprocess.run([tool, *mode, *files], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
