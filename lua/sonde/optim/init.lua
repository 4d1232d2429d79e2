-- sonde.optim: the optimisers, lr_scheduler, swa_utils, EarlyStopping, skip_nonfinite. The steps are C; constructors
-- and parameter groups are here.
local core = require "sonde.core"
local base = require "sonde.optim.lr_scheduler.base"
local fail = require "sonde.fail"
local options = require "sonde.optim.options"
local receiver = require "sonde.receiver"
local suggest = require "sonde.suggest"
local optim = core.optim
local Optimizer = optim.methods

-- ---- parameter groups: tables to look at, the core's numbers behind them ------------------------------------------

local Group = {}

local function get(group, name)
  local self, number = rawget(group, Group), rawget(group, Optimizer)
  if name == "params" then return self:group_parameters(number) end
  return options.show(name, function(part) return self:get(number, part) end)
end

function Group.__index(group, name)
  if name == "params" or options.names(rawget(group, Group):rule())[name] then return get(group, name) end
  return nil
end

function Group.__newindex(group, name, value)
  local self = rawget(group, Group)
  if name == "params" then fail("the parameters of a group cannot be replaced; see add_param_group") end
  self:configure(rawget(group, Optimizer), options.read_all(self:rule(), { [name] = value }, {}))
end

function Group.__pairs(group)
  local names, i = options.names(rawget(group, Group):rule()), -1
  return function()
    i = i + 1
    local name = i == 0 and "params" or names[i]
    if name then return name, get(group, name) end
  end
end

function Optimizer:get_param_groups()
  local groups = {}
  for i = 1, self:groups() do groups[i] = setmetatable({ [Group] = self, [Optimizer] = i }, Group) end
  return groups
end

-- A group { params = {...}, lr = ... }; options left out have the rule's defaults. All or nothing.
function Optimizer:add_param_group(group)
  local rule = self:rule()
  if type(group) ~= "table" or group.params == nil then
    fail("optim.%s: a parameter group is a table with params = {...}", rule)
  end
  local values = options.read_all(rule, group, {})
  local trial = optim.new(rule)
  trial:configure(trial:add_group(core.tensor.zeros(1, 1)), values) -- raises before anything is added
  self:configure(self:add_group(group.params), values)
end

function Optimizer:describe()
  local lines = { self:rule() .. " (" }
  for i, group in ipairs(self.param_groups) do
    lines[#lines + 1] = "Parameter Group " .. i
    for name, value in pairs(group) do
      if name == "params" then name, value = "parameters", #value end
      if type(value) == "table" then value = "{" .. table.concat(value, ", ") .. "}" end
      lines[#lines + 1] = ("    %s: %s"):format(name, tostring(value))
    end
  end
  lines[#lines + 1] = ")"
  return table.concat(lines, "\n")
end

require "sonde.optim.state"

receiver("Optimizer", Optimizer, function(value) return getmetatable(value) == "Optimizer" end)

-- ---- constructors ------------------------------------------------------------------------------------------------

-- optim.SGD(params, lr, …) in PyTorch's order, or optim.SGD(params, { lr = … }). params: tensors, or groups
-- { params = …, lr = … } whose options go before those given for all.
local function constructor(rule)
  local names = options.names(rule)
  return function(params, ...)
    local given = table.pack(...)
    local named = type(given[given.n]) == "table" and given[given.n][1] == nil and table.remove(given) or {}
    if #given > #names then fail("optim.%s: takes at most %d arguments", rule, #names + 1) end
    local all = options.read_all(rule, named, {})
    for i, value in ipairs(given) do
      if named[names[i]] ~= nil then
        fail("optim.%s: '%s' given twice, by position and by name", rule, names[i])
      end
      options.read(rule, all, names[i], value)
    end
    if params == nil then
      fail("bad argument 'params' to optim.%s: expected a list, got no value", rule)
    end
    local self = optim.new(rule)
    local first = type(params) == "table" and params[1]
    local groups = type(first) == "table" and params or { { params = params } }
    for _, group in ipairs(groups) do
      if type(group) ~= "table" or group.params == nil then
        fail("optim.%s: a parameter group is a table with params = {...}", rule)
      end
      local values = {}
      for name, value in pairs(all) do values[name] = value end
      self:configure(self:add_group(group.params), options.read_all(rule, group, values))
    end
    return self
  end
end

for _, rule in ipairs {
  "SGD", "Adam", "AdamW", "RMSprop", "Adamax", "NAdam", "RAdam", "Adagrad", "Adadelta", "Rprop", "ASGD", "Lion", "Muon",
  "LBFGS",
} do
  optim[rule] = constructor(rule)
end

-- From now on the optimiser leaves out a step whose gradients are not all finite (outside a run; in one see
-- on_nonfinite). Returns { skipped = how many so far, remove = ends it }.
function optim.skip_nonfinite(optimizer)
  base.check_optimizer("optim.skip_nonfinite", optimizer)
  local guard = { skipped = 0 }
  local handle = optimizer:_when_ready(function(opt)
    for i = 1, opt:groups() do
      local norm = core.nn.utils.total_norm(opt:group_parameters(i))
      if norm - norm ~= 0 then
        opt:zero_grad(true)
        guard.skipped = guard.skipped + 1
        return
      end
    end
  end)
  function guard:remove() handle:remove() end
  return guard
end

optim.lr_scheduler = require "sonde.optim.lr_scheduler"
optim.swa_utils = require "sonde.optim.swa_utils"
optim.EarlyStopping = require "sonde.optim.early_stopping"

return suggest.namespace("sonde.optim", optim)
