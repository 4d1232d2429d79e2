--- /cost: the seconds each kind of measurement takes.
local core = require "sonde.core"
local h5 = require "sonde.h5"
local process = require "support.process"
local runs = require "sonde.run"
local sonde = require "sonde"
local nn, optim, data = sonde.nn, sonde.optim, sonde.data

local function wait(seconds)
  local till = core.system.clock() + seconds
  while core.system.clock() < till do end
end

-- Steps (4) of a small network; `options` of its probe.
local function run(out, options, steps)
  runs({ name = "costs", run = function(_, r)
    local set = data.blobs { n = 32, classes = 3, features = 4 }
    local net, loss_fn = r:model(nn.Sequential { nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3) }), nn.CrossEntropyLoss()
    local opt = r:optimizer(optim.SGD(net:parameters(), { lr = 0.1 }))
    r:probe(net, options)
    for x, y in r:batches(set, { batch_size = 8, steps = steps or 4 }) do
      opt:zero_grad()
      local loss = loss_fn(net(x), y)
      loss:backward()
      opt:step()
      r:log { loss = loss:item(), seconds = -1 }
    end
  end }, { out = out })
end

describe("the costs of measuring", function()
  it("are a row of /cost for each step in which something was measured", function()
    local dir <close> = process.tempdir()
    local out = dir / "o.h5"
    run(out, { every = 2, what = { "weight_grad", "activation", "weight_grad_hist", gradient_noise = { every = 3 } },
      loss = nn.CrossEntropyLoss() })
    local function read(path) return h5.read(out, path) end
    local names = read "/cost/probe"
    assert.same({ "activation", "weight_grad", "weight_grad_hist", "gradient_noise" },
      { names[2], names[1], names[3], names[4] })
    assert.same({ 1, 3, 4 }, read "/cost/step":totable())
    local seconds, sum = read "/cost/seconds":totable(), 0
    for i, row in ipairs(seconds) do
      for k = 1, 3 do assert.truthy((row[k] > 0) == (k < 3 or i ~= 2), names[k] .. " " .. i) end
      sum = sum + row[1] + row[2] + row[3] + row[4]
    end
    local file <close> = h5.open(out)
    assert.truthy(sum < file:attribute("/", "wall_seconds")) -- they are parts of the run
    assert.truthy(seconds[1][4] > 0 and seconds[3][4] > 0)
    assert.equal(0, seconds[2][4])
    local checked = process.sonde { "check", out }
    assert.equal(0, checked.code, checked.stdout)
  end)

  it("are clocked in the first ten measured steps and in every seventh; costly measures always", function()
    local dir <close> = process.tempdir()
    run(dir / "o.h5", { every = 2, what = { "activation", gradient_noise = { every = 20 } },
      loss = nn.CrossEntropyLoss() }, 60)
    local clocked = {}
    for i = 1, 10 do clocked[i] = 2 * i - 1 end
    local steps = h5.read(dir / "o.h5", "/cost/step"):totable()
    local seconds = h5.read(dir / "o.h5", "/cost/seconds"):totable()
    assert.same(table.move({ 21, 29, 41, 43, 57, 60 }, 1, 6, 11, clocked), steps)
    for i, row in ipairs(seconds) do
      local noise = steps[i] % 20 == 1 or steps[i] == 60
      assert.equal(noise, row[2] > 0, steps[i])
      assert.equal(noise and i > 10, row[1] ~= row[1], steps[i])
    end
  end)

  it("are the time that passed", function()
    local x = sonde.randn(4, 2)
    local net = nn.Linear(2, 1)
    local function slow(output)
      wait(0.03)
      return output:square():mean()
    end
    local probe <close> = sonde.probe.attach(net, { input = x, loss = slow, what = { "weight_grad", hessian = {
      iterations = 2 } } })
    local begun = core.system.clock()
    net(x)
    probe:step()
    local passed, cost = core.system.clock() - begun, probe:last().cost
    assert.truthy(cost.fixed_samples.seconds >= 0.03)
    assert.truthy(cost.hessian.seconds >= 4 * 0.03)
    assert.truthy(cost.weight_grad.seconds > 0 and cost.weight_grad.seconds < 0.03)
    assert.truthy(cost.fixed_samples.seconds + cost.hessian.seconds + cost.weight_grad.seconds <= passed)
  end)

  it("grow with what is measured", function()
    local function cheapest(width) -- of a few: others use the machine as well
      local net, least = nn.Linear(width, width), math.huge
      local probe <close> = sonde.probe.attach(net, { what = { "weight_grad" } })
      for _ = 1, 20 do
        net:zero_grad()
        net(sonde.randn(1, width)):sum():backward()
        probe:step()
        least = math.min(least, probe:last().cost.weight_grad.seconds)
      end
      return least
    end
    local small, large = cheapest(32), cheapest(1024) -- 1024 times the elements
    assert.truthy(large > 10 * small, ("%g and %g s"):format(small, large))
  end)

  it("are no difference between two runs", function()
    local dir <close> = process.tempdir()
    run(dir / "a.h5")
    run(dir / "b.h5")
    local compared = process.sonde { "diff", dir / "a.h5", dir / "b.h5" }
    assert.equal(0, compared.code, compared.stdout)
  end)
end)
