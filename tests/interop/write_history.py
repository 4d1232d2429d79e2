"""Writes a small file of the format sonde-history 1.0 with h5py alone, as somebody without sonde would.

usage: /usr/bin/python3 write_history.py FILE [CODE]     CODE changes the open file `f` before it is closed
"""
import json
import sys

import h5py
import numpy as np

TEXT = h5py.string_dtype("utf-8")
ROWS, PROBES, TIMES = 6, ["cell.weight", "out.weight"], 4


def scale(group, name, values, **kind):
    group.create_dataset(name, data=values, maxshape=(None,) if name == "step" else None, **kind)
    group[name].make_scale(name)


def column(group, name, values, axes, **kind):
    group.create_dataset(name, data=values, **kind)
    for axis, scale_name in enumerate(axes):
        group[name].dims[axis].attach_scale(group[scale_name])


def rows(f, name):
    group = f.create_group(name, track_order=True)
    scale(group, "step", np.arange(1, ROWS + 1, dtype=np.int64))
    column(group, "time", np.linspace(0.1, 0.6, ROWS), ["step"])
    return group


def measured(f, name):
    group = rows(f, name)
    scale(group, "probe", PROBES, dtype=TEXT)
    labels = {"layer": ["cell", "out"], "module": ["RNN", "Linear"], "role": ["weight_hh_l0", "weight"]}
    for label, values in labels.items():
        column(group, label, values, ["probe"], dtype=TEXT)
    column(group, "depth", np.array([1, 2]), ["probe"])
    return group


def write(path, code):
    random = np.random.default_rng(1)
    with h5py.File(path, "w", libver=("earliest", "v110"), track_order=True) as f:
        f.attrs.update({"format": "sonde-history", "format_version": "1.0", "name": "by hand", "about": "", "error": "",
                        "status": "complete", "created": "2024-05-06T07:08:09Z", "producer": "h5py", "command": "",
                        "default": "weight_grad", "seed": np.int64(1), "threads": np.int64(1),
                        "n_steps": np.int64(ROWS), "wall_seconds": 0.7})
        run = f.create_group("run")
        run["recipe_source"], run["params"] = "return {}\n", json.dumps({"lr": 0.1})
        metrics = rows(f, "metrics")
        for name in "epoch loss lr grad_norm clip_coef".split():
            column(metrics, name, random.random(ROWS), ["step"])
        grad = measured(f, "weight_grad")
        column(grad, "n_elements", np.array([9, 6]), ["probe"])
        for name in "l2_norm mean std abs_mean abs_max zero_frac positive_frac".split():
            column(grad, name, random.random((ROWS, 2)), ["step", "probe"])
        for name in "n_subnormal n_nonfinite".split():
            column(grad, name, np.zeros((ROWS, 2), np.uint32), ["step", "probe"])
        histogram = measured(f, "weight_grad_hist")
        column(histogram, "n_elements", np.array([9, 6]), ["probe"])
        scale(histogram, "binade", np.arange(-150, 128))
        counts = np.zeros((ROWS, 2, 278), np.uint32)
        counts[:, :, 140] = [8, 5]
        column(histogram, "counts", counts, ["step", "probe", "binade"])
        for name, value in {"n_zero": 1, "n_subnormal": 0, "n_nonfinite": 0}.items():
            column(histogram, name, np.full((ROWS, 2), value, np.uint32), ["step", "probe"])
        hidden = f.create_group("hidden_grad", track_order=True)
        scale(hidden, "step", np.arange(1, ROWS + 1, dtype=np.int64))
        scale(hidden, "probe", ["cell"], dtype=TEXT)
        scale(hidden, "time_step", np.arange(1, TIMES + 1))
        column(hidden, "length", np.full(ROWS, TIMES), ["step"])
        column(hidden, "l2_norm", random.random((ROWS, 1, TIMES)), ["step", "probe", "time_step"])
        exec(code, {"f": f, "np": np, "h5py": h5py, "column": column, "scale": scale})


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    write(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else "")
