-- Module:state_dict and load_state_dict: a network's numbers by name, ours or PyTorch's.
local core = require "sonde.core"
local fail = require "sonde.fail"
local suggest = require "sonde.suggest"
local Module = core.nn.methods

local function check_options(where, options, names)
  options = suggest.check_options(where, options, names)
  if options.names ~= nil and options.names ~= "torch" then
    fail("%s: names can only be \"torch\", got %s", where, options.names)
  end
  return options
end

-- A name whose numbers are moved by so much: PyTorch counts children from 0, so its "0.weight" is our "1.weight".
local function renumbered(name, by)
  return (name:gsub("[^.]+", function(part)
    return #part < 10 and part:match("^%d+$") and ("%d"):format(tonumber(part) + by) or nil
  end))
end

-- name -> tensor, of parameters and buffers: without history, sharing the module's memory. names = "torch": as PyTorch
-- names them.
function Module:state_dict(options)
  local by = check_options("state_dict", options, { "names" }).names and -1 or 0
  local state = {}
  for _, each in ipairs { self.named_parameters, self.named_buffers } do
    for name, tensor in each(self) do state[renumbered(name, by)] = tensor:detach() end
  end
  return state
end

-- ---- loading -----------------------------------------------------------------------------------------------------

-- The values below `state` by dotted names: a file's groups are tables in tables.
local function flatten(state, prefix, into, depth)
  if depth > 100 then fail("load_state_dict: tables are nested deeper than 100") end
  for key, value in next, state do
    if type(key) ~= "string" then fail("load_state_dict: names are strings, got a %s", type(key)) end
    local name = prefix .. key
    if type(value) == "table" and getmetatable(value) == nil then
      flatten(value, name .. ".", into, depth + 1)
    elseif into[name] ~= nil then
      fail("load_state_dict: '%s' is there twice, in a group and under its full name", name)
    elseif getmetatable(value) ~= "Tensor" and type(value) ~= "number" then
      fail("load_state_dict: '%s' is a %s, expected Tensor", name, type(value))
    else
      into[name] = value
    end
  end
  return into
end

local function with_our_names(values, torch)
  if not torch then return values end
  local ours = {}
  for name, value in next, values do ours[renumbered(name, 1)] = value end
  return ours
end

local function shape_text(tensor)
  return "[" .. table.concat(tensor:shape(), ", ") .. "]"
end

-- What is wrong with a value for `own`, or nil and the value as a tensor. A number fills a tensor without axes: that is
-- how files hold them.
local function fit(own, value)
  if type(value) == "number" then
    if own.ndim > 0 then return ("expected %s, got a number"):format(shape_text(own)) end
    value = core.tensor(value, { dtype = math.type(value) == "integer" and "int64" or "float64" })
  end
  if shape_text(value) ~= shape_text(own) then
    return ("expected %s, got %s"):format(shape_text(own), shape_text(value))
  end
  if own.dtype == "int64" and value.dtype ~= "int64" then return "expected int64, got " .. value.dtype end
  return nil, value
end

local function sorted(set)
  local list = {}
  for name in next, set do list[#list + 1] = name end
  table.sort(list)
  return list
end

-- "missing: bias; unexpected: biass (did you mean 'bias'?)"
local function name_problems(missing, unexpected)
  local problems, marked = {}, {}
  for i, name in ipairs(unexpected) do
    local nearest = core.nearest(name, missing)
    marked[i] = nearest and ("%s (did you mean '%s'?)"):format(name, nearest) or name
  end
  if #missing > 0 then problems[1] = "missing: " .. table.concat(missing, ", ") end
  if #marked > 0 then problems[#problems + 1] = "unexpected: " .. table.concat(marked, ", ") end
  return problems
end

-- Would the values have exactly these names if they were counted the other way?
local function fits_other_way(own, values, torch)
  local other = with_our_names(values, not torch)
  for name in next, own do
    if other[name] == nil then return false end
  end
  for name in next, other do
    if own[name] == nil then return false end
  end
  return true
end

local function hint(torch)
  return torch and "the names count from 1, as ours do: leave names = \"torch\" out"
    or "the names count from 0, as PyTorch's do: say { names = \"torch\" }"
end

-- Copies the values of `state` into parameters and buffers: all, or none if anything is wrong. state: name -> tensor,
-- as state_dict or sonde.load give it; tables in it are groups, { ["1"] = { weight = … } } being "1.weight". Options:
-- names = "torch" (children are numbered from 0 there), strict = true (missing and unexpected names are errors).
-- Returns the missing and the unexpected names.
function Module:load_state_dict(state, options)
  if type(state) ~= "table" then fail("load_state_dict: expected a table, got %s", type(state)) end
  options = check_options("load_state_dict", options, { "names", "strict" })
  local torch, strict = options.names == "torch", options.strict ~= false
  local values, own = flatten(state, "", {}, 1), self:state_dict()
  local given = with_our_names(values, torch)
  local missing, unexpected, wrong, ready = {}, {}, {}, {}
  for _, name in ipairs(sorted(own)) do
    local problem, value
    if given[name] == nil then
      missing[#missing + 1] = name
    else
      problem, value = fit(own[name], given[name])
    end
    if problem then wrong[#wrong + 1] = name .. ": " .. problem end
    ready[name] = value
  end
  for _, name in ipairs(sorted(given)) do
    if own[name] == nil then unexpected[#unexpected + 1] = name end
  end
  local problems = strict and name_problems(missing, unexpected) or {}
  if #problems > 0 and fits_other_way(own, values, torch) then problems = { hint(torch) } end
  if #wrong > 0 then table.insert(problems, 1, "shapes: " .. table.concat(wrong, ", ")) end
  if #problems > 0 then fail("load_state_dict of %s: %s", self:class_name(), table.concat(problems, "; ")) end
  for name, value in next, ready do own[name]:copy_(value:detach()) end
  return missing, unexpected
end
