-- Does a file follow the format? Everything that is wrong with it, as a list of { path =, text = }.
local format = require "sonde.history.format"
local json = require "sonde.json"
local numbers = require "sonde.history.numbers"
local open = require "sonde.history.open"

local Check = {}
Check.__index = Check

function Check:report(path, text, ...)
  self.problems[#self.problems + 1] = { path = path, text = select("#", ...) > 0 and text:format(...) or text }
end

-- ---- attributes --------------------------------------------------------------------------------------------------

function Check:attribute_is(path, name, type)
  local info = self.file:attribute_info(path, name)
  local where = ("attribute '%s'"):format(name)
  if not info then return self:report(path, "%s is missing", where) end
  if info.is_null or #info.shape > 0 then return self:report(path, "%s is not a single value", where) end
  if info.type == type then return true end
  self:report(path, "%s is %s, expected %s", where, info.type,
    type == "string" and "a text of variable length in UTF-8" or type)
end

function Check:root()
  local value = {}
  for _, name in ipairs(numbers.sorted(format.attributes)) do
    if self:attribute_is("/", name, format.attributes[name]) then value[name] = self.file:attribute("/", name) end
  end
  local function is(name, good, expected)
    if value[name] and not good then self:report("/", "%s is '%s', expected %s", name, value[name], expected) end
  end
  is("format", value.format == format.name, format.name)
  is("format_version", value.format_version and value.format_version:match("^%d+") == format.version,
    format.version .. ".x")
  is("created", value.created and value.created:find("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d[%d.]*Z$"),
    "a time in UTC as 2024-05-06T07:08:09Z")
  local known = {}
  for _, status in ipairs(format.statuses) do known[status] = true end
  is("status", known[value.status], "one of " .. table.concat(format.statuses, ", "))
  if value.status == "running" and not self.live then
    self:report("/", "status is 'running', but the file is closed")
  end
  local group = value.default and value.default ~= "" and self.file:info("/" .. value.default)
  is("default", value.default == "" or group and group.kind == "group", "the name of a group, or nothing")
  local steps = open.progress(self.file)
  is("n_steps", self.live or value.n_steps and value.n_steps >= steps, ("at least %d, the last step"):format(steps))
end

-- ---- any dataset -------------------------------------------------------------------------------------------------

local function is_number(type)
  return format.types.integer[type] or type == "uint64" or type:find("^float") ~= nil
end

-- Every axis has a scale beside the dataset, of its length.
function Check:axes(group, path, info)
  if #info.shape == 0 or info.is_scale then return end
  local axes = self.file:axes(path) or {}
  for d, size in ipairs(info.shape) do
    local axis = axes[d] or ""
    local scale = axis ~= "" and not axis:find("/") and self.file:info(group .. "/" .. axis)
    if axis == "" then
      self:report(path, "axis %d has no dimension scale", d)
    elseif not (scale and scale.is_scale) then
      self:report(path, "the scale '%s' of axis %d lies in another group", axis, d)
    elseif scale.shape[1] ~= size and not self.live then
      self:report(path, "axis %d has length %d, its scale '%s' %d", d, size, axis, scale.shape[1])
    end
  end
end

function Check:dataset(group, path, info)
  if info.is_null then return self:report(path, "has no shape (a NULL dataspace): xarray cannot open the file") end
  if info.type:find("^string%(") then
    self:report(path, "is a %s, expected texts of variable length in UTF-8", info.type)
  elseif info.type ~= "string" and not is_number(info.type) then
    self:report(path, "holds %s data; only plain numbers and texts are allowed", info.type)
  end
  self:axes(group, path, info)
  if self.file:attribute_info(path, "units") and self.file:attribute(path, "units") == "seconds" then
    self:report(path, "units 'seconds' become a time difference in xarray; use 's'")
  end
end

local DEEPEST = 100 -- groups in groups: HDF5 finds each from the root on

-- The members of a group and of those in it; links of any kind are wrong.
function Check:members(group)
  if select(2, group:gsub("/", "")) > DEEPEST then
    return self:report(group, "groups nested deeper than %d are not looked at", DEEPEST)
  end
  local prefix = group == "/" and "" or group
  for _, name in ipairs(open.names(self.file, group)) do
    local path = prefix .. "/" .. name
    local info, message = self.file:info(path)
    if not info then
      self:report(path, message or "is a link that leads nowhere")
    elseif info.link ~= "hard" then
      self:report(path, "is a link of kind '%s'", info.link)
    elseif info.links > 1 then
      self:report(path, "is one object under %d names", info.links)
    elseif info.kind == "group" then
      self:members(path)
      if prefix == "" then self:group(name, path) end
    else
      self:dataset(prefix, path, info)
    end
  end
end

-- ---- groups of rows ----------------------------------------------------------------------------------------------

function Check:column(path, column, info, axes)
  if not format.types[column.type][info.type] then
    self:report(path, "is %s, expected %s", info.type, table.concat(numbers.sorted(format.types[column.type]), " or "))
  end
  local found, wanted = table.concat(axes, ", "), table.concat(column.axes, ", ")
  if found ~= wanted then self:report(path, "has the axes (%s), expected (%s)", found, wanted) end
end

-- Rows of the group: those of `step`, which must be there and count up.
function Check:steps(path)
  local info = self.file:info(path .. "/step")
  if not info or info.kind ~= "dataset" then return self:report(path, "has no 'step'") end
  if info.type ~= "int64" or #info.shape ~= 1 or not info.is_scale then
    return self:report(path .. "/step", "must be the dimension scale of the rows, int64 with one axis")
  end
  local problem = numbers.check_steps(self.file, path .. "/step", info.shape)
  if problem then self:report(path .. "/step", problem) end
  return info.shape[1]
end

function Check:coordinates(path, has)
  local names = has and self.file:attribute(path, "coordinates")
  for name in tostring(names or ""):gmatch("%S+") do
    local at = has.kind == "group" and path or path:match("^(.*)/")
    if not self.file:info(at .. "/" .. name) then
      self:report(path, "coordinates names '%s', which is not there", name)
    end
  end
end

function Check:group(name, path)
  local wanted = format.groups[name]
  if name == "run" then return self:texts(path) end
  if not wanted and not self.file:info(path .. "/step") then return end
  local rows = self:steps(path)
  for _, column in ipairs(numbers.sorted(wanted or {})) do
    if not wanted[column].optional and not self.file:info(path .. "/" .. column) then
      self:report(path, "has no '%s'", column)
    end
  end
  for _, column in ipairs(open.names(self.file, path)) do
    local full = path .. "/" .. column
    local info = self.file:info(full)
    if info and info.kind == "dataset" and not info.is_null then
      local axes = self.file:axes(full) or {}
      local known = wanted and wanted[column] -- other names are the user's, and mean what he wants
      if known then self:column(full, known, info, axes) end
      if self.file:attribute_info(full, "coordinates") then self:coordinates(full, info) end
      local n = known and rows and axes[1] == "step" and math.min(rows, info.shape[1])
      local problem = n and numbers.check_limits(self.file, full, info, n, format.limits(column))
      if problem then self:report(full, problem) end
    end
  end
  if rows and name:find("_hist$") then
    local problem = numbers.check_histogram(self.file, path, rows)
    if problem then self:report(path .. "/counts", problem) end
  end
end

function Check:texts(path)
  for _, name in ipairs(open.names(self.file, path)) do
    local full = path .. "/" .. name
    local info = self.file:info(full)
    if info and info.kind == "dataset" and not info.is_null then
      local text = info.type == "string" and #info.shape == 0 and self.file:read(full)
      if format.run[name] ~= nil and not text then self:report(full, "must be a single text") end
      local value, message = true, nil
      if text and format.run[name] then value, message = json.decode(text) end
      if value == nil then self:report(full, "is no JSON: %s", message) end
    end
  end
end

-- The list of problems, empty where there is none.
return function(file)
  local self = setmetatable({ file = file, live = file:is_live(), problems = {} }, Check)
  self:root()
  self:members("/")
  return self.problems
end
