--- Costly measures by name: schedules, where batch and loss come from, that the training does not notice.
local h5 = require "sonde.h5"
local process = require "support.process"
local runs = require "sonde.run"
local sonde = require "sonde"
local nn, optim, data = sonde.nn, sonde.optim, sonde.data

-- Runs `body(run)` and returns a reader of its file.
local function run(dir, body, name)
  local out = dir / (name or "o.h5")
  runs({ name = "costly", metrics = { "loss" }, run = function(_, r) return body(r) end }, { out = out })
  return function(path) return h5.read(out, path) end
end

local function network(normalised)
  return nn.Sequential { nn.Linear(4, 8), normalised and nn.BatchNorm1d(8) or nn.Tanh(), nn.Dropout(0.5),
    nn.Linear(8, 3) }
end

-- Trains by hand; before(run, net, loss_fn) attaches probes.
local function train(r, before, options)
  options = options or {}
  local set = data.blobs { n = 48, classes = 3, features = 4 }
  local net, loss_fn = r:model(network(options.normalised)), nn.CrossEntropyLoss()
  local opt = r:optimizer(optim.SGD(net:parameters(), { lr = 0.1, momentum = 0.9 }))
  before(r, net, loss_fn)
  for x, y in r:batches(set, { batch_size = 8, steps = options.steps or 6 }) do
    local loss = loss_fn(net(x), y)
    opt:zero_grad() -- after the forward: gradients of the step before are there while it is measured
    loss:backward()
    opt:step()
    r:log { loss = loss:item(), draw = sonde.rand(1):item() }
  end
  return { w = net[1].weight:detach(), left = net[1].weight.grad,
           mean = options.normalised and net[2].running_mean or nil }
end

local everywhere = { "gradient_noise", "hessian", "jacobian" } -- lyapunov: of recurrent layers

describe("costly measures", function()
  it("leave the training's every bit as it was", function()
    local dir <close> = process.tempdir()
    for _, normalised in ipairs { false, true } do
      local plain = run(dir, function(r)
        return train(r, function(_, net) r:probe(net) end, { normalised = normalised })
      end, "a.h5")
      local costly = run(dir, function(r)
        return train(r, function(_, net, loss)
          r:probe(net)
          r:probe(net, { what = everywhere, every = 2, loss = loss })
        end, { normalised = normalised })
      end, "b.h5")
      for _, path in ipairs { "/metrics/loss", "/metrics/draw", "/metrics/grad_norm", "/result/w", "/result/left",
        "/weight_grad/l2_norm", "/activation/mean", "/activation_grad/l2_norm" } do
        assert.truthy(plain(path):equal(costly(path)), path)
      end
      if normalised then assert.truthy(plain "/result/mean":equal(costly "/result/mean")) end
      assert.same({ 1, 3, 5, 6 }, costly "/gradient_noise/step":totable())
      os.remove(dir / "a.h5")
      os.remove(dir / "b.h5")
    end
  end)

  it("run when their schedule says so", function()
    local dir <close> = process.tempdir()
    local function steps(every, n)
      local out = "s" .. tostring(every):gsub("%W", "") .. n .. ".h5"
      return run(dir, function(r)
        train(r, function(_, net, loss)
          r:probe(net, { what = { gradient_noise = { every = every } }, loss = loss })
        end, { steps = n })
      end, out) "/gradient_noise/step":totable()
    end
    assert.same({ 1, 6, 11, 12 }, steps(5, 12))
    assert.same({ 1, 2, 5, 10, 22, 46, 50 }, steps({ log = 3 }, 50)) -- 10^(k/3) rounded, and the last
    assert.same({ 4, 8 }, steps(function(step) return step % 4 == 0 end, 10))
    assert.same({ 1, 101, 102 }, steps(nil, 102))
  end)

  it("stand beside the groups of every step, each with its own schedule", function()
    local dir <close> = process.tempdir()
    local read = run(dir, function(r)
      train(r, function(_, net, loss)
        r:probe(net, { what = { "weight_grad", gradient_noise = { every = 4 } }, loss = loss })
      end)
    end)
    assert.same({ 1, 2, 3, 4, 5, 6 }, read "/weight_grad/step":totable())
    assert.same({ 1, 5, 6 }, read "/gradient_noise/step":totable())
    assert.same({ "network" }, read "/gradient_noise/probe")
    assert.is_nil((read "/activation/step"))
  end)

  it("take run:fit's loss, and probe nothing else then", function()
    local dir <close> = process.tempdir()
    local read = run(dir, function(r)
      local set, net = data.blobs { n = 48, classes = 3, features = 4 }, network()
      r:probe(net, { what = { "gradient_noise" } })
      local loss = function(output, target) return nn.CrossEntropyLoss()(output, target) end
      r:fit { model = net, loss = loss, train = set, batch_size = 8, steps = 3,
        optimizer = optim.SGD(net:parameters(), { lr = 0.1 }) }
    end)
    assert.same({ 1, 3 }, read "/gradient_noise/step":totable())
    assert.is_nil((read "/weight_grad/step"))
  end)

  it("learn the target from a loss that is a module, in a loop that draws its own batches", function()
    local net, loss = nn.Sequential { nn.Linear(4, 3) }, nn.MSELoss()
    local function step(probe, of)
      loss(of(net(sonde.randn(8, 4))), sonde.randn(8, 3)):backward()
      probe:step()
    end
    local probe <close> = sonde.probe.attach(net, { what = { "gradient_noise" }, loss = loss })
    step(probe, function(output) return output end)
    assert.truthy(probe:last().gradient_noise.network.trace > 0)
    probe:remove()
    local second <close> = sonde.probe.attach(net, { what = { "gradient_noise" }, loss = loss })
    assert.error_matches(function() step(second, function(output) return output * 2 end) end,
      "the loss is not called with the network's output itself")
  end)

  it("take the batch also where another probe of the network measures samples of its own", function()
    local dir <close> = process.tempdir()
    local function noise(r, beside)
      return train(r, function(_, net, loss)
        if beside then
          r:probe(net, { input = sonde.ones(2, 4), target = sonde.tensor({ 1, 1 }, { dtype = "int64" }), loss = loss })
        end
        r:probe(net, { what = { "gradient_noise" }, every = 1, name = "own", loss = loss })
      end)
    end
    local alone = run(dir, function(r) return noise(r, false) end, "a.h5")
    local beside = run(dir, function(r) return noise(r, true) end, "b.h5")
    assert.truthy(alone "/gradient_noise/trace":equal(beside "/gradient_noise/trace"))
    assert.truthy(alone "/result/w":equal(beside "/result/w"))
  end)

  it("become rarer where they would take more than their share of the time", function()
    local now, step = 0, 0
    local measure, history = require "sonde.measure", require "sonde.core".record.history()
    local measures = measure.new { history = history, clock = function() return now end,
      step = function() return step end }
    local function loss(output) -- each call takes a second
      now = now + 1
      return output:square():mean()
    end
    local _, requests = measure.split("here", { what = { "gradient_noise" }, every = 1 })
    local net, seconds, steps = nn.Linear(2, 1), 0, {}
    measures:attach(net, requests, { where = "here", input = sonde.randn(8, 2), loss = loss, budget = 0.1 })
    for i = 1, 100 do
      step = i
      local before = now
      net(sonde.randn(1, 2))
      seconds = seconds + now - before
      if now > before then steps[#steps + 1] = i end
      if i > 1 then assert.truthy(seconds <= 0.1 * now or i < 6, ("step %d: %g of %g"):format(i, seconds, now)) end
      now = now + 10 -- the rest of the step
      measures:end_step(i, now)
    end
    assert.equal(#steps * 5, seconds) -- a batch and four parts
    assert.equal(1, steps[1])
    assert.truthy(#steps >= 15 and seconds >= 0.07 * now)
    measures:release()
  end)

  it("keep to their share by the clock of the run as well", function()
    local dir <close> = process.tempdir()
    local read = run(dir, function(r)
      train(r, function(_, net, loss)
        r:probe(net, { what = { hessian = { every = 1, iterations = 2 } }, loss = loss, budget = 0.2 })
      end, { steps = 2000 }) -- one measurement costs about as much as 10 steps
    end)
    local steps, seconds = read "/hessian/step":totable(), read "/cost/seconds":totable()
    local time, sum, most = read "/cost/time":totable(), 0, 0
    for i, row in ipairs(seconds) do
      sum, most = sum + row[1], math.max(most, row[1])
      -- Each is allowed by what the one before cost, which may have been less.
      assert.truthy(sum <= 0.2 * time[i] + most, ("%g of %g s"):format(sum, time[i]))
    end
    assert.equal(#steps, #seconds)
    assert.truthy(#steps > 3 and #steps < 2000, #steps .. " rows")
  end)

  it("say what is wrong", function()
    local dir <close> = process.tempdir()
    local function with(options, loop)
      return function() run(dir, loop or function(r) train(r, function(_, net) r:probe(net, options) end) end) end
    end
    assert.error_matches(with { what = { "gradient_nois" } }, "unknown group 'gradient_nois'.*mean 'gradient_noise'")
    assert.error_matches(with { what = { gradient_noise = { evry = 1 } } }, "'gradient_noise': unknown option 'evry'")
    assert.error_matches(with { what = { gradient_noise = { every = 0 } } },
      "every of 'gradient_noise' must be a whole number of at least 1, got 0")
    assert.error_matches(with { what = { gradient_noise = { every = { log = 0.5 } } } }, "log, steps per decade")
    assert.error_matches(with { what = { gradient_noise = { every = {} } } }, "log, steps per decade")
    assert.error_matches(with { what = { gradient_noise = 3 } }, "expected a table of options, got number")
    assert.error_matches(with { what = { weight_grad = { every = 2 } } }, "'weight_grad' has no options of its own")
    assert.error_matches(with { what = { "gradient_noise", gradient_noise = {} } }, "named twice")
    assert.error_matches(with { every = {} }, "every: log, steps per decade, must be a whole number of at least 1")
    assert.error_matches(with { every = "often" }, "every must be a whole number of at least 1, got often")
    assert.error_matches(with { every = function() end }, "the function returns true or false for a step, got nil")
    assert.error_matches(with { what = { "gradient_noise" } }, "'gradient_noise' needs the loss: name it")
    assert.error_matches(with { what = { "gradient_noise" }, loss = 3 }, "loss is called with the output")
    assert.error_matches(with { what = { "gradient_noise" }, loss = function(o) return o end },
      "the loss must be a tensor of one element")
    assert.error_matches(with { what = { gradient_noise = { every = function() return 1 end } } },
      "the function returns true or false for a step, got number")
    assert.error_matches(with { budget = 0.1 }, "a budget is for costly measures")
    assert.error_matches(with { what = { "gradient_noise" }, budget = 2 }, "budget is the share")
    local function twice(r)
      train(r, function(_, net, loss)
        for _ = 1, 2 do r:probe(net, { what = { "gradient_noise" }, loss = loss }) end
      end)
    end
    assert.error_matches(with(nil, twice), "'gradient_noise' is measured already under the name 'network'")
    local function late(r)
      train(r, function(_, net) r:probe(net, { what = { "weight_grad" } }) end, { steps = 1 })
      r:probe(network(), { what = { "gradient_noise" } })
    end
    assert.error_matches(with(nil, late), "call it before the first run:log")
  end)
end)
