-- EarlyStopping, with Keras's words: ends a training whose validation metric no longer becomes better, and gives the
-- best weights back.
local base = require "sonde.optim.lr_scheduler.base"
local fail = require "sonde.fail"

local where = "optim.EarlyStopping"
local EarlyStopping = { __name = "EarlyStopping" }
EarlyStopping.__index = EarlyStopping

local function text(name_of, name, value)
  if type(value) == "string" then return value end
  fail("bad argument '%s' to %s: expected string, got %s", name, name_of, type(value))
end

local parameters = {
  { "monitor", text, "loss" }, { "min_delta", base.number(0), 0.0 }, { "patience", base.whole(0), 0 },
  { "mode", base.choice("auto", "min", "max"), "auto" }, { "baseline", base.optional(base.number()) },
  { "restore_best_weights", base.boolean, false }, { "start_from_epoch", base.whole(0), 0 },
}

-- Is a better than b by more than min_delta? NaN never is.
local function is_better(self, a, b)
  if b == nil then return a == a end
  if self.mode == "min" then return a < b - self.min_delta end
  return a > b + self.min_delta
end

-- Asked with each epoch's metric, a number or a table that has it under `monitor` (as run:evaluate returns). True when
-- the training should end: `patience` epochs without a better one; the best weights are then back, if asked for.
function EarlyStopping:step(metric)
  local value = type(metric) == "table" and metric[self.monitor] or metric
  if type(value) ~= "number" then
    fail("%s: step: expected the metric '%s', a number, got %s", where, self.monitor, type(value))
  end
  self.epoch = self.epoch + 1
  if self.epoch <= self.start_from_epoch then return false end
  self.wait = self.wait + 1
  if is_better(self, value, self.best) then
    self.best, self.best_epoch = value, self.epoch
    if self.baseline == nil or is_better(self, value, self.baseline) then self.wait = 0 end
    self:keep_weights()
  end
  if self.wait > 0 and self.wait >= self.patience then
    self.stopped = true
    self:restore()
  end
  return self.stopped
end

function EarlyStopping:keep_weights()
  if not self.restore_best_weights then return end
  self.weights = self.weights or {}
  for name, tensor in pairs(self.model:state_dict()) do
    if self.weights[name] then self.weights[name]:copy_(tensor) else self.weights[name] = tensor:clone() end
  end
end

-- Gives the network the best weights seen, if they were kept; returns whether there were any.
function EarlyStopping:restore()
  if not self.weights then return false end
  self.model:load_state_dict(self.weights)
  return true
end

local numbers = { "best", "best_epoch", "wait", "epoch", "stopped" }

function EarlyStopping:state_dict()
  local state = {}
  for _, name in ipairs(numbers) do state[name] = self[name] end
  if self.weights then
    state.weights = {}
    for name, tensor in pairs(self.weights) do state.weights[name] = tensor:clone() end
  end
  return state
end

function EarlyStopping:load_state_dict(state)
  if type(state) ~= "table" or type(state.epoch) ~= "number" or type(state.wait) ~= "number" then
    fail("%s: load_state_dict: expected a table, as state_dict returns it", where)
  end
  for _, name in ipairs(numbers) do self[name] = state[name] end
  self.weights = nil
  if state.weights then
    self.weights = {}
    for name, tensor in pairs(state.weights) do self.weights[name] = tensor:clone() end
  end
end

-- optim.EarlyStopping(net, { patience = 3, restore_best_weights = true }). mode "auto": max if the name of the metric
-- has "acc" in it, else min. `best`, `best_epoch`, `wait`, `stopped` tell how it stands.
return function(model, ...)
  if getmetatable(model) ~= "Module" then
    fail("bad argument 'model' to %s: expected Module, got %s", where, type(model))
  end
  local self = setmetatable({ model = model, epoch = 0, wait = 0, stopped = false }, EarlyStopping)
  base.read(where, self, parameters, ...)
  if self.mode == "auto" then self.mode = self.monitor:find("acc", 1, true) and "max" or "min" end
  return self
end
