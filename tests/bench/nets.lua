-- The networks of the step benchmark; torch_steps.py and torch_sequence.py have the same. The recurrent one's readout
-- sees every step.
return {
  { name = "50 x 64, batch 32", depth = 50, width = 64, batch = 32, plain = 4.5, full = 12, added = 12,
    all = 20 },
  { name = "20 x 256, batch 64", depth = 20, width = 256, batch = 64, plain = 1.4, added = 6, all = 10 },
  { name = "10 x 1024, batch 128", depth = 10, width = 1024, batch = 128, plain = 0.95, added = 6 },
  { name = "LSTM, hidden 128, T = 100, batch 32", cell = "LSTM", inputs = 64, width = 128, length = 100, batch = 32,
    added = 6 },
}
-- plain, full: how many times as fast as PyTorch is the aim; added, all: how many per cent gradient statistics (of a
-- recurrent network those through time) and all default probes may add
