local sonde = require "sonde"
local expect = require "support.expect"
local nn = sonde.nn

local function randn(...)
  return sonde.randn({ ... }, { dtype = "float64", requires_grad = true })
end

--- Checks the gradients of input and parameters of a float64 module whose parameters are no longer 1 and 0.
local function check(m, x)
  m:to("float64")
  local leaves = { x }
  for _, p in ipairs(m:parameters()) do
    nn.init.normal_(p)
    leaves[#leaves + 1] = p
  end
  assert.is_true(sonde.gradcheck(function(v) return m(v) end, leaves))
end

--- Mean and population standard deviation of each row of x [rows, n].
local function moments(x)
  return x:mean(2), x:var(2, { correction = 0 }):sqrt()
end

describe("normalisation", function()
  it("gives every sample, group or channel mean 0 and variance 1", function()
    local x = sonde.randn({ 2, 4, 3, 5 }, { dtype = "float64" }) * 7 + 2
    for rows, m in pairs {
      [2] = nn.LayerNorm { 4, 3, 5 }, [24] = nn.LayerNorm(5), [4] = nn.GroupNorm(2, 4), [8] = nn.InstanceNorm2d(4),
    } do
      local mean, std = moments(m:to("float64")(x):reshape(rows, -1))
      assert.is_true(mean:abs():max():item() < 1e-13)
      assert.is_true((std - 1):abs():max():item() < 1e-4)
    end
    local y = nn.RMSNorm({ 3, 5 }, { dtype = "float64" })(x)
    assert.is_true((y:square():mean { 3, 4 } - 1):abs():max():item() < 1e-12)
  end)

  it("passes gradcheck", function()
    check(nn.BatchNorm2d(2), randn(3, 2, 2, 3))
    check(nn.LayerNorm(4), randn(3, 4))
    check(nn.LayerNorm { 2, 3 }, randn(2, 2, 3))
    check(nn.LayerNorm(4, { bias = false }), randn(3, 4))
    check(nn.GroupNorm(2, 4), randn(2, 4, 3))
    check(nn.GroupNorm(2, 4, { affine = false }), randn(3, 4))
    check(nn.InstanceNorm1d(2, { affine = true }), randn(2, 2, 4))
    check(nn.InstanceNorm2d(2), randn(2, 2, 2, 3))
    check(nn.RMSNorm(4), randn(3, 4))
    check(nn.RMSNorm { 2, 3 }, randn(2, 2, 3))
  end)

  it("has PyTorch's parameters and text", function()
    expect.shape({ 2, 3 }, nn.LayerNorm { 2, 3 }.weight)
    assert.equal(1, #nn.LayerNorm(2, { bias = false }):parameters())
    assert.equal(0, #nn.LayerNorm(2, { elementwise_affine = false }):parameters())
    assert.equal(2, #nn.GroupNorm(1, 2):parameters())
    assert.equal(0, #nn.InstanceNorm1d(2):parameters())
    assert.equal("LayerNorm([2, 3], eps=1e-05, elementwise_affine=true)", tostring(nn.LayerNorm { 2, 3 }))
    assert.equal("GroupNorm(2, 4, eps=1e-05, affine=true)", tostring(nn.GroupNorm(2, 4)))
    assert.equal("RMSNorm([4], eps=nil, elementwise_affine=true)", tostring(nn.RMSNorm(4)))
    local m = nn.BatchNorm2d(2)
    m(sonde.randn(3, 2, 4, 4))
    assert.equal(1, m.num_batches_tracked:item())
  end)

  it("takes empty batches and views", function()
    expect.shape({ 0, 4 }, nn.LayerNorm(4)(sonde.zeros(0, 4)))
    expect.shape({ 0, 4, 2 }, nn.GroupNorm(2, 4)(sonde.zeros(0, 4, 2)))
    expect.shape({ 0, 4 }, nn.RMSNorm(4)(sonde.zeros(0, 4)))
    local x = sonde.randn(5, 3)
    assert.is_true(nn.LayerNorm(5)(x:t()):equal(nn.LayerNorm(5)(x:t():clone())))
  end)

  it("checks its arguments", function()
    expect.error("BatchNorm2d: expected input [N, 2, H, W], got [3, 2]",
      function() nn.BatchNorm2d(2)(sonde.ones(3, 2)) end)
    expect.error("LayerNorm: expected an input that ends with [2, 3], got [3, 2]",
      function() nn.LayerNorm { 2, 3 }(sonde.ones(3, 2)) end)
    expect.error("GroupNorm: expected an input [N, 4, ...], got [2, 3]",
      function() nn.GroupNorm(2, 4)(sonde.ones(2, 3)) end)
    expect.error("InstanceNorm1d: expected an input [N, 2, L] or [2, L], got [1, 2, 3, 3]",
      function() nn.InstanceNorm1d(2)(sonde.ones(1, 2, 3, 3)) end)
    expect.error("more than one value", function() nn.InstanceNorm2d(2)(sonde.ones(3, 2, 1, 1)) end)
    expect.error("expected an input of dtype float32, got float64",
      function() nn.LayerNorm(2)(sonde.ones(2, 2, { dtype = "float64" })) end)
    expect.error("4 channels cannot be cut into 3 groups", function() nn.GroupNorm(3, 4) end)
    expect.error("eps must not be negative, got -1", function() nn.RMSNorm(2, -1) end)
    expect.error("eps must not be negative", function() nn.BatchNorm2d(2, -1) end)
    expect.error("expected at least 1, got 0", function() nn.LayerNorm(0) end)
    expect.error("'normalized_shape' to nn.LayerNorm", function() nn.LayerNorm() end)
    expect.error("float32 or float64", function() nn.GroupNorm(1, 2, { dtype = "int64" }) end)
    expect.error("unknown option 'momentum'", function() nn.InstanceNorm1d(2, { momentum = 0.1 }) end)
  end)
end)
