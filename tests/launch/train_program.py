"""What the tests of `weft train` as a program share: a made-up text, its dataset, and runs.

A test program is started as TEST.py PATH_OF_WEFT [MPIRUN ARGUMENTS...]. Without mpirun, which builds
without MPI have no use for, `weft launch` starts the processes.
"""

import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time
import unittest

WEFT = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else "weft"
MPIRUN = sys.argv[2:]
PATIENCE = 120  # seconds that anything may take on a busy machine

# One compute thread: the bits are those of any number, and ranks do not fight for cores.
CONFIG = """
name: run
model: {context_length: 32, layers: 2, heads: 2, width: 32}
data: {train: [data/train], validation: [data/validation]}
train: {steps: 30, batch_size: 12, eval_interval: 10, eval_batches: 2}
schedule: {warmup_steps: 5}
checkpoint: {interval: 10}
cpu: {threads: 1}
"""


def on_processes(count, *arguments):
    """The command line of weft with these arguments on so many processes."""
    if MPIRUN:
        return [*MPIRUN, "-np", str(count), WEFT, *arguments]
    return [WEFT, "launch", "-n", str(count), "--", *arguments]


def made_up_text():
    """About 30 kB of made-up words, always the same."""
    draw = random.Random(1)
    words = ["".join(draw.choice("abcdefghijklmnop") for _ in range(draw.randint(1, 7)))
             for _ in range(60)]
    return " ".join(draw.choice(words) for _ in range(6000))


class TrainTest(unittest.TestCase):
    """Runs weft in a directory of its own that holds text.txt, run.yaml and data/."""

    program = WEFT

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory(prefix="weft-train-")
        cls.addClassCleanup(cls.scratch.cleanup)
        cls.root = pathlib.Path(cls.scratch.name)
        (cls.root / "text.txt").write_text(made_up_text())
        (cls.root / "run.yaml").write_text(CONFIG)
        cls.weft("prepare", "--tokenizer", "char", "--output", "data", "text.txt").check_returncode()

    @classmethod
    def weft(cls, *arguments, user=None):
        return subprocess.run([cls.program, *arguments], cwd=cls.root, capture_output=True, text=True,
                              check=False, stdin=subprocess.DEVNULL, timeout=PATIENCE, user=user)

    @staticmethod
    def command(name, *arguments, ranks=0, **sets):
        """The command line of the run `name`; steps__x=1 sets the key steps.x."""
        train = ["train", "run.yaml", *arguments]
        for key, value in {"name": name, **sets}.items():
            train += ["--set", f"{key.replace('__', '.')}={value}"]
        return on_processes(ranks, *train) if ranks else [WEFT, *train]

    def start(self, name, *arguments, **options):
        process = subprocess.Popen(self.command(name, *arguments, **options), cwd=self.root,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                   stdin=subprocess.DEVNULL)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def train(self, name, *arguments, **options):
        """Trains to the end; what was printed."""
        process = self.start(name, *arguments, **options)
        output, _ = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0, output)
        return output

    def metrics_lines(self, name):
        """The whole lines of a run's metrics, in the order written."""
        path = self.root / "runs" / name / "metrics.jsonl"
        return path.read_bytes().split(b"\n")[:-1] if path.exists() else []

    def records(self, name):
        return [json.loads(line) for line in self.metrics_lines(name)]

    def trace(self, name):
        """Loss and gradient norm of every step, bit for bit. Steps that several attempts made must
        agree."""
        trace = {}
        for r in self.records(name):
            seen = (r["loss_hex"], r["grad_norm_hex"], r["lr"])
            self.assertEqual(trace.setdefault(r["step"], seen), seen, f"step {r['step']}")
        return trace

    def losses(self, name):
        return {r["step"]: float.fromhex(r["loss_hex"]) for r in self.records(name)}

    def checkpoints(self, name):
        return self.root / "runs" / name / "checkpoints"

    def state(self, name, step):
        """The digest of every weight and moment in a checkpoint."""
        path = self.checkpoints(name) / f"step_{step:08}" / "manifest.json"
        tensors = json.loads(path.read_text())["manifest"]["tensors"]
        state = {(t["name"], t["kind"]): [b["digest"] for b in t["boxes"]] for t in tensors}
        self.assertIn(("wte.weight", "exp_avg_sq"), state)
        return state

    def wait_until(self, condition, process):
        """Returns when `condition` holds or the process has ended."""
        end = time.monotonic() + PATIENCE
        while not condition() and process.poll() is None:
            self.assertLess(time.monotonic(), end, "nothing happened")
            time.sleep(0.001)


def main():
    unittest.main(argv=sys.argv[:1])
