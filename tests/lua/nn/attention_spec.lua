local sonde = require "sonde"
local expect = require "support.expect"
local nn = sonde.nn

local function randn(...) return sonde.randn({ ... }, { dtype = "float64", requires_grad = true }) end

--- Gradients of m to its inputs (a table by name) and its parameters; other arguments by name.
local function check(m, inputs, others)
  m:to("float64")
  local leaves, names = {}, {}
  for name, x in pairs(inputs) do leaves[#leaves + 1], names[#names + 1] = x, name end
  for _, p in ipairs(m:parameters()) do leaves[#leaves + 1] = p end
  assert.is_true(sonde.gradcheck(function(...)
    local call = {}
    for name, value in pairs(others or {}) do call[name] = value end
    for i, name in ipairs(names) do call[name] = select(i, ...) end
    return m(call)
  end, leaves))
end

local function causal_mask(n)
  local at = sonde.arange(n)
  return at:unsqueeze(1):gt(at:unsqueeze(2))
end

describe("MultiheadAttention", function()
  it("has PyTorch's parameters, started as there", function()
    local m = nn.MultiheadAttention(8, 2)
    local names = {}
    for name in pairs(m:state_dict()) do names[#names + 1] = name end
    table.sort(names)
    assert.same({ "in_proj_bias", "in_proj_weight", "out_proj.bias", "out_proj.weight" }, names)
    local bound = math.sqrt(6 / 32)
    local largest = m.in_proj_weight:abs():max():item()
    assert.is_true(largest <= bound and largest > 0.9 * bound)
    expect.values(0, m.in_proj_bias:abs():max() + m.out_proj.bias:abs():max())
    assert.is_nil(m.q_proj_weight)
    local other = nn.MultiheadAttention(64, 2, { kdim = 3, vdim = 5, bias = false, add_bias_kv = true, dropout = 0.5 })
    expect.shape({ 64, 3 }, other.k_proj_weight)
    expect.shape({ 64, 5 }, other.v_proj_weight)
    expect.shape({ 1, 1, 64 }, other.bias_k)
    expect.values(1 / 8, other.bias_v:std(), 0.04)
    assert.is_nil(other.in_proj_weight)
    assert.truthy(tostring(other):find(
      "MultiheadAttention(\n  64, 2, dropout=0.5, bias=false, add_bias_kv=true, kdim=3, vdim=5\n", 1, true))
  end)

  it("gives the output and the weights, by position or by name", function()
    local m, q, k = nn.MultiheadAttention(6, 3), sonde.randn(3, 2, 6), sonde.randn(5, 2, 6)
    local y, w = m(q, k)
    expect.shape({ 3, 2, 6 }, y)
    expect.shape({ 2, 3, 5 }, w)
    expect.values(1, w:sum(3):min(), 1e-6)
    local same, none = m { query = q, key = k, value = k, need_weights = false }
    assert.is_true(same:equal(y))
    assert.is_nil(none)
    local _, each = m(q, k, k, { average_attn_weights = false })
    expect.shape({ 2, 3, 3, 5 }, each)
    assert.is_true((each:mean(2) - w):abs():max():item() < 1e-6)
    assert.is_true(m(q, nil, nil, nil, false):equal((m(q, q, q))))
  end)

  it("passes gradcheck in every arrangement", function()
    local hidden = sonde.tensor({ { 0, 0, 1 }, { 1, 0, 0 } }, { dtype = "int64" })
    check(nn.MultiheadAttention(4, 2), { query = randn(3, 2, 4) })
    check(nn.MultiheadAttention(4, 2), { query = randn(3, 2, 4) }, { is_causal = true, need_weights = false })
    check(nn.MultiheadAttention(4, 1, { batch_first = true, bias = false }),
      { query = randn(2, 2, 4), key = randn(2, 3, 4), value = randn(2, 3, 4), attn_mask = randn(2, 3) },
      { key_padding_mask = hidden })
    check(nn.MultiheadAttention(4, 2, { kdim = 3, vdim = 2, add_bias_kv = true, add_zero_attn = true }),
      { query = randn(2, 4), key = randn(3, 3), value = randn(3, 2), attn_mask = randn(2, 2, 3) })
    check(nn.MultiheadAttention(4, 2), { query = randn(2, 2, 4), key = randn(3, 2, 4), key_padding_mask = randn(2, 3) },
      { average_attn_weights = false })
  end)

  it("adds up where one tensor is query, key and value", function()
    local x = randn(2, 2, 2)
    local function loss(a, b, c) return (nn.MultiheadAttention(2, 1, { dtype = "float64" }))(a, b, c):square():sum() end
    sonde.manual_seed(1)
    loss(x, x, x):backward()
    local whole = x.grad
    local parts = { x:detach():clone():requires_grad_(), x:detach():clone():requires_grad_(),
      x:detach():clone():requires_grad_() }
    sonde.manual_seed(1)
    loss(table.unpack(parts)):backward()
    assert.is_true((whole - parts[1].grad - parts[2].grad - parts[3].grad):abs():max():item() < 1e-12)
  end)

  it("is causal as a mask of that form", function()
    local m, x = nn.MultiheadAttention(6, 2), sonde.randn(4, 3, 6)
    local y, w = m(x, { is_causal = true })
    local masked = m(x, { attn_mask = causal_mask(4) })
    assert.is_true(y:equal(masked))
    expect.values(0, w[1][1][{ { 2, 4 } }]:abs():max())
    local both = m(x, { is_causal = true, attn_mask = sonde.zeros(4, 4) })
    assert.is_true(both:equal(y))
  end)

  it("gives NaN to a query that may look at nothing, as PyTorch", function()
    local y = nn.MultiheadAttention(2, 1)(sonde.ones(2, 1, 2),
      { attn_mask = sonde.tensor({ { 1, 1 }, { 0, 1 } }, { dtype = "int64" }) })
    local first = y[1][1][1]:item()
    assert.is_true(first ~= first)
    assert.is_true(y[2][1][1]:item() == y[2][1][1]:item())
  end)

  it("drops weights in training, from its own stream", function()
    local m, x = nn.MultiheadAttention(8, 2, { dropout = 0.5, dtype = "float64" }), randn(40, 4, 8)
    local y, w = m(x, { average_attn_weights = false })
    expect.values(0.5, w:eq(0):to("float64"):mean(), 0.03)
    assert.is_false(y:equal((m(x))))
    w:square():sum():backward() -- alone: nothing comes for y
    assert.is_true(m.in_proj_weight.grad:norm():item() > 0)
    m:eval()
    assert.is_true((m(x)):equal((m(x))))
    -- gradients with a fixed draw: the same module anew for every value
    local z = randn(3, 2, 4)
    assert.is_true(sonde.gradcheck(function(a)
      sonde.manual_seed(3)
      return nn.MultiheadAttention(4, 2, { dropout = 0.4, dtype = "float64" })(a)
    end, { z }))
  end)

  it("checks its arguments", function()
    expect.error("embed_dim 6 cannot be cut into 4 heads", function() nn.MultiheadAttention(6, 4) end)
    expect.error("'num_heads' to nn.MultiheadAttention", function() nn.MultiheadAttention(6) end)
    expect.error("expected at least 1, got 0", function() nn.MultiheadAttention(6, 0) end)
    expect.error("unknown option 'head'", function() nn.MultiheadAttention(6, 2, { head = 1 }) end)
    expect.error("dropout must be between 0 and 1, got 2", function() nn.MultiheadAttention(6, 2, { dropout = 2 }) end)
    expect.error("", function() nn.MultiheadAttention(1 << 40, 1) end)
    local m, x = nn.MultiheadAttention(6, 2), sonde.ones(3, 2, 6)
    expect.error("MultiheadAttention: expected a query [L, N, 6] or [L, 6], got [3, 2, 5]",
      function() m(sonde.ones(3, 2, 5)) end)
    expect.error("expected a key [S, N, 6] or [S, 6], got [3, 1, 6] for query [3, 2, 6]",
      function() m(x, sonde.ones(3, 1, 6)) end)
    expect.error("expected a value [S, N, 6] or [S, 6], got [4, 2, 6] for key [3, 2, 6]",
      function() m(x, x, sonde.ones(4, 2, 6)) end)
    expect.error("got [3, 6] for query", function() m(x, sonde.ones(3, 6)) end)
    expect.error("got [0, 2, 6]", function() m(sonde.ones(0, 2, 6)) end)
    expect.error("expected an attn_mask [3, 3] or [N * num_heads, 3, 3], got [3, 2]",
      function() m(x, { attn_mask = sonde.ones(3, 2) }) end)
    expect.error("or [4, 3, 3], got [3, 3, 3]", function() m(x, { attn_mask = sonde.ones(3, 3, 3) }) end)
    expect.error("expected a key_padding_mask [2, 3], got [3, 3]",
      function() m(x, { key_padding_mask = sonde.ones(3, 3) }) end)
    expect.error("expected a key_padding_mask [3], got [1, 3]",
      function() m(sonde.ones(3, 6), { key_padding_mask = sonde.ones(1, 3) }) end)
    expect.error("need_weights must have one element, got 9",
      function() m(x, x, x, nil, sonde.ones(3, 3)) end)
    expect.error("MultiheadAttention: unknown option 'mask'", function() m(x, { mask = x }) end)
    expect.error("bad argument #6 to MultiheadAttention: expected Tensor, got string",
      function() m(x, { attn_mask = "causal" }) end)
    expect.error("the input is float64, the weight float32", function() m(x:to("float64")) end)
    expect.error("int64", function() m(x:to("int64")) end)
    expect.error("takes at most 8 arguments, got 9", function() m(x, x, x, x, x, x, x, x, x) end)
    expect.error("at least 1 argument, got 0", function() m() end)
    expect.shape({ 3, 0, 6 }, (m(sonde.ones(3, 0, 6))))
    m(sonde.ones(3, 0, 6)):sum():backward()
    expect.values(0, m.in_proj_weight.grad:abs():max())
  end)
end)
