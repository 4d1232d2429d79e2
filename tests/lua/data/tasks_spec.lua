--- Tasks that need a memory, and series: each definition computed again, each baseline that of its trivial predictor.
local expect = require "support.expect"
local sonde = require "sonde"
local data, nn = sonde.data, sonde.nn

--- Cross-entropy of who gives each of the classes the same probability.
local function guess(targets, classes)
  local flat = targets:flatten()
  return nn.CrossEntropyLoss()(sonde.zeros(#flat, classes, { dtype = "float64" }), flat):item()
end

local function square(x) return (x * x):mean():item() end

describe("the adding problem", function()
  it("sums the two marked numbers, one of each half", function()
    for _, length in ipairs { 2, 5, 50 } do
      local d = data.adding { n = 300, length = length }
      assert.same({ 300, length, 2 }, d.inputs:shape())
      assert.same({ 300, 1 }, d.targets:shape())
      local half, seen = length // 2, {}
      for i = 1, 300 do
        local x, sum, marked = d.inputs[i]:totable(), 0, {}
        for t, step in ipairs(x) do
          assert.truthy(step[1] >= 0 and step[1] <= 1 and (step[2] == 0 or step[2] == 1))
          sum = sum + step[1] * step[2]
          if step[2] == 1 then marked[#marked + 1] = t end
        end
        assert.equal(2, #marked)
        assert.truthy(marked[1] <= half and marked[2] > half)
        seen[marked[1]], seen[marked[2]] = true, true
        assert.near(sum, d.targets[i]:item(), 1e-6)
      end
      if length == 5 then assert.equal(5, #seen) end -- every step is marked now and then
    end
  end)

  it("costs 1/6 who always says 1, not 0.1767", function()
    local d = data.adding { n = 100000, length = 2 }
    assert.equal(1 / 6, d.baseline)
    assert.near(d.baseline, square(d.targets - 1), 0.0015)
    assert.truthy(d.baseline_meaning:find("mean squared error", 1, true))
  end)
end)

describe("copying memory", function()
  it("asks for the symbols when the marker has come", function()
    local d = data.copying { n = 50, length = 3, delay = 4, symbols = 5, one_hot = false }
    for i = 1, 50 do
      local x, y = d.inputs[i]:totable(), d.targets[i]:totable()
      local answer = { x[1], x[2], x[3] }
      for _, symbol in ipairs(answer) do assert.truthy(symbol >= 1 and symbol <= 5) end
      assert.same({ answer[1], answer[2], answer[3], 6, 6, 6, 7, 6, 6, 6 }, x)
      assert.same({ 6, 6, 6, 6, 6, 6, 6, answer[1], answer[2], answer[3] }, y)
    end
    local hot = data.copying { n = 50, length = 3, delay = 4, symbols = 5 }
    assert.same({ 50, 10, 7 }, hot.inputs:shape())
    assert.same(d.inputs:totable(), hot.inputs:argmax(3):totable())
    assert.equal(500, hot.inputs:sum():item())
  end)

  it("costs length ln(symbols) / (delay + 2 length) who knows when", function()
    for delay, printed in pairs { [10] = 0.693147, [30] = 0.415888, [60] = 0.259930, [100] = 0.173287 } do
      local d = data.copying { n = 4, delay = delay }
      assert.near(printed, d.baseline, 1e-6)
      local steps = delay + 20
      local logits = sonde.full({ 4, steps, 9 }, -1000, { dtype = "float64" })
      logits[{ {}, { 1, steps - 10 }, 9 }]:fill_(0)
      logits[{ {}, { steps - 9, -1 }, { 1, 8 } }]:fill_(0)
      assert.near(d.baseline, nn.CrossEntropyLoss()(logits:reshape(-1, 9), d.targets:flatten()):item(), 1e-9)
    end
  end)
end)

describe("temporal order", function()
  local function check(relevant, windows, length)
    local d = data.temporal_order { n = 400, length = length, relevant = relevant, one_hot = false }
    local counts = {}
    for i = 1, 400 do
      local x, class, found = d.inputs[i]:totable(), 0, 0
      assert.equal(7, x[1])
      assert.equal(8, x[length])
      for t = 2, length - 1 do
        if x[t] >= 5 then
          found = found + 1
          assert.truthy(x[t] <= 6 and t >= windows[found][1] and t <= windows[found][2])
          class = 2 * class + x[t] - 5
        end
      end
      assert.equal(relevant, found)
      local y = d.targets[i]:item()
      assert.equal(class + 1, y)
      counts[y] = (counts[y] or 0) + 1
    end
    assert.equal(2 ^ relevant, #counts)
    assert.near(d.baseline, guess(d.targets, #counts), 1e-12)
  end

  it("says which symbols came, in their order", function()
    check(2, { { 10, 20 }, { 50, 60 } }, 100)
    check(3, { { 10, 20 }, { 33, 43 }, { 66, 76 } }, 100)
    check(2, { { 2, 2 }, { 5, 6 } }, 10)
    assert.same({ 2, 100, 8 }, data.temporal_order(2).inputs:shape())
  end)
end)

describe("delayed exclusive or", function()
  it("compares two bits a delay ago", function()
    for _, case in ipairs { { delay = 0 }, { delay = 7 }, { delay = 7, length = 20 } } do
      local d = data.delayed_xor { n = 200, delay = case.delay, length = case.length }
      local last = case.length or case.delay + 2
      assert.same({ 200, last, 1 }, d.inputs:shape())
      local ones = 0
      for i = 1, 200 do
        local x = d.inputs[i]:flatten():totable()
        for _, bit in ipairs(x) do assert.equal(1, math.abs(bit)) end
        local same = x[last - case.delay] == x[last - case.delay - 1]
        assert.equal(same and 1 or 2, d.targets[i]:item())
        ones = ones + (same and 1 or 0)
      end
      assert.truthy(ones > 70 and ones < 130)
      assert.near(d.baseline, guess(d.targets, 2), 1e-12)
    end
  end)
end)

describe("series", function()
  --- d.baseline is the smaller error of the two trivial predictors.
  local function check_baseline(d)
    local x, y = d.inputs:to("float64"), d.targets:to("float64")
    local stays = x:shape()[3] == y:shape()[3] and square(y - x) or math.huge
    local n, features = y:shape()[1] * y:shape()[2], y:shape()[3]
    local mean = y:reshape(n, features):mean(1, true)
    expect.values(d.baseline, math.min(stays, square(y:reshape(n, features) - mean)), 1e-6 * d.baseline)
    assert.truthy(d.baseline_meaning)
  end

  it("of Mackey and Glass follow their equation", function()
    local d = data.mackey_glass { n = 2, length = 40, horizon = 5, dtype = "float64" }
    assert.same({ 2, 40, 1 }, d.inputs:shape())
    assert.truthy(d.inputs:narrow(2, 6, 35):equal(d.targets:narrow(2, 1, 35)))
    local x0 = 0.5 + require "sonde.core".random.stream(1, "data.mackey_glass"):derive("sample", 1):uniform()
    local x = {} -- of the second sample; x[170 + 1] is time 0
    for i = 1, 171 do x[i] = x0 end
    local function slope(now, delayed) return 0.2 * delayed / (1 + delayed ^ 10) - 0.1 * now end
    for i = 171, 170 + 10450 do
      local now, from, to = x[i], x[i - 170], x[i - 169]
      local k1 = slope(now, from)
      local k2 = slope(now + 0.05 * k1, (from + to) / 2)
      local k3 = slope(now + 0.05 * k2, (from + to) / 2)
      x[i + 1] = now + 0.1 / 6 * (k1 + 2 * k2 + 2 * k3 + slope(now + 0.1 * k3, to))
    end
    for t = 1, 40 do assert.near(x[171 + (1000 + t) * 10], d.inputs[2][t]:item(), 1e-8) end
    check_baseline(d)
    check_baseline(data.mackey_glass { length = 500, horizon = 84 })
    assert.equal("float32", data.mackey_glass { length = 5 }.inputs.dtype)
    local constant = data.mackey_glass { length = 5, tau = 0.1, dtype = "float64" } -- without a delay it comes to rest
    expect.values(1, constant.inputs:max():item(), 1e-9)
  end)

  it("of Lorenz follow his equations from each sample to the next", function()
    local d = data.lorenz { n = 2, length = 200, dt = 0.01, rho = 30, dtype = "float64" }
    local function slope(p)
      return { 10 * (p[2] - p[1]), p[1] * (30 - p[3]) - p[2], p[1] * p[2] - 8 / 3 * p[3] }
    end
    local function moved(p, k, h) return { p[1] + h * k[1], p[2] + h * k[2], p[3] + h * k[3] } end
    local x, y = d.inputs[2]:totable(), d.targets[2]:totable()
    for t = 1, 200 do
      local p, h = x[t], 0.01 / 4
      for _ = 1, 4 do
        local k1 = slope(p)
        local k2 = slope(moved(p, k1, h / 2))
        local k3 = slope(moved(p, k2, h / 2))
        local k4 = slope(moved(p, k3, h))
        for k = 1, 3 do k1[k] = (k1[k] + 2 * k2[k] + 2 * k3[k] + k4[k]) / 6 end
        p = moved(p, k1, h)
      end
      expect.values(p, y[t], 1e-9)
    end
    check_baseline(d)
    check_baseline(data.lorenz { n = 3, length = 300, horizon = 50 })
  end)

  it("of NARMA-10 follow its recursion", function()
    local d = data.narma10 { n = 3, length = 300, dtype = "float64" }
    local u, y = d.inputs[3]:flatten():totable(), d.targets[3]:flatten():totable()
    for t = 11, 300 do -- y[t] is what step t's input made
      local sum = 0
      for i = 1, 10 do sum = sum + y[t - i] end
      assert.near(0.3 * y[t - 1] + 0.05 * y[t - 1] * sum + 1.5 * u[t - 9] * u[t] + 0.1, y[t], 1e-12)
      assert.truthy(u[t] >= 0 and u[t] < 0.5)
    end
    check_baseline(d)
    local many = data.narma10 { n = 400, length = 1000 } -- some run away and are drawn anew
    assert.truthy(many.targets:max():item() < 10)
  end)
end)

describe("sequential images", function()
  it("show one pixel a step, in their order or in one of their own", function()
    local images = data.fashion_mnist { split = "test" }
    local plain = data.sequential_images { split = "test" }
    assert.same({ 784, 1 }, (plain:get(1)):shape())
    assert.truthy(images:get(7):reshape(784, 1):equal((plain:get(7))))
    local mixed = data.sequential_images { split = "test", permuted = true }
    local order = mixed.permutation
    assert.truthy(images:get(7):flatten():index_select(1, order):unsqueeze(2):equal((mixed:get(7))))
    assert.equal(784, #order)
    local few = images:subset(3)
    assert.truthy(order:equal(data.sequential_images { images = few, permuted = true }.permutation))
    assert.falsy(order:equal(data.sequential_images { images = few, permuted = true, seed = 2 }.permutation))
    assert.near(plain.baseline, guess(plain.targets:narrow(1, 1, 100), 10), 1e-12)
    assert.equal(images.targets[9]:item(), mixed.targets[9]:item())
  end)

  it("are made of tensors and of views too", function()
    local x = sonde.randn(3, 2, 2, 2)
    local d = data.tensors { x, sonde.tensor({ 1, 2, 1 }, { dtype = "int64" }) }
    for _, images in ipairs { d, d:augment {} } do
      local mixed = data.sequential_images { images = images, permuted = true }
      local seen = (mixed:get(3))
      assert.same({ 4, 2 }, seen:shape())
      for t = 1, 4 do
        local at = mixed.permutation[t]:item() - 1
        expect.values(x[3][{ {}, at // 2 + 1, at % 2 + 1 }]:totable(), seen[t], 0)
      end
      assert.is_nil(mixed.baseline)
    end
  end)
end)

describe("tasks", function()
  local makers = { "adding", "copying", "temporal_order", "delayed_xor", "mackey_glass", "lorenz", "narma10" }

  it("depend on their seed alone, and begin like larger ones", function()
    for _, name in ipairs(makers) do
      local function inputs(n, seed) return data[name]({ n = n, seed = seed }).inputs end
      sonde.manual_seed(1)
      local small, again = inputs(3), sonde.rand(1):item()
      sonde.manual_seed(1)
      assert.equal(again, sonde.rand(1):item(), name)
      assert.truthy(small:equal(inputs(5, 1):narrow(1, 1, 3)), name)
      assert.falsy(small:equal(inputs(3, 2)), name)
      assert.falsy(small[1]:equal(small[2]), name)
    end
  end)

  it("keep their baseline in parts and shuffled, not where the targets change", function()
    local d = data.copying { n = 20 }
    assert.equal(d.baseline, d:subset(3).baseline)
    assert.equal(d.baseline, select(2, d:split(0.5)).baseline)
    assert.equal(d.baseline, d:shuffle().baseline)
    assert.is_nil(d:map(function(x, y) return x, y end).baseline)
  end)

  it("refuse wrong options", function()
    for _, case in ipairs {
      { "adding", { length = 1 }, "'length' to data.adding" }, { "adding", { n = 0 }, "'n' to data.adding" },
      { "adding", { lenght = 5 }, "length" }, { "copying", { symbols = 1 }, "'symbols'" },
      { "copying", { one_hot = 1 }, "'one_hot' to data.copying: expected boolean" },
      { "copying", { delay = 0 }, "'delay'" }, { "copying", { n = 1 << 24, delay = 1 << 24 }, "memory" },
      { "temporal_order", { length = 9 }, "'length'" }, { "temporal_order", { relevant = 4 }, "'relevant'" },
      { "delayed_xor", { delay = 5, length = 6 }, "'length'" }, { "delayed_xor", { delay = -1 }, "'delay'" },
      { "mackey_glass", { tau = 0.05 }, "'tau' to data.mackey_glass: expected a multiple" },
      { "mackey_glass", { tau = 0 / 0 }, "'tau'" }, { "mackey_glass", { horizon = 0 }, "'horizon'" },
      { "mackey_glass", { length = 1.5 }, "'length'" }, { "mackey_glass", { dtype = "int64" }, "dtype 'int64'" },
      { "lorenz", { rho = 0 / 0 }, "data.lorenz: with these parameters the series runs away" },
      { "lorenz", { sigma = -20 }, "runs away" }, { "lorenz", { dt = 0 }, "'dt' to data.lorenz" },
      { "lorenz", { gamma = 2 }, "unknown option 'gamma'" },
      { "narma10", { length = -1 }, "'length' to data.narma10" }, { "narma10", { horizon = 1 }, "unknown option" },
      { "sequential_images", { images = 3 }, "must be a data set" },
      { "sequential_images", { images = data.blobs { n = 3 } }, "images have three axes, these samples have 1" },
      { "sequential_images", { images = data.blobs { n = 3 }, split = "test" }, "belong to Fashion%-MNIST" },
    } do
      assert.error_matches(function() data[case[1]](case[2]) end, case[3])
    end
  end)
end)
