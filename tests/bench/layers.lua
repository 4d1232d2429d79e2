-- Our side of the layer benchmark, a process of its own: `sonde lua layers.lua NAME`. The protocol is that of
-- steps.lua. Without a name (dofile) it returns the list of what there is. torch_layers.py has the same.
local STEPS, BATCH, INPUTS, HIDDEN = 100, 20, 28, 128
local IMAGES, SIDE = 64, 28

-- Multiplications of a recurrent layer and its backward pass: forward, weights' gradients, and dL/dh (the input needs
-- none).
local function of_recurrent(gates)
  return STEPS * BATCH * gates * HIDDEN * (2 * INPUTS + 3 * HIDDEN)
end

-- The same of 3 x 3 convolutions on 28², 28² and 14² pixels and a linear layer; the first one's input needs none.
local function of_cnn()
  local pixels = IMAGES * SIDE ^ 2
  return 9 * pixels * (2 * 1 * 16 + 3 * 16 * 16 + 3 * 16 * 32 / 4) + 3 * IMAGES * 32 * (SIDE / 4) ^ 2 * 10
end

local about = ("hidden %d, T = %d, batch %d, inputs %d"):format(HIDDEN, STEPS, BATCH, INPUTS)
local list = {}
for i, gates in ipairs { 1, 4, 3 } do
  list[i] = { name = ({ "RNN", "LSTM", "GRU" })[i], about = about, aim = 2.5, multiplications = of_recurrent(gates) }
end
list[4] = {
  name = "CNN", about = ("16-16-32 channels, %d², batch %d"):format(SIDE, IMAGES), aim = 1, multiplications = of_cnn(),
}
local name = arg[0]:match("layers%.lua$") and arg[1]
if not name then return list end

local sonde = require "sonde"
local core = require "sonde.core"
local nn, optim = sonde.nn, sonde.optim

sonde.manual_seed(1)
local net, x, batch
if name == "CNN" then
  net = nn.Sequential {
    nn.Conv2d(1, 16, 3, { padding = 1 }), nn.ReLU(), nn.Conv2d(16, 16, 3, { padding = 1 }), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, { padding = 1 }), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(32 * (SIDE // 4) ^ 2, 10),
  }
  x, batch = sonde.randn(IMAGES, 1, SIDE, SIDE), IMAGES
else
  local Last = nn.Module:extend("Last")
  function Last:init() self.layer, self.out = nn[name](INPUTS, HIDDEN), nn.Linear(HIDDEN, 10) end
  function Last:forward(sequence) return self.out((self.layer(sequence))[STEPS]) end
  net, x, batch = Last(), sonde.randn(STEPS, BATCH, INPUTS), BATCH
end
local loss_fn, y = nn.CrossEntropyLoss(), sonde.randint(1, 10, { batch })
local opt = optim.SGD(net:parameters(), { lr = 0.01, momentum = 0.9 })

local function step()
  opt:zero_grad()
  loss_fn(net(x), y):backward()
  opt:step()
end

for line in io.lines() do
  local n = math.tointeger(line)
  local start = core.system.clock()
  for _ = 1, n do step() end
  io.stdout:write(("%.6f\n"):format((core.system.clock() - start) / n * 1e3))
  io.stdout:flush()
end
