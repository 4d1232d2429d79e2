-- sonde.optim: SGD, Adam, AdamW, RMSprop. The steps are C; constructors, parameter groups and state_dict are here.
local core = require "sonde.core"
local optim = core.optim
local Optimizer = optim.methods

local FLAGS = { nesterov = true, maximize = true, amsgrad = true, centered = true }

-- The options of a rule as users name them: "beta1" and "beta2" are one, betas = {b1, b2}.
local function option_names(rule)
  local names = {}
  for _, name in ipairs((optim.options(rule))) do
    if name == "beta1" then names[#names + 1] = "betas" elseif name ~= "beta2" then names[#names + 1] = name end
  end
  return names
end

local function unknown(rule, name, names)
  local nearest = core.nearest(tostring(name), names)
  core.raise(("optim.%s: unknown option '%s'%s; options: %s"):format(rule, tostring(name),
    nearest and (", did you mean '" .. nearest .. "'?") or "", table.concat(names, ", ")))
end

local function set_option(rule, values, name, value)
  local kind = type(value)
  if name == "betas" then
    if kind ~= "table" or #value ~= 2 or type(value[1]) ~= "number" or type(value[2]) ~= "number" then
      core.raise(("bad argument 'betas' to optim.%s: expected two numbers, got %s"):format(rule, kind))
    end
    values.beta1, values.beta2 = value[1], value[2]
  elseif FLAGS[name] then
    if kind ~= "boolean" then
      core.raise(("bad argument '%s' to optim.%s: expected boolean, got %s"):format(name, rule, kind))
    end
    values[name] = value and 1 or 0
  elseif kind ~= "number" then
    core.raise(("bad argument '%s' to optim.%s: expected number, got %s"):format(name, rule, kind))
  else
    values[name] = value
  end
end

-- Checks options and turns them into the core's numbers. `into`: what there is already.
local function read_options(rule, options, into)
  local names, known = option_names(rule), {}
  for _, name in ipairs(names) do known[name] = true end
  for name, value in pairs(options) do
    if name ~= "params" then
      if not known[name] then unknown(rule, name, names) end
      set_option(rule, into, name, value)
    end
  end
  return into
end

-- ---- parameter groups: tables to look at, the core's numbers behind them ------------------------------------------

local Group = {}

local function get(group, name)
  local self, number = group[Group], group[Optimizer]
  if name == "params" then return self:group_parameters(number) end
  if name == "betas" then return { self:get(number, "beta1"), self:get(number, "beta2") } end
  local value = self:get(number, name)
  if FLAGS[name] then return value ~= 0 end
  return value
end

function Group.__index(group, name)
  for _, known in ipairs(option_names(rawget(group, Group):rule())) do
    if name == known then return get(group, name) end
  end
  if name == "params" then return get(group, name) end
  return nil
end

function Group.__newindex(group, name, value)
  local self = rawget(group, Group)
  if name == "params" then core.raise("the parameters of a group cannot be replaced; see add_param_group") end
  self:configure(rawget(group, Optimizer), read_options(self:rule(), { [name] = value }, {}))
end

function Group.__pairs(group)
  local names, i = option_names(rawget(group, Group):rule()), 0
  table.insert(names, 1, "params")
  return function()
    i = i + 1
    if names[i] then return names[i], get(group, names[i]) end
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
    core.raise(("optim.%s: a parameter group is a table with params = {...}"):format(rule))
  end
  local values = read_options(rule, group, {})
  local trial = optim.new(rule)
  trial:configure(trial:add_group(core.tensor.zeros(1)), values) -- raises before anything is added
  self:configure(self:add_group(group.params), values)
end

function Optimizer:describe()
  local lines = { self:rule() .. " (" }
  for i, group in ipairs(self.param_groups) do
    lines[#lines + 1] = "Parameter Group " .. i
    for name, value in pairs(group) do
      if name == "betas" then value = ("{%s, %s}"):format(value[1], value[2]) end
      if name == "params" then name, value = "parameters", #value end
      lines[#lines + 1] = ("    %s: %s"):format(name, tostring(value))
    end
  end
  lines[#lines + 1] = ")"
  return table.concat(lines, "\n")
end

-- ---- state ---------------------------------------------------------------------------------------------------------

-- { state = { [parameter] = { name = tensor } }, param_groups = { { lr = …, params = { numbers } } } }; parameters are
-- numbered over all groups from 1. Tensors are copies.
function Optimizer:state_dict()
  local groups, number = {}, 0
  for i, group in ipairs(self.param_groups) do
    local copy = {}
    for name, value in pairs(group) do copy[name] = value end
    for k in ipairs(copy.params) do
      number = number + 1
      copy.params[k] = number
    end
    groups[i] = copy
  end
  return { state = self:state(), param_groups = groups }
end

function Optimizer:load_state_dict(dict)
  local rule = self:rule()
  if type(dict) ~= "table" or type(dict.state) ~= "table" or type(dict.param_groups) ~= "table" then
    core.raise("load_state_dict: expected a table with state and param_groups, as state_dict returns it")
  end
  local groups = self.param_groups
  if #dict.param_groups ~= #groups then
    core.raise(("load_state_dict of %s: %d parameter groups, expected %d"):format(rule, #dict.param_groups, #groups))
  end
  local values = {}
  for i, group in ipairs(dict.param_groups) do
    local n, expected = group.params and #group.params or 0, #groups[i].params
    if n ~= expected then
      core.raise(("load_state_dict of %s: group %d has %d parameters, expected %d"):format(rule, i, n, expected))
    end
    values[i] = read_options(rule, group, {})
  end
  for i, numbers in ipairs(values) do self:configure(i, numbers) end
  for number, entries in pairs(dict.state) do
    for name, value in pairs(entries) do self:set_state(number, name, value) end
  end
end

-- ---- constructors ------------------------------------------------------------------------------------------------

-- optim.SGD(params, lr, …) in PyTorch's order, or optim.SGD(params, { lr = … }). params: tensors, or groups
-- { params = …, lr = … } whose options go before those given for all.
local function constructor(rule)
  local names = option_names(rule)
  return function(params, ...)
    local given = table.pack(...)
    local options = type(given[given.n]) == "table" and given[given.n][1] == nil and table.remove(given) or {}
    if #given > #names then core.raise(("optim.%s: takes at most %d arguments"):format(rule, #names + 1)) end
    local all = read_options(rule, options, {})
    for i, value in ipairs(given) do
      if options[names[i]] ~= nil then
        core.raise(("optim.%s: '%s' given twice, by position and by name"):format(rule, names[i]))
      end
      set_option(rule, all, names[i], value)
    end
    if params == nil then
      core.raise(("bad argument 'params' to optim.%s: expected a list, got no value"):format(rule))
    end
    local self = optim.new(rule)
    local first = type(params) == "table" and params[1]
    local groups = type(first) == "table" and params or { { params = params } }
    for _, group in ipairs(groups) do
      if type(group) ~= "table" or group.params == nil then
        core.raise(("optim.%s: a parameter group is a table with params = {...}"):format(rule))
      end
      local values = {}
      for name, value in pairs(all) do values[name] = value end
      self:configure(self:add_group(group.params), read_options(rule, group, values))
    end
    return self
  end
end

for _, rule in ipairs { "SGD", "Adam", "AdamW", "RMSprop" } do optim[rule] = constructor(rule) end

return optim
