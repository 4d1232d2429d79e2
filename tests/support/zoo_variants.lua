--- More cases of the zoo, of the kinds that are easily taken for something else: see zoo_cases.lua for the fields.
local sonde = require "sonde"
local zoo = require "support.zoo"
local nn, optim, data = sonde.nn, sonde.optim, sonde.data
local inits, mlp, net, images_net, normal = zoo.inits, zoo.mlp, zoo.net, zoo.images_net, zoo.normal
local changed, once, adam, optimizer, conv_net = zoo.changed, zoo.once, zoo.adam, zoo.optimizer, zoo.conv_net

local cases = {}

local function add(name, expect, case)
  case.name, case.expect = name, expect
  cases[#cases + 1] = case
end

local function blobs() return data.blobs { n = 800, classes = 5, features = 12, seed = 12 } end
local function sine() return zoo.sine(400, 5) end
local function scaled(factor, set)
  return function() return data.tensors { set().inputs * factor, set().targets } end
end
--- 12 tokens of 6 kinds; the class tells how often the third kind occurs.
local function tokens()
  sonde.manual_seed(21)
  local x, classes = sonde.randint(1, 6, { 1000, 12 }), {}
  for i, row in ipairs(x:totable()) do
    local count = 0
    for _, token in ipairs(row) do count = count + (token == 3 and 1 or 0) end
    classes[i] = math.max(1, math.min(3, count))
  end
  return data.tensors { x, sonde.tensor(classes, { dtype = "int64" }) }
end
--- An embedding, then the layers, then three classes.
local function token_net(width, layers)
  return function()
    local network = nn.Sequential {}:add("emb", nn.Embedding(6, 16))
    for i, layer in ipairs(layers()) do network:add("t" .. i, layer) end
    return network:add("out", nn.Linear(width, 3))
  end
end

-- ---- the gradient vanishes ---------------------------------------------------------------------------------------
local vanishing = { "vanishing_gradient" }
add("sigmoid 10 whose update ratios Adam makes look well", vanishing, { data = zoo.images, layers = "h1", steps = 300,
  optimizer = adam(1e-3), also = { "saturated_units" }, batch_size = 128,
  net = images_net { depth = 10, activation = nn.Sigmoid, init = inits.glorot } })
add("relu 12 as PyTorch initialises it, until Adam overcomes it", vanishing, { data = zoo.images, layers = "h1",
  optimizer = adam(1e-3), quick = true, net = images_net { depth = 12, init = inits.default } })
add("one layer of tanh 8 ten thousand times too small", vanishing, { data = zoo.images, layers = "h3", lr = 0.01,
  quick = true, net = changed(images_net { depth = 8, activation = nn.Tanh, init = inits.glorot },
    function(network) network.h5.weight:mul_(1e-4) end) })
add("tanh 10 whose weights shrink at step 100", vanishing, { data = zoo.images, layers = "h1", lr = 0.01, steps = 200,
  since = { 95, 120 }, net = images_net { depth = 10, activation = nn.Tanh, init = inits.glorot },
  during = once(100, function(network)
    for i = 1, 10 do network["h" .. i].weight:mul_(0.2) end
  end) })
add("sigmoid 6 of convolutions", vanishing, { data = zoo.images, layers = "c1", batch_size = 32, steps = 80,
  net = conv_net(6, 1, nn.Sigmoid) })
add("sigmoid 8 behind an embedding", vanishing, { data = tokens, layers = "t2", quick = true,
  net = token_net(24, function()
    local layers = { nn.Flatten() }
    for i = 1, 8 do
      layers[2 * i] = nn.Linear(i == 1 and 192 or 24, 24)
      layers[2 * i + 1] = nn.Sigmoid()
    end
    return layers
  end) })

-- ---- it explodes, or the numbers do ------------------------------------------------------------------------------
local exploding, diverging = { "exploding_gradient" }, { "exploding_gradient", "numeric_overflow" }
add("chaotic tanh 60, saturated by its first steps", exploding, { data = zoo.images, layers = "h1", lr = 1e-3,
  momentum = 0.8, also = { "saturated_units" }, batch_size = 128, steps = 60,
  net = images_net { depth = 60, activation = nn.Tanh, init = normal(2.1) } })
add("tanh 20, four times too large", exploding, { data = zoo.images, layers = "h1", lr = 1e-4, steps = 60,
  also = { "saturated_units" }, net = images_net { depth = 20, width = 128, activation = nn.Tanh, init = normal(4) } })
add("batch normalisation of relu 50", exploding, { data = zoo.images, layers = "h1", lr = 1e-4, steps = 50,
  net = images_net { depth = 50, width = 48, init = inits.he, norm = nn.BatchNorm1d } })
add("regression with a momentum of 0.99", diverging, { data = sine, loss = nn.MSELoss(), lr = 1, momentum = 0.99,
  also = { "dead_units" }, quick = true, net = net { depth = 2, inputs = 5, outputs = 1, init = inits.he } })
add("regression of inputs a thousand times too large", diverging, { data = scaled(1000, sine), loss = nn.MSELoss(),
  also = { "dead_units" }, net = net { depth = 3, inputs = 5, outputs = 1, init = inits.he } })

-- ---- units without a slope ---------------------------------------------------------------------------------------
local saturated = { "saturated_units" }
add("the second of three convolutions dies at step 70", { "dead_units" }, { data = zoo.images, layers = "a2",
  batch_size = 32, since = { 66, 86 }, net = conv_net(3, math.sqrt(2), nn.ReLU),
  during = once(70, function(network) network.c2.bias:fill_(-1000) end) })
add("Glorot and Bengio's top layer, no unit of it within 5 %", saturated, { layers = "a4", lr = 0.1, batch_size = 10,
  steps = 2000, since = { 800, 1900 }, also = { "vanishing_gradient" },
  data = function() return data.tensors { zoo.images().inputs * 0.3530 + 0.2860, zoo.images().targets } end,
  net = images_net { depth = 4, width = 200, activation = nn.Sigmoid, init = inits.default } })
add("pixels of 0 to 255 into sigmoids", saturated, { layers = "a1", quick = true,
  data = function() return data.tensors { (zoo.images().inputs * 0.3530 + 0.2860) * 255, zoo.images().targets } end,
  net = images_net { depth = 2, activation = nn.Sigmoid, init = inits.glorot } })
add("tanh 3 of a regression pushed out at step 90", saturated, { data = sine, loss = nn.MSELoss(), layers = "a2",
  steps = 180, since = { 88, 106 }, also = { "vanishing_gradient" },
  net = net { depth = 3, inputs = 5, outputs = 1, activation = nn.Tanh, init = inits.glorot },
  during = once(90, function(network) network.h2.weight:mul_(100) end) })

-- ---- the steps ---------------------------------------------------------------------------------------------------
add("learning rate of 1e-7 on single samples", { "slow_progress" }, { data = blobs, batch_size = 1, lr = 1e-7,
  steps = 300, net = net { depth = 2, inputs = 12, outputs = 5, init = inits.he } })
add("one weight a thousand times too large before a normalisation", { "unbalanced_updates" }, { data = zoo.images,
  layers = "h3.weight", net = changed(images_net { depth = 5, init = inits.he, norm = nn.LayerNorm },
    function(network) network.h3.weight:mul_(1000) end) })

-- ---- healthy -----------------------------------------------------------------------------------------------------
local healthy = {}
add("residual 20 whose branches begin at zero", healthy, { data = zoo.images, quick = true, net = function()
  local network = nn.Sequential { nn.Flatten() }:add("h1", nn.Linear(784, 64))
  for i = 2, 20 do
    network:add("b" .. i, nn.ReZero(nn.Sequential {}:add("h", nn.Linear(64, 64)):add("a", nn.ReLU())))
  end
  return network:add("out", nn.Linear(64, 10))
end })
add("a head that begins at zero", healthy, { data = zoo.images, net = changed(images_net { depth = 3, init = inits.he },
  function(network) network.out.weight:zero_() end) })
add("fine-tuning of what fits already", healthy, { data = blobs, lr = 0.01, quick = true, net = function()
  local network, set = mlp { depth = 2, inputs = 12, outputs = 5, init = inits.he }, blobs()
  local opt, loss_fn = optim.Adam(network:parameters(), { lr = 5e-3 }), nn.CrossEntropyLoss()
  for _ = 1, 300 do
    opt:zero_grad()
    loss_fn(network(set.inputs), set.targets):backward()
    opt:step()
  end
  return network
end })
add("single samples, some of which fit at once", healthy, { data = blobs, batch_size = 1, lr = 0.01, steps = 400,
  net = net { depth = 2, width = 32, inputs = 12, outputs = 5, init = inits.he } })
add("tanh 5 with RMSprop, its first layer half flat and at work", healthy, { data = zoo.images, quick = true,
  optimizer = optimizer("RMSprop", { lr = 1e-3 }), net = images_net { depth = 5, width = 80, activation = nn.Tanh,
  init = inits.glorot } })
add("warm-up from a learning rate of zero", healthy, { data = zoo.images, steps = 300,
  net = images_net { depth = 4, init = inits.he },
  during = function(step, _, opt) opt.param_groups[1].lr = 0.1 * math.min(1, (step - 1) / 60) end })
add("transformer 4, pre-norm", healthy, { data = tokens, optimizer = adam(1e-3), net = token_net(192, function()
  local layers = {}
  for i = 1, 4 do
    layers[i] = nn.TransformerEncoderLayer(16, 2, { dim_feedforward = 32, dropout = 0, batch_first = true,
                                                    norm_first = true })
  end
  layers[5] = nn.Flatten()
  return layers
end) })
add("a sigmoid output that is sure of its answers", healthy, { loss = nn.BCELoss(), optimizer = adam(0.01), steps = 200,
  quick = true, data = function()
    sonde.manual_seed(22)
    local x = sonde.randn(1000, 6)
    return data.tensors { x, (x:select(2, 1) + x:select(2, 2)):gt(0):to("float32"):unsqueeze(2) }
  end, net = function()
    return mlp { depth = 2, inputs = 6, outputs = 1, activation = nn.Tanh, init = inits.glorot }:add("p", nn.Sigmoid())
  end })
add("relu6, flat on half of its line", healthy, { data = zoo.images, lr = 0.02,
  net = images_net { depth = 3, activation = nn.ReLU6, init = inits.he } })

return cases
