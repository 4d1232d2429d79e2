--- Signals and kills: the file is whole up to the last step, or can be made so.
local h5 = require "sonde.h5"
local lfs = require "lfs"
local process = require "support.process"
local recipe = require "support.recipe"

--- Starts an endless run in dir, waits until it says that it has rows, sends the signals, and returns its exit code. (A
--- shell starts background programs with SIGINT ignored.)
local function run_and_signal(dir, signals, parts)
  recipe.write(dir / "r.lua", parts)
  local program = process.quote(process.interpreter()[1])
  local kills = {}
  for i, signal in ipairs(signals) do kills[i] = ("kill -%s $pid; sleep 0.3"):format(signal) end
  return process.run(([[
    env --default-signal=INT %s run r.lua --quiet --set steps=100000000 -o o.h5 2>err &
    pid=$!
    n=0
    until [ -f rows ] || [ $n -gt 200 ]; do sleep 0.05; n=$((n + 1)); done
    %s
    wait $pid]]):format(program, table.concat(kills, "\n")), { cwd = tostring(dir), timeout = 60 })
end

--- Ends the step, and after so many seconds of them says that there are rows. (After 2 s they are on disk.)
local function tell_after(seconds)
  return ([[run:log { loss = loss:item() }
    if not told and run.step > 50 and run:seconds() > %g then
      told = true
      io.open("rows", "w"):close()
    end]]):format(seconds)
end

--- A loop with an optimiser of its own and without run:log, instead of the recipe's.
local hand_written_loop = [[
    local w = sonde.ones(1):requires_grad_()
    local opt = run:optimizer(optim.SGD({ w }, { lr = 0.1 }))
    for step = 1, math.huge do
      opt:zero_grad()
      w:sum():backward()
      opt:step()
      if step == 10 then io.open("rows", "w"):close() end
    end]]

local function first_line(path) return process.read(path):match("^[^\n]*\n") end

--- The rows of /metrics in a file of this status; the probes' groups have as many, or after a kill, some at least.
local function rows_of(path, status)
  local file = assert(h5.open(path))
  assert.equal(status, file:attribute("/", "status"))
  local rows = file:info("/metrics/step").shape[1]
  for _, group in ipairs { "weight_grad", "activation", "weight" } do
    local n = file:info("/" .. group .. "/step").shape[1]
    if status == "recovered" then assert.truthy(n > 50, n) else assert.equal(rows, n) end
    assert.equal(n, file:read("/" .. group .. "/step")[n]:item()) -- none is missing in between
  end
  assert.truthy(file:attribute("/", "n_steps") >= rows)
  file:close()
  return rows
end

describe("a run that gets", function()
  for signal, code in pairs { HUP = 129, INT = 130, TERM = 143 } do
    it("SIG" .. signal .. " finishes its step and its file and exits " .. code, function()
      local dir <close> = process.tempdir()
      local result = run_and_signal(dir, { signal }, { log = tell_after(0.2) })
      assert.equal(code, result.code)
      assert.truthy(rows_of(dir / "o.h5", "interrupted") > 50)
      assert.is_nil(lfs.attributes(dir / "o.h5.part"))
      assert.truthy(process.read(dir / "err"):find("interrupted", 1, true))
    end)
  end

  it("a signal while the recipe swallows errors ends all the same", function()
    local dir <close> = process.tempdir()
    local result = run_and_signal(dir, { "INT" }, { log = "pcall(function() " .. tell_after(0.2) .. " end)" })
    assert.equal(130, result.code)
    rows_of(dir / "o.h5", "interrupted")
  end)

  it("a signal in a loop that never ends a step ends at the next step of the optimiser", function()
    local dir <close> = process.tempdir()
    local result = run_and_signal(dir, { "INT" }, { before = hand_written_loop })
    assert.equal(130, result.code)
    assert.equal("sonde: stopping at the end of this step; once more to stop at once\n", first_line(dir / "err"))
    local file = assert(h5.open(dir / "o.h5"))
    assert.equal("interrupted", file:attribute("/", "status"))
    file:close()
  end)

  it("a second signal is stopped in its own code, and its file is finished", function()
    for _, endless in ipairs {
      "while true do end", "while true do pcall(function() while true do end end) end",
      "coroutine.wrap(function() local x = sonde.ones(1) while true do x:exp() end end)()",
      "net[1]:register_forward_hook(function() while true do end end) net(x)",
    } do
      local dir <close> = process.tempdir()
      local result = run_and_signal(dir, { "INT", "INT" }, {
        log = tell_after(0.2) .. "\nif told then " .. endless .. " end" }) -- never gets to the end of a step again
      assert.equal(130, result.code, endless)
      assert.truthy(rows_of(dir / "o.h5", "interrupted") > 50)
      assert.is_nil(lfs.attributes(dir / "o.h5.part"))
      assert.truthy(process.read(dir / "err"):find("sonde: stopping at once; once more to leave the file unfinished\n",
        1, true))
    end
  end)

  it("a second signal in a run inside another one ends both, and both files are finished", function()
    local dir <close> = process.tempdir()
    recipe.write(dir / "inner.lua", { log = tell_after(0.2) .. "\nif told then while true do end end" })
    local result = run_and_signal(dir, { "INT", "INT" }, {
      before = "sonde.run('inner.lua', { out = 'inner.h5', set = { steps = 100000000 } }) while true do end" })
    assert.equal(130, result.code)
    for _, name in ipairs { "inner.h5", "o.h5" } do
      local file = assert(h5.open(dir / name))
      assert.equal("interrupted", file:attribute("/", "status"))
      file:close()
    end
  end)

  it("a third signal ends at once, and its file can be recovered", function()
    local dir <close> = process.tempdir()
    local result = run_and_signal(dir, { "INT", "INT", "INT" }, {
      log = tell_after(2.6) .. "\nif told then io.popen('exec sleep 20'):read() end" }) -- in C: Lua cannot be stopped
    assert.equal(130, result.code)
    assert.truthy(lfs.attributes(dir / "o.h5.part"))
    local recovered = process.sonde({ "recover", "o.h5.part" }, { cwd = tostring(dir) })
    assert.equal(0, recovered.code, recovered.stderr)
  end)

  it("kill -9 leaves a file that show can read and recover makes whole", function()
    local dir <close> = process.tempdir()
    local result = run_and_signal(dir, { "STOP", "KILL" }, { log = tell_after(2.6) })
    assert.equal(137, result.code)
    local shown = process.sonde({ "show", "o.h5" }, { cwd = tostring(dir) }) -- finds o.h5.part
    assert.equal(0, shown.code, shown.stderr)
    assert.truthy(shown.stdout:find("/metrics: %d+ rows"), shown.stdout)
    local recovered = process.sonde({ "recover", "o.h5.part" }, { cwd = tostring(dir) })
    assert.equal(0, recovered.code, recovered.stderr)
    assert.truthy(rows_of(dir / "o.h5", "recovered") > 50)
    assert.is_nil(lfs.attributes(dir / "o.h5.part"))
    local again = process.sonde({ "recover", "o.h5.part" }, { cwd = tostring(dir) })
    assert.equal(1, again.code)
  end)
end)
