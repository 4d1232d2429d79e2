--- Calls of what was made: forward and backward, steps, methods, state_dict. A run inherits these methods; it has
--- attempt(name, fn, arguments) and method(name, arguments) besides.
local sonde = require "sonde"
local targets = require "support.fuzz.targets"

local Use = {}

local call = targets.caller "self"

function Use:use_tensor(source, t)
  if t:numel() > 1 << 16 then return end
  self:method("tostring", { n = 1, t })
  if t.requires_grad then
    local seed = source:chance(0.8) and t:sum() or t
    self:method("backward", { n = source:chance(0.9) and 1 or 2, seed, source:any() })
  end
end

function Use:use_module(source, module)
  if source:chance(0.3) then self:method("eval", { n = 1, module }) end
  local count = 1
  for _ = 1, 8 do
    local inputs = { n = 1 + (source:chance(0.8) and count or source.stream:integer(0, 3)), module }
    table.move(source:inputs(inputs.n - 1), 1, inputs.n - 1, 2, inputs)
    local outputs, message = self:attempt(module:class_name(), call, inputs)
    if message then
      source:learn(message:gsub("^.-:%d+: ", ""))
      count = tonumber(message:match("takes (%d) arguments")) or count
    end
    if outputs then
      for i = 1, outputs.n do
        if sonde.is_tensor(outputs[i]) then self:use_tensor(source, outputs[i]) end
      end
      if source:chance(0.5) then break end
    end
  end
  self:method("tostring", { n = 1, module })
  local state = self:method("state_dict", { n = 1, module })
  if state then self:method("load_state_dict", { n = 2, module, state[1] }) end
end

function Use:use_optimizer(source, optimizer)
  for _ = 1, 2 do
    self:method("step", { n = source:chance(0.5) and 1 or 2, optimizer, source:callback() })
  end
  self:method("tostring", { n = 1, optimizer })
  local state = self:method("state_dict", { n = 1, optimizer })
  if state then self:method("load_state_dict", { n = 2, optimizer, state[1] }) end
end

-- What a schedule or an average has for itself alone.
local INTERNAL = { rate = true, prepare = true, avg_fn = true }

--- The methods of an object and of the classes it inherits from.
local function method_names(object)
  local names, class, seen = {}, object, {}
  while type(class) == "table" and not seen[class] do
    seen[class] = true
    for name, fn in next, class do
      local public = type(name) == "string" and not INTERNAL[name] and name:find("^%a")
      if public and type(fn) == "function" then names[#names + 1] = name end
    end
    local meta = getmetatable(class)
    class = type(meta) == "table" and (rawget(meta, "methods") or rawget(meta, "__index"))
  end
  table.sort(names)
  return names
end

--- Methods of an object written in Lua: schedules, data sets, …
function Use:use_object(source, object)
  local names = method_names(object)
  if #names == 0 then return end
  for _ = 1, 3 do
    local name = source:pick(names)
    local arguments = { n = source.stream:integer(1, 3), object }
    for i = 2, arguments.n do arguments[i] = source:any() end
    self:method(name, arguments)
  end
  self:method("tostring", { n = 1, object })
end

function Use:use(source, value)
  if sonde.is_tensor(value) then
    self:use_tensor(source, value)
  elseif sonde.nn.is_module(value) then
    self:use_module(source, value)
  elseif getmetatable(value) == "Optimizer" then
    self:use_optimizer(source, value)
  elseif type(value) == "table" and value ~= sonde then
    self:use_object(source, value)
  elseif type(value) == "function" then
    for _ = 1, 2 do self:attempt("what was returned", call, { n = 1, value }) end
  end
end

return Use
