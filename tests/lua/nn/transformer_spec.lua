local sonde = require "sonde"
local expect = require "support.expect"
local nn = sonde.nn

local function randn(...) return sonde.randn({ ... }, { dtype = "float64", requires_grad = true }) end

local function names_of(m) return table.concat(m:child_names(), " ") end

local function gradcheck(m, x, options)
  m:to("float64")
  local leaves = { x }
  for _, p in ipairs(m:parameters()) do
    if #leaves < 16 then leaves[#leaves + 1] = p end
  end
  assert.is_true(sonde.gradcheck(function(src) return m(src, options) end, leaves))
end

describe("TransformerEncoderLayer", function()
  it("has PyTorch's parts, in the order they run", function()
    assert.equal("self_attn dropout1 norm1 linear1 activation dropout linear2 dropout2 norm2",
      names_of(nn.TransformerEncoderLayer(4, 2)))
    local pre = nn.TransformerEncoderLayer(4, 2, 6, { norm_first = true, activation = "gelu", layer_norm_eps = 0.5 })
    assert.equal("norm1 self_attn dropout1 norm2 linear1 activation dropout linear2 dropout2", names_of(pre))
    assert.equal("GELU", pre.activation:class_name())
    assert.truthy(tostring(pre):find("TransformerEncoderLayer(\n  norm_first=true", 1, true))
    assert.truthy(tostring(pre.norm1):find("eps=0.5", 1, true))
    local names, free = {}, nn.TransformerEncoderLayer(4, 2, 6, { bias = false, activation = nn.SiLU() })
    for name in pairs(free:state_dict()) do names[#names + 1] = name end
    table.sort(names)
    assert.same({ "linear1.weight", "linear2.weight", "norm1.weight", "norm2.weight", "self_attn.in_proj_weight",
      "self_attn.out_proj.weight" }, names)
    expect.shape({ 2048, 4 }, nn.TransformerEncoderLayer(4, 2).linear1.weight)
  end)

  it("passes gradcheck, before and after normalisation", function()
    for _, norm_first in ipairs { false, true } do
      local m = nn.TransformerEncoderLayer(4, 2, 3, { dropout = 0, norm_first = norm_first, activation = nn.Tanh() })
      gradcheck(m, randn(3, 2, 4), { is_causal = true })
    end
    gradcheck(nn.TransformerEncoderLayer(2, 1, 3, { dropout = 0, activation = nn.Sigmoid() }), randn(3, 2))
  end)

  it("drops in training only", function()
    local m, x = nn.TransformerEncoderLayer(8, 2, 16, { dropout = 0.5 }), sonde.randn(5, 2, 8)
    assert.is_false(m(x):equal(m(x)))
    m:eval()
    assert.is_true(m(x):equal(m(x)))
  end)

  it("shows every leaf inside to a probe, and its own parameters", function()
    local net = nn.Sequential { nn.TransformerEncoderLayer(8, 2, 16, { norm_first = true }), nn.Linear(8, 2) }
    local probe <close> = sonde.probe.attach(net)
    net(sonde.randn(5, 4, 8)):square():mean():backward()
    probe:step()
    local row = probe:last()
    for _, name in ipairs { "norm1", "self_attn.out_proj", "dropout1", "norm2", "linear1", "activation", "dropout",
      "linear2", "dropout2" } do
      assert.is_true(row.activation_grad["1." .. name].l2_norm > 0, name)
    end
    for _, name in ipairs { "in_proj_weight", "in_proj_bias", "out_proj.weight" } do
      assert.is_true(row.weight_grad["1.self_attn." .. name].l2_norm > 0, name)
    end
    local slope = row.activation["1.activation"].slope_rms
    assert.is_true(slope > 0.3 and slope < 1)
  end)

  it("works with hooks on its parts", function()
    local m, seen = nn.TransformerEncoderLayer(4, 2, 6, { dropout = 0 }), {}
    m.self_attn:register_forward_hook(function(_, input) seen.inputs = #input end)
    m.self_attn:register_full_backward_hook(function(_, grad_input, grad_output)
      seen.grad_in, seen.grad_out = grad_input[1], grad_output[1]
    end)
    local x = sonde.randn(3, 2, 4, { requires_grad = true })
    m(x):square():sum():backward()
    expect.shape({ 3, 2, 4 }, seen.grad_in)
    expect.shape({ 3, 2, 4 }, seen.grad_out)
    assert.is_true(seen.inputs >= 3)
  end)

  it("checks its arguments and names the part that fails", function()
    expect.error("d_model 6 cannot be cut into 4 heads", function() nn.TransformerEncoderLayer(6, 4) end)
    expect.error("bad argument 'activation' to nn.TransformerEncoderLayer",
      function() nn.TransformerEncoderLayer(4, 2, { activation = "tanh" }) end)
    expect.error("bad argument 'activation'", function() nn.TransformerEncoderLayer(4, 2, { activation = 3 }) end)
    expect.error("dropout must be between 0 and 1", function() nn.TransformerEncoderLayer(4, 2, 8, -1) end)
    expect.error("layer_norm_eps must not be negative",
      function() nn.TransformerEncoderLayer(4, 2, { layer_norm_eps = -1 }) end)
    expect.error("", function() nn.TransformerEncoderLayer(1 << 30, 2, 1 << 60) end)
    local m = nn.TransformerEncoderLayer(4, 2, 6)
    expect.error("layer 'self_attn' (MultiheadAttention): expected a query [L, N, 4]",
      function() m(sonde.ones(3, 2, 5)) end)
    expect.error("expected an attn_mask", function() m(sonde.ones(3, 2, 4), sonde.ones(2, 2)) end)
    expect.error("unknown option 'mask'", function() m(sonde.ones(3, 2, 4), { mask = sonde.ones(2, 2) }) end)
  end)
end)

describe("TransformerEncoder", function()
  it("stacks copies of a layer, which stays as it is", function()
    local layer = nn.TransformerEncoderLayer(4, 2, 6, { dropout = 0, activation = nn.LeakyReLU(0.3) })
    local net = nn.TransformerEncoder(layer, 3, { norm = nn.LayerNorm(4) })
    assert.equal("layers norm", names_of(net))
    assert.equal(3, #net.layers)
    assert.is_true(net.layers[2].linear1.weight:equal(layer.linear1.weight))
    net.layers[2].linear1.weight:detach():fill_(0)
    assert.is_true(net.layers[3].linear1.weight:equal(layer.linear1.weight))
    assert.equal("LeakyReLU(negative_slope=0.3)", tostring(net.layers[1].activation))
    local x, same = sonde.randn(3, 2, 4), nn.TransformerEncoder(layer, 2)
    assert.is_true((same(x) - layer(layer(x))):abs():max():item() < 1e-6)
    gradcheck(nn.TransformerEncoder(nn.TransformerEncoderLayer(2, 1, 3, { dropout = 0, activation = nn.Tanh() }), 2),
      randn(2, 1, 2))
  end)

  it("checks its arguments and names the part that fails", function()
    local layer = nn.TransformerEncoderLayer(4, 2, 6)
    expect.error("expected a TransformerEncoderLayer, got Linear",
      function() nn.TransformerEncoder(nn.Linear(1, 1), 2) end)
    expect.error("'num_layers'", function() nn.TransformerEncoder(layer, 0) end)
    expect.error("'num_layers'", function() nn.TransformerEncoder(layer) end)
    expect.error("a layer whose activation is a PReLU cannot be copied", function()
      nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 6, { activation = nn.PReLU() }), 2)
    end)
    layer.linear1 = nn.Linear(4, 7)
    expect.error("the layer has been given parts of another shape", function() nn.TransformerEncoder(layer, 2) end)
    local net = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 6), 2)
    expect.error("layer 'layers.1.self_attn' (MultiheadAttention): expected a query",
      function() net(sonde.ones(3, 2, 5)) end)
  end)
end)

describe("TransformerEncoder's copies", function()
  it("have the layer's dtype, modes and frozen parameters", function()
    local layer = nn.TransformerEncoderLayer(8, 2, 16):to("float64"):eval()
    layer.dropout:train()
    layer.self_attn:train()
    layer.self_attn.out_proj:eval()
    layer.linear1.weight:requires_grad_(false)
    local net = nn.TransformerEncoder(layer, 2)
    for i = 1, 2 do
      local copy = net.layers[i]
      assert.equal("float64", copy.linear1.weight.dtype)
      assert.is_true(copy.linear1.weight:equal(layer.linear1.weight))
      assert.is_false(copy.training)
      assert.is_true(copy.self_attn.training)
      assert.is_false(copy.self_attn.out_proj.training)
      assert.is_true(copy.dropout.training)
      assert.is_false(copy.linear1.weight.requires_grad)
      assert.is_true(copy.linear2.weight.requires_grad)
    end
    expect.shape({ 3, 2, 8 }, (net(sonde.randn({ 3, 2, 8 }, { dtype = "float64" }))))
  end)

  it("are refused of parametrised layers", function()
    local layer = nn.TransformerEncoderLayer(8, 2)
    nn.utils.parametrizations.orthogonal(layer.linear1)
    expect.error("parametrised tensors cannot be copied", function() nn.TransformerEncoder(layer, 2) end)
  end)
end)
