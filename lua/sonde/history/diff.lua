-- What differs between two runs' files: { section =, name =, text = } in the order of the files, of numbers also { n =
-- cells that differ, total =, first = { where =, a =, b = }, largest = { relative =, where = } }; and how many columns
-- were compared. What no two runs share is left out: clock readings, the command, the number of threads.
local cells = require "sonde.history.cells"
local json = require "sonde.json"
local open = require "sonde.history.open"

local DEEPEST = 100 -- groups in groups: HDF5 finds each from the root on

local Diff = {}
Diff.__index = Diff

local elsewhere = { ["/run"] = true, ["/cost"] = true } -- the latter clocks again
local ignored = { created = true, wall_seconds = true, command = true, threads = true, time = true }

function Diff:add(section, name, text, ...)
  self.found[#self.found + 1] = { section = section, name = name, text = text:format(...) }
end

-- The names of two lists: those of the first, then what only the second has.
local function union(a, b)
  local names, seen = {}, {}
  for _, list in ipairs { a, b } do
    for _, name in ipairs(list) do
      if not seen[name] then names[#names + 1] = name end
      seen[name] = true
    end
  end
  return names
end

local function shown(value)
  if value == nil then return "nothing" end
  if type(value) == "userdata" then value = json.array(value:totable()) end
  local text = type(value) == "string" and value or json.encode(value)
  return #text > 60 and text:sub(1, 57) .. "…" or text
end

-- ---- attributes and texts ----------------------------------------------------------------------------------------

function Diff:attributes()
  for _, name in ipairs(union(self.a:attributes "/" or {}, self.b:attributes "/" or {})) do
    local a, b = self.a:attribute("/", name), self.b:attribute("/", name)
    if not ignored[name] and shown(a) ~= shown(b) then self:add("attributes", name, "%s | %s", shown(a), shown(b)) end
  end
end

local function lines_of(text)
  local lines = {}
  for line in (text .. "\n"):gmatch("(.-)\n") do lines[#lines + 1] = line end
  return lines
end

-- The first line in which two texts differ.
function Diff:lines(section, name, a, b)
  if a == b then return end
  if not a or not b then return self:add(section, name, "only in the %s file", a and "first" or "second") end
  local first, second = lines_of(a), lines_of(b)
  local at = 1
  while first[at] == second[at] do at = at + 1 end
  self:add(section, name, "line %d: %s | %s", at, shown(first[at]), shown(second[at]))
end

-- The members of two JSON objects.
function Diff:objects(section, a, b)
  a, b = json.decode(a or "{}"), json.decode(b or "{}")
  local names = {}
  for _, object in ipairs { type(a) == "table" and a or {}, type(b) == "table" and b or {} } do
    for name in next, object do names[#names + 1] = tostring(name) end
  end
  table.sort(names)
  for _, name in ipairs(union(names, {})) do
    if not ignored[name] and shown(a[name]) ~= shown(b[name]) then
      self:add(section, name, "%s | %s", shown(a[name]), shown(b[name]))
    end
  end
end

local function text_of(file, name)
  local info = file:info("/run/" .. name)
  local text = info and info.kind == "dataset" and file:read("/run/" .. name)
  return type(text) == "string" and text or nil
end

function Diff:texts()
  local function both(name) return text_of(self.a, name), text_of(self.b, name) end
  self:objects("parameters", both "params")
  self:lines("source", "recipe", both "recipe_source")
  self:objects("source", both "modules")
  self:lines("source", "model", both "model")
  self:objects("environment", both "environment")
  self:objects("notes", both "notes")
end

-- ---- numbers -----------------------------------------------------------------------------------------------------

-- Of a list along an axis on which the files do not agree, what both have.
local function common(texts, axis, side)
  if type(texts) ~= "table" or not axis or not axis.n then return texts end
  local kept = {}
  for i = 1, axis.n do kept[i] = texts[axis[side] and axis[side][i] or i] end
  return kept
end

function Diff:text(path, axes)
  local axis = axes[(self.a:axes(path) or {})[1]]
  local first, second = common(self.a:read(path), axis, "from"), common(self.b:read(path), axis, "to")
  self.compared = self.compared + 1
  if json.encode(first) == json.encode(second) then return end
  if type(first) ~= "table" or type(second) ~= "table" then
    return self:add("numbers", path, "%s | %s", shown(first), shown(second))
  end
  local at = 1
  while first[at] == second[at] do at = at + 1 end
  self:add("numbers", path, "first at %d: %s | %s", at, shown(first[at]), shown(second[at]))
end

function Diff:dataset(path, a, b, axes)
  if a.type:find("^string") and b.type:find("^string") then return self:text(path, axes) end
  local result, message = cells.compare(self.a, self.b, path, a, b, axes)
  if not result then return self:add("numbers", path, "%s", message) end
  self.compared = self.compared + 1
  if result.n == 0 then return end
  self:add("numbers", path, "%d of %d differ, first at %s: %s | %s; largest relative difference %s at %s", result.n,
    result.total, result.first.where, result.first.a, result.first.b,
    result.largest.relative < math.huge and ("%.3g"):format(result.largest.relative) or "without limit",
    result.largest.where)
  local entry = self.found[#self.found]
  for name, value in next, result do entry[name] = value end
end

-- How rows and probes of the two files correspond; says once for the group where they do not.
function Diff:group_axes(path)
  local axes = cells.axes(self.a, self.b, path)
  for _, note in ipairs(axes.notes) do self:add("numbers", note.path, "%s", note.text) end
  return axes
end

function Diff:group(path, a_info, b_info)
  local prefix = path == "/" and "" or path
  local pair = ("%s %s"):format(a_info and a_info.object, b_info and b_info.object)
  if self.seen[pair] then return end -- groups that lie in themselves
  self.seen[pair] = true
  if select(2, path:gsub("/", "")) > DEEPEST then
    return self:add("numbers", path, "groups nested deeper than %d are not compared", DEEPEST)
  end
  local axes = self:group_axes(path)
  for _, name in ipairs(union(open.names(self.a, path), open.names(self.b, path))) do
    local full = prefix .. "/" .. name
    local a, b = self.a:info(full), self.b:info(full)
    if elsewhere[full] or ignored[name] or axes[name] or cells.only_counts(name) then -- looked at elsewhere, or clocks
    elseif not a and not b then -- in neither to be read
      self:add("numbers", full, "cannot be read")
    elseif not a or not b then
      self:add("numbers", full, "only in the %s file", a and "first" or "second")
    elseif a.kind ~= b.kind then
      self:add("numbers", full, "a %s | a %s", a.kind, b.kind)
    elseif a.kind == "group" then
      self:group(full, a, b)
    elseif a.type ~= "reference" and not a.is_null and not b.is_null then
      self:dataset(full, a, b, axes)
    end
  end
end

return function(a, b)
  local self = setmetatable({ a = a, b = b, found = {}, compared = 0, seen = {} }, Diff)
  self:attributes()
  self:texts()
  self:group("/", a:info "/", b:info "/")
  return self.found, self.compared
end
