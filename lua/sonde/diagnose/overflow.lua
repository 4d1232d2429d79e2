-- Where the first number that is not finite is seen: a weight before the step, the forward pass, the backward pass, or,
-- where these were not measured, the loss.
local chain = require "sonde.diagnose.chain"
local statistics = require "sonde.diagnose.statistics"

local Overflow = {}
Overflow.__index = Overflow

local not_measured = 4294967295 -- of a count

function Overflow.new(groups)
  return setmetatable({ groups = groups, parameters = chain.parameters(groups) }, Overflow)
end

-- A parameter that was not finite before the step, though it has a gradient (NaN is also what was not measured, or is
-- frozen): an update or the recipe put the number there, and all others come from it.
local function in_a_weight(self, row)
  local norms, counts = row.weight and row.weight.l2_norm, row.weight_grad and row.weight_grad.n_nonfinite
  for _, place in ipairs(norms and counts and self.parameters or {}) do
    local norm, count = norms[place.index], counts[place.gradient]
    if norm and not statistics.is_finite(norm) and count and count < not_measured then
      local group = self.groups.weight
      return group.layer and group.layer[place.index] or group.probe[place.index]
    end
  end
end

-- The first probe of a group with elements that are not finite, and their number.
local function first_in(self, row, group, backwards)
  local counts = row[group] and row[group].n_nonfinite
  if not counts then return nil end
  local from, to, by = 1, #counts, 1
  if backwards then from, to, by = #counts, 1, -1 end
  for i = from, to, by do
    local count = counts[i]
    if count > 0 and count < not_measured then return self.groups[group].probe[i], count end
  end
end

-- { group =, layer =, n_nonfinite = } where a row has such a number. The forward pass is looked at before the
-- gradients: what is not finite there makes every gradient so.
function Overflow:find(row)
  for _, place in ipairs { { "activation", false }, { "activation_grad", true }, { "weight_grad", true } } do
    local name, count = first_in(self, row, place[1], place[2])
    if name then
      local weight = in_a_weight(self, row)
      return { group = weight and "weight" or place[1], layer = weight or name, n_nonfinite = count }
    end
  end
  if row.nonfinite_loss then return { group = "metrics", n_nonfinite = 1 } end
  -- Else a NaN in /metrics may be a number that was not logged: both must go at once, having been there.
  local metrics = row.metrics
  if not metrics then return nil end
  local loss, norm = metrics.loss, metrics.grad_norm
  local gone = loss ~= loss and norm ~= norm and self.had_both
  if loss == math.huge or loss == -math.huge or gone then return { group = "metrics", n_nonfinite = 1 } end
  self.had_both = loss == loss and norm == norm
end

return Overflow
