--- Ill runs of many kinds, labelled from theory before they were first run: see zoo_cases.lua for the fields.
local sonde = require "sonde"
local zoo = require "support.zoo"
local nn, data = sonde.nn, sonde.data
local inits, mlp, net, images_net, normal = zoo.inits, zoo.mlp, zoo.net, zoo.images_net, zoo.normal
local changed, once, adam, optimizer, one_rate, conv_net = zoo.changed, zoo.once, zoo.adam, zoo.optimizer,
  zoo.one_rate, zoo.conv_net

local cases = {}

local function add(name, expect, case)
  case.name, case.expect = name, expect
  cases[#cases + 1] = case
end

local mse = nn.MSELoss()
local function blobs() return data.blobs { n = 600, classes = 4, features = 10, seed = 31 } end
local function spirals() return data.spirals { n = 600, classes = 3, seed = 32 } end
local function parity() return data.parity { n = 512, bits = 8, seed = 33 } end
local function sine() return zoo.sine(400, 7) end
local function autoencoder()
  local x = zoo.images().inputs[{ { 1, 1024 } }]
  x = x:reshape(1024, 784)
  return data.tensors { x, x }
end

-- ---- the gradient vanishes: the mean-field factor per layer, sqrt(chi), is beside each ----------------------------
local vanishing = { "vanishing_gradient" }
add("sigmoid 15, Adam (0.236)", vanishing, { data = zoo.images, layers = "h1", steps = 100,
  also = { "saturated_units" },
  optimizer = adam(1e-3),
  net = images_net { depth = 15, width = 200, activation = nn.Sigmoid, init = inits.glorot } })
add("sigmoid 5 on spirals, RMSprop (0.14)", vanishing, { quick = true, data = spirals, layers = "h1", steps = 100,
  optimizer = optimizer("RMSprop", { lr = 1e-4 }),
  net = net { depth = 5, width = 32, inputs = 2, outputs = 3, activation = nn.Sigmoid, init = inits.default } })
add("tanh 20 as PyTorch initialises it, regression (0.577)", vanishing,
  { data = sine, loss = mse, layers = "h1", lr = 0.01,
  net = net { depth = 20, inputs = 7, outputs = 1, activation = nn.Tanh, init = inits.default } })
add("relu 10 as PyTorch initialises it, autoencoder in float64 (0.41)", vanishing, { data = autoencoder, loss = mse,
  layers = "h1", lr = 0.01, momentum = 0.9, dtype = "float64", batch_size = 32, steps = 60,
  net = images_net { depth = 10, outputs = 784, init = inits.default } })
add("gelu 16 as PyTorch initialises it (0.29)", vanishing, { data = blobs, layers = "h1", lr = 0.01,
  net = net { depth = 16, inputs = 10, outputs = 4, activation = nn.GELU, init = inits.default } })
add("leaky relu 40, wide, Glorot (0.707)", vanishing, { data = zoo.images, layers = "h1", lr = 0.01, steps = 30,
  batch_size = 16, net = images_net { depth = 40, width = 300, activation = nn.LeakyReLU, init = inits.glorot } })
add("hardtanh 8 on parity, small weights (0.3)", vanishing, { quick = true, data = parity, layers = "h1", lr = 0.01,
  net = net { depth = 8, inputs = 8, outputs = 2, activation = nn.Hardtanh, init = normal(0.3) } })
add("silu 30 with He's weights (0.71)", vanishing, { data = zoo.images, layers = "h1", lr = 1e-3, steps = 60,
  net = images_net { depth = 30, activation = nn.SiLU, init = inits.he } })
add("softplus 14, Glorot (about 0.55)", vanishing, { data = blobs, layers = "h1", lr = 1e-3,
  net = net { depth = 14, inputs = 10, outputs = 4, activation = nn.Softplus, init = inits.glorot } })
add("convolutions of relu 8, a third of He (0.35)", vanishing, { data = zoo.images, layers = "c1", lr = 0.01,
  batch_size = 32, steps = 60, also = { "dead_units" }, net = conv_net(8, 0.5, nn.ReLU) })
add("tanh 15 whose weights shrink at step 120", vanishing, { quick = true, data = sine, loss = mse, layers = "h1",
  lr = 1e-3,
  steps = 200, at = 120, net = net { depth = 15, inputs = 7, outputs = 1, activation = nn.Tanh,
  init = inits.orthogonal },
  during = once(120, function(network)
    for i = 1, 15 do network["h" .. i].weight:mul_(0.3) end
  end) })
add("relu 20 with Glorot's weights, healed at step 60", vanishing, { data = zoo.images, layers = "h1", lr = 1e-3,
  steps = 120, net = images_net { depth = 20, init = inits.glorot }, during = once(60, function(network)
    for i = 1, 20 do network["h" .. i].weight:mul_(math.sqrt(2)) end
  end) })
add("relu 5 of a regression, one layer a thousand times too small", vanishing, { data = sine, loss = mse, layers = "h2",
  lr = 1e-4, net = changed(net { depth = 5, inputs = 7, outputs = 1, init = inits.he },
    function(network) network.h4.weight:mul_(1e-3) end) })
add("sigmoid 8, single samples (0.236)", vanishing, { data = blobs, layers = "h1", batch_size = 1, lr = 0.01,
  steps = 300,
  net = net { depth = 8, width = 40, inputs = 10, outputs = 4, activation = nn.Sigmoid, init = inits.glorot } })
add("sigmoid 40 in float64 (0.236)", vanishing, { quick = true, data = zoo.images, layers = "h1", dtype = "float64",
  steps = 40,
  net = images_net { depth = 40, width = 50, activation = nn.Sigmoid, init = inits.glorot } })
add("sigmoid 75: nothing is left in float32 (0.236)", vanishing, { data = zoo.images, layers = "h1", steps = 30,
  net = images_net { depth = 75, width = 30, activation = nn.Sigmoid, init = inits.glorot } })
add("tanh 50 of tiny weights: the signal underflows (0.1)", vanishing, { data = zoo.images, layers = "h1", steps = 40,
  net = images_net { depth = 50, width = 32, activation = nn.Tanh, init = normal(0.1) } })
add("sigmoid 12 measured every tenth step (0.236)", vanishing, { data = blobs, layers = "h1", steps = 400,
  probe = { every = 10 }, net = net { depth = 12, inputs = 10, outputs = 4, activation = nn.Sigmoid,
    init = inits.glorot } })
add("tanh 25 with dropout of 0.3, as PyTorch initialises it", vanishing,
  { quick = true, data = zoo.images, layers = "h1", lr = 0.01,
  steps = 60, net = images_net { depth = 25, activation = nn.Tanh, init = inits.default, dropout = 0.3 } })

add("relu 25, narrow, as PyTorch initialises it, on spirals: half of its last units dead by chance", vanishing,
  { data = spirals, layers = "h1", lr = 0.005, batch_size = 16, steps = 200, also = { "dead_units" }, seed = 3,
    net = net { depth = 25, width = 16, inputs = 2, outputs = 3, init = inits.default } })
add("softsign 45 above a layer that large inputs saturate", vanishing, { data = blobs, layers = "h10", steps = 150,
  optimizer = optimizer("RMSprop", { lr = 3e-4 }), batch_size = 128, also = { "saturated_units" },
  net = net { depth = 45, width = 40, inputs = 10, outputs = 4, activation = nn.Softsign, init = inits.lecun } })
add("five steps of sigmoid 12 (0.236)", vanishing, { data = zoo.images, layers = "h1", steps = 5, quick = true,
  since = { 1, 1 }, net = images_net { depth = 12, activation = nn.Sigmoid, init = inits.glorot } })
add("one step of sigmoid 20 (0.236)", vanishing, { data = zoo.images, layers = "h1", steps = 1, since = { 1, 1 },
  net = images_net { depth = 20, activation = nn.Sigmoid, init = inits.glorot } })

-- ---- it explodes, or the numbers do ------------------------------------------------------------------------------
local exploding, diverging = { "exploding_gradient" }, { "exploding_gradient", "numeric_overflow" }
add("tanh 30, chaotic (1.37)", exploding, { data = zoo.images, layers = "h1", lr = 1e-5, steps = 60,
  net = images_net { depth = 30, width = 128, activation = nn.Tanh, init = normal(3) } })
add("relu 20, one and a half times He (1.5)", exploding, { data = zoo.images, layers = "h1", lr = 1e-8,
  net = images_net { depth = 20, init = normal(1.5 * math.sqrt(2)) } })
add("leaky relu 10, regression, twice He (2)", exploding, { data = sine, loss = mse, layers = "h1", lr = 1e-10,
  net = net { depth = 10, inputs = 7, outputs = 1, activation = function() return nn.LeakyReLU(0.2) end,
    init = normal(2 * math.sqrt(2)) } })
add("linear 25, orthogonal times 1.6", exploding, { quick = true, data = blobs, layers = "h1", lr = 1e-14,
  net = net { depth = 25, inputs = 10, outputs = 4, activation = nn.Identity,
    init = function(w) nn.init.orthogonal_(w, 1.6) end } })
add("residual 40 without scale", exploding, { data = blobs, lr = 1e-13, steps = 60,
  net = net { depth = 40, inputs = 10, outputs = 4, init = inits.he, skip = 1 } })
add("convolutions of relu 7, three times He", exploding, { data = zoo.images, layers = "c1", lr = 1e-9, steps = 60,
  batch_size = 32, net = conv_net(7, 3 * math.sqrt(2), nn.ReLU) })
add("batch normalisation of relu 60", exploding, { data = zoo.images, layers = "h1", lr = 1e-5, steps = 40,
  net = images_net { depth = 60, init = inits.he, norm = nn.BatchNorm1d } })
add("relu 12, twice He, clipped", exploding, { quick = true, data = zoo.images, layers = "h1", lr = 1e-3, clip = 1,
  net = images_net { depth = 12, init = normal(2 * math.sqrt(2)) } })
add("relu 8, a million times too large, in float64", exploding, { data = zoo.images, layers = "h1", dtype = "float64",
  lr = 0, steps = 40, net = images_net { depth = 8, init = normal(1e6) } })
add("the same in float32", { "numeric_overflow" }, { data = zoo.images, layers = "h7", also = exploding, lr = 0,
  steps = 40, net = images_net { depth = 8, init = normal(1e6) } })
add("regression of a wide net with a learning rate of 1", diverging, { data = sine, loss = mse, lr = 1,
  also = { "dead_units" }, net = net { depth = 3, width = 256, inputs = 7, outputs = 1, init = inits.he } })
add("autoencoder with a summed loss", diverging, { quick = true, data = autoencoder, loss = nn.MSELoss("sum"),
  lr = 0.01,
  also = { "dead_units" }, steps = 60, net = images_net { depth = 3, outputs = 784, init = inits.he } })
add("Adam with a learning rate of 10", exploding, { data = zoo.images, also = { "dead_units", "saturated_units" },
  optimizer = adam(10), net = images_net { depth = 3, init = inits.he } })
add("tanh 3 with a learning rate of 10 in a regression", exploding, { data = sine, loss = mse, lr = 10,
  also = { "saturated_units", "numeric_overflow" },
  net = net { depth = 3, inputs = 7, outputs = 1, activation = nn.Tanh, init = inits.glorot } })
add("the learning rate jumps to 20 at step 150", exploding, { data = zoo.images, at = 150, steps = 250, momentum = 0.9,
  lr = 0.02, also = { "dead_units", "numeric_overflow" }, net = images_net { depth = 4, init = inits.he },
  during = once(150, function(_, opt) opt.param_groups[1].lr = 20 end) })

add("residual 45 of elu without scale, slowly overcome by Adam", exploding, { data = zoo.images, layers = "h1",
  optimizer = adam(1e-3), batch_size = 16, steps = 200,
  net = images_net { depth = 45, width = 40, activation = nn.ELU, init = inits.lecun, skip = 1 } })
add("three steps of a learning rate of 100", exploding, { data = sine, loss = mse, lr = 100, steps = 3,
  since = { 2, 2 }, also = { "numeric_overflow" }, net = net { depth = 3, inputs = 7, outputs = 1, init = inits.he } })

-- ---- numbers leave the range -------------------------------------------------------------------------------------
local overflow = { "numeric_overflow" }
add("the logarithm of a softmax that underflows at step 80", overflow,
  { quick = true, data = blobs, at = 80, steps = 160,
  also = exploding, lr = 1e-3, loss = nn.NLLLoss(), net = net { depth = 2, inputs = 10, outputs = 4, init = inits.he },
  forward = function(network, x) return network(x):softmax(2):log() end,
  during = once(80, function(network) network.out.weight:mul_(1e6) end) })
add("a NaN among the inputs at step 70", overflow, { data = blobs, at = 70, layers = "1", -- Flatten is first
  net = net { depth = 3, inputs = 10, outputs = 4, init = inits.he },
  forward = function(network, x, step) return network(step == 70 and x * (0 / 0) or x) end })
add("the slope of a square root at zero, from step 50 on", overflow, { data = sine, loss = mse, at = 50,
  net = net { depth = 2, inputs = 7, outputs = 1, init = inits.he },
  forward = function(network, x, step)
    local y = network(x)
    return step >= 50 and y + (y - y):sqrt() or y
  end })

add("a loss that is NaN from the first step, with a finite gradient", overflow, { data = sine, lr = 0.01, steps = 40,
  quick = true, loss = function(y, target) return (mse(y, target) - 1000):log() end,
  net = net { depth = 2, inputs = 7, outputs = 1, init = inits.he } })
add("targets of NaN", overflow, { data = sine, lr = 0.01, steps = 40, layers = "out",
  loss = function(y, target) return mse(y, target * (0 / 0)) end,
  net = net { depth = 2, inputs = 7, outputs = 1, init = inits.he } })

-- ---- dead units --------------------------------------------------------------------------------------------------
local dead = { "dead_units" }
add("relu 5 with biases of -50", dead, { data = blobs, only = { "a1", "a2", "a3", "a4", "a5" },
  net = net { depth = 5, width = 200, inputs = 10, outputs = 4, init = inits.he, bias = -50 } })
add("four fifths of the third layer die at step 300", dead, { quick = true, data = zoo.images, only = { "a3" },
  at = 300, steps = 450,
  net = images_net { depth = 5, width = 50, init = inits.he },
  during = once(300, function(network) network.h3.bias[{ { 1, 40 } }]:fill_(-1000) end) })
add("elu 3 with biases of -300", dead, { data = sine, loss = mse, only = { "a1", "a2", "a3" }, batch_size = 128,
  lr = 1e-3, net = net { depth = 3, inputs = 7, outputs = 1, activation = nn.ELU, init = inits.lecun, bias = -300 } })
add("gelu, the second of four layers at -500", dead, { data = blobs, only = { "a2" },
  net = changed(net { depth = 4, inputs = 10, outputs = 4, activation = nn.GELU, init = inits.he },
    function(network) network.h2.bias:fill_(-500) end) })
add("six of eight channels dead", dead, { data = zoo.images, only = { "a2" }, batch_size = 32, steps = 150,
  net = changed(conv_net(3, math.sqrt(2), nn.ReLU), function(network) network.c2.bias[{ { 1, 6 } }]:fill_(-1000) end) })
add("two thirds of a layer dead, regression with Adam", dead, { quick = true, data = sine, loss = mse, only = { "a1" },
  optimizer = adam(1e-3), steps = 250,
  net = changed(net { depth = 2, width = 60, inputs = 7, outputs = 1, init = inits.he },
    function(network) network.h1.bias[{ { 1, 40 } }]:fill_(-1000) end) })
add("relu dead from step 200 on, measured every tenth step", dead,
  { data = blobs, layers = "a2", at = 200, steps = 1000,
  probe = { every = 10 }, net = net { depth = 3, inputs = 10, outputs = 4, init = inits.he },
  during = once(200, function(network) network.h2.bias:fill_(-1000) end) })

add("relu dead thirty steps before the end: too few samples for dead_frac", dead, { data = zoo.images, only = { "a3" },
  at = 290, steps = 320, lr = 0.02, net = images_net { depth = 4, init = inits.he },
  during = once(290, function(network) network.h3.bias:fill_(-1000) end) })

-- ---- saturation --------------------------------------------------------------------------------------------------
local saturated = { "saturated_units" }
add("tanh 2, ten times too large", saturated, { data = blobs, layers = "a2", lr = 1e-3, also = exploding,
  net = net { depth = 2, width = 50, inputs = 10, outputs = 4, activation = nn.Tanh, init = normal(10) } })
add("one layer of sigmoids, thirty times too large", saturated, { data = zoo.images, only = { "a1" }, lr = 0.01,
  net = images_net { depth = 1, width = 100, activation = nn.Sigmoid, init = normal(30) } })
add("inputs fifty times too large into tanh", saturated, { layers = "a1", loss = mse, lr = 0.01,
  data = function() return data.tensors { sine().inputs * 50, sine().targets } end,
  net = net { depth = 2, inputs = 7, outputs = 1, activation = nn.Tanh, init = inits.lecun } })
add("softsign, forty times too large", saturated, { quick = true, data = zoo.images, layers = "a1", lr = 1e-3,
  also = exploding,
  net = images_net { depth = 2, activation = nn.Softsign, init = normal(40) } })
add("an autoencoder's tanh pushed out at step 150", saturated,
  { data = autoencoder, loss = mse, layers = "a1", at = 150,
  steps = 220, lr = 0.1, also = { "vanishing_gradient" },
  net = images_net { depth = 2, outputs = 784, activation = nn.Tanh, init = inits.glorot },
  during = once(150, function(network) network.h1.bias:fill_(30) end) })
add("a sigmoid at the output, far out on the wrong side", saturated, { loss = mse, only = { "top" }, lr = 0.1,
  data = function()
    local set = parity()
    return data.tensors { set.inputs, (set.targets:to("float32") - 1):reshape(512, 1) }
  end,
  net = function()
    local network = mlp { depth = 2, inputs = 8, outputs = 1, activation = nn.Tanh, init = inits.glorot }
    sonde.no_grad(function() network.out.bias:fill_(-20) end)
    return network:add("top", nn.Sigmoid())
  end })

add("targets a thousand above zero push tanh out by their first steps", saturated, { loss = mse, lr = 0.01, steps = 300,
  layers = "a1", data = function() return data.tensors { sine().inputs, sine().targets + 1000 } end,
  net = net { depth = 1, width = 32, inputs = 7, outputs = 1, activation = nn.Tanh, init = inits.glorot } })

-- ---- no progress -------------------------------------------------------------------------------------------------
local slow = { "slow_progress" }
add("relu 4, a learning rate of 1e-6", slow, { data = zoo.images, lr = 1e-6, steps = 200,
  net = images_net { depth = 4, width = 100, init = inits.he } })
add("sigmoid 2, Adam at 1e-8", slow, { quick = true, data = zoo.images, optimizer = adam(1e-8),
  net = images_net { depth = 2, activation = nn.Sigmoid, init = inits.glorot } })
add("regression in float64, RMSprop at 1e-9", slow, { data = sine, loss = mse, dtype = "float64",
  optimizer = optimizer("RMSprop", { lr = 1e-9 }), net = net { depth = 3, inputs = 7, outputs = 1, init = inits.he } })
add("autoencoder at 1e-5", slow, { data = autoencoder, loss = mse, lr = 1e-5, steps = 100,
  net = images_net { depth = 2, outputs = 784, init = inits.he } })
add("batch-normalised, momentum, at 1e-7", slow, { data = zoo.images, lr = 1e-7, momentum = 0.9,
  net = images_net { depth = 3, init = inits.he, norm = nn.BatchNorm1d } })
add("convolutions at 1e-7", slow, { quick = true, data = zoo.images, lr = 1e-7, batch_size = 32, steps = 100,
  net = conv_net(2, math.sqrt(2), nn.ReLU) })
add("spirals at 1e-7, measured every tenth step", slow, { data = spirals, lr = 1e-7, steps = 600,
  probe = { every = 10 },
  net = net { depth = 3, inputs = 2, outputs = 3, init = inits.he } })
add("a learning rate of zero", slow, { data = blobs, lr = 0, net = net { depth = 2, inputs = 10, outputs = 4,
  init = inits.he } })

-- ---- unbalanced updates ------------------------------------------------------------------------------------------
local unbalanced = { "unbalanced_updates" }
add("the third of six layers at a thousandth of the rate", unbalanced, { data = zoo.images, only = { "h3.weight" },
  optimizer = one_rate("h3.weight", 1e-3, 0.05), net = images_net { depth = 6, init = inits.he } })
add("one layer at a thousand times the rate", unbalanced, { quick = true, data = blobs, only = { "h2.weight" },
  optimizer = one_rate("h2.weight", 1e3, 2e-5), net = net { depth = 4, inputs = 10, outputs = 4, init = inits.he } })
add("Adam with one rate of 1e-7 among 1e-3", unbalanced, { data = sine, loss = mse, only = { "h2.weight" },
  optimizer = one_rate("h2.weight", 1e-4, 1e-3, "Adam"), net = net { depth = 3, inputs = 7, outputs = 1,
    init = inits.he } })
add("the first convolution at a ten-thousandth", unbalanced, { data = zoo.images, only = { "c1.weight" },
  batch_size = 32,
  optimizer = one_rate("c1.weight", 1e-4, 0.05), net = conv_net(4, math.sqrt(2), nn.ReLU), steps = 100 })
add("one rate falls to a ten-thousandth at step 100", unbalanced, { data = zoo.images, only = { "h2.weight" }, at = 100,
  steps = 200, optimizer = one_rate("h2.weight", 1, 0.05), net = images_net { depth = 4, init = inits.he },
  during = once(100, function(_, opt) opt.param_groups[2].lr = 5e-6 end) })
add("the output layer at a ten-thousandth, on parity", unbalanced,
  { quick = true, data = parity, only = { "out.weight" },
  optimizer = one_rate("out.weight", 1e-4, 0.1), net = net { depth = 3, inputs = 8, outputs = 2, init = inits.he } })

return cases
