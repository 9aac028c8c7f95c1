#!/usr/bin/env python3
"""The program as its callers see it: output, messages and exit codes.

    program_test.py PATH_OF_WEFT
"""

import json
import os
import subprocess
import sys
import unittest

WEFT = sys.argv.pop() if len(sys.argv) > 1 else "weft"


def run(*arguments, **environment):
    return subprocess.run([WEFT, *arguments], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, env={**os.environ, **environment})


class ProgramTest(unittest.TestCase):
    def assert_refused(self, result, message):
        self.assertEqual(result.returncode, 2)
        self.assertEqual(result.stdout, "")
        self.assertIn(message, result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)

    def test_says_its_version_and_its_commands(self):
        self.assertRegex(run("--version").stdout, 
                         r"^weft \d+\.\d+\.\d+ \(([0-9a-f]{12}(-dirty)?|commit unknown), [^()]+\)\n$")
        result = run("--help")
        self.assertEqual(result.returncode, 0)
        self.assertIn("doctor", result.stdout)

    def test_refuses_wrong_command_lines_in_one_line(self):
        self.assert_refused(run(), "weft: usage error:")
        self.assert_refused(run("doctr"), "did you mean 'doctor'?")
        self.assert_refused(run("nothing-like-it"), "there is no command 'nothing-like-it'")
        self.assert_refused(run("doctor", "--jsn"), "--jsn")
        self.assert_refused(run("--no-such-option"), "--no-such-option")

    def test_output_that_cannot_be_written_is_an_error(self):
        commands = (["config", "docs"], ["--version"], ["--help"], ["config", "--help"], ["doctor"])
        for command in commands:
            with self.subTest(command), open("/dev/full", "w") as full:
                result = subprocess.run([WEFT, *command], stdout=full, stderr=subprocess.PIPE,
                                        text=True, check=False)
                self.assertEqual(result.returncode, 4, result.stderr)
                self.assertIn("cannot write to standard output: ", result.stderr)
            closed = subprocess.run(["sh", "-c", 'exec "$0" "$@" >&-', WEFT, *command],
                                    stderr=subprocess.PIPE, text=True, check=False)
            self.assertEqual(closed.returncode, 4, closed.stderr)
            self.assertIn("cannot write to standard output: ", closed.stderr)
        wrong = subprocess.run(["sh", "-c", 'exec "$0" doctr >&-', WEFT], stderr=subprocess.PIPE,
                               check=False)
        self.assertEqual(wrong.returncode, 2)

    def test_names_the_rank(self):
        result = run("doctr", OMPI_COMM_WORLD_RANK="1", OMPI_COMM_WORLD_SIZE="3")
        self.assertTrue(result.stderr.startswith("[rank 1/3] weft: usage error:"), result.stderr)

    def test_doctor_answers_for_people_and_scripts(self):
        text = run("doctor")
        self.assertEqual(text.returncode, 0, text.stdout)
        for word in ("MPI", "HDF5", "oneDNN", "usable cores", "CUDA", "memory"):
            self.assertIn(word, text.stdout)
        result = run("doctor", "--json")
        document = json.loads(result.stdout)
        self.assertTrue(document["able_to_train"])
        self.assertGreaterEqual(document["machine"]["usable_cores"], 1)

    def test_needs_no_library_of_nvidia_to_start(self):
        needed = subprocess.run(["readelf", "-d", WEFT], capture_output=True, text=True,
                                check=True).stdout
        self.assertIn("libdnnl", needed)  # of those that it must have
        for library in ("libcuda", "libcublas", "libcudnn", "libnccl", "libnv"):
            self.assertNotIn(library, needed)

    def test_doctor_says_what_it_has_of_cuda(self):
        checks = json.loads(run("doctor", "--json").stdout)["checks"]
        cuda = next(c["value"] for c in checks if c["name"] == "CUDA")
        gpus = [c["value"] for c in checks if c["name"] == "GPU"]
        if cuda == "none: built without CUDA":
            self.assertEqual(gpus, [])
        else:
            self.assertRegex(cuda, r"^runtime \d+\.\d+, driver (none|for \d+\.\d+)$")
            self.assertRegex(gpus[0], r"^(no CUDA device: .+|GPU 0: .+)$")

    def test_doctor_names_the_package_of_a_missing_tool(self):
        result = run("doctor", PATH="/nonexistent")
        self.assertEqual(result.returncode, 3)
        self.assertIn("apt-get install openmpi-bin", result.stdout)

    def test_doctor_sees_a_narrow_affinity_mask(self):
        cores = os.sched_getaffinity(0)
        if len(cores) < 2:
            self.skipTest("this machine gives one core to the test")
        os.sched_setaffinity(0, {min(cores)})
        try:
            document = json.loads(run("doctor", "--json").stdout)
        finally:
            os.sched_setaffinity(0, cores)
        check = next(c for c in document["checks"] if c["name"] == "usable cores")
        self.assertEqual((check["value"], check["status"]), ("1", "warning"))


if __name__ == "__main__":
    unittest.main()
