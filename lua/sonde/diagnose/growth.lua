-- What leaves the range of numbers: gradients that outgrow their own past, and the first ones that are not finite.
local Latch = require "sonde.diagnose.latch"
local statistics = require "sonde.diagnose.statistics"

local Growth = {}
Growth.__index = Growth

local first_rows, window = 10, 100

function Growth.new(groups, thresholds)
  local on = math.log(thresholds.exploding_growth, 10)
  return setmetatable({ groups = groups, limits = thresholds, first = {}, past = {}, turn = 0, overflow = {},
                        latch = Latch.new { on = on, off = on / 2, hold = thresholds.hold } }, Growth)
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

-- The first probe of a group with elements that are not finite.
local function first_nonfinite(self, row, group, backwards)
  local counts = row[group] and row[group].n_nonfinite
  if not counts then return nil end
  local from, to, by = 1, #counts, 1
  if backwards then from, to, by = #counts, 1, -1 end
  for i = from, to, by do
    local count = counts[i]
    if count > 0 and count < 4294967295 then return self.groups[group].probe[i], count end
  end
end

-- The forward pass is looked at first: what is not finite there makes every gradient so.
local function find_overflow(self, row)
  for _, place in ipairs { { "activation", false }, { "activation_grad", true }, { "weight_grad", true } } do
    local name, count = first_nonfinite(self, row, place[1], place[2])
    if name then return { group = place[1], layer = name, n_nonfinite = count } end
  end
  -- A NaN in /metrics may be a number that was not logged: both must go at once, having been there.
  local metrics = row.metrics
  if not metrics then return nil end
  local loss, norm = metrics.loss, metrics.grad_norm
  local gone = loss ~= loss and norm ~= norm and self.had_both
  if loss == math.huge or loss == -math.huge or gone then return { group = "metrics", n_nonfinite = 1 } end
  self.had_both = loss == loss and norm == norm
end

function Growth:feed(row)
  local overflow = not self.overflow.step and find_overflow(self, row)
  if self.overflow.step and not overflow then return end
  local norm = gradient_norm(row)
  local grown = forward_growth(self, row)
  -- An infinite norm in the row of the first overflow tells of that, not of growth: the forward pass may.
  local decades = excess(self, norm)
  if overflow and not statistics.is_finite(norm) then decades = grown end
  self.latch:feed(row.step, decades)
  if decades and decades > (self.most or 0) then self.most = decades end
  if overflow then
    overflow.step = row.step
    self.overflow = overflow
    -- What grew without end on the way here has exploded, however few rows that took.
    if self.latch.streak > 0 and not self.latch.active then self.exploded = self.latch.streak_from end
  end
  if #self.first < first_rows or not (decades and decades >= self.latch.on) then learn(self, norm) end
end

function Growth:findings(share)
  local found = {}
  local since = self.latch:verdict(share) or self.exploded
    or self.overflow.step and self.latch:since()
  if since then
    found[1] = { pathology = "exploding_gradient", layers = {}, since_step = since,
                 severity = math.min(1, self.most / 6),
                 evidence = { growth_decades = self.most, usual_grad_norm = usual(self) } }
  end
  local overflow = self.overflow
  if overflow.step then
    found[#found + 1] = { pathology = "numeric_overflow", layers = { overflow.layer }, since_step = overflow.step,
                          severity = 1.0,
                          evidence = { group = "/" .. overflow.group, n_nonfinite = overflow.n_nonfinite } }
  end
  return found
end

return Growth
