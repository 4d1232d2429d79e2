-- A condition with hysteresis: it begins when a measure was at or above `on` in `hold` rows, between which another one
-- may lie that was not below `off`, and dates from the first of them; it ends when the measure was below `off` in
-- `hold` rows in a row. A row without a measure changes nothing.
local Latch = { begun = 0 } -- begun: how often any condition began; who feeds many sees by it whether one did
Latch.__index = Latch

-- limits: { on =, off =, hold = } (hold: 3 rows)
function Latch.new(limits)
  return setmetatable({ on = limits.on, off = limits.off, hold = limits.hold or 3, rows = 0, active_rows = 0,
                        streak = 0, episodes = {} }, Latch)
end

local function begin(self)
  local row = self.streak_row
  self.episodes[#self.episodes + 1] = { since = self.streak_from, row = row, held_before = self.active_rows }
  self.active_rows = self.active_rows + self.rows - row + 1
  self.active, self.last_row, self.streak = true, self.rows, 0
  Latch.begun = Latch.begun + 1
end

-- One row; value: the measure, the larger the worse, or nil. Returns true when the condition begins in this row.
function Latch:feed(step, value)
  if value == nil or value ~= value then return false end
  self.rows = self.rows + 1
  if not self.active then
    if value < self.off or self.streak > 0 and self.rows - self.streak_row > self.hold then self.streak = 0 end
    if value < self.on then return false end
    if self.streak == 0 then self.streak_from, self.streak_row = step, self.rows end
    self.streak = self.streak + 1
    if self.streak < self.hold then return false end
    begin(self)
    return true
  end
  self.active_rows, self.last_row = self.active_rows + 1, self.rows
  self.streak = value < self.off and self.streak + 1 or 0
  if self.streak >= self.hold then
    self.active, self.streak = false, 0
  end
  return false
end

-- The step since when, if the condition ever held: the earliest from which on it held for half of the rows to its last.
function Latch:since()
  for _, episode in ipairs(self.episodes) do
    local held, rows = self.active_rows - episode.held_before, self.last_row - episode.row + 1
    if held >= rows / 2 then return episode.since end
  end
end

-- The step since when, if the condition holds now. Else, of a run that has ended, if it held for at least `share` of
-- the rows; a run shorter than `hold` is judged by the rows it has. share = nil: the run goes on.
function Latch:verdict(share)
  if self.active then return self:since() end
  if not share then return nil end
  if self.streak > 0 and self.streak == self.rows then return self.streak_from end
  if self.rows > 0 and self.active_rows >= share * self.rows then return self:since() end
end

-- The same for a condition that held from the first row on.
function Latch:verdict_from_the_start(share)
  local first = self.episodes[1]
  return first and first.row == 1 and share and self.active_rows >= share * self.rows and first.since or nil
end

return Latch
