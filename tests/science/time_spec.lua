--- Gradients through time at initialisation: checks P25, P26, P27.
--- Sources: Pascanu et al. 2013; Saxe et al. 2014; Hochreiter & Schmidhuber 1997; Gers et al. 2000 (forget gate).
local sonde = require "sonde"
local science = require "support.science"
local nn = sonde.nn
local within = science.within

local DOUBLE = { dtype = "float64" }

local function log10(x) return math.log(x, 10) end

local function set(parameter, value)
  sonde.no_grad(function() parameter:copy_(value) end)
end

--- An RNN without inputs or biases, whose state moves by `w` alone.
local function free_rnn(w, nonlinearity)
  local rnn = nn.RNN(1, w:size(1), { bias = false, nonlinearity = nonlinearity, dtype = "float64" })
  set(rnn.weight_hh_l0, w)
  return rnn
end

--- ‖dL/dh_0‖ / ‖dL/dh_T‖ for L = v·h_T with a random v.
local function gain(rnn, steps, h0)
  local n = rnn.weight_hh_l0:size(1)
  h0 = (h0 or sonde.zeros(1, 1, n, DOUBLE)):requires_grad_()
  local v = sonde.randn(1, 1, n, DOUBLE)
  local _, h = rnn(sonde.zeros(steps, 1, 1, DOUBLE), h0)
  local loss = (h * v):sum()
  loss:backward()
  return (h0.grad:norm() / v:norm()):item()
end

describe("P25 a linear RNN", function()
  it("that is rho times orthogonal multiplies the gradient by rho a step", function()
    sonde.manual_seed(1)
    local q = nn.init.orthogonal_(sonde.zeros(50, 50, DOUBLE))
    for _, rho in ipairs { 0.9, 1, 1.1 } do
      for _, steps in ipairs { 100, 500 } do
        within("rho " .. rho, gain(free_rnn(q * rho, "linear"), steps) / rho ^ steps - 1, -1e-11, 1e-11)
      end
    end
  end)

  it("of a Gaussian matrix goes with its spectral radius in the long run", function()
    sonde.manual_seed(2)
    for _, rho in ipairs { 0.5, 0.9, 1.1 } do
      local w = nn.init.spectral_radius_(nn.init.normal_(sonde.zeros(50, 50, DOUBLE)), rho)
      local rnn, rates = free_rnn(w, "linear"), {}
      for i, steps in ipairs { 200, 400 } do
        sonde.manual_seed(3) -- the same v
        rates[i] = gain(rnn, steps)
      end
      within("rate", (rates[2] / rates[1]) ^ (1 / 200), rho * 0.995, rho * 1.005)
    end
  end)

  it("with tanh vanishes at gain 0.5 and explodes at gain 3", function()
    for _, case in ipairs { { 0.5, -math.huge, -24 }, { 3, 8, math.huge } } do
      science.seeds(5, function()
        local w = sonde.randn(100, 100, DOUBLE) * (case[1] / 10)
        local ratio = gain(free_rnn(w, "tanh"), 100, sonde.randn(1, 1, 100, DOUBLE))
        within("log10 ratio at gain " .. case[1], log10(ratio), case[2], case[3])
      end)
    end
  end)
end)

--- An LSTM whose biases are 0 but the forget gate's.
local function lstm_with(inputs, hidden, forget_bias, options)
  options = options or {}
  options.dtype = "float64"
  local lstm = nn.LSTM(inputs, hidden, options)
  local bias = sonde.zeros(4 * hidden, DOUBLE)
  bias:narrow(1, hidden + 1, hidden):fill_(forget_bias)
  set(lstm.bias_ih_l0, bias)
  set(lstm.bias_hh_l0, sonde.zeros(4 * hidden, DOUBLE))
  return lstm
end

describe("P26 an LSTM's cell", function()
  it("keeps sigmoid(b)^T of the gradient where all weights are 0", function()
    for _, case in ipairs { { 1, 2.4843786e-14, 1e-7 }, { 5, 0.51092378, 1e-7 }, { 0, 2 ^ -100, 1e-10 } } do
      local b, printed, digits = table.unpack(case)
      local lstm = lstm_with(2, 3, b)
      set(lstm.weight_ih_l0, sonde.zeros(12, 2, DOUBLE))
      set(lstm.weight_hh_l0, sonde.zeros(12, 3, DOUBLE))
      local c0 = sonde.randn(1, 1, 3, DOUBLE):requires_grad_()
      local _, _, c = lstm(sonde.randn(100, 1, 2, DOUBLE), nil, c0)
      c:sum():backward()
      for j = 1, 3 do
        within("b " .. b, c0.grad[1][1][j]:item() * (1 + math.exp(-b)) ^ 100 - 1, -1e-10, 1e-10)
        within("as printed", c0.grad[1][1][j]:item() / printed - 1, -digits, digits)
      end
    end
  end)

  local STEPS, HIDDEN, INPUTS = 100, 64, 4

  --- log10(‖dL/dc_0‖ / ‖dL/dc_T‖) of five seeds, L = sum h_T; of h where there is no cell.
  local function ratios(make)
    return science.seeds(5, function()
      local net, last = make(), nil
      local zeros = { sonde.zeros(1, 1, HIDDEN, DOUBLE):requires_grad_(), sonde.zeros(1, 1, HIDDEN,
        DOUBLE):requires_grad_() }
      local is_lstm = net:class_name() == "LSTM"
      local handle = net:register_hidden_grad_hook(function(gradient, where)
        if where.step == STEPS and where.cell == is_lstm then last = gradient:norm():item() end
      end)
      local _, h = net(sonde.randn(STEPS, 1, INPUTS, DOUBLE), zeros[1], is_lstm and zeros[2] or nil)
      h:sum():backward()
      handle:remove()
      return log10(zeros[is_lstm and 2 or 1].grad:norm():item() / last)
    end)
  end

  for _, case in ipairs { { 0, -math.huge, -15 }, { 1, -9, -5 }, { 3, -1, math.huge } } do
    it("vanishes or lives by its forget bias: " .. case[1], function()
      for _, ratio in ipairs(ratios(function() return lstm_with(INPUTS, HIDDEN, case[1]) end)) do
        within("decades", ratio, case[2], case[3])
      end
    end)
  end

  it("with forget bias 0 does no better than a tanh RNN", function()
    local function rnn() return nn.RNN(INPUTS, HIDDEN, { bias = false, dtype = "float64" }) end
    for _, ratio in ipairs(ratios(rnn)) do within("decades", ratio, -math.huge, -15) end
  end)
end)

describe("P27 ReLU in place of tanh inside an LSTM", function()
  local HIDDEN = 64

  --- Largest |h| and log10 of the recurrent weight gradient's norm.
  local function measure(activation, s)
    local lstm = lstm_with(4, HIDDEN, 1, { activation = activation })
    set(lstm.weight_hh_l0, sonde.randn(4 * HIDDEN, HIDDEN, DOUBLE) * (s / math.sqrt(HIDDEN)))
    set(lstm.weight_ih_l0, sonde.randn(4 * HIDDEN, 4, DOUBLE) * 0.5)
    local y, h = lstm(sonde.randn(200, 1, 4, DOUBLE))
    h:sum():backward()
    return y:abs():max():item(), log10(lstm.weight_hh_l0.grad:norm():item())
  end

  it("blows up at initialisation, where tanh is bounded", function()
    science.seeds(5, function()
      for _, s in ipairs { 1, 2 } do
        local largest, gradient = measure("tanh", s)
        within("tanh, max |h|", largest, 0, 1)
        within("tanh, log10 |dW|", gradient, -math.huge, 3)
      end
      local largest, gradient = measure("relu", 2)
      within("relu, max |h|", largest, 1e6, math.huge)
      within("relu, log10 |dW|", gradient, 15, math.huge)
    end)
  end)
end)
