--- Schedules against PyTorch, 1e-10: rate and momentum in force at each optimiser step.
local sonde = require "sonde"
local reference = require "support.reference"
local optim = sonde.optim
local S = optim.lr_scheduler

local cases = {
  ["step_10_0.5"] = function(o) return S.StepLR(o, 10, { gamma = 0.5 }) end,
  multistep = function(o) return S.MultiStepLR(o, { 5, 20, 30 }, { gamma = 0.1 }) end,
  ["exponential_0.9"] = function(o) return S.ExponentialLR(o, 0.9) end,
  ["cosine_T20_min0.01"] = function(o) return S.CosineAnnealingLR(o, 20, { eta_min = 0.01 }) end,
  cosine_restarts_T10_mult2 = function(o) return S.CosineAnnealingWarmRestarts(o, 10, { T_mult = 2 }) end,
  ["linear_0.25_10"] = function(o) return S.LinearLR(o, { start_factor = 0.25, end_factor = 1, total_iters = 10 }) end,
  lambda_warmup10 = function(o) return S.LambdaLR(o, function(e) return math.min(1, (e + 1) / 10) end) end,
  cyclic_triangular = function(o) return S.CyclicLR(o, 0.01, 0.1, { step_size_up = 5, cycle_momentum = false }) end,
  onecycle_cos = function(o) return S.OneCycleLR(o, { max_lr = 1, total_steps = 40 }) end,
  onecycle_linear_3phase = function(o)
    return S.OneCycleLR(o, 1, { total_steps = 40, anneal_strategy = "linear", three_phase = true })
  end,
}

local function optimizer() return optim.SGD({ sonde.zeros(1):requires_grad_() }, { lr = 0.1, momentum = 0.9 }) end

describe("PyTorch's schedules", function()
  local names = {}
  for name in pairs(cases) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    it(name, function()
      local group, opt = reference.group("/schedules/" .. name), optimizer()
      local schedule = cases[name](opt)
      local lr, momentum = {}, {}
      for k = 1, group.lr:size(1) do
        lr[k], momentum[k] = opt.param_groups[1].lr, opt.param_groups[1].momentum
        assert.equal(lr[k], schedule:get_last_lr()[1])
        schedule:step()
      end
      reference.near("lr", group.lr, sonde.tensor(lr, { dtype = "float64" }))
      reference.near("momentum", group.momentum, sonde.tensor(momentum, { dtype = "float64" }))
    end)
  end

  it("plateau", function()
    local group, opt = reference.group "/schedules/plateau", optimizer()
    local schedule, lr = S.ReduceLROnPlateau(opt, { factor = 0.5, patience = 2 }), {}
    for k, metric in ipairs(group.metric:totable()) do
      schedule:step(metric)
      lr[k] = schedule:get_last_lr()[1]
    end
    reference.near("lr", group.lr_after, sonde.tensor(lr, { dtype = "float64" }))
  end)

  it("are all here", function()
    for _, name in ipairs(reference.list "/schedules") do assert.truthy(cases[name] or name == "plateau", name) end
  end)
  teardown(reference.close)
end)
