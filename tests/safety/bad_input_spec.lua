--- Bad input, through the real program: the message names the thing, the exit code is right, nothing written is lost.
local h5 = require "sonde.h5"
local lfs = require "lfs"
local process = require "support.process"
local recipe = require "support.recipe"

--- sonde run r.lua in dir, with a recipe made of parts; returns the result and the line of `-- here`.
local function run(dir, parts, arguments, opts)
  local text = type(parts) == "string"
  local _, line
  if text then process.write(dir / "r.lua", parts) else _, line = recipe.write(dir / "r.lua", parts, "-- here") end
  opts = opts or {}
  opts.cwd = tostring(dir)
  return process.sonde({ "run", "r.lua", "--quiet", table.unpack(arguments or {}) }, opts), line
end

local function says(result, text, code)
  assert.equal(code or 1, result.code, result.stderr)
  assert.truthy(result.stderr:find(text, 1, true), result.stderr)
  assert.is_nil(result.stderr:find("stack traceback", 1, true), result.stderr)
end

--- The file of a run that failed after so many steps is whole and says why.
local function holds(dir, steps, reason)
  local file = assert(h5.open(dir / "small.h5"))
  assert.equal("failed", file:attribute("/", "status"))
  assert.truthy(file:attribute("/", "error"):find(reason, 1, true), file:attribute("/", "error"))
  assert.equal(steps, file:attribute("/", "n_steps"))
  assert.equal(steps, file:info("/metrics/step").shape[1])
  if steps > 0 then assert.equal(steps, file:info("/weight_grad/step").shape[1]) end
  file:close()
  assert.is_nil(lfs.attributes(dir / "small.h5.part"))
end

describe("a recipe", function()
  it("with a syntax error", function()
    local dir <close> = process.tempdir()
    says(run(dir, "return {\n  run = function( end\n}"), "sonde: r.lua:2: ")
    says(process.sonde({ "run", "nowhere.lua" }, { cwd = tostring(dir) }), "nowhere.lua: No such file or directory")
  end)

  it("with an error in run: the steps before it are kept", function()
    local dir <close> = process.tempdir()
    local result, line = run(dir, { forward = "if run.step == 5 then error(nil .. 'x') end -- here" })
    says(result, ("sonde: r.lua:%d: attempt to concatenate a nil value"):format(line))
    holds(dir, 5, "attempt to concatenate a nil value")
  end)

  it("that fails before its first step leaves a file that the next run may replace", function()
    local dir <close> = process.tempdir()
    says(run(dir, { before = "error('not yet') -- here" }), "not yet")
    holds(dir, 0, "not yet")
    assert.equal(0, (run(dir)).code)
  end)

  it("with an error that is no text", function()
    local dir <close> = process.tempdir()
    local result, line = run(dir, { before = "error({}) -- here" })
    says(result, ("r.lua:%d: an error that is a table"):format(line))
  end)

  it("with a wrong return value", function()
    local dir <close> = process.tempdir()
    says(run(dir, "return 3"), "r.lua: a recipe returns a table, this returned number")
    says(run(dir, { after = "return 'done'" }), "r.lua: run returned a string")
    holds(dir, 12, "run returned a string")
    says(run(dir, { after = "return { loss = 'low' }" }, { "--force" }), "run returned a string as 'loss'")
    says(run(dir, { after = "return { loss = { 1, {} } }" }, { "--force" }), "run returned a table as 'loss'")
  end)

  it("with an unknown or ill-typed --set", function()
    local dir <close> = process.tempdir()
    says(run(dir, nil, { "--set", "widht=3" }), "--set: unknown parameter 'widht' (did you mean 'width'?)", 2)
    says(run(dir, nil, { "--set", "width=0.5" }), "--set: parameter 'width': expected a whole number, got '0.5'", 2)
    says(run(dir, nil, { "--set", "width" }), "--set: expected NAME=VALUE, got 'width'", 2)
    assert.is_nil(lfs.attributes(dir / "small.h5"))
  end)
end)

describe("data", function()
  it("that is missing or corrupt", function()
    local dir <close> = process.tempdir()
    says(run(dir, { before = "data.csv('none.csv', { target = 'y' })" }), "none.csv")
    process.write(dir / "train.idx", "\0\0\8\3\0\0\0\255 too short")
    local result, line = run(dir, { before = "data.idx('train.idx') -- here" })
    says(result, "train.idx")
    says(result, ("r.lua:%d: "):format(line))
    says(run(dir, { before = "data.fashion_mnist { dir = '.' }" }), "apt-get install dataset-fashion-mnist")
  end)

  it("with a label 0 or C + 1", function()
    local dir <close> = process.tempdir()
    local result = run(dir, { before = "data.tensors { sonde.rand(3, 4), sonde.zeros(3, { dtype = 'int64' }) }" })
    says(result, "label")
    local bad = run(dir, { forward = "if run.step == 2 then y = y + 3 end" }, { "--force" })
    says(bad, "label")
    holds(dir, 2, "label")
  end)
end)

describe("the output file", function()
  it("that exists is refused without --force, before anything is done, and stays as it was", function()
    local dir <close> = process.tempdir()
    assert.equal(0, (run(dir)).code)
    local before = process.read(dir / "small.h5")
    local result = run(dir, { before = "print('started')" })
    says(result, "'small.h5' exists already; use --force")
    assert.equal("", result.stdout)
    assert.equal(before, process.read(dir / "small.h5"))
    assert.equal(0, (run(dir, nil, { "--force", "--seed", "2" })).code)
    assert.not_equal(before, process.read(dir / "small.h5"))
  end)

  it("stays as it was when a run with --force fails to end well", function()
    local dir <close> = process.tempdir()
    assert.equal(0, run(dir).code)
    local before = process.read(dir / "small.h5")
    local result = run(dir, { forward = "if run.step == 5 then os.execute 'kill -9 $PPID' end" }, { "--force" })
    assert.equal(137, result.code)
    assert.truthy(before == process.read(dir / "small.h5"))
  end)

  it("in a folder that does not exist or cannot be written", function()
    local dir <close> = process.tempdir()
    says(run(dir, nil, { "-o", "nowhere/out.h5" }), "nowhere/out.h5")
    says(run(dir, nil, { "-o", "/proc/out.h5" }), "/proc/out.h5")
  end)

  it("on a disk that fills up: the run stops, says so, and what was written can be recovered", function()
    local dir <close> = process.tempdir()
    recipe.write(dir / "r.lua")
    local words = process.interpreter()[1] .. " run r.lua --quiet --set steps=20000 --set width=64"
    local result = process.run("ulimit -f 4000; exec " .. words, { cwd = tostring(dir) })
    says(result, "small.h5")
    says(result, "sonde recover")
    local again = process.sonde({ "recover", "small.h5.part" }, { cwd = tostring(dir) })
    assert.equal(0, again.code, again.stderr)
    local file = assert(h5.open(dir / "small.h5"))
    assert.equal("recovered", file:attribute("/", "status"))
    local rows = file:info("/metrics/step").shape[1]
    assert.truthy(rows > 100 and rows < 20000, rows)
    local loss = file:read "/metrics/loss"
    assert.truthy(loss[rows]:item() == loss[rows]:item())
    file:close()
  end)
end)

describe("a network", function()
  it("whose shapes do not match: the layer's path and both shapes", function()
    local dir <close> = process.tempdir()
    local result = run(dir, { before = [[
      local broken = nn.Sequential { nn.Linear(4, 8), nn.Linear(7, 3) }
      broken(sonde.rand(16, 4)) -- here]] })
    says(result, "layer '2' (Linear)")
    says(result, "[16, 8]")
    says(result, "[3, 7]")
  end)

  it("that needs more memory than there is", function()
    local dir <close> = process.tempdir()
    local result, line = run(dir, { forward = "if run.step == 3 then sonde.zeros(1000000, 10000000) end -- here" })
    says(result, ("r.lua:%d: "):format(line))
    says(result, "memory")
    holds(dir, 3, "memory")
  end)
end)

describe("the command line", function()
  it("that is wrong: exit code 2, and the nearest right word", function()
    local dir <close> = process.tempdir()
    local function call(...) return process.sonde({ ... }, { cwd = tostring(dir) }) end
    says(call("rnu"), "unknown command 'rnu' (did you mean 'run'?)", 2)
    says(call("run", "r.lua", "--thread", "2"), "Did you mean", 2)
    says(call("run"), "missing argument 'recipe'", 2)
    says(call("run", "r.lua", "--seed", "x"), "--seed: expected a whole number of at least 0, got 'x'", 2)
    says(call("run", "r.lua", "--seed", "-1"), "--seed: expected a whole number of at least 0, got '-1'", 2)
    says(call("peek", "r.lua", "--seed=-1"), "--seed: expected a whole number of at least 0, got '-1'", 2)
    says(call("run", "r.lua", "--threads", "0"), "--threads: expected a whole number from 1 to 1024, got '0'", 2)
    says(call("run", "r.lua", "--threads", "1025"), "--threads: expected a whole number from 1 to 1024, got '1025'", 2)
    says(call("run", "r.lua", "--data", "nowhere"), "--data: there is no folder 'nowhere'", 2)
    says(call("show", "nowhere.h5"), "nowhere.h5")
    process.write(dir / "text.h5", "this is no HDF5 file")
    says(call("show", "text.h5"), "text.h5")
    says(call("recover", "text.h5"), "text.h5")
  end)
end)
