-- Batches of a data set, in a fresh random order each epoch.
local core = require "sonde.core"
local fail = require "sonde.fail"
local suggest = require "sonde.suggest"

local names = { "batch_size", "shuffle", "drop_last", "epochs", "steps", "generator", "skip", "after" }

local function check_count(opts, name, least)
  local value = opts[name]
  if value ~= nil and (math.type(value) ~= "integer" or value < least) then
    fail("batches: %s must be an integer of at least %d, got %s", name, least, value)
  end
end

-- An iterator `for x, y in batches(dataset, { batch_size =, epochs = 1 | steps =, shuffle = true, drop_last = false,
-- generator =, skip = 0, after = 0 })`. Without a generator the user stream draws the order. skip: so many batches are
-- passed over, the orders being drawn as if they had been taken. after: so many batches were taken before by other
-- loops; augmented samples are drawn anew for each batch, and this is how they differ from loop to loop. The iterator's
-- third value is the epoch, from 1.
return function(dataset, opts)
  if type(dataset) ~= "table" or type(dataset.batch) ~= "function" then
    fail("batches: expected a Dataset, got %s", dataset)
  end
  opts = suggest.check_options("batches", opts, names)
  if opts.generator ~= nil and getmetatable(opts.generator) ~= "Generator" then
    fail("batches: expected a Generator as generator, got %s", opts.generator)
  end
  for name, least in pairs { batch_size = 1, epochs = 1, steps = 1, skip = 0, after = 0 } do
    check_count(opts, name, least)
  end
  local size = opts.batch_size or fail("batches: batch_size is needed")
  local n, shuffle = #dataset, opts.shuffle ~= false
  if opts.drop_last and n < size then
    fail("batches: drop_last leaves nothing of %d samples in batches of %d", n, size)
  end
  if opts.epochs and opts.steps then fail("batches: either epochs or steps, not both") end
  local per_epoch = opts.drop_last and n // size or (n + size - 1) // size
  local last = opts.steps or per_epoch * (opts.epochs or 1)
  local taken, epoch, order = 0, 0, nil

  local function new_epoch()
    epoch = epoch + 1
    if not shuffle then return end
    order = opts.generator and opts.generator:permutation(n) or core.tensor.randperm(n)
  end

  local function position()
    local k = taken % per_epoch
    if k == 0 then new_epoch() end
    taken = taken + 1
    return k * size + 1
  end

  for _ = 1, math.min(opts.skip or 0, last) do position() end
  return function()
    if taken >= last then return nil end
    local first = position()
    local x, y = dataset:batch(order, first, math.min(size, n - first + 1), (opts.after or 0) + taken)
    return x, y, epoch
  end
end
