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

describe("run:on", function()
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
