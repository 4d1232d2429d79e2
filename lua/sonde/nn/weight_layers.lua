-- The layers with a weight that initialisers of whole networks change: linear ones and convolutions.
local core = require "sonde.core"
local own_parameters = core.nn.methods.own_parameters

local CLASSES = { Linear = true, Conv1d = true, Conv2d = true, ConvTranspose2d = true }

local weight_layers = {}

-- { path =, module =, weight =, bias = (nil if there is none) } of every such layer below `net`, each once, in forward
-- order. A layer whose weight is computed from other parameters is not among them.
function weight_layers.of(net)
  local list = {}
  for path, module in net:named_modules() do
    if CLASSES[module:class_name()] then
      local names, values = own_parameters(module, false)
      local own = {}
      for i, name in ipairs(names) do own[name] = values[i] end
      if own.weight then
        list[#list + 1] = { path = path, module = module, weight = own.weight, bias = own.bias }
      end
    end
  end
  return list
end

return weight_layers
