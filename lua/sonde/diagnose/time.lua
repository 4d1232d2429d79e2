-- Gradients through time, by what a recurrent layer remembers (/hidden_jacobian): of dLoss/dh_t nobody can tell, for a
-- target at every time step feeds it everywhere. How long a memory must be only the task knows: one that ends before
-- the sequence does is a fault where nothing is learnt, and none where the last few steps are all it takes.
local Latch = require "sonde.diagnose.latch"
local statistics = require "sonde.diagnose.statistics"

local Time = {}
Time.__index = Time

local forgotten = -3                -- log10 of what is left where memory ends: the memory horizon of the file's format
local smallest, largest = -46, 39   -- log10 of less than float32 can hold, and of more
local fewest, fewest_live = 20, 50  -- rows: before, nothing can have been learnt
local long_enough = 2000            -- steps: an LSTM may lose its memory and find it again within so many
local most_lags = 60

function Time.new(groups, thresholds)
  local on = thresholds.memory_horizon
  return setmetatable({
    group = groups.hidden_jacobian, gates = groups.gate, limits = thresholds, worst = {}, rows = 0, differences = {},
    steps = {},
    output = require "sonde.diagnose.output".new(groups),
    vanishing = Latch.new { on = on, off = 0.75 * on, hold = thresholds.hold },
    exploding = Latch.new { on = 1, off = 0.75, hold = thresholds.hold },
  }, Time)
end

-- log10 of what is left after lag 0, 1, … steps: of the state or, of an LSTM, its cell, whichever is more. nil where
-- it was not measured.
local function memory_of(values, place, length)
  local states, cells, logs = values.l2_norm[place], values.cell_l2_norm and values.cell_l2_norm[place], {}
  for lag = 0, length - 1 do
    local left, cell = states[length - lag], cells and cells[length - lag]
    if not left or left ~= left then break end
    if cell and cell > left then left = cell end
    logs[#logs + 1] = left > 0 and math.min(largest, math.log(left, 10)) or smallest
  end
  return #logs >= 2 and logs or nil
end

-- As many as there may be: too many for math.max.
local function largest_of(logs)
  local most = logs[1]
  for _, value in ipairs(logs) do most = math.max(most, value) end
  return most
end

-- Steps until a thousandth is left; beyond the sequence's beginning, as far as its last log10 lets expect.
local function horizon_of(logs)
  for i = #logs, 1, -1 do
    if logs[i] >= forgotten then
      if i < #logs then return i end
      break
    end
  end
  local last = logs[#logs]
  if last <= forgotten then return 1 end
  return last < 0 and math.max(#logs, (#logs - 1) * forgotten / last) or math.huge
end

-- log10 per step into the past, of the steps where anything is left: negative is vanishing.
local function slope_of(logs)
  local n = #logs
  while n > 2 and logs[n] == smallest do n = n - 1 end
  local stride, chosen = math.max(1, n // most_lags), {}
  for i = 1, n, stride do chosen[#chosen + 1] = logs[i] end
  return statistics.theil_sen(chosen) / stride
end

local function gate_of(self, row, layer)
  local openness = row.gate and row.gate.openness
  for i, role in ipairs(openness and self.gates.layer and self.gates.role or {}) do
    if self.gates.layer[i] == layer and (role:find "^forget" or role:find "^update") then
      return openness[i], role:match "^%a+"
    end
  end
end

-- All that a row tells: of each layer and direction { place =, logs =, horizon =, growth = }.
local function look(self, row)
  local values, seen = row.hidden_jacobian, {}
  local length = values and values.l2_norm and math.tointeger(values.length)
  if not length then return seen end
  for place = 1, #self.group.probe do
    local logs = memory_of(values, place, length)
    if logs then
      seen[#seen + 1] = { place = place, logs = logs, horizon = horizon_of(logs), growth = largest_of(logs) }
    end
  end
  return seen
end

-- The layers of a row in question, and the one that counts: of memories the longest, of growths the largest.
local function remember(self, kind, row, seen, one, measure)
  local old = self.worst[kind]
  if measure < 1 or old and old.measure >= measure then return end
  local layers, known = {}, {}
  for _, this in ipairs(seen) do
    local name = self.group.layer and self.group.layer[this.place] or self.group.probe[this.place]
    local is_it = kind == "vanishing" or this.growth >= self.limits.exploding_time
    if is_it and not known[name] then layers[#layers + 1], known[name] = name, true end
  end
  local layer = self.group.layer and self.group.layer[one.place]
  local openness, gate = gate_of(self, row, layer)
  self.worst[kind] = { measure = measure, step = row.step, layers = layers, logs = one.logs, horizon = one.horizon,
                       probe = self.group.probe[one.place], module = self.group.module and self.group.module[one.place],
                       openness = openness, gate = gate }
end

-- A layer that remembers makes up for one that does not.
function Time:feed(row)
  if row.metrics then self.rows = self.rows + 1 end
  local difference = self.output and self.output:of_differences(row)
  if difference then table.insert(self.differences, { step = row.step, value = difference }) end
  local seen, longest, largest_growth = look(self, row), nil, nil
  for _, this in ipairs(seen) do
    if not longest or this.horizon > longest.horizon then longest = this end
    if not largest_growth or this.growth > largest_growth.growth then largest_growth = this end
  end
  if not longest then return end
  self.steps[#self.steps + 1] = row.step
  local short, growth = #longest.logs / longest.horizon, largest_growth.growth / self.limits.exploding_time
  self.vanishing:feed(row.step, short)
  self.exploding:feed(row.step, growth)
  remember(self, "vanishing", row, seen, longest, short / self.vanishing.on)
  remember(self, "exploding", row, seen, largest_growth, growth)
  if not self.steps[2] then self.began_exploding = growth >= 1 end
end

-- How much the outputs differ from sample to sample, in the middle of these entries.
local function difference_of(self, from, to)
  local values = {}
  for i = from, to do values[#values + 1] = self.differences[i].value end
  return statistics.median(values)
end

-- Does nothing that the network says tell of the sequences, after `since`? Of one whose memory was good at first only
-- if it had learnt to tell, or has been without for long: it may find it again.
local function has_no_use(self, since, stalled)
  local n, past = #self.differences, 0
  local blind = n >= fewest and difference_of(self, math.ceil(0.8 * n), n) < self.limits.blind
  if since == self.steps[1] or not (stalled or blind) then return stalled or blind end
  while past < n and self.differences[past + 1].step < since do past = past + 1 end
  local knew = past >= fewest and difference_of(self, math.ceil(0.8 * past), past) >= 2 * self.limits.blind
  return knew or n > 0 and self.differences[n].step - since >= long_enough
end

local function finding(self, kind, since)
  local worst = self.worst[kind]
  if not since or not worst then return nil end
  local logs, n = worst.logs, #worst.logs
  local total = kind == "vanishing" and logs[n] or largest_of(logs)
  return { pathology = kind .. "_through_time", severity = math.min(1, math.abs(total) / 12), since_step = since,
           layers = worst.layers, module = worst.module, gate = worst.gate, memory = logs,
           evidence = { step = worst.step, length = n, decades_per_step = slope_of(logs), total_decades = total,
                        memory_horizon = worst.horizon < math.huge and worst.horizon or nil, probe = worst.probe,
                        gate_openness = worst.openness } }
end

-- The last step before `since` that was looked at: whatever began later may be the same thing.
local function before(self, since)
  for i = #self.steps, 1, -1 do
    if self.steps[i] < since then return self.steps[i] end
  end
  return 0
end

-- stalled: the loss has not fallen; slow: for the steps are too small or too large. An explosion that ended in the
-- first rows is marked `brief`, unless nothing was learnt after it.
function Time:findings(share, stalled, slow)
  local found, vanishing = {}, self.vanishing:verdict()
  local exploding = self.exploding:verdict(share)
    or self.exploding:verdict_from_the_start(share and self.limits.delay_share)
  local is_early = self.rows < (share and fewest or fewest_live)
  if vanishing and not (is_early or slow) and has_no_use(self, vanishing, stalled) then
    found[1] = finding(self, "vanishing", vanishing)
  end
  if exploding or self.began_exploding then
    found[#found + 1] = finding(self, "exploding", exploding or self.steps[1])
    found[#found].after = before(self, found[#found].since_step)
    found[#found].brief = not exploding and (is_early or not has_no_use(self, self.steps[1], stalled))
  end
  return found
end

return Time
