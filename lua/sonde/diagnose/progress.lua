-- Slow progress: the loss has not fallen from its first rows and is not falling now, though the gradient has not become
-- smaller either. A run that has converged differs in the last point, a plateau that ends in the second.
local statistics = require "sonde.diagnose.statistics"

local Progress = {}
Progress.__index = Progress

local fewest, fewest_live = 20, 200 -- rows: fewer have had no time to progress

function Progress.new(thresholds)
  return setmetatable({ limits = thresholds, steps = {}, losses = {}, norms = {} }, Progress)
end

function Progress:feed(row)
  local metrics = row.metrics
  if not metrics or not statistics.is_finite(metrics.loss) then return end
  local n = #self.losses + 1
  self.known = nil
  self.steps[n], self.losses[n] = row.step, metrics.loss
  self.norms[n] = statistics.is_finite(metrics.grad_norm) and metrics.grad_norm or 0
end

local function part(list, from, to)
  local n = #list
  return table.move(list, math.max(1, math.ceil(from * n)), math.ceil(to * n), 1, {})
end

-- Half the distance between the quartiles of the loss: how far single rows scatter.
local function scatter(list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  return (sorted[math.ceil(0.75 * #sorted)] - sorted[math.ceil(0.25 * #sorted)]) / 2
end

-- { first =, last = } levels of the loss; { fell =, falling = } from the first rows to the last and lately, as shares;
-- { fell_by_chance =, falling_by_chance = }: twice what the scatter of single rows makes of these. nil for runs too
-- short to tell.
function Progress:state()
  if self.known ~= nil then return self.known or nil end
  self.known = false
  local n_head = math.max(5, #self.losses // 20)
  local tail, before = part(self.losses, 0.8, 1), part(self.losses, 0.6, 0.8)
  if #self.losses < fewest then return nil end
  local first, last = statistics.median(table.move(self.losses, 1, n_head, 1, {})), statistics.median(tail)
  local scale = math.max(math.abs(first), math.abs(last))
  if scale == 0 then return nil end
  local scatter_here = scatter(tail) / scale
  local gradient_first = statistics.median(table.move(self.norms, 1, n_head, 1, {}))
  self.known = {
    first = first, last = last, fell = (first - last) / scale,
    falling = (statistics.median(before) - last) / scale,
    fell_by_chance = 2 * scatter_here * math.sqrt(1 / n_head + 1 / #tail),
    falling_by_chance = 2 * scatter_here * math.sqrt(2 / #tail),
    gradient = gradient_first > 0 and statistics.median(part(self.norms, 0.8, 1)) / gradient_first or nil,
  }
  return self.known
end

-- Neither fallen nor falling.
function Progress:stalled()
  local state = self:state()
  if not state then return false end
  local share = self.limits.progress_share
  return state.fell < math.max(share, state.fell_by_chance)
    and state.falling < math.max(share / 2, state.falling_by_chance)
end

function Progress:findings(share)
  local state = self:state()
  if not state or not self:stalled() or (not share and #self.losses < fewest_live) then return {} end
  if state.gradient and state.gradient < 0.1 then return {} end -- nothing left to learn
  return { { pathology = "slow_progress", since_step = self.steps[1], layers = {}, severity = 0.5,
             evidence = { first_loss = state.first, last_loss = state.last, fell = state.fell } } }
end

return Progress
