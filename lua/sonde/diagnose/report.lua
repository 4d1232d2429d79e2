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

local function finding_lines(finding, lines)
  lines[#lines + 1] = ("%s, since step %d (%s, severity %.2f of 1)."):format(titles[finding.pathology],
    finding.since_step, finding.pathology, finding.severity)
  lines[#lines + 1] = "  " .. lessons[finding.pathology]
  lines[#lines + 1] = "  why:   " .. finding.cause
  if #finding.layers > 0 then lines[#lines + 1] = "  where: " .. short_list(finding.layers) end
  local evidence = finding.evidence
  if evidence.decades_per_layer then
    lines[#lines + 1] = ("  seen:  at step %d, %+.2f decades (powers of ten) per layer towards the input, %+.1f in all")
      :format(evidence.step, evidence.decades_per_layer, evidence.total_decades)
  end
  lines[#lines + 1] = "  try:   " .. in_words(finding.cures)
end

-- The weight layers' gradients of the newest row as bars.
local function picture(report, lines)
  local norms = report.last and report.last.activation_grad.l2_norm
  local network = norms and chain.networks(report.groups)[1]
  if not network then return end
  local rows, numbers = { { "layer", "module", "gradient", "" } }, {}
  for _, module in ipairs(network) do
    if module.kind == "weight" then numbers[#numbers + 1] = norms[module.index] end
  end
  if #numbers < 2 then return end
  local scale = text.log_scale(numbers)
  for _, module in ipairs(network) do
    if module.kind == "weight" then
      local norm = norms[module.index]
      rows[#rows + 1] = { module.name, module.module, text.number(norm), text.bar(scale.share(norm), 30) }
    end
  end
  lines[#lines + 1] = text.columns(rows, "llrl")
  lines[#lines + 1] = ("at step %d: L2 norm of dLoss/d(output of each weight layer), bars on a log scale, 1e%d to 1e%d")
    :format(report.last.step, scale.low, scale.high)
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
  for _, finding in ipairs(report.findings) do
    lines[#lines + 1] = ""
    finding_lines(finding, lines)
  end
  lines[#lines + 1] = ""
  picture(report, lines)
  if lines[#lines] == "" then lines[#lines] = nil end
  return table.concat(lines, "\n")
end
