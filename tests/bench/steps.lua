-- One side of the step benchmark, a process of its own: `sonde lua steps.lua NET VARIANT FOLDER`. Reads numbers of
-- steps from stdin, takes them, answers with milliseconds per step. Variants:
--   plain   the bare training step, no run
--   run     in a run that logs the loss
--   probes  and measures moments of all weight and activation gradients every step, histograms every tenth
--   full    as PyTorch's "full": moments and histogram of every parameter gradient, every step
--   all     every default probe
--   time    and measures gradients and memory through time
local sonde = require "sonde"
local core = require "sonde.core"
local nn, optim = sonde.nn, sonde.optim

local net_number, variant, folder = math.tointeger(arg[1]), arg[2], arg[3]
local here = arg[0]:match("^(.*)/[^/]*$")
local config = dofile(here .. "/nets.lua")[net_number]

local Recurrent = nn.Module:extend("Recurrent")

function Recurrent:init()
  self.rnn, self.out = nn[config.cell](config.inputs, config.width), nn.Linear(config.width, 10)
end

function Recurrent:forward(x) return self.out((self.rnn(x))):reshape(-1, 10) end

local function build()
  sonde.manual_seed(1)
  if config.cell then
    return Recurrent(), sonde.randn(config.length, config.batch, config.inputs),
      sonde.randint(1, 10, { config.length * config.batch })
  end
  local net = nn.Sequential {}
  for _ = 1, config.depth do
    net:add(nn.Linear(config.width, config.width))
    net:add(nn.Tanh())
  end
  net:add(nn.Linear(config.width, 10))
  local x = sonde.randn(config.batch, config.width)
  local y = sonde.randint(1, 10, { config.batch })
  return net, x, y
end

-- Answers until stdin ends.
local function serve(step)
  for line in io.lines() do
    local n = math.tointeger(line)
    local start = core.system.clock()
    for _ = 1, n do step() end
    io.stdout:write(("%.6f\n"):format((core.system.clock() - start) / n * 1e3))
    io.stdout:flush()
  end
end

local function make_step(net, opt, x, y, after)
  local loss_fn = nn.CrossEntropyLoss()
  return function()
    opt:zero_grad()
    local loss = loss_fn(net(x), y)
    loss:backward()
    opt:step()
    if after then after(loss) end
  end
end

local probes = {
  probes = { what = { "weight_grad", "activation_grad", "weight_grad_hist", "activation_grad_hist" } },
  full = { what = { "weight_grad", "weight_grad_hist" }, hist_every = 1 },
  all = {},
  time = { what = { "hidden_grad", "hidden_jacobian" } },
}

if variant == "plain" then
  local net, x, y = build()
  serve(make_step(net, optim.SGD(net:parameters(), { lr = 0.01, momentum = 0.9 }), x, y))
else
  sonde.run({
    name = "bench-" .. variant,
    run = function(_, run)
      local net, x, y = build()
      net = run:model(net)
      local opt = run:optimizer(optim.SGD(net:parameters(), { lr = 0.01, momentum = 0.9 }))
      if probes[variant] then run:probe(net, probes[variant]) end
      serve(make_step(net, opt, x, y, function(loss) run:log { loss = loss:item() } end))
    end,
  }, { out = ("%s/%d-%s.h5"):format(folder, net_number, variant) })
end
