local sonde = require "sonde"
local core = require "sonde.core"
local expect = require "support.expect"
local nn, optim = sonde.nn, sonde.optim

--- Resident memory of this process in bytes.
local function resident()
  for line in io.lines("/proc/self/status") do
    local kilobytes = line:match("^VmRSS:%s*(%d+)")
    if kilobytes then return tonumber(kilobytes) * 1024 end
  end
end

describe("memory", function()
  it("stays flat while Lua makes big temporaries", function()
    local before = sonde.memory().live_bytes
    for _ = 1, 10000 do sonde.zeros(512, 512):add_(1) end
    assert.is_true(sonde.memory().live_bytes - before < 200 * 2 ^ 20)
    assert.is_true(resident() < 700 * 2 ^ 20)
  end)

  it("stays flat while a network trains", function()
    sonde.manual_seed(1)
    local net = nn.Sequential { nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10) }
    local opt, loss_fn = optim.SGD(net:parameters(), { lr = 0.1 }), nn.CrossEntropyLoss()
    local labels, most = sonde.randint(1, 10, { 32 }), { 0, 0 }
    for step = 1, 10000 do
      opt:zero_grad()
      loss_fn(net(sonde.randn(32, 64)), labels):backward()
      opt:step()
      local half = step <= 5000 and 1 or 2
      most[half] = math.max(most[half], sonde.memory().live_bytes)
    end
    assert.is_true(most[2] <= 1.02 * most[1])
  end)

  it("stays flat when every forward is thrown away", function()
    local net = nn.Linear(256, 256)
    local before = sonde.memory().live_bytes
    for _ = 1, 3000 do net(sonde.ones(64, 256)) end
    assert.is_true(sonde.memory().live_bytes - before < 200 * 2 ^ 20)
  end)

  it("that is missing is an error, not an end", function()
    collectgarbage()
    core.memory_limit(sonde.memory().live_bytes + 2 ^ 20)
    local ok, message = pcall(sonde.zeros, 1024, 1024)
    core.memory_limit(0)
    assert.is_false(ok)
    assert.truthy(message:find("memory", 1, true))
    expect.shape({ 1024, 1024 }, sonde.zeros(1024, 1024))
  end)

  it("may fail at every allocation of a training step", function()
    sonde.manual_seed(1)
    local net = nn.Sequential { nn.Linear(4, 3), nn.ReLU { inplace = true }, nn.BatchNorm1d(3), nn.Linear(3, 2) }
    local opt, loss_fn = optim.Adam(net:parameters()), nn.CrossEntropyLoss()
    net[1]:register_full_backward_hook(function() end)
    local x, y = sonde.randn(5, 4), sonde.tensor({ 1, 2, 1, 2, 1 }, { dtype = "int64" })
    local failures, n = 0, 0
    repeat
      n = n + 1
      core.memory_fail_at(n)
      local ok, message = pcall(function()
        opt:zero_grad()
        loss_fn(net(x), y):backward()
        nn.utils.clip_grad_norm_(net:parameters(), 1)
        opt:step()
        return tostring(net:state_dict()["1.weight"][{ {}, { 1, 2 } }])
      end)
      core.memory_fail_at(-1)
      if not ok then
        failures = failures + 1
        assert.truthy(tostring(message):find("memory", 1, true), message)
      end
    until ok
    assert.is_true(failures > 10)
  end)

  it("small tensors leave Lua's heap small, and a script's own pause as it is", function()
    local code = [[local sonde = require "sonde"
      if %s then collectgarbage("setpause", 400) end
      local x = sonde.ones(4)
      for _ = 1, 100000 do local _ = x + x end
      print(collectgarbage("count") // 1 | 0, collectgarbage("setpause"))]]
    local process = require "support.process"
    local function run(own) return process.sonde({ "lua", "-e", code:format(own) }).stdout:match("(%d+)\t(%d+)") end
    assert.truthy(tonumber((run("false"))) < 2500)
    assert.equal("400", (select(2, run("true"))))
  end)
end)
