--- /gradient_noise against the closed form of linear regression.
local core = require "sonde.core"
local sonde = require "sonde"
local nn = sonde.nn

-- Regression on x ~ N(0, I_d), y = w*·x + s·noise, with the loss (w·x − y)²: the gradient of one sample is
-- 2x(x·e − s·noise), e = w − w*; so |G|² = 4|e|², and since E[xxᵀ(x·e)²] = |e|²I + 2eeᵀ, tr Σ = 4((d + 1)|e|² + d s²).
local d, noise = 4, 0.5
local target = { 1, -2, 0.5, 0 }

local function regression()
  local net = nn.Sequential { nn.Linear(d, 1, { bias = false }) }:to("float64")
  sonde.no_grad(function() net[1].weight:copy_(sonde.tensor({ { 0, 0, 0, 0.25 } }, { dtype = "float64" })) end)
  local e_sq = 1 + 4 + 0.25 + 0.0625
  return net, 4 * e_sq, 4 * ((d + 1) * e_sq + d * noise ^ 2)
end

local function batch(n, generator)
  local x = sonde.randn(n, d, { dtype = "float64", generator = generator })
  local y = x:matmul(sonde.tensor(target, { dtype = "float64" }):view(d, 1))
  return x, y + sonde.randn(n, 1, { dtype = "float64", generator = generator }) * noise
end

local function measured(options, rows, n)
  local generator = core.random.stream(3, "noise")
  local net, grad_sq, trace = regression()
  local loss = nn.MSELoss()
  local probe <close> = sonde.probe.attach(net, { what = { gradient_noise = options }, loss = loss })
  local mean, last = { grad_sq = 0, trace = 0 }, nil
  for _ = 1, rows do
    local x, y = batch(n, generator)
    loss(net(x), y)
    probe:step()
    last = probe:last().gradient_noise.network
    for name in pairs(mean) do mean[name] = mean[name] + last[name] / rows end
  end
  return mean, last, grad_sq, trace
end

describe("gradient_noise", function()
  it("is unbiased, whatever the batch is and however it is parted", function()
    for _, case in ipairs { { 32, 4 }, { 32, 2 }, { 10, 3 }, { 8, 8 } } do
      local mean, last, grad_sq, trace = measured({ every = 1, parts = case[2], decay = 0.999 }, 1500, case[1])
      assert.near(1, mean.grad_sq / grad_sq, 0.08)
      assert.near(1, mean.trace / trace, 0.08)
      assert.near(1, last.noise_scale / (trace / grad_sq), 0.12)
    end
  end)

  it("follows its formula in each row, and its averages from row to row", function()
    local generator = core.random.stream(4, "noise")
    local net, loss = regression(), nn.MSELoss()
    local x, y = batch(12, generator)
    local function squared(first, n)
      net:zero_grad()
      loss(net(x:narrow(1, first, n)), y:narrow(1, first, n)):backward()
      return net[1].weight.grad:square():sum():item()
    end
    local big, small = squared(1, 12), (squared(1, 4) + squared(5, 4) + squared(9, 4)) / 3
    local probe <close> = sonde.probe.attach(net, { input = x, target = y, loss = loss,
      what = { gradient_noise = { every = 1, parts = 3 } } })
    net(x)
    probe:step()
    local row = probe:last().gradient_noise.network
    assert.near((12 * big - 4 * small) / 8, row.grad_sq, 1e-9)
    assert.near((small - big) / (1 / 4 - 1 / 12), row.trace, 1e-9)
    assert.near(row.trace / row.grad_sq, row.noise_scale, 1e-9)
  end)

  it("cannot be told with batch normalisation, nor of a single sample", function()
    local function row(net, n)
      local loss = nn.MSELoss()
      local probe <close> = sonde.probe.attach(net, { what = { "gradient_noise" }, loss = loss })
      loss(net(sonde.randn(n, 4)), sonde.randn(n, 2))
      probe:step()
      return probe:last().gradient_noise.network
    end
    local normalised = row(nn.Sequential { nn.Linear(4, 2), nn.BatchNorm1d(2) }, 8)
    assert.truthy(normalised.grad_sq ~= normalised.grad_sq and normalised.noise_scale ~= normalised.noise_scale)
    local single = row(nn.Linear(4, 2), 1)
    assert.truthy(single.trace ~= single.trace)
  end)

  it("wants a mean, and samples where it looks for them", function()
    local net = nn.Linear(4, 2)
    local function attempt(options, x, y, loss)
      return function()
        local probe <close> = sonde.probe.attach(net, { what = { gradient_noise = options }, input = x, target = y,
          loss = loss or nn.MSELoss() })
        net(x)
        probe:step()
      end
    end
    local x, y = sonde.randn(8, 4), sonde.randn(8, 2)
    assert.error_matches(attempt({}, x, y, nn.MSELoss { reduction = "sum" }), "must be the mean over the samples")
    assert.error_matches(attempt({}, x, sonde.randn(3, 2)), "8 samples along axis 1, the target has the shape")
    assert.error_matches(attempt({ dim = 3 }, x, y), "the input has 2 axes, no axis 3")
    assert.error_matches(attempt({ parts = 1 }, x, y), "parts must be a whole number of at least 2, got 1")
    assert.error_matches(attempt({ decay = 1 }, x, y), "decay must be a number from 0 to below 1, got 1")
  end)
end)
