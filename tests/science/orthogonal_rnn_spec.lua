--- Recurrent weights that keep the gradient's length: an orthogonal one that stays so while it is trained (Arjovsky et
--- al. 2016, "Unitary evolution recurrent neural networks"; Lezcano-Casado & Martínez-Rubio 2019), and the identity
--- with ReLU (Le et al. 2015, "A simple way to initialize recurrent networks of rectified linear units").
local sonde = require "sonde"
local science = require "support.science"
local nn, optim = sonde.nn, sonde.optim

local F64 = { dtype = "float64" }

--- log10 of ‖dL/dh_1‖/‖dL/dh_T‖, the loss seeing the last state only.
local function decades(rnn, x)
  local norms = {}
  local hook = rnn:register_hidden_grad_hook(function(gradient, where)
    norms[where.step] = gradient:norm():item()
  end)
  local _, last = rnn(x)
  last:backward(sonde.randn(last:shape(), F64))
  hook:remove()
  return math.log(norms[1] / norms[#norms], 10)
end

describe("a recurrent weight that keeps lengths", function()
  it("orthogonal: a linear RNN's gradient neither shrinks nor grows, before and after training", function()
    for _, map in ipairs { "matrix_exp", "cayley", "householder" } do
      sonde.manual_seed(1)
      local rnn = nn.RNN(2, 32, { nonlinearity = "linear", dtype = "float64" })
      nn.utils.parametrizations.orthogonal(rnn, "weight_hh_l0", { orthogonal_map = map })
      local x = sonde.randn({ 500, 4, 2 }, F64)
      science.within(map, decades(rnn, x), -1e-11, 1e-11)
      local opt, before = optim.Adam(rnn:parameters(), { lr = 0.01 }), rnn.weight_hh_l0:detach():clone()
      for _ = 1, 20 do
        opt:zero_grad()
        rnn(x:narrow(1, 1, 20)):square():mean():backward()
        opt:step()
      end
      science.within("what training changed", (rnn.weight_hh_l0 - before):norm():item(), 0.1, 10)
      science.within(map .. ", trained", decades(rnn, x), -1e-11, 1e-11)
    end
  end)

  it("free: the same training takes the gradient's length away", function()
    sonde.manual_seed(1)
    local rnn = nn.RNN(2, 32, { nonlinearity = "linear", dtype = "float64" })
    nn.init.orthogonal_(rnn.weight_hh_l0)
    local x, opt = sonde.randn({ 500, 4, 2 }, F64), optim.Adam(rnn:parameters(), { lr = 0.01 })
    science.within("at the start", decades(rnn, x), -1e-11, 1e-11)
    for _ = 1, 20 do
      opt:zero_grad()
      rnn(x:narrow(1, 1, 20)):square():mean():backward()
      opt:step()
    end
    assert.is_true(math.abs(decades(rnn, x)) > 1)
  end)

  it("identity with ReLU: exactly 1 where units are on", function()
    sonde.manual_seed(1)
    local rnn = nn.RNN(2, 32, { nonlinearity = "relu", dtype = "float64" })
    nn.init.eye_(rnn.weight_hh_l0)
    nn.init.uniform_(rnn.weight_ih_l0, 0, 0.1)
    nn.init.zeros_(rnn.bias_ih_l0)
    nn.init.zeros_(rnn.bias_hh_l0)
    assert.equal(0, decades(rnn, sonde.rand({ 300, 4, 2 }, F64)))
  end)
end)
