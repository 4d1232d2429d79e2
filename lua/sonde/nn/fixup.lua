-- nn.init.fixup_: residual networks that train without normalisation (Zhang et al. 2019, "Fixup initialization:
-- residual learning without normalization").
local autograd = require "sonde.autograd"
local core = require "sonde.core"
local fail = require "sonde.fail"
local suggest = require "sonde.suggest"
local weight_layers = require "sonde.nn.weight_layers"
local init = core.nn.init

-- The layers of each Residual's block that no Residual inside of it has, in forward order; and the set of all modules
-- that are layers of a Residual, shortcuts included.
local function branches_of(net)
  local residuals, branches, taken, covered = {}, {}, {}, {}
  for _, module in net:named_modules() do
    if module:class_name() == "Residual" then residuals[#residuals + 1] = module end
  end
  for i = #residuals, 1, -1 do -- those inside come after those around them
    local own = {}
    for _, layer in ipairs(weight_layers.of(residuals[i].block)) do
      if not taken[layer.module] then own[#own + 1] = layer end
      taken[layer.module] = true
    end
    for _, layer in ipairs(weight_layers.of(residuals[i])) do covered[layer.module] = true end
    if #own > 0 then table.insert(branches, 1, own) end
  end
  return branches, covered
end

-- fixup_(net, { nonlinearity = "relu", mode = "fan_in", zero_output = true, generator = nil }): Kaiming's normal
-- weights and zero biases; of the m layers in each of the L branches of Residuals the last is 0 and the others are
-- scaled by L^(-1/(2m - 2)); the network's last layer, if no Residual has it, is 0 as well. Returns the network. (The
-- paper's scalar factors and biases are Residual's learn_scale and the layers' own.)
return function(net, options)
  if not core.nn.is_module(net) then
    fail("bad argument 'net' to nn.init.fixup_: expected Module, got %s", type(net))
  end
  local o = suggest.check_options("nn.init.fixup_", options, { "nonlinearity", "mode", "zero_output", "generator" })
  if o.mode ~= nil and o.mode ~= "fan_in" and o.mode ~= "fan_out" then
    fail("nn.init.fixup_: expected one of fan_in, fan_out; got '%s'", o.mode)
  end
  local draw = { nonlinearity = o.nonlinearity or "relu", mode = o.mode, generator = o.generator }
  init.calculate_gain(draw.nonlinearity) -- which knows whether there is one
  local layers, branches, covered = weight_layers.of(net), branches_of(net)
  if #branches == 0 then fail("nn.init.fixup_: the network has no Residual with a Linear layer or convolution") end
  autograd.no_grad(function()
    for i, layer in ipairs(layers) do
      if layer.bias then init.zeros_(layer.bias) end
      if i == #layers and not covered[layer.module] and o.zero_output ~= false then
        init.zeros_(layer.weight)
      else
        init.kaiming_normal_(layer.weight, draw)
      end
    end
    for _, branch in ipairs(branches) do
      local m = #branch
      for i = 1, m - 1 do branch[i].weight:mul_((#branches) ^ (-1 / (2 * m - 2))) end
      init.zeros_(branch[m].weight)
    end
  end)
  return net
end
