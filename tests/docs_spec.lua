--- README.md is true: its recipe runs, its Python loads the file, the commands and folders it names exist.
local h5 = require "sonde.h5"
local lfs = require "lfs"
local process = require "support.process"

local root = debug.getinfo(1, "S").source:match("^@(.*)tests/docs_spec%.lua$")
if root == "" then root = "./" end
local readme = process.read(root .. "README.md")

local function block(language)
  return assert(readme:match("```" .. language .. "\n(.-)```"), "no " .. language .. " in README.md")
end

describe("README.md", function()
  it("has a recipe of ten lines that runs, and Python that loads its file", function()
    local recipe, python = block "lua", block "python"
    assert.equal(10, select(2, recipe:gsub("\n", "")))
    assert.is_true(select(2, python:gsub("\n", "")) <= 5)
    local dir <close> = process.tempdir()
    process.write(dir / "spirals.lua", recipe)
    local run = process.sonde({ "run", "spirals.lua", "--quiet" }, { cwd = dir.path })
    assert.equal(0, run.code, run.stderr)
    local learned = "\nassert len(loss) == 400 and loss.iloc[-20:].mean() < 0.5 * loss.iloc[0]\n"
    local load = process.python(python .. learned, {}, { cwd = dir.path })
    assert.equal("", load.stderr)
    assert.equal(0, load.code)
    assert.truthy(load.stdout:find("1.weight", 1, true))
  end)

  it("has a loop written by hand that runs, learns and keeps its accuracy", function()
    local second = select(2, readme:match("```lua\n(.-)```.-```lua\n(.-)```"))
    local dir <close> = process.tempdir()
    process.write(dir / "loop.lua", assert(second, "no second recipe in README.md"))
    local run = process.sonde({ "run", "loop.lua", "--quiet" }, { cwd = dir.path })
    assert.equal("", run.stderr)
    assert.equal(0, run.code)
    assert.is_true(h5.read(dir / "loop.h5", "/result/accuracy") > 0.7)
  end)

  it("names only commands that help lists", function()
    local help = process.sonde({ "help" }).stdout
    for command in readme:gmatch("%./sonde (%l+)") do
      if command ~= "test" and command ~= "bench" then
        assert.truthy(help:find("%f[%w]" .. command .. "%f[%W]"), command .. " is not in help")
      end
    end
  end)

  it("maps folders that exist, all of them", function()
    local tree = readme:match("## The tree(.*)")
    for name in lfs.dir(root .. "runtime") do
      if name:sub(1, 1) ~= "." and lfs.attributes(root .. "runtime/" .. name, "mode") == "directory" then
        assert.truthy(tree:find(name .. "/", 1, true), "runtime/" .. name .. " is not in README.md")
      end
    end
    for path in tree:gmatch("`([%w_/%.]+/[%w_%.]*)`") do
      local found = lfs.attributes(root .. path) or lfs.attributes(root .. "runtime/" .. path)
      assert.truthy(found, path .. " is in README.md, but not in the tree")
    end
  end)
end)
