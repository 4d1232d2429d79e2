"""PyTorch's side of the step benchmark: torch_steps.py DEPTH WIDTH BATCH VARIANT. The protocol is that of steps.lua.

plain: the training step. full: after backward mean, standard deviation, largest magnitude, norm, share of zeros and a
log2 histogram of every parameter's gradient. all: what our default probes measure, by hooks.
"""
import sys
import time

import torch

from torch_statistics import Probes

torch.set_num_threads(1)
depth, width, batch = map(int, sys.argv[1:4])
variant = sys.argv[4]

torch.manual_seed(1)
layers = []
for _ in range(depth):
    layers += [torch.nn.Linear(width, width), torch.nn.Tanh()]
net = torch.nn.Sequential(*layers, torch.nn.Linear(width, 10))
loss_fn = torch.nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
x = torch.randn(batch, width)
y = torch.randint(0, 10, (batch,))
probes = Probes(net) if variant == "all" else None
kept = []


def statistics():
    row = []
    with torch.no_grad():
        for p in net.parameters():
            g = p.grad
            a = g.abs()
            row.append((g.mean(), g.std(), a.max(), g.norm(), (g == 0).float().mean(),
                        torch.histc(torch.log2(a.clamp_min(1e-45)), bins=64, min=-64, max=0)))
    kept.append(row)
    del kept[:-10]


def step():
    optimizer.zero_grad()
    loss = loss_fn(net(x), y)
    loss.backward()
    if variant == "full":
        statistics()
    if probes:
        probes.before_update()
    optimizer.step()
    if probes:
        probes.after_update()


for line in sys.stdin:
    n = int(line)
    start = time.perf_counter()
    for _ in range(n):
        step()
    print(f"{(time.perf_counter() - start) / n * 1e3:.6f}", flush=True)
