--- Order and meaning of hooks, as PyTorch documents them: the values and orders here are what PyTorch gives.
local sonde = require "sonde"
local expect = require "support.expect"
local nn, optim = sonde.nn, sonde.optim

local function ones(...) return sonde.ones(..., { requires_grad = true }) end

describe("hooks of modules", function()
  it("come in PyTorch's order, those of tensors among them", function()
    local log = {}
    local function note(word) return function() log[#log + 1] = word end end
    local net = nn.Sequential { nn.Linear(1, 1), nn.Tanh() }
    for i, module in ipairs { net, net[1], net[2] } do
      module:register_forward_pre_hook(note("pre" .. i))
      module:register_forward_hook(note("fwd" .. i))
      module:register_full_backward_hook(note("bwd" .. i))
    end
    local x = sonde.ones(1, 1, { requires_grad = true })
    x:register_hook(note "x")
    net[1].weight:register_hook(note "w")
    local y = net(x)
    y:register_hook(note "y")
    y:sum():backward()
    assert.equal("pre1 pre2 fwd2 pre3 fwd3 fwd1 y bwd3 w bwd2 bwd1 x", table.concat(log, " "))
  end)

  it("of one kind come as registered; with prepend first", function()
    local m, log = nn.Tanh(), {}
    for _, kind in ipairs { "forward_pre", "forward", "full_backward" } do
      local register = m["register_" .. kind .. "_hook"]
      local function note(word) return function() log[#log + 1] = word end end
      register(m, note "a")
      register(m, note "b")
      register(m, note "c", { prepend = true })
      register(m, note "d", true):remove()
    end
    m(ones(1)):sum():backward()
    assert.equal("cabcabcab", table.concat(log))
    expect.error("'prepend' to Module:register_forward_hook: expected boolean",
      function() m:register_forward_hook(print, 1) end)
  end)

  it("pass on what the one before returned", function()
    local m, x, seen = nn.Tanh(), sonde.zeros(1, { requires_grad = true }), {}
    m:register_forward_pre_hook(function(_, input) return input + 1 end)
    m:register_forward_pre_hook(function(_, input) seen[1] = input:item() return input - 1 end)
    m:register_forward_hook(function(_, _, output) return output + 5 end)
    m:register_forward_hook(function(_, input, output) seen[2], seen[3] = input:item(), output:item() end)
    m:register_full_backward_hook(function(_, grad_input) return { grad_input[1] * 2 } end)
    m:register_full_backward_hook(function(_, grad_input) seen[4] = grad_input[1]:item() return grad_input[1] * 5 end)
    m(x):sum():backward()
    assert.same({ 1.0, 0.0, 5.0, 2.0 }, seen)
    assert.equal(10.0, x.grad:item())
  end)

  it("measure backward between the input and the output that the forward hooks made", function()
    for _, kind in ipairs { "forward_pre", "forward" } do
      local m, x, seen = nn.Tanh(), sonde.zeros(1, { requires_grad = true }), nil
      m["register_" .. kind .. "_hook"](m, function(_, input, output) return (output or input) * 3 end)
      m:register_full_backward_hook(function(_, grad_input, grad_output)
        seen = { grad_input[1]:item(), grad_output[1]:item() }
      end)
      m(x):sum():backward()
      assert.same({ kind == "forward" and 3.0 or 1.0, 1.0 }, seen)
      assert.equal(3.0, x.grad:item())
    end
  end)

  it("of a module used twice come once for each use", function()
    local m, seen = nn.Linear(2, 2, { bias = false }), {}
    m.weight:detach():copy_(sonde.tensor { { 1, 2 }, { 3, 4 } })
    m:register_full_backward_hook(function(_, grad_input, grad_output)
      seen[#seen + 1] = { grad_input[1]:totable()[1], grad_output[1]:totable()[1] }
      return grad_input[1] * 2
    end)
    local x = sonde.ones(1, 2, { requires_grad = true })
    m(m(x)):sum():backward()
    assert.same({ { { 4, 6 }, { 1, 1 } }, { { 44, 64 }, { 8, 12 } } }, seen)
    expect.values({ { 88, 128 } }, x.grad)
    expect.values({ { 11, 15 }, { 15, 19 } }, m.weight.grad)
  end)

  it("see the same gradients whether an activation works in place or not", function()
    local function gradients(inplace)
      sonde.manual_seed(3)
      local net, seen = nn.Sequential { nn.Linear(3, 4), nn.ReLU { inplace = inplace }, nn.Linear(4, 1) }, {}
      for _, child in ipairs(net:children()) do
        child:register_full_backward_hook(function(_, grad_input, grad_output)
          seen[#seen + 1] = { grad_input[1]:totable(), grad_output[1]:totable() }
        end)
      end
      local x = sonde.randn(5, 3, { requires_grad = true })
      net(x):sum():backward()
      return { seen, x.grad:totable(), net[1].weight.grad:totable() }
    end
    assert.same(gradients(false), gradients(true))
  end)

  it("come with each backward through a retained graph, and not without gradients", function()
    local m, calls = nn.Tanh(), 0
    m:register_full_backward_hook(function() calls = calls + 1 end)
    local loss = m(ones(1)):sum()
    loss:backward(nil, true)
    loss:backward()
    assert.equal(2, calls)
    sonde.no_grad(function() m(ones(1)) end)
    assert.equal(2, calls)
  end)
end)

describe("hooks of tensors", function()
  it("see the gradient of all uses at once, and what the one before returned", function()
    local x, seen = ones(1), {}
    x:register_hook(function(g) seen[#seen + 1] = g:item() return g * 2 end)
    x:register_hook(function(g) seen[#seen + 1] = g:item() end)
    local loss = (x * 2 + x * 3):sum()
    loss:backward()
    loss = (x * 2):sum()
    loss:backward()
    assert.same({ 5.0, 10.0, 2.0, 4.0 }, seen)
    assert.equal(14.0, x.grad:item())
  end)

  it("belong to the value a tensor had when they were registered", function()
    local x, seen = ones(2), {}
    local y = x * 2
    y:register_hook(function(g) seen.before = g[1]:item() end)
    y:mul_(3)
    y:register_hook(function(g) seen.after = g[1]:item() end)
    y:sum():backward()
    assert.same({ before = 3.0, after = 1.0 }, seen)
    assert.equal(6.0, x.grad[1]:item())
  end)
end)

describe("a hook that is wrong", function()
  local function loss_with(hook)
    local x = ones(2)
    x:register_hook(hook)
    return x:sum()
  end

  it("says what it returned and where it is", function()
    local function returns(value) return function() return value end end
    local m, line = nn.Tanh(), debug.getinfo(returns, "S").linedefined
    local at = ("from the one defined at %s:%d"):format(debug.getinfo(1, "S").short_src, line)
    for _, case in ipairs {
      { "got boolean " .. at .. " of Tanh", false }, { "got a list of 0 values " .. at .. " of Tanh", {} },
      { "got number at [2] " .. at .. " of Tanh", { sonde.ones(1), 3 } },
    } do
      local handle = m:register_forward_hook(returns(case[2]))
      local _, message = pcall(m, sonde.ones(1))
      assert.truthy(message:find(case[1], 1, true), message)
      handle:remove()
    end
    local _, message = pcall(function() loss_with(returns(3)):backward() end)
    assert.truthy(message:find("a tensor hook returns a Tensor or nothing, got number " .. at, 1, true), message)
  end)

  it("cannot give a gradient another shape, dtype or number", function()
    expect.error("a gradient hook returned a float32 tensor of shape [3], expected float32 [2]",
      function() loss_with(function() return sonde.ones(3) end):backward() end)
    expect.error("a gradient hook returned a float64 tensor of shape [2], expected float32 [2]",
      function() loss_with(function(g) return g:to "float64" end):backward() end)
    local function tanh_with(hook, x)
      local m = nn.Tanh()
      m:register_full_backward_hook(hook)
      return m(x or ones(2)):sum()
    end
    expect.error("a backward hook of Tanh returned a float32 gradient of shape [5] for input 1, expected float32 [2]",
      function() tanh_with(function() return sonde.ones(5) end):backward() end)
    expect.error("a backward hook of Tanh returned 2 gradients for 1 inputs",
      function() tanh_with(function(_, g) return { g[1], g[1] } end):backward() end)
    local layer = nn.Linear(1, 1)
    layer:register_full_backward_hook(function() return sonde.ones(1, 1) end)
    expect.error("a backward hook of Linear replaced a gradient, but none of its inputs has one",
      function() layer(sonde.ones(1, 1)):sum():backward() end)
    expect.error("a gradient hook on a tensor that does not require a gradient",
      function() sonde.ones(1):register_hook(print) end)
  end)

  it("surfaces with its own traceback, or as the very value it raised", function()
    local function raise() error("here") end
    local m = nn.Tanh()
    m:register_full_backward_hook(raise)
    local p = ones(1)
    local opt = optim.SGD({ p }, { lr = 1 })
    opt:register_step_pre_hook(raise)
    local place = ("hook_order_spec.lua:%d: here\nstack traceback"):format(debug.getinfo(raise, "S").linedefined)
    for _, fn in ipairs {
      function() loss_with(raise):backward() end, function() m(p):sum():backward() end, function() opt:step() end,
    } do
      local _, message = pcall(fn)
      assert.truthy(message:find(place, 1, true), message)
    end
    local value = {}
    local _, problem = pcall(function() loss_with(function() error(value) end):backward() end)
    assert.equal(value, problem)
    assert.equal(1.0, p:item())
  end)

  it("that calls itself without end is an error", function()
    local m = nn.Tanh()
    m:register_forward_hook(function(module, input) return module(input) end)
    local pre = nn.Tanh()
    pre:register_forward_pre_hook(function(module, input) module(input) end)
    local opt = optim.SGD({ ones(1) }, { lr = 1 })
    opt:register_step_pre_hook(function(o) o:step() end)
    for _, fn in ipairs { function() m(ones(1)) end, function() pre(ones(1)) end, function() opt:step() end } do
      local _, message = pcall(fn)
      assert.truthy(message:find("overflow", 1, true) or message:find("deep", 1, true), message)
    end
    expect.values({ 2 }, sonde.ones(1) + 1) -- and the library goes on
  end)
end)

describe("a hook may, during its call,", function()
  it("remove itself", function()
    local calls, handle, m, x = 0, nil, nn.Tanh(), ones(1)
    local function hook()
      calls = calls + 1
      handle:remove()
      collectgarbage()
    end
    local opt = optim.SGD({ x }, { lr = 1 })
    for i, register in ipairs {
      function() return m:register_forward_pre_hook(hook) end, function() return m:register_forward_hook(hook) end,
      function() return m:register_full_backward_hook(hook) end, function() return x:register_hook(hook) end,
      function() return opt:register_step_pre_hook(hook) end, function() return opt:register_step_post_hook(hook) end,
    } do
      handle = register()
      for _ = 1, 3 do
        m(x):sum():backward()
        opt:step()
      end
      assert.equal(i, calls)
    end
  end)

  it("run the module again, but no second backward", function()
    local m, calls = nn.Tanh(), 0
    m:register_full_backward_hook(function(module)
      calls = calls + 1
      module(sonde.ones(3))
    end)
    m(ones(1)):sum():backward()
    assert.equal(1, calls)
    m:register_full_backward_hook(function() ones(1):sum():backward() end)
    local _, message = pcall(function() m(ones(1)):sum():backward() end)
    assert.truthy(message:find("backward inside a hook of another backward", 1, true), message)
  end)
end)
