--- Everything there is to call: found by walking the namespaces, so that a new function is called too.
local sonde = require "sonde"
local values = require "support.fuzz.values"

-- Loaded when first read. (run, probe and h5 are about files and are called by specs of their own.)
local NAMESPACES = { "nn", "optim", "data", "theory", "linalg", "tensor" }
-- What the methods in a namespace are called on.
local RECEIVERS = {
  ["sonde.tensor.Tensor"] = "tensor", ["sonde.nn.methods"] = "module", ["sonde.optim.methods"] = "optimizer",
  ["sonde.data.Dataset.methods"] = "dataset", ["sonde.nn.EchoStateNetwork"] = "reservoir",
}
local LEFT_OUT = {
  ["sonde.data.Dataset"] = true, -- its constructors are private; its methods are below
  ["sonde.optim.new"] = true, ["sonde.optim.options"] = true, -- private too
  ["sonde.nn.EchoStateNetwork.init"] = true, ["sonde.nn.EchoStateNetwork.super"] = true,
  ["sonde.optim.swa_utils.get_swa_avg_fn"] = true, -- what it returns is for AveragedModel to call
  ["sonde.optim.swa_utils.get_ema_avg_fn"] = true,
  ["sonde.save"] = true, -- would write files
}

local targets = {}

--- A function that calls what `expression` names, as a user's line would, and returns the results packed. `parent` and
--- `self`, the first argument, are what the expression may begin with.
function targets.caller(expression, parent)
  local self = expression:find("self", 1, true) and "self, " or ""
  return load(("local parent = ... return function(%s...) local list = table.pack(%s(...)) return list end"):format(
    self, expression), "=a user's line")(parent)
end

local function callable(value)
  local meta = getmetatable(value)
  return type(value) == "function" or type(value) == "table" and type(meta) == "table" and meta.__call ~= nil
end

local function walk(path, t, seen, list)
  if seen[t] then return end
  seen[t] = true
  for name, value in next, t do
    local full = path .. "." .. tostring(name)
    if type(name) == "string" and name:sub(1, 1) ~= "_" then
      if callable(value) and not LEFT_OUT[full] then
        list[#list + 1] = { name = full, fn = targets.caller("parent." .. name, t), receiver = RECEIVERS[path] }
      end
      if type(value) == "table" and not LEFT_OUT[full] then walk(full, value, seen, list) end
    end
  end
end

--- The names of a target's arguments, as its complaint about one that there cannot be lists them.
local function option_names(target)
  local source, names = values(1), {}
  local firsts = { {}, { "tensor" }, { "module" }, { "optimizer" }, { "parameters" }, { "tensor", "tensor" },
    { "activation" }, { "module", "tensor" } }
  for _, kinds in ipairs(firsts) do
    local arguments = {}
    for i, kind in ipairs(kinds) do arguments[i] = source[kind](source) end
    arguments[#arguments + 1] = { no_such_option = 1 }
    local ok, message = pcall(target.fn, table.unpack(arguments))
    local listed = not ok and tostring(message):match("'no_such_option'.*there are: ([%w_, ]+)")
    for name in (listed or ""):gmatch("[%w_]+") do names[#names + 1] = tonumber(name) or name end
    if listed then break end
  end
  return names
end

function targets.all()
  for _, name in ipairs(NAMESPACES) do assert(sonde[name]) end
  local list, seen = {}, {}
  walk("sonde", sonde, seen, list)
  walk("sonde.data.Dataset.methods", sonde.data.Dataset.methods, seen, list)
  table.sort(list, function(a, b) return a.name < b.name end)
  for _, target in ipairs(list) do target.names = option_names(target) end
  return list
end

return targets
