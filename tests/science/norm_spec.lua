--- P13: what batch normalisation does to scale and gradient (Ioffe & Szegedy 2015).
local sonde = require "sonde"
local science = require "support.science"
local nn = sonde.nn
local within = science.within

local function double(...) return sonde.randn({ ... }, { dtype = "float64" }) end

local function largest(t) return t:abs():max():item() end

describe("P13 batch normalisation with eps = 0", function()
  local function norm() return nn.BatchNorm1d(8, { eps = 0, dtype = "float64" }) end

  it("does not see the weight's scale, and its gradient shrinks by it", function()
    local u, w, upstream = double(32, 12), double(8, 12), double(32, 8)
    local function run(factor)
      local weight = (w * factor):detach():requires_grad_()
      local y = norm()(u:matmul(weight:t()))
      y:backward(upstream)
      return y:detach(), weight.grad
    end
    local y1, g1 = run(1)
    local y10, g10 = run(10)
    assert.is_true(largest(y10 - y1) < 1e-12)
    assert.is_true(largest(g10 * 10 - g1) / largest(g1) < 1e-10)
  end)

  it("gives gradients orthogonal to 1 and to its output", function()
    local z = double(32, 8):requires_grad_()
    local y = norm()(z)
    y:backward(double(32, 8))
    assert.is_true(largest(z.grad:sum(1)) < 1e-12)
    assert.is_true(largest((z.grad * y:detach()):sum(1)) < 1e-12)
  end)
end)

--- delta1/delta_depth of each of 5 networks.
local function ratios(opts)
  return science.seeds(5, function(seed)
    local run = science.measure(science.mlp(opts), opts.depth, science.batch(seed, 128))
    return run.delta[1] / run.delta[opts.depth]
  end)
end

describe("P13 depth at initialisation", function()
  for _, case in ipairs { { 0.1, 0, 1e-8 }, { 1, 0.15, 0.45 }, { 10, 300, math.huge } } do
    local sigma, low, high = table.unpack(case)
    local function init(w) nn.init.normal_(w, 0, sigma / math.sqrt(w:size(2))) end
    it("tanh, weights of scale " .. sigma, function()
      local opts = { depth = 10, width = 128, activation = nn.Tanh, init = init }
      for _, ratio in ipairs(ratios(opts)) do within("without", ratio, low, high) end
      opts.norm = nn.BatchNorm1d
      for _, ratio in ipairs(ratios(opts)) do within("with batch norm", ratio, 1.5, 3) end
    end)
  end

  it("sigmoid, Glorot, 20 layers", function()
    local opts = { depth = 20, width = 100, activation = nn.Sigmoid, init = nn.init.xavier_uniform_ }
    for _, ratio in ipairs(ratios(opts)) do within("without", ratio, 0, 1e-11) end
    opts.norm = nn.BatchNorm1d
    for _, ratio in ipairs(ratios(opts)) do within("with batch norm", ratio, 0.2, 0.8) end
  end)
end)
