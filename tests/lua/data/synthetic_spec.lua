local sonde = require "sonde"
local data = sonde.data

describe("synthetic sets", function()
  it("have the sizes asked for", function()
    for name, opts in pairs {
      spirals = { n = 30, classes = 3 }, blobs = { n = 30, classes = 3, features = 2 }, parity = { n = 30, bits = 2 },
    } do
      local d = data[name](opts)
      assert.same({ 30, 2 }, d.inputs:shape(), name)
      assert.same({ 30 }, d.targets:shape(), name)
      assert.equal(name == "parity" and 2 or 3, d.targets:max():item())
      assert.equal(1, d.targets:min():item())
    end
    assert.equal(1000, #data.spirals())
  end)

  it("depend on their seed alone", function()
    local function inputs(seed) return data.blobs({ n = 10, seed = seed }).inputs:totable() end
    sonde.manual_seed(1)
    local first = inputs(1)
    local after = sonde.rand(1):item()
    sonde.manual_seed(1)
    assert.equal(after, sonde.rand(1):item())
    assert.same(first, inputs(nil))
    assert.not_same(first, inputs(2))
  end)

  it("keep spirals in the unit disc and apart", function()
    local d = data.spirals { n = 200, noise = 0 }
    assert.is_true(d.inputs:norm(2):max():item() <= 1)
  end)

  it("refuse wrong options", function()
    assert.error_matches(function() data.blobs { n = 0 } end, "'n'.*0")
    assert.error_matches(function() data.spirals { noize = 1 } end, "noise")
    assert.error_matches(function() data.parity { bits = 1 << 60 } end, "bits")
  end)
end)
