local sonde = require "sonde"
local process = require "support.process"
local data = sonde.data

local IMAGES = "\0\0\8\3" .. ("\0\0\0\2"):rep(3) .. "\0\255\51\102\1\2\3\4"
local LABELS = "\0\0\8\1\0\0\0\2\9\0"

describe("IDX files", function()
  local dir
  before_each(function() dir = process.tempdir() end)
  after_each(function() process.run { "rm", "-rf", tostring(dir) } end)

  local function write(name, text) return process.write(dir / name, text) end
  local function pack(name) assert.equal(0, process.run({ "gzip", "-k", dir / name }).code) end

  it("are data sets, plain or packed", function()
    write("images", IMAGES)
    write("labels", LABELS)
    pack "images"
    for _, name in ipairs { "images", "images.gz" } do
      local d = data.idx { inputs = dir / name, targets = dir / "labels" }
      assert.same({ 2, 1, 2, 2 }, d.inputs:shape())
      assert.equal("float32", d.inputs.dtype)
      local expected = sonde.tensor { 0, 1, 51 / 255, 102 / 255 }
      assert.same(expected:totable(), d.inputs[1]:reshape(4):totable())
      assert.same({ 10, 1 }, d.targets:totable())
    end
    local scaled = data.idx { inputs = dir / "images", targets = dir / "labels", scale = 1, mean = 2, std = 4 }
    assert.same({ -0.25, 0, 0.25, 0.5 }, scaled:get(2):reshape(4):totable())
  end)

  it("are tensors", function()
    write("labels", LABELS)
    assert.same({ 9, 0 }, data.idx(dir / "labels"):totable())
    assert.equal("int64", data.idx(dir / "labels").dtype)
    assert.equal("float64", data.idx(dir / "labels", { dtype = "float64" }).dtype)
    write("floats", "\0\0\13\1\0\0\0\1\63\192\0\0")
    assert.same({ 1.5 }, data.idx(dir / "floats"):totable())
    assert.error_matches(function() data.idx(dir / "floats", { dtype = "int64" }) end, "holds fractions")
    assert.error_matches(function() data.idx(dir / "labels", { dtype = "int8" }) end, "unknown dtype 'int8'")
  end)

  it("say what is wrong with them", function()
    assert.error_matches(function() data.idx(dir / "none") end, "cannot open '.*none': No such file")
    write("text", "hello, world")
    assert.error_matches(function() data.idx(dir / "text") end, "no IDX file")
    write("images", IMAGES)
    pack "images"
    local packed = process.read(dir / "images.gz")
    write("cut.gz", packed:sub(1, -9))
    assert.error_matches(function() data.idx(dir / "cut.gz") end, "cut.gz' is cut off")
    write("bad.gz", packed:sub(1, -6) .. "\0\0\0\0\0")
    assert.error_matches(function() data.idx(dir / "bad.gz") end, "bad.gz' is damaged")
    write("huge.gz", "")
    process.run("printf '\\0\\0\\10\\2\\377\\377\\377\\377\\377\\377\\377\\377' | gzip > " .. dir / "huge.gz")
    assert.error_matches(function() data.idx(dir / "huge.gz") end, "promises 4294967295 x 4294967295 elements")
    write("labels", LABELS .. "\1")
    assert.error_matches(function() data.idx(dir / "labels") end, "longer than its header says")
  end)

  it("say so at the line that names them", function()
    local _, message = pcall(function() data.idx(dir / "none") end)
    assert.matches("^[^\n]*files_spec%.lua:%d+: cannot open", message)
  end)

  it("are found in data folders", function()
    write("labels", LABELS)
    assert.error_matches(function() data.idx "labels" end, "cannot open 'labels'")
    table.insert(data.folders, tostring(dir))
    finally(function() table.remove(data.folders) end)
    assert.same({ 9, 0 }, data.idx("labels"):totable())
  end)
end)

describe("Fashion-MNIST", function()
  it("has its images, labels and moments", function()
    local train = data.fashion_mnist()
    assert.equal(60000, #train)
    local x, y = train:get(1)
    assert.same({ 1, 28, 28 }, x:shape())
    assert.equal(10, y) -- an ankle boot
    assert.equal("Ankle boot", train.classes[y])
    assert.near(0.2860, train.inputs:mean():item(), 5e-5)
    assert.near(0.3530, train.inputs:std():item(), 5e-5)
    assert.equal(1, train.targets:min():item())
    assert.equal(10, train.targets:max():item())
    assert.equal(1, train.inputs:max():item())
    assert.equal(6000, train.targets:eq(7):sum():item())
  end)

  it("is normalised on demand", function()
    local test = data.fashion_mnist { split = "test", normalize = true }
    assert.equal(10000, #test)
    local raw = data.fashion_mnist { split = "test" }
    assert.near((raw:get(5):mean():item() - 0.2860) / 0.3530, test:get(5):mean():item(), 1e-5)
  end)

  it("says what to install where it is missing", function()
    local dir <close> = process.tempdir()
    assert.error_matches(function() data.fashion_mnist { dir = tostring(dir) } end,
      "no train%-images%-idx3%-ubyte.*apt%-get install dataset%-fashion%-mnist.*SONDE_DATA")
    assert.error_matches(function() data.fashion_mnist { split = "valid" } end, "unknown split 'valid'.*train, test")
  end)
end)
