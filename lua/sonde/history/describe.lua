-- What is in a file, as one table: { file =, live =, writer =, steps =, seconds =, params =, attributes =, datasets = {
-- name = { type =, shape =, axes =, is_scale =, attributes =, values | last = } }, groups = { name = { rows =,
-- attributes =, datasets =, groups = } } }, and the order of the names by the path of their group.
--   params  of /run, as a table
--   values  of what does not grow with the rows and is no table: names of probes, layers, the numbers of an axis
--   last    the newest value of a column; the value of a scalar
--   error   in place of what cannot be read
--   same_as in place of what was told before: the path of a group that has several
local json = require "sonde.json"
local open = require "sonde.history.open"

local MOST = 4096 -- values of one dataset
local DEEPEST = 100 -- groups in groups: HDF5 finds each from the root on

local Describe = {}
Describe.__index = Describe

-- By these attributes HDF5 knows the axes of a dataset.
local of_axes = { CLASS = true, NAME = true, REFERENCE_LIST = true, DIMENSION_LIST = true, DIMENSION_LABELS = true }

-- A value as JSON has it; null for what cannot be read.
local function plain(value)
  if type(value) == "userdata" or type(value) == "table" then
    return json.array(type(value) == "table" and value or value:totable())
  end
  return value == nil and json.null or value
end

-- name → value of the attributes of a path, but `without`.
function Describe:attributes(path, without)
  local values = {}
  for _, name in ipairs(self.file:attributes(path) or {}) do
    if not without[name] then values[name] = plain(self.file:attribute(path, name)) end
  end
  return values
end

-- All values of a dataset, or the last one, or neither.
function Describe:values(path, info, axes)
  if info.is_null then return end
  if #info.shape == 0 then return nil, (self.file:read(path)) end
  local n = info.shape[1]
  if #info.shape > 1 or n == 0 then return end
  if axes[1] ~= "step" then return axes[1] ~= "" and n <= MOST and plain(self.file:read(path)) or nil end
  local value = self.file:read(path, { start = { n }, count = { 1 } })
  if type(value) == "table" then return nil, value[1] end
  return nil, value and value[1]:item()
end

function Describe:dataset(path, info)
  local axes = self.file:axes(path) or {}
  local values, last = self:values(path, info, axes)
  return { type = info.type, shape = json.array(info.shape), axes = json.array(axes), is_scale = info.is_scale,
           attributes = self:attributes(path, of_axes), values = values, last = last }
end

function Describe:member(group, path, name)
  local info, message = self.file:info(path)
  if not info then
    group.datasets[name] = { error = message or "a link that leads nowhere", shape = json.array() }
  elseif info.kind == "group" then
    group.groups[name] = self.seen[info.object] and { same_as = self.seen[info.object] } or self:group(path, info)
  else
    group.datasets[name] = self:dataset(path, info)
    if name == "step" and #info.shape == 1 then group.rows = info.shape[1] end
  end
end

function Describe:group(path, info)
  self.seen[info.object] = path
  if select(2, path:gsub("/", "")) > DEEPEST then
    self.order[path] = {}
    return { error = "groups nested deeper than " .. DEEPEST .. " are left out", attributes = {}, datasets = {},
             groups = {} }
  end
  local group = { attributes = self:attributes(path, {}), datasets = {}, groups = {} }
  local names, message = self.file:list(path)
  group.error = message
  self.order[path] = names or {}
  for _, name in ipairs(self.order[path]) do
    self:member(group, (path == "/" and "" or path) .. "/" .. name, name)
  end
  return group
end

local function params_of(document)
  local run = document.groups.run
  local params = run and run.datasets and run.datasets.params
  local text = params and params.last
  return type(text) == "string" and json.decode(text) or nil
end

return function(file, path)
  local self = setmetatable({ file = file, order = {}, seen = {} }, Describe)
  local document = self:group("/", file:info "/")
  document.file, document.live, document.writer = path, file:is_live(), file:has_writer()
  document.params = params_of(document)
  if document.live then
    document.steps, document.seconds = open.progress(file)
  else
    document.steps, document.seconds = document.attributes.n_steps, document.attributes.wall_seconds
  end
  return document, self.order
end
