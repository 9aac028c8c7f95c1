#!/usr/bin/env python3
"""The other side of launch/scripts/gpu_bench: training steps of a compiled bf16 GPT in PyTorch.

    torch_gpt.py MODEL.yaml MICRO_BATCH_SIZE MICRO_BATCHES [DEVICE]

What an expert would write: torch.compile, scaled_dot_product_attention, fused AdamW on f32 master
weights under bf16 autocast, gradients accumulated over the micro-batches, random tokens. Prints JSON.
"""

import json
import re
import sys
import time

import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        heads = self.qkv(self.norm_1(x)).view(batch, tokens, 3, self.heads, -1)
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(batch, tokens, width))
        return x + self.down(functional.gelu(self.up(self.norm_2(x)), approximate="tanh"))


class Gpt(nn.Module):
    def __init__(self, vocab_size, context_length, layers, heads, width):
        super().__init__()
        # A multiple of 64, as users of PyTorch pad it for speed.
        self.vocab = (vocab_size + 63) // 64 * 64
        self.tokens = nn.Embedding(self.vocab, width)
        self.positions = nn.Embedding(context_length, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def forward(self, inputs, targets):
        x = self.tokens(inputs) + self.positions.weight[: inputs.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits = functional.linear(self.norm(x), self.tokens.weight)
        return functional.cross_entropy(logits.view(-1, self.vocab).float(), targets.view(-1))


def read(path):
    with open(path, encoding="utf-8") as file:
        return {k: int(v) for k, v in re.findall(r"^  (\w+): (\d+)$", file.read(), re.M)}


def main(path, micro_batch_size, micro_batches, device="cuda"):
    shape = read(path)
    torch.manual_seed(1)
    model = Gpt(**shape).to(device)
    step_model = torch.compile(model) if device == "cuda" else model
    fused = {"fused": True} if device == "cuda" else {}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), **fused)
    size = (micro_batch_size, shape["context_length"])
    batches = [torch.randint(shape["vocab_size"], (2, *size), device=device)
               for _ in range(micro_batches)]

    def wait():
        if device == "cuda":
            torch.cuda.synchronize()

    def step():
        for inputs, targets in batches:
            with torch.autocast(device, torch.bfloat16):
                loss = step_model(inputs, targets) / micro_batches
            loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    for _ in range(3):
        step()
    times = []
    for _ in range(10):
        wait()
        begin = time.perf_counter()
        step()
        wait()
        times.append(time.perf_counter() - begin)
    median = sorted(times)[len(times) // 2]
    tokens = micro_batches * micro_batch_size * shape["context_length"]
    print(json.dumps({"tokens_per_second": tokens / median, "median_seconds": median,
                      "torch": torch.__version__}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
