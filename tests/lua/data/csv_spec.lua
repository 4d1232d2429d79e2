local sonde = require "sonde"
local process = require "support.process"
local data = sonde.data

describe("CSV files", function()
  local dir
  before_each(function() dir = process.tempdir() end)
  after_each(function() process.run { "rm", "-rf", tostring(dir) } end)

  local function file(text) return process.write(dir / "t.csv", text) end

  it("with a header: columns by name, text labels", function()
    local d = data.csv { file "a,kind,b\n1,dog,2\n3,cat,\n5,dog,6\n", label = "kind" }
    assert.equal(3, #d)
    assert.same({ 2, 1, 2 }, d.targets:totable())
    assert.same({ "cat", "dog" }, d.classes)
    local rows = d.inputs:totable()
    assert.same({ 1, 2 }, rows[1])
    assert.is_true(rows[2][2] ~= rows[2][2], "a missing cell is NaN")
  end)

  it("without a header: columns by number", function()
    local path = file "1;0;0.5\n2;1;0.25\n"
    local d = data.csv(path, { label = 2, inputs = { -1, 1 }, separator = ";", labels_from = 0 })
    assert.same({ { 0.5, 1 }, { 0.25, 2 } }, d.inputs:totable())
    assert.same({ 1, 2 }, d.targets:totable())
    assert.is_nil(d.classes)
  end)

  it("with numbers as target", function()
    local path = file "x,y,z\n1,2,3\n4,5,6\n"
    assert.same({ { 3 }, { 6 } }, data.csv(path, { target = "z" }).targets:totable())
    local d = data.csv(path, { target = { "z", "x" } })
    assert.same({ { 3, 1 }, { 6, 4 } }, d.targets:totable())
    assert.same({ { 2 }, { 5 } }, d.inputs:totable())
  end)

  it("with headings that are numbers", function()
    local path = file "2019,2020\n1,2\n"
    assert.equal(2, #data.csv(path, { target = 2 }))
    assert.equal(1, #data.csv(path, { target = "2020", header = true }))
  end)

  it("are read packed, and in any locale", function()
    file "1.5,1\n2.5,2\n"
    process.run { "gzip", dir / "t.csv" }
    local before = os.setlocale()
    os.setlocale "de_DE.UTF-8" -- if there is one
    finally(function() os.setlocale(before) end)
    assert.same({ { 1.5 }, { 2.5 } }, data.csv(dir / "t.csv.gz", { label = 2 }).inputs:totable())
  end)

  it("say what is wrong", function()
    for _, case in ipairs {
      { "a,b\n1,2\n3\n", { label = "b" }, "t.csv' line 3 has 1 cell, line 1 has 2" },
      { "a,b\n1,x\n", { label = "a" }, "line 2, column 2 %(b%): 'x' is no number" },
      { "a,b\n1,2\n", { label = "c" }, "unknown column 'c'" },
      { "1,2\n", { label = "c" }, "has no header" },
      { "1,2\n", { label = 3 }, "has 2 columns, there is no column 3" },
      { "a,b\n1,2\n", {}, "say which column.*a, b" },
      { "a,b\n1,2\n", { label = "a", target = "b" }, "say which column" },
      { "a\n1\n", { label = "a" }, "leaves no column as input" },
      { "a,b\n1,0\n", { label = "b" }, "labels_from = 0" },
      { "a,b\n1,\n", { label = "b" }, "every row needs one" },
      { "a,b\n1,0.5\n", { label = "b" }, "fractions" },
      { "a,b\n1,2\n3,\n", { target = "b" }, "t.csv': the target of sample 2 is NaN" },
      { "", { label = 1 }, "is empty" },
      { "a,b\n1,2\n", { label = "b", seperator = ";" }, "did you mean 'separator'" },
      { "a,b\n1,2\n", { label = "b", separator = ";;" }, "one character" },
    } do
      local path = file(case[1])
      assert.error_matches(function() data.csv(path, case[2]) end, case[3])
    end
    assert.error_matches(function() data.csv(dir / "none.csv", { label = 1 }) end, "No such file")
    assert.error_matches(function() data.csv(tostring(dir), { label = 1 }) end, "is a folder")
  end)
end)
