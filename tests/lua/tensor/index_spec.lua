local sonde = require "sonde"
local expect = require "support.expect"

describe("t[...]", function()
  local t

  before_each(function() t = sonde.arange(1, 13, { dtype = "float32" }):view(3, 4) end)
  after_each(function() t = nil end)

  it("selects along the first axis", function()
    expect.values({ 5, 6, 7, 8 }, t[2])
    expect.values({ 9, 10, 11, 12 }, t[-1])
    assert.equal(6.0, t[2][2]:item())
    assert.equal(0, t[2][2]:dim())
  end)

  it("takes Torch7's ranges", function()
    expect.values({ 1, 5, 9 }, t[{ {}, 1 }])
    expect.values({ { 6, 7, 8 }, { 10, 11, 12 } }, t[{ { 2, 3 }, { 2, -1 } }])
    expect.values({ { 5, 6, 7, 8 } }, t[{ { 2 } }])
    expect.values({ 1, 3 }, t[{ 1, { 1, 4, 2 } }])
    expect.values({ 2, 4 }, t[{ 1, { 2, 4, 2 } }])
    expect.values({ 2 }, t[{ 1, { 2, 4, math.maxinteger } }])
    assert.equal(12.0, t[{ -1, -1 }]:item())
    expect.values(t:totable(), t[{}])
  end)

  it("shares memory", function()
    t[2]:zero_()
    assert.equal(0.0, t[{ 2, 3 }]:item())
  end)

  it("assigns numbers, tensors and tables", function()
    t[1] = 0
    t[{ {}, 4 }] = sonde.tensor { 7, 8, 9 }
    t[{ 2, { 1, 2 } }] = { -1, -2 }
    expect.values({ { 0, 0, 0, 7 }, { -1, -2, 7, 8 }, { 9, 10, 11, 9 } }, t)
  end)

  it("assigns differentiably", function()
    local v = sonde.tensor({ 2, 3 }, { requires_grad = true })
    local x = sonde.zeros(2, 2)
    x[1] = v * v
    x:sum():backward()
    expect.values({ 4, 6 }, v.grad)
  end)

  it("has gradients", function()
    local x = sonde.ones(2, 3, { requires_grad = true });
    (x[{ {}, { 2, 3 } }] * 2):sum():backward()
    expect.values({ { 0, 2, 2 }, { 0, 2, 2 } }, x.grad)
  end)

  it("says what is out of range", function()
    expect.error("index 4 is outside 1..3 of axis 1 (shape [3, 4])", function() return t[4] end)
    expect.error("index -5 is outside 1..4 of axis 2", function() return t[{ 1, -5 }] end)
    expect.error("there is no index 0", function() return t[0] end)
    expect.error("an index is an integer, got 1.5", function() return t[1.5] end)
    expect.error("3 indices for a tensor with 2 axes", function() return t[{ 1, 1, 1 }] end)
    expect.error("the range {3, 2} of axis 1 is empty", function() return t[{ { 3, 2 } }] end)
    expect.error("the step of a range is an integer from 1, got 0", function() return t[{ { 1, 2, 0 } }] end)
    expect.error("a range is {}, {i}", function() return t[{ { 1, 2, 1, 1 } }] end)
    expect.error("without axes", function() return sonde.tensor(1)[1] end)
    expect.error("indexed by an integer or by ranges", function() return t[true] end)
    expect.error("expected Tensor, number or table to assign, got string", function() t[1] = "x" end)
    expect.error("broadcast", function() t[1] = sonde.ones(3) end)
    expect.error("no field 'colour'", function() t.colour = 1 end)
  end)

  it("is told from fields", function()
    assert.is_nil(t.nothing)
    assert.equal(3, #t)
    assert.equal(2, t.ndim)
    assert.equal("float32", t.dtype)
    expect.error("without axes has no length", function() return #sonde.tensor(1) end)
  end)
end)

describe("choosing elements", function()
  local t

  before_each(function() t = sonde.arange(1, 7):view(2, 3) end)
  after_each(function() t = nil end)

  it("narrow and select", function()
    expect.values({ { 2, 3 }, { 5, 6 } }, t:narrow(2, 2, 2))
    expect.values({ 3, 6 }, t:select(-1, 3))
    expect.error("bad argument 'length' to Tensor:narrow: 3 elements from 2 on are more than axis 2 has (3)",
      function() t:narrow(2, 2, 3) end)
    expect.error("bad argument 'index' to Tensor:select: 4 is outside 1..3", function() t:select(2, 4) end)
  end)

  it("index_select and gather take tensors or lists", function()
    expect.values({ { 3, 1 }, { 6, 4 } }, t:index_select(2, { 3, 1 }))
    expect.values({ { 4, 5, 6 } }, t:index_select(1, sonde.tensor({ 2 }, { dtype = "int64" })))
    expect.values({ { 2 }, { 6 } }, t:gather(2, { { 2 }, { 3 } }))
    expect.error("", function() t:index_select(2, { 4 }) end)
    expect.error("", function() t:index_select(2, { 0 }) end)
  end)

  it("where takes tensors and numbers", function()
    local c = t:gt(3)
    expect.values({ { 0, 0, 0 }, { 4, 5, 6 } }, sonde.where(c, t, 0))
    expect.values({ { 1, 1, 1 }, { -1, -1, -1 } }, sonde.where(c, -1, 1))
  end)
end)
