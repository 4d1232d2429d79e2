local sonde = require "sonde"
local expect = require "support.expect"
local nn = sonde.nn

local function net()
  return nn.Sequential { nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 1) }
end

local function keys(t)
  local list = {}
  for k in pairs(t) do list[#list + 1] = k end
  table.sort(list)
  return list
end

describe("state_dict", function()
  it("has every parameter and buffer by path, detached, sharing memory", function()
    local m = net()
    local state = m:state_dict()
    for _, name in ipairs { "1.bias", "1.weight", "2.bias", "2.running_mean", "2.running_var", "2.weight", "3.bias",
      "3.weight" } do
      assert.truthy(state[name], name)
    end
    assert.is_false(state["1.weight"].requires_grad)
    state["1.weight"]:fill_(7)
    assert.equal(7.0, m[1].weight[1][1]:item())
  end)

  it("is loaded into another network", function()
    sonde.manual_seed(1)
    local a, b = net(), net()
    a(sonde.randn(8, 3))
    local missing, unexpected = b:load_state_dict(a:state_dict())
    assert.same({}, missing)
    assert.same({}, unexpected)
    local x = sonde.randn(4, 3)
    assert.is_true(a:eval()(x):equal(b:eval()(x)))
  end)

  it("takes PyTorch's names", function()
    local m = net()
    local torch = {}
    for name, t in pairs(m:state_dict()) do
      torch[(name:gsub("^%d", function(d) return tostring(math.tointeger(d) - 1) end))] = t + 1
    end
    assert.truthy(torch["0.weight"])
    m:load_state_dict(torch, { names = "torch" })
    assert.is_true(m:state_dict()["3.weight"]:equal(torch["2.weight"]))
  end)

  it("converts the dtype", function()
    local m = nn.Linear(1, 1)
    m:load_state_dict { weight = sonde.tensor({ { 2 } }, { dtype = "float64" }), bias = sonde.tensor { 1 } }
    assert.equal("float32", m.weight.dtype)
    expect.values({ { 2 } }, m.weight)
  end)

  it("lists what does not fit, and then changes nothing", function()
    local m = nn.Linear(2, 1)
    local before = m.weight:clone()
    local message = expect.error("load_state_dict of Linear", function()
      m:load_state_dict { weight = sonde.ones(2, 2), extra = sonde.ones(1), other = sonde.ones(1) }
    end)
    assert.truthy(message:find(
      "shapes: weight: expected [1, 2], got [2, 2]; missing: bias; unexpected: extra, other", 1, true))
    local some = { weight = sonde.ones(1, 2), extra = sonde.ones(1) }
    local missing, unexpected = m:load_state_dict(some, { strict = false })
    assert.same({ "bias" }, missing)
    assert.same({ "extra" }, unexpected)
    assert.is_false(before:equal(m.weight))
    expect.error("weight: expected [1, 2], got a number", function() m:load_state_dict { weight = 3 } end)
    expect.error("names are strings, got a number", function() m:load_state_dict { sonde.ones(1) } end)
    expect.error("expected a table, got nil", function() m:load_state_dict() end)
    expect.error("unknown option 'strct'", function() m:load_state_dict({}, { strct = false }) end)
    expect.error('names can only be "torch"', function() m:load_state_dict({}, { names = "keras" }) end)
    assert.same({ "bias", "weight" }, keys(m:state_dict()))
  end)
end)

describe("gradcheck of layers in float64", function()
  local x
  before_each(function()
    sonde.manual_seed(3)
    x = sonde.randn(4, 3, { dtype = "float64", requires_grad = true })
  end)
  after_each(function() x = nil end)

  local function check(m)
    m:to("float64")
    assert.is_true(sonde.gradcheck(m, { x }))
    local parameters = m:parameters()
    if #parameters > 0 then assert.is_true(sonde.gradcheck(function() return m(x) end, parameters)) end
  end

  it("Linear, Sequential, Residual, Flatten", function()
    check(nn.Linear(3, 2))
    check(nn.Sequential { nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 1, false) })
    check(nn.Residual(nn.Sequential { nn.Linear(3, 3), nn.Tanh() }, { scale = 0.3, learn_scale = true }))
    check(nn.Residual(nn.Linear(3, 2), { shortcut = nn.Linear(3, 2), scale = 0.5 }))
    check(nn.Sequential { nn.Flatten(1), nn.Identity() })
  end)

  it("BatchNorm1d, training and not", function()
    check(nn.BatchNorm1d(3))
    local m = nn.BatchNorm1d(3):to("float64")
    m(x)
    check(m:eval())
    check(nn.BatchNorm1d(3, { affine = false, track_running_stats = false }))
  end)

  it("activations", function()
    for _, name in ipairs { "Sigmoid", "Tanh", "ReLU", "LeakyReLU", "ELU", "SELU", "GELU", "SiLU", "Softplus",
      "Softsign", "Hardtanh" } do
      check(nn[name]())
    end
    check(nn.Sequential { nn.Linear(3, 3), nn.ReLU { inplace = true } })
  end)

  it("losses", function()
    local labels = sonde.tensor({ 1, 3, 2, 3 }, { dtype = "int64" })
    for _, reduction in ipairs { "mean", "sum", "none" } do
      local ce = nn.CrossEntropyLoss { reduction = reduction, label_smoothing = 0.1, ignore_index = 2,
        weight = sonde.tensor({ 1, 2, 3 }, { dtype = "float64" }) }
      assert.is_true(sonde.gradcheck(function(z) return ce(z, labels) end, { x }))
      local target = sonde.rand(4, 3, { dtype = "float64", requires_grad = true })
      assert.is_true(sonde.gradcheck(nn.MSELoss(reduction), { x, target }))
      local bce = nn.BCEWithLogitsLoss { reduction = reduction }
      assert.is_true(sonde.gradcheck(function(z) return bce(z, target:detach()) end, { x }))
    end
  end)
end)
