--- Probes whose steps follow a schedule: { log = n }, or a function.
local h5 = require "sonde.h5"
local process = require "support.process"
local runs = require "sonde.run"
local sonde = require "sonde"
local nn, optim, data = sonde.nn, sonde.optim, sonde.data

local gradients = {} -- of the first layer, by step

local function run(dir, name, options, steps)
  local out = dir / name
  runs({ name = "schedule", run = function(_, r)
    local set = data.blobs { n = 32, classes = 3, features = 4 }
    local net, loss_fn = r:model(nn.Sequential { nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3) }), nn.CrossEntropyLoss()
    local opt = r:optimizer(optim.SGD(net:parameters(), { lr = 0.1 }))
    r:probe(net, options)
    for x, y in r:batches(set, { batch_size = 8, steps = steps }) do
      opt:zero_grad()
      local loss = loss_fn(net(x), y)
      loss:backward()
      gradients[r.step + 1] = net[1].weight.grad:clone()
      opt:step()
      r:log { loss = loss:item() }
    end
  end }, { out = out })
  return function(path) return h5.read(out, path) end
end

local function steps_of(read, group) return read("/" .. group .. "/step"):totable() end

describe("a probe's schedule", function()
  it("spaces rows evenly on a log scale, each the same as if every step were measured", function()
    local dir <close> = process.tempdir()
    local spaced, all = run(dir, "a.h5", { every = { log = 3 } }, 50), run(dir, "b.h5", {}, 50)
    local steps = { 1, 2, 5, 10, 22, 46, 50 }
    for _, group in ipairs { "weight_grad", "activation_grad", "activation", "weight", "gain" } do
      assert.same(steps, steps_of(spaced, group))
    end
    for _, column in ipairs { "/weight_grad/l2_norm", "/activation/mean", "/activation_grad/std", "/gain/gain",
      "/weight/update_ratio" } do
      local sparse, dense = spaced(column), all(column)
      for i, step in ipairs(steps) do assert.truthy(sparse[i]:equal(dense[step]), column .. " " .. step) end
    end
    assert.truthy(spaced "/metrics/loss":equal(all "/metrics/loss"))
    assert.same({ 1, 22, 46, 50 }, steps_of(spaced, "weight_grad_hist")) -- the first of each ten; the last
  end)

  it("is a function of the step, asked once for each", function()
    local dir <close> = process.tempdir()
    local asked = {}
    local read = run(dir, "a.h5", { every = function(step)
      asked[#asked + 1] = step
      return step == 3 or step == 4 or step == 19
    end, hist_every = 5 }, 20)
    assert.same({ 3, 4, 19 }, steps_of(read, "weight_grad"))
    assert.same({ 3, 19 }, steps_of(read, "activation_grad_hist"))
    local expected = {}
    for step = 1, 21 do expected[step] = step end
    assert.same(expected, asked)
    local names = read "/weight_grad/probe"
    assert.same({ "1.weight", "1.bias", "3.weight", "3.bias" }, names) -- learnt in a step that is not measured
    local cosine = read "/weight_drift/grad_cosine"
    assert.same({ 3, 19 }, steps_of(read, "weight_drift"))
    assert.truthy(cosine[{ 1, 1 }]:item() ~= cosine[{ 1, 1 }]:item()) -- no measured step before
    local a, b = gradients[4], gradients[19]
    assert.near((a * b):sum():item() / (a:norm():item() * b:norm():item()), cosine[{ 2, 1 }]:item(), 1e-5)
  end)

  it("goes with costly measures that have their own, and fixed samples", function()
    local dir <close> = process.tempdir()
    local read = run(dir, "a.h5", { every = { log = 1 }, what = { "activation", jacobian = { every = 4 } },
      input = sonde.ones(2, 4), loss = function(output) return output:sum() end }, 11)
    assert.same({ 1, 10, 11 }, steps_of(read, "activation"))
    assert.same({ 1, 5, 9, 11 }, steps_of(read, "jacobian"))
  end)

  it("is each network's own: a row in which one rests is NaN for it", function()
    local dir <close> = process.tempdir()
    local out = dir / "a.h5"
    runs({ name = "two", run = function(_, r)
      local first, second = nn.Linear(2, 2), nn.Linear(2, 2)
      r:probe(first, { every = function(step) return step ~= 2 end, what = { "weight_grad" } })
      r:probe(second, { every = { log = 3 }, what = { "weight_grad" }, name = "second" })
      for _ = 1, 4 do
        (first(sonde.randn(3, 2)):sum() + second(sonde.randn(3, 2)):sum()):backward()
        r:log()
      end
    end }, { out = out })
    assert.same({ 1, 2, 3, 4 }, h5.read(out, "/weight_grad/step"):totable())
    local norms, rests = h5.read(out, "/weight_grad/l2_norm"):totable(), {}
    for step, row in ipairs(norms) do rests[step] = { row[1] ~= row[1], row[3] ~= row[3] } end
    assert.same({ { false, false }, { true, false }, { false, true }, { false, true } }, rests)
  end)

  it("leaves a file that can be diagnosed, though it begins late", function()
    local dir <close> = process.tempdir()
    run(dir, "a.h5", { every = function(step) return step > 5 end }, 10)
    for _, command in ipairs { "check", "diagnose", "show" } do
      local result = process.sonde { command, dir / "a.h5" }
      assert.equal(0, result.code, result.stdout .. result.stderr)
    end
  end)
end)
