-- The Lyapunov exponents of recurrent layers (RNN, LSTM, GRU) along the batch's sequences, in nats per time step: how
-- fast a small change of the state grows. Above 0 the layer is chaotic and gradients through time explode, far below 0
-- it forgets and they vanish. By QR decompositions along the way (Benettin et al. 1980; Engelken et al. 2023, "Lyapunov
-- spectra of chaotic recurrent neural networks"), of the transposed product ∂s_T/∂s_0, whose singular values are the
-- same, as back-propagation through time makes it: k vectors cost as much as k samples.
--
-- The state is that of all layers of the module, h and c of an LSTM; it starts where the network starts it. In
-- evaluation mode (no dropout between layers), at the weights before the step. Bidirectional modules are left out; of
-- sequences of several lengths the shortest counts.
local core = require "sonde.core"
local fail = require "sonde.fail"
local linalg = require "sonde.linalg"
local tensor = require "sonde.tensor"

local lyapunov = {
  options = { "samples", "values", "warmup" },
  takes = "RNN, LSTM or GRU, not bidirectional",
  needs_loss = false,
  columns = {
    { "largest", "largest Lyapunov exponent in nats per time step, mean over samples" },
    { "exponents", "the largest Lyapunov exponents, largest first, means over samples", axis = "index" },
  },
}

-- samples: how many sequences of the batch (4); values: how many exponents (8), or "all"; warmup: time steps at the
-- sequence's end in which the vectors find their directions, not counted (a tenth of the sequence).
function lyapunov.settings(where, options)
  local samples, values, warmup = options.samples or 4, options.values or 8, options.warmup
  if math.type(samples) ~= "integer" or samples < 1 then
    fail("%s: samples must be a whole number of at least 1, got %s", where, samples)
  end
  if values ~= "all" and (math.type(values) ~= "integer" or values < 1) then
    fail("%s: values must be a whole number of at least 1 or \"all\", got %s", where, values)
  end
  if warmup ~= nil and (math.type(warmup) ~= "integer" or warmup < 0) then
    fail("%s: warmup must be a whole number of at least 0, got %s", where, warmup)
  end
  return { where = where, samples = samples, values = values, warmup = warmup }
end

function lyapunov.new(settings) return settings end

-- ---- a recurrent module as a map of states ------------------------------------------------------------------------

local kinds = { RNN = true, GRU = true, LSTM = true }

local function is_recurrent(module)
  return kinds[module:class_name()] and not tostring(module):find "bidirectional=true"
end

local function puts_batch_first(module) return tostring(module):find "batch_first=true" ~= nil end

-- A call that was caught: { module, x = [T, S, I], h =, c = (both may be nil), is_lstm, batch_first }, S ≤ n sequences.
local function read(entry, n)
  local module, inputs = entry.module, entry.inputs
  local is_lstm, batch_first = module:class_name() == "LSTM", puts_batch_first(module)
  local x, h, c, lengths = inputs[1], inputs[2], is_lstm and inputs[3] or nil, inputs[is_lstm and 4 or 3]
  if x.ndim == 2 then -- one sequence
    x, h, c = x:unsqueeze(2), h and h:unsqueeze(2), c and c:unsqueeze(2)
  elseif batch_first then
    x = x:transpose(1, 2)
  end
  n = math.min(n, x:size(2))
  local function first(t) return t and t:narrow(2, 1, n) end
  if lengths then x = x:narrow(1, 1, lengths:narrow(1, 1, n):min():item()) end
  return { module = module, x = first(x), h = first(h), c = first(c), is_lstm = is_lstm, batch_first = batch_first }
end

-- One time step: x [1, S, I] and the state before it; the state after it.
local function step(call, x, h, c)
  if call.batch_first then x = x:transpose(1, 2) end
  if call.is_lstm then return select(2, call.module(x, h, c)) end
  return select(2, call.module(x, h))
end

function lyapunov.layout(context)
  local layout = {}
  for _, entry in ipairs(context:called_modules(is_recurrent)) do
    local place = { probe = entry.path == "" and context.label or context:probe_name(entry.path), layer = entry.path,
                    module = entry.module:class_name(), role = "state", of = entry.module, size = 1 }
    if entry.inputs and entry.inputs[1]:numel() > 0 then
      local call = read(entry, 1)
      core.autograd.set_grad_enabled(false)
      local h = step(call, call.x:narrow(1, 1, 1), call.h, call.c)
      core.autograd.set_grad_enabled(true)
      place.size = h:numel() * (call.is_lstm and 2 or 1)
    end
    layout[#layout + 1] = place
  end
  return layout
end

function lyapunov.axis_length(settings, layout)
  local most = 1
  for _, place in ipairs(layout) do most = math.max(most, place.size) end
  return settings.values == "all" and most or math.min(settings.values, most)
end

-- ---- along a sequence -----------------------------------------------------------------------------------------------

-- The states before each time step: { { h, c }, … }
local function trajectory(call)
  local states, h, c = {}, call.h, call.c
  core.autograd.set_grad_enabled(false)
  for t = 1, call.x:size(1) do
    states[t] = { h, c }
    h, c = step(call, call.x:narrow(1, t, 1), h, c)
    states[t][1] = states[t][1] or tensor.zeros_like(h)
    if call.is_lstm then states[t][2] = states[t][2] or tensor.zeros_like(c) end
  end
  core.autograd.set_grad_enabled(true)
  return states
end

-- [L, S, w] with k copies of each sample: [L, S k, w]
local function copies(t, k)
  local sizes = t:shape()
  return t:unsqueeze(3):expand(sizes[1], sizes[2], k, sizes[3]):reshape(sizes[1], sizes[2] * k, sizes[3])
end

-- q [S, n, k] → ∂s_t/∂s_{t-1}ᵀ q, float64
local function transposed_product(call, x, state, q)
  local s, n, k = table.unpack(q:shape())
  local layers = state[1]:size(1)
  local h = copies(state[1], k):requires_grad_()
  local c = call.is_lstm and copies(state[2], k):requires_grad_() or nil
  local after_h, after_c = step(call, copies(x, k), h, c)
  local after = call.is_lstm and tensor.cat({ after_h, after_c }, 3) or after_h
  local seed = q:transpose(2, 3):reshape(s * k, layers, n // layers):transpose(1, 2):to(after.dtype)
  local found = core.autograd.gradients(after, { h, c }, { gradient = seed })
  local before = { found[1] or tensor.zeros_like(h), c and (found[2] or tensor.zeros_like(c)) }
  local joined = c and tensor.cat(before, 3) or before[1]
  return joined:transpose(1, 2):reshape(s, k, n):transpose(2, 3):to("float64")
end

-- Means over samples of log |R_ii| per counted step, largest first; nil where numbers are not finite.
local function exponents(settings, call, size)
  local steps, samples = call.x:size(1), call.x:size(2)
  local warmup = math.min(settings.warmup or steps // 10, steps - 1)
  local states, sums = trajectory(call), {}
  local k = settings.values == "all" and size or math.min(settings.values, size)
  local q = linalg.qr(tensor.randn(samples, size, k, { dtype = "float64" }))
  for i = 1, k do sums[i] = 0 end
  for t = steps, 1, -1 do
    local product = transposed_product(call, call.x:narrow(1, t, 1), states[t], q)
    if not (product:abs():max():item() < math.huge) then return nil end
    local r
    q, r = linalg.qr(product)
    for i = 1, t <= steps - warmup and k or 0 do
      sums[i] = sums[i] + r[{ {}, i, i }]:abs():log():mean():item() / (steps - warmup)
    end
  end
  table.sort(sums, function(a, b) return a > b end)
  return sums
end

function lyapunov.measure(settings, context, layout)
  local wanted, entries, result = {}, {}, { largest = {}, exponents = {} }
  for _, place in ipairs(layout) do wanted[place.of] = true end
  for _, entry in ipairs(context:called_modules(function(module) return wanted[module] end)) do
    entries[entry.module] = entry
  end
  context.net:eval()
  for i, place in ipairs(layout) do
    local entry = entries[place.of]
    if entry and entry.inputs[1]:numel() > 0 then
      context:rewind()
      local found = exponents(settings, read(entry, settings.samples), place.size)
      if found then result.largest[i], result.exponents[i] = found[1], found end
    end
  end
  return result
end

return lyapunov
