#!/usr/bin/env python3
"""What happens to a rank while it writes checkpoints never costs more than the steps since the last one.

    write_faults_test.py PATH_OF_WEFT [MPIRUN ARGUMENTS...]

A run of four processes saves beside training, twice, and at its end. At the K-th call by which a rank
writes, that rank is killed, or the call fails, writes less, or takes its time. The job must end by itself,
whatever is published then must be intact, and the run must go on from it to the same bits.

WEFT_WRITE_FAULTS=SEED:COUNT draws so many ranks, faults and calls; WEFT_WRITE_FAULTS=all takes every
fault at every call of every rank, which is a matter of hours.
"""

import os
import random
import re
import signal

from train_program import PATIENCE, TrainTest, main

RANKS = 4
FAULTS = ("kill", "eio", "enospc", "short", "sleep")
SAMPLED_CALLS = 40  # about as many as the rank makes that has the least to write
SETS = {"train__steps": 6, "checkpoint__interval": 2, "checkpoint__keep_last": 2,
        "train__eval_interval": 0, "model__layers": 1, "model__dropout": 0.1, "mesh__zero": 1}


class WriteFaultsTest(TrainTest):
    """The fault of a case and the run that survives it."""

    def published(self, name):
        return sorted(path for path in self.checkpoints(name).glob("step_*"))

    def assert_published_is_intact(self, name):
        for path in self.published(name):
            result = self.weft("ckpt", "verify", str(path))
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def run_with_fault(self, name, fault):
        """(exit code, output) of a run that ends by itself, whatever becomes of a rank."""
        process = self.start(name, "--write-fault", fault, ranks=RANKS, **SETS)
        output, _ = process.communicate(timeout=PATIENCE)
        return process.returncode, output

    def check(self, rank, fault, call):
        """Whether the call was reached, as far as that shows."""
        name = f"r{rank}-{fault}-{call}"
        code, output = self.run_with_fault(name, f"{rank}:{fault}@{call}")
        reached = code != 0 or "WARNING" in output
        if fault == "kill":
            self.assertIn(code, (0, 128 + signal.SIGKILL), output)
        elif fault in ("short", "sleep"):
            self.assertEqual(code, 0, output)
        else:
            # 4: the last save failed. A failed one is always a warning, the same for all ranks.
            self.assertIn(code, (0, 4), output)
            self.assertLessEqual(len(re.findall("checkpoint not saved", output)), 1, output)
        self.assert_published_is_intact(name)
        self.train(name, "--resume", "auto", ranks=RANKS, **SETS)
        self.assertEqual(self.trace(name), self.trace("whole"))
        self.assertEqual(self.state(name, 6), self.state("whole", 6))
        self.assertEqual(list(self.checkpoints(name).glob(".tmp-*")), [])
        return reached

    def check_all(self):
        for rank in range(RANKS):
            calls = 0
            while self.check(rank, "kill", calls + 1):
                calls += 1
            for fault in FAULTS[1:]:
                for call in range(1, calls + 1):
                    with self.subTest(rank=rank, fault=fault, call=call):
                        self.check(rank, fault, call)
            print(f"rank {rank}: {calls} calls", flush=True)
            self.assertGreater(calls, 10)

    def check_some(self, seed, count):
        draw = random.Random(seed)
        reached = {}
        for i in range(count):
            # Each fault in turn, so that a few cases have them all.
            fault = FAULTS[i % len(FAULTS)]
            rank, call = draw.randrange(RANKS), draw.randint(1, SAMPLED_CALLS)
            with self.subTest(rank=rank, fault=fault, call=call):
                reached[fault] = self.check(rank, fault, call) or reached.get(fault, False)
        self.assertTrue(reached["kill"] and reached["eio"], reached)

    def test_published_checkpoints_survive_whatever_happens_to_a_write(self):
        self.train("whole", ranks=RANKS, **SETS)
        which = os.environ.get("WEFT_WRITE_FAULTS", "1:5")
        if which == "all":
            self.check_all()
        else:
            self.check_some(*map(int, which.split(":")))


if __name__ == "__main__":
    main()
