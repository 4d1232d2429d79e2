-- Units without a slope: dead ones, whose activation never lets a gradient through, and saturated ones, which sit on
-- the flat ends of a bounded activation. Only activation modules have these columns.
local Latch = require "sonde.diagnose.latch"

local Units = {}
Units.__index = Units

local function latches(names, on, hold)
  local list = {}
  for i in ipairs(names) do list[i] = Latch.new { on = on, off = 0.8 * on, hold = hold } end
  return list
end

function Units.new(groups, thresholds)
  local names = groups.activation.probe
  return setmetatable({
    names = names, limits = thresholds, first_slope = {}, last = {}, idle_since = {},
    dead = latches(names, thresholds.dead_share, thresholds.hold),
    dead_at_work = latches(names, thresholds.dead_at_work, thresholds.hold), began_dead = {},
    idle = latches(names, 0.9, thresholds.hold), all_idle = latches(names, 1, thresholds.hold),
    saturated = latches(names, thresholds.saturated_share, thresholds.hold),
    at_work = latches(names, thresholds.saturated_at_work, thresholds.hold), first_share = {},
    flat = latches(names, 1, thresholds.hold), blind = latches(names, 1, thresholds.hold),
  }, Units)
end

local function known(x) return x ~= nil and x == x end

local function tells_nothing_apart(cosine) return known(cosine) and cosine > 0.9 end

-- Where the layer before no longer tells samples apart (deep in a ReLU net, as mean-field theory has it), half of all
-- units are off for all of them by symmetry, and come on again as soon as training moves that one direction: there a
-- larger share is needed. before: the sample_cosine of the activation before (NaN: it gives only zeros); a layer's own
-- would rise with its dead units, as the few that are left answer alike.
local function weighed(share, before)
  local alike = before and (before ~= before or tells_nothing_apart(before))
  return known(share) and share < 1 and alike and 0.6 * share or share
end

-- A unit counts as dead after 2000 samples: the condition dates from where the batch alone said so.
local function feed_dead(self, i, step, dead, idle, before)
  dead = weighed(dead, before)
  if known(idle) and idle >= self.limits.dead_share then
    self.idle_since[i] = self.idle_since[i] or step
  elseif known(idle) and not self.dead[i].active then
    self.idle_since[i] = nil
  end
  self.dead[i]:feed(step, dead)
  self.dead_at_work[i]:feed(step, dead)
  if self.began_dead[i] == nil and known(dead) then self.began_dead[i] = dead >= self.limits.dead_share end
  self.idle[i]:feed(step, idle)
  self.all_idle[i]:feed(step, idle)
end

-- Far from where it started and from its steepest part: 1 at the limit of either, more beyond both. A layer that is so
-- and answers every sample alike has pushed its units to the flat end without a use for it.
local function feed_flat(self, i, step, slope, cosine)
  if not known(slope) then return end
  local first = self.first_slope[i] or slope
  self.first_slope[i] = first
  if slope > 0 then
    local beyond = math.min(self.limits.saturated_slope / slope, self.limits.saturated_fall * first / slope)
    self.flat[i]:feed(step, beyond)
    self.blind[i]:feed(step, tells_nothing_apart(cosine) and beyond or 0)
  end
end

function Units:feed(row)
  local values = row.activation
  if not values or not values.slope_rms then return end
  local before -- the sample_cosine of the activation before
  for i in ipairs(self.names) do
    local slope, saturated = values.slope_rms[i], values.saturated_frac[i]
    self.last[i] = { slope = slope, saturated = saturated, dead = values.dead_frac[i], idle = values.idle_frac[i],
                     cosine = values.sample_cosine and values.sample_cosine[i] }
    if known(saturated) then
      local closed = known(slope) and slope > self.limits.open_slope and 0 or saturated
      self.saturated[i]:feed(row.step, closed)
      self.at_work[i]:feed(row.step, closed)
      self.first_share[i] = self.first_share[i] or saturated
      feed_flat(self, i, row.step, slope, self.last[i].cosine)
    else
      feed_dead(self, i, row.step, values.dead_frac[i], values.idle_frac[i], before)
    end
    if known(slope) then before = self.last[i].cosine end
  end
end

-- Collects the layers for which `since_of(i)` knows a step; share(i): how many of their units.
local function collect(self, pathology, since_of, share)
  local layers, since, most, worst = {}, nil, -1, nil
  for i, name in ipairs(self.names) do
    local step = since_of(i)
    if step then
      layers[#layers + 1] = name
      since = math.min(since or step, step)
      if share(i) >= most then most, worst = share(i), i end
    end
  end
  if #layers == 0 then return nil end
  return { pathology = pathology, layers = layers, since_step = since,
           share = most, most = self.names[worst], at = worst,
           severity = math.min(1, 0.5 * most + 0.5 * #layers / #self.names), evidence = {} }
end

-- stalled: has the loss stood still? Only then is a layer called saturated that drifted to the flat ends by half of its
-- units or, with no unit near an end, lost half of its slope: in a network that learns such layers are at work, unless
-- they answer every sample alike. learnt: did it learn most there is? Then that goes for layers that began so as well.
-- Outputs that are sure of their answers are meant to be.
function Units:findings(share, stalled, learnt)
  local function verdict(latch) return latch:verdict(share) end
  local dead = collect(self, "dead_units", function(i)
    local since = verdict((stalled or self.began_dead[i]) and self.dead[i] or self.dead_at_work[i])
    -- Too few samples in the whole run: then no unit of the batches may have moved.
    if not since and self.dead[i].rows == 0 then return verdict(self.idle[i]) end
    -- A whole layer without a slope in the last batches is dead before 2000 samples have said so.
    if not since and self.all_idle[i].active then return self.all_idle[i]:since() end
    return since and math.min(since, self.idle_since[i] or since)
  end, function(i)
    local last = self.last[i]
    if self.all_idle[i].active then return 1 end
    return known(last.dead) and last.dead or known(last.idle) and last.idle or 1
  end)
  local saturated = collect(self, "saturated_units", function(i)
    local first = self.first_share[i]
    if stalled then return verdict(self.saturated[i]) or verdict(self.flat[i]) end
    if i == #self.names then return nil end
    local began_so = first and first >= self.limits.saturated_share
    local since = verdict((began_so and not learnt and self.saturated or self.at_work)[i]) or verdict(self.blind[i])
    return since and began_so and verdict(self.saturated[i]) or since
  end, function(i) return known(self.last[i].saturated) and self.last[i].saturated or 1 end)
  local found = {}
  if dead then
    dead.evidence.dead_frac = dead.share
    dead.collapsed = true -- no dead layer tells samples apart: the signal was lost before its units were
    for i, name in ipairs(self.names) do
      local cosine = self.last[i].cosine
      for _, layer in ipairs(dead.layers) do
        if name == layer and not tells_nothing_apart(cosine) then dead.collapsed = false end
      end
    end
    found[1] = dead
  end
  if saturated then
    saturated.evidence.saturated_frac = saturated.share
    saturated.evidence.slope_rms = self.last[saturated.at].slope
    saturated.evidence.first_slope_rms = self.first_slope[saturated.at]
    local lost = 1 - (saturated.evidence.slope_rms or 1) -- what counts where no unit is at the end
    if lost > saturated.share then
      saturated.severity = math.min(1, saturated.severity + 0.5 * (lost - saturated.share))
    end
    found[#found + 1] = saturated
  end
  return found
end

return Units
