#!/usr/bin/env python3
"""What trouble costs a training run: never more than it must, and never a good checkpoint.

    survival_test.py PATH_OF_WEFT [MPIRUN ARGUMENTS...]
"""

import json
import os
import resource
import shutil
import subprocess
import unittest

from train_program import PATIENCE, TrainTest, main

# Steps of a millisecond.
SMALL = {"model__width": 8, "model__layers": 1, "model__heads": 1, "train__batch_size": 4,
         "train__eval_interval": 0}
ENDLESS = {**SMALL, "train__steps": 10000000}


class SurvivalTest(TrainTest):
    def run_train(self, name, *arguments, ranks=0, **sets):
        process = self.start(name, *arguments, ranks=ranks, **sets)
        output, _ = process.communicate(timeout=PATIENCE)
        return process.returncode, output

    def steps_kept(self, name):
        return sorted(int(path.name[5:]) for path in self.checkpoints(name).glob("step_*"))


class MetricsTest(SurvivalTest):
    def test_a_file_that_cannot_grow_costs_lines(self):
        limit = 120000
        process = subprocess.Popen(
            self.command("full", **{**SMALL, "train__steps": 400, "checkpoint__interval": 50}),
            cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
        output, _ = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0, output)
        self.assertIn(400, self.steps_kept("full"))
        kept = len(self.metrics_lines("full"))
        self.assertLess(kept, 400)
        self.assertEqual(output.count("cannot write to runs/full/metrics.jsonl: File too large"), 1)
        self.assertIn(f"the metrics of {400 - kept} steps could not be written", output)
        # The next attempt's first line stands on its own beside the torn one.
        self.train("full", "--resume", "auto", **{**SMALL, "train__steps": 410})
        lines = self.metrics_lines("full")
        self.assertEqual(json.loads(lines[-10])["step"], 401)
        self.assertEqual(json.loads(lines[-10])["attempt"], 2)

    def test_lines_without_a_sensible_attempt_are_passed_over(self):
        self.train("damaged", "--steps", "2")
        path = self.root / "runs" / "damaged" / "metrics.jsonl"
        with path.open("a") as file:
            for attempt in ("null", '"3"', "[1]", "{}", "1.5", "-1", "9223372036854775807", "true"):
                file.write(f'{{"attempt":{attempt},"step":2}}\n')
            file.write('[[[[\n"text"\nnull\n{"attempt":4}\n\n{"attempt":5,"st')
        output = self.train("damaged", "--resume", "auto", "--steps", "3")
        self.assertIn("metrics.jsonl: 8 lines without a sensible attempt passed over", output)
        last = json.loads(self.metrics_lines("damaged")[-1])
        self.assertEqual((last["attempt"], last["step"]), (5, 3))

    def test_is_a_regular_file(self):
        self.train("fifo", "--steps", "1")
        path = self.root / "runs" / "fifo" / "metrics.jsonl"
        path.unlink()
        os.mkfifo(path)
        code, output = self.run_train("fifo", "--resume", "auto", "--steps", "2")
        self.assertEqual(code, 2, output)
        self.assertIn("is no regular file", output)
        path.unlink()
        path.symlink_to(path.name)
        code, output = self.run_train("fifo", "--resume", "auto", "--steps", "2")
        self.assertEqual(code, 2, output)
        self.assertIn("cannot open runs/fifo/metrics.jsonl: Too many levels", output)

    def test_a_curve_that_cannot_be_drawn_is_a_warning(self):
        (self.root / "runs" / "curve" / "loss.svg").mkdir(parents=True)
        self.assertIn("WARNING: cannot write runs/curve/loss.svg",
                      self.train("curve", "--steps", "1"))


class RunDirectoryTest(SurvivalTest):
    def test_has_one_run_wherever_its_checkpoints_go(self):
        first = self.start("shared", checkpoint__directory="first", checkpoint__interval=0,
                           **ENDLESS)
        self.wait_until(lambda: self.metrics_lines("shared"), first)
        for directory in ("second", "runs/shared"):
            code, output = self.run_train("shared", checkpoint__directory=directory, **ENDLESS)
            self.assertEqual(code, 3, output)
            self.assertIn(f"is in use by pid {first.pid}", output)
        first.terminate()
        output, _ = first.communicate(timeout=PATIENCE)
        self.assertEqual(first.returncode, 0, output)
        self.train("same", "--steps", "2", checkpoint__directory="runs/same")

    def test_that_is_removed_is_said(self):
        process = self.start("removed", checkpoint__directory="elsewhere",
                             checkpoint__interval=1000000, **ENDLESS)
        self.wait_until(lambda: len(self.metrics_lines("removed")) > 3, process)
        shutil.rmtree(self.root / "runs" / "removed")
        process.terminate()
        output, _ = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 4, output)
        self.assertIn("runs/removed/metrics.jsonl has been removed or replaced", output)
        self.assertTrue(list((self.root / "elsewhere").glob("step_*")))

    def test_a_start_over_is_said(self):
        self.assertIn("runs/over/checkpoints holds no checkpoint: begins at step 1",
                      self.train("over", "--resume", "auto", "--steps", "1"))
        self.assertNotIn("begins at step 1", self.train("over", "--resume", "auto", "--steps", "2"))
        for option in ("--resume", "--init-from", "--trace"):
            result = self.weft("train", "run.yaml", option, "")
            self.assertEqual(result.returncode, 2)
            self.assertIn("the value is empty", result.stderr)


class ErrorTest(SurvivalTest):
    """An error in a step first settles the save in flight."""

    def test_unreadable_data_costs_no_checkpoint(self):
        for ranks, options in (("one", ()), ("threads", ("--local-ranks", "2")), ("processes", ())):
            with self.subTest(ranks):
                name = "truncated-" + ranks
                shutil.copytree(self.root / "data", self.root / name)
                process = self.start(name, *options, ranks=2 * (ranks == "processes"),
                                     data__train=f"[{name}/train]", checkpoint__interval=1,
                                     **ENDLESS)
                self.wait_until(lambda: len(self.metrics_lines(name)) > 5, process)
                os.truncate(self.root / name / "train" / "tokens.bin", 200)
                output, _ = process.communicate(timeout=PATIENCE)
                self.assertIn(process.returncode, (2, 4), output)
                self.assertEqual(output.count("weft: "), 1, output)
                self.assertIn(name, output)
                # Every step is saved beside the next one, in which nothing could be read.
                self.assertEqual(self.steps_kept(name)[-1], self.records(name)[-1]["step"], output)


class DivergenceTest(SurvivalTest):
    """Whatever diverges, --resume auto with a sane learning rate goes on."""

    BASE = {"train__eval_interval": 0, "schedule__kind": "constant", "train__clip_norm": 0,
            "train__steps": 60}

    def assert_goes_on(self, name, broken, **sets):
        sets = {**self.BASE, **sets}
        self.train(name, "--steps", "20", **sets)
        code, output = self.run_train(name, "--resume", "auto",
                                      **{**sets, "schedule__peak_lr": "1e30", **broken})
        self.assertEqual(code, 6, output)
        self.assertIn(20, self.steps_kept(name), output)
        self.assertEqual(self.steps_kept(name)[-1], 20, output)
        self.assertIn("at step 20", self.train(name, "--resume", "auto", **sets))

    def test_skipped_steps_retire_nothing(self):
        self.assert_goes_on("f16", {}, precision="f16", checkpoint__interval=2)

    def test_a_checkpoint_of_broken_weights_is_not_kept(self):
        for ranks in ("1", "2"):
            self.assert_goes_on("due" + ranks, {"checkpoint__keep_last": 1}, checkpoint__interval=3)
            self.assert_goes_on("waits" + ranks, {"checkpoint__keep_last": 1},
                                checkpoint__interval=1, checkpoint__async="false")

    def test_keep_last_is_kept_to(self):
        for saves in ("true", "false"):
            self.train("kept-" + saves, checkpoint__interval=5, checkpoint__keep_last=1,
                       checkpoint__async=saves)  # its last evaluation shows that it is good
            self.assertEqual(self.steps_kept("kept-" + saves), [30])

    def test_a_checkpoint_that_cannot_be_gone_on_from_is_said(self):
        sets = {**self.BASE, "checkpoint__interval": 0}
        self.train("broken", "--steps", "5", **sets)
        # Saved before anybody sees what the last update did.
        self.train("broken", "--resume", "auto", "--steps", "6", schedule__peak_lr="1e30",
                   **{k: v for k, v in sets.items() if k != "schedule__peak_lr"})
        self.assertIn(5, self.steps_kept("broken"))
        code, output = self.run_train("broken", "--resume", "auto", **sets)
        self.assertEqual(code, 6, output)
        self.assertIn("step_00000006 itself cannot be gone on from: remove it", output)


if __name__ == "__main__":
    main()
