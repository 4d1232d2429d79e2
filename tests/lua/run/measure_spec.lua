--- run:measure: columns of the recipe's own in the probes' groups.
local h5 = require "sonde.h5"
local process = require "support.process"
local runs = require "sonde.run"
local sonde = require "sonde"
local nn, optim = sonde.nn, sonde.optim

local function run(dir, body, name)
  local out = dir / (name or "o.h5")
  local outcome = runs({ name = "measure", run = function(_, r) return body(r) end }, { out = out, force = true })
  return function(path) return (assert(h5.read(out, path))) end, outcome
end

-- { probe name → list over the rows }
local function column(read, group, variable)
  local found, values = {}, read("/" .. group .. "/" .. variable):totable()
  for i, name in ipairs(read("/" .. group .. "/probe")) do
    found[name] = {}
    for row, cells in ipairs(values) do found[name][row] = cells[i] end
  end
  return found
end

local function is_nan(x) return x ~= x end

-- Trains 4 steps; before(run, net) attaches, forward(net, x) makes the loss.
local function train(r, net, before, forward)
  local opt = r:optimizer(optim.SGD(net:parameters(), { lr = 0.1 }))
  r:model(net)
  before(r, net)
  for _ = 1, 4 do
    opt:zero_grad()
    local loss = (forward or function(n, x) return n(x):pow(2):mean() end)(net, sonde.randn(6, 4))
    loss:backward()
    nn.utils.clip_grad_norm_(net:parameters(), 1e-3)
    opt:step()
    r:log { loss = loss:item(), draw = sonde.rand(1):item() }
  end
  return { w = net:parameters()[1]:detach() }
end

local function network() return nn.Sequential { nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3) } end
local function abs_max(t) return t:abs():max():item() end

describe("run:measure", function()
  it("sees what the groups are about: gradients before clipping, outputs, their gradients", function()
    local dir <close> = process.tempdir()
    local read = run(dir, function(r)
      return train(r, network(), function(_, net)
        r:probe(net)
        for _, on in ipairs { "weight_grad", "activation", "activation_grad" } do
          r:measure("own", { on = on, fn = abs_max })
        end
      end)
    end)
    for _, group in ipairs { "weight_grad", "activation", "activation_grad" } do
      local own, theirs = column(read, group, "own"), column(read, group, "abs_max")
      for name, values in next, own do
        for row = 1, 4 do
          assert.truthy(values[row] > 0, name)
          assert.near(theirs[name][row], values[row], 1e-6 * values[row])
        end
      end
    end
    local parts = {}
    for _, name in ipairs(read "/cost/probe") do parts[name] = true end
    assert.truthy(parts["weight_grad.own"] and parts["activation.own"] and parts["activation_grad.own"])
  end)

  it("takes modules, with all below them, and steps of its own", function()
    local dir <close> = process.tempdir()
    local net = nn.Sequential { a = nil, nn.Sequential { nn.Linear(4, 8), nn.Tanh() }, nn.Linear(8, 3) }
    local seen = {}
    local read = run(dir, function(r)
      return train(r, net, function()
        r:probe(net)
        r:measure("own", { on = "activation", modules = { "1" }, every = 2, fn = function(t, ctx)
          seen[#seen + 1] = ("%d %s %s %s"):format(ctx.step, ctx.probe, ctx.role, ctx.module:class_name())
          assert(ctx.layer == ctx.probe and ctx.parameter == nil and not t.requires_grad)
          return t:numel()
        end })
        r:measure("late", { on = "weight_grad", modules = { net[2] }, every = function(step) return step == 3 end,
          fn = function(t, ctx)
            assert(ctx.parameter == net[2].weight or ctx.parameter == net[2].bias)
            assert(ctx.parameter.grad:shape()[1] == t:size(1))
            return ctx.step
          end })
      end)
    end)
    assert.same({ "1 1.1 output Linear", "1 1.2 output Tanh", "3 1.1 output Linear", "3 1.2 output Tanh" }, seen)
    local own, late = column(read, "activation", "own"), column(read, "weight_grad", "late")
    assert.same({ 48, 48 }, { own["1.1"][1], own["1.2"][3] })
    assert.truthy(is_nan(own["1.1"][2]) and is_nan(own["2"][1]))
    assert.equal(3, late["2.weight"][3])
    assert.truthy(is_nan(late["2.weight"][1]) and is_nan(late["1.1.weight"][3]))
  end)

  it("pools the calls of a step, and leaves out what no backward reaches", function()
    local dir <close> = process.tempdir()
    local layer = nn.Linear(4, 4)
    local net = nn.Sequential { layer, nn.Tanh(), layer }
    local shapes = {}
    local read = run(dir, function(r)
      return train(r, net, function()
        r:probe(net)
        r:measure("own", { on = "activation", fn = function(t, ctx)
          shapes[ctx.probe] = table.concat(t:shape(), "x")
          return abs_max(t)
        end })
        r:measure("own", { on = "activation_grad", fn = abs_max })
      end, function(n, x)
        sonde.no_grad(function() n(1e6 * x) end)
        n(1e6 * x) -- no backward comes
        return n(x):pow(2):mean()
      end)
    end)
    assert.equal("12x4", shapes["1"]) -- called twice
    for _, group in ipairs { "activation", "activation_grad" } do
      local own, theirs = column(read, group, "own"), column(read, group, "abs_max")
      for name, values in next, own do assert.near(theirs[name][4], values[4], 1e-6) end
    end
  end)

  it("measures accumulated gradients, fixed samples, and weights that are made of others", function()
    local dir <close> = process.tempdir()
    local net = nn.Sequential { nn.utils.parametrizations.weight_norm(nn.Linear(4, 8)), nn.Tanh(), nn.Linear(8, 3) }
    local x, y = sonde.ones(5, 4), sonde.zeros(5, 3)
    local read = run(dir, function(r)
      return train(r, net, function()
        r:probe(net)
        r:probe(net, { name = "fixed", input = x, target = y, loss = nn.MSELoss() })
        r:measure("own", { on = "weight_grad", fn = abs_max })
        r:measure("own", { on = "activation", modules = { "fixed.2" }, fn = abs_max })
      end, function(n, input)
        n(input):mean():backward()
        return n(input):pow(2):mean()
      end)
    end)
    local own, theirs = column(read, "weight_grad", "own"), column(read, "weight_grad", "abs_max")
    assert.truthy(own["1.weight"] and own["fixed.1.weight"] and own["fixed.3.bias"])
    for name, values in next, own do
      for row = 1, 4 do assert.near(theirs[name][row], values[row], 1e-6 * values[row] + 1e-30) end
    end
    local outputs = column(read, "activation", "own")
    assert.near(column(read, "activation", "abs_max")["fixed.2"][2], outputs["fixed.2"][2], 1e-6)
    assert.near(column(read, "activation", "abs_max")["2"][2], outputs["2"][2], 1e-6) -- the same module
  end)

  it("changes no bit of the training, whatever fn does", function()
    local dir <close> = process.tempdir()
    local plain = run(dir, function(r) return train(r, network(), function(_, net) r:probe(net) end) end, "a.h5")
    local mine = run(dir, function(r)
      return train(r, network(), function(_, net)
        r:probe(net)
        for _, on in ipairs { "weight_grad", "activation", "activation_grad" } do
          r:measure("own", { on = on, fn = function(t)
            t:mul_(0):add_(sonde.rand(1):item() + math.random())
            net(sonde.randn(2, 4))
            return t:sum():item()
          end })
        end
      end)
    end, "b.h5")
    for _, path in ipairs { "/metrics/loss", "/metrics/draw", "/result/w", "/weight_grad/l2_norm" } do
      assert.truthy(plain(path):equal(mine(path)), path)
    end
  end)

  it("keeps every row when fn raises, and says where", function()
    local dir <close> = process.tempdir()
    local out = dir / "o.h5"
    local recipe = dir / "r.lua"
    process.write(recipe, [[
local sonde = require "sonde"
local nn = sonde.nn
return { name = "r", run = function(_, run)
  local net = run:model(nn.Sequential { nn.Linear(2, 2) })
  run:probe(net)
  run:measure("own", { on = "weight_grad", fn = function(t, ctx)
    if ctx.step == 3 then error("mine") end
    return 1
  end })
  for _ = 1, 5 do
    net:zero_grad()
    net(sonde.ones(3, 2)):sum():backward()
    run:log { loss = 1 }
  end
end }]])
    local result = process.sonde { "run", recipe, "-o", out }
    assert.equal(1, result.code)
    assert.truthy(result.stderr:find("r.lua:7: mine", 1, true), result.stderr)
    local own = h5.read(out, "/weight_grad/own"):totable()
    assert.equal(3, #own)
    assert.equal(1, own[2][1])
    assert.truthy(is_nan(own[3][1]))
    assert.equal(0, process.sonde({ "check", out }).code)
  end)

  it("refuses what it cannot do, and says what can be done", function()
    local dir <close> = process.tempdir()
    local function refused(pattern, before)
      local ok, message = pcall(run, dir, function(r) return train(r, network(), before) end)
      assert.falsy(ok)
      assert.truthy(message:find(pattern, 1, true), message)
    end
    local fn = abs_max
    refused("call run:probe(net) first", function(r) r:measure("own", { on = "activation", fn = fn }) end)
    local function probed(options, name)
      return function(r, net)
        r:probe(net)
        r:measure(name or "own", options)
      end
    end
    refused("'l 1' is no name", probed({ on = "activation", fn = fn }, "l 1"))
    refused("weight_grad has a 'l2_norm' already", probed({ on = "weight_grad", fn = fn }, "l2_norm"))
    refused("has a 'depth' already", probed({ on = "activation", fn = fn }, "depth"))
    refused("did you mean 'activation'?", probed { on = "activatin", fn = fn })
    refused('on = "weight_grad" | "activation" | "activation_grad"', probed { fn = fn })
    refused("fn must be a function", probed { on = "activation" })
    refused("unknown module '4'", probed { on = "activation", modules = { "4" }, fn = fn })
    refused("modules must be a list", probed { on = "activation", modules = "2", fn = fn })
    refused("every must be a whole number", probed { on = "activation", every = 0, fn = fn })
    refused("no probe of '2' stands in weight_grad", probed { on = "weight_grad", modules = { "2" }, fn = fn })
    refused("did you mean 'modules'?", probed { on = "activation", module = { "2" }, fn = fn })
    refused("t:item() is the number", probed { on = "activation", fn = function(t) return t:sum() end })
    refused("returned nil for '1'", probed { on = "activation", fn = function() end })
    refused("what the file holds was fixed", function(r, net)
      r:probe(net)
      r:log { loss = 0 }
      r:measure("own", { on = "activation", fn = fn })
    end)
    refused("run:probe's `what` leaves the group out", function(r, net)
      r:probe(net, { what = { "weight_grad" } })
      r:measure("own", { on = "activation", fn = fn })
    end)
  end)
end)
