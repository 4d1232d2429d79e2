"""PyTorch's side of the LSTM: torch_sequence.py INPUTS HIDDEN LENGTH BATCH VARIANT. The protocol is that of steps.lua.

plain: the training step with nn.LSTM. time: an LSTMCell called step by step, for nn.LSTM shows no gradient of a hidden
state, with a hook on every h_t and c_t that takes its gradient's norm, and every tenth step the norms of vᵀ∂h_T/∂h_t
and vᵀ∂h_T/∂c_t.
"""
import sys
import time

import torch
from torch import nn

torch.set_num_threads(1)
inputs, hidden, length, batch = map(int, sys.argv[1:5])
watched = sys.argv[5] == "time"

torch.manual_seed(1)
rnn = nn.LSTMCell(inputs, hidden) if watched else nn.LSTM(inputs, hidden)
out = nn.Linear(hidden, 10)
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD([*rnn.parameters(), *out.parameters()], lr=0.01, momentum=0.9)
x = torch.randn(length, batch, inputs)
y = torch.randint(0, 10, (length * batch,))
v = nn.functional.normalize(torch.randn(batch, hidden))
kept, n_steps = [], 0


def unrolled(row):
    h = c = torch.zeros(batch, hidden)
    states = []
    for t in range(length):
        h, c = rnn(x[t], (h, c))
        for state in (h, c):
            state.register_hook(lambda g: row.append(g.norm()))
            states.append(state)
    return states


def memory(states):
    """Of the last state by each one; the hooks run as well, and their norms are not kept."""
    before = states[-2]
    return [g.norm(dim=1) for g in torch.autograd.grad(before, states[:-1], v, retain_graph=True)]


def step():
    global n_steps
    row = []
    optimizer.zero_grad()
    if watched:
        states = unrolled(row)
        hs = torch.stack(states[0::2])
        if n_steps % 10 == 0:
            kept.append(memory(states))
            row.clear()
    else:
        hs = rnn(x)[0]
    loss_fn(out(hs).reshape(-1, 10), y).backward()
    optimizer.step()
    kept.append(row)
    del kept[:-10]
    n_steps += 1


for line in sys.stdin:
    n = int(line)
    start = time.perf_counter()
    for _ in range(n):
        step()
    print(f"{(time.perf_counter() - start) / n * 1e3:.6f}", flush=True)
