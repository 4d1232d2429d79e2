-- The layer table: what peek and print(probe) show.
local text = require "sonde.text"

-- name along the probe axis → value of the newest row
local function column(history, group_name, variable)
  local group = history:find(group_name)
  local cells = group and group:rows() > 0 and group:read(variable)
  local values = {}
  for i, name in ipairs(cells and group:coordinate("probe") or {}) do values[name] = cells[i] end
  return values
end

-- One line per layer: path, module, output shape, parameters, mean and deviation of its output, and the L2 norm of the
-- gradient that arrives there as a bar on a log scale. layers: as core.probe lists them.
return function(history, layers)
  local mean, std = column(history, "activation", "mean"), column(history, "activation", "std")
  local gradient, numbers = column(history, "activation_grad", "l2_norm"), {}
  for _, value in next, gradient do numbers[#numbers + 1] = value end
  local scale = text.log_scale(numbers)
  local lines = { { "layer", "module", "output", "parameters", "mean", "std", "gradient", "" } }
  local total = 0
  for _, layer in ipairs(layers) do
    local g = gradient[layer.probe]
    total = total + layer.n_parameters
    lines[#lines + 1] = {
      layer.probe, layer.module, layer.shape and table.concat(layer.shape, "×") or "not called",
      layer.n_parameters > 0 and text.count(layer.n_parameters) or "", text.number(mean[layer.probe]),
      text.number(std[layer.probe]), text.number(g), g and text.bar(scale.share(g), 24) or "",
    }
  end
  local foot = "%s parameters; gradient: L2 norm of dLoss/d(output); bars on a log scale, 1e%d to 1e%d"
  return text.columns(lines, "lllrrrrl") .. "\n" .. foot:format(text.count(total), scale.low, scale.high)
end
