--- Loading recipe files, and the environment they run in.
local process = require "support.process"
local recipes = require "sonde.recipe"
local runs = require "sonde.run"

local function load_text(text)
  local dir <close> = process.tempdir()
  local recipe, message = recipes.load(process.write(dir / "r.lua", text))
  return recipe, message and message:gsub(tostring(dir) .. "/", "")
end

describe("a recipe file", function()
  it("that is wrong is refused with file, line and reason", function()
    for _, case in ipairs {
      { "return {\n  x = ,\n}", "r.lua:2: unexpected symbol near ','" },
      { "\nlocal x = nil + 1", "r.lua:2: attempt to perform arithmetic on a nil value" },
      { "x = 1", "r.lua: a recipe returns a table, this returned nil" },
      { "return { name = 'a' }", "r.lua: field 'run' is missing" },
      { "return { run = 3 }", "r.lua: field 'run' must be a function" },
      { "return { name = 'a/b', run = print }", "r.lua: field 'name' must be a text of letters" },
      { "return { params = 3, run = print }", "r.lua: field 'params' must be a table" },
      { "return { metrics = { 'a b' }, run = print }", "r.lua: field 'metrics' [1]: 'a b' is no name" },
      { "return { pramas = {}, run = print }", "r.lua: unknown field 'pramas' (did you mean 'params'?)" },
      { "return { on_nonfinite = 'halt', run = print }", "unknown choice 'halt'" },
      { "return { grid = { depth = { 1 } }, run = print }", "field 'grid' there is no parameter 'depth'" },
      { "\27Lua", "r.lua" },
    } do
      local recipe, message = load_text(case[1])
      assert.is_nil(recipe)
      assert.truthy(message:find(case[2], 1, true), message)
    end
  end)

  it("may begin with a #! line or a byte order mark, and line numbers stay right", function()
    assert.truthy(load_text("#!/usr/bin/env sonde\nreturn { run = print }"))
    assert.truthy(load_text("\239\187\191return { run = print }"))
    local _, message = load_text("#!x\nlocal a = nil .. 'b'")
    assert.truthy(message:find("r.lua:2:", 1, true), message)
  end)

  it("gets its name from the file where it has none", function()
    assert.equal("r", assert(load_text("return { run = print }")).name)
  end)

  it("names the whole path in a message even where Lua would shorten it", function()
    local dir <close> = process.tempdir()
    local long = dir / ("d"):rep(80)
    assert(os.execute("mkdir " .. long))
    local _, message = recipes.load(process.write(long .. "/r.lua", "return +"))
    assert.truthy(message:find(long .. "/r.lua:1:", 1, true), message)
  end)
end)

describe("a recipe's environment", function()
  it("visits 1..n, then the other keys in sorted order", function()
    local recipe = assert(load_text([[
      local seen = {}
      for key in pairs { 10, 20, zeta = 1, alpha = 2, [7] = 3, [2.5] = 4, [true] = 5, [-1] = 6 } do
        seen[#seen + 1] = tostring(key)
      end
      return { about = table.concat(seen, " "), run = print }]]))
    assert.equal("1 2 -1 2.5 7 alpha zeta true", recipe.about)
  end)

  it("respects __pairs", function()
    local recipe = assert(load_text([[
      local t = setmetatable({}, { __pairs = function() return next, { a = 1 } end })
      for key in pairs(t) do return { about = key, run = print } end]]))
    assert.equal("a", recipe.about)
  end)

  it("finds modules beside the recipe, stores their source, and leaves the globals alone", function()
    local dir <close> = process.tempdir()
    process.write(dir / "helper.lua", "shared = 3\nreturn { value = shared }")
    local path = process.write(dir / "r.lua", [[
      local helper = require "helper"
      assert(require "helper" == helper)
      return { about = tostring(helper.value), run = print }]])
    local recipe = assert(recipes.load(path))
    assert.equal("3", recipe.about)
    assert.truthy(recipe.modules.helper:find("value = shared", 1, true))
    assert.is_nil(rawget(_G, "shared"))
  end)

  it("draws math.random from the run's stream", function()
    local dir <close> = process.tempdir()
    local path = process.write(dir / "r.lua", [[
      return { run = function()
        local u, i, w = math.random(), math.random(6), math.random(-3, 3)
        assert(u >= 0 and u < 1 and i >= 1 and i <= 6 and w >= -3 and w <= 3 and math.type(math.random(0)) == "integer")
        return { u = u }
      end }]])
    local function draw(seed)
      return runs(path, { seed = seed, out = dir / "o.h5", force = true }).result.u
    end
    assert.equal(draw(1), draw(1))
    assert.not_equal(draw(1), draw(2))
  end)
end)
