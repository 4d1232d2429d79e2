--- What normalisation does to scale and gradient: P13, of the batch (Ioffe & Szegedy 2015); P20, of the weights
--- (Salimans & Kingma 2016).
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

describe("P20 weight normalisation, w = g v/‖v‖", function()
  local layer, v, x, upstream

  before_each(function()
    sonde.manual_seed(1)
    layer = nn.Linear(12, 8, { bias = false, dtype = "float64" })
    nn.utils.parametrizations.weight_norm(layer)
    v = layer.parametrizations.weight.original1
    nn.init.normal_(v)
    x, upstream = double(32, 12), double(32, 8)
  end)
  after_each(function() layer, v, x, upstream = nil, nil, nil, nil end)

  --- The layer's output and v's gradient.
  local function run()
    layer:zero_grad()
    local y = layer(x)
    y:backward(upstream)
    return y:detach(), v.grad
  end

  local function squares(t) return (t:detach() ^ 2):sum(2) end

  it("has gradients orthogonal to v, row by row", function()
    local _, gradient = run()
    local cosine = (gradient * v:detach()):sum(2) / (squares(v) * squares(gradient)):sqrt()
    within("cos(v, grad v)", largest(cosine), 0, 1e-12)
  end)

  it("lets every step of SGD make v longer, as Pythagoras says", function()
    local lr, opt = 0.1, sonde.optim.SGD(layer:parameters(), { lr = 0.1 })
    for _ = 1, 3 do
      local _, gradient = run()
      local expected = squares(v) + squares(gradient) * lr ^ 2
      opt:step()
      within("error", largest(squares(v) / expected - 1), 0, 1e-12)
    end
  end)

  it("halves the gradient of a v twice as long, for the same output", function()
    local y, gradient = run()
    sonde.no_grad(function() v:mul_(2) end)
    local same, half = run()
    within("output", largest(same - y), 0, 0)
    within("gradient", largest(half * 2 - gradient), 0, 1e-15)
  end)
end)
