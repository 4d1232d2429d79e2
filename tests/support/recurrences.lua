--- Recurrent layers written out step by step in tensors, to compare the fused ones with.
local sonde = require "sonde"

local function parameter(net, name) return net[name]:detach() end

-- A layer's recurrence written out over x [T, B, I]: the h_t (and c_t) as tensors that keep their gradients.
local steps = {}

function steps.RNN(w, x, h) return (x:matmul(w.ih:t()) + w.b + h:matmul(w.hh:t())):tanh() end

function steps.LSTM(w, x, h, c)
  local n = h:size(2)
  local gates = x:matmul(w.ih:t()) + w.b + h:matmul(w.hh:t())
  local function gate(k) return gates:narrow(2, (k - 1) * n + 1, n) end
  c = gate(2):sigmoid() * c + gate(1):sigmoid() * gate(3):tanh()
  c:retain_grad()
  return gate(4):sigmoid() * c:tanh(), c
end

function steps.GRU(w, x, h)
  local n = h:size(2)
  local a, b = x:matmul(w.ih:t()) + w.b_ih, h:matmul(w.hh:t()) + w.b_hh
  local function part(t, k) return t:narrow(2, (k - 1) * n + 1, n) end
  local r, z = (part(a, 1) + part(b, 1)):sigmoid(), (part(a, 2) + part(b, 2)):sigmoid()
  return (1 - z) * (part(a, 3) + r * part(b, 3)):tanh() + z * h
end

-- Layer "l0" (or "l1_reverse", …) of net over x: its states h_t and, of an LSTM, c_t, in the order of time.
return function(net, kind, x, suffix, reverse)
  local w = { ih = parameter(net, "weight_ih_" .. suffix), hh = parameter(net, "weight_hh_" .. suffix),
              b_ih = parameter(net, "bias_ih_" .. suffix), b_hh = parameter(net, "bias_hh_" .. suffix) }
  w.b = w.b_ih + w.b_hh
  local T, n = x:size(1), w.hh:size(2)
  local h = sonde.zeros(x:size(2), n, { dtype = x.dtype }):requires_grad_()
  local c, hs, cs = sonde.zeros(x:size(2), n, { dtype = x.dtype }), {}, {}
  for k = 1, T do
    local t = reverse and T + 1 - k or k
    h, c = steps[kind](w, x[t], h, c)
    h:retain_grad()
    hs[t], cs[t] = h, c
  end
  return hs, cs
end
