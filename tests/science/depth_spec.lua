--- How gradients change from layer to layer at initialisation: checks P01, P02, P03, P04 and the measured half of P16.
--- Sources: Glorot & Bengio 2010; He et al. 2015; mean-field theory (Poole 2016, Schoenholz 2017).
local sonde = require "sonde"
local science = require "support.science"
local nn = sonde.nn
local within = science.within

local function measured(depth, width, activation, init)
  return science.seeds(5, function(seed)
    local net = science.mlp { depth = depth, width = width, activation = activation, init = init }
    return science.measure(net, depth, science.batch(seed, 128))
  end)
end

local function steps_of(runs)
  local steps = {}
  for i, run in ipairs(runs) do steps[i] = science.step(run.delta, 2) end
  return steps
end

local function he_normal(w) nn.init.kaiming_normal_(w, { nonlinearity = "relu" }) end
local function he_uniform(w) nn.init.kaiming_uniform_(w, { nonlinearity = "relu" }) end

describe("P01 sigmoid with Glorot: the gradient falls by 0.236 a layer", function()
  local depths, logs = { 5, 10, 20, 40 }, {}
  for _, depth in ipairs(depths) do
    it("depth " .. depth, function()
      local runs = measured(depth, 100, nn.Sigmoid, nn.init.xavier_uniform_)
      local ratios = {}
      for i, run in ipairs(runs) do
        if depth >= 10 then within("step", science.step(run.delta, 2), 0.22, 0.25) end
        ratios[i] = run.delta[1] / run.delta[depth]
        if depth == 20 then
          within("dW1/dWout", run.weight[1] / run.out, 0, 1e-11)
          within("delta1/delta20", ratios[i], 2e-13, 5e-12)
        end
      end
      logs[#logs + 1] = math.log(science.geometric_mean(ratios), 10)
    end)
  end
  it("is a straight line in log10 over depth", function()
    assert.equal(#depths, #logs)
    local slope, r2 = science.line(depths, logs)
    within("decades per layer", slope, math.log(0.22, 10), math.log(0.25, 10))
    within("r2", r2, 0.9999, 1)
  end)
end)

describe("P02 ReLU with He: the gradient keeps its size", function()
  for name, init in pairs { kaiming_normal = he_normal, kaiming_uniform = he_uniform } do
    for _, depth in ipairs { 5, 10, 20, 40 } do
      it(name .. ", depth " .. depth, function()
        local runs = measured(depth, 100, nn.ReLU, init)
        if depth >= 10 then within("step", science.geometric_mean(steps_of(runs)), 0.95, 1.05) end
        for _, run in ipairs(runs) do
          if depth == 20 then within("delta1/delta20", run.delta[1] / run.delta[20], 0.3, 3) end
          if depth == 20 then within("dW1/dWout", run.weight[1] / run.out, 0.03, 3) end
        end
      end)
    end
  end
end)

describe("P03 ReLU with Glorot", function()
  it("shrinks the deltas by 1/sqrt 2 a layer, while the weight-gradient ratio hides it", function()
    local runs = measured(20, 100, nn.ReLU, nn.init.xavier_uniform_)
    within("step", science.geometric_mean(steps_of(runs)), 0.67, 0.74)
    for _, run in ipairs(runs) do
      within("delta1/delta20", run.delta[1] / run.delta[20], 4e-4, 4e-3)
      within("dW1/dWout", run.weight[1] / run.out, 0.1, 10)
    end
  end)
end)

describe("P04 tanh, the usual uniform weights against Glorot's", function()
  local function measured_tanh(init)
    return science.seeds(5, function(seed)
      local net = science.mlp { depth = 10, width = 300, activation = nn.Tanh, init = init }
      return science.measure(net, 10, science.batch(seed, 256))
    end)
  end
  --- delta1/delta10 of mean-field theory; the first layer has 784 inputs of mean square 1.
  local function predicted(first, others)
    local sigmas = { first }
    for l = 2, 10 do sigmas[l] = others end
    return sonde.theory.profile("tanh", { sigma_w = sigmas, depth = 10 }).gradient[1]
  end

  it("U(±1/√fan_in) is linear after some layers: 1/√3 a layer, with flat weight gradients", function()
    local runs = measured_tanh(function(w)
      local bound = 1 / math.sqrt(w:size(2))
      nn.init.uniform_(w, -bound, bound)
    end)
    for _, run in ipairs(runs) do
      within("tail step", science.step(run.delta, 4), 0.56, 0.595)
      within("dW2/dW10", run.weight[2] / run.weight[10], 0.7, 1.4)
      within("delta1/delta10", run.delta[1] / run.delta[10], 0.004, 0.008)
    end
    within("theory", predicted(math.sqrt(1 / 3), math.sqrt(1 / 3)), 0.0053 - 5e-5, 0.0053 + 5e-5)
  end)

  it("Glorot loses far less", function()
    for _, run in ipairs(measured_tanh(nn.init.xavier_uniform_)) do
      within("delta1/delta10", run.delta[1] / run.delta[10], 0.2, 0.35)
    end
    within("theory", predicted(math.sqrt(2 * 784 / (784 + 300)), 1), 0.247 - 5e-4, 0.247 + 5e-4)
  end)
end)

describe("P16 ReLU with He times s", function()
  for _, s in ipairs { 0.5, 1, 2, 3 } do
    it("has a step of s = " .. s, function()
      local runs = measured(20, 256, nn.ReLU, function(w)
        he_normal(w)
        sonde.no_grad(function() w:mul_(s) end)
      end)
      within("step", science.geometric_mean(steps_of(runs)), 0.97 * s, 1.03 * s)
    end)
  end
end)
