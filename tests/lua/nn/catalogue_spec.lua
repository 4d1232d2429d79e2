local sonde = require "sonde"
local expect = require "support.expect"
local nn = sonde.nn

local function randn(...)
  return sonde.randn({ ... }, { dtype = "float64", requires_grad = true })
end

local function ids(values) return sonde.tensor(values, { dtype = "int64" }) end

local function check(m, ...)
  m:to("float64")
  local inputs = { ... }
  local leaves, n = { ... }, #inputs
  for _, p in ipairs(m:parameters()) do leaves[#leaves + 1] = p end
  assert.is_true(sonde.gradcheck(function(...) return m(table.unpack({ ... }, 1, n)) end, leaves))
end

describe("look-up and products", function()
  it("Embedding takes rows by number, from 1", function()
    local m = nn.Embedding(5, 3, { padding_idx = 2 })
    expect.values({ 0, 0, 0 }, m.weight[2])
    local index = ids { { 1, 2 }, { 5, 1 } }
    local y = m(index)
    expect.shape({ 2, 2, 3 }, y)
    assert.is_true(y[2][1]:equal(m.weight[5]))
    y:sum():backward()
    expect.values({ 2, 0, 0, 0, 1 }, m.weight.grad:select(2, 1))
    expect.shape({ 3 }, m(ids(4)))
    expect.shape({ 0, 3 }, m(sonde.zeros(0, { dtype = "int64" })))
    expect.values(1, nn.Embedding(100, 100).weight:std(), 0.03)
    assert.equal("Embedding(5, 3, padding_idx=2)", tostring(m))
    expect.error("Embedding: index_select: index 0 at position 1, but axis 1 counts from 1 to 5",
      function() m(ids { 0 }) end)
    expect.error("expected int64 indices, got float32", function() m(sonde.ones(2)) end)
    expect.error("padding_idx", function() nn.Embedding(5, 3, 6) end)
    expect.error("", function() nn.Embedding(1 << 40, 1 << 40) end)
  end)

  it("Bilinear", function()
    local m = nn.Bilinear(3, 2, 4)
    check(m, randn(5, 3), randn(5, 2))
    check(nn.Bilinear(3, 2, 1, { bias = false }), randn(2, 2, 3), randn(2, 2, 2))
    local a, b = randn(1, 3), randn(1, 2)
    local wanted = a:matmul(m.weight[2]):matmul(b:t()):item() + m.bias[2]:item()
    expect.values(wanted, m(a, b)[1][2], 1e-12)
    expect.error("expected inputs [*, 3] and [*, 2], got [5, 3] and [4, 2]", function() m(randn(5, 3), randn(4, 2)) end)
    expect.error("argument", function() m(a) end)
    expect.error("expected at least 1, got 0", function() nn.Bilinear(1, 1, 0) end)
  end)

  it("Maxout", function()
    local m = nn.Maxout(3, 2, 4)
    expect.shape({ 8, 3 }, m.weight)
    check(m, randn(5, 3))
    local x = randn(3)
    local all = m.weight:matmul(x) + m.bias
    expect.values(all[{ { 5, 8 } }]:max():item(), m(x)[2], 1e-12)
    expect.error("expected 3 input features", function() m(randn(2, 2)) end)
    expect.error("pieces", function() nn.Maxout(1, 1, 0) end)
  end)

  it("GLU and CReLU", function()
    check(nn.GLU(), randn(3, 4))
    check(nn.GLU(1), randn(4, 3))
    check(nn.CReLU(), randn(3, 4))
    expect.values({ { 1, 0, 0, 2 } }, nn.CReLU()(sonde.tensor { { 1, -2 } }))
    expect.values({ 1.5 }, nn.GLU()(sonde.tensor { 3, 0 }))
    expect.error("GLU: expected an even size along axis 1, got [3]", function() nn.GLU()(sonde.ones(3)) end)
    expect.error("axis", function() nn.CReLU(3)(sonde.ones(2, 2)) end)
  end)
end)

describe("shapes and containers", function()
  it("Unflatten", function()
    expect.shape({ 2, 3, 2, 2 }, nn.Unflatten(2, { 3, 2, -1 })(sonde.ones(2, 12)))
    expect.shape({ 2, 3, 4 }, nn.Unflatten(-1, { 3, 4 })(sonde.ones(2, 12)))
    expect.error("axis 2 has 12 elements, which are not [5, -1]",
      function() nn.Unflatten(2, { 5, -1 })(sonde.ones(2, 12)) end)
    expect.error("only one size may be -1", function() nn.Unflatten(2, { -1, -1 }) end)
    expect.error("got 0", function() nn.Unflatten(2, { 0, 2 }) end)
    expect.error("'dim'", function() nn.Unflatten() end)
  end)

  it("Concat joins what its children make of one input", function()
    local m = nn.Concat():add(nn.Identity()):add("wide", nn.Linear(3, 2))
    check(m, randn(4, 3))
    expect.shape({ 4, 5 }, m(randn(4, 3)))
    assert.is_true(m.wide.weight ~= nil)
    expect.error("nothing to join", function() nn.Concat()(sonde.ones(2, 2)) end)
    expect.error("overwrites its input", function()
      nn.Concat():add(nn.ReLU { inplace = true }):add(nn.Identity())(sonde.ones(2, 2))
    end)
  end)

  it("Highway starts near the identity", function()
    local m = nn.Highway(nn.Sequential { nn.Linear(3, 3), nn.Tanh() }, 3)
    expect.values({ -1, -1, -1 }, m.gate.bias)
    check(m, randn(4, 3))
    local closed, x = nn.Highway(nn.Linear(3, 3), 3, { gate_bias = -200 }), sonde.randn(2, 3)
    assert.is_true(closed(x):equal(x))
    expect.error("the block's result has shape [2, 4]", function() nn.Highway(nn.Linear(3, 4), 3)(sonde.ones(2, 3)) end)
    expect.error("expected Module, got number", function() nn.Highway(3, 3) end)
  end)
end)

describe("noise", function()
  local x = sonde.ones(400, 50, 2, 2)

  it("Dropout2d drops whole channels, StochasticDepth whole samples", function()
    local channels = nn.Dropout2d(0.25)(x):reshape(20000, 4)
    expect.values(1, channels:mean(), 0.03)
    expect.values(0, channels:std(2):max())
    local samples = nn.StochasticDepth(0.25)(x):reshape(400, -1)
    expect.values(0, samples:std(2):max(), 1e-5)
    expect.values(1, samples:mean(), 0.15)
    expect.error("expected an input [N, C, H, W], got [3]", function() nn.Dropout2d()(sonde.ones(3)) end)
  end)

  it("AlphaDropout keeps mean 0 and variance 1, GaussianNoise adds", function()
    local z = sonde.randn(200000)
    local y = nn.AlphaDropout(0.3)(z)
    expect.values(0, y:mean(), 0.02)
    expect.values(1, y:var(), 0.03)
    expect.values(0, nn.AlphaDropout(1)(z):abs():max())
    local noise = nn.GaussianNoise(0.5)(z) - z
    expect.values(0.5, noise:std(), 0.01)
  end)

  it("is silent in evaluation and differs from call to call", function()
    for _, m in ipairs { nn.Dropout2d(), nn.AlphaDropout(), nn.GaussianNoise(), nn.StochasticDepth() } do
      assert.is_false(m(x):equal(m(x)))
      assert.is_true(m:eval()(x):equal(x))
    end
    local leaf = randn(3, 2)
    local y = nn.AlphaDropout(0.5)(leaf)
    y:sum():backward()
    local a = 1 / math.sqrt(0.5 + 1.7580993408473766 ^ 2 * 0.25)
    for _, g in ipairs(leaf.grad:flatten():totable()) do assert.is_true(g == 0 or math.abs(g - a) < 1e-12) end
    for _, name in ipairs { "Dropout2d", "AlphaDropout", "StochasticDepth" } do
      expect.error("p must be between 0 and 1, got 2", function() nn[name](2) end)
    end
    expect.error("std must be finite and not negative, got -1", function() nn.GaussianNoise(-1) end)
    expect.error("float", function() nn.GaussianNoise()(ids { 1 }) end)
  end)
end)

it("gradients are scaled, stopped and reversed", function()
  local function gradient(m)
    local x = randn(3)
    local y = m(x) + x * 0
    y:sum():backward()
    return x.grad
  end
  expect.values({ 2.5, 2.5, 2.5 }, gradient(nn.GradientScale(2.5)))
  expect.values({ -1, -1, -1 }, gradient(nn.GradientReversal()))
  expect.values({ 0, 0, 0 }, gradient(nn.GradientStop()))
  local x = sonde.randn(2, 3)
  assert.is_true(nn.GradientScale(2)(x:t()):equal(x:t()))
  assert.is_false(nn.GradientStop()(randn(2)).requires_grad)
  expect.error("bad argument 'scale' to nn.GradientScale", function() nn.GradientScale() end)
  expect.error("scale must be finite", function() nn.GradientReversal(1 / 0) end)
  expect.error("float", function() nn.GradientScale(1)(ids { 1 }) end)
end)
