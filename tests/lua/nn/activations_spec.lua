local sonde = require "sonde"
local expect = require "support.expect"
local nn = sonde.nn

local function double(values, opts)
  return sonde.tensor(values, { dtype = "float64", requires_grad = opts and opts.requires_grad })
end

--- Away from every kink (0, ±1, ±3, 6).
local points = { -12.3, -3.4, -2.2, -0.7, -0.02, 0.03, 0.6, 1.9, 2.7, 3.3, 5.1, 7.7 }

local elementwise = {
  ReLU6 = nn.ReLU6, CELU = nn.CELU, ["CELU 2"] = function() return nn.CELU(2) end, Mish = nn.Mish,
  Hardsigmoid = nn.Hardsigmoid, Hardswish = nn.Hardswish, LogSigmoid = nn.LogSigmoid, Tanhshrink = nn.Tanhshrink,
  Threshold = function() return nn.Threshold(0.1, 20) end, Sin = nn.Sin,
}

describe("activations", function()
  for name, make in pairs(elementwise) do
    it(name .. ": gradcheck, and in place where there is a method", function()
      local m = make()
      assert.is_true(sonde.gradcheck(m, { double(points, { requires_grad = true }) }))
      assert.is_true(m(sonde.tensor { 0 / 0 }):ne(m(sonde.tensor { 0 / 0 })):item() == 1)
      expect.error("float", function() m(sonde.ones(2, { dtype = "int64" })) end)
    end)
  end

  it("have methods of the same name", function()
    local x = double(points)
    for _, name in ipairs { "ReLU6", "CELU", "Mish", "Hardsigmoid", "Hardswish", "LogSigmoid", "Tanhshrink", "Sin" } do
      assert.is_true(nn[name]()(x):equal(x[name:lower()](x)), name)
    end
    expect.values({ 9, 9, 3 }, sonde.tensor { -1, 2, 3 }:threshold(2, 9))
    local changed = double(points)
    changed:mish_()
    assert.is_true(changed:equal(x:mish()))
    assert.equal("Threshold(threshold=2.0, value=9.0, inplace=true)", tostring(nn.Threshold(2, 9, { inplace = true })))
    assert.equal("ReLU6()", tostring(nn.ReLU6()))
    assert.equal("CELU(alpha=2.0)", tostring(nn.CELU(2)))
  end)

  it("check their arguments", function()
    expect.error("expected a positive number, got 0", function() nn.CELU(0) end)
    expect.error("bad argument 'value' to nn.Threshold: expected number, got no value", function() nn.Threshold(1) end)
    expect.error("expected at least 1, got 0", function() nn.PReLU(0) end)
    expect.error("expected float32 or float64", function() nn.PReLU(1, { dtype = "int64" }) end)
    expect.error("init must be finite", function() nn.PReLU(1, 1 / 0) end)
    expect.error("lower at most upper, got 0.5 and 0.25", function() nn.RReLU(0.5, 0.25) end)
    expect.error("no axis 0", function() nn.Softmax(0) end)
    expect.error("axis", function() nn.Softmax(3)(sonde.ones(2, 2)) end)
  end)

  it("PReLU learns one slope, or one per channel", function()
    local one, three = nn.PReLU(), nn.PReLU(3, 0.5, { dtype = "float64" })
    expect.values({ -0.5, 0, 3 }, one(sonde.tensor { -2, 0, 3 }))
    expect.shape({ 3 }, three.weight)
    for _, shape in ipairs { { 4, 3 }, { 2, 3, 5 } } do
      local x = sonde.randn(shape, { dtype = "float64", requires_grad = true })
      assert.is_true(sonde.gradcheck(function(v) return three(v) end, { x }))
      expect.shape(shape, three(x))
    end
    local x, w = double({ { -1, 2, -3 } }), three.weight
    three(x):sum():backward()
    expect.values({ -1, 0, -3 }, w.grad)
    expect.error("PReLU: expected an input [N, C, ...] with C = num_parameters = 3, got [3]",
      function() three(double { 1, 2, 3 }) end)
    expect.error("float64, got float32", function() three(sonde.ones(2, 3)) end)
    expect.shape({ 0, 3 }, three(sonde.zeros(0, 3, { dtype = "float64" })))
  end)

  it("RReLU draws slopes in training and takes their middle in evaluation", function()
    local m, x = nn.RReLU(0.1, 0.3), sonde.ones(10000):neg()
    local y = m(x):neg()
    assert.is_true(y:min():item() >= 0.1 and y:max():item() <= 0.3)
    expect.values(0.2, y:mean(), 0.002)
    assert.is_false(y:equal(m(x):neg()))
    expect.values({ -0.2, 3 }, m:eval()(sonde.tensor { -1, 3 }))
    m:train()
    local z = double({ -2, 1 }, { requires_grad = true })
    local out = m(z)
    out:sum():backward()
    expect.values({ out[1]:item() / -2, 1 }, z.grad, 1e-15)
  end)

  it("Softmax and LogSoftmax take an axis", function()
    local x = sonde.tensor { { 1, 2 }, { 3, 5 } }
    assert.is_true(nn.Softmax()(x):equal(x:softmax(2)))
    assert.is_true(nn.Softmax(1)(x):equal(x:softmax(1)))
    assert.is_true(nn.LogSoftmax { dim = 1 }(x):equal(x:log_softmax(1)))
    assert.equal("Softmax(dim=1)", tostring(nn.Softmax(1)))
  end)
end)

describe("probes of activations", function()
  local function slopes(activation)
    local net = nn.Sequential { nn.Linear(4, 6), activation, nn.Linear(6, 1) }
    local probe <close> = sonde.probe.attach(net)
    net(sonde.randn(20, 4)):sum():backward()
    probe:step()
    return probe:last().activation["2"]
  end

  it("know every element-wise one's slope, and the saturation of bounded ones", function()
    for name, make in pairs(elementwise) do
      local row = slopes(make())
      assert.is_true(row.slope_rms >= 0 and row.slope_rms <= 1, name)
      local bounded = name == "ReLU6" or name == "Hardsigmoid" or name == "Sin"
      assert.equal(bounded, row.saturated_frac == row.saturated_frac, name)
    end
  end)

  it("see a PReLU of one slope as the LeakyReLU it is", function()
    assert.equal(1, slopes(nn.PReLU(1, 1)).slope_rms)
    local several, random = slopes(nn.PReLU(6)).slope_rms, slopes(nn.RReLU()).slope_rms
    assert.is_true(several ~= several and random ~= random)
  end)
end)
