--- How much memory back-propagation through time takes: at most 1.5 times the activations that must be kept. A file of
--- its own, for peaks are those of the process.
local sonde = require "sonde"
local nn = sonde.nn

local STEPS, BATCH, INPUTS, HIDDEN = 100, 20, 28, 128
local UNIT = 4 * STEPS * BATCH * HIDDEN -- bytes of one number per step, sample and unit

-- In order of what they take. Per unit: the output, and what the gates' derivatives are made of (a GRU's three gates
-- and W_hn h + b_hn, an LSTM's four gates and cell). Where the loss sees every output, dL/dy is there as well, as it is
-- behind any layer; it is handed in.
local cases = {
  { "RNN", 1, 0 }, { "RNN", 1, 1 }, { "GRU", 5, 0 }, { "LSTM", 6, 0 }, { "GRU", 5, 1 }, { "LSTM", 6, 1 },
}

describe("back-propagation through time", function()
  for _, case in ipairs(cases) do
    local kind, units, handed_in = table.unpack(case)
    local loss = handed_in == 1 and "every output" or "the last state"
    it(("takes at most 1.5 times its activations in a %s with a loss of %s"):format(kind, loss), function()
      local m, x = nn[kind](INPUTS, HIDDEN), sonde.randn(STEPS, BATCH, INPUTS)
      for _, p in ipairs(m:parameters()) do p.grad = sonde.zeros_like(p) end
      collectgarbage()
      local before, kept = sonde.memory().live_bytes, (units + handed_in) * UNIT
      local y, h = m(x)
      local after = (sonde.memory().live_bytes - before) / (units * UNIT)
      assert(after >= 1 and after <= 1.15, ("after forward %.2f times"):format(after))
      if handed_in == 0 then y = nil end
      local of = y or h
      of:sum():backward()
      local peak = sonde.memory().peak_bytes - before
      assert(peak >= kept, "the peak is that of something else")
      assert(peak <= 1.5 * kept, ("%.2f times"):format(peak / kept))
    end)
  end
end)
