-- sonde.diagnose: what is wrong with a training, where, since when, and what fits as a cure; from a run's file, or from
-- rows as they come.
local chain = require "sonde.diagnose.chain"
local Depth = require "sonde.diagnose.depth"
local explain = require "sonde.diagnose.explain"
local fail = require "sonde.fail"
local Latch = require "sonde.diagnose.latch"
local statistics = require "sonde.diagnose.statistics"
local suggest = require "sonde.suggest"
local text = require "sonde.text"

local diagnose = {}

diagnose.pathologies = {
  "vanishing_gradient", "exploding_gradient", "numeric_overflow", "dead_units", "saturated_units", "slow_progress",
  "vanishing_through_time", "exploding_through_time", "unbalanced_updates",
}
diagnose.thresholds = require "sonde.diagnose.thresholds"

local function thresholds_with(overrides)
  local names, values = {}, {}
  for name, value in next, diagnose.thresholds do
    names[#names + 1], values[name] = name, value
  end
  table.sort(names)
  for name, value in next, overrides or {} do
    if not values[name] then fail("diagnose: %s", suggest.unknown("threshold", name, names)) end
    if type(value) ~= "number" then fail("diagnose: threshold '%s' must be a number, got %s", name, type(value)) end
    values[name] = value
  end
  return values
end

local Diagnosis = {}
Diagnosis.__index = Diagnosis

-- Judges rows as they come. groups: group → { probe =, layer =, module =, role =, depth = } of what is measured;
-- thresholds: overrides by name.
function diagnose.new(groups, thresholds)
  local limits = thresholds_with(thresholds)
  local self = setmetatable({ depths = {}, groups = groups, limits = limits }, Diagnosis)
  for _, network in ipairs(chain.networks(groups)) do
    if #network.weights >= 2 then
      self.depths[#self.depths + 1] = Depth.new(network, limits)
      self.networks = self.networks or {}
      self.networks[#self.depths] = network
    end
  end
  self.growth = require "sonde.diagnose.growth".new(groups, limits)
  self.progress = require "sonde.diagnose.progress".new(groups, limits)
  if groups.hidden_jacobian then self.time = require "sonde.diagnose.time".new(groups, limits) end
  if groups.activation then self.units = require "sonde.diagnose.units".new(groups, limits) end
  if groups.weight then self.updates = require "sonde.diagnose.updates".new(groups, limits) end
  return self
end

-- One row: { step =, metrics = { loss = … }, activation_grad = { l2_norm = { … } }, … }; what was not measured in it
-- is absent.
-- Returns true where it may change what is found: a condition began, or numbers ceased to be finite.
function Diagnosis:feed(row)
  local begun, finite = Latch.begun, not self.growth.overflow.step
  for _, depth in ipairs(self.depths) do depth:feed(row) end
  self.progress:feed(row) -- says whether the outputs fit, for those after it
  self.growth:feed(row)
  for _, detector in ipairs { "time", "units", "updates" } do
    if self[detector] then self[detector]:feed(row) end
  end
  return Latch.begun > begun or finite and self.growth.overflow.step ~= nil
end

local function append(list, more)
  for _, item in ipairs(more) do list[#list + 1] = item end
end

-- The activation that stands most often between a network's weight layers.
local function activation_of(network)
  local counts, best = {}, nil
  for _, module in ipairs(network) do
    if module.kind == "activation" then
      counts[module.module] = (counts[module.module] or 0) + 1
      if not best or counts[module.module] > counts[best] then best = module.module end
    end
  end
  return best
end

-- Has the gradient vanished because units lost their slope, and most of it there?
local function is_lost_at(units, vanishing)
  return not vanishing.from_the_start and vanishing.since_step >= units.since_step
    and Depth.taken_by(vanishing, units.layers) <= vanishing.evidence.total_decades / 2
end

-- A symptom that another finding explains is not named beside it: updates and progress follow the gradient and its
-- way through the units; a gradient that is exactly zero below dead units has not vanished over depth, nor has one most
-- of which was lost where units saturated; units that get the same input for every sample, because the signal shrinks
-- as the gradient does, are not what is wrong. A brief explosion at the start is named if something came of it. Through
-- time: an explosion shows in the norm of the gradient and may leave a network without memory; and where something else
-- keeps it from learning, nobody can tell that a memory is too short.
local function without_consequences(findings)
  local there = {}
  for _, finding in ipairs(findings) do there[finding.pathology] = finding end
  local dead, saturated, vanishing = there.dead_units, there.saturated_units, there.vanishing_gradient
  local underflowed = vanishing and vanishing.evidence.smallest == 0
  local in_time, forgotten = there.exploding_through_time, there.vanishing_through_time
  local harm = vanishing or there.numeric_overflow or dead or saturated or forgotten
    or in_time and there.exploding_gradient
  local lasting = { there.exploding_gradient, in_time }
  for i = 1, 2 do lasting[i] = lasting[i] and not lasting[i].brief end
  local flow = harm or lasting[1] or lasting[2]
  local kept = {}
  for _, finding in ipairs(findings) do
    local name = finding.pathology
    local explained = (name == "slow_progress" and #findings > 1) or (name == "unbalanced_updates" and flow)
      or (name == "vanishing_gradient" and dead and (underflowed or is_lost_at(dead, finding)))
      or (name == "vanishing_gradient" and saturated and is_lost_at(saturated, finding))
      or (name == "dead_units" and finding.collapsed and vanishing and not underflowed)
      or (name == "vanishing_through_time" and (in_time or vanishing or there.numeric_overflow or dead or saturated
          or lasting[1]))
      or (name == "exploding_gradient" and in_time and not finding.network and finding.since_step > in_time.after)
      or (finding.brief and not harm)
    if not explained then kept[#kept + 1] = finding end
  end
  return kept
end

-- What is wrong, the worst first: { pathology =, severity =, layers =, since_step =, evidence =, cause =, cures = }.
-- ended: there will be no more rows, so that what held for a good part of them counts too.
function Diagnosis:findings(ended)
  local found, share = {}, ended and self.limits.share or nil
  for i, depth in ipairs(self.depths) do
    local here = depth:findings(share)
    for _, finding in ipairs(here) do finding.activation = activation_of(self.networks[i]) end
    append(found, here)
  end
  local over_depth = {}
  for _, finding in ipairs(found) do over_depth[finding.pathology] = true end
  local stalled = self.progress:stalled()
  for _, finding in ipairs(self.growth:findings(share)) do
    local recovered = finding.thrown_once and self.progress:below(finding.evidence.first_loss)
    if not over_depth[finding.pathology] and not recovered then found[#found + 1] = finding end
  end
  if self.units then append(found, self.units:findings(share, stalled, self.progress:learnt())) end
  if self.updates then append(found, self.updates:findings(share)) end
  local no_progress = self.progress:findings(share)
  -- By the steps; where these were not measured, nobody knows.
  local slow = no_progress[1] and no_progress[1].evidence.update_ratio ~= nil or self.progress:stayed()
  if self.time then append(found, self.time:findings(share, stalled, slow)) end
  append(found, no_progress)
  local kept, order = without_consequences(found), {}
  for i, finding in ipairs(kept) do
    order[finding] = i
    finding.cause, finding.cures = explain[finding.pathology](finding)
  end
  table.sort(kept, function(a, b)
    if a.severity ~= b.severity then return a.severity > b.severity end
    return order[a] < order[b]
  end)
  return kept
end

local function has_recurrence(groups)
  for _, module in ipairs(groups.activation_grad and groups.activation_grad.module or {}) do
    if module == "RNN" or module == "LSTM" or module == "GRU" then return true end
  end
end

-- What is no finding but should be known: what could not be judged, and a loss that stands still for no fault of the
-- gradient. Sentences.
function Diagnosis:notes(ended)
  local notes, groups = {}, self.groups
  local verdict, state = self.progress:verdict(ended and self.limits.share or nil)
  if verdict == "plateau" and #self:findings(ended) == 0 then
    notes[1] = ("The loss was %s and is %s, though the steps were large enough to change it and the gradient arrives: "
      .. "a long plateau, or these inputs say nothing about the targets that this network could learn."):format(
      text.number(state.first), text.number(state.last))
  end
  local missing = {}
  for _, gap in ipairs { { "activation_grad", "gradients over depth" }, { "activation", "dead and saturated units" },
                         { "weight", "the size of the steps" } } do
    if not groups[gap[1]] then missing[#missing + 1] = ("%s (/%s)"):format(gap[2], gap[1]) end
  end
  if not groups.hidden_jacobian and has_recurrence(groups) then
    missing[#missing + 1] = "gradients through time (/hidden_jacobian)"
  end
  if #missing > 0 then notes[#notes + 1] = "Not measured, so not judged: " .. table.concat(missing, ", ") .. "." end
  return notes
end

-- The same from a run's file, also a live or a killed run's FILE.part: { file =, healthy =, findings =, attributes =,
-- notes =, last = the newest row with finite gradients, groups =, n_steps = }. options: { thresholds = { name =
-- value } }. nil, message, code where the file cannot be read.
function diagnose.file(path, options)
  local given = suggest.check_options("diagnose", options, { "thresholds" })
  local opened, message, code = require "sonde.diagnose.source".open(path)
  if not opened then return nil, message, code end
  path = opened.path
  local diagnosis = diagnose.new(opened.groups, given.thresholds)
  local rows, last, steps = 0, nil, 0
  local ok, trouble = pcall(function()
    for row in opened.rows() do
      diagnosis:feed(row)
      rows, steps = rows + 1, row.step
      local norms = row.activation_grad and row.activation_grad.l2_norm
      if norms and (not last or statistics.is_finite(norms[#norms])) then last = row end
    end
  end)
  opened.close()
  if not ok then return nil, ("%s cannot be read: %s"):format(path, trouble), "EFORMAT" end
  if rows == 0 then return nil, path .. " holds no measured step", "EFORMAT" end
  local findings = diagnosis:findings(true)
  return { file = path, healthy = #findings == 0, findings = findings, notes = diagnosis:notes(true),
           attributes = opened.attributes, groups = opened.groups, last = last, n_steps = steps }
end

return diagnose
