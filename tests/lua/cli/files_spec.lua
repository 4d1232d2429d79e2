--- show, check and diff: what a user learns about a file.
local h5 = require "sonde.h5"
local process = require "support.process"
local recipe = require "support.recipe"
local sonde = require "sonde"

local function call(dir, ...) return process.sonde({ ... }, { cwd = tostring(dir) }) end

local function run(dir, parts, ...)
  recipe.write(dir / "r.lua", parts)
  local result = call(dir, "run", "r.lua", "--quiet", "--force", ...)
  assert.equal(0, result.code, result.stderr)
end

local function says(text, part) assert.truthy(text:find(part, 1, true), text) end

--- Changes a finished file in Python.
local function edit(path, code)
  local done = process.python("import sys, h5py, numpy as np\nwith h5py.File(sys.argv[1], 'r+') as f:\n    "
    .. code:gsub("\n", "\n    "), { path })
  assert.equal(0, done.code, done.stderr)
end

describe("show", function()
  it("tells how far a live run has come, and that a dead one was killed", function()
    local dir <close> = process.tempdir()
    local look = "sleep 1.6; X show small.h5 >live 2>&1; X check small.h5.part >checked 2>&1; kill -9 $PPID"
    recipe.write(dir / "r.lua", { log = ("run:log { loss = loss:item() } if run.step == 5 then os.execute(%q) end")
      :format((look:gsub("X", process.interpreter()[1]))) })
    assert.equal(137, call(dir, "run", "r.lua", "--quiet").code)
    local live = process.read(dir / "live")
    assert.truthy(live:find("^small: running, 5 steps so far in [%d.]+ s, seed 1\n"), live)
    says(live, "/weight_grad_hist: 1 rows\n")
    says(process.read(dir / "checked"), "small.h5.part follows the format sonde-history 1.0 (5 steps)")
    local dead = call(dir, "show", "small.h5").stdout
    assert.truthy(dead:find("^small: killed, 5 steps in [%d.]+ s, seed 1\n  `sonde recover small.h5.part`"), dead)
    assert.equal(0, call(dir, "recover", "small.h5.part").code)
    assert.truthy(call(dir, "show", "small.h5").stdout:find("^small: recovered, 5 steps in"))
  end)

  it("takes time in proportion, and lists neither axes nor hundreds of names", function()
    local dir <close> = process.tempdir()
    local file, x = assert(h5.open(dir / "many.h5", "w")), sonde.rand(3, 4)
    for i = 1, 1000 do assert(file:write("/arrays/a" .. i, x)) end
    assert(file:close())
    local before = os.time()
    local result = call(dir, "show", "many.h5")
    assert.truthy(os.time() - before < 10) -- more than 20 s once
    assert.truthy(result.stdout:find("/arrays\n  %[3 × 4%] a1 a2 .* a30 … and 970 more %(%-%-json tells all%)\n"))
    assert.truthy(#result.stdout < 400)
    assert.equal(3, select(2, call(dir, "show", "many.h5", "--json").stdout:gsub('"a1000[^"]*": {', "")))
  end)

  it("lists /run in the same order, whatever was replaced", function()
    local dir <close> = process.tempdir()
    run(dir, { after = "run:model(nn.Sequential { nn.Linear(1, 1) }, 'late') run:note('a', 1)" })
    local file <close> = assert(h5.open(dir / "small.h5"))
    assert.same({ "environment", "model", "modules", "overrides", "params", "recipe_source", "notes" },
      file:list "/run")
    says(file:read "/run/model", "late: ")
  end)

  it("says what is wrong with a file it cannot read", function()
    local dir <close> = process.tempdir()
    run(dir)
    process.write(dir / "cut.h5", process.read(dir / "small.h5"):sub(1, 3000))
    process.write(dir / "cut.h5.part", process.read(dir / "small.h5"):sub(1, 3000))
    process.write(dir / "empty.h5", "")
    process.write(dir / "text.h5", "text")
    for name, message in pairs {
      ["none.h5"] = "'none.h5': No such file or directory", ["cut.h5"] = "'cut.h5' is damaged: truncated file",
      ["cut.h5.part"] = "`sonde recover cut.h5.part` may save what is left", ["empty.h5"] = "'empty.h5' is empty",
      ["text.h5"] = "'text.h5' is not an HDF5 file", ["."] = "'.' is a folder",
    } do
      for _, command in ipairs { "show", "check" } do
        local result = call(dir, command, name)
        assert.equal(1, result.code)
        says(result.stderr, message)
      end
    end
  end)
end)

describe("check", function()
  it("accepts what a run and a probe write, also by hand in Python", function()
    local dir <close> = process.tempdir()
    run(dir, { after = "run:evaluate(net, train, { loss = loss_fn }) run:event('end') run:save('w', net[1].weight) "
      .. "run:log { late = 1 } return { answer = 1 }" })
    says(call(dir, "check", "small.h5").stdout, "small.h5 follows the format sonde-history 1.0 (13 steps)")
    local probe = sonde.probe.attach(sonde.nn.Linear(2, 2))
    assert(probe:save(dir / "probe.h5"))
    probe:remove()
    assert.equal(0, call(dir, "check", "probe.h5").code)
    local done = process.python([[
import sys, h5py, numpy as np
with h5py.File(sys.argv[1], "w") as f:
    for name in "name about error producer command default".split(): f.attrs[name] = ""
    f.attrs.update({"format": "sonde-history", "format_version": "1.0", "status": "complete", "wall_seconds": 1.5,
                    "created": "2024-05-06T07:08:09Z"})
    for name in "seed n_steps threads".split(): f.attrs[name] = np.int64(3)
    g = f.create_group("mine")
    g["step"], g["x"] = np.arange(1, 4, dtype=np.int64), np.ones(3)
    g["step"].make_scale("step")
    g["x"].dims[0].attach_scale(g["step"])]], { dir / "mine.h5" })
    assert.equal(0, done.code, done.stderr)
    local result = call(dir, "check", "mine.h5")
    assert.equal(0, result.code, result.stdout)
  end)

  it("names everything that is wrong, and exits 1", function()
    local dir <close> = process.tempdir()
    run(dir)
    edit(dir / "small.h5", [[
f.attrs["status"] = "done"
f.attrs["n_steps"] = np.int64(3)
f.attrs["about"] = np.string_("fixed")
del f.attrs["seed"]
f["weight_grad/zero_frac"][4, 1] = 1.5
f["weight_grad/step"][3] = 1
f["weight_grad_hist/counts"][1, 2, 100] += 1
f["run/params"][()] = "{"
f["metrics/loss"].attrs["coordinates"] = "time nowhere"
f["metrics/time"].attrs["units"] = "seconds"
del f["activation/depth"], f["activation_grad/mean"]
del f["metrics/lr"]; f["metrics/lr"] = np.ones(12, np.float32)
f["soft"] = h5py.SoftLink("/metrics")
f["metrics/again"] = f["metrics/epoch"]
f["arrays/flags"] = np.array([True])
f["arrays/null"] = h5py.Empty("f")
f["arrays/name"] = np.array([b"abc"])
f["activation/probe"].dims[0].label = "fine"]])
    local result = call(dir, "check", "small.h5")
    assert.equal(1, result.code)
    for _, line in ipairs {
      "/: attribute 'seed' is missing", "/: status is 'done', expected one of running, complete",
      "/: attribute 'about' is string(5), expected a text of variable length in UTF-8",
      "/: n_steps is '3', expected at least 12, the last step",
      "/weight_grad/zero_frac: is 1.5 in row 5, expected 0 to 1", "/weight_grad/step: goes back in row 4",
      "/weight_grad_hist/counts: row 2, probe 3: counts, zeros and non-finite elements do not add up",
      "/run/params: is no JSON: line 1", "/metrics/loss: coordinates names 'nowhere', which is not there",
      "/metrics/time: units 'seconds' become", "/activation_grad: has no 'mean'",
      "/metrics/lr: is float32, expected float64", "/metrics/lr: axis 1 has no dimension scale",
      "/metrics/lr: has the axes (), expected (step)", "/soft: is a link of kind 'soft'",
      "/metrics/again: is one object under 2 names", "/arrays/flags: holds enum data", "/arrays/null: has no shape",
      "/arrays/name: is a string(3), expected texts of variable length",
    } do
      says(result.stdout, line)
    end
    assert.is_nil(result.stdout:find("/activation:", 1, true), result.stdout)
    says(result.stderr, "'small.h5' does not follow the format sonde-history 1.0")
  end)
end)

describe("diff", function()
  it("finds nothing between two runs of the same bits, whatever they were called", function()
    local dir <close> = process.tempdir()
    run(dir, nil, "-o", "a.h5")
    run(dir, nil, "-o", "b.h5", "--threads", "2")
    local result = call(dir, "diff", "a.h5", "b.h5")
    assert.equal(0, result.code, result.stdout)
    says(result.stdout, "no difference: ")
  end)

  it("tells parameters, source, the first number that differs and the largest difference", function()
    local dir <close> = process.tempdir()
    run(dir, nil, "-o", "a.h5")
    process.write(dir / "b.h5", process.read(dir / "a.h5"))
    edit(dir / "b.h5", "f['weight_grad/mean'][4:, 1] *= 1.5; f['weight_grad/mean'][7, 2] = np.nan")
    local result = call(dir, "diff", "a.h5", "b.h5")
    assert.equal(1, result.code)
    assert.truthy(result.stdout:find("^a.h5 | b.h5\nnumbers\n  /weight_grad/mean: 9 of 48 differ, first at step 5, "
      .. "probe 1.bias: %S+ | %S+; largest relative difference without limit at step 8, probe 3.weight\n$"),
      result.stdout)
    run(dir, { after = "-- a comment" }, "-o", "c.h5", "--set", "lr=0.2", "--set", "width=9", "--seed", "2")
    local other = call(dir, "diff", "a.h5", "c.h5").stdout
    for _, part in ipairs {
      "\nattributes\n  seed: 1 | 2\n", "\nparameters\n  lr: 0.1 | 0.2\n  width: 8 | 9\n", "\nsource\n  recipe: line ",
      "|     -- a comment\n", "out_features=9", "  /metrics/lr: 12 of 12 differ, first at step 1: 0.1",
      "; largest relative difference 0.5 at step 1\n",
    } do
      says(other, part)
    end
  end)

  it("compares what two runs have in common", function()
    local dir <close> = process.tempdir()
    run(dir, { after = "run:save('w', net[1].weight) run:save('v', net[1].weight)" }, "-o", "a.h5")
    run(dir, {
      before = "local old = nn.Sequential nn.Sequential = function(t) t[4] = nn.Identity() return old(t) end",
      after = "run:save('w', net[1].bias)",
    }, "-o", "b.h5", "--set", "steps=9")
    local result = call(dir, "diff", "a.h5", "b.h5")
    assert.equal(1, result.code)
    for _, part in ipairs {
      "/metrics/step: 12 | 9 values; the 9 of both are compared", "/arrays/v: only in the first file",
      "/arrays/w: the shape is 8 × 4 | 8\n", "/activation/probe: 3 | 4 values; the 3 of both are compared",
    } do
      says(result.stdout, part)
    end
    assert.is_nil(result.stdout:find("_axis", 1, true), result.stdout)
    assert.is_nil(result.stdout:find("/weight_grad/l2_norm", 1, true), result.stdout)
    assert.equal(1, call(dir, "diff", "a.h5", "none.h5").code)
    assert.equal(2, call(dir, "diff", "a.h5").code)
  end)
end)
