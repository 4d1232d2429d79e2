-- Unbalanced updates: one weight matrix moves a hundred times faster or slower, relative to its size, than the middle
-- one of all. Matrices only: biases and gains start at zero or one and tell nothing by their ratio. Rows in which the
-- network fits its targets are left out: what is still to learn there is too little for all matrices.
local chain = require "sonde.diagnose.chain"
local Latch = require "sonde.diagnose.latch"
local statistics = require "sonde.diagnose.statistics"

local Updates = {}
Updates.__index = Updates

-- log10 of half the spacing of float32 numbers: a matrix that rounding kept still moved less than that.
local stuck = math.log(2 ^ -24, 10)

function Updates.new(groups, thresholds)
  local list, on = chain.matrices(groups), thresholds.unbalanced_decades
  for _, matrix in ipairs(list) do
    matrix.latch = Latch.new { on = on, off = 0.75 * on, hold = thresholds.hold }
  end
  return setmetatable({ list = list, limits = thresholds }, Updates)
end

-- What starts at zero is not compared: in the first row with a step, matrices without any gradient lie in or below
-- branches that do (ReZero, Fixup, a head of zeros), and those with a gradient but no ratio do so themselves.
local function leave_out_zeros(self, ratios, norms)
  local any, kept = false, {}
  for _, matrix in ipairs(self.list) do
    local ratio, norm = ratios[matrix.index], norms and norms[matrix.gradient]
    any = any or statistics.is_finite(ratio)
    if not (norm == 0 or norm and norm > 0 and ratio ~= ratio) then kept[#kept + 1] = matrix end
  end
  if any then self.list, self.began = kept, true end
end

function Updates:feed(row)
  local ratios = row.weight and row.weight.update_ratio
  local norms = row.weight_grad and row.weight_grad.l2_norm
  if not ratios or row.fitted then return end
  if not self.began then leave_out_zeros(self, ratios, norms) end
  if #self.list < 3 then return end
  local logs, of = {}, {}
  for _, matrix in ipairs(self.list) do
    local ratio = ratios[matrix.index]
    if statistics.is_finite(ratio) and ratio > 0 then
      of[matrix] = math.log(ratio, 10)
      logs[#logs + 1] = of[matrix]
    end
  end
  local middle = statistics.median(logs)
  if not middle then return end
  for _, matrix in ipairs(self.list) do
    local kept_still = ratios[matrix.index] == 0 and norms and (norms[matrix.gradient] or 0) > 0
    if kept_still then of[matrix] = math.min(stuck, middle) end
  end
  for _, matrix in ipairs(self.list) do
    if of[matrix] then
      matrix.last = of[matrix] - middle
      matrix.latch:feed(row.step, math.abs(matrix.last))
    end
  end
  self.middle = middle
end

function Updates:findings(share)
  local layers, since, most, worst = {}, nil, 0, nil
  for _, matrix in ipairs(self.list) do
    local step = matrix.latch:verdict(share)
    if step then
      layers[#layers + 1] = matrix.name
      since = math.min(since or step, step)
      if math.abs(matrix.last) > math.abs(most) then most, worst = matrix.last, matrix.name end
    end
  end
  if #layers == 0 then return {} end
  return { { pathology = "unbalanced_updates", layers = layers, since_step = since, most = worst or layers[1],
             severity = math.min(1, math.abs(most) / 6),
             evidence = { decades_from_the_middle = most, middle_update_ratio = 10 ^ self.middle } } }
end

return Updates
