--- Data sets standardised, one-hot, shuffled and split.
local expect = require "support.expect"
local sonde = require "sonde"
local data = sonde.data

local function labels(list) return sonde.tensor(list, { dtype = "int64" }) end

--- A data set whose inputs are x, with labels 1, 2, 1, 2, …
local function set(x)
  local list = {}
  for i = 1, #x do list[i] = (i - 1) % 2 + 1 end
  return data.tensors { x, labels(list) }
end

describe("standardize", function()
  --- Mean and population deviation of a list.
  local function moments(list)
    local mean, square = 0, 0
    for _, v in ipairs(list) do mean = mean + v / #list end
    for _, v in ipairs(list) do square = square + (v - mean) ^ 2 / #list end
    return mean, math.sqrt(square)
  end

  it("takes mean and deviation of every feature, channel, element, or of all", function()
    local x = sonde.randn(7, 3, 2, 4, { dtype = "float64" }) * 3 + 5
    local groups = {
      channel = function(c) return x[{ {}, c }] end,
      feature = function(f) return x[{ {}, {}, {}, f }] end,
      element = function(e) return x:reshape(7, 24)[{ {}, e }] end,
      all = function() return x end,
    }
    for per, n in pairs { channel = 3, feature = 4, element = 24, all = 1 } do
      local d, scale = set(x):standardize { per = per }
      assert.same({ n }, scale.mean:shape())
      for g = 1, n do
        local mean, std = moments(groups[per](g):flatten():totable())
        assert.near(mean, scale.mean[g]:item(), 1e-12)
        assert.near(std, scale.std[g]:item(), 1e-12)
      end
      if per == "channel" then
        assert.near((x[5][2][1][3]:item() - scale.mean[2]:item()) / scale.std[2]:item(),
          d.inputs[5][2][1][3]:item(), 1e-12)
        assert.same(scale.mean:totable(), select(2, set(x):standardize()).mean:totable()) -- images: the default
      end
    end
    local flat = sonde.randn(6, 2)
    assert.same({ 2 }, select(2, set(flat):standardize()).mean:shape())
    assert.same({ 1 }, select(2, set(flat:select(2, 1)):standardize()).mean:shape())
  end)

  it("applies what one set has given to another", function()
    local train, scale = set(sonde.randn(1500, 2) * 4 + 1):standardize()
    assert.near(0, train.inputs:mean():item(), 1e-6)
    assert.near(1, train.inputs:std():item(), 1e-3)
    local test = set(sonde.tensor { { 1, 2 }, { 3, 4 } })
    local other, same = test:standardize(scale)
    assert.truthy(same.mean:equal(scale.mean))
    assert.near((3 - scale.mean[1]:item()) / scale.std[1]:item(), other.inputs[2][1]:item(), 1e-6)
    expect.values({ { 0, 0 }, { 1, 2 } }, test:standardize({ mean = { 1, 2 }, std = { 2, 1 } }).inputs)
    expect.values({ 1, 2 }, test:standardize({ mean = { 1, 2 }, std = { 2, 1 } }):subset { 2 }.inputs[1])
  end)

  it("leaves what never varies at 0", function()
    local d, scale = set(sonde.tensor { { 1, 7 }, { 3, 7 } }):standardize()
    expect.values({ { -1, 0 }, { 1, 0 } }, d.inputs)
    expect.values({ 1, 1 }, scale.std)
  end)

  it("of Fashion-MNIST gives what normalize = true gives", function()
    local d = data.fashion_mnist { split = "test" }:standardize { mean = { 0.2860 }, std = { 0.3530 } }
    local normal = data.fashion_mnist { split = "test", normalize = true }
    assert.truthy(d:get(3):allclose(normal:get(3)))
  end)

  it("refuses what it cannot use", function()
    local d = set(sonde.randn(4, 2))
    for _, case in ipairs {
      { { per = "row" }, "unknown choice 'row'" }, { { pre = "all" }, "unknown option 'pre'" },
      { { mean = { 1, 2 } }, "mean and std come together" }, { { mean = { 1 }, std = { 1 } }, "must hold 2 numbers" },
      { { mean = { 1, 2 }, std = { 1, 0 } }, "above 0" }, { { mean = { 1, 2 }, std = { 1, 0 / 0 } }, "above 0" },
    } do
      expect.error(case[2], function() d:standardize(case[1]) end)
    end
    expect.error("feature 2 of the inputs holds a value that is not finite", function()
      set(sonde.tensor { { 1, 0 / 0 }, { 2, 1 } }):standardize() end)
    expect.error("got int64", function() set(sonde.arange(1, 5)):standardize() end)
  end)
end)

describe("one_hot", function()
  it("has a 1 where the label is", function()
    expect.values({ { 0, 1, 0 }, { 0, 0, 1 }, { 1, 0, 0 } }, data.one_hot(labels { 2, 3, 1 }))
    expect.values({ { { 0, 1, 0 } } }, data.one_hot(labels { { 2 } }, 3))
    local d = set(sonde.randn(4, 1))
    for _, hot in ipairs { d:one_hot(), d:map(function(x, y) return x, y end):one_hot(), d:one_hot(2) } do
      expect.values({ { 1, 0 }, { 0, 1 }, { 1, 0 }, { 0, 1 } }, hot.targets)
    end
    expect.values({ 0, 1 }, select(2, d:subset { 2 }:one_hot():get(1)))
    d.classes = { "a", "b", "c" }
    assert.same({ 4, 3 }, d:one_hot().targets:shape())
  end)

  it("refuses labels out of range, and what is no label", function()
    expect.error("label 0, expected 1 to 3: labels count from 1", function() data.one_hot(labels { 3, 0 }) end)
    expect.error("label 4, expected 1 to 3", function() data.one_hot(labels { 4 }, 3) end)
    expect.error("classes must be an integer of at least 1, got 0", function() data.one_hot(labels { 1 }, 0) end)
    expect.error("an int64 tensor, got float32", function() data.one_hot(sonde.ones(2)) end)
    expect.error("an int64 tensor, got nil", function() data.one_hot() end)
    expect.error("no label", function() data.one_hot(sonde.zeros(0, { dtype = "int64" })) end)
  end)
end)

describe("shuffle and split", function()
  local function positions(d) return d.inputs:flatten():totable() end
  local d
  before_each(function() d = set(sonde.arange(1, 41):to("float32"):unsqueeze(2)) end)
  after_each(function() d = nil end)

  it("shuffle by their seed alone", function()
    local one, two = positions(d:shuffle()), positions(d:shuffle(2))
    assert.same(one, positions(d:shuffle(1)))
    assert.not_same(one, two)
    table.sort(two)
    assert.same(positions(d), two)
    expect.error("shuffle: seed must be an integer", function() d:shuffle "a" end)
  end)

  it("split into two parts that have everything once", function()
    for _, options in ipairs { false, { stratified = true }, { seed = 3, stratified = true } } do
      local a, b = d:split(0.3, options or nil)
      assert.equal(12, #a)
      local all = table.move(positions(b), 1, #b, #a + 1, positions(a))
      table.sort(all)
      assert.same(positions(d), all)
    end
  end)

  it("keep the shares of the classes when stratified", function()
    local list, n = {}, { 50, 30, 21, 1 }
    for class, count in ipairs(n) do
      for _ = 1, count do list[#list + 1] = class end
    end
    local skewed = data.tensors { sonde.arange(1, 103):to("float32"):unsqueeze(2), labels(list) }
    local a, b = skewed:split(0.5, { stratified = true })
    assert.equal(51, #a)
    local counts = { 0, 0, 0, 0 }
    for _, class in ipairs(a.targets:totable()) do counts[class] = counts[class] + 1 end
    assert.same({ 25, 15, 11, 0 }, counts) -- 10.5 and 0.5: one more goes to the class first in order
    assert.equal(51, #b)
    assert.not_same(a:get(1), skewed:split(0.5, { stratified = true, seed = 2 }):get(1))
  end)

  it("refuse wrong options", function()
    expect.error("one label for each sample", function()
      data.tensors { sonde.ones(4, 1), sonde.ones(4, 1) }:split(0.5, { stratified = true }) end)
    expect.error("unknown option 'stratify'", function() d:split(0.5, { stratify = true }) end)
    expect.error("between 0 and 1, got 1", function() d:split(1) end)
    expect.error("leaves one side empty", function() d:split(0.001, { stratified = true }) end)
    expect.error("split: seed must be an integer", function() d:split(0.5, 1.5) end)
  end)
end)

describe("targets", function()
  it("that are not finite are refused, with their sample", function()
    local x = sonde.ones(3, 1)
    expect.error("the target of sample 2 is NaN", function()
      data.tensors { x, sonde.tensor { { 1, 2 }, { 1, 0 / 0 }, { 1, 1 } } } end)
    expect.error("the target of sample 3 is inf", function() data.tensors { x, sonde.tensor { 1, 2, 1 / 0 } } end)
  end)
end)
