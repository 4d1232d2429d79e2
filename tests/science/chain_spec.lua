--- P17: scalar chains show where a floating-point gradient ends. Exact; fails if subnormals are flushed to zero.
local sonde = require "sonde"

--- d(factor^length · x)/dx by backward through `length` products.
local function gradient(factor, length, dtype)
  local x = sonde.ones(1, { dtype = dtype }):requires_grad_()
  local f, y = sonde.full({ 1 }, factor, { dtype = dtype }), x
  for _ = 1, length do y = y * f end
  y:sum():backward()
  return x.grad:item()
end

describe("P17 scalar chains", function()
  it("float32: 2^L is finite at 127 and infinite at 128", function()
    assert.equal(2.0 ^ 127, gradient(2, 127, "float32"))
    assert.equal(math.huge, gradient(2, 128, "float32"))
  end)
  it("float64: 2^L is finite at 1023 and infinite at 1024", function()
    assert.equal(2.0 ^ 1023, gradient(2, 1023, "float64"))
    assert.equal(math.huge, gradient(2, 1024, "float64"))
  end)
  it("float32: 0.5^L is the least subnormal at 149 and exactly 0 at 150", function()
    assert.equal(2.0 ^ -149, gradient(0.5, 149, "float32"))
    assert.equal(0, gradient(0.5, 150, "float32"))
  end)
end)
