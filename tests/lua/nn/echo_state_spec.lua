--- Echo state networks, ridge regression, spectral radius, and truncated back-propagation through time.
local sonde = require "sonde"
local core = require "sonde.core"
local expect = require "support.expect"
local nn = sonde.nn

local DOUBLE = { dtype = "float64" }

describe("spectral radius", function()
  it("is the largest modulus of the eigenvalues", function()
    local function radius(rows) return nn.utils.spectral_radius(sonde.tensor(rows, DOUBLE)) end
    expect.values(2, radius { { 1, 1 }, { 1, 1 } })
    expect.values(math.sqrt(5), radius { { 1, 2 }, { -2, 1 } }, 1e-12) -- 1 ± 2i
    expect.values(3, radius { { -3, 5, 1 }, { 0, 1, 7 }, { 0, 0, 2 } }, 1e-12)
    expect.values(0, radius { { 0, 1 }, { 0, 0 } })
    local w = nn.init.spectral_radius_(sonde.randn(30, 30), 1.25)
    expect.values(1.25, nn.utils.spectral_radius(w), 1e-5)
    expect.error("spectral radius 0 cannot be scaled", function() nn.init.spectral_radius_(sonde.zeros(2, 2), 1) end)
    expect.error("takes a square matrix, got shape [2, 3]", function() nn.utils.spectral_radius(sonde.ones(2, 3)) end)
    local broken = sonde.tensor({ { 1, 0 / 0 }, { 0, 1 } }, DOUBLE)
    expect.error("not finite", function() nn.utils.spectral_radius(broken) end)
    expect.error("is not negative and finite, got -1", function() nn.init.spectral_radius_(sonde.ones(2, 2), -1) end)
  end)

  it("of a reservoir is what was asked for, with as many links a unit", function()
    local w = nn.init.reservoir_(sonde.zeros(40, 40, DOUBLE), { spectral_radius = 0.7, links = 5 })
    expect.values(0.7, nn.utils.spectral_radius(w), 1e-12)
    for _, n in ipairs(w:ne(0):sum(2):totable()) do assert.equal(5, n) end
    expect.error("a unit has 1 to 3 links, got 4", function() nn.init.reservoir_(sonde.zeros(3, 3), 0.7, 4) end)
  end)
end)

describe("ridge", function()
  it("finds weights and a constant, and shrinks the weights alone", function()
    local x = sonde.randn({ 50, 3 }, DOUBLE)
    local w, b = sonde.tensor({ { 1, -2, 3 }, { 0, 1, 0 } }, DOUBLE), sonde.tensor({ 4, -5 }, DOUBLE)
    local y = x:matmul(w:t()) + b
    local weight, bias = nn.utils.ridge(x, y)
    expect.values(w:totable(), weight, 1e-12)
    expect.values(b:totable(), bias, 1e-12)
    local shrunk, mean = nn.utils.ridge(x, y, 1e12)
    expect.values({ { 0, 0, 0 }, { 0, 0, 0 } }, shrunk, 1e-8)
    expect.values(y:mean(1):totable(), mean, 1e-6)
  end)

  it("solves the normal equations", function()
    local x, y = sonde.randn({ 20, 4 }, DOUBLE), sonde.randn({ 20, 1 }, DOUBLE)
    local weight, bias = nn.utils.ridge(x, y, 0.3)
    local left = y - x:matmul(weight:t()) - bias
    expect.values((weight:t() * 0.3):totable(), x:t():matmul(left), 1e-12)
    expect.values(0, left:sum(), 1e-12)
  end)

  it("refuses what does not fit", function()
    expect.error("got [3, 2] and [4, 1]", function() nn.utils.ridge(sonde.ones(3, 2), sonde.ones(4, 1)) end)
    expect.error("got [0, 2] and [0, 1]", function() nn.utils.ridge(sonde.ones(0, 2), sonde.ones(0, 1)) end)
    expect.error("expected a number from 0, got -1",
      function() nn.utils.ridge(sonde.ones(3, 2), sonde.ones(3, 1), -1) end)
    expect.error("the columns depend on each other", function() nn.utils.ridge(sonde.zeros(3, 2), sonde.ones(3, 1)) end)
  end)
end)

describe("EchoStateNetwork", function()
  it("is an RNN that stays as it is, and a readout that is solved for", function()
    sonde.manual_seed(5)
    local options = { sr = 0.8, leak = 0.5, input_scaling = 0.3, bias_scaling = 0.2, links = 4 }
    local esn = nn.EchoStateNetwork(2, 30, 1, options)
    expect.values(0.8, nn.utils.spectral_radius(esn.reservoir.weight_hh_l0), 1e-12)
    assert.is_true(esn.reservoir.weight_ih_l0:abs():max():item() <= 0.3)
    assert.is_true(esn.reservoir.bias_ih_l0:abs():max():item() <= 0.2)
    for _, p in ipairs(esn:parameters()) do assert.is_false(p.requires_grad) end
    local u = sonde.randn({ 200, 3, 2 }, DOUBLE)
    local wanted = esn.reservoir(u):matmul(sonde.linspace(-1, 1, 30, DOUBLE):unsqueeze(2)) + 0.7
    assert.is_true(esn:fit(u, wanted, { washout = 20, ridge = 1e-12 }) == esn)
    local y, state = esn(u)
    expect.values(wanted:flatten():totable(), y:flatten(), 1e-6)
    expect.shape({ 1, 3, 30 }, state)
  end)

  it("draws from a generator of its own", function()
    local function weights(seed)
      local stream = core.random.stream(seed, "reservoir")
      return nn.EchoStateNetwork(1, 10, 1, { generator = stream }).reservoir.weight_hh_l0
    end
    assert.is_true(weights(3):equal(weights(3)))
    assert.is_false(weights(3):equal(weights(4)))
  end)

  it("goes on alone", function()
    sonde.manual_seed(6)
    local esn = nn.EchoStateNetwork(1, 60, 1, { spectral_radius = 0.9, input_scaling = 0.5 })
    local wave = (sonde.arange(0, 400, { dtype = "float64" }) * 0.2):sin():reshape(400, 1, 1)
    esn:fit(wave[{ { 1, 299 } }], wave[{ { 2, 300 } }], { washout = 50, ridge = 1e-10 })
    local free = esn:generate(wave[{ { 1, 300 } }], 50)
    expect.shape({ 50, 1, 1 }, free)
    assert.is_true((free - wave[{ { 301, 350 } }]):abs():max():item() < 0.01)
  end)

  it("refuses what does not fit", function()
    expect.error("units must be an integer of at least 1, got 0", function() nn.EchoStateNetwork(1, 0, 1) end)
    expect.error("unknown option 'leek' (did you mean 'leak'?)", function() nn.EchoStateNetwork(1, 5, 1, {
      leek = 1 }) end)
    expect.error("leak must be above 0", function() nn.EchoStateNetwork(1, 5, 1, { leak = 2 }) end)
    expect.error("links and connectivity say the same", function()
      nn.EchoStateNetwork(1, 5, 1, { links = 2, connectivity = 0.5 })
    end)
    expect.error("connectivity must be above 0", function() nn.EchoStateNetwork(1, 5, 1, { connectivity = 3 }) end)
    local esn, u = nn.EchoStateNetwork(1, 5, 1), sonde.ones({ 10, 1, 1 }, DOUBLE)
    expect.error("washout must be an integer from 0 to 9, got 10", function() esn:fit(u, u, { washout = 10 }) end)
    expect.error("of the same steps and batch", function() esn:fit(u, u[{ { 1, 5 } }]) end)
    expect.error("inputs must be a Tensor [steps, batch, features], got nil", function() esn:fit() end)
    expect.error("targets must be a Tensor [steps, batch, features], got [10]", function() esn:fit(u, u:flatten()) end)
    expect.error("must be numbers", function() nn.EchoStateNetwork(1, 5, 1, { input_scaling = "x" }) end)
    expect.error("n must be an integer", function() esn:generate(u, 0) end)
    expect.error("needs a network of one input", function() nn.EchoStateNetwork(2, 5, 1):memory_capacity() end)
    expect.error("max_delay must be an integer", function() esn:memory_capacity { max_delay = 0 } end)
  end)
end)

describe("truncated back-propagation through time", function()
  it("carries the states on and stops the gradient between chunks", function()
    local m, x = nn.LSTM(2, 3, DOUBLE), sonde.randn({ 7, 2, 2 }, DOUBLE)
    local whole, outputs, spans = m(x), {}, {}
    local h0, c0 = sonde.zeros({ 1, 2, 3 }, DOUBLE):requires_grad_(), sonde.zeros({ 1, 2, 3 }, DOUBLE)
    for y, first, last in nn.utils.truncated_bptt(m, x, { steps = 3, states = { h0, c0 } }) do
      outputs[#outputs + 1], spans[#spans + 1] = y, { first, last }
    end
    assert.same({ { 1, 3 }, { 4, 6 }, { 7, 7 } }, spans)
    assert.is_true(sonde.cat(outputs, 1):equal(whole))
    outputs[2]:sum():backward()
    assert.is_nil(h0.grad) -- the second chunk ends at its own start
    outputs[1]:sum():backward()
    assert.is_true(h0.grad:abs():sum():item() > 0)
    expect.error("steps must be an integer of at least 1, got 0",
      function() nn.utils.truncated_bptt(m, x, { steps = 0 }) end)
    expect.error("unknown option 'step'", function() nn.utils.truncated_bptt(m, x, { step = 3 }) end)
  end)
end)
