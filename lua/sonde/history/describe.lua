-- What is in a file, as one table: { file =, live =, writer =, steps =, seconds =, attributes =, groups = { name = {
-- rows =, attributes =, datasets = { name = { type =, shape =, axes =, last = } } } } }, and the order of the names.
local json = require "sonde.json"
local open = require "sonde.history.open"

-- name → value of all attributes of a path.
local function attributes_of(file, path)
  local values = {}
  for _, name in ipairs(file:attributes(path) or {}) do
    local value = file:attribute(path, name)
    if type(value) == "userdata" then value = json.array(value:totable()) end
    values[name] = value
  end
  return values
end

-- The last value of a column of numbers that grows with the rows, or the text or number of a scalar; nil for the rest.
local function last_value(file, path, info, axes)
  if info.is_null then return nil end
  if #info.shape == 0 then return (file:read(path)) end
  if axes[1] ~= "step" or #info.shape > 1 or info.shape[1] == 0 then return nil end
  local value = file:read(path, { start = { info.shape[1] }, count = { 1 } })
  if type(value) == "table" then return value[1] end
  return value and value[1]:item()
end

local function describe_dataset(file, path, info)
  local axes = file:axes(path) or {}
  return { type = info.type, shape = json.array(info.shape), axes = json.array(axes), is_scale = info.is_scale,
           last = last_value(file, path, info, axes) }
end

local function describe_group(file, path)
  local group = { attributes = attributes_of(file, path), datasets = {} }
  local order = open.names(file, path)
  for _, name in ipairs(order) do
    local full = path .. "/" .. name
    local info, message = file:info(full)
    if not info then
      group.datasets[name] = { type = message and "unreadable" or "nothing", shape = json.array() }
    elseif info.kind == "group" then
      group.datasets[name] = { type = "group" }
    else
      group.datasets[name] = describe_dataset(file, full, info)
      if name == "step" and #info.shape == 1 then group.rows = info.shape[1] end
    end
  end
  return group, order
end

-- The document, and { groups in order, datasets of the root in order, by group: its names in order }.
return function(file, path)
  local steps, seconds = open.progress(file)
  local document = { file = path, live = file:is_live(), writer = file:has_writer(), steps = steps, seconds = seconds,
                     attributes = attributes_of(file, "/"), groups = {}, datasets = {} }
  local order = { groups = {}, datasets = {}, members = {} }
  if not document.live then
    document.steps, document.seconds = document.attributes.n_steps, document.attributes.wall_seconds
  end
  for _, name in ipairs(open.names(file, "/")) do
    local info = file:info("/" .. name)
    if info and info.kind == "group" then
      document.groups[name], order.members[name] = describe_group(file, "/" .. name)
      order.groups[#order.groups + 1] = name
    elseif info then
      document.datasets[name] = describe_dataset(file, "/" .. name, info)
      order.datasets[#order.datasets + 1] = name
    end
  end
  return document, order
end
