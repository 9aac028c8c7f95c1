#!/usr/bin/env python3
"""What the environment says to OpenMP never changes what is computed: the same bits on every
transport and in every precision, or exit code 3 and the variable's name.

    openmp_environment_test.py PATH_OF_WEFT [MPIRUN ARGUMENTS...]
"""

import os

from train_program import MPIRUN, TrainTest, main

# Products large enough for two threads, the same bits on one rank and on two.
RUN = {"cpu__threads": 2, "model__width": 96, "train__steps": 2, "train__batch_size": 8,
       "train__micro_batch_size": 2, "determinism": "elastic", "schedule__warmup_steps": 1,
       "train__eval_interval": 0}
PRECISIONS = {"f32": {},
              "converted": {"precision": "bf16", "cpu__bf16_products": "converted"},
              "native": {"precision": "bf16", "cpu__bf16_products": "native"},
              "f16": {"precision": "f16"}}
TRANSPORTS = {"alone": {}, "threads": {"arguments": ("--local-ranks", "2")},
              "processes": {"ranks": 2}}

# Nothing here may matter, alone or together.
HARMLESS = {"OMP_DYNAMIC": "true", "OMP_MAX_ACTIVE_LEVELS": "0", "OMP_NUM_THREADS": "3,2",
            "OMP_NESTED": "true", "OMP_CANCELLATION": "true", "OMP_SCHEDULE": "guided,7",
            "OMP_WAIT_POLICY": "passive"}
# Threads on one core: slow, which is said.
CROWDED = {"OMP_PROC_BIND": "true", "OMP_PLACES": "{0}"}
# (variable, value, words of the message)
REFUSED = [("OMP_THREAD_LIMIT", "1", "gives this rank 1 thread where cpu.threads asks for 2"),
           ("OMP_STACKSIZE", "20k", "stacks of"),
           ("OMP_STACKSIZE", "100000G", "needs 5 threads more")]


class OpenMpEnvironmentTest(TrainTest):
    def setUp(self):
        for name in [n for n in os.environ if n.startswith(("OMP_", "GOMP_", "KMP_"))]:
            self.set_variable(name, None)

    def set_variable(self, name, value):
        before = os.environ.get(name)
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
        self.addCleanup(lambda: os.environ.pop(name, None) if before is None
                        else os.environ.__setitem__(name, before))

    def run_it(self, name, arguments=(), **options):
        process = self.start(name, *arguments, **{**RUN, **options})
        output, _ = process.communicate(timeout=120)
        return process.returncode, output

    def test_computes_the_same_bits_or_refuses(self):
        served = {}
        for precision, sets in PRECISIONS.items():
            code, output = self.run_it(precision, **sets)
            if precision == "native" and code == 3:
                self.assertIn("no products of bf16", output)
                continue
            self.assertEqual(code, 0, output)
            served[precision] = sets
        for variable, value in HARMLESS.items():
            self.set_variable(variable, value)
        for precision, sets in served.items():
            for transport, how in TRANSPORTS.items():
                with self.subTest(precision=precision, transport=transport):
                    name = f"{precision}-{transport}"
                    code, output = self.run_it(name, **how, **sets)
                    self.assertEqual(code, 0, output)
                    self.assertEqual(self.trace(name), self.trace(precision))
        for variable, value in CROWDED.items():
            self.set_variable(variable, value)
        code, output = self.run_it("crowded")
        self.assertEqual(code, 0, output)
        self.assertEqual(self.trace("crowded"), self.trace("f32"))
        self.assertIn("OMP_PLACES={0}", output)

    def test_too_few_threads_are_refused(self):
        for variable, value, words in REFUSED:
            for transport, how in TRANSPORTS.items():
                with self.subTest(variable=variable, value=value, transport=transport):
                    self.set_variable(variable, value)
                    code, output = self.run_it(f"{variable}-{transport}", **how)
                    self.assertIn(f"{variable}={value}", output)
                    self.assertIn(words, output)
                    if not (transport == "processes" and MPIRUN):
                        self.assertEqual(code, 3, output)
                    self.assertNotEqual(code, 0, output)
            self.set_variable(variable, None)

    def test_auto_takes_the_threads_there_are(self):
        self.set_variable("OMP_THREAD_LIMIT", "1")
        code, output = self.run_it("auto", cpu__threads="auto")
        self.assertEqual(code, 0, output)
        self.assertIn("cpu, 1 thread)", output)


if __name__ == "__main__":
    main()
