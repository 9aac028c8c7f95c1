#!/usr/bin/env python3
"""`weft ckpt export` and `import` against a reader of our own, and against PyTorch and the
safetensors package where they are installed.

    interchange_program_test.py PATH_OF_WEFT
"""

import json
import math
import pathlib
import struct

from train_program import TrainTest, main

try:
    import torch
except ImportError:
    torch = None
try:
    import safetensors
    import safetensors.torch
except ImportError:
    safetensors = None

WIDTH, HEADS, LAYERS = 32, 2, 2  # of train_program.CONFIG
CONV1D = ("attn.c_attn.weight", "attn.c_proj.weight", "mlp.c_fc.weight", "mlp.c_proj.weight")


def read_safetensors(path):
    """name -> (dtype, shape, bytes)."""
    data = pathlib.Path(path).read_bytes()
    size = struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__")
    return {name: (t["dtype"], t["shape"], data[8 + size + t["data_offsets"][0]:
                                                8 + size + t["data_offsets"][1]])
            for name, t in header.items()}


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, (dtype, shape, values) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data),
                                                                        len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + data)


def transposed(tensor, keep_shape=False):
    """The matrix turned over; `keep_shape` leaves the shape that it had, a lie."""
    dtype, (rows, columns), data = tensor
    items = [data[i:i + 4] for i in range(0, len(data), 4)]
    turned = b"".join(items[r * columns + c] for c in range(columns) for r in range(rows))
    return dtype, [rows, columns] if keep_shape else [columns, rows], turned


class InterchangeTest(TrainTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.weft(*cls.command("run", train__steps=150, schedule__peak_lr=0.01,
                              schedule__min_lr=0.001, checkpoint__interval=0)[1:]).check_returncode()
        cls.run_ckpt("export", "--to", "safetensors", "runs/run/checkpoints", "out")
        cls.tensors = read_safetensors(cls.root / "out/model.safetensors")

    @classmethod
    def run_ckpt(cls, *arguments):
        result = cls.weft("ckpt", *arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def bring(self, name, source, *more, form="safetensors"):
        self.run_ckpt("import", "--from", form, source, name, *more)
        return name

    def assert_equal(self, a, b):
        self.assertIn("equal: ", self.run_ckpt("diff", "--weights", a, b))

    def variant(self, name, change):
        """The exported model with other tensors."""
        directory = self.root / name
        directory.mkdir()
        (directory / "config.json").write_bytes((self.root / "out/config.json").read_bytes())
        tensors = dict(self.tensors)
        change(tensors)
        write_safetensors(directory / "model.safetensors", tensors)
        return name

    def test_names_and_shapes_are_hugging_faces(self):
        self.assertEqual(len(self.tensors), 2 + 12 * LAYERS + 2)
        self.assertNotIn("lm_head.weight", self.tensors)
        shapes = {name: t[1] for name, t in self.tensors.items()}
        self.assertEqual(shapes["transformer.h.1.attn.c_attn.weight"], [WIDTH, 3 * WIDTH])
        self.assertEqual(shapes["transformer.h.1.mlp.c_fc.weight"], [WIDTH, 4 * WIDTH])
        self.assertEqual(shapes["transformer.h.1.mlp.c_proj.weight"], [4 * WIDTH, WIDTH])
        self.assertEqual({t[0] for t in self.tensors.values()}, {"F32"})

    def test_comes_back_bit_for_bit(self):
        self.assert_equal("runs/run/checkpoints", self.bring("back", "out"))
        self.run_ckpt("export", "--to", "safetensors", "back", "again")
        for name in ("model.safetensors", "config.json"):
            self.assertEqual((self.root / "out" / name).read_bytes(),
                             (self.root / "again" / name).read_bytes())

    def test_weights_that_are_no_numbers_are_said(self):
        bias = "transformer.h.1.mlp.c_fc.bias"

        def spoil(tensors):
            dtype, shape, data = tensors[bias]
            tensors[bias] = dtype, shape, struct.pack("<2f", math.nan, -math.inf) + data[8:]

        result = self.weft("ckpt", "import", "--from", "safetensors", self.variant("nan", spoil), "spoiled")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stderr, r"WARNING: nan: NaN or infinite weights in 1 tensor, "
                                        r"the first is h\.1\.mlp\.\w+\.bias \(2 of 128 values\)")
        result = self.weft("ckpt", "export", "--to", "safetensors", "spoiled", "spoiled-out")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn("WARNING: spoiled-out: NaN or infinite weights in 1 tensor", result.stderr)
        self.assertNotIn("WARNING", self.weft("ckpt", "export", "--to", "safetensors",
                                              "runs/run/checkpoints", "healthy").stderr)

    def test_comes_back_in_shards(self):
        self.run_ckpt("export", "--to", "safetensors", "--max-shard-size", "20KB",
                      "runs/run/checkpoints", "shards")
        index = json.loads((self.root / "shards/model.safetensors.index.json").read_text())
        self.assertEqual(index["metadata"]["total_size"], sum(len(t[2]) for t in self.tensors.values()))
        shards = sorted(set(index["weight_map"].values()))
        self.assertGreater(len(shards), 3)
        self.assertEqual(shards[0], f"model-00001-of-{len(shards):05}.safetensors")
        found = {}
        for shard in shards:
            held = read_safetensors(self.root / "shards" / shard)
            self.assertLessEqual(sum(len(t[2]) for t in held.values()), 20000)
            self.assertEqual({index["weight_map"][name] for name in held}, {shard})
            found.update(held)
        self.assertEqual(found, self.tensors)
        self.assert_equal("runs/run/checkpoints", self.bring("from-shards", "shards"))

    def test_takes_what_hugging_faces_files_have(self):
        def change(tensors):
            for name in list(tensors):
                tensors[name.removeprefix("transformer.")] = tensors.pop(name)
            tensors["h.0.attn.bias"] = ("F32", [1, 1, 2, 2], bytes(16))
            tensors["h.1.attn.masked_bias"] = ("F32", [], bytes(4))
            tensors["lm_head.weight"] = tensors["wte.weight"]
        self.assert_equal("runs/run/checkpoints", self.bring("plain-ckpt", self.variant("plain", change)))

    def test_notices_a_matrix_that_is_not_transposed(self):
        # The square one keeps its shape, so only the comparison can tell.
        square = "transformer.h.1.attn.c_proj.weight"
        wrong = self.variant("square", lambda t: t.update({square: transposed(t[square], True)}))
        result = self.weft("ckpt", "diff", "--weights", "runs/run/checkpoints",
                           self.bring("square-ckpt", wrong))
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn("tensor h.1.attn.projection.weight (weight): ", result.stdout)
        self.assertIn("\n1 of ", result.stdout)
        for name in CONV1D:
            if name == "attn.c_proj.weight":
                continue
            with self.subTest(name):
                full = f"transformer.h.0.{name}"
                turned = self.variant(name, lambda t, f=full: t.update({f: transposed(t[f])}))
                refused = self.weft("ckpt", "import", "--from", "safetensors", turned, "none")
                self.assertEqual(refused.returncode, 2)
                self.assertIn("it is transposed: GPT-2 keeps this matrix as [in, out]", refused.stderr)

    def test_refuses_other_models(self):
        wte = "transformer.wte.weight"
        cases = [
            ("no head", lambda t: t.update({"lm_head.weight": t[wte][:2] + (bytes(len(t[wte][2])),)}),
             "the head is not tied"),
            ("missing", lambda t: t.pop("transformer.ln_f.bias"), "lack tensor ln_f.bias"),
            ("stranger", lambda t: t.update({"x": ("F32", [1], bytes(4))}), "'x' has no place"),
            ("twice", lambda t: t.update({"wte.weight": t[wte]}), "with and without the prefix"),
            ("integers", lambda t: t.update({wte: ("I32",) + t[wte][1:]}), "F32, BF16 or F16"),
        ]
        for name, change, words in cases:
            with self.subTest(name):
                refused = self.weft("ckpt", "import", "--from", "safetensors",
                                    self.variant("other " + name, change), "none")
                self.assertEqual(refused.returncode, 2, refused.stdout)
                self.assertIn(words, refused.stderr)
                self.assertEqual(refused.stderr.count("\n"), 1)
        (self.root / "heads.yaml").write_text(
            "model: {context_length: 32, layers: 2, heads: 4, width: 32}")
        for arguments, words in [
                (("out", "none", "--config", "heads.yaml"), "model.heads is 4, but out/config.json says 2"),
                (("out", "runs/run/checkpoints"), "already holds checkpoints"),
                (("text.txt", "none"), "is this a safetensors file?")]:
            refused = self.weft("ckpt", "import", "--from", "safetensors", *arguments)
            self.assertEqual(refused.returncode, 2, refused.stdout)
            self.assertIn(words, refused.stderr)
        self.assertFalse((self.root / "none").exists())
        refused = self.weft("ckpt", "export", "--to", "safetensors", "runs/run/checkpoints", "out")
        self.assertIn("is there already", refused.stderr)

    def llmc_bytes(self, bf16):
        """The exported model as train_gpt2.py of llm.c writes it."""
        vocabulary = self.tensors["transformer.wte.weight"][1][0]
        padded = vocabulary + 3
        head = [20240326, 5 if bf16 else 3, 32, vocabulary, LAYERS, HEADS, WIDTH, padded]
        out = struct.pack("<256i", *head, *[0] * 248)
        data = [self.tensors["transformer.wte.weight"][2] + bytes(4 * (padded - vocabulary) * WIDTH),
                self.tensors["transformer.wpe.weight"][2]]
        for kind in ("ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_attn.bias",
                     "attn.c_proj.weight", "attn.c_proj.bias", "ln_2.weight", "ln_2.bias",
                     "mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight", "mlp.c_proj.bias"):
            for layer in range(LAYERS):
                tensor = self.tensors[f"transformer.h.{layer}.{kind}"]
                data.append(transposed(tensor)[2] if kind in CONV1D else tensor[2])
        data += [self.tensors["transformer.ln_f.weight"][2], self.tensors["transformer.ln_f.bias"][2]]
        whole = b"".join(data)
        if bf16:
            whole = b"".join(whole[i + 2:i + 4] for i in range(0, len(whole), 4))
        return out + whole

    def test_reads_models_of_llm_c(self):
        (self.root / "model.bin").write_bytes(self.llmc_bytes(False))
        self.assert_equal("runs/run/checkpoints", self.bring("llmc", "model.bin", form="llmc"))

    def test_reads_bf16(self):
        (self.root / "bf16.bin").write_bytes(self.llmc_bytes(True))
        halves = self.variant("halves", lambda t: t.update(
            {n: ("BF16", s, b"".join(d[i + 2:i + 4] for i in range(0, len(d), 4)))
             for n, (_, s, d) in self.tensors.items()}))
        self.bring("halves-ckpt", halves)
        self.assert_equal("halves-ckpt", self.bring("llmc-bf16", "bf16.bin", form="llmc"))
        self.run_ckpt("export", "--to", "safetensors", "halves-ckpt", "halves-out")
        for name, (_, _, data) in read_safetensors(self.root / "halves-out/model.safetensors").items():
            whole = self.tensors[name][2]
            self.assertEqual(data, b"".join(b"\0\0" + whole[i + 2:i + 4] for i in range(0, len(whole), 4)))

    def start_generating(self, checkpoint, *arguments):
        return self.weft("generate", "--checkpoint", checkpoint, "--prompt", "abc", "--tokens", "25",
                         "--temperature", "0", *arguments)

    def generate(self, checkpoint):
        result = self.start_generating(checkpoint)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout.rstrip("\n")

    def test_generation_on_a_gpu_or_why_not(self):
        result = self.start_generating("runs/run/checkpoints", "--device", "cuda")
        if result.returncode == 3:
            self.assertRegex(result.stderr, r"^weft: environment error: .*; --device cpu generates on")
            self.assertEqual(result.stdout, "")
        else:
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(result.stdout.rstrip("\n"), self.generate("runs/run/checkpoints"))

    def test_an_imported_model_writes_and_trains_on(self):
        self.bring("writer", "out", "--tokenizer", "data/tokenizer")
        self.assertEqual(self.generate("writer"), self.generate("runs/run/checkpoints"))
        self.train("on", "--init-from", "writer", "--steps", "2")
        refused = self.weft(*self.command("on2", "--resume", "writer")[1:])
        self.assertEqual(refused.returncode, 2)
        self.assertIn("--init-from", refused.stderr)

    @staticmethod
    def torch_logits(weights, ids):
        """GPT-2 as Hugging Face defines it: Conv1D computes x @ weight + bias."""
        functional = torch.nn.functional
        w = {name.removeprefix("transformer."): t for name, t in weights.items()}

        def norm(x, name):
            return functional.layer_norm(x, (WIDTH,), w[name + ".weight"], w[name + ".bias"], 1e-5)

        def conv(x, name):
            return x @ w[name + ".weight"] + w[name + ".bias"]

        length = len(ids)
        x = w["wte.weight"][ids] + w["wpe.weight"][:length]
        mask = torch.full((length, length), float("-inf")).triu(1)
        for layer in range(LAYERS):
            h = f"h.{layer}."
            q, k, v = (t.view(length, HEADS, -1).transpose(0, 1)
                       for t in conv(norm(x, h + "ln_1"), h + "attn.c_attn").split(WIDTH, 1))
            scores = q @ k.transpose(1, 2) / math.sqrt(WIDTH // HEADS) + mask
            mixed = (scores.softmax(-1) @ v).transpose(0, 1).reshape(length, WIDTH)
            x = x + conv(mixed, h + "attn.c_proj")
            inner = conv(norm(x, h + "ln_2"), h + "mlp.c_fc")
            gelu = 0.5 * inner * (1 + torch.tanh(math.sqrt(2 / math.pi) * (inner + 0.044715 * inner**3)))
            x = x + conv(gelu, h + "mlp.c_proj")
        return norm(x, "ln_f") @ w["wte.weight"].T

    def test_pytorch_writes_the_same_text(self):
        if torch is None:
            self.skipTest("PyTorch is not installed")
        weights = {name: torch.frombuffer(bytearray(data), dtype=torch.float32).view(shape)
                   for name, (_, shape, data) in self.tensors.items()}
        alphabet = sorted(set((self.root / "text.txt").read_text()))
        ids = [alphabet.index(c) for c in "abc"]
        for _ in range(25):
            ids.append(int(self.torch_logits(weights, ids)[-1].argmax()))
        text = "".join(alphabet[i] for i in ids)
        self.assertGreater(len(set(text[3:])), 3, "a model that says nothing proves nothing")
        self.assertEqual(self.generate("runs/run/checkpoints"), text)

    def test_the_safetensors_package_reads_it(self):
        if safetensors is None or torch is None:
            self.skipTest("the Python package safetensors is not installed")
        loaded = safetensors.torch.load_file(self.root / "out/model.safetensors")
        self.assertEqual(loaded.keys(), self.tensors.keys())
        for name, (_, shape, data) in self.tensors.items():
            self.assertEqual(list(loaded[name].shape), shape)
            self.assertEqual(loaded[name].numpy().tobytes(), data)


if __name__ == "__main__":
    main()
