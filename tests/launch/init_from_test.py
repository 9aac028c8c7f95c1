#!/usr/bin/env python3
"""Runs that begin with the weights of another one, and tensors that do not train, on one rank and
on several.

    init_from_test.py PATH_OF_WEFT [MPIRUN ARGUMENTS...]
"""

import json
import struct

from train_program import TrainTest, main

# All frozen: after a step, the weights are still those that the run began with.
FROZEN = {"optimizer__freeze": "['*']"}
LAYOUTS = [{}, {"ranks": 2}, {"ranks": 2, "mesh__tp": 2}, {"ranks": 2, "mesh__zero": 3},
           {"ranks": 2, "mesh__pp": 2}, {"ranks": 2, "mesh__cp": 2}]


class InitFromTest(TrainTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.weft(*cls.command("base", "--steps", "10")[1:]).check_returncode()
        cls.base = f"{cls.root}/runs/base/checkpoints"

    def tensors(self, name, step, kind="weight"):
        """Each tensor of a checkpoint as a list of floats, from all its boxes."""
        path = self.checkpoints(name) / f"step_{step:08}"
        manifest = json.loads((path / "manifest.json").read_text())["manifest"]
        files = [(path / f["name"]).read_bytes() for f in manifest["files"]]
        tensors = {}
        for t in manifest["tensors"]:
            if t["kind"] != kind:
                continue
            columns = t["shape"][1] if len(t["shape"]) == 2 else 1
            full = [None] * (t["shape"][0] * columns)
            for box in t["boxes"]:
                rows, width = box["extent"][0], (box["extent"] + [1])[1]
                values = struct.unpack_from(f"<{rows * width}f", files[box["file"]], box["at"])
                for row in range(rows):
                    at = (box["offset"][0] + row) * columns + (box["offset"] + [0])[1]
                    full[at:at + width] = values[row * width:(row + 1) * width]
            self.assertNotIn(None, full)
            tensors[t["name"]] = full
        return tensors

    def begin(self, name, *arguments, **options):
        """The weights that a run begins with."""
        self.train(name, "--steps", "1", *arguments, **{**FROZEN, **options})
        return self.tensors(name, 1)

    def test_begins_with_the_weights_alone(self):
        base = self.tensors("base", 10)
        for i, layout in enumerate(LAYOUTS):
            with self.subTest(layout=layout):
                name = f"plain{i}"
                self.assertEqual(self.begin(name, "--init-from", self.base, **layout), base)
                for moments in ("exp_avg", "exp_avg_sq"):
                    for values in self.tensors(name, 1, moments).values():
                        self.assertEqual(set(values), {0.0})

    def test_goes_on_from_the_loss_of_the_weights(self):
        output = self.train("warm", "--init-from", self.base, "--steps", "3")
        self.assertIn("begins with the weights of", output)
        self.train("cold", "--steps", "3")
        self.assertLess(self.losses("warm")[1], self.losses("cold")[1] - 0.05)
        self.assertEqual([r["lr"] for r in self.records("warm")], [r["lr"] for r in self.records("cold")])

    def test_grows_the_vocabulary_with_rows_as_drawn(self):
        width, old = 32, self.tensors("base", 10)
        rows = len(old["wte.weight"]) // width
        sets = {"model__vocab_size": rows + 9, "load__vocabulary": "grow"}
        fresh = self.begin("fresh", model__vocab_size=rows + 9)
        for i, layout in enumerate(LAYOUTS):
            with self.subTest(layout=layout):
                grown = self.begin(f"grown{i}", "--init-from", self.base, **sets, **layout)
                self.assertEqual(grown["wte.weight"],
                                 old["wte.weight"] + fresh["wte.weight"][rows * width:])
                for name in old.keys() - {"wte.weight"}:
                    self.assertEqual(grown[name], old[name], name)

    def test_skips_what_is_named(self):
        old, fresh = self.tensors("base", 10), self.begin("drawn")
        for i, layout in enumerate(LAYOUTS):
            with self.subTest(layout=layout):
                got = self.begin(f"skip{i}", "--init-from", self.base,
                                 load__skip="['h.1.*', 'wpe.*', 'h.0.attn.q.weight']", **layout)
                for name, values in got.items():
                    skipped = name.startswith(("h.1.", "wpe.")) or name == "h.0.attn.q.weight"
                    self.assertEqual(values, (fresh if skipped else old)[name], name)

    def test_trains_alike_in_every_layout(self):
        frozen = "['h.0.*', 'wpe.*']"
        sets = {"optimizer__freeze": frozen, "load__skip": "['h.1.mlp.*']"}
        losses = []
        for i, layout in enumerate(LAYOUTS):
            self.train(f"alike{i}", "--init-from", self.base, "--steps", "6", **sets, **layout)
            losses.append(self.losses(f"alike{i}"))
            self.assertEqual(losses[0].keys(), losses[i].keys())
            for step, loss in losses[0].items():
                self.assertAlmostEqual(loss, losses[i][step], delta=1e-5 * loss)
            after = self.tensors(f"alike{i}", 6)
            for name, values in self.tensors("base", 10).items():
                stays = name.startswith("h.0.") or name == "wpe.weight"
                self.assertEqual(values == after[name], stays, name)

    def test_frozen_gradients_are_no_part_of_the_norm(self):
        self.train("norm", "--steps", "1", **FROZEN)
        self.assertEqual(self.records("norm")[0]["grad_norm"], 0)

    def test_a_resumed_run_does_not_begin_again(self):
        queued = ("--init-from", self.base, "--resume", "auto")
        self.assertIn("begins with", self.train("queued", *queued, "--steps", "10"))
        output = self.train("queued", *queued, "--steps", "20")
        self.assertIn("resumed from", output)
        self.assertNotIn("begins with", output)
        self.train("queued-whole", "--init-from", self.base, "--steps", "20")
        self.assertEqual(self.trace("queued"), self.trace("queued-whole"))
        self.assertEqual(self.state("queued", 20), self.state("queued-whole", 20))

    def assert_refused(self, words, *arguments, **sets):
        result = self.weft(*self.command("refused", *arguments, **sets)[1:])
        self.assertEqual(result.returncode, 2, result.stdout)
        self.assertIn(words, result.stderr)
        self.assertFalse((self.root / "runs" / "refused").exists())

    def test_refuses_what_would_load_something_else(self):
        start = ("--init-from", self.base)
        self.assert_refused("holds no intact checkpoint", "--init-from", "data")
        self.assert_refused("give one of them", *start, "--resume", self.base)
        self.assert_refused("set load.vocabulary to grow to draw the 3 new rows", *start,
                            model__vocab_size=20)
        self.assert_refused("model.heads: ", *start, model__heads=4)
        self.assert_refused("has no tensor h.2.ln_1.weight", *start, model__layers=3)
        self.assert_refused("has a tensor h.1.", *start, model__layers=1)
        self.assert_refused("wpe.weight is [32, 32], the model needs [64, 32]", *start,
                            model__context_length=64)
        self.assert_refused("has a tensor h.0.attn.k.bias", *start, model__bias="false")
        self.assert_refused("no meaning without load.weights", load__skip="['*']")

    def test_refuses_patterns_that_freeze_nothing_or_half_a_matrix(self):
        self.assert_refused("'h.0.atn.q.weight' matches no tensor of the model; the nearest are "
                            "h.0.attn.q.weight", optimizer__freeze="[h.0.atn.q.weight]")
        self.assert_refused("one matrix in memory", optimizer__freeze="['h.*.attn.q.*']")


if __name__ == "__main__":
    main()
