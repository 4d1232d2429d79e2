--- Initialisers of a given structure, those of whole networks, and gates.
local sonde = require "sonde"
local core = require "sonde.core"
local expect = require "support.expect"
local nn = sonde.nn
local init = nn.init

local DOUBLE = { dtype = "float64" }

before_each(function() sonde.manual_seed(1) end)

describe("nn.init.trunc_normal_", function()
  --- Standard deviation of N(0, 1) between -c and c.
  local function std_within(c)
    local n, mass, square = 20000, 0, 0
    for i = 1, n do
      local z = (2 * (i - 0.5) / n - 1) * c
      local density = math.exp(-z * z / 2)
      mass, square = mass + density, square + density * z * z
    end
    return math.sqrt(square / mass)
  end

  it("stays between its bounds with the right mean and deviation", function()
    for _, dtype in ipairs { "float32", "float64" } do
      local w = sonde.zeros(400, 500, { dtype = dtype })
      assert.is_true(init.trunc_normal_(w) == w)
      assert.is_true(w:abs():max():item() <= 2 and w:abs():max():item() > 1.99)
      expect.values(0, w:mean():item(), 0.01)
      expect.values(std_within(2), w:std():item(), 0.005)
      init.trunc_normal_(w, 3, { std = 2, a = 1, b = 5 })
      assert.is_true(w:min():item() >= 1 and w:max():item() <= 5)
      expect.values(3, w:mean():item(), 0.02)
      expect.values(2 * std_within(1), w:std():item(), 0.01)
    end
  end)

  it("is right far out, on either side", function()
    for _, sign in ipairs { 1, -1 } do
      local w = sonde.zeros(100000, DOUBLE)
      init.trunc_normal_(w, { a = math.min(sign * 30, sign * 35), b = math.max(sign * 30, sign * 35) })
      local excess = w:abs() - 30 -- nearly exponential, of mean 1/30
      assert.is_true(excess:min():item() >= 0)
      expect.values(1 / 30 - 2 / 30 ^ 3, excess:mean():item(), 1e-3)
    end
  end)

  it("without bounds is the normal distribution", function()
    local w = init.trunc_normal_(sonde.zeros(200000, DOUBLE), 1, 2, -math.huge, math.huge)
    expect.values(1, w:mean():item(), 0.02)
    expect.values(2, w:std():item(), 0.02)
  end)

  it("checks its arguments", function()
    local w = sonde.zeros(3)
    expect.error("expected a < b, got a = 2 and b = 1", function() init.trunc_normal_(w, { a = 2, b = 1 }) end)
    expect.error("std > 0, got 0 and 0", function() init.trunc_normal_(w, { std = 0 }) end)
    expect.error("nothing of N(0, 1²) lies between 40 and 41", function() init.trunc_normal_(w, { a = 40, b = 41 }) end)
    expect.error("only float tensors", function() init.trunc_normal_(sonde.zeros(3, { dtype = "int64" })) end)
  end)
end)

describe("structured weights", function()
  it("eye_", function()
    expect.values({ { 1, 0, 0 }, { 0, 1, 0 } }, init.eye_(sonde.ones(2, 3)), 0)
    expect.values({ { 1, 0 }, { 0, 1 }, { 0, 0 } }, init.eye_(sonde.ones(2, 3):t()), 0) -- not contiguous
    expect.error("eye_ needs a tensor [out, in], got shape [3]", function() init.eye_(sonde.ones(3)) end)
  end)

  it("dirac_ lets a convolution pass its channels on", function()
    local x = sonde.randn(2, 4, 7, 6)
    local conv = nn.Conv2d(4, 6, 3, { padding = 1, bias = false })
    init.dirac_(conv.weight)
    local y = conv(x)
    assert.is_true(y:narrow(2, 1, 4):equal(x))
    expect.values(0, y:narrow(2, 5, 2):abs():max():item(), 0)
    local grouped = nn.Conv1d(4, 4, 5, { padding = 2, bias = false, groups = 2 })
    init.dirac_(grouped.weight, 2)
    local line = sonde.randn(3, 4, 9)
    assert.is_true(grouped(line):equal(line))
    expect.error("3 to 5 axes, got shape [2, 2]", function() init.dirac_(sonde.ones(2, 2)) end)
    expect.error("groups that divide the 4 output channels, got 3",
      function() init.dirac_(grouped.weight, { groups = 3 }) end)
  end)

  it("sparse_ has the same number of zeros in each column", function()
    local w = init.sparse_(sonde.ones(50, 80), 0.33, 0.2)
    expect.values(sonde.full({ 80 }, 17):totable(), w:eq(0):sum(1), 0) -- ceil(0.33 * 50)
    expect.values(0.2, math.sqrt((w * w):sum():item() / (33 * 80)), 0.01)
    expect.values(0.01, init.sparse_(sonde.ones(200, 200), 0):std():item(), 2e-4)
    expect.values(0, init.sparse_(sonde.ones(4, 4), 1):abs():max():item(), 0)
    expect.error("a share from 0 to 1, got 1.5", function() init.sparse_(w, 1.5) end)
    expect.error("std must not be negative, got -1", function() init.sparse_(w, 0.5, -1) end)
    expect.error("bad argument 'sparsity' to nn.init.sparse_: expected number, got no value",
      function() init.sparse_(w) end)
    expect.error("sparse_ needs a tensor [out, in], got shape [4]", function() init.sparse_(sonde.ones(4), 0.1) end)
  end)

  it("delta_orthogonal_ keeps the norm of what goes through, times the gain", function()
    for _, gain in ipairs { 1, 1.5 } do
      local conv = nn.Conv2d(5, 8, 3, { padding = 1, bias = false, dtype = "float64" })
      init.delta_orthogonal_(conv.weight, gain)
      local x = sonde.randn(2, 5, 6, 6, DOUBLE)
      expect.values(gain * x:norm():item(), conv(x):norm():item(), 1e-12)
    end
    expect.error("3 input channels cannot go into 2 output channels",
      function() init.delta_orthogonal_(sonde.ones(2, 3, 3)) end)
    expect.error("3 to 5 axes", function() init.delta_orthogonal_(sonde.ones(3, 3)) end)
  end)

  it("draw one stream each, and none where nothing is drawn", function()
    local function next_draw(...)
      sonde.manual_seed(5)
      for _, fn in ipairs { ... } do fn() end
      return init.normal_(sonde.zeros(4))
    end
    local first, second = next_draw(), next_draw(function() init.normal_(sonde.zeros(9)) end)
    for name, fn in pairs {
      trunc = function() init.trunc_normal_(sonde.zeros(3)) end,
      sparse = function() init.sparse_(sonde.zeros(3, 3), 0.5) end,
      delta = function() init.delta_orthogonal_(sonde.zeros(3, 3, 1)) end,
      critical = function() init.critical_(sonde.zeros(3, 3), "tanh") end,
      chrono = function() init.chrono_(nn.LSTM(1, 3, { bias = true }), 9) end,
    } do
      if name ~= "chrono" then assert.is_true(second:equal(next_draw(fn)), name) end
      assert.is_true(next_draw(fn):equal(next_draw(fn)), name)
    end
    assert.is_true(first:equal(next_draw(function()
      init.eye_(sonde.zeros(2, 2))
      init.dirac_(sonde.zeros(2, 2, 1))
      init.forget_bias_(nn.LSTM(1, 1), 2)
      sonde.manual_seed(5) -- the LSTM drew
    end)))
    local g = core.random.stream(1, "mine")
    local a = init.trunc_normal_(sonde.zeros(5), { generator = g })
    local b = init.trunc_normal_(sonde.zeros(5), { generator = core.random.stream(1, "mine") })
    assert.is_true(a:equal(b))
  end)
end)

describe("fans and gains", function()
  it("fan_in and fan_out are PyTorch's, and a mode of lecun", function()
    local w = sonde.zeros(200, 300)
    assert.same({ 300, 200 }, { init.fans(w) })
    assert.same({ 18, 36 }, { init.fans(sonde.zeros(4, 2, 3, 3)) })
    expect.values(math.sqrt(1 / 200), init.lecun_normal_(w, "fan_out"):std():item(), 1e-3)
    expect.values(math.sqrt(3 / 200), init.lecun_uniform_(w, { mode = "fan_out" }):abs():max():item(), 1e-3)
    expect.error("expected one of fan_in, fan_out; got 'fan'", function() init.lecun_normal_(w, "fan") end)
    expect.error("2 or more axes", function() init.fans(sonde.zeros(3)) end)
  end)

  it("the gains beyond PyTorch's keep the mean square", function()
    for _, name in ipairs {
      "celu", "elu", "gelu", "hardsigmoid", "hardswish", "hardtanh", "logsigmoid", "mish", "relu6", "silu", "sin",
      "softplus", "softsign", "tanhshrink", "relu",
    } do
      expect.values(1, sonde.theory.q_map(name, 1, { sigma_w = init.calculate_gain(name) }), 1e-9)
    end
    assert.equal(0.75, init.calculate_gain("selu"))
    expect.error("no gain is known for 'step'; there are linear, conv1d", function() init.calculate_gain("step") end)
    expect.error("tanhshrink, sin", function() init.kaiming_normal_(sonde.zeros(2, 2), { nonlinearity = "swish" }) end)
  end)
end)

describe("nn.init.critical_", function()
  it("has the mean-field variances", function()
    local w, b = sonde.zeros(300, 200), sonde.zeros(5000)
    local same, point = init.critical_(w, "tanh", { sigma_b = math.sqrt(0.05), bias = b })
    assert.is_true(same == w)
    expect.values(1.76095, point.sigma_w ^ 2, 1e-3)
    expect.values(math.sqrt(1.76095 / 200), w:std():item(), 1e-3)
    expect.values(math.sqrt(0.05), b:std():item(), 5e-3)
    init.critical_(w, { nonlinearity = "relu", mode = "fan_out", bias = b })
    expect.values(math.sqrt(2 / 300), w:std():item(), 1e-3)
    expect.values(0, b:abs():max():item(), 0)
    init.critical_(w, function(x) return x:tanh() * 0.5 end)
    expect.values(2 / math.sqrt(200), w:std():item(), 1e-3)
  end)

  it("checks its arguments", function()
    local w = sonde.zeros(3, 3)
    expect.error("which nonlinearity", function() init.critical_(w) end)
    expect.error("expected Tensor, got number", function() init.critical_(3, "tanh") end)
    expect.error("unknown activation 'tan'", function() init.critical_(w, "tan") end)
    expect.error("expected one of fan_in, fan_out; got 'both'",
      function() init.critical_(w, "tanh", { mode = "both" }) end)
    expect.error("unknown option 'sigma'", function() init.critical_(w, "tanh", { sigma = 1 }) end)
    expect.error("bias must be a Tensor, got number", function() init.critical_(w, "tanh", { bias = 1 }) end)
    expect.error("relu has no stable critical point with sigma_b = 0.2", function()
      init.critical_(w, "relu", { sigma_b = 0.2 })
    end)
    expect.error("2 or more axes", function() init.critical_(sonde.zeros(3), "tanh") end)
  end)
end)
