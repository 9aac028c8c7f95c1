#!/usr/bin/env python3
"""The check of type names finds what it must find and nothing else."""

import pathlib
import tempfile
import unittest

import names


def violations(files):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return names.check(root)[0]


def in_two_headers(first, second):
    return violations({"core/a.h": first, "data/b.h": second})


class NamesTest(unittest.TestCase):
    def assert_clash(self, name, first, second):
        found = in_two_headers(first, second)
        self.assertEqual(len(found), 1, found)
        self.assertIn(f"{name} is also defined at core/a.h", found[0])

    def assert_fine(self, first, second):
        self.assertEqual(in_two_headers(first, second), [])

    def test_finds_every_kind_of_definition(self):
        first = "namespace weft {\nstruct M { int a; };\n}"
        for second in ("class M final : public Base<int> {};", "enum class M : int { a };",
                       "template <typename T>\nstruct M {};", "class [[nodiscard]] M\n{};",
                       "struct alignas(64) M {};", "union M {};", "class N {}; struct M {};"):
            self.assert_clash("weft::M", first, f"namespace weft {{ {second} }}")

    def test_finds_it_in_a_source_and_in_nested_namespaces(self):
        files = {"core/a.h": "namespace weft::h5 { struct M {}; }",
                 "data/b.cpp": "namespace weft {\nnamespace h5 {\n\nstruct M {};\n}\n}"}
        found = violations(files)
        self.assertEqual(len(found), 1, found)
        self.assertTrue(found[0].startswith("data/b.cpp:4: weft::h5::M is also"), found)

    def test_finds_inline_constants_and_functions(self):
        self.assert_clash("weft::kM", "namespace weft { inline constexpr char kM[] = \"a\"; }",
                          "namespace weft { inline constexpr const char* kM = \"b\"; }")
        self.assert_clash("weft::f(int a)", "namespace weft { inline int f(int a) { return a; } }",
                          "namespace weft { inline bool f(int a) { return a > 0; } }")
        self.assert_fine("namespace weft { inline int f(int a) { return a; } constexpr int kM = 1; }",
                         "namespace weft { inline int f(char a) { return a; } constexpr int kM = 2; }")

    def test_lets_declarations_and_uses_be(self):
        m = "namespace weft { struct M {}; }"
        self.assert_fine(m, "namespace weft { struct M; struct M f(struct M m) { return m; } }")
        self.assert_fine(m, "namespace weft { // struct M {}\n/* struct M { */ }")
        self.assert_fine(m, 'namespace weft { const char* s = "struct M {}"; }')
        self.assert_fine(m, "namespace weft { template <> struct M<int> {}; }")

    def test_lets_separate_scopes_be(self):
        m = "namespace weft { struct M {}; }"
        self.assert_fine(m, "namespace weft { namespace { struct M {}; } }")
        self.assert_fine(m, "namespace weft { class Outer { struct M {}; }; }")
        self.assert_fine(m, "namespace weft { struct Outer::M {}; }")
        self.assert_fine(m, "namespace weft { inline void f() { struct M {}; } }")
        self.assert_fine(m, "namespace weft::data { struct M {}; }")


if __name__ == "__main__":
    unittest.main()
