-- A data set: samples of inputs and targets. A column of it is a tensor, or pixels that become float32 when gathered;
-- subsets and splits share the columns of their parent and keep a list of rows. A view shows another data set's samples
-- otherwise, anew each time. `classes` names the labels; `baseline` is what a trivial predictor reaches, as
-- `baseline_meaning` says.
local core = require "sonde.core"
local fail = require "sonde.fail"
local gather = core.data.gather

local methods = {}
local Dataset = { __name = "Dataset", methods = methods }

local function new(inputs, targets, rows, n)
  return setmetatable({ _inputs = inputs, _targets = targets, _rows = rows, _n = n }, Dataset)
end

-- A data set of two columns with as many rows; `classes` names the labels, if they have names.
function Dataset.new(inputs, targets, classes)
  local n = type(inputs) == "userdata" and #inputs or 0
  local n_targets = type(targets) == "userdata" and #targets or 0
  if n ~= n_targets then fail("a data set needs one target per input, got %d inputs and %d targets", n, n_targets) end
  if n == 0 then fail("a data set needs at least one sample") end
  local dataset = new(inputs, targets, nil, n)
  dataset.classes = classes
  return dataset
end

-- The same samples in other columns with a row for each row of the parent's; without inputs or targets those of the
-- parent. Not of a view.
function Dataset.columns(d, inputs, targets)
  return new(inputs or d._inputs, targets or d._targets, d._rows, d._n)
end

-- A view: fetch(base, order, first, count, draw) -> inputs, targets; the arguments are those of base:batch. fn: what
-- shows one sample, if there is such a function.
function Dataset.view(base, fetch, fn)
  local d = new(nil, nil, nil, base._n)
  d._base, d._fetch, d._fn = base, fetch, fn
  return d
end

-- Gives `d` what is known about `parent`; with `all` the baseline too, which holds as long as the targets are the same.
function Dataset.inherit(d, parent, all)
  d.classes = parent.classes
  if all then d.baseline, d.baseline_meaning = parent.baseline, parent.baseline_meaning end
  return d
end

function Dataset.__len(d) return d._n end

function Dataset.__tostring(d)
  local x, y = methods.batch(d, nil, 1, 1)
  local shape = table.concat(x:shape(), ", ", 2)
  return ("Dataset of %d samples: inputs [%s] %s, targets %s"):format(d._n, shape, x.dtype, y.dtype)
end

local function as_tensor(column, rows, n)
  if not rows and column.dtype then return column end
  return gather(column, rows, 1, n)
end

-- Makes the columns tensors of this data set alone: what users see, and may change in place, is what batches come from.
local function materialize(d)
  d._inputs, d._targets = as_tensor(d._inputs, d._rows, d._n), as_tensor(d._targets, d._rows, d._n)
  d._rows = nil
end

function Dataset.__index(d, key)
  local method = methods[key]
  if method then return method end
  if key ~= "inputs" and key ~= "targets" then return nil end
  if d._fetch then return (select(key == "inputs" and 1 or 2, methods.batch(d, nil, 1, d._n))) end
  materialize(d)
  return d["_" .. key]
end

function Dataset.__newindex(d, key, value)
  if key ~= "inputs" and key ~= "targets" then return rawset(d, key, value) end
  if d._fetch then fail("a view of a data set has no %s of its own to replace", key) end
  materialize(d)
  if type(value) ~= "userdata" or #value ~= d._n then fail("%s must be a tensor with %d rows", key, d._n) end
  rawset(d, "_" .. key, value:detach():contiguous())
end

-- What fn gave for one sample, as it goes into a batch: a number becomes a tensor without axes.
local function stack(values)
  if type(values[1]) == "number" then
    return core.tensor(values, { dtype = math.type(values[1]) == "integer" and "int64" or "float32" })
  end
  return core.tensor.stack(values, 1)
end

-- A target without axes is a number for whoever sees a single sample.
local function sample_of(x, y) return x, #y:shape() == 0 and y:item() or y end

-- The samples at positions order[first], order[first + 1], … (without an order first, first + 1, …) as two tensors.
-- order: an int64 tensor of positions 1..#d. draw: the number of this batch since the training began, from which
-- augmented samples are drawn (default 0).
function methods.batch(d, order, first, count, draw)
  if order ~= nil and getmetatable(order) ~= "Tensor" then
    fail("batch: order is an int64 tensor of positions or nil, got %s", order)
  end
  if math.type(first) ~= "integer" or math.type(count) ~= "integer" then
    fail("batch: expected the first position and how many, two integers; got %s and %s", first, count)
  end
  if d._fetch then return d._fetch(d._base, order, first, count, draw) end
  local rows = d._rows
  if rows and order then
    rows, first = gather(rows, order, first, count), 1
  elseif order then
    rows = order
  end
  return gather(d._inputs, rows, first, count), gather(d._targets, rows, first, count)
end

-- Sample i: its input and its target, the latter a number if targets have no axes of their own.
function methods.get(d, i)
  if math.type(i) ~= "integer" or i < 1 or i > d._n then
    fail("sample %s asked for, there are 1 to %d", i, d._n)
  end
  if d._fn then return d._fn(d._base:get(i)) end
  local x, y = methods.batch(d, nil, i, 1)
  return sample_of(x[1], y[1])
end

-- The data set of these positions (an int64 tensor, a list, or n: the first n).
function methods.subset(d, positions)
  if math.type(positions) == "integer" then
    if positions < 1 or positions > d._n then fail("subset: 1 to %d samples, got %d", d._n, positions) end
    positions = core.tensor.arange(1, positions + 1)
  elseif type(positions) == "table" then
    positions = core.tensor(positions, { dtype = "int64" })
  elseif getmetatable(positions) ~= "Tensor" then
    fail("subset: expected a number of samples or a list of positions, got %s", positions)
  end
  if positions.dtype ~= "int64" or positions.ndim ~= 1 then
    fail("subset: positions are an int64 tensor with one axis, got %s with %d", positions.dtype, positions.ndim)
  end
  local n = #positions
  if n == 0 then fail("subset: at least one position is needed") end
  for _, bound in ipairs { positions:min():item(), positions:max():item() } do
    if bound < 1 or bound > d._n then fail("subset: position %d, there are 1 to %d", bound, d._n) end
  end
  local part
  if d._fetch then
    part = Dataset.view(d._base:subset(positions), d._fetch, d._fn)
  else
    part = new(d._inputs, d._targets, d._rows and gather(d._rows, positions, 1, n) or positions, n)
  end
  return Dataset.inherit(part, d, true)
end

-- The same samples seen through fn(x, y) -> x, y, called anew each time a sample is used.
function methods.map(d, fn)
  if type(fn) ~= "function" then fail("map: expected a function, got %s", type(fn)) end
  local function fetch(base, order, first, count, draw)
    local xs, ys = base:batch(order, first, count, draw)
    local new_xs, new_ys = {}, {}
    for k = 1, count do new_xs[k], new_ys[k] = fn(sample_of(xs[k], ys[k])) end
    return stack(new_xs), stack(new_ys)
  end
  return Dataset.inherit(Dataset.view(d, fetch, fn), d)
end

return Dataset
