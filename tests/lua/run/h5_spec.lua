--- sonde.h5: saving and loading, and failures that are returned.
local h5 = require "sonde.h5"
local lfs = require "lfs"
local process = require "support.process"
local sonde = require "sonde"

describe("h5.save and h5.load", function()
  it("keep tensors of every dtype, numbers, texts, lists and groups", function()
    local dir <close> = process.tempdir()
    local values = {
      x = sonde.rand(2, 3), y = sonde.arange(1, 5), z = sonde.ones(2, { dtype = "float64" }),
      number = 0.1, count = 7, text = "größer", names = { "a", "b" }, sizes = { 1, 2 },
      group = { inner = sonde.ones(1) },
    }
    assert(h5.save(dir / "a.h5", values))
    local back = assert(h5.load(dir / "a.h5"))
    assert.truthy(values.x:equal(back.x))
    assert.equal("int64", back.y.dtype)
    assert.equal("float64", back.z.dtype)
    assert.equal(0.1, back.number)
    assert.equal("integer", math.type(back.count))
    assert.equal("größer", back.text)
    assert.same({ "a", "b" }, back.names)
    assert.same({ 1, 2 }, back.sizes)
    assert.equal(1, back.group.inner[1]:item())
    assert.truthy(values.x:equal(assert(h5.read(dir / "a.h5", "x"))))
  end)

  it("save views as they look", function()
    local dir <close> = process.tempdir()
    local x = sonde.rand(3, 4)
    assert(h5.save(dir / "a.h5", { t = x:t(), row = x[2] }))
    local back = assert(h5.load(dir / "a.h5"))
    assert.same({ 4, 3 }, back.t:shape())
    assert.truthy(back.t:equal(x:t()))
    assert.truthy(back.row:equal(x[2]))
  end)

  it("leave an old file whole when the new one cannot be written", function()
    local dir <close> = process.tempdir()
    assert(h5.save(dir / "a.h5", { x = 1 }))
    assert.error_matches(function() h5.save(dir / "a.h5", { x = 2, y = print }) end, "expected a tensor, a number")
    collectgarbage()
    assert.equal(1, assert(h5.load(dir / "a.h5")).x)
    assert.is_nil(lfs.attributes(dir / "a.h5.tmp"))
  end)
end)

describe("a file", function()
  it("gives parts, in Lua's counting", function()
    local dir <close> = process.tempdir()
    assert(h5.save(dir / "a.h5", { x = sonde.tensor { { 1, 2, 3 }, { 4, 5, 6 } } }))
    local file = assert(h5.open(dir / "a.h5"))
    assert.same({ { 2, 3 }, { 5, 6 } }, file:read("x", { start = { 1, 2 }, count = { 2, 2 } }):totable())
    assert.equal("float64", file:read("x", { dtype = "float64" }).dtype)
    local nothing, message = file:read("x", { start = { 2, 1 }, count = { 2, 3 } })
    assert.is_nil(nothing)
    assert.truthy(message:find("x", 1, true))
    local info = file:info "x"
    assert.same({ "dataset", "float32", { 2, 3 }, false }, { info.kind, info.type, info.shape, info.is_scale })
    assert.is_nil(file:info("nowhere"))
    assert(file:close())
    assert.error_matches(function() file:read("x") end, "closed")
  end)

  it("returns what went wrong: nil, a message that names it, a code", function()
    local dir <close> = process.tempdir()
    local file, message, code = h5.open(dir / "none.h5")
    assert.is_nil(file)
    assert.truthy(message:find("none.h5", 1, true))
    assert.equal("EIO", code)
    process.write(dir / "text.h5", "not HDF5")
    file, message, code = h5.open(dir / "text.h5")
    assert.is_nil(file)
    assert.truthy(message:find("text.h5", 1, true))
    assert.equal("EFORMAT", code)
    assert.is_nil((h5.read(dir / "none.h5", "x")))
    assert.is_nil((h5.load(dir / "none.h5")))
    assert.is_nil((h5.save(dir / "nowhere" .. "/a.h5", {})))
    local proxy = setmetatable({}, { __len = function() return 2 end, __index = function(_, i) return "t" .. i end })
    local out <close> = assert(h5.open(dir / "b.h5", "w"))
    assert.error_matches(function() out:write("x", proxy) end, "plain list")
  end)
end)
