--- run:on(pathology, fn): detectors that speak while the run goes.
local sonde = require "sonde"
local process = require "support.process"
local nn, optim, data = sonde.nn, sonde.optim, sonde.data

--- Trains `depth` layers of `activation` for 60 steps; on(run, net) registers what listens.
local function train(activation, on)
  local dir <close> = process.tempdir()
  local ok, message = sonde.run({
    name = "on",
    run = function(_, run)
      local net = nn.Sequential {}
      for i = 1, 9 do
        local layer = nn.Linear(i == 1 and 2 or 16, 16)
        nn.init.orthogonal_(layer.weight)
        net:add("h" .. i, layer):add("a" .. i, activation())
      end
      run:model(net:add("out", nn.Linear(16, 2)))
      local opt = run:optimizer(optim.SGD(net:parameters(), { lr = 0.01 }))
      run:probe(net)
      on(run, net)
      run:fit { model = net, loss = nn.CrossEntropyLoss(), optimizer = opt, train = data.spirals { n = 64 },
        batch_size = 32, steps = 60 }
    end,
  }, { quiet = true, out = dir / "on.h5" })
  return ok, message
end

--- Trains h1..h6 with tanh or ReLU; `harm(net, optimizer)` before step 37. Returns the calls that listeners of all
--- pathologies had, by name, and the diagnosis of the file.
local function harmed_at_37(activation, harm)
  local diagnose = require "sonde.diagnose"
  local dir <close> = process.tempdir()
  local calls = {}
  sonde.run({
    name = "harmed",
    run = function(_, run)
      local net = nn.Sequential {}
      for i = 1, 6 do
        local layer = nn.Linear(i == 1 and 10 or 32, 32)
        nn.init.kaiming_normal_(layer.weight, { nonlinearity = activation == nn.ReLU and "relu" or "linear" })
        net:add("h" .. i, layer):add("a" .. i, activation())
      end
      run:model(net:add("out", nn.Linear(32, 4)))
      local opt = run:optimizer(optim.SGD(net:parameters(), { lr = 0.01 }))
      run:probe(net)
      for _, name in ipairs(diagnose.pathologies) do
        run:on(name, function(finding)
          calls[name] = calls[name] or { step = run.step, since = finding.since_step }
        end)
      end
      local loss_fn, step = nn.CrossEntropyLoss(), 0
      local blobs = data.blobs { n = 800, classes = 4, features = 10, seed = 6 }
      for x, y in run:batches(data.tensors { blobs.inputs * 0.2, blobs.targets }, { batch_size = 100, steps = 90 }) do
        step = step + 1
        if step == 37 then sonde.no_grad(function() harm(net, opt) end) end
        opt:zero_grad()
        local loss = loss_fn(net(x), y)
        loss:backward()
        opt:step()
        run:log { loss = loss:item() }
      end
    end,
  }, { quiet = true, out = dir / "harmed.h5", seed = 2 })
  return calls, assert(diagnose.file(dir / "harmed.h5"))
end

local harms = {
  vanishing_gradient = { nn.Tanh, function(net)
    for i = 1, 6 do net["h" .. i].weight:mul_(0.1) end
  end },
  exploding_gradient = { nn.ReLU, function(_, opt) opt.param_groups[1].lr = 1e4 end },
  numeric_overflow = { nn.Tanh, function(net) net.h3.weight:mul_(math.huge) end },
  dead_units = { nn.ReLU, function(net) net.h2.bias:fill_(-1000) end },
  saturated_units = { nn.Tanh, function(net) net.h2.bias:fill_(50) end },
}

describe("run:on", function()
  it("speaks within three steps of the harm, and dates it as the file's diagnosis does", function()
    for name, harm in pairs(harms) do
      local calls, report = harmed_at_37(harm[1], harm[2])
      local call, named = calls[name], nil
      for _, finding in ipairs(report.findings) do named = finding.pathology == name and finding or named end
      assert.is_not_nil(call, name)
      assert.is_not_nil(named, name)
      assert.equal(named.since_step, call.since, name)
      assert.is_true(call.since >= 37 and call.since <= 38, name)
      local delay = name == "dead_units" and 23 or 3 -- dead: for 2000 samples, 20 steps of them
      assert.is_true(call.step >= call.since and call.step <= call.since + delay, name .. " at " .. call.step)
    end
  end)

  it("calls once when the pathology begins, with the finding and the run", function()
    local calls = {}
    assert(train(nn.Sigmoid, function(run)
      run:on("vanishing_gradient", function(finding, inside)
        calls[#calls + 1] = { finding = finding, step = inside.step, same = inside == run }
      end)
      run:on("exploding_gradient", function() error "nothing explodes" end)
    end))
    assert.equal(1, #calls)
    assert.equal(3, calls[1].step) -- three rows make a condition
    assert.is_true(calls[1].same)
    assert.equal("vanishing_gradient", calls[1].finding.pathology)
    assert.equal(1, calls[1].finding.since_step)
    assert.truthy(#calls[1].finding.cause > 0 and calls[1].finding.evidence.decades_per_layer < -0.4)
  end)

  it("is silent in a healthy run, and after its handle is removed", function()
    local calls = 0
    assert(train(nn.Identity, function(run)
      for _, name in ipairs(require "sonde.diagnose".pathologies) do
        run:on(name, function() calls = calls + 1 end)
      end
    end))
    assert(train(nn.Sigmoid, function(run)
      run:on("vanishing_gradient", function() calls = calls + 1 end):remove()
    end))
    assert.equal(0, calls)
  end)

  it("an error inside surfaces as the run's; a wrong name or argument is refused", function()
    assert.has_error(function()
      train(nn.Sigmoid, function(run) run:on("vanishing_gradient", function() error "stop here" end) end)
    end)
    local _, message = pcall(train, nn.Sigmoid, function(run) run:on("vanishing_gradent", print) end)
    assert.truthy(tostring(message):find("did you mean 'vanishing_gradient'", 1, true), message)
    _, message = pcall(train, nn.Sigmoid, function(run) run:on("vanishing_gradient") end)
    assert.truthy(tostring(message):find("expected a function", 1, true), message)
  end)
end)
