-- The layers of one network as the gradient meets them: weight layers in forward order, and what lies between them.
local chain = {}

-- The activations by their names, for runs in which /activation, which tells who has a slope, was not measured.
local by_name = {}
for name in ([[ReLU ReLU6 LeakyReLU PReLU RReLU ELU CELU SELU GELU SiLU Mish Softplus Sigmoid LogSigmoid Hardsigmoid
  Hardswish Tanh Hardtanh Softsign Tanhshrink Softshrink Hardshrink Threshold]]):gmatch "%S+" do
  by_name[name] = true
end

local function kind_of(groups, i, is_weight)
  if is_weight then return "weight" end
  local gradients, activations = groups.activation_grad, groups.activation
  if gradients.module[i]:find("Norm", 1, true) then return "normalisation" end
  if not activations or not activations.has_slope then
    return by_name[gradients.module[i]] and "activation" or "other"
  end
  for j, has_slope in ipairs(activations.has_slope) do
    if has_slope and activations.probe[j] == gradients.probe[i] then return "activation" end
  end
  return "other"
end

-- The networks of a run: lists of { index = along the probe axis, name =, module =, kind = "weight" | "activation" |
-- "normalisation" | "other" } in forward order, with `weights`, the places of the weight layers before the output
-- layer. A weight layer is the first module of its depth; depth falls where another network begins.
function chain.networks(groups)
  local gradients, networks = groups.activation_grad, {}
  if not gradients or not gradients.depth then return networks end
  local current, last
  for i, depth in ipairs(gradients.depth) do
    if not current or depth < last then
      current, last = { weights = {} }, 0
      networks[#networks + 1] = current
    end
    local is_weight = depth > last
    current[#current + 1] = { index = i, name = gradients.probe[i], module = gradients.module[i],
                              kind = kind_of(groups, i, is_weight) }
    if is_weight then current.weights[#current.weights + 1] = #current end
    last = depth
  end
  for _, network in ipairs(networks) do table.remove(network.weights) end -- the output layer
  return networks
end

-- Each parameter's place in /weight and in /weight_grad: { { index =, gradient = }, … }.
function chain.parameters(groups)
  local gradients, list = {}, {}
  for i, name in ipairs(groups.weight_grad and groups.weight_grad.probe or {}) do gradients[name] = i end
  for i, name in ipairs(groups.weight and groups.weight.probe or {}) do
    list[i] = { index = i, gradient = gradients[name] }
  end
  return list
end

-- The weight matrices that the optimiser moves: lists of { index = along the probe axis of /weight, name =, gradient =
-- its index in /weight_grad }. Biases and gains are none: they start at zero or one and tell nothing by their ratio.
function chain.matrices(groups)
  local group, parameters, list = groups.weight or {}, chain.parameters(groups), {}
  for i, role in ipairs(group.role or {}) do
    local is_gain = group.module[i]:find("Norm", 1, true)
    if role:find("weight", 1, true) and not is_gain then
      list[#list + 1] = { index = i, name = group.probe[i], gradient = parameters[i].gradient }
    end
  end
  return list
end

return chain
