--- sonde.run inside a recipe, and runs that cannot begin.
local sonde = require "sonde"
local core = require "sonde.core"
local h5 = require "sonde.h5"
local lfs = require "lfs"
local process = require "support.process"
local recipe = require "support.recipe"

it("a run inside a run leaves the outer one its clipping, its data folder and its random numbers", function()
  local dir <close> = process.tempdir()
  assert(lfs.mkdir(dir / "inner"))
  recipe.write(dir / "inner/inner.lua", { update = "nn.utils.clip_grad_norm_(net:parameters(), 1e-3)" })
  process.write(dir / "beside.csv", "a,y\n1,0\n2,1\n")
  local parts = {
    before = [[local function beside() return #data.csv("beside.csv", { target = "y" }) end]],
    update = "nn.utils.clip_grad_norm_(net:parameters(), 1e-2) clips = (clips or 0) + 1",
    log = [[run:log { loss = loss:item() }
      if run.step == 3 and p.nested then
        sonde.run(p.folder .. "/inner/inner.lua", { out = p.folder .. "/inner.h5", set = { steps = 2 } })
      end
      assert(beside() == 2)]],
  }
  local text = recipe.text(parts):gsub("params = {", "params = { nested = false, folder = 'x',", 1)
  process.write(dir / "outer.lua", text)
  local function run(name, nested)
    local outcome = sonde.run(dir / "outer.lua", { out = dir / name, set = { nested = nested, folder = dir.path } })
    assert.equal("complete", outcome.status)
    return assert(h5.read(dir / name, "/metrics/clip_coef")), assert(h5.read(dir / name, "/metrics/loss"))
  end
  local coef, loss = run("alone.h5", false)
  local coef_nested, loss_nested = run("nested.h5", true)
  assert.equal(12, #coef)
  assert.truthy(coef:lt(1):sum():item() == 12)
  assert.truthy(coef:equal(coef_nested))
  assert.truthy(loss:equal(loss_nested))
end)

it("a run that cannot begin leaves nothing open, and its file can be written by the next", function()
  local dir <close> = process.tempdir()
  local Run = require "sonde.run.object"
  local new, ids = Run.new, core.h5.open_ids()
  local small = { name = "small", run = function(_, run) run:log { loss = 1 } end }
  rawset(Run, "new", function() error("out of memory", 0) end)
  local ok, message = pcall(sonde.run, small, { out = dir / "x.h5" })
  rawset(Run, "new", new)
  assert.same({ false, "out of memory" }, { ok, message })
  assert.equal(ids, core.h5.open_ids()) -- without the collector's help
  assert.equal("complete", sonde.run(small, { out = dir / "x.h5" }).status)
end)

it("run:command is what to type in this folder to get the run again, changed", function()
  local dir <close> = process.tempdir()
  recipe.write(dir / "my r.lua", { after = "print(run:command { set = { lr = 0.2, steps = 3 }, out = 'it\\'s.h5' })" })
  local result = process.sonde({ "run", "my r.lua", "--set", "width=4", "--set", "steps=2", "--seed", "7", "--quiet",
    "--data", "." }, { cwd = tostring(dir), env = { SONDE_LAUNCHER = "../a b/sonde" } })
  assert.equal(0, result.code, result.stderr)
  assert.equal([['../a b/sonde' run 'my r.lua' --set lr=0.2 --set steps=3 --set width=4 --data . --seed 7 ]]
    .. [[-o 'it'\''s.h5']], result.stdout:match("[^\n]*"))
end)
