#!/usr/bin/env python3
"""`weft ckpt` as a program: what it prints and how it ends.

    ckpt_program_test.py PATH_OF_WEFT
"""

import json
import shutil

from train_program import TrainTest, main

STEPS = ("--steps", "4")
OFTEN = {"checkpoint__interval": 1, "checkpoint__keep_last": 0}


class DiffTest(TrainTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name, sets in [("one", {}), ("again", {}), ("other", {"seed": 2})]:
            cls.weft(*cls.command(name, *STEPS, **OFTEN, **sets)[1:]).check_returncode()

    def diff(self, *arguments):
        return self.weft("ckpt", "diff", *arguments)

    def test_equal_runs_have_equal_tensors(self):
        result = self.diff("--weights", self.checkpoints("one"), self.checkpoints("again"))
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn("equal: ", result.stdout)
        whole = self.diff(self.checkpoints("one"), self.checkpoints("again"))
        self.assertEqual(whole.returncode, 1)
        self.assertIn('config name: one in A, again in B', whole.stdout)
        self.assertNotIn("tensor ", whole.stdout.replace("tensors", ""))

    def test_a_checkpoint_is_equal_to_itself(self):
        path = self.checkpoints("one")
        result = self.diff(path, path)
        self.assertEqual(result.returncode, 0, result.stdout)

    def test_names_tensors_run_state_and_keys_that_differ(self):
        result = self.diff(self.checkpoints("one"), self.checkpoints("other"))
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertRegex(result.stdout,
                         r"tensor wte.weight \(weight\): \d+ of \d+ elements differ, by at most \d")
        self.assertIn("run state seed: 1 in A, 2 in B", result.stdout)
        self.assertIn("config seed: 1 in A, 2 in B", result.stdout)

    def test_refuses_what_is_no_checkpoint(self):
        result = self.diff(self.checkpoints("one"), "data")
        self.assertEqual(result.returncode, 2)
        self.assertIn("is no checkpoint", result.stderr)


class VerifyTest(TrainTest):
    """Damage to a checkpoint that a program may do: each is named, with exit code 2."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.weft(*cls.command("run", *STEPS, "--local-ranks", "2", **OFTEN)[1:]).check_returncode()

    def copy_of_step_4(self, name):
        path = self.root / name / "step_00000004"
        shutil.copytree(self.checkpoints("run") / "step_00000004", path)
        return path

    def assert_named(self, path, *words):
        result = self.weft("ckpt", "verify", str(path))
        self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
        for word in words:
            self.assertIn(word, result.stdout + result.stderr)

    def test_an_intact_one(self):
        result = self.weft("ckpt", "verify", str(self.copy_of_step_4("intact")))
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        self.assertIn(": intact", result.stdout)

    def test_a_flipped_bit(self):
        path = self.copy_of_step_4("flip")
        manifest = json.loads((path / "manifest.json").read_text())["manifest"]
        tensor = manifest["tensors"][0]
        box = tensor["boxes"][0]
        file = path / manifest["files"][box["file"]]["name"]
        data = bytearray(file.read_bytes())
        data[box["at"]] ^= 4
        file.write_bytes(data)
        dataset = f"/tensors/{tensor['name']}/{tensor['kind']}/box_{box['box']}"
        self.assert_named(path, file.name, dataset, "block 0 of 1", ": 1 faults")

    def test_a_shard_too_many_and_one_too_few(self):
        path = self.copy_of_step_4("shards")
        shutil.copy(path / "rank_00000.h5", path / "rank_00002.h5")
        self.assert_named(path, "rank_00002.h5 is not in the manifest")
        (path / "rank_00002.h5").unlink()
        (path / "rank_00001.h5").unlink()
        self.assert_named(path, "rank_00001.h5 is missing")

    def test_files_of_two_steps(self):
        path = self.copy_of_step_4("mixed")
        shutil.copy(self.checkpoints("run") / "step_00000003" / "rank_00001.h5", path)
        self.assert_named(path, "rank_00001.h5", "belongs to another checkpoint")

    def test_a_symbolic_link(self):
        path = self.copy_of_step_4("link")
        (path / "rank_00001.h5").rename(path.parent / "elsewhere.h5")
        (path / "rank_00001.h5").symlink_to(path.parent / "elsewhere.h5")
        self.assert_named(path, "rank_00001.h5 is a symbolic link")

    def test_another_step_than_its_name_says(self):
        path = self.copy_of_step_4("renamed").parent / "step_00000009"
        (path.parent / "step_00000004").rename(path)
        both = "step_00000009 is called step 9 and holds step 4"
        self.assert_named(path, both)
        for command in (["show", path], ["diff", path, path], ["ls", path.parent],
                        ["export", "--to", "safetensors", path, "never"]):
            result = self.weft("ckpt", *map(str, command))
            self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
            self.assertIn(both, result.stdout + result.stderr)
        # Not counted among those that are kept, so that what is good stays.
        shutil.copytree(self.checkpoints("run") / "step_00000003", path.parent / "step_00000003")
        self.weft("ckpt", "prune", "--keep-last", "1", str(path.parent)).check_returncode()
        self.assertTrue((path.parent / "step_00000003").exists())
        result = self.weft("ckpt", "show", str(path.parent))
        self.assertIn("step          3", result.stdout)
        self.assertIn(both, result.stderr)
        # Under a name that says no step it may lie anywhere.
        best = path.rename(path.parent / "best")
        self.weft("ckpt", "verify", str(best)).check_returncode()
        self.weft("ckpt", "show", str(best)).check_returncode()

    def test_an_absolute_path(self):
        path = self.copy_of_step_4("absolute")
        manifest = path / "manifest.json"
        text = manifest.read_text()
        manifest.write_text(text.replace('"rank_00001.h5"', f'"{path.parent}/x"'))
        self.assert_named(path, "manifest.json")


class PruneTest(TrainTest):
    def steps(self):
        return sorted(int(p.name[5:]) for p in self.checkpoints("run").glob("step_*"))

    def test_deletes_what_is_not_kept_after_saying_so(self):
        self.train("run", *STEPS, **OFTEN)
        self.assertEqual(self.steps(), [1, 2, 3, 4])
        keep = ("--keep-last", "1", "--keep-every", "2")
        dry = self.weft("ckpt", "prune", self.checkpoints("run"), *keep, "--dry-run")
        self.assertEqual(dry.returncode, 0, dry.stderr)
        self.assertIn("2 removed, 2 left (dry run", dry.stdout)
        self.assertEqual(self.steps(), [1, 2, 3, 4])
        self.weft("ckpt", "prune", self.checkpoints("run"), *keep).check_returncode()
        self.assertEqual(self.steps(), [2, 4])
        refused = self.weft("ckpt", "prune", self.checkpoints("run"), "--keep-last", "0")
        self.assertEqual(refused.returncode, 2)

    def test_a_run_keeps_its_milestones(self):
        self.train("milestones", "--steps", "5", checkpoint__interval=1, checkpoint__keep_last=1,
                   checkpoint__keep_every=2)
        names = sorted(p.name for p in self.checkpoints("milestones").glob("step_*"))
        self.assertEqual(names, [f"step_{n:08}" for n in (2, 4, 5)])


if __name__ == "__main__":
    main()
