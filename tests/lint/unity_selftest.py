#!/usr/bin/env python3
"""The check of file-local names finds what it must find and nothing else."""

import pathlib
import tempfile
import unittest

import unity


def violations(first, second):
    with tempfile.TemporaryDirectory() as folder:
        files = [pathlib.Path(folder, name) for name in ("a.cpp", "b.cpp")]
        for file, text in zip(files, (first, second)):
            file.write_text(f"namespace weft {{\nnamespace {{\n{text}\n}}\n}}\n")
        return unity.check([files])[0]


class UnityTest(unittest.TestCase):
    def test_finds_types_functions_and_constants(self):
        for first, second in (("struct M { int a; };", "class M final : public N {};"),
                              ("int f(int a) { return a; }", "bool f(int a) { return a > 0; }"),
                              ("constexpr int kM = 1;", "constexpr char kM[] = \"a\";"),
                              ("using M = int;", "using M = char;")):
            self.assertEqual(len(violations(first, second)), 1, (first, second))

    def test_lets_overloads_members_and_calls_be(self):
        for first, second in (("int f(int a) { return a; }", "int f(char a) { return a; }"),
                              ("struct M { int g() { return 1; } };", "int g() { return 2; }"),
                              ("void f() { const int n = 1; }", "void g() { const int n = h(); }"),
                              ("namespace fs = std::filesystem;", "namespace fs = std::filesystem;")):
            self.assertEqual(violations(first, second), [], (first, second))

    def test_names_of_different_libraries_may_be_equal(self):
        with tempfile.TemporaryDirectory() as folder:
            files = [pathlib.Path(folder, name) for name in ("a.cpp", "b.cpp")]
            for file in files:
                file.write_text("namespace { int n = 1; }")
            self.assertEqual(unity.check([files[:1], files[1:]])[0], [])


if __name__ == "__main__":
    unittest.main()
