-- Resident memory of 20,000 training steps with every default probe: `sonde lua memory.lua FOLDER`.
local sonde = require "sonde"
local nn, optim = sonde.nn, sonde.optim

local STEPS = 20000

local function resident()
  for line in io.lines "/proc/self/status" do
    local kb = line:match("^VmRSS:%s*(%d+)")
    if kb then return tonumber(kb) / 1024 end
  end
end

sonde.run({
  name = "bench-memory",
  run = function(_, run)
    local net = nn.Sequential {}
    for _ = 1, 20 do
      net:add(nn.Linear(64, 64))
      net:add(nn.Tanh())
    end
    net:add(nn.Linear(64, 10))
    net = run:model(net)
    local opt = run:optimizer(optim.SGD(net:parameters(), { lr = 0.01, momentum = 0.9 }))
    local loss_fn = nn.CrossEntropyLoss()
    local set = sonde.data.tensors { sonde.randn(1000, 64), sonde.randint(1, 10, { 1000 }) }
    run:probe(net)
    local early
    for x, y in run:batches(set, { batch_size = 32, steps = STEPS }) do
      opt:zero_grad()
      local loss = loss_fn(net(x), y)
      loss:backward()
      opt:step()
      run:log { loss = loss:item() }
      if run.step == STEPS // 4 then early = resident() end
    end
    local late = resident()
    print(("resident after %d steps %.1f MiB, after %d steps %.1f MiB: %+.2f %% (aim: within 2 %%)"):format(
      STEPS // 4, early, STEPS, late, (late / early - 1) * 100))
  end,
}, { out = arg[1] .. "/memory.h5" })
