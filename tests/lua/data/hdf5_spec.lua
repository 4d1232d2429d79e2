local h5 = require "sonde.h5"
local process = require "support.process"
local sonde = require "sonde"
local data = sonde.data

describe("data in HDF5 files", function()
  local dir, path
  setup(function()
    dir = process.tempdir()
    path = dir / "d.h5"
    assert(h5.save(path, {
      x = sonde.tensor { { 1, 2 }, { 3, 4 }, { 5, 6 } }, y = sonde.tensor({ 0, 2, 1 }, { dtype = "int64" }),
      group = { z = sonde.tensor { 0.5, 0 / 0, 1 }, w = sonde.tensor { 0.5, -1, 1 } }, text = { "a", "b", "c" },
      two = sonde.ones(2), number = 3, empty = sonde.zeros(0, 2), tokens = sonde.ones(3, 4, { dtype = "int64" }),
    }))
  end)
  teardown(function() getmetatable(dir).__close(dir) end)

  it("are inputs and labels, counted from 0 unless one says otherwise", function()
    local d = data.hdf5 { path, inputs = "x", targets = "y" }
    assert.same({ 1, 3, 2 }, d.targets:totable())
    assert.same({ { 1, 2 }, { 3, 4 }, { 5, 6 } }, d.inputs:totable())
    assert.equal("float32", d.inputs.dtype)
    assert.equal("float64", data.hdf5(path, { inputs = "/x", targets = "/y", dtype = "float64" }).inputs.dtype)
    assert.equal("int64", data.hdf5({ path, inputs = "tokens", targets = "y" }).inputs.dtype)
    assert.error_matches(function() data.hdf5 { path, inputs = "x", targets = "y", labels_from = 1 } end,
      "label 0 at sample 1 is below the first label, 1")
  end)

  it("are inputs and numbers, in groups too", function()
    assert.same({ 0.5, -1, 1 }, data.hdf5({ path, inputs = "x", targets = "group/w" }).targets:totable())
    assert.error_matches(function() data.hdf5 { path, inputs = "x", targets = "group/z" } end,
      "'group/z' of '.*d.h5': the target of sample 2 is NaN")
  end)

  it("are found in data folders", function()
    table.insert(data.folders, tostring(dir))
    finally(function() table.remove(data.folders) end)
    assert.equal(3, #data.hdf5 { "d.h5", inputs = "x", targets = "y" })
  end)

  it("say what is wrong", function()
    for _, case in ipairs {
      { { inputs = "X", targets = "y" }, "d.h5': unknown dataset '/X' %(did you mean '/x'%?%); there are: .*/group/w" },
      { { inputs = "group", targets = "y" }, "unknown dataset '/group'" },
      { { inputs = "x" }, "targets = the name of a dataset is needed; '.*d.h5' has: .*/group/w" },
      { { inputs = "text", targets = "y" }, "'/text' of '.*d.h5' holds string, expected numbers" },
      { { inputs = "two", targets = "y" }, "has 2 rows in 'two' and 3 in 'y'" },
      { { inputs = "number", targets = "y" }, "'/number' of .* holds no samples" },
      { { inputs = "empty", targets = "empty" }, "holds no samples.*%[0, 2%]" },
      { { inputs = "x", targets = "y", dtype = "int8" }, "unknown dtype 'int8'" },
      { { inputs = "x", targets = "y", labels_from = 0.5 }, "labels_from must be an integer" },
      { { inputs = "x", target = "y" }, "did you mean 'targets'" },
    } do
      assert.error_matches(function() data.hdf5(path, case[1]) end, case[2])
    end
    assert.error_matches(function() data.hdf5 { inputs = "x", targets = "y" } end, "the path of a file, got nil")
    assert.error_matches(function() data.hdf5 { dir / "none.h5" } end, "data.hdf5: .*none.h5")
    process.write(dir / "text.h5", "hello")
    assert.error_matches(function() data.hdf5 { dir / "text.h5" } end, "text.h5")
  end)

  it("are read as h5py writes them", function()
    local done = process.python([[
import sys, h5py, numpy as np
with h5py.File(sys.argv[1], "w") as f:
    f["images"] = np.arange(2 * 1 * 3 * 3, dtype="uint8").reshape(2, 1, 3, 3)
    f.create_dataset("labels", data=np.array([9, 0], dtype="int32"), compression="gzip", chunks=(1,))
    f["flags"] = np.array([True, False])
    f["half"] = np.array([0.5, 2], dtype="float16")
    f["big"] = np.array([1.5, 2.5], dtype=">f8")
]], { dir / "p.h5" })
    assert.equal("", done.stderr)
    local function targets(name) return data.hdf5({ dir / "p.h5", inputs = "images", targets = name }).targets end
    local d = data.hdf5 { dir / "p.h5", inputs = "images", targets = "labels", dtype = "float32" }
    assert.same({ 2, 1, 3, 3 }, d.inputs:shape())
    assert.equal(17, d.inputs[2][1][3][3]:item())
    assert.same({ 10, 1 }, d.targets:totable())
    assert.same({ 2, 1 }, targets("flags"):totable())
    assert.same({ 0.5, 2 }, targets("half"):totable())
    assert.same({ 1.5, 2.5 }, targets("big"):totable())
    assert.equal("float64", targets("big").dtype)
  end)
end)
