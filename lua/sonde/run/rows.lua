-- /metrics: one row per step. What is put collects in the open row; ending the step writes it.
--
-- The columns are fixed when the first step ends: loss, lr, grad_norm, clip_coef, the recipe's `metrics`, the names of
-- the first row. A name first seen later is kept as a late column of the file, with one warning.
local fail = require "sonde.fail"
local sorted_pairs = require "sonde.recipe.environment".sorted_pairs

local Rows = {}
Rows.__index = Rows

local automatic = {
  { "loss", "the loss as the recipe logged it" },
  { "lr", "learning rate of the registered optimiser's first group" },
  { "grad_norm", "L2 norm of all gradients before clipping" },
  { "clip_coef", "what clipping multiplied the gradients by" },
}
local reserved = { step = true, time = true, epoch = true }

-- `warn(name)` is told of each late name, once.
function Rows.new(history, metrics, warn)
  return setmetatable({ group = history:group("metrics"), metrics = metrics, warn = warn, open = {}, late = {},
                        latest = {} }, Rows)
end

local function as_number(name, value, where)
  if type(value) == "number" then return value + 0.0 end
  if type(value) == "boolean" then return value and 1.0 or 0.0 end
  local ok, item = pcall(function() return value:item() end)
  if ok and type(item) == "number" then return item + 0.0 end
  fail("%s: '%s' must be a number (or a tensor of one element), got %s", where, name,
    type(value) == "userdata" and "a tensor of several elements" or "a " .. type(value))
end

-- Adds to the open row.
function Rows:put(values, where)
  if type(values) ~= "table" then fail("%s: expected a table of numbers, got %s", where, type(values)) end
  for name in sorted_pairs(values) do
    if type(name) ~= "string" or not name:match("^[%a_][%w_]*$") then
      fail("%s: '%s' is no name for a metric (letters, digits, _)", where, tostring(name))
    end
    if reserved[name] then fail("%s: '%s' is written by itself", where, name) end
  end
  for name, value in next, values do self.open[name] = as_number(name, value, where) end
end

function Rows:is_open() return next(self.open) ~= nil end

-- Fixes the columns, those of the open row among them.
function Rows:declare()
  self.columns = {}
  self.group:time_column("time", "float64", "time since the start of the run", "s")
  self.group:time_column("epoch", "float64", "passes over the data of run:batches so far")
  local function add(name, about)
    if self.columns[name] then return end
    self.columns[name] = true
    self.group:variable(name, "float64", about)
  end
  for _, column in ipairs(automatic) do add(column[1], column[2]) end
  for _, name in ipairs(self.metrics) do add(name) end
  for name in sorted_pairs(self.open) do add(name) end
end

-- Writes the open row, with time and epoch, and opens the next. `writer` (nil: none) keeps late columns.
function Rows:write(step, time, epoch, writer)
  local row = { time = time, epoch = epoch }
  for name, value in sorted_pairs(self.open) do
    if self.columns[name] then
      row[name] = value
    else
      if not self.late[name] then
        self.late[name] = true
        self.warn(name)
      end
      if writer then
        local ok, message = writer:late("metrics", name, self.group:rows() + 1, value)
        if not ok then fail("%s", message) end
      end
    end
  end
  self.group:append(step, row)
  self.latest, self.open = self.open, {}
end

return Rows
