#!/usr/bin/env python3
"""A checkpoint that weft 0.1.0 wrote, with its data, is whole, loads, and goes on as it went on then.

    old_checkpoint_test.py PATH_OF_WEFT

fixtures/checkpoint_0.1.0.tar.gz holds run.yaml, data/, the checkpoint of step 3 of 6, and metrics.jsonl of
the run that was not interrupted. Where this machine makes the first three steps to the same bits as
that one did, the other three must have the same bits too, else differ by rounding alone.
"""

import json
import pathlib
import struct
import tarfile

from train_program import TrainTest, main

FIXTURE = pathlib.Path(__file__).parent / "fixtures/checkpoint_0.1.0.tar.gz"
SAVED, STEPS = 3, 6
ROUNDING = 5e-6  # of f32 sums in another order, see golden_trace_test.py


def hex_values(records, first, last):
    return [(r["step"], r["loss_hex"], r["grad_norm_hex"]) for r in records
            if first <= r["step"] <= last]


class OldCheckpointTest(TrainTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with tarfile.open(FIXTURE) as archive:
            archive.extractall(cls.root / "then", **({"filter": "data"} if hasattr(tarfile, "data_filter")
                                                     else {}))
        cls.root = cls.root / "then"
        cls.then = [json.loads(line) for line in (cls.root / "metrics.jsonl").read_text().splitlines()]
        cls.checkpoint = cls.root / f"runs/run/checkpoints/step_{SAVED:08}"

    def weights(self):
        """Each parameter's f32 values in the shard file, as the manifest places them."""
        manifest = json.loads((self.checkpoint / "manifest.json").read_text())["manifest"]
        data = (self.checkpoint / "rank_00000.h5").read_bytes()
        for tensor in manifest["tensors"]:
            if tensor["kind"] == "weight":
                (box,) = tensor["boxes"]
                count = 1
                for extent in box["extent"]:
                    count *= extent
                yield struct.unpack_from(f"<{count}f", data, box["at"])

    def test_is_whole(self):
        result = self.weft("ckpt", "verify", str(self.checkpoint))
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn(f"step          {SAVED}\n", self.weft("ckpt", "show", str(self.checkpoint)).stdout)

    def test_loads_to_the_bit(self):
        result = self.weft("ckpt", "export", "--to", "safetensors", str(self.checkpoint), "exported")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        data = (self.root / "exported/model.safetensors").read_bytes()
        size, = struct.unpack_from("<Q", data)
        exported = struct.unpack(f"<{(len(data) - 8 - size) // 4}f", data[8 + size:])
        stored = [value for values in self.weights() for value in values]
        self.assertEqual(sorted(exported), sorted(stored))

    def test_goes_on_as_then(self):
        result = self.weft("train", "run.yaml", "--resume", "auto")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn(f"step_{SAVED:08} at step {SAVED}", result.stdout)
        now = self.records("run")
        self.assertEqual([r["step"] for r in now], list(range(SAVED + 1, STEPS + 1)))
        self.train("fresh")
        if hex_values(self.records("fresh"), 1, SAVED) == hex_values(self.then, 1, SAVED):
            self.assertEqual(hex_values(now, SAVED + 1, STEPS), hex_values(self.then, SAVED + 1, STEPS))
        for key in ("loss_hex", "grad_norm_hex"):
            for mine, theirs in zip(now, self.then[SAVED:]):
                was = float.fromhex(theirs[key])
                self.assertLessEqual(abs(float.fromhex(mine[key]) - was), ROUNDING * abs(was), key)


if __name__ == "__main__":
    main()
