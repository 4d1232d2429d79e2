--- run:save: names, groups, axes, and what cannot be stored.
local h5 = require "sonde.h5"
local process = require "support.process"
local recipe = require "support.recipe"

local function run(dir, parts, mark)
  local _, line = recipe.write(dir / "r.lua", parts, mark)
  return process.sonde({ "run", "r.lua", "--quiet", "--force" }, { cwd = dir.path }), line
end

describe("run:save", function()
  it("stores names with dots, in groups, with axes; the last of a name counts, whatever its shape", function()
    local dir <close> = process.tempdir()
    local done = run(dir, {
      before = "run:save('w', sonde.ones(2, 5)) run:save('moves', sonde.ones(3))",
      after = [[run:save('1.weight', net[1].weight) run:save('teacher/a.b/x-1', sonde.arange(0, 3))
        run:save('unit', { 10, 20, 30 }, { 'unit' }) run:save('on', sonde.ones(2, 3), { 'time', 'unit' })
        run:save('also', sonde.ones(3), { 'unit' }) run:save('w', sonde.ones(4)) run:save('moves', sonde.ones(3, 2))
        run:save('moves', sonde.ones(2, 3, 4)) run:save('edge', { math.maxinteger, math.mininteger, (1 << 53) + 1 })
        run:save('names', { 'a', 'ß' }) run:save('one', 1.5)
        return { edge = math.mininteger }]],
    })
    assert.equal(0, done.code, done.stderr)
    assert.equal(0, process.sonde({ "check", dir / "small.h5" }).code)
    local file <close> = assert(h5.open(dir / "small.h5"))
    assert.same({ 8, 4 }, file:info("/arrays/1.weight").shape)
    assert.same({ 0, 1, 2 }, file:read("/arrays/teacher/a.b/x-1"):totable())
    assert.same({ 10, 20, 30 }, file:read("/arrays/unit"):totable())
    assert.same({ "time", "unit" }, file:axes "/arrays/on")
    assert.same({ 4 }, file:info("/arrays/w").shape)
    assert.same({ 2, 3, 4 }, file:info("/arrays/moves").shape)
    assert.same({ 2, 3, 4 }, { file:info("/arrays/moves_axis1").shape[1], file:info("/arrays/moves_axis2").shape[1],
                               file:info("/arrays/moves_axis3").shape[1] })
    assert.same({ math.maxinteger, math.mininteger, (1 << 53) + 1 }, file:read("/arrays/edge"):totable())
    assert.equal(math.mininteger, file:read "/result/edge")
    local script = process.root .. "/tests/interop/read_history.py"
    assert.equal("", process.run({ "/usr/bin/python3", script, dir / "small.h5" }).stderr)
  end)

  it("refuses at the recipe's line what could not be stored in the end, and the file is whole", function()
    local dir <close> = process.tempdir()
    for code, message in pairs {
      ["run:save('', 1)"] = "'' is no name", ["run:save('a/', 1)"] = "'a/' is no name",
      ["run:save('/a', 1)"] = "'/a' is no name", ["run:save('a/../b', 1)"] = "'a/../b' is no name",
      ["run:save('größe', 1)"] = "'größe' is no name", ["run:save(3, 1)"] = "'3' is no name",
      ["run:save('a', 1) run:save('a/b', 1)"] = "'a/b' cannot lie in 'a', which is an array",
      ["run:save('a/b/c', 1) run:save('a/b', 1)"] = "'a/b' cannot be an array: 'a/b/c' lies in it",
      ["run:save('w', net)"] = "'w': expected a tensor, a number, a text or a list of these, got ",
      ["run:save('w', nil)"] = "got nil", ["run:save('w', true)"] = "got true",
      ["run:save('w', { a = 1 })"] = "'w': expected a tensor",
      ["run:save('w', { 1, a = 1 })"] = "'w': expected a tensor",
      ["run:save('w', net[1].weight, { 'x' })"] = "'w' has 2 axes; axes must be a list of as many names",
      ["run:save('w', net[1].weight, 'x')"] = "'w' has 2 axes; axes must be a list of as many names, got x",
      ["run:save('w', net[1].weight, { 'x', 'x' })"] = "'w': two axes are named 'x'",
      ["run:save('w', net[1].weight, { 'x', 'a/b' })"] = "'w': 'a/b' is no name for an axis",
      ["run:save('w', net[1].weight, { 'x', 'w' })"] = "'w': the axis 'w' has the name of an array",
      ["run:save('x', 1) run:save('w', net[1].weight, { 'x', 'y' })"] = "the axis 'x' has the name of an array",
      ["run:save('w', net[1].weight, { 'x', 'y' }) run:save('x', net[1].bias)"] = "'x' is the name of an axis of 'w'",
      ["run:save('w', net[1].weight, { 'x', 'y' }) run:save('v', net[3].bias, { 'y' })"] =
        "'v': the axis 'y' has length 3, that of 'w' 4",
    } do
      local done, line = run(dir, { after = code .. " -- here" }, "-- here")
      assert.equal(1, done.code, code)
      assert.truthy(done.stderr:find(("r.lua:%d: run:save: "):format(line), 1, true), code .. ": " .. done.stderr)
      assert.truthy(done.stderr:find(message, 1, true), done.stderr)
      local file <close> = assert(h5.open(dir / "small.h5"))
      assert.equal("failed", file:attribute("/", "status"))
    end
  end)
end)
