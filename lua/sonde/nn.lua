-- sonde.nn: layers, losses, nn.init, nn.utils, nn.Module. The layers are C; walking the tree is here.
local core = require "sonde.core"
local fail = require "sonde.fail"
local receiver = require "sonde.receiver"
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

require "sonde.nn.state"
receiver("Module", Module, nn.is_module)

nn.init.critical_ = require "sonde.nn.critical"
nn.init.fixup_ = require "sonde.nn.fixup"
nn.init.lsuv_ = require "sonde.nn.lsuv"
for name, fn in pairs(require "sonde.nn.gates") do nn.init[name] = fn end

nn.EchoStateNetwork = require "sonde.nn.echo_state"
nn.utils.truncated_bptt = require "sonde.nn.truncated_bptt"
suggest.namespace("sonde.nn.utils.parametrize", require "sonde.nn.parametrize")
suggest.namespace("sonde.nn.utils.parametrizations", nn.utils.parametrizations)

suggest.namespace("sonde.nn.init", nn.init)
suggest.namespace("sonde.nn.utils", nn.utils)

return suggest.namespace("sonde.nn", nn)
