--- The file that a run writes: what it may replace, and what is left when the run ends early.
local core = require "sonde.core"
local h5 = require "sonde.h5"
local lfs = require "lfs"
local process = require "support.process"
local recipe = require "support.recipe"
local sonde = require "sonde"

local function call(dir, ...) return process.sonde({ ... }, { cwd = tostring(dir) }) end

--- A finished run small.h5 and its bytes.
local function finished(dir)
  recipe.write(dir / "r.lua")
  assert.equal(0, call(dir, "run", "r.lua", "--quiet").code)
  return process.read(dir / "small.h5")
end

local function says(result, text) assert.truthy(result.stderr:find(text, 1, true), result.stderr) end

describe("run --force", function()
  it("keeps the old file when the new run fails before its first step", function()
    local dir <close> = process.tempdir()
    local old = finished(dir)
    recipe.write(dir / "r.lua", { before = "error('no data')" })
    local result = call(dir, "run", "r.lua", "--quiet", "--force")
    assert.equal(1, result.code)
    says(result, "no data; and no step was made, so 'small.h5' is still the one of the run before")
    assert.truthy(old == process.read(dir / "small.h5"))
    assert.is_nil(lfs.attributes(dir / "small.h5.part"))
    recipe.write(dir / "r.lua", { before = "os.exit(3)" })
    assert.equal(3, call(dir, "run", "r.lua", "--quiet", "--force").code)
    assert.truthy(old == process.read(dir / "small.h5"))
    recipe.write(dir / "r.lua", { after = "error('too late')" })
    assert.equal(1, call(dir, "run", "r.lua", "--quiet", "--force").code)
    assert.falsy(old == process.read(dir / "small.h5"))
  end)

  it("replaces a run that never made a step, also without being told to", function()
    local dir <close> = process.tempdir()
    recipe.write(dir / "r.lua", { before = "error('no data')" })
    says(call(dir, "run", "r.lua", "--quiet"), "no data; small.h5 holds no step")
    finished(dir)
    says(call(dir, "run", "r.lua", "--quiet"), "'small.h5' exists already; use --force to replace it")
  end)

  it("never replaces what is no run's file, least of all the recipe", function()
    local dir <close> = process.tempdir()
    recipe.write(dir / "r.lua")
    process.write(dir / "notes.txt", "precious")
    assert(h5.save(dir / "data.h5", { x = 1 }))
    for _, name in ipairs { "r.lua", "./r.lua", "notes.txt", "data.h5" } do
      local old = process.read(dir / name)
      for _, flag in ipairs { "--quiet", "--force" } do
        local result = call(dir, "run", "r.lua", "-o", name, flag)
        assert.equal(1, result.code)
        says(result, name == "r.lua" and "'r.lua' is the recipe itself" or "is not a whole file of a sonde run")
        assert.is_nil(result.stderr:find("--force", 1, true))
      end
      assert.truthy(old == process.read(dir / name))
    end
  end)
end)

describe("os.exit in a recipe", function()
  it("ends the run, and the program when the file is whole", function()
    local dir <close> = process.tempdir()
    local _, line = recipe.write(dir / "r.lua", { log = "run:log {} if run.step == 5 then os.exit(4) end" }, "os.exit")
    local result = call(dir, "run", "r.lua", "--quiet")
    assert.equal(4, result.code)
    says(result, ("r.lua:%d: os.exit(4) was called; small.h5 holds the 5 steps before"):format(line))
    assert.is_nil(lfs.attributes(dir / "small.h5.part"))
    local file <close> = assert(h5.open(dir / "small.h5"))
    assert.same({ "failed", 5 }, { file:attribute("/", "status"), file:attribute("/", "n_steps") })
  end)

  it("does so from scripts too, and behind a pcall", function()
    local dir <close> = process.tempdir()
    recipe.write(dir / "r.lua", { log = "run:log {} if run.step == 5 then pcall(os.exit) end" })
    local script = "local exit = os.exit require('sonde').run('r.lua') print(exit == os.exit) "
    local result = call(dir, "lua", "-e", script)
    assert.equal(0, result.code, result.stderr)
    assert.equal("", result.stdout) -- the program has ended before
    local file <close> = assert(h5.open(dir / "small.h5"))
    assert.same({ "interrupted", 5 }, { file:attribute("/", "status"), file:attribute("/", "n_steps") })
    recipe.write(dir / "r.lua")
    assert.equal("true\n", call(dir, "lua", "-e", (script:gsub("'r.lua'", "%0, { force = true }"))).stdout)
  end)
end)

describe("a file's writer", function()
  it("lets go of a history it could not start with", function()
    local dir <close> = process.tempdir()
    local writer = assert(core.h5.writer { path = dir / "a.h5" })
    assert(writer:put("/metrics/x", 1))
    local blocks
    for _ = 1, 2 do -- the first time things are made that stay
      local refused = core.record.history()
      refused:group("metrics"):variable("loss", "float64")
      assert.is_nil((writer:start(refused)))
      refused = nil -- luacheck: ignore
      collectgarbage()
      collectgarbage()
      local now = sonde.memory().live_blocks
      assert.equal(blocks or now, now)
      blocks = now
    end
    local history = core.record.history()
    local group = history:group("other")
    group:variable("n", "uint32")
    assert(writer:start(history))
    group:append(1, { n = 7 })
    history, group = nil, nil -- luacheck: ignore
    collectgarbage()
    assert(writer:finish { status = "complete", n_steps = 1 })
    writer:close()
    local file <close> = assert(h5.open(dir / "a.h5"))
    assert.same({ 7 }, file:read("/other/n"):totable())
    assert.equal("", file:attribute("/", "default"))
  end)

  it("takes no count that does not fit", function()
    local group = core.record.history():group("a")
    group:variable("n", "uint32")
    for _, n in ipairs { -1, 4294967295, 4294967296 } do
      assert.error_matches(function() group:append(1, { n = n }) end,
        ("column 'n': expected a count from 0 to 4294967294, got %d"):format(n), 1, true)
    end
    group:append(1, { n = 4294967294 })
    assert.equal(4294967294, group:read("n"))
  end)
end)
