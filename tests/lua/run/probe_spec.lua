--- sonde.probe.attach: measuring outside a run.
local h5 = require "sonde.h5"
local process = require "support.process"
local sonde = require "sonde"
local nn, optim = sonde.nn, sonde.optim

local function network()
  sonde.manual_seed(1)
  return nn.Sequential { nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3) }
end

local function step(net, optimizer)
  local x, y = sonde.randn(16, 4), sonde.randint(1, 3, { 16 })
  net:zero_grad()
  nn.CrossEntropyLoss()(net(x), y):backward()
  local norm = net[1].weight.grad:norm():item()
  if optimizer then optimizer:step() end
  return norm
end

describe("an attached probe", function()
  it("has the newest row of everything", function()
    local net = network()
    local probe = sonde.probe.attach(net)
    step(net)
    probe:step()
    local norm = step(net)
    probe:step()
    local last = probe:last()
    assert.near(norm, last.weight_grad["1.weight"].l2_norm, 1e-6)
    assert.equal(0, last.weight_grad["1.weight"].n_nonfinite)
    assert.truthy(last.activation["2"].slope_rms <= 1)
    assert.equal(278, #last.weight_grad_hist["1.weight"].counts)
    local total = 0
    for _, n in ipairs(last.weight_grad_hist["1.weight"].counts) do total = total + n end
    assert.equal(32, total + last.weight_grad_hist["1.weight"].n_zero)
    probe:remove()
  end)

  it("measures the weights where it knows the optimiser", function()
    local net = network()
    local optimizer = optim.SGD(net:parameters(), { lr = 0.1 })
    local probe = sonde.probe.attach(net, { optimizer = optimizer, what = { "weight_grad", "weight" } })
    local norm = step(net, optimizer)
    probe:step()
    local last = probe:last()
    assert.near(0.1 * norm, last.weight["1.weight"].update_l2_norm, 1e-6)
    assert.is_nil(last.activation)
    probe:remove()
  end)

  it("prints the layer table, also after it was removed, and then measures no more", function()
    local net = network()
    local probe = sonde.probe.attach(net)
    step(net)
    probe:step()
    local table_text = tostring(probe)
    assert.truthy(table_text:find("1 +Linear +16×8 +40"), table_text)
    assert.truthy(table_text:find("3 +Linear +16×3 +27"), table_text)
    assert.truthy(table_text:find("67 parameters", 1, true))
    probe:remove()
    assert.equal(table_text, tostring(probe))
    step(net)
    assert.error_matches(function() probe:step() end, "this probe was removed")
  end)

  it("saves the same kind of file as a run", function()
    local dir <close> = process.tempdir()
    local net = network()
    local probe = sonde.probe.attach(net)
    for _ = 1, 3 do
      step(net)
      probe:step()
    end
    assert(probe:save(dir / "p.h5"))
    local file = assert(h5.open(dir / "p.h5"))
    assert.equal("sonde-history", file:attribute("/", "format"))
    assert.equal("complete", file:attribute("/", "status"))
    assert.same({ 1, 2, 3 }, file:read "/weight_grad/step":totable())
    assert.same({ "1.weight", "1.bias", "3.weight", "3.bias" }, file:read "/weight_grad/probe")
    file:close()
    local ok, message = probe:save(dir / "nowhere" .. "/p.h5")
    assert.is_nil(ok)
    assert.truthy(message:find("nowhere", 1, true))
    probe:remove()
  end)

  it("refuses wrong options with the right words", function()
    local net = network()
    assert.error_matches(function() sonde.probe.attach(net, { evry = 2 }) end, "option 'evry'.*did you mean 'every'")
    assert.error_matches(function() sonde.probe.attach(net, { what = { "weights" } }) end, "unknown group 'weights'")
    assert.error_matches(function() sonde.probe.attach(net, { every = 0 }) end, "every")
    assert.error_matches(function() sonde.probe.attach(3) end, "Module")
  end)
end)
