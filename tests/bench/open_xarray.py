"""Opens every group of a file with xarray: open_xarray.py FILE. Prints the seconds that each engine took, lazily as
xarray opens; its import is not counted."""
import sys
import time

import h5py
import xarray as xr

with h5py.File(sys.argv[1]) as f:
    groups = [name for name in f if isinstance(f[name], h5py.Group)]
for engine in ("netcdf4", "h5netcdf"):
    start = time.perf_counter()
    for group in groups:
        xr.open_dataset(sys.argv[1], group=group, engine=engine).close()
    print(engine, time.perf_counter() - start)
