--- Probes on fixed samples, several probes and networks in one run, and how rows, events and evaluations are numbered.
local h5 = require "sonde.h5"
local process = require "support.process"
local runs = require "sonde.run"
local sonde = require "sonde"
local nn, optim, data = sonde.nn, sonde.optim, sonde.data

-- Runs `body(run)` and returns a reader of its file.
local function run(dir, body, name)
  local out = dir / (name or "o.h5")
  runs({ name = "probes", metrics = { "loss" }, run = function(_, r) return body(r) end }, { out = out })
  return function(path) return (assert(h5.read(out, path))) end
end

-- A column of a group: { probe name → list over the rows }
local function column(read, group, variable)
  local found, values = {}, read("/" .. group .. "/" .. variable):totable()
  for i, name in ipairs(read("/" .. group .. "/probe")) do
    found[name] = {}
    for row, cells in ipairs(values) do found[name][row] = cells[i] end
  end
  return found
end

local function network()
  return nn.Sequential { nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 3) }
end

-- Trains 6 steps by hand; before(run, net, loss_fn) attaches probes.
local function train(r, before)
  local set = data.blobs { n = 48, classes = 3, features = 4 }
  local net, loss_fn = r:model(network()), nn.CrossEntropyLoss()
  local opt = r:optimizer(optim.SGD(net:parameters(), { lr = 0.1, momentum = 0.9 }))
  before(r, net, loss_fn)
  for x, y in r:batches(set, { batch_size = 8, steps = 6 }) do
    opt:zero_grad()
    local loss = loss_fn(net(x), y)
    loss:backward()
    opt:step()
    r:log { loss = loss:item(), draw = sonde.rand(1):item() }
  end
  return { w = net[1].weight:detach(), mean = net[2].running_mean, left = net[1].weight.grad }
end

local function samples()
  local generator = require "sonde.core".random.stream(9, "samples")
  local x = {}
  for i = 1, 5 do
    x[i] = {}
    for j = 1, 4 do x[i][j] = generator:normal() end
  end
  return sonde.tensor(x), sonde.tensor({ 1, 2, 3, 1, 2 }, { dtype = "int64" })
end

describe("a probe on fixed samples", function()
  it("measures them and leaves the training's every bit as it was", function()
    local dir <close> = process.tempdir()
    local x, y = samples()
    local plain = run(dir, function(r) return train(r, function(_, net) r:probe(net) end) end, "a.h5")
    local fixed = run(dir, function(r)
      return train(r, function(_, net, loss) r:probe(net, { input = x, target = y, loss = loss, every = 2 }) end)
    end, "b.h5")
    for _, path in ipairs { "/metrics/loss", "/metrics/draw", "/result/w", "/result/mean", "/result/left" } do
      assert.truthy(plain(path):equal(fixed(path)), path)
    end
    assert.same({ 1, 3, 5, 6 }, fixed "/activation/step":totable())
    assert.same({ 20 }, { fixed "/activation_grad/n_elements"[1][1]:item() // 2 }) -- 5 samples, 8 units
    local norm, other = fixed "/metrics/grad_norm":totable(), plain "/metrics/grad_norm":totable()
    for i = 1, 6 do assert.near(other[i], norm[i], 1e-6) end -- the training's, not the samples'
  end)

  it("equals a forward and backward of one's own at the weights of that step", function()
    local dir <close> = process.tempdir()
    local x, y = samples()
    local mine = {}
    local read = run(dir, function(r)
      local net, loss_fn = nn.Sequential { nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3) }, nn.CrossEntropyLoss()
      local opt = optim.SGD(net:parameters(), { lr = 0.5 })
      r:probe(net, { input = x, target = y, loss = loss_fn })
      for step = 1, 4 do
        local twin = nn.Sequential { nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3) }
        twin:load_state_dict(net:state_dict())
        loss_fn(twin(x), y):backward()
        mine[step] = { twin[1].weight.grad:norm():item(), twin[2](twin[1](x)):mean():item() }
        opt:zero_grad()
        loss_fn(net(sonde.randn(7, 4)), sonde.randint(1, 3, { 7 })):backward()
        opt:step()
        r:log { loss = 0 }
      end
    end)
    local norms, means = column(read, "weight_grad", "l2_norm")["1.weight"], column(read, "activation", "mean")["2"]
    for step = 1, 4 do
      assert.near(mine[step][1], norms[step], 1e-6)
      assert.near(mine[step][2], means[step], 1e-6)
    end
  end)

  it("takes run:fit's loss, beside a probe of the batches with a name of its own", function()
    local dir <close> = process.tempdir()
    local x, y = samples()
    local read = run(dir, function(r)
      local set = data.blobs { n = 48, classes = 3, features = 4 }
      local net = network()
      r:probe(net)
      r:probe(net, { name = "fixed", input = x, target = y, what = { "weight_grad", "activation" } })
      r:fit { model = net, loss = nn.CrossEntropyLoss(), train = set, batch_size = 8, steps = 3,
        optimizer = optim.SGD(net:parameters(), { lr = 0.1 }) }
    end)
    local norms = column(read, "weight_grad", "l2_norm")
    for step = 1, 3 do
      assert.truthy(norms["1.weight"][step] > 0 and norms["fixed.1.weight"][step] > 0)
      assert.not_equal(norms["1.weight"][step], norms["fixed.1.weight"][step])
    end
    assert.is_nil(column(read, "activation_grad", "l2_norm")["fixed.1"])
  end)

  it("works outside a run", function()
    local x, y = samples()
    local net, loss_fn = network(), nn.MSELoss()
    local probe <close> = sonde.probe.attach(net, { input = x, target = sonde.zeros(5, 3), loss = loss_fn })
    net(sonde.randn(9, 4)):sum():backward()
    probe:step()
    assert.equal(15, probe:last().activation_grad["5"].n_elements)
    assert.error_matches(function() sonde.probe.attach(net, { target = y }) end, "target and loss go with input")
  end)

  it("says what is wrong with its options", function()
    local dir <close> = process.tempdir()
    local x, y = samples()
    local function with(options)
      return function() run(dir, function(r) train(r, function(_, net) r:probe(net, options) end) end) end
    end
    assert.error_matches(with { input = x, target = y }, "run:probe: to measure fixed samples it needs their loss")
    assert.error_matches(with { input = 3 }, "run:probe: input must be a tensor, got number")
    assert.error_matches(with { input = x, target = y, loss = 3 }, "loss is called with the output and the target")
    assert.error_matches(with { evry = 3 }, "unknown option 'evry'.*did you mean 'every'")
    assert.error_matches(with { input = sonde.rand(5, 3), target = y, loss = nn.MSELoss() }, "layer '1'")
  end)
end)

describe("several probes in one run", function()
  it("need names of their own", function()
    local dir <close> = process.tempdir()
    assert.error_matches(function()
      run(dir, function(r)
        local net = network()
        r:probe(net)
        r:probe(net, { every = 2 })
      end)
    end, "this network is probed already.* name of its own")
    assert.error_matches(function()
      run(dir, function(r)
        r:probe(network())
        r:probe(network())
      end)
    end, "another network has a probe '1' already; give this one a name of its own")
  end)

  it("come before the first step ends", function()
    local dir <close> = process.tempdir()
    assert.error_matches(function()
      run(dir, function(r)
        r:log { loss = 1 }
        r:probe(network())
      end)
    end, "run:probe: step 2 is open, .* call it before the first run:log")
  end)

  it("have NaN where a network was idle or a parameter frozen", function()
    local dir <close> = process.tempdir()
    local read = run(dir, function(r)
      local student, teacher = r:model(nn.Linear(4, 3)), r:model(nn.Linear(4, 3), "teacher")
      local opt = r:optimizer(optim.SGD(student:parameters(), { lr = 0.1 }))
      r:probe(student)
      r:probe(teacher, { name = "teacher" })
      student.bias:requires_grad_(false)
      for step = 1, 3 do
        local x = sonde.randn(6, 4)
        opt:zero_grad()
        teacher:zero_grad()
        local wanted = step == 2 and teacher(x) or sonde.zeros(6, 3)
        nn.MSELoss()(student(x), wanted):backward()
        opt:step()
        r:log { loss = 0 }
      end
    end)
    local norms, means = column(read, "weight_grad", "l2_norm"), column(read, "activation", "mean")
    for step = 1, 3 do
      assert.truthy(norms.weight[step] > 0)
      assert.truthy(norms.bias[step] ~= norms.bias[step]) -- NaN
      assert.equal(step == 2, norms["teacher.weight"][step] == norms["teacher.weight"][step])
      assert.equal(step == 2, means["teacher"][step] == means["teacher"][step])
      assert.truthy(read "/metrics/grad_norm"[step]:item() > 0)
    end
    assert.truthy(read "/run/model":find("teacher: Linear", 1, true))
  end)
end)

describe("what happens between two rows", function()
  it("has the step of the open row, events as well as evaluations", function()
    local dir <close> = process.tempdir()
    local read = run(dir, function(r)
      local set = data.blobs { n = 12, classes = 3, features = 4 }
      local net = nn.Linear(4, 3)
      r:event "before the first"
      r:evaluate(net, set)
      for step = 1, 3 do
        if step == 2 then r:event "in the second" end
        r:log { loss = 0 }
        if step == 2 then
          r:event "after the second"
          r:evaluate(net, set)
        end
      end
      r:event "after the last"
      r:evaluate(net, set)
    end)
    assert.same({ 1, 2, 3, 4 }, read "/events/step":totable())
    assert.same({ 1, 3, 4 }, read "/validation/step":totable())
  end)
end)

describe("a layer replaced during the forward over fixed samples", function()
  it("still has its random stream put back", function()
    local Net = nn.Module:extend "Net"
    function Net:init()
      self.fc = nn.Linear(4, 4)
      self.drop = nn.Dropout(0.5)
    end
    function Net:forward(x)
      local y = self.drop(self.fc(x))
      self.drop = nn.Dropout(0.5)
      collectgarbage()
      collectgarbage()
      return y
    end
    local net, loss_fn = Net(), nn.MSELoss()
    local optimizer = sonde.optim.SGD(net:parameters(), { lr = 0.1 })
    local x, y = sonde.randn(8, 4), sonde.randn(8, 4)
    local probe <close> = sonde.probe.attach(net, { input = x, target = y, loss = loss_fn })
    for _ = 1, 3 do
      optimizer:zero_grad()
      loss_fn(net(x), y):backward()
      optimizer:step()
      probe:step()
    end
  end)
end)
