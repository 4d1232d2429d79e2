-- Memory of back-propagation through time beside what must be kept for it: `sonde lua sequence_memory.lua`. Per step,
-- sample and unit that is the output and what the gates' derivatives are made of (a GRU's three gates and
-- W_hn h + b_hn, an LSTM's four gates and cell); where the loss sees every output, its gradient by them as well. The
-- peak counts all that one forward and backward allocate beyond input, parameters and their gradients.
local sonde = require "sonde"
local nn = sonde.nn

local STEPS, BATCH, INPUTS, HIDDEN = 100, 20, 28, 128
local UNIT = 4 * STEPS * BATCH * HIDDEN

-- Rising: a peak is that of the process.
local cases = {
  { "RNN", 1, 0 }, { "RNN", 1, 1 }, { "GRU", 5, 0 }, { "LSTM", 6, 0 }, { "GRU", 5, 1 }, { "LSTM", 6, 1 },
}

print(("memory of back-propagation through time (hidden %d, T = %d, batch %d; aim: at most 1.5 times what is kept)")
  :format(HIDDEN, STEPS, BATCH))
for _, case in ipairs(cases) do
  local kind, units, handed_in = table.unpack(case)
  local m, x = nn[kind](INPUTS, HIDDEN), sonde.randn(STEPS, BATCH, INPUTS)
  for _, p in ipairs(m:parameters()) do p.grad = sonde.zeros_like(p) end
  collectgarbage()
  local before, kept = sonde.memory().live_bytes, (units + handed_in) * UNIT
  local seen = select(handed_in == 1 and 1 or 2, m(x))
  seen:sum():backward()
  local peak = sonde.memory().peak_bytes - before
  print(("  %-4s  loss of %s  %5.1f MiB kept, %5.1f MiB at the peak: %.2f times"):format(kind,
    handed_in == 1 and "every output  " or "the last state", kept / 2 ^ 20, peak / 2 ^ 20, peak / kept))
end
