--- What activations and noise do to units at initialisation and after: P08 (measured half), P15, P33.
--- Sources: Klambauer et al. 2017; mean-field theory; Lu et al. 2019.
local sonde = require "sonde"
local science = require "support.science"
local nn, optim = sonde.nn, sonde.optim
local within = science.within

local function he_normal(w) nn.init.kaiming_normal_(w, { nonlinearity = "relu" }) end

describe("P08 activations after 50 layers of 256, LeCun's weights", function()
  local function moments(activation)
    local net = science.mlp { depth = 50, width = 256, activation = activation, init = nn.init.lecun_normal_ }
    local x = sonde.no_grad(function()
      local h = science.batch(1, 256)
      for _, m in ipairs(net:children()) do
        if m == net.out then return h end
        h = m(h)
      end
    end)
    return x:mean():item(), x:var():item()
  end

  it("SELU keeps mean 0 and variance 1", function()
    science.seeds(3, function()
      local mean, variance = moments(nn.SELU)
      within("mean", mean, -0.1, 0.1)
      within("variance", variance, 0.85, 1.15)
      return true
    end)
  end)

  it("ELU and ReLU do not", function()
    sonde.manual_seed(1)
    within("ELU variance", select(2, moments(nn.ELU)), 0, 0.02)
    within("ReLU variance", select(2, moments(nn.ReLU)), 0, 1e-12)
  end)
end)

describe("P15 dropout of one half after each of 20 activations", function()
  local function measured(activation, init)
    return science.seeds(5, function(seed)
      local net = science.mlp {
        depth = 20, width = 200, init = init,
        activation = function() return nn.Sequential { activation(), nn.Dropout(0.5) } end,
      }
      local probe <close> = sonde.probe.attach(net)
      local y = net((science.batch(seed, 128)))
      y:backward(sonde.randn(y:shape(), { dtype = "float64" }))
      probe:step()
      local row, delta = probe:last().activation_grad, {}
      for i = 1, 20 do delta[i] = row["h" .. i].l2_norm end
      return { step = science.step(delta, 4), ratio = delta[1] / delta[20] }
    end)
  end

  it("ReLU with He: the gradient grows by 1/sqrt(1 - p) a layer", function()
    local steps = {}
    for i, run in ipairs(measured(nn.ReLU, he_normal)) do steps[i] = run.step end
    within("step", science.geometric_mean(steps), 1.37, 1.46)
  end)

  it("sigmoid with Glorot: it still vanishes", function()
    for _, run in ipairs(measured(nn.Sigmoid, nn.init.xavier_uniform_)) do
      within("step", run.step, 0.30, 0.335)
      within("delta1/delta20", run.ratio, 0, 1e-8)
    end
  end)
end)

describe("P33 dead units", function()
  local function trained(activation, make_optimizer)
    sonde.manual_seed(1)
    local net = science.mlp { depth = 3, width = 100, activation = activation, init = he_normal }:to("float32")
    for i = 1, 3 do nn.init.constant_(net["h" .. i].bias, -30) end
    local opt, loss_fn, largest = make_optimizer(net:parameters()), nn.CrossEntropyLoss(), 0
    for step = 1, 300 do
      local x, y = science.batch(step, 128)
      opt:zero_grad()
      loss_fn(net(x:to("float32")), y):backward()
      for i = 1, 3 do largest = math.max(largest, net["h" .. i].weight.grad:abs():max():item()) end
      opt:step()
    end
    local right, n = 0, 0
    for k = 501, 510 do -- images the training has not seen
      local x, y = science.batch(k, 100)
      local _, guess = net(x:to("float32")):max(2)
      right, n = right + guess:eq(y):sum():item(), n + 100
    end
    return right / n, largest
  end
  local function sgd(p) return optim.SGD(p, { lr = 0.1 }) end
  local function adam(p) return optim.Adam(p, { lr = 1e-3 }) end

  for name, make in pairs { SGD = sgd, Adam = adam } do
    it("ReLU under biases of -30 never moves, " .. name, function()
      local accuracy, largest = trained(nn.ReLU, make)
      assert.equal(0, largest)
      within("accuracy", accuracy, 0, 0.15)
    end)
  end

  it("leaky ReLU with Adam recovers", function()
    within("accuracy", (trained(function() return nn.LeakyReLU(0.1) end, adam)), 0.6, 1)
  end)

  for name, case in pairs {
    ReLU = { nn.ReLU, 20 }, ELU = { nn.ELU, 20 }, LeakyReLU = { nn.LeakyReLU, 0 },
  } do
    it(("20 of 50 units shifted by -1000: %d rows without gradient, %s"):format(case[2], name), function()
      sonde.manual_seed(2)
      local hidden, out = nn.Linear(30, 50, { dtype = "float64" }), nn.Linear(50, 5, { dtype = "float64" })
      sonde.no_grad(function() hidden.bias[{ { 1, 20 } }]:sub_(1000) end)
      local y = out(case[1]()(hidden(sonde.randn(64, 30, { dtype = "float64" }))))
      nn.CrossEntropyLoss()(y, sonde.randint(1, 5, { 64 })):backward()
      local zero = hidden.weight.grad:abs():sum(2):eq(0):sum():item()
      assert.equal(case[2], zero)
    end)
  end
end)
