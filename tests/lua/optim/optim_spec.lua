local sonde = require "sonde"
local core = require "sonde.core"
local expect = require "support.expect"
local nn, optim = sonde.nn, sonde.optim

local function parameter(value, gradient)
  local p = nn.Parameter(sonde.tensor(value))
  p.grad = gradient and sonde.tensor(gradient)
  return p
end

describe("optimisers", function()
  it("step down the gradient", function()
    local p = parameter({ 1, 2 }, { 1, -1 })
    local opt = optim.SGD({ p }, { lr = 0.5 })
    opt:step()
    expect.values({ 0.5, 2.5 }, p)
    opt:zero_grad()
    assert.is_nil(p.grad)
    p.grad = sonde.tensor { 1, 1 }
    opt:zero_grad(false)
    expect.values({ 0, 0 }, p.grad)
    for _, name in ipairs { "Adam", "AdamW", "RMSprop" } do
      local q = parameter({ 1 }, { 2 })
      optim[name]({ q }, { lr = 0.1 }):step()
      assert.is_true(q:item() < 1)
    end
  end)

  it("know PyTorch's defaults", function()
    local p = { parameter { 1 } }
    local sgd, adam, adamw, rms = optim.SGD(p), optim.Adam(p), optim.AdamW(p), optim.RMSprop(p)
    assert.equal(1e-3, sgd.param_groups[1].lr)
    assert.is_false(sgd.param_groups[1].nesterov)
    assert.same({ 0.9, 0.999 }, adam.param_groups[1].betas)
    assert.equal(1e-8, adam.param_groups[1].eps)
    assert.equal(0.0, adam.param_groups[1].weight_decay)
    assert.equal(1e-2, adamw.param_groups[1].weight_decay)
    assert.equal(0.99, rms.param_groups[1].alpha)
    assert.equal("RMSprop", rms:rule())
  end)

  it("take options by position, by name and per group", function()
    local a, b = parameter { 1 }, parameter { 2 }
    local g = optim.SGD({ a }, 0.1, 0.9, { nesterov = true }).param_groups[1]
    assert.same({ 0.1, 0.9, true }, { g.lr, g.momentum, g.nesterov })
    local opt = optim.Adam({ { params = { a } }, { params = b, lr = 1, betas = { 0.5, 0.6 } } }, { lr = 0.01 })
    assert.equal(0.01, opt.param_groups[1].lr)
    assert.equal(1.0, opt.param_groups[2].lr)
    assert.same({ 0.5, 0.6 }, opt.param_groups[2].betas)
    assert.is_true(opt.param_groups[2].params[1] == b)
    opt:add_param_group { params = { parameter { 3 } }, weight_decay = 0.5 }
    assert.equal(3, #opt.param_groups)
    assert.equal(0.5, opt.param_groups[3].weight_decay)
    local head = "Adam (\nParameter Group 1\n    parameters: 1\n    lr: 0.01\n    betas: {0.9, 0.999}"
    assert.truthy(tostring(opt):find(head, 1, true))
  end)

  it("let their groups be changed", function()
    local opt = optim.SGD { parameter { 1 } }
    local group = opt.param_groups[1]
    group.lr, group.momentum = 0.25, 0.5
    group.nesterov = true
    local again = opt.param_groups[1]
    assert.same({ 0.25, 0.5, true }, { again.lr, again.momentum, again.nesterov })
    assert.is_nil(group.nothing)
    local names = {}
    for name in pairs(group) do names[#names + 1] = name end
    assert.same({ "params", "lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize" }, names)
  end)

  it("check what they are given", function()
    local p = { parameter { 1 } }
    expect.error("optim.SGD: unknown option 'momentun' (did you mean 'momentum'?); there are: lr, momentum",
      function() optim.SGD(p, { momentun = 0.9 }) end)
    expect.error("bad argument 'lr' to optim.SGD: expected number, got string",
      function() optim.SGD(p, { lr = "x" }) end)
    expect.error("bad argument 'nesterov' to optim.SGD: expected boolean",
      function() optim.SGD(p, { nesterov = 1 }) end)
    expect.error("bad argument 'betas' to optim.Adam: expected two numbers",
      function() optim.Adam(p, { betas = { 0.9 } }) end)
    expect.error("'lr' given twice", function() optim.SGD(p, 0.1, { lr = 0.1 }) end)
    expect.error("lr", function() optim.SGD(p, { lr = -1 }) end)
    expect.error("nesterov", function() optim.SGD(p, { nesterov = true }) end)
    expect.error("the list of parameters is empty", function() optim.SGD {} end)
    expect.error("expected a list, got no value", function() optim.SGD() end)
    expect.error("expected Tensor or list of Tensors, got string", function() optim.SGD "net" end)
    expect.error("expected a list of Tensors, got number at [1]", function() optim.SGD { 1 } end)
    expect.error("already", function() optim.SGD { p[1], p[1] } end)
    expect.error("leaf", function() optim.SGD { p[1] * 2 } end)
    local expanded = sonde.ones(1):expand(3):requires_grad_()
    expect.error("parameter 1 is expanded to [3]", function() optim.SGD { expanded } end)
    expect.error("unknown option 'aa'; there are", function() optim.SGD(p, { zz = 1, mm = 2, aa = 3 }) end)
    expect.error("takes at most 7 arguments", function() optim.SGD(p, 1, 0, 0, 0, false, false, 1) end)
    local opt = optim.SGD(p)
    expect.error("a parameter group is a table with params", function() opt:add_param_group { lr = 1 } end)
    expect.error("lr", function() opt:add_param_group { params = { parameter { 1 } }, lr = -1 } end)
    assert.equal(1, #opt.param_groups)
    expect.error("unknown option 'lrr' (did you mean 'lr'?)", function() opt.param_groups[1].lrr = 1 end)
    expect.error("cannot be replaced", function() opt.param_groups[1].params = {} end)
    expect.error("bad argument 'closure' to Optimizer:step: expected function, got number", function() opt:step(1) end)
  end)

  it("run a closure first and return its loss", function()
    local p = parameter { 3 }
    local opt = optim.SGD({ p }, { lr = 1 })
    local loss = opt:step(function()
      opt:zero_grad()
      local l = (p * p):sum()
      l:backward()
      return l
    end)
    assert.equal(9.0, loss:item())
    assert.equal(-3.0, p:item())
  end)

  it("call step hooks", function()
    local p = parameter({ 1 }, { 1 })
    local opt = optim.SGD({ p }, { lr = 1 })
    local seen = {}
    local pre = opt:register_step_pre_hook(function(o)
      assert.is_true(o == opt)
      seen[#seen + 1] = p:item()
    end)
    opt:register_step_post_hook(function() seen[#seen + 1] = p:item() end)
    opt:step()
    assert.same({ 1.0, 0.0 }, seen)
    pre:remove()
    opt:step()
    assert.equal(3, #seen)
    opt:register_step_pre_hook(function() error("not now") end)
    local _, message = pcall(opt.step, opt)
    assert.truthy(message:find("not now", 1, true))
  end)

  it("call a closure after the pre hooks; skip_nonfinite looks at what the closure computed", function()
    local p, log = parameter { 1 }, {}
    local opt = optim.SGD({ p }, { lr = 1 })
    opt:register_step_pre_hook(function() log[#log + 1] = "pre" end)
    opt:register_step_post_hook(function() log[#log + 1] = "post" end)
    local guard, slope = optim.skip_nonfinite(opt), 0 / 0
    local function closure()
      log[#log + 1] = "closure"
      opt:zero_grad()
      local loss = (p * slope):sum()
      loss:backward()
      return loss
    end
    opt:step(closure)
    assert.same({ 1.0, 1 }, { p:item(), guard.skipped })
    slope = 1
    opt:step(closure)
    assert.same({ 0.0, 1 }, { p:item(), guard.skipped })
    assert.equal("pre closure post pre closure post", table.concat(log, " "))
  end)

  it("go on from a state_dict bit for bit", function()
    local function make()
      sonde.manual_seed(1)
      local net = nn.Linear(3, 2)
      return net, optim.Adam(net:parameters(), { lr = 0.1 })
    end
    local function train(net, opt, steps)
      for i = 1, steps do
        opt:zero_grad();
        (net(sonde.ones(4, 3) * i) ^ 2):mean():backward()
        opt:step()
      end
    end
    local a, opt_a = make()
    train(a, opt_a, 3)
    local b, opt_b = make()
    b:load_state_dict(a:state_dict())
    opt_a.param_groups[1].lr = 0.05
    opt_b:load_state_dict(opt_a:state_dict())
    assert.equal(0.05, opt_b.param_groups[1].lr)
    train(a, opt_a, 2)
    train(b, opt_b, 2)
    assert.is_true(a.weight:equal(b.weight))
    local state = opt_a:state_dict()
    assert.same({ 1, 2 }, state.param_groups[1].params)
    assert.truthy(state.state[1].exp_avg)
    expect.error("2 parameters, expected 1", function() optim.Adam { parameter { 1 } }:load_state_dict(state) end)
    expect.error("expected a table with state", function() opt_a:load_state_dict {} end)
    expect.error("there is no parameter 3", function() opt_a:set_state(3, "step", sonde.zeros(1)) end)
  end)

  it("leave nothing behind, even if their hooks refer to them", function()
    expect.no_leak(core, function()
      local net = nn.Linear(2, 2)
      local opt = optim.Adam(net:parameters())
      opt:register_step_post_hook(function() return opt and net end)
      net(sonde.ones(1, 2)):sum():backward()
      opt:step()
      pcall(optim.SGD, { net.weight }, { lr = -1 })
    end)
  end)
end)
