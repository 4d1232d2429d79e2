--- A run's file in the hands of its readers: h5py, xarray with both engines, pandas, ncdump and h5dump.
local process = require "support.process"
local recipe = require "support.recipe"

local here = debug.getinfo(1, "S").source:match("^@(.*)interop/python_spec%.lua$")

describe("a run's file", function()
  local dir, file
  setup(function()
    dir = process.tempdir()
    recipe.write(dir / "small.lua", {
      before = "run:note('teacher', 'none')",
      after = "run:event('all done') run:evaluate(net, train, { loss = loss_fn }) "
        .. "run:save('w', net:parameters()[1]) return { answer = 42 }",
    })
    local done = process.sonde({ "run", "small.lua", "--quiet" }, { cwd = dir.path })
    assert(done.code == 0, done.stderr)
    file = dir / "small.h5"
  end)
  teardown(function() getmetatable(dir).__close(dir) end)

  it("is readable by h5py, xarray (both engines alike) and pandas", function()
    local done = process.run { "/usr/bin/python3", here .. "interop/read_history.py", file }
    assert.equal("", done.stderr)
    assert.truthy(done.stdout:match("^OK "))
    assert.equal(0, done.code)
  end)

  it("names its dimensions and coordinates as the contract does", function()
    local done = process.python([[
import sys, h5py, numpy as np, xarray as xr
def opened(group): return xr.open_dataset(sys.argv[1], group=group, engine="h5netcdf")
for group in ("weight_grad", "activation_grad", "activation", "weight"):
    ds = opened(group)
    assert ds.l2_norm.dims == ("step", "probe"), (group, ds.l2_norm.dims)
    assert set(ds.coords) >= {"step", "probe", "layer", "module", "role", "depth", "time"}, (group, list(ds.coords))
    assert list(ds.step.values) == list(range(1, 13))
    assert str(ds.time.dtype) == "float64"
g = opened("weight_grad")
assert list(g.probe.values) == ["1.weight", "1.bias", "3.weight", "3.bias"]
assert list(g.layer.values) == ["1", "1", "3", "3"] and list(g.role.values) == ["weight", "bias"] * 2
assert list(g.module.values) == ["Linear"] * 4 and list(g.depth.values) == [1, 1, 2, 2]
assert list(g.n_elements.values) == [32, 8, 24, 3]
assert g["mean"].dtype == np.float32 and g.l2_norm.dtype == np.float64 and g.n_nonfinite.dtype == np.uint32
assert list(opened("activation_grad").probe.values) == ["1", "2", "3"]
h = opened("weight_grad_hist")
assert list(h.step.values) == [1, 11, 12] and h.counts.dims == ("step", "probe", "binade")
assert h.binade.values[0] == -150 and h.binade.values[-1] == 127
total = h.counts.sum("binade") + h.n_zero + h.n_nonfinite
assert (total == g.n_elements).all()
assert opened("validation").loss.dims == ("step",)
assert "all done" in list(opened("events").message.values)
with h5py.File(sys.argv[1]) as f:
    assert f.attrs["status"] == "complete" and f.attrs["n_steps"] == 12 and f.attrs["default"] == "weight_grad"
    assert f["arrays/w"].shape == (8, 4) and f["result/answer"][()] == 42
    assert f["run/recipe_source"][()].decode().startswith("local sonde")
table = g.l2_norm.to_series()
assert table.index.names == ["step", "probe"] and len(table) == 48
print("good")
]], { file })
    assert.equal("", done.stderr)
    assert.equal("good\n", done.stdout)
  end)

  it("is what ncdump and h5dump can read", function()
    assert.equal(0, process.run({ "h5dump", "-H", file }).code)
    if process.run("command -v ncdump").code ~= 0 then pending("ncdump is not installed") return end
    local dump = process.run { "ncdump", "-h", file }
    assert.equal(0, dump.code)
    assert.truthy(dump.stdout:find("group: weight_grad", 1, true))
  end)
end)
