-- What a finding means in words: its cause, from the evidence, and the cures that fit that cause.
local text = require "sonde.text"

-- Largest slope of an activation whose derivative is below one everywhere.
local largest_slope = { Sigmoid = 0.25 }

local explain = {}

local function per_module(decades, count) return text.number(10 ^ (decades / math.max(1, count or 1))) end

-- Which factor takes most: the activations, the weights between them, the normalisation.
local function main_loss(evidence)
  local best, most = "weight", 0
  for _, kind in ipairs { "weight", "activation", "normalisation" } do
    local decades = -evidence[kind .. "_decades"]
    if decades > most then best, most = kind, decades end
  end
  return best
end

local function one_layer(finding)
  local evidence = finding.evidence
  local total = math.abs(evidence.total_decades)
  if not finding.worst or not finding.worst.name or math.abs(evidence.worst_drop) < total / 2 then return nil end
  return ("most of it in one place: '%s' (%s) multiplies the gradient by %s"):format(finding.worst.name,
    finding.worst.module, text.number(10 ^ evidence.worst_drop))
end

function explain.vanishing_gradient(finding)
  local evidence, counts = finding.evidence, finding.counts
  local single = one_layer(finding)
  if single then return single, { "critical_init", "batch_norm", "skip" } end
  if main_loss(evidence) == "activation" then
    local module = finding.activation
    local bound = largest_slope[module]
    local cause = ("each %s multiplies the gradient by %s"):format(module or "activation",
      per_module(evidence.activation_decades, counts.activation))
    if bound then
      cause = ("the derivative of %s is at most %s; here "):format(module:lower(), bound) .. cause
    end
    return cause, { "relu+kaiming", "batch_norm", "skip" }
  end
  return ("the weights multiply the gradient by %s per layer: they start too small for this activation")
    :format(per_module(evidence.weight_decades, counts.weight)),
    { "kaiming_init", "critical_init", "batch_norm", "skip" }
end

function explain.exploding_gradient(finding)
  local evidence, counts = finding.evidence, finding.counts
  if not counts then
    return ("the norm of the gradient rose to %s times its usual size: the steps are too large for the loss "
      .. "surface they meet"):format(text.number(10 ^ evidence.growth_decades)), { "clip_norm", "lower_lr", "warm_up" }
  end
  local single = one_layer(finding)
  if single then return single, { "critical_init", "batch_norm" } end
  if counts.normalisation then -- it undoes any scale of the weights: only a way around it helps
    return ("each layer with its normalisation multiplies the gradient by %s, whatever the size of its weights"):format(
      per_module(evidence.total_decades, counts.weight)), { "skip", "clip_norm" }
  end
  if evidence.weight_decades == 0 and evidence.activation_decades == 0 then
    return "each block adds to the gradient on its way down", { "scaled_skip", "batch_norm", "clip_norm" }
  end
  return ("the weights multiply the gradient by %s per layer: they start too large, or skips add up without a scale")
    :format(per_module(evidence.weight_decades, counts.weight)),
    { "kaiming_init", "scaled_skip", "batch_norm", "clip_norm" }
end

local places = { ["/activation"] = "in the forward pass", ["/activation_grad"] = "in the backward pass",
                 ["/weight_grad"] = "in a weight's gradient", ["/metrics"] = "in the loss" }

function explain.numeric_overflow(finding)
  return ("a number became infinite or NaN %s%s"):format(places[finding.evidence.group],
    finding.layers[1] and (", first at '%s'"):format(finding.layers[1]) or ""),
    { "lower_lr", "clip_norm", "kaiming_init" }
end

function explain.dead_units(finding)
  return ("%.0f %% of the units of '%s' had slope zero for every sample: no gradient passes them and none changes them")
    :format(100 * finding.evidence.dead_frac, finding.most), { "leaky_relu", "lower_lr", "batch_norm" }
end

function explain.saturated_units(finding)
  local evidence = finding.evidence
  if evidence.saturated_frac >= 0.5 or not evidence.first_slope_rms then
    return ("%.0f %% of the outputs of '%s' lie on the flat ends of the activation: its inputs are too large"):format(
      100 * evidence.saturated_frac, finding.most),
      { "smaller_init", "batch_norm", "relu+kaiming" }
  end
  return ("the slope of '%s' has fallen from %s to %s of its largest value: its units drift to a flat end")
    :format(finding.most, text.number(evidence.first_slope_rms),
      text.number(evidence.slope_rms)), { "xavier_init", "batch_norm", "relu+kaiming" }
end

function explain.slow_progress(finding)
  local evidence, ratio = finding.evidence, finding.evidence.update_ratio
  local cause = ("the loss was %s and is %s, and the gradient is not to blame"):format(text.number(evidence.first_loss),
    text.number(evidence.last_loss))
  if ratio then
    cause = cause .. (": a step moves the weights by %s of their size (about 1e-3 is usual)"):format(text.number(ratio))
  end
  if ratio and ratio < 1e-5 then return cause, { "higher_lr", "adam", "batch_norm" } end
  if ratio and ratio > 1e-2 then return cause, { "lower_lr", "clip_norm", "batch_norm" } end
  return cause, { "higher_lr", "lower_lr", "adam" }
end

function explain.unbalanced_updates(finding)
  local decades = finding.evidence.decades_from_the_middle
  return ("a step moves '%s' by %s of its size, and the middle one of the weight matrices by %s")
    :format(finding.most, text.number(finding.evidence.middle_update_ratio * 10 ^ decades),
      text.number(finding.evidence.middle_update_ratio)),
    { "per_layer_lr", "adam", "batch_norm" }
end

return explain
