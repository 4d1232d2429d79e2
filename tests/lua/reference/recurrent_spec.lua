--- RNN, LSTM and GRU against PyTorch, float64, 1e-10.
local sonde = require "sonde"
local reference = require "support.reference"
local nn = sonde.nn

--- A layer with the file's parameters; outputs by the file's names.
local function layer(make)
  return function(i, p)
    local m = make(3, 4):to("float64")
    m:load_state_dict(p)
    local owned = {}
    for name, parameter in m:named_parameters() do owned[name] = parameter end
    local y, hn, cn = m(i.x, i.h0, i.c0)
    return { y = y, hn = hn, cn = cn }, owned
  end
end

local function only(key, fn)
  return function(i, p)
    local outputs, owned = fn(i, p)
    return { [key] = outputs[key] }, owned
  end
end

local cases = {
  rnn_tanh = layer(nn.RNN),
  rnn_relu = layer(function(i, h) return nn.RNN(i, h, { nonlinearity = "relu" }) end),
  rnn_tanh_2layer = layer(function(i, h) return nn.RNN(i, h, 2) end),
  gru = layer(nn.GRU),
  lstm = layer(nn.LSTM),
  lstm_2layer = layer(function(i, h) return nn.LSTM(i, h, { num_layers = 2 }) end),
  lstm_bidirectional = layer(function(i, h) return nn.LSTM(i, h, { bidirectional = true }) end),
  lstm_T40_last_cell_only = only("cn", layer(nn.LSTM)),
}

describe("PyTorch's recurrent layers", function()
  local names = {}
  for name in pairs(cases) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    it(name, function() reference.check_layer(name, cases[name]) end)
  end

  it("rnn_tanh_T30, whose gradient at every time step a hook sees", function()
    local group = reference.group "/nets/rnn_tanh_T30"
    local rnn = nn.RNN(3, 6, { bias = false, dtype = "float64" })
    rnn:load_state_dict { weight_ih_l0 = group.U, weight_hh_l0 = group.W }
    local seen = {}
    local handle = rnn:register_hidden_grad_hook(function(gradient, where)
      assert.same({ step = 30 - #seen, layer = 1, reverse = false, cell = false }, where)
      seen[#seen + 1] = gradient
    end)
    local _, hn = rnn(group.x)
    local loss = (hn ^ 2):sum()
    loss:backward()
    handle:remove()
    reference.near("loss", group.loss, loss)
    reference.near("gW", group.gW, rnn.weight_hh_l0.grad)
    reference.near("gU", group.gU, rnn.weight_ih_l0.grad)
    assert.equal(30, #seen)
    for t = 1, 30 do
      reference.near("gh" .. t, group.gh[t], seen[31 - t])
      reference.near("gh_norm" .. t, group.gh_norm[t], seen[31 - t]:norm())
    end
  end)
  teardown(reference.close)
end)
