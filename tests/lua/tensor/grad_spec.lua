local sonde = require "sonde"
local core = require "sonde.core"
local expect = require "support.expect"

local function leaf(values)
  return sonde.tensor(values, { requires_grad = true })
end

describe("backward", function()
  it("fills .grad of leaves and accumulates", function()
    local x = leaf { 1, 2 }
    local y = (x * x):sum()
    assert.equal("sum", y.grad_fn)
    assert.is_false(y.is_leaf)
    assert.is_nil(x.grad)
    y:backward()
    expect.values({ 2, 4 }, x.grad);
    (x * 3):sum():backward()
    expect.values({ 5, 7 }, x.grad)
    x.grad = nil
    assert.is_nil(x.grad)
    x.grad = sonde.ones(2)
    expect.values({ 1, 1 }, x.grad)
    assert.is_true(x.grad == x.grad)
    expect.error("", function() x.grad = sonde.ones(3) end)
    expect.error("expected Tensor, got number", function() x.grad = 1 end)
  end)

  it("takes the gradient of a tensor of several elements", function()
    local x = leaf { 1, 2 };
    (x * x):backward(sonde.tensor { 1, 10 })
    expect.values({ 2, 40 }, x.grad)
    expect.error("", function() (x * x):backward() end)
  end)

  it("goes through a graph once, unless told to keep it", function()
    local x = leaf { 3 }
    local y = (x * x):sum()
    y:backward { retain_graph = true }
    y:backward()
    expect.values({ 12 }, x.grad)
    expect.error("backward", function() y:backward() end)
  end)

  it("notices values changed in place", function()
    local x = leaf { 1, 2 }
    local y = x * 2
    local z = (y * y):sum()
    y:add_(1)
    expect.error("in place", function() z:backward() end)
    expect.error("", function() leaf({ 1 }):add_(1) end)
  end)

  it("needs a graph", function()
    expect.error("", function() sonde.ones(1):backward() end)
    expect.error("", function() sonde.ones(1, { dtype = "int64" }):requires_grad_() end)
  end)

  it("keeps the gradient of an inner tensor if asked", function()
    local x = leaf { 1, 2 }
    local y = x * 2
    y:retain_grad();
    (y * y):sum():backward()
    expect.values({ 4, 8 }, y.grad)
  end)
end)

describe("history", function()
  it("ends at detach and in no_grad", function()
    local x = leaf { 1 }
    assert.is_false(x:detach().requires_grad)
    assert.is_false(x.data.requires_grad)
    assert.is_false(sonde.no_grad(function() return x * 2 end).requires_grad)
    do
      local _ <close> = sonde.no_grad()
      assert.is_false((x * 2).requires_grad)
      assert.is_true(sonde.enable_grad(function() return (x * 2).requires_grad end))
      x:add_(1)
    end
    assert.is_true(sonde.is_grad_enabled())
    assert.is_true((x * 2).requires_grad)
    expect.values({ 2 }, x)
    expect.error("oops", function() sonde.no_grad(function() error("oops") end) end)
    assert.is_true(sonde.is_grad_enabled())
    expect.error("expected function or nothing, got number", function() sonde.no_grad(1) end)
  end)

  it("is switched by requires_grad", function()
    local x = sonde.ones(2)
    assert.is_true(x:requires_grad_() == x)
    assert.is_true(x.requires_grad)
    x.requires_grad = false
    assert.is_false(x.requires_grad)
    expect.error("requires_grad: expected boolean, got string", function() x.requires_grad = "yes" end)
    local y = leaf { 1 } * 2
    expect.error("", function() y:requires_grad_(false) end)
    assert.is_false(y:detach_().requires_grad)
  end)
end)

describe("a tensor's hook", function()
  it("sees and may replace the gradient", function()
    local x = leaf { 1, 2 }
    local seen
    local handle = x:register_hook(function(g)
      seen = g:totable()
      return g * 10
    end);
    (x * x):sum():backward()
    assert.same({ 2.0, 4.0 }, seen)
    expect.values({ 20, 40 }, x.grad)
    handle:remove()
    handle:remove()
    x.grad = nil;
    (x * x):sum():backward()
    expect.values({ 2, 4 }, x.grad)
  end)

  it("outlives the Lua side of an inner tensor", function()
    local x = leaf { 1 }
    local calls = 0
    local function loss()
      local y = x * 2
      y:register_hook(function() calls = calls + 1 end)
      return (y * y):sum()
    end
    local l = loss()
    collectgarbage()
    l:backward()
    assert.equal(1, calls)
  end)

  it("surfaces its error with its traceback", function()
    local x = leaf { 1 }
    x:register_hook(function() error("broken hook") end)
    local _, message = pcall(function() (x * 2):sum():backward() end)
    assert.truthy(message:find("grad_spec.lua:%d+: broken hook\nstack traceback:"))
    local problem = { code = 7 }
    local y = leaf { 1 }
    y:register_hook(function() error(problem) end)
    local _, value = pcall(function() (y * 2):sum():backward() end)
    assert.equal(problem, value)
    local z = leaf { 1 }
    z:register_hook(function() return 5 end)
    _, message = pcall(function() (z * 2):sum():backward() end)
    assert.truthy(message:find("a tensor hook returns a Tensor or nothing, got number", 1, true))
    expect.error("bad argument 'hook' to Tensor:register_hook: expected function, got no value",
      function() z:register_hook { hook = nil } end)
  end)

  it("may run in a coroutine, and may not yield", function()
    local x = leaf { 1 }
    x:register_hook(function() coroutine.yield() end)
    local _, message = coroutine.resume(coroutine.create(function() (x * 2):sum():backward() end))
    assert.truthy(tostring(message):find("yield"))
  end)

  it("survives a hard-working collector", function()
    expect.under_pressure(function()
      local x = leaf { 1, 2 }
      x:register_hook(function(g)
        collectgarbage()
        return g + sonde.ones(2)
      end)
      for _ = 1, 50 do
        x.grad = nil;
        (x * x):exp():sum():backward()
      end
      assert.is_true(x.grad:sum():item() > 0)
    end)
  end)
end)

describe("graphs and hooks", function()
  it("leave nothing behind", function()
    expect.no_leak(core, function()
      local x = leaf { 1, 2 }
      local h = x:register_hook(function(g) return g end);
      (x * x):sum():backward()
      h:remove()
      local unused = (x * 2):exp() -- a graph nobody walks
      pcall(function() return x + sonde.ones(5) end)
      pcall(function() return unused:view(7) end)
    end)
  end)
end)
