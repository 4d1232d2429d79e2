"""What our default probes measure, by PyTorch's hooks: for torch_steps.py and torch_sequence.py. The rows of the newest
steps are kept in memory; nothing is written. Left out: comparisons with the initial weights, shares below the range of
smaller formats."""
import torch

HISTOGRAM_EVERY = 10
TINY = torch.finfo(torch.float32).tiny


def histogram(x):
    return torch.histc(torch.log2(x.abs().clamp_min(1e-45)), bins=278, min=-150, max=128)


def moments(x):
    a = x.abs()
    return (x.norm(), x.mean(), x.std(unbiased=False), a.mean(), a.max(), (x == 0).float().mean(),
            (x > 0).float().mean(), ((a > 0) & (a < TINY)).sum(), (~x.isfinite()).sum())


def likeness(x):
    """Mean cosine between different rows."""
    n, total = len(x), (x / x.norm(dim=1, keepdim=True)).sum(0)
    return (total.dot(total) - n) / (n * (n - 1))


class Probes:
    """Watches the leaves and parameters of a network of tanh layers, and the updates of an optimizer."""

    def __init__(self, net):
        self.step, self.row, self.kept = 0, {}, []
        self.parameters = dict(net.named_parameters())
        self.last_alive = {}
        for name, module in net.named_children():
            module.register_forward_hook(lambda m, _, y, name=name: self.activation(name, m, y))
        for name, p in self.parameters.items():
            p.register_hook(lambda g, name=name: self.gradient(name, g))

    def activation(self, name, module, y):
        with torch.no_grad():
            row = [y.mean(), y.std(unbiased=False), y.norm(), y.abs().max(), (y == 0).float().mean(),
                   (~y.isfinite()).sum(), likeness(y)]
            if isinstance(module, torch.nn.Tanh):
                slope = 1 - y * y
                alive = (slope != 0).any(0)
                last = self.last_alive.get(name, torch.zeros(len(alive)))
                self.last_alive[name] = last = torch.where(alive, torch.tensor(float(self.step)), last)
                row += [slope.norm() / slope.numel() ** 0.5, (slope < 0.05).float().mean(),
                        (~alive).float().mean(), (self.step - last > 60).float().mean()]
            self.row["activation", name] = row
        y.register_hook(lambda g: self.gradient(name + ".output", g))

    def gradient(self, name, g):
        with torch.no_grad():
            self.row["gradient", name] = moments(g)
            if self.step % HISTOGRAM_EVERY == 0:
                self.row["histogram", name] = histogram(g)

    def before_update(self):
        with torch.no_grad():
            self.before = {name: p.clone() for name, p in self.parameters.items()}

    def after_update(self):
        with torch.no_grad():
            for name, p in self.parameters.items():
                moved, old = p - self.before[name], self.before[name].norm()
                update = moved.norm()
                unchanged = ((p.grad != 0) & (moved == 0)).float().mean()
                self.row["update", name] = (old, update, update / old, unchanged)
            norms = [row[0] for (kind, name), row in self.row.items() if kind == "gradient" and name.endswith(".output")]
            self.row["gain"] = [before / behind for behind, before in zip(norms, norms[1:])]
        self.kept = (self.kept + [self.row])[-10:]
        self.row, self.step = {}, self.step + 1
