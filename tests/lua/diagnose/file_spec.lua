--- sonde diagnose FILE: what is printed, JSON, exit codes, and files that are no whole run.
local h5 = require "sonde.h5"
local process = require "support.process"
local recipe = require "support.recipe"
local sonde = require "sonde"

local function call(dir, ...)
  return process.sonde({ ... }, { cwd = tostring(dir) })
end

--- A deep sigmoid network for a few steps, as a recipe's text.
local deep = [[
local sonde = require "sonde"
local nn, optim, data = sonde.nn, sonde.optim, sonde.data
return { name = "deep", params = { steps = 12, activation = "Sigmoid" }, run = function(p, run)
  local net = nn.Sequential {}
  for i = 1, 8 do
    local layer = nn.Linear(i == 1 and 2 or 16, 16)
    nn.init.orthogonal_(layer.weight)
    net:add("h" .. i, layer):add("a" .. i, nn[p.activation]())
  end
  run:model(net:add("out", nn.Linear(16, 2)))
  local opt = run:optimizer(optim.SGD(net:parameters(), { lr = 0.01 }))
  run:probe(net)
  run:fit { model = net, loss = nn.CrossEntropyLoss(), optimizer = opt, train = data.spirals { n = 64 },
    batch_size = 32, steps = p.steps }
end }
]]

describe("sonde diagnose", function()
  it("names a vanishing gradient in text and JSON, and --check turns it into an exit code", function()
    local dir <close> = process.tempdir()
    process.write(dir / "deep.lua", deep)
    assert.equal(0, call(dir, "run", "deep.lua").code)
    local text = call(dir, "diagnose", "deep.h5")
    assert.equal(0, text.code, text.stderr)
    assert.truthy(text.stdout:find("vanishing_gradient", 1, true), text.stdout)
    assert.truthy(text.stdout:find("█", 1, true))
    assert.truthy(text.stdout:find("derivative of sigmoid is at most 0.25", 1, true), text.stdout)
    local document = call(dir, "diagnose", "deep.h5", "--json", "--check")
    assert.equal(1, document.code)
    local checked = process.python([[
import json, sys
d = json.load(sys.stdin)
assert d["file"] == "deep.h5" and d["healthy"] is False
f, = d["findings"]
assert f["pathology"] == "vanishing_gradient" and 0 < f["severity"] <= 1 and f["since_step"] == 1
assert f["layers"][0] == "h1" and "relu+kaiming" in f["cures"] and f["evidence"]["decades_per_layer"] < -0.4
assert isinstance(f["cause"], str)
]], {}, { stdin = document.stdout })
    assert.equal("", checked.stderr)
  end)

  it("finds nothing in a healthy run, and takes other lines to draw", function()
    local dir <close> = process.tempdir()
    process.write(dir / "deep.lua", deep)
    assert.equal(0, call(dir, "run", "deep.lua", "--set", "activation=Identity").code)
    local result = call(dir, "diagnose", "deep.h5", "--check")
    assert.equal(0, result.code, result.stdout)
    assert.truthy(result.stdout:find("nothing wrong was found", 1, true))
    assert.equal(1, call(dir, "diagnose", "deep.h5", "--check", "--threshold", "exploding_growth=0.001", "--threshold",
      "hold=1").code)
    local wrong = call(dir, "diagnose", "deep.h5", "--threshold", "vanishing_decade=1")
    assert.equal(2, wrong.code)
    assert.truthy(wrong.stderr:find("did you mean 'vanishing_decades'", 1, true), wrong.stderr)
    assert.equal(2, call(dir, "diagnose", "deep.h5", "--threshold", "vanishing_decades=x").code)
  end)

  it("says what is wrong with a file that is missing, no HDF5, foreign, cut short or without rows", function()
    local dir <close> = process.tempdir()
    recipe.write(dir / "r.lua")
    assert.equal(0, call(dir, "run", "r.lua", "-o", "whole.h5").code)
    process.write(dir / "text.h5", "this is no HDF5 file")
    process.write(dir / "empty.h5", "")
    process.write(dir / "cut.h5", process.read(dir / "whole.h5"):sub(1, 4096))
    assert(h5.save(dir / "foreign.h5", { x = sonde.zeros(3) }))
    local expected = { ["missing.h5"] = "missing.h5", ["text.h5"] = "text.h5", ["empty.h5"] = "empty.h5",
                       ["cut.h5"] = "cut.h5", ["foreign.h5"] = "sonde%-history" }
    for name, pattern in pairs(expected) do
      local result = call(dir, "diagnose", name)
      assert.equal(1, result.code, name)
      assert.equal("", result.stdout)
      assert.truthy(result.stderr:find(pattern), result.stderr)
      assert.is_nil(result.stderr:find("traceback", 1, true))
    end
    process.write(dir / "none.lua", "return { run = function() end }")
    assert.equal(0, call(dir, "run", "none.lua").code)
    local none = call(dir, "diagnose", "none.h5")
    assert.equal(1, none.code)
    assert.truthy(none.stderr:find("no measured step", 1, true), none.stderr)
  end)

  it("reads a run that is still going, or was killed", function()
    local dir <close> = process.tempdir()
    process.write(dir / "deep.lua", deep)
    local program = process.interpreter()[1]
    process.run(("timeout -s KILL 4 %s run deep.lua --set steps=100000000 --quiet"):format(program),
      { cwd = tostring(dir) })
    local result = call(dir, "diagnose", "deep.h5.part", "--json")
    assert.equal(0, result.code, result.stderr)
    assert.truthy(result.stdout:find("vanishing_gradient", 1, true), result.stdout)
  end)
end)
