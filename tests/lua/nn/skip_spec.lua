--- Skips and scales of branches: DenseSkip, ReZero, LayerScale. Residual itself: layers_spec.lua.
local sonde = require "sonde"
local expect = require "support.expect"
local nn = sonde.nn

local function randn(...) return sonde.randn({ ... }, { dtype = "float64", requires_grad = true }) end

local function check(m, x)
  m:to("float64")
  local leaves = { x }
  for _, p in ipairs(m:parameters()) do leaves[#leaves + 1] = p end
  assert.is_true(sonde.gradcheck(function(a) return m(a) end, leaves))
end

it("DenseSkip joins the input and what the block makes of it", function()
  local m, x = nn.DenseSkip(nn.Linear(3, 2)), sonde.randn(4, 3)
  expect.shape({ 4, 5 }, m(x))
  assert.is_true(m(x)[{ {}, { 1, 3 } }]:equal(x))
  assert.is_true(m(x)[{ {}, { 4, 5 } }]:equal(m.block(x)))
  check(m, randn(4, 3))
  local growth = nn.Sequential {}
  for i = 0, 2 do growth:add(nn.DenseSkip(nn.Sequential { nn.Conv2d(2 + 3 * i, 3, 3, { padding = 1 }), nn.ReLU() })) end
  expect.shape({ 1, 11, 4, 4 }, growth(sonde.randn(1, 2, 4, 4)))
  check(nn.DenseSkip(nn.Tanh(), { dim = 1 }), randn(2, 3))
  expect.error("overwrites its input", function() nn.DenseSkip(nn.ReLU { inplace = true })(sonde.ones(2, 2)) end)
  expect.error("[4, 2]", function() nn.DenseSkip(nn.Linear(3, 2), 1)(x) end)
  expect.error("axis", function() nn.DenseSkip(nn.Identity(), 3)(x) end)
  expect.error("bad argument 'block' to nn.DenseSkip", function() nn.DenseSkip(2) end)
  expect.error("layer 'block' (Linear)", function() m(sonde.ones(2, 2)) end)
end)

it("ReZero starts as the identity, and learns how much of the block it wants", function()
  local m, x = nn.ReZero(nn.Linear(3, 3)), sonde.randn(4, 3)
  assert.is_true(m(x):equal(x))
  expect.values({ 0 }, m.scale)
  m(x):square():sum():backward()
  assert.is_true(m.scale.grad:abs():item() > 0)
  expect.values(0, m.block.weight.grad:abs():max())
  m.scale:detach():fill_(0.7)
  check(m, randn(4, 3))
  check(nn.ReZero(nn.Linear(3, 2), { shortcut = nn.Linear(3, 2) }), randn(4, 3))
  expect.error("bad argument 'block' to nn.ReZero", function() nn.ReZero() end)
end)

it("LayerScale has a scale for every feature", function()
  local m, x = nn.LayerScale(3), sonde.ones(2, 3)
  expect.values({ { 1e-5, 1e-5, 1e-5 }, { 1e-5, 1e-5, 1e-5 } }, m(x), 1e-12)
  assert.equal("LayerScale(3, init=1e-05, dim=-1)", tostring(m))
  check(nn.LayerScale(3, 0.5), randn(2, 4, 3))
  local channels = nn.LayerScale(2, { init = 2, dim = 2 })
  check(channels, randn(3, 2, 2, 2))
  assert.equal("LayerScale(2, init=2.0, dim=2)", tostring(channels))
  check(nn.Residual(nn.Sequential { nn.Linear(3, 3), nn.LayerScale(3, 0.1) }), randn(2, 3))
  expect.error("LayerScale: expected 3 features along axis 2, got [2, 4]", function() m(sonde.ones(2, 4)) end)
  expect.error("expected an input of the weight's dtype float32, got float64",
    function() m(sonde.ones(2, 3, { dtype = "float64" })) end)
  expect.error("axis", function() m(sonde.tensor(1)) end)
  expect.error("'num_features'", function() nn.LayerScale(0) end)
  expect.error("init must be finite", function() nn.LayerScale(3, 1 / 0) end)
  expect.error("", function() nn.LayerScale(1 << 60) end)
end)
