--- JSON and the tables for people.
local json = require "sonde.json"
local text = require "sonde.text"

describe("json", function()
  it("sorts keys, keeps every bit of a number, and tells floats from integers", function()
    local text_of_all = json.encode { b = { d = true, c = '"\n' }, a = { 1, 2.0, 0.1 } }
    assert.equal('{"a":[1,2.0,0.1],"b":{"c":"\\"\\n","d":true}}', text_of_all)
    for _, x in ipairs { 0.1 + 0.2, 1e300 / 3, -5e-324, 2 ^ 53 } do assert.equal(x, tonumber(json.encode(x))) end
  end)

  it("has null for what is not finite, [] for an empty array, and valid UTF-8 whatever comes", function()
    assert.equal("[null,null,null]", json.encode { 0 / 0, 1 / 0, -1 / 0 })
    assert.equal("[]{}", json.encode(json.array {}) .. json.encode {})
    assert.equal('"a\u{FFFD}b\\u0001"', json.encode("a\255b\1"))
    assert.error(function()
      local t = {}
      t.t = t
      json.encode(t)
    end)
  end)
end)

describe("json.decode", function()
  it("reads back what encode writes, and what others write", function()
    local values = { a = { 1, 2.0, 0.1, json.null }, b = { c = '"\n\1', d = true }, e = json.array {}, f = "größe" }
    local text_of_all = json.encode(values, "  ")
    assert.equal(text_of_all, json.encode(json.decode(text_of_all), "  "))
    assert.same({ "integer", "float", "float" }, { math.type(json.decode "7"), math.type(json.decode "7e0"),
                                                   math.type(json.decode "12345678901234567890") })
    assert.equal("é😀/\u{FFFD}", json.decode [[ "\u00e9\ud83d\ude00\/\ud83d" ]])
    assert.equal(false, json.decode " false")
    assert.equal(json.null, json.decode "null")
  end)

  it("says where it is wrong", function()
    for wrong, where in pairs {
      ["[1,]"] = "line 1: a value", ['{"a"\n1}'] = "line 2: ':'", ['{a:1}'] = "a name", ["01"] = "'01' is no number",
      ["1."] = "no number", ["1e"] = "no number", ['"ab'] = "does not end", ['"\\x"'] = "escape", nul = "a value",
      ["1 2"] = "follows", ["[1"] = "']'", [""] = "a value", ['"\t"'] = "control character",
      [("["):rep(100000)] = "too deep",
    } do
      local value, message = json.decode(wrong)
      assert.is_nil(value)
      assert.truthy(message:find(where, 1, true), message)
    end
  end)
end)

describe("text", function()
  it("aligns columns by what is seen", function()
    local rows = { { "name", "n" }, { "größe", "1" }, { "b", "10" } }
    assert.equal("name    n\ngröße   1\nb      10", text.columns(rows, "lr"))
  end)

  it("draws a log scale between powers of ten, zero as nothing", function()
    local scale = text.log_scale { 3e-5, 0, 0.2, 1 / 0, 0 / 0 }
    assert.same({ -5, 0 }, { scale.low, scale.high })
    assert.equal(0, scale.share(0))
    assert.near(0.5, scale.share(10 ^ -2.5), 1e-12)
    assert.equal("████", text.bar(1, 4))
    assert.equal("    ", text.bar(0, 4))
    assert.equal("▏   ", text.bar(1e-9, 4))
    assert.equal("██  ", text.bar(0.5, 4))
    assert.equal("1,234,567", text.count(1234567))
  end)
end)
