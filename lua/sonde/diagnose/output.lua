-- How finely the loss hangs on the network's outputs, from the norms of outputs and gradients: a number without scale.
local statistics = require "sonde.diagnose.statistics"

local Output = {}
Output.__index = Output

-- Units of the last weight layer up to a depth: the elements of its bias; nil where it has none.
local function units_of(weights, depth)
  for i, role in ipairs(weights and weights.depth and weights.n_elements and weights.role or {}) do
    if role == "bias" and weights.depth[i] == depth then return weights.n_elements[i] end
  end
end

-- nil where outputs or their gradients are not measured. The output is the last probe in forward order.
function Output.new(groups)
  local gradients, activations = groups.activation_grad, groups.activation
  if not gradients or not activations then return nil end
  local self = setmetatable({ gradient = #gradients.probe }, Output)
  local name = gradients.probe[self.gradient]
  for i, probe in ipairs(activations.probe) do
    if probe == name then self.activation = i end
  end
  self.units = units_of(groups.weight_grad, gradients.depth and gradients.depth[self.gradient])
  return self.activation and self or nil
end

-- |z| |dLoss/dz| / loss: at most 2 for squares and about 1 for cross-entropy where outputs and targets have nothing in
-- common, and grows as one over the relative error of outputs that fit. nil where it cannot be told.
local function leverage(self, row, size)
  local loss = row.metrics and row.metrics.loss
  local gradient = row.activation_grad and row.activation_grad.l2_norm and row.activation_grad.l2_norm[self.gradient]
  if not size or not gradient or not loss or loss <= 0 then return nil end
  return size * gradient / loss
end

function Output:of_size(row)
  local norms = row.activation and row.activation.l2_norm
  return leverage(self, row, norms and norms[self.activation])
end

-- The same of what differs from sample to sample alone: of squares 2 √(R² / (1 - R²)), R² the explained variance.
-- Several units differ from each other whatever they are shown: the mean cosine between samples leaves that out, which
-- says nothing of one unit.
function Output:of_differences(row)
  local values, i = row.activation or {}, self.activation
  local norm, mean, std = (values.l2_norm or {})[i], (values.mean or {})[i], (values.std or {})[i]
  local cosine = (values.sample_cosine or {})[i]
  if not statistics.is_finite(norm) or not mean or not std then return nil end
  local size = std > 0 and norm * std / math.sqrt(mean ^ 2 + std ^ 2) or 0
  if self.units and self.units > 1 and statistics.is_finite(cosine) then
    size = math.min(size, norm * math.sqrt(math.max(0, 1 - cosine)))
  end
  return leverage(self, row, size)
end

return Output
