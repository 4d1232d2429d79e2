--- Tasks that need a memory: checks P29a (adding problem) and P29b (copying memory).
--- Sources: Hochreiter & Schmidhuber 1997; Le et al. 2015; Arjovsky et al. 2016.
local sonde = require "sonde"
local science = require "support.science"
local nn, optim = sonde.nn, sonde.optim
local within = science.within

--- A recurrent net and a readout of its output at every step, or at the last.
local function model(kind, inputs, hidden, outputs, options)
  local rnn, out = nn[kind](inputs, hidden, options), nn.Linear(hidden, outputs)
  local parameters = rnn:parameters()
  for _, p in ipairs(out:parameters()) do parameters[#parameters + 1] = p end
  return rnn, out, parameters
end

describe("P29a the adding problem, T = 50", function()
  local STEPS, BASELINE = 50, 1 / 6

  --- x [T, B, 2]: a number from U(0, 1) and a marker, 1 once in each half; y [B, 1]: the sum of the marked numbers.
  local function adding(batch)
    local numbers, steps = sonde.rand(STEPS, batch), sonde.arange(1, STEPS + 1):unsqueeze(2)
    local half = STEPS // 2
    local first, second = sonde.randint(1, half, { 1, batch }), sonde.randint(half + 1, STEPS, { 1, batch })
    local markers = (steps:eq(first) + steps:eq(second)):to("float32")
    return sonde.stack({ numbers, markers }, 3), (numbers * markers):sum(1):unsqueeze(2)
  end

  it("has a baseline of 1/6 for who always says 1", function()
    sonde.manual_seed(1)
    local _, y = adding(100000)
    within("baseline", ((y - 1) ^ 2):mean():item(), BASELINE - 0.0015, BASELINE + 0.0015)
  end)

  --- Test errors seen every hundredth step until one is below `enough`, or at the end.
  local function train(kind, lr, steps, enough, options)
    local rnn, out, parameters = model(kind, 2, 32, 1, options)
    local opt = optim.Adam(parameters, { lr = lr })
    local loss_fn, test_x, test_y = nn.MSELoss(), adding(1000)
    local function predict(x) return out((select(2, rnn(x)))[1]) end
    local test
    for step = 1, steps do
      local x, y = adding(32)
      opt:zero_grad()
      loss_fn(predict(x), y):backward()
      nn.utils.clip_grad_norm_(parameters, 1)
      opt:step()
      if step % 100 == 0 then
        test = sonde.no_grad(function() return loss_fn(predict(test_x), test_y):item() end)
        if test < enough then break end
      end
    end
    return test
  end

  --- How many of three seeds end with a test error from low to high.
  local function count(low, high, ...)
    local n, arguments = 0, table.pack(...)
    for _, mse in ipairs(science.seeds(3, function() return train(table.unpack(arguments, 1, arguments.n)) end)) do
      if mse >= low and mse <= high then n = n + 1 end
    end
    return n
  end

  it("is solved by an LSTM within 2500 steps", function()
    within("seeds", count(0, 0.05, "LSTM", 0.01, 2500, 0.05, { forget_bias = 1 }), 2, 3)
  end)
  it("is solved by a GRU within 1500 steps", function()
    within("seeds", count(0, 0.05, "GRU", 0.01, 1500, 0.05), 2, 3)
  end)
  it("is not solved by a tanh RNN in 2000", function()
    within("seeds", count(0.14, math.huge, "RNN", 1e-3, 2000, 0), 2, 3)
  end)
end)

describe("P29b copying memory", function()
  local SYMBOLS, LENGTH, BATCH = 8, 10, 32
  local BLANK, MARKER = SYMBOLS + 1, SYMBOLS + 2

  --- x one-hot [T + 20, B, 10]; y [T + 20, B]: ten symbols, T blanks and a marker in, blanks and then the symbols out.
  local function copying(delay, batch)
    local symbols = sonde.randint(1, SYMBOLS, { LENGTH, batch })
    local function blanks(n) return sonde.full({ n, batch }, BLANK, { dtype = "int64" }) end
    local marker = sonde.full({ 1, batch }, MARKER, { dtype = "int64" })
    local words = sonde.cat({ symbols, blanks(delay - 1), marker, blanks(LENGTH) }, 1)
    local x = sonde.eye(MARKER):index_select(1, words:flatten()):reshape(words:size(1), batch, MARKER)
    return x, sonde.cat({ blanks(delay + LENGTH), symbols }, 1)
  end

  local function baseline(delay) return LENGTH * math.log(SYMBOLS) / (delay + 2 * LENGTH) end

  it("costs 10 ln 8 / (T + 20) without a memory", function()
    for delay, printed in pairs { [10] = 0.693147, [30] = 0.415888, [60] = 0.259930, [100] = 0.173287 } do
      local _, y = copying(delay, 4)
      local logits = sonde.full({ delay + 2 * LENGTH, 4, BLANK }, -1000, { dtype = "float64" })
      logits[{ { 1, delay + LENGTH }, {}, BLANK }]:fill_(0) -- sure of blanks, and as good as it can be after them
      logits[{ { delay + LENGTH + 1, -1 }, {}, { 1, SYMBOLS } }]:fill_(0)
      local loss = nn.CrossEntropyLoss()(logits:reshape(-1, BLANK), y:flatten()):item()
      within("T " .. delay, loss / baseline(delay) - 1, -1e-6, 1e-6)
      within("as printed", loss, printed - 1e-6, printed + 1e-6)
    end
  end)

  --- The mean loss of the last 50 steps, in units of the baseline.
  local function train(kind, lr, delay, steps)
    local rnn, out, parameters = model(kind, MARKER, 64, BLANK)
    local opt, loss_fn, sum = optim.Adam(parameters, { lr = lr }), nn.CrossEntropyLoss(), 0
    for step = 1, steps do
      local x, y = copying(delay, BATCH)
      opt:zero_grad()
      local logits = out((rnn(x)))
      local loss = loss_fn(logits:reshape(-1, BLANK), y:flatten())
      loss:backward()
      nn.utils.clip_grad_norm_(parameters, 1)
      opt:step()
      if step > steps - 50 then sum = sum + loss:item() end
    end
    return sum / 50 / baseline(delay)
  end

  it("over T = 60 is beyond a GRU after 600 steps", function()
    sonde.manual_seed(1)
    within("loss", train("GRU", 3e-3, 60, 600), 0.95, 1.1)
  end)
  it("over T = 5 is begun by a GRU", function()
    sonde.manual_seed(1)
    within("loss", train("GRU", 5e-3, 5, 1500), 0, 0.9)
  end)
  it("over T = 5 is beyond a tanh RNN", function()
    sonde.manual_seed(1)
    within("loss", train("RNN", 1e-3, 5, 1500), 0.95, 1.1)
  end)
end)
