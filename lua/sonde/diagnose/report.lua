-- A diagnosis as text: what is wrong in ten lines, and the gradient layer by layer as bars on a log scale.
local chain = require "sonde.diagnose.chain"
local text = require "sonde.text"

local titles = {
  vanishing_gradient = "The gradient vanishes on its way to the first layers",
  exploding_gradient = "The gradient explodes",
  numeric_overflow = "Numbers left the range of the arithmetic",
  dead_units = "Units are dead",
  saturated_units = "Units are saturated",
  slow_progress = "The training makes no progress",
  vanishing_through_time = "The recurrent layers forget what came early",
  exploding_through_time = "The gradient explodes on its way back through time",
  unbalanced_updates = "Some weights move far faster or slower than the others",
}

-- What the word means, for those who meet it for the first time.
local lessons = {
  vanishing_gradient = "A layer learns from the gradient that reaches it; what is lost on the way teaches nothing.",
  exploding_gradient = "A step follows the gradient; one far too large throws away what the weights know.",
  numeric_overflow = "Infinities and NaN spread through every later operation: from here on nothing is learnt.",
  dead_units = "A unit whose activation is flat for every input passes no gradient, so nothing can bring it back.",
  saturated_units = "On the flat ends of a bounded activation the slope is almost zero, and so the gradient.",
  slow_progress = "The loss should fall by more than its own scatter over a run.",
  vanishing_through_time = "What is without effect at the end of a sequence, training cannot teach it to remember.",
  exploding_through_time = "The smallest change early in a sequence then decides its end, and steps go anywhere.",
  unbalanced_updates = "As a rule of thumb each matrix moves by about a thousandth of its size per step.",
}

-- What the names of the cures stand for.
local cures = {
  ["relu+kaiming"] = "ReLU with He's initial weights", batch_norm = "normalise each layer",
  skip = "a way around each layer", scaled_skip = "branches scaled by 1/sqrt(depth)",
  critical_init = "initial weights that keep the gradient's size", kaiming_init = "He's initial weights",
  xavier_init = "Glorot's initial weights", smaller_init = "smaller initial weights or inputs",
  leaky_relu = "a small slope everywhere", clip_norm = "limit the gradient's norm", lower_lr = "smaller steps",
  higher_lr = "larger steps", warm_up = "small steps first", per_layer_lr = "a learning rate for each layer",
  ["lstm+forget_bias"] = "an LSTM whose forget gates start open", gru = "a GRU in its place",
  forget_bias = "forget gates that start open", orthogonal_init = "orthogonal recurrent weights",
  chrono_init = "gates set for the length of the sequence", smaller_recurrent_weights = "a smaller spectral radius",
  clean_data = "samples without NaN and infinities",
  stable_loss = "a loss that takes logits; logarithms, roots and quotients kept away from zero",
  adam = "Adam: steps that do not depend on the gradient's size",
}

local function in_words(names)
  local list = {}
  for i, name in ipairs(names) do list[i] = cures[name] and ("%s (%s)"):format(name, cures[name]) or name end
  return table.concat(list, ", ")
end

local function short_list(names)
  if #names <= 4 then return table.concat(names, ", ") end
  return ("%s, %s, … %s (%d layers)"):format(names[1], names[2], names[#names], #names)
end

local columns, most_layers = 100, 12

-- Adds `words` after `label`, wrapped and aligned.
local function add_wrapped(lines, label, words)
  for i, line in ipairs(text.wrap(words, columns - #label)) do
    lines[#lines + 1] = (i == 1 and label or (" "):rep(#label)) .. line
  end
end

local function finding_lines(finding, lines)
  lines[#lines + 1] = ("%s, since step %d (%s, severity %.2f of 1)."):format(titles[finding.pathology],
    finding.since_step, finding.pathology, finding.severity)
  add_wrapped(lines, "  ", lessons[finding.pathology])
  add_wrapped(lines, "  why:   ", finding.cause .. ".")
  if #finding.layers > 0 then add_wrapped(lines, "  where: ", short_list(finding.layers)) end
  local evidence = finding.evidence
  if evidence.decades_per_layer then
    add_wrapped(lines, "  seen:  ", ("at step %d the lowest layer gets %s times the gradient of the highest; in the "
      .. "middle, %s times from each layer to the next one down (%+.2f decades, powers of ten)"):format(evidence.step,
      text.number(10 ^ evidence.total_decades), text.number(10 ^ evidence.decades_per_layer),
      evidence.decades_per_layer))
  end
  if evidence.decades_per_step then
    add_wrapped(lines, "  seen:  ", ("at step %d of the training, in /hidden_jacobian: %+.2f decades (powers of ten) "
      .. "for each time step, %+.1f over the sequence's %d"):format(evidence.step, evidence.decades_per_step,
      evidence.total_decades, evidence.length))
  end
  add_wrapped(lines, "  try:   ", in_words(finding.cures))
end

-- The weight layers of which a picture is made, at most a dozen: { network =, norms =, step = }; of the finding over
-- depth where there is one, in the row where it was worst, else of the newest row.
local function scene(report)
  for _, finding in ipairs(report.findings) do
    if finding.network then return finding.network, finding.norms, finding.evidence.step end
  end
  local norms = report.last and report.last.activation_grad.l2_norm
  return norms and chain.networks(report.groups)[1], norms, report.last and report.last.step
end

-- The weight layers' gradients as bars.
local function picture(report, lines)
  local network, norms, step = scene(report)
  if not network then return end
  local layers, numbers = {}, {}
  for _, module in ipairs(network) do
    local norm = module.kind == "weight" and norms[module.index]
    if norm then layers[#layers + 1] = module end
    if norm and norm > 0 and norm < math.huge then numbers[#numbers + 1] = norm end
  end
  if #layers < 2 or #numbers == 0 then return end
  local scale, rows = text.log_scale(numbers), { { "layer", "module", "gradient", "" } }
  local shown = math.min(#layers, most_layers)
  for k = 0, shown - 1 do
    local module = layers[1 + (#layers - 1) * k // (shown - 1)]
    local norm = norms[module.index]
    rows[#rows + 1] = { module.name, module.module, text.number(norm), text.bar(scale.share(norm), 30) }
  end
  lines[#lines + 1] = ""
  lines[#lines + 1] = text.columns(rows, "llrl")
  add_wrapped(lines, "", ("At step %d%s. The bars show the size (L2 norm) of the gradient of the loss at each layer's "
    .. "output on a log scale from 1e%d to 1e%d: in health about equal."):format(step,
    shown < #layers and (", %d of %d layers"):format(shown, #layers) or "", scale.low, scale.high))
end

local lowest = -46 -- log10: what has become exactly zero

-- What is left of a change of the state at some time steps, as bars; true if a finding is about that.
local function memory_picture(report, lines)
  local finding
  for _, this in ipairs(report.findings) do finding = finding or this.memory and this end
  if not finding then return false end
  local memory, numbers, rows = finding.memory, {}, { { "time step", "left at the end", "" } }
  local n = #memory
  for lag, log in ipairs(memory) do numbers[lag] = log > lowest and 10.0 ^ log or 0 end
  local scale, shown = text.log_scale(numbers), math.min(n, most_layers)
  for k = 0, shown - 1 do
    local time = 1 + (n - 1) * k // (shown - 1)
    local left = numbers[n + 1 - time]
    rows[#rows + 1] = { tostring(time), text.number(left), text.bar(scale.share(left), 30) }
  end
  lines[#lines + 1] = ""
  lines[#lines + 1] = text.columns(rows, "rrl")
  add_wrapped(lines, "", ("At step %d of the training. The bars show how much of a small change of the state of '%s' "
    .. "at a time step is left at the sequence's end, on a log scale from 1e%d to 1e%d."):format(finding.evidence.step,
    finding.evidence.probe, scale.low, scale.high))
  return true
end

-- report: what diagnose.file returned.
return function(report)
  local lines = {}
  local about = report.attributes
  local steps = math.max(math.tointeger(about.n_steps) or 0, report.n_steps)
  lines[1] = ("%s: run '%s', %d steps, %s"):format(report.file, about.name or "", steps,
    report.healthy and "nothing wrong was found" or #report.findings == 1 and "one finding"
    or #report.findings .. " findings")
  if about.status == "failed" then
    lines[2] = ("The run itself failed: %s. What follows is of the steps before."):format(about.error)
  end
  for _, note in ipairs(report.notes) do add_wrapped(lines, "note: ", note) end
  for _, finding in ipairs(report.findings) do
    lines[#lines + 1] = ""
    finding_lines(finding, lines)
  end
  if not memory_picture(report, lines) then picture(report, lines) end
  return table.concat(lines, "\n")
end
