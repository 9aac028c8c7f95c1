#!/usr/bin/env python3
"""A failing disk never kills the program, and costs no more than the checkpoint it failed.

    file_faults_test.py PATH_OF_WEFT PATH_OF_FILE_FAULTS

Calls of the C library on files of checkpoints fail (faults/file_faults.cpp): the K-th write, ftruncate,
fsync, close, rename, mkdir, open or unlink, or an open to read (look), once or from then on, in saves beside training and at once.
The run must end with 0 or 4, every save that was lost must be said, nothing that was published may be
damaged or gone, and the run must go on to the same bits.

Datasets, exports and imports are written under the same faults: what was there before, or the new one.
WEFT_FILE_FAULTS=SEED draws other places, WEFT_FILE_FAULTS=all takes all of them, some minutes.
"""

import collections
import errno
import os
import random
import re
import shutil
import sys

FAULTS = os.path.abspath(sys.argv.pop(2)) if len(sys.argv) > 2 else ""

from train_program import TrainTest, main  # noqa: E402, reads what is left of sys.argv

STEPS, INTERVAL, KEEP = 6, 2, 2
SAVES = STEPS // INTERVAL
SETS = {"train__steps": STEPS, "checkpoint__interval": INTERVAL, "checkpoint__keep_last": KEEP,
        "train__eval_interval": 0, "model__layers": 1, "model__dropout": 0.1, "train__batch_size": 4}
FOREVER = 1000000
SHORT = 0  # a write that moves half of its bytes
# What is drawn beside the places that are always tried: those where the program once crashed, and
# those that it once passed over in silence.
ALWAYS = [("write", 3, errno.ENOSPC, 1, True), ("write", 1, errno.ENOSPC, FOREVER, False),
          ("ftruncate", 2, errno.EIO, 1, True), ("close", 2, errno.EIO, 1, True),
          ("unlink", 1, errno.EBUSY, FOREVER, False), ("write", 4, SHORT, FOREVER, True),
          ("write", 5, errno.EINTR, 1, True), ("fsync", 2, errno.EINTR, 1, False)]


def content(directory):
    """What lies below a directory: path -> bytes; None when there is no such directory."""
    if not directory.exists():
        return None
    return {str(p.relative_to(directory)): p.read_bytes() for p in sorted(directory.rglob("*"))
            if p.is_file()}


class FaultTest(TrainTest):
    def with_fault(self, fault, below, *arguments):
        """The result of weft, and the calls on paths that contain `below` that it made, in order."""
        log = self.root / "calls"
        log.unlink(missing_ok=True)
        faults = {"LD_PRELOAD": FAULTS, "WEFT_FILE_FAULTS_BELOW": below, "WEFT_FILE_FAULT": fault,
                  "WEFT_FILE_FAULTS_LOG": str(log),
                  # A sanitizer's run time would rather be the first library.
                  "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
        before = dict(os.environ)
        os.environ.update(faults)
        try:
            result = self.weft(*map(str, arguments))
        finally:
            os.environ.clear()
            os.environ.update(before)
        return result, log.read_text().splitlines() if log.exists() else []

    @staticmethod
    def numbered(calls):
        """(name, number among those of this name) of each call."""
        for call, count in collections.Counter(c.split(" ")[0] for c in calls).items():
            for k in range(1, count + 1):
                yield call, k

    @staticmethod
    def chosen(places, count):
        """All of them or, unless all are asked for, some."""
        which = os.environ.get("WEFT_FILE_FAULTS", "1")
        if which == "all":
            return list(places)
        return random.Random(int(which)).sample(places, count)


class WritersTest(FaultTest):
    """What writes a directory of its own: the old content or the new one, never a mixture."""

    def check_all(self, output, fresh, *command):
        """`fresh` makes the directory as it is before the command."""
        fresh()
        old = content(output)
        result, calls = self.with_fault("", output.name, *command)
        self.assertEqual(result.returncode, 0, result.stderr)
        new = content(output)
        places = [(call, k, error, count) for call, k in self.numbered(calls)
                  for error in (errno.EIO, errno.ENOSPC) for count in (1, FOREVER)]
        self.assertGreater(len(places), 60)
        for call, k, error, count in self.chosen(places, 6):
            with self.subTest(call=call, k=k, error=error, count=count):
                fresh()
                result, _ = self.with_fault(f"{call}:{k}:{error}:{count}", output.name, *command)
                self.assertIn(result.returncode, (0, 3, 4), result.stderr)
                self.assertIn(os.strerror(error), result.stderr)
                self.assertIn(content(output), [new] if result.returncode == 0 else [old, new])

    def test_prepare(self):
        output = self.root / "other-data"
        command = ["prepare", "--force", "--tokenizer", "char", "--output", output.name]
        (self.root / "other.txt").write_text("something else, for a while")

        def fresh():
            for left in self.root.glob("other-data*"):
                shutil.rmtree(left)
            self.weft(*command, "other.txt").check_returncode()

        self.check_all(output, fresh, *command, "text.txt")

    def test_export_and_import(self):
        self.train("source", **SETS)

        def fresh(name):
            for left in self.root.glob(name + "*"):
                shutil.rmtree(left)

        self.check_all(self.root / "exported", lambda: fresh("exported"), "ckpt", "export", "--to",
                       "safetensors", self.checkpoints("source"), "exported")
        self.weft("ckpt", "export", "--to", "safetensors", str(self.checkpoints("source")),
                  "model").check_returncode()
        self.check_all(self.root / "imported/step_00000000", lambda: fresh("imported"), "ckpt", "import",
                       "--from", "safetensors", "model", "imported")


class CheckpointsTest(FaultTest):
    """One fault each in a training, and the run that survives it."""

    def run_with_fault(self, name, fault, beside_training):
        """(exit code, output) of a run, and the calls that could fail, in their order."""
        sets = {**SETS, "checkpoint__async": str(beside_training).lower()}
        result, calls = self.with_fault(fault, "/checkpoints", *self.command(name, **sets)[1:])
        return result.returncode, result.stdout + result.stderr, calls

    def check(self, call, k, error, count, beside_training):
        when = "on" if count == FOREVER else "once"
        name = f"{call}-{k}-{error}-{when}-{'beside' if beside_training else 'at_once'}"
        code, output, calls = self.run_with_fault(name, f"{call}:{k}:{error}:{count}", beside_training)
        struck = [c for c in calls if c.startswith(call + " ")][k - 1:k]  # empty: not reached
        # Opens to read look at what is there, and may look again; nothing of worth is in the lock.
        silent = call == "look" or (call == "close" and struck and struck[0].endswith("/.lock"))
        started = "steps done" in output
        saved = [int(s) for s in re.findall(r"^checkpoint \S*step_(\d+) ", output, re.MULTILINE)]
        lost = len(re.findall("^WARNING: checkpoint not saved: .*cannot ", output, re.MULTILINE))
        self.assertIn(code, (0, 4), output)
        if started:
            self.assertEqual(len(saved) + lost, SAVES, output)
            self.assertEqual(code, 0 if STEPS in saved else 4, output)
        else:
            self.assertEqual(code, 4, output)
        if struck and not silent and error not in (SHORT, errno.EINTR):
            self.assertIn(os.strerror(error), output)  # whatever failed is mentioned
        self.assertNotIn("file descriptor =", output)  # as libhdf5 would put it
        if error in (SHORT, errno.EINTR):
            self.assertEqual((code, lost), (0, 0), output)
        there = sorted(int(p.name[5:]) for p in self.checkpoints(name).glob("step_*"))
        self.assertLessEqual(set(saved[-KEEP:]), set(there), output)
        for step in there:
            result = self.weft("ckpt", "verify", str(self.checkpoints(name) / f"step_{step:08}"))
            self.assertEqual(result.returncode, 0, output + result.stdout)
        drafts = list(self.checkpoints(name).glob(".tmp-*"))
        if drafts:  # they are there until the next save
            self.assertRegex(output, "cannot (be )?remove")
        self.train(name, "--resume", "auto", **SETS)
        self.assertEqual(self.trace(name), self.trace("whole"))
        self.assertEqual(self.state(name, STEPS), self.state("whole", STEPS))
        self.assertLessEqual(set(self.checkpoints(name).glob(".tmp-*")), set(drafts))

    def places(self):
        """All calls of a run that nothing happens to, as (name, number), for each way to save."""
        for beside_training in (True, False):
            _, _, calls = self.run_with_fault(f"count-{beside_training}", "", beside_training)
            for call, k in self.numbered(calls):
                for error in (errno.EIO, errno.ENOSPC):
                    for count in (1, FOREVER):
                        yield call, k, error, count, beside_training

    def test_no_failing_call_costs_more_than_a_checkpoint(self):
        self.train("whole", **SETS)
        places = list(self.places())
        self.assertGreater(len(places), 500)
        for fault in dict.fromkeys(ALWAYS + self.chosen(places, 6)):
            with self.subTest(fault=fault):
                self.check(*fault)


if __name__ == "__main__":
    if not os.path.exists(FAULTS):
        raise SystemExit("needs the library of faults/file_faults.cpp")
    main()
