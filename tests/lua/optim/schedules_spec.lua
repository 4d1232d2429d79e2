--- Schedules beyond tests/lua/reference: values written by PyTorch 1.13, composition, state, arguments.
local sonde = require "sonde"
local expect = require "support.expect"
local optim = sonde.optim
local S, W = optim.lr_scheduler, optim.swa_utils

local function optimizer()
  return optim.SGD({ sonde.zeros(1):requires_grad_() }, { lr = 0.1, momentum = 0.9 })
end

local function rates(opt, schedule, n)
  local lr, momentum = {}, {}
  for k = 1, n do
    local group = opt.param_groups[1]
    lr[k], momentum[k] = group.lr, group.momentum or group.betas[1]
    schedule:step()
  end
  return lr, momentum
end

local cases = {
  { function(o) return S.PolynomialLR(o, 4, 2) end, { 0.1, 0.05625, 0.025, 0.00625, 0, 0 } },
  { function(o) return S.ConstantLR(o, 0.5, 3) end, { 0.05, 0.05, 0.05, 0.1, 0.1, 0.1 } },
  { function(o) return S.CyclicLR(o, 0.01, 0.1, 2, 3, { mode = "triangular2" }) end,
    { 0.01, 0.055, 0.1, 0.07, 0.04, 0.01, 0.0325, 0.055, 0.04, 0.025 },
    { 0.9, 0.85, 0.8, 0.83333333333333337, 0.8666666666666667, 0.9, 0.875, 0.85, 0.8666666666666667,
      0.8833333333333333 } },
  { function(o) return S.CyclicLR(o, 0.01, 0.1, { step_size_up = 2, mode = "exp_range", gamma = 0.9 }) end,
    { 0.01, 0.0505, 0.0829, 0.042805, 0.01, 0.03657205, 0.05782969, 0.0315233605 },
    { 0.9, 0.855, 0.819, 0.86355, 0.9, 0.8704755, 0.8468559, 0.876085155 } },
  { function(o)
    local options = { step_size_up = 1, scale_fn = function(c) return 1 / c end, cycle_momentum = false }
    return S.CyclicLR(o, 0, 0.1, options)
  end, { 0, 0.1, 0, 0.05, 0, 0.1 / 3 } },
  { function(o) return W.SWALR(o, 0.02, 4) end, { 0.1, 0.08828427124746191, 0.06, 0.0317157287525381, 0.02, 0.02 } },
  { function(o) return W.SWALR(o, 0.02, { anneal_epochs = 4, anneal_strategy = "linear" }) end,
    { 0.1, 0.08, 0.06, 0.04, 0.02, 0.02 } },
  { function(o) return S.SequentialLR(o, { S.LinearLR(o, 0.25, 1, 3), S.ExponentialLR(o, 0.5) }, { 3 }) end,
    { 0.025, 0.05, 0.075, 0.1, 0.05, 0.025, 0.0125, 0.00625 } },
  { function(o)
    local parts = { S.ConstantLR(o, 0.1, 2), S.CosineAnnealingLR(o, 4), S.StepLR(o, 2) }
    return S.SequentialLR(o, parts, { milestones = { 2, 5 } })
  end, { 0.01, 0.01, 0.1, 0.085355339059327379, 0.05, 0.1, 0.1, 0.01 } },
  { function(o) return S.ChainedScheduler { S.ConstantLR(o, 0.1, 2), S.ExponentialLR(o, 0.9) } end,
    { 0.01, 0.009, 0.081, 0.0729, 0.06561, 0.059049, 0.0531441, 0.04782969 } },
  { function(o) return S.MultiplicativeLR(o, function(e) return 1 / (e + 1) end) end,
    { 0.1, 0.05, 0.016666666666666666, 0.0041666666666666666, 0.00083333333333333339 } },
  { function(o) return S.WarmupLR(o, 4) end, { 0.025, 0.05, 0.075, 0.1, 0.1, 0.1 } },
  { function(o) return S.WarmupLR(o, 2, S.CosineAnnealingLR(o, 4)) end,
    { 0.05, 0.1, 0.1, 0.085355339059327379, 0.05, 0.014644660940672627, 0 } },
}

describe("schedules", function()
  it("have PyTorch's values", function()
    for _, case in ipairs(cases) do
      local opt = optimizer()
      local lr, momentum = rates(opt, case[1](opt), #case[2])
      expect.values(case[2], lr, 1e-15)
      if case[3] then expect.values(case[3], momentum, 1e-15) end
    end
    local adam = optim.Adam({ sonde.zeros(1):requires_grad_() }, { lr = 0.1 })
    local lr, momentum = rates(adam, S.OneCycleLR(adam, 1, 6), 6)
    expect.values({ 0.04, 0.99441543545091171, 0.81174565394976295, 0.46263710266697505, 0.1334775301888306, 4e-6 },
      lr, 1e-14)
    expect.values({ 0.95, 0.85055845868874358, 0.86882550990706331, 0.90373650467932121, 0.93665259359149122, 0.95 },
      momentum, 1e-14)
    assert.equal(0.999, adam.param_groups[1].betas[2])
  end)

  it("treat each group by its own rate", function()
    local a, b = sonde.zeros(1):requires_grad_(), sonde.zeros(1):requires_grad_()
    local opt = optim.SGD { { params = a, lr = 1 }, { params = b, lr = 0.1 } }
    local step = S.StepLR(opt, 1, { gamma = 0.5 })
    step:step()
    assert.same({ 0.5, 0.05 }, step:get_last_lr())
    assert.same({ 1.0, 0.2 }, S.LambdaLR(opt, { function() return 1 end, function() return 2 end }):get_last_lr())
    opt.param_groups[1].lr, opt.param_groups[2].lr = 1, 0.1
    local plateau = S.ReduceLROnPlateau(opt,
      { factor = 0.1, patience = 0, min_lr = { 0, 0.05 }, mode = "max", cooldown = 1 })
    for _, metric in ipairs { 1, 1, 0, sonde.tensor(0), 0 / 0 } do plateau:step(metric) end
    expect.values({ 0.01, 0.05 }, plateau:get_last_lr(), 1e-12)
    expect.error("expected a list of 2, one for each group, got 3", function() S.CyclicLR(opt, 0.1, { 1, 2, 3 }) end)
  end)

  it("go on from a state_dict", function()
    for number, case in ipairs(cases) do
      local opt_a, opt_b = optimizer(), optimizer()
      local a, b = case[1](opt_a), case[1](opt_b)
      rates(opt_a, a, 3)
      b:load_state_dict(a:state_dict())
      opt_b:load_state_dict(opt_a:state_dict())
      assert.same(a:get_last_lr(), b:get_last_lr())
      local lr_a, lr_b = rates(opt_a, a, 6), rates(opt_b, b, 6)
      assert.same(lr_a, lr_b, "case " .. number)
    end
    local opt = optimizer()
    local plateau, step = S.ReduceLROnPlateau(opt), S.StepLR(opt, 3)
    plateau:step(2)
    local other = S.ReduceLROnPlateau(opt)
    other:load_state_dict(plateau:state_dict())
    assert.equal(2, other.best)
    expect.error("unknown name 'best'; there are: base_lrs, gamma",
      function() step:load_state_dict(plateau:state_dict()) end)
    expect.error("'base_lrs' is missing", function() step:load_state_dict { last_epoch = 1 } end)
    expect.error("'last_epoch' is not what it should be", function()
      local state = step:state_dict()
      state.last_epoch = "x"
      step:load_state_dict(state)
    end)
  end)

  it("check what they are given", function()
    local o = optimizer()
    local adadelta = optim.Adadelta { sonde.zeros(1):requires_grad_() }
    for _, case in ipairs {
      { "bad argument 'optimizer' to lr_scheduler.StepLR: expected Optimizer, got table", S.StepLR, {}, 3 },
      { "lr_scheduler.StepLR: 'step_size' is missing", S.StepLR, o },
      { "bad argument 'step_size' to lr_scheduler.StepLR: expected a whole number of at least 1, got 0",
        S.StepLR, o, 0 },
      { "bad argument 'gamma' to lr_scheduler.ExponentialLR: expected a finite number of at least 0, got string",
        S.ExponentialLR, o, "x" },
      { "unknown option 'stepsize' (did you mean 'step_size'?)", S.StepLR, o, { stepsize = 1 } },
      { "given twice", S.StepLR, o, 1, { step_size = 1 } },
      { "takes at most 2 arguments", S.StepLR, o, 1, 2, 3 },
      { "expected a list, got number", S.MultiStepLR, o, 5 },
      { "expected a finite number between 0 and 1, got 2", S.LinearLR, o, 2 },
      { "it must be above 0", S.LinearLR, o, 0 },
      { "expected function, or a list of one for each group, got number", S.LambdaLR, o, 1 },
      { "unknown choice 'square'", S.CyclicLR, o, 0, 1, { mode = "square" } },
      { "Adadelta has no momentum to cycle", S.CyclicLR, adadelta, 0, 1 },
      { "give total_steps, or epochs and steps_per_epoch", S.OneCycleLR, o, 1, { epochs = 3 } },
      { "it must be below 1, got 1", S.ReduceLROnPlateau, o, { factor = 1 } },
      { "2 schedules need 1 milestones, got 0", S.SequentialLR, o,
        { S.StepLR(o, 1), S.StepLR(o, 1) }, { milestones = {} } },
      { "expected ascending numbers, got 1 after 2", S.SequentialLR, o,
        { S.StepLR(o, 1), S.StepLR(o, 1), S.StepLR(o, 1) }, { 2, 1 } },
      { "number 1 is another optimiser's", S.SequentialLR, o, { S.StepLR(optimizer(), 1) }, { milestones = {} } },
      { "number 1 is no schedule", S.WarmupLR, o, 3, { after = S.ReduceLROnPlateau(o) } },
      { "expected a list of schedules, got table", S.ChainedScheduler, {} },
    } do
      expect.error(case[1], function() case[2](table.unpack(case, 3, 6)) end)
    end
    expect.error("expected the metric, a number, got nil", function() S.ReduceLROnPlateau(o):step() end)
    local cycle = S.OneCycleLR(o, 1, { epochs = 1, steps_per_epoch = 2 })
    cycle:step()
    cycle:step()
    expect.error("the cycle is over", function() cycle:step() end)
  end)
end)
