-- Opening a run's file to look at it, and reading its columns in parts that fit into memory.
local core = require "sonde.core"

local open = {}

-- The file; nil, message, code where it cannot even be said what is in it.
local function opened(path)
  local file, message, code = core.h5.open(path)
  if not file then return nil, message, code end
  if file:list "/" then return file end
  file:close()
  return nil, ("'%s' is damaged: its root cannot be read"):format(path), "EFORMAT"
end

-- The file, and the path it was found at: FILE.part where there is no FILE. nil, message, code where neither can be
-- read.
function open.file(path)
  local file, message, code = opened(path)
  if file then return file, path end
  local exists = io.open(path, "rb")
  if exists then
    exists:close()
    if path:find("%.part$") then message = message .. ("; `sonde recover %s` may save what is left"):format(path) end
    return nil, message, code
  end
  file = opened(path .. ".part")
  if file then return file, path .. ".part" end
  return nil, message, code
end

-- Names of the members of a group, {} where it cannot be read.
function open.names(file, group) return file:list(group) or {} end

local CELLS = 1 << 20 -- of a part

-- Calls fn(first row, tensor) for the rows 1..n of a dataset, part by part, until it returns true. nil, message where
-- it cannot be read.
function open.each_part(file, path, shape, n, fn)
  local row = 1
  for d = 2, #shape do row = row * shape[d] end
  local rows = math.max(1, CELLS // math.max(1, row))
  for first = 1, row > 0 and n or 0, rows do
    local start, count = { first }, { math.min(rows, n - first + 1) }
    for d = 2, #shape do start[d], count[d] = 1, shape[d] end
    local part, message = file:read(path, { start = start, count = count })
    if not part then return nil, message end
    if fn(first, part) then break end
  end
  return true
end

local of_open_step = { events = true, validation = true } -- these rows belong to the step that goes on

-- The largest step of any group, and the largest time: how far a run has come that has not ended.
function open.progress(file)
  local steps, seconds = 0, nil
  for _, name in ipairs(open.names(file, "/")) do
    local info = file:info("/" .. name .. "/step")
    local n = not of_open_step[name] and info and info.kind == "dataset" and #info.shape == 1 and info.shape[1] or 0
    if n > 0 then
      local last = { start = { n }, count = { 1 } }
      local step, time = file:read("/" .. name .. "/step", last), nil
      if file:info("/" .. name .. "/time") then time = file:read("/" .. name .. "/time", last) end
      if type(step) == "userdata" then steps = math.max(steps, step[1]:item()) end
      if type(time) == "userdata" then seconds = math.max(seconds or 0, time[1]:item()) end
    end
  end
  return steps, seconds
end

return open
