local sonde = require "sonde"
local core = require "sonde.core"
local expect = require "support.expect"
local nn = sonde.nn

local Scaled = nn.Module:extend("Scaled")
function Scaled:init(n, factor)
  self.lin = nn.Linear(n, n)
  self.gain = nn.Parameter(sonde.ones(1))
  self.factor = factor or 2
end
function Scaled:forward(x)
  return self.lin(x) * self.gain * self.factor
end

describe("a layer written in Lua", function()
  it("is a module like any other", function()
    local m, x = Scaled(3), sonde.randn(4, 3)
    expect.values((m.lin(x) * 2):totable(), m(x))
    expect.values((m.lin(x) * 2):totable(), m:forward(x))
    local names = {}
    for name in m:named_parameters() do names[#names + 1] = name end
    assert.same({ "gain", "lin.weight", "lin.bias" }, names)
    assert.is_true(m.lin == m:children()[1])
    assert.is_true(m.gain == m:parameters()[1])
    assert.equal("Scaled(\n  (lin): Linear(in_features=3, out_features=3, bias=true)\n)", tostring(m))
    assert.equal("Scaled", m:class_name())
    m:eval()
    assert.is_false(m.lin.training)
    m:to("float64")
    assert.equal("float64", m.gain.dtype)
    expect.error("Tensor", function() m(x, 5) end)
  end)

  it("works inside a C container whose only reference to it is its own", function()
    local net = nn.Sequential { Scaled(3), nn.Tanh(), Scaled(3, 5) }
    collectgarbage()
    collectgarbage()
    local x = sonde.randn(2, 3)
    expect.shape({ 2, 3 }, net(x))
    assert.equal(5, net[3].factor)
    net[3].factor = 0
    assert.equal(0.0, net(x):abs():sum():item())
    net(x):sum():backward()
    assert.truthy(net[1].gain.grad)
    assert.equal(6, #net:parameters())
    assert.is_true(net:state_dict()["3.lin.weight"] ~= nil)
  end)

  it("may return several values and take several", function()
    local Two = nn.Module:extend("Two")
    function Two:forward(a, b) return a + b, a - b end
    local sum, difference = Two()(sonde.ones(2), sonde.ones(2))
    expect.values({ 2, 2 }, sum)
    expect.values({ 0, 0 }, difference)
    local first, none = nn.Sequential { Two(), nn.ReLU() }(sonde.ones(2), sonde.ones(2))
    expect.values({ 2, 2 }, first)
    assert.is_nil(none)
    local Optional = nn.Module:extend("Optional")
    function Optional:forward(a, b) return b and a + b or a end
    expect.values({ 1 }, Optional()(sonde.ones(1)))
    expect.values({ 1 }, Optional()(sonde.ones(1), nil))
  end)

  it("inherits", function()
    local Doubled = Scaled:extend("Doubled")
    function Doubled:forward(x) return Scaled.forward(self, x) * 2 end
    local m, x = Doubled(3), sonde.randn(1, 3)
    expect.values((m.lin(x) * 4):totable(), m(x), 1e-5)
    assert.equal(Scaled, Doubled.super)
    assert.equal("Doubled", tostring(Doubled))
    function Scaled:greeting() return "hello " .. self:class_name() end
    assert.equal("hello Doubled", m:greeting())
    Scaled.greeting = nil
    local Own = nn.Module:extend("Own")
    function Own:extra_repr() return "k=3" end
    assert.equal("Own(k=3)", tostring(Own()))
  end)

  it("registers fields as they are assigned", function()
    local Bare = nn.Module:extend("Bare")
    local m = Bare()
    m.b = nn.ReLU()
    m.a = nn.Tanh()
    m.note, m[1] = "text", "one"
    m.plain = sonde.ones(2)
    assert.same({ "b", "a" }, m:child_names())
    assert.equal(0, #m:parameters())
    assert.equal("text", m.note)
    assert.equal("one", m[1])
    m.plain = nn.Parameter(m.plain)
    assert.equal(1, #m:parameters())
    m.plain = nil
    assert.equal(0, #m:parameters())
    m:register_buffer("mean", sonde.zeros(2))
    assert.equal(1, #m:buffers())
    m.mean = sonde.ones(2)
    expect.values({ 1, 1 }, m:buffers()[1])
    m:register_parameter("w", nn.Parameter(sonde.ones(3)))
    expect.shape({ 3 }, m.w)
    assert.is_nil(m.nothing)
    expect.error("cannot assign a string to child 'a' of Bare: expected Module", function() m.a = "x" end)
    expect.error("cannot assign a Tensor to parameter 'w'", function() m.w = sonde.ones(3) end)
    expect.error("cannot assign a number to buffer 'mean'", function() m.mean = 1 end)
    expect.error("must be a float", function() m:register_parameter("i", sonde.ones(1, { dtype = "int64" })) end)
  end)

  it("explains its mistakes", function()
    local Bad = nn.Module:extend("Bad")
    expect.error("Bad has no method 'forward'", function() Bad()(sonde.ones(1)) end)
    function Bad:forward() return 3 end
    expect.error("Bad: forward returned a number as value 1, expected Tensor", function() Bad()(sonde.ones(1)) end)
    function Bad:forward() end
    expect.error("Bad: forward returns 1 to 8 tensors, got 0", function() Bad()(sonde.ones(1)) end)
    function Bad:forward(x) return x + sonde.ones(7) end
    local _, message = pcall(nn.Sequential { Bad() }, sonde.ones(2))
    assert.truthy(message:find("custom_spec.lua:%d+: shapes %[2%] and %[7%] do not broadcast"))
    assert.truthy(message:find("stack traceback", 1, true))
    local problem = {}
    function Bad:forward() error(problem) end
    local _, value = pcall(nn.Sequential { Bad() }, sonde.ones(2))
    assert.equal(problem, value)
    function Bad:forward(x) return self(x) end
    assert.is_false((pcall(Bad(), sonde.ones(1))))
    expect.error("no layer itself", function() nn.Module() end)
    expect.error("expected the new class's name", function() nn.Module:extend() end)
    expect.error("expected a class", function() nn.Module.extend({}, "X") end)
  end)

  it("raises what init raises", function()
    local Bad = nn.Module:extend("Bad")
    function Bad:init() error("no") end
    expect.error("", function()
      local ok, message = pcall(Bad)
      assert.is_false(ok)
      error(message:match("no$") and "custom" or message)
    end)
  end)

  it("is right in float64", function()
    sonde.manual_seed(5)
    local m = nn.Sequential { Scaled(3), nn.Tanh(), Scaled(3) }:to("float64")
    local x = sonde.randn(2, 3, { dtype = "float64", requires_grad = true })
    assert.is_true(sonde.gradcheck(m, { x }))
    assert.is_true(sonde.gradcheck(function() return m(x) end, m:parameters()))
  end)

  it("survives a hard-working collector and leaves nothing behind", function()
    expect.no_leak(core, function()
      expect.under_pressure(function()
        local net = nn.Sequential { Scaled(3), Scaled(3) }
        net[1].me = { net } -- a cycle through the fields
        net[1].fn = function() return net end
        for _ = 1, 20 do
          net(sonde.randn(2, 3)):sum():backward()
          collectgarbage "step"
        end
      end)
      local Failing = nn.Module:extend("Failing")
      function Failing:forward(x) error("x") end
      pcall(nn.Sequential { nn.Linear(3, 3), Failing() }, sonde.randn(1, 3))
    end)
  end)
end)
