--- Attention, transformer encoders and the options of convolutions and pooling against PyTorch, float64, 1e-10. The
--- values are those of torch_catalogue.h5, which make_torch_catalogue.py beside it wrote.
local sonde = require "sonde"
local reference = require "support.reference"
local nn = sonde.nn

--- A module with the file's parameters, called with call(m, inputs); outputs y, w. PyTorch counts children from 0.
local function layer(m, call)
  return function(inputs, parameters)
    m:to("float64"):load_state_dict(parameters, { names = "torch" })
    local owned = {}
    for name, parameter in m:named_parameters() do
      owned[name:gsub("%f[^%.]%d+%f[%.]", function(n) return math.tointeger(n) - 1 end)] = parameter
    end
    local y, w = call(m, inputs)
    return { y = y, w = w }, owned
  end
end

local function convolution(m)
  return layer(m, function(_, i) return m(i.x) end)
end

local function attention(options, flags)
  return layer(nn.MultiheadAttention(6, 2, options), function(m, i)
    for name, value in pairs(flags or {}) do i[name] = value end
    return m(i)
  end)
end

local function block(options)
  options.dim_feedforward, options.dropout = 7, 0
  return nn.TransformerEncoderLayer(6, 2, options)
end

local function encoder(m) return layer(m, function(_, i) return m(i) end) end

local each = { average_attn_weights = false }
local cases = {
  mha_self = attention(), mha_self_no_weights = attention({}, { need_weights = false }),
  mha_self_nobias = attention { bias = false }, mha_cross = attention(), mha_cross_shared = attention({}, each),
  mha_batch_first = attention { batch_first = true }, mha_self_batch_first = attention { batch_first = true },
  mha_unbatched = attention(), mha_unbatched_self = attention({ batch_first = true }, each),
  mha_kdim_vdim = attention { kdim = 5, vdim = 3 }, mha_bias_kv = attention { add_bias_kv = true },
  mha_zero_attn = attention { add_zero_attn = true },
  mha_bias_kv_zero_attn = attention { add_bias_kv = true, add_zero_attn = true },
  mha_masks = attention({}, each), mha_float_mask = attention(), mha_mask_per_head = attention(),

  encoder_layer_post = encoder(block {}), encoder_layer_pre = encoder(block { norm_first = true }),
  encoder_layer_gelu_eps = encoder(block { activation = "gelu", layer_norm_eps = 0.1 }),
  encoder_layer_masks = encoder(block { batch_first = true }),
  encoder_layer_pre_masks = encoder(block { norm_first = true }),
  encoder_2 = encoder(nn.TransformerEncoder(block {}, 2)),
  encoder_2_pre_norm = encoder(nn.TransformerEncoder(block { norm_first = true }, 2, nn.LayerNorm(6))),

  conv1d_same = convolution(nn.Conv1d(2, 3, 4, { padding = "same", dilation = 2 })),
  conv2d_same = convolution(nn.Conv2d(2, 4, { 4, 3 }, { padding = "same", dilation = { 1, 2 }, groups = 2 })),
  conv2d_valid = convolution(nn.Conv2d(2, 3, 3, { padding = "valid", stride = 2 })),
  conv1d_unbatched = convolution(nn.Conv1d(2, 3, 3, { padding = 1 })),
  conv2d_unbatched = convolution(nn.Conv2d(2, 3, 3, { padding = 1, padding_mode = "reflect" })),
  conv_transpose2d_unbatched = convolution(nn.ConvTranspose2d(2, 3, 3, { stride = 2 })),
}
for _, mode in ipairs { "reflect", "replicate", "circular" } do
  cases["conv1d_" .. mode] = convolution(nn.Conv1d(2, 3, 3, { padding = 2, padding_mode = mode }))
  cases["conv2d_" .. mode] = convolution(
    nn.Conv2d(2, 3, 3, { padding = { 2, 1 }, stride = { 1, 2 }, padding_mode = mode }))
  cases["conv2d_same_" .. mode] = convolution(nn.Conv2d(2, 2, { 2, 3 }, { padding = "same", padding_mode = mode }))
end

local pools = {
  max1d_dilation = nn.MaxPool1d(3, { stride = 2, padding = 1, dilation = 2 }),
  max1d_ceil = nn.MaxPool1d(3, { stride = 3, padding = 1, ceil_mode = true }),
  max2d = nn.MaxPool2d({ 3, 2 }, { stride = { 2, 3 }, padding = { 1, 0 }, dilation = { 1, 2 } }),
  max2d_ceil = nn.MaxPool2d(3, { stride = 2, padding = 1, ceil_mode = true }),
  avg1d = nn.AvgPool1d(3, { stride = 2, padding = 1 }),
  avg1d_ceil = nn.AvgPool1d(4, { stride = 3, padding = 2, ceil_mode = true, count_include_pad = false }),
  avg2d_ceil = nn.AvgPool2d({ 3, 2 }, { stride = { 2, 3 }, padding = { 1, 1 }, ceil_mode = true }),
  avg2d_exclude = nn.AvgPool2d(3, { stride = 2, padding = 1, ceil_mode = true, count_include_pad = false }),
  adaptive_max1d = nn.AdaptiveMaxPool1d(4), adaptive_avg1d = nn.AdaptiveAvgPool1d(5),
  adaptive_max2d = nn.AdaptiveMaxPool2d { 2, 3 }, adaptive_avg2d = nn.AdaptiveAvgPool2d { 3, 6 },
  instance1d = nn.InstanceNorm1d(3, { affine = true }),
  instance2d = nn.InstanceNorm2d(3, { eps = 0.1, affine = true }),
}
for name, m in pairs(pools) do
  cases[name] = convolution(m)
  cases[name .. "_unbatched"] = convolution(m)
end

describe("PyTorch's catalogue", function()
  for _, name in ipairs(reference.list("/layers", "torch_catalogue")) do
    it(name, function() reference.check_layer(name, cases[name], nil, "torch_catalogue") end)
  end
  teardown(reference.close)
end)
