local sonde = require "sonde"
local core = require "sonde.core"
local expect = require "support.expect"
local nn = sonde.nn

local function net()
  return nn.Sequential { nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2, { bias = false }) }
end

local function list(iterator)
  local names = {}
  for name in iterator do names[#names + 1] = name end
  return names
end

describe("a module", function()
  it("is called, and forward is the same", function()
    local m, x = net(), sonde.randn(5, 4)
    expect.shape({ 5, 2 }, m(x))
    assert.is_true(m(x):equal(m:forward(x)))
    expect.error("bad argument #1 to Linear: expected Tensor, got number", function() m[1](3) end)
    expect.error("Linear takes 1 argument, got 2", function() m[1](x, x) end)
    expect.error("at most 8 arguments, got 9", function() m(x, x, x, x, x, x, x, x, x) end)
    expect.error("takes 1 argument, got 0", function() m[1]() end)
  end)

  it("names the layer whose shapes do not fit", function()
    local m = nn.Sequential { nn.Linear(4, 4) }
    m:add("inner", nn.Sequential { nn.Tanh(), nn.Linear(3, 2) })
    local message = expect.error("layer 'inner.2' (Linear)", function() m(sonde.ones(5, 4)) end)
    assert.truthy(message:find("[5, 4]", 1, true))
    assert.truthy(message:find("[2, 3]", 1, true))
  end)

  it("knows its parts in forward order", function()
    local m = net()
    assert.same({ "1.weight", "1.bias", "3.weight" }, list(m:named_parameters()))
    assert.same({ "", "1", "2", "3" }, list(m:named_modules()))
    assert.same({ "1", "2", "3" }, list(m:named_children()))
    assert.equal(3, #m:parameters())
    assert.equal(3, #m:children())
    assert.equal(4, #m:modules())
    assert.equal(3, #m)
    assert.is_true(m:parameters()[1] == m[1].weight)
    assert.is_true(m:children()[3] == m[-1])
    assert.is_nil(m[4])
    assert.is_nil(m[3].bias)
    assert.equal("Sequential", m:class_name())
    assert.is_true(nn.is_module(m))
    assert.is_false(nn.is_module {})
  end)

  it("visits what is shared once", function()
    local shared = nn.Linear(3, 3)
    local m = nn.Sequential { shared, nn.ReLU(), shared }
    assert.equal(2, #m:parameters())
    assert.same({ "", "1", "2" }, list(m:named_modules()))
  end)

  it("has children by name", function()
    local m = nn.Sequential()
    assert.is_true(m:add("h1", nn.Linear(2, 2)) == m)
    m:add(nn.ReLU())
    assert.same({ "h1", "2" }, list(m:named_children()))
    assert.is_true(m.h1 == m[1])
    m.h1 = nn.Linear(2, 5)
    expect.shape({ 5, 2 }, m[1].weight)
    m[2] = nn.Tanh()
    assert.equal("Tanh", m[2]:class_name())
    expect.error("has a child 'h1' already", function() m:add("h1", nn.ReLU()) end)
    expect.error("a child cannot be called 'train'", function() m:add("train", nn.ReLU()) end)
    expect.error("dots join the names of a path", function() m:add("a.b", nn.ReLU()) end)
    expect.error("bad argument #1 to 'add': expected Module, got number", function() m:add(3) end)
    expect.error("cannot contain itself", function() m:add(m) end)
    expect.error("cannot assign a number to child 'h1'", function() m.h1 = 3 end)
    expect.error("there is no number 9", function() m[9] = nn.ReLU() end)
    expect.error("expected Module, got nil", function() m[1] = nil end)
  end)

  it("reads and takes parameters", function()
    local m = nn.Linear(2, 1)
    m.weight = nn.Parameter(sonde.tensor { { 1, 2 } })
    m.bias = nil
    expect.values({ { 11 } }, m(sonde.tensor { { 3, 4 } }))
    assert.is_nil(m.bias)
    assert.equal(1, #m:parameters())
    local message = expect.error("cannot assign a Tensor to parameter 'weight' of Linear: expected nn.Parameter or nil",
      function() m.weight = sonde.ones(1, 2) end)
    assert.truthy(message:find("(to change its values: copy_, in sonde.no_grad)", 1, true))
    expect.error("cannot assign a string", function() m.weight = "w" end)
    expect.error("Linear has no parameter, buffer or child 'wieght'", function() m.wieght = m.weight end)
    expect.error("cannot assign a number to 'training' of Linear: expected boolean", function() m.training = 1 end)
    sonde.no_grad(function() m.weight:copy_(sonde.tensor { { 0, 1 } }) end)
    expect.values({ { 4 } }, m(sonde.tensor { { 3, 4 } }))
  end)

  it("switches mode, gradients and dtype for all below it", function()
    local m = nn.Sequential { nn.Dropout(0.5), net() }
    assert.is_true(m.training and m[1].training)
    assert.is_true(m:eval() == m)
    assert.is_false(m[2][1].training)
    m:train()
    assert.is_true(m[2][1].training)
    m:train(false)
    assert.is_false(m.training)
    m.training = true -- its own alone
    assert.is_true(m.training and not m[1].training)
    m:requires_grad_(false)
    assert.is_false(m[2][1].weight.requires_grad)
    m:requires_grad_(true)
    local w = m[2][1].weight
    assert.is_true(m:to("float64") == m)
    assert.equal("float64", w.dtype)
    assert.is_true(w == m[2][1].weight)
    m(sonde.ones(1, 4, { dtype = "float64" })):sum():backward()
    assert.truthy(w.grad)
    m:zero_grad()
    assert.is_nil(w.grad)
    expect.error("expected boolean, got number", function() m:train(1) end)
    expect.error("got 'half'", function() m:to("half") end)
  end)

  it("applies a function, children first", function()
    local names = {}
    local m = net()
    assert.is_true(m:apply(function(module) names[#names + 1] = module:class_name() end) == m)
    assert.same({ "Linear", "Tanh", "Linear", "Sequential" }, names)
    expect.error("expected function, got nil", function() m:apply() end)
  end)

  it("prints as PyTorch does", function()
    assert.equal("Sequential(\n  (1): Linear(in_features=4, out_features=3, bias=true)\n  (2): Tanh()\n"
      .. "  (3): Linear(in_features=3, out_features=2, bias=false)\n)", tostring(net()))
  end)

  it("leaves nothing behind", function()
    expect.no_leak(core, function()
      local m = net()
      m:add("extra", nn.Linear(2, 2))
      m:named_modules()
      m(sonde.randn(2, 4)):sum():backward()
      pcall(m, sonde.randn(2, 9))
      m.extra = nn.ReLU()
    end)
  end)
end)
