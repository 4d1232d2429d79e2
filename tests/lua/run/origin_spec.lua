--- The numerics watch of a run: the operator and the layer that made the first number that is not finite.
local sonde = require "sonde"
local h5 = require "sonde.h5"
local process = require "support.process"
local nn, optim, data = sonde.nn, sonde.optim, sonde.data

local Log = nn.Module:extend("Log")
function Log:forward(x) return x:log() end
local Root = nn.Module:extend("Root") -- finite forward; the slope at 0 is infinite
function Root:forward(x) return (x * 0):sqrt() * x end
local Mask = nn.Module:extend("Mask") -- makes an infinity that never reaches the loss
function Mask:forward(x) return sonde.where(x:gt(1e9), (x:detach() * 0):log(), x) end

--- Trains `net` for 6 steps and returns the text of the origin, its step and value, or nil.
local function origin_of(net, options)
  options = options or {}
  local dir <close> = process.tempdir()
  local x, y = sonde.ones(8, 3), sonde.zeros(8, 2)
  if options.poison then x[1][1] = 0 / 0 end
  local ok, message = sonde.run({
    name = "origin",
    run = function(_, run)
      run:model(net)
      local opt = run:optimizer(optim.SGD(net:parameters(), { lr = options.lr or 0.01 }))
      if options.probe ~= false then run:probe(net) end
      local step = 0
      for inputs, targets in run:batches(data.tensors { x, y }, { batch_size = 8, steps = 6 }) do
        step = step + 1
        if step == 3 and options.at_three then sonde.no_grad(function() options.at_three(net) end) end
        opt:zero_grad()
        local loss = nn.MSELoss()(net(inputs), targets)
        loss:backward()
        opt:step()
        run:log { loss = loss:item() }
      end
    end,
  }, { out = dir / "o.h5", quiet = true })
  assert(ok, message)
  local function column(name) return assert(h5.read(dir / "o.h5", "/events/" .. name)) end
  local codes = h5.load(dir / "o.h5").events and column "code":totable() or {}
  for i, code in ipairs(codes) do
    if code == 7 then return column "message"[i], column "step"[i]:item(), column "value"[i]:item() end
  end
end

describe("the origin of a number that is not finite", function()
  it("is the operator that made it from finite numbers, with its layer, step and what it read", function()
    local net = nn.Sequential {}:add("h", nn.Linear(3, 4)):add("r", nn.ReLU()):add("log", Log()):add("out",
      nn.Linear(4, 2))
    sonde.no_grad(function()
      net.h.weight:fill_(0)
      net.h.bias:fill_(1)
    end)
    local text, step, count = origin_of(net, { at_three = function(n)
      n.h.bias:fill_(-100) -- the ReLU gives 0, whose logarithm is not finite
    end })
    assert.truthy(text:find("operator 'log' in 'log' (Log) made it in the forward pass, reading numbers from 0 to 0", 1,
      true), text)
    assert.equal(3, step)
    assert.equal(32, count)
  end)

  it("is found without probes too", function()
    local net = nn.Sequential {}:add("h", nn.Linear(3, 2)):add("log", Log())
    local text = origin_of(net, { probe = false, at_three = function(n) n.h.weight:fill_(-1) end })
    assert.truthy(text:find("'log' in 'log' (Log)", 1, true), text)
  end)

  it("is the backward pass where the forward one was finite", function()
    local net = nn.Sequential {}:add("h", nn.Linear(3, 4)):add("root", Root()):add("out", nn.Linear(4, 2))
    local text, step = origin_of(net)
    assert.truthy(text:find("the backward pass of 'sqrt' in 'root' (Root) made it, from a gradient", 1, true), text)
    assert.equal(1, step)
  end)

  it("is a parameter or the data where these held it already", function()
    local text, step = origin_of(nn.Sequential {}:add("out", nn.Linear(3, 2)), { lr = 1e300 })
    assert.truthy(text:find("the parameter 'out.weight' held it already when 'linear'", 1, true), text)
    assert.equal(2, step) -- the first update put it there
    local damaged = nn.Sequential {}:add("h", nn.Linear(3, 3)):add("out", nn.Linear(3, 2))
    text, step = origin_of(damaged, { at_three = function(n) n.h.weight[2][2] = 0 / 0 end })
    assert.truthy(text:find("the parameter 'h.weight' held it already when 'linear' in 'h'", 1, true), text)
    assert.equal(3, step)
    text, step = origin_of(nn.Sequential { nn.Linear(3, 2) }, { poison = true })
    assert.truthy(text:find("the data, or a constant, held it already", 1, true), text)
    assert.equal(1, step)
  end)

  it("is not a mask of -inf that a softmax has swallowed", function()
    local Masked = nn.Module:extend("Masked")
    function Masked:forward(x) return (x + sonde.where(x:gt(0), x * 0, sonde.zeros(1) - math.huge)):softmax(2) end
    local Bad = nn.Module:extend("Bad")
    function Bad:forward(x) return (x * 0 - 1):log() end
    local text = origin_of(nn.Sequential {}:add("m", Masked()):add("bad", Bad()):add("out", nn.Linear(3, 2)))
    assert.truthy(text:find("'log' in 'bad' (Bad) made it", 1, true), text)
  end)

  it("is not what never reached the loss", function()
    assert.is_nil(origin_of(nn.Sequential { nn.Linear(3, 4), Mask(), nn.Linear(4, 2) }))
  end)
end)
