-- What run:save may store: names, values and axes are looked at when they are given, since the file is made with them
-- at the very end.
local fail = require "sonde.fail"

local Arrays = {}
Arrays.__index = Arrays

-- arrays: by name, what was saved; users: by the path of an axis, { length =, name of one that stands on it }.
function Arrays.new() return setmetatable({ arrays = {}, users = {} }, Arrays) end

local function is_name(text) return type(text) == "string" and text:find("^[%w_][%w_.-]*$") ~= nil end

local function check_name(self, name)
  local ok = type(name) == "string" and not name:find("/$")
  for part in (ok and name or "/"):gmatch("[^/]*") do ok = ok and is_name(part) end
  if not ok then
    fail("run:save: '%s' is no name (letters, digits, '_', '.', '-'; parts between '/' become groups)", name)
  end
  for at in name:gmatch("()/") do
    local above = name:sub(1, at - 1)
    if self.arrays[above] then fail("run:save: '%s' cannot lie in '%s', which is an array", name, above) end
  end
  for other in next, self.arrays do
    if other:sub(1, #name + 1) == name .. "/" then
      fail("run:save: '%s' cannot be an array: '%s' lies in it", name, other)
    end
  end
end

-- The lengths of a value's axes.
local function shape_of(name, value)
  if getmetatable(value) == "Tensor" then return value:shape() end
  if type(value) == "number" or type(value) == "string" then return {} end
  if type(value) ~= "table" or getmetatable(value) ~= nil or next(value, #value > 0 and #value or nil) ~= nil then
    fail("run:save: '%s': expected a tensor, a number, a text or a list of these, got %s", name, value)
  end
  return { #value }
end

local function check_axes(self, name, shape, axes)
  if type(axes) ~= "table" or #axes ~= #shape then
    fail("run:save: '%s' has %d axes; axes must be a list of as many names, got %s", name, #shape, axes)
  end
  local group, own = name:match("^(.*/)([^/]+)$")
  group, own = group or "", own or name
  local seen = {}
  for d, axis in ipairs(axes) do
    if not is_name(axis) then fail("run:save: '%s': '%s' is no name for an axis", name, axis) end
    if seen[axis] then fail("run:save: '%s': two axes are named '%s'", name, axis) end
    seen[axis] = true
    local coordinate = self.arrays[group .. axis]
    if axis == own and #shape > 1 or axis ~= own and coordinate and not coordinate.is_axis then
      fail("run:save: '%s': the axis '%s' has the name of an array", name, axis)
    end
    local user = self.users[group .. axis]
    if user and user.length ~= shape[d] then
      fail("run:save: '%s': the axis '%s' has length %d, that of '%s' %d", name, axis, shape[d], user.name,
        user.length)
    end
  end
  for d, axis in ipairs(axes) do
    self.users[group .. axis] = self.users[group .. axis] or { length = shape[d], name = name }
  end
end

-- Raises at the recipe's line if these cannot be stored, also together with what was saved before.
function Arrays:add(name, value, axes)
  check_name(self, name)
  local shape, user = shape_of(name, value), self.users[name]
  local is_axis = type(axes) == "table" and #shape == 1 and axes[1] == name:match("[^/]+$")
  if user and user.name ~= name then
    fail("run:save: '%s' is the name of an axis of '%s'; save the places along it first, with axes = { '%s' }", name,
      user.name, name:match("[^/]+$"))
  end
  if axes ~= nil then check_axes(self, name, shape, axes) end
  self.arrays[name] = { is_axis = is_axis }
end

return Arrays
