#!/usr/bin/env python3
"""`weft train` in 16-bit types: scales that overflow are found and survive a resume, alike on one
rank and on several.

    precision_program_test.py PATH_OF_WEFT [MPIRUN ARGUMENTS...]
"""

from train_program import TrainTest, main

# Far too large for f16: the first steps overflow. It grows after every fourth update.
F16 = {"precision": "f16", "loss_scale__initial": 2**24, "loss_scale__growth_interval": 4,
       "determinism": "elastic", "train__batch_size": 8, "train__micro_batch_size": 2}


class PrecisionTest(TrainTest):
    def scales(self, name):
        scales = {}
        for r in self.records(name):
            scales[r["step"]] = (r["loss_scale"], r["skipped_steps"])
        return scales

    def test_overflow_is_skipped_alike_on_one_rank_and_on_processes(self):
        output = self.train("one", **F16)
        self.train("two", ranks=2, **F16)
        scales = self.scales("one")
        skipped = scales[30][1]
        self.assertGreater(skipped, 0)
        self.assertLess(skipped, 20)
        self.assertEqual(output.count("gradients are not finite, no update"), skipped)
        grown = [s for s in range(2, 31) if scales[s][0] > scales[s - 1][0]]
        self.assertTrue(grown, scales)
        self.assertEqual(self.scales("two"), scales)
        self.assertEqual(self.trace("two"), self.trace("one"))
        self.assertEqual(self.state("two", 30), self.state("one", 30))
        self.assertLess(self.losses("one")[30], self.losses("one")[1])

        # Resumed in the middle, on other ranks.
        self.train("halves", "--steps", "13", ranks=2, mesh__zero=2, **F16)
        self.train("halves", "--resume", "auto", **F16)
        self.assertEqual(self.scales("halves"), scales)
        self.assertEqual(self.trace("halves"), self.trace("one"))
        self.assertEqual(self.state("halves", 30), self.state("one", 30))

    def test_stochastic_bf16_resumes_bitwise(self):
        sets = {"precision": "bf16", "optimizer__state_dtype": "bf16",
                "optimizer__stochastic_rounding": "true", "cpu__bf16_products": "converted"}
        self.train("bf16", **sets)
        self.train("bf16-halves", "--steps", "14", **sets)
        self.train("bf16-halves", "--resume", "auto", **sets)
        self.assertEqual(self.trace("bf16-halves"), self.trace("bf16"))
        self.assertEqual(self.state("bf16-halves", 30), self.state("bf16", 30))
        self.assertNotIn("loss_scale", self.records("bf16")[0])
        texts = [self.weft("generate", "--checkpoint", str(self.checkpoints(name)), "--prompt", "a",
                           "--tokens", "40", "--seed", "3") for name in ("bf16", "bf16-halves")]
        for text in texts:
            self.assertEqual(text.returncode, 0, text.stderr)
        self.assertEqual(texts[0].stdout, texts[1].stdout)

    def test_automatic_products_stay_what_the_run_began_with(self):
        sets = {"precision": "bf16", "model__width": 64}
        for products in ("converted", "native"):
            fixed = {**sets, "cpu__bf16_products": products}
            process = self.start(products, **fixed)
            output, _ = process.communicate(timeout=120)
            if process.returncode == 3 and "no products of bf16" in output:
                continue
            self.assertEqual(process.returncode, 0, output)
            name = f"{products}-then-auto"
            self.train(name, "--steps", "14", **fixed)
            output = self.train(name, "--resume", "auto", **sets)
            self.assertIn(f"products of bf16: {products}, as the run began", output)
            self.assertNotIn("WARNING: cpu.bf16_products", output)
            self.assertEqual(self.trace(name), self.trace(products))
            self.assertEqual(self.state(name, 30), self.state(products, 30))

        # Chosen, said, and kept in the run's own configuration and its checkpoints.
        output = self.train("auto", "--steps", "14", **sets)
        self.assertRegex(output, "products of bf16: (native|converted)")
        chosen = "native" if "products of bf16: native" in output else "converted"
        for path in (self.root / "runs/auto/config.yaml",
                     self.checkpoints("auto") / "step_00000014/attached/config.yaml"):
            self.assertIn(f"bf16_products: {chosen}", path.read_text())
        self.train("auto", "--resume", "auto", ranks=0, **sets)
        self.assertEqual(self.trace("auto"), self.trace(chosen))
        text = self.weft("generate", "--checkpoint", str(self.checkpoints("auto")), "--prompt", "a",
                         "--tokens", "5")
        self.assertEqual(text.returncode, 0, text.stderr)

    def test_another_state_type_is_refused(self):
        self.train("f32", "--steps", "3")
        process = self.start("f32", "--resume", "auto", optimizer__state_dtype="bf16")
        output, _ = process.communicate()
        self.assertNotEqual(process.returncode, 0)
        self.assertIn("give optimizer.state_dtype its value", output)


if __name__ == "__main__":
    main()
