#!/usr/bin/env python3
"""What `weft train`, `weft prepare` and `weft tokenize` refuse: one line that names the fix, exit
code 2 (3 for what the machine lacks), and nothing written.

    train_refusals_test.py PATH_OF_WEFT
"""

import os
import shutil
import struct

from train_program import WEFT, TrainTest, main

NOBODY = 65534
TRAIN = ("train", "run.yaml", "--set")
BYTES = ("prepare", "--tokenizer", "byte", "--output", "out")

# (what is wrong, command line, kind, words of the message)
WRONG_CONFIGS = [
    ("no such config", ("train", "none.yaml"), "config", "no such file"),
    ("unknown key", (*TRAIN, "model.layrs=2"), "config", "did you mean 'model.layers'?"),
    ("wrong type", (*TRAIN, "model.layers=two"), "config", "legal: an integer from 1"),
    ("heads that do not divide", (*TRAIN, "model.heads=5"), "config", "try heads 4 or 8"),
    ("sequence longer than context", (*TRAIN, "train.sequence_length=33"), "config",
     "try 32 or auto"),
    ("batch that does not divide", (*TRAIN, "train.batch_size=7", "--local-ranks", "2"), "config",
     "try 6 or 8"),
    ("micro-batch that does not divide", (*TRAIN, "train.micro_batch_size=5"), "config",
     "try 10 or 15"),
    ("pipeline of other blocks", (*TRAIN, "pipeline.layers=[1,2]"), "config",
     "2 numbers that add up to 3; give 1"),
    ("mesh that is not the job", (*TRAIN, "mesh.dp=2"), "config", "or start 2 ranks"),
    ("warm-up longer than the run", (*TRAIN, "schedule.warmup_steps=31"), "config", "at most 30"),
    ("nothing to train on", (*TRAIN, "data.train=[]"), "config", "weft prepare"),
    ("step that is none", ("train", "run.yaml", "--steps", "0"), "usage", "not in range"),
    ("graphs on a CPU", (*TRAIN, "cuda.graphs=true"), "config", "ranks on CPUs have no CUDA graphs"),
    ("a trace of graphs", (*TRAIN, "cuda.graphs=true", "--set", "device=cuda", "--set",
                           "model.dropout=0", "--trace", "t.json"), "usage", "cuda.graphs=false"),
    ("vocabulary smaller than the ids", (*TRAIN, "model.vocab_size=16"), "input",
     "set its size to 17"),
]

# Files are made by InputTest.setUpClass.
WRONG_INPUTS = [
    ("missing data", (*TRAIN, "data.train=[data/none]"), "input", "check the path"),
    ("text as data", (*TRAIN, "data.train=[text.txt]"), "input", "run `weft prepare`"),
    ("directory as data", (*TRAIN, "data.train=[data]"), "input", "name data/train or data/validation"),
    ("truncated data", (*TRAIN, "data.train=[truncated/train]"), "input", "run `weft prepare` again"),
    ("bad header", (*TRAIN, "data.train=[header/train]"), "input", "the header is damaged"),
    ("corpus shorter than one window", (*TRAIN, "data.train=[short/train]"), "input",
     "use more text or a shorter train.sequence_length"),
    ("id beyond the vocabulary", (*TRAIN, "data.train=[beyond.bin]", "--set", "data.validation=[]",
                                  "--set", "train.eval_interval=0", "--set",
                                  "model.vocab_size=50257"), "input", "60000"),
    ("broken manifest", (*TRAIN, "data.train=[manifest/train]"), "input", "not the manifest"),
    ("no checkpoint", ("train", "run.yaml", "--resume", "data"), "input", "or auto"),
    ("text that is not UTF-8", (*BYTES, "latin1.txt"), "input", "iconv"),
    ("empty text", (*BYTES, "empty.txt"), "input", "give a file with text"),
    ("directory as text", (*BYTES, "data"), "input", "name the file in it"),
    ("missing text", (*BYTES, "none.txt"), "input", "check the path"),
    ("JSONL without the field", (*BYTES, "field.jsonl"), "input", "--jsonl-field"),
    ("broken JSONL", (*BYTES, "broken.jsonl"), "input", "line 2"),
    ("output that is taken", (*BYTES[:-1], "data", "text.txt"), "usage", "--force"),
    ("text without permission", (*BYTES, "secret.txt"), "input", "Permission denied"),
    ("data without permission", (*TRAIN, "data.train=[secret/train]"), "input",
     "Permission denied"),
    ("missing input", ("tokenize", "--tokenizer", "byte", "none.txt"), "input", "check the path"),
    ("input that is not UTF-8", ("tokenize", "--tokenizer", "byte", "latin1.txt"), "input",
     "iconv"),
    ("vocabulary that is none", ("tokenize", "--tokenizer", "gpt2", "--vocab", "text.txt",
                                 "--merges", "text.txt", "text.txt"), "input", "not JSON"),
]


class RefusalTest(TrainTest):
    def everything(self):
        """Every path below the directory of the test, with its size."""
        return {path: path.stat().st_size for path in self.root.rglob("*")}

    def assert_refused(self, result, code, kind, words):
        self.assertEqual(result.returncode, code, result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertTrue(result.stderr.startswith(f"weft: {kind} error: "), result.stderr)
        self.assertIn(words, result.stderr)
        self.assertEqual(result.stdout, "")

    def check_table(self, table, **options):
        before = self.everything()
        for what, arguments, kind, words in table:
            with self.subTest(what):
                self.assert_refused(self.weft(*arguments, **options), 2, kind, words)
                self.assertEqual(self.everything(), before)


class ConfigTest(RefusalTest):
    def test_wrong_configs(self):
        self.check_table(WRONG_CONFIGS)

    def test_a_model_that_memory_cannot_hold(self):
        before = self.everything()
        result = self.weft(*TRAIN, "model.layers=200", "--set", "model.width=16384")
        # 12 layers width^2 weights of 4 bytes are 2,457,600 MiB; the moments take twice that.
        self.assert_refused(result, 3, "environment", "weights 2457")
        for words in ("optimizer 4920", "MiB are free; lower train.micro_batch_size"):
            self.assertIn(words, result.stderr)
        self.assertEqual(self.everything(), before)


class InputTest(RefusalTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name in ("truncated", "header", "manifest", "secret"):
            shutil.copytree(cls.root / "data", cls.root / name)
        with open(cls.root / "truncated/train/tokens.bin", "r+b") as file:
            file.truncate(1000)
        with open(cls.root / "header/train/tokens.bin", "r+b") as file:
            file.write(b"WEFTTOCS")
        (cls.root / "manifest/train/manifest.json").write_text("{")
        (cls.root / "short.txt").write_text("too short")
        super().weft("prepare", "--tokenizer", "byte", "--output", "short", "short.txt",
                     "--validation-fraction", "0").check_returncode()
        header = struct.pack("<256i", 20240520, 1, 100, *[0] * 253)  # of llm.c
        (cls.root / "beyond.bin").write_bytes(header + struct.pack("<100H", *[7] * 99, 60000))
        (cls.root / "latin1.txt").write_bytes("für".encode("latin-1"))
        (cls.root / "empty.txt").write_bytes(b"")
        (cls.root / "field.jsonl").write_text('{"text": "a"}\n{"body": "b"}\n')
        (cls.root / "broken.jsonl").write_text('{"text": "a"}\n{"text": "b"\n')
        (cls.root / "secret.txt").write_text("nobody reads this")
        for path in ("secret.txt", "secret/train/tokens.bin"):
            (cls.root / path).chmod(0)
        # Where anybody can start it.
        cls.root.chmod(0o755)
        cls.program = shutil.copy(WEFT, cls.root / "weft")

    def test_wrong_inputs(self):
        # As somebody whom permissions bind.
        self.check_table(WRONG_INPUTS, user=NOBODY if os.geteuid() == 0 else None)


class RunTest(RefusalTest):
    """Two runs, or a run and a checkpoint, that do not go together."""

    def test_a_directory_that_another_run_writes_to(self):
        # Without checkpoints, of which the refusal would speak first.
        process = self.start("taken", train__steps=1000000, checkpoint__interval=0)
        self.wait_until(lambda: len(self.metrics_lines("taken")) > 0, process)
        command = self.command("taken", train__steps=1000000)[1:]
        self.assert_refused(self.weft(*command), 3, "environment", "another")
        self.assertIsNone(process.poll())
        process.terminate()
        self.assertEqual(process.wait(), 0)
        self.assertEqual({r["attempt"] for r in self.records("taken")}, {1})

    def test_a_checkpoint_of_another_run(self):
        self.train("first", "--steps", "2")
        self.weft("prepare", "--tokenizer", "char", "--output", "other", "--validation-fraction",
                  "0.2", "text.txt").check_returncode()
        before = self.everything()
        for key, value, kind, words in [
                ("seed", "2", "config", "seed 1"),
                ("data.train", "[other/train]", "config", "data digest"),
                ("train.batch_size", "6", "config", "train.batch_size 12"),
                ("model.layers", "1", "input", "a model of"),
                ("model.layers", "3", "input", "a model of"),
                ("model.width", "64", "input", "a model of")]:
            with self.subTest(key):
                self.assert_refused(
                    self.weft(*self.command("first", "--resume", "auto")[1:], "--set",
                              f"{key}={value}"), 2, kind, words)
        self.assert_refused(self.weft(*self.command("first")[1:]), 2, "config", "--resume auto")
        self.assertEqual(self.everything(), before)

    def test_a_damaged_checkpoint(self):
        self.train("whole", checkpoint__interval=5)
        self.train("damaged", "--steps", "10", checkpoint__interval=5)
        path = self.checkpoints("damaged") / "step_00000010"
        with open(path / "rank_00000.h5", "r+b") as file:
            file.truncate(5000)
        self.assert_refused(
            self.weft(*self.command("damaged", "--resume", str(path))[1:]), 2, "input", "rank_00000.h5")
        output = self.train("damaged", "--resume", "auto", checkpoint__interval=5)
        self.assertIn("step_00000010", output)
        self.assertIn("at step 5\n", output)
        self.assertEqual(self.trace("damaged"), self.trace("whole"))
        self.assertEqual(self.state("damaged", 30), self.state("whole", 30))


if __name__ == "__main__":
    main()
