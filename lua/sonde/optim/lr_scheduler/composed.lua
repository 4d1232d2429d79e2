-- Schedules made of schedules: one after the other, several at once, a warm-up before another.
local base = require "sonde.optim.lr_scheduler.base"
local decay = require "sonde.optim.lr_scheduler.decay"
local fail = require "sonde.fail"

local composed = {}

-- A list of schedules of one optimiser that step without being told a metric.
local function check_schedulers(where, name, value, optimizer)
  if type(value) ~= "table" or value[1] == nil then
    fail("bad argument '%s' to %s: expected a list of schedules, got %s", name, where, type(value))
  end
  local list = {}
  for i, scheduler in ipairs(value) do
    local class = getmetatable(scheduler)
    if type(scheduler) ~= "table" or type(class) ~= "table" or not class.begin then
      fail("bad argument '%s' to %s: number %d is no schedule that can be part of another", name, where, i)
    end
    if scheduler.optimizer ~= optimizer then
      fail("bad argument '%s' to %s: number %d is another optimiser's", name, where, i)
    end
    list[i] = scheduler
  end
  return list
end

-- The state of such a schedule: its own, and its parts' under `schedulers`.
local function add_state(Class)
  function Class:state_dict()
    local state = base.own_state(self)
    state.schedulers = {}
    for i, scheduler in ipairs(self.schedulers) do state.schedulers[i] = scheduler:state_dict() end
    return state
  end

  function Class:load_state_dict(state)
    local parts = type(state) == "table" and state.schedulers
    if type(parts) ~= "table" or #parts ~= #self.schedulers then
      fail("%s: load_state_dict: expected the states of %d schedules", self.where, #self.schedulers)
    end
    local own = {}
    for name, value in pairs(state) do
      if name ~= "schedulers" then own[name] = value end
    end
    base.load_own_state(self, own)
    for i, scheduler in ipairs(self.schedulers) do scheduler:load_state_dict(parts[i]) end
  end
end

-- The first schedule up to the first milestone, the second from there on, starting anew, and so on.
local SequentialLR
SequentialLR, composed.SequentialLR = base.class("SequentialLR",
  { { "schedulers", check_schedulers }, { "milestones", base.milestones(1, true) } })
add_state(SequentialLR)

function SequentialLR:prepare()
  if #self.milestones ~= #self.schedulers - 1 then
    fail("%s: %d schedules need %d milestones, got %d", self.where, #self.schedulers, #self.schedulers - 1,
      #self.milestones)
  end
end

function SequentialLR:begin()
  self.last_epoch = 0
  self.schedulers[1]:restart()
  self.last_lr = self.schedulers[1]:get_last_lr()
end

function SequentialLR:step()
  self.last_epoch = self.last_epoch + 1
  local number, starts = 1, false
  for i, milestone in ipairs(self.milestones) do
    if milestone <= self.last_epoch then number, starts = i + 1, milestone == self.last_epoch end
  end
  local scheduler = self.schedulers[number]
  if starts then scheduler:restart() else scheduler:step() end
  self.last_lr = scheduler:get_last_lr()
end

-- All at once: the factors multiply. S.ChainedScheduler { a, b }
local ChainedScheduler, chain = base.class("ChainedScheduler", { { "schedulers", check_schedulers } })
add_state(ChainedScheduler)

function composed.ChainedScheduler(schedulers)
  local first = type(schedulers) == "table" and schedulers[1]
  local optimizer = type(first) == "table" and first.optimizer
  if not optimizer then
    fail("lr_scheduler.ChainedScheduler: expected a list of schedules, got %s", type(schedulers))
  end
  return chain(optimizer, schedulers)
end

function ChainedScheduler:begin()
  self.schedulers[1]:restart()
  for i = 2, #self.schedulers do self.schedulers[i]:begin() end
  self.last_lr = base.rates(self.optimizer)
end

function ChainedScheduler:step()
  for _, scheduler in ipairs(self.schedulers) do scheduler:step() end
  self.last_lr = base.rates(self.optimizer)
end

-- base · (epoch + 1)/warmup_steps for the first warmup_steps epochs, then `after` from its start (left out: the base
-- rate): S.WarmupLR(optimizer, 100, S.CosineAnnealingLR(optimizer, 1000))
local warmup = {
  { "warmup_steps", base.whole(1) },
  { "after", base.optional(function(where, name, value, optimizer)
    return check_schedulers(where, name, { value }, optimizer)[1]
  end) },
}

function composed.WarmupLR(optimizer, ...)
  local where, given = "lr_scheduler.WarmupLR", { optimizer = optimizer }
  base.check_optimizer(where, optimizer)
  base.read(where, given, warmup, ...)
  local n = given.warmup_steps
  local rise = decay.LambdaLR(optimizer, function(epoch) return (epoch + 1) / n end)
  local after = given.after or decay.LambdaLR(optimizer, function() return 1 end)
  return composed.SequentialLR(optimizer, { rise, after }, { n })
end

return composed
