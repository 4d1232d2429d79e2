local sonde = require "sonde"
local process = require "support.process"
local data = sonde.data

--- n records: the label bytes, then an image whose byte k is (k + 7 i) mod 256.
local function records(n, label)
  local list = {}
  for i = 1, n do
    local bytes = {}
    for k = 1, 3072 do bytes[k] = (k + 7 * i) % 256 end
    for from = 1, 3072, 192 do list[#list + 1] = string.char(table.unpack(bytes, from, from + 191)) end
    table.insert(list, #list - 15, label(i))
  end
  return table.concat(list)
end

describe("CIFAR's binary files", function()
  local dir
  before_each(function() dir = process.tempdir() end)
  after_each(function() getmetatable(dir).__close(dir) end)
  local function write(name, text) return process.write(dir / name, text) end
  local ten = function(i) return string.char(i % 10) end

  it("are images and labels, plain or packed, several after each other", function()
    write("a.bin", records(12, ten))
    write("b.bin", records(3, ten))
    assert.equal(0, process.run({ "gzip", dir / "b.bin" }).code)
    local d = data.cifar10 { files = { dir / "a.bin", dir / "b.bin.gz" } }
    assert.equal(15, #d)
    assert.same({ 15, 3, 32, 32 }, d.inputs:shape())
    assert.equal("float32", d.inputs.dtype)
    for _, i in ipairs { 1, 12, 15 } do
      local record = i > 12 and i - 12 or i
      local x, y = d:get(i)
      assert.equal(record % 10 + 1, y)
      for _, at in ipairs { { 1, 1, 1 }, { 1, 1, 2 }, { 1, 2, 1 }, { 3, 32, 32 } } do
        local k = (at[1] - 1) * 1024 + (at[2] - 1) * 32 + at[3]
        assert.near((k + 7 * record) % 256 / 255, x[at[1]][at[2]][at[3]]:item(), 1e-7)
      end
    end
    assert.equal("frog", d.classes[7])
    local normal = data.cifar10 { files = { dir / "a.bin" }, normalize = true }
    assert.near((d:get(2)[2][1][1]:item() - 0.4822) / 0.2435, normal:get(2)[2][1][1]:item(), 1e-5)
    assert.equal("frog", normal.classes[7])
  end)

  it("of CIFAR-100 have a coarse and a fine label", function()
    write("c.bin", records(3, function(i) return string.char(i + 10, i + 90) end))
    assert.same({ 92, 93, 94 }, data.cifar100({ files = { dir / "c.bin" } }).targets:totable())
    assert.same({ 12, 13, 14 }, data.cifar100({ files = { dir / "c.bin" }, labels = "coarse" }).targets:totable())
  end)

  it("are found in their folder, each with its 10,000 images", function()
    write("test_batch.bin", ("\3" .. ("\255"):rep(3072)):rep(10000))
    local d = data.cifar10 { split = "test", dir = tostring(dir) }
    assert.equal(10000, #d)
    assert.equal(4, d.targets:min():item())
    assert.error_matches(function() data.cifar10 { dir = tostring(dir) } end,
      "no data_batch_1.bin%(.gz%) in .*cifar%-10%-binary.tar.gz.*SONDE_DATA")
    local file = assert(io.open(dir / "test_batch.bin", "ab"))
    file:write("\3", ("\255"):rep(3072))
    file:close()
    assert.error_matches(function() data.cifar10 { split = "test", dir = tostring(dir) } end,
      "holds more than 10000 images")
    write("test.bin", ("\3\4" .. ("\255"):rep(3072)):rep(9))
    assert.error_matches(function() data.cifar100 { split = "test", dir = tostring(dir) } end,
      "holds fewer than 10000 images")
  end)

  it("say what is wrong with them", function()
    local function fails(text, message, opts)
      opts = opts or {}
      opts.files = { write("x.bin", text) }
      assert.error_matches(function() data.cifar10(opts) end, message)
    end
    fails(records(2, ten):sub(1, -2), "x.bin' ends inside record 2, after 3072 of its 3073 bytes")
    fails(records(1, ten) .. "\1", "ends inside record 2, after 1 of its 3073 bytes")
    fails(records(2, function(i) return string.char(8 + i) end), "the label 10 in record 2, expected 0 to 9")
    fails("", "x.bin' is empty")
    fails(records(1, ten), "unknown option 'split_'", { split_ = 1 })
    fails(records(1, ten), "unknown split 'valid'", { split = "valid" })
    assert.error_matches(function() data.cifar10 { files = { dir / "none.bin" } } end, "cannot open '.*none.bin'")
    assert.error_matches(function() data.cifar10 { files = {} } end, "files is a list of paths")
    assert.error_matches(function() data.cifar10 { files = { 3 } } end, "got a number in it")
    assert.error_matches(function() data.cifar100 { labels = "middle" } end, "unknown choice 'middle'")
  end)
end)
