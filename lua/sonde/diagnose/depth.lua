-- Gradients that vanish or explode over depth, measured at the outputs of the weight layers: weight gradients alone
-- hide it where the activations shrink as well (ReLU with Glorot's weights).
local Latch = require "sonde.diagnose.latch"
local statistics = require "sonde.diagnose.statistics"

local Depth = {}
Depth.__index = Depth

local smallest = -46 -- log10 of less than the smallest float32: a gradient that has become exactly zero

function Depth.new(network, thresholds)
  local function latch(on) return Latch.new { on = on, off = 0.75 * on, hold = thresholds.hold } end
  local has_norm = false
  for _, module in ipairs(network) do has_norm = has_norm or module.kind == "normalisation" end
  return setmetatable({ network = network, limits = thresholds,
                        exploding_slope = has_norm and thresholds.normalised_slope or thresholds.exploding_slope,
                        vanishing = latch(thresholds.vanishing_decades),
                        exploding = latch(1), worst = {} }, Depth)
end

-- log10 of the gradient's norm at each weight layer, from the lowest. Zeros are gradients that underflowed where only
-- the lowest layers have them; elsewhere (a branch that starts at zero) they tell nothing and are left out.
local function decades_of(network, norms)
  local logs, places, from_below = {}, {}, true
  for _, place in ipairs(network.weights) do
    local norm = norms[network[place].index]
    if not norm or not statistics.is_finite(norm) then return nil end
    if norm > 0 then from_below = false end
    if norm > 0 or from_below then
      logs[#logs + 1] = norm > 0 and math.log(norm, 10) or smallest
      places[#places + 1] = place
    end
  end
  if from_below or #logs < 2 then return nil end
  return logs, places
end

-- Decades gained on the way from the highest layer to the lowest, negative is vanishing: by the slope over all layers
-- or, for what happens in one place, from the upper third to the lower third, whichever is more.
local function total_of(logs, slope)
  local n, third = #logs, math.max(1, #logs // 3)
  local even, jump = slope * (n - 1), statistics.median(table.move(logs, 1, third, 1, {}))
    - statistics.median(table.move(logs, n - third + 1, n, 1, {}))
  return math.abs(even) > math.abs(jump) and even or jump
end

-- Where the gradient ends, if it is exactly zero below some place: { below = the highest weight layer without any,
-- module = the module that passes nothing on, its kind, norm = what reached it }.
local function end_of(network, worst)
  local zero
  for i, place in ipairs(worst.places) do
    if worst.norms[network[place].index] > 0 then break end
    zero = worst.places[i]
  end
  if not zero then return nil end
  local at = zero
  while network[at] and worst.norms[network[at].index] == 0 do at = at + 1 end
  local module = network[at]
  return module and { below = network[zero].name, name = module.name, module = module.module, kind = module.kind,
                      norm = worst.norms[module.index] }
end

-- The factors of the modules between the lowest and the highest weight layer: decades by kind, and the module with
-- the largest share of the way. Their sum is exact where each module feeds the next.
local function factors_of(network, places, norms)
  local parts, worst = { weight = 0, activation = 0, normalisation = 0, other = 0 }, { decades = 0 }
  local counts = {}
  for place = places[1] + 1, places[#places] do
    local below, here = norms[network[place - 1].index], norms[network[place].index]
    if below > 0 and here > 0 and statistics.is_finite(below) and statistics.is_finite(here) then
      local module, decades = network[place], math.log(below / here, 10)
      parts[module.kind] = parts[module.kind] + decades
      counts[module.kind] = (counts[module.kind] or 0) + 1
      if math.abs(decades) > math.abs(worst.decades) then
        worst = { decades = decades, name = module.name, module = module.module }
      end
    end
  end
  return parts, worst, counts
end

-- The worst row; of rows in which the gradient became exactly zero, as dead units make it, only if there are no others.
local function remember(self, kind, here)
  local old = self.worst[kind]
  local is_better = not old or old.has_zeros and not here.has_zeros
    or old.has_zeros == here.has_zeros and math.abs(old.total) < math.abs(here.total)
  if is_better then self.worst[kind] = here end
end

function Depth:feed(row)
  local norms = row.activation_grad and row.activation_grad.l2_norm
  if not norms then return end
  local logs, places = decades_of(self.network, norms)
  if not logs then return end
  local slope = -statistics.theil_sen(logs)
  local total = total_of(logs, slope)
  self.vanishing:feed(row.step, -total)
  local limits = self.limits
  local growth = math.max(total / limits.exploding_total,
    math.min(total / limits.exploding_decades, slope / self.exploding_slope))
  self.exploding:feed(row.step, growth)
  local here = { step = row.step, logs = logs, places = places, total = total, slope = slope, norms = norms,
                 has_zeros = norms[self.network[places[1]].index] == 0 }
  if -total >= limits.vanishing_decades then remember(self, "vanishing", here) end
  if growth >= 1 then remember(self, "exploding", here) end
  if not self.first_step then self.first_step, self.began_exploding = row.step, growth >= 1 and here or nil end
end

-- Layers whose gradient is two decades or more beyond that of the highest.
local function layers_of(network, worst, limit)
  local top, names = worst.logs[#worst.logs], {}
  for i, place in ipairs(worst.places) do
    local beyond = (worst.logs[i] - top) * (worst.total < 0 and -1 or 1)
    if beyond >= limit then names[#names + 1] = network[place].name end
  end
  if #names == 0 then names[1] = network[worst.places[1]].name end
  return names
end

local function finding(self, kind, since, worst)
  if not since or not worst then return nil end
  local network = self.network
  local parts, module, counts = factors_of(network, worst.places, worst.norms)
  -- Of zeros only a bound is known: what was lost down to the lowest layer with a gradient.
  local logs = {}
  for i, place in ipairs(worst.places) do
    if worst.norms[network[place].index] > 0 then logs[#logs + 1] = worst.logs[i] end
  end
  local total = logs[1] - logs[#logs]
  local slope = #logs == #worst.logs and worst.slope or #logs > 1 and -statistics.theil_sen(logs) or nil
  local ends = end_of(network, worst)
  local evidence = {
    step = worst.step, decades_per_layer = slope, total_decades = total, zero_below = ends and ends.below,
    r2 = slope and statistics.r2(logs, -slope), weight_decades = parts.weight,
    activation_decades = parts.activation, normalisation_decades = parts.normalisation, other_decades = parts.other,
    worst_layer = module.name, worst_drop = module.decades,
    smallest = ends and 0 or 10 ^ math.min(table.unpack(worst.logs)), largest = 10 ^ math.max(table.unpack(worst.logs)),
  }
  return { pathology = kind .. "_gradient", severity = math.min(1, math.abs(worst.total) / 8), since_step = since,
           layers = layers_of(network, worst, 2), evidence = evidence, counts = counts, worst = module, ends = ends,
           network = network, norms = worst.norms, from_the_start = since == self.first_step }
end

-- A gradient that explodes at the initial weights may end that in its first steps, having thrown the network out: such
-- a finding is marked `brief`.
function Depth:findings(share)
  local found, exploding = {}, self.exploding:verdict(share)
  local vanishing = self.vanishing:verdict(share)
    or self.vanishing:verdict_from_the_start(share and self.limits.delay_share)
  found[1] = finding(self, "vanishing", vanishing, self.worst.vanishing)
  if exploding then
    found[#found + 1] = finding(self, "exploding", exploding, self.worst.exploding)
  elseif self.began_exploding then
    found[#found + 1] = finding(self, "exploding", self.first_step, self.began_exploding)
    found[#found].brief = true
  end
  return found
end

-- Decades that the activations `names` take between the lowest and the highest weight layer of a finding.
function Depth.taken_by(this, names)
  local network, sum = this.network, 0
  for _, name in ipairs(names) do
    for place = 2, #network do
      local below, here = this.norms[network[place - 1].index], this.norms[network[place].index]
      if network[place].name == name and below > 0 and here > 0 then sum = sum + math.log(below / here, 10) end
    end
  end
  return sum
end

return Depth
