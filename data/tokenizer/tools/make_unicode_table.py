#!/usr/bin/env python3
"""Writes data/tokenizer/unicode_table.cpp from the Unicode Character Database.

    data/tokenizer/tools/make_unicode_table.py [/usr/share/unicode] > data/tokenizer/unicode_table.cpp

The input is what the Debian package unicode-data installs. The version is pinned below: another
version moves characters between classes and thereby changes token ids, so raising it is a change
of format (the digest of a BPE tokenizer covers the version).
"""

import re
import sys

VERSION = "15.0.0"
BLOCK = 256  # code points of a block; 2 bits each, 8 words of 64 bits
LIMIT = 0x40000  # every code point from here on is of class other
OTHER, LETTER, NUMBER, SPACE = range(4)


def ranges(path):
    """Yields (first, last, fields) of a UCD file of 'XXXX..YYYY ; field' lines."""
    for line in open(path, encoding="utf-8"):
        fields = [f.strip() for f in line.split("#")[0].split(";")]
        if len(fields) > 1:
            first, _, last = fields[0].partition("..")
            yield int(first, 16), int(last or first, 16), fields[1:]


def classes(ucd):
    table = [OTHER] * 0x110000
    start = None
    for first, _, fields in ranges(f"{ucd}/UnicodeData.txt"):
        name, category = fields[0], fields[1]
        if name.endswith(", First>"):
            start = first
            continue
        begin = start if name.endswith(", Last>") else first
        kind = {"L": LETTER, "N": NUMBER}.get(category[0], OTHER)
        for cp in range(begin, first + 1):
            table[cp] = kind
    for first, last, fields in ranges(f"{ucd}/PropList.txt"):
        if fields[0] == "White_Space":
            for cp in range(first, last + 1):
                assert table[cp] == OTHER
                table[cp] = SPACE
    assert all(kind == OTHER for kind in table[LIMIT:])
    return table


def check(ucd):
    header = open(f"{ucd}/PropList.txt", encoding="utf-8").readline()
    found = re.search(r"PropList-([\d.]+)\.txt", header).group(1)
    if found != VERSION:
        sys.exit(f"{ucd} holds Unicode {found}, the table is pinned to {VERSION}")
    # The splitter spells out the case folding of the contractions; it knows one non-ASCII letter.
    folds = {
        (first, fields[1])
        for first, _, fields in ranges(f"{ucd}/CaseFolding.txt")
        if fields[0] in "CS" and first > 127 and chr(int(fields[1], 16)) in "sdmtlver"
    }
    assert folds == {(0x017F, "0073")}, folds


def main():
    ucd = sys.argv[1] if len(sys.argv) > 1 else "/usr/share/unicode"
    check(ucd)
    table = classes(ucd)
    blocks, index = {}, []
    for begin in range(0, LIMIT, BLOCK):
        words = tuple(
            sum(table[begin + 32 * w + i] << (2 * i) for i in range(32)) for w in range(BLOCK // 32)
        )
        index.append(blocks.setdefault(words, len(blocks)))
    assert len(blocks) <= 256

    print("// Made by tools/make_unicode_table.py; do not edit.")
    print('#include "data/tokenizer/unicode.h"\n')
    print("// clang-format off")
    print("namespace weft::unicode_table {\n")
    print(f'const char* const kVersion = "{VERSION}";\n')
    print(f"const uint8_t kIndex[{len(index)}] = {{")
    for i in range(0, len(index), 24):
        print("  " + ", ".join(f"{b}" for b in index[i : i + 24]) + ",")
    print("};\n")
    print(f"const uint64_t kBlocks[][{BLOCK // 32}] = {{")
    for words in blocks:
        print("  {" + ", ".join(f"0x{w:x}" for w in words) + "},")
    print("};\n")
    print("}  // namespace weft::unicode_table")


main()
