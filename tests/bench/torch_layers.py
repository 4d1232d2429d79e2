"""PyTorch's side of the layer benchmark: torch_layers.py RNN|LSTM|GRU|CNN. The protocol is that of steps.lua."""
import sys
import time

import torch
from torch import nn

torch.set_num_threads(1)
STEPS, BATCH, INPUTS, HIDDEN = 100, 20, 28, 128
IMAGES, SIDE = 64, 28


class Last(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.layer, self.out = getattr(nn, kind)(INPUTS, HIDDEN), nn.Linear(HIDDEN, 10)

    def forward(self, sequence):
        return self.out(self.layer(sequence)[0][-1])


torch.manual_seed(1)
if sys.argv[1] == "CNN":
    net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
                        nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
                        nn.Linear(32 * (SIDE // 4) ** 2, 10))
    x, batch = torch.randn(IMAGES, 1, SIDE, SIDE), IMAGES
else:
    net, x, batch = Last(sys.argv[1]), torch.randn(STEPS, BATCH, INPUTS), BATCH
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
y = torch.randint(0, 10, (batch,))


def step():
    optimizer.zero_grad()
    loss_fn(net(x), y).backward()
    optimizer.step()


for line in sys.stdin:
    n = int(line)
    start = time.perf_counter()
    for _ in range(n):
        step()
    print(f"{(time.perf_counter() - start) / n * 1e3:.6f}", flush=True)
