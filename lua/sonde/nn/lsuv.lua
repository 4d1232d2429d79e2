-- nn.init.lsuv_: layer-sequential unit-variance (Mishkin & Matas 2016, "All you need is a good init", algorithm 1).
local autograd = require "sonde.autograd"
local core = require "sonde.core"
local fail = require "sonde.fail"
local keep_modes = require "sonde.nn.modes"
local suggest = require "sonde.suggest"
local weight_layers = require "sonde.nn.weight_layers"
local init = core.nn.init

local function read_options(options)
  local o = suggest.check_options("nn.init.lsuv_", options, { "std", "tol", "max_iters", "orthogonal", "generator" })
  local std, tol, most = o.std or 1.0, o.tol or 0.1, o.max_iters or 10
  for name, value in pairs { std = std, tol = tol } do
    if type(value) ~= "number" or not (value > 0) or value == math.huge then
      fail("nn.init.lsuv_: %s must be a positive number, got %s", name, value)
    end
  end
  if math.type(most) ~= "integer" or most < 1 then
    fail("nn.init.lsuv_: max_iters must be an integer of at least 1, got %s", most)
  end
  return std, tol, most, o.orthogonal ~= false, o.generator
end

-- A hook for one layer: scales its weight until its output has the wanted variance, and hands that output on, so that
-- one pass serves all layers, in the order in which they run.
local function scaling(layer, std, tol, most)
  local inside, found = false, nil
  return function(module, input, output)
    if inside or found then return nil end
    inside = true
    local iterations = 0
    while true do
      local now = output:to("float64"):std():item()
      if not (now > 0 and now < math.huge) then
        fail("nn.init.lsuv_: the output of layer '%s' (%s) has a standard deviation of %g", layer.path,
          module:class_name(), now)
      end
      found = { path = layer.path, std = now, iterations = iterations }
      if math.abs((now / std) ^ 2 - 1) < tol or iterations == most then break end
      layer.weight:mul_(std / now)
      iterations = iterations + 1
      output = module(input)
    end
    inside = false
    return output
  end, function() return found end
end

-- lsuv_(net, x, { std = 1, tol = 0.1, max_iters = 10, orthogonal = true, generator = nil }): every Linear layer and
-- convolution gets orthogonal weights (or keeps what it has), then each in turn is scaled until the variance of its
-- output for the batch x is std², within the share tol. In evaluation mode, without gradients. Returns the network, and
-- { path =, std =, iterations = } of every layer that x reached.
return function(net, x, options)
  if not core.nn.is_module(net) then
    fail("bad argument 'net' to nn.init.lsuv_: expected Module, got %s", type(net))
  end
  local std, tol, most, orthogonal, generator = read_options(options)
  local layers, handles, results = weight_layers.of(net), {}, {}
  if #layers == 0 then fail("nn.init.lsuv_: the network has no Linear layer and no convolution") end
  local report = {}
  local _ <close> = keep_modes(net)
  net:eval()
  local _ <close> = setmetatable({}, { __close = function()
    for _, handle in ipairs(handles) do handle:remove() end
  end })
  autograd.no_grad(function()
    for i, layer in ipairs(layers) do
      if orthogonal then init.orthogonal_(layer.weight, { generator = generator }) end
      local hook, result = scaling(layer, std, tol, most)
      handles[i], results[i] = layer.module:register_forward_hook(hook), result
    end
    net(x)
  end)
  for _, result in ipairs(results) do report[#report + 1] = result() end
  return net, report
end
