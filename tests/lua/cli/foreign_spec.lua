--- Files that somebody else wrote: what show, check and diff make of them.
local h5 = require "sonde.h5"
local json = require "sonde.json"
local process = require "support.process"
local sonde = require "sonde"

local function call(dir, ...) return process.sonde({ ... }, { cwd = tostring(dir) }) end

--- A file of our format written by h5py alone; `code` changes it while it is open as `f`.
local function by_hand(path, code)
  local script = process.root .. "/tests/interop/write_history.py"
  local done = process.run { "/usr/bin/python3", script, path, code or "" }
  assert.equal(0, done.code, done.stderr)
end

local function foreign(path)
  local done = process.python([[
import sys, h5py, numpy as np
with h5py.File(sys.argv[1], "w") as f:
    f["count"], f["nothing"], f["far"], f["big"] = np.int64(1500), -np.float64("nan"), -np.inf, 1234.5
    f["x"], f["flags"], f["null"] = np.arange(3.0), np.array([True]), h5py.Empty("f")
    f["many"] = np.zeros((1,) * 10)
    f["lost"] = h5py.SoftLink("/nowhere")
    f["g/deep/y"] = np.ones((2, 3))
    f["g/deep/again"] = f["g"]
    f["whole"] = f["/"]
    f.attrs["list"], f.attrs["none"] = np.arange(3), h5py.Empty("f")]], { path })
  assert.equal(0, done.code, done.stderr)
end

describe("show of a foreign file", function()
  it("prints whole numbers whole and NaN as nan, and says what it cannot read", function()
    local dir <close> = process.tempdir()
    foreign(dir / "f.h5")
    local text = call(dir, "show", "f.h5").stdout
    assert.equal("f.h5: no file of sonde\n  big=1234 count=1500 far=-inf lost (unreadable) many (unreadable) "
      .. "nothing=nan null\n  [1] flags\n  [3] x\n/g\n  deep/\n/whole\n  the same as /\n", text)
  end)

  it("is one JSON document with everything in it once", function()
    local dir <close> = process.tempdir()
    foreign(dir / "f.h5")
    local document = json.decode(call(dir, "show", "f.h5", "--json").stdout)
    assert.same({ 0, 1, 2 }, document.attributes.list)
    assert.equal(json.null, document.datasets.nothing.last)
    assert.equal(1500, document.datasets.count.last)
    assert.equal("a link that leads nowhere", document.datasets.lost.error)
    assert.equal("'f.h5': /many has 10 axes", document.datasets.many.error)
    assert.same({ 2, 3 }, document.groups.g.groups.deep.datasets.y.shape)
    assert.equal("/g", document.groups.g.groups.deep.groups.again.same_as)
    assert.equal("/", document.groups.whole.same_as)
  end)

  it("knows one of our format", function()
    local dir <close> = process.tempdir()
    by_hand(dir / "f.h5")
    assert.truthy(call(dir, "show", "f.h5").stdout:find("^by hand: complete, 6 steps in 0.7 s, seed 1\n"))
    local document = json.decode(call(dir, "show", "f.h5", "--json").stdout)
    local grad = document.groups.weight_grad
    assert.same({ lr = 0.1 }, document.params)
    assert.equal(6, grad.rows)
    assert.same({ "cell.weight", "out.weight" }, grad.datasets.probe.values)
    assert.same({ "step", "probe" }, grad.datasets.l2_norm.axes)
    assert.equal(6, grad.datasets.step.last)
  end)
end)

describe("check of a file written by h5py", function()
  it("accepts what follows the format", function()
    local dir <close> = process.tempdir()
    by_hand(dir / "f.h5")
    local result = call(dir, "check", "f.h5")
    assert.equal("f.h5 follows the format sonde-history 1.0 (6 steps)\n", result.stdout .. result.stderr)
    assert.same({ file = "f.h5", follows = true, problems = {} },
      json.decode(call(dir, "check", "f.h5", "--json").stdout))
  end)

  it("names the object that breaks it, and nothing else", function()
    local dir <close> = process.tempdir()
    for _, case in ipairs {
      { "del f.attrs['seed']", "/: attribute 'seed' is missing" },
      { "f.attrs['seed'] = 1.0", "/: attribute 'seed' is float64, expected int64" },
      { "f.attrs['n_steps'] = np.int64(5)", "/: n_steps is '5', expected at least 6, the last step" },
      { "f.attrs['status'] = 'running'", "/: status is 'running', but the file is closed" },
      { "f.attrs['format_version'] = '2.0'", "/: format_version is '2.0', expected 1.x" },
      { "f.attrs['created'] = 'today'", "/: created is 'today', expected a time in UTC as 2024-05-06T07:08:09Z" },
      { "f.attrs['default'] = 'grad'", "/: default is 'grad', expected the name of a group, or nothing" },
      { "del f['weight_grad/mean']", "/weight_grad: has no 'mean'" },
      { "del f['run/params']; f['run/params'] = '{'", "/run/params: is no JSON: line 1" },
      { "f['weight_grad/step'][2] = 1", "/weight_grad/step: goes back in row 3" },
      { "f['weight_grad/zero_frac'][1, 1] = 2", "/weight_grad/zero_frac: is 2 in row 2, expected 0 to 1" },
      { "f['hidden_grad/l2_norm'][3, 0, 2] = -1", "/hidden_grad/l2_norm: is -1 in row 4, expected 0 to inf" },
      { "f['weight_grad_hist/counts'][4, 1, 7] = 1", "/weight_grad_hist/counts: row 5, probe 2: counts, zeros and "
        .. "non-finite elements do not add up to the elements there are" },
      { "del f['metrics/lr']; column(f['metrics'], 'lr', np.ones(6, 'f4'), ['step'])",
        "/metrics/lr: is float32, expected float64" },
      { "f['weight_grad/extra'] = np.ones(6)", "/weight_grad/extra: axis 1 has no dimension scale" },
      { "del f['hidden_grad/length']; column(f['hidden_grad'], 'length', np.ones(4, int), ['time_step'])",
        "/hidden_grad/length: has the axes (time_step), expected (step)" },
      { "g = f['metrics']; g['more'] = np.ones(6); g['more'].dims[0].attach_scale(f['weight_grad/step'])",
        "/metrics/more: the scale '/weight_grad/step' of axis 1 lies in another group" },
      { "f['link'] = h5py.SoftLink('/metrics')", "/link: is a link of kind 'soft'" },
      { "f['notes'] = np.string_('fixed')", "/notes: is a string(5), expected texts of variable length in UTF-8" },
      { "f['flag'] = True", "/flag: holds enum data; only plain numbers and texts are allowed" },
      { "f['none'] = h5py.Empty('f')", "/none: has no shape (a NULL dataspace): xarray cannot open the file" },
    } do
      by_hand(dir / "f.h5", case[1])
      local result = call(dir, "check", "f.h5")
      assert.equal(1, result.code, case[1])
      assert.equal(case[2], result.stdout:sub(1, #case[2]), case[1])
      assert.equal(1, select(2, result.stdout:gsub("\n", "")), result.stdout)
      local found = json.decode(call(dir, "check", "f.h5", "--json").stdout)
      assert.is_false(found.follows)
      assert.equal(case[2]:match "^(.-):", found.problems[1].path)
    end
  end)

  it("finds a group without its steps", function()
    local dir <close> = process.tempdir()
    by_hand(dir / "f.h5", "del f['hidden_grad/step']")
    local result = call(dir, "check", "f.h5")
    assert.equal(1, result.code)
    assert.truthy(result.stdout:find("/hidden_grad: has no 'step'\n", 1, true), result.stdout)
  end)
end)

describe("diff", function()
  it("compares the steps that both have, whatever their cadence", function()
    local dir <close> = process.tempdir()
    by_hand(dir / "a.h5")
    by_hand(dir / "b.h5", [[
g = f["metrics"]; steps, loss = g["step"][()], g["loss"][()]
for name in list(g): del g[name]
scale(g, "step", np.array([0, 2, 4, 6, 8], dtype=np.int64))
column(g, "loss", np.array([9, loss[1], loss[3] * 2, loss[5], 9]), ["step"])]])
    local result = call(dir, "diff", "a.h5", "b.h5")
    assert.equal(1, result.code)
    local _, finish = result.stdout:find("  /metrics/step: 6 | 5 values; the 3 of both are compared\n", 1, true)
    assert.truthy(finish, result.stdout)
    assert.truthy(result.stdout:find("^  /metrics/epoch: only in the first file\n  /metrics/loss: 1 of 3 differ, first "
      .. "at step 4: %S+ | %S+; largest relative difference 0.5 at step 4\n", finish + 1), result.stdout)
    local document = json.decode(call(dir, "diff", "a.h5", "b.h5", "--json").stdout)
    assert.is_false(document.equal)
    local loss = document.differences[3]
    assert.same({ "/metrics/loss", "numbers", 1, 3, "step 4", 0.5 },
      { loss.name, loss.section, loss.n, loss.total, loss.first.where, loss.largest.relative })
    assert.is_true(json.decode(call(dir, "diff", "a.h5", "a.h5", "--json").stdout).equal)
  end)

  it("ends where groups lie in themselves", function()
    local dir <close> = process.tempdir()
    foreign(dir / "a.h5")
    foreign(dir / "b.h5")
    local file <close> = assert(h5.open(dir / "b.h5", "r+"))
    assert(file:write("/g/more", sonde.ones(2)))
    assert(file:close())
    assert.equal("a.h5 | b.h5\nnumbers\n  /g/more: only in the second file\n  /lost: cannot be read\n"
      .. "  /many: cannot be read\n", call(dir, "diff", "a.h5", "b.h5").stdout)
  end)
end)

describe("NaN", function()
  it("prints without a sign wherever it comes from", function()
    local nan = sonde.tensor { 0 / 0, -(0 / 0) }
    local theory = sonde.theory.mean_field("relu", { sigma_w = 1 })
    for _, value in ipairs { nan[1]:item(), nan[2]:item(), nan:totable()[1], nan:sum():item(), theory.c } do
      assert.equal("nan", tostring(value))
    end
    local dir <close> = process.tempdir()
    local done = process.sonde({ "run", process.root .. "/experiments/vanishing.lua", "--set", "activation=relu",
      "--set", "lr=100", "--set", "steps=8", "-o", "n.h5" }, { cwd = tostring(dir) })
    local said = done.stdout .. call(dir, "show", "n.h5").stdout .. call(dir, "diagnose", "n.h5").stdout
    assert.truthy(said:find("loss=nan", 1, true), said)
    assert.is_nil(said:find("-nan", 1, true), said)
  end)
end)
