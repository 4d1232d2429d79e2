"""Writes torch_linalg.h5: float64 values of PyTorch's linear algebra and parametrisations.

/layers/<name>/{in_*, param_*, buffer_before_*, buffer_after_*, out_*, gout_*, gin_*, gparam_*}: L = sum(out * gout),
gin = dL/din, gparam = dL/dparam. Where vectors are unique but for their signs, outputs are what does not depend on them.
Made with Debian's python3-torch 1.13.1: make_torch_linalg.py FILE
"""
import re
import sys

import h5py
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
file = h5py.File(sys.argv[1], "w")
file.attrs["torch_version"] = str(torch.__version__)
file.attrs["README"] = __doc__
generator = torch.Generator().manual_seed(31)


def randn(*shape):
    return torch.randn(shape, generator=generator)


def put(group, name, value):
    """Of a cell's parameters under the names of a layer's."""
    name = re.sub("(weight|bias)_(ih|hh)", r"\1_\2_l0", name)
    group.create_dataset(name, data=value.detach().numpy())


def case(name, run, module=None, **inputs):
    """run(*inputs) gives a tensor or a dict of tensors."""
    group = file.create_group("layers/" + name)
    leaves = {k: v.clone().requires_grad_() for k, v in inputs.items()}
    parameters = dict(module.named_parameters()) if module else {}
    for key, value in (module.named_buffers() if module else ()):
        put(group, "buffer_before_" + key, value)
    outputs = run(*leaves.values())
    outputs = outputs if isinstance(outputs, dict) else {"y": outputs}
    loss = 0
    for key, value in inputs.items():
        put(group, "in_" + key, value)
    for key, value in parameters.items():
        put(group, "param_" + key, value)
    for key, value in outputs.items():
        put(group, "out_" + key, value)
        gradient = randn(*value.shape)
        put(group, "gout_" + key, gradient)
        loss = loss + (value * gradient).sum()
    loss.backward()
    for key, value in leaves.items():
        put(group, "gin_" + key, value.grad)
    for key, value in parameters.items():
        put(group, "gparam_" + key, value.grad)
    for key, value in (module.named_buffers() if module else ()):
        put(group, "buffer_after_" + key, value)


# ---- linear algebra ----------------------------------------------------------------------------------------------

la = torch.linalg


def qr(a, mode="reduced"):
    q, r = la.qr(a, mode)
    return {"q": q, "r": r}


def svd(a):
    u, s, vh = la.svd(a, full_matrices=False)
    return {"s": s, "polar": u @ vh, "left": u * u, "right": vh * vh}


def eigh(a):
    values, v = la.eigh(a + a.mT)
    return {"values": values, "squares": v * v}


def eigvals(a):
    values = la.eigvals(a)
    re, im = values.real, values.imag
    return {"cubes": (re**3).sum(-1), "squares": (im * im).sum(-1), "mixed": (re * im * im).sum(-1)}


def slogdet(a):
    return la.slogdet(a)[1]


def cholesky(a):
    return la.cholesky(a @ a.mT + torch.eye(a.shape[-1]))


for shape in (2, 4, 3), (2, 3, 3), (2, 3, 5):
    name = "%dx%d" % shape[1:]
    case("qr_" + name, qr, a=randn(*shape))
    case("svd_" + name, svd, a=randn(*shape))
    case("svdvals_" + name, la.svdvals, a=randn(*shape))
    for order in "fro", "nuc", 1, -1, 2, -2, float("inf"), float("-inf"):
        case("matrix_norm_%s_%s" % (order, name), lambda a, order=order: la.matrix_norm(a, order), a=randn(*shape))
    case("cond_" + name, la.cond, a=randn(*shape))
case("qr_complete_3x5", lambda a: qr(a, "complete"), a=randn(3, 5))
case("eigh", eigh, a=randn(2, 4, 4))
case("eigvals", eigvals, a=randn(2, 5, 5))
case("solve", la.solve, A=randn(2, 3, 3), B=randn(2, 3, 2))
case("solve_broadcast", la.solve, A=randn(2, 3, 3), B=randn(3, 2))
case("solve_vector", la.solve, A=randn(3, 3), B=randn(3))
case("solve_triangular", lambda a, b: la.solve_triangular(a, b, upper=True), a=randn(3, 3) + 3 * torch.eye(3),
     b=randn(2, 3, 2))
case("inv", la.inv, A=randn(2, 3, 3))
case("det", la.det, A=randn(2, 3, 3))
case("slogdet", slogdet, a=randn(2, 3, 3))
case("cholesky", cholesky, a=randn(2, 3, 3))
case("matrix_exp", torch.matrix_exp, a=randn(2, 4, 4))
case("matrix_exp_large", torch.matrix_exp, a=3 * randn(4, 4))
# la.cond(a, 1) cannot be differentiated in 1.13
case("cond_1", lambda a: la.matrix_norm(a, 1) * la.matrix_norm(la.inv(a), 1), a=randn(2, 3, 3))
for order in 2, 1, 3, 0.5, -2, float("inf"), float("-inf"):
    case("vector_norm_%s" % order, lambda x, order=order: la.vector_norm(x, order), x=randn(3, 4))
case("vector_norm_dim", lambda x: la.vector_norm(x, 3, dim=(0, 2)), x=randn(3, 4, 2))
case("norm", la.norm, x=randn(3, 4, 2))

# ---- parametrisations --------------------------------------------------------------------------------------------


def run(module, x):
    """A cell over the sequence: layers do not see a parametrised weight in 1.13."""
    if not isinstance(module, nn.RNNCellBase):
        return module(x)
    state, outputs = None, []
    with parametrize.cached():
        for step in x:
            state = module(step, state)
            outputs.append(state[0] if isinstance(state, tuple) else state)
    return torch.stack(outputs)


def parametrized(name, attach, module, x, settle=True):
    attach(module)
    if settle:
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(randn(*parameter.shape) * 0.3)
    case(name, lambda x: run(module, x), module, x=x)


def orthogonal(module, **options):
    """Householder's diagonal holds signs, which stay."""
    parametrizations.orthogonal(module, **options)
    original = module.parametrizations[options.get("name", "weight")].original
    with torch.no_grad():
        noise = randn(*original.shape) * 0.5
        noise[torch.eye(*original.shape, dtype=torch.bool)] = 0
        original.add_(noise)


def spectral_norm_1d(module):
    parametrizations.spectral_norm(module, name="bias")


def weight_norm(dim):
    """PyTorch 1.13 has the old function only: the same formula, wrapped to have the new names."""
    class WeightNorm(nn.Module):
        def forward(self, g, v):
            return torch._weight_norm(v, g, -1 if dim is None else dim)

        def right_inverse(self, v):
            return torch.norm_except_dim(v, 2, -1 if dim is None else dim), v.clone()

    return lambda module: parametrize.register_parametrization(module, "weight", WeightNorm(), unsafe=True)


parametrized("weight_norm_linear", weight_norm(0), nn.Linear(3, 4), randn(2, 3))
parametrized("weight_norm_dim1", weight_norm(1), nn.Linear(3, 4), randn(2, 3))
parametrized("weight_norm_whole", weight_norm(None), nn.Linear(3, 4), randn(2, 3))
parametrized("weight_norm_conv", weight_norm(0), nn.Conv2d(2, 3, 3), randn(2, 2, 5, 5))
spectral = parametrizations.spectral_norm
parametrized("spectral_norm_linear", spectral, nn.Linear(3, 4), randn(2, 3))
parametrized("spectral_norm_iterations", lambda m: spectral(m, n_power_iterations=3), nn.Linear(3, 4), randn(2, 3))
parametrized("spectral_norm_conv", spectral, nn.Conv2d(2, 3, 3), randn(2, 2, 5, 5))
parametrized("spectral_norm_transposed", spectral, nn.ConvTranspose2d(2, 3, 3), randn(2, 2, 4, 4))
parametrized("spectral_norm_vector", spectral_norm_1d, nn.Linear(3, 4), randn(2, 3))
for kind in "matrix_exp", "cayley", "householder":
    for sizes in (4, 4), (3, 5), (5, 3):
        name = "orthogonal_%s_%dx%d" % (kind, sizes[1], sizes[0])
        parametrized(name, lambda m: orthogonal(m, orthogonal_map=kind), nn.Linear(*sizes), randn(2, sizes[0]),
                     settle=False)
parametrized("orthogonal_direct", lambda m: orthogonal(m, orthogonal_map="householder", use_trivialization=False),
             nn.Linear(3, 5), randn(2, 3), settle=False)
parametrized("orthogonal_rnn", lambda m: orthogonal(m, name="weight_hh"), nn.RNNCell(2, 3), randn(4, 2, 2),
             settle=False)
parametrized("orthogonal_gru", lambda m: orthogonal(m, name="weight_hh"), nn.GRUCell(2, 3), randn(4, 2, 2),
             settle=False)
parametrized("spectral_norm_lstm", lambda m: spectral(m, name="weight_hh"), nn.LSTMCell(2, 3), randn(4, 2, 2))
