#!/usr/bin/env python3
"""`weft train --trace`: one file with a lane per rank and stream, which browsers can draw.

    trace_program_test.py PATH_OF_WEFT [MPIRUN ARGUMENTS...]
"""

import collections
import json

from train_program import TrainTest, main

EPS = 0.002  # microseconds: times are rounded to nanoseconds


class TraceTest(TrainTest):
    def read(self, *arguments, **options):
        self.train(options.pop("name", "run"), "--trace", "trace.json", *arguments, **options)
        events = json.loads((self.root / "trace.json").read_text())["traceEvents"]
        lanes = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
        spans = collections.defaultdict(list)
        for e in events:
            if e["ph"] == "X":
                spans[e["pid"], lanes[e["pid"], e["tid"]]].append(e)
        return spans

    def assert_nested(self, spans):
        """Two spans of a lane lie apart, or one holds the other."""
        open_until = []
        for e in sorted(spans, key=lambda e: (e["ts"], -e["dur"])):
            while open_until and open_until[-1] <= e["ts"] + EPS:
                open_until.pop()
            end = e["ts"] + e["dur"]
            self.assertTrue(not open_until or end <= open_until[-1] + EPS, e)
            open_until.append(end)

    def assert_apart(self, spans):
        self.assert_nested(spans)
        ends = [(e["ts"], e["ts"] + e["dur"]) for e in sorted(spans, key=lambda e: e["ts"])]
        for (_, end), (begin, _) in zip(ends, ends[1:]):
            self.assertLessEqual(end, begin + EPS)

    def check(self, spans, steps, beside):
        self.assertLessEqual({(r, s) for r in (0, 1) for s in ("compute", beside)}, set(spans))
        for (_, stream), events in spans.items():
            self.assertTrue(all(e["ts"] >= 0 for e in events))
            self.assert_nested(events)
            self.assert_apart([e for e in events if e["cat"] != "phase"])
            if stream != "compute":
                continue
            names = [e["name"] for e in events if e["name"].startswith("step ")]
            self.assertEqual(names, [f"step {s}" for s in steps])

    def test_data_parallel(self):
        spans = self.read("--steps", "4", "--trace-steps", "2:3", "--local-ranks", "2", name="dp")
        self.check(spans, [2, 3], "communication")
        for rank in 0, 1:
            names = [e["name"] for e in spans[rank, "compute"]]
            # Two layers of 4 products with 2 gradients each, the head with 1 and 2; two steps.
            self.assertEqual(names.count("matmul"), 2 * (2 * 4 * 3 + 3))
            collectives = [e for e in spans[rank, "communication"] if e["cat"] == "collective"]
            self.assertIn("dp+cp all_reduce", [e["name"] for e in collectives])
            self.assertTrue(all(e["args"]["bytes"] > 0 for e in collectives))
            matmul = next(e for e in spans[rank, "compute"] if e["name"] == "matmul")
            self.assertEqual(matmul["args"]["shapes"], "f32[192, 32] f32[96, 32] f32[6, 32, 96]")

    def test_tensor_parallel_over_processes(self):
        spans = self.read("--steps", "5", ranks=2, mesh__tp=2, name="tp")
        self.check(spans, [1, 2, 3], "tensor parallel")
        for rank in 0, 1:
            # In backward of the two products of a block that share their input.
            names = [e["name"] for e in spans[rank, "tensor parallel"]]
            self.assertEqual(names, ["tp all_gather", "tp reduce_scatter"] * 2 * 2 * 3)
            names = {e["name"] for e in spans[rank, "compute"]}
            self.assertIn("tp all_gather", names)
            self.assertIn("tp all_reduce", names)

    def test_pipeline(self):
        spans = self.read("--steps", "3", "--trace-steps", "1:2", "--local-ranks", "2", mesh__pp=2,
                          train__micro_batch_size=3, name="pp")
        for rank in 0, 1:
            self.assert_nested(spans[rank, "compute"])
            # One road for activations, one for their gradients; 4 micro-batches in each of 2 steps.
            lanes = {lane: events for (r, lane), events in spans.items()
                     if r == rank and lane.startswith("pp.")}
            self.assertEqual({lane: len(events) for lane, events in lanes.items()},
                             {"pp.act": 8, "pp.grad": 8})
            for events in lanes.values():
                self.assert_apart(events)

    def test_off_changes_nothing(self):
        self.read("--steps", "5", name="traced")
        self.train("plain", "--steps", "5")
        self.assertEqual(self.trace("plain"), self.trace("traced"))

    def test_refuses_what_cannot_be(self):
        for arguments, text in ((("--trace", "t", "--trace-steps", "5:3"), "'5:3' is no range"),
                                (("--trace-steps", "1:2"), "--trace"),
                                (("--trace", "t", "--trace-steps", "31:40"), "but 1 to 30 will"),
                                (("--trace", "nowhere/t"), "cannot write the trace nowhere/t")):
            with self.subTest(text):
                result = self.weft("train", "run.yaml", "--set", "name=refused", *arguments)
                self.assertIn(text, result.stderr)
                self.assertIn(result.returncode, (2, 3))


if __name__ == "__main__":
    main()
