-- nn.EchoStateNetwork: a fixed random reservoir and a linear readout solved for, not trained step by step (Jaeger 2001,
-- "The echo state approach to analysing and training recurrent neural networks"; leak: Jaeger et al. 2007).
--   h_t = (1 - leak) h_{t-1} + leak tanh(W_in u_t + W h_{t-1} + b),  y_t = W_out h_t + c
-- Sequences are [T, B, features]. `reservoir` is an nn.RNN and `readout` an nn.Linear; both are frozen until
-- requires_grad_() says otherwise, so that the same network can be trained by back-propagation through time as well.
local core = require "sonde.core"
local fail = require "sonde.fail"
local receiver = require "sonde.receiver"
local suggest = require "sonde.suggest"
local autograd = require "sonde.autograd"
local tensor = require "sonde.tensor"
local nn = core.nn

local EchoStateNetwork = nn.Module:extend "EchoStateNetwork"

local OPTIONS = {
  "spectral_radius", "sr", "leak", "input_scaling", "bias_scaling", "links", "connectivity", "activation", "generator",
  "dtype",
}

local function check_sizes(...)
  for i, size in ipairs { ... } do
    if math.type(size) ~= "integer" or size < 1 then
      fail("nn.EchoStateNetwork: %s must be an integer of at least 1, got %s",
        ({ "input_size", "units", "output_size" })[i], size)
    end
  end
end

local function check_sequence(where, name, value)
  if not tensor.is_tensor(value) or value:dim() ~= 3 then
    fail("EchoStateNetwork:%s: %s must be a Tensor [steps, batch, features], got %s", where, name,
      tensor.is_tensor(value) and "[" .. table.concat(value:shape(), ", ") .. "]" or type(value))
  end
end

-- How many links a unit has: given, or as a share of the units.
local function links_of(o, units)
  local share = o.connectivity or 0.1
  if o.links and o.connectivity then fail("nn.EchoStateNetwork: links and connectivity say the same, give one") end
  if type(share) ~= "number" or not (share > 0 and share <= 1) then
    fail("nn.EchoStateNetwork: connectivity must be above 0 and at most 1, got %s", share)
  end
  return o.links or math.max(1, math.floor(share * units + 0.5))
end

-- EchoStateNetwork(input_size, units, output_size, options): spectral_radius (or sr) 0.9 of W, leak 1, input_scaling 1
-- (W_in from U(±that)), bias_scaling 0 (b from U(±that)), links per unit or connectivity 0.1 (their share), activation
-- "tanh" ("relu", "linear"), generator (a random stream of its own), dtype "float64".
function EchoStateNetwork:init(input_size, units, output_size, options)
  check_sizes(input_size, units, output_size)
  local o = suggest.check_options("nn.EchoStateNetwork", options, OPTIONS)
  local dtype = o.dtype or "float64"
  self.reservoir = nn.RNN(input_size, units,
    { leak = o.leak or 1, nonlinearity = o.activation or "tanh", dtype = dtype })
  self.readout = nn.Linear(units, output_size, { dtype = dtype })
  local r, generator = self.reservoir, o.generator
  local input, bias = o.input_scaling or 1, o.bias_scaling or 0
  if type(input) ~= "number" or type(bias) ~= "number" then
    fail("nn.EchoStateNetwork: input_scaling and bias_scaling must be numbers")
  end
  nn.init.reservoir_(r.weight_hh_l0, {
    spectral_radius = o.spectral_radius or o.sr, links = links_of(o, units), generator = generator,
  })
  nn.init.uniform_(r.weight_ih_l0, { a = -input, b = input, generator = generator })
  nn.init.uniform_(r.bias_ih_l0, { a = -bias, b = bias, generator = generator })
  nn.init.zeros_(r.bias_hh_l0)
  nn.init.zeros_(self.readout.weight)
  nn.init.zeros_(self.readout.bias)
  self:requires_grad_(false)
end

-- The outputs [T, B, outputs] and the reservoir's last state [1, B, units]; it starts from `state`, or from 0.
function EchoStateNetwork:forward(inputs, state)
  local states, last = self.reservoir(inputs, state)
  return self.readout(states), last
end

-- Solves for the readout: least squares of targets [T, B, outputs] with `ridge` (1e-8) times its squared norm, over all
-- steps after the first `washout` (0). Returns the network.
function EchoStateNetwork:fit(inputs, targets, options)
  local o = suggest.check_options("EchoStateNetwork:fit", options, { "ridge", "washout" })
  local washout = o.washout or 0
  check_sequence("fit", "inputs", inputs)
  check_sequence("fit", "targets", targets)
  if inputs:size(1) ~= targets:size(1) or inputs:size(2) ~= targets:size(2) then
    fail("EchoStateNetwork:fit: expected inputs and targets of the same steps and batch")
  end
  if math.type(washout) ~= "integer" or washout < 0 or washout >= inputs:size(1) then
    fail("EchoStateNetwork:fit: washout must be an integer from 0 to %d, got %s", inputs:size(1) - 1, washout)
  end
  autograd.no_grad(function()
    local states = self.reservoir(inputs)
    local after = { { washout + 1, -1 } }
    local x, y = states[after]:flatten(1, 2), targets[after]:flatten(1, 2)
    local weight, bias = nn.utils.ridge(x, y, o.ridge or 1e-8)
    self.readout.weight:copy_(weight)
    self.readout.bias:copy_(bias)
  end)
  return self
end

-- Runs over inputs [T, B, features], then goes on alone for n steps, each output being the next input; returns these
-- outputs [n, B, features].
function EchoStateNetwork:generate(inputs, n)
  check_sequence("generate", "inputs", inputs)
  if math.type(n) ~= "integer" or n < 1 then fail("EchoStateNetwork:generate: n must be an integer of at least 1") end
  return autograd.no_grad(function()
    local outputs, state = self:forward(inputs)
    local last, generated = outputs:narrow(1, outputs:size(1), 1), {}
    for i = 1, n do
      generated[i] = last
      if i < n then last, state = self:forward(last, state) end
    end
    return tensor.cat(generated, 1)
  end)
end

-- How well the states tell the input of k steps ago: the sum over k = 1..max_delay (2 units) of the squared correlation
-- of u_{t-k} with its best linear readout, and the list of them (Jaeger 2001, "Short term memory in echo state
-- networks"). Inputs are from U(-1, 1); options: max_delay, steps 2000, washout 200, ridge 1e-8, generator. At most
-- `units`, which a linear reservoir can reach; half of the steps are for fitting, half for the measurement.
function EchoStateNetwork:memory_capacity(options)
  local o = suggest.check_options("EchoStateNetwork:memory_capacity", options,
    { "max_delay", "steps", "washout", "ridge", "generator" })
  local weight = self.reservoir.weight_ih_l0
  if weight:size(2) ~= 1 then fail("EchoStateNetwork:memory_capacity: needs a network of one input") end
  local delays, steps, washout = o.max_delay or 2 * weight:size(1), o.steps or 2000, o.washout or 200
  for name, value in pairs { max_delay = delays, steps = steps, washout = washout } do
    if math.type(value) ~= "integer" or value < 1 then
      fail("EchoStateNetwork:memory_capacity: %s must be an integer of at least 1, got %s", name, value)
    end
  end
  local start, half = math.max(washout, delays), steps // 2
  return autograd.no_grad(function()
    local u = tensor.rand(start + steps, 1, 1, { dtype = weight.dtype, generator = o.generator }) * 2 - 1
    local states, past = self.reservoir(u):squeeze(2), {}
    for k = 1, delays do past[k] = u:narrow(1, start - k + 1, steps):reshape(steps, 1) end
    states, past = states:narrow(1, start + 1, steps), tensor.cat(past, 2)
    local readout, bias = nn.utils.ridge(states:narrow(1, 1, half), past:narrow(1, 1, half), o.ridge or 1e-8)
    local test, y = states:narrow(1, half + 1, steps - half), past:narrow(1, half + 1, steps - half)
    local x = test:matmul(readout:t()) + bias
    x, y = x - x:mean(1, true), y - y:mean(1, true)
    local squares = (x * x):sum(1) * (y * y):sum(1)
    local r2 = ((x * y):sum(1) ^ 2 / squares:maximum(1e-300)):totable()
    local total = 0
    for _, value in ipairs(r2) do total = total + value end
    return total, r2
  end)
end

receiver("EchoStateNetwork", EchoStateNetwork, function(value)
  return getmetatable(value) == "Module" and rawequal(value.memory_capacity, EchoStateNetwork.memory_capacity)
end)

return EchoStateNetwork
