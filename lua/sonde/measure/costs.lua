-- The group /cost: the seconds that each kind of measurement took in a step, under the name of its group. Clock
-- readings: no two runs have the same.
local Costs = {}
Costs.__index = Costs

function Costs.new(history) return setmetatable({ history = history }, Costs) end

-- Declares the group; parts: { { name =, seconds = }, … }.
local function declare(self, parts)
  local names = {}
  for i, part in ipairs(parts) do names[i] = part.name end
  self.group = self.history:group("cost")
  self.group:time_column("time", "float64", "time since the start of the run", "s")
  self.group:axis("probe", names)
  self.group:variable("seconds", "float64", "time it took in this step", "s", { "probe" })
end

-- Ends a step: a row, if anything was measured in it. The parts are those of the first time. lists: of such parts.
function Costs:end_step(step, time, ...)
  local parts, seconds, sum = {}, {}, 0
  for _, list in ipairs { ... } do table.move(list, 1, #list, #parts + 1, parts) end
  for i, part in ipairs(parts) do
    seconds[i] = part.seconds
    sum = sum + part.seconds
  end
  if #parts > 0 and not self.group then declare(self, parts) end
  if sum > 0 then self.group:append(step, { time = time, seconds = seconds }) end
end

return Costs
