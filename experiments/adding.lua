-- Gradients that vanish through time: the adding problem.
--
-- A sequence shows a random number at every step; two of them, one in each half, are marked, and their sum is asked for
-- at the end. Who has no memory can only say 1 and errs by 1/6. To learn better, the gradient of the last step must
-- reach the first mark. In a tanh network it passes the derivative of tanh and the recurrent weights at every step and
-- shrinks by a constant factor; the cell of an LSTM carries it through its forget gate, if that gate starts open.
-- (Hochreiter and Schmidhuber 1997, "Long short-term memory"; Bengio, Simard and Frasconi 1994, "Learning long-term
-- dependencies with gradient descent is difficult"; Gers, Schmidhuber and Cummins 2000 for the forget gate.)
local sonde = require "sonde"
local text = require "sonde.text"
local nn, optim, data = sonde.nn, sonde.optim, sonde.data

-- A recurrent layer, and a number read from its last state.
local Reader = nn.Module:extend("Reader")

function Reader:init(p)
  if p.cell == "lstm" then
    self.rnn = nn.LSTM(2, p.hidden, { batch_first = true, forget_bias = p.forget_bias })
  elseif p.cell == "gru" then
    self.rnn = nn.GRU(2, p.hidden, { batch_first = true })
  else
    self.rnn = nn.RNN(2, p.hidden, { batch_first = true, nonlinearity = p.cell == "relu_rnn" and "relu" or "tanh" })
  end
  self.out = nn.Linear(p.hidden, 1)
end

function Reader:forward(x)
  local states = self.rnn(x)
  return self.out(states[{ {}, -1 }])
end

-- How much of the gradient arrives at each step: norms[t] of dL/dh_t in the newest backward.
local function watch(net)
  local norms = {}
  net.rnn:register_hidden_grad_hook(function(gradient, where)
    if not where.cell then norms[where.step] = gradient:norm():item() end
  end)
  return norms
end

local ROWS, WIDTH = 11, 22

-- dL/dh_t over time, at the start and at the end, as bars on a log scale.
local function picture(start, now)
  local all, length = {}, #start
  for t = 1, length do all[2 * t - 1], all[2 * t] = start[t], now[t] end
  local scale = text.log_scale(all)
  local lines, rows = { { "step", "gradient at the start", "", "gradient at the end", "" } }, math.min(ROWS, length)
  for k = 0, rows - 1 do
    local t = rows == 1 and 1 or 1 + (length - 1) * k // (rows - 1)
    lines[#lines + 1] = { tostring(t), text.bar(scale.share(start[t]), WIDTH), text.number(start[t]),
      text.bar(scale.share(now[t]), WIDTH), text.number(now[t]) }
  end
  return text.columns(lines, "rlrlr")
    .. ("\nbars: L2 norm of dL/dh_t on a log scale, 1e%d to 1e%d"):format(scale.low, scale.high)
end

return {
  name = "adding",
  about = "Can a recurrent network learn to add two numbers that it saw long ago?",
  params = {
    length = { 50, "steps of a sequence", min = 2 },
    cell = { "rnn", "the recurrent layer", choices = { "rnn", "relu_rnn", "lstm", "gru" } },
    hidden = { 32, "units of it", min = 1 },
    forget_bias = { 1.0, "of the forget gate of an LSTM: at 0 it forgets half at every step" },
    lr = { 0.01, "learning rate of Adam", min = 0 },
    clip = { 1.0, "largest norm of the gradient; 0: any", min = 0 },
    batch_size = { 32, "sequences per step", min = 1 },
    steps = { 1500, "training steps", min = 1 },
  },
  metrics = { "loss", "reach" },
  grid = { cell = { "rnn", "lstm", "gru" }, length = { 25, 50, 100 } },

  run = function(p, run)
    local train = data.adding { n = 20000, length = p.length }
    local test = data.adding { n = 1000, length = p.length, seed = 2 }
    local net = run:model(Reader(p))
    local optimizer = run:optimizer(optim.Adam(net:parameters(), { lr = p.lr }))
    local loss_fn = nn.MSELoss()
    run:probe(net)
    local norms, start = watch(net), nil
    for x, y in run:batches(train, { batch_size = p.batch_size, steps = p.steps }) do
      optimizer:zero_grad()
      local loss = loss_fn(net(x), y)
      loss:backward()
      start = start or table.move(norms, 1, p.length, 1, {})
      if p.clip > 0 then nn.utils.clip_grad_norm_(net:parameters(), p.clip) end
      optimizer:step()
      run:log { loss = loss:item(), reach = norms[1] / norms[p.length] }
    end
    local error_now, reach = run:evaluate(net, test, { loss = loss_fn }).loss, start[1] / start[p.length]

    print(picture(start, norms))
    print(("\nsquared error on new sequences %.4f (always saying 1: %.4f)"):format(error_now, test.baseline))
    print(("At the start %.0e of the last step's gradient reached the first step."):format(reach))
    if error_now > 0.8 * test.baseline and p.cell ~= "lstm" then
      print("It did not learn to add. See it cured: " .. run:command { set = { cell = "lstm" }, out = "cured.h5" })
    end
    return { test_loss = error_now, baseline = test.baseline, reach = reach }
  end,
}
