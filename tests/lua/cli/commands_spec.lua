--- The commands, as a user types them.
local h5 = require "sonde.h5"
local process = require "support.process"
local recipe = require "support.recipe"

local function call(dir, ...)
  return process.sonde({ ... }, { cwd = tostring(dir) })
end

local function python(code, stdin)
  return process.run({ "/usr/bin/python3", "-c", code }, { stdin = stdin })
end

describe("help", function()
  it("lists every command there is, and each explains itself", function()
    local overview = call("/", "help")
    assert.equal(0, overview.code)
    assert.equal(overview.stdout, call("/", "--help").stdout)
    for _, name in ipairs(require "sonde.cli".commands) do
      assert.truthy(overview.stdout:find("\n  " .. name, 1, true), name)
      local one = call("/", "help", name)
      assert.equal(0, one.code)
      assert.truthy(one.stdout:find("Usage: sonde " .. name, 1, true), one.stdout)
    end
    assert.equal(call("/", "help", "run").stdout, call("/", "run", "--help").stdout)
    assert.equal(2, call("/", "help", "nothing").code)
    assert.equal(2, call("/").code)
  end)

  it("lists the launcher's own commands where it was the launcher that was called", function()
    local function overview(launcher)
      return process.sonde({ "help" }, { cwd = "/", env = { SONDE_LAUNCHER = launcher } }).stdout
    end
    assert.matches("\n  test .*\n  bench ", overview "./sonde")
    assert.is_nil(overview(""):find("\n  test ", 1, true))
    local result = process.sonde({ "tset" }, { cwd = "/", env = { SONDE_LAUNCHER = "./sonde" } })
    assert.matches("unknown command 'tset' (did you mean 'test'?)", result.stderr, 1, true)
    assert.equal(2, result.code)
  end)

  it("--version names what it is built on", function()
    local result = call("/", "--version")
    assert.equal(0, result.code)
    assert.truthy(result.stdout:find("^sonde %d+%.%d+%.%d+ %(Lua 5.4.*HDF5 1%."), result.stdout)
  end)
end)

describe("run", function()
  it("says on stdout what it wrote, and stores the command", function()
    local dir <close> = process.tempdir()
    recipe.write(dir / "r.lua")
    local result = call(dir, "run", "r.lua", "--set", "width=4", "--seed", "7", "-o", "my file.h5", "--threads", "2",
      "--trust")
    assert.equal(0, result.code, result.stderr)
    assert.truthy(result.stdout:find("^wrote my file.h5: 12 steps in "), result.stdout)
    assert.is_nil(result.stderr:find("[\r\27]")) -- no bar: this is no terminal
    local file = assert(h5.open(dir / "my file.h5"))
    assert.equal("sonde run r.lua --set width=4 --seed 7 -o 'my file.h5' --threads 2 --trust",
      file:attribute("/", "command"))
    assert.equal(7, file:attribute("/", "seed"))
    assert.equal(2, file:attribute("/", "threads"))
    assert.equal('{"width":"4"}', file:read "/run/overrides")
    file:close()
  end)

  it("shows a bar on a terminal", function()
    local dir <close> = process.tempdir()
    recipe.write(dir / "r.lua")
    local program = process.interpreter()[1] .. " run r.lua --set steps=30000"
    local result = process.run({ "script", "-qec", program, "/dev/null" },
      { cwd = tostring(dir), env = { TERM = "xterm", CI = "" } })
    assert.truthy(result.stdout:find("step %d+/30000  loss [%d.]+  %d+ steps/s"), result.stdout)
    assert.truthy(result.stdout:find("\r", 1, true))
  end)

  it("looks for data in the folders of --data", function()
    local dir <close> = process.tempdir()
    assert(os.execute("mkdir " .. dir / "sets"))
    process.write(dir / "sets/t.csv", "a,y\n1,0\n2,1\n")
    recipe.write(dir / "r.lua", { before = "assert(#data.csv('t.csv', { target = 'y', labels_from = 0 }) == 2)" })
    assert.equal(1, call(dir, "run", "r.lua", "--quiet").code)
    local result = call(dir, "run", "r.lua", "--quiet", "--data", "sets")
    assert.equal(0, result.code, result.stderr)
  end)

  it("finds data beside the recipe, and says where it looked if it finds none", function()
    local dir <close> = process.tempdir()
    assert(os.execute("mkdir " .. dir / "recipes " .. dir / "sets"))
    recipe.write(dir / "recipes/r.lua", { before = "assert(#data.csv('t.csv', { target = 'y' }) == 2)" })
    local result = call(dir, "run", "recipes/r.lua", "--quiet", "--data", "sets")
    assert.equal(1, result.code)
    assert.truthy(result.stderr:find("cannot open 't.csv': there is no such file in the current folder, sets, recipes; "
      .. "name its folder with --data DIR or SONDE_DATA", 1, true), result.stderr)
    process.write(dir / "recipes/t.csv", "a,y\n1,0\n2,1\n")
    result = call(dir, "run", "recipes/r.lua", "--quiet")
    assert.equal(0, result.code, result.stderr)
  end)
end)

describe("peek", function()
  it("prints the layer table of the first batch and writes nothing", function()
    local dir <close> = process.tempdir()
    recipe.write(dir / "r.lua", { log = "error('one batch only')" })
    local result = call(dir, "peek", "r.lua", "--set", "width=5")
    assert.equal(0, result.code, result.stderr)
    assert.truthy(result.stdout:find("1 +Linear +16×5 +25 "), result.stdout)
    assert.truthy(result.stdout:find("█", 1, true))
    assert.equal("r.lua\n", process.run({ "ls" }, { cwd = tostring(dir) }).stdout)
  end)

  it("says where a recipe fails, and that there was no training", function()
    local dir <close> = process.tempdir()
    local _, line = recipe.write(dir / "r.lua", { forward = "error('no')" }, "error('no')")
    local result = call(dir, "peek", "r.lua")
    assert.equal(1, result.code)
    assert.truthy(result.stderr:find(("r.lua:%d: no"):format(line), 1, true), result.stderr)
    process.write(dir / "n.lua", "return { run = function() end }")
    assert.truthy(call(dir, "peek", "n.lua").stderr:find("nothing to look at", 1, true))
  end)
end)

describe("show", function()
  it("tells what is in a file, and --json is one document", function()
    local dir <close> = process.tempdir()
    recipe.write(dir / "r.lua", { after = "run:evaluate(net, train)" })
    assert.equal(0, call(dir, "run", "r.lua", "--quiet").code)
    local result = call(dir, "show", "small.h5")
    assert.equal(0, result.code, result.stderr)
    assert.truthy(result.stdout:find("small: complete, 12 steps", 1, true))
    assert.truthy(result.stdout:find("/metrics: 12 rows", 1, true))
    assert.truthy(result.stdout:find("step 12 × probe 4", 1, true), result.stdout)
    local checked = python([==[
import json, sys
d = json.load(sys.stdin)
assert d["attributes"]["status"] == "complete" and not d["live"]
assert d["groups"]["metrics"]["datasets"]["loss"]["shape"] == [12]
assert d["groups"]["metrics"]["datasets"]["clip_coef"]["last"] is None
assert d["groups"]["weight_grad"]["datasets"]["l2_norm"]["axes"] == ["step", "probe"]]==],
      call(dir, "show", "small.h5", "--json").stdout)
    assert.equal(0, checked.code, checked.stderr)
  end)

  it("opens any HDF5 file", function()
    local dir <close> = process.tempdir()
    assert(h5.save(dir / "a.h5", { group = { x = 3 } }))
    local result = call(dir, "show", "a.h5")
    assert.equal(0, result.code, result.stderr)
    assert.truthy(result.stdout:find("no file of sonde", 1, true))
    assert.truthy(result.stdout:find("x=3", 1, true), result.stdout)
  end)
end)

describe("list", function()
  it("has the recipes of a folder with questions and parameters, and runs nothing else", function()
    local dir <close> = process.tempdir()
    recipe.write(dir / "b.lua")
    process.write(dir / "helper.lua", "error('must not run')")
    process.write(dir / "a.lua", "return { about = 'Why?', params = { n = { 3, 'how many', min = 1 } }, run = print }")
    local result = call(dir, "list", ".")
    assert.equal(0, result.code, result.stderr)
    assert.truthy(result.stdout:find("^a.lua\n  Why%?\n    n = 3  ·  how many\nb.lua\n  Does it learn%?"),
      result.stdout)
    process.write(dir / "c.lua", "run = 1\nreturn {")
    local broken = call(dir, "list", ".")
    assert.equal(1, broken.code)
    assert.truthy(broken.stderr:find("c.lua:2:", 1, true))
  end)
end)

describe("lua", function()
  it("is a plain Lua with sonde at hand", function()
    local dir <close> = process.tempdir()
    process.write(dir / "s.lua", "print(arg[0], #arg, require('sonde').version ~= nil, io ~= nil, debug ~= nil, ...)")
    assert.equal("s.lua\t2\ttrue\ttrue\ttrue\ta\tb c\n", call(dir, "lua", "s.lua", "a", "b c").stdout)
    assert.equal("3\n", call(dir, "lua", "-e", "print(1 + 2)").stdout)
    assert.equal("1\nx\n", call(dir, "lua", "-e", "print(1)", process.write(dir / "t.lua", "print((...))"), "x").stdout)
    assert.equal("hi\n", process.sonde({ "lua", "-" }, { stdin = "print 'hi'" }).stdout)
  end)

  it("ends with the script's exit code, or 1 and a traceback", function()
    local dir <close> = process.tempdir()
    assert.equal(7, call(dir, "lua", "-e", "os.exit(7)").code)
    local failed = call(dir, "lua", process.write(dir / "s.lua", "local function f() error('no') end\nf()"))
    assert.equal(1, failed.code)
    assert.truthy(failed.stderr:find("s.lua:1: no", 1, true))
    assert.truthy(failed.stderr:find("stack traceback", 1, true))
    assert.equal(1, call(dir, "lua", "none.lua").code)
    assert.equal(2, call(dir, "lua").code)
    assert.equal(2, call(dir, "lua", "-e").code)
  end)

  it("does not load what it does not need", function()
    local dir <close> = process.tempdir()
    local result = call(dir, "lua", "-e", "for name in pairs(package.loaded) do print(name) end")
    assert.is_nil(result.stdout:find("argparse", 1, true))
    assert.is_nil(result.stdout:find("sonde.core", 1, true))
  end)
end)
