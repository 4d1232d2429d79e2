"""Opens a finished run file the way its readers do; prints OK, or fails with what is wrong.

usage: /usr/bin/python3 read_history.py FILE

h5py reads every number; xarray opens every group with both engines, which must agree; every group with rows becomes a
pandas table whose index bears the dimensions' names. Nothing that one of them cannot read may be in the file.
"""
import sys

import h5py
import numpy as np
import pandas as pd
import xarray as xr

TEXT_ATTRIBUTES = ["format", "format_version", "name", "about", "status", "error", "created", "producer", "command",
                   "default"]
INTEGER_ATTRIBUTES = ["seed", "n_steps", "threads"]
STATUSES = ["running", "complete", "interrupted", "failed", "recovered"]


def check(good, what):
    if not good:
        sys.exit(f"read_history: {what}")


def check_root(file):
    attrs = file.attrs
    for name in TEXT_ATTRIBUTES:
        check(isinstance(attrs[name], str), f"attribute {name} is {type(attrs[name])}, not str")
    for name in INTEGER_ATTRIBUTES:
        check(attrs[name].dtype == np.int64, f"attribute {name} is {attrs[name].dtype}, not int64")
    check(attrs["wall_seconds"].dtype == np.float64, "attribute wall_seconds is not float64")
    check(attrs["format"] == "sonde-history" and attrs["format_version"] == "1.0", "not a sonde-history 1.0")
    check(attrs["status"] in STATUSES, f"status {attrs['status']}")
    pd.Timestamp(attrs["created"])
    check(attrs["created"].endswith("Z"), "created is not in UTC")


def check_dataset(name, dataset):
    check(dataset.shape is not None, f"{name} has no dataspace")
    kind = dataset.dtype.kind
    if kind == "O":
        check(h5py.check_string_dtype(dataset.dtype) == ("utf-8", None), f"{name} is no variable-length UTF-8 text")
        np.vectorize(lambda text: text.decode("utf-8"), otypes=[object])(dataset[()])
    else:
        check(kind in "fiu", f"{name} has type {dataset.dtype}")
        dataset[()]
    for axis, dimension in enumerate(dataset.dims):  # a scale is its own
        check(h5py.h5ds.is_scale(dataset.id) or len(dimension) == 1, f"axis {axis} of {name} has no dimension scale")


def check_links(group):
    for name in group:
        link = group.get(name, getlink=True)
        check(isinstance(link, h5py.HardLink), f"{group.name}/{name} is a {type(link).__name__}")
        if isinstance(group[name], h5py.Group):
            check_links(group[name])


def groups_with_data(file):
    found = [""] if any(isinstance(item, h5py.Dataset) for item in file.values()) else []
    file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Group)
                    and any(isinstance(member, h5py.Dataset) for member in item.values()) else None)
    return found


def check_rows(name, group, table):
    step = group["step"]
    check(step.dtype == np.int64 and step.maxshape == (None,), f"/{name}/step is not a growing int64")
    check(bool(np.all(np.diff(step[()]) >= 0)), f"/{name}/step goes back")
    for variable, data in table.variables.items():  # (xarray would fill up a short one)
        if "step" in data.dims:
            check(data.dims[0] == "step", f"/{name}/{variable}: step is not its first dimension")
            rows = len(group[variable])
            check(rows == len(step), f"/{name}/{variable} has {rows} rows, step {len(step)}")
    numbers = [v for v in table.data_vars if table[v].dims == ("step",)]
    if numbers:
        frame = table[numbers].to_dataframe()
        check(frame.index.name == "step" and len(frame) == len(step), f"/{name} is no table by step")
    for v in table.data_vars:
        if table[v].ndim == 2:
            frame = table[v].to_dataframe()
            check(list(frame.index.names) == list(table[v].dims), f"/{name}/{v}: index {frame.index.names}")
    if "probe" in table.dims and table.sizes["probe"]:
        first = str(table["probe"].values[0])
        check(table.sel(probe=first).sizes.get("step") == len(step), f"/{name}: .sel(probe='{first}') does not work")


def main(path):
    with h5py.File(path, "r") as file:
        check_root(file)
        check_links(file)
        file.visititems(lambda name, item: check_dataset(name, item) if isinstance(item, h5py.Dataset) else None)
        groups = groups_with_data(file)
        with_rows = [name for name in groups if "step" in file[name]]
    check(with_rows, "no group has rows")
    for name in groups:
        tables = []
        for engine in ("h5netcdf", "netcdf4"):
            with xr.open_dataset(path, group=name or None, engine=engine) as table:
                tables.append(table.load())
        check(list(tables[0].variables) == list(tables[1].variables), f"/{name}: the engines list other variables")
        xr.testing.assert_identical(*tables)
        check(not any(str(d).startswith("phony") for d in tables[0].dims), f"/{name} has unnamed dimensions")
        if name in with_rows:
            with h5py.File(path, "r") as file:
                check_rows(name, file[name], tables[0])
    print("OK", path, " ".join(sorted(groups)))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
