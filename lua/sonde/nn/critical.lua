-- nn.init.critical_: weights at the edge of chaos of their activation (Poole et al. 2016; Schoenholz et al. 2017).
local core = require "sonde.core"
local fail = require "sonde.fail"
local suggest = require "sonde.suggest"
local tensor = require "sonde.tensor"
local theory = require "sonde.theory"
local init = core.nn.init

local OPTIONS = { "nonlinearity", "sigma_b", "bias", "mode", "generator" }

-- critical_(tensor, nonlinearity, { sigma_b = 0, bias = nil, mode = "fan_in", generator = nil }): N(0, sigma_w²/fan),
-- the bias, if given, N(0, sigma_b²), with sigma_w such that chi1 = 1: gradients neither vanish nor explode with depth.
-- nonlinearity: as theory.critical takes it. Returns the tensor, and { sigma_w, sigma_b, q }.
return function(weight, nonlinearity, options)
  if type(nonlinearity) == "table" and options == nil then nonlinearity, options = nil, nonlinearity end
  local o = suggest.check_options("nn.init.critical_", options, OPTIONS)
  if not tensor.is_tensor(weight) then
    fail("bad argument 'tensor' to nn.init.critical_: expected Tensor, got %s", type(weight))
  end
  nonlinearity = nonlinearity or o.nonlinearity
  if nonlinearity == nil then fail("nn.init.critical_: which nonlinearity comes after the layer?") end
  local mode = o.mode or "fan_in"
  if mode ~= "fan_in" and mode ~= "fan_out" then
    fail("nn.init.critical_: expected one of fan_in, fan_out; got '%s'", mode)
  end
  if o.bias ~= nil and not tensor.is_tensor(o.bias) then
    fail("nn.init.critical_: bias must be a Tensor, got %s", type(o.bias))
  end
  local fan_in, fan_out = init.fans(weight)
  local point = theory.critical(nonlinearity, { sigma_b = o.sigma_b })
  local fan = math.max(mode == "fan_in" and fan_in or fan_out, 1)
  init.normal_(weight, 0, point.sigma_w / math.sqrt(fan), { generator = o.generator })
  if o.bias then init.normal_(o.bias, 0, point.sigma_b, { generator = o.generator }) end
  return weight, point
end
