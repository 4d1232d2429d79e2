--- experiments/vanishing.lua: a newcomer sees the gradient vanish, and sees it cured.
local h5 = require "sonde.h5"
local process = require "support.process"

local here = debug.getinfo(1, "S").source:match("^@(.*)/tests/") or "."
local recipe = here:gsub("^([^/])", require "lfs".currentdir() .. "/%1") .. "/experiments/vanishing.lua"

--- The rows of the picture: layer → { start =, now =, unmoved = }.
local function picture(text)
  local rows = {}
  for line in text:gmatch("[^\n]+") do
    local layer, start, now, unmoved = line:match("^([ho]%w+) +[█▉▊▋▌▍▎▏ ]+(%S+) +[█▉▊▋▌▍▎▏ ]+(%S+) +([%d.]+) %%$")
    if layer then rows[layer] = { start = tonumber(start), now = tonumber(now), unmoved = tonumber(unmoved) } end
  end
  return rows
end

describe("experiments/vanishing.lua", function()
  it("shows the gradient vanish, which weights never moved, and what to type to see it cured", function()
    local dir <close> = process.tempdir()
    local result = process.sonde({ "run", recipe, "--set", "steps=60" },
      { cwd = tostring(dir), env = { SONDE_LAUNCHER = "" } })
    assert.equal(0, result.code, result.stderr)
    local rows = picture(result.stdout)
    assert.truthy(rows.h1 and rows.h20 and rows.out, result.stdout)
    assert.truthy(rows.h2.start < 1e-9 * rows.h20.start)
    for i = 3, 20 do assert.truthy(rows["h" .. i].start > rows["h" .. i - 1].start) end
    assert.equal(100, rows.h1.unmoved)
    assert.truthy(rows.h20.unmoved < 1)
    assert.truthy(result.stdout:find("wrote vanishing.h5: 60 steps", 1, true))
    local norm = assert(h5.read(dir / "vanishing.h5", "/weight_grad/l2_norm"))
    assert.near(rows.h1.start, norm[1][1]:item(), 0.05 * rows.h1.start) -- the picture is the file's

    local cure = result.stdout:match("See it cured: ([^\n]+)")
    assert.truthy(cure:find("--set activation=relu --set init=kaiming_normal --set steps=60 -o cured.h5", 1, true))
    result = process.run(cure, { cwd = tostring(dir) }) -- as it stands there, in this folder
    assert.equal(0, result.code, result.stderr)
    rows = picture(result.stdout)
    assert.truthy(rows.h1.start > 0.01 * rows.h20.start)
    assert.truthy(rows.h1.unmoved < 30, rows.h1.unmoved) -- pixels that are always 0 move no weight
    assert.is_nil(result.stdout:find("--set activation", 1, true)) -- then it offers no cure
    assert.truthy(assert(h5.read(dir / "cured.h5", "/result/test_accuracy")) > 0.3)
  end)

  it("is peeked at in under two seconds", function()
    local dir <close> = process.tempdir()
    local result = process.sonde({ "peek", recipe }, { cwd = tostring(dir), timeout = 2 })
    assert.equal(0, result.code)
    assert.truthy(result.stdout:find("h20 +Linear +128×100 +10,100"), result.stdout)
  end)
end)
