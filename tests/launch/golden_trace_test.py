#!/usr/bin/env python3
"""The first 20 steps of configs/runs/shakespeare-char.yaml are those of tests/golden.

    golden_trace_test.py PATH_OF_WEFT SHARED_DATA [--write]

--write makes the golden trace anew. A change that moves it must say why in its commit, and that
the validation loss of the whole run (docs/results.md) is as good as before.

What may differ on another machine is the rounding of f32 sums, whose order belongs to the
instruction set and the BLAS. Kept to SSE 4.1 or AVX, oneDNN leaves losses within 6e-9 and gradient
norms within 3e-8 of AVX2's over these steps, as do other numbers of ranks. The tolerances are a
hundred times that and catch what is small: without weight decay losses move by 1.9e-5, with an
AdamW eps of 1e-7 by 5e-6, and with the exact GELU gradient norms move by 9e-6. Learning rates are
computed in double from the step alone and must be equal.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

STEPS = 20
TOLERANCES = {"loss": 1e-6, "validation_loss": 1e-6, "grad_norm": 5e-6}
EQUAL = ("step", "lr", "consumed_samples", "consumed_tokens")
SKIPPED = 77
ROOT = pathlib.Path(__file__).parents[2]
GOLDEN = ROOT / "tests/golden/shakespeare-char.jsonl"


def run(weft, text):
    """The metrics of the first steps."""
    with tempfile.TemporaryDirectory(prefix="weft-golden-") as directory:
        def call(*arguments):
            subprocess.run([weft, *arguments], cwd=directory, check=True,
                           stdout=subprocess.DEVNULL)
        call("prepare", "--tokenizer", "char", "--output", "datasets/shakespeare-char", text)
        call("train", ROOT / "configs/runs/shakespeare-char.yaml", "--steps", str(STEPS),
             "--set", "cpu.threads=1")
        path = pathlib.Path(directory, "runs/shakespeare-char/metrics.jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()]


def write(records):
    keys = [*EQUAL, *TOLERANCES, *(key + "_hex" for key in TOLERANCES)]
    lines = [json.dumps({key: r[key] for key in keys if key in r}) for r in records]
    GOLDEN.write_text("\n".join(lines) + "\n")


def differences(records, golden):
    """What is not as it was, one line each."""
    if len(records) != len(golden):
        yield f"{len(records)} steps instead of {len(golden)}"
    for now, then in zip(records, golden):
        for key in EQUAL:
            if now[key] != then[key]:
                yield f"step {then['step']}: {key} is {now[key]}, was {then[key]}"
        for key, tolerance in TOLERANCES.items():
            if key not in then and key not in now:
                continue
            was, value = (float.fromhex(r.get(key + "_hex", "nan")) for r in (then, now))
            error = abs(value - was) / abs(was)
            if not error <= tolerance:
                yield (f"step {then['step']}: {key} is {value:.9g}, was {was:.9g}: off by "
                       f"{error:.1e}, allowed are {tolerance:.0e}")


def main():
    weft, shared = (pathlib.Path(argument).resolve() for argument in sys.argv[1:3])
    text = shared / "text/tinyshakespeare.txt"
    if not text.exists():
        print(f"skipped: there is no {text} (cmake -DWEFT_SHARED_DATA=DIR names its directory)")
        return SKIPPED
    records = run(weft, text)
    if "--write" in sys.argv:
        write(records)
    found = list(differences(records, [json.loads(line) for line in GOLDEN.open()]))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
