--- What formats of less precision would lose of a gradient, in a file, against PyTorch's own conversions.
local process = require "support.process"
local sonde = require "sonde"
local nn = sonde.nn

local Weight = nn.Module:extend("Weight")
function Weight:init(n, dtype) self.weight = nn.Parameter(sonde.ones(n, { dtype = dtype })) end
function Weight:forward(x) return self.weight * x end

-- Powers of two, what lies just above and below them, and zeros.
local function gradient(dtype)
  local list = { 0, 0 }
  for e = -45, 15 do
    for _, m in ipairs { 1, 1 + 2 ^ -20, 2 - 2 ^ -20, 1.5 } do
      list[#list + 1] = (e % 2 == 0 and 1 or -1) * m * 2.0 ^ e
    end
  end
  for e = -140, -126 do list[#list + 1] = 2.0 ^ e end
  return sonde.tensor(list, { dtype = dtype })
end

local reader = [[
import sys, numpy as np, torch, xarray as xr
g = xr.open_dataset(sys.argv[1], group="weight_grad_hist", engine="h5netcdf").isel(step=-1, probe=0)
x = torch.from_numpy(xr.open_dataset(sys.argv[1], group="arrays", engine="h5netcdf", phony_dims="sort").g.values)
x = x[x != 0]
assert len(x) > 250 and g.counts.sum() == len(x) and g.n_zero == 2
for name, kind, most in ("float16", torch.half, 65504), ("bfloat16", torch.bfloat16, 3.3895313892515355e38):
    scale = float(g[name + "_loss_scale"])
    assert float(x.abs().max()) * scale <= most < 2 * float(x.abs().max()) * scale, (name, scale)
    for column, factor in (name + "_underflow_frac", 1), (name + "_scaled_underflow_frac", scale):
        want = ((x * factor).to(kind) == 0).double().mean()
        assert abs(float(g[column]) - want) < 1e-7, (column, float(g[column]), want)
assert float(g.float16_loss_scale) == 0.5 and 0.1 < float(g.float16_underflow_frac) < 0.5
print("good")]]

describe("the share that underflows", function()
  for _, dtype in ipairs { "float32", "float64" } do
    it("is what PyTorch's conversions lose, in " .. dtype, function()
      local dir <close> = process.tempdir()
      sonde.run({
        name = "precision",
        run = function(_, run)
          local g = gradient(dtype)
          local net = run:model(Weight(#g, dtype))
          run:probe(net)
          net(g):sum():backward()
          run:save("g", g)
          run:log {}
        end,
      }, { out = dir / "p.h5" })
      local done = process.python(reader, { dir / "p.h5" })
      assert.equal("good\n", done.stdout, done.stderr)
      assert.equal(0, process.sonde({ "check", dir / "p.h5" }).code)
    end)
  end
end)
