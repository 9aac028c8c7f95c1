#!/usr/bin/env python3
"""`weft launch`: ranks that are processes which meet over TCP, and how their jobs end.

    launch_program_test.py PATH_OF_WEFT
"""

import os
import pathlib
import signal
import socket
import subprocess
import unittest

from train_program import WEFT, TrainTest, main


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class LaunchTest(TrainTest):
    ENDLESS = {"train__steps": 1000000, "train__eval_interval": 0, "checkpoint__interval": 1000000}

    def launch(self, name, *arguments, ranks=2, **sets):
        command = self.command(name, *arguments, **sets)
        process = subprocess.Popen([WEFT, "launch", "-n", str(ranks), "--", *command[1:]],
                                   cwd=self.root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   text=True, stdin=subprocess.DEVNULL)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def ranks_of(self, process):
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def start_endless(self, name):
        process = self.launch(name, **self.ENDLESS)
        self.wait_until(lambda: len(self.metrics_lines(name)) >= 3, process)
        return process

    def test_ranks_train_like_threads(self):
        for name, sets in (("dp", {}), ("tp", {"mesh__tp": 2})):
            process = self.launch(name, **sets)
            output, _ = process.communicate(timeout=120)
            self.assertEqual(process.returncode, 0, output)
            self.train(name + "-threads", "--local-ranks", "2", **sets)
            self.assertEqual(self.trace(name), self.trace(name + "-threads"))
            self.assertEqual(self.state(name, 30), self.state(name + "-threads", 30))

    def test_a_signal_reaches_the_ranks(self):
        process = self.start_endless("signal")
        process.terminate()
        output, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, output)
        self.assertIn("stopped by SIGTERM", output)
        self.assertEqual(len(list(self.checkpoints("signal").glob("step_*"))), 1)

    def start_rank(self, rank, size, port, *command):
        place = {"RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1",
                 "MASTER_PORT": str(port)}
        process = subprocess.Popen(command, cwd=self.root, stdout=subprocess.PIPE, text=True,
                                   stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                   env={**os.environ, **place})
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_an_error_names_the_rank_and_the_host_it_happened_on(self):
        port = free_port()
        ranks = [self.start_rank(r, 2, port, *self.command("elsewhere", data__train=data))
                 for r, data in enumerate(("[data/train]", "[data/not-there]"))]
        output, _ = ranks[0].communicate(timeout=120)
        self.assertEqual(ranks[0].returncode, 2, output)
        self.assertIn(f"[rank 1/2 on {socket.gethostname()}] weft: ", output)
        self.assertIn("not-there", output)
        self.assertEqual(ranks[1].communicate(timeout=120)[0], "")
        self.assertEqual(ranks[1].returncode, 2)

    def test_a_hung_rank_is_named_and_ends_the_job_after_the_deadline(self):
        port = free_port()
        ranks = [self.start_rank(r, 2, port,
                                 *self.command("hung", comm__deadline=8, **self.ENDLESS))
                 for r in range(2)]
        self.wait_until(lambda: len(self.metrics_lines("hung")) >= 3, ranks[0])
        ranks[1].send_signal(signal.SIGSTOP)
        output, _ = ranks[0].communicate(timeout=120)
        self.assertEqual(ranks[0].returncode, 5, output)
        self.assertRegex(output, "weft: warning: .*: rank 0 waits for rank 1, since ")
        self.assertRegex(output, "weft: peer error: .*rank 0 waits for rank 1, no answer within 8 s")

    def test_ranks_are_called_by_the_name_of_the_program(self):
        process = self.start_endless("names")
        for pid in self.ranks_of(process):
            self.assertEqual(pathlib.Path(f"/proc/{pid}/comm").read_text(), "weft\n")
            first = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]
            self.assertEqual(os.path.realpath(first), os.path.realpath(WEFT).encode())

    def test_a_killed_rank_ends_the_job(self):
        process = self.start_endless("killed")
        ranks = self.ranks_of(process)
        self.assertEqual(len(ranks), 2)
        os.kill(ranks[1], signal.SIGKILL)
        output, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 128 + signal.SIGKILL, output)
        self.assertIn("weft: rank 1 of 2 was killed by signal 9", output)
        self.assertIn("the connection to rank 1 of the job ended", output)

    def test_ranks_end_with_their_launcher(self):
        process = self.start_endless("orphans")
        ranks = self.ranks_of(process)
        process.kill()
        process.wait()
        # They are told by SIGTERM, finish their step and end.
        self.wait_until_gone(ranks)

    def wait_until_gone(self, pids):
        def gone(pid):
            try:
                status = pathlib.Path(f"/proc/{pid}/stat").read_text()
            except FileNotFoundError:
                return True
            return status.rsplit(")", 1)[1].split()[0] in "ZX"

        class Running:
            @staticmethod
            def poll():
                return None

        self.wait_until(lambda: all(gone(p) for p in pids), Running)

    def test_the_error_of_every_rank_is_that_of_the_job(self):
        process = self.launch("wrong", mesh__tp=3)
        output, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 2, output)
        self.assertIn("mesh.tp", output)

    def test_refuses_what_cannot_be(self):
        def refused(message, *arguments, code=2, **environment):
            result = subprocess.run([WEFT, *arguments], capture_output=True, text=True, check=False,
                                    cwd=self.root, env={**os.environ, **environment})
            self.assertEqual(result.returncode, code, result.stderr)
            self.assertIn(message, result.stderr)

        refused("needs --master HOST:PORT", "launch", "-n", "2", "--hosts", "2", "--", "doctor")
        refused("is no HOST:PORT", "launch", "-n", "2", "--master", "node0", "--", "doctor")
        refused("is none of the 2 of --hosts", "launch", "-n", "1", "--hosts", "2", "--host", "2",
                "--master", "a:1", "--", "doctor")
        refused("MASTER_ADDR is missing, MASTER_PORT is missing", "train", "run.yaml", RANK="0",
                WORLD_SIZE="2", code=3)
        refused("RANK=2 is no number from 0 to 1", "train", "run.yaml", RANK="2", WORLD_SIZE="2",
                MASTER_ADDR="127.0.0.1", MASTER_PORT="1", code=3)


if __name__ == "__main__":
    main()
