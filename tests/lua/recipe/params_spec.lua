--- Parameters: declarations and what --set makes of them.
local params = require "sonde.recipe.params"

local function resolve(declared, set)
  local declarations, message = params.declare(declared)
  if not declarations then return nil, message end
  return params.resolve(declarations, set, ".")
end

describe("a parameter's type", function()
  it("is that of its default, and text is converted to it", function()
    local values = assert(resolve({ n = 3, x = 0.5, name = "a", flag = false, sizes = { { 64, 64 }, "widths" } },
      { n = "1e3", x = "1", name = "7", flag = "true", sizes = "32,16,8" }))
    assert.equal("integer", math.type(values.n))
    assert.equal(1000, values.n)
    assert.equal("float", math.type(values.x))
    assert.equal("7", values.name)
    assert.equal(true, values.flag)
    assert.same({ 32, 16, 8 }, values.sizes)
  end)

  it("refuses what does not fit, and says what would", function()
    for _, case in ipairs {
      { { n = 3 }, { n = "0.5" }, "parameter 'n': expected a whole number, got '0.5'" },
      { { x = 0.1 }, { x = "fast" }, "parameter 'x': expected a number, got 'fast'" },
      { { x = 0.1 }, { x = "nan" }, "expected a number" },
      { { x = 0.1 }, { x = "1e999" }, "expected a number" },
      { { flag = true }, { flag = "yes" }, "expected true or false, got 'yes'" },
      { { sizes = { { 1 }, "s" } }, { sizes = "1,b" }, "each a whole number" },
      { { n = { 3, "layers", min = 1 } }, { n = "0" }, "0 is below the minimum of 1" },
      { { n = { 3, "layers", max = 9 } }, { n = "10" }, "10 is above the maximum of 9" },
      { { act = { "relu", "which", choices = { "relu", "tanh" } } }, { act = "tahn" }, "did you mean 'tanh'" },
      { { depth = 3 }, { dpeth = "4" }, "unknown parameter 'dpeth' (did you mean 'depth'?); there are: depth" },
    } do
      local values, message = resolve(case[1], case[2])
      assert.is_nil(values)
      assert.truthy(message:find(case[3], 1, true), message)
    end
  end)

  it("takes Lua values from sonde.run as well", function()
    local values = assert(resolve({ n = 3, x = 0.5, sizes = { { 1 }, "s" } }, { n = 4.0, x = 2, sizes = { 5, 6 } }))
    assert.equal("integer", math.type(values.n))
    assert.equal(2.0, values.x)
    assert.same({ 5, 6 }, values.sizes)
  end)
end)

describe("a declaration", function()
  it("that is wrong is refused with its name", function()
    for _, case in ipairs {
      { { a = { 1, 2 } }, "params.a: a list is written" },
      { { a = { 1, "x", chioces = { 1 } } }, "params.a: unknown field 'chioces' (did you mean 'choices'?)" },
      { { a = { 5, "x", max = 4 } }, "params.a: the default does not fit: 5 is above" },
      { { a = { "x", "y", kind = "folder" } }, "params.a: kind must be" },
      { { a = print }, "params.a: the default must be" },
      { { ["a b"] = 1 }, "'a b' is no name" },
    } do
      local declarations, message = params.declare(case[1])
      assert.is_nil(declarations)
      assert.truthy(message:find(case[2], 1, true), message)
    end
  end)

  it("of kind file must name a readable file", function()
    local _, message = resolve({ table = { "", "a table", kind = "file" } }, { table = "/nowhere/at/all.csv" })
    assert.equal("parameter 'table': cannot read the file '/nowhere/at/all.csv'", message)
    assert.equal("", assert(resolve({ table = { "", "a table", kind = "file" } })).table)
  end)
end)

it("reading a parameter that is not declared is an error, not nil", function()
  local values = assert(resolve { width = 3 })
  assert.error_matches(function() return values.widht end,
    "^unknown parameter 'widht' %(did you mean 'width'%?%); there are: width$")
end)

it("--set needs name=value", function()
  assert.same({ a = "b=c", d = "" }, params.parse_set { "a=b=c", "d=" })
  local _, message = params.parse_set { "depth" }
  assert.equal("expected NAME=VALUE, got 'depth'", message)
end)
