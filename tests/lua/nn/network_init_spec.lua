--- Initialisers of whole networks and of recurrent layers' gates: lsuv_, fixup_, forget_bias_, chrono_.
local sonde = require "sonde"
local core = require "sonde.core"
local expect = require "support.expect"
local nn = sonde.nn
local init = nn.init

local DOUBLE = { dtype = "float64" }

before_each(function() sonde.manual_seed(1) end)

describe("nn.init.lsuv_", function()
  local function network()
    return nn.Sequential {
      nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(6 * 36, 40), nn.Tanh(), nn.Linear(40, 5),
    }
  end

  --- The variance of each weight layer's output for x.
  local function variances(net, x)
    local list, h = {}, x
    sonde.no_grad(function()
      net:eval()
      for _, m in ipairs(net:children()) do
        h = m(h)
        if m:class_name() == "Linear" or m:class_name() == "Conv2d" then list[#list + 1] = h:std():item() ^ 2 end
      end
    end)
    return list
  end

  it("gives every layer's output unit variance", function()
    for _, options in ipairs { {}, { orthogonal = false }, { std = 3, tol = 1e-6 } } do
      local net, x = network(), sonde.randn(64, 2, 8, 8) * 7 + 1
      local same, report = init.lsuv_(net, x, options)
      assert.is_true(same == net and net.training and net[3].training)
      assert.same({ "1", "5", "7" }, { report[1].path, report[2].path, report[3].path })
      local wanted = (options.std or 1) ^ 2
      for i, variance in ipairs(variances(net, x)) do
        expect.values(1, variance / wanted, math.max(options.tol or 0.1, 1e-5))
        expect.values(math.sqrt(variance), report[i].std, 1e-4 * report[i].std)
        assert.is_true(report[i].iterations <= 10)
      end
    end
  end)

  it("keeps the directions of orthogonal weights", function()
    local net = nn.Sequential { nn.Linear(20, 20, DOUBLE), nn.Tanh(), nn.Linear(20, 20, DOUBLE) }
    init.lsuv_(net, sonde.randn(50, 20, DOUBLE))
    local w = net[3].weight:detach()
    local gram = w:matmul(w:t())
    expect.values(0, (gram / gram[1][1]:item() - sonde.eye(20, DOUBLE)):abs():max():item(), 1e-12)
  end)

  it("leaves modes, hooks, gradients and random streams as they were", function()
    local net, x = network(), sonde.randn(8, 2, 8, 8)
    net[3]:eval()
    local shared = nn.Sequential { nn.Sequential { nn.Identity() } } -- two parents, in three modes
    local first, second = nn.Sequential { shared }, nn.Sequential { shared }
    net:add(first):add(second)
    second:eval()
    shared.training = true
    init.lsuv_(net, x, { orthogonal = false })
    assert.is_true(net[1].training and not net[3].training and net[5].training)
    assert.is_true(first.training and not second.training)
    assert.is_true(shared.training and not shared[1].training and not shared[1][1].training)
    assert.is_true(net[1].weight.requires_grad and net[1].weight.is_leaf and net[1].weight.grad == nil)
    local before = net[1].weight:clone()
    net(x * 10):sum():backward() -- no hook is left to scale anything
    assert.is_true(before:equal(net[1].weight))
  end)

  it("checks its arguments", function()
    local net, x = network(), sonde.randn(4, 2, 8, 8)
    expect.error("expected Module, got table", function() init.lsuv_({}, x) end)
    expect.error("no Linear layer and no convolution", function() init.lsuv_(nn.Sequential { nn.Tanh() }, x) end)
    expect.error("std must be a positive number, got 0", function() init.lsuv_(net, x, { std = 0 }) end)
    expect.error("max_iters must be an integer of at least 1, got 0",
      function() init.lsuv_(net, x, { max_iters = 0 }) end)
    expect.error("unknown option 'tolerance'", function() init.lsuv_(net, x, { tolerance = 1 }) end)
    nn.init.zeros_(net[1].bias)
    expect.error("the output of layer '1' (Conv2d) has a standard deviation of 0",
      function() init.lsuv_(net, sonde.zeros(4, 2, 8, 8)) end)
    assert.is_true(net.training)
    expect.error("features", function() init.lsuv_(net, sonde.zeros(4, 2, 5, 5) + 1) end)
  end)
end)

describe("nn.init.fixup_", function()
  local function block(n)
    local branch = nn.Sequential {}
    for i = 1, n do
      if i > 1 then branch:add(nn.ReLU()) end
      branch:add(nn.Linear(100, 100))
    end
    return nn.Residual(branch)
  end

  it("scales m-layer branches by L^(-1/(2m-2)) and starts their last layers and the output at 0", function()
    local net = nn.Sequential { nn.Linear(100, 100), block(2), block(3), block(1), nn.Linear(100, 10) }
    assert.is_true(init.fixup_(net) == net)
    local he = math.sqrt(2 / 100)
    expect.values(he, net[1].weight:std():item(), 0.03 * he)
    expect.values(he * 3 ^ (-1 / 2), net[2].block[1].weight:std():item(), 0.03 * he)
    expect.values(he * 3 ^ (-1 / 4), net[3].block[1].weight:std():item(), 0.03 * he)
    expect.values(he * 3 ^ (-1 / 4), net[3].block[3].weight:std():item(), 0.03 * he)
    for _, last in ipairs { net[2].block[3], net[3].block[5], net[4].block, net[5] } do
      local w = (last:class_name() == "Linear" and last or last[1]).weight
      expect.values(0, w:abs():max():item(), 0)
    end
    expect.values(0, net[1].bias:abs():max():item(), 0)
    init.fixup_(net, { zero_output = false })
    assert.is_true(net[5].weight:std():item() > 0)
  end)

  it("makes the network the identity around its branches", function()
    local net = nn.Sequential { block(2), block(2) }
    init.fixup_(net)
    local x = sonde.randn(3, 100)
    assert.is_true(net(x):equal(x))
  end)

  it("takes a shortcut for no branch, and an inner Residual for its own", function()
    local inner = block(2)
    local outer = nn.Residual(nn.Sequential { nn.Linear(100, 100), inner, nn.Linear(100, 100) },
      { shortcut = nn.Linear(100, 100) })
    init.fixup_(nn.Sequential { outer })
    local he = math.sqrt(2 / 100)
    expect.values(he, outer.shortcut.weight:std():item(), 0.03 * he)
    expect.values(he * 2 ^ (-1 / 2), outer.block[1].weight:std():item(), 0.03 * he)
    expect.values(he * 2 ^ (-1 / 2), inner.block[1].weight:std():item(), 0.03 * he)
    expect.values(0, outer.block[3].weight:abs():max():item(), 0)
  end)

  it("checks its arguments", function()
    expect.error("has no Residual", function() init.fixup_(nn.Sequential { nn.Linear(2, 2) }) end)
    expect.error("expected Module, got nil", function() init.fixup_() end)
    expect.error("unknown option 'zero'", function() init.fixup_(nn.Residual(nn.Linear(2, 2)), { zero = true }) end)
    expect.error("no gain is known for 'step'",
      function() init.fixup_(nn.Residual(nn.Linear(2, 2)), { nonlinearity = "step" }) end)
    expect.error("expected one of fan_in, fan_out; got 'fan'",
      function() init.fixup_(nn.Residual(nn.Linear(2, 2)), { mode = "fan" }) end)
  end)
end)

describe("gates", function()
  --- The sum of the two biases of gate k of n.
  local function gate(layer, k, n, suffix)
    local sum = layer["bias_ih" .. suffix] + layer["bias_hh" .. suffix]
    local units = sum:size(1) // n
    return sum:detach():narrow(1, (k - 1) * units + 1, units)
  end

  it("forget_bias_ opens the gate that keeps the state", function()
    local lstm = init.forget_bias_(nn.LSTM(3, 4, { num_layers = 2, bidirectional = true }), 2)
    for _, suffix in ipairs { "_l0", "_l0_reverse", "_l1", "_l1_reverse" } do
      expect.values({ 2, 2, 2, 2 }, gate(lstm, 2, 4, suffix), 0)
      assert.is_true(gate(lstm, 1, 4, suffix):abs():min():item() > 0) -- the others are not touched
    end
    expect.values({ 1, 1 }, gate(init.forget_bias_(nn.GRUCell(3, 2)), 2, 3, ""), 0)
    expect.values({ 3 }, gate(init.forget_bias_(nn.LSTMCell(3, 1), { value = 3 }), 2, 4, ""), 0)
    assert.is_true(lstm.bias_ih_l0.requires_grad and lstm.bias_ih_l0.is_leaf)
  end)

  it("chrono_ draws memories between 1 and t_max steps", function()
    local lstm = init.chrono_(nn.LSTM(1, 5000, { dtype = "float64" }), 51)
    local forget, input = gate(lstm, 2, 4, "_l0"), gate(lstm, 1, 4, "_l0")
    assert.is_true(forget:equal(-input))
    local memory = forget:exp() -- U(1, 50)
    assert.is_true(memory:min():item() >= 1 and memory:max():item() <= 50)
    expect.values(25.5, memory:mean():item(), 1)
    expect.values(49 / math.sqrt(12), memory:std():item(), 0.5)
    local gru = init.chrono_(nn.GRU(1, 50), { t_max = 2 })
    expect.values(0, gate(gru, 2, 3, "_l0"):abs():max():item(), 0) -- log 1
    assert.is_true(gate(gru, 1, 3, "_l0"):abs():max():item() > 0)
  end)

  it("draw one stream for each layer and direction", function()
    local layer = nn.LSTM(2, 6, { num_layers = 2 })
    sonde.manual_seed(7)
    init.chrono_(layer, 30)
    local after = init.normal_(sonde.zeros(3))
    sonde.manual_seed(7)
    local first = init.uniform_(sonde.zeros(6), 1, 29):log()
    init.uniform_(sonde.zeros(6))
    assert.is_true(after:equal(init.normal_(sonde.zeros(3))))
    assert.is_true(first:equal(gate(layer, 2, 4, "_l0")))
    local g = core.random.stream(1, "mine")
    init.chrono_(layer, 30, { generator = g })
  end)

  it("check their arguments", function()
    expect.error("expected an LSTM or a GRU, or a cell of one, got Linear",
      function() init.chrono_(nn.Linear(2, 2), 10) end)
    expect.error("got RNN", function() init.forget_bias_(nn.RNN(2, 2)) end)
    expect.error("got nil", function() init.forget_bias_() end)
    expect.error("this LSTM has no biases", function() init.chrono_(nn.LSTM(2, 2, { bias = false }), 10) end)
    expect.error("t_max must be a number of at least 2, got 1", function() init.chrono_(nn.LSTM(2, 2), 1) end)
    expect.error("value must be a number, got x", function() init.forget_bias_(nn.LSTM(2, 2), "x") end)
  end)
end)
