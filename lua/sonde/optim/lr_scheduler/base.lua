-- What all schedules share: their arguments, their state, and when they set a rate.
--
-- A schedule sets the rates of its optimiser's groups when it is made (epoch 0) and at each step(); `epoch` is whatever
-- is counted, batches or passes over the data. Like PyTorch's, most compute the next rate from the present one, so that
-- several on one optimiser multiply. A class is a table with rate(self, lr, base, i): the rate of group i at
-- self.last_epoch, given the present rate and the one the group had before any schedule.
local fail = require "sonde.fail"
local options = require "sonde.optim.options"
local suggest = require "sonde.suggest"

local base = {}

-- ---- arguments -------------------------------------------------------------------------------------------------

local function shown(value) return type(value) == "number" and ("%g"):format(value) or type(value) end

-- Checks of one argument: check(where, name, value, optimizer) returns the value to keep.
function base.number(low, high)
  return function(where, name, value)
    local fits = type(value) == "number" and value >= (low or -math.huge) and value <= (high or math.huge)
    if fits and value - value == 0 then return value end
    local range = low and high and (" between %g and %g"):format(low, high)
      or low and (" of at least %g"):format(low) or ""
    fail("bad argument '%s' to %s: expected a finite number%s, got %s", name, where, range, shown(value))
  end
end

function base.whole(low)
  return function(where, name, value)
    local whole = type(value) == "number" and math.tointeger(value)
    if whole and whole >= low then return whole end
    fail("bad argument '%s' to %s: expected a whole number of at least %d, got %s", name, where, low, shown(value))
  end
end

function base.boolean(where, name, value)
  if type(value) == "boolean" then return value end
  fail("bad argument '%s' to %s: expected boolean, got %s", name, where, type(value))
end

function base.choice(...)
  local words = { ... }
  return function(where, name, value)
    for _, word in ipairs(words) do
      if value == word then return value end
    end
    fail("bad argument '%s' to %s: %s", name, where, suggest.unknown("choice", value, words))
  end
end

-- A value, or a list of one for each group; kept as a list. fits: the check of one of them, or a type's name.
function base.per_group(fits)
  local check = type(fits) == "function" and fits or function(where, name, value)
    if type(value) == fits then return value end
    fail("bad argument '%s' to %s: expected %s, or a list of one for each group, got %s", name, where, fits,
      type(value))
  end
  return function(where, name, value, optimizer)
    local list, n = {}, optimizer:groups()
    if type(value) == "table" and #value ~= n then
      fail("bad argument '%s' to %s: expected a list of %d, one for each group, got %d", name, where, n, #value)
    end
    for i = 1, n do list[i] = check(where, name, type(value) == "table" and value[i] or value) end
    return list
  end
end

-- Whole numbers in ascending order, none below `low`; strictly: none twice.
function base.milestones(low, strictly)
  local whole = base.whole(low)
  return function(where, name, value)
    if type(value) ~= "table" then
      fail("bad argument '%s' to %s: expected a list, got %s", name, where, type(value))
    end
    local list = {}
    for i, milestone in ipairs(value) do list[i] = whole(where, name, milestone) end
    if not strictly then table.sort(list) end
    for i = 2, #list do
      if strictly and list[i] <= list[i - 1] then
        fail("bad argument '%s' to %s: expected ascending numbers, got %d after %d", name, where, list[i], list[i - 1])
      end
    end
    return list
  end
end

-- Any value; nil if left out.
function base.optional(check)
  return { check = check, optional = true }
end

-- Puts the arguments of a call, by position or in a trailing table, into `self`. parameters: { name, check, default }
-- of each, in PyTorch's order; without a default it must be given.
function base.read(where, self, parameters, ...)
  local given, names = table.pack(...), {}
  for i, parameter in ipairs(parameters) do names[i] = parameter[1] end
  while given.n > 0 and given[given.n] == nil do given.n = given.n - 1 end
  local last, named = given[given.n], {}
  if type(last) == "table" and getmetatable(last) == nil and last[1] == nil then
    named = suggest.check_options(where, last, names)
    given[given.n], given.n = nil, given.n - 1
  end
  if given.n > #names then fail("%s takes at most %d arguments after the optimizer", where, #names) end
  for i, parameter in ipairs(parameters) do
    local name, check, value = parameter[1], parameter[2], given[i]
    if value ~= nil and named[name] ~= nil then fail("%s: '%s' given twice, by position and by name", where, name) end
    if value == nil then value = named[name] end
    if value == nil then value = parameter[3] end
    local optional = type(check) == "table"
    if value == nil and not optional then fail("%s: '%s' is missing", where, name) end
    if value ~= nil then self[name] = (optional and check.check or check)(where, name, value, self.optimizer) end
  end
end

-- ---- the class all have ----------------------------------------------------------------------------------------

local Scheduler = {}
Scheduler.__index = Scheduler
base.Scheduler = Scheduler

local initial = setmetatable({}, { __mode = "k" }) -- optimiser → the rates its groups had before any schedule

local function initial_rates(optimizer)
  local rates = initial[optimizer] or {}
  initial[optimizer] = rates
  for i = #rates + 1, optimizer:groups() do rates[i] = optimizer:get(i, "lr") end
  return table.move(rates, 1, #rates, 1, {})
end

-- Sets one of the core's numbers of every group.
local function set_all(optimizer, name, values)
  for i, value in ipairs(values) do optimizer:configure(i, { [name] = value }) end
end
base.set_all = set_all

local function rates(optimizer)
  local list = {}
  for i = 1, optimizer:groups() do list[i] = optimizer:get(i, "lr") end
  return list
end
base.rates = rates

function base.check_optimizer(where, optimizer)
  if getmetatable(optimizer) ~= "Optimizer" then
    local kind = getmetatable(optimizer)
    fail("bad argument 'optimizer' to %s: expected Optimizer, got %s", where,
      type(kind) == "string" and kind or type(optimizer))
  end
end

-- A class and its constructor: S.StepLR(optimizer, step_size, { gamma = 0.5 }).
function base.class(name, parameters)
  local where = "lr_scheduler." .. name
  local Class = setmetatable({ __name = name }, { __index = Scheduler })
  Class.__index = Class
  return Class, function(optimizer, ...)
    base.check_optimizer(where, optimizer)
    local self = setmetatable({ optimizer = optimizer, where = where }, Class)
    base.read(where, self, parameters, ...)
    if self.prepare then self:prepare() end
    self.base_lrs = self.base_lrs or initial_rates(optimizer)
    self:begin()
    return self
  end
end

-- Epoch 0, from the rates as they are.
function Scheduler:begin()
  self.last_epoch = -1
  self:step()
end

-- The same from the rates before any schedule.
function Scheduler:restart()
  set_all(self.optimizer, "lr", self.base_lrs)
  self:begin()
end

-- To the next epoch. Call it after the optimiser's step.
function Scheduler:step()
  self.last_epoch = self.last_epoch + 1
  local list = rates(self.optimizer)
  for i, base_lr in ipairs(self.base_lrs) do list[i] = self:rate(list[i], base_lr, i) end
  set_all(self.optimizer, "lr", list)
  self.last_lr = list
end

-- The rates in force, one for each group.
function Scheduler:get_last_lr()
  return table.move(self.last_lr, 1, #self.last_lr, 1, {})
end

-- ---- state -----------------------------------------------------------------------------------------------------

local function copy(value)
  if type(value) ~= "table" then return value end
  local list = {}
  for k, v in pairs(value) do list[k] = copy(v) end
  return list
end

local function is_state(value, depth)
  depth = depth or 1
  local kind = type(value)
  if kind ~= "table" then return kind == "number" or kind == "string" or kind == "boolean" end
  for _, v in pairs(value) do
    if depth > 100 or not is_state(v, depth + 1) then return false end
  end
  return true
end

-- Everything but the optimiser and functions, as a plain table.
function base.own_state(self)
  local state = {}
  for name, value in pairs(self) do
    if name ~= "optimizer" and name ~= "where" and is_state(value) then state[name] = copy(value) end
  end
  return state
end

local function sorted_keys(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  return keys
end

function base.load_own_state(self, state)
  if type(state) ~= "table" then fail("%s: load_state_dict: expected a table, got %s", self.where, type(state)) end
  local own = base.own_state(self)
  local names = sorted_keys(own)
  for _, name in ipairs(sorted_keys(state)) do
    local value = state[name]
    if own[name] == nil then fail("%s: load_state_dict: %s", self.where, suggest.unknown("name", name, names)) end
    if type(value) ~= type(own[name]) or (type(value) == "table" and #value ~= #own[name]) or not is_state(value) then
      fail("%s: load_state_dict: '%s' is not what it should be", self.where, name)
    end
  end
  for _, name in ipairs(names) do
    if state[name] == nil then fail("%s: load_state_dict: '%s' is missing", self.where, name) end
  end
  for name, value in pairs(state) do self[name] = copy(value) end
end

-- What a checkpoint holds: load_state_dict goes on from there. The optimiser's rates are its own state: load that too.
function Scheduler:state_dict() return base.own_state(self) end
function Scheduler:load_state_dict(state) base.load_own_state(self, state) end

-- ---- momentum, cycled against the rate ---------------------------------------------------------------------------

-- The core's number that is this optimiser's momentum.
function base.momentum_name(where, optimizer)
  local names = options.names(optimizer:rule())
  if names.betas then return "beta1" end
  if names.momentum then return "momentum" end
  fail("%s: %s has no momentum to cycle; set cycle_momentum = false", where, optimizer:rule())
end

return base
