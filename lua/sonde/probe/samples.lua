-- Probes on fixed samples: { input =, target =, loss = } instead of the batches a network is trained on. At each
-- measured step, when the network is first called for training, it is run forwards and backwards on these samples
-- before that call goes on. Nothing of it stays but what is measured: gradients, running statistics and random streams
-- are afterwards as they were.
local core = require "sonde.core"
local fail = require "sonde.fail"

local samples = {}

samples.options = { "input", "loss", "target" }

-- A function or a module; Lua tables may be called as well.
local function is_callable(value)
  local kind = type(value)
  if kind == "table" then return (getmetatable(value) or {}).__call ~= nil end
  return kind == "function" or kind == "userdata" and not core.tensor.is_tensor(value)
end

-- Takes its own from a probe's options: the options without them, and the samples (nil: the batches are measured).
function samples.take(where, options)
  local rest = {}
  for name, value in next, options do rest[name] = value end
  for _, name in ipairs(samples.options) do rest[name] = nil end
  local input, target, loss = options.input, options.target, options.loss
  if input == nil then
    if target ~= nil or loss ~= nil then fail("%s: target and loss go with input, the samples to measure", where) end
    return rest, nil
  end
  if not core.tensor.is_tensor(input) then fail("%s: input must be a tensor, got %s", where, type(input)) end
  if target ~= nil and not core.tensor.is_tensor(target) then
    fail("%s: target must be a tensor, got %s", where, type(target))
  end
  if loss ~= nil and not is_callable(loss) then
    fail("%s: loss is called with the output and the target, got %s", where, type(loss))
  end
  rest.fixed = true
  return rest, { where = where, input = input, target = target, loss = loss }
end

local function measure_now(measure, number, net, given)
  if not given.loss then
    fail("%s: to measure fixed samples it needs their loss: name it, as in { input = x, target = y, "
      .. "loss = nn.CrossEntropyLoss() } (run:fit gives its own)", given.where)
  end
  local restore_random = core.random.use(0) -- what is drawn in forward or loss is drawn from elsewhere
  local _ <close> = setmetatable({}, { __close = function()
    measure:samples_end()
    restore_random()
  end })
  measure:samples_begin(number)
  measure:backward_aside(given.loss(net(given.input), given.target))
end

-- From now on network `number` of `measure` is measured on these samples. Returns the handle that ends it.
function samples.watch(measure, number, net, given)
  return net:register_forward_pre_hook(function()
    if measure:samples_due(number) then measure_now(measure, number, net, given) end
  end)
end

return samples
