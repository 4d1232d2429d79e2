-- Data sets whose samples are standardised, one-hot, or moved and mirrored at random.
local core = require "sonde.core"
local fail = require "sonde.fail"
local suggest = require "sonde.suggest"
local Dataset = require "sonde.data.dataset"
local methods = Dataset.methods

local transform = {}

-- ---- standardisation -------------------------------------------------------------------------------------------

local BLOCK = 1000 -- samples looked at together

local function product(list, from, to)
  local n = 1
  for k = from, to do n = n * list[k] end
  return n
end

-- The elements of a sample as [outer, groups, inner]: the middle index says whose mean and deviation an element has.
local function layout(shape, per)
  local last = #shape
  if last == 1 then return 1, 1, 1 end -- samples without axes
  if per == "channel" then return 1, shape[2], product(shape, 3, last) end
  if per == "feature" then return product(shape, 2, last - 1), shape[last], 1 end
  if per == "element" then return 1, product(shape, 2, last), 1 end
  return 1, 1, product(shape, 2, last)
end

local function sums(d, outer, groups, inner, centre)
  local total = core.tensor.zeros(groups, { dtype = "float64" })
  for first = 1, #d, BLOCK do
    local x = d:batch(nil, first, math.min(BLOCK, #d - first + 1))
    core.data.group_sums(x:contiguous(), outer, groups, inner, total, centre)
  end
  return total / (#d * outer * inner)
end

-- Means, and population deviations, by two passes in float64. What never varies has deviation 1: it becomes 0.
local function measure(d, shape, per)
  local outer, groups, inner = layout(shape, per)
  local mean = sums(d, outer, groups, inner)
  local std = sums(d, outer, groups, inner, mean):sqrt()
  local wrong = (std - std):ne(0)
  if wrong:sum():item() > 0 then
    fail("standardize: %s %d of the inputs holds a value that is not finite", per == "all" and "element" or per,
      wrong:to("float32"):argmax(1):item())
  end
  return { per = per, mean = mean, std = std + std:eq(0):to("float64") }
end

local function as_statistic(value, name, groups)
  local t = type(value) == "table" and core.tensor(value, { dtype = "float64" }) or value
  if getmetatable(t) ~= "Tensor" or t.ndim ~= 1 or #t ~= groups then
    fail("standardize: '%s' must hold %d numbers, one for each mean of these inputs", name, groups)
  end
  if name == "std" and t:gt(0):sum():item() < groups then fail("standardize: every 'std' must be above 0") end
  return t:to("float64"):contiguous()
end

-- A view whose inputs are (x - mean) / std, and the statistics { per, mean, std } to apply to other data sets:
--   local train, scale = train:standardize { per = "channel" }
--   local test = test:standardize(scale)
-- per: "feature" (each place of the last axis), "channel" (each place of axis 2 of the inputs: [N, C, H, W]),
-- "element" (each place of a sample) or "all"; by default "channel" for inputs with four axes, else "feature".
function methods.standardize(d, options)
  options = suggest.check_options("standardize", options, { "per", "mean", "std" })
  local x = d:batch(nil, 1, 1)
  if x.dtype == "int64" then fail("standardize: inputs must be float32 or float64, got int64") end
  local shape, per = x:shape(), options.per or (x.ndim == 4 and "channel" or "feature")
  if not ({ feature = true, channel = true, element = true, all = true })[per] then
    fail("standardize: %s", suggest.unknown("choice", per, { "feature", "channel", "element", "all" }))
  end
  if (options.mean == nil) ~= (options.std == nil) then fail("standardize: mean and std come together") end
  local outer, groups, inner = layout(shape, per)
  local scale = options.mean == nil and measure(d, shape, per) or {
    per = per, mean = as_statistic(options.mean, "mean", groups), std = as_statistic(options.std, "std", groups),
  }
  local function fetch(base, order, first, count, draw)
    local inputs, targets = base:batch(order, first, count, draw)
    return core.data.standardize(inputs:contiguous(), outer, groups, inner, scale.mean, scale.std), targets
  end
  return Dataset.inherit(Dataset.view(d, fetch), d, true), scale
end

-- ---- one-hot ---------------------------------------------------------------------------------------------------

-- float32 [..., classes] of int64 labels 1..classes (by default the largest label): 1 at the label, else 0.
function transform.one_hot(labels, classes)
  if getmetatable(labels) ~= "Tensor" or labels.dtype ~= "int64" then
    fail("one_hot: expected labels, an int64 tensor, got %s",
      getmetatable(labels) == "Tensor" and labels.dtype or type(labels))
  end
  local shape, flat = labels:shape(), labels:flatten():contiguous()
  if #flat == 0 then fail("one_hot: there is no label") end
  local least, most = flat:min():item(), flat:max():item()
  classes = classes == nil and most or classes
  if math.type(classes) ~= "integer" or classes < 1 then
    fail("one_hot: classes must be an integer of at least 1, got %s", classes)
  end
  if least < 1 or most > classes then
    fail("one_hot: label %d, expected 1 to %d%s", least < 1 and least or most, classes,
      least == 0 and ": labels count from 1" or "")
  end
  shape[#shape + 1] = classes
  return core.tensor.eye(classes):index_select(1, flat):reshape(shape)
end

-- Targets as one_hot(targets, classes); classes: by default as many as have names, else the largest label.
function methods.one_hot(d, classes)
  classes = classes or (d.classes and #d.classes) or nil
  if not d._fetch then
    return Dataset.inherit(Dataset.columns(d, nil, transform.one_hot(d._targets, classes)), d)
  end
  classes = classes or d.targets:max():item()
  local function fetch(base, order, first, count, draw)
    local x, y = base:batch(order, first, count, draw)
    return x, transform.one_hot(y, classes)
  end
  return Dataset.inherit(Dataset.view(d, fetch), d)
end

-- ---- augmentation ----------------------------------------------------------------------------------------------

-- A view of images [N, channels, height, width]: each is moved by up to `shift` pixels in both directions (what comes
-- in from outside is `fill`, 0) and, if `flip`, mirrored left to right every other time. What happens to a sample
-- depends on the run's seed (or `seed`), the number of the batch since the training began and the place in it; nothing
-- else draws from that stream. Outside of batches the number is 0: d:get(i) shows the same each time.
function methods.augment(d, options)
  options = suggest.check_options("augment", options, { "shift", "flip", "fill", "seed" })
  local shift, flip, fill, seed = options.shift or 0, options.flip or false, options.fill or 0, options.seed
  if math.type(shift) ~= "integer" or shift < 0 then
    fail("augment: shift must be an integer of at least 0, got %s", shift)
  end
  if type(flip) ~= "boolean" then fail("augment: flip must be true or false, got %s", flip) end
  if type(fill) ~= "number" then fail("augment: fill must be a number, got %s", type(fill)) end
  if seed ~= nil and not math.tointeger(seed) then fail("augment: seed must be an integer, got %s", seed) end
  local stream = seed and core.random.stream(seed, "data.augment") or core.random.current():derive "data.augment"
  local function fetch(base, order, first, count, draw)
    local x, y = base:batch(order, first, count, draw)
    return core.data.augment(x:contiguous(), stream:derive("batch", draw or 0), shift, flip, fill), y
  end
  fetch(d, nil, 1, 1) -- raises now if these are no images, or too small ones
  return Dataset.inherit(Dataset.view(d, fetch), d, true)
end

return transform
