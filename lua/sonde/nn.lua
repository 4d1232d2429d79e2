-- sonde.nn: layers, losses, nn.init, nn.utils, nn.Module. The layers are C; walking the tree and state_dict are here.
local core = require "sonde.core"
local fail = require "sonde.fail"
local suggest = require "sonde.suggest"
local nn = core.nn
local Module = nn.methods
local children, child_names, own_parameters = Module.children, Module.child_names, Module.own_parameters

function nn.is_module(value)
  return getmetatable(value) == "Module"
end

-- ---- walking: depth first, parents before children, everything once ---------------------------------------------

local function join(path, name)
  return path == "" and name or path .. "." .. name
end

local function walk(module, path, seen, list)
  if seen[module] then return list end
  seen[module] = true
  list[#list + 1] = { path, module }
  local names = child_names(module)
  for i, child in ipairs(children(module)) do walk(child, join(path, names[i]), seen, list) end
  return list
end

-- { path, tensor } of every parameter (or buffer) below, each tensor once, under its first path.
local function tensors(module, buffers)
  local list, seen = {}, {}
  for _, entry in ipairs(walk(module, "", {}, {})) do
    local names, values = own_parameters(entry[2], buffers)
    for i, value in ipairs(values) do
      if not seen[value] then
        seen[value] = true
        list[#list + 1] = { join(entry[1], names[i]), value }
      end
    end
  end
  return list
end

local function each(list)
  local i = 0
  return function()
    i = i + 1
    local entry = list[i]
    if entry then return entry[1], entry[2] end
  end
end

local function seconds(list)
  local values = {}
  for i, entry in ipairs(list) do values[i] = entry[2] end
  return values
end

function Module:named_modules() return each(walk(self, "", {}, {})) end
function Module:modules() return seconds(walk(self, "", {}, {})) end
function Module:named_parameters() return each(tensors(self, false)) end
function Module:parameters() return seconds(tensors(self, false)) end
function Module:named_buffers() return each(tensors(self, true)) end
function Module:buffers() return seconds(tensors(self, true)) end

function Module:named_children()
  local list, names = {}, child_names(self)
  for i, child in ipairs(children(self)) do list[i] = { names[i], child } end
  return each(list)
end

-- Calls fn with every module, children before their parents. Returns self.
function Module:apply(fn)
  if type(fn) ~= "function" then
    fail("bad argument 'fn' to apply: expected function, got %s", type(fn))
  end
  for _, child in ipairs(children(self)) do Module.apply(child, fn) end
  fn(self)
  return self
end

-- ---- state_dict --------------------------------------------------------------------------------------------------

-- name -> tensor, of parameters and buffers: without history, sharing the module's memory.
function Module:state_dict()
  local state = {}
  for _, buffers in ipairs { false, true } do
    for _, entry in ipairs(tensors(self, buffers)) do state[entry[1]] = entry[2]:detach() end
  end
  return state
end

-- PyTorch numbers children from 0: "0.weight" is our "1.weight".
local function from_torch(name)
  return (name:gsub("[^.]+", function(part)
    return part:match("^%d+$") and tostring(math.tointeger(part) + 1) or nil
  end))
end

local function shape_text(tensor)
  return "[" .. table.concat(tensor:shape(), ", ") .. "]"
end

local function read_options(options)
  options = suggest.check_options("load_state_dict", options, { "names", "strict" })
  if options.names ~= nil and options.names ~= "torch" then
    fail("load_state_dict: names can only be \"torch\", got %s", options.names)
  end
  return options.names == "torch", options.strict ~= false
end

-- The tensors of `state` by our names, and what is wrong with its keys and values as such.
local function by_name(state, torch)
  local given = {}
  for key, value in pairs(state) do
    if type(key) ~= "string" then fail("load_state_dict: names are strings, got a %s", type(key)) end
    if getmetatable(value) ~= "Tensor" then
      fail("load_state_dict: '%s' is a %s, expected Tensor", key, type(value))
    end
    given[torch and from_torch(key) or key] = value
  end
  return given
end

local function list_of(words, label, problems)
  if #words == 0 then return end
  table.sort(words)
  problems[#problems + 1] = label .. ": " .. table.concat(words, ", ")
end

-- Copies the values of `state` into parameters and buffers: all, or none if anything is wrong. Options: names = "torch"
-- (children are numbered from 0 there), strict = true (missing and unexpected names are errors). Returns both lists.
function Module:load_state_dict(state, options)
  if type(state) ~= "table" then fail("load_state_dict: expected a table, got %s", type(state)) end
  local torch, strict = read_options(options)
  local given, missing, wrong, pairs_to_copy = by_name(state, torch), {}, {}, {}
  for name, own in pairs(self:state_dict()) do
    local value = given[name]
    given[name] = nil
    if value == nil then
      missing[#missing + 1] = name
    elseif shape_text(value) ~= shape_text(own) then
      wrong[#wrong + 1] = ("%s: expected %s, got %s"):format(name, shape_text(own), shape_text(value))
    else
      pairs_to_copy[#pairs_to_copy + 1] = { own, value }
    end
  end
  local unexpected = {}
  for name in pairs(given) do unexpected[#unexpected + 1] = name end
  local problems = {}
  list_of(wrong, "shapes", problems)
  if strict then
    list_of(missing, "missing", problems)
    list_of(unexpected, "unexpected", problems)
  end
  if #problems > 0 then
    fail("load_state_dict of %s: %s", self:class_name(), table.concat(problems, "; "))
  end
  for _, pair in ipairs(pairs_to_copy) do pair[1]:copy_(pair[2]:detach()) end
  table.sort(missing)
  table.sort(unexpected)
  return missing, unexpected
end

nn.EchoStateNetwork = require "sonde.nn.echo_state"
nn.utils.truncated_bptt = require "sonde.nn.truncated_bptt"

return nn
