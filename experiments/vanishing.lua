-- Gradients that vanish: a deep sigmoid network on Fashion-MNIST.
--
-- The derivative of the sigmoid is at most 1/4. On its way back to the input the gradient passes twenty of them, so
-- with Xavier's weights it shrinks about fourfold per layer (mean-field theory: by a factor of 0.236), twelve decades
-- in all. The first layers' steps are then so small that float32 rounds them away: those weights never move. (Glorot
-- and Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks"; He et al. 2015,
-- "Delving deep into rectifiers", for the cure.)
local sonde = require "sonde"
local nn, optim, data = sonde.nn, sonde.optim, sonde.data

local activations = {
  sigmoid = nn.Sigmoid, tanh = nn.Tanh, relu = nn.ReLU, elu = nn.ELU, gelu = nn.GELU, silu = nn.SiLU,
}
local inits = {
  xavier_uniform = nn.init.xavier_uniform_, xavier_normal = nn.init.xavier_normal_,
  kaiming_uniform = function(w) nn.init.kaiming_uniform_(w, { nonlinearity = "relu" }) end,
  kaiming_normal = function(w) nn.init.kaiming_normal_(w, { nonlinearity = "relu" }) end,
  lecun_normal = nn.init.lecun_normal_, orthogonal = nn.init.orthogonal_,
}

local function build(p)
  local net = nn.Sequential { nn.Flatten() }
  local function linear(name, inputs, outputs)
    local layer = nn.Linear(inputs, outputs)
    inits[p.init](layer.weight)
    nn.init.zeros_(layer.bias)
    net:add(name, layer)
  end
  for i = 1, p.depth do
    linear("h" .. i, i == 1 and 784 or p.width, p.width)
    if p.batch_norm then net:add("bn" .. i, nn.BatchNorm1d(p.width)) end
    net:add("a" .. i, activations[p.activation]())
  end
  linear("out", p.width, 10)
  return net
end

return {
  name = "vanishing",
  about = "Does the gradient reach the first layers of a deep sigmoid network?",
  params = {
    depth = { 20, "hidden layers", min = 1, max = 200 },
    width = { 100, "units in each of them", min = 1 },
    activation = { "sigmoid", "after each hidden layer",
      choices = { "sigmoid", "tanh", "relu", "elu", "gelu", "silu" } },
    init = { "xavier_uniform", "how the weights start",
      choices = { "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal", "lecun_normal",
        "orthogonal" } },
    batch_norm = { false, "batch normalisation before each activation" },
    lr = { 0.05, "learning rate of plain SGD", min = 0 },
    batch_size = { 128, "images per step", min = 1 },
    steps = { 300, "training steps", min = 1 },
  },
  grid = { depth = { 5, 10, 20, 40 } },

  run = function(p, run)
    local train = data.fashion_mnist { split = "train", normalize = true }
    local test = data.fashion_mnist { split = "test", normalize = true }
    local net = run:model(build(p))
    local optimizer = run:optimizer(optim.SGD(net:parameters(), { lr = p.lr }))
    local loss_fn = nn.CrossEntropyLoss()
    run:probe(net)
    local summary = run:summary(net)
    for x, y in run:batches(train, { batch_size = p.batch_size, steps = p.steps }) do
      optimizer:zero_grad()
      local loss = loss_fn(net(x), y)
      loss:backward()
      optimizer:step()
      run:log { loss = loss:item() }
    end
    local score = run:evaluate(net, test)

    print(summary)
    print(("\nloss on new images %.3f, %.1f %% of them right (guessing: 10 %%)"):format(score.loss,
      100 * score.accuracy))
    if summary:ratio() < 1e-3 then
      print(("The gradient of the first layers is %.0e of the largest: it vanished on its way to them.")
        :format(summary:ratio()))
      local cure = { activation = "relu", init = "kaiming_normal" }
      print("See it cured: " .. run:command { set = cure, out = "cured.h5" })
    end
    return { test_loss = score.loss, test_accuracy = score.accuracy }
  end,
}
