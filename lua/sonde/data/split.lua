-- Data sets in another order, and in two parts.
local core = require "sonde.core"
local fail = require "sonde.fail"
local suggest = require "sonde.suggest"
local methods = require "sonde.data.dataset".methods

local function check_seed(where, seed)
  seed = seed == nil and 1 or seed
  return math.tointeger(seed) or fail("%s: seed must be an integer, got %s", where, seed)
end

-- The same samples in a random order, drawn by `seed` (default 1) alone. (batches shuffle by themselves.)
function methods.shuffle(d, seed)
  return d:subset(core.random.stream(check_seed("shuffle", seed), "data.shuffle"):permutation(#d))
end

-- How many of each class go into the first part, so that they are `wanted` together: shares rounded down, and one more
-- for those with the largest remainders.
local function shares(counts, share, wanted)
  local take, rest, classes = {}, wanted, {}
  for class, count in pairs(counts) do
    take[class] = math.floor(count * share)
    rest = rest - take[class]
    classes[#classes + 1] = class
  end
  table.sort(classes, function(a, b)
    local left, right = counts[a] * share % 1, counts[b] * share % 1
    if left ~= right then return left > right end
    return a < b
  end)
  for k = 1, rest do take[classes[k]] = take[classes[k]] + 1 end
  return take
end

-- Positions in the drawn order, those of the first part before the others.
local function stratify(d, order, share, wanted)
  local labels = d.targets
  if labels.dtype ~= "int64" or labels.ndim ~= 1 then
    fail("split: stratified needs one label for each sample, targets are %s with %d axes", labels.dtype, labels.ndim)
  end
  local label, counts, first, second = labels:totable(), {}, {}, {}
  for _, class in ipairs(label) do counts[class] = (counts[class] or 0) + 1 end
  local left = shares(counts, share, wanted)
  for _, position in ipairs(order:totable()) do
    local class = label[position]
    local part = left[class] > 0 and first or second
    left[class] = left[class] - 1
    part[#part + 1] = position
  end
  return first, second
end

-- Two data sets: this share of the samples (0..1) and the rest, drawn at random. The draw depends on `seed` alone
-- (default 1), not on the run's seed: the same data set falls apart in the same way. Instead of the seed options
-- { seed = 1, stratified = false }: stratified gives both parts every class in the same proportion.
function methods.split(d, share, options)
  if type(share) ~= "number" or not (share > 0 and share < 1) then
    fail("split: expected a share between 0 and 1, got %s", share)
  end
  if type(options) ~= "table" then options = { seed = options } end
  suggest.check_options("split", options, { "seed", "stratified" })
  local n, total = math.floor(#d * share + 0.5), #d
  if n == 0 or n == total then fail("split: a share of %g of %d samples leaves one side empty", share, total) end
  local order = core.random.stream(check_seed("split", options.seed), "data.split"):permutation(total)
  if options.stratified then
    local first, second = stratify(d, order, share, n)
    return d:subset(first), d:subset(second)
  end
  return d:subset(order:narrow(1, 1, n):contiguous()), d:subset(order:narrow(1, n + 1, total - n):contiguous())
end
