"""Weights of five layers on their way between PyTorch's names and sonde's, by way of HDF5.

weights.py write REFERENCE FLAT NESTED   what torch_reference.h5 has, as two files: "0.weight", and groups 0, 1, …
weights.py read REFERENCE FILE           FILE, which sonde wrote, has the same; PyTorch loads it, where it is installed
"""
import sys

import h5py
import numpy as np

LAYERS = ["linear", "conv2d", "batchnorm2d_eval", "lstm", "embedding"]


def expected(path):
    state = {}
    with h5py.File(path) as file:
        for number, layer in enumerate(LAYERS):
            for name, value in file["layers"][layer].items():
                for kind in ("param_", "buffer_before_"):
                    if name.startswith(kind):
                        state[f"{number}.{name[len(kind):]}"] = value[()]
    return state


def write(reference, flat, nested):
    with h5py.File(flat, "w") as one, h5py.File(nested, "w") as other:
        for name, value in expected(reference).items():
            one[name] = value
            other[name.replace(".", "/")] = value


def load_with_torch(state, reference):
    try:
        import torch
    except ImportError:
        return "without torch"
    nn = torch.nn
    layers = nn.ModuleList([nn.Linear(5, 3), nn.Conv2d(2, 4, 3), nn.BatchNorm2d(3), nn.LSTM(3, 4), nn.Embedding(7, 3)])
    layers.double().eval().load_state_dict({name: torch.as_tensor(value) for name, value in state.items()})
    with h5py.File(reference) as file:
        for layer, group in zip(layers, LAYERS):
            inputs = file["layers"][group]
            if group == "lstm":
                start = tuple(torch.as_tensor(inputs[name][()]) for name in ("in_h0", "in_c0"))
                output = layer(torch.as_tensor(inputs["in_x"][()]), start)[0]
            else:
                output = layer(torch.as_tensor(inputs["in_idx" if group == "embedding" else "in_x"][()]))
            assert np.allclose(output.detach().numpy(), inputs["out_y"][()], rtol=1e-12, atol=1e-14), group
    return "with torch"


def read(reference, path):
    want = expected(reference)
    with h5py.File(path) as file:
        have = {name: value[()] for name, value in file.items()}
    assert set(have) == set(want), sorted(set(have) ^ set(want))
    for name, value in want.items():
        assert np.array_equal(have[name], value) and have[name].shape == np.shape(value), name
        assert have[name].dtype == value.dtype, (name, have[name].dtype)
    print("same", load_with_torch(have, reference))


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](*sys.argv[2:])
