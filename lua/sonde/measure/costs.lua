-- The group /cost: the seconds that each kind of measurement took in a step, under the name of its group. Clock
-- readings: no two runs have the same.
local core = require "sonde.core"

local Costs = {}
Costs.__index = Costs

function Costs.new(history) return setmetatable({ history = history }, Costs) end

-- Declares the group: parts are those of the first time.
local function declare(self, probed, measured)
  local names = {}
  for i, part in ipairs(probed) do names[i] = part.name end
  for i, part in ipairs(measured) do names[#probed + i] = part.name end
  self.n_probed = #probed
  self.group = self.history:group("cost")
  self.group:time_column("time", "float64", "time since the start of the run", "s")
  self.group:axis("probe", names)
  self.group:variable("seconds", "float64", "time it took in this step", "s", { "probe" })
end

-- Ends a step: a row, if anything was clocked in it. probed, measured: { { name =, seconds = }, … }, what the probes
-- took (none in a step that they do not clock: NaN) and what costly measures did.
function Costs:end_step(step, time, probed, measured)
  if #probed + #measured == 0 then return end
  if not self.group then declare(self, probed, measured) end
  local seconds, sum = {}, 0
  for i = 1, self.n_probed do seconds[i] = probed[i] and probed[i].seconds or core.nan end
  for i, part in ipairs(measured) do seconds[self.n_probed + i] = part.seconds end
  for _, part in ipairs(probed) do sum = sum + part.seconds end
  for _, part in ipairs(measured) do sum = sum + part.seconds end
  if sum > 0 then self.group:append(step, { time = time, seconds = seconds }) end
end

return Costs
