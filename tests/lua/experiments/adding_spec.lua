--- experiments/adding.lua: a newcomer sees the gradient vanish through time, and sees it cured.
local h5 = require "sonde.h5"
local process = require "support.process"

local recipe = process.root .. "/experiments/adding.lua"

--- The rows of the picture: step → { start =, now = }, and the last step.
local function picture(text)
  local rows, last = {}, 0
  for line in text:gmatch("[^\n]+") do
    local step, start, now = line:match("^ *(%d+) +[█▉▊▋▌▍▎▏ ]+(%S+) +[█▉▊▋▌▍▎▏ ]+(%S+)$")
    if step then
      last = tonumber(step)
      rows[last] = { start = tonumber(start), now = tonumber(now) }
    end
  end
  return rows, last
end

describe("experiments/adding.lua", function()
  local dir
  before_each(function() dir = process.tempdir() end)
  after_each(function() getmetatable(dir).__close(dir) end)

  local function run(...)
    local arguments = { "run", recipe }
    for _, setting in ipairs { ... } do table.move({ "--set", setting }, 1, 2, #arguments + 1, arguments) end
    local result = process.sonde(arguments, { cwd = tostring(dir) })
    assert.equal(0, result.code, result.stderr)
    return result.stdout
  end

  local function result(name) return assert(h5.read(dir / "adding.h5", "/result/" .. name)) end

  it("shows the gradient vanish through time, and what to type", function()
    local stdout = run("steps=60")
    local rows, last = picture(stdout)
    assert.equal(50, last)
    assert.truthy(rows[1].start < 1e-9 * rows[50].start, stdout)
    assert.truthy(rows[1].start < rows[25].start and rows[25].start < rows[45].start)
    assert.truthy(stdout:find("(always saying 1: 0.1667)", 1, true))
    assert.truthy(stdout:find("It did not learn to add. See it cured: ", 1, true))
    assert.truthy(stdout:find("--set cell=lstm", 1, true))
    assert.equal(1 / 6, result("baseline"))
    assert.truthy(result("test_loss") > 0.12)
    local reach = assert(h5.read(dir / "adding.h5", "/metrics/reach"))
    assert.near(rows[1].start / rows[50].start, reach[1]:item(), 0.05 * reach[1]:item()) -- the picture is the file's
  end)

  it("shows it cured: the gate open from the start lets it through, and the network adds", function()
    local stdout = run("cell=lstm", "steps=700", "length=25")
    assert.truthy(result("reach") > 1e-5, stdout)
    assert.truthy(result("test_loss") < 0.1 * result("baseline"), stdout)
    assert.is_nil(stdout:find("See it cured", 1, true))
  end)

  it("runs with every cell, without clipping, over two steps only", function()
    for _, cell in ipairs { "relu_rnn", "gru", "lstm", "rnn" } do
      local _, last = picture(run("cell=" .. cell, "clip=0", "length=2", "steps=2", "hidden=3", "forget_bias=0"))
      assert.equal(2, last)
      os.remove(dir / "adding.h5")
    end
  end)

  it("is peeked at", function()
    local peeked = process.sonde({ "peek", recipe, "--set", "length=10" }, { cwd = tostring(dir) })
    assert.equal(0, peeked.code, peeked.stderr)
    assert.truthy(peeked.stdout:find("rnn", 1, true), peeked.stdout)
  end)
end)
