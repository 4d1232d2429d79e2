-- Parameters of a recipe: what is declared, and what --set makes of it.
--
-- A declaration is a value (its type is the parameter's type) or { default, "what it means", choices = {…}, min =,
-- max =, kind = "file" }. Types: integer, number, string, boolean, list (of one of these).
local suggest = require "sonde.suggest"

local params = {}

local fields = { "choices", "kind", "max", "min" } -- of a declaration

local function kind_of(value)
  if type(value) == "number" then return math.type(value) == "integer" and "integer" or "number" end
  return type(value) == "table" and "list" or type(value)
end

local function is_declaration(value)
  if type(value) ~= "table" then return false end
  if type(value[2]) == "string" then return true end
  for key in next, value do
    if type(key) == "string" then return true end
  end
  return false
end

local function show(value)
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  for i, item in ipairs(value) do parts[i] = tostring(item) end
  return table.concat(parts, ",")
end
params.show = show

-- One element of a type, from text (of --set) or a Lua value; nil and what was expected if it does not fit.
local function convert_scalar(kind, value)
  if kind == "string" then
    if type(value) == "string" then return value end
    return nil, "a text"
  elseif kind == "boolean" then
    if value == true or value == "true" then return true end
    if value == false or value == "false" then return false end
    return nil, "true or false"
  end
  local number = type(value) ~= "boolean" and tonumber(value) or nil
  if kind == "integer" then
    local whole = number and math.tointeger(number)
    if whole then return whole end
    return nil, "a whole number"
  end
  if number and number - number == 0 then return number + 0.0 end
  return nil, "a number"
end

local function convert_list(item_kind, value)
  local list = {}
  if type(value) == "string" then
    for item in (value .. ","):gmatch("([^,]*),") do list[#list + 1] = item end
    if value == "" then list = {} end
  elseif type(value) == "table" then
    table.move(value, 1, #value, 1, list)
  else
    list[1] = value
  end
  for i, item in ipairs(list) do
    local converted, expected = convert_scalar(item_kind, item)
    if converted == nil then return nil, "a list (a,b,c), each " .. expected end
    list[i] = converted
  end
  return list
end

local function check_limits(declaration, value)
  for _, item in ipairs(type(value) == "table" and value or { value }) do
    if declaration.choices then
      local found = false
      for _, choice in ipairs(declaration.choices) do found = found or choice == item end
      if not found then
        local words = {}
        for i, choice in ipairs(declaration.choices) do words[i] = tostring(choice) end
        return suggest.unknown("choice", item, words)
      end
    end
    if declaration.min and item < declaration.min then
      return ("%s is below the minimum of %s"):format(show(item), show(declaration.min))
    end
    if declaration.max and item > declaration.max then
      return ("%s is above the maximum of %s"):format(show(item), show(declaration.max))
    end
  end
end

-- The value that `given` means for a declaration; nil and a message where it means none.
local function convert(declaration, given)
  local value, expected
  if declaration.type == "list" then
    value, expected = convert_list(declaration.item_type, given)
  else
    value, expected = convert_scalar(declaration.type, given)
  end
  if value == nil then
    return nil, ("expected %s, got '%s'"):format(expected, show(given))
  end
  local broken = check_limits(declaration, value)
  if broken then return nil, broken end
  return value
end

local function declare(name, value)
  local declaration = { name = name, default = value }
  if is_declaration(value) then
    local wrong = suggest.first_unknown(value, { 1, 2, table.unpack(fields) })
    if wrong then return nil, suggest.unknown("field", wrong, fields) end
    declaration = { name = name, default = value[1], about = value[2], choices = value.choices, kind = value.kind,
                    min = value.min, max = value.max }
  elseif type(value) == "table" then
    return nil, 'a list is written { {64, 64}, "what it means" }'
  end
  declaration.type = kind_of(declaration.default)
  if declaration.type == "list" then declaration.item_type = kind_of(declaration.default[1] or "") end
  local scalar = declaration.item_type or declaration.type
  if scalar ~= "integer" and scalar ~= "number" and scalar ~= "string" and scalar ~= "boolean" then
    return nil, ("the default must be a number, a text, a boolean or a list of these, got %s"):format(scalar)
  end
  if declaration.choices ~= nil and (type(declaration.choices) ~= "table" or #declaration.choices == 0) then
    return nil, "choices must be a list"
  end
  if declaration.kind ~= nil and (declaration.kind ~= "file" or declaration.type ~= "string") then
    return nil, [[kind must be "file" (of a text), or left out]]
  end
  local is_number = scalar == "integer" or scalar == "number"
  for _, limit in ipairs { "min", "max" } do
    if declaration[limit] ~= nil and not (is_number and type(declaration[limit]) == "number") then
      return nil, ("%s must be a number, of a number"):format(limit)
    end
  end
  local default, message = convert(declaration, declaration.default)
  if default == nil then return nil, "the default does not fit: " .. message end
  declaration.default = default
  return declaration
end

-- Declarations of a recipe's `params`, as an array sorted by name that also answers to the names; nil, message if one
-- is wrong.
function params.declare(given)
  local names, declarations = {}, {}
  for name in next, given do
    if type(name) ~= "string" or not name:match("^[%a_][%w_]*$") then
      return nil, ("params: '%s' is no name"):format(tostring(name))
    end
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    local declaration, message = declare(name, given[name])
    if not declaration then return nil, ("params.%s: %s"):format(name, message) end
    declarations[i], declarations[name] = declaration, declaration
  end
  return declarations
end

local function file_exists(path)
  local file = io.open(path, "rb")
  return file ~= nil and file:close()
end

-- The values a run gets: defaults, and over them `set` (name → text or value). Reading a name that is not declared is
-- an error. A default of kind "file" is relative to `folder`, one that was set to the current folder; an empty one
-- means none. nil, message where something does not fit.
function params.resolve(declarations, set, folder)
  local values, names = {}, {}
  for i, declaration in ipairs(declarations) do
    local default = declaration.default
    names[i] = declaration.name
    if declaration.kind == "file" and default ~= "" and default:sub(1, 1) ~= "/" and folder then
      default = folder .. "/" .. default
    end
    values[declaration.name] = type(default) == "table" and table.move(default, 1, #default, 1, {}) or default
  end
  local given = {}
  for name in next, set or {} do given[#given + 1] = tostring(name) end
  table.sort(given)
  for _, name in ipairs(given) do
    local declaration = declarations[name]
    if not declaration then return nil, suggest.unknown("parameter", name, names) end
    local value, message = convert(declaration, set[name])
    if value == nil then return nil, ("parameter '%s': %s"):format(name, message) end
    values[name] = value
  end
  for _, declaration in ipairs(declarations) do
    local path = values[declaration.name]
    if declaration.kind == "file" and path ~= "" and not file_exists(path) then
      return nil, ("parameter '%s': cannot read the file '%s'"):format(declaration.name, path)
    end
  end
  return setmetatable(values, { __index = function(_, name)
    error(suggest.unknown("parameter", name, names), 2)
  end })
end

-- "name=value" texts of --set as a table; nil, message for one without "=".
function params.parse_set(texts)
  local set = {}
  for _, text in ipairs(texts or {}) do
    local name, value = text:match("^%s*([%w_%-]+)%s*=(.*)$")
    if not name then return nil, ("expected NAME=VALUE, got '%s'"):format(text) end
    set[name] = value
  end
  return set
end

return params
