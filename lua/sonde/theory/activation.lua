-- What mean-field theory needs of an activation: φ and φ' at many points, and where they are not smooth.
local autograd = require "sonde.autograd"
local fail = require "sonde.fail"
local suggest = require "sonde.suggest"
local tensor = require "sonde.tensor"

local DOUBLE = { dtype = "float64" }

-- The element-wise activations that need no argument; they have PyTorch's defaults.
local NAMES = {
  "celu", "elu", "gelu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "linear", "logsigmoid", "mish", "relu",
  "relu6", "selu", "sigmoid", "silu", "sin", "softplus", "softsign", "tanh", "tanhshrink",
}
local known = {}
for _, name in ipairs(NAMES) do known[name] = true end

local Activation = {}
Activation.__index = Activation

-- A module's value as it is in evaluation: RReLU has one slope then, and no random stream moves.
local function of_module(module)
  return function(x)
    local training = module.training
    module:eval()
    local ok, y = pcall(module, x)
    module:train(training)
    if not ok then error(y, 0) end
    return y
  end
end

-- A function of Tensors gives both values at once.
local function by_tensor(self, x)
  return autograd.enable_grad(function()
    local leaf = x:clone():requires_grad_()
    local y = self.fn(leaf:clone()) -- which it may overwrite
    if y.requires_grad then y:sum():backward() end
    return y:detach(), leaf.grad or tensor.zeros_like(x)
  end)
end

-- The step of a difference quotient at x: never across a kink.
local function step_at(self, x)
  local step = self.step or 1e-5 * math.max(1, math.abs(x))
  for _, kink in ipairs(self.kinks) do
    if x ~= kink then step = math.min(step, math.abs(x - kink) / 2) end
  end
  return step
end

-- A function of numbers gives its derivative by central differences, right to about 1e-10 where it is smooth.
local function by_number(self, x)
  local y, slope, fn = {}, {}, self.fn
  for i, at in ipairs(x:totable()) do
    local step = step_at(self, at)
    y[i], slope[i] = fn(at), (fn(at + step) - fn(at - step)) / (2 * step)
  end
  return tensor(y, DOUBLE), tensor(slope, DOUBLE)
end

-- φ and φ' at the points x, a float64 Tensor [n].
function Activation:at(x) return self:evaluate(x) end

-- Whether fn maps each element by itself: the first of two points alone must come out the same. A message if not.
local function check(where, fn)
  local two, one = tensor({ 0.5, -0.25 }, DOUBLE), tensor({ 0.5 }, DOUBLE)
  local ok, y = pcall(fn, two)
  if not ok then return nil, tostring(y) end
  if not tensor.is_tensor(y) then return nil, "it returned a " .. type(y) end
  if y.dtype ~= "float64" then return nil, "it turned float64 into " .. y.dtype end
  if y:dim() ~= 1 or y:size(1) ~= 2 then return nil, "it changed the shape" end
  local alone = fn(one)[1]:item()
  if y[1]:item() ~= alone and alone == alone then return nil, "an output depends on more than its own input" end
  return true
end

-- The jumps of φ' or φ between neighbours on a grid, each as large as eight times those beside it.
local function jumps(values)
  local found, steps, largest = {}, {}, 0
  for i = 1, #values - 1 do
    steps[i] = math.abs(values[i + 1] - values[i])
    if steps[i] < math.huge then largest = math.max(largest, steps[i]) end
  end
  for i = 2, #steps - 1 do
    if steps[i] > 8 * math.max(steps[i - 1], steps[i + 1]) and steps[i] > 1e-6 * largest then found[#found + 1] = i end
  end
  return found, steps
end

-- Narrows the interval from low to high, of width 1/64, down to the jump of φ (which = 1) or φ' (2) in it: to 1e-9,
-- within which a function of numbers still has difference quotients.
local function locate(self, low, high, which)
  for _ = 1, 4 do
    self.step = (high - low) / 256
    local points = tensor.linspace(low, high, 65, DOUBLE)
    local values, at, best = (select(which, self:at(points))):totable(), 1, -1
    for i = 1, 64 do
      local step = math.abs(values[i + 1] - values[i])
      if step > best then at, best = i, step end
    end
    local width = (high - low) / 64
    low, high = low + (at - 1) * width, low + at * width
  end
  self.step = nil
  local middle = (low + high) / 2
  return math.abs(middle) < 1e-8 and 0 or middle
end

local HALF, STEP, MOST = 32, 1 / 64, 32

-- kinks: where φ or φ' jumps, at most 32 of those between -32 and 32. rate: how fast φ' changes elsewhere, largest
-- |φ''| over largest |φ'|. The grid is shifted so that round numbers lie between its points.
local function survey(self, where)
  local from, n = -HALF + STEP / 3, math.tointeger(2 * HALF / STEP)
  local y, slope = self:at(tensor.linspace(from, from + (n - 1) * STEP, n, DOUBLE))
  local kinks, rate = {}, 0
  if y:ne(y):sum():item() > 0 then fail("%s: %s has no value for some numbers between -32 and 32", where, self.name) end
  for which, values in ipairs { y:totable(), slope:totable() } do
    local found, steps = jumps(values)
    for k = 1, math.min(#found, MOST - #kinks) do
      local low = from + (found[k] - 1) * STEP
      kinks[#kinks + 1] = locate(self, low, low + STEP, which)
      steps[found[k]] = 0
    end
    if which == 2 then
      local curve, steepest = 0, 0
      for i, step in ipairs(steps) do
        if step < math.huge then curve = math.max(curve, step / STEP) end
        if math.abs(values[i]) < math.huge then steepest = math.max(steepest, math.abs(values[i])) end
      end
      rate = steepest > 0 and curve / steepest or 0
    end
  end
  self.kinks, self.rate = kinks, rate
  return self
end

local by_name = {}

-- From a name, an element-wise module, or a function: of a float64 Tensor, or of a number. `where` begins messages.
return function(where, given)
  if by_name[given] then return by_name[given] end
  local fn, evaluate, name = given, by_tensor, type(given) == "string" and given or "the function"
  if type(given) == "string" then
    if not known[given] then fail("%s: %s", where, suggest.unknown("activation", given, NAMES)) end
    fn = given == "linear" and function(x) return x end or function(x) return x[given](x) end
  elseif getmetatable(given) == "Module" then
    fn, name = of_module(given), given:class_name()
  elseif type(given) ~= "function" then
    fail("%s: an activation is a name, a module or a function, got %s", where, type(given))
  end
  local ok, message = check(where, fn)
  if not ok and type(given) == "function" then
    local as_number, value = pcall(given, 0.5)
    if as_number and type(value) == "number" then ok, evaluate = true, by_number end
  end
  if not ok then fail("%s: %s is no element-wise activation: %s", where, name, message) end
  local activation = survey(setmetatable({
    fn = fn, evaluate = evaluate, name = name, kinks = {}, critical = {}, -- critical points found, by sigma_b
  }, Activation), where)
  if type(given) == "string" then by_name[given] = activation end
  return activation
end
