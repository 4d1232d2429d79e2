-- Which steps are measured. Of networks with a whole number the runtime knows by itself; of other schedules (see
-- measure/schedule.lua), and of a run's own columns, it is told step by step.
local Cadence = {}
Cadence.__index = Cadence

-- measure: core.probe's.
function Cadence.new(measure) return setmetatable({ measure = measure, scheduled = {} }, Cadence) end

local function plan(self, one) one.tell(one.is_due(self.measure:step(), self.last)) end

-- From now on tell(due) is called for the open step and for each one to come, before its first forward.
function Cadence:schedule(is_due, tell)
  local one = { is_due = is_due, tell = tell }
  plan(self, one)
  self.scheduled[#self.scheduled + 1] = one
end

-- Attaches a network; options.is_due(step, last) takes the place of options.every. Returns its number.
function Cadence:attach(net, options)
  local is_due, rest = options.is_due, {}
  for name, value in next, options do rest[name] = value end
  rest.is_due, rest.planned = nil, is_due ~= nil
  if is_due then is_due(self.measure:step(), self.last) end -- where it raises, nothing listens yet
  local number = self.measure:attach(net, rest)
  if is_due then self:schedule(is_due, function(due) self.measure:plan(number, due) end) end
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
