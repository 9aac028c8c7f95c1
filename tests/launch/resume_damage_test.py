#!/usr/bin/env python3
"""`weft train --resume auto` beside damaged checkpoints, on one rank and on several.

    resume_damage_test.py PATH_OF_WEFT [MPIRUN ARGUMENTS...]
"""

import json

from train_program import TrainTest, main


class ResumeDamageTest(TrainTest):
    def flip_bit(self, name, step, file):
        """Damages a data block in the middle of a file of a checkpoint; that tensor's name."""
        path = self.checkpoints(name) / f"step_{step:08}"
        manifest = json.loads((path / "manifest.json").read_text())["manifest"]
        number = [f["name"] for f in manifest["files"]].index(file)
        tensor, box = [(t["name"], b) for t in manifest["tensors"] for b in t["boxes"]
                       if b["file"] == number and t["name"].endswith("mlp.up.weight")][0]
        data = bytearray((path / file).read_bytes())
        data[box["at"] + 5] ^= 4
        (path / file).write_bytes(data)
        return tensor

    def assert_goes_back(self, name, file, ranks, **sets):
        """Trains 20 steps, damages the last checkpoint, resumes: from step 10, as if never stopped."""
        self.train(name, "--steps", "20", **ranks, **sets)
        tensor = self.flip_bit(name, 20, file)
        output = self.train(name, "--resume", "auto", **ranks, **sets)
        self.assertIn("WARNING: checkpoint of step 20 is passed over: rank ", output)
        self.assertIn(f"{file}: dataset /tensors/{tensor}", output)
        self.assertIn("step_00000010 at step 10", output)
        self.train(name + "-whole", **ranks, **sets)
        self.assertEqual(self.trace(name), self.trace(name + "-whole"))
        self.assertEqual(self.state(name, 30), self.state(name + "-whole", 30))
        self.weft("ckpt", "verify", self.checkpoints(name) / "step_00000020").check_returncode()
        return output

    def test_goes_back_on_one_rank(self):
        self.assert_goes_back("one", "rank_00000.h5", {})

    def test_goes_back_when_every_rank_sees_the_damage(self):
        self.assert_goes_back("both", "rank_00000.h5", {"ranks": 2})

    def test_goes_back_when_one_rank_sees_the_damage(self):
        output = self.assert_goes_back("half", "rank_00001.h5", {"ranks": 2}, mesh__tp=2)
        self.assertIn("passed over: rank 1: ", output)

    def test_goes_back_twice(self):
        self.train("twice")
        for step in (30, 20):
            self.flip_bit("twice", step, "rank_00000.h5")
        output = self.train("twice", "--resume", "auto")
        self.assertIn("step_00000010 at step 10", output)
        self.assertEqual(output.count("is passed over"), 2)

    def test_starts_nothing_new_over_damaged_checkpoints(self):
        self.train("lost", "--steps", "10")
        self.flip_bit("lost", 10, "rank_00000.h5")
        command = self.command("lost", "--resume", "auto")[1:]
        result = self.weft(*command)
        self.assertEqual(result.returncode, 2, result.stdout)
        self.assertIn("holds no older intact checkpoint", result.stderr)
        (self.checkpoints("lost") / "step_00000010" / "rank_00000.h5").unlink()
        result = self.weft(*command)
        self.assertEqual(result.returncode, 2, result.stdout)
        self.assertIn("holds no intact checkpoint", result.stderr)

    def test_goes_back_past_a_step_that_was_renamed(self):
        self.train("renamed", "--steps", "20")
        path = self.checkpoints("renamed") / "step_00000025"
        (self.checkpoints("renamed") / "step_00000020").rename(path)
        result = self.weft(*self.command("renamed", "--resume", str(path))[1:])
        self.assertEqual(result.returncode, 2, result.stdout)
        self.assertIn("is called step 25 and holds step 20", result.stderr)
        output = self.train("renamed", "--resume", "auto")
        self.assertIn("is called step 25 and holds step 20", output)
        self.assertIn("step_00000010 at step 10", output)

    def test_a_file_is_no_checkpoint(self):
        result = self.weft(*self.command("file", "--resume", "text.txt")[1:])
        self.assertEqual(result.returncode, 2, result.stdout + result.stderr)

    def test_a_checkpoint_that_was_named_is_taken_or_refused(self):
        self.train("named", "--steps", "20")
        self.flip_bit("named", 20, "rank_00000.h5")
        path = self.checkpoints("named")
        result = self.weft(*self.command("named", "--resume", str(path / "step_00000020"))[1:])
        self.assertEqual(result.returncode, 2, result.stdout)
        self.assertIn("rank_00000.h5: dataset /tensors/", result.stderr)
        self.assertIn("step_00000010 at step 10", self.train("named", "--resume", str(path)))


if __name__ == "__main__":
    main()
