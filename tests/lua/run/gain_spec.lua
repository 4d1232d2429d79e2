--- /gain: what each layer makes of the gradient, against full backward hooks, which see a module's own gradients.
local process = require "support.process"
local sonde = require "sonde"
local nn = sonde.nn

local NAN = 0 / 0

local function leaves(net)
  local list = {}
  for path, m in net:named_modules() do
    if #m:children() == 0 then list[#list + 1] = { path = path, module = m } end
  end
  return list
end

local function backward(net, x) net(x):pow(2):sum():backward() end

-- By path: the norms of grad_input and grad_output that the hooks of another backward see, calls pooled.
local function hooked(net, x)
  local norms, handles = {}, {}
  for _, leaf in ipairs(leaves(net)) do
    handles[#handles + 1] = leaf.module:register_full_backward_hook(function(_, grad_in, grad_out)
      local seen = norms[leaf.path] or { before = 0, behind = 0 }
      seen.before = seen.before + (grad_in[1] and grad_in[1]:to "float64":norm():item() ^ 2 or NAN)
      seen.behind = seen.behind + grad_out[1]:to "float64":norm():item() ^ 2
      norms[leaf.path] = seen
    end)
  end
  backward(net, x)
  for _, handle in ipairs(handles) do handle:remove() end
  return norms
end

-- The newest row of /gain by probe, and what the hooks say; net must be in the same state for both.
local function measure(net, x)
  local norms = hooked(net, x)
  local probe <close> = sonde.probe.attach(net)
  backward(net, x)
  probe:step()
  return probe:last().gain, norms, probe:last().activation_grad
end

local function near(wanted, got, tolerance, what)
  if wanted ~= wanted then return assert.truthy(got ~= got, what) end
  assert.truthy(math.abs(got / wanted - 1) <= tolerance, ("%s: expected %.15g, got %.15g"):format(what, wanted, got))
end

local function check(net, x, tolerance)
  local gain, norms, outputs = measure(net, x)
  local n = 0
  for path, row in pairs(gain) do
    near(math.sqrt(norms[path].before / norms[path].behind), row.gain, tolerance, path)
    n = n + 1
  end
  return gain, n, outputs
end

local nets = {
  mlp = function(dtype)
    local net = nn.Sequential {}
    for _ = 1, 6 do net:add(nn.Linear(8, 8, { dtype = dtype })):add(nn.Tanh()) end
    return net:add(nn.Linear(8, 3, { dtype = dtype })), { 5, 8 }
  end,
  in_place = function(dtype)
    return nn.Sequential { nn.Linear(8, 8, { dtype = dtype }), nn.ReLU { inplace = true },
      nn.Linear(8, 8, { dtype = dtype }), nn.ReLU { inplace = true }, nn.Linear(8, 2, { dtype = dtype }) }, { 5, 8 }
  end,
  batch_norm = function(dtype)
    local net = nn.Sequential {}
    for _ = 1, 4 do
      net:add(nn.Linear(8, 8, { dtype = dtype })):add(nn.BatchNorm1d(8, { dtype = dtype })):add(nn.ReLU())
    end
    return net:add(nn.Linear(8, 3, { dtype = dtype })), { 9, 8 }
  end,
  conv = function(dtype)
    return nn.Sequential { nn.Conv2d(1, 4, 3, { dtype = dtype }), nn.BatchNorm2d(4, { dtype = dtype }), nn.ReLU(),
      nn.MaxPool2d(2), nn.Conv2d(4, 3, 2, { dtype = dtype }), nn.Sigmoid(), nn.Flatten(), nn.Dropout(0),
      nn.LayerNorm(12, { dtype = dtype }), nn.Linear(12, 2, { dtype = dtype }) }, { 3, 1, 8, 8 }
  end,
}

describe("/gain", function()
  for name, build in pairs(nets) do
    for dtype, tolerance in pairs { float32 = 1e-6, float64 = 1e-12 } do
      it(("is what backward hooks see, and telescopes: %s in %s"):format(name, dtype), function()
        sonde.manual_seed(3)
        local net, shape = build(dtype)
        local x = sonde.randn(shape, { dtype = dtype })
        local gain, n, outputs = check(net, x, tolerance)
        assert.equal(#leaves(net) - 1, n) -- the first layer's input needs no gradient
        local product = 1
        for _, row in pairs(gain) do product = product * row.gain end
        near(outputs["1"].l2_norm / outputs[tostring(#net)].l2_norm, product, tolerance, "product")
      end)
    end
  end

  it("follows what no module put out, and is NaN at a fork", function()
    local Net = nn.Module:extend("Net")
    function Net:init()
      self.first, self.branch = nn.Linear(4, 4, { dtype = "float64" }), nn.Linear(4, 4, { dtype = "float64" })
      self.act, self.last = nn.Tanh(), nn.Linear(4, 4, { dtype = "float64" })
    end
    function Net:forward(x)
      local h = self.first(x):relu() * 2 -- read by the branch and by the sum
      return self.last(self.act(self.branch(h)) + h)
    end
    sonde.manual_seed(1)
    local gain, norms = measure(Net(), sonde.randn(5, 4, { dtype = "float64" }))
    for _, path in ipairs { "act", "last" } do
      near(math.sqrt(norms[path].before / norms[path].behind), gain[path].gain, 1e-12, path)
    end
    assert.truthy(gain.branch.gain ~= gain.branch.gain)
    assert.is_nil(gain.first)
  end)

  it("knows a composite leaf's own reading, twice or more, from others'", function()
    local Swish = nn.Module:extend("Swish")
    function Swish:forward(x) return x * x:sigmoid() end
    local Detached = nn.Module:extend("Detached")
    function Detached:init() self.weight = nn.Parameter(sonde.ones(4, { dtype = "float64" })) end
    function Detached:forward(x) return x:detach() * self.weight end
    local Two = nn.Module:extend("Two") -- one branch is seen by no backward, one takes its input off the tape
    function Two:init()
      self.first, self.swish, self.aside = nn.Linear(4, 4, { dtype = "float64" }), Swish(), nn.Tanh()
      self.detached = Detached()
    end
    function Two:forward(x)
      local h = self.first(x)
      local _ = self.aside(h)
      local y = self.swish(h)
      return y + self.detached(y)
    end
    sonde.manual_seed(2)
    local gain, norms = measure(Two(), sonde.randn(5, 4, { dtype = "float64" }))
    near(math.sqrt(norms.swish.before / norms.swish.behind), gain.swish.gain, 1e-12, "swish")
    assert.truthy(gain.aside.gain ~= gain.aside.gain)
    assert.truthy(gain.detached.gain ~= gain.detached.gain)
  end)

  it("pools the calls of a module, and passes through what changes nothing", function()
    sonde.manual_seed(4)
    local shared = nn.Linear(6, 6, { dtype = "float64" })
    local net = nn.Sequential { nn.Linear(6, 6, { dtype = "float64" }), nn.Tanh(), shared, nn.Identity(), shared,
      nn.Sigmoid(), shared }
    local x = sonde.randn(5, 6, { dtype = "float64" })
    local gain, norms = measure(net, x)
    assert.equal(1, gain["4"].gain)
    for _, path in ipairs { "2", "3", "6" } do
      near(math.sqrt(norms[path].before / norms[path].behind), gain[path].gain, 1e-12, path)
    end
  end)

  it("needs no other group, and holds across steps, backwards in vain and a second backward", function()
    sonde.manual_seed(5)
    local net, shape = nets.mlp "float64"
    local x = sonde.randn(shape, { dtype = "float64" })
    local norms = hooked(net, x)
    local probe <close> = sonde.probe.attach(net, { what = { "gain" } })
    for _ = 1, 3 do
      net(x) -- no backward follows
      local loss = net(x):pow(2):sum()
      loss:backward { retain_graph = true }
      loss:backward()
      probe:step()
      for path, row in pairs(probe:last().gain) do
        near(math.sqrt(norms[path].before / norms[path].behind), row.gain, 1e-12, path)
      end
    end
    assert.is_nil(probe:last().activation_grad)
  end)

  it("changes no bit of the training", function()
    local function trained(what)
      sonde.manual_seed(6)
      local net, shape = nets.conv "float32"
      local opt = sonde.optim.SGD(net:parameters(), { lr = 0.01 })
      local probe <close> = what and sonde.probe.attach(net, { what = what })
      for _ = 1, 5 do
        opt:zero_grad()
        backward(net, sonde.randn(shape))
        opt:step()
        if probe then probe:step() end
      end
      local weights = {}
      for _, p in ipairs(net:parameters()) do weights[#weights + 1] = p:totable() end
      return weights
    end
    assert.same(trained(nil), trained { "gain" })
  end)

  it("stands in the file with kind and depth", function()
    local dir <close> = process.tempdir()
    sonde.manual_seed(7)
    local net, shape = nets.conv "float32"
    local probe <close> = sonde.probe.attach(net)
    backward(net, sonde.randn(shape))
    probe:step()
    assert(probe:save(dir / "p.h5"))
    local done = process.python([[
import sys, xarray as xr
for engine in "h5netcdf", "netcdf4":
    g = xr.open_dataset(sys.argv[1], group="gain", engine=engine)
    assert g.gain.dims == ("step", "probe") and g.gain.dtype == "float64"
    print(*(f"{p}:{k}:{d}" for p, k, d in zip(g.probe.values, g.kind.values, g.depth.values)))
]], { dir / "p.h5" })
    local line = "2:normalisation:1 3:activation:1 4:other:1 5:weight:2 6:activation:2 7:other:2 8:other:2 "
      .. "9:normalisation:2 10:weight:3\n"
    assert.equal(line .. line, done.stdout, done.stderr)
    assert.equal(0, process.sonde({ "check", dir / "p.h5" }).code)
  end)
end)
