local sonde = require "sonde"
local expect = require "support.expect"

--- A float64 leaf of random numbers away from 0 and from each other, where kinks would spoil differences.
local function leaf(...)
  local t = sonde.rand(..., { dtype = "float64" }) * 1.5 + 0.25
  local signs = sonde.randint(0, 1, t:shape(), { dtype = "float64" }) * 2 - 1
  return (t * signs):detach():requires_grad_()
end

local function positive(...)
  return (sonde.rand(..., { dtype = "float64" }) + 0.5):requires_grad_()
end

local function check(name, fn, ...)
  local inputs = { ... }
  it(name, function()
    sonde.manual_seed(11)
    local made = {}
    for i, make in ipairs(inputs) do made[i] = make() end
    assert.is_true(sonde.gradcheck(fn, made))
  end)
end

local function of(...)
  local shape = { ... }
  return function() return leaf(shape) end
end

local function above_zero(...)
  local shape = { ... }
  return function() return positive(shape) end
end

describe("gradcheck of", function()
  for _, name in ipairs { "add", "sub", "mul", "div", "maximum", "minimum" } do
    check(name, function(a, b) return a[name](a, b) end, of(3, 4), of(3, 4))
    check(name .. ", broadcast", function(a, b) return a[name](a, b) end, of(2, 3, 1), of(4))
    check(name .. " in place", function(a, b)
      local c = a * 1
      if not c[name .. "_"] then return c end
      return c[name .. "_"](c, b)
    end, of(3, 4), of(4))
  end
  check("pow", function(a, b) return a ^ b end, above_zero(3), of(3))
  check("numbers on either side", function(a) return (2 - a) / 3 + 1 / a + a ^ 3 - 5 * a + 2 ^ a end, of(5))
  for _, name in ipairs { "neg", "abs", "exp", "square", "reciprocal", "sin", "cos", "erf", "sigmoid", "tanh", "relu",
    "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "softsign", "hardtanh" } do
    check(name, function(x) return x[name](x) end, of(3, 4))
    check(name .. " of a transposed view", function(x) return x:t()[name](x:t()) end, of(3, 4))
  end
  for _, name in ipairs { "exp_", "relu_", "tanh_", "sigmoid_", "neg_", "square_" } do
    check(name, function(x)
      local y = x * 2
      return y[name](y)
    end, of(3, 4))
  end
  for _, name in ipairs { "log", "log1p", "sqrt", "rsqrt" } do
    check(name, function(x) return x[name](x) end, above_zero(4))
  end
  check("gelu, tanh form", function(x) return x:gelu("tanh") end, of(4))
  check("clamp", function(x) return x:clamp(-1, 1) end, of(8))
  check("matmul", function(a, b) return a:matmul(b) end, of(3, 4), of(4, 2))
  check("matmul of a matrix and a vector", function(a, b) return a:matmul(b) end, of(3, 4), of(4))
  check("matmul of two vectors", function(a, b) return a:matmul(b) end, of(4), of(4))
  check("matmul of stacks", function(a, b) return a:matmul(b) end, of(2, 3, 4), of(4, 2))
  check("matmul of views", function(a, b) return a:t():matmul(b:t()) end, of(4, 3), of(2, 4))
  check("einsum", function(a, b) return sonde.einsum("bij,jk->bik", a, b) end, of(2, 3, 4), of(4, 2))
  for _, name in ipairs { "sum", "mean", "var", "std", "norm", "logsumexp" } do
    check(name, function(x) return x[name](x) end, of(3, 4))
    check(name .. " along an axis", function(x) return x[name](x, 2, true) end, of(3, 4))
  end
  check("prod", function(x) return x:prod(2) end, of(3, 4))
  check("norm, p = 1, 3 and inf", function(x)
    return x:norm(2, false, 1) + x:norm(2, false, 3) + x:norm(2, false, math.huge)
  end, of(3, 4))
  check("max and min", function(x) return x:max(), (x:min(2)) end, of(3, 4))
  check("softmax", function(x) return x:softmax(2) end, of(3, 4))
  check("log_softmax", function(x) return x:log_softmax(1) end, of(3, 4))
  check("cumsum", function(x) return x:cumsum(2) end, of(3, 4))
  check("views", function(x)
    return x:view(2, 6):t()[{ { 2, 5 }, 1 }], x:permute(2, 1)[2], x:flatten():narrow(1, 3, 4)
  end, of(3, 4))
  check("reshape of a view", function(x) return x:t():reshape(2, 6) end, of(3, 4))
  check("expand and tile", function(x) return x:expand(4, 3) * x, x:tile(2, 2) end, of(1, 3))
  check("squeeze, unsqueeze", function(x) return x:unsqueeze(2):squeeze(2) * 2 end, of(3, 4))
  check("cat and stack", function(a, b)
    return sonde.cat({ a, b, a }, 2), sonde.stack({ a, a }, 3)
  end, of(3, 4), of(3, 2))
  check("index_select", function(x) return x:index_select(2, { 3, 1, 3 }) end, of(3, 4))
  check("gather", function(x) return x:gather(2, { { 1, 1 }, { 4, 2 }, { 3, 3 } }) end, of(3, 4))
  check("where", function(a, b) return sonde.where(a:detach():gt(0), a * 2, b) end, of(3, 4), of(4))
  check("assignment", function(a, b)
    local c = a * 1
    c[{ {}, 2 }] = b
    return c * c
  end, of(3, 4), of(3))
  check("clone, contiguous and to", function(x) return x:clone():t():contiguous():to("float64") end, of(3, 4))
  check("a tensor used twice", function(x) return x * x + x:tanh() end, of(3))
end)

describe("gradcheck", function()
  it("finds a wrong gradient", function()
    local x = leaf(3)
    local function wrong(a) return a * a:detach() end
    expect.error("gradcheck", function() sonde.gradcheck(wrong, { x }) end)
    local ok, message = sonde.gradcheck(wrong, { x }, { raise_exception = false })
    assert.is_false(ok)
    assert.truthy(message:find("gradcheck", 1, true))
  end)

  it("finds a backward that is not deterministic", function()
    local x, n = leaf(3), 0
    x:register_hook(function(g)
      n = n + 1
      return g + n * 1e-9
    end)
    expect.error("", function() sonde.gradcheck(function(a) return a * a end, { x }) end)
  end)

  it("passes on what its function raises", function()
    local x = leaf(3)
    local ok, message = pcall(sonde.gradcheck, function() error("mine") end, { x }, { raise_exception = false })
    assert.is_false(ok)
    assert.truthy(message:find("mine", 1, true))
    expect.error("float64",
      function() sonde.gradcheck(function(a) return a end, { sonde.ones(2, { requires_grad = true }) }) end)
    expect.error("expected function, got number", function() sonde.gradcheck(1, { x }) end)
    expect.error("returns 1 to 8 tensors, got 0", function() sonde.gradcheck(function() end, { x }) end)
  end)
end)
