#!/usr/bin/env python3
"""The layering check finds what it must find: each case plants one violation in a small tree."""

import pathlib
import tempfile
import unittest

import layers

RULES = """
[modules]
core/base = # the bottom
core/ops = core/base
data = core/base
launch = data core/ops
[tests]
tests/launch = launch
[foreign]
mpi.h = launch/mpi.cpp
H5* = launch/h5
[sources]
nlohmann/
"""

TREE = {
    "docs/layers.txt": RULES,
    "core/base/error.h": "#pragma once\n#include <string>\n",
    "core/ops/ops.h": '#pragma once\n#include "core/base/error.h"\n',
    "data/data.cpp": '#include "core/base/error.h"\n#include <nlohmann/json.hpp>\n',
    "launch/mpi.cpp": '#include <mpi.h>\n#include "core/ops/ops.h"\n#include "data/data.h"\n',
    "data/data.h": "#pragma once\n",
    "launch/run.h": "#pragma once\n",
    "tests/core/ops/ops_test.cpp": '#include "core/ops/ops.h"\n#include "core/base/error.h"\n',
    "tests/launch/helper.h": "#pragma once\n",
    "tests/launch/run_test.cpp": '#include "launch/run.h"\n#include "tests/launch/helper.h"\n',
    "tests/launch/all_test.cpp": '#include "tests/launch/mpi/case.h"\n',
    "tests/launch/mpi/case.h": "#pragma once\n",
    "tests/launch/mpi/run_test.cpp": '#include "tests/launch/helper.h"\n',
}


def violations(changes):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in {**TREE, **changes}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return layers.check(root)[0]


class LayersTest(unittest.TestCase):
    def assert_finds(self, expected, changes):
        found = violations(changes)
        self.assertEqual(len(found), 1, found)
        self.assertIn(expected, found[0])

    def test_accepts_the_clean_tree(self):
        self.assertEqual(violations({}), [])

    def test_finds_an_include_upward(self):
        self.assert_finds("core/base/up.cpp:2: \"core/ops/ops.h\" is not below",
                          {"core/base/up.cpp": '\n#include "core/ops/ops.h"\n'})

    def test_finds_an_include_of_a_sibling(self):
        self.assert_finds("is not below", {"data/ops.cpp": '#  include "core/ops/ops.h"\n'})

    def test_finds_a_test_that_reaches_above_its_module(self):
        self.assert_finds("is not below", {"tests/core/ops/a_test.cpp": '#include "launch/run.h"\n'})

    def test_finds_a_test_that_includes_a_helper_of_another_module(self):
        self.assert_finds("is not below",
                          {"tests/core/ops/a_test.cpp": '#include "tests/launch/helper.h"\n'})

    def test_finds_a_product_file_that_includes_a_test(self):
        self.assert_finds("is not below", {"launch/a.cpp": '#include "tests/launch/helper.h"\n'})

    def test_finds_a_foreign_header_outside_its_place(self):
        self.assert_finds("<mpi.h> may be included only from launch/mpi.cpp",
                          {"launch/other.cpp": "#include <mpi.h>\n"})
        self.assert_finds("<H5Cpp.h> may", {"core/ops/a.cpp": "#include <H5Cpp.h>\n"})

    def test_finds_a_heavy_header_in_a_header(self):
        self.assert_finds("in a header", {"data/a.h": "#pragma once\n#include <nlohmann/json.hpp>\n"})

    def test_finds_a_path_that_is_not_root_relative_or_not_there(self):
        self.assert_finds("not relative", {"core/ops/a.cpp": '#include "ops.h"\n'})
        self.assert_finds("not relative", {"core/ops/a.cpp": '#include "../base/error.h"\n'})
        self.assert_finds("does not exist", {"core/ops/a.cpp": '#include "core/base/gone.h"\n'})

    def test_finds_a_header_that_may_be_read_twice(self):
        self.assert_finds("#pragma once", {"core/ops/a.h": "\n"})

    def test_finds_a_file_of_no_module(self):
        self.assert_finds("no module", {"core/new/a.cpp": '#include "core/base/error.h"\n'})

    def test_finds_an_edge_that_is_not_there(self):
        self.assert_finds("launch names data, of which it includes nothing",
                          {"launch/mpi.cpp": '#include "core/ops/ops.h"\n'})
        self.assert_finds("launch names core/base, which data brings already",
                          {"docs/layers.txt": RULES.replace("launch = data", "launch = core/base data"),
                           "launch/base.cpp": '#include "core/base/error.h"\n'})

    def test_finds_two_folders_that_include_each_other(self):
        self.assert_finds("data and data/text include each other",
                          {"data/text/a.cpp": '#include "data/b.h"\n', "data/text/a.h": "#pragma once\n",
                           "data/b.h": "#pragma once\n", "data/b.cpp": '#include "data/text/a.h"\n'})

    def test_lets_a_line_of_tests_replace_what_they_mirror(self):
        test = {"tests/core/ops/a_test.cpp": '#include "data/b.h"\n', "data/b.h": "#pragma once\n"}
        self.assert_finds("is not below", test)
        rules = RULES.replace("[foreign]", "tests/core/ops = data\n[foreign]")
        self.assertEqual(violations({**test, "docs/layers.txt": rules,
                                     "tests/core/ops/ops_test.cpp": '#include "core/base/error.h"\n'}), [])

    def test_refuses_a_cycle_and_an_unknown_module(self):
        with self.assertRaisesRegex(layers.LayersError, "cycle core/base -> launch -> data"):
            violations({"docs/layers.txt": RULES.replace("= # the bottom", "= launch")})
        with self.assertRaisesRegex(layers.LayersError, "data names core/bse"):
            violations({"docs/layers.txt": RULES.replace("data = core/base", "data = core/bse")})


if __name__ == "__main__":
    unittest.main()
