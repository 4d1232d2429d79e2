--- Echo state networks: check P30 (Mackey-Glass, Jaeger & Haas
--- 2004; Jaeger 2001), and the memory capacity of Jaeger 2001.
local sonde = require "sonde"
local science = require "support.science"
local nn = sonde.nn
local within = science.within

--- tanh(x - 1) of dx/dt = 0.2 x(t-τ)/(1 + x(t-τ)^10) - 0.1 x with τ = 17: Runge-Kutta of step 0.1, the delayed value at
--- half steps being the mean of its neighbours, sampled at whole times. [n, 1] float64, after 1000 to settle.
local function mackey_glass(n, start)
  local PER_UNIT, DELAY, SETTLE = 10, 170, 1000
  local x = {}
  for i = 1, DELAY + 1 do x[i] = start + 0.01 * math.sin(i) end
  local function slope(now, delayed) return 0.2 * delayed / (1 + delayed ^ 10) - 0.1 * now end
  for i = DELAY + 1, DELAY + (n + SETTLE) * PER_UNIT do
    local now, from, to = x[i], x[i - DELAY], x[i - DELAY + 1]
    local middle = (from + to) / 2
    local k1 = slope(now, from)
    local k2 = slope(now + 0.05 * k1, middle)
    local k3 = slope(now + 0.05 * k2, middle)
    local k4 = slope(now + 0.1 * k3, to)
    x[i + 1] = now + 0.1 / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
  end
  local samples = {}
  for i = 1, n do samples[i] = { x[DELAY + (SETTLE + i) * PER_UNIT] - 1 } end
  return sonde.tensor(samples, { dtype = "float64" }):tanh()
end

local WASHOUT, TRAIN, STARTS, HORIZON = 1000, 2000, 20, 84

local function nrmse(predicted, actual, variance)
  return math.sqrt(((predicted - actual) ^ 2):mean():item() / variance)
end

local function median(values)
  table.sort(values)
  return values[(#values + 1) // 2]
end

describe("P30 an echo state network on Mackey-Glass", function()
  local series, other, variance
  setup(function()
    series, other = mackey_glass(WASHOUT + TRAIN + 1, 1.2), mackey_glass(STARTS * 100 + WASHOUT + HORIZON, 0.9)
    variance = other:var():item()
  end)

  --- One-step error in training, and of free runs of 84 steps from 20 starts in another series.
  local function run(radius)
    local esn = nn.EchoStateNetwork(1, 400, 1, { spectral_radius = radius, links = 10, bias_scaling = 0.2 })
    local inputs = series:narrow(1, 1, WASHOUT + TRAIN):unsqueeze(2)
    local targets = series:narrow(1, 2, WASHOUT + TRAIN):unsqueeze(2)
    esn:fit(inputs, targets, { washout = WASHOUT, ridge = 1e-10 })
    local after = { { WASHOUT + 1, -1 } }
    local train = nrmse((esn(inputs))[after], targets[after], variance)
    local teachers, wanted = {}, {}
    for k = 1, STARTS do
      teachers[k] = other:narrow(1, (k - 1) * 100 + 1, WASHOUT)
      wanted[k] = other[(k - 1) * 100 + WASHOUT + HORIZON]
    end
    local free = esn:generate(sonde.stack(teachers, 2), HORIZON)
    return { train = train, free = nrmse(free[HORIZON], sonde.stack(wanted, 1), variance) }
  end

  it("predicts 84 steps ahead, and needs its spectral radius for it", function()
    local medians = {}
    for _, radius in ipairs { 0.8, 0.1 } do
      local free = {}
      for i, result in ipairs(science.seeds(3, function() return run(radius) end)) do
        free[i] = result.free
        if radius == 0.8 then within("one-step NRMSE", result.train, 0, 1e-3) end
      end
      medians[radius] = median(free)
    end
    within("NRMSE84", medians[0.8], 0, 0.15)
    within("ratio to radius 0.1", medians[0.1] / medians[0.8], 5, math.huge)
  end)

  it("where persistence has an NRMSE84 of 1.66", function()
    local n = other:size(1) - HORIZON
    within("persistence", nrmse(other:narrow(1, 1, n), other:narrow(1, HORIZON + 1, n), variance), 1.5, 1.8)
  end)
end)

describe("P30 the echo-state property: two states of 200 units, 500 steps of the same input", function()
  --- ‖h - h'‖ at the end, after scaling the reservoir's weights by scale(w).
  local function distance(scale)
    sonde.manual_seed(1)
    local esn = nn.EchoStateNetwork(1, 200, 1, { links = 10, bias_scaling = 0.2 })
    local w = esn.reservoir.weight_hh_l0
    sonde.no_grad(function() w:mul_(scale(w)) end)
    local inputs = mackey_glass(500, 1.2):unsqueeze(2)
    local function last()
      local _, h = esn(inputs, sonde.rand(1, 1, 200, { dtype = "float64" }) * 2 - 1)
      return h
    end
    return (last() - last()):norm():item()
  end
  local function radius(rho) return function(w) return rho / nn.utils.spectral_radius(w) end end

  it("forget where they began at radius 0.8 or largest singular value 0.95, not at radius 1.5", function()
    within("radius 0.8", distance(radius(0.8)), 0, 1e-12)
    local function singular(w) return 0.95 / sonde.linalg.svdvals(w):max():item() end
    within("singular value 0.95", distance(singular), 0, 1e-12)
    within("radius 1.5", distance(radius(1.5)), 1, math.huge)
  end)
end)

describe("memory capacity", function()
  it("of a linear reservoir comes near the number of its units, and never above", function()
    sonde.manual_seed(1)
    local esn = nn.EchoStateNetwork(1, 20, 1, { activation = "linear", connectivity = 1, spectral_radius = 0.95 })
    local total, by_delay = esn:memory_capacity { max_delay = 60, steps = 6000, ridge = 0 }
    within("capacity", total, 15, 20.5)
    within("of one step", by_delay[1], 0.99, 1)
  end)
  it("falls where tanh saturates", function()
    local totals = {}
    for i, scaling in ipairs { 0.1, 3 } do
      sonde.manual_seed(1)
      totals[i] = nn.EchoStateNetwork(1, 50, 1, { input_scaling = scaling, connectivity = 1 }):memory_capacity()
    end
    within("share left", totals[2] / totals[1], 0, 0.5)
  end)
end)
