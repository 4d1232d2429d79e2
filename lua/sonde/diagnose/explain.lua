-- What a finding means in words: its cause, from the evidence, and the cures that fit that cause.
local text = require "sonde.text"

-- Largest slope of an activation whose derivative is below one everywhere.
local largest_slope = { Sigmoid = 0.25 }

local explain = {}

local function per_module(decades, count) return text.number(10 ^ (decades / math.max(1, count or 1))) end

-- Which factor takes most: the activations, the weights between them, the normalisation, or what else lies there.
local function main_loss(evidence)
  local best, most = "weight", 0
  for _, kind in ipairs { "weight", "activation", "normalisation", "other" } do
    local decades = -evidence[kind .. "_decades"]
    if decades > most then best, most = kind, decades end
  end
  return best
end

local function one_layer(finding)
  local worst, drop = finding.worst, finding.evidence.worst_drop
  if not worst or not worst.name or math.abs(drop) < math.abs(finding.evidence.total_decades) / 2 then return nil end
  return ("most of it happens in one place: '%s' (%s) multiplies the gradient by %s"):format(worst.name, worst.module,
    text.number(10 ^ drop))
end

-- " ('a7' by 0.19)", the module with the largest share of the way.
local function most_at(finding)
  return finding.worst.name and (" ('%s' by %s)"):format(finding.worst.name,
    text.number(10 ^ finding.evidence.worst_drop)) or ""
end

local smallest_float = 1e-36 -- norms below are about to leave float32, whose smallest number is 1.4e-45

-- Why nothing at all is left below a module.
local function why_it_ends(ends)
  local where = ("%s reaches '%s' (%s) and exactly zero leaves it"):format(text.number(ends.norm), ends.name,
    ends.module)
  if ends.norm < smallest_float then
    return where .. ": smaller than the arithmetic can hold (1.4e-45 in float32), so what is lost is at least that"
  elseif ends.kind == "activation" then
    return where .. ": its slope is zero for every sample"
  elseif ends.kind == "weight" then
    return where .. ": its weights are zero, or what it gives back is not used below"
  end
  return where .. ": it passes no gradient on"
end

local function loss_per_layer(finding)
  local evidence, counts = finding.evidence, finding.counts
  local kind = main_loss(evidence)
  if kind == "activation" then
    local module = finding.activation
    local bound = largest_slope[module]
    local cause = ("each %s multiplies the gradient by %s%s"):format(module or "activation",
      per_module(evidence.activation_decades, counts.activation), most_at(finding))
    if bound then
      cause = ("the derivative of %s is at most %s; here "):format(module:lower(), bound) .. cause
    end
    return cause, { "relu+kaiming", "batch_norm", "skip" }
  elseif kind == "other" then
    return ("what lies between the weight layers multiplies the gradient by %s each time%s; slopes of activations "
      .. "there were not measured"):format(per_module(evidence.other_decades, counts.other), most_at(finding)),
      { "relu+kaiming", "batch_norm", "skip" }
  end
  return ("the weights multiply the gradient by %s per layer%s: they %s too small for this activation")
    :format(per_module(evidence.weight_decades, counts.weight), most_at(finding),
      finding.from_the_start and "start" or "have become"), { "kaiming_init", "critical_init", "batch_norm", "skip" }
end

function explain.vanishing_gradient(finding)
  local ends = finding.ends
  if ends then
    local lost = -finding.evidence.total_decades
    local cause, cures
    if lost >= 2 then cause, cures = loss_per_layer(finding) end
    cause = (cause and cause .. "; " or "") .. why_it_ends(ends)
    return cause, cures or ends.kind == "activation" and { "leaky_relu", "batch_norm", "skip" }
      or { "kaiming_init", "critical_init", "skip" }
  end
  local single = one_layer(finding)
  if single then return single, { "critical_init", "batch_norm", "skip" } end
  return loss_per_layer(finding)
end

-- The steps are too large for the loss surface they meet: seen by the gradient, or by the loss.
local function thrown_out(evidence)
  local times = text.number(10 ^ evidence.growth_decades)
  if evidence.growth_decades >= evidence.loss_growth_decades then
    return ("the norm of the gradient rose to %s times its usual size: the steps are too large for the loss "
      .. "surface they meet"):format(times)
  end
  local largest, why = evidence.largest_update_ratio, "the steps are too large"
  if largest and largest >= 0.1 then
    why = ("a step moved a weight by %s of its own size, so that what it knew is lost"):format(text.number(largest))
  end
  return ("the loss rose to %s times that of the initial weights: %s"):format(
    text.number(10 ^ evidence.loss_growth_decades), why)
end

function explain.exploding_gradient(finding)
  local evidence, counts = finding.evidence, finding.counts
  if not counts then return thrown_out(evidence), { "lower_lr", "clip_norm", "warm_up" } end
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
                 ["/weight_grad"] = "in a weight's gradient", ["/metrics"] = "in the loss",
                 ["/weight"] = "in a weight before the step, where an update or the recipe put it" }

-- Operators without a finite value or slope somewhere among ordinary numbers: there no smaller step helps.
local bounded = { log = true, sqrt = true, div = true, pow = true }

function explain.numeric_overflow(finding)
  local group, origin = finding.evidence.group, finding.evidence.origin or ""
  local cause = ("a number became infinite or NaN %s%s"):format(places[group],
    finding.layers[1] and (", first at '%s'"):format(finding.layers[1]) or "")
  if finding.evidence.origin then
    cause = ("%s; the run traced it: %s"):format(cause, finding.evidence.origin)
  elseif group:find("_grad", 1, true) and not finding.forward_measured then
    cause = cause .. " as the gradient meets it; it may have begun elsewhere: the forward pass was not measured"
  end
  if group == "/weight" and finding.since_step == 1 then return cause, { "kaiming_init" } end
  if origin:find("the data, or a constant", 1, true) then return cause, { "clean_data" } end
  if bounded[origin:match "'([%w_]+)'"] then return cause, { "stable_loss", "lower_lr" } end
  return cause, { "lower_lr", "clip_norm", "kaiming_init" }
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
  if not ratio then
    return cause .. "; how far a step moves the weights was not measured", { "higher_lr", "lower_lr", "adam" }
  end
  cause = cause .. (": a step moves the weights by %s of their size (about 1e-3 is usual)"):format(text.number(ratio))
  if evidence.reach < evidence.first_loss then
    cause = cause .. (", and all steps together can have changed the loss by %s at most")
      :format(text.number(evidence.reach))
  end
  if ratio > 1e-2 then return cause, { "lower_lr", "clip_norm", "batch_norm" } end
  return cause, { "higher_lr", "adam", "batch_norm" }
end

-- "each step back multiplies a change of the state of 'rnn.hidden_l0' (RNN) by 0.52"
local function per_step(finding)
  return ("each step back in time multiplies what a change of the state '%s' (%s) does by %s"):format(
    finding.evidence.probe, finding.module or "recurrent", text.number(10 ^ finding.evidence.decades_per_step))
end

local keeps = { forget = "its forget gates keep %s of the cell a step on average",
                update = "its update gates keep %s of the state a step on average" }

-- By the class of the layer; what the first lacks is what the gated ones have.
local memory_cures = {
  LSTM = { "forget_bias", "chrono_init", "gru" }, GRU = { "chrono_init", "lstm+forget_bias", "orthogonal_init" },
}

function explain.vanishing_through_time(finding)
  local evidence = finding.evidence
  local cause = ("%s, so that of %d steps the last %s count: before, less than a thousandth is left"):format(
    per_step(finding), evidence.length, text.number(math.max(1, math.floor(evidence.memory_horizon))))
  if finding.gate then cause = cause .. "; " .. keeps[finding.gate]:format(text.number(evidence.gate_openness)) end
  cause = cause .. "; and the training has learnt nothing from the sequences"
  return cause, memory_cures[finding.module] or { "lstm+forget_bias", "gru", "orthogonal_init" }
end

function explain.exploding_through_time(finding)
  return ("%s: after %d steps it is up to %s times as large, for the recurrent weights are too large"):format(
    per_step(finding), finding.evidence.length - 1, text.number(10 ^ finding.evidence.total_decades)),
    { "clip_norm", "orthogonal_init", "smaller_recurrent_weights", "lower_lr" }
end

function explain.unbalanced_updates(finding)
  local decades = finding.evidence.decades_from_the_middle
  return ("a step moves '%s' by %s of its size, and the middle one of the weight matrices by %s")
    :format(finding.most, text.number(finding.evidence.middle_update_ratio * 10 ^ decades),
      text.number(finding.evidence.middle_update_ratio)),
    { "per_layer_lr", "adam", "batch_norm" }
end

return explain
