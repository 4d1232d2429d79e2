--- Losses against PyTorch, float64, 1e-10. Class labels in the file count from 0.
local sonde = require "sonde"
local reference = require "support.reference"
local nn = sonde.nn

local function cross_entropy(options)
  return function(i)
    local opts = {}
    for k, v in pairs(options or {}) do opts[k] = v end
    opts.weight = i.w
    return nn.CrossEntropyLoss(opts)(i.x, i.y and i.y + 1 or i.p)
  end
end

local function mse(reduction)
  return function(i) return nn.MSELoss { reduction = reduction }(i.x, i.t) end
end

local cases = {
  mse_mean = mse "mean", mse_sum = mse "sum", mse_none = mse "none",
  cross_entropy_mean = cross_entropy(), cross_entropy_sum = cross_entropy { reduction = "sum" },
  cross_entropy_none = cross_entropy { reduction = "none" },
  ["cross_entropy_smooth0.1"] = cross_entropy { label_smoothing = 0.1 },
  ["cross_entropy_smooth0.3"] = cross_entropy { label_smoothing = 0.3 },
  cross_entropy_weight = cross_entropy(), cross_entropy_ignore1 = cross_entropy { ignore_index = 2 },
  cross_entropy_soft = cross_entropy(), cross_entropy_extreme = cross_entropy(),
  nll = function(i) return nn.NLLLoss()(i.x, i.y + 1) end,
  l1 = function(i) return nn.L1Loss()(i.x, i.t) end,
  ["smooth_l1_0.5"] = function(i) return nn.SmoothL1Loss { beta = 0.5 }(i.x, i.t) end,
  smooth_l1_1 = function(i) return nn.SmoothL1Loss()(i.x, i.t) end,
  ["huber_0.5"] = function(i) return nn.HuberLoss { delta = 0.5 }(i.x, i.t) end,
  huber_1 = function(i) return nn.HuberLoss()(i.x, i.t) end,
  bce = function(i) return nn.BCELoss()(i.x, i.t) end,
  kl_div_batchmean = function(i) return nn.KLDivLoss "batchmean"(i.x, i.p) end,
  soft_margin = function(i) return nn.SoftMarginLoss()(i.x, i.t) end,
  gaussian_nll = function(i) return nn.GaussianNLLLoss()(i.x, i.t, i.v) end,
  bce_with_logits = function(i) return nn.BCEWithLogitsLoss()(i.x, i.t) end,
  bce_with_logits_pos_weight = function(i) return nn.BCEWithLogitsLoss { pos_weight = i.w }(i.x, i.t) end,
}

describe("PyTorch's losses", function()
  local names = {}
  for name in pairs(cases) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    it(name, function()
      local group = reference.group("/losses/" .. name)
      local inputs = reference.inputs(group, false)
      inputs.x:requires_grad_()
      local loss = cases[name](inputs)
      reference.near("loss", group.out, loss)
      loss:sum():backward()
      reference.near("gradient", group.gin_x, inputs.x.grad)
    end)
  end
  it("are all here", function()
    for _, name in ipairs(reference.list "/losses") do assert.truthy(cases[name], name) end
  end)
  teardown(reference.close)
end)
