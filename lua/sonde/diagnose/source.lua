-- Rows of a run's file for the detectors: layout once, then one table per step. Long runs are thinned: the first rows
-- and then every n-th, of a group with rows more rarely some of its own too, so that a file of any length is read in
-- blocks and judged in bounded time.
local open = require "sonde.history.open"
local wanted = require "sonde.diagnose.wanted"

local source = {}

local first_rows, most_rows, most_rare, block, block_cells = 32, 1000, 200, 256, 2 ^ 20

local function is_dataset(file, path)
  local info = file:info(path)
  return info and info.kind == "dataset" and info or nil
end

local MOST = 1 << 22 -- values of a list: they are kept in memory

-- A whole dataset as a list; nil where there is none.
local function list_of(file, path)
  local info = is_dataset(file, path)
  if not info then return nil end
  local n = 1
  for _, size in ipairs(info.shape) do n = n * math.min(size, MOST + 1) end
  if n > MOST then error(("%s is too long to be judged: it has more than %d values"):format(path, MOST), 0) end
  local value = file:read(path)
  if type(value) == "userdata" then return value:totable() end
  return type(value) == "table" and value or nil
end

local label_types = { probe = "string", layer = "string", module = "string", role = "string", depth = "number" }

-- By row; by probe in most groups; by time step too.
local function axes_of(group, variable)
  if group.name == "metrics" or variable.name == "length" then return 1 end
  return group.name == "hidden_jacobian" and 3 or 2
end

-- Raises where a group's labels and columns do not belong together, as in a damaged file or one that somebody else
-- wrote.
local function check_group(group, path)
  local probes = group.probe
  for label, kind in next, label_types do
    local list = group[label]
    if list and (type(list[1]) ~= kind and list[1] ~= nil or #list ~= #(probes or {})) then
      error(("%s/%s does not fit the probes"):format(path, label), 0)
    end
  end
  if group.depth and not (group.layer and group.module) then error(path .. " has no names of layers and modules", 0) end
  for _, variable in ipairs(group.variables) do
    local axes = axes_of(group, variable)
    if #variable.shape ~= axes or axes > 1 and variable.shape[2] ~= #(probes or {}) then
      error(("%s/%s has the shape %s, which does not fit the probes"):format(path, variable.name,
        table.concat(variable.shape, " × ")), 0)
    end
  end
end

local function open_group(file, name)
  local path = "/" .. name
  local steps = list_of(file, path .. "/step")
  if not steps or #steps == 0 then return nil end
  local group = { name = name, steps = steps, next = 1, variables = {}, from = 0, to = -1, cache = {} }
  for _, label in ipairs(wanted.coordinates) do group[label] = list_of(file, path .. "/" .. label) end
  for _, variable in ipairs(wanted.variables[name]) do
    local info = is_dataset(file, path .. "/" .. variable)
    if info and not info.type:find("^string") and info.shape[1] and info.shape[1] >= 1 then
      group.variables[#group.variables + 1] = { name = variable, shape = info.shape }
      group.steps_there = math.min(group.steps_there or #steps, info.shape[1])
    end
  end
  group.n = math.min(#steps, group.steps_there or 0)
  if group.n == 0 then return nil end
  check_group(group, path)
  return group
end

local codes = { nonfinite_loss = 1, nonfinite_origin = 7 } -- of those in run/events.lua

-- What the run itself saw go wrong: step → { nonfinite_loss = true, origin = where the first such number was made }.
local function events_of(file)
  local steps, kinds = list_of(file, "/events/step") or {}, list_of(file, "/events/code") or {}
  local texts, by_step = list_of(file, "/events/message") or {}, {}
  for i, step in ipairs(steps) do
    local here = by_step[step] or {}
    if kinds[i] == codes.nonfinite_loss then
      here.nonfinite_loss = true
    elseif kinds[i] == codes.nonfinite_origin and type(texts[i]) == "string" then
      here.origin = texts[i]:match "^where it began: (.+)"
    end
    by_step[step] = next(here) and here
  end
  return by_step
end

-- Which modules are element-wise activations: those with a slope.
local function find_slopes(file, group)
  local info = group and is_dataset(file, "/activation/slope_rms")
  if not info then return end
  local first = file:read("/activation/slope_rms", { start = { 1, 1 }, count = { 1, info.shape[2] } })
  group.has_slope = {}
  for i, slope in ipairs(first and first[1]:totable() or {}) do group.has_slope[i] = slope == slope end
end

local function load_block(file, group, row)
  local cells = 1
  for _, variable in ipairs(group.variables) do
    local here = 1
    for d = 2, #variable.shape do here = here * variable.shape[d] end
    cells = math.max(cells, here)
  end
  local rows = math.max(1, math.min(block, block_cells // cells))
  group.from, group.to = row, math.min(group.n, row + rows - 1)
  for _, variable in ipairs(group.variables) do
    local start, count = { row }, { group.to - row + 1 }
    for d = 2, #variable.shape do start[d], count[d] = 1, variable.shape[d] end
    local value, message = file:read("/" .. group.name .. "/" .. variable.name, { start = start, count = count })
    if not value then error(message, 0) end
    group.cache[variable.name] = value
  end
end

-- The values of row `row` of a group: variable → list (of lists), or a number.
local function values_of(file, group, row)
  if row < group.from or row > group.to then load_block(file, group, row) end
  local values = {}
  for _, variable in ipairs(group.variables) do
    local cell = group.cache[variable.name][row - group.from + 1]
    if type(cell) == "userdata" then cell = #variable.shape == 1 and cell:item() or cell:totable() end
    values[variable.name] = cell
  end
  return values
end

-- The first of a sorted list of steps, every n-th, and the last ones.
local function thinned(steps, most, into)
  local stride = math.max(1, #steps // most)
  for i, step in ipairs(steps) do
    if i <= first_rows or (i - first_rows) % stride == 0 or i > #steps - 8 then into[step] = true end
  end
end

-- Step numbers to look at, from all groups, and those with an event.
local function chosen_steps(groups, events)
  local seen, steps, chosen, list = {}, {}, {}, {}
  for _, group in next, groups do
    for row = 1, group.n do
      local step = group.steps[row]
      if not seen[step] then
        seen[step] = true
        steps[#steps + 1] = step
      end
    end
  end
  table.sort(steps)
  thinned(steps, most_rows, chosen)
  for _, group in next, groups do
    if group.n < #steps // 2 then thinned(table.move(group.steps, 1, group.n, 1, {}), most_rare, chosen) end
  end
  for _, step in ipairs(steps) do
    if chosen[step] or events[step] then list[#list + 1] = step end
  end
  return list
end

-- The groups of a file that there are, and an iterator over its rows in the order of steps:
--   { step =, nonfinite_loss =, origin =, metrics = { loss = … }, activation_grad = { l2_norm = { … } }, … }
-- nil, message, code where the file cannot be read or is no run's file. FILE.part will do where there is no FILE.
function source.open(path)
  local file, found, code = open.file(path)
  if not file then return nil, found, code end
  path = found
  if file:attribute("/", "format") ~= "sonde-history" then
    file:close()
    return nil, path .. " is not a run's file (its attribute 'format' is not 'sonde-history')", "EFORMAT"
  end
  local groups, attributes, events = {}, {}, {}
  local ok, problem = pcall(function()
    for name in next, wanted.variables do groups[name] = open_group(file, name) end
    events = events_of(file)
  end)
  if not ok then
    file:close()
    return nil, ("'%s' cannot be judged: %s"):format(path, problem), "EFORMAT"
  end
  find_slopes(file, groups.activation)
  for _, name in ipairs(file:attributes("/") or {}) do attributes[name] = file:attribute("/", name) end
  local steps, at = chosen_steps(groups, events), 0
  local function next_row()
    at = at + 1
    local step = steps[at]
    if not step then return nil end
    local seen = events[step] or {}
    local row = { step = step, nonfinite_loss = seen.nonfinite_loss, origin = seen.origin }
    for name, group in next, groups do
      while group.next < group.n and group.steps[group.next] < step do group.next = group.next + 1 end
      if group.steps[group.next] == step then row[name] = values_of(file, group, group.next) end
    end
    return row
  end
  return { path = path, groups = groups, attributes = attributes, n_rows = #steps,
           rows = function() return next_row end,
           close = function() file:close() end }
end

return source
