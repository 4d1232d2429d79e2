--- Operators and layers against PyTorch, float64, 1e-10.
local sonde = require "sonde"
local reference = require "support.reference"
local nn = sonde.nn

local function unary(fn) return function(i) return { y = fn(i.x) } end end

--- A module made by `make`, its parameters and buffers set from the file.
local function layer(make, train)
  return function(i, p, group)
    local m = make():to("float64")
    local state = m:state_dict()
    for name in pairs(state) do
      local value = group["param_" .. name] or group["buffer_before_" .. name]
      if value then state[name] = value end
    end
    m:load_state_dict(state)
    if train == false then m:eval() end
    local y = m(i.x)
    for name, value in pairs(m:state_dict()) do
      local after = group["buffer_after_" .. name]
      if after then reference.near(name .. " after", after, value:to("float64")) end
    end
    local owned = {}
    for name, parameter in m:named_parameters() do owned[name] = parameter end
    return { y = y }, owned
  end
end

--- The file's indices count from 0.
local function embedding(opts)
  local made = layer(function() return nn.Embedding(7, 3, opts) end)
  return function(i, p, group) return made({ x = i.idx + 1 }, p, group) end
end

local cases = {
  embedding = embedding(),
  embedding_padding0 = embedding { padding_idx = 1 },
  linear = layer(function() return nn.Linear(5, 3) end),
  linear_nobias = layer(function() return nn.Linear(5, 3, { bias = false }) end),
  batchnorm1d_train = layer(function() return nn.BatchNorm1d(4) end),
  batchnorm1d_eval = layer(function() return nn.BatchNorm1d(4) end, false),
  bilinear_matmul = function(i) return { y = i.a:matmul(i.b) } end,
  matmul_broadcast = function(i) return { y = i.a:matmul(i.b) } end,
  conv1d = layer(function() return nn.Conv1d(2, 3, 3, { padding = 1 }) end),
  conv2d = layer(function() return nn.Conv2d(2, 4, 3) end),
  conv2d_dilation2 = layer(function() return nn.Conv2d(2, 4, 3, { dilation = 2 }) end),
  conv2d_groups2 = layer(function() return nn.Conv2d(2, 4, 3, { groups = 2 }) end),
  conv2d_stride2_pad1 = layer(function() return nn.Conv2d(2, 4, 3, { stride = 2, padding = 1 }) end),
  conv_transpose2d = layer(function()
    return nn.ConvTranspose2d(2, 3, 3, { stride = 2, padding = 1, output_padding = 1 })
  end),
  maxpool2d = unary(nn.MaxPool2d(2)),
  maxpool2d_k3s2p1 = unary(nn.MaxPool2d(3, { stride = 2, padding = 1 })),
  avgpool2d = unary(nn.AvgPool2d(2)),
  avgpool2d_k3s2p1 = unary(nn.AvgPool2d(3, { stride = 2, padding = 1 })),
  adaptive_avgpool_1 = unary(nn.AdaptiveAvgPool2d(1)),
  batchnorm2d_train = layer(function() return nn.BatchNorm2d(3) end),
  batchnorm2d_eval = layer(function() return nn.BatchNorm2d(3) end, false),
  layernorm = layer(function() return nn.LayerNorm(5) end),
  groupnorm = layer(function() return nn.GroupNorm(2, 4) end),
  instancenorm2d = unary(nn.InstanceNorm2d(3)),
  rmsnorm = function(i)
    local m = nn.RMSNorm(5, { eps = 1e-6, dtype = "float64" })
    m.weight = nn.Parameter(i.w)
    local y = m(i.x)
    i.w = m.weight
    return { y = y }
  end,
  weight_norm_linear = function(i, p)
    local m = nn.utils.parametrizations.weight_norm(nn.Linear(5, 3, { dtype = "float64" }))
    local list = m.parametrizations.weight
    m:load_state_dict {
      bias = p.bias, ["parametrizations.weight.original0"] = p.weight_g,
      ["parametrizations.weight.original1"] = p.weight_v,
    }
    return { y = m(i.x) }, { bias = m.bias, weight_g = list.original0, weight_v = list.original1 }
  end,
  ["act_relu"] = unary(nn.ReLU()),
  ["act_leaky_relu_0.01"] = unary(nn.LeakyReLU()),
  ["act_leaky_relu_0.25"] = unary(nn.LeakyReLU(0.25)),
  ["act_elu"] = unary(nn.ELU()),
  ["act_elu_0.5"] = unary(nn.ELU(0.5)),
  ["act_selu"] = unary(nn.SELU()),
  ["act_gelu_exact"] = unary(nn.GELU()),
  ["act_gelu_tanh"] = unary(nn.GELU { approximate = "tanh" }),
  ["act_silu"] = unary(nn.SiLU()),
  ["act_softplus"] = unary(nn.Softplus()),
  ["act_softplus_beta2"] = unary(nn.Softplus { beta = 2 }),
  ["act_softsign"] = unary(nn.Softsign()),
  ["act_hardtanh"] = unary(nn.Hardtanh()),
  act_celu_2 = unary(nn.CELU(2)),
  act_mish = unary(nn.Mish()),
  act_relu6 = unary(nn.ReLU6()),
  act_hardsigmoid = unary(nn.Hardsigmoid()),
  act_hardswish = unary(nn.Hardswish()),
  act_logsigmoid = unary(nn.LogSigmoid()),
  act_tanhshrink = unary(nn.Tanhshrink()),
  prelu = layer(function() return nn.PReLU(3) end),
  ["act_sigmoid"] = unary(nn.Sigmoid()),
  ["act_tanh"] = unary(nn.Tanh()),
  softmax = unary(nn.Softmax(2)),
  log_softmax = unary(nn.LogSoftmax(2)),
  logsumexp = unary(function(x) return x:logsumexp(2) end),
  sum_mean_var = function(i)
    local x = i.x
    return { sum = x:sum(1), mean = x:mean(2), var = x:var(2), std = x:std(1), norm = x:norm() }
  end,
  broadcast_ops = function(i) return { y = i.a * i.b + i.c / i.d } end,
  elementwise_math = function(i)
    local x = i.x
    return {
      exp = x:exp(), log = (x * x + 1):log(), sqrt = (x * x + 1):sqrt(), abs = x:abs(), pow3 = x ^ 3,
      clamp = x:clamp(-0.5, 0.5), max = x:max(), min = x:min(), sin = x:sin(), cos = x:cos(),
    }
  end,
  shape_ops = function(i)
    local x, z = i.x, i.z
    local index = sonde.tensor({ { 1, 1 }, { 4, 2 }, { 3, 3 } }, { dtype = "int64" })
    return {
      cat = sonde.cat({ x, z }, 2), t = x:t() * 2, slice = x[{ { 2, -1 }, { 1, -1, 2 } }],
      gather = x:gather(2, index), stack = sonde.stack({ x, z }, 1),
    }
  end,
  shared_use = unary(function(x) return x * x + x:sin() + x:sum() * x end),
  residual_chain_10 = function(i)
    local h = i.x
    for _ = 1, 10 do h = h + h:matmul(i.W:t()):tanh() end
    return { y = h }
  end,
}

--- PyTorch 1.13 multiplies this gradient by a float32 1/6, in float64 too.
local tolerance = { act_hardsigmoid = 5e-8 }

describe("PyTorch's layers", function()
  local names = {}
  for name in pairs(cases) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    it(name, function() reference.check_layer(name, cases[name], tolerance[name]) end)
  end
  teardown(reference.close)
end)
