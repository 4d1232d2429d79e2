local sonde = require "sonde"
local core = require "sonde.core"
local expect = require "support.expect"
local nn = sonde.nn

describe("forward hooks", function()
  it("see module, input and output", function()
    local m, x = nn.Sequential { nn.Linear(3, 2) }, sonde.randn(4, 3)
    local seen
    local handle = m[1]:register_forward_hook(function(module, input, output) seen = { module, input, output } end)
    local y = m(x)
    assert.is_true(seen[1] == m[1] and seen[2] == x and seen[3] == y)
    seen = nil
    handle:remove()
    m(x)
    assert.is_nil(seen)
    handle:remove()
  end)

  it("may replace values", function()
    local m, x = nn.Identity(), sonde.ones(2)
    m:register_forward_pre_hook(function(_, input) return input * 3 end)
    m:register_forward_hook(function(_, _, output) return output + 1 end)
    expect.values({ 4, 4 }, m(x))
    m:register_forward_hook(function() return { x } end)
    assert.is_true(m(x) == x)
    m:register_forward_hook(function() return "x" end)
    local _, message = pcall(m, x)
    assert.truthy(message:find("a hook returns a Tensor, a list of Tensors or nothing, got string", 1, true))
  end)

  it("run in order, and may add and remove", function()
    local m, x, calls = nn.Identity(), sonde.ones(1), {}
    local second
    m:register_forward_hook(function()
      calls[#calls + 1] = 1
      second:remove()
    end)
    second = m:register_forward_hook(function() calls[#calls + 1] = 2 end)
    m(x)
    m(x)
    assert.same({ 1, 1 }, calls)
  end)

  it("surface their errors", function()
    local m = nn.Sequential { nn.Identity() }
    m[1]:register_forward_hook(function() error("in the hook") end)
    local _, message = pcall(m, sonde.ones(1))
    assert.truthy(message:find("hooks_spec.lua:%d+: in the hook\nstack traceback"))
    expect.error("bad argument 'hook' to Module:register_forward_hook: expected function, got number",
      function() m:register_forward_hook(3) end)
  end)
end)

describe("full backward hooks", function()
  it("see both gradients as tables", function()
    local m, x = nn.Linear(2, 1, { bias = false }), sonde.ones(3, 2, { requires_grad = true })
    local seen
    m:register_full_backward_hook(function(module, grad_input, grad_output)
      seen = { module, grad_input, grad_output }
    end)
    m(x):sum():backward()
    assert.is_true(seen[1] == m)
    assert.equal(1, #seen[2])
    expect.values({ { 1 }, { 1 }, { 1 } }, seen[3][1])
    expect.values(x.grad:totable(), seen[2][1])
  end)

  it("see no gradient of an input that needs none", function()
    local m = nn.Linear(2, 1)
    local inputs, outputs
    m:register_full_backward_hook(function(_, grad_input, grad_output)
      inputs, outputs = grad_input, grad_output
    end)
    m(sonde.ones(3, 2)):sum():backward()
    assert.same({ n = 1 }, inputs)
    assert.truthy(outputs[1])
  end)

  it("may replace the gradient of the input", function()
    local m, x = nn.Tanh(), sonde.zeros(2, { requires_grad = true })
    m:register_full_backward_hook(function(_, grad_input) return { grad_input[1] * 10 } end)
    m(x):sum():backward()
    expect.values({ 10, 10 }, x.grad)
  end)

  it("work around activations that overwrite their input", function()
    local net = nn.Sequential { nn.Linear(2, 2), nn.ReLU { inplace = true }, nn.Linear(2, 1) }
    local calls = 0
    for _, child in ipairs(net:children()) do
      child:register_full_backward_hook(function() calls = calls + 1 end)
    end
    net(sonde.randn(4, 2)):sum():backward()
    assert.equal(3, calls)
  end)

  it("surface their errors and leave the graph freed", function()
    local m, x = nn.Tanh(), sonde.zeros(2, { requires_grad = true })
    m:register_full_backward_hook(function() error("backwards") end)
    local y = m(x):sum()
    local _, message = pcall(y.backward, y)
    assert.truthy(message:find("backwards", 1, true))
  end)
end)

describe("hooks", function()
  it("of a module nobody in Lua holds go on working while it is part of a network", function()
    local net, calls = nn.Sequential { nn.Linear(2, 2) }, 0
    for _, m in net:named_modules() do
      m:register_forward_hook(function() calls = calls + 1 end)
    end
    collectgarbage()
    collectgarbage()
    net(sonde.ones(1, 2))
    assert.equal(2, calls)
  end)

  it("that refer to their module do not keep it alive", function()
    expect.no_leak(core, function()
      local net = nn.Sequential { nn.Linear(2, 2), nn.Tanh() }
      for _, m in net:named_modules() do
        m:register_forward_hook(function() return net and nil end)
        m:register_full_backward_hook(function() return m and net and nil end)
      end
      net(sonde.ones(1, 2)):sum():backward()
    end)
  end)

  it("survive a hard-working collector", function()
    expect.under_pressure(function()
      local net = nn.Sequential { nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 1) }
      for _, m in net:named_modules() do
        m:register_forward_pre_hook(function(_, x)
          collectgarbage()
          return x * 1
        end)
        m:register_full_backward_hook(function(_, g)
          collectgarbage()
          return g
        end)
      end
      for _ = 1, 20 do net(sonde.randn(2, 3, { requires_grad = true })):sum():backward() end
    end)
  end)
end)
