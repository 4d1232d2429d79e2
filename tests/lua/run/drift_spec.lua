--- /weight_drift in the file of a run: which rows it has, and what they say.
local process = require "support.process"
local sonde = require "sonde"
local nn = sonde.nn

-- Trains w ← w − lr g of loss ½‖w − target‖², whose gradients all point the same way, or with lr > 1 back and forth.
local function train(path, lr, steps, probe)
  sonde.run({
    name = "drift",
    run = function(_, run)
      local net = run:model(nn.Sequential { nn.Linear(3, 2, { bias = false, dtype = "float64" }) })
      local opt = run:optimizer(sonde.optim.SGD(net:parameters(), { lr = lr }))
      local x = sonde.eye(3, { dtype = "float64" })
      run:probe(net, probe)
      for _ = 1, steps do
        opt:zero_grad()
        net(x):sub(1):pow(2):sum():mul(0.5):backward()
        opt:step()
        run:log {}
      end
    end,
  }, { out = path })
end

local reader = [[
import sys, numpy as np, xarray as xr
d = xr.open_dataset(sys.argv[1], group="weight_drift", engine="h5netcdf").isel(probe=0)
w = xr.open_dataset(sys.argv[1], group="weight", engine="h5netcdf").isel(probe=0)
lr, steps = float(sys.argv[2]), eval(sys.argv[3])
assert list(d.step.values) == steps, list(d.step.values)
assert np.isnan(d.grad_cosine[0]) and d.init_distance[0] == 0 and d.init_distance_ratio[0] == 0
assert np.allclose(d.grad_cosine[1:], 1 if lr < 1 else -1, atol=1e-12), d.grad_cosine.values
first = float(w.update_l2_norm[0]) / lr
want = first * abs(1 - (1 - lr) ** (d.step - 1))
assert np.allclose(d.init_distance, want, rtol=1e-9), (d.init_distance.values, want.values)
assert np.allclose(d.init_distance_ratio, d.init_distance / float(w.l2_norm[0]), rtol=1e-12)
print("good")]]

describe("/weight_drift", function()
  for _, case in ipairs {
    { lr = 0.1, steps = 25, probe = {}, rows = "[1, 11, 21]" },
    { lr = 1.5, steps = 8, probe = { hist_every = 3 }, rows = "[1, 4, 7]" },
    { lr = 0.01, steps = 32, probe = { hist_every = 1, what = { "weight", "weight_drift" } },
      rows = "[*range(1, 11), 11, 21, 31]" },
  } do
    it(("knows where the weights came from and how gradients turn, lr = %g"):format(case.lr), function()
      local dir <close> = process.tempdir()
      train(dir / "d.h5", case.lr, case.steps, case.probe)
      local done = process.python(reader, { dir / "d.h5", tostring(case.lr), case.rows })
      assert.equal("good\n", done.stdout, done.stderr)
      assert.equal(0, process.sonde({ "check", dir / "d.h5" }).code)
    end)
  end
end)
