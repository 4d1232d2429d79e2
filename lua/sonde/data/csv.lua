-- Tables of numbers in text files.
local core = require "sonde.core"
local fail = require "sonde.fail"
local suggest = require "sonde.suggest"
local find = require "sonde.data.find"
local targets = require "sonde.data.targets"
local Dataset = require "sonde.data.dataset"

-- Number of the column a user names: its heading, its number from 1, or from -1 backwards.
local function column_number(path, names, n_columns, column)
  if math.type(column) == "integer" then
    local k = column < 0 and n_columns + 1 + column or column
    if k >= 1 and k <= n_columns then return k end
    fail("data.csv: '%s' has %d columns, there is no column %d", path, n_columns, column)
  end
  if type(column) ~= "string" then fail("data.csv: a column is a heading or a number, got a %s", type(column)) end
  if not names then fail("data.csv: '%s' has no header: name columns by number, or say header = true", path) end
  for k, name in ipairs(names) do
    if name == column then return k end
  end
  fail("data.csv: '%s': %s", path, suggest.unknown("column", column, names))
end

local function column_numbers(path, names, n_columns, columns)
  local numbers = {}
  for k, column in ipairs(type(columns) == "table" and columns or { columns }) do
    numbers[k] = column_number(path, names, n_columns, column)
  end
  return numbers
end

-- All columns that are not in `taken`.
local function others(n_columns, taken)
  local is_taken, numbers = {}, {}
  for _, k in ipairs(taken) do is_taken[k] = true end
  for k = 1, n_columns do
    if not is_taken[k] then numbers[#numbers + 1] = k end
  end
  return numbers
end

-- data.csv { path, label = column | target = column(s), inputs = columns, labels_from = 1, header = nil,
-- separator = "," }, also data.csv(path, { … }): inputs float32 [N, columns], by default all but label and target.
-- label: classes, as integers from labels_from on or as texts (classes in sorted order, named in dataset.classes).
-- target: numbers, float32 [N, targets]. A missing cell (empty, NA, NaN, null, ?) is NaN,
-- and an error in a target. header: by default told by
-- the first line.
return function(path, opts)
  if type(path) == "table" then path, opts = path[1], path end
  suggest.check_options("data.csv", opts, { 1, "label", "target", "inputs", "labels_from", "header", "separator" })
  if type(path) ~= "string" then fail("data.csv: expected the path of a file, got %s", type(path)) end
  opts = opts or {}
  local csv = core.data.csv(find.file(path), opts.separator or ",", opts.header)
  local _, n_columns = csv:size()
  local names = csv:names()
  if (opts.label == nil) == (opts.target == nil) then
    fail("data.csv: say which column of '%s' is the label (classes) or the target (numbers)%s", path,
      names and ": " .. table.concat(names, ", ") or "")
  end
  local wanted = opts.label
  if wanted == nil then wanted = opts.target end
  local target = column_numbers(path, names, n_columns, wanted)
  if opts.label ~= nil and #target ~= 1 then fail("data.csv: one column can be the label, got %d", #target) end
  local inputs = opts.inputs and column_numbers(path, names, n_columns, opts.inputs) or others(n_columns, target)
  if #inputs == 0 then fail("data.csv: '%s' leaves no column as input", path) end
  if #target == 0 then fail("data.csv: no column of '%s' is named as target", path) end
  if opts.target ~= nil then
    return Dataset.new(csv:numbers(inputs), targets(("data.csv: '%s'"):format(path), csv:numbers(target)))
  end
  return Dataset.new(csv:numbers(inputs), csv:labels(target[1], opts.labels_from or 1))
end
