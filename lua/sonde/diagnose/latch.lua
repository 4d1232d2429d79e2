-- A condition with hysteresis: it begins when a measure was at or above `on` for `hold` rows in a row, and dates from
-- the first of them; it ends when the measure was below `off` for as many. A row without a measure changes nothing.
local Latch = {}
Latch.__index = Latch

-- limits: { on =, off =, hold = } (hold: 3 rows)
function Latch.new(limits)
  return setmetatable({ on = limits.on, off = limits.off, hold = limits.hold or 3, rows = 0, active_rows = 0,
                        streak = 0, longest = 0 }, Latch)
end

local function begin(self)
  self.since, self.streak, self.length = self.streak_from, 0, self.streak
  self.active_rows = self.active_rows + self.length
  self.active = true
end

-- One row; value: the measure, the larger the worse, or nil. Returns true when the condition begins in this row.
function Latch:feed(step, value)
  if value == nil or value ~= value then return false end
  self.rows = self.rows + 1
  if not self.active then
    if value < self.on then
      self.streak = 0
      return false
    end
    if self.streak == 0 then self.streak_from = step end
    self.streak = self.streak + 1
    if self.streak < self.hold then return false end
    begin(self)
  else
    self.length, self.active_rows = self.length + 1, self.active_rows + 1
    self.streak = value < self.off and self.streak + 1 or 0
    if self.streak >= self.hold then
      self.active, self.streak = false, 0
    end
  end
  if self.length > self.longest then self.longest, self.longest_since = self.length, self.since end
  return self.active and self.length == self.hold
end

-- The step since when, if the condition holds now. Else, of a run that has ended, if it held for at least `share` of
-- the rows; a run shorter than `hold` is judged by the rows it has. share = nil: the run goes on.
function Latch:verdict(share)
  if self.active then return self.since end
  if not share then return nil end
  if self.streak > 0 and self.streak == self.rows then return self.streak_from end
  if self.rows > 0 and self.active_rows >= share * self.rows and self.longest > 0 then return self.longest_since end
end

return Latch
