-- ReduceLROnPlateau: lr · factor when a metric has not become better for more than `patience` epochs.
local base = require "sonde.optim.lr_scheduler.base"
local fail = require "sonde.fail"

local number, whole = base.number, base.whole
local where = "lr_scheduler.ReduceLROnPlateau"
local parameters = {
  { "mode", base.choice("min", "max"), "min" }, { "factor", number(0), 0.1 }, { "patience", whole(0), 10 },
  { "threshold", number(0), 1e-4 }, { "threshold_mode", base.choice("rel", "abs"), "rel" }, { "cooldown", whole(0), 0 },
  { "min_lr", base.per_group(number(0)), 0.0 }, { "eps", number(0), 1e-8 },
}

local Plateau = { __name = "ReduceLROnPlateau", needs_metric = true }
Plateau.__index = Plateau

-- Is the metric better than the best so far by more than the threshold?
local function is_better(self, metric)
  local best, threshold = self.best, self.threshold
  if self.mode == "min" then
    return metric < (self.threshold_mode == "rel" and best * (1 - threshold) or best - threshold)
  end
  return metric > (self.threshold_mode == "rel" and best * (1 + threshold) or best + threshold)
end

local function reduce(self)
  for i, least in ipairs(self.min_lr) do
    local lr = self.optimizer:get(i, "lr")
    local lower = math.max(lr * self.factor, least)
    if lr - lower > self.eps then self.optimizer:configure(i, { lr = lower }) end
  end
end

-- metric: a number, or a tensor of one element. A NaN is not better than anything.
function Plateau:step(metric)
  if getmetatable(metric) == "Tensor" then metric = metric:item() end
  if type(metric) ~= "number" then fail("%s: step: expected the metric, a number, got %s", where, type(metric)) end
  self.last_epoch = self.last_epoch + 1
  if is_better(self, metric) then
    self.best, self.num_bad_epochs = metric, 0
  else
    self.num_bad_epochs = self.num_bad_epochs + 1
  end
  if self.cooldown_counter > 0 then
    self.cooldown_counter, self.num_bad_epochs = self.cooldown_counter - 1, 0
  end
  if self.num_bad_epochs > self.patience then
    reduce(self)
    self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
  end
  self.last_lr = base.rates(self.optimizer)
end

Plateau.get_last_lr = base.Scheduler.get_last_lr
Plateau.state_dict = base.Scheduler.state_dict
Plateau.load_state_dict = base.Scheduler.load_state_dict

return function(optimizer, ...)
  base.check_optimizer(where, optimizer)
  local self = setmetatable({ optimizer = optimizer, where = where }, Plateau)
  base.read(where, self, parameters, ...)
  if self.factor >= 1 then fail("bad argument 'factor' to %s: it must be below 1, got %g", where, self.factor) end
  self.best = self.mode == "min" and math.huge or -math.huge
  self.num_bad_epochs, self.cooldown_counter, self.last_epoch = 0, 0, 0
  self.last_lr = base.rates(optimizer)
  return self
end
