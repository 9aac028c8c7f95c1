#!/usr/bin/env python3
"""`weft train` on one rank and several, threads and processes; stopped, killed and resumed.

    train_program_test.py PATH_OF_WEFT [MPIRUN ARGUMENTS...]
"""

import os
import pathlib
import random
import re
import shlex
import signal
import subprocess
import time
import unittest

from train_program import MPIRUN, PATIENCE, TrainTest, main


class LayoutsTest(TrainTest):
    # The model of configs/models/char-128.yaml, with half its layers.
    CHAR = {"model__context_length": 64, "model__layers": 2, "model__heads": 4, "model__width": 128,
            "model__bias": "false"}

    def test_ranks_train_alike_over_every_transport(self):
        self.train("one", "--steps", "20", **self.CHAR)
        self.train("local2", "--steps", "20", "--local-ranks", "2", **self.CHAR)
        self.train("local4", "--steps", "20", "--local-ranks", "4", **self.CHAR)
        self.train("processes2", "--steps", "20", ranks=2, **self.CHAR)
        self.assertEqual(self.trace("processes2"), self.trace("local2"))
        self.assertEqual(self.state("processes2", 20), self.state("local2", 20))
        one = self.losses("one")
        self.assertEqual(list(one), list(range(1, 21)))
        for name in ("local2", "local4", "processes2"):
            for step, loss in self.losses(name).items():
                # Why this bound: tests/launch/step/layouts_test.cpp.
                self.assertLessEqual(abs(loss - one[step]), 1e-6 * one[step], f"{name}, {step}")


    @unittest.skipUnless(MPIRUN, "weft launch starts one command line")
    def test_ranks_that_read_different_configurations_are_refused(self):
        # Each rank a command line of its own. Not by mpirun's ":", over which that of Open MPI 5.0.7
        # crashes.
        each = [shlex.join(self.command("mixed", seed=seed)) for seed in (1, 2)]
        line = [*MPIRUN, "-np", "2", "sh", "-c",
                f"if [ $OMPI_COMM_WORLD_RANK = 0 ]; then exec {each[0]}; else exec {each[1]}; fi"]
        result = subprocess.run(line, cwd=self.root, capture_output=True, text=True, check=False,
                                stdin=subprocess.DEVNULL, timeout=PATIENCE)
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertIn("rank 1 has read another configuration", result.stderr)
        self.assertFalse((self.root / "runs" / "mixed").exists())


class ResumeTest(TrainTest):
    def assert_resumes(self, name, *ranks, **sets):
        self.train(name + "-whole", *ranks, **sets)
        self.train(name, "--steps", "13", *ranks, **sets)
        output = self.train(name, "--resume", "auto", *ranks, **sets)
        self.assertIn("at step 13", output)
        whole = self.trace(name + "-whole")
        self.assertEqual(len(whole), 30)
        self.assertEqual(self.trace(name), whole)
        self.assertEqual(self.state(name, 30), self.state(name + "-whole", 30))

    def test_on_one_rank(self):
        self.assert_resumes("one")

    def test_with_dropout(self):
        self.assert_resumes("dropout", model__dropout=0.1)

    def test_on_two_ranks_with_dropout(self):
        self.assert_resumes("two", "--local-ranks", "2", model__dropout=0.1)

    def test_from_a_checkpoint_by_its_path(self):
        self.train("first", "--steps", "10")
        self.train("second", "--resume", "runs/first/checkpoints/step_00000010")
        self.train("whole")
        self.assertEqual(self.state("second", 30), self.state("whole", 30))

    def test_changes_of_training_are_named(self):
        self.train("before", "--steps", "10")
        output = self.train("before", "--resume", "auto", "--steps", "11", optimizer__beta2=0.99,
                            schedule__warmup_steps=6, train__micro_batch_size=4, train__log_interval=1)
        self.assertEqual(sorted(line for line in output.splitlines() if "WARNING" in line),
                         ["WARNING: optimizer.beta2: 0.95 at the checkpoint, 0.99 now",
                          "WARNING: schedule.warmup_steps: 5 at the checkpoint, 6 now"])
        again = self.train("before", "--resume", "auto", "--local-ranks", "2", "--steps", "12",
                           optimizer__beta2=0.99, schedule__warmup_steps=6)
        self.assertIn("at step 11", again)
        self.assertNotIn("WARNING", again)

    def test_auto_starts_a_run_that_has_no_checkpoint(self):
        self.assertNotIn("resumed", self.train("fresh", "--resume", "auto", "--steps", "2"))
        self.assertEqual(list(self.trace("fresh")), [1, 2])


class KillTest(TrainTest):
    SETS = {"train__steps": 20, "checkpoint__interval": 1, "model__dropout": 0.1}

    def kill_in_a_save(self, process, name, steps_before):
        """Kills while a checkpoint is being written, some steps after the start."""
        def saving():
            return len(self.metrics_lines(name)) > steps_before + 1 and any(
                self.checkpoints(name).glob(".tmp-step_*"))
        self.wait_until(saving, process)
        process.kill()

    def kill_somewhere(self, process, name, steps_before, delay):
        self.wait_until(lambda: len(self.metrics_lines(name)) > steps_before + 1, process)
        time.sleep(delay)
        process.kill()

    def test_continues_as_if_never_killed(self):
        self.train("whole", **self.SETS)
        moments = random.Random(7)
        in_save = kills = 0
        for attempt in range(6):
            process = self.start("killed", "--resume", "auto", **self.SETS)
            before = len(self.metrics_lines("killed"))
            if attempt % 2:
                self.kill_somewhere(process, "killed", before, moments.uniform(0, 0.05))
            else:
                self.kill_in_a_save(process, "killed", before)
            kills += process.wait(timeout=PATIENCE) == -signal.SIGKILL
            in_save += any(self.checkpoints("killed").glob(".tmp-step_*"))
        self.assertGreaterEqual(kills, 3)
        self.assertGreaterEqual(in_save, 1)
        self.train("killed", "--resume", "auto", **self.SETS)
        self.assertEqual(self.trace("killed"), self.trace("whole"))
        self.assertEqual(self.state("killed", 20), self.state("whole", 20))
        self.assertEqual(list(self.checkpoints("killed").glob(".tmp-*")), [])


class BesideTrainingTest(TrainTest):
    def test_changes_nothing_but_time(self):
        self.train("beside", checkpoint__interval=5)
        self.train("between", checkpoint__interval=5, checkpoint__async="false")
        self.assertEqual(self.trace("beside"), self.trace("between"))
        self.assertEqual(self.state("beside", 25), self.state("between", 25))
        self.assertEqual(self.state("beside", 30), self.state("between", 30))

    def test_metrics_say_what_checkpoints_cost(self):
        for name, sets in (("async", {}), ("sync", {"checkpoint__async": "false"})):
            with self.subTest(name):
                self.train(name, checkpoint__interval=5, **sets)
                records = self.records(name)
                published = [r for r in records if r["checkpoint_bytes"] > 0]
                # Of steps 5, 10, ..., 25; the last may still be written when the run has ended.
                self.assertIn(len(published), (4, 5))
                for r in published:
                    self.assertGreater(r["checkpoint_write_seconds"], 0)
                for step in (6, 11, 16, 21, 26):
                    self.assertGreater(records[step - 1]["checkpoint_stall_seconds"], 0)
                self.assertEqual(records[0]["checkpoint_stall_seconds"], 0)

    def test_refuses_a_limit_that_is_too_small(self):
        result = self.weft(*self.command("big", model__width=128, checkpoint__memory_mib=1)[1:])
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertRegex(result.stderr, r"checkpoint.memory_mib: .* takes [\d.]+ MiB, 1 are allowed; "
                                        r"allow \d+, .*set checkpoint.async to false")
        self.assertFalse((self.root / "runs" / "big").exists())


class StopTest(TrainTest):
    ENDLESS = {"train__steps": 1000000}

    def stop(self, process, name, send):
        """Waits for some steps of a run without end and stops it; (output, last step)."""
        self.wait_until(lambda: len(self.metrics_lines(name)) > 2, process)
        send()
        output, _ = process.communicate(timeout=PATIENCE)
        found = re.search(r"stopped by SIG\w+ after step (\d+); --resume auto", output)
        self.assertTrue(found, output)
        step = int(found.group(1))
        self.assertEqual(self.records(name)[-1]["step"], step)
        self.assertTrue(self.state(name, step))
        return output, step

    def test_ends_after_the_step_with_a_checkpoint(self):
        for number, ranks in ((signal.SIGTERM, "1"), (signal.SIGINT, "2")):
            with self.subTest(number.name):
                name = number.name
                process = self.start(name, "--local-ranks", ranks, **self.ENDLESS)
                output, step = self.stop(process, name, lambda: process.send_signal(number))
                self.assertEqual(process.returncode, 0, output)
                self.assertIn(f"stopped by {name}", output)
                more = ("--steps", str(step + 3), "--local-ranks", ranks)
                self.train(name, "--resume", "auto", *more, **self.ENDLESS)
                self.train(name + "-whole", *more, **self.ENDLESS)
                self.assertEqual(self.trace(name), self.trace(name + "-whole"))
                self.assertEqual(self.state(name, step + 3), self.state(name + "-whole", step + 3))

    def test_ends_when_one_process_of_a_job_is_told_to(self):
        process = self.start("rank", ranks=2, **self.ENDLESS)
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        output, _ = self.stop(process, "rank",
                              lambda: os.kill(int(children.read_text().split()[-1]), signal.SIGTERM))
        self.assertEqual(process.returncode, 0, output)

    def test_ends_when_the_launcher_is_told_to(self):
        # weft launch passes on all of them. mpirun kills soon after SIGTERM, that of Open MPI 5 after half
        # a second, but only passes on SIGUSR1.
        number = signal.SIGUSR1 if MPIRUN else signal.SIGTERM
        process = self.start("launcher", ranks=2, **self.ENDLESS)
        output, _ = self.stop(process, "launcher", lambda: process.send_signal(number))
        self.assertEqual(process.returncode, 0, output)


if __name__ == "__main__":
    main()
