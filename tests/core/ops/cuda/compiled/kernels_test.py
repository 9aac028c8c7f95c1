#!/usr/bin/env python3
"""What the compiler made of the kernels, held to what they promise: no registers spilled, no arrays
in local memory, little enough static shared memory, 16-byte accesses and tensor cores where claimed.

    kernels_test.py BUILD_FOLDER SOURCE...

Each source is compiled to PTX with the flags that it was built with and assembled with ptxas -v. What
comes out is kept in BUILD_FOLDER/tests/kernels until the object of the source changes.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest

BUILD = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path()
SOURCES = [pathlib.Path(a) for a in sys.argv[2:]]

# Kernels that may keep arrays in local memory, each with the reason: (file, pattern, reason).
LOCAL_MEMORY = []

STATIC_SHARED_BYTES = 48 * 1024  # what every GPU gives a block without opting in

READ = r"ld\.global(\.nc)?(\.L\d::\w+)*(\.v4\.[fub]32|\.v2\.[fub]64)|cp\.async\.cg\.shared\.global"
WRITE = r"st\.global(\.v4\.[fub]32|\.v2\.[fub]64)"
TENSOR_CORES = r"mma\.sync"

# What kernels promise: (file, pattern of their names, instructions that each of them has).
PROMISES = [
    ("norm.cu", r"\bforward_kernel<", (READ, WRITE)),
    ("norm.cu", r"\bbackward_kernel<", (READ, WRITE)),
    ("column_sums.cu", r"\bcolumn_sums_kernel<.*, [48]>", (READ,)),
    ("adamw.cu", r"\badamw_kernel<", (READ, WRITE)),
    ("gradient_norm.cu", r"\bsquares_kernel<(float|double)>", (READ,)),
    ("cross_entropy.cu", r"\bstats_kernel<", (READ,)),
    ("cross_entropy.cu", r"\bgradient_kernel<", (READ, WRITE)),
    ("elementwise.cu", r"::Add<", (READ, WRITE)),
    ("elementwise.cu", r"::Fill<", (WRITE,)),
    ("copy.cu", r"::Convert<float, ", (READ,)),
    ("copy.cu", r"::Convert<.*, float>", (WRITE,)),
    ("embedding.cu", r"::Lookup<", (READ, WRITE)),
    ("embedding.cu", r"\btable_gradient_kernel<[48],", (READ,)),
    ("flash_attention.cu", r"\b(forward|query_gradient|key_gradient)_kernel<", (READ, TENSOR_CORES)),
    ("simple_attention.cu", r"\bstore_kernel<", (READ, WRITE)),
]

# Kernels that the build must not accept, and one that it must.
ARRAY_IN_LOCAL_MEMORY = """
__global__ void kernel(float* x, const unsigned* bins, int n) {
  float sums[32] = {};
  for (int i = 0; i < n; ++i) sums[bins[i] % 32] += x[i];
  for (int i = 0; i < 32; ++i) x[i] = sums[i];
}
"""
SPILLED_REGISTERS = """
__global__ __launch_bounds__(1024) void kernel(float* x) {
  float values[96];
#pragma unroll
  for (int i = 0; i < 96; ++i) values[i] = x[i * 1024 + threadIdx.x];
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 96; ++i) x[i * 1024 + threadIdx.x] = values[95 - i];
}
"""
REGISTERS_ONLY = """
__global__ void kernel(float* x, int at) {
  float values[32];
#pragma unroll
  for (int i = 0; i < 32; ++i) values[i] = x[i];
#pragma unroll
  for (int i = 0; i < 32; ++i) x[i] = values[31 - i] + at;
}
"""


def commands():
    """How the build compiles each source: {path: (folder, arguments without input and output)}."""
    found = {}
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        if not entry["file"].endswith(".cu"):
            continue
        arguments = shlex.split(entry["command"])
        if pathlib.Path(arguments[0]).name == "ccache":
            del arguments[0]
        flags, output, rest = [], None, iter(arguments)
        for argument in rest:
            if argument == "-o":
                output = next(rest)
            elif argument in ("-MF", "-MT", "-x"):
                next(rest)
            elif argument not in ("-c", "-MD", entry["file"]):
                flags.append(argument)
        found[pathlib.Path(entry["file"])] = (entry["directory"], flags, output)
    return found


def run(arguments, folder):
    return subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False)


def without_code(flags):
    """Flags for one virtual architecture, and the name of the real one: PTX is of one."""
    code = next(f for f in flags if f.startswith("--generate-code"))
    number = re.search(r"compute_(\w+)", code)[1]
    return [f for f in flags if f != code] + [f"-arch=compute_{number}"], f"sm_{number}"


def assemble(source, folder, flags, ptx):
    """Writes the source's PTX; returns what ptxas says when it makes code of that."""
    virtual, real = without_code(flags)
    made = run([*virtual, "--ptx", str(source), "-o", str(ptx)], folder)
    if made.returncode == 0:
        ptxas = pathlib.Path(os.path.realpath(flags[0])).parent / "ptxas"
        made = run([str(ptxas), "-v", f"-arch={real}", str(ptx), "-o", os.devnull], folder)
    if made.returncode != 0:
        raise AssertionError(f"{source}: {made.stderr}")
    return made.stderr


def compiled(source, command):
    """(PTX, what ptxas says) of a source of the build."""
    folder, flags, output = command
    key = hashlib.sha256((pathlib.Path(folder) / output).read_bytes() + " ".join(flags).encode())
    kept = BUILD / "tests/kernels" / f"{source.stem}-{key.hexdigest()[:16]}"
    ptx, log = kept.with_suffix(".ptx"), kept.with_suffix(".log")
    if not log.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        for old in kept.parent.glob(f"{source.stem}-*"):
            old.unlink()
        log.write_text(assemble(source, folder, flags, ptx))
    return ptx.read_text(), log.read_text()


def demangled(names):
    text = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True,
                          check=True)
    return text.stdout.splitlines()


def kernels(ptx, log):
    """[{name, code, stack, spilled, shared}] of the kernels of one source."""
    bodies = re.split(r"^(?:\.visible |\.weak )?\.entry ", ptx, flags=re.MULTILINE)[1:]
    mangled = [body.split("(")[0].strip() for body in bodies]
    entries = {}
    for entry in log.split("Compiling entry function '")[1:]:
        stack, stored, loaded = map(int, re.search(
            r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", entry)
            .groups())
        shared = re.search(r"(\d+) bytes smem", entry)
        entries[entry.split("'")[0]] = {"stack": stack, "spilled": stored + loaded,
                                        "shared": int(shared[1]) if shared else 0}
    return [{"name": name, "code": body, **entries[key]}
            for name, body, key in zip(demangled(mangled), bodies, mangled)]


class KernelsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if shutil.which("c++filt") is None:
            raise unittest.SkipTest("no c++filt, which makes names of kernels readable")
        known = commands()
        # The largest first: it takes as long as all others.
        sources = sorted(SOURCES, key=lambda s: s.stem != "flash_attention")
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            texts = list(pool.map(lambda s: compiled(s, known[s]), sources))
        cls.kernels = {s.name: kernels(*t) for s, t in zip(sources, texts)}

    def each(self):
        for file, found in self.kernels.items():
            self.assertTrue(found, f"{file} has no kernel")
            for kernel in found:
                yield file, kernel

    def test_local_memory_is_declared(self):
        for file, kernel in self.each():
            declared = any(file == f and re.search(p, kernel["name"]) for f, p, _ in LOCAL_MEMORY)
            with self.subTest(file=file, kernel=kernel["name"]):
                self.assertEqual(kernel["spilled"], 0, "bytes of registers spilled")
                if not declared:
                    self.assertEqual(kernel["stack"], 0, "bytes of local memory")
                    self.assertNotIn(".local ", kernel["code"])

    def test_shared_memory_is_small(self):
        for file, kernel in self.each():
            with self.subTest(file=file, kernel=kernel["name"]):
                self.assertLessEqual(kernel["shared"], STATIC_SHARED_BYTES)

    def test_promised_instructions(self):
        for file, pattern, instructions in PROMISES:
            found = [k for k in self.kernels[file] if re.search(pattern, k["name"])]
            self.assertTrue(found, f"{file} has no kernel like {pattern}: a promise of nobody")
            for kernel in found:
                for instruction in instructions:
                    with self.subTest(file=file, kernel=kernel["name"]):
                        self.assertRegex(kernel["code"], instruction)

    def test_exceptions_are_of_kernels_that_exist(self):
        for file, pattern, _ in LOCAL_MEMORY:
            self.assertTrue(any(re.search(pattern, k["name"]) for k in self.kernels[file]), pattern)


class GateTest(unittest.TestCase):
    """The build's own flags refuse what they must refuse, and this test sees it too."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="weft-kernel-")
        self.addCleanup(scratch.cleanup)
        self.source = pathlib.Path(scratch.name) / "kernel.cu"
        self.folder, self.flags, _ = commands()[SOURCES[0]]

    def compile(self, text):
        self.source.write_text(text)
        output = self.source.with_suffix(".o")
        return run([*self.flags, "-c", str(self.source), "-o", str(output)], self.folder)

    def read(self, text):
        self.source.write_text(text)
        ptx = self.source.with_suffix(".ptx")
        log = assemble(self.source, self.folder, self.flags, ptx)
        return kernels(ptx.read_text(), log)[0]

    def test_an_array_in_local_memory(self):
        result = self.compile(ARRAY_IN_LOCAL_MEMORY)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("local memory", (result.stderr + result.stdout).lower())
        kernel = self.read(ARRAY_IN_LOCAL_MEMORY)
        self.assertGreaterEqual(kernel["stack"], 128)
        self.assertIn(".local ", kernel["code"])

    def test_spilled_registers(self):
        result = self.compile(SPILLED_REGISTERS)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("spill", (result.stderr + result.stdout).lower())
        self.assertGreater(self.read(SPILLED_REGISTERS)["spilled"], 0)

    def test_what_must_compile(self):
        result = self.compile(REGISTERS_ONLY)
        self.assertEqual(result.returncode, 0, result.stderr)
        kernel = self.read(REGISTERS_ONLY)
        self.assertEqual((kernel["stack"], kernel["spilled"]), (0, 0))
        self.assertNotRegex(kernel["code"], READ)  # its accesses are of single floats


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
