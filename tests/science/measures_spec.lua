--- What the costly measures must find where theory says it: dynamical isometry and the edge of chaos by /jacobian
--- (checks P06 and P09; Saxe et al. 2014, Poole et al. 2016), chaos in recurrent networks by /lyapunov (Sompolinsky et
--- al. 1988), the variance of mini-batch gradients by /gradient_noise (check P24; McCandlish et al. 2018) and the
--- largest stable learning rate by /hessian (Cohen et al. 2021).
local sonde = require "sonde"
local science = require "support.science"
local nn, theory = sonde.nn, sonde.theory
local within = science.within

local DOUBLE = { dtype = "float64" }

--- The newest row of one costly measure of net on x (and y).
local function row(net, name, options, x, y, loss)
  local probe <close> = sonde.probe.attach(net, { what = { [name] = options }, input = x, target = y, loss = loss })
  net(x)
  probe:step()
  return probe:last()[name]
end

local function linear_chain(depth, init)
  local net = nn.Sequential {}
  for _ = 1, depth do
    net:add(nn.Linear(100, 100, { bias = false, dtype = "float64" }))
    init(net[#net].weight)
  end
  return net
end

describe("P09 by /jacobian: a linear net, N = 100", function()
  local whole = { values = "all", samples = 1 }

  it("orthogonal is an isometry, 10 and 100 layers deep", function()
    sonde.manual_seed(1)
    for _, depth in ipairs { 10, 100 } do
      local found = row(linear_chain(depth, nn.init.orthogonal_), "jacobian", whole, sonde.randn(2, 100, DOUBLE))
      within("largest", found.network.sigma_max, 1 - 1e-12, 1 + 1e-12)
      within("smallest", found.network.sigma_min, 1 - 1e-12, 1 + 1e-12)
      within("condition", found.network.condition, 1, 1 + 2e-12)
    end
  end)

  it("Gaussian loses most directions", function()
    local lost, gain = 0, 0
    science.seeds(10, function()
      local net = linear_chain(10, function(w) nn.init.normal_(w, 0, 0.1) end)
      local found = row(net, "jacobian", whole, sonde.randn(2, 100, DOUBLE)).network
      for _, value in ipairs(found.singular_values) do lost = lost + (value < 0.01 and 1e-3 or 0) end
      gain = gain + found.mean_square / 10
    end)
    within("share of singular values below 0.01", lost, 0.37, 0.45)
    within("mean squared singular value", gain, 0.8, 1.25) -- 1 in expectation, so norms do not tell
  end)
end)

describe("the edge of chaos by /jacobian", function()
  it("is where the mean squared singular value neither grows nor falls with depth: chi1 to the depth", function()
    local depth, width = 12, 200
    for _, case in ipairs { { 1, 0.05 }, { 1.76095, 0.05 }, { 4, 0.05 } } do
      local fixed = theory.mean_field("tanh", { sigma_w = case[1] ^ 0.5, sigma_b = case[2] ^ 0.5 })
      local logs = 0
      science.seeds(3, function()
        local net = nn.Sequential {}
        for _ = 1, depth do
          net:add(nn.Linear(width, width, DOUBLE))
          nn.init.normal_(net[#net].weight, 0, (case[1] / width) ^ 0.5)
          nn.init.normal_(net[#net].bias, 0, case[2] ^ 0.5)
          net:add(nn.Tanh())
        end
        local x = sonde.randn(2, width, DOUBLE) * fixed.q ^ 0.5 -- about what the layers' outputs have
        local found = row(net, "jacobian", { samples = 1, values = 1 }, x).network
        logs = logs + math.log(found.mean_square) / depth / 3
      end)
      within(("chi1 at sigma_w² = %g"):format(case[1]), math.exp(logs), 0.92 * fixed.chi1, 1.08 * fixed.chi1)
    end
  end)
end)

describe("chaos by /lyapunov: h ← tanh(g J h), J Gaussian of variance 1/N", function()
  --- Largest exponent, from a random state.
  local function largest(g, n, steps)
    local layer = nn.RNN(1, n, DOUBLE)
    sonde.no_grad(function()
      for _, parameter in ipairs(layer:parameters()) do parameter:zero_() end
      nn.init.normal_(layer.weight_hh_l0, 0, g / n ^ 0.5)
    end)
    local Started = nn.Module:extend "Started"
    local h = sonde.randn(1, 1, n, DOUBLE)
    function Started:init() self.layer = layer end
    function Started:forward(x) return (self.layer(x, h)) end
    return row(Started(), "lyapunov", { values = 1 }, sonde.zeros(steps, 1, 1, DOUBLE)).layer.largest
  end

  it("begins at g = 1", function()
    local below, above = {}, {}
    science.seeds(3, function(seed)
      below[seed], above[seed] = largest(0.7, 150, 300), largest(1.5, 150, 300)
    end)
    for seed = 1, 3 do
      within("exponent at g = 0.7", below[seed], math.log(0.7) - 0.1, math.log(0.7) + 0.1)
      within("exponent at g = 1.5", above[seed], 0.02, math.log(1.5))
    end
  end)
end)

describe("P24 by /gradient_noise: batches drawn with replacement from 64 samples", function()
  local N = 64

  local function task()
    local net = nn.Sequential { nn.Linear(6, 10), nn.Tanh(), nn.Linear(10, 3) }:to "float64"
    return net, sonde.randn(N, 6, DOUBLE), sonde.randint(1, 3, { N }), nn.CrossEntropyLoss()
  end

  local function gradient(net, loss)
    net:zero_grad()
    loss:backward()
    local parts = {}
    for i, p in ipairs(net:parameters()) do parts[i] = p.grad:reshape(-1) end
    return sonde.cat(parts)
  end

  --- |G|² and tr Σ, from every sample's gradient.
  local function exact(net, x, y, loss)
    local each = {}
    for i = 1, N do each[i] = gradient(net, loss(net(x:narrow(1, i, 1)), y:narrow(1, i, 1))) end
    net:zero_grad()
    each = sonde.stack(each)
    local mean = each:mean(1)
    return mean:square():sum():item(), (each - mean):square():sum():item() / N
  end

  --- Both as estimated from 1500 batches of `size`: [1500].
  local function estimated(net, x, y, loss, size)
    local grad_sq, trace = {}, {}
    for i = 1, 1500 do
      local drawn = sonde.randint(1, N, { size })
      local found = row(net, "gradient_noise", {}, x:index_select(1, drawn), y:index_select(1, drawn), loss).network
      grad_sq[i], trace[i] = found.grad_sq, found.trace
    end
    return sonde.tensor(grad_sq, DOUBLE), sonde.tensor(trace, DOUBLE)
  end

  --- Is the mean of `values` the truth, within four of its standard errors, which are at most 8 % of it?
  local function unbiased(what, values, truth)
    local mean, error_of_mean = values:mean():item(), values:std():item() / values:numel() ^ 0.5
    within("standard error of " .. what, error_of_mean, 0, 0.08 * truth)
    within(what, mean, truth - 4 * error_of_mean, truth + 4 * error_of_mean)
  end

  it("both estimates are those of all samples' gradients, at any batch size: the variance goes as 1/B", function()
    sonde.manual_seed(2)
    local net, x, y, loss = task()
    local true_sq, true_trace = exact(net, x, y, loss)
    for _, size in ipairs { 8, 32 } do
      local grad_sq, trace = estimated(net, x, y, loss, size)
      unbiased(("|G|² at B = %d"):format(size), grad_sq, true_sq)
      unbiased(("tr Σ at B = %d"):format(size), trace, true_trace)
      within(("tr Σ at B = %d"):format(size), trace:mean():item(), 0.95 * true_trace, 1.05 * true_trace)
    end
  end)

  it("the noise scale grows as the loss falls", function()
    science.seeds(3, function()
      local net, x, _, loss = task()
      local _, y = x:narrow(2, 1, 3):max(2) -- what can be learnt
      local opt = sonde.optim.SGD(net:parameters(), { lr = 0.5 })
      local function scale()
        local sq, trace = exact(net, x, y, loss)
        local found = row(net, "gradient_noise", { parts = 2 }, x, y, loss).network
        within("tr Σ", found.trace, trace / 3, 3 * trace) -- one row
        return trace / sq
      end
      local before = scale()
      for _ = 1, 200 do
        opt:zero_grad()
        loss(net(x), y):backward()
        opt:step()
      end
      within("noise scale, after over before", scale() / before, 5, math.huge)
    end)
  end)
end)

describe("the largest stable learning rate by /hessian", function()
  --- Full-batch descent on a regression at lr = share · 2/λ: the loss at the end over that of the beginning.
  local function descend(share)
    sonde.manual_seed(4)
    local x, y = sonde.randn(40, 8), sonde.randn(40, 2)
    local net, loss = nn.Linear(8, 2), nn.MSELoss()
    local lambda = row(net, "hessian", { tolerance = 1e-6 }, x, y, loss).network.eigenvalue
    local opt = sonde.optim.SGD(net:parameters(), { lr = share * 2 / lambda })
    local first, last
    for _ = 1, 300 do
      opt:zero_grad()
      last = loss(net(x), y)
      first = first or last:item()
      last:backward()
      opt:step()
    end
    return last:item() / first
  end

  it("of a quadratic is 2/λ", function()
    within("just below", descend(0.97), 0, 1)
    within("just above", descend(1.03), 100, math.huge)
  end)
end)
