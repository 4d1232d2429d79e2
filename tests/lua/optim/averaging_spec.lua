--- Averages of weights, early stopping, clipping by parts, leaving out non-finite steps.
local sonde = require "sonde"
local expect = require "support.expect"
local nn, optim = sonde.nn, sonde.optim
local W = optim.swa_utils

local function set(p, value) sonde.no_grad(function() p:copy_(sonde.full(p:shape(), value, { dtype = p.dtype })) end)
  end

local function parameter(value, gradient)
  local p = nn.Parameter(sonde.tensor(value, { dtype = "float64" }))
  p.grad = gradient and sonde.tensor(gradient, { dtype = "float64" })
  return p
end

describe("AveragedModel", function()
  it("averages with equal weights, or exponentially", function()
    local net = nn.Linear(2, 1)
    local swa, ema = W.AveragedModel(net), W.AveragedModel(net, { avg_fn = W.get_ema_avg_fn(0.75) })
    for _, value in ipairs { 1, 2, 6 } do
      set(net.weight, value)
      swa:update_parameters()
      ema:update_parameters(net)
    end
    assert.equal(3, swa.n_averaged)
    expect.values({ { 3, 3 } }, swa.averages.weight)
    expect.values({ { 0.75 * (0.75 * 1 + 0.25 * 2) + 0.25 * 6, 2.4375 } }, ema.averages.weight)
    expect.values({ { 6, 6 } }, net.weight)
  end)

  it("lends its averages to the network, and gives the weights back bit for bit", function()
    local net = nn.Sequential { nn.Linear(3, 3), nn.Tanh() }
    local averaged = W.AveragedModel(net)
    averaged:update_parameters()
    local old = net(sonde.ones(1, 3)):detach()
    set(net[1].weight, 0.3)
    averaged:update_parameters()
    set(net[1].weight, 1 / 3)
    local before = net[1].weight:detach():clone()
    local y = averaged(sonde.ones(1, 3))
    assert.is_false(y.requires_grad)
    assert.is_false(y:equal(old))
    assert.is_true(net[1].weight:equal(before))
    do
      local _ <close> = averaged:average_parameters()
      assert.is_true(net[1].weight:equal(averaged.averages["1.weight"]))
    end
    assert.is_true(net[1].weight:equal(before))
    pcall(function()
      local _ <close> = averaged:average_parameters()
      error "x"
    end)
    assert.is_true(net[1].weight:equal(before))
    averaged:copy_to(net)
    assert.is_true(net(sonde.ones(1, 3)):equal(y))
    local other = W.AveragedModel(nn.Sequential { nn.Linear(3, 3), nn.Tanh() })
    other:load_state_dict(averaged:state_dict())
    assert.equal(2, other.n_averaged)
    assert.is_true(other(sonde.ones(1, 3)):equal(y))
  end)

  it("recomputes running statistics of the averaged weights", function()
    sonde.manual_seed(1)
    local net = nn.Sequential { nn.Linear(3, 4), nn.BatchNorm1d(4) }
    net:eval()
    local batches, k = { sonde.randn(8, 3), sonde.randn(8, 3) }, 0
    W.update_bn(function() k = k + 1 return batches[k] end, net)
    local a, b = net[1](batches[1]), net[1](batches[2])
    expect.values(((a:mean(1) + b:mean(1)) / 2):detach():totable(), net[2].running_mean)
    expect.values(((a:var(1) + b:var(1)) / 2):detach():totable(), net[2].running_var)
    assert.equal(2, net[2].num_batches_tracked:item())
    assert.is_false(net.training)
    local averaged = W.AveragedModel(net, { use_buffers = true })
    averaged:update_parameters()
    assert.truthy(averaged.averages["2.running_mean"])
  end)

  it("checks what it is given", function()
    local net = nn.Linear(2, 1)
    expect.error("bad argument 'model' to AveragedModel: expected Module", function() W.AveragedModel {} end)
    expect.error("unknown option 'avg'", function() W.AveragedModel(net, { avg = 1 }) end)
    expect.error("decay must be a number between 0 and 1, got 2", function() W.get_ema_avg_fn(2) end)
    expect.error("this network has '1.weight'", function() W.AveragedModel(net):update_parameters(nn.Sequential {
      net }) end)
    expect.error("expected [1, 2], got [1, 3]", function()
      W.AveragedModel(net):load_state_dict(W.AveragedModel(nn.Linear(3, 1)):state_dict())
    end)
    expect.error("expected an iterator", function() W.update_bn({}, net) end)
  end)
end)

describe("EarlyStopping", function()
  it("ends after `patience` epochs without a better metric and restores the best weights", function()
    local net = nn.Linear(1, 1)
    local stopper = optim.EarlyStopping(net, { patience = 2, restore_best_weights = true, min_delta = 0.01 })
    local ended
    for epoch, loss in ipairs { 3, 2, 1.995, 0 / 0, 1 } do
      set(net.weight, epoch)
      if stopper:step { loss = loss } then
        ended = epoch
        break
      end
    end
    assert.same({ 4, 2, 2 }, { ended, stopper.best, stopper.best_epoch })
    assert.equal(2.0, net.weight:item())
    local other = optim.EarlyStopping(net, { restore_best_weights = true })
    other:load_state_dict(stopper:state_dict())
    set(net.weight, 9)
    assert.is_true(other:restore())
    assert.same({ 2.0, 2, true }, { net.weight:item(), other.best, other.stopped })
  end)

  it("knows which way is better", function()
    local stopper = optim.EarlyStopping(nn.Identity(), { monitor = "accuracy", patience = 1, start_from_epoch = 1,
      baseline = 0.5 })
    assert.equal("max", stopper.mode)
    assert.is_false(stopper:step(0.9)) -- not counted
    assert.is_false(stopper:step(0.6))
    assert.is_false(stopper:step(0.7))
    assert.is_true(stopper:step { accuracy = 0.65 })
    assert.is_true(optim.EarlyStopping(nn.Identity(), { baseline = 1 }):step(2))
    expect.error("expected the metric 'loss', a number, got table", function()
      optim.EarlyStopping(nn.Identity()):step {} end)
    expect.error("bad argument 'patience' to optim.EarlyStopping", function() optim.EarlyStopping(nn.Identity(), {
      patience = -1 }) end)
    expect.error("unknown option 'patient'", function() optim.EarlyStopping(nn.Identity(), { patient = 1 }) end)
    expect.error("expected Module, got table", function() optim.EarlyStopping {} end)
  end)
end)

describe("clipping by parts", function()
  it("looks at each parameter's own norm", function()
    local a, b = parameter({ 0, 0 }, { 3, 4 }), parameter({ 0 }, { 0.5 })
    local total, coef = nn.utils.clip_grad_norm_per_parameter_({ a, b }, 1)
    assert.equal(math.sqrt(25.25), total)
    assert.equal(1 / (5 + 1e-6), coef)
    expect.values({ 3 * coef, 4 * coef }, a.grad, 1e-15)
    expect.values({ 0.5 }, b.grad, 0)
    a.grad = sonde.tensor({ 0 / 0, 1 }, { dtype = "float64" })
    b.grad = sonde.tensor({ 5 }, { dtype = "float64" })
    expect.error("the norm of gradient 1 is", function() nn.utils.clip_grad_norm_per_parameter_({ a, b }, 1, {
      error_if_nonfinite = true }) end)
    expect.values({ 5 }, b.grad, 0)
    total, coef = nn.utils.clip_grad_norm_per_parameter_({ a, b }, 1, "inf")
    assert.is_true(total ~= total and coef ~= coef)
    expect.values({ 1 }, b.grad, 1e-6)
    expect.error("max_norm must not be negative", function() nn.utils.clip_grad_norm_per_parameter_({ a }, -1) end)
  end)

  it("looks at each unit's norm beside its weight's (AGC)", function()
    local w = parameter({ { 3, 4 }, { 0, 0 }, { 30, 40 } }, { { 0.6, 0.8 }, { 0.6, 0.8 }, { 0.6, 0.8 } })
    local v = parameter({ 3, 4 }, { 6, 8 })
    local total, coef = nn.utils.clip_grad_adaptive_({ w, v }, { clipping = 0.1, eps = 1e-2 })
    assert.is_true(math.abs(total - math.sqrt(103)) < 1e-12)
    assert.is_true(math.abs(coef - 1e-3) < 1e-15)
    expect.values({ { 0.3, 0.4 }, { 6e-4, 8e-4 }, { 0.6, 0.8 } }, w.grad, 1e-15)
    expect.values({ 0.3, 0.4 }, v.grad, 1e-15)
    v.grad = sonde.tensor({ math.huge, 1 }, { dtype = "float64" })
    local _, none = nn.utils.clip_grad_adaptive_ { w, v }
    assert.is_true(none ~= none)
    expect.values({ math.huge, 1 }, v.grad, 0)
    expect.error("clipping must not be negative, got -1", function() nn.utils.clip_grad_adaptive_({ w }, -1) end)
    expect.error("eps must not be negative", function() nn.utils.clip_grad_adaptive_({ w }, 1, -1) end)
    assert.same({ 0.0, 1.0 }, { nn.utils.clip_grad_adaptive_({ parameter { 1 } }) })
  end)
end)

describe("skip_nonfinite", function()
  it("leaves out steps whose gradient is not finite", function()
    local p = parameter({ 1 }, { 0 / 0 })
    local opt = optim.SGD({ p }, { lr = 1, weight_decay = 0.5 })
    local guard = optim.skip_nonfinite(opt)
    opt:step()
    assert.same({ 1.0, 1 }, { p:item(), guard.skipped })
    p.grad = sonde.tensor({ 0.5 }, { dtype = "float64" })
    opt:step()
    assert.same({ 0.0, 1 }, { p:item(), guard.skipped })
    guard:remove()
    p.grad = sonde.tensor({ math.huge }, { dtype = "float64" })
    opt:step()
    assert.equal(-math.huge, p:item())
    expect.error("expected Optimizer, got Module", function() optim.skip_nonfinite(nn.Identity()) end)
  end)
end)
