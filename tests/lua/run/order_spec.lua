--- Mistakes of order in a hand-written loop are said on stderr in the first steps; a right loop is silent.
local process = require "support.process"

local function said(loop, before)
  local dir <close> = process.tempdir()
  process.write(dir / "loop.lua", ([[
local sonde = require "sonde"
local nn, optim, data = sonde.nn, sonde.optim, sonde.data
return { run = function(p, run)
  local net = run:model(nn.Sequential { nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 2) })
  local opt = run:optimizer(optim.SGD(net:parameters(), { lr = 0.1 }))
  run:probe(net)
  local clip, loss_fn, last = nn.utils.clip_grad_norm_, nn.CrossEntropyLoss(), nil
  %s
  for x, y in run:batches(data.spirals { n = 64 }, { batch_size = 16, steps = 8 }) do
    %s
    run:log { loss = last }
  end
end }
]]):format(before or "", loop))
  local result = process.sonde({ "run", "loop.lua", "--quiet" }, { cwd = tostring(dir) })
  assert.equal(0, result.code, result.stderr)
  return result.stderr
end

local right = [[
    opt:zero_grad()
    local loss = loss_fn(net(x), y)
    loss:backward()
    clip(net:parameters(), 0.1)
    opt:step()
    last = loss:item()
]]

--- The right loop with a part of it replaced.
local function with(pattern, replacement) return (right:gsub(pattern, replacement)) end

local function once(text, pattern)
  assert.equal(1, select(2, text:gsub(pattern, "")), text)
end

describe("the order of a loop", function()
  it("is not remarked upon where it is right, nor where gradients are accumulated on purpose", function()
    assert.equal("", said(right))
    assert.equal("", said [[
    for half = 0, 1 do
      local rows = { { half * 8 + 1, half * 8 + 8 } }
      local loss = loss_fn(net(x[rows]), y[rows]) / 2
      loss:backward()
      last = loss:item()
    end
    opt:step()
    opt:zero_grad()
]])
  end)

  it("is right where two networks train each other", function()
    assert.equal("", said([[
    opt:zero_grad()
    local loss = loss_fn(net(x), y)
    loss:backward()
    opt:step()
    other_opt:zero_grad()
    loss_fn(net(other(x)), y):backward() -- passes through net and adds to its gradients
    other_opt:step()
    last = loss:item()
]], [[
  local other = run:model(nn.Linear(2, 2), "other")
  local other_opt = run:optimizer(optim.SGD(other:parameters(), { lr = 0.1 }))
]]))
  end)

  it("wants gradients zeroed", function()
    local text = said(with("opt:zero_grad%(%)", ""))
    once(text, "call optimizer:zero_grad")
    assert.truthy(text:find("step 2: ", 1, true), text)
  end)

  it("wants clipping before the update", function()
    local text = said((with("    clip.-\n", ""):gsub("opt:step%(%)", "opt:step() clip(net:parameters(), 0.1)")))
    once(text, "clipped after the optimiser's step")
    assert.truthy(text:find("step 1: ", 1, true), text)
  end)

  it("wants a backward before each update", function()
    local text = said(with("opt:step%(%)", "opt:step() opt:step()"))
    once(text, "has used already: loss:backward")
  end)

  it("wants training mode", function()
    once(said(right, "net:eval()"), "trained in eval mode")
  end)
end)
