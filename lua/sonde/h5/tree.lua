-- Nested tables as HDF5 files and back. A table is a group, under flat names as they are ("1.weight"), so that h5py
-- users see a state_dict as PyTorch has it. What HDF5 cannot tell apart is told by an attribute `lua_type`: "boolean",
-- "list" (of numbers or texts, else a dataset is a tensor), "tensor" (without axes, else a scalar is a number), "array"
-- (a group whose names are whole numbers).
local core = require "sonde.core"
local fail = require "sonde.fail"

local tree = {}

local DEEPEST = 100 -- groups in groups; a foreign file may have a group inside itself

-- ---- saving: first everything is looked at, then written ---------------------------------------------------------

-- The keys of a table in order, and their kind: "name" or "array".
local function keys_of(where, path, value)
  local keys, kind = {}, nil
  for key in next, value do
    local this = type(key) == "string" and "name" or math.type(key) == "integer" and "array"
    if not this then
      fail("%s: '%s' has a key that is a %s, expected names or whole numbers", where, path, type(key))
    end
    if kind and kind ~= this then fail("%s: '%s' has names and numbers as keys", where, path) end
    if this == "name" and (key == "" or key == "." or key == ".." or key:find("[/\0]")) then
      fail("%s: '%s' in '%s' is no name for a dataset", where, key, path)
    end
    kind = this
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys, kind
end

-- Is it a list 1..n of numbers, or of texts?
local function is_plain_list(value, keys, kind)
  if kind ~= "array" or keys[1] ~= 1 or keys[#keys] ~= #keys then return false end
  local first = type(value[1])
  if first ~= "number" and first ~= "string" then return false end
  for _, item in ipairs(value) do
    if type(item) ~= first then return false end
  end
  return true
end

local function check_text(where, path, text)
  if text:find("\0", 1, true) then fail("%s: the text '%s' holds a NUL, which HDF5 ends texts with", where, path) end
end

local look -- at a value: adds what is to be written

local function look_at_table(where, plan, path, value, above)
  if getmetatable(value) ~= nil then fail("%s: '%s' is an object: save its state_dict()", where, path) end
  if above[value] then fail("%s: '%s' contains itself", where, path) end
  local keys, kind = keys_of(where, path, value)
  if is_plain_list(value, keys, kind) then
    for _, item in ipairs(value) do
      if type(item) == "string" then check_text(where, path, item) end
    end
    plan[#plan + 1] = { path = path, value = value, lua_type = "list", axes = 1 }
    return
  end
  above[value], above.depth = true, above.depth + 1
  if above.depth > DEEPEST then fail("%s: tables are nested deeper than %d", where, DEEPEST) end
  if path ~= "" then plan[#plan + 1] = { path = path, lua_type = kind == "array" and kind or nil } end
  for _, key in ipairs(keys) do look(where, plan, path .. "/" .. key, value[key], above) end
  above[value], above.depth = nil, above.depth - 1
end

function look(where, plan, path, value, above)
  local kind = type(value)
  if kind == "table" then return look_at_table(where, plan, path, value, above) end
  local entry = { path = path, value = value, axes = 0 }
  if kind == "boolean" then
    entry.value, entry.lua_type = value and 1 or 0, "boolean"
  elseif getmetatable(value) == "Tensor" then
    entry.value, entry.axes = value:detach(), value.ndim
    entry.lua_type = entry.axes == 0 and "tensor" or nil
  elseif kind == "string" then
    check_text(where, path, value)
  elseif kind ~= "number" then
    fail("%s: '%s' is a %s, expected a tensor, a number, a text, a boolean or a table of these", where, path, kind)
  end
  plan[#plan + 1] = entry
end

-- Names of axes that have no scale.
local function no_axes(n)
  local names = {}
  for i = 1, n do names[i] = "" end
  return names
end

local function write(file, entry, axes)
  local ok, message, code
  if entry.value == nil then
    ok, message, code = file:make_group(entry.path)
  else
    ok, message, code = file:write(entry.path, entry.value, not axes and no_axes(entry.axes) or nil)
  end
  if ok and entry.lua_type then ok, message, code = file:set_attribute(entry.path, "lua_type", entry.lua_type) end
  return ok, message, code
end

-- true; or nil, message, code, and what was at `path` stays. `where` begins what it raises for values it cannot keep.
function tree.save(where, path, values, axes)
  if type(path) ~= "string" then fail("%s: expected the path of a file, got %s", where, type(path)) end
  if type(values) ~= "table" then
    local kind = getmetatable(values)
    fail("%s: expected a table, got %s%s", where, type(kind) == "string" and kind or type(values),
      (kind == "Module" or kind == "Optimizer") and ": save its state_dict()" or "")
  end
  local plan = {}
  local _, kind = keys_of(where, "/", values)
  if kind == "array" then fail("%s: the values of a file have names, got numbers as keys", where) end
  look_at_table(where, plan, "", values, { depth = 0 })
  local file, message, code = core.h5.open(path, "w")
  if not file then return nil, message, code end
  for _, entry in ipairs(plan) do
    local ok
    ok, message, code = write(file, entry, axes)
    if not ok then
      file:discard()
      return nil, message, code
    end
  end
  return file:close()
end

-- ---- loading -----------------------------------------------------------------------------------------------------

local function read(file, path, info)
  local value, message, code = file:read(path)
  if value == nil then return nil, message, code end
  local kind = file:attribute(path, "lua_type")
  if kind == "boolean" and type(value) == "number" then return value ~= 0 end
  if kind == "tensor" and type(value) == "number" then return core.tensor(value, { dtype = info.type }) end
  if kind == "list" and getmetatable(value) == "Tensor" then return value:totable() end
  return value
end

local function read_group(file, group, depth)
  if depth > DEEPEST then
    return nil, ("'%s': groups are nested deeper than %d"):format(group:sub(1, 80), DEEPEST), "EFORMAT"
  end
  local names, message, code = file:list(group)
  if not names then return nil, message, code end
  local numbered, values = group ~= "/" and file:attribute(group, "lua_type") == "array", {}
  for _, name in ipairs(names) do
    local path = (group == "/" and "" or group) .. "/" .. name
    local info, value = file:info(path), nil
    if info and info.kind == "group" then
      value, message, code = read_group(file, path, depth + 1)
    elseif info and not info.is_scale then
      value, message, code = read(file, path, info)
    end
    if info and not info.is_scale and value == nil then return nil, message, code end
    values[numbered and math.tointeger(tonumber(name)) or name] = value
  end
  return values
end

-- The table of a file, or of a group of it; or nil, message, code.
function tree.load(path, group)
  if type(path) ~= "string" then fail("load: expected the path of a file, got %s", type(path)) end
  local file, message, code = core.h5.open(path)
  if not file then return nil, message, code end
  local values
  values, message, code = read_group(file, group or "/", 0)
  file:close()
  return values, message, code
end

return tree
