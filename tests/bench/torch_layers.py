"""PyTorch's side of the layer benchmark: torch_layers.py RNN|LSTM|GRU. The protocol is that of steps.lua."""
import sys
import time

import torch

torch.set_num_threads(1)
STEPS, BATCH, INPUTS, HIDDEN = 100, 20, 28, 128

torch.manual_seed(1)
layer = getattr(torch.nn, sys.argv[1])(INPUTS, HIDDEN)
out = torch.nn.Linear(HIDDEN, 10)
loss_fn = torch.nn.CrossEntropyLoss()
optimizer = torch.optim.SGD([*layer.parameters(), *out.parameters()], lr=0.01, momentum=0.9)
x = torch.randn(STEPS, BATCH, INPUTS)
y = torch.randint(0, 10, (BATCH,))


def step():
    optimizer.zero_grad()
    loss_fn(out(layer(x)[0][-1]), y).backward()
    optimizer.step()


for line in sys.stdin:
    n = int(line)
    start = time.perf_counter()
    for _ in range(n):
        step()
    print(f"{(time.perf_counter() - start) / n * 1e3:.6f}", flush=True)
