-- Probes on fixed samples: { input =, target =, loss = } instead of the batches a network is trained on. At each
-- measured step, when the network is first called for training, it is run forwards and backwards on these samples
-- before that call goes on. Nothing of it stays but what is measured: gradients, running statistics and random streams
-- are afterwards as they were.
local core = require "sonde.core"
local Context = require "sonde.measure.context"
local fail = require "sonde.fail"
local is_callable = require "sonde.callable"

local samples = {}

samples.options = { "input", "loss", "target" }

-- Raises unless input, target and loss can be such. loss_alone: it may come without samples.
function samples.check(where, options, loss_alone)
  local input, target, loss = options.input, options.target, options.loss
  if input == nil and (target ~= nil or loss ~= nil and not loss_alone) then
    fail("%s: target and loss go with input, the samples to measure", where)
  end
  if input ~= nil and not core.tensor.is_tensor(input) then
    fail("%s: input must be a tensor, got %s", where, type(input))
  end
  if target ~= nil and not core.tensor.is_tensor(target) then
    fail("%s: target must be a tensor, got %s", where, type(target))
  end
  if loss ~= nil and not is_callable(loss) then
    fail("%s: loss is called with the output and the target, got %s", where, type(loss))
  end
end

-- Takes its own from a probe's options: the options without them, and the samples (nil: the batches are measured).
function samples.take(where, options)
  local rest = {}
  for name, value in next, options do rest[name] = value end
  for _, name in ipairs(samples.options) do rest[name] = nil end
  samples.check(where, options)
  if options.input == nil then return rest, nil end
  rest.fixed = true
  return rest, { where = where, input = options.input, target = options.target, loss = options.loss }
end

local function measure_now(measure, number, net, given)
  if not given.loss then
    fail("%s: to measure fixed samples it needs their loss: name it, as in { input = x, target = y, "
      .. "loss = nn.CrossEntropyLoss() } (run:fit gives its own)", given.where)
  end
  local restore_random = core.random.use(0) -- what is drawn in forward or loss is drawn from elsewhere
  local go_on = Context.hold()
  local _ <close> = setmetatable({}, { __close = function()
    measure:samples_end()
    go_on()
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
