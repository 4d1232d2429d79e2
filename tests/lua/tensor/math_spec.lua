local sonde = require "sonde"
local expect = require "support.expect"

describe("operators", function()
  local a, b

  before_each(function() a, b = sonde.tensor { 1, 2, 3 }, sonde.tensor { 4, 5, 6 } end)
  after_each(function() a, b = nil, nil end)

  it("compute element by element", function()
    expect.values({ 5, 7, 9 }, a + b)
    expect.values({ -3, -3, -3 }, a - b)
    expect.values({ 4, 10, 18 }, a * b)
    expect.values({ 0.25, 0.4, 0.5 }, a / b)
    expect.values({ 1, 32, 729 }, a ^ b, 1e-3)
    expect.values({ -1, -2, -3 }, -a)
  end)

  it("take a number on either side", function()
    expect.values({ 2, 3, 4 }, a + 1)
    expect.values({ 2, 3, 4 }, 1 + a)
    expect.values({ 9, 8, 7 }, 10 - a)
    expect.values({ 6, 3, 2 }, 6 / a)
    expect.values({ 1, 4, 9 }, a ^ 2)
    expect.values({ 2, 4, 8 }, 2 ^ a)
    assert.equal("float32", (a + 1.5).dtype)
  end)

  it("broadcast and promote", function()
    expect.values({ { 2, 3 }, { 3, 4 } }, sonde.tensor { { 1 }, { 2 } } + sonde.tensor { 1, 2 })
    assert.equal("float64", (a + sonde.ones(3, { dtype = "float64" })).dtype)
    assert.equal("float32", (a + sonde.ones(3, { dtype = "int64" })).dtype)
    expect.error("shapes [3] and [2] do not broadcast", function() return a + sonde.ones(2) end)
  end)

  it("refuse everything else", function()
    expect.error("bad argument #2 to 'add': expected Tensor or number, got string", function() return a + "1" end)
    expect.error("expected Tensor or number, got nil", function() return a * nil end)
    expect.error("got table", function() return {} - a end)
    expect.error("attempt to perform arithmetic on a Tensor value", function() return a % 2 end)
    expect.error("attempt to concatenate a Tensor value", function() return a .. "x" end)
  end)

  it("compare by methods; < explains itself", function()
    expect.values({ 0, 1, 0 }, a:eq(2))
    expect.values({ 1, 0, 1 }, a:ne(2))
    expect.values({ 1, 0, 0 }, a:lt(2))
    expect.values({ 1, 1, 0 }, a:le(2))
    expect.values({ 0, 0, 1 }, a:gt(2))
    expect.values({ 0, 1, 1 }, a:ge(sonde.tensor { 2, 2, 2 }))
    assert.equal("int64", a:lt(b).dtype)
    expect.error("use x:lt(y)", function() return a < b end)
    expect.error("use x:lt(y)", function() return a >= b end)
    expect.error("use x:lt(y)", function() return a < 1 end)
  end)

  it("== is identity", function()
    assert.is_true(a == a)
    assert.is_false(a == a:clone())
    local seen = { [a] = "a" }
    assert.equal("a", seen[a])
    assert.is_true(a:contiguous() == a)
    assert.is_true(a:to("float32") == a)
  end)

  it("have method and in-place forms", function()
    expect.values({ 5, 7, 9 }, a:add(b))
    expect.values({ 4, 5, 6 }, sonde.maximum(a, b))
    expect.values({ 1, 2, 3 }, a:minimum(b))
    local same = a:add_(1):mul_(b):sub_(1):div_(2)
    assert.is_true(same == a)
    expect.values({ 3.5, 7, 11.5 }, a)
    expect.values({ 0, 0, 0 }, a:zero_())
    expect.values({ 4, 5, 6 }, a:copy_(b))
    expect.values({ 9, 9, 9 }, a:fill_(9))
    expect.values({ 81, 81, 81 }, a:pow_(2))
    expect.error("takes two operands, got 3", function() a:add(b, b) end)
  end)
end)

describe("functions", function()
  it("of one tensor", function()
    local x = sonde.tensor { -2, -0.5, 0, 0.5, 2 }
    for name, f in pairs {
      exp = math.exp, abs = math.abs, sin = math.sin, cos = math.cos, floor = math.floor, ceil = math.ceil,
      neg = function(v) return -v end, square = function(v) return v * v end,
      sigmoid = function(v) return 1 / (1 + math.exp(-v)) end, relu = function(v) return math.max(v, 0) end,
      tanh = function(v) return (math.exp(2 * v) - 1) / (math.exp(2 * v) + 1) end,
      silu = function(v) return v / (1 + math.exp(-v)) end, softsign = function(v) return v / (1 + math.abs(v)) end,
      softplus = function(v) return math.log(1 + math.exp(v)) end,
      sign = function(v) return v > 0 and 1 or v < 0 and -1 or 0 end,
      hardtanh = function(v) return math.max(-1, math.min(1, v)) end,
    } do
      local wanted = {}
      for i, v in ipairs(x:totable()) do wanted[i] = f(v) end
      expect.values(wanted, x[name](x), 2e-6)
    end
    local positive = sonde.tensor { 0.5, 1, 4 }
    expect.values({ math.log(0.5), 0, math.log(4) }, positive:log())
    expect.values({ math.sqrt(0.5), 1, 2 }, positive:sqrt())
    expect.values({ 2, 1, 0.25 }, positive:reciprocal())
    expect.values({ math.sqrt(2), 1, 0.5 }, positive:rsqrt())
    expect.values({ math.log(1.5), math.log(2), math.log(5) }, positive:log1p())
    expect.values({ 0.5204999, 0.8427008, 1 }, positive:erf())
  end)

  it("with options", function()
    local x = sonde.tensor { -2, 2 }
    expect.values({ -0.02, 2 }, x:leaky_relu())
    expect.values({ -0.4, 2 }, x:leaky_relu(0.2))
    expect.values({ -0.4, 2 }, x:leaky_relu { negative_slope = 0.2 })
    expect.values({ math.exp(-2) - 1, 2 }, x:elu())
    expect.values({ -1, 1.5 }, x:clamp(-1, 1.5))
    expect.values({ -1, 2 }, x:clamp { min = -1 })
    expect.values({ -0.0454023, 1.9545977 }, x:gelu { approximate = "tanh" })
    local same = x:relu_()
    assert.is_true(same == x)
    expect.values({ 0, 2 }, x)
    expect.error("expected one of none, tanh; got 'erf'", function() x:gelu { approximate = "erf" } end)
    expect.error("Tensor:clamp: needs min or max", function() x:clamp() end)
    expect.error("bad argument 'max_val' to Tensor:hardtanh", function() x:hardtanh(1, -1) end)
    expect.error("Tensor:tanh: takes at most 0 arguments, got 1", function() x:tanh(1) end)
  end)

  it("of products", function()
    local m, v = sonde.tensor { { 1, 2 }, { 3, 4 } }, sonde.tensor { 1, 1 }
    expect.values({ { 7, 10 }, { 15, 22 } }, m:matmul(m))
    expect.values({ 3, 7 }, sonde.matmul(m, v))
    expect.values({ { 7, 10 }, { 15, 22 } }, sonde.einsum("ij,jk->ik", m, m))
    expect.values({ { 1, 2 }, { 3, 4 } }, sonde.einsum("i,ij->ij", v, m))
    expect.error("occurs twice", function() sonde.einsum("ii->i", m) end)
    expect.error("", function() m:matmul(sonde.ones(3)) end)
    expect.error("bad argument #1 to 'matmul': expected Tensor, got number", function() m:matmul(2) end)
  end)
end)
