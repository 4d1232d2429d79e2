local sonde = require "sonde"
local core = require "sonde.core"
local expect = require "support.expect"
local nn = sonde.nn
local init = nn.init

local function bound(w) return w:abs():max():item() end
local function std(w) return w:std():item() end

describe("nn.init", function()
  local w

  before_each(function()
    sonde.manual_seed(1)
    w = sonde.zeros(200, 300)
  end)
  after_each(function() w = nil end)

  it("changes its tensor and returns it", function()
    for name, args in pairs {
      uniform_ = {}, normal_ = {}, zeros_ = {}, ones_ = {}, constant_ = { 3 },
      xavier_uniform_ = {}, xavier_normal_ = {},
      kaiming_uniform_ = {}, kaiming_normal_ = {}, lecun_uniform_ = {}, lecun_normal_ = {}, orthogonal_ = {},
    } do
      assert.is_true(init[name](w, table.unpack(args)) == w, name)
    end
  end)

  it("has PyTorch's scales", function()
    expect.values(math.sqrt(6 / 500), bound(init.xavier_uniform_(w)), 1e-3)
    expect.values(2 * math.sqrt(6 / 500), bound(init.xavier_uniform_(w, 2)), 1e-3)
    expect.values(math.sqrt(2 / 500), std(init.xavier_normal_(w)), 1e-3)
    expect.values(math.sqrt(2 / 300), std(init.kaiming_normal_(w, { nonlinearity = "relu" })), 1e-3)
    expect.values(math.sqrt(2 / 200), std(init.kaiming_normal_(w, { mode = "fan_out", nonlinearity = "relu" })), 1e-3)
    expect.values(math.sqrt(3 * 2 / 6 / 300), bound(init.kaiming_uniform_(w, math.sqrt(5))), 1e-3)
    expect.values(math.sqrt(1 / 300), std(init.lecun_normal_(w)), 1e-3)
    expect.values(math.sqrt(3 / 300), bound(init.lecun_uniform_(w)), 1e-3)
    expect.values(0.3, std(init.normal_(w, 0, 0.3)), 1e-2)
    assert.is_true(init.uniform_(w, 2, 3):min():item() >= 2)
    assert.equal(3.0, init.constant_(w, 3):min():item())
    assert.equal(1.0, init.ones_(w):max():item())
    local q = init.orthogonal_(sonde.zeros(5, 8, { dtype = "float64" }))
    assert.is_true(q:matmul(q:t()):allclose(sonde.eye(5, { dtype = "float64" }), 0, 1e-12))
  end)

  it("knows the gains", function()
    assert.equal(1.0, init.calculate_gain("linear"))
    expect.values(5 / 3, init.calculate_gain("tanh"))
    expect.values(math.sqrt(2), init.calculate_gain("relu"))
    expect.values(math.sqrt(2 / 1.04), init.calculate_gain("leaky_relu", 0.2))
    expect.error("", function() init.calculate_gain("step") end)
  end)

  it("draws from the modules' streams, not from the user's", function()
    sonde.manual_seed(4)
    local wanted = sonde.rand(3)
    sonde.manual_seed(4)
    local first = init.normal_(sonde.zeros(5))
    assert.is_true(wanted:equal(sonde.rand(3)))
    assert.is_false(first:equal(init.normal_(sonde.zeros(5))))
    sonde.manual_seed(4)
    assert.is_true(first:equal(init.normal_(sonde.zeros(5))))
    local g = core.random.stream(1, "mine")
    local state = g:state()
    local drawn = init.normal_(sonde.zeros(5), { generator = g })
    assert.is_true(drawn:equal(init.normal_(sonde.zeros(5), { generator = g:set_state(state) })))
  end)

  it("works on parameters without recording", function()
    local m = nn.Linear(3, 3)
    init.zeros_(m.bias)
    assert.is_true(m.bias.requires_grad and m.bias.is_leaf)
  end)

  it("checks its arguments", function()
    expect.error("expected one of fan_in, fan_out; got 'fan'", function() init.kaiming_normal_(w, { mode = "fan" }) end)
    expect.error("bad argument 'tensor' to nn.init.normal_: expected Tensor, got no value",
      function() init.normal_() end)
    expect.error("bad argument 'val' to nn.init.constant_: expected number, got no value",
      function() init.constant_(w) end)
    expect.error("", function() init.xavier_normal_(sonde.zeros(3)) end)
    expect.error("", function() init.normal_(sonde.zeros(3, { dtype = "int64" })) end)
  end)
end)

describe("nn.utils", function()
  it("clips the norm and tells what it was", function()
    local p = nn.Parameter(sonde.zeros(2))
    p.grad = sonde.tensor { 3, 4 }
    local total, coef = nn.utils.clip_grad_norm_({ p }, 1)
    expect.values(5, total)
    expect.values(1 / (5 + 1e-6), coef, 1e-9)
    expect.values({ 0.6, 0.8 }, p.grad, 1e-5)
    p.grad = sonde.tensor { 3, 4 }
    assert.equal(4.0, (nn.utils.clip_grad_norm_(p, 10, { norm_type = math.huge })))
    assert.equal(4.0, nn.utils.total_norm({ p }, "inf"))
    expect.values({ 3, 4 }, p.grad)
    p.grad = sonde.tensor { 0 / 0, 1 }
    expect.error("", function() nn.utils.clip_grad_norm_({ p }, 1, { error_if_nonfinite = true }) end)
    p.grad = sonde.tensor { -3, 4 }
    nn.utils.clip_grad_value_({ p }, 1)
    expect.values({ -1, 1 }, p.grad)
    expect.error("expected a list of Tensors, got number at [1]", function() nn.utils.clip_grad_norm_({ 1 }, 1) end)
    expect.error("bad argument 'max_norm' to nn.utils.clip_grad_norm_: expected number, got no value",
      function() nn.utils.clip_grad_norm_({ p }) end)
  end)
end)
