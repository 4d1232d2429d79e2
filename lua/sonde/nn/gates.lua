-- How long gated recurrent layers remember at the start: nn.init.forget_bias_ and nn.init.chrono_.
local autograd = require "sonde.autograd"
local core = require "sonde.core"
local fail = require "sonde.fail"
local suggest = require "sonde.suggest"
local tensor = require "sonde.tensor"
local init, own_parameters = core.nn.init, core.nn.methods.own_parameters

local gates = {}

local GATES = { LSTM = 4, LSTMCell = 4, GRU = 3, GRUCell = 3 }

-- Calls fn(set, units, dtype) for each layer and direction; set(gate, values) makes them the sum of that gate's two
-- biases. The gate that keeps the state is the second one of both kinds: an LSTM's forget gate, a GRU's update gate.
local function each_bias(where, layer, fn)
  local class = core.nn.is_module(layer) and layer:class_name() or type(layer)
  local n = GATES[class]
  if not n then fail("nn.init.%s: expected an LSTM or a GRU, or a cell of one, got %s", where, class) end
  local names, values = own_parameters(layer, false)
  local own, found = {}, false
  for i, name in ipairs(names) do own[name] = values[i] end
  autograd.no_grad(function()
    for _, name in ipairs(names) do
      local suffix = name:match("^bias_ih(.*)$")
      if suffix then
        local bias, other = own[name], own["bias_hh" .. suffix]
        local units = bias:size(1) // n
        fn(function(gate, wanted)
          bias:narrow(1, (gate - 1) * units + 1, units):copy_(wanted)
          other:narrow(1, (gate - 1) * units + 1, units):fill_(0)
        end, units, bias.dtype)
        found = true
      end
    end
  end)
  if not found then fail("nn.init.%s: this %s has no biases", where, class) end
  return layer
end

-- forget_bias_(layer, value = 1): the bias of the gate that keeps the state (Gers et al. 2000; Jozefowicz et al. 2015):
-- the state of an LSTM whose weights are small is multiplied by sigmoid(value) a step. Returns the layer.
function gates.forget_bias_(layer, value)
  if type(value) == "table" then value = suggest.check_options("nn.init.forget_bias_", value, { "value" }).value end
  value = value or 1
  if type(value) ~= "number" or value ~= value then
    fail("nn.init.forget_bias_: value must be a number, got %s", value)
  end
  return each_bias("forget_bias_", layer, function(set, units, dtype)
    set(2, tensor.full({ units }, value, { dtype = dtype }))
  end)
end

-- chrono_(layer, t_max, { generator = nil }): memories of 1 to t_max steps (Tallec & Ollivier 2018, "Can recurrent
-- neural networks warp time?", section 2): the bias of the gate that keeps the state is log(U(1, t_max - 1)), that of
-- an LSTM's input gate its negative. One stream for each layer and direction. Returns the layer.
function gates.chrono_(layer, t_max, options)
  if type(t_max) == "table" and options == nil then t_max, options = nil, t_max end
  local o = suggest.check_options("nn.init.chrono_", options, { "t_max", "generator" })
  t_max = t_max or o.t_max
  if type(t_max) ~= "number" or not (t_max >= 2) or t_max == math.huge then
    fail("nn.init.chrono_: t_max must be a number of at least 2, got %s", t_max)
  end
  return each_bias("chrono_", layer, function(set, units, dtype)
    local keep = tensor.zeros(units, { dtype = dtype })
    init.uniform_(keep, 1, t_max - 1, { generator = o.generator })
    keep = keep:log()
    set(2, keep)
    if GATES[layer:class_name()] == 4 then set(1, -keep) end
  end)
end

return gates
