--- /jacobian: against SVD of the weights, finite differences and what orthogonality says.
local sonde = require "sonde"
local linalg = sonde.linalg
local nn = sonde.nn

-- The newest row of a network on inputs x.
local function row(net, x, options)
  local probe <close> = sonde.probe.attach(net, { what = { jacobian = options or {} }, input = x })
  net(x)
  probe:step()
  return probe:last().jacobian
end

local function double(...) return nn.Sequential { ... }:to("float64") end

local function draw(...) return sonde.randn(..., { dtype = "float64" }) end

-- [outputs, inputs] of sample s by central differences of the whole batch.
local function differences(fn, x, s)
  local rows, n, h = {}, x:numel() // x:size(1), 1e-6
  for j = 1, n do
    local function at(shift)
      local moved = x:clone()
      local flat = moved:view(x:size(1), n)
      flat[{ s, j }] = flat[{ s, j }] + shift
      return sonde.no_grad(function() return fn(moved) end):reshape(x:size(1), -1)[s]
    end
    rows[j] = (at(h) - at(-h)) / (2 * h)
  end
  return sonde.stack(rows):t()
end

describe("jacobian", function()
  it("of a Linear is its weight", function()
    sonde.manual_seed(1)
    local net = double(nn.Linear(5, 3), nn.Tanh(), nn.Linear(3, 4))
    local found = row(net, draw({ 6, 5 }))
    for _, name in ipairs { "1", "3" } do
      local values = linalg.svdvals(net[tonumber(name)].weight:detach()):totable()
      assert.near(values[1], found[name].sigma_max, 1e-12)
      assert.near(values[3], found[name].sigma_min, 1e-12)
      assert.near(values[1] / values[3], found[name].condition, 1e-9)
      assert.near((values[1] ^ 2 + values[2] ^ 2 + values[3] ^ 2) / 3, found[name].mean_square, 1e-12)
      for i = 1, 3 do assert.near(values[i], found[name].singular_values[i], 1e-12) end
    end
    assert.equal("Linear", found["1"].module)
    assert.equal("network", found.network.role)
  end)

  it("of a deep orthogonal linear network is an isometry, end to end too", function()
    local net = nn.Sequential {}
    for _ = 1, 20 do
      net:add(nn.Linear(16, 16, { bias = false }))
      nn.init.orthogonal_(net[#net].weight)
    end
    local found = row(net:to("float64"), draw({ 3, 16 }), { values = "all" })
    for _, name in ipairs { "1", "20", "network" } do
      assert.equal(16, #found[name].singular_values)
      for _, value in ipairs(found[name].singular_values) do assert.near(1, value, 1e-5) end
      assert.near(1, found[name].mean_square, 1e-5)
    end
  end)

  it("equals finite differences, of convolutions, norms, batch norm and dropout alike", function()
    sonde.manual_seed(3)
    local x = draw({ 4, 2, 5 })
    local nets = {
      double(nn.Conv1d(2, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(9, 4), nn.LayerNorm(4)),
      double(nn.Flatten(), nn.Linear(10, 6), nn.BatchNorm1d(6), nn.ReLU { inplace = true }, nn.Linear(6, 3)),
    }
    for _, net in ipairs(nets) do
      local found = row(net, x, { samples = 2, values = "all" }).network
      local expected = (linalg.svdvals(differences(net, x, 1)) + linalg.svdvals(differences(net, x, 2))) / 2
      for i, value in ipairs(expected:totable()) do assert.near(value, found.singular_values[i], 1e-6) end
    end
    local normalised = row(nets[2], x, { samples = 1, values = "all" })["3"]
    local inner = nets[2][2](nets[2][1](x)):detach()
    local expected = linalg.svdvals(differences(function(z) return nets[2][3](z) end, inner, 1)):totable()
    for i = 1, 6 do assert.near(expected[i], normalised.singular_values[i], 1e-6) end
  end)

  it("has one mask for all rows of a sample where dropout is in the way", function()
    local net = double(nn.Linear(6, 6), nn.Dropout(0.5), nn.Linear(6, 6))
    sonde.no_grad(function()
      for _, i in ipairs { 1, 3 } do net[i].weight:copy_(sonde.eye(6)) end
    end)
    local found = row(net, draw({ 1, 6 }), { values = "all" }).network -- a diagonal of 0 and 2
    for _, value in ipairs(found.singular_values) do
      assert.truthy(math.abs(value) < 1e-12 or math.abs(value - 2) < 1e-12, tostring(value))
    end
    assert.truthy(found.mean_square > 0 and found.mean_square < 4)
  end)

  it("has one mask for all rows of a layer that drops channels", function()
    local found = row(double(nn.Dropout2d(0.5)), draw({ 3, 4, 2, 2 }), { values = "all", samples = 3 })["1"]
    for i = 1, 16, 4 do -- the four elements of a channel go together
      for k = 1, 3 do assert.near(found.singular_values[i], found.singular_values[i + k], 1e-12) end
    end
  end)

  it("leaves out what has none", function()
    local net = nn.Sequential { nn.Embedding(5, 4), nn.Linear(4, 3) }
    local x = sonde.randint(1, 5, { 6, 2 })
    local found = row(net, x)
    assert.is_nil(found["1"])
    assert.truthy(found["2"].sigma_max > 0)
    assert.is_nil(found.network)
    local wide = row(nn.Sequential { nn.Linear(4, 4), nn.Linear(4, 2) }, sonde.randn(3, 4), { max_elements = 8 })
    assert.truthy(wide["1"].sigma_max ~= wide["1"].sigma_max and wide["2"].sigma_max > 0)
  end)

  it("is NaN where the numbers are", function()
    local net = nn.Sequential { nn.Linear(2, 2) }
    sonde.no_grad(function() net[1].weight:fill_(0 / 0) end)
    local found = row(net, sonde.randn(3, 2))
    assert.truthy(found["1"].sigma_max ~= found["1"].sigma_max)
  end)

  it("says what is wrong with its options", function()
    local net = nn.Linear(2, 2)
    local function with(options) return function() row(net, sonde.randn(3, 2), options) end end
    assert.error_matches(with { samples = 0 }, "samples must be a whole number of at least 1, got 0")
    assert.error_matches(with { values = "some" }, "values must be a whole number of at least 1 or \"all\", got some")
    assert.error_matches(with { value = 2 }, "unknown option 'value'.*did you mean 'values'")
  end)
end)
