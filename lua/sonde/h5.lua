-- sonde.h5: HDF5 files for scripts. Everything here returns nil, message, code where the outside world fails.
local core = require "sonde.core"
local fail = require "sonde.fail"

local h5 = {
  library_version = core.h5.library_version,
}

-- h5.open(path[, mode]): "r" (the default; a live or killed run's FILE.part too), "r+" or "w". The file has
-- :read(path), :write(path, value[, axes]), :list([group]), :info(path), :attribute(path, name), :attributes([path]),
-- :set_attribute(path, name, value), :make_group(path), :axes(path), :is_live(), :close(), :discard(). Numbers come and
-- go as tensors or numbers, texts as texts or lists of them. In mode "w" the file gets its name when it is closed;
-- discarded, or forgotten, it never was.
h5.open = core.h5.open

-- The dataset at `path` of a file: h5.read("run.h5", "/metrics/loss").
function h5.read(file_path, path)
  local file, message, code = core.h5.open(file_path)
  if not file then return nil, message, code end
  local value
  value, message, code = file:read(path)
  file:close()
  return value, message, code
end

local function save_into(file, prefix, values)
  local names = {}
  for name in next, values do
    if type(name) ~= "string" or name == "" or name:find("/", 1, true) then
      fail("h5.save: '%s' is no name for a dataset", tostring(name))
    end
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local value, path = values[name], prefix .. "/" .. name
    local ok, message, code
    if type(value) == "table" and #value == 0 then
      ok, message, code = file:make_group(path)
      if ok then ok, message, code = save_into(file, path, value) end
    else
      ok, message, code = file:write(path, value)
    end
    if not ok then return nil, message, code end
  end
  return true
end

-- Writes a table of tensors, numbers, texts, lists of them, and tables of these (groups) as a new file, in place of an
-- old one only when it is whole.
function h5.save(path, values)
  if type(values) ~= "table" then fail("h5.save: expected a table, got %s", type(values)) end
  local file, message, code = core.h5.open(path, "w")
  if not file then return nil, message, code end
  local ok
  ok, message, code = save_into(file, "", values)
  if ok then return file:close() end
  file:discard()
  return nil, message, code
end

local function load_from(file, group)
  local names, message, code = file:list(group)
  if not names then return nil, message, code end
  local values = {}
  for _, name in ipairs(names) do
    local path = (group == "/" and "" or group) .. "/" .. name
    local info = file:info(path)
    if info and info.kind == "group" then
      values[name], message, code = load_from(file, path)
    elseif info and not info.is_scale then
      values[name], message, code = file:read(path)
    end
    if info and not info.is_scale and values[name] == nil then return nil, message, code end
  end
  return values
end

-- Everything in a file (or below a group of it) as a table, groups as tables; dimension scales are left out.
function h5.load(path, group)
  local file, message, code = core.h5.open(path)
  if not file then return nil, message, code end
  local values
  values, message, code = load_from(file, group or "/")
  file:close()
  return values, message, code
end

return h5
