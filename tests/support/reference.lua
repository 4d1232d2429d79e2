--- Access to tests/reference/torch_reference.h5: float64 values that PyTorch wrote; and to files like it there.
local sonde = require "sonde"

local reference = {}

--- path -> true for every group of torch_reference.h5 that was read: reference/coverage_spec.lua finds the others.
reference.seen = {}

local here = debug.getinfo(1, "S").source:match("^@(.*)support/reference%.lua$") or "tests/"
local files = {}

local function open(name)
  name = name or "torch_reference"
  files[name] = files[name] or assert(sonde.h5.open(here .. "reference/" .. name .. ".h5"))
  return files[name]
end

--- Every dataset of a group, as { name = tensor } (a scalar dataset is a 0-dim tensor). file_name:
--- another than torch_reference.
function reference.group(path, file_name)
  local file, found = open(file_name), {}
  if not file_name then reference.seen[path] = true end
  for _, name in ipairs(file:list(path)) do
    local value = file:read(path .. "/" .. name)
    if type(value) ~= "table" and type(value) ~= "userdata" then -- a scalar dataset
      value = sonde.tensor(value, { dtype = math.type(value) == "integer" and "int64" or "float64" })
    end
    found[name] = value
  end
  return found
end

function reference.list(path, file) return open(file):list(path) end

function reference.attribute(path, name)
  reference.seen[path] = true
  return open():attribute(path, name)
end

function reference.close()
  for _, file in pairs(files) do file:close() end
  files = {}
end

--- Raises unless every element of `actual` is within rtol·|expected| + atol of `expected`; equal infinities and NaN at
--- the same place agree.
function reference.near(what, expected, actual, rtol, atol)
  rtol, atol = rtol or 1e-10, atol or 1e-12
  if type(actual) == "number" then actual = sonde.tensor(actual, { dtype = "float64" }) end
  local want, got = expected:flatten():totable(), actual:detach():flatten():totable()
  if type(want) == "number" then want, got = { want }, { got } end
  assert(#want == #got, ("%s: %d elements expected, got %d"):format(what, #want, #got))
  for i = 1, #want do
    local w, g = want[i], got[i]
    local agree = w == g or (w ~= w and g ~= g) or math.abs(g - w) <= rtol * math.abs(w) + atol
    if not agree then
      error(("%s: element %d is %.17g, expected %.17g"):format(what, i, g, w), 2)
    end
  end
end

--- Inputs of a layers/… or losses/… group: name without in_ -> tensor, float ones requiring gradients when `grad`.
function reference.inputs(group, grad)
  local inputs = {}
  for name, value in pairs(group) do
    local short = name:match("^in_(.+)")
    if short then
      value = value:clone()
      if grad and value.dtype ~= "int64" then value:requires_grad_() end
      inputs[short] = value
    end
  end
  return inputs
end

--- Checks a layers/<name> group: fn(inputs, parameters) returns { name = tensor } of outputs; parameters is what
--- param_* hold, as leaves. A layer that owns its parameters loads them and returns its own leaves as second result.
--- file: another than torch_reference.
function reference.check_layer(name, fn, tolerance, file)
  local group = reference.group("/layers/" .. name, file)
  local inputs = reference.inputs(group, true)
  local parameters = {}
  for key, value in pairs(group) do
    local short = key:match("^param_(.+)")
    if short then parameters[short] = value:clone():requires_grad_() end
  end
  local outputs, owned = fn(inputs, parameters, group)
  parameters = owned or parameters
  local loss
  for key, out in pairs(outputs) do
    reference.near(name .. " " .. key, group["out_" .. key], out, tolerance)
    local upstream = group["gout_" .. key]
    if upstream then
      local term = (out * upstream):sum()
      loss = loss and loss + term or term
    end
  end
  loss:backward()
  local checked = 0
  for key, value in pairs(group) do
    local input, parameter = key:match("^gin_(.+)"), key:match("^gparam_(.+)")
    local leaf = input and inputs[input] or parameter and parameters[parameter]
    if leaf then
      reference.near(name .. " " .. key, value, leaf.grad, tolerance)
      checked = checked + 1
    elseif input or parameter then
      error(name .. ": no leaf for " .. key)
    end
  end
  assert(checked > 0, name .. ": no gradient was compared")
end

return reference
