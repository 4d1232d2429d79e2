--- An open HDF5 file: appending, parts, what info tells, and refusals.
local h5 = require "sonde.h5"
local process = require "support.process"
local sonde = require "sonde"

local function refused(code, part, value, message, got)
  assert.is_nil(value)
  assert.truthy(message:find(part, 1, true), message)
  assert.equal(code, got)
end

describe("append", function()
  it("makes a dataset, lets it grow, and a counting axis with it", function()
    local dir <close> = process.tempdir()
    local file = assert(h5.open(dir / "a.h5", "w"))
    assert(file:append("/runs/loss", { 0.5, 0.25 }))
    assert(file:append("/runs/grad", sonde.ones(2, 3), { "row", "probe" }))
    assert(file:append("/runs/name", { "a", "ß" }))
    assert(file:close())
    for round = 1, 3 do -- in place, session by session
      file = assert(h5.open(dir / "a.h5", "r+"))
      assert(file:append("/runs/loss", sonde.full({ 1 }, round, { dtype = "float64" })))
      assert(file:append("/runs/grad", sonde.full({ 2, 3 }, round)))
      assert(file:append("/runs/grad", sonde.zeros(0, 3)))
      assert(file:append("/runs/name", { "round " .. round }))
      assert(file:close())
    end
    file = assert(h5.open(dir / "a.h5"))
    assert.same({ 0.5, 0.25, 1, 2, 3 }, file:read("/runs/loss"):totable())
    assert.same({ 8, 3 }, file:info("/runs/grad").shape)
    assert.same({ { 3, 3, 3 } }, file:read("/runs/grad", { start = { 8, 1 } }):totable())
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8 }, file:read("/runs/row"):totable())
    assert.same({ "row", "probe" }, file:axes "/runs/grad")
    assert.same({ "a", "ß", "round 1", "round 2", "round 3" }, file:read "/runs/name")
    assert.truthy(file:info("/runs/grad").grows)
    file:close()
    local done = process.python([[
import sys, xarray as xr
for engine in ("h5netcdf", "netcdf4"):
    ds = xr.open_dataset(sys.argv[1], group="runs", engine=engine)
    assert ds.grad.dims == ("row", "probe") and list(ds.row.values) == list(range(1, 9)), ds
    assert ds.name.values[1] == "ß"]], { dir / "a.h5" })
    assert.equal(0, done.code, done.stderr)
  end)

  it("wants the numbers of an axis before what stands on it", function()
    local dir <close> = process.tempdir()
    local file <close> = assert(h5.open(dir / "a.h5", "w"))
    assert(file:append("/m/step", { 10, 20 }, { "step" }))
    assert(file:append("/m/loss", { 1.5, 2.5 }, { "step" }))
    refused("EARG", "its first axis has 2 values and would need 3; append to that first",
      file:append("/m/loss", { 3.5 }))
    assert(file:append("/m/step", { 30 }))
    assert(file:append("/m/loss", { 3.5 }))
    assert.same({ 10, 20, 30 }, file:read("/m/step"):totable())
    assert.same({ 1.5, 2.5, 3.5 }, file:read("/m/loss"):totable())
  end)

  it("refuses what does not fit, and changes nothing then", function()
    local dir <close> = process.tempdir()
    local file = assert(h5.open(dir / "a.h5", "w"))
    assert(file:append("/x", sonde.ones(2, 3)))
    assert(file:append("/n", { 1, 2 }))
    assert(file:write("/fixed", { 1, 2 }))
    refused("EARG", "axes do not fit", file:append("/x", sonde.ones(2, 4)))
    refused("EARG", "axes do not fit", file:append("/x", sonde.ones(3)))
    refused("EARG", "fixed size", file:append("/fixed", { 3 }))
    refused("EARG", "no axis to append along", file:append("/x", 1))
    refused("EDTYPE", "holds int64 data, not fractions", file:append("/n", { 0.5 }))
    refused("EDTYPE", "not text", file:append("/x_axis1", { "a" }))
    refused("EARG", "starts with '/'", file:append("x", { 1 }))
    refused("EARG", "is not a dataset", file:append("/", { 1 }))
    assert.same({ 2, 3 }, file:info("/x").shape)
    assert(file:close())
    file = assert(h5.open(dir / "a.h5"))
    refused("ESTATE", "open for reading only", file:append("/n", { 3 }))
    file:close()
  end)
end)

describe("an open file", function()
  it("gives parts from a start on, or so many from the first", function()
    local dir <close> = process.tempdir()
    assert(h5.save(dir / "a.h5", { x = sonde.tensor { { 1, 2, 3 }, { 4, 5, 6 } } }))
    local file <close> = assert(h5.open(dir / "a.h5"))
    assert.same({ { 5, 6 } }, file:read("x", { start = { 2, 2 } }):totable())
    assert.same({ { 1 } }, file:read("x", { count = { 1, 1 } }):totable())
    refused("EARG", "axis 1 has length 2", file:read("x", { start = { 4, 1 } }))
    refused("EARG", "does not exist", file:read("y", { start = { 1 } }))
    assert.error_matches(function() file:read("x", { start = { 1 } }) end, "'x' has 2 axes")
  end)

  it("tells how things are stored, also by others", function()
    local dir <close> = process.tempdir()
    local done = process.python([[
import sys, h5py, numpy as np
with h5py.File(sys.argv[1], "w") as f:
    f["x"], f["flags"], f["empty"] = np.zeros((2, 3), "u2"), np.array([True]), h5py.Empty("f")
    f["ascii"], f["text"] = np.array([b"abc"]), "größe"
    f["soft"], f["gone"], f["twice"] = h5py.SoftLink("/x"), h5py.SoftLink("/nowhere"), f["x"]
    f.attrs["n"], f.attrs["fixed"] = np.int64(3), np.string_("abcd")]], { dir / "a.h5" })
    assert.equal(0, done.code, done.stderr)
    local file <close> = assert(h5.open(dir / "a.h5"))
    local x = file:info "x"
    assert.same({ kind = "dataset", type = "uint16", shape = { 2, 3 }, is_scale = false, is_null = false, grows = false,
                  link = "hard", links = 2, object = x.object }, x)
    assert.equal("soft", file:info("soft").link)
    assert.equal(x.object, file:info("soft").object)
    assert.not_equal(x.object, file:info("flags").object)
    assert.is_nil(file:info "gone")
    assert.equal("enum", file:info("flags").type)
    assert.truthy(file:info("empty").is_null)
    assert.equal("string(3)", file:info("ascii").type)
    assert.equal("string", file:info("text").type)
    local root = file:info "/"
    assert.same({ kind = "group", link = "hard", links = 1, object = root.object }, root)
    assert.same({ type = "int64", shape = {}, is_null = false }, file:attribute_info("/", "n"))
    assert.equal("string(4)", file:attribute_info("/", "fixed").type)
    assert.is_nil(file:attribute_info("/", "none"))
    refused("EARG", "does not exist", file:attribute_info("/none", "n"))
    assert.is_false(file:is_live())
    assert.is_false(file:has_writer())
  end)
end)
