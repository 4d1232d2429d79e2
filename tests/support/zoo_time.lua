--- Cases of the zoo with recurrent layers: see zoo_cases.lua for the fields.
local sonde = require "sonde"
local zoo = require "support.zoo"
local nn, data = sonde.nn, sonde.data

local cases = {}

local function add(name, expect, case)
  case.name, case.expect = name, expect
  case.batch_size = case.batch_size or 32
  cases[#cases + 1] = case
end

-- A recurrent layer "rnn" and what is read, "out", from its last states or, with `every`, from all.
local Reader = nn.Module:extend("Reader")
function Reader:init(rnn, width, outputs, every)
  self.rnn, self.out, self.every = rnn, nn.Linear(width, outputs), every
end
function Reader:forward(x)
  local states = self.rnn(x)
  return self.out(self.every and states or states[{ {}, -1 }])
end

local WIDTH = 32

--- kind: a class of nn; options: its own; change(rnn); task: { inputs, outputs, every }.
local function reader(kind, task, options, change)
  return function()
    local given = { batch_first = true }
    for name, value in pairs(options or {}) do given[name] = value end
    local rnn = nn[kind](task.inputs, WIDTH, given)
    if change then sonde.no_grad(function() change(rnn) end) end
    return Reader(rnn, given.bidirectional and 2 * WIDTH or WIDTH, task.outputs, task.every)
  end
end

--- Initial recurrent weights: N(0, gain² / width); orthogonal; the identity, as Le, Jaitly & Hinton 2015.
local function normal(gain)
  return function(rnn) nn.init.normal_(rnn.weight_hh_l0, 0, gain / math.sqrt(WIDTH)) end
end
local function orthogonal(gain)
  return function(rnn) nn.init.orthogonal_(rnn.weight_hh_l0, { gain = gain or 1 }) end
end
local function identity(rnn)
  nn.init.eye_(rnn.weight_hh_l0)
  nn.init.normal_(rnn.weight_ih_l0, 0, 0.01)
  nn.init.zeros_(rnn.bias_ih_l0)
  nn.init.zeros_(rnn.bias_hh_l0)
end
--- Adds to one gate's bias; gates are numbered as PyTorch does.
local function gate_bias(gate, value)
  return function(rnn) rnn.bias_ih_l0[{ { (gate - 1) * WIDTH + 1, gate * WIDTH } }]:add_(value) end
end

local adam, once = zoo.adam, zoo.once

-- ---- tasks -------------------------------------------------------------------------------------------------------
local adding = { inputs = 2, outputs = 1 }
local function adds(length) return function() return data.adding { n = 3000, length = length, seed = 31 } end end

local order = { inputs = 8, outputs = 4 }
local function orders(length)
  return function() return data.temporal_order { n = 3000, length = length, seed = 32 } end
end

local copying = { inputs = 6, outputs = 6, every = true }
local function copies(delay)
  return function() return data.copying { n = 2000, length = 5, delay = delay, symbols = 4, seed = 33 } end
end
local cross_entropy = nn.CrossEntropyLoss()
local function at_every_step(out, y) return cross_entropy(out:reshape(-1, 6), y:reshape(-1)) end

local numbers = { inputs = 1, outputs = 1 }
--- Normal numbers; the target is the first one, or hangs on the last three.
local function first(length)
  return function()
    sonde.manual_seed(34)
    local x = sonde.randn(3000, length, 1)
    return data.tensors { x, x[{ {}, 1 }] }
  end
end
local function last(length)
  return function()
    sonde.manual_seed(35)
    local x = sonde.randn(3000, length, 1)
    return data.tensors { x, x[{ {}, -1 }] * 0.7 - x[{ {}, -2 }] * 0.5 + x[{ {}, -3 }] * 0.3 }
  end
end

local series = { inputs = 1, outputs = 1, every = true }
local function mackey_glass() return data.mackey_glass { n = 400, length = 100, seed = 36 } end

--- A picture's 28 rows one after the other.
local rows = { inputs = 28, outputs = 10 }
local function row_by_row()
  local set = zoo.images()
  return data.tensors { set.inputs:reshape(-1, 28, 28), set.targets }
end

local mse = nn.MSELoss()

-- ---- the past is forgotten ---------------------------------------------------------------------------------------
local vanishing = { "vanishing_through_time" }
add("adding 50 by a tanh RNN as PyTorch initialises it", vanishing, { data = adds(50), loss = mse, layers = "rnn",
  optimizer = adam(1e-3), steps = 300, quick = true, net = reader("RNN", adding) })
add("adding 100 by a tanh RNN, with SGD", vanishing, { data = adds(100), loss = mse, layers = "rnn", lr = 0.02,
  net = reader("RNN", adding) })
add("temporal order 60, recurrent weights three times too small", vanishing, { data = orders(60), layers = "rnn",
  optimizer = adam(3e-3), net = reader("RNN", order, nil, normal(0.3)) })
add("copying over 30 steps, a target at every one", vanishing, { data = copies(30), loss = at_every_step,
  layers = "rnn", optimizer = adam(3e-3), quick = true, net = reader("RNN", copying) })
add("adding 60 by an LSTM whose forget gates start shut", vanishing, { data = adds(60), loss = mse, layers = "rnn",
  optimizer = adam(3e-3), quick = true, net = reader("LSTM", adding, { forget_bias = -1 }) })
add("adding 100 by an LSTM with forget bias 0", vanishing, { data = adds(100), loss = mse, layers = "rnn",
  optimizer = adam(1e-3), steps = 250, net = reader("LSTM", adding, { forget_bias = 0 }) })
add("adding 60 by a GRU whose update gates start open", vanishing, { data = adds(60), loss = mse, layers = "rnn",
  optimizer = adam(1e-3), net = reader("GRU", adding, nil, gate_bias(2, -5)) })
add("the first of 40 numbers, two layers of ReLU", vanishing, { data = first(40), loss = mse, layers = "rnn",
  optimizer = adam(1e-3), net = reader("RNN", numbers, { num_layers = 2, nonlinearity = "relu" }) })
add("the first of 12 numbers, its memory taken away at step 300", vanishing, { data = first(12), loss = mse,
  layers = "rnn", optimizer = adam(1e-3), steps = 400, since = { 295, 330 },
  net = reader("RNN", numbers, nil, orthogonal()),
  during = function(step, net)
    if step >= 300 then sonde.no_grad(function() net.rnn.weight_hh_l0:mul_(step == 300 and 0.02 or 0.9) end) end
  end })

-- ---- through time it explodes ------------------------------------------------------------------------------------
local exploding = { "exploding_through_time" }
add("adding 50 by a chaotic tanh RNN", exploding, { data = adds(50), loss = mse, layers = "rnn", optimizer = adam(1e-3),
  quick = true, net = reader("RNN", adding, nil, normal(4)) })
add("temporal order 40 by a tanh RNN, twice too large", exploding, { data = orders(40), layers = "rnn", lr = 0.01,
  clip = 1, net = reader("RNN", order, nil, normal(3)) })
add("adding 50 by a ReLU RNN, 1.8 times He", exploding, { data = adds(50), loss = mse, layers = "rnn", lr = 1e-12,
  also = { "numeric_overflow", "slow_progress" }, net = reader("RNN", adding, { nonlinearity = "relu" },
    normal(1.8 * math.sqrt(2))) })
add("the first of 60 numbers, a linear RNN that grows by 1.15 a step", exploding, { data = first(60), loss = mse,
  layers = "rnn", clip = 1, lr = 1e-4, net = reader("RNN", numbers, { nonlinearity = "linear" }, orthogonal(1.15)) })
add("copying by a chaotic RNN", exploding, { data = copies(30), loss = at_every_step, layers = "rnn", lr = 1e-3,
  net = reader("RNN", copying, nil, normal(3)) })
add("the last of 50 numbers, weights eight times as large from step 100 on", exploding, { data = last(50), loss = mse,
  layers = "rnn", optimizer = adam(1e-3), steps = 250, since = { 95, 120 }, quick = true,
  net = reader("RNN", numbers), during = once(100, function(net) net.rnn.weight_hh_l0:mul_(8) end) })

-- ---- healthy -----------------------------------------------------------------------------------------------------
local healthy = {}
add("adding 30 by an LSTM with forget bias 1", healthy, { data = adds(30), loss = mse, optimizer = adam(0.01),
  steps = 800, clip = 1, net = reader("LSTM", adding, { forget_bias = 1 }) })
add("adding 50 by an LSTM with forget bias 3, not yet learnt", healthy, { data = adds(50), loss = mse,
  optimizer = adam(1e-3), quick = true, net = reader("LSTM", adding, { forget_bias = 3 }) })
add("adding 50 by a GRU", healthy, { data = adds(50), loss = mse, optimizer = adam(0.01), steps = 500, clip = 1,
  quick = true, net = reader("GRU", adding) })
add("adding 50 by a ReLU RNN that starts as the identity", healthy, { data = adds(50), loss = mse,
  optimizer = adam(1e-3), clip = 1, steps = 300, quick = true,
  net = reader("RNN", adding, { nonlinearity = "relu" }, identity) })
add("copying over 30 steps by a GRU, a target at every one", healthy, { data = copies(30), loss = at_every_step,
  optimizer = adam(0.01), steps = 300, net = reader("GRU", copying) })
add("the first of 20 numbers by an orthogonal RNN", healthy, { data = first(20), loss = mse, optimizer = adam(1e-3),
  steps = 400, quick = true, net = reader("RNN", numbers, nil, orthogonal()) })
add("the last of 100 numbers, for which a short memory will do", healthy, { data = last(100), loss = mse,
  optimizer = adam(3e-3), quick = true, net = reader("RNN", numbers) })
add("the last of 60 numbers by an LSTM with forget bias 0", healthy, { data = last(60), loss = mse,
  optimizer = adam(0.01), steps = 300, net = reader("LSTM", numbers, { forget_bias = 0 }) })
add("Mackey-Glass, the next value at every step", healthy, { data = mackey_glass, loss = mse, optimizer = adam(3e-3),
  steps = 300, net = reader("RNN", series) })
add("pictures row by row, tanh RNN", healthy, { data = row_by_row, optimizer = adam(1e-3), quick = true,
  net = reader("RNN", rows) })
add("pictures row by row, two layers of LSTM in both directions", healthy, { data = row_by_row, optimizer = adam(3e-3),
  net = reader("LSTM", rows, { num_layers = 2, bidirectional = true, forget_bias = 1 }) })
add("temporal order 30 by an LSTM with forget bias 1", healthy, { data = orders(30), optimizer = adam(0.01),
  steps = 800, clip = 1, net = reader("LSTM", order, { forget_bias = 1 }) })

return cases
