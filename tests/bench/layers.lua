-- Our side of the layer benchmark, a process of its own: `sonde lua layers.lua NAME`. The protocol is that of
-- steps.lua. Without a name (dofile) it returns the list of what there is.
local STEPS, BATCH, INPUTS, HIDDEN = 100, 20, 28, 128

-- Of a recurrent layer and its backward pass: forward, weights' gradients, and dL/dh (the input needs none).
local function multiplications(gates)
  return STEPS * BATCH * gates * HIDDEN * (2 * INPUTS + 3 * HIDDEN)
end

local about = ("hidden %d, T = %d, batch %d, inputs %d"):format(HIDDEN, STEPS, BATCH, INPUTS)
local list = {}
for i, gates in ipairs { 1, 4, 3 } do
  list[i] = {
    name = ({ "RNN", "LSTM", "GRU" })[i], about = about, aim = 2.5, multiplications = multiplications(gates),
  }
end
local name = arg[0]:match("layers%.lua$") and arg[1]
if not name then return list end

local sonde = require "sonde"
local core = require "sonde.core"
local nn, optim = sonde.nn, sonde.optim

sonde.manual_seed(1)
local layer, out, loss_fn = nn[name](INPUTS, HIDDEN), nn.Linear(HIDDEN, 10), nn.CrossEntropyLoss()
local parameters = layer:parameters()
table.move(out:parameters(), 1, 2, #parameters + 1, parameters)
local opt = optim.SGD(parameters, { lr = 0.01, momentum = 0.9 })
local x, y = sonde.randn(STEPS, BATCH, INPUTS), sonde.randint(1, 10, { BATCH })

local function step()
  opt:zero_grad()
  loss_fn(out((layer(x))[STEPS]), y):backward()
  opt:step()
end

for line in io.lines() do
  local n = math.tointeger(line)
  local start = core.system.clock()
  for _ = 1, n do step() end
  io.stdout:write(("%.6f\n"):format((core.system.clock() - start) / n * 1e3))
  io.stdout:flush()
end
