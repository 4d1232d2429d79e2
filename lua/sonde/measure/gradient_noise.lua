-- The gradient noise scale tr Σ / |G|² of a batch: how many samples it takes until their mean gradient is worth more
-- than its noise (McCandlish et al. 2018, "An empirical model of large-batch training", appendix A.1). From the norms
-- of the gradient of the whole batch (B samples) and of its parts (b samples each, whose squared norms are averaged),
-- for a loss that is a mean over samples:
--     |G|² = (B‖g_B‖² − b‖g_b‖²)/(B − b)      tr Σ = (‖g_b‖² − ‖g_B‖²)/(1/b − 1/B)
-- Both are unbiased and may be negative in a row. Each is averaged over the rows by itself (exponentially, `decay`),
-- then they are divided. With batch normalisation a sample's gradient depends on the others, and nothing is told: NaN.
local core = require "sonde.core"
local fail = require "sonde.fail"

local noise = {
  options = { "decay", "dim", "parts" },
  needs_loss = true,
  columns = {
    { "grad_sq", "estimate of |G|^2, the squared norm of the true gradient" },
    { "trace", "estimate of tr Sigma, the variance of one sample's gradient" },
    { "noise_scale", "mean of trace over mean of grad_sq, both over the rows so far; NaN unless the latter is above 0",
      units = "1" },
  },
}

-- decay: of the averages from row to row (0.9); parts: how many small batches one batch is cut into (4); dim: along
-- which axis of the input (1; 2 for sequences [T, B, …]).
function noise.settings(where, options)
  local decay, parts, dim = options.decay or 0.9, options.parts or 4, options.dim or 1
  if type(decay) ~= "number" or not (decay >= 0 and decay < 1) then
    fail("%s: decay must be a number from 0 to below 1, got %s", where, decay)
  end
  if math.type(parts) ~= "integer" or parts < 2 then
    fail("%s: parts must be a whole number of at least 2, got %s", where, parts)
  end
  if math.type(dim) ~= "integer" or dim < 1 then fail("%s: dim is an axis of the input, from 1, got %s", where, dim) end
  return { where = where, decay = decay, parts = parts, dim = dim }
end

function noise.layout(context)
  return { context:whole() }
end

function noise.new(settings)
  return { settings = settings, grad_sq = 0, trace = 0 }
end

local function squared_norm(gradients)
  local sum = 0
  for _, gradient in ipairs(gradients) do
    if gradient then sum = sum + gradient:to("float64"):square():sum():item() end
  end
  return sum
end

-- The batch's samples from `first` on: the inputs and the target.
local function samples(context, settings, first, n)
  local input, target, dim = context.inputs[1], context.target, settings.dim
  if context.inputs.n > 1 then
    fail("%s: the network is called with %d inputs; a batch of one can be parted only", settings.where,
      context.inputs.n)
  end
  local part = { input:narrow(dim, first, n), n = 1 }
  if target == nil then return part end
  local total = input:size(dim)
  local along = target.ndim > 0 and target:size(1) == total and 1 or dim
  if target.ndim < along or target:size(along) ~= total then
    fail("%s: input has %d samples along axis %d, the target has the shape [%s]", settings.where, total, dim,
      table.concat(target:shape(), ", "))
  end
  return part, target:narrow(along, first, n)
end

-- Batch and parts have the same mean loss, unless it is a sum.
local function check_mean(settings, whole, sum, parts)
  if math.abs(sum - whole) < 1e-3 * math.abs(whole) and math.abs(sum / parts - whole) > 0.1 * math.abs(whole) then
    fail("%s: the loss must be the mean over the samples; this one is their sum", settings.where)
  end
end

local function average(state, name, value)
  local decay = state.settings.decay
  if value - value == 0 then state[name] = decay * state[name] + (1 - decay) * value end -- finite
end

function noise.measure(state, context)
  local settings, input = state.settings, context.inputs[1]
  if input.ndim < settings.dim then
    fail("%s: the input has %d axes, no axis %d", settings.where, input.ndim, settings.dim)
  end
  local parts = math.min(settings.parts, input:size(settings.dim))
  if parts < 2 or context.mixes_samples(context.net) then return {} end
  local small = input:size(settings.dim) // parts
  local big, parameters = small * parts, context:parameters()
  local whole, gradient = context:gradient(parameters, samples(context, settings, 1, big))
  local big_sq, small_sq, sum = squared_norm(gradient), 0, 0
  for i = 1, parts do
    local loss
    loss, gradient = context:gradient(parameters, samples(context, settings, (i - 1) * small + 1, small))
    small_sq, sum = small_sq + squared_norm(gradient) / parts, sum + loss
  end
  check_mean(settings, whole, sum, parts)
  local grad_sq = (big * big_sq - small * small_sq) / (big - small)
  local trace = (small_sq - big_sq) / (1 / small - 1 / big)
  average(state, "grad_sq", grad_sq)
  average(state, "trace", trace)
  return { grad_sq = { grad_sq }, trace = { trace },
           noise_scale = { state.grad_sq > 0 and state.trace / state.grad_sq or core.nan } }
end

return noise
