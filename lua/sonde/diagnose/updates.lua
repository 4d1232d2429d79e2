-- Unbalanced updates: one weight matrix moves a hundred times faster or slower, relative to its size, than the middle
-- one of all. Matrices only: biases and gains start at zero or one and tell nothing by their ratio.
local Latch = require "sonde.diagnose.latch"
local statistics = require "sonde.diagnose.statistics"

local Updates = {}
Updates.__index = Updates

local function matrices_of(group)
  local list = {}
  for i, role in ipairs(group.role or {}) do
    local is_gain = group.module[i]:find("Norm", 1, true)
    if role:find("weight", 1, true) and not is_gain then list[#list + 1] = { index = i, name = group.probe[i] } end
  end
  return list
end

function Updates.new(groups, thresholds)
  local list, on = matrices_of(groups.weight), thresholds.unbalanced_decades
  for _, matrix in ipairs(list) do
    matrix.latch = Latch.new { on = on, off = 0.75 * on, hold = thresholds.hold }
  end
  return setmetatable({ list = list, limits = thresholds }, Updates)
end

function Updates:feed(row)
  local ratios = row.weight and row.weight.update_ratio
  if not ratios or #self.list < 3 then return end
  local logs, of = {}, {}
  for _, matrix in ipairs(self.list) do
    local ratio = ratios[matrix.index]
    if statistics.is_finite(ratio) and ratio > 0 then
      of[matrix] = math.log(ratio, 10)
      logs[#logs + 1] = of[matrix]
    end
  end
  local middle = statistics.median(logs)
  for _, matrix in ipairs(self.list) do
    if of[matrix] then
      matrix.last = of[matrix] - middle
      matrix.latch:feed(row.step, math.abs(matrix.last))
    end
  end
  self.middle = middle
end

function Updates:findings(share)
  local layers, since, most = {}, nil, 0
  for _, matrix in ipairs(self.list) do
    local step = matrix.latch:verdict(share)
    if step then
      layers[#layers + 1] = matrix.name
      since = math.min(since or step, step)
      if math.abs(matrix.last) > math.abs(most) then most = matrix.last end
    end
  end
  if #layers == 0 then return {} end
  return { { pathology = "unbalanced_updates", layers = layers, since_step = since,
             severity = math.min(1, math.abs(most) / 6),
             evidence = { decades_from_the_middle = most, middle_update_ratio = 10 ^ self.middle } } }
end

return Updates
