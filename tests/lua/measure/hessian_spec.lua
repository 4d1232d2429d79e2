--- /hessian: against closed forms and Hessians built by finite differences.
local sonde = require "sonde"
local linalg = sonde.linalg
local nn = sonde.nn

-- The newest row of a network's loss on samples.
local function row(net, x, y, loss, options)
  local probe <close> = sonde.probe.attach(net, { what = { hessian = options or {} }, input = x, target = y,
    loss = loss })
  net(x)
  probe:step()
  return probe:last().hessian.network
end

-- The mean squared error of a Linear without bias is a quadratic: its Hessian is 2/B xᵀx for each of the outputs, over
-- their number.
local function quadratic(dtype, seed)
  sonde.manual_seed(seed)
  local x, y = sonde.randn(20, 6, { dtype = dtype }), sonde.randn(20, 2, { dtype = dtype })
  local net = nn.Linear(6, 2, { bias = false }):to(dtype)
  local values = linalg.eigvalsh(x:t():matmul(x):to("float64") / 20)
  return net, x, y, values:totable()
end

-- All second derivatives by differences of the loss's gradient, one parameter element after the other.
local function dense(net, loss_at, step)
  step = step or 1e-5
  local parameters, columns = net:parameters(), {}
  local function gradient()
    net:zero_grad()
    loss_at():backward()
    local parts = {}
    for i, p in ipairs(parameters) do parts[i] = p.grad:clone():view(-1) end
    return sonde.cat(parts)
  end
  for _, p in ipairs(parameters) do
    local flat = p:detach():view(-1)
    for i = 1, p:numel() do
      local was = flat[i]:item()
      flat[i] = was + step
      local up = gradient()
      flat[i] = was - step
      columns[#columns + 1] = (up - gradient()) / (2 * step)
      flat[i] = was
    end
  end
  local matrix = sonde.stack(columns)
  return linalg.eigvalsh((matrix + matrix:t()) / 2):totable()
end

describe("hessian", function()
  it("of a quadratic is its matrix", function()
    for seed = 1, 3 do
      local net, x, y, values = quadratic("float64", seed)
      local found = row(net, x, y, nn.MSELoss(), { tolerance = 1e-8 })
      assert.near(1, found.eigenvalue / values[6], 1e-7)
      assert.near(1, found.smallest / values[1], 1e-4)
      assert.truthy(found.iterations <= 7, "six different eigenvalues, so six iterations suffice")
      assert.truthy(found.residual < 1e-6 * found.eigenvalue)
    end
  end)

  it("is as exact in float32", function()
    for seed = 1, 3 do
      local net, x, y, values = quadratic("float32", seed)
      local found = row(net, x, y, nn.MSELoss(), { tolerance = 1e-6 })
      assert.near(1, found.eigenvalue / values[6], 1e-5)
      assert.equal("float32", net.weight.dtype)
    end
  end)

  it("is exact to about three digits where a layer keeps to float32", function()
    local net, x, y, values = quadratic("float32", 1)
    local Halved = nn.Module:extend "Halved"
    local half = sonde.full({ 1 }, 0.5)
    function Halved:init() self.inner = net end
    function Halved:forward(input) return self.inner(input) * half end
    assert.near(1, row(Halved(), x, y, nn.MSELoss()).eigenvalue / (values[6] / 4), 3e-3)
  end)

  it("of a trained network with kinks is that between them", function()
    sonde.manual_seed(3)
    local net = nn.Sequential { nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 3) }
    local x, y = sonde.randn(40, 6), sonde.randint(1, 3, { 40 })
    local loss = nn.CrossEntropyLoss { weight = sonde.tensor { 1, 2, 0.5 } }
    local opt = sonde.optim.SGD(net:parameters(), { lr = 0.1, momentum = 0.9 })
    for _ = 1, 100 do
      opt:zero_grad()
      loss(net(x), y):backward()
      opt:step()
    end
    local found = row(net, x, y, loss, { iterations = 60, tolerance = 1e-7 })
    net:to("float64")
    x, loss = x:to("float64"), loss:to("float64")
    local values = dense(net, function() return loss(net(x), y) end, 1e-8)
    assert.near(1, found.eigenvalue / values[#values], 1e-5)
  end)

  it("of a small network equals the one built element by element", function()
    sonde.manual_seed(2)
    local net = nn.Sequential { nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3) }:to("float64")
    local x = sonde.randn(10, 3, { dtype = "float64" })
    local y, loss = sonde.randint(1, 3, { 10 }), nn.CrossEntropyLoss()
    local values = dense(net, function() return loss(net(x), y) end)
    net:zero_grad()
    local before = net[1].weight:detach():clone()
    local found = row(net, x, y, loss, { iterations = 31, tolerance = 1e-9 })
    assert.near(values[#values], found.eigenvalue, 1e-6 * values[#values])
    assert.near(values[1], found.smallest, 1e-5 * values[#values])
    assert.truthy(values[1] < 0) -- so that the smallest is seen to be another one
    assert.truthy(before:equal(net[1].weight:detach()))
  end)

  it("sees through dropout, which draws the same in every pass, and frozen parameters", function()
    sonde.manual_seed(4)
    local net = nn.Sequential { nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 2) }:to("float64")
    net[1]:requires_grad_(false)
    local x, y = sonde.randn(10, 3, { dtype = "float64" }), sonde.randn(10, 2, { dtype = "float64" })
    local first = row(net, x, y, nn.MSELoss(), { tolerance = 1e-8 })
    assert.truthy(first.residual < 1e-6 * first.eigenvalue and first.iterations <= 6) -- 5 different eigenvalues
  end)

  it("says when its iterations did not suffice, and is NaN where the loss is", function()
    local net, x, y = quadratic("float64", 1)
    local found = row(net, x, y, nn.MSELoss(), { iterations = 1 })
    assert.equal(1, found.iterations)
    assert.truthy(found.residual > 1e-3 * found.eigenvalue)
    local lost = row(net, x * (0 / 0), y, nn.MSELoss())
    assert.truthy(lost.eigenvalue ~= lost.eigenvalue)
  end)

  it("says what is wrong", function()
    local net, x, y = quadratic("float64", 1)
    assert.error_matches(function() row(net, x, y, nn.MSELoss(), { iterations = 0 }) end,
      "iterations must be a whole number of at least 1, got 0")
    assert.error_matches(function() row(net, x, y, nn.MSELoss(), { tolerance = 0 }) end, "tolerance must be a number")
    net:requires_grad_(false)
    assert.error_matches(function() row(net, x, y, nn.MSELoss()) end, "no parameter of the network needs a gradient")
  end)
end)
