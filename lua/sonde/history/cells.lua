-- Two datasets cell by cell: rows are matched by their step, probes by their names.
local numbers = require "sonde.history.numbers"
local open = require "sonde.history.open"
local tensor = require "sonde.tensor"

local cells = {}

local MOST = 1 << 22 -- values of an axis that are matched; longer ones are compared place by place

-- ---- which cell belongs to which ---------------------------------------------------------------------------------

-- Places of the values that both lists have, in the order of the first: the second 7 of one belongs to the second 7 of
-- the other.
local function match(first, second)
  local places, next_place, from, to, values = {}, {}, {}, {}, {}
  for i, value in ipairs(second) do
    places[value] = places[value] or {}
    table.insert(places[value], i)
  end
  for i, value in ipairs(first) do
    local n = (next_place[value] or 0) + 1
    local place = places[value] and places[value][n]
    if place then
      next_place[value] = n
      from[#from + 1], to[#to + 1], values[#values + 1] = i, place, value
    end
  end
  return from, to, values
end

-- Is it the name of a scale that only counts the places of one dataset, "w_axis1"?
function cells.only_counts(name) return name:find("_axis%d+$") ~= nil end

local function scale_of(file, path)
  local info = file:info(path)
  if not info or info.kind ~= "dataset" or not info.is_scale or #info.shape ~= 1 then return nil end
  if info.shape[1] > MOST then return nil end
  local values = file:read(path)
  return type(values) == "table" and values or values and values:totable()
end

local function same(a, b)
  if #a ~= #b then return false end
  for i, value in ipairs(a) do
    if value ~= b[i] then return false end
  end
  return true
end

-- The axes of a group by name: { labels = }, and where the files do not agree from =, to =: the places to compare, and
-- n = how many. notes: what there is to say about them.
function cells.axes(a, b, path)
  local prefix = path == "/" and "" or path
  local axes = { notes = {} }
  for _, name in ipairs(open.names(a, path)) do
    local full = prefix .. "/" .. name
    local first, second = scale_of(a, full), scale_of(b, full)
    if first and second and not cells.only_counts(name) then
      local axis = { labels = first }
      if not same(first, second) then
        axis.from, axis.to, axis.labels = match(first, second)
        axis.n = #axis.from
        axes.notes[#axes.notes + 1] = { path = full, text = ("%d | %d values; the %d of both are compared"):format(
          #first, #second, axis.n) }
      end
      axes[name] = axis
    end
  end
  return axes
end

-- ---- comparing ---------------------------------------------------------------------------------------------------

local function shown(value, type)
  if math.type(value) == "integer" then return tostring(value) end
  return (type == "float32" and "%.9g" or "%.17g"):format(value)
end

local function at(t, place)
  for _, i in ipairs(place) do t = t[i] end
  return t:item()
end

-- Where two tensors differ (1) and by how much relative to the larger, infinite where one is no number. Two NaN are
-- equal.
local function compare(a, b)
  local both_nan = a:ne(a):minimum(b:ne(b))
  local differs = a:ne(b):minimum(both_nan:eq(0))
  local x, y = a:to("float64"), b:to("float64")
  local relative = (x - y):abs() / x:abs():maximum(y:abs())
  relative = tensor.where(relative:ne(relative), math.huge, relative)
  return differs, tensor.where(differs, relative, 0)
end

-- "step 3, probe 1.weight"
local function where(place, first_row, names, axes)
  local parts = {}
  for d, i in ipairs(place) do
    local name = names[d] or ""
    local axis = axes[name]
    local index = d == 1 and first_row + i - 1 or i
    parts[d] = ("%s %s"):format(name ~= "" and name or "axis " .. d, axis and axis.labels[index] or index)
  end
  return #parts > 0 and table.concat(parts, ", ") or "its value"
end

-- The places of a part that both files have, along all its axes but the first.
local function select(t, names, axes, side)
  for d = 2, t:dim() do
    local axis = axes[names[d]]
    if axis and axis[side] then t = t:index_select(d, axis[side]) end
  end
  return t
end

-- Adds what differs between two parts to the result; `first`: the row they begin with.
local function add(result, a, b, first, names, axes, types)
  if a:numel() == 0 then return end
  local differs, relative = compare(a, b)
  local n = math.tointeger(differs:sum():item())
  result.total = result.total + a:numel()
  if n == 0 then return end
  result.n = result.n + n
  local place = numbers.first_place(differs)
  result.first = result.first or { where = where(place, first, names, axes), a = shown(at(a, place), types[1]),
                                   b = shown(at(b, place), types[2]) }
  local largest = relative:max():item()
  if not result.largest or largest > result.largest.relative then
    place = numbers.first_place(relative:eq(largest))
    result.largest = { relative = largest, where = where(place, first, names, axes) }
  end
end

local function text_of(shape) return #shape > 0 and table.concat(shape, " × ") or "one value" end

-- A message if the shapes differ elsewhere than along axes of which common places are known.
local function check_shapes(a, b, names, axes)
  local fits = #a == #b
  for d, size in ipairs(a) do
    local axis = axes[names[d]]
    fits = fits and (size == b[d] or axis and axis.n)
  end
  return not fits and ("the shape is %s | %s"):format(text_of(a), text_of(b)) or nil
end

-- Compares two numbers.
local function compare_scalars(a, b, path, add_part)
  local x, y = a:read(path), b:read(path)
  if not x or not y then return "cannot be read" end
  local function tensor_of(value)
    return tensor(value, { dtype = math.type(value) == "integer" and "int64" or "float64" })
  end
  add_part(1, tensor_of(x), tensor_of(y))
end

-- Of an axis's places from `i` on, those of the first file's rows up to `last`: how many, and the least and the largest
-- place in the second file.
local function those_up_to(axis, i, last)
  local n, low, high = 0, math.huge, 0
  while axis.from[i + n] and axis.from[i + n] <= last do
    low, high = math.min(low, axis.to[i + n]), math.max(high, axis.to[i + n])
    n = n + 1
  end
  return n, low, high
end

local function shifted(list, i, n, by)
  local places = {}
  for k = 1, n do places[k] = list[i + k - 1] - by end
  return places
end

-- Compares row by row, in parts. rows: the first axis, where the files do not agree on it.
local function compare_rows(a, b, path, shapes, rows, add_part)
  local problem, done = nil, 0
  local function read(first, n)
    local start, count = { first }, { n }
    for d = 2, #shapes[2] do start[d], count[d] = 1, shapes[2][d] end
    local part
    part, problem = b:read(path, { start = start, count = count })
    return part
  end
  local ok, message = open.each_part(a, path, shapes[1], rows and (rows.from[rows.n] or 0) or shapes[1][1],
    function(first, part)
      if not rows then
        local other = read(first, part:size(1))
        if other then add_part(first, part, other) end
        return problem
      end
      local n, low, high = those_up_to(rows, done + 1, first + part:size(1) - 1)
      if n == 0 then return end
      local other = read(low, high - low + 1)
      if not other then return true end
      add_part(done + 1, part:index_select(1, shifted(rows.from, done + 1, n, first - 1)),
        other:index_select(1, shifted(rows.to, done + 1, n, low - 1)))
      done = done + n
    end)
  return not ok and message or problem
end

-- { n = cells that differ, total =, first = { where =, a =, b = }, largest = { relative =, where = } }; nil, message
-- where the two cannot be compared.
function cells.compare(a, b, path, info_a, info_b, axes)
  local names, result = a:axes(path) or {}, { n = 0, total = 0 }
  local problem = check_shapes(info_a.shape, info_b.shape, names, axes)
  if problem then return nil, problem end
  for _, name in ipairs(names) do
    if axes[name] and axes[name].n == 0 then return result end
  end
  local function add_part(first, x, y)
    x, y = select(x, names, axes, "from"), select(y, names, axes, "to")
    add(result, x, y, first, names, axes, { info_a.type, info_b.type })
  end
  if #info_a.shape == 0 then
    names = {}
    problem = compare_scalars(a, b, path, add_part)
  else
    local rows = axes[names[1]]
    problem = compare_rows(a, b, path, { info_a.shape, info_b.shape }, rows and rows.from and rows, add_part)
  end
  if problem then return nil, problem end
  return result
end

return cells
