-- Which steps a run's networks are measured in. Whole numbers are the runtime's affair; of other schedules (see
-- measure/schedule.lua) it is told step by step.
local Cadence = {}
Cadence.__index = Cadence

-- measure: core.probe's.
function Cadence.new(measure) return setmetatable({ measure = measure, scheduled = {} }, Cadence) end

local function plan(self, one)
  self.measure:plan(one.number, one.is_due(self.measure:step(), self.last))
end

-- Attaches a network; options.is_due(step, last) takes the place of options.every. Returns its number.
function Cadence:attach(net, options)
  local is_due, rest = options.is_due, {}
  for name, value in next, options do rest[name] = value end
  rest.is_due, rest.planned = nil, is_due ~= nil
  if is_due then is_due(self.measure:step(), self.last) end -- where it raises, nothing listens yet
  local number = self.measure:attach(net, rest)
  if is_due then
    local one = { number = number, is_due = is_due }
    self.scheduled[#self.scheduled + 1] = one
    plan(self, one)
  end
  return number
end

local function plan_all(self)
  for _, one in ipairs(self.scheduled) do plan(self, one) end
end

-- Ends a step, and plans the next.
function Cadence:end_step(seconds)
  self.measure:end_step(seconds)
  plan_all(self)
end

-- The last step, as far as is known: schedules but functions take it too.
function Cadence:expect_end(step)
  self.last = step
  self.measure:expect_end(step)
  plan_all(self)
end

return Cadence
