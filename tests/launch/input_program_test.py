#!/usr/bin/env python3
"""What comes in from outside is read right or refused with a message: data and its digests, tokenizers,
texts, paths, weights.

    input_program_test.py PATH_OF_WEFT
"""

import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest

WEFT = os.path.abspath(sys.argv[1])
PATIENCE = 120  # seconds that anything may take on a busy machine

CONFIG = """
name: run
model: {context_length: 16, layers: 1, heads: 2, width: 16}
data: {train: [data/train], validation: [data/validation]}
train: {steps: 4, batch_size: 4, eval_interval: 2, eval_batches: 1}
schedule: {warmup_steps: 1}
checkpoint: {interval: 2}
cpu: {threads: 1}
"""


class InputTest(unittest.TestCase):
    """Each test has a directory of its own, with text.txt, run.yaml, data/ and a home."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="weft-input-")
        self.addCleanup(scratch.cleanup)
        self.root = pathlib.Path(scratch.name)
        (self.root / "home").mkdir()
        self.text = "\n".join(f"line {i} of a small text, {i * i}" for i in range(200)) + "\n"
        (self.root / "text.txt").write_text(self.text)
        (self.root / "run.yaml").write_text(CONFIG)
        self.weft(0, "prepare", "--tokenizer", "byte", "--output", "data", "text.txt")

    def environment(self, **more):
        without = {k: v for k, v in os.environ.items() if not k.startswith("WEFT_")}
        return {**without, "HOME": str(self.root / "home"),
                "WEFT_CACHE": str(self.root / "cache"), **more}

    def weft(self, expected, *arguments, **environment):
        """Runs weft, which must end with the code expected; what it said."""
        result = subprocess.run([WEFT, *map(str, arguments)], cwd=self.root, capture_output=True,
                                check=False, stdin=subprocess.DEVNULL, timeout=PATIENCE,
                                env=self.environment(**environment))
        said = (result.stdout + result.stderr).decode(errors="replace")
        codes = expected if isinstance(expected, tuple) else (expected,)
        self.assertIn(result.returncode, codes, f"{arguments}: {said}")
        if result.returncode != 0:
            self.assertIn("weft: ", said)
            self.assertNotIn("internal error", said)
        return said

    def train(self, expected, name, *sets, more=(), **environment):
        arguments = ["train", "run.yaml", *more]
        for key in (f"name={name}", *sets):
            arguments += ["--set", key]
        return self.weft(expected, *arguments, **environment)

    def overwrite(self, path, at, data):
        with open(self.root / path, "r+b") as file:
            file.seek(at)
            file.write(data)


class Data(InputTest):
    def test_changed_ids_are_found_also_after_a_good_start(self):
        self.train(0, "a")
        self.overwrite("data/train/tokens.bin", 1000, b"e")
        self.assertIn("digest", self.train(2, "b"))
        self.assertIn("tokens.bin", self.train(2, "b"))
        self.train(0, "c", "data.verify=never")

    def test_times_that_were_set_back_hide_nothing(self):
        self.train(0, "a")
        path = self.root / "data/validation/tokens.bin"
        before = path.stat()
        self.overwrite(path, 70, b"\x01")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        self.assertIn("digest", self.train(2, "b"))

    def test_every_file_of_a_dataset_is_held_to_its_digest(self):
        path = self.root / "data/train/documents.bin"
        size = path.stat().st_size
        path.write_bytes(path.read_bytes()[:40] + b"\x01" + path.read_bytes()[41:])
        self.assertEqual(path.stat().st_size, size)
        self.assertIn("documents.bin", self.train(2, "a"))

    def test_a_file_is_read_through_once(self):
        ids = [i % 200 for i in range(3000)]
        header = [20240520, 1, len(ids)] + [0] * 253
        path = self.root / "foreign.bin"
        path.write_bytes(struct.pack("<256i", *header) + struct.pack(f"<{len(ids)}H", *ids))
        time.sleep(0.1)  # what has just been written is not kept
        sets = ["data.train=[foreign.bin]", "data.validation=[foreign.bin]",
                "model.vocab_size=256"]
        self.train(0, "a", *sets)
        kept = sorted(os.listdir(self.root / "cache/data"))
        self.assertGreater(len(kept), 0)
        times = {name: (self.root / "cache/data" / name).stat().st_mtime_ns for name in kept}
        self.train(0, "b", *sets)
        for name, then in times.items():  # what is read is kept, so nothing was
            self.assertEqual((self.root / "cache/data" / name).stat().st_mtime_ns, then)
        self.train(0, "c", *sets, "data.verify=always")
        self.assertNotEqual(
            times, {n: (self.root / "cache/data" / n).stat().st_mtime_ns for n in kept})

    def test_a_cache_that_cannot_be_made_costs_a_warning(self):
        header = [20240520, 1, 3000] + [0] * 253
        (self.root / "foreign.bin").write_bytes(struct.pack("<256i", *header) + b"\1\0" * 3000)
        time.sleep(0.1)
        said = self.train(0, "a", "data.train=[foreign.bin]", "data.validation=[]",
                          "model.vocab_size=256", "train.eval_interval=0",
                          WEFT_CACHE=str(self.root / "text.txt/cache"))
        self.assertIn("WARNING: what was read of foreign.bin could not be kept", said)

    def test_ranks_do_not_train_on_different_data(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        other = self.text.replace("small", "SMALL")
        ranks = []
        for rank, text in enumerate((self.text, other)):
            here = self.root / f"host{rank}"
            here.mkdir()
            (here / "text.txt").write_text(text)
            shutil.copy(self.root / "run.yaml", here)
            environment = self.environment(WEFT_CACHE=str(here / "cache"))
            prepare = [WEFT, "prepare", "--tokenizer", "byte", "--output", "data", "text.txt"]
            subprocess.run(prepare, cwd=here, check=True, env=environment, capture_output=True,
                           timeout=PATIENCE)
            environment |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
                            "MASTER_PORT": str(port)}
            process = subprocess.Popen([WEFT, "train", "run.yaml"], cwd=here, env=environment,
                                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
            ranks.append(process)
        said = [process.communicate(timeout=PATIENCE)[0] for process in ranks]
        self.assertEqual([process.returncode for process in ranks], [2, 2], said)
        self.assertIn("rank 1 has other data in data.train", said[0])

    def test_ranks_of_one_host_share_what_was_read(self):
        self.train(0, "a", more=("--local-ranks", "2"))
        self.overwrite("data/train/tokens.bin", 1000, b"e")
        self.assertIn("digest", self.train(2, "b", more=("--local-ranks", "2")))


class Tokenizers(InputTest):
    def test_only_its_own_files_travel(self):
        (self.root / "data/tokenizer/.DS_Store").write_text("x")
        os.mkfifo(self.root / "data/tokenizer/fifo")
        self.train(0, "a")
        attached = os.listdir(self.root / "runs/a/checkpoints/step_00000004/attached")
        self.assertEqual(sorted(attached), ["config.yaml", "tokenizer.json"])

    def test_a_missing_one_is_said_before_training(self):
        shutil.rmtree(self.root / "data/tokenizer")
        self.assertIn("tokenizer.json", self.train(2, "a"))
        self.assertFalse((self.root / "runs/a/metrics.jsonl").exists())

    def test_another_one_is_refused(self):
        self.weft(0, "prepare", "--tokenizer", "char", "--output", "other", "text.txt")
        shutil.rmtree(self.root / "data/tokenizer")
        shutil.copytree(self.root / "other/tokenizer", self.root / "data/tokenizer")
        self.assertIn("tokenizer of digest", self.train(2, "a"))
        self.assertIn("different tokenizers",
                      self.train(2, "b", "data.train=[other/train]", "model.vocab_size=256"))

    def test_pipes_and_devices_are_refused(self):
        os.mkfifo(self.root / "fifo")
        for path in ("fifo", "/dev/zero", "data"):
            for option in ("--text-for-vocab",):
                self.weft(2, "tokenize", "--tokenizer", "char", option, path, "text.txt")
            self.weft(2, "tokenize", "--tokenizer", "gpt2", "--vocab", path, "--merges", path)
            self.weft(2, "tokenize", "--tokenizer", "byte", path)
            self.weft(2, "prepare", "--tokenizer", "byte", "--output", "o", path)
            self.weft(2, "prepare", "--tokenizer", "cl100k", "--ranks", path, "--output", "o",
                      "text.txt")

    def test_deep_and_huge_json_is_refused(self):
        for text in ("[" * 1000000, '{"a":' * 100000, '{"a":1e999}', "[]"):
            (self.root / "data/tokenizer/tokenizer.json").write_text(text)
            self.weft(2, "tokenize", "--from", "data/tokenizer", "text.txt")
            (self.root / "data/train/manifest.json").write_text(text)
            self.train(2, "a")


class JsonLines(InputTest):
    def documents(self, *names, more=()):
        shutil.rmtree(self.root / "o", ignore_errors=True)
        said = self.weft(0, "prepare", "--tokenizer", "byte", "--validation-fraction", "0",
                         "--output", "o", *more, *names)
        manifest = json.loads((self.root / "o/train/manifest.json").read_text())
        return manifest["documents"], manifest["skipped_documents"], said

    def write(self, name, *lines):
        (self.root / name).write_text("".join(line + "\n" for line in lines))

    def test_they_are_known_by_their_content(self):
        self.write("corpus.json", '{"text":"one"}', '{"text":null}', '{"text":"three","x":NaN}')
        documents, skipped, said = self.documents("corpus.json")
        self.assertEqual((documents, skipped), (2, 1))
        self.assertIn("read as JSON lines", said)
        documents, _, said = self.documents("corpus.json", more=("--format", "text"))
        self.assertEqual(documents, 1)

    def test_tokenize_says_what_it_takes_for_text(self):
        self.write("corpus.json", '{"text":"one"}')
        said = self.weft(0, "tokenize", "--tokenizer", "byte", "corpus.json")
        self.assertIn("notice: corpus.json is JSON lines", said)
        said = self.weft(0, "tokenize", "--tokenizer", "byte", "--jsonl", "corpus.json")
        self.assertEqual(said, '{"ids":[111,110,101]}\n')

    def test_bad_lines_stop_the_corpus_unless_told(self):
        self.write("a.jsonl", '{"text":"one"}', '{"text":"\\ud800"}', '{"body":1}', "[", '{"text":"b"}')
        said = self.weft(2, "prepare", "--tokenizer", "byte", "--output", "o", "a.jsonl")
        self.assertIn("a.jsonl: line 2", said)
        self.assertIn("--skip-bad-lines", said)
        documents, _, said = self.documents("a.jsonl", more=("--skip-bad-lines",))
        self.assertEqual(documents, 2)
        self.assertIn("3 bad lines left out, the first: a.jsonl: line 2", said)

    def test_brackets_have_a_limit(self):
        self.write("a.jsonl", '{"text":"a","x":' + "[" * (8 << 20))
        self.weft(2, "prepare", "--tokenizer", "byte", "--output", "o", "a.jsonl")
        self.write("ids.jsonl", '{"ids":[' + "[" * 150000 + "]" * 150000 + "]}")
        self.weft(2, "detokenize", "--tokenizer", "byte", "--jsonl", "ids.jsonl")


class Paths(InputTest):
    def test_home_and_variables_of_configurations(self):
        self.train(0, "a", "output.directory=~/runs")
        self.assertTrue((self.root / "home/runs/a/metrics.jsonl").exists())
        self.train(0, "b", "output.directory=$PLACE/x", PLACE=str(self.root / "home"))
        self.train(0, "c", "output.directory=${PLACE}2", PLACE=str(self.root / "home/x"))
        (self.root / "home.yaml").write_text(CONFIG + 'output: {directory: "~/runs"}\n')
        self.weft(0, "train", "home.yaml", "--set", "name=d")
        self.weft(0, "train", "home.yaml", "--set", "name=e", "--set", "data.train=[~/../data/train]")
        made = sorted(os.listdir(self.root / "home"))
        self.assertEqual(made, ["runs", "x", "x2"])
        for path in ("$NO_SUCH_VARIABLE/x", "${PLACE", "~nobody/x"):
            self.assertIn(path, self.train(2, "f", f"output.directory={path}"))
        self.assertEqual([n for n in os.listdir(self.root) if n.startswith(("~", "$"))], [])

    def test_home_in_options(self):
        self.weft(0, "prepare", "--tokenizer", "byte", "--output=~/d", "text.txt")
        self.weft(0, "tokenize", "--from=~/d/tokenizer", "text.txt")
        self.assertIn("~nobody", self.weft(2, "prepare", "--tokenizer", "byte",
                                           "--output=~nobody/d", "text.txt"))
        self.assertEqual(os.listdir(self.root / "home"), ["d"])
        self.assertFalse((self.root / "~").exists())

    def test_what_the_file_system_refuses_is_no_bug(self):
        os.symlink("loop", self.root / "loop")
        (self.root / "file").write_text("x")
        for path in ("loop", "a" * 300, "file/x", "file", "no"):
            self.train(2, "x", more=("--resume", path))
            self.train((2, 3), "x", f"data.train=[{path}]")
            self.weft(2, "generate", "--checkpoint", path)
            self.weft(2, "ckpt", "import", "--from", "safetensors", path, "out")
            self.weft(2, "ckpt", "import", "--from", "llmc", path, "out")
            self.weft(2, "ckpt", "export", "--to", "safetensors", path, "out")
            self.weft(2, "prepare", "--tokenizer", "byte", "--output", "o", path)
            self.weft(2, "train", path)
            self.weft(2, "tokenize", "--from", path)
        for path in ("loop", "a" * 300, "file/x"):
            self.train((2, 3), "x", f"output.directory={path}")
            self.train((2, 3), "x", f"output.directory={path}", more=("--local-ranks", "2"))
            self.weft((2, 3), "prepare", "--tokenizer", "byte", "--output", path, "text.txt")
        self.assertIn("is empty", self.train(2, "x", more=("--resume", "")))

    @unittest.skipIf(os.getuid() != 0, "only root can be somebody else")
    def test_what_may_not_be_read_is_no_bug(self):
        self.root.chmod(0o755)
        private = self.root / "private"
        private.mkdir(0o700)
        # The build may lie where nobody else may look, as the home folder of root.
        command = [shutil.copy(WEFT, self.root), "train", "run.yaml", "--set", "name=x", "--set"]
        for key in ("output.directory=private", "data.train=[private/train]"):
            result = subprocess.run(command + [key], cwd=self.root, capture_output=True, text=True,
                                    user=65534, group=65534, extra_groups=[], check=False,
                                    env=self.environment(), timeout=PATIENCE)
            self.assertIn(result.returncode, (2, 3), result.stderr)


class Models(InputTest):
    def setUp(self):
        super().setUp()
        self.train(0, "model")
        self.checkpoints = "runs/model/checkpoints"

    def test_resume_refuses_another_model(self):
        shutil.copytree(self.root / "runs/model", self.root / "runs/kept")
        for key, value in (("model.heads", 4), ("model.activation", "relu"),
                           ("model.norm_eps", "0.001")):
            said = self.train(2, "model", f"{key}={value}", "train.steps=6",
                              more=("--resume", "auto"))
            self.assertIn(f"{key}: ", said)
            self.assertIn(f"this run has {value}", said)
        self.train(0, "model", "model.dropout=0.1", "train.steps=6", more=("--resume", "auto"))

    def test_a_first_start_with_resume_auto_is_said(self):
        said = self.train(0, "new", more=("--resume", "auto"))
        self.assertIn("begins at step 1", said)

    def test_ids_without_a_token_are_never_drawn(self):
        self.train(0, "padded", "model.vocab_size=1000", "train.steps=2")
        for options in ([], ["--temperature", "0"], ["--temperature", "5"], ["--top-k", "500"],
                        ["--top-p", "0.99"]):
            self.weft(0, "generate", "--checkpoint", "runs/padded/checkpoints", "--prompt", "li",
                      "--tokens", "100", *options)

    def export(self):
        self.weft(0, "ckpt", "export", "--to", "safetensors", self.checkpoints, "plain")

    def test_imports_through_links(self):
        self.export()
        blobs, folder = self.root / "hub/blobs", self.root / "hub/snapshots/rev"
        blobs.mkdir(parents=True)
        folder.mkdir(parents=True)
        for file in (self.root / "plain").iterdir():
            shutil.copy(file, blobs / f"{file.name}.blob")
            os.symlink(f"../../blobs/{file.name}.blob", folder / file.name)
        self.weft(0, "ckpt", "import", "--from", "safetensors", folder, "back", "--tokenizer",
                  "data/tokenizer")
        self.weft(0, "ckpt", "import", "--from", "safetensors", folder / "model.safetensors",
                  "back2")
        index = {"weight_map": {"wte.weight": "../../blobs/model.safetensors.blob"}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        self.assertIn("no name of a file", self.weft(2, "ckpt", "import", "--from", "safetensors",
                                                     folder, "back3"))

    def test_broken_weights_are_said(self):
        self.export()
        path = self.root / "plain/model.safetensors"
        data = bytearray(path.read_bytes())
        data[-4:] = struct.pack("<f", float("nan"))
        path.write_bytes(data)
        said = self.weft(0, "ckpt", "import", "--from", "safetensors", "plain", "back",
                         "--tokenizer", "data/tokenizer")
        self.assertIn("NaN or infinite", said)
        self.assertIn("not finite", self.weft(2, "generate", "--checkpoint", "back", "--prompt",
                                              "a", "--tokens", "3"))

    def test_config_json_has_limits(self):
        self.export()
        for text in ('{"n_embd": ' + "[" * 100000, '{"n_embd": 1e999}', "[" * 100000, "x" * (2 << 20)):
            (self.root / "plain/config.json").write_text(text)
            self.weft(2, "ckpt", "import", "--from", "safetensors", "plain", "back")


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
