#!/usr/bin/env python3
"""weft verify as its callers see it: on threads, on the processes of a job, and broken on purpose.

    verify_program_test.py PATH_OF_WEFT [MPIRUN ARGUMENTS...]
"""

import os
import subprocess
import sys
import unittest

from train_program import WEFT, on_processes

MODEL = os.path.join(os.path.dirname(__file__), "../../configs/models/gpt2-124m.yaml")


def verify(*arguments, ranks=0):
    line = ["verify", MODEL, *arguments]
    line = on_processes(ranks, *line) if ranks else [WEFT, *line]
    return subprocess.run(line, capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL)


class VerifyProgramTest(unittest.TestCase):
    def assert_all_ok(self, result, layouts):
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertEqual(result.stdout.count(" ok "), layouts, result.stdout)
        self.assertIn(f"{layouts} layouts ok, 0 failed", result.stdout)

    def assert_refused(self, result, message):
        self.assertEqual(result.returncode, 2, result.stdout)
        self.assertIn(message, result.stderr)

    def test_holds_threads_to_one_rank(self):
        self.assert_all_ok(verify("--ranks", "2", "--sample", "12", "--steps", "1"), 12)

    def test_holds_four_processes_to_one_rank(self):
        self.assert_all_ok(verify("--sample", "8", "--steps", "2", ranks=4), 8)

    def test_holds_eight_processes_to_one_rank(self):
        self.assert_all_ok(verify("--sample", "6", "--steps", "1", ranks=8), 6)

    def test_notices_a_fault_on_processes(self):
        for kind in ("drop-collective", "skip-scale", "wrong-shard"):
            result = verify("--sample", "2", "--steps", "1", "--inject", f"{kind}:1", ranks=2)
            self.assertNotEqual(result.returncode, 0)
            lines = [l for l in result.stdout.splitlines() if " call 1 of " in l]
            self.assertGreater(len(lines), 0, result.stdout)
            for line in lines:
                self.assertIn("FAIL", line)

    def test_counts_layouts_that_have_no_such_collective(self):
        result = verify("--ranks", "1", "--sample", "2", "--inject", "wrong-shard:0")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("0 layouts ok, 0 failed, 2 have no such collective", result.stdout)

    def test_refuses_what_cannot_be(self):
        self.assert_refused(verify("--inject", "drop-collective"), "is none of drop-collective:K")
        self.assert_refused(verify("--inject", "drop-collective:"), "is none of drop-collective:K")
        self.assert_refused(verify("--inject", "cut-cable:1"), "skip-scale:K, wrong-shard:K")
        self.assert_refused(verify("--transport", "mpi"), "start it with mpirun -np N")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
