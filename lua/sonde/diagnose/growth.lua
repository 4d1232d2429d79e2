-- What leaves the range of numbers: gradients that outgrow their own past, a loss that large steps throw far above
-- where it began, and the first numbers that are not finite.
local Latch = require "sonde.diagnose.latch"
local overflows = require "sonde.diagnose.overflow"
local statistics = require "sonde.diagnose.statistics"

local Growth = {}
Growth.__index = Growth

local first_rows, window = 10, 100

function Growth.new(groups, thresholds)
  local on = math.log(thresholds.exploding_growth, 10)
  local moved = {} -- places in /weight; a bias starts at zero and tells nothing by its ratio
  for i, role in ipairs(groups.weight and groups.weight.role or {}) do
    if role:find("weight", 1, true) then moved[#moved + 1] = i end
  end
  local on_loss = #moved > 0 and math.log(thresholds.blown_up, 10) or on
  return setmetatable({
    limits = thresholds, first = {}, past = {}, turn = 0, overflows = overflows.new(groups), overflow = {},
    moved = moved, largest_step = 0, forward_measured = groups.activation ~= nil,
    latch = Latch.new { on = on, off = on / 2, hold = thresholds.hold },
    loss = Latch.new { on = on_loss, off = on_loss / 2, hold = thresholds.hold },
  }, Growth)
end

-- The usual size so far: the larger of the first rows' median and the last hundred rows'; among the first rows the
-- largest, as one alone may be of a batch that happens to fit.
local function usual(self)
  if #self.first > 0 and #self.first < first_rows then return math.max(table.unpack(self.first)) end
  local first, past = statistics.median(self.first), statistics.median(self.past)
  return first and math.max(first, past or first)
end

local function is_gradient_free(norm) return norm == nil or norm ~= norm or norm == 0 end

-- Decades by which this row's gradient norm exceeds the usual; nil if that cannot be told.
local function excess(self, norm)
  local reference = usual(self)
  if is_gradient_free(norm) or not reference then return nil end
  if norm == math.huge then return 300 end
  return math.log(norm / reference, 10)
end

local function learn(self, norm)
  if is_gradient_free(norm) or norm == math.huge then return end
  if #self.first < first_rows then self.first[#self.first + 1] = norm end
  self.turn = self.turn % window + 1
  self.past[self.turn] = norm
end

-- Decades by which the loss exceeds that of the initial weights, once a step was large enough to throw it there. nil
-- where that cannot be told: a loss of zero or less, or of outputs that fit their targets, where any ratio is chance.
local function loss_excess(self, row)
  for _, i in ipairs(self.moved) do
    local ratio = row.weight and row.weight.update_ratio and row.weight.update_ratio[i]
    if ratio and ratio > self.largest_step then self.largest_step = ratio end
  end
  local loss = row.metrics and row.metrics.loss
  if row.fitted and loss <= (self.first_loss or loss) then return 0 end
  if not loss or loss ~= loss or loss <= 0 or row.fitted then return nil end
  if loss == math.huge then return self.first_loss and 300 end
  self.first_loss = self.first_loss or loss
  if #self.moved > 0 and self.largest_step < self.limits.thrown then return 0 end
  return math.log(loss / self.first_loss, 10)
end

-- Decades by which the largest layer's output outgrew the row before; for a row whose gradient is not finite.
local function forward_growth(self, row)
  local largest
  for _, norm in ipairs(row.activation and row.activation.l2_norm or {}) do
    if statistics.is_finite(norm) then largest = math.max(largest or 0, norm) end
  end
  local before = self.forward
  self.forward = largest
  return largest and before and before > 0 and largest > 0 and math.log(largest / before, 10) or nil
end

local function gradient_norm(row)
  if row.metrics and row.metrics.grad_norm and row.metrics.grad_norm == row.metrics.grad_norm then
    return row.metrics.grad_norm
  end
  local norms, sum = row.weight_grad and row.weight_grad.l2_norm, nil
  for _, norm in ipairs(norms or {}) do
    if norm == norm then sum = (sum or 0) + norm * norm end
  end
  return sum and sum ^ 0.5
end

function Growth:feed(row)
  local overflow = not self.overflow.step and self.overflows:find(row)
  if self.overflow.step and not overflow then return end
  local norm = gradient_norm(row)
  local grown = forward_growth(self, row)
  -- An infinite norm in the row of the first overflow tells of that, not of growth: the forward pass may.
  local decades, thrown = excess(self, norm), loss_excess(self, row)
  if overflow and not statistics.is_finite(norm) then decades = grown end
  self.latch:feed(row.step, decades)
  if decades and decades > (self.most or 0) then self.most = decades end
  self.loss:feed(row.step, thrown)
  if thrown and thrown < 300 and thrown > (self.most_loss or 0) then self.most_loss = thrown end
  if overflow then
    overflow.step, overflow.origin = row.step, row.origin
    self.overflow = overflow
    -- What grew without end on the way here has exploded, however few rows that took.
    for _, latch in ipairs { self.loss, self.latch } do
      if latch.streak > 0 and not latch.active then self.exploded = latch.streak_from end
    end
  end
  if #self.first < first_rows or not (decades and decades >= self.latch.on) then learn(self, norm) end
end

local function earlier(a, b) return a and b and math.min(a, b) or a or b end

-- A loss that was thrown up and came down again is named if the training got nowhere: such a finding is marked
-- `thrown_once`.
function Growth:findings(share)
  local found, ended_so = {}, self.overflow.step ~= nil
  local by_norm = self.latch:verdict(share) or self.exploded or ended_so and self.latch:since() or nil
  local by_loss = self.loss:verdict(share) or ended_so and self.loss:since() or nil
  local once = share and not by_norm and not by_loss and self.loss:since() or nil
  local since = earlier(by_norm, by_loss) or once
  if since then
    local most, thrown = self.most or 0, self.most_loss or 0
    found[1] = { pathology = "exploding_gradient", layers = {}, since_step = since, thrown_once = once ~= nil,
                 severity = math.min(1, math.max(most, thrown) / 6),
                 evidence = { growth_decades = most, usual_grad_norm = usual(self), loss_growth_decades = thrown,
                              first_loss = self.first_loss,
                              largest_update_ratio = #self.moved > 0 and self.largest_step or nil } }
  end
  local overflow = self.overflow
  if overflow.step then
    found[#found + 1] = { pathology = "numeric_overflow", layers = { overflow.layer }, since_step = overflow.step,
                          severity = 1.0, forward_measured = self.forward_measured,
                          evidence = { group = "/" .. overflow.group, n_nonfinite = overflow.n_nonfinite,
                                       origin = overflow.origin } }
  end
  return found
end

return Growth
