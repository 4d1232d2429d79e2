--- sonde.save and sonde.load: what comes back, and what happens when it cannot.
local core = require "sonde.core"
local expect = require "support.expect"
local h5 = require "sonde.h5"
local lfs = require "lfs"
local process = require "support.process"
local sonde = require "sonde"
local nn, optim = sonde.nn, sonde.optim

local function int64(list) return sonde.tensor(list, { dtype = "int64" }) end

--- Equal tables whose leaves may be tensors: kind, dtype, shape and values.
local function same(a, b, path)
  path = path or "value"
  if getmetatable(a) == "Tensor" then
    assert.equal("Tensor", getmetatable(b), path)
    assert.equal(a.dtype, b.dtype, path)
    assert.same(a:shape(), b:shape(), path)
    assert.truthy(#a:shape() == 0 and a:item() == b:item() or a.ndim > 0 and a:equal(b), path)
  elseif type(a) == "table" then
    assert.equal("table", type(b), path)
    for key in pairs(b) do assert.truthy(a[key] ~= nil, ("%s: %s is new"):format(path, key)) end
    for key, value in pairs(a) do same(value, b[key], path .. "." .. tostring(key)) end
  else
    assert.equal(a, b, path)
    assert.equal(math.type(a), math.type(b), path)
  end
end

describe("sonde.save", function()
  local dir
  before_each(function() dir = process.tempdir() end)
  after_each(function() getmetatable(dir).__close(dir) end)

  it("keeps everything, and load gives it back as it was", function()
    local shared = sonde.randn(2, 3)
    local values = {
      ["1.weight"] = shared, ["deep.er.bias"] = sonde.randn(4, { dtype = "float64" }), scalar = int64(7),
      one = sonde.tensor(0.5), empty = sonde.zeros(0, 3), row = shared[1], turned = shared:t(),
      count = 3, rate = 0.1, whole = 2.0, text = "größer\n", nothing = "", yes = true, no = false,
      list = { 0.9, 0.999 }, numbers = { 3, 1, 2 }, names = { "a", "b", "" }, none = {},
      groups = { { lr = 0.1, params = { 1, 2 } }, { lr = 1e-300, params = {} } }, gaps = { [1] = 5, [4] = 6 },
      mixed = { 1, "a", true }, nested = { a = { b = { c = { 1 } } } }, ["naïve name, with: signs"] = 1,
      limits = { math.mininteger, math.maxinteger }, odd = { -0.0, 1 / 0, -1 / 0 },
    }
    assert(sonde.save(dir / "a.h5", values))
    same(values, assert(sonde.load(dir / "a.h5")))
    same(values.nested, assert(h5.load(dir / "a.h5", "/nested")))
    local not_a_number = assert(sonde.save(dir / "a.h5", { x = 0 / 0 })) and sonde.load(dir / "a.h5").x
    assert.truthy(not_a_number ~= not_a_number)
  end)

  it("writes nothing but the values: h5py sees a state_dict", function()
    assert(sonde.save(dir / "a.h5", nn.Sequential({ nn.Linear(2, 3) }):state_dict()))
    local file <close> = assert(h5.open(dir / "a.h5"))
    assert.same({ "1.bias", "1.weight" }, file:list("/"))
    assert.same({}, file:attributes("/1.weight"))
    assert(h5.save(dir / "b.h5", { x = sonde.ones(2) }, { axes = true }))
    local axes <close> = assert(h5.open(dir / "b.h5"))
    assert.same({ "x_axis1" }, axes:axes("x"))
  end)

  it("leaves an old file whole, whatever fails", function()
    assert(sonde.save(dir / "a.h5", { x = 1 }))
    for _, bad in ipairs {
      { { x = print }, "'/x' is a function, expected a tensor" },
      { { x = { y = nn.Linear(1, 1) } }, "'/x/y' is a userdata" },
      { nn.Linear(1, 1), "expected a table, got Module: save its state_dict()" },
      { { [1] = 2 }, "the values of a file have names" },
      { { x = { 1, a = 2 } }, "'/x' has names and numbers as keys" },
      { { x = { [1.5] = 2 } }, "'/x' has a key that is a number" }, { { ["a/b"] = 1 }, "'a/b' in '/' is no name" },
      { { [""] = 1 }, "is no name" }, { { [".."] = 1 }, "'..' in '/' is no name" },
      { { x = "a\0b" }, "'/x' holds a NUL" }, { { x = { "a\0b", "c" } }, "'/x' holds a NUL" },
      { { x = setmetatable({}, {}) }, "'/x' is an object" }, { 3, "expected a table, got number" },
    } do
      expect.error(bad[2], function() sonde.save(dir / "a.h5", bad[1]) end)
    end
    local loop = {}
    loop.again = { loop = loop }
    expect.error("'/again/loop' contains itself", function() sonde.save(dir / "a.h5", loop) end)
    local deep = {}
    for _ = 1, 200 do deep = { d = deep } end
    expect.error("nested deeper than 100", function() sonde.save(dir / "a.h5", deep) end)
    local ok, message, code = sonde.save(dir / "a.h5", { y = 1, [("long"):rep(400)] = 2 })
    assert.is_nil(ok)
    assert.truthy(message:find("too long", 1, true), message)
    assert.equal("EARG", code)
    assert.same({ x = 1 }, sonde.load(dir / "a.h5"))
    local left = {}
    for name in lfs.dir(tostring(dir)) do left[#left + 1] = name end
    table.sort(left)
    assert.same({ ".", "..", "a.h5" }, left)
  end)

  it("returns what the outside world refuses", function()
    for _, path in ipairs { dir / "no/a.h5", tostring(dir), "/proc/a.h5", "" } do
      local ok, message, code = sonde.save(path, { x = 1 })
      assert.is_nil(ok, path)
      assert.truthy(message and code, path)
    end
    expect.error("the path of a file, got nil", function() sonde.save() end)
    expect.error("the path of a file, got nil", function() sonde.load() end)
    process.write(dir / "text.h5", "hello")
    local nothing, message, code = sonde.load(dir / "text.h5")
    assert.is_nil(nothing)
    assert.truthy(message:find("text.h5", 1, true))
    assert.equal("EFORMAT", code)
  end)

  it("does not follow a group into itself for ever, nor read what it cannot", function()
    local done = process.python([[
import sys, h5py, numpy as np
with h5py.File(sys.argv[1], "w") as f:
    g = f.create_group("g")
    g["again"] = g
with h5py.File(sys.argv[2], "w") as f:
    f["c"] = np.zeros(2, dtype=[("a", "f4"), ("b", "i4")])
]], { dir / "loop.h5", dir / "compound.h5" })
    assert.equal(0, done.code, done.stderr)
    local nothing, message, code = sonde.load(dir / "loop.h5")
    assert.is_nil(nothing)
    assert.truthy(message:find("nested deeper", 1, true))
    assert.equal("EFORMAT", code)
    nothing, message = sonde.load(dir / "compound.h5")
    assert.is_nil(nothing)
    assert.truthy(message:find("c", 1, true))
  end)

  it("keeps what a training goes on from", function()
    local function train(net, opt, scheduler, steps)
      for _ = 1, steps do
        opt:zero_grad()
        net(sonde.ones(4, 3)):sum():backward()
        opt:step()
        scheduler:step()
      end
    end
    local function make(rule)
      sonde.manual_seed(1)
      local net = nn.Sequential { nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 1) }
      local opt = optim[rule] { { params = net[1]:parameters(), lr = 0.1 }, { params = net[3]:parameters() } }
      return net, opt, optim.lr_scheduler.StepLR(opt, 2)
    end
    for _, rule in ipairs { "Adam", "SGD", "NAdam" } do
      local net, opt, scheduler = make(rule)
      train(net, opt, scheduler, 3)
      assert(sonde.save(dir / "c.h5", { net = net:state_dict(), opt = opt:state_dict(),
        scheduler = scheduler:state_dict() }))
      train(net, opt, scheduler, 3)
      local other, other_opt, other_scheduler = make(rule)
      sonde.no_grad(function() for _, p in ipairs(other:parameters()) do p:fill_(9) end end)
      local state = assert(sonde.load(dir / "c.h5"))
      other:load_state_dict(state.net)
      other_opt:load_state_dict(state.opt)
      other_scheduler:load_state_dict(state.scheduler)
      train(other, other_opt, other_scheduler, 3)
      for name, value in pairs(net:state_dict()) do same(value, other:state_dict()[name], rule .. " " .. name) end
    end
  end)

  it("leaves no file open and nothing alive", function()
    expect.no_leak(core, function()
      assert(sonde.save(dir / "a.h5", { x = sonde.ones(3), g = { y = sonde.ones(1) } }))
      assert(sonde.load(dir / "a.h5"))
      sonde.load(dir / "none.h5")
      pcall(sonde.save, dir / "a.h5", { x = sonde.ones(3), y = print })
    end)
    assert.equal(0, core.h5.open_ids())
  end)
end)
