-- Optimizer:state_dict and load_state_dict.
local core = require "sonde.core"
local fail = require "sonde.fail"
local options = require "sonde.optim.options"
local Optimizer = core.optim.methods

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

local function sorted_keys(t)
  local keys = {}
  for key in next, t do keys[#keys + 1] = key end
  table.sort(keys, function(a, b)
    if type(a) ~= type(b) then return type(a) < type(b) end
    return a < b
  end)
  return keys
end

-- Runs fn; a failure becomes one of the problems, without the place where it was raised.
local function attempt(problems, where, fn, ...)
  local ok, message = pcall(fn, ...)
  if ok then return message end
  problems[#problems + 1] = where .. ": " .. tostring(message):gsub("^[^\n]-:%d+: ", "")
end

-- Options of the groups as the core's numbers, tried on an optimiser of its own with the same parameters.
local function try_groups(self, given, problems)
  local groups, trial, values = self.param_groups, core.optim.new(self:rule()), {}
  if #given ~= #groups then
    fail("load_state_dict of %s: %d parameter groups, expected %d", self:rule(), #given, #groups)
  end
  for i, group in ipairs(given) do
    local where = "group " .. i
    local params = type(group) == "table" and type(group.params) == "table" and group.params or {}
    trial:add_group(groups[i].params)
    if #params ~= #groups[i].params then
      problems[#problems + 1] = ("%s has %d parameters, expected %d"):format(where, #params, #groups[i].params)
    else
      values[i] = attempt(problems, where, options.read_all, self:rule(), group, {})
      if values[i] then attempt(problems, where, trial.configure, trial, i, values[i]) end
    end
  end
  return trial, values
end

-- Within a group the parameters that were updated have the same names of state.
local function find_missing(self, state, problems)
  local number = 0
  for _, group in ipairs(self.param_groups) do
    local names, first = {}, number + 1
    for _ in ipairs(group.params) do
      number = number + 1
      for name in next, state[number] or {} do names[name] = true end
    end
    for k = first, number do
      for _, name in ipairs(state[k] and sorted_keys(names) or {}) do
        if state[k][name] == nil then
          problems[#problems + 1] = ("parameter %d: state '%s' is missing"):format(k, name)
        end
      end
    end
  end
end

-- A state_dict, also one that came through a file: all of it, or an error that lists what does not fit.
function Optimizer:load_state_dict(dict)
  if type(dict) ~= "table" or type(dict.state) ~= "table" or type(dict.param_groups) ~= "table" then
    fail("load_state_dict: expected a table with state and param_groups, as state_dict returns it")
  end
  local problems = {}
  local trial, values = try_groups(self, dict.param_groups, problems)
  local function each(visit)
    for _, number in ipairs(sorted_keys(dict.state)) do
      for _, name in ipairs(sorted_keys(dict.state[number])) do visit(number, name, dict.state[number][name]) end
    end
  end
  for number, entries in next, dict.state do
    if type(entries) ~= "table" then fail("load_state_dict: state of parameter %s is no table", number) end
  end
  each(function(number, name, value)
    attempt(problems, ("parameter %s"):format(number), trial.set_state, trial, number, name, value)
  end)
  find_missing(self, dict.state, problems)
  if #problems > 0 then fail("load_state_dict of %s: %s", self:rule(), table.concat(problems, "; ")) end
  for i, numbers in ipairs(values) do self:configure(i, numbers) end
  each(function(number, name, value) self:set_state(number, name, value) end)
end
