local sonde = require "sonde"
local data = sonde.data

local function set(n) return data.tensors { sonde.arange(1, n + 1):to("float32"):reshape(n, 1), sonde.arange(1,
  n + 1) } end

local function collect(d, opts)
  local batches = {}
  for x, y, epoch in data.batches(d, opts) do
    assert.same(y:totable(), x:to("int64"):reshape(-1):totable())
    local batch = y:totable()
    batch.epoch = epoch
    batches[#batches + 1] = batch
  end
  return batches
end

describe("batches", function()
  it("come in order when not shuffled, the last one short", function()
    assert.same({ { 1, 2, 3, epoch = 1 }, { 4, 5, 6, epoch = 1 }, { 7, epoch = 1 } },
      collect(set(7), { batch_size = 3, shuffle = false }))
    assert.same({ { 1, 2, 3, epoch = 1 }, { 4, 5, 6, epoch = 1 } },
      collect(set(7), { batch_size = 3, shuffle = false, drop_last = true }))
  end)

  it("hold every sample once an epoch, in another order each", function()
    sonde.manual_seed(3)
    local batches = collect(set(20), { batch_size = 20, epochs = 2 })
    assert.equal(2, batches[2].epoch)
    assert.not_same({ table.unpack(batches[1]) }, { table.unpack(batches[2]) })
    for _, batch in ipairs(batches) do
      local sorted = table.move(batch, 1, #batch, 1, {})
      table.sort(sorted)
      assert.same(sonde.arange(1, 21):totable(), sorted)
    end
  end)

  it("stop after so many steps, going on into new epochs", function()
    local batches = collect(set(5), { batch_size = 2, steps = 7, shuffle = false })
    assert.equal(7, #batches)
    assert.same({ 1, 2, epoch = 3 }, batches[7])
  end)

  it("draw from the generator given, and can go on where they were", function()
    local function run(skip)
      sonde.manual_seed(11)
      return collect(set(10), { batch_size = 4, epochs = 3, skip = skip })
    end
    local whole = run(0)
    assert.same(whole, run(nil))
    for skip = 1, 9 do
      assert.same({ table.unpack(whole, skip + 1) }, run(skip))
    end
  end)

  it("refuse wrong options", function()
    for _, case in ipairs {
      { {}, "batch_size is needed" },
      { { batch_size = 0 }, "batch_size must be an integer of at least 1, got 0" },
      { { batch_size = 2, epoch = 3 }, "did you mean 'epochs'" },
      { { batch_size = 2, epochs = 1, steps = 3 }, "either epochs or steps" },
      { { batch_size = 20, drop_last = true }, "leaves nothing of 5 samples" },
    } do
      assert.error_matches(function() data.batches(set(5), case[1]) end, case[2])
    end
  end)
end)
