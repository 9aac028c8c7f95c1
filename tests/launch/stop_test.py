#!/usr/bin/env python3
"""How a training run stops: by every signal, over every transport, with the checkpoint of its last step.

    stop_test.py PATH_OF_WEFT [MPIRUN ARGUMENTS...]

WEFT_STOPS=N stops N runs at random moments instead of a few, half by SIGTERM and half by SIGINT.
"""

import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import time
import unittest

from train_program import MPIRUN, PATIENCE, WEFT, TrainTest, main

STOPS = int(os.environ.get("WEFT_STOPS", "6"))
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2,
           signal.SIGXCPU)
# Products of this size keep their stack pointer in a buffer on the heap, where a CPU has AVX-512.
WIDE = {"model__width": 128, "model__layers": 4, "model__heads": 4, "train__eval_interval": 0,
        "train__steps": 1000000, "checkpoint__interval": 0}
ENDLESS = {"train__steps": 1000000, "train__eval_interval": 0, "checkpoint__interval": 0}


def by_default():
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def descendants(pid):
    found = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += descendants(int(child))
    return found


def ranks_of(process):
    """The processes of a job that train: those that start no other."""
    return [p for p in descendants(process.pid) if len(descendants(p)) == 1]


class StopTest(TrainTest):
    def run_command(self, line, **options):
        process = subprocess.Popen(line, cwd=self.root, text=True, stdin=subprocess.DEVNULL,
                                   **{"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT,
                                      "preexec_fn": by_default, **options})
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        if process.stdout:
            self.addCleanup(process.stdout.close)
        return process

    def launch(self, name, *arguments, ranks=2, options=None, **sets):
        train = self.command(name, *arguments, **sets)[1:]
        return self.run_command([WEFT, "launch", "-n", str(ranks), "--", *train], **(options or {}))

    def wait_for_steps(self, process, name, steps=2):
        self.wait_until(lambda: len(self.metrics_lines(name)) >= steps, process)

    def assert_stopped(self, process, name):
        """Ended with 0 and the checkpoint of its last step; that step."""
        output, _ = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0, output)
        found = re.search(r"stopped by (SIG\w+) after step (\d+); --resume auto", output)
        self.assertTrue(found, output)
        step = int(found.group(2))
        self.assertEqual(self.records(name)[-1]["step"], step)
        self.assertTrue(self.state(name, step))
        return found.group(1), step


class RandomMomentsTest(StopTest):
    """Stops at random moments, each resumed for some steps: all of it is the run that nobody stopped."""

    def transports(self):
        yield "one", lambda name: self.run_command(self.command(name, **WIDE, cpu__threads=2))
        yield "threads", lambda name: self.run_command(
            self.command(name, "--local-ranks", "2", **WIDE))
        yield "launch", lambda name: self.launch(name, **WIDE)
        if MPIRUN:
            yield "mpirun", lambda name: self.run_command(self.command(name, ranks=2, **WIDE))

    def test_every_stop_is_clean(self):
        draw = random.Random(11)
        starts = list(self.transports())
        last = 0
        runs = []
        for i in range(STOPS):
            kind, start = starts[i % len(starts)]
            number = SIGNALS[i // len(starts) % 2]
            name = f"{kind}-{i}"
            with self.subTest(name, signal=number.name):
                process = start(name)
                self.wait_for_steps(process, name, 1)
                time.sleep(draw.uniform(0, 0.4))
                # mpirun ends ranks in its own way; a batch system tells them.
                target = draw.choice(ranks_of(process)) if kind == "mpirun" else process.pid
                os.kill(target, number)
                by, step = self.assert_stopped(process, name)
                self.assertEqual(by, number.name)
                runs.append((kind, name))
                last = max(last, step)
        whole = {}
        for kind in ("one", "threads"):  # processes compute what threads do
            ranks = ("--local-ranks", "2") if kind == "threads" else ()
            self.train("whole-" + kind, "--steps", str(last), *ranks, **WIDE)
            whole[kind] = self.trace("whole-" + kind)
        for kind, name in runs:
            for step, seen in self.trace(name).items():
                self.assertEqual(seen, whole["one" if kind == "one" else "threads"][step], name)
        self.assertEqual(len(runs), STOPS)


class SignalsTest(StopTest):
    def masks(self, pid):
        """Of every thread of a process: its name, and the signals that it blocks and handles."""
        threads = []
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            status = dict(line.split(":\t", 1) for line in
                          (task / "status").read_text().splitlines() if ":\t" in line)
            threads.append((task.name, int(status["SigBlk"], 16), int(status["SigCgt"], 16)))
        return threads

    def assert_no_thread_is_interrupted(self, process, name, count):
        self.wait_for_steps(process, name)
        ranks = ranks_of(process)
        self.assertEqual(len(ranks), count)
        for pid in ranks:
            threads = self.masks(pid)
            self.assertGreaterEqual(len(threads), 2)
            for thread, blocked, handled in threads:
                for number in SIGNALS:
                    bit = 1 << (number - 1)
                    self.assertTrue(blocked & bit, f"thread {thread} does not block {number.name}")
                    self.assertFalse(handled & bit, f"{number.name} has a handler")
        os.kill(ranks[-1], signal.SIGTERM)
        self.assert_stopped(process, name)

    def test_no_thread_that_computes_is_interrupted(self):
        saving = {**ENDLESS, "checkpoint__interval": 5}
        self.assert_no_thread_is_interrupted(
            self.run_command(self.command("one", cpu__threads=2, **saving)), "one", 1)
        self.assert_no_thread_is_interrupted(
            self.run_command(self.command("threads", "--local-ranks", "2", **saving)), "threads", 1)
        self.assert_no_thread_is_interrupted(self.launch("processes", **saving), "processes", 2)
        if MPIRUN:
            self.assert_no_thread_is_interrupted(
                self.run_command(self.command("mpi", ranks=2, **saving)), "mpi", 2)

    def test_whatever_a_batch_system_sends_leaves_a_checkpoint(self):
        for number in SIGNALS[2:]:
            with self.subTest(number.name):
                process = self.launch(number.name, ranks=1, **ENDLESS)
                self.wait_for_steps(process, number.name)
                process.send_signal(number)
                by, _ = self.assert_stopped(process, number.name)
                self.assertEqual(by, number.name)

    def test_a_run_under_nohup_outlives_its_terminal(self):
        process = self.run_command(
            self.command("nohup", **ENDLESS),
            preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        self.wait_for_steps(process, "nohup")
        process.send_signal(signal.SIGHUP)
        self.wait_for_steps(process, "nohup", len(self.metrics_lines("nohup")) + 5)
        process.terminate()
        self.assertEqual(self.assert_stopped(process, "nohup")[0], "SIGTERM")

    def test_ends_at_once_before_there_is_a_run(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        for number in (signal.SIGTERM, signal.SIGINT):
            # It waits for a rank that never comes.
            process = self.run_command(
                self.command("alone"), env={**os.environ, "RANK": "0", "WORLD_SIZE": "2",
                                            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)})
            self.wait_until(lambda p=process: all(m[1] for m in self.masks(p.pid)), process)
            process.send_signal(number)
            output, _ = process.communicate(timeout=PATIENCE)
            self.assertEqual(process.returncode, -number, output)

    def test_ctrl_c_reaches_a_whole_group_once(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            name = "group-" + number.name
            process = self.launch(name, options={"start_new_session": True}, **ENDLESS)
            self.wait_for_steps(process, name)
            os.killpg(process.pid, number)
            self.assert_stopped(process, name)

    def test_a_launcher_that_ignores_its_children_sees_them_end(self):
        def ignore():
            by_default()
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)

        process = self.launch("children", "--steps", "2", options={"preexec_fn": ignore})
        output, _ = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0, output)


class EvaluationTest(StopTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        (cls.root / "long.txt").write_text((cls.root / "text.txt").read_text() * 100)
        cls.weft("prepare", "--tokenizer", "char", "--output", "long", "--validation-fraction",
                 "0.9", "long.txt").check_returncode()

    def test_is_given_up_on_all_ranks(self):
        sets = {"data__train": "[long/train]", "data__validation": "[long/validation]",
                "train__eval_interval": 5, "train__eval_batches": 1000000, "model__width": 64,
                "train__steps": 1000000, "checkpoint__interval": 0}
        for ranks in ("1", "2"):
            name = "evaluation" + ranks
            process = self.launch(name, ranks=ranks, **sets)
            self.wait_for_steps(process, name, 4)
            time.sleep(0.2)  # into the evaluation, if the machine allows
            os.kill(ranks_of(process)[-1], signal.SIGTERM)
            _, step = self.assert_stopped(process, name)
            self.assertEqual(step, 5)
            self.assertNotIn("validation_loss", self.records(name)[-1])

    def test_is_made_up_for(self):
        sets = {"data__train": "[long/train]", "data__validation": "[long/validation]",
                "train__eval_interval": 5, "train__eval_batches": 100, "train__steps": 1000000,
                "checkpoint__interval": 0}
        process = self.run_command(self.command("made", **sets))
        self.wait_for_steps(process, "made", 4)
        process.terminate()
        _, step = self.assert_stopped(process, "made")
        end = ("--steps", str(step + 2))
        output = self.train("made", "--resume", "auto", *end, **sets)
        given_up = step % 5 == 0 and "validation_loss" not in self.records("made")[step - 1]
        self.assertEqual(f"of step {step}, whose evaluation had been given up" in output, given_up, output)
        self.train("made-whole", *end, **sets)
        # By step, the last attempt counts.
        seen = [{r["step"]: (r["loss_hex"], r["grad_norm_hex"], r.get("validation_loss_hex"))
                 for r in self.records(name)} for name in ("made", "made-whole")]
        self.assertEqual(*seen)
        self.assertEqual(*(self.run_state(name, step + 2) for name in ("made", "made-whole")))

    def test_is_made_up_for_at_the_end(self):
        sets = {"data__train": "[long/train]", "data__validation": "[long/validation]",
                "train__eval_interval": 5, "train__eval_batches": 100, "train__steps": 5,
                "checkpoint__interval": 0}
        process = self.run_command(self.command("ended", **sets))
        self.wait_for_steps(process, "ended", 4)
        process.terminate()
        process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0)
        for _ in range(2):
            output = self.train("ended", "--resume", "auto", **sets)
        self.assertNotIn("given up", output)  # once
        self.assertIn("validation_loss", self.records("ended")[-1])

    def run_state(self, name, step):
        path = self.checkpoints(name) / f"step_{step:08}" / "manifest.json"
        state = json.loads(path.read_text())["manifest"]["run_state"]
        return {key: value for key, value in state.items() if key != "config_digest"}


class OutputTest(StopTest):
    """What is shown may get lost; the run does not."""

    SETS = {"train__log_interval": 1, "train__eval_interval": 0}

    def assert_trained(self, name, process, *words):
        _, errors = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 0, errors)
        self.assertTrue(self.state(name, 30))
        self.assertEqual(errors.count("training goes on"), 1, errors)
        for word in words:
            self.assertIn(word, errors)

    def test_a_reader_may_go_away(self):
        for ranks in ("1", "2"):
            with self.subTest(ranks=ranks):
                process = self.run_command(
                    self.command("gone" + ranks, "--local-ranks", ranks, **self.SETS),
                    stderr=subprocess.PIPE)
                process.stdout.readline()
                process.stdout.close()
                _, errors = None, process.stderr.read()
                self.addCleanup(process.stderr.close)
                self.assertEqual(process.wait(timeout=PATIENCE), 0, errors)
                self.assertTrue(self.state("gone" + ranks, 30))
                self.assertEqual(errors.count("training goes on"), 1, errors)
                self.assertIn("Broken pipe", errors)

    def test_output_may_be_full_or_closed(self):
        with open("/dev/full", "w") as full:
            process = self.run_command(self.command("full", **self.SETS), stdout=full,
                                       stderr=subprocess.PIPE)
            self.addCleanup(process.stderr.close)
            self.assert_trained("full", process, "No space left on device")
        line = " ".join(self.command("closed", **self.SETS))
        process = self.run_command(["bash", "-c", f"exec {line} >&-"], stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        self.assert_trained("closed", process)
        both = self.run_command(["bash", "-c", f"exec {line.replace('closed', 'both')} >&- 2>&-"])
        self.assertEqual(both.wait(timeout=PATIENCE), 0)
        self.assertTrue(self.state("both", 30))


if __name__ == "__main__":
    main()
