local sonde = require "sonde"
local data = sonde.data

local function numbers(n) return sonde.arange(1, n + 1):to("float32"):reshape(n, 1) end

describe("a data set of tensors", function()
  local d
  before_each(function()
    d = data.tensors { numbers(10), sonde.arange(1, 11) }
  end)

  it("has a length, samples and columns", function()
    assert.equal(10, #d)
    local x, y = d:get(3)
    assert.same({ 3 }, x:totable())
    assert.equal(3, y)
    assert.same({ 10, 1 }, d.inputs:shape())
    assert.same({ 10 }, d.targets:shape())
    assert.equal("int64", d.targets.dtype)
    assert.matches("10 samples: inputs %[1%] float32, targets int64", tostring(d))
  end)

  it("refuses positions it has not", function()
    for _, i in ipairs { 0, 11, 1.5, "a" } do
      assert.error_matches(function() d:get(i) end, "sample " .. i .. " asked for, there are 1 to 10")
    end
    local _, message = pcall(function() d:get(0) end)
    assert.matches("^[^\n]*dataset_spec%.lua:%d+: sample 0", message)
    assert.error_matches(function() d:subset(11) end, "1 to 10 samples, got 11")
    assert.error_matches(function() d:subset { 1, 12 } end, "position 12")
  end)

  it("counts labels from 1, wherever they began", function()
    local shifted = data.tensors { numbers(3), sonde.tensor({ 0, 2, 1 }, { dtype = "int64" }), labels_from = 0 }
    assert.same({ 1, 3, 2 }, shifted.targets:totable())
    assert.error_matches(function()
      data.tensors { numbers(3), sonde.tensor({ 1, 2, 0 }, { dtype = "int64" }) }
    end, "label 0 at sample 3 is below the first label, 1: .*labels_from = 0")
  end)

  it("leaves targets that are no labels alone", function()
    local regression = data.tensors { numbers(2), sonde.tensor { { 0.5, 1 }, { -1, 2 } } }
    local _, y = regression:get(2)
    assert.same({ -1, 2 }, y:totable())
  end)

  it("needs one target per input, and two tensors", function()
    assert.error_matches(function() data.tensors { numbers(3), sonde.ones(2) } end, "3 inputs and 2 targets")
    assert.error_matches(function() data.tensors { numbers(3) } end, "two tensors; got userdata and nil")
    assert.error_matches(function() data.tensors { numbers(3), numbers(3), label_from = 0 } end,
      "did you mean 'labels_from'")
  end)

  it("gives subsets of subsets", function()
    local odd = d:subset { 1, 3, 5, 7, 9 }
    local part = odd:subset(sonde.tensor({ 5, 2 }, { dtype = "int64" }))
    assert.same({ { 9 }, { 3 } }, part.inputs:totable())
    assert.same({ 9, 3 }, part.targets:totable())
    assert.equal(4, #d:subset(4))
  end)

  it("falls apart in the same way each time, nothing lost", function()
    local a, b = d:split(0.7)
    local a2 = d:split(0.7)
    assert.equal(7, #a)
    assert.equal(3, #b)
    assert.same(a.targets:totable(), a2.targets:totable())
    local all = a.targets:totable()
    table.move(b.targets:totable(), 1, 3, 8, all)
    table.sort(all)
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, all)
    assert.not_same(a.targets:totable(), (d:split(0.7, 2)).targets:totable())
    assert.error_matches(function() d:split(1) end, "a share between 0 and 1, got 1")
    assert.error_matches(function() d:split(0.01) end, "leaves one side empty")
  end)

  it("draws a split from no stream of the user", function()
    sonde.manual_seed(5)
    local without = sonde.rand(1):item()
    sonde.manual_seed(5)
    d:split(0.5)
    assert.equal(without, sonde.rand(1):item())
  end)

  it("is seen through a function, anew each time", function()
    local calls = 0
    local mapped = d:map(function(x, y)
      calls = calls + 1
      return x * 2, y % 2 + 1
    end)
    local x, y = mapped:get(3)
    assert.same({ 6 }, x:totable())
    assert.equal(2, y)
    assert.same({ { 8 }, { 10 } }, (mapped:batch(nil, 4, 2)):totable())
    assert.equal("int64", mapped.targets.dtype)
    assert.same({ 18 }, (mapped:subset { 9 }):get(1):totable())
    assert.is_true(calls > 10)
    assert.error_matches(function() mapped.inputs = sonde.ones(10, 1) end, "a view of a data set has no inputs")
  end)

  it("takes changed inputs into its batches", function()
    d.inputs:mul_(10)
    assert.same({ 20 }, (d:get(2)):totable())
    d.inputs = d.inputs + 1
    assert.same({ 21 }, (d:get(2)):totable())
    assert.error_matches(function() d.inputs = sonde.ones(3) end, "inputs must be a tensor with 10 rows")
  end)
end)
