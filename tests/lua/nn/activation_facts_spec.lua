--- What activations publish: the bound of their derivative, and beyond which inputs they pass under 5 % of it.
local sonde = require "sonde"
local expect = require "support.expect"
local nn = sonde.nn

local float64 = { dtype = "float64" }

--- |φ'| at the points of a tensor, by autograd.
local function slopes(m, x)
  x = x:clone():requires_grad_()
  m(x):sum():backward()
  return x.grad:abs()
end

local activations = {
  nn.Sigmoid(), nn.Tanh(), nn.ReLU(), nn.LeakyReLU(), nn.LeakyReLU(0.2), nn.LeakyReLU(-2), nn.LeakyReLU(30), nn.ELU(),
  nn.ELU(0.5), nn.ELU(3), nn.ELU(0.01), nn.ELU(50), nn.ELU(0), nn.SELU(), nn.GELU(), nn.GELU "tanh", nn.SiLU(),
  nn.Softplus(), nn.Softplus(4, 2), nn.Softplus(0.5, -4), nn.Softsign(), nn.Hardtanh(), nn.Hardtanh(-3, 0.5),
  nn.PReLU(), nn.PReLU(1, 0.03), nn.RReLU(), nn.CELU(), nn.CELU(2.5), nn.Mish(), nn.Hardsigmoid(), nn.Hardswish(),
  nn.ReLU6(), nn.LogSigmoid(), nn.Threshold(1, 20), nn.Tanhshrink(), nn.Sin(),
}

describe("activations publish", function()
  local grid = sonde.arange(-60000, 60001, { dtype = "float64" }) / 3001 -- hits no kink but 0

  for _, m in ipairs(activations) do
    m:to("float64"):eval()
    it(tostring(m), function()
      local bound, slope = m:derivative_bound(), slopes(m, grid)
      local largest = slope:max():item()
      assert.is_true(largest <= bound * (1 + 1e-12), ("%.17g is above the bound %.17g"):format(largest, bound))
      assert.is_true(largest >= bound * (1 - 1e-3), ("only %.17g of the bound %.17g"):format(largest, bound))
      local lower, upper = m:saturation_interval()
      local passes = slope:ge(0.05 * bound)
      if lower then
        expect.values(0, (grid:lt(lower - 1e-9) * passes):sum())
        assert.is_true(slopes(m, sonde.tensor({ lower + 1e-6 }, float64)):item() >= 0.05 * bound, "could be higher")
      else
        assert.is_true(slopes(m, sonde.linspace(-30, -19, 1000, float64)):max():item() >= 0.05 * bound)
      end
      if upper then
        expect.values(0, (grid:gt(upper + 1e-9) * passes):sum())
        assert.is_true(slopes(m, sonde.tensor({ upper - 1e-6 }, float64)):item() >= 0.05 * bound, "could be lower")
      else
        assert.is_true(slopes(m, sonde.linspace(19, 30, 1000, float64)):max():item() >= 0.05 * bound)
      end
    end)
  end

  it("what holds for all their slopes, where they have several", function()
    local m = nn.PReLU(3)
    m.weight:detach():copy_(sonde.tensor { 0.1, -4, 0.5 })
    assert.equal(4, m:derivative_bound())
    assert.same({ n = 2 }, table.pack(m:saturation_interval()))
    m.weight:detach():copy_(sonde.tensor { 0.01, -0.04, 0.02 })
    assert.same({ 0, nil, n = 2 }, table.pack(m:saturation_interval()))
    assert.equal(7, nn.RReLU(-7, 2):derivative_bound())
    assert.equal(1, nn.RReLU():derivative_bound())
  end)

  it("the largest element of the Jacobian, over an axis", function()
    local x = sonde.tensor({ 3, 3, -50 }, { dtype = "float64", requires_grad = true })
    for m, bound in pairs { [nn.Softmax()] = 0.25, [nn.LogSoftmax()] = 1 } do
      local largest = 0
      for i = 1, 3 do
        x.grad = nil
        m(x)[i]:backward()
        largest = math.max(largest, x.grad:abs():max():item())
      end
      assert.equal(bound, m:derivative_bound())
      assert.is_true(math.abs(largest - bound) < 1e-12)
      assert.same({ n = 2 }, table.pack(m:saturation_interval()))
    end
  end)

  it("nothing, where a module is none", function()
    assert.is_nil(nn.Linear(1, 1):derivative_bound())
    assert.same({ n = 2 }, table.pack(nn.Sequential {}:saturation_interval()))
  end)
end)

describe("PReLU's slope bound", function()
  it("is that of a weight of any shape", function()
    local m = nn.PReLU()
    m.weight = nn.Parameter(sonde.tensor { { 0.5, 1 }, { 2, -3 } })
    assert.equal(3, m:derivative_bound())
    m.weight = nn.Parameter(sonde.tensor(2.0))
    assert.equal(2, m:derivative_bound())
  end)
end)
