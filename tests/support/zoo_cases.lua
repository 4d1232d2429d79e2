--- The cases of the zoo. Each: name, expect = { pathology, … } (empty: healthy), also = what may be named beside it;
--- of the finding for expect[1]: layers = a name that is among its layers or only = all of them, at = the step at which
--- the harm is done (1), to be found within a tenth of the run, or since = { from, to }; quick = part of the default
--- suite. What is run: see zoo.diagnose.
local sonde = require "sonde"
local zoo = require "support.zoo"
local nn, optim, data = sonde.nn, sonde.optim, sonde.data
local inits, mlp, images_net, normal = zoo.inits, zoo.mlp, zoo.images_net, zoo.normal
local once, adam, one_rate = zoo.once, zoo.adam, zoo.one_rate

local cases = {}

local function add(name, expect, case)
  case.name, case.expect = name, expect
  cases[#cases + 1] = case
end

local function spirals() return data.spirals { n = 1000, classes = 3, seed = 4 } end
local function blobs() return data.blobs { n = 1000, classes = 4, features = 8, seed = 5 } end

-- ---- the gradient vanishes over depth ----------------------------------------------------------------------------
local vanishing = { "vanishing_gradient" }
add("sigmoid 10", vanishing, { data = zoo.images, layers = "h1", quick = true,
  net = images_net { depth = 10, activation = nn.Sigmoid, init = inits.glorot } })
add("sigmoid 20 wide", vanishing, { data = zoo.images, layers = "h1", steps = 60,
  net = images_net { depth = 20, width = 128, activation = nn.Sigmoid, init = inits.glorot } })
add("sigmoid 6 with Adam", vanishing, { data = zoo.images, layers = "h1", optimizer = adam(1e-4),
  net = images_net { depth = 6, activation = nn.Sigmoid, init = inits.lecun } })
add("sigmoid 8 on spirals", vanishing, { data = spirals, layers = "h1",
  net = function()
    return mlp { depth = 8, inputs = 2, outputs = 3, activation = nn.Sigmoid, init = inits.glorot }
  end })
add("sigmoid 30 with dropout", vanishing, { data = zoo.images, layers = "h1", steps = 80,
  net = images_net { depth = 30, width = 48, activation = nn.Sigmoid, init = inits.glorot, dropout = 0.5 } })
add("relu 30 glorot", vanishing, { data = zoo.images, layers = "h1", lr = 0.01, quick = true,
  net = images_net { depth = 30, init = inits.glorot } })
add("relu 20, half of He", vanishing, { data = blobs, layers = "h1", lr = 0.01,
  net = function() return mlp { depth = 20, inputs = 8, outputs = 4, init = normal(math.sqrt(2) / 2) } end })
add("tanh 12, small weights", vanishing, { data = zoo.images, layers = "h1", lr = 0.01,
  net = images_net { depth = 12, activation = nn.Tanh, init = normal(0.5) } })
add("softsign regression", vanishing, { data = function() return zoo.sine(512, 6) end, layers = "h1",
  loss = nn.MSELoss(), net = function()
    return mlp { depth = 12, inputs = 6, outputs = 1, activation = nn.Softsign, init = normal(0.6) }
  end })

-- ---- it explodes -------------------------------------------------------------------------------------------------
local exploding = { "exploding_gradient" }
add("relu 15, twice He", exploding, { data = zoo.images, layers = "h1", lr = 1e-9, quick = true,
  net = images_net { depth = 15, init = normal(2 * math.sqrt(2)) } })
add("residual 30 without scale", exploding, { data = zoo.images, lr = 1e-12, steps = 60,
  net = images_net { depth = 30, init = inits.he, skip = 1 } })
add("linear 20, twice too large", exploding, { data = blobs, layers = "h1", lr = 1e-12, net = function()
  return mlp { depth = 20, inputs = 8, outputs = 4, activation = nn.Identity, init = normal(2) }
end })
add("regression with a learning rate beyond all bounds", { "exploding_gradient", "numeric_overflow" },
  { data = function() return zoo.sine(512, 6) end, loss = nn.MSELoss(), lr = 3, quick = true,
    net = function() return mlp { depth = 3, inputs = 6, outputs = 1, init = inits.he } end })
add("the learning rate jumps at step 100", { "exploding_gradient", "numeric_overflow" },
  { data = function() return zoo.sine(512, 6) end, loss = nn.MSELoss(), lr = 0.01, since = { 95, 115 }, steps = 200,
    net = function() return mlp { depth = 3, inputs = 6, outputs = 1, init = inits.he } end,
    during = function(step, _, opt) if step == 100 then opt.param_groups[1].lr = 50 end end })

-- ---- numbers leave the range -------------------------------------------------------------------------------------
add("a logarithm of zero", { "numeric_overflow" }, { data = zoo.images, since = { 90, 110 }, steps = 200,
  net = images_net { depth = 3, init = inits.he }, during = once(100,
  function(net) net.h2.weight:mul_(math.huge) end) })

-- ---- dead units --------------------------------------------------------------------------------------------------
local dead = { "dead_units" }
add("relu with biases of -30", dead, { data = zoo.images, layers = "a1", quick = true,
  net = images_net { depth = 3, width = 100, init = inits.he, bias = -30 } })
add("relu killed at step 80", dead, { data = blobs, layers = "a2", since = { 75, 95 }, steps = 200,
  net = function() return mlp { depth = 3, inputs = 8, outputs = 4, init = inits.he } end,
  during = once(80, function(net) net.h2.bias:fill_(-1000) end) })
add("three quarters of one layer", dead, { data = zoo.images, layers = "a2",
  net = function()
    local net = mlp { depth = 4, inputs = 784, init = inits.he }
    sonde.no_grad(function() net.h2.bias[{ { 1, 48 } }]:fill_(-1000) end)
    return net
  end })
add("relu6 regression, dead from the start", dead, { data = function() return zoo.sine(512, 6) end,
  loss = nn.MSELoss(), layers = "a1", net = function()
    return mlp { depth = 2, inputs = 6, outputs = 1, init = inits.he, bias = -100 }
  end })

-- ---- saturation --------------------------------------------------------------------------------------------------
local saturated = { "saturated_units" }
add("tanh 3 with huge weights", { "saturated_units" }, { data = zoo.images, layers = "a2", lr = 1e-3, quick = true,
  also = { "exploding_gradient" }, net = images_net { depth = 3, activation = nn.Tanh, init = normal(8) } })
add("sigmoid 2 with huge inputs", saturated, { data = function()
  local set = zoo.images()
  return data.tensors { set.inputs * 100, set.targets }
end, layers = "a1", net = images_net { depth = 2, activation = nn.Sigmoid, init = inits.lecun } })
add("hardtanh pushed out at step 60", saturated, { data = zoo.images, layers = "a2", since = { 55, 70 },
  also = { "vanishing_gradient" },
  net = function()
    return mlp { depth = 3, inputs = 784, activation = nn.Hardtanh, init = zoo.normal(0.5) }
  end,
  during = once(60, function(net) net.h2.bias:fill_(50) end) })

-- ---- no progress -------------------------------------------------------------------------------------------------
local slow = { "slow_progress" }
add("learning rate of 1e-7", slow, { data = zoo.images, lr = 1e-7, net = images_net { depth = 3, init = inits.he },
  quick = true })
add("learning rate of 1e-6 on spirals", slow, { data = spirals, lr = 1e-6,
  net = function() return mlp { depth = 2, inputs = 2, outputs = 3, init = inits.he } end })
add("tiny steps of Adam", slow, { data = function() return zoo.sine(512, 6) end, loss = nn.MSELoss(),
  optimizer = adam(1e-8), net = function() return mlp { depth = 2, inputs = 6, outputs = 1, init = inits.he } end })

-- ---- unbalanced updates ------------------------------------------------------------------------------------------
local unbalanced = { "unbalanced_updates" }
add("one layer's learning rate 1e-4 of the others", unbalanced, { data = zoo.images, layers = "h2.weight", quick = true,
  optimizer = one_rate("h2.weight", 1e-4, 0.05), net = images_net { depth = 4, init = inits.he } })
add("one layer's weights a thousand times too large", unbalanced, { data = blobs, layers = "h2.weight",
  net = function()
    return nn.Sequential { h1 = nil }
      :add("h1", nn.Linear(8, 64)):add(nn.BatchNorm1d(64)):add(nn.ReLU())
      :add("h2", nn.Linear(64, 64)):add("n2", nn.BatchNorm1d(64)):add(nn.ReLU())
      :add("h3", nn.Linear(64, 64)):add(nn.BatchNorm1d(64)):add(nn.ReLU()):add("out", nn.Linear(64, 4))
  end, during = once(1, function(net) net.h2.weight:mul_(1000) end) })

-- ---- healthy -----------------------------------------------------------------------------------------------------
local healthy = {}
add("relu 10 He", healthy, { data = zoo.images, net = images_net { depth = 10, init = inits.he }, quick = true })
add("relu 20 He with Adam", healthy, { data = zoo.images, optimizer = adam(1e-3), steps = 200,
  net = images_net { depth = 20, init = inits.he } })
add("relu 3 fitted to 256 images", healthy, { data = function() return zoo.images():subset(256) end, quick = true,
  steps = 400, batch_size = 256, optimizer = adam(1e-3), net = images_net { depth = 3, width = 100, init = inits.he } })
add("selu 30", healthy, { data = zoo.images, lr = 0.01,
  net = images_net { depth = 30, activation = nn.SELU, init = inits.lecun } })
add("tanh 8 glorot", healthy, { data = zoo.images, net = images_net { depth = 8, activation = nn.Tanh,
  init = inits.glorot } })
add("tanh 30 orthogonal", healthy, { data = zoo.images, lr = 0.02, net = images_net { depth = 30,
  activation = nn.Tanh, init = inits.orthogonal } })
add("batch-normalised sigmoid 10", healthy, { data = zoo.images, quick = true,
  net = images_net { depth = 10, activation = nn.Sigmoid, init = inits.glorot, norm = nn.BatchNorm1d } })
add("batch-normalised relu 15", healthy, { data = zoo.images,
  net = images_net { depth = 15, init = inits.he, norm = nn.BatchNorm1d } })
add("residual 30, scaled", healthy, { data = zoo.images, lr = 0.02, quick = true,
  net = images_net { depth = 30, init = inits.he, skip = 1 / math.sqrt(30) } })
add("residual 20, normalised", healthy, { data = zoo.images, lr = 0.02,
  net = images_net { depth = 20, init = inits.he, skip = 0.3, norm = nn.LayerNorm } })
add("residual 12, zero scale", healthy, { data = zoo.images, lr = 0.05,
  net = images_net { depth = 12, init = inits.he, skip = 0.1 } })
add("gelu 6 with AdamW", healthy, { data = zoo.images,
  optimizer = function(p) return optim.AdamW(p, { lr = 1e-3 }) end,
  net = images_net { depth = 6, activation = nn.GELU, init = inits.he } })
add("one hidden layer of four units", healthy, { data = spirals, lr = 0.5, steps = 400,
  net = function() return mlp { depth = 1, width = 4, inputs = 2, outputs = 3, activation = nn.Tanh,
    init = inits.lecun } end })
add("logistic regression", healthy, { data = blobs, lr = 0.1,
  net = function() return nn.Sequential { nn.Linear(8, 4) } end })
add("regression of targets of size 1e-4", healthy, { data = function() return zoo.sine(512, 6, 1e-4) end,
  loss = nn.MSELoss(), optimizer = adam(1e-3), steps = 300,
  net = function() return mlp { depth = 3, inputs = 6, outputs = 1, init = inits.he } end })
add("regression of targets of size 1e4", healthy, { data = function() return zoo.sine(512, 6, 1e4) end,
  loss = nn.MSELoss(), optimizer = adam(1e-1), steps = 300,
  net = function() return mlp { depth = 2, inputs = 6, outputs = 1, init = inits.he } end })
add("leaky relu 12", healthy, { data = blobs, lr = 0.02, net = function()
  return mlp { depth = 12, inputs = 8, outputs = 4, init = inits.he,
    activation = function() return nn.LeakyReLU(0.1) end }
end })
add("sigmoid 2", healthy, { data = zoo.images, lr = 0.5, steps = 300, net = images_net { depth = 2,
  activation = nn.Sigmoid, init = inits.glorot } })
add("dropout relu 4", healthy, { data = zoo.images, net = images_net { depth = 4, init = inits.he, dropout = 0.2 } })
add("converged blobs", healthy, { data = blobs, steps = 600, lr = 0.1,
  net = function() return mlp { depth = 2, inputs = 8, outputs = 4, init = inits.he } end })
add("momentum and clipping", healthy, { data = zoo.images, lr = 0.02, momentum = 0.9, clip = 1,
  net = images_net { depth = 6, init = inits.he } })

return cases
