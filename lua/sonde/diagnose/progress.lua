-- Slow progress: the loss has not fallen from its first rows and is not falling now, though the gradient has not become
-- smaller either and the outputs do not fit the targets. A run that has converged differs in the last two points, also
-- if it began so, and a plateau that ends in the second. Or: the weights have hardly moved, and a
-- noisy loss says little else.
--
-- A loss that stands at what guessing gives, while the steps are of a size that could have changed it, is no finding:
-- where there is nothing to learn (targets of pure noise), or nothing that this network can represent, the training
-- does what it should, and nobody can tell that from a long plateau. The report says so in a note.
local chain = require "sonde.diagnose.chain"
local Output = require "sonde.diagnose.output"
local statistics = require "sonde.diagnose.statistics"

local Progress = {}
Progress.__index = Progress

local fewest, fewest_live = 20, 200 -- rows: fewer have had no time to progress

function Progress.new(groups, thresholds)
  return setmetatable({ limits = thresholds, steps = {}, losses = {}, norms = {}, output = Output.new(groups),
                        fitted_rows = {}, matrices = chain.matrices(groups), parameters = chain.parameters(groups),
                        path = 0, reach = 0, measured_steps = 0 }, Progress)
end

-- Does the loss hang on the outputs so finely that they must fit the targets already?
local function is_fitted(self, row)
  local leverage = self.output and self.output:of_size(row)
  return leverage ~= nil and leverage > self.limits.fitted
end

-- What the step can have changed in the loss: a change of the weights by d changes it by g·d, to first order, so at
-- most by |g| |d| for each parameter (Cauchy-Schwarz).
local function reach_of(self, row)
  local gradients, moves = row.weight_grad and row.weight_grad.l2_norm, row.weight and row.weight.update_l2_norm
  local reach = 0
  for _, parameter in ipairs(gradients and moves and self.parameters or {}) do
    local product = (gradients[parameter.gradient] or 0) * (moves[parameter.index] or 0)
    if statistics.is_finite(product) then reach = reach + product end
  end
  return reach
end

-- Adds to the path of the middle weight matrix, in units of its size; a row stands for the `steps` up to it.
local function follow(self, row, steps)
  local ratios, finite = row.weight and row.weight.update_ratio, {}
  for _, matrix in ipairs(ratios and self.matrices or {}) do
    local ratio = ratios[matrix.index]
    if statistics.is_finite(ratio) then finite[#finite + 1] = ratio end
  end
  local middle = statistics.median(finite)
  if not middle then return end
  self.path, self.measured_steps = self.path + middle * steps, self.measured_steps + steps
  self.reach = self.reach + reach_of(self, row) * steps
end

function Progress:feed(row)
  local metrics = row.metrics
  if not metrics or not statistics.is_finite(metrics.loss) then return end
  local n = #self.losses + 1
  self.known = nil
  self.steps[n], self.losses[n] = row.step, metrics.loss
  self.norms[n] = statistics.is_finite(metrics.grad_norm) and metrics.grad_norm or 0
  row.fitted = is_fitted(self, row)
  self.fitted_rows[n] = row.fitted and 1 or 0
  follow(self, row, row.step - (self.steps[n - 1] or row.step - 1))
end

local function part(list, from, to)
  local n = #list
  return table.move(list, math.max(1, math.ceil(from * n)), math.ceil(to * n), 1, {})
end

-- Standard deviation of single rows, from the distance between the quartiles of a normal distribution.
local function scatter(list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  return (sorted[math.ceil(0.75 * #sorted)] - sorted[math.ceil(0.25 * #sorted)]) / 1.349
end

-- Two standard errors of the difference of two medians, 1.2533 s / sqrt(n) each: what chance may make of it.
local function by_chance(s, n1, n2) return 2 * 1.2533 * s * math.sqrt(1 / n1 + 1 / n2) end

-- { first =, last = } levels of the loss; { fell =, falling = } from the first rows to the last and lately, as shares;
-- { fell_by_chance =, falling_by_chance = }: what the scatter of single rows may make of these. nil for runs too short
-- to tell.
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
    fell_by_chance = by_chance(scatter_here, n_head, #tail),
    falling_by_chance = by_chance(scatter_here, #before, #tail),
    gradient = gradient_first > 0 and statistics.median(part(self.norms, 0.8, 1)) / gradient_first or nil,
  }
  return self.known
end

-- Has the loss of the last rows come down from `level` by what counts as progress?
function Progress:below(level)
  local last = statistics.median(part(self.losses, 0.8, 1))
  return last ~= nil and last < (1 - self.limits.progress_share) * level
end

-- Is most of what there was to learn learnt: has the loss come down to this share of that of the initial weights?
function Progress:learnt()
  local first, last = self.losses[1], statistics.median(part(self.losses, 0.8, 1))
  return first ~= nil and last < self.limits.learnt * first
end

-- Have the weights stayed where they were?
function Progress:stayed() return self.measured_steps > 0 and self.path < self.limits.moved end

-- Neither fallen nor falling. A large fall is believed even where the loss scatters more, but of weights that stayed
-- where they were a fall has to be twice as clear.
function Progress:stalled()
  local state = self:state()
  if not state then return false end
  local stayed = self:stayed()
  local share, doubt = self.limits.progress_share, self.limits.progress_doubt
  local function by_chance_at_most(least, chance)
    return stayed and 2 * math.max(least, chance) or math.max(least, math.min(doubt, chance))
  end
  return state.fell < by_chance_at_most(share, state.fell_by_chance)
    and state.falling < by_chance_at_most(share / 2, state.falling_by_chance)
end

-- Does the loss stand still though the steps could have changed it, and are not so large that they throw it about?
local function is_plateau(self, state)
  if self.measured_steps == 0 or self.reach == 0 then return false end
  local scale = math.max(math.abs(state.first), math.abs(state.last))
  local too_large = self.path / self.measured_steps >= self.limits.thrown
    or -state.fell > math.max(self.limits.progress_doubt, state.fell_by_chance)
  return self.reach >= self.limits.reach * scale and not too_large
end

-- "slow": no progress, by steps too small or too large. "plateau": none, and not by the steps. nil: progress, or
-- nothing left to gain, or too early to tell: steps of a usual size under which the loss falls, if not by much yet.
function Progress:verdict(share)
  local state = self:state()
  if not state or not self:stalled() or (not share and #self.losses < fewest_live) then return nil end
  local nothing_left = state.gradient and state.gradient < 0.1
    or statistics.mean(part(self.fitted_rows, 0.8, 1)) > 0.5
  local is_short = self.path >= self.limits.way and state.fell > state.fell_by_chance
  if nothing_left or is_short then return nil end
  return is_plateau(self, state) and "plateau" or "slow", state
end

function Progress:findings(share)
  local verdict, state = self:verdict(share)
  if verdict ~= "slow" then return {} end
  return { { pathology = "slow_progress", since_step = self.steps[1], layers = {}, severity = 0.5,
             evidence = { first_loss = state.first, last_loss = state.last, fell = state.fell,
                          update_ratio = self.measured_steps > 0 and self.path / self.measured_steps or nil,
                          reach = self.measured_steps > 0 and self.reach or nil } } }
end

return Progress
