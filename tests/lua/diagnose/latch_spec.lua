--- What all detectors are made of: robust statistics, and conditions with hysteresis.
local Latch = require "sonde.diagnose.latch"
local statistics = require "sonde.diagnose.statistics"

local nan = 0 / 0

describe("statistics", function()
  it("are those of the definitions", function()
    assert.equal(2, statistics.median { 3, 1, 2 })
    assert.equal(2.5, statistics.median { 4, 1, 2, 3 })
    assert.is_nil(statistics.median {})
    assert.equal(2, statistics.theil_sen { 1, 3, 5, 7, 9 })
    assert.equal(2, statistics.theil_sen { 1, 3, 500, 7, 9 }) -- one outlier changes nothing
    assert.is_nil(statistics.theil_sen { 1 })
    assert.equal(1, statistics.r2({ 1, 3, 5 }, 2))
    assert.is_true(statistics.r2({ 1, 30, 5, 20 }, 2) < 0.5)
  end)
end)

describe("a latch", function()
  local function feed(latch, values)
    for step, value in ipairs(values) do latch:feed(step, value) end
    return latch:verdict(0.25)
  end
  local function new() return Latch.new { on = 1, off = 0.5, hold = 3 } end

  it("begins after three rows with at most one between them above the lower limit, and dates from the first", function()
    assert.equal(2, feed(new(), { 0, 2, 2, 2, 2 }))
    assert.equal(2, feed(new(), { 0.7, 2, 0.7, 2, 2, 0.7 }))
    assert.is_nil(feed(new(), { 2, 0.7, 2, 0.7, 2, 0.7, 2 }))
    assert.is_nil(feed(new(), { 2, 2, 0, 2, 2, 0, 2, 2, 0 }))
  end)

  it("ends only below the lower limit", function()
    assert.equal(1, feed(new(), { 2, 2, 2, 0.7, 0.7, 0.7, 0.7 }))
  end)

  it("forgets a short episode, but not a long one", function()
    local short = { 2, 2, 2 }
    for i = 4, 40 do short[i] = 0 end
    assert.is_nil(feed(new(), short))
    assert.equal(1, feed(new(), { 2, 2, 2, 2, 0, 0, 0, 0 }))
  end)

  it("dates from the earliest beginning from which on it held for half of the rows", function()
    local values = {}
    for i = 1, 100 do values[i] = (i <= 30 or i > 60) and 2 or 0 end
    assert.equal(1, feed(new(), values))
    for i = 1, 100 do values[i] = (i <= 5 or i > 60) and 2 or 0 end
    assert.equal(61, feed(new(), values))
  end)

  it("judges a run of one row by that row, and passes over rows without a measure", function()
    assert.equal(1, feed(new(), { 2 }))
    assert.is_nil(feed(new(), { 0 }))
    assert.equal(1, feed(new(), { 2, nan, 2, nan, 2 }))
  end)
end)
