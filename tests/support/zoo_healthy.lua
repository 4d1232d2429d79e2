--- Healthy runs of many kinds, labelled from theory before they were first run: see zoo_cases.lua for the fields.
local sonde = require "sonde"
local zoo = require "support.zoo"
local nn, data = sonde.nn, sonde.data
local inits, mlp, net, images_net, normal = zoo.inits, zoo.mlp, zoo.net, zoo.images_net, zoo.normal
local changed, adam, optimizer = zoo.changed, zoo.adam, zoo.optimizer

local cases = {}

local function add(name, case)
  case.name, case.expect = name, {}
  cases[#cases + 1] = case
end

local mse = nn.MSELoss()
local function blobs() return data.blobs { n = 600, classes = 4, features = 10, seed = 41 } end
local function spirals() return data.spirals { n = 600, classes = 3, seed = 42 } end
local function sine() return zoo.sine(400, 7) end
local function autoencoder()
  local x = zoo.images().inputs[{ { 1, 1024 } }]
  x = x:reshape(1024, 784)
  return data.tensors { x, x }
end
--- Images as sequences of their 28 rows.
local function rows()
  local set = zoo.images()
  return data.tensors { set.inputs:reshape(4096, 28, 28), set.targets }
end
local function with_targets(set, targets) return data.tensors { set.inputs, targets } end

-- ---- plain networks ----------------------------------------------------------------------------------------------
add("relu 3, Adam at 3e-4, float64", { data = zoo.images, dtype = "float64", batch_size = 256, steps = 60,
  optimizer = adam(3e-4), net = images_net { depth = 3, init = inits.he } })
add("relu 30, He, momentum", { quick = true, data = zoo.images, lr = 0.003, momentum = 0.9,
  net = images_net { depth = 30,
  width = 128, init = inits.he } })
add("tanh 12, orthogonal, RMSprop", { data = zoo.images, optimizer = optimizer("RMSprop", { lr = 1e-4 }),
  net = images_net { depth = 12, activation = nn.Tanh, init = inits.orthogonal } })
add("selu 40, momentum", { data = zoo.images, lr = 1e-3, momentum = 0.9, steps = 100,
  net = images_net { depth = 40, activation = nn.SELU, init = inits.lecun } })
add("tanh 40 at the edge of chaos", { data = zoo.images, lr = 1e-3, momentum = 0.8, batch_size = 128, steps = 200,
  net = function()
    local network = mlp { depth = 40, width = 128, inputs = 784, activation = nn.Tanh, init = normal(math.sqrt(1.76)) }
    for i = 1, 40 do nn.init.normal_(network["h" .. i].bias, 0, math.sqrt(0.05)) end
    return network
  end })
add("silu 3 as PyTorch initialises it", { quick = true, data = blobs, lr = 0.1,
  net = net { depth = 3, inputs = 10, outputs = 4,
  activation = nn.SiLU, init = inits.default } })
add("mish 4, He", { data = spirals, optimizer = adam(3e-3), net = net { depth = 4, inputs = 2,
  outputs = 3, activation = nn.Mish, init = inits.he } })
add("sigmoid 3, Adam: its gradient loses one decade in all", { data = zoo.images,
  optimizer = adam(1e-3), steps = 200,
  net = images_net { depth = 3, width = 100, activation = nn.Sigmoid, init = inits.glorot } })
add("relu 3, 300 wide, clipped", { data = zoo.images, lr = 0.1, clip = 1, steps = 80, net = images_net { depth = 3,
  width = 300, init = inits.he } })
add("relu 4 with dropout of a half", { quick = true, data = zoo.images, lr = 0.05,
  net = images_net { depth = 3, width = 128,
  init = inits.he, dropout = 0.5 } })
add("leaky relu 25, regression, Nesterov's momentum", { data = sine, loss = mse, lr = 1e-3, steps = 300,
  optimizer = optimizer("SGD", { lr = 1e-3, momentum = 0.9, nesterov = true }),
  net = net { depth = 25, inputs = 7, outputs = 1, init = inits.he } })
add("a third of a layer dead", { data = zoo.images, steps = 200, net = changed(images_net { depth = 3, width = 60,
  init = inits.he }, function(network) network.h2.bias[{ { 1, 18 } }]:fill_(-1000) end) })
add("AdamW with a strong decay", { data = blobs, optimizer = optimizer("AdamW", { lr = 1e-3, weight_decay = 0.5 }),
  net = net { depth = 3, inputs = 10, outputs = 4, init = inits.he } })

add("tanh 6 at work above inputs of size ten", { data = blobs, steps = 400, quick = true,
  net = net { depth = 6, width = 40, inputs = 10, outputs = 4, activation = nn.Tanh, init = inits.glorot } })

-- ---- normalised, with skips, convolutions ------------------------------------------------------------------------
add("batch-normalised relu 20, Adam", { quick = true, data = zoo.images, optimizer = adam(1e-3), steps = 80,
  net = images_net { depth = 20, init = inits.he, norm = nn.BatchNorm1d } })
add("layer-normalised gelu 10", { data = zoo.images, optimizer = optimizer("AdamW", { lr = 1e-3 }), steps = 80,
  net = images_net { depth = 10, activation = nn.GELU, init = inits.he, norm = nn.LayerNorm } })
add("residual 50, scaled", { data = blobs, lr = 0.01, net = net { depth = 50, inputs = 10, outputs = 4,
  init = inits.he, skip = 1 / math.sqrt(50) } })
add("batch-normalised convolutions 5", { data = zoo.images, lr = 0.05, batch_size = 32, steps = 80, net = function()
  local network = nn.Sequential {}:add("pool", nn.AvgPool2d(4))
  for i = 1, 5 do
    network:add("c" .. i, nn.Conv2d(i == 1 and 1 or 8, 8, 3, { padding = 1, bias = false }))
      :add("n" .. i, nn.BatchNorm2d(8)):add("a" .. i, nn.ReLU())
  end
  return network:add("flat", nn.Flatten()):add("out", nn.Linear(8 * 49, 10))
end })
add("group-normalised convolutions 3", { quick = true, data = zoo.images, optimizer = adam(2e-3),
  batch_size = 32, steps = 100, net = function()
    return nn.Sequential {}:add("c1", nn.Conv2d(1, 8, 5, { stride = 4 })):add("n1", nn.GroupNorm(2, 8)):add("a1",
    nn.ReLU())
      :add("c2", nn.Conv2d(8, 16, 3)):add("n2", nn.GroupNorm(4, 16)):add("a2", nn.ReLU())
      :add("flat", nn.Flatten()):add("out", nn.Linear(16 * 16, 10))
  end })
add("highway 10", { data = zoo.images, lr = 0.05, net = function()
  local network = nn.Sequential { nn.Flatten() }:add("h1", nn.Linear(784, 50)):add("a1", nn.ReLU())
  for i = 2, 10 do
    network:add("b" .. i, nn.Highway(nn.Sequential {}:add("h", nn.Linear(50, 50)):add("a", nn.ReLU()), 50))
  end
  return network:add("out", nn.Linear(50, 10))
end })

-- ---- sequences ---------------------------------------------------------------------------------------------------
local function recurrent(class)
  return function()
    return nn.Sequential {}:add("rnn", class(28, 48, { batch_first = true })):add("out", nn.Linear(48, 10))
  end
end
local function last_state(network, x)
  local output = network.rnn(x)
  return network.out(output:select(2, 28))
end
add("LSTM over the rows of images", { data = rows, optimizer = adam(3e-3), forward = last_state,
  net = changed(recurrent(nn.LSTM), function(network) nn.init.forget_bias_(network.rnn, 1) end), steps = 100 })
add("GRU over the rows of images", { data = rows, optimizer = adam(3e-3), forward = last_state,
  net = recurrent(nn.GRU), steps = 100 })
add("transformer 2, post-norm", { quick = true, data = rows, optimizer = adam(1e-3), batch_size = 32, steps = 80,
  net = function()
    local network = nn.Sequential {}:add("emb", nn.Linear(28, 32))
    for i = 1, 2 do
      network:add("t" .. i, nn.TransformerEncoderLayer(32, 4, { dim_feedforward = 64, dropout = 0.1,
      batch_first = true }))
    end
    return network:add("flat", nn.Flatten()):add("out", nn.Linear(28 * 32, 10))
  end })

-- ---- tasks and losses --------------------------------------------------------------------------------------------
add("autoencoder through 16 units", { data = autoencoder, loss = mse, optimizer = adam(1e-3),
  net = function()
    local network = nn.Sequential {}
    for i, sizes in ipairs { { 784, 128 }, { 128, 16 }, { 16, 128 } } do
      network:add("h" .. i, nn.Linear(sizes[1], sizes[2])):add("a" .. i, nn.ReLU())
    end
    return network:add("out", nn.Linear(128, 784))
  end })
add("parity of six bits, a plateau first", { data = function() return data.parity { n = 512, bits = 6, seed = 43 } end,
  optimizer = adam(3e-3), steps = 800, net = net { depth = 2, inputs = 6, outputs = 2,
    activation = nn.Tanh, init = inits.glorot } })
add("labels of pure noise", { steps = 200, lr = 0.01, data = function()
  sonde.manual_seed(44)
  return with_targets(zoo.images(), sonde.randint(1, 10, { 4096 }))
end, net = images_net { depth = 3, init = inits.he } })
add("a regression of pure noise", { quick = true, loss = mse, lr = 0.01, steps = 300, data = function()
  sonde.manual_seed(45)
  return with_targets(sine(), sonde.randn(400, 1))
end, net = net { depth = 2, width = 16, inputs = 7, outputs = 1, init = inits.he } })
add("a loss that falls below zero", { steps = 300, lr = 0.02, data = sine,
  loss = function(y, target) return (mse(y, target) + 1e-3):log() end,
  net = net { depth = 2, inputs = 7, outputs = 1, init = inits.he } })
add("a margin that is reached, after which the gradient is zero", { data = blobs, loss = nn.MultiMarginLoss(), lr = 0.1,
  steps = 500, net = net { depth = 2, inputs = 10, outputs = 4, init = inits.he } })
add("32 samples learnt by heart", { data = function() return zoo.images():subset(32) end, batch_size = 32, steps = 800,
  optimizer = adam(1e-3), net = images_net { depth = 4, init = inits.he } })
add("converged, 2000 steps of single batches of 8", { quick = true, data = blobs, batch_size = 8, steps = 2000,
  optimizer = adam(3e-3), net = net { depth = 1, width = 8, inputs = 10, outputs = 4,
    init = inits.he } })
add("a regression on single samples", { data = sine, loss = mse, batch_size = 1, lr = 0.01, steps = 500,
  net = net { depth = 2, width = 24, inputs = 7, outputs = 1, activation = nn.Tanh, init = inits.glorot } })

-- ---- the course of a run -----------------------------------------------------------------------------------------
add("relu 5 measured every tenth step", { data = zoo.images, probe = { every = 10 }, steps = 400, lr = 0.02,
  net = images_net { depth = 5, init = inits.he } })
add("a learning rate that falls to zero", { data = zoo.images, steps = 250,
  net = images_net { depth = 4, init = inits.he },
  during = function(step, _, opt) opt.param_groups[1].lr = 0.05 * (1 + math.cos(math.pi * step / 250)) end })
add("one bad batch at step 100", { quick = true, data = zoo.images, steps = 200, lr = 0.01, clip = 1,
  net = images_net { depth = 3, init = inits.he },
  forward = function(network, x, step) return network(step == 100 and x * 30 or x) end })
add("the first two layers frozen", { data = zoo.images, lr = 0.05, net = function()
  local network = mlp { depth = 4, inputs = 784, init = inits.he }
  network.h1:requires_grad_(false)
  network.h2:requires_grad_(false)
  return network
end })
add("the learning rate a third at step 100, a ninth at 200", { data = zoo.images, steps = 300, lr = 0.1,
  net = images_net { depth = 3, init = inits.he }, during = function(step, _, opt)
    if step % 100 == 0 then opt.param_groups[1].lr = opt.param_groups[1].lr / 3 end
  end })
add("weight normalisation", { data = zoo.images, lr = 0.05, net = function()
  local network = mlp { depth = 4, inputs = 784, init = inits.he }
  for i = 1, 4 do nn.utils.parametrizations.weight_norm(network["h" .. i]) end
  return network
end })

add("one sample: a loss thrown up, then fitted", { data = function() return sine():subset(1) end, loss = mse,
  batch_size = 1, lr = 0.01, steps = 200, net = net { depth = 2, inputs = 7, outputs = 1, init = inits.he } })
add("forty steps, the loss down by two hundredths", { data = spirals, lr = 0.03, batch_size = 128, steps = 40,
  net = net { depth = 2, width = 100, inputs = 2, outputs = 3, activation = nn.LeakyReLU, init = inits.glorot } })
add("five steps of relu 6", { data = zoo.images, steps = 5, quick = true, net = images_net { depth = 6,
  init = inits.he } })

return cases
