--- sonde.h5: parts with steps, values at the edge of what fits, and what other programs store.
local core = require "sonde.core"
local h5 = require "sonde.h5"
local process = require "support.process"
local sonde = require "sonde"

local function refused(code, part, value, message, got)
  assert.is_nil(value)
  assert.truthy(message:find(part, 1, true), message)
  assert.equal(code, got)
end

local function python(code, path)
  local done = process.python("import sys, h5py, numpy as np\n" .. code, { path })
  assert.equal(0, done.code, done.stderr)
  return done.stdout
end

describe("a part", function()
  it("is what slicing a tensor gives, for any start, step and count", function()
    local dir <close> = process.tempdir()
    local x = sonde.arange(0, 7 * 5):reshape(7, 5)
    assert(h5.save(dir / "a.h5", { x = x }))
    local file <close> = assert(h5.open(dir / "a.h5"))
    for start = -7, 7 do
      for step = 1, start == 0 and 0 or 8 do
        local first, rows = start < 0 and 8 + start or start, {}
        for i = first, 7, step do rows[#rows + 1] = i end
        local expected = x:index_select(1, rows):index_select(2, { 2, 4 })
        local part = file:read("/x", { start = { start, 2 }, step = { step, 2 } })
        assert.truthy(part:equal(expected), ("start %d step %d"):format(start, step))
        part = file:read("/x", { start = { start, 2 }, step = { step, 2 }, count = { #rows, 1 } })
        assert.truthy(part:equal(expected:narrow(2, 1, 1)))
        refused("EARG", "axis 1 has length 7; there are no " .. #rows + 1 .. " values from " .. first .. " on",
          file:read("/x", { start = { start, 2 }, step = { step, 2 }, count = { #rows + 1, 1 } }))
      end
    end
  end)

  it("may be empty, and begins inside", function()
    local dir <close> = process.tempdir()
    assert(h5.save(dir / "a.h5", { x = sonde.ones(3, 4), s = 7, t = { "a", "b", "c" } }))
    local file <close> = assert(h5.open(dir / "a.h5"))
    assert.same({ 0, 4 }, file:read("/x", { start = { 4, 1 } }):shape())
    assert.same({ 0, 0 }, file:read("/x", { count = { 0, 0 } }):shape())
    assert.same({ "c" }, file:read("/t", { start = { -1 } }))
    assert.same({ "a", "c" }, file:read("/t", { step = { 2 } }))
    assert.same({}, file:read("/t", { count = { 0 } }))
    assert.equal(7, file:read("/s", { start = {} }))
    for _, start in ipairs { 5, -4, math.maxinteger, math.mininteger } do
      refused("EARG", "axis 1 has length 3; the part begins outside it", file:read("/x", { start = { start, 1 } }))
    end
    refused("EARG", "there are no 9223372036854775807 values", file:read("/x", { count = { math.maxinteger, 1 } }))
    assert.same({ 1, 4 }, file:read("/x", { step = { math.maxinteger, 1 } }):shape())
    for options, message in pairs {
      [{ start = { 0, 1 } }] = "'start' to read: places count from 1, or from -1 at the end; got 0",
      [{ step = { 0, 1 } }] = "'step' to read: expected at least 1, got 0",
      [{ count = { -1, 1 } }] = "'count' to read: expected at least 0, got -1",
      [{ start = { 1 } }] = "'start' to read: '/x' has 2 axes, got 1 numbers",
      [{ start = { 1, 1.5 } }] = "got 1.5", [{ strat = { 1 } }] = "did you mean 'start'",
    } do
      assert.error_matches(function() file:read("/x", options) end, message, 1, true)
    end
  end)
end)

describe("a value", function()
  it("comes back as it was, at the edge of int64 too", function()
    local dir <close> = process.tempdir()
    local edge = { math.maxinteger, math.mininteger, (1 << 53) + 1, -(1 << 53) - 1 }
    local values = { edge, math.mininteger, 0.1, "größe", "", { "", "ß", "a b" }, sonde.zeros(0, 3), {},
                     sonde.tensor(2.5), { 1.5, -0.0, math.huge } }
    local file = assert(h5.open(dir / "a.h5", "w"))
    for i, value in ipairs(values) do
      assert(file:write("/group/v" .. i, value))
      assert(file:set_attribute("/group", "a" .. i, value))
    end
    assert.error_matches(function() file:write("/nul", "a\0b") end, "/nul: the text holds a NUL")
    assert.error_matches(function() file:set_attribute("/", "list", { "a", "b\0" }) end, "list: the text holds a NUL")
    assert.error_matches(function() file:write("/b", true) end, "expected a text, a number, a tensor or a list")
    refused("EARG", "the name of an attribute is too long", file:set_attribute("/", ("x"):rep(2000), 1))
    refused("EARG", "the path is too long", file:write("/" .. ("x"):rep(70000), 1))
    assert(file:close())
    file = assert(h5.open(dir / "a.h5"))
    local function plain(value) return type(value) == "userdata" and value:totable() or value end
    for i, value in ipairs(values) do
      local expected = i == 9 and 2.5 or plain(value)
      assert.same(expected, plain(file:read("/group/v" .. i)))
      assert.same(expected, plain(file:attribute("/group", "a" .. i)))
    end
    assert.same({ 0, 3 }, file:read("/group/v7"):shape())
    file:close()
    python([[
with h5py.File(sys.argv[1]) as f:
    assert list(f["group/v1"][()]) == [2**63 - 1, -2**63, 2**53 + 1, -2**53 - 1]
    assert f["group"].attrs["a4"] == "größe" and f["group/v7"].shape == (0, 3)]], dir / "a.h5")
  end)

  it("of another program is read, or refused by its type; never bent into int64", function()
    local dir <close> = process.tempdir()
    python([[
with h5py.File(sys.argv[1], "w") as f:
    f["u8"], f["small"] = np.array([1, 2**63], "u8"), np.array([2**63 - 1], "u8")
    f["one"] = np.uint64(2**64 - 1)
    f["be"], f["half"], f["bool"] = np.array([-5], ">i2"), np.array([0.5], "f2"), np.array([True, False])
    f["pair"] = np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")])
    f["complex"], f["ref"] = np.array([1j]), np.array([f["pair"].ref], dtype=h5py.ref_dtype)
    f["latin"] = np.array([b"ab ", b"cde"], "S3")
    f["ascii"] = h5py.Empty("S4")
    f["enum"] = np.array([2, 0], dtype=h5py.enum_dtype({"RED": 0, "BLUE": 2}))
    f["opaque"] = np.array([b"12"], dtype="V2")
    f.attrs["u8"] = np.uint64(2**63)
    f.create_dataset("grows", data=np.array([1], "i2"), maxshape=(None,))
    f.create_dataset("bytes", data=np.array([1], "u1"), maxshape=(None,))]], dir / "a.h5")
    local file = assert(h5.open(dir / "a.h5"))
    refused("EDTYPE", "/u8 holds 9223372036854775808, beyond int64; read it as float64", file:read("/u8"))
    refused("EDTYPE", "beyond int64", file:read("/one"))
    refused("EDTYPE", "beyond int64", file:attribute("/", "u8"))
    assert.same({ 1, 2.0 ^ 63 }, file:read("/u8", { dtype = "float64" }):totable())
    assert.same({ 1 }, file:read("/u8", { count = { 1 } }):totable())
    assert.same({ math.maxinteger }, file:read("/small"):totable())
    assert.same({ -5 }, file:read("/be"):totable())
    assert.same({ 0.5 }, file:read("/half"):totable())
    assert.same({ 1, 0 }, file:read("/bool"):totable())
    assert.same({ 2, 0 }, file:read("/enum"):totable())
    assert.same({ "ab ", "cde" }, file:read "/latin")
    for path, kind in pairs { pair = "compound", complex = "compound", ref = "reference", opaque = "opaque" } do
      refused("EDTYPE", ("/%s holds %s data"):format(path, kind), file:read("/" .. path))
    end
    file:close()
    file = assert(h5.open(dir / "a.h5", "r+"))
    refused("EDTYPE", "'/grows' holds int16 data, in which 32768 has no room", file:append("/grows", { 5, 32768 }))
    refused("EDTYPE", "'/bytes' holds uint8 data, in which -1 has no room", file:append("/bytes", { -1 }))
    assert(file:append("/grows", { -32768, 32767 }))
    assert(file:append("/bytes", { 255 }))
    assert.same({ 1, -32768, 32767 }, file:read("/grows"):totable())
    assert.same({ 1, 255 }, file:read("/bytes"):totable())
    assert(file:close())
  end)
end)

describe("a command that reads a file", function()
  it("survives a crash of HDF5 in a process of its own", function()
    local codes = { SEGV = 139, ABRT = 134, KILL = 137 }
    if core.system.build().built_for:find("address-sanitizer", 1, true) then codes.SEGV = nil end -- it answers itself
    for signal, code in pairs(codes) do
      local got, crashed = core.system.apart()
      if not got then
        io.stderr:close()
        os.execute("kill -" .. signal .. " $PPID")
        os.exit(0)
      end
      assert.same({ code, code ~= 137 }, { got, crashed })
    end
    local got = core.system.apart()
    if not got then os.exit(7) end
    assert.equal(7, got)
  end)
end)
