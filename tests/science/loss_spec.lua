--- P18: gradients of losses and activations that textbooks quote.
local sonde = require "sonde"
local science = require "support.science"
local nn = sonde.nn

local function f64(values) return sonde.tensor(values, { dtype = "float64" }) end
local function near(expected, actual)
  science.within("value", actual, expected - 1e-4 * math.abs(expected), expected + 1e-4 * math.abs(expected))
end

--- dφ/dx at x.
local function slope(activation, x)
  local t = f64({ x }):requires_grad_()
  activation()(t):sum():backward()
  return t.grad:item()
end

describe("P18 losses", function()
  it("cross-entropy has gradient (p - y)/B", function()
    sonde.manual_seed(1)
    local z = (sonde.randn(7, 5, { dtype = "float64" }) * 3):detach():requires_grad_()
    local labels = sonde.randint(1, 5, { 7 })
    nn.CrossEntropyLoss()(z, labels):backward()
    local p = z:detach():softmax(2)
    for i = 1, 7 do
      for j = 1, 5 do
        local expected = (p[i][j]:item() - (labels[i]:item() == j and 1 or 0)) / 7
        science.within("error", math.abs(z.grad[i][j]:item() - expected), 0, 1e-15)
      end
    end
  end)
  it("squared error on a sigmoid saturates where cross-entropy does not", function()
    for z, expected in pairs { [-10] = { -9.0787e-5, -0.9999546 }, [-20] = { -4.1223e-9, -1.0 } } do
      local a, one = f64({ z }):requires_grad_(), f64 { 1 }
      nn.MSELoss()(a:sigmoid(), one):backward()
      near(expected[1], a.grad:item())
      local b = f64({ z }):requires_grad_()
      nn.BCEWithLogitsLoss()(b, one):backward()
      near(expected[2], b.grad:item())
    end
  end)
  it("of uniform logits is ln C", function()
    local logits, labels = sonde.zeros(4, 10, { dtype = "float64" }), sonde.tensor({ 1, 4, 7, 10 }, { dtype = "int64" })
    near(2.3025851, nn.CrossEntropyLoss()(logits, labels):item())
  end)
  it("is exact for enormous logits", function()
    local z = f64({ { 1000, -1000, 0 } }):requires_grad_()
    local loss = nn.CrossEntropyLoss()(z, sonde.tensor({ 2 }, { dtype = "int64" }))
    loss:backward()
    assert.equal(2000, loss:item())
    assert.same({ { 1, -1, 0 } }, z.grad:totable())
  end)
end)

describe("P18 slopes", function()
  local known = {
    Sigmoid = { [0.5] = 0.2350037, [3] = 0.045177, [10] = 4.5396e-5 },
    Tanh = { [0.5] = 0.78645, [3] = 0.0098660, [10] = 8.2446e-9 },
    ReLU = { [0.5] = 1, [3] = 1, [10] = 1 },
  }
  for name, values in pairs(known) do
    it("of " .. name, function()
      for x, expected in pairs(values) do near(expected, slope(nn[name], x)) end
    end)
  end
end)
