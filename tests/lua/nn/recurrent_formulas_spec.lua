--- The fused recurrent operators against their formulas, composed step by step of tensor operators: values, and
--- gradients of everything, to 1e-12. (The plain forms are also PyTorch's: tests/lua/reference/recurrent_spec.lua.)
local sonde = require "sonde"
local nn = sonde.nn

local STEPS, BATCH, INPUTS, HIDDEN = 40, 20, 3, 37 -- more than one chunk of the backward pass; no multiple of a vector

local function random(...) return (sonde.randn({ ... }, { dtype = "float64" }) * 0.5):requires_grad_() end

local function parts(t, n)
  local list = {}
  for i = 1, n do list[i] = t:narrow(2, (i - 1) * HIDDEN + 1, HIDDEN) end
  return table.unpack(list)
end

local function normalized(x)
  local centred = x - x:mean(2, true)
  return centred / ((centred * centred):mean(2, true) + 1e-5):sqrt()
end

local function piece(t, i) return t:narrow(1, (i - 1) * HIDDEN + 1, HIDDEN) end

local steps = {}

function steps.RNN(p, o, x, h)
  local a = x:matmul(p.weight_ih_l0:t()) + p.bias_ih_l0 + h:matmul(p.weight_hh_l0:t()) + p.bias_hh_l0
  if o.nonlinearity == "relu" then a = a:relu() elseif o.nonlinearity ~= "linear" then a = a:tanh() end
  local leak = o.leak or 1
  return h * (1 - leak) + a * leak
end

function steps.LSTM(p, o, x, h, c)
  local phi = o.activation or "tanh"
  local from_x, from_h = x:matmul(p.weight_ih_l0:t()), h:matmul(p.weight_hh_l0:t())
  if o.layer_norm then
    from_x, from_h = normalized(from_x) * p.weight_norm_ih_l0, normalized(from_h) * p.weight_norm_hh_l0
  end
  local i, f, g, out = parts(from_x + p.bias_ih_l0 + from_h + p.bias_hh_l0, 4)
  local peephole = p.weight_peephole_l0
  if peephole then i, f = i + c * piece(peephole, 1), f + c * piece(peephole, 2) end
  c = f:sigmoid() * c + i:sigmoid() * g[phi](g)
  if peephole then out = out + c * piece(peephole, 3) end
  local z = o.layer_norm and normalized(c) * p.weight_norm_c_l0 + p.bias_norm_c_l0 or c
  return out:sigmoid() * z[phi](z), c
end

function steps.GRU(p, o, x, h)
  local xr, xz, xn = parts(x:matmul(p.weight_ih_l0:t()) + p.bias_ih_l0, 3)
  local hr, hz, hn = parts(h:matmul(p.weight_hh_l0:t()) + p.bias_hh_l0, 3)
  local r, z = (xr + hr):sigmoid(), (xz + hz):sigmoid()
  if o.reset_after == false then hn = (r * h):matmul(piece(p.weight_hh_l0, 3):t()) + piece(p.bias_hh_l0, 3)
  else hn = r * hn end
  return (1 - z) * (xn + hn):tanh() + z * h
end

local cases = {
  { "RNN" }, { "RNN", nonlinearity = "relu" }, { "RNN", nonlinearity = "linear", leak = 0.2 }, { "RNN", leak = 0.3 },
  { "LSTM" }, { "LSTM", activation = "relu" }, { "LSTM", peepholes = true }, { "LSTM", layer_norm = true },
  { "LSTM", layer_norm = true, peepholes = true, activation = "relu" }, { "GRU" }, { "GRU", reset_after = false },
}

local function near(what, a, b)
  local worst = (a - b):abs():max():item() / (b:abs():max():item() + 1e-300)
  assert(worst < 1e-12, ("%s differs by %.3g of its largest"):format(what, worst))
end

describe("the formula of", function()
  for _, case in ipairs(cases) do
    local o = { dtype = "float64" }
    local kind, words = case[1], { case[1] }
    for name, value in pairs(case) do
      if name ~= 1 then
        o[name] = value
        words[#words + 1] = name .. "=" .. tostring(value)
      end
    end
    table.sort(words)
    it(table.concat(words, " "), function()
      sonde.manual_seed(1)
      local m = nn[kind](INPUTS, HIDDEN, o)
      local x, h0, c0 = random(STEPS, BATCH, INPUTS), random(BATCH, HIDDEN), random(BATCH, HIDDEN)
      local upstream, last = random(STEPS, BATCH, HIDDEN):detach(), random(BATCH, HIDDEN):detach()
      local leaves = { x = x, h0 = h0, c0 = kind == "LSTM" and c0 or nil }
      for name, p in m:named_parameters() do leaves[name] = p end

      local function gradients(y, h, c)
        local loss = (y * upstream):sum() + (h * last):sum() * 2
        if c then loss = loss + (c * last):sum() end
        loss:backward()
        local found = {}
        for name, leaf in pairs(leaves) do
          found[name], leaf.grad = leaf.grad, nil
        end
        return found
      end

      local h, c, outputs = h0, c0, {}
      for t = 1, STEPS do
        h, c = steps[kind](m, o, x[t], h, c)
        outputs[t] = h
      end
      local y = sonde.stack(outputs, 1)
      local expected = gradients(y, h, c)
      local fused, fused_h, fused_c = m(x, h0:unsqueeze(1), kind == "LSTM" and c0:unsqueeze(1) or nil)
      near("y", fused, y)
      near("h_n", fused_h[1], h)
      if c then near("c_n", fused_c[1], c) end
      for name, gradient in pairs(gradients(fused, fused_h[1], fused_c and fused_c[1])) do
        near("gradient of " .. name, gradient, expected[name])
      end
    end)
  end
end)
