--- How much memory back-propagation through time takes: at most 1.5 times the activations that must be kept. A file of
--- its own, for peaks are those of the process.
local sonde = require "sonde"
local nn = sonde.nn

local STEPS, BATCH, INPUTS, HIDDEN = 200, 20, 28, 128

describe("back-propagation through time", function()
  -- In order of what they take. Activations: the output, and what the gates' derivatives are made of.
  for _, case in ipairs { { "RNN", 1 }, { "GRU", 5 }, { "LSTM", 6 } } do
    it("takes at most 1.5 times its activations in a " .. case[1], function()
      local m, x = nn[case[1]](INPUTS, HIDDEN), sonde.randn(STEPS, BATCH, INPUTS)
      local kept = 4 * STEPS * BATCH * HIDDEN * case[2]
      for _, p in ipairs(m:parameters()) do p.grad = sonde.zeros_like(p) end
      collectgarbage()
      local before = sonde.memory().live_bytes
      local _, h = m(x)
      h:sum():backward()
      local peak = sonde.memory().peak_bytes - before
      assert(peak >= kept, "the peak is that of something else")
      assert(peak <= 1.5 * kept, ("%.2f times"):format(peak / kept))
    end)
  end
end)
